# SPDX-License-Identifier: GPL-2.0-or-later
"""How git is run against other people's repositories."""

from __future__ import annotations

from pathlib import Path

# A stalled transfer ends by itself, and nobody is asked for a password.
# Source: git(1), git-config(1) http.lowSpeedLimit; GIT_ALLOW_PROTOCOL keeps out ext::, which runs commands.
UNATTENDED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
    "GIT_HTTP_LOW_SPEED_TIME": "60",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20",
}


def is_remote(location: str) -> bool:
    """Whether git would go over the network for it. Source: git-clone(1), "GIT URLS"."""
    if "://" in location:
        return not location.startswith("file://")
    head, colon, _ = location.partition(":")
    return bool(colon) and "/" not in head and not Path(location).exists()


def located(location: str, root_dir: Path) -> str:
    """The location, a relative path in it taken from `root_dir`: git would take it from wherever it runs."""
    if "://" in location or is_remote(location):
        return location
    return str(root_dir / Path(location).expanduser())
