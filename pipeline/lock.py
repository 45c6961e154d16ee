# SPDX-License-Identifier: GPL-2.0-or-later
"""One run at a time in one out directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import LockedError
from pipeline.progress import Progress


@contextmanager
def held(out_path: Path, progress: Progress, *, wait: bool) -> Iterator[None]:
    """The lock of an out directory. Without `wait`, Raises: LockedError naming the holder."""
    out_path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out_path / ".lock")
    holder_path = out_path / ".lock.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise LockedError(
                "locked",
                f"process {_holder(holder_path)} works in {out_path}",
                hint="wait for it, leave out --no-wait, or use another --out",
            ) from None
        progress.warning(f"waiting for process {_holder(holder_path)}, which works in {out_path}")
        lock.acquire()
    try:
        holder_path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        holder_path.unlink(missing_ok=True)
        lock.release()


def _holder(holder_path: Path) -> str:
    try:
        return holder_path.read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"
