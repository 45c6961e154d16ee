# SPDX-License-Identifier: GPL-2.0-or-later
"""git on repositories and folders of this machine: with nobody's settings, and ended when we are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed
from pipeline.gitenv import ALONE

_SECONDS = 3600
# What is wrong with the machine, and says nothing of a patch or repository.
_BROKE = re.compile(
    r"^(?:error|fatal): .*(?:No space left|Out of diskspace|Disk quota|Read-only file system|Permission denied|"
    r"File too large|Too many open files|Input/output error|[Cc]annot allocate|[Oo]ut of memory|[Cc]annot fork|"
    r"[Cc]annot lock|[Uu]nable to create '.*\.lock'|unable to write (?:new index|loose object)|write error).*",
    re.MULTILINE,
)


def run(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, stdin_path: Path | None = None
) -> tuple[int, str]:
    """Exit code and words of git in a folder, with a file as its standard input or none.

    Raises: CommandMissing; CommandFailed when git could not do its work, whatever it was asked.
    """
    try:
        result = command.run(
            ["git", *words], cwd=folder, env={**ALONE, **(env or {})}, timeout_seconds=_SECONDS, stdin_path=stdin_path
        )
    except CommandFailed as error:
        code, told = error.command_exit_code, error.output.strip("\n")
        broke = _BROKE.search(told)
        if code > 0 and not broke:
            return code, told
        why = broke[0].partition(": ")[2] if broke else error.message
        raise CommandFailed(
            "git-failed",
            f"git failed in {folder}: {why}",
            command_exit_code=code,
            hint="free space or mend the rights there, then run again",
        ) from None
    return 0, f"{result.stdout}\n{result.stderr}".strip("\n")
