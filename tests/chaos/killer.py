# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of a command with all that it started, as the end of a machine would: after so many calls, or seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

# All by which a name comes, goes, or means something else.
CALLS = (
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
)
# Who made a call waits that long, so that the kill comes before the next one.
_PAUSE_MICROSECONDS = 5000
_MARK = "KILL_MARK"


def after_calls(argv: list[str], number: int, work_dir: Path) -> list[str]:
    """Kill when the command and its children made `number` calls together; the calls that were seen.

    There are fewer when the command came to its end before. strace by itself counts for each process alone.
    """
    fifo, mark = work_dir / "strace", uuid.uuid4().hex
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    calls = ",".join(CALLS)
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-o", str(fifo), "-e", f"trace={calls}"]
    pause = ["-e", f"inject={calls}:delay_exit={_PAUSE_MICROSECONDS}"]
    process = _start([*strace, *pause, "--", *argv], mark)
    seen = []
    with fifo.open() as stream:
        for line in stream:
            if not line.rstrip().endswith("<unfinished ...>"):
                seen.append(line.partition(" ")[2].strip())
            if len(seen) == number:
                _kill_all(mark)
                break
    process.wait(timeout=60)
    _kill_all(mark)
    return seen


def after_seconds(argv: list[str], seconds: float) -> bool:
    """Whether the command still ran and was killed."""
    mark = uuid.uuid4().hex
    process = _start(argv, mark)
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        _kill_all(mark)
        process.wait(timeout=60)


def _start(argv: list[str], mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, env={**os.environ, _MARK: mark}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _kill_all(mark: str) -> None:
    """Those that bear the mark, until none is left: one of them may be starting another."""
    while living := list(_marked(mark)):
        for number in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def _marked(mark: str) -> Iterator[int]:
    wanted = f"{_MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (path / "environ").read_bytes():
                yield int(path.name)
