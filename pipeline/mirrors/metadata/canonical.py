# SPDX-License-Identifier: GPL-2.0-or-later
"""The one form that we write: packages in order, cut into chunks by their content alone, each compressed by itself.

So a package more changes one chunk, all others are copied as they are, and the same packages give the same
bytes, whatever came before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.mirrors.metadata import elements, indexed
from pipeline.mirrors.metadata.elements import END, Element, Key, Kind
from pipeline.mirrors.metadata.faults import Damaged, NotPlain
from pipeline.mirrors.metadata.indexed import Part

# The last two digits of the sha256 after which a chunk ends: one package in 64.
_BORDERS = frozenset(("00", "40", "80", "c0"))
_COUNT = re.compile(rb'packages="([0-9]{1,9})"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Some packages that follow one another; `packed` is their text, compressed."""

    keys: Sequence[Key]
    text: bytes
    packed: Part

    @property
    def elements(self) -> list[Element]:
        return list(zip(self.keys, self.text.decode().split(END + "\n"), strict=False))

    @property
    def is_closed(self) -> bool:
        return _is_border(self.keys[-1])


def locate(kind: Kind, content: bytes) -> tuple[int, list[Part]]:
    """The number of packages that a file of ours says, and its chunks, not looked into.

    Raises: NotPlain when it is not in this form; Damaged.
    """
    found = indexed.locate(content)
    head = indexed.unpack(found[0]) if found else b""
    said = _COUNT.search(head)
    if said is None or head != kind.header(count := int(said[1])):
        raise NotPlain("another beginning")
    if indexed.unpack(found[-1]) != kind.footer:
        raise Damaged("it ends too early")
    return count, found[1:-1]


def read(kind: Kind, content: bytes) -> tuple[int, Iterator[Chunk]]:
    """The same with the chunks. Raises: as `locate`, and on the way."""
    count, found = locate(kind, content)
    return count, _read_chunks(kind, found, count)


def _read_chunks(kind: Kind, found: Iterable[Part], said: int) -> Iterator[Chunk]:
    count, before = 0, None
    for packed in found:
        chunk = _read_chunk(kind, indexed.unpack(packed), packed)
        if before is not None and not (before.is_closed and before.keys[-1] <= chunk.keys[0]):
            raise NotPlain("another order")
        count, before = count + len(chunk.keys), chunk
        yield chunk
    elements.check_count(said, count)


def _read_chunk(kind: Kind, text: bytes, packed: Part) -> Chunk:
    keys = [kind.key(part) for part in elements.split(text)]
    in_order = all(first <= second for first, second in pairwise(keys))
    if not keys or not in_order or any(map(_is_border, keys[:-1])):
        raise NotPlain("another order")
    return Chunk(keys=keys, text=text, packed=packed)


def splice(chunks: Iterable[Chunk], new: Iterable[Element], dropped: frozenset[Key]) -> Iterator[Chunk]:
    """The chunks with the new packages and without the dropped ones; what neither touches stays as it is.

    Raises: NotPlain when a new package is there already: which comes first is then seen from the whole alone.
    """
    waiting = sorted(new, reverse=True)
    pending: list[Element] = []
    for chunk in chunks:
        arriving = []
        while waiting and waiting[-1][0] <= chunk.keys[-1]:
            arriving.append(waiting.pop())
            if arriving[-1][0] in chunk.keys:
                raise NotPlain("a package that is there twice")
        if not pending and not arriving and chunk.is_closed and dropped.isdisjoint(chunk.keys):
            yield chunk
            continue
        pending += [element for element in chunk.elements if element[0] not in dropped]
        pending = sorted([*pending, *arriving])
        yield from _closed(pending)
    pending += reversed(waiting)
    yield from _closed(pending)
    if pending:
        yield _chunk(pending)


def _closed(pending: list[Element]) -> Iterator[Chunk]:
    """The chunks that are whole, taken out of what is pending."""
    ends = [number for number, (key, _) in enumerate(pending, 1) if _is_border(key)]
    for start, end in pairwise([0, *ends]):
        yield _chunk(pending[start:end])
    del pending[: ends[-1] if ends else 0]


def _chunk(packages: Sequence[Element]) -> Chunk:
    text = "".join(f"{element}{END}\n" for _, element in packages).encode()
    return Chunk(keys=[key for key, _ in packages], text=text, packed=indexed.pack(text))


def _is_border(key: Key) -> bool:
    return key[-1][-2:] in _BORDERS
