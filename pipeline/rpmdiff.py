# SPDX-License-Identifier: GPL-2.0-or-later
"""Two builds of a package, header by header: what a host would notice, without what the release alone makes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import PurePosixPath

from pipeline.model import Evr
from pipeline.rpmheaders import RELATIONS, Dependency, Header, PackagedFile

# Stands for a package's own version and release: each build names itself and its subpackages by it.
_OWN = "VERSION-RELEASE"
_COMPILED = (".pyc", ".pyo")

Contents = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedFile:
    """A file and what became of it; `compiled` are the kinds of compiled Python that went the same way."""

    path: str
    what: tuple[str, ...] = ()
    compiled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """What one kind of dependency gained and lost."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageDiff:
    """One package before and after. `bear_release` are files that differ by the package's own release alone,
    `compiled_only` are .pyc and .pyo that differ while their .py does not.

    `sizes` are bytes: installed before and after, of the package itself before and after.
    """

    name: str
    sizes: tuple[int, int, int, int]
    is_source: bool = False
    arch: tuple[str, ...] = ()
    files_added: tuple[ChangedFile, ...] = ()
    files_removed: tuple[ChangedFile, ...] = ()
    files_changed: tuple[ChangedFile, ...] = ()
    bear_release: tuple[str, ...] = ()
    compiled_only: tuple[str, ...] = ()
    relations: tuple[tuple[str, Relation], ...] = ()
    scriptlets: tuple[tuple[str, str], ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing but release, changelog and compiled files differs."""
        told = (self.arch, self.files_added, self.files_removed, self.files_changed, self.relations, self.scriptlets)
        return not any(told)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildDiff:
    """All packages of a build against those of another; `changelog` are the entries that the other has not."""

    before: str
    after: str
    added: tuple[str, ...]
    gone: tuple[str, ...]
    packages: tuple[PackageDiff, ...]
    changelog: tuple[str, ...]


def compare(before: Iterable[Header], after: Iterable[Header]) -> BuildDiff:
    """The difference between two builds; packages belong together by name."""
    old, new = ({header.label: header for header in build} for build in (before, after))
    both = [label for label in new if label in old]
    entries = [entry for label in both for entry in new[label].changelog if entry not in old[label].changelog]
    return BuildDiff(
        before=_evr_of(old.values()),
        after=_evr_of(new.values()),
        added=tuple(label for label in new if label not in old),
        gone=tuple(label for label in old if label not in new),
        packages=tuple(compare_packages(old[label], new[label]) for label in both),
        changelog=tuple(dict.fromkeys(entries)),
    )


def compare_packages(before: Header, after: Header) -> PackageDiff:
    """The difference between two packages of one name."""
    old, new = _neutral(before), _neutral(after)
    changed = {path: what for path in new.files if path in old.files
               if (what := _file_changes(old.files[path], new.files[path]))}  # fmt: skip
    added = dict.fromkeys((path for path in new.files if path not in old.files), ())
    removed = dict.fromkeys((path for path in old.files if path not in new.files), ())
    compiled_only = [path for path in changed if _source_of(path) in new.files
                     and _source_of(path) not in changed and set(changed[path]) <= {"contents"}]  # fmt: skip
    return PackageDiff(
        name=after.label,
        is_source=after.is_source,
        sizes=(before.installed_bytes, after.installed_bytes, before.package_bytes, after.package_bytes),
        arch=(before.arch, after.arch) if before.arch != after.arch else (),
        files_added=_folded(added),
        files_removed=_folded(removed),
        files_changed=_folded({path: what for path, what in changed.items() if path not in compiled_only}),
        compiled_only=tuple(compiled_only),
        relations=tuple(
            (name, relation)
            for name in RELATIONS
            if (relation := _relation(old.relations[name], new.relations[name])) != Relation(added=(), removed=())
        ),
        scriptlets=tuple(_scriptlets(old.scriptlets, new.scriptlets)),
    )


def settle(diff: PackageDiff, before: Header, after: Header, old: Contents, new: Contents) -> PackageDiff:
    """The difference with what contents alone can tell: files that only bear the release, and .pyc of other code.

    `old` and `new` have the files that `unsettled` names.
    """

    def is_known(path: str) -> bool:
        # Of files that are one on disk, cpio has the contents once.
        sides = ((before, old), (after, new))
        return all(len(contents.get(path, b"")) == header.files[path].size_bytes for header, contents in sides)

    def bears_release(path: str) -> bool:
        sides = ((before, old), (after, new))
        left, right = (
            _own_release(header.evr).sub(_OWN, contents[path].decode("latin-1")) for header, contents in sides
        )
        return left == right

    bearing = [file for file in diff.files_changed
               if _is_of_contents(file) and is_known(file.path) and bears_release(file.path)]  # fmt: skip
    other_code = [path for path in diff.compiled_only if is_known(path) and _code(old[path]) != _code(new[path])]
    return replace(
        diff,
        files_changed=(
            *(file for file in diff.files_changed if file not in bearing),
            *(ChangedFile(path=path, what=("other code of the same .py",)) for path in other_code),
        ),
        bear_release=tuple(file.path for file in bearing),
        compiled_only=tuple(path for path in diff.compiled_only if path not in other_code),
    )


def unsettled(diff: PackageDiff) -> tuple[str, ...]:
    """The files whose contents `settle` looks at."""
    return (*(file.path for file in diff.files_changed if file.what[:1] == ("contents",)), *diff.compiled_only)


def _is_of_contents(file: ChangedFile) -> bool:
    """Whether nothing but contents, and with them the size, changed."""
    return file.what[:1] == ("contents",) and all(what.startswith(("contents", "size ")) for what in file.what)


def _code(compiled: bytes) -> bytes:
    """A compiled file without the time and size of its source, which its header has.

    Source: PEP 3147, PEP 552: a header has 8 bytes until Python 3.2, 16 since 3.7, and 12 between.
    """
    magic = int.from_bytes(compiled[:2], "little")
    header_bytes = 8 if magic > 20000 else 16 if magic >= 3390 else 12
    return compiled[:2] + compiled[header_bytes:]


def _evr_of(build: Iterable[Header]) -> str:
    return next((str(header.evr) for header in build), "")


def _file_changes(before: PackagedFile, after: PackagedFile) -> tuple[str, ...]:
    """What differs between two files, in words."""
    told = []
    if before.digest != after.digest:
        told.append("contents")
    for what in ("mode", "owner", "link", "kinds"):
        was, now = getattr(before, what), getattr(after, what)
        if was != now:
            told.append(f"{what} {was or 'none'} to {now or 'none'}")
    if before.size_bytes != after.size_bytes:
        told.append(f"size {before.size_bytes} to {after.size_bytes}")
    return tuple(told)


def _source_of(path: str) -> str:
    """The .py that a compiled file is made from; empty for any other file."""
    compiled = PurePosixPath(path)
    if compiled.suffix not in _COMPILED:
        return ""
    if compiled.parent.name == "__pycache__":
        return str(compiled.parent.parent / f"{compiled.name.partition('.')[0]}.py")
    return str(compiled.with_suffix(".py"))


def _folded(found: Mapping[str, tuple[str, ...]]) -> tuple[ChangedFile, ...]:
    """The files, with compiled Python told beside the .py that went the same way."""
    compiled: dict[str, list[str]] = {}
    for path in found:
        if _source_of(path) in found:
            compiled.setdefault(_source_of(path), []).append(PurePosixPath(path).suffix)
    return tuple(
        ChangedFile(path=path, what=what, compiled=tuple(sorted(set(compiled.get(path, ())))))
        for path, what in sorted(found.items())
        if _source_of(path) not in found
    )


def _relation(before: frozenset[Dependency], after: frozenset[Dependency]) -> Relation:
    return Relation(added=tuple(sorted(map(str, after - before))), removed=tuple(sorted(map(str, before - after))))


def _scriptlets(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Each scriptlet that differs, with its unified diff."""
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name, ""), after.get(name, "")
        if was != now:
            lines = unified_diff(was.splitlines(), now.splitlines(), f"before/{name}", f"after/{name}", lineterm="")
            yield name, "\n".join(lines)


def _neutral(header: Header) -> Header:
    """The header with its own version and release taken out: they differ in every two builds."""
    own = _own_release(header.evr)

    def clean(text: str) -> str:
        return own.sub(_OWN, text)

    return replace(
        header,
        files={clean(path): replace(file, link=clean(file.link)) for path, file in header.files.items()},
        relations={
            name: frozenset(replace(each, evr=_OWN) if own.fullmatch(each.evr) else each for each in found)
            for name, found in header.relations.items()
        },
        scriptlets={name: clean(text) for name, text in header.scriptlets.items()},
    )


def _own_release(evr: Evr) -> re.Pattern[str]:
    """Matches this version and release, with or without an epoch, and not as the start of a longer one."""
    return re.compile(rf"(?<![\w.])(?:{evr.epoch}:)?{re.escape(f'{evr.version}-{evr.release}')}(?!\w)")
