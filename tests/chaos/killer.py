# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of a command with all that it started, as the end of a machine would: after so many calls, or seconds."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
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
_MOST_SECONDS = 120
_MARK = "KILL_MARK"
_CALL = re.compile(r"(?P<process>\d+) +(?:<\.\.\. )?(?P<kind>\w+)")
_RSYNC_SHIM = """\
#!/bin/sh
count=$(($(cat '{folder}/count' 2>/dev/null) + 1))
echo $count > '{folder}/count'
[ $count = {number} ] || exec {real} "$@"
exec {strace} {real} "$@"
"""


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
                seen.append(line.strip())
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


def a_child_of(server: int, argv: list[str], number: int, delay_seconds: float) -> int:
    """Kill the `number`-th child that a server starts for the command, a moment later; how many children it had."""
    children = Path(f"/proc/{server}/task/{server}/children")
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: set[int] = set()
    while process.poll() is None:
        for child in map(int, children.read_text().split()):
            if child not in seen and len(seen) + 1 == number:
                time.sleep(delay_seconds)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            seen.add(child)
        time.sleep(0.001)
    return len(seen)


def most_of_one(calls: Sequence[str]) -> dict[str, int]:
    """Kind of call -> how many of it one process made at most, in what `after_calls` saw."""
    found = Counter(match.group("process", "kind") for call in calls if (match := _CALL.match(call)))
    return {kind: max(n for (_, its), n in found.items() if its == kind) for _, kind in found}


def with_error(argv: list[str], kind: str, number: int, error: str, work_dir: Path, *, rsync_call: int = 0) -> int:
    """The exit code of the command when the `number`-th call of a kind fails in each of its processes.

    With `rsync_call` that is so for this run of rsync alone.
    """
    inject = ["-e", f"trace={kind}", "-e", f"inject={kind}:error={error}:when={number}"]
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", *inject, "--"]
    if not rsync_call:
        return subprocess.run([*strace, *argv], capture_output=True, timeout=_MOST_SECONDS).returncode
    shim = work_dir / "shim" / "rsync"
    shim.parent.mkdir()
    shim.write_text(
        _RSYNC_SHIM.format(folder=shim.parent, number=rsync_call, real=shutil.which("rsync"), strace=" ".join(strace))
    )
    shim.chmod(0o755)
    path = f"{shim.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run(argv, env=environment, capture_output=True, timeout=_MOST_SECONDS).returncode


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
