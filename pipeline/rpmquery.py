# SPDX-License-Identifier: GPL-2.0-or-later
"""What rpm reads from a spec in the engine: its binary packages, what they give and ask for, and what it is built on.

Its source package is made for that: of CentOS 6's rpm 4.8, that alone says what a build requires.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline import files, rpmbuild
from pipeline.context import JobContext
from pipeline.engines.base import Workspace
from pipeline.errors import BuildError, CommandFailed
from pipeline.gate.relations import overlap
from pipeline.model import BinaryRelations, Relations
from pipeline.rpmheaders import Dependency

_QUERY_SECONDS = 120
_SCRIPT = Path(__file__).with_name("ask-rpm.sh")
_KINDS = ("package", "source", "provides", "requires", "found")
_Row = tuple[str, Dependency]


def relations_of(
    spec_path: Path, sources: Iterable[Path], context: JobContext, *, provides: tuple[str, ...] = (), look: bool = False
) -> Relations:
    """What a spec's packages ask for and give; with `look`, also what of it the engine does not have.

    `provides` is what they give besides. Raises: BuildError, CommandTimedOut, EngineError.
    """
    with context.engine.workspace(context.scratch_dir) as workspace:
        spec = rpmbuild.lay_out(workspace, spec_path, sources)
        rpmbuild.run(workspace, spec, "-bs", target=context.target, log_path=context.log_path,
                     timeout_seconds=context.settings.time_limits.build)  # fmt: skip
        told = _ask(workspace, spec, context, look=look)
    return read(told, provides=provides, looked=look)


def read(told: str, *, provides: tuple[str, ...] = (), looked: bool = False) -> Relations:
    """The relations from what rpm printed, in an order that does not depend on it. Raises: BuildError."""
    parts = _parts(told)
    if len(parts) < 2:
        raise BuildError(
            "spec-unreadable", "rpm tells of no package in the spec", hint="give a package a %files section"
        )
    *binaries, source = parts
    wanted = _of_kind("requires", source)
    return Relations(
        packages=tuple(sorted(map(_binary, binaries), key=lambda package: package.name)),
        build_requires=_told(wanted),
        provides=provides,
        missing=_told(each for each in wanted if _is_missing(each, source)) if looked else (),
    )


def _ask(workspace: Workspace, spec: Path, context: JobContext, *, look: bool) -> str:
    macros = {"_topdir": workspace.inside(workspace.dir), **context.target.rpm_macros()}
    files.copy_whole(_SCRIPT, workspace.dir / _SCRIPT.name)
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    words = ["sh", _SCRIPT.name, workspace.inside(spec), "yes" if look else "no", *defines]
    try:
        return workspace.run(words, timeout_seconds=_QUERY_SECONDS, log_path=context.log_path, capture=True).stdout
    except CommandFailed as error:
        raise BuildError(
            "spec-unreadable",
            f"rpm does not read {spec.name}: {error.message}",
            hint="the last lines of the log say what it met",
            log_path=error.log_path,
            reproduce=error.reproduce,
        ) from None


def _parts(told: str) -> list[list[_Row]]:
    """What was told of each binary package, and last of the source package; a spec may print lines of its own."""
    parts: list[list[_Row]] = []
    for line in told.splitlines():
        kind, *words = line.split("\t")
        if kind in _KINDS and len(words) == 3:
            name, operator, version = (word.strip() for word in words)
            if kind in ("package", "source"):
                parts.append([])
            if parts and not name.startswith("rpmlib("):
                parts[-1].append((kind, Dependency(name=name, operator=operator, evr=version)))
    return parts


def _binary(rows: list[_Row]) -> BinaryRelations:
    """rpm 4.8 does not say of a spec's packages that each provides itself."""
    itself = rows[0][1]
    provides = {itself, *_of_kind("provides", rows)}
    return BinaryRelations(name=itself.name, provides=_told(provides), requires=_told(_of_kind("requires", rows)))


def _is_missing(wanted: Dependency, source: list[_Row]) -> bool:
    """Whether nothing in the engine is what is asked for; `(a or b)` is for rpmbuild to understand."""
    found = {each.name for each in _of_kind("found", source)}
    fits = not wanted.operator or any(overlap(each, wanted) for each in _of_kind("provides", source))
    return not wanted.name.startswith("(") and not (wanted.name in found and fits)


def _of_kind(kind: str, rows: Iterable[_Row]) -> set[Dependency]:
    return {each for its_kind, each in rows if its_kind == kind}


def _told(dependencies: Iterable[Dependency]) -> tuple[str, ...]:
    return tuple(sorted(map(str, dependencies)))
