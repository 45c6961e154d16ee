# SPDX-License-Identifier: GPL-2.0-or-later
"""One publisher at a time: from when the mirror is read until readers see the new state.

On this machine it is a file lock, which ends with its holder. Elsewhere it is a link that only one can make, and
whose text tells who holds it and until when; rsync makes it with the right to write alone. If all fails, the check of
what stands before the switch refuses the second publisher.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import LockedError, PublishError
from pipeline.mirrors.places.base import Destination
from pipeline.progress import Progress

# Two names: a file lock stays when it is free, and a link that cannot be made is held.
LOCK = ".publish.lock"
LEASE = ".publish.lease"
_PAUSE_SECONDS = 2.0
_HOLDER = re.compile(r"(?P<who>[^;\n]*);(?P<host>[^;\n]*);(?P<pid>[0-9]+);(?P<until>[0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Holder:
    who: str
    host: str
    pid: int
    until: int

    @property
    def is_gone(self) -> bool:
        """Whether its time is over, or it ran on this machine and does no more."""
        if self.until < time.time():
            return True
        return self.host == socket.gethostname() and not Path(f"/proc/{self.pid}").exists()


@contextmanager
def held(place: Destination, who: str, progress: Progress, *, log_path: Path, wait: bool = True) -> Iterator[None]:
    """The right to publish to a place. Raises: LockedError naming who has it, when it does not come free in time."""
    with _local(place, progress, wait=wait) if place.is_local else _remote(place, who, progress, log_path, wait=wait):
        yield


@contextmanager
def _local(place: Destination, progress: Progress, *, wait: bool) -> Iterator[None]:
    place.make_folder()
    lock = FileLock(Path(place.address) / LOCK, mode=0o644)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _refuse_unless(wait, place, "somebody")
            progress.warning(f"waiting for somebody who publishes to {place.address}")
            lock.acquire(timeout=place.timeout_seconds)
    except Timeout:
        raise _locked(place, "somebody") from None
    except OSError as error:
        raise place.failure("written", f"{error.strerror} at {error.filename}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _remote(place: Destination, who: str, progress: Progress, log_path: Path, *, wait: bool) -> Iterator[None]:
    text = _acquire(place, who, progress, log_path, wait=wait)
    try:
        yield
    finally:
        try:
            _give_back(place, text, log_path)
        except PublishError as error:
            progress.warning(f"the lock {LEASE} stays on {place.address} for a while: {error.message}")


def _acquire(place: Destination, who: str, progress: Progress, log_path: Path, *, wait: bool) -> str:
    """What our lock says, once it is ours. Raises: LockedError, PublishError."""
    deadline, told = time.monotonic() + place.timeout_seconds, False
    while True:
        text = _text(place, who)  # each time anew: it shall not be over when the waiting is
        if place.make_link(LEASE, text, log_path):
            return text
        holder = _holder(place.link_text(LEASE, log_path))
        if holder is not None and holder.is_gone:
            progress.warning(f"{holder.who} left the lock on {place.address}: it is taken over")
            if _take_over(place, text, log_path):
                return text
            continue
        name = holder.who if holder else "somebody"
        _refuse_unless(wait and time.monotonic() < deadline, place, name)
        if not told:
            progress.warning(f"waiting for {name}, who publishes to {place.address}")
            told = True
        time.sleep(_PAUSE_SECONDS)


def _give_back(place: Destination, text: str, log_path: Path) -> None:
    """Remove our lock; one whose time is over may have been taken over, and is another's then."""
    ours = _holder(text)
    if ours is None or not ours.is_gone or place.link_text(LEASE, log_path) == text:
        place.remove((LEASE,), log_path)


def _text(place: Destination, who: str) -> str:
    until = int(time.time() + place.timeout_seconds)
    return f"{who.replace(';', ' ')};{socket.gethostname()};{os.getpid()};{until}"


def _take_over(place: Destination, text: str, log_path: Path) -> bool:
    """Whether a lock that was left is ours now: another who saw it too may remove ours for it, a moment later."""
    place.remove((LEASE,), log_path)
    if not place.make_link(LEASE, text, log_path):
        return False
    time.sleep(_PAUSE_SECONDS)
    return place.link_text(LEASE, log_path) == text


def _holder(text: str) -> _Holder | None:
    match = _HOLDER.fullmatch(text)
    if match is None:
        return None
    return _Holder(who=match["who"], host=match["host"], pid=int(match["pid"]), until=int(match["until"]))


def _refuse_unless(free: bool, place: Destination, who: str) -> None:
    if not free:
        raise _locked(place, who)


def _locked(place: Destination, who: str) -> LockedError:
    return LockedError(
        "mirror-locked",
        f"{who} is publishing to {place.address}",
        hint="run the same again when that is done"
        + ("" if place.is_local else f"; if nobody publishes, remove {LEASE} there"),
    )
