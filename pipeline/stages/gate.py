# SPDX-License-Identifier: GPL-2.0-or-later
"""SignedSet -> GateReport: nothing goes on that the target's own rpm and yum cannot read, or that breaks its set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.context import JobContext
from pipeline.gate import closure, completeness, conflicts, readable, requirements, single
from pipeline.gate.problem import Problem, refuse
from pipeline.model import BuildResult, GateReport, SignedSet
from pipeline.rpmheaders import Header, read_header
from pipeline.sources import places
from pipeline.sources.places import Place

_CHECKS = (
    "digests of header and payload",
    "names, rpmlib() features and encodings that rpm 4.8 reads",
    "all of the build, at one release, and all that the vendor has",
    "files that two packages of a set have",
    "requirements, conflicts and obsoletes inside the sets",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sets:
    """Our packages and the vendor's, by their headers."""

    ours: tuple[Header, ...]
    vendor: tuple[Header, ...]

    @property
    def all(self) -> tuple[Header, ...]:
        return (*self.ours, *self.vendor)


def inputs(signed: SignedSet, build: BuildResult, *, context: JobContext) -> dict[str, str]:
    """The hosts' repositories by their addresses: each release is looked at anew, whether they changed or not."""
    return {"host repositories": " ".join(place.shown for place in _places(context).values()) or "none"}


def run(signed: SignedSet, build: BuildResult, *, context: JobContext) -> GateReport:
    """What was looked at, and nothing was wrong. Raises: GateError with the first of all problems; NetworkError."""
    paths = [context.out_path / rpm.file.path for rpm in signed.all_rpms]
    hosts = _places(context)
    if context.settings.offline:
        for place in hosts.values():
            places.refuse_network(place)
    headers = single.headers(paths, log_path=context.log_path)
    sets = _Sets(ours=headers[: len(signed.ours)], vendor=headers[len(signed.ours) :])
    found = [*(problem for header in sets.all for problem in readable.problems(header)), *_of_sets(sets, build)]
    needed = _needed(context)
    external = requirements.external(sets.ours, needed.ours), requirements.external(sets.vendor, needed.vendor)
    unresolved = _unresolved(signed, hosts, context) if hosts else []
    left = unresolved if _others(context) else []
    refuse([*found, *(problem for problem in unresolved if not left)], context.log_path)
    if left:
        context.progress.warning(
            f"left to verify: {left[0].message}; {' or '.join(_others(context))}, of the same target, may have it"
        )
    more = completeness.more_than_vendor(sets.ours, sets.vendor)
    if more:
        context.progress.note(f"beside the vendor's packages there is {completeness.listed(more)}")
    return GateReport(
        packages=len(paths),
        checks=(*_CHECKS, *_told_besides(more, hosts)),
        external=() if hosts else tuple(sorted({*external[0], *external[1]})),
    )


def _needed(context: JobContext) -> _Sets:
    """The packages of ours that this one is built on, and their vendors'."""
    paths = [
        [context.out_path / rpm.file.path for each in context.needs for rpm in getattr(each, build).rpms]
        for build in ("build", "baseline")
    ]
    ours, vendor = ([read_header(path) for path in those] for those in paths)
    return _Sets(ours=tuple(ours), vendor=tuple(vendor))


def _others(context: JobContext) -> tuple[str, ...]:
    """The target's other packages that this one did not wait for: what they provide is known in the end alone."""
    known = {context.job.package, *(each.package for each in context.needs)}
    settings = context.settings
    return tuple(name for name in settings.packages if name not in known and settings.builds(name, context.target_name))


def _of_sets(sets: _Sets, build: BuildResult) -> Iterator[Problem]:
    """What is wrong with the packages together."""
    names = {header.name for header in sets.all if not header.is_source}
    yield from completeness.all_of_build(sets.ours, (rpm.nevra for rpm in build.all_rpms))
    yield from completeness.all_of_vendor(sets.ours, sets.vendor)
    yield from completeness.unique(sets.all)
    for whose, headers in (("our", sets.ours), ("the vendor's", sets.vendor)):
        yield from completeness.one_build(whose, headers)
        yield from conflicts.over_files(headers)
        yield from conflicts.by_word(headers)
        yield from requirements.unmet(whose, headers, names)
    yield from completeness.one_epoch(sets.ours, sets.vendor)
    yield from conflicts.by_obsoleting(sets.all)


def _unresolved(signed: SignedSet, hosts: dict[str, Place], context: JobContext) -> list[Problem]:
    rpms = [rpm for rpm in signed.all_rpms if rpm.arch != "src"]
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="gate-") as scratch:
        return list(
            closure.unresolved(
                [context.out_path / rpm.file.path for rpm in rpms],
                hosts,
                Path(scratch),
                beside=[
                    context.out_path / rpm.file.path
                    for each in context.needs
                    for build in (each.build, each.baseline)
                    if build is not None
                    for rpm in build.rpms
                ],
                arches=frozenset(rpm.arch for rpm in rpms),
                timeout_seconds=context.settings.time_limits.download,
                log_path=context.log_path,
            )
        )


def _places(context: JobContext) -> dict[str, Place]:
    """The repositories that hosts have, by a name for each; the vendor's own too, once others are configured."""
    target, root_dir = context.target, context.settings.root_dir
    if not target.host_repositories:
        return {}
    key = f"targets.{context.target_name}"
    hosts = {f"host-{number}": places.place(written, root_dir, key=f"{key}.host_repositories")
             for number, written in enumerate(target.host_repositories, start=1)}  # fmt: skip
    if not target.vendor_packages:
        return hosts
    return {"vendor": places.place(target.vendor_packages, root_dir, key=f"{key}.vendor_packages"), **hosts}


def _told_besides(more: Sequence[str], hosts: dict[str, Place]) -> Iterator[str]:
    if hosts:
        yield f"requirements met by {', '.join(place.shown for place in hosts.values())}"
    if more:
        yield f"more than the vendor has: {', '.join(more)}"
