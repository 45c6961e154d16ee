# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mirror holds now: its packages, its revision and its log, and the metadata that names them.

A local mirror is read where it lies. Of another one, a copy of the metadata is kept under
`out/.cache/mirror/`, so that only what changed is read again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.mirrors import layout, publishlog, repodata
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.repodata import Index, MetadataFile
from pipeline.model import MirrorState, PublishedRpm, Rpm
from pipeline.settings import Settings

_REPOMD, _SIGNATURE = "repomd.xml", "repomd.xml.asc"
_renewing = threading.Lock()
# Address -> what stood there when it was read, and its state: each job of a target asks for it, several times.
_STATES: dict[str, tuple[tuple[bytes | None, bytes | None], MirrorState]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A mirror's state with its metadata files, at hand below `dir`; without an index there is no repository.

    `books` are the other files that stand beside `repomd.xml` (name -> contents): its signature, the log and the keys.
    """

    state: MirrorState
    repomd: bytes = b""
    books: Mapping[str, bytes] = field(default_factory=dict)
    index: Index | None = None
    dir: Path = Path()

    @property
    def is_ours(self) -> bool:
        """Whether we published it: a repository that somebody made by hand has no log."""
        return bool(self.state.log)

    @property
    def carried(self) -> dict[str, int]:
        """Metadata of former states that still lies there -> since when it is of no use, in seconds."""
        return read_carried(self.books.get(layout.CARRIED, b"{}"))


def read_state(settings: Settings, target_name: str, *, log_path: Path | None = None) -> MirrorState:
    """What the target's repository holds; an empty state when there is none yet.

    Raises: PublishError when the mirror cannot be reached or read, or its repodata is broken;
    SettingsError for a destination that is none.
    """
    place = find_destination(settings, target_name)
    # Who asks for packages alone has no use for the other books.
    books = place.read((_REPOMD, layout.LOG), log_path)
    standing = books.get(_REPOMD), books.get(layout.LOG)
    known = _STATES.get(place.address)
    if known is None or known[0] != standing:
        known = standing, _read(settings, place, books, ("primary",), log_path).state
        _STATES[place.address] = known
    return known[1]


def read_metadata(settings: Settings, destination: Destination, *, log_path: Path | None = None) -> Metadata:
    """The state of a place with all that a new set of metadata is made from. Raises: as `read_state`."""
    books = destination.read((_REPOMD, _SIGNATURE, *layout.BOOKS), log_path)
    return _read(settings, destination, books, None, log_path)


def stands(destination: Destination, log_path: Path | None) -> str:
    """The digest of the `repomd.xml` that readers are given; empty where there is none. Raises: PublishError."""
    repomd = destination.read((_REPOMD,), log_path).get(_REPOMD)
    return "" if repomd is None else hashlib.sha256(repomd).hexdigest()


def cache_dir(settings: Settings, destination: Destination) -> Path:
    """Where copies of a place's metadata are kept."""
    name = hashlib.sha256(destination.address.encode()).hexdigest()[:16]
    return settings.out_path / ".cache" / "mirror" / name


def is_demo(rpm: Rpm | PublishedRpm) -> bool:
    """Whether the package bears the demo's dist tag."""
    return "demo" in rpm.evr.release.split(".")


def refuse_demo(nevra: str, destination: Destination) -> None:
    """Raises: PublishError when this package of the demo would leave this machine."""
    if not destination.is_local:
        raise PublishError(
            "demo-stays-here",
            f"{nevra} is made from the demo, and {destination.address} is not a directory of this machine",
            hint="publish the demo to a directory (--mirror DIR), or build from a real source (--target, --source)",
        )


def read_folder(folder: Path, place: str, fetch: Callable[[Sequence[str]], None]) -> Metadata:
    """The state whose `repomd.xml` lies in a folder, where `fetch` puts what it names. Raises: PublishError."""
    repomd = (folder / layout.REPOMD).read_bytes()
    index = repodata.read_index(repomd, place)
    fetch([file.href for file in index.files])
    signature_path = folder / layout.SIGNATURE
    signature = {_SIGNATURE: signature_path.read_bytes()} if signature_path.is_file() else {}
    return _metadata({_REPOMD: repomd, **signature}, index, index.files, folder, place)


def read_carried(content: bytes) -> dict[str, int]:
    """What `carried.json` says; nothing for what cannot be read.

    That is no error: the worst is that a reader under way misses a file and asks again, and a state that cannot be
    published over or rolled back from would be worse than that.
    """
    try:
        said = json.loads(content)
        if all(_is_hint(name, since) for name, since in said.items()):
            return dict(said)
    except (ValueError, AttributeError, RecursionError):
        pass
    return {}


def _read(
    settings: Settings,
    destination: Destination,
    books: Mapping[str, bytes],
    kinds: tuple[str, ...] | None,
    log_path: Path | None,
) -> Metadata:
    repomd = books.get(_REPOMD)
    if repomd is None:
        _refuse_unreadable(destination, log_path)
        return Metadata(state=MirrorState(destination=destination.address))
    index = repodata.read_index(repomd, destination.address)
    wanted = [file for file in index.files if kinds is None or file.kind in kinds]
    folder = destination.standing_dir()
    if folder is None:
        folder = cache_dir(settings, destination)
        carried = read_carried(books.get(layout.CARRIED, b"{}")) if kinds is None else None
        with _renewing:  # jobs side by side share the copy
            _renew(destination, index, wanted, carried, folder, log_path)
    return _metadata(books, index, wanted, folder, destination.address)


def _refuse_unreadable(destination: Destination, log_path: Path | None) -> None:
    """A mirror with a broken `repodata` is none without: what it has would be lost. Raises: PublishError."""
    if layout.REPODATA in destination.names_in(".", log_path):
        raise PublishError(
            "repodata-unreadable",
            f"{layout.REPODATA} of {destination.address} leads to no repomd.xml",
            hint=f"let it lead to the newest whole snapshot again (ln -sfn {layout.link_to(0).replace('0', 'N')}"
            f" {layout.REPODATA}), remake it with createrepo_c where others made it, or move the repository away",
        )


def refuse_changed(metadata: Metadata, destination: Destination, *, log_path: Path | None = None) -> None:
    """Raises: PublishError when what stands is not what the log says was published last, or the log is gone."""
    state = metadata.state
    if not state.repomd_sha256:
        return
    if metadata.is_ours and state.log[-1].repomd_sha256 == state.repomd_sha256:
        return
    link = destination.link_text(layout.REPODATA, log_path)
    if not metadata.is_ours and layout.revision_in(link) is None:
        return  # others made it
    why = "tells of another state than the one that stands" if metadata.is_ours else "is gone"
    raise PublishError(
        "publish-log-broken",
        f"the publish log of {state.destination} {why}",
        hint=f"somebody changed it by hand: put {layout.LOG} or repomd.xml back as it was, or let an earlier state"
        " stand (`.venv/bin/nox -s rollback`)",
    )


def _metadata(
    books: Mapping[str, bytes], index: Index, wanted: Sequence[MetadataFile], folder: Path, place: str
) -> Metadata:
    """What lies in a folder, verified."""
    for file in wanted:
        repodata.verify(file, folder, place)
    primary = index.primary
    state = MirrorState(
        destination=place,
        repomd_sha256=hashlib.sha256(books[_REPOMD]).hexdigest(),
        revision=index.revision,
        packages=_packages(folder / primary.href, place, primary.digest),
        log=publishlog.read(books.get(layout.LOG, b""), place),
    )
    return Metadata(state=state, repomd=books[_REPOMD], books=books, index=index, dir=folder)


@lru_cache(maxsize=4)
def _packages(primary_path: Path, place: str, digest: str) -> tuple[PublishedRpm, ...]:
    """Read once a run: several stages ask for the same."""
    return repodata.read_packages(primary_path, place)


def _renew(
    destination: Destination,
    index: Index,
    wanted: list[MetadataFile],
    carried: Collection[str] | None,
    folder: Path,
    log_path: Path | None,
) -> None:
    """Fetch what the copy lacks; when all of it is wanted, `carried` too, drop what is of no use any more."""
    missing = [file.href for file in wanted if not repodata.is_verified(file, folder)]
    hrefs = [f"{layout.REPODATA}/{name}" for name in carried or ()]
    missing += [href for href in hrefs if not (folder / href).exists()]
    destination.fetch_below(missing, folder, log_path)
    named = {folder / file.href for file in index.files} | {folder / href for href in hrefs}
    for path in folder.rglob("*") if carried is not None else ():
        if path.is_file() and path not in named:
            path.unlink(missing_ok=True)


def _is_hint(name: str, since: object) -> bool:
    """Whether it names a file beside it; the name goes into paths that are written to."""
    return "/" not in name and name not in ("", ".", "..") and isinstance(since, int)
