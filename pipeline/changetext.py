# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed between two builds, told: a line for the terminal, a text for people, JSON for programs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from pipeline.rpmdiff import BuildDiff, ChangedFile, PackageDiff
from pipeline.rpmheaders import RELATIONS


def summary(diff: BuildDiff) -> str:
    """The difference in one line, as in `2 files changed, 6 provides added in 18 packages`; sources do not count."""
    packages = [package for package in diff.packages if not package.is_source]
    related = [relation for package in packages for relation in package.relations]
    counts = [
        (len(diff.added), "package", "added"),
        (len(diff.gone), "package", "gone"),
        (sum(len(package.files_added) for package in packages), "file", "added"),
        (sum(len(package.files_removed) for package in packages), "file", "removed"),
        (sum(len(package.files_changed) for package in packages), "file", "changed"),
        *((sum(len(found.added) for name, found in related if name == kind), kind, "added") for kind in RELATIONS),
        *((sum(len(found.removed) for name, found in related if name == kind), kind, "removed") for kind in RELATIONS),
        (sum(len(package.scriptlets) for package in packages), "scriptlet", "changed"),
        (sum(bool(package.arch) for package in packages), "architecture", "changed"),
    ]
    told = [f"{_counted(count, what)} {how}" for count, what, how in counts if count]
    return f"{', '.join(told) or 'nothing but the release differs'} in {_counted(len(packages), 'package')}"


def text(title: str, parts: Iterable[tuple[str, BuildDiff]]) -> str:
    """The differences as Markdown, each under its heading."""
    lines = [f"# {title}"]
    for heading, diff in parts:
        lines += ["", f"## {heading} {diff.before}", "", f"{summary(diff)}.", *_sizes(diff)]
        lines += _listed("packages added", diff.added)
        lines += _listed("packages gone", diff.gone)
        for entry in diff.changelog:
            lines += ["", "In the changelog:", "", *(f"    {line}" for line in entry.splitlines())]
        for package in diff.packages:
            if not package.is_same:
                lines += ["", f"### {package.name}", "", *_package(package)]
        lines += _rest(diff)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def document(diff: BuildDiff) -> dict[str, Any]:
    """The difference as plain JSON values."""
    return {
        "summary": summary(diff),
        "before": diff.before,
        "after": diff.after,
        "packages_added": list(diff.added),
        "packages_gone": list(diff.gone),
        "changelog_added": list(diff.changelog),
        "packages": [_package_document(package) for package in diff.packages],
    }


def _package_document(package: PackageDiff) -> dict[str, Any]:
    installed_before, installed_after, file_before, file_after = package.sizes
    return {
        "name": package.name,
        "arch": list(package.arch),
        "installed_bytes": {"before": installed_before, "after": installed_after},
        "package_bytes": {"before": file_before, "after": file_after},
        "files": {
            "added": [asdict(file) for file in package.files_added],
            "removed": [asdict(file) for file in package.files_removed],
            "changed": [asdict(file) for file in package.files_changed],
            "bear_release": list(package.bear_release),
            "compiled_only": list(package.compiled_only),
        },
        **{kind: {"added": [], "removed": []} for kind in RELATIONS},
        **{kind: {"added": list(found.added), "removed": list(found.removed)} for kind, found in package.relations},
        "scriptlets": [{"name": name, "diff": diff} for name, diff in package.scriptlets],
    }


def _sizes(diff: BuildDiff) -> list[str]:
    before, after = (sum(package.sizes[side] for package in diff.packages if not package.is_source) for side in (0, 1))
    return ["", f"Installed, all of it takes {after:,} bytes ({after - before:+,})."] if diff.packages else []


def _package(package: PackageDiff) -> Iterator[str]:
    if package.arch:
        yield f"- architecture: {package.arch[0]} to {package.arch[1]}"
    for how, found in (("added", package.files_added), ("removed", package.files_removed)):
        yield from (f"- {how}: {_named(file)}" for file in found)
    yield from (f"- changed: {_named(file)}: {', '.join(file.what)}" for file in package.files_changed)
    for kind, relation in package.relations:
        yield from (f"- {kind} added: `{name}`" for name in relation.added)
        yield from (f"- {kind} removed: `{name}`" for name in relation.removed)
    before, after = package.sizes[:2]
    if before != after:
        yield f"- installed: {before:,} to {after:,} bytes ({after - before:+,})"
    for name, diff in package.scriptlets:
        yield from (f"- scriptlet {name}:", "", *(f"      {line}".rstrip() for line in diff.splitlines()), "")


def _rest(diff: BuildDiff) -> Iterator[str]:
    """What is told in a line for all packages, since nobody need look at it."""
    same = [package.name for package in diff.packages if package.is_same]
    if same:
        yield from ("", f"The same but for release and changelog: {', '.join(same)}.")
    bearing = [path for package in diff.packages for path in package.bear_release]
    if bearing:
        yield from ("", f"The same but for the release that is written in them: {_paths(bearing)}.")
    compiled = sum(len(package.compiled_only) for package in diff.packages)
    if compiled:
        files = "file has" if compiled == 1 else "files have"
        yield from ("", f"{compiled} compiled {files} the time of another build, and the code of the same .py.")


def _listed(what: str, names: Iterable[str]) -> list[str]:
    told = ", ".join(names)
    return ["", f"{what.capitalize()}: {told}."] if told else []


def _named(file: ChangedFile) -> str:
    compiled = f" (and {', '.join(file.compiled)})" if file.compiled else ""
    return f"`{file.path}`{compiled}"


def _paths(paths: Iterable[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths)


def _counted(count: int, what: str) -> str:
    """`1 file`, `2 files`, `1 provide`, `2 provides`."""
    singular = what.removesuffix("s")
    return f"{count} {singular if count == 1 else singular + 's'}"
