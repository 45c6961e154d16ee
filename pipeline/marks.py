# SPDX-License-Identifier: GPL-2.0-or-later
"""A mark in a folder that we made outside of out/: whose it is, so that what a killed run left can be removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

_NAME = ".vdsm-pipeline.json"
_MADE_BY = "vdsm packaging pipeline"


def leave(dir_path: Path) -> None:
    """Mark a folder as this process's."""
    mark = {"made by": _MADE_BY, "boot": _boot(), "process": os.getpid(), "started": _started(os.getpid())}
    (dir_path / _NAME).write_text(json.dumps(mark) + "\n", encoding="utf-8")


def is_left_behind(dir_path: Path) -> bool:
    """Whether the folder is this user's, marked by us, and made by a process that is gone.

    Another machine's boot is not ours: what lies on a shared disk may be in use there.
    """
    try:
        if dir_path.is_symlink() or dir_path.stat().st_uid != os.getuid():
            return False
        mark = json.loads((dir_path / _NAME).read_text(encoding="utf-8"))
        if mark["made by"] != _MADE_BY or mark["boot"] != _boot():
            return False
        return bool(_started(int(mark["process"])) != mark["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _boot() -> str:
    """What differs for every machine and every start of it, and for every container beside others."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot_id} {Path('/proc/self/ns/pid').readlink()}"


def _started(process_id: int) -> str:
    """When a process was started, in the kernel's ticks: numbers are given out again. Empty for none.

    Source: proc(5), /proc/PID/stat, field 22; the name before may hold anything but is in parentheses.
    """
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return status.rpartition(")")[2].split()[19]
