# SPDX-License-Identifier: GPL-2.0-or-later
"""Two RPMs of one name: the same bytes, the same contents, or what differs, by file and by tag.

Contents are what a host gets: the header without what tells of its making (times, host, digests of
bytes), and the files by digest, kind, mode and owner. A compiled Python module counts without the time
of its source, which stands in its head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["identical", "same contents", "different"]

# Tags that tell of the making of a package and not of what is in it.
# Source: rpm's lib/rpmtag.h.
_OF_THE_MAKING = frozenset(
    (
        "BUILDTIME", "BUILDHOST", "COOKIE", "SOURCEPKGID", "PAYLOADDIGEST",
        "PAYLOADDIGESTALT", "PAYLOADSHA256", "ARCHIVESIZE", "LONGARCHIVESIZE", "FILEMTIMES",
        "FILEINODES", "FILEDEVICES", "RSAHEADER", "DSAHEADER", "SHA1HEADER",
        "SHA256HEADER", "HEADERIMMUTABLE", "HEADERSIGNATURES", "SIGSIZE", "LONGSIGSIZE",
        "SIGMD5", "SIGPGP", "SIGGPG",
    )
)  # fmt: skip
# What is told of each file by itself.
_OF_A_FILE = {
    "FILEDIGESTS": "content",
    "FILESIZES": "size",
    "LONGFILESIZES": "size",
    "FILEMODES": "mode",
    "FILEUSERNAME": "owner",
    "FILEGROUPNAME": "group",
    "FILELINKTOS": "link",
    "FILEFLAGS": "kind",
    "FILEVERIFYFLAGS": "what is verified",
    "FILERDEVS": "device",
    "FILECAPS": "capabilities",
}
_NAMES_OF_FILES = frozenset(("BASENAMES", "DIRNAMES", "DIRINDEXES", "OLDFILENAMES"))
_SHOWN_LETTERS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing that two packages differ in; `of_making` is one that no host ever sees."""

    where: str
    what: str
    of_making: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package as it is compared: tags by name, files by name with what the header says of each."""

    tags: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]


def compare(first: Path, second: Path) -> tuple[Verdict, tuple[Difference, ...]]:
    """The verdict on two packages, and what they differ in, what a host sees first."""
    if _same_bytes(first, second):
        return "identical", ()
    contents = _Contents(first, second)
    found = tuple(differences(read(first), read(second), same_module=contents.are_one_module))
    if not found:
        found = (Difference(where="package", what="signature or compression", of_making=True),)
    verdict: Verdict = "same contents" if all(each.of_making for each in found) else "different"
    return verdict, tuple(sorted(found, key=lambda each: each.of_making))


def differences(first: Package, second: Package, *, same_module: Any = lambda name: False) -> Iterator[Difference]:
    """What two packages differ in. `same_module(name)` says whether two compiled modules differ in their heads only."""
    for name in sorted(first.files.keys() ^ second.files.keys()):
        which = "first" if name in first.files else "second"
        yield Difference(where=name, what=f"in the {which} package only")
    for name in sorted(first.files.keys() & second.files.keys()):
        yield from _of_file(name, first.files[name], second.files[name], same_module)
    for tag in sorted(first.tags.keys() | second.tags.keys()):
        before, after = first.tags.get(tag), second.tags.get(tag)
        if before != after:
            of_making = tag in _OF_THE_MAKING
            yield Difference(where=f"header {tag}", what=_told(before, after), of_making=of_making)


def read(path: Path) -> Package:
    """A package's header. Digests are not looked at: it was made here, or checked when it came."""
    import rpm  # late: it loads the system's library

    transaction = rpm.TransactionSet()
    transaction.setVSFlags(-1)
    with path.open("rb") as stream:
        header = transaction.hdrFromFdno(stream.fileno())
    # A tag may have a second name, as FILEMD5S; ours come first.
    known = {getattr(rpm, f"RPMTAG_{name}", None): name for name in (*_OF_A_FILE, *_OF_THE_MAKING, *_NAMES_OF_FILES)}
    numbers = [int(number) for number in header.keys()]  # noqa: SIM118  # it is no mapping
    tags = {known.get(number) or str(rpm.tagnames.get(number, number)): header[number] for number in numbers}
    names = list(header[rpm.RPMTAG_FILENAMES])
    of_files = {tag: tags.pop(tag) for tag in _OF_A_FILE if tag in tags}
    files = {
        name: {_OF_A_FILE[tag]: values[index] for tag, values in of_files.items() if index < len(values)}
        for index, name in enumerate(names)
    }
    return Package(tags={tag: value for tag, value in tags.items() if tag not in _NAMES_OF_FILES}, files=files)


def without_source_time(module: bytes) -> bytes:
    """A compiled Python module without the four bytes that hold the time of its source.

    Source: PEP 552; before Python 3.7 there are no flags, and the time comes at once.
    """
    start = 8 if module[4:8] == bytes(4) else 4
    return module[:start] + module[start + 4 :]


@dataclass(frozen=True, slots=True)
class _Contents:
    first: Path
    second: Path

    def are_one_module(self, name: str) -> bool:
        return without_source_time(_content(self.first, name)) == without_source_time(_content(self.second, name))


def _content(path: Path, name: str) -> bytes:
    """The content of one file of a package."""
    import rpmfile

    with rpmfile.open(str(path)) as package:
        for member in package.getmembers():
            if member.name.lstrip("./") == name.lstrip("/"):
                content: bytes = package.extractfile(member).read()
                return content
    return b""


def _of_file(name: str, first: Mapping[str, Any], second: Mapping[str, Any], same_module: Any) -> Iterator[Difference]:
    differs = [what for what in first.keys() | second.keys() if first.get(what) != second.get(what)]
    for what in sorted(differs):
        if what == "content":
            only_time = name.endswith((".pyc", ".pyo")) and "size" not in differs and same_module(name)
            told = "time of the source in a compiled module" if only_time else "content"
            yield Difference(where=name, what=told, of_making=only_time)
        elif what == "size" and "content" in differs:
            continue
        else:
            yield Difference(where=name, what=f"{what} {_told(first.get(what), second.get(what), what)}")


def _told(before: object, after: object, what: str = "") -> str:
    if what == "mode" and isinstance(before, int) and isinstance(after, int):
        return f"{before & 0o7777:04o} and {after & 0o7777:04o}"
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        number = next(index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1])
        return f"value {number}: {_told(before[number], after[number])}"
    return " and ".join("none" if each is None else _short(each) for each in (before, after))


def _short(value: object) -> str:
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _SHOWN_LETTERS and "\n" not in text else f"{text[:_SHOWN_LETTERS]!r}…"


def _same_bytes(first: Path, second: Path) -> bool:
    return first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes()
