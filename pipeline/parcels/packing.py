# SPDX-License-Identifier: GPL-2.0-or-later
"""A job's state -> one parcel: ledger entries, all files and trees that they name, and what people look for."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ParcelError
from pipeline.files import prefix_sha256
from pipeline.flow import KEYLESS_STAGES
from pipeline.ledger import Ledger, parts
from pipeline.model import File, Image, Tree
from pipeline.parcels import head

HEAD_NAME = "parcel.json"
END_NAME = "parcel.sha256"
# Beside what records name: numbers that were given out, what sources gave the last time, test results.
KEPT_BESIDE = (
    "releases/*/reservation.json",
    "built-on.json",
    "baseline/built-on.json",
    "srpm/identity.json",
    "vendor/identity.json",
    "junit/*.xml",
)


def pack(home_dir: Path, out_path: Path, destination: Path) -> None:
    """Write the parcel of the job whose folder is `home_dir`, whole or not at all.

    An entry of the ledger whose files are gone stays behind: its stage is done again wherever the parcel is opened.

    Raises: ParcelError for what cannot travel; OSError.
    """
    ledger = Ledger(home_dir, out_path)
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        with part.open("w+b") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                _add_text(tar, HEAD_NAME, head.write(_head(home_dir, ledger)))
                for path in _paths(home_dir, out_path, ledger):
                    _add(tar, path, home_dir)
                stream.flush()
                # A tar that was cut short between two members looks whole: the last one says that it is.
                _add_text(tar, END_NAME, prefix_sha256(part, tar.offset))
            stream.flush()
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)


def attempt_of(home_dir: Path) -> str:
    """The newest run that left logs here; their names sort by time."""
    return max((path.name for path in (home_dir / "logs").glob("*") if path.is_dir()), default="")


def _head(home_dir: Path, ledger: Ledger) -> head.Head:
    return head.Head(
        format=head.FORMAT,
        package=home_dir.name,
        target=home_dir.parent.name,
        pipeline=head.version(),
        image=ledger.last("image", Image),
        attempt=attempt_of(home_dir),
    )


def _paths(home_dir: Path, out_path: Path, ledger: Ledger) -> Iterator[Path]:
    """All that the parcel holds, folders before what is in them, each once."""
    seen: set[Path] = set()
    for path in (*_recorded(home_dir, out_path, ledger), *_beside(home_dir)):
        above = []
        while path != home_dir and path not in seen:
            seen.add(path)
            above.append(path)
            path = path.parent
        yield from reversed(above)


def _recorded(home_dir: Path, out_path: Path, ledger: Ledger) -> Iterator[Path]:
    for stage in KEYLESS_STAGES:
        record = ledger.last(stage.name, stage.record)
        named = tuple(parts(record)) if record is not None else ()
        if record is None or not all(_is_there(part, home_dir, out_path) for part in named):
            continue
        yield home_dir / "ledger" / f"{stage.name}.json"
        for part in named:
            yield out_path / part.path
            if isinstance(part, Tree):
                yield from _walk(out_path / part.path)


def _is_there(part: File | Tree, home_dir: Path, out_path: Path) -> bool:
    path = out_path / part.path
    return home_dir in path.parents and (path.is_dir() if isinstance(part, Tree) else path.is_file())


def _beside(home_dir: Path) -> Iterator[Path]:
    for pattern in KEPT_BESIDE:
        yield from sorted(path for path in home_dir.glob(pattern) if path.is_file())
    attempt = attempt_of(home_dir)
    if attempt:
        yield from sorted(path for path in (home_dir / "logs" / attempt).iterdir() if path.is_file())


def _walk(top_dir: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(top_dir), key=lambda item: item.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _add(tar: tarfile.TarFile, path: Path, home_dir: Path) -> None:
    """Add one file, folder or link as it is. Raises: ParcelError for anything else, and for a link that leads out."""
    status = path.lstat()
    member = tarfile.TarInfo(path.relative_to(home_dir).as_posix())
    member.mode = stat.S_IMODE(status.st_mode)
    # By a number, tar would keep whole seconds only: the fingerprints of trees go by all digits.
    member.pax_headers = {"mtime": f"{status.st_mtime_ns // 10**9}.{status.st_mtime_ns % 10**9:09d}"}
    if stat.S_ISREG(status.st_mode):
        member.size = status.st_size
        with path.open("rb") as stream:
            tar.addfile(member, stream)
        return
    if stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        if leads_out(path, home_dir):
            raise ParcelError(
                "parcel-link",
                f"{path} is a link to {member.linkname}, out of the job's folder: it cannot travel",
                hint="build this package on the machine that publishes, or make the link a relative one in its source",
            )
    else:
        raise ParcelError(
            "parcel-content", f"{path} is neither file, folder nor link", hint="remove what made it from the build"
        )
    tar.addfile(member)


def leads_out(link: Path, home_dir: Path) -> bool:
    """Whether a link names a place outside the job's folder, by whatever other links it goes there."""
    top = os.path.realpath(home_dir)
    return link.readlink().is_absolute() or os.path.commonpath([top, os.path.realpath(link)]) != top


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
