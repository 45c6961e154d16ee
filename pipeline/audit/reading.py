# SPDX-License-Identifier: GPL-2.0-or-later
"""One state of a repository as it lies there: its `repomd.xml`, all that this names, and what stands beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.audit.findings import Finding, finding
from pipeline.audit.site import Hand, Site
from pipeline.errors import PublishError
from pipeline.mirrors import layout, repodata
from pipeline.mirrors.repodata import Index, MetadataFile
from pipeline.model import PublishedRpm

_NAMES = ("repomd.xml", "repomd.xml.asc", *layout.BOOKS)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What stands (`home` is empty), or a snapshot. Without an index there is none that can be read.

    `books` are the files beside the metadata by their bare names; `packages` is `None` where primary cannot be read.
    """

    home: str
    books: Mapping[str, bytes] = field(default_factory=dict)
    index: Index | None = None
    packages: tuple[PublishedRpm, ...] | None = None
    found: tuple[Finding, ...] = ()

    @property
    def repomd_sha256(self) -> str:
        return hashlib.sha256(self.books["repomd.xml"]).hexdigest() if "repomd.xml" in self.books else ""

    @property
    def carried(self) -> frozenset[str] | None:
        """The metadata of former states that lies here as well; `None` where the file that tells it is broken."""
        try:
            said = json.loads(self.books.get(layout.CARRIED, b"{}"))
        except (ValueError, RecursionError):
            return None
        return frozenset(map(str, said)) if isinstance(said, dict) else None


class Reader:
    """Reads the states of one place; a primary.xml that several states have is read once."""

    def __init__(self, site: Site, scratch_dir: Path) -> None:
        self._site = site
        self._scratch_dir = scratch_dir
        self._packages: dict[str, tuple[PublishedRpm, ...]] = {}

    def read(self, home: str, *, whole: bool) -> State:
        """The state that lies in a folder of the repository; `whole`: with the digests of all that it names.

        Raises: PublishError when the place does not answer.
        """
        prefix = f"{home}/" if home else ""
        names = {name: f"{prefix}{layout.REPODATA}/{name}" for name in _NAMES}
        contents, failed = self._site.read(tuple(names.values()), self._scratch_dir)
        books = {name: contents[full] for name, full in names.items() if full in contents}
        if "repomd.xml" not in books:
            return State(
                home=home,
                books=books,
                found=(self._no_repomd(names["repomd.xml"], failed.get(names["repomd.xml"], "")),),
            )
        try:
            index = repodata.read_index(books["repomd.xml"], self._site.address)
        except PublishError as error:
            return State(home=home, books=books, found=(finding("repomd-broken", names["repomd.xml"], error.message),))
        return self._with_metadata(State(home=home, books=books, index=index), index, prefix, whole=whole)

    def _with_metadata(self, state: State, index: Index, prefix: str, *, whole: bool) -> State:
        """The state with its packages, and what is wrong with the files that it names."""
        there = self._site.sizes([f"{prefix}{file.href}" for file in index.files])
        wanted = [file for file in index.files if f"{prefix}{file.href}" in there]
        missing = [file for file in index.files if file not in wanted]
        found = [_missing(file, prefix) for file in missing]
        packages = None
        read = [file for file in wanted if whole or file.kind == "primary"]
        with self._site.at_hand([f"{prefix}{file.href}" for file in read], self._scratch_dir) as hand:
            for file in read:
                found.extend(_changed(file, prefix, hand))
            primary = index.file("primary")
            if primary in wanted and not any(each.subject.endswith(primary.href) for each in found):
                try:
                    packages = self._read_packages(primary, hand.dir / prefix) or None
                    if packages is None:  # a page of a web server reads like that too
                        found.append(finding("metadata-broken", f"{prefix}{primary.href}", "it names no package"))
                except PublishError as error:
                    found.append(finding("metadata-broken", f"{prefix}{primary.href}", error.message))
        return State(home=state.home, books=state.books, index=index, packages=packages, found=tuple(found))

    def _read_packages(self, primary: MetadataFile, folder: Path) -> tuple[PublishedRpm, ...]:
        if primary.digest not in self._packages:
            self._packages[primary.digest] = repodata.read_packages(folder / primary.href, self._site.address)
        return self._packages[primary.digest]

    def _no_repomd(self, name: str, failed: str) -> Finding:
        listed = self._site.listing
        link = listed.links.get(layout.REPODATA) if listed else None
        if link is not None and name == layout.REPOMD:
            return finding("repodata-link", layout.REPODATA, f"it is a link to {link}, where no repomd.xml is")
        if failed:
            return finding("unreadable", name, failed)
        return finding("repomd-missing", name, "it is not there, so there is no repository for readers")


def _missing(file: MetadataFile, prefix: str) -> Finding:
    return finding("metadata-missing", f"{prefix}{file.href}", "repomd.xml names it, and it is not there")


def _changed(file: MetadataFile, prefix: str, hand: Hand) -> Iterator[Finding]:
    name = f"{prefix}{file.href}"
    if name in hand.failed:
        yield finding("unreadable", name, hand.failed[name])
        return
    try:
        repodata.verify(file, hand.dir / prefix, "")
    except PublishError:
        yield finding("metadata-changed", name, "it has other contents than repomd.xml says")
    except OSError as error:
        yield finding("unreadable", name, error.strerror or str(error))
