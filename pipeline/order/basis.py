# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package is built on: which RPMs of this run are installed for its build, and the note of that beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline import files, rpmbuild, rpmquery
from pipeline.context import JobContext
from pipeline.engines.base import Engine
from pipeline.gate.relations import itself, overlap
from pipeline.model import BuildResult, Evr, Installed, Rpm
from pipeline.rpmheaders import Dependency, Header, read_header

_NOTE = "built-on.json"


def build_on(
    built_on: Sequence[BuildResult],
    spec_path: Path,
    sources: Sequence[Path],
    destination: Path,
    *,
    expected: Evr,
    source_date_epoch: int,
    context: JobContext,
    proved: Mapping[str, Path] | None = None,
) -> BuildResult:
    """Build a package as `rpmbuild.build_package` does, with what it requires of these builds installed.

    Raises: BuildError, CommandTimedOut, EngineError.
    """
    chosen = _chosen(spec_path, sources, built_on, context) if built_on else ()
    with _engine_with(chosen, context) as engine:
        build = rpmbuild.build_package(
            spec_path,
            sources,
            destination,
            expected=expected,
            source_date_epoch=source_date_epoch,
            context=context,
            engine=engine,
            proved=proved,
        )
    _note(chosen, build, destination)
    return build


def _chosen(
    spec_path: Path, sources: Sequence[Path], built_on: Sequence[BuildResult], context: JobContext
) -> tuple[Rpm, ...]:
    wanted = rpmquery.relations_of(spec_path, sources, context).build_requires
    return choose(wanted, built_on, context.out_path)


@contextmanager
def _engine_with(chosen: Sequence[Rpm], context: JobContext) -> Iterator[Engine]:
    if not chosen:
        yield context.engine
        return
    context.progress.note(f"built on {', '.join(rpm.nevra for rpm in chosen)}")
    with context.engine.with_packages(
        [context.out_path / rpm.file.path for rpm in chosen],
        context.scratch_dir,
        nodeps=context.target.nodeps,
        log_path=context.log_path,
    ) as engine:
        yield engine


def choose(wanted: Iterable[str], built_on: Sequence[BuildResult], out_path: Path) -> tuple[Rpm, ...]:
    """The RPMs that give what is wanted, and what these require of the others; sorted by name.

    Raises: BuildError for a damaged package.
    """
    rpms = sorted((rpm for build in built_on for rpm in build.rpms), key=lambda rpm: (rpm.name, rpm.arch))
    headers = {rpm: read_header(out_path / rpm.file.path) for rpm in rpms}
    chosen: dict[Rpm, Header] = {}
    pending = [Dependency.read(text) for text in wanted]
    while pending:
        each = pending.pop()
        if any(_gives(header, each) for header in chosen.values()):
            continue
        rpm = next((rpm for rpm, header in headers.items() if _gives(header, each)), None)
        if rpm is not None:
            chosen[rpm] = headers[rpm]
            pending.extend(sorted(headers[rpm].relations["requires"], key=str))
    return tuple(rpm for rpm in rpms if rpm in chosen)


def _gives(header: Header, wanted: Dependency) -> bool:
    given = (itself(header), *header.relations["provides"])
    return wanted.name in header.files or any(overlap(each, wanted) for each in given)


def _note(installed: Iterable[Rpm], build: BuildResult, folder: Path) -> None:
    """Keep beside a build what it was built on; nothing where that is nothing."""
    path = folder / _NOTE
    rows = [{"package": rpm.source, "name": rpm.file.path.name, "sha256": rpm.file.sha256} for rpm in installed]
    if rows:
        files.write_whole(path, json.dumps({"srpm": build.srpm.file.sha256, "rpms": rows}, indent=1) + "\n")
    else:
        path.unlink(missing_ok=True)


def noted(build: BuildResult, folder: Path) -> tuple[Installed, ...]:
    """What a build was built on; nothing where the note is gone, or is of another build."""
    try:
        told: Mapping[str, object] = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        if told["srpm"] != build.srpm.file.sha256:
            return ()
        return tuple(Installed(package=row["package"], file_name=row["name"], sha256=row["sha256"])
                     for row in told["rpms"])  # type: ignore[attr-defined]  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError):
        return ()
