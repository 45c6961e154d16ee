# SPDX-License-Identifier: GPL-2.0-or-later
"""A parcel -> a job's state in the out directory. Whoever sent it, nothing is written outside the job's folder.

All of it is unpacked aside and looked at first. Then its files are put in place, the ledger's entries last: whoever
is killed between leaves entries that do not hold, and doing it again heals that.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ParcelError
from pipeline.files import prefix_sha256, replace_tree
from pipeline.flow import KEYLESS_STAGES, Stage
from pipeline.ledger import Ledger, parts
from pipeline.model import Job, Tree
from pipeline.parcels import head
from pipeline.parcels.head import Head
from pipeline.parcels.packing import END_NAME, HEAD_NAME, KEPT_BESIDE, leads_out

_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
_LARGEST_HEAD_BYTES = 100_000
_STAMP = re.compile(r"(\d{1,12})\.(\d{9})")


def unpack(parcel_path: Path, out_path: Path) -> Job:
    """Put a parcel's content in place, so that the ledger finds its stages; the job that it is of.

    What else the out directory has of this job stays.

    Raises: ParcelError, and nothing was written, for a file that is damaged, hostile or of another form; OSError.
    """
    scratch_dir = out_path / ".work"
    scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch_dir, prefix="parcel-") as name, _told_of(parcel_path):
        aside_path = Path(name)
        found = _lay_aside(parcel_path, aside_path)
        place = Path(found.target) / found.package
        moves = tuple(_moves(aside_path, place, found))
        for path in moves:
            _put(aside_path / path, out_path / path)
    return found.job


def read_head(parcel_path: Path) -> Head:
    """What the parcel says of itself. Raises: ParcelError when it is none."""
    with _told_of(parcel_path), tarfile.open(parcel_path, mode="r:") as tar:
        return _head_in(tar)


def examine(parcel_path: Path) -> Head:
    """The head of a parcel that is whole. Raises: ParcelError when it is not."""
    with _told_of(parcel_path), tarfile.open(parcel_path, mode="r:") as tar:
        found = _head_in(tar)
        for member in _members(tar):
            if member.name == END_NAME:
                _refuse_damaged(tar, member, parcel_path)
                return found
        raise ValueError("it is cut short")


@contextmanager
def _told_of(parcel_path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise ParcelError(
            "parcel-unusable",
            f"{parcel_path} is no parcel that can be taken: {error}",
            hint="fetch it once more from where it was made, or make it anew: `.venv/bin/nox -s job -- --only ID`",
        ) from None


def _lay_aside(parcel_path: Path, aside_path: Path) -> Head:
    """Unpack into a folder of its own. Raises: ValueError, TarError for what is refused."""
    with tarfile.open(parcel_path, mode="r:") as tar:
        found = _head_in(tar)
        room = _Room(aside_path / found.target / found.package)
        for member in _members(tar):
            if member.name == END_NAME:
                _refuse_damaged(tar, member, parcel_path)
                room.close()
                return found
            room.take(tar, member)
    raise ValueError("it is cut short")


class _Room:
    """A folder that a parcel's members are written to, each once, none through another."""

    def __init__(self, home_dir: Path) -> None:
        self._home_dir = home_dir
        self._folders: dict[Path, int] = {home_dir: 0o755}
        self._links: list[Path] = []
        self._taken: set[Path] = {home_dir}
        home_dir.mkdir(parents=True)

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._home_dir / _name(member)
        if path in self._taken:
            raise ValueError(f"{member.name!r} is in it twice")
        # Also not what is behind a link: that is no folder of ours.
        if path.parent not in self._folders:
            raise ValueError(f"the folder of {member.name!r} is not in it")
        self._taken.add(path)
        if member.isdir():
            path.mkdir()
            self._folders[path] = member.mode & 0o2777
        else:
            _write(tar, member, path)
        if member.issym():
            self._links.append(path)

    def close(self) -> None:
        """Give the folders their rights, when all is in them. Raises: ValueError for a link that leads out."""
        for path in self._links:
            if leads_out(path, self._home_dir):
                raise ValueError(f"the link {str(path.relative_to(self._home_dir))!r} leads out of the job's folder")
        for path, mode in reversed(self._folders.items()):
            path.chmod(mode)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members behind the head. Raises: ValueError for one that lies over another: reading might never end."""
    end = tar.offset
    while (member := tar.next()) is not None:
        if member.offset < end:
            raise ValueError("its members lie over each other")
        end = tar.offset
        yield member


def _head_in(tar: tarfile.TarFile) -> Head:
    first = tar.next()
    if first is None or first.name != HEAD_NAME or not first.isreg() or first.size > _LARGEST_HEAD_BYTES:
        raise ValueError("it does not begin with the head of a parcel")
    return head.read(_content(tar, first))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream else b""


def _refuse_damaged(tar: tarfile.TarFile, member: tarfile.TarInfo, parcel_path: Path) -> None:
    if member.size != 64 or _content(tar, member).decode("ascii") != prefix_sha256(parcel_path, member.offset):
        raise ValueError("its content is not what was packed")


def _name(member: tarfile.TarInfo) -> str:
    """The member's name, if it stays in the folder and is of a file, folder or link. Raises: ValueError."""
    odd = {"", ".", ".."}.intersection(member.name.split("/"))
    if odd or member.type not in _KINDS or member.sparse is not None:
        raise ValueError(f"{member.name!r} is of a kind or name that no parcel has")
    return member.name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.issym():
        path.symlink_to(member.linkname)
    else:
        stream = tar.extractfile(member)
        assert stream is not None
        with path.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        path.chmod(member.mode & 0o777)
    stamp = _STAMP.fullmatch(member.pax_headers.get("mtime", ""))
    if stamp is None:
        raise ValueError(f"{member.name!r} has no time")
    stamp_ns = int(stamp[1]) * 10**9 + int(stamp[2])
    os.utime(path, ns=(stamp_ns, stamp_ns), follow_symlinks=False)


def _moves(aside_path: Path, place: Path, found: Head) -> Iterator[Path]:
    """What is put in place, relative to the out directory: what records name, what lies beside, then the ledger.

    Raises: ValueError for an entry that names what is not there.
    """
    home_dir = aside_path / place
    ledger = Ledger(home_dir, aside_path)
    entries = [stage for stage in KEYLESS_STAGES if (home_dir / "ledger" / f"{stage.name}.json").is_file()]
    seen: set[Path] = set()
    for stage in entries:
        for path in _named(stage, ledger, aside_path, place):
            if path not in seen:
                seen.add(path)
                yield path
    logs = (f"logs/{found.attempt}/*",) if found.attempt else ()
    for pattern in (*KEPT_BESIDE, *logs):
        for path in sorted(home_dir.glob(pattern)):
            relative = path.relative_to(aside_path)
            if relative not in seen and path.is_file() and not path.is_symlink():
                yield relative
    yield from (place / "ledger" / f"{stage.name}.json" for stage in entries)


def _named(stage: Stage, ledger: Ledger, aside_path: Path, place: Path) -> Iterator[Path]:
    """What an entry names; trees first, so that a file that lies in one goes with it."""
    record = ledger.last(stage.name, stage.record)
    if record is None:
        raise ValueError(f"its entry of the stage {stage.name} cannot be read")
    named = sorted(parts(record), key=lambda part: not isinstance(part, Tree))
    trees = {part.path for part in named if isinstance(part, Tree)}
    for part in named:
        path = aside_path / part.path
        is_there = path.is_dir() if isinstance(part, Tree) else path.is_file()
        if ".." in part.path.parts or place not in part.path.parents or path.is_symlink() or not is_there:
            raise ValueError(f"its entry of the stage {stage.name} names {part.path}, which is not in it")
        if not trees.intersection(part.path.parents):
            yield part.path


def _put(source: Path, path: Path) -> None:
    if source.is_dir():
        replace_tree(source, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source.replace(path)
