# SPDX-License-Identifier: GPL-2.0-or-later
"""Replace a link on this machine in one step."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from pipeline import files

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE. Source: renameat2(2)


def point(link_path: Path, text: str) -> None:
    """Let the link lead to `text`. A folder that lies there instead goes, in the same step. Raises: OSError."""
    new_path = link_path.with_name(f".{link_path.name}.{os.getpid()}")
    if new_path.is_symlink():  # a killed process of our number left it
        new_path.unlink()
    new_path.symlink_to(text)
    if link_path.is_dir() and not link_path.is_symlink():
        _exchange(new_path, link_path)
        files.remove_tree(new_path)
    else:
        new_path.replace(link_path)


def _exchange(one: Path, other: Path) -> None:
    """Let two names change places, with no moment between."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
