# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResult -> Provenance: beside each package what it was made from, by what, from which commit; and the patches.

The commit is the one at the time of the build: what is built is not said to come from a later one that made the same
of it, unless there were changes then that no commit has.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline import checkout, command, files, provides, rpmbuild
from pipeline.attestation import patchmails
from pipeline.context import JobContext
from pipeline.errors import BuildError
from pipeline.model import AppliedPatch, BuildResult, File, Image, Provenance, RenderedSpec, Rpm
from pipeline.order import basis

if TYPE_CHECKING:
    from pipeline.attestation import header, statement

_VERSION_SECONDS = 20
_WARNINGS = {
    "unknown": "not a git checkout: the provenance names no commit",
    "uncommitted changes": "uncommitted changes in the checkout: the provenance says dirty",
}


def inputs(rendered: RenderedSpec, build: BuildResult, image: Image, *, context: JobContext) -> dict[str, str]:
    """What the records do not say: the macros, and whether a commit says all that is here."""
    return {**rpmbuild.macro_inputs(context.target), "checkout": checkout.read(context.settings.root_dir).state}


def run(rendered: RenderedSpec, build: BuildResult, image: Image, *, context: JobContext) -> Provenance:
    """A statement and an SBOM beside each package, the patches beside the source package.

    Raises: BuildError when a package does not say its patches.
    """
    from pipeline.attestation import header, statement

    here = checkout.read(context.settings.root_dir)
    if here.state != "clean":
        context.progress.warning(_WARNINGS[here.state])
    common = statement.Build(
        package=context.job.package,
        target=context.target_name,
        label=context.package.label,
        rendered=rendered,
        image=image,
        macros=context.target.rpm_macros(),
        nodeps=context.target.nodeps,
        capabilities=provides.of_patches(context.job.package, rendered.tree.patches),
        checkout=here,
        built_on=basis.noted(build, context.home_dir),
    )
    headers = [header.read(context.out_path / rpm.file.path) for rpm in build.all_rpms]
    for told in headers:
        _refuse_unsaid(told, common.capabilities)
    versions = {"git": _git_version(), "python": platform.python_version()}
    pairs = [_attest(rpm, told, common, versions, context) for rpm, told in zip(build.all_rpms, headers, strict=True)]
    return Provenance(
        statements=tuple(pair[0] for pair in pairs),
        sboms=tuple(pair[1] for pair in pairs),
        patches=_put_patches(rendered.tree.patches, build.srpm, context),
    )


def _put_patches(patches: Sequence[AppliedPatch], srpm: Rpm, context: JobContext) -> tuple[File, ...]:
    """The file of mails beside the source package, written."""
    if not patches:
        return ()
    path = context.out_path / srpm.file.path
    mails_path = path.with_name(path.name + patchmails.SUFFIX)
    contents = ((context.out_path / patch.file.path).read_bytes() for patch in patches)
    files.write_whole(mails_path, patchmails.joined(contents))
    return (files.file_record(mails_path, context.out_path),)


def _attest(
    rpm: Rpm, told: header.Header, common: statement.Build, versions: Mapping[str, str], context: JobContext
) -> tuple[File, File]:
    """The statement and the SBOM of one package, written."""
    from pipeline.attestation import sbom, statement
    from pipeline.signing import packages

    path = context.out_path / rpm.file.path
    statement_path = path.with_name(path.name + statement.SUFFIX)
    text = statement.make(common, rpm.file, packages.content_digest(path), {**versions, "rpm": told.rpm_version})
    files.write_whole(statement_path, text)
    kept = files.file_record(statement_path, context.out_path)
    sbom_path = path.with_name(path.name + sbom.SUFFIX)
    files.write_whole(sbom_path, sbom.make(told, statement.read(text), kept.sha256))
    return kept, files.file_record(sbom_path, context.out_path)


def _refuse_unsaid(told: header.Header, capabilities: Sequence[provides.Capability]) -> None:
    """Raises: BuildError when a host could not tell from the package which patches it runs."""
    if told.capabilities == tuple(sorted(capabilities, key=str)) or (
        not told.capabilities and provides.may_lack(told.name, told.arch)
    ):
        return
    differing = sorted(map(str, {*told.capabilities} ^ {*capabilities}))
    raise BuildError(
        "patches-unsaid",
        f"{told.nevra} provides other patches than it has: {differing[0] if differing else 'one of them twice'}",
        hint="give the spec template a line `Provides: {{ patch.capability }}` for each patch",
    )


def _git_version() -> str:
    return command.run(["git", "--version"], timeout_seconds=_VERSION_SECONDS).stdout.split()[2]
