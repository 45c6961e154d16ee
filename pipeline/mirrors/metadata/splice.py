# SPDX-License-Identifier: GPL-2.0-or-later
"""The three files made anew from the former ones: the new packages in, the dropped ones out."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.mirrors.metadata import canonical, elements, indexed, streams
from pipeline.mirrors.metadata.canonical import Chunk
from pipeline.mirrors.metadata.elements import KINDS, PRIMARY, Element, Key, Kind
from pipeline.mirrors.metadata.faults import Damaged, NotPlain, unreadable
from pipeline.mirrors.metadata.indexed import Part
from pipeline.mirrors.metadata.newrpms import Described, describe_anew
from pipeline.model import Evr

_DISAGREE = "its primary, filelists and other name different packages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A file that was written, and what `repomd.xml` is to say of it; `packages_sha256` tells which it names."""

    kind: str
    path: Path
    sha256: str
    size_bytes: int
    open_sha256: str
    open_size_bytes: int
    packages_sha256: str


def make_all(
    folder: Path, former: Mapping[Kind, Path], new: Described, dropped: Collection[tuple[str, str]], place: str
) -> tuple[Made, ...]:
    """Write primary, filelists and other, under names that tell their contents.

    `former` has all three, or none; of `place` a message speaks. Raises: PublishError; OSError.
    """
    try:
        try:
            keys = _find(former[PRIMARY], dropped) if former and dropped else []
            made = _in_threads(folder, former, new, keys)
        except NotPlain:
            made = _make_parsed(folder, former, new, dropped)
        if len({file.packages_sha256 for file in made}) > 1:
            raise Damaged(_DISAGREE)
    except Damaged as error:
        raise unreadable(place, error) from None
    return made


def _find(primary_path: Path, dropped: Collection[tuple[str, str]]) -> list[Key]:
    """The keys of the packages with these NEVRA and sha256, as often as they are there."""
    batches = elements.read_batches(PRIMARY, streams.read_pieces(primary_path))
    try:
        return [key for batch in batches for key in map(PRIMARY.key, batch) if _name(key) in dropped]
    except Damaged as error:
        raise Damaged(f"{primary_path.name} cannot be read ({error})") from None


def _name(key: Key) -> tuple[str, str]:
    name, arch, epoch, version, release, sha256 = key
    number = int(epoch) if epoch.isdigit() else 0
    return f"{name}-{Evr(epoch=number, version=version, release=release)}.{arch}", sha256


def _in_threads(folder: Path, former: Mapping[Kind, Path], new: Described, dropped: list[Key]) -> tuple[Made, ...]:
    """zlib and hashlib let the others run."""
    from concurrent.futures import ThreadPoolExecutor  # late: it loads logging

    with ThreadPoolExecutor(len(KINDS)) as pool:
        return tuple(pool.map(lambda kind: _make(kind, folder, former.get(kind), new[kind], dropped), KINDS))


def _make(kind: Kind, folder: Path, former_path: Path | None, new: Sequence[str], dropped: list[Key]) -> Made:
    """Raises: NotPlain where the former one has to be parsed; Damaged."""
    fresh = [(kind.key(element), element) for element in new]
    if former_path is None:
        return _make_whole(kind, folder, fresh)
    left_out = frozenset(dropped)
    try:
        try:
            said, chunks = canonical.read(kind, streams.read_whole(former_path))
            spliced = canonical.splice(chunks, fresh, left_out)
            return _write(kind, folder, spliced, said + len(fresh) - len(dropped))
        except NotPlain:
            former = _read_plain(kind, former_path)
            return _make_whole(kind, folder, [*fresh, *(element for element in former if element[0] not in left_out)])
    except Damaged as error:
        raise Damaged(f"{former_path.name} cannot be read ({error})") from None


def _make_parsed(
    folder: Path, former: Mapping[Kind, Path], new: Described, dropped: Collection[tuple[str, str]]
) -> tuple[Made, ...]:
    """The same by createrepo_c's parser and writer."""
    described = describe_anew([former[kind] for kind in KINDS])
    try:
        left_out = [number for number, text in enumerate(described[PRIMARY]) if _name(PRIMARY.key(text)) in dropped]
        for kind in KINDS:
            for number in reversed(left_out):
                del described[kind][number]
        return _in_threads(folder, {}, {kind: [*described[kind], *new[kind]] for kind in KINDS}, [])
    except NotPlain as error:
        raise Damaged(str(error)) from None


def _read_plain(kind: Kind, path: Path) -> list[Element]:
    batches = elements.read_batches(kind, streams.checked(streams.read_pieces(path)))
    return [(kind.key(part), part.lstrip()) for batch in batches for part in batch]


def _make_whole(kind: Kind, folder: Path, packages: Collection[Element]) -> Made:
    return _write(kind, folder, canonical.splice((), packages, frozenset()), len(packages))


def _write(kind: Kind, folder: Path, chunks: Iterable[Chunk], count: int) -> Made:
    text = _Text()
    text.add(head := kind.header(count), indexed.pack(head))
    packages, found = hashlib.sha256(), 0
    for chunk in chunks:
        text.add(chunk.text, chunk.packed)
        packages.update("\n".join(map("\t".join, chunk.keys)).encode())
        found += len(chunk.keys)
    text.add(kind.footer, indexed.pack(kind.footer))
    if found != count:
        raise Damaged(_DISAGREE)  # what is dropped was counted in primary
    digest, path = hashlib.sha256(), folder / f".{kind.name}"
    with path.open("wb") as stream:
        for piece in indexed.join(text.parts, text.crc, text.size_bytes):
            digest.update(piece)
            stream.write(piece)
        size = stream.tell()
    return Made(
        kind=kind.name,
        path=path.rename(folder / f"{digest.hexdigest()}-{kind.name}.xml.gz"),
        sha256=digest.hexdigest(),
        size_bytes=size,
        open_sha256=text.digest.hexdigest(),
        open_size_bytes=text.size_bytes,
        packages_sha256=packages.hexdigest(),
    )


class _Text:
    """What is known of a text, chunk after chunk; it is kept compressed alone."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.digest = hashlib.sha256()
        self.crc = 0
        self.size_bytes = 0

    def add(self, text: bytes, packed: Part) -> None:
        self.parts.append(packed)
        self.digest.update(text)
        self.crc = zlib.crc32(text, self.crc)
        self.size_bytes += len(text)
