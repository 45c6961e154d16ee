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

# Nobody's settings: apply.ignoreWhitespace alone would be fuzz.
ALONE = {
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
}
# Hooks, aliases and `rebase --exec` have these set: git would work on their repository, whatever folder it is given.
# Source: `git rev-parse --local-env-vars`, git(1).
OF_A_REPOSITORY = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIFF_OPTS", "GIT_DIR",
    "GIT_EXTERNAL_DIFF", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
})  # fmt: skip


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
