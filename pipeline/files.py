# SPDX-License-Identifier: GPL-2.0-or-later
"""Files in the out directory: their digests, and writes that are whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pipeline import command
from pipeline.model import File, Tree

_COPY_SECONDS = 600
_PIECE_BYTES = 1 << 20


def sha256_of(path: Path | str) -> str:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123  # most files are small, and opening is what takes time
        digest = hashlib.sha256()
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
        return digest.hexdigest()


def prefix_sha256(path: Path, size_bytes: int) -> str:
    """The sha256 of the first bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size_bytes > 0 and (piece := stream.read(min(size_bytes, _PIECE_BYTES))):
            digest.update(piece)
            size_bytes -= len(piece)
    return digest.hexdigest()


def file_record(path: Path, out_path: Path) -> File:
    return File(path=path.relative_to(out_path), size_bytes=path.stat().st_size, sha256=sha256_of(path))


def tree_record(path: Path, out_path: Path) -> Tree:
    return Tree(path=path.relative_to(out_path), fingerprint=tree_fingerprint(path))


def tree_fingerprint(top_dir: Path | str) -> str:
    """A digest of the names, kinds, sizes and times in a tree: an edit shows, no file is read."""
    digest = hashlib.sha256()
    above = len(os.path.join(top_dir, ""))
    for entry in _walk(top_dir):
        status = entry.stat(follow_symlinks=False)
        is_dir = entry.is_dir(follow_symlinks=False)
        size, stamp = (0, 0) if is_dir else (status.st_size, status.st_mtime_ns)
        name = entry.path[above:]
        digest.update(f"{name}\0{status.st_mode}\0{size}\0{stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def content_digest(top_dir: Path, *, but: Collection[str] = ()) -> str:
    """A digest of the names and contents in a tree, the same for every checkout of it; folders `but` these count.

    A link counts as what it leads to if that is a file, else as a link.
    """
    digest = hashlib.sha256()
    for entry in _walk(top_dir, but):
        if entry.is_file():
            content = sha256_of(entry.path)
        elif entry.is_symlink():
            content = f"-> {os.readlink(entry.path)}"  # noqa: PTH115  # a Path of what may be no text
        else:
            continue
        name = os.path.relpath(entry.path, top_dir)
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk(top_dir: Path | str, but: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    with os.scandir(top_dir) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            if entry.name in but:
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, but)


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """The content of a file. Raises: OSError; ValueError for what is larger, or no regular file: a pipe never ends."""
    # Opened so, a pipe without a writer does not wait for one.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > largest_bytes:
            raise ValueError(f"larger than {largest_bytes:,} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then give it its own: readers see the old or the new.

    Raises: OSError, which names the file by its own name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", errors="surrogateescape") if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        Path(name).unlink(missing_ok=True)


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file, times included, under a temporary name, then give it its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, part)
        shutil.copystat(source, part)
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def replace_tree(source_dir: Path, path: Path) -> None:
    """Put a finished folder where an older one may lie; both must be on one file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    old_dir = path.with_name(f".{path.name}.old")
    remove_tree(old_dir)
    if path.exists():
        path.rename(old_dir)
    source_dir.rename(path)
    remove_tree(old_dir)


def copy_tree(source_dir: Path, path: Path) -> None:
    """Copy a folder as it is, times and links too. By `cp`, ten times as fast as shutil on small files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command.run(["cp", "--archive", "--reflink=auto", str(source_dir), str(path)], timeout_seconds=_COPY_SECONDS)


def join_files(parts: Iterable[Path], path: Path) -> None:
    """Append files that are there to another, in order, and remove them."""
    for part in parts:
        if part.exists():
            with path.open("ab") as whole, part.open("rb") as stream:
                shutil.copyfileobj(stream, whole)
            part.unlink()


def lay_files(source_dir: Path, path: Path) -> None:
    """Put the files of one folder over those of another."""
    for entry in _walk(source_dir):
        if entry.is_file(follow_symlinks=False):
            copy_whole(Path(entry.path), path / os.path.relpath(entry.path, source_dir))


def take_tree(source_dir: Path, path: Path) -> None:
    """Move a folder that a container's user may own; it is ours then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source_dir, path)
    if os.getuid() == 0:
        os.chown(path, 0, 0)
        for entry in _walk(path):
            os.chown(entry.path, 0, 0, follow_symlinks=False)


def remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
