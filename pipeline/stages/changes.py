# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResult -> Changes: what a host gets that the vendor's packages, and our last release, do not have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import changetext, files, guard, release, rpmdiff, rpmheaders
from pipeline.allocation.book import Book
from pipeline.context import JobContext
from pipeline.inputs import digest
from pipeline.mirrors import mirror, published
from pipeline.model import BuildResult, Changes, PublishedRpm
from pipeline.rpmdiff import BuildDiff
from pipeline.rpmheaders import Header

_DOCUMENT = "changes.json"
_TEXT = "changes.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Last:
    """The release before this one: file name -> sha256; `paths` is empty while its packages are on the mirror alone."""

    number: int
    paths: tuple[Path, ...]
    digests: dict[str, str]
    published: tuple[PublishedRpm, ...] = ()


def inputs(build: BuildResult, baseline: BuildResult, *, context: JobContext) -> dict[str, str]:
    """The release to compare with; the packages of this one and the vendor's come with the records."""
    last = _last(build, context)
    return {"last release": f"{last.number} ({digest(last.digests)[:12]})" if last else "none"}


def run(build: BuildResult, baseline: BuildResult, *, context: JobContext) -> Changes:
    """The differences, as `changes.json` and `changes.md` in `releases/N/`. Raises: BuildError."""
    last = _last(build, context)
    last_paths = last.paths or published.fetch(last.published, context) if last else ()
    ours = [context.out_path / rpm.file.path for rpm in build.all_rpms]
    vendors = [context.out_path / rpm.file.path for rpm in baseline.all_rpms]
    diffs = {"vendor": _compare(vendors, ours)}
    if last:
        diffs["last"] = _compare(last_paths, ours)
    for name, diff in diffs.items():
        against = "the vendor" if last is None or name == "vendor" else str(last.number)
        context.progress.note(f"against {against}: {changetext.summary(diff)}")
    home_dir = _releases_dir(context) / str(release.number_in(build.srpm.evr.release))
    files.write_whole(home_dir / _DOCUMENT, json.dumps(_document(build, diffs), indent=1) + "\n")
    files.write_whole(home_dir / _TEXT, _text(build, diffs))
    return Changes(
        document=files.file_record(home_dir / _DOCUMENT, context.out_path),
        text=files.file_record(home_dir / _TEXT, context.out_path),
        last=str(last.number) if last else "",
    )


def _last(build: BuildResult, context: JobContext) -> _Last | None:
    """What hosts have: the highest release below this one on the mirror; before any is there, the highest made here."""
    number = release.number_in(build.srpm.evr.release) or 0
    is_demo = _is_demo(build.srpm.evr.release)
    state = mirror.read_state(context.settings, context.target_name, log_path=context.log_path)
    there: dict[int, list[PublishedRpm]] = {}
    for rpm in guard.rivals(state.packages, context.job.package):
        there.setdefault(release.number_in(rpm.evr.release) or 0, []).append(rpm)
    below = [each for each, rpms in there.items() if 0 < each < number and is_demo == mirror.is_demo(rpms[0])]
    if below:
        return _published(max(below), there[max(below)], context)
    for lower in reversed([each for each in Book(dir=_releases_dir(context)).numbers() if each < number]):
        found = _complete(lower, context)
        if found and is_demo == _is_demo(str(found.paths[0].name)):
            return found
    return None


def _published(number: int, rpms: Sequence[PublishedRpm], context: JobContext) -> _Last:
    """A release on the mirror, with the paths of its packages if all of them lie here too."""
    digests = {Path(rpm.href).name: rpm.sha256 for rpm in rpms}
    signed_dir = context.home_dir / "signed"
    paths = [signed_dir / ("SRPMS" if rpm.arch == "src" else rpm.arch) / Path(rpm.href).name for rpm in rpms]
    here = all(path.is_file() and files.sha256_of(path) == digests[path.name] for path in paths)
    return _Last(number=number, paths=tuple(paths) if here else (), digests=digests, published=tuple(rpms))


def _complete(number: int, context: JobContext) -> _Last | None:
    """What `changes.json` of a release names, if all of it is still there: a build that broke off has no such file."""
    try:
        named = json.loads((_releases_dir(context) / str(number) / _DOCUMENT).read_text(encoding="utf-8"))["packages"]
        paths = tuple(context.out_path / package["path"] for package in named)
        digests = {path.name: files.sha256_of(path) for path in paths}
        whole = all(digests[path.name] == package["sha256"] for path, package in zip(paths, named, strict=True))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return _Last(number=number, paths=paths, digests=digests) if paths and whole else None


def _is_demo(release_text: str) -> bool:
    return "demo" in release_text.split(".")


def _releases_dir(context: JobContext) -> Path:
    return context.home_dir / "releases"


def _compare(before: Sequence[Path], after: Sequence[Path]) -> BuildDiff:
    """The difference of two builds; contents are read only where the headers leave something open."""
    old, new = (_by_label(paths) for paths in (before, after))
    diff = rpmdiff.compare([header for header, _ in old.values()], [header for header, _ in new.values()])
    settled = []
    for package in diff.packages:
        (old_header, old_path), (new_header, new_path) = old[package.name], new[package.name]
        names = rpmdiff.unsettled(package)
        held = [rpmheaders.read_contents(path, names) for path in (old_path, new_path)]
        settled.append(rpmdiff.settle(package, old_header, new_header, *held))
    return replace(diff, packages=tuple(settled))


def _by_label(paths: Sequence[Path]) -> dict[str, tuple[Header, Path]]:
    headers = ((rpmheaders.read_header(path), path) for path in paths)
    return {header.label: (header, path) for header, path in headers}


def _document(build: BuildResult, diffs: dict[str, BuildDiff]) -> dict[str, Any]:
    return {
        "release": str(build.srpm.evr),
        "packages": [{"nevra": rpm.nevra, "path": str(rpm.file.path), "size_bytes": rpm.file.size_bytes,
                      "sha256": rpm.file.sha256} for rpm in build.all_rpms],
        "vendor": changetext.document(diffs["vendor"]),
        "last": changetext.document(diffs["last"]) if "last" in diffs else None,
    }  # fmt: skip


def _text(build: BuildResult, diffs: dict[str, BuildDiff]) -> str:
    headings = {"vendor": "Against the vendor's", "last": "Against our last release,"}
    return changetext.text(
        f"{build.srpm.name} {build.srpm.evr}", [(headings[name], diff) for name, diff in diffs.items()]
    )
