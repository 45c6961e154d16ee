# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a repository is looked at: a folder of this machine, rsync, or a web server. Nothing is written there."""

from __future__ import annotations

import errno
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from pipeline import parallel
from pipeline.audit import listing
from pipeline.audit.listing import UNKNOWN_SIZE, Listing
from pipeline.errors import PublishError
from pipeline.mirrors import layout, web
from pipeline.mirrors.places.base import Destination

_MAX_BOOK_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """Files of a repository at hand, below `dir` by their names there; `failed` says why some cannot be read."""

    dir: Path
    failed: Mapping[str, str] = field(default_factory=dict)


class Site(ABC):
    """One repository at one place. `listing` is `None` where only what is asked for by its name can be seen."""

    address: str
    url: str = ""
    is_local = False
    listing: Listing | None = None

    @abstractmethod
    def sizes(self, names: Collection[str]) -> dict[str, int]:
        """The sizes of those of the files that are there; UNKNOWN_SIZE where it is not told. Raises: PublishError."""

    @abstractmethod
    def _bring(self, names: Collection[str], into_dir: Path) -> Hand:
        """Copy those of the files that are there. Raises: PublishError."""

    @contextmanager
    def at_hand(self, names: Collection[str], scratch_dir: Path) -> Iterator[Hand]:
        """Those of the files that are there, while the block lasts. Raises: PublishError."""
        with tempfile.TemporaryDirectory(dir=scratch_dir, prefix="hand-") as name:
            yield self._bring(names, Path(name))

    def read(self, names: Collection[str], scratch_dir: Path) -> tuple[dict[str, bytes], dict[str, str]]:
        """The contents of those of the files that are there, and why some that are there cannot be read.

        Raises: PublishError.
        """
        with self.at_hand(names, scratch_dir) as hand:
            found, failed = {}, dict(hand.failed)
            for name in (name for name in names if name not in failed):
                try:
                    found[name] = _read_small(hand.dir / name)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    failed[name] = error.strerror or str(error)
            return found, failed


def _read_small(path: Path) -> bytes:
    """Raises: OSError, for a file that is larger than any of its kind too."""
    with path.open("rb") as stream:
        content = stream.read(_MAX_BOOK_BYTES + 1)
    if len(content) > _MAX_BOOK_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {_MAX_BOOK_BYTES >> 20} MiB")
    return content


class Folder(Site):
    """A directory of this machine; files are read where they lie."""

    is_local = True

    def __init__(self, place: Destination) -> None:
        self.address, self.url = place.address, place.url
        self._root = Path(place.address)
        try:
            self.listing = listing.walk(self._root)
        except OSError as error:
            raise place.failure("read", f"{error.strerror} at {error.filename}") from None

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        assert self.listing is not None
        found = {name: self.listing.size(name) for name in names}
        outside = {name: self._stat(name) for name, size in found.items() if size == UNKNOWN_SIZE}
        return {name: size for name, size in {**found, **outside}.items() if size is not None}

    def _stat(self, name: str) -> int | None:
        path = self._root / name
        return path.stat().st_size if path.is_file() else None

    @contextmanager
    def at_hand(self, names: Collection[str], scratch_dir: Path) -> Iterator[Hand]:
        yield Hand(dir=self._root)

    def _bring(self, names: Collection[str], into_dir: Path) -> Hand:
        return Hand(dir=self._root)


class Rsync(Site):
    """A place behind an rsync daemon or ssh: one list of all of it, then copies of what is looked at."""

    def __init__(self, place: Destination, scratch_dir: Path) -> None:
        self.address, self.url = place.address, place.url
        self._place = replace(place, scratch_dir=scratch_dir)
        self.listing = listing.parse(self._place.list_all(None))

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        assert self.listing is not None
        found = {name: self.listing.size(name) for name in names}
        return {name: size for name, size in found.items() if size is not None}

    def _bring(self, names: Collection[str], into_dir: Path) -> Hand:
        assert self.listing is not None
        real = {name: self.listing.resolved(name) or name for name in self.sizes(names)}
        inside = sorted({each for each in real.values() if not each.startswith("/")})
        folder = self._place.gather(inside, into_dir / "copies", None) if inside else into_dir
        failed = {}
        for name, each in real.items():
            if each.startswith("/"):
                failed[name] = "it is a link that leads out of the repository"
            elif not (folder / each).is_file():
                failed[name] = "rsync does not give it"
            else:  # under the name that readers have for it
                (into_dir / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(folder / each, into_dir / name)
        return Hand(dir=into_dir, failed=failed)


class Web(Site):
    """A place that is read over http: no names are told there, and no links are seen.

    `is_local`: it is a directory of this machine that is served at the url.
    """

    def __init__(self, url: str, timeout_seconds: float, *, is_local: bool = False) -> None:
        self.is_local = is_local
        self.address = self.url = url
        self._timeout_seconds = timeout_seconds

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        asked = tuple(dict.fromkeys(names))
        found = parallel.run_all(lambda name: web.size_of(self._url(name)), asked)
        return {name: size for name, size in zip(asked, found, strict=True) if size is not None}

    def _bring(self, names: Collection[str], into_dir: Path) -> Hand:
        asked = tuple(dict.fromkeys(names))
        failed = dict(zip(asked, parallel.run_all(lambda name: self._get(name, into_dir), asked), strict=True))
        failed = {name: why for name, why in failed.items() if why}
        if failed:
            web.size_of(self._url(layout.REPOMD))  # raises where the whole server is away
        return Hand(dir=into_dir, failed=failed)

    def _get(self, name: str, into_dir: Path) -> str:
        """Why the file is kept from readers; empty where it is there, or is not at all."""
        path = into_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            web.fetch_if_there(self._url(name), path, self._timeout_seconds)
        except PublishError as error:
            path.unlink(missing_ok=True)
            return error.message
        return ""

    def _url(self, name: str) -> str:
        return f"{self.url}/{quote(name)}"


def open_site(place: Destination, scratch_dir: Path) -> Site:
    """Raises: PublishError when the place does not answer."""
    if place.is_local:
        return Folder(place)
    if not place.can_be_listed:
        return Web(place.url, place.timeout_seconds)
    return Rsync(place, scratch_dir)
