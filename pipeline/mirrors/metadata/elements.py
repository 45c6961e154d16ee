# SPDX-License-Identifier: GPL-2.0-or-later
"""The package elements of primary, filelists and other, taken out of the text as they are.

Where nothing but elements, text and entities stands in it, `</package>` is an end tag wherever it stands:
so the text can be cut there without a parser, and each element keeps its bytes. All else is not plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.mirrors.metadata.faults import Damaged, NotPlain

END = "</package>"
_END = END.encode()
_MAX_ELEMENT_BYTES = 1 << 25
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ROOT = re.compile(rb'(?:\xef\xbb\xbf)?(?:<\?xml [^>]*\?>)?\s*<(\w+)((?:\s+[\w:]+="[^"<>]*")*)\s*>')
_ATTRIBUTE = re.compile(r'([\w:]+)="([^"]*)"')
_NAMESPACE = "http://linux.duke.edu/metadata/"
_VERSION = r'<version epoch="([^"<]*)" ver="([^"<]*)" rel="([^"<]*)"\s*/>'
_PRIMARY = re.compile(
    r'\s*<package type="rpm">\s*<name>([^<]*)</name>\s*<arch>([^<]*)</arch>'
    rf'\s*{_VERSION}\s*<checksum type="sha256" pkgid="YES">([0-9a-f]{{64}})</checksum>'
)
_BRIEF = re.compile(rf'\s*<package pkgid="([0-9a-f]{{64}})" name="([^"<]*)" arch="([^"<]*)"\s*>\s*{_VERSION}')
_ESCAPES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ESCAPE = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));|&")

# Name, arch, epoch, version, release and sha256: one order for the three files.
Key = tuple[str, ...]
Element = tuple[Key, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One of the three files."""

    name: str
    root: str
    namespaces: tuple[tuple[str, str], ...]

    def header(self, count: int) -> bytes:
        names = "".join(f' {name}="{value}"' for name, value in self.namespaces)
        return f'{_DECLARATION}<{self.root}{names} packages="{count}">\n'.encode()

    @property
    def footer(self) -> bytes:
        return f"</{self.root}>\n".encode()

    def key(self, element: str) -> Key:
        """Raises: NotPlain."""
        found = (_PRIMARY if self is PRIMARY else _BRIEF).match(element)
        if found is None:
            raise NotPlain("a package that is written in another way")
        key = found.groups() if self is PRIMARY else (*found.groups()[1:], found[1])
        return tuple(map(unescape, key)) if "&" in found[0] else key


def _kind(name: str, root: str, namespace: str, **others: str) -> Kind:
    names = {"xmlns": namespace, **{f"xmlns:{prefix}": other for prefix, other in others.items()}}
    return Kind(name=name, root=root, namespaces=tuple((key, _NAMESPACE + value) for key, value in names.items()))


PRIMARY = _kind("primary", "metadata", "common", rpm="rpm")
FILELISTS = _kind("filelists", "filelists", "filelists")
OTHER = _kind("other", "otherdata", "other")
KINDS = (PRIMARY, FILELISTS, OTHER)


def unescape(text: str) -> str:
    """The text that an XML parser would give. Raises: NotPlain."""
    return _ESCAPE.sub(_unescaped, text) if "&" in text else text


def _unescaped(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return _ESCAPES[name]
    if not decimal and not hexadecimal:
        raise NotPlain("an entity of its own")
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise Damaged("it has a character that is none")
    return chr(code)


def split(text: bytes) -> list[str]:
    """The elements of a text that ends with one; each without its end tag, and with the space before it."""
    try:
        words = text.decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"it is not UTF-8 ({error})") from None
    # The single characters first: they are rare, and found ten times as fast.
    if ("!" in words and "<!" in words) or ("?" in words and "<?" in words) or "\r" in words:
        raise NotPlain("comments, CDATA or the like")
    parts = words.split(END)
    if parts.pop().strip():
        raise NotPlain("something between the packages")
    return parts


def read_batches(kind: Kind, pieces: Iterable[bytes]) -> Iterator[list[str]]:
    """The elements of a whole file, as `split` gives them, batch by batch.

    Raises: Damaged, at the end also where the file does not hold as many as it says; NotPlain.
    """
    rest, said, found = b"", None, 0
    head_seen = False
    for piece in pieces:
        rest += piece
        if not head_seen:
            said, rest = _read_root(kind, rest)
            head_seen = True
        end = rest.rfind(_END) + len(_END)
        if end >= len(_END):
            batch = split(rest[:end])
            rest = rest[end:]
            found += len(batch)
            yield batch
        if len(rest) > _MAX_ELEMENT_BYTES:
            raise Damaged(f"a package in it takes more than {_MAX_ELEMENT_BYTES >> 20} MiB")
    check_end(kind, rest)
    check_count(said, found)


def check_count(said: int | None, found: int) -> None:
    if said is not None and said != found:
        raise Damaged(f"it names {found} packages and says {said}")


def check_end(kind: Kind, rest: bytes) -> None:
    if rest.strip() != kind.footer.strip():
        raise Damaged("it ends too early")


def _read_root(kind: Kind, text: bytes) -> tuple[int | None, bytes]:
    """The number of packages that the root element tells, and what follows it."""
    found = _ROOT.match(text)
    if found is None:
        raise NotPlain("another beginning")
    attributes = dict(_ATTRIBUTE.findall(found[2].decode(errors="replace")))
    said = attributes.pop("packages", None)
    if found[1].decode() != kind.root or attributes != dict(kind.namespaces):
        raise NotPlain("another root")
    return int(said) if said and said.isascii() and said.isdigit() else None, text[found.end() :]
