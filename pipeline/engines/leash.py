# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that end with whoever started them, even if that was killed with -9: nothing builds on for nobody.

`setpriv --pdeathsig` ends the first process of a room of processes, and with it all in the room. It is about the thread
that started the command, which waits for it. Becoming another user clears it, so it stands behind that.

Source: setpriv(1), unshare(1), prctl(2) PR_SET_PDEATHSIG, pid_namespaces(7).
"""

from __future__ import annotations

from pathlib import Path

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
# For `unshare`: processes apart, of which the first ends with it.
PROCESSES_APART = ("--pid", "--fork", "--kill-child", "--mount-proc")
# The first process of such a room takes no signal that it does not expect: a shell stands there.
UNDER_A_SHELL = ("sh", "-c", '"$@"; exit $?', "sh")


def lives(process_id: str) -> bool:
    """Whether a process runs; one that ended stays listed until process 1 collects it, which may be never."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
