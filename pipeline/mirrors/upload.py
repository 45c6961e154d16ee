# SPDX-License-Identifier: GPL-2.0-or-later
"""Put a staged snapshot on the places of a channel: content first, read back, then one switch at each.

Nothing that readers use is touched before the switch, and nothing is removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import parallel
from pipeline.errors import PublishError
from pipeline.mirrors import layout, mirror, readback
from pipeline.mirrors.places.base import Destination, Watch
from pipeline.progress import Progress

REVISION_TAKEN = "revision-taken"


class FilesDiffer(PublishError):
    """Packages of ours, or what lies beside them, are there already under the same names, with other contents."""

    def __init__(self, place: Destination, names: Sequence[str], log_path: Path) -> None:
        super().__init__(
            "mirror-differs",
            f"{names[0]} on the mirror {place.address} is not what was sent ({len(names)} files)",
            hint="look at the mirror's disk, then run the same again: what readers use was not touched",
            log_path=log_path,
        )
        self.place = place
        self.names = tuple(names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a place is given: a folder laid out as the repository, and the files in it that the place does not have.

    `former` is the revision that stands there, 0 for none, and `base_repomd_sha256` its digest. Readers verify with the
    public keys in `keys_path`.
    """

    dir: Path
    revision: int
    repomd_sha256: str
    files: tuple[str, ...]
    former: int
    base_repomd_sha256: str

    @property
    def revisions(self) -> tuple[int, ...]:
        """The snapshots that are staged: the new one, and what is adopted before it."""
        return tuple(sorted(int(path.name) for path in (self.dir / layout.SNAPSHOTS).iterdir()))

    @property
    def files_bytes(self) -> int:
        return sum((self.dir / name).stat().st_size for name in self.files)

    def metadata_bytes(self, revision: int) -> int:
        """What is sent of a snapshot's metadata: files that a former snapshot has are linked there."""
        folder = self.dir / layout.link_to(revision)
        path = folder / layout.CARRIED
        carried = mirror.read_carried(path.read_bytes()) if path.exists() else {}
        return sum(file.stat().st_size for file in folder.iterdir() if file.name not in carried)

    @property
    def size_bytes(self) -> int:
        """All that is to be sent."""
        return self.files_bytes + sum(map(self.metadata_bytes, self.revisions))

    @property
    def keys_path(self) -> Path:
        return self.dir / layout.link_to(self.revision) / layout.KEYS


def publish(loads: Sequence[tuple[Destination, Load]], *, progress: Progress, log_path: Path) -> None:
    """Let all places have the snapshot, and then let their readers see it.

    Raises: PublishError; when it is raised before the first switch, readers see what they saw.
    """
    for place, load in loads:
        progress.note(f"sending {len(load.files)} files, {load.size_bytes / 1e6:.1f} MB, to {place.address}")
    logs = [log_path if len(loads) == 1 else log_path.with_name(f"{log_path.stem}-{number}.log")
            for number in range(1, len(loads) + 1)]  # fmt: skip
    with progress.transfers([(place.address, load.size_bytes) for place, load in loads]) as shown:
        others = parallel.run_all(
            lambda each: _put(each[0][1], each[0][0], each[1], each[2]), zip(loads, logs, shown, strict=True)
        )
    for (place, _), names in zip(loads, others, strict=True):
        for name in names:
            own = layout.address_of_page(name)
            progress.note(f"{name} on {place.address} is somebody's own and stays; ours is {own}")
    switched: list[str] = []
    for place, load in loads:
        try:
            _switch(load, place, log_path)
        except PublishError as error:
            raise _told_where(error, switched, place, len(loads)) from None
        switched.append(place.address)


def _put(load: Load, place: Destination, log_path: Path, show: Watch) -> tuple[str, ...]:
    """Send what is new, and see that it has arrived as it is here and can be read as readers will.

    The names that people ask for and that somebody's own files have there: no publish fails for the want of a page.
    """
    names = [*load.files, *_links(load)]
    watch = _Counter(load.size_bytes, show)
    place.send(load.dir, names, log_path, anew=not load.base_repomd_sha256, watch=watch.tell)
    watch.add(load.files_bytes)
    metadata = []
    for revision in load.revisions:
        ours = revision == load.revision
        former = load.former if ours else 0
        place.send_metadata(load.dir, revision, former, log_path, replace=not ours, watch=watch.tell)
        watch.add(load.metadata_bytes(revision))
        metadata += [str(path.relative_to(load.dir)) for path in (load.dir / layout.link_to(revision)).iterdir()]
    found = place.differing(load.dir, [*names, *sorted(metadata)], log_path)
    differing = tuple(name for name in found if name not in layout.PAGES)
    if differing:
        raise _differs(load, place, differing, log_path)
    show(load.size_bytes)
    readback.check_snapshot(place, load.revision, load.files, load.keys_path, log_path)
    return tuple(name for name in found if name in layout.PAGES)


class _Counter:
    """The bytes of one place, over several calls of rsync; never all of them, since what is sent may not be there."""

    def __init__(self, total_bytes: int, show: Watch) -> None:
        self._total_bytes = total_bytes
        self._show = show
        self._before = 0

    def add(self, size_bytes: int) -> None:
        """What the call that ended has put there."""
        self._before += size_bytes
        self.tell(0)

    def tell(self, sent_bytes: int) -> None:
        self._show(max(0, min(self._before + sent_bytes, 99 * self._total_bytes // 100)))


def _switch(load: Load, place: Destination, log_path: Path) -> None:
    """The one step that readers see, if the mirror still is as it was read; then see that it took place."""
    standing = mirror.stands(place, log_path)
    if standing == load.repomd_sha256:
        return  # a run that was ended behind this place
    if standing != load.base_repomd_sha256:
        raise changed_meanwhile(place.address, "somebody else published to it")
    place.switch(load.revision, log_path)
    if mirror.stands(place, log_path) != load.repomd_sha256:
        raise PublishError(
            "mirror-differs",
            f"the mirror {place.address} has another repomd.xml than the one just sent",
            hint="somebody else may be publishing: run the same again",
            log_path=log_path,
        )


def _differs(load: Load, place: Destination, names: Sequence[str], log_path: Path) -> PublishError:
    """The error for files that are not there as they were sent: somebody else's, or damaged."""
    if mirror.stands(place, log_path) != load.base_repomd_sha256:
        return changed_meanwhile(place.address, f"somebody else published {names[0]}")
    snapshot = layout.snapshot(load.revision)
    if any(name.startswith(f"{snapshot}/") for name in names):
        return PublishError(
            REVISION_TAKEN,
            f"{snapshot} on the mirror {place.address} is not what was sent: another run took that number",
            hint="run the same again, which takes another: what readers use was not touched",
            log_path=log_path,
        )
    return FilesDiffer(place, names, log_path)


def changed_meanwhile(address: str, how: str) -> PublishError:
    return PublishError(
        "mirror-changed",
        f"the mirror {address} changed since the repository was made: {how}",
        hint="run the same again: the repository is made anew from what is there now",
    )


def _links(load: Load) -> Iterator[str]:
    """The links of the snapshots and those at the root, but the one that is switched."""
    yield from layout.POINTERS
    for revision in load.revisions:
        for path in sorted((load.dir / layout.snapshot(revision)).iterdir()):
            if path.is_symlink():
                yield str(path.relative_to(load.dir))


def _told_where(error: PublishError, switched: Sequence[str], place: Destination, count: int) -> PublishError:
    """The error, with what the other places of the channel have now."""
    if count == 1:
        return error
    there = ", ".join(switched) or "no place"
    return PublishError(
        error.reference,
        f"{error.message}; the new state stands at {there}, not at {place.address} and behind",
        hint=f"{error.hint}; that run brings the others up",
        log_path=error.log_path,
    )
