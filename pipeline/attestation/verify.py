# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether packages are what is said of them: each against its statement, its SBOM and its own header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import command, files, provides, release
from pipeline.attestation import header, sbom, statement
from pipeline.attestation.header import Header
from pipeline.attestation.statement import Claim
from pipeline.errors import CommandFailed, VerifyError
from pipeline.progress import Progress
from pipeline.signing.packages import content_digest

_CHECK_SECONDS = 300
_SHOWN = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """All that is wrong with one package; `claim` is what its statement says, if that can be read.

    `is_signed_copy`: the statement is about the package as it was built, and this one differs in its signatures alone.
    """

    path: Path
    sha256: str = ""
    header: Header | None = None
    claim: Claim | None = None
    is_signed_copy: bool = False
    problems: tuple[str, ...] = ()


def examine(paths: Iterable[Path]) -> list[Verdict]:
    """A verdict on each file, in order. Raises: CommandMissing."""
    return [_examine(path) for path in dict.fromkeys(paths)]


def tell(verdicts: Sequence[Verdict], progress: Progress) -> None:
    for verdict in verdicts:
        for problem in verdict.problems:
            progress.warning(f"{verdict.path}: {problem}")
        if not verdict.problems and verdict.claim:
            claim = verdict.claim
            copy = ": it is a signed copy of what was built" if verdict.is_signed_copy else ""
            progress.heading(f"{verdict.path.name} holds{copy}")
            progress.note(f"from {claim.vendor_file_name} ({claim.vendor_origin}) with {len(claim.patches)} patches")
            commit = f"commit {claim.commit}" if claim.commit else "no known commit"
            progress.note(f"by the pipeline at {commit}{' and uncommitted changes' if claim.dirty else ''}")


def failure(verdicts: Sequence[Verdict]) -> VerifyError | None:
    """The error for what does not hold; `None` if all does."""
    failed = [verdict for verdict in verdicts if verdict.problems]
    if not failed:
        return None
    return VerifyError(
        "not-verified",
        f"{len(failed)} of {len(verdicts)} packages are not what is said of them, or nothing is said:"
        f" {failed[0].path.name}: {failed[0].problems[0]}",
        hint="do not install them; take package, statement and SBOM together from where they were built",
    )


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The document of `--json`."""
    return {
        "status": "failed" if failure(verdicts) else "ok",
        "files": [
            {
                "path": str(verdict.path),
                "sha256": verdict.sha256,
                "nevra": verdict.header.nevra if verdict.header else "",
                "signed_copy": verdict.is_signed_copy,
                "problems": list(verdict.problems),
                "provenance": _provenance(verdict.claim) if verdict.claim else None,
            }
            for verdict in verdicts
        ],
    }


def _provenance(claim: Claim) -> dict[str, Any]:
    return {
        "package": claim.package,
        "target": claim.target,
        "number": claim.number,
        "source": {"file": claim.vendor_file_name, "origin": claim.vendor_origin, "sha256": claim.vendor_sha256},
        "patches": [{"file": row.name, "sha256": row.sha256, "provides": row.capability} for row in claim.patches],
        "commit": claim.commit,
        "dirty": claim.dirty,
    }


def _examine(path: Path) -> Verdict:
    if not path.is_file():
        return Verdict(path=path, problems=("it is no file" if path.exists() else "it does not exist",))
    sha256 = files.sha256_of(path)
    broken = _broken(path)
    return Verdict(path=path, sha256=sha256, problems=(broken,)) if broken else hold(path, sha256)


def hold(path: Path, sha256: str) -> Verdict:
    """A package that is whole by its own digests, against what is said of it beside it."""
    try:
        told = header.read(path)
    except ValueError as error:
        return Verdict(path=path, sha256=sha256, problems=(str(error),))
    statement_path = path.with_name(path.name + statement.SUFFIX)
    if not statement_path.exists():
        problem = f"nothing is said of it: {statement_path.name}: it does not exist"
        return Verdict(path=path, sha256=sha256, header=told, problems=(problem,))
    try:
        claim = statement.read(_text(statement_path))
    except ValueError as error:
        problem = f"its statement {statement_path.name}: {error}"
        return Verdict(path=path, sha256=sha256, header=told, problems=(problem,))
    is_signed_copy = sha256 != claim.sha256 and content_digest(path) == claim.content_sha256
    problems = [f"its statement {problem}" for problem in _against_claim(path, told, claim)]
    if sha256 != claim.sha256 and not is_signed_copy:
        problems = [f"its statement is about another file: sha256 {claim.sha256[:12]}, this one has {sha256[:12]}"]
    if not problems:
        problems = [f"its SBOM {problem}" for problem in _against_sbom(path, told, claim, statement_path)]
    return Verdict(
        path=path, sha256=sha256, header=told, claim=claim, is_signed_copy=is_signed_copy, problems=tuple(problems)
    )


def _broken(path: Path) -> str:
    """What is wrong with the package by its own digests; empty if nothing is."""
    argv = ["rpmkeys", "--checksig", "--nosignature", "--verbose", str(path.resolve())]
    try:
        command.run(argv, timeout_seconds=_CHECK_SECONDS)
    except CommandFailed as error:
        told = [line.strip() for line in error.output.splitlines() if "BAD" in line or "error:" in line]
        return f"it is no RPM, or was changed or cut short ({told[0] if told else error.message})"
    return ""


def _against_claim(path: Path, told: Header, claim: Claim) -> Iterator[str]:
    if claim.file_name != path.name:
        yield f"is about {claim.file_name}"
    if claim.package != told.source:
        yield f"is about the package {claim.package}, this one is built from {told.source}"
    if claim.evr != str(told.evr):
        yield f"says the release is {claim.evr}, the package says {told.evr}"
    number = release.number_in(told.evr.release)
    if not claim.number == claim.allocated_number == number:
        yield f"says number {claim.number}, given out as {claim.allocated_number}, and the package has {number}"
    yield from _against_patches(told, claim)


def _against_patches(told: Header, claim: Claim) -> Iterator[str]:
    said = {patch.capability for patch in claim.patches}
    provided = {str(capability) for capability in told.capabilities}
    if not provided and provides.may_lack(told.name, told.arch):
        provided = said
    for missing in sorted(said - provided):
        yield f"names a patch that the package does not provide: {missing}"
    for extra in sorted(provided - said):
        yield f"does not name a patch that the package provides: {extra}"
    for patch in claim.patches:
        if patch.capability.rpartition(" = ")[2] != patch.sha256[:12]:
            yield f"gives {patch.name} another digest than it provides: {patch.sha256[:12]}, {patch.capability}"


def _against_sbom(path: Path, told: Header, claim: Claim, statement_path: Path) -> Iterator[str]:
    sbom_path = path.with_name(path.name + sbom.SUFFIX)
    try:
        text = _text(sbom_path)
        sbom.validate(text)
        found = sbom.facts(text)
        wanted = sbom.facts(sbom.make(told, claim, files.sha256_of(statement_path)))
    except (ValueError, OSError) as error:
        yield f"{sbom_path.name}: {error}"
        return
    for name, value in wanted.items():
        if found[name] != value:
            yield f"says another {name}: {_cut(found[name])}, where {_cut(value)} is right"


def _text(path: Path) -> str:
    """Raises: ValueError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError("it does not exist") from None
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None


def _cut(text: str) -> str:
    return (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…") or "nothing"
