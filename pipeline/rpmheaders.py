# SPDX-License-Identifier: GPL-2.0-or-later
"""What an RPM's header says that a host would notice: files, dependencies, scriptlets, changelog, sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeline.errors import BuildError
from pipeline.model import Evr

RELATIONS = ("requires", "provides", "obsoletes", "conflicts")
# Source: rpm's rpmds.h, RPMSENSE_*.
_LESS, _GREATER, _EQUAL = 2, 4, 8
# Source: rpm's rpmfiles.h, RPMFILE_*.
_FILE_KINDS = {1: "config", 2: "doc", 8: "missingok", 16: "noreplace", 64: "ghost", 128: "license", 256: "readme"}
_SCRIPTLETS = ("pretrans", "prein", "postin", "preun", "postun", "posttrans", "verifyscript")
# Source: rpm 6's rpmtag.h, RPMTAG_RPMFORMAT; older rpms have no name for it, and no package of theirs has it.
_PACKAGE_FORMAT = 5114
# Source: rpm's rpmds.h, RPMSENSE_TRIGGER*.
_TRIGGERS = {1 << 25: "triggerprein", 1 << 16: "triggerin", 1 << 17: "triggerun", 1 << 18: "triggerpostun"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagedFile:
    """A file as a package installs it; `kinds` are rpm's words for it, such as `config noreplace`.

    `colour` is rpm's word for what a program runs as: 1 for 32 bits, 2 for 64, 0 for what is no program.
    """

    digest: str
    mode: str
    owner: str
    size_bytes: int
    link: str = ""
    kinds: str = ""
    colour: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """One name that a package requires, provides, obsoletes or conflicts with; without `operator`, any version."""

    name: str
    operator: str = ""
    evr: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.evr}" if self.evr else self.name

    @classmethod
    def read(cls, text: str) -> Dependency:
        """From what `str()` gave; a name may have spaces, as `(a or b)` has."""
        words = text.rsplit(" ", 2)
        if len(words) == 3 and set(words[1]) <= set("<>=") and not text.startswith("("):
            return cls(name=words[0], operator=words[1], evr=words[2])
        return cls(name=text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How a package is written down; `file_digest` is the number of OpenPGP's for the algorithm (8 is SHA-256)."""

    package_format: int = 4
    payload_format: str = "cpio"
    payload_compressor: str = "gzip"
    file_digest: int = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What one package is; `installed_bytes` is what its files take, `changelog` has whole entries, newest first.

    `source_rpm` is the file name of the source package that it is built from; a source package has none.
    """

    name: str
    evr: Evr
    arch: str
    is_source: bool
    files: dict[str, PackagedFile]
    relations: dict[str, frozenset[Dependency]]
    scriptlets: dict[str, str]
    changelog: tuple[str, ...]
    installed_bytes: int
    package_bytes: int
    source_rpm: str = ""
    encoding: Encoding = Encoding()

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{'src' if self.is_source else self.arch}"

    @property
    def label(self) -> str:
        """The name that people tell it by: a source package bears the name of one of its own."""
        return f"{self.name}.src" if self.is_source else self.name


def read_header(path: Path) -> Header:
    """The header of an RPM file; its payload is not read. Raises: BuildError."""
    import rpm  # late: it loads the system's binding

    transaction = rpm.TransactionSet()
    transaction.setVSFlags(-1)  # whether a package is whole, and whose, is the business of others
    try:
        with path.open("rb") as stream:
            header = transaction.hdrFromFdno(stream.fileno())
    except (OSError, rpm.error) as error:
        raise BuildError(
            "package-unreadable",
            f"{path.name} cannot be read as a package ({error})",
            hint="it is damaged: remove it, then run the same again, so that it is built anew",
        ) from None
    return Header(
        name=header["name"],
        evr=Evr(epoch=header["epoch"] or 0, version=header["version"], release=header["release"]),
        arch=header["arch"],
        is_source=bool(header.isSource()),
        files={name: file for name, file in _files(rpm.files(header), header["filecolors"])},
        relations={relation: frozenset(_dependencies(header, relation)) for relation in RELATIONS},
        scriptlets=dict(_scriptlets(header)),
        changelog=tuple(_changelog(header)),
        installed_bytes=int(header["longsize"] or header["size"] or 0),
        package_bytes=path.stat().st_size,
        source_rpm=header["sourcerpm"] or "",
        encoding=_encoding(header),
    )


def read_contents(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """What the named regular files of an RPM hold; one that cannot be had is left out."""
    import rpmfile

    found: dict[str, bytes] = {}
    if not names:
        return found
    with rpmfile.open(str(path)) as package:
        for member in package.getmembers():
            inside = member.name.removeprefix(".")
            name = next((name for name in (member.name, inside, f"/{member.name}") if name in names), "")
            if name and not member.isdir and not member.issymlink:
                found[name] = package.extractfile(member).read()
    return found


def _encoding(header: Any) -> Encoding:
    """What is not said is what rpm takes it for: it was so before there was a word for it."""
    return Encoding(
        package_format=header[_PACKAGE_FORMAT] or 4,
        payload_format=header["payloadformat"] or "cpio",
        payload_compressor=header["payloadcompressor"] or "gzip",
        file_digest=header["filedigestalgo"] or 1,
    )


def _files(found: Any, colours: list[int]) -> Iterator[tuple[str, PackagedFile]]:
    """A package without a single program may say no colours at all."""
    for number, file in enumerate(found):
        is_regular = not file.linkto and file.mode & 0o170000 == 0o100000
        kinds = " ".join(word for bit, word in _FILE_KINDS.items() if file.fflags & bit)
        yield (
            file.name,
            PackagedFile(
                digest=file.digest if is_regular else "",
                mode=f"{file.mode:06o}",
                owner=f"{file.user}:{file.group}",
                size_bytes=file.size if is_regular else 0,  # of a folder, the build's file system decides
                link=file.linkto or "",
                kinds=kinds,
                colour=colours[number] if number < len(colours) else 0,
            ),
        )


def _dependencies(header: Any, relation: str) -> Iterator[Dependency]:
    tags = (header[f"{relation.removesuffix('s')}{part}"] for part in ("name", "flags", "version"))
    for name, flags, version in zip(*tags, strict=True):
        yield Dependency(name=name, operator=_operator(flags) if version else "", evr=version)


def _operator(flags: int) -> str:
    return "".join(sign for bit, sign in ((_LESS, "<"), (_GREATER, ">"), (_EQUAL, "=")) if flags & bit)


def _scriptlets(header: Any) -> Iterator[tuple[str, str]]:
    """Name -> interpreter and text; a trigger bears the names that pull it."""
    for name in _SCRIPTLETS:
        text, program = header[name], header[f"{name}prog"]
        if text or program:
            yield name, _script(program, text)
    texts, programs = header["triggerscripts"], header["triggerscriptprog"]
    pulled: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    tags = (header[f"trigger{part}"] for part in ("name", "flags", "version", "index"))
    for name, flags, version, index in zip(*tags, strict=True):
        on = Dependency(name=name, operator=_operator(flags), evr=version)
        pulled.setdefault(index, []).append(str(on))
        kinds[index] = next((kind for bit, kind in _TRIGGERS.items() if flags & bit), "trigger")
    for index, names in pulled.items():
        yield f"{kinds[index]} {', '.join(sorted(names))}", _script(programs[index], texts[index])


def _script(program: Any, text: str | None) -> str:
    words = [program] if isinstance(program, str) else list(program or [])
    return f"#!{' '.join(words)}\n{text or ''}".rstrip("\n") + "\n"


def _changelog(header: Any) -> Iterator[str]:
    parts = (header[f"changelog{part}"] for part in ("time", "name", "text"))
    for seconds, name, text in zip(*parts, strict=True):
        yield f"* {datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d} {name}\n{text}"
