# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's collector of ended child processes."""
import os

_pids = set()


def autoReapPID(pid):
    _pids.add(pid)


def reap():
    """Forget the registered children that have ended."""
    for pid in list(_pids):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except OSError:
            ended = pid
        if ended:
            _pids.discard(pid)
