# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders for gpg that are short, private and gone at the end, and which home gpg takes when none is named."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import command, marks
from pipeline.errors import SigningError
from pipeline.hidden import KEYS_DIR

_QUICK_SECONDS = 20
# Source: unix(7): 108 bytes with the zero at the end; agents append a few letters to one of their sockets.
_LONGEST_SOCKET = 95


@contextmanager
def private() -> Iterator[Path]:
    """A new folder that nobody else may enter, and that no build sees. Raises: SigningError."""
    _make_keys_dir()
    for left in KEYS_DIR.iterdir():
        if marks.is_left_behind(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=KEYS_DIR))
    try:
        marks.leave(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def default() -> Path:
    """The home that gpg takes by itself: `$GNUPGHOME` or `~/.gnupg`."""
    return Path(_dirs("homedir"))


def reachable(home_dir: Path, work_dir: Path) -> Path:
    """A name of this home under which its agent's socket can be made: itself, or a short link to it."""
    socket = _dirs("agent-socket", home_dir)
    if len(socket.encode()) <= _LONGEST_SOCKET:
        return home_dir
    link = work_dir / "home"
    link.symlink_to(home_dir)
    return link


def _dirs(name: str, home_dir: Path | None = None) -> str:
    """Source: gpgconf(1), --list-dirs; one directory that is asked for by its name comes as it is, not escaped."""
    homedir = ["--homedir", str(home_dir)] if home_dir else []
    argv = ["gpgconf", *homedir, "--list-dirs", name]
    return command.run(argv, timeout_seconds=_QUICK_SECONDS).stdout.removesuffix("\n")


def _make_keys_dir() -> None:
    KEYS_DIR.mkdir(mode=0o700, exist_ok=True)
    status = KEYS_DIR.lstat()
    if KEYS_DIR.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise SigningError(
            "keys-dir",
            f"{KEYS_DIR} is not a folder of ours alone, so no key is opened in it",
            hint="see who made it, and remove it",
        )
