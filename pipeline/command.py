# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a program: time limit over its whole process group, log, redaction, one kind of error each.

The only importer of plumbum. Output goes to files, never to pipes: a grandchild that outlives its
parent would hold a pipe open and make the reader wait for it.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from plumbum import CommandNotFound, local

from pipeline import crew, slots
from pipeline.crew import Crew
from pipeline.errors import CommandFailed, CommandMissing, CommandTimedOut
from pipeline.gitenv import OF_A_REPOSITORY

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 5.0
_TAIL_BYTES = 256 * 1024
# How often, and at how much, somebody looks who watches a command.
_LOOK_SECONDS = 0.25
_LOOK_BYTES = 512
# A user's name alone is no secret, but where it stands for a token: in http.
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]*:[^/\s]*@|(?<=http://)[^/\s]+@|(?<=https://)[^/\s]+@")


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandResult:
    """How a command ended; `stdout` is empty when it went to the log, and `stderr` is the end of what went there."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    seconds: float
    stderr: str = ""


def shown(argv: Sequence[str]) -> str:
    """The command as a person can paste it, credentials in URLs replaced."""
    return _redacted(shlex.join(argv))


def run(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log_path: Path | None = None,
    capture: bool = True,
    accept: Sequence[int] = (0,),
    tidies: bool = False,
    heavy: bool = False,
    watch: Callable[[bytes], None] | None = None,
    stdin_path: Path | None = None,
) -> CommandResult:
    """The result of `argv`, whose exit code is one of `accept`.

    With `capture`, standard output is returned and standard error goes to the log; without, both
    go to the log in the order they were written. `env` is laid over this process's environment, of
    which git does not see whose repository it is run from. A command that `tidies` up behind others
    may run while these are ended. A `heavy` one waits until there is room for it. `watch` is given
    the end of what was captured so far, while it runs. Standard input is the file `stdin_path`, else
    empty.

    Raises: CommandMissing, CommandTimedOut, CommandFailed; KeyboardInterrupt after the group ended;
    Interrupted while nothing may start.
    """
    with slots.taken() if heavy else nullcontext(), tempfile.TemporaryFile() as captured, _open_log(log_path) as log:
        started = time.monotonic()
        _write_header(log, argv, cwd)
        offset = log.tell()
        process: subprocess.Popen[bytes] | None = None
        beginning = partial(_start, argv, cwd, env, stdin_path, stdout=captured if capture else log, stderr=log)
        mates: Crew[Any] = Crew() if tidies else crew.current()
        try:
            with _interrupt_held():
                process = mates.start(beginning)
            exit_code = _wait(process, timeout_seconds, (lambda: watch(_end_of(captured))) if watch else None)
            if not mates.left(process):  # it was told to end: podman then ends with 0, its work undone
                exit_code = -signal.SIGTERM
        except subprocess.TimeoutExpired:
            raise CommandTimedOut(
                "time-limit",
                f"{argv[0]} ran longer than {timeout_seconds:g} seconds and was ended",
                hint="raise the time limit in pipeline.toml under [time_limits], or look in the log for where it hung",
                log_path=log_path,
                reproduce=shown(argv),
            ) from None
        finally:
            if process is not None:
                mates.left(process)
                _end_groups([process])
        seconds = time.monotonic() - started
        stdout = _read_from(captured, 0) if capture else ""
        tail = _read_from(log, max(offset, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        if exit_code not in accept:
            raise _failure(argv, exit_code, stdout + tail, log_path)
        return CommandResult(argv=tuple(argv), exit_code=exit_code, stdout=stdout, seconds=seconds, stderr=tail)


def _redacted(text: str) -> str:
    return _URL_CREDENTIALS.sub("***@", text)


@contextmanager
def none_running(mates: Crew[Any] | None = None) -> Iterator[None]:
    """End the commands of a crew, of this thread's by default; while the block lasts, it starts none but what tidies.

    An interrupt reaches the main thread alone.
    """
    with (mates or crew.current()).none_running(_end_groups):
        yield


def need(program: str) -> None:
    """Raises: CommandMissing unless the program is on PATH."""
    if not is_on_path(program):
        raise CommandMissing(
            "command-missing",
            f"{program} is not on PATH",
            hint="run `./bootstrap`, or `.venv/bin/nox -s doctor` to see the package that has it",
        )


def is_on_path(program: str) -> bool:
    return program in local


def path_of(program: str) -> str:
    """Where a program that is on PATH lies."""
    return str(local.which(program))


def _start(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin_path: Path | None,
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> subprocess.Popen[bytes]:
    try:
        command = local[argv[0]]
    except CommandNotFound:
        raise CommandMissing(
            "command-missing",
            f"{argv[0]} is not on PATH",
            hint="run `./bootstrap`, or `.venv/bin/nox -s doctor` to see the package that has it",
        ) from None
    for name in OF_A_REPOSITORY:  # plumbum would lay `env` over them
        local.env.pop(name, "")
    with (stdin_path or Path(os.devnull)).open("rb") as stdin:
        process: Any = command.popen(
            args=[*argv[1:]],
            cwd=str(cwd) if cwd else None,
            env=dict(env or {}),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    return cast(subprocess.Popen[bytes], process)


def _wait(process: subprocess.Popen[bytes], timeout_seconds: float, look: Callable[[], None] | None) -> int:
    """The exit code, in the moment that it ends: Popen's own wait with a limit asks in ever longer pauses."""
    deadline = time.monotonic() + timeout_seconds
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:  # it was ended, and somebody saw it
        return process.wait()
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        while not ended.poll(1000 * max(0.0, min(deadline - time.monotonic(), _LOOK_SECONDS))):
            if time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(process.args, timeout_seconds)
            if look:
                look()
    finally:
        os.close(descriptor)
    return process.wait()


def _end_of(stream: IO[bytes]) -> bytes:
    """The last bytes of what the process wrote; it goes on writing where it is, for its place in the file is ours."""
    size = os.fstat(stream.fileno()).st_size
    return os.pread(stream.fileno(), _LOOK_BYTES, max(0, size - _LOOK_BYTES))


@contextmanager
def _interrupt_held() -> Iterator[None]:
    """Keep a ctrl-C until the block is done: between a start and its record it would leave a process behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts reach the main thread alone
        return
    came: list[int] = []
    former = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for held, handler in former.items():
            signal.signal(held, handler)
        for first in came[:1]:
            signal.raise_signal(first)


def _end_groups(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End all that the commands left running: politely, then for good.

    A podman that is killed while it makes a container leaves the container's first process waiting for ever.
    """
    try:
        told = [process for process in processes if _signal_group(process, signal.SIGTERM)]
        deadline, pause = time.monotonic() + _GRACE_SECONDS, 0.001
        while time.monotonic() < deadline and any(_group_lives(process) for process in told):
            time.sleep(pause)
            pause = min(2 * pause, 0.02)  # rsync's second process ends a moment after the first
    finally:  # also when somebody presses ctrl-C once more
        for process in processes:
            _signal_group(process, signal.SIGKILL)
        for process in processes:
            process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether there was anybody in the group to signal."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return _has_running_member(process.pid)


def _has_running_member(group_id: int) -> bool:
    """Whether more than dead members are left: orphans stay in the group until process 1 collects them."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it ended just now
        if int(group) == group_id and state not in "ZX":
            return True
    return False


def _open_log(log_path: Path | None) -> IO[bytes]:
    if log_path is None:
        return tempfile.TemporaryFile()
    log_path.parent.mkdir(parents=True, exist_ok=True)
    return log_path.open("ab+")


def _write_header(log: IO[bytes], argv: Sequence[str], cwd: Path | None) -> None:
    where = f"  (in {cwd})" if cwd else ""
    log.write(f"$ {shown(argv)}{where}\n".encode(errors="surrogateescape"))
    log.flush()
    log.seek(0, os.SEEK_END)


def _read_from(stream: IO[bytes], offset: int) -> str:
    stream.seek(offset)
    return stream.read().decode("utf-8", errors="replace")


def _failure(argv: Sequence[str], exit_code: int, output: str, log_path: Path | None) -> CommandFailed:
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    lines = [line for line in output.splitlines() if line.strip()]
    last = f": {_redacted(lines[-1].strip())}" if lines else ""
    return CommandFailed(
        "command-failed",
        f"{argv[0]} {how}{last}",
        command_exit_code=exit_code,
        output=output,
        log_path=log_path,
        reproduce=shown(argv),
    )
