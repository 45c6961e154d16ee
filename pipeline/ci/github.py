# SPDX-License-Identifier: GPL-2.0-or-later
"""GitHub Actions, whose runner takes lines of either stream for commands.

Source: GitHub's "Workflow commands for GitHub Actions"; actions/runner, ActionCommand.cs: a command is a line that
begins, behind white space, with `::`, or has `##[` anywhere.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import ClassVar

from pipeline.ci.marks import Marks

_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\[)", re.MULTILINE)
_ZERO_WIDTH_SPACE = "\u200b"


def new_token() -> str:
    """A word that no text knows in advance: with it, commands could be let in again."""
    return secrets.token_hex(16)


class GithubMarks(Marks):
    """Groups, annotations, and texts between `stop-commands` and its token."""

    is_ci: ClassVar[bool] = True

    def __init__(self, token: Callable[[], str] = new_token) -> None:
        self._token = token

    def opened(self, title: str) -> str:
        return f"::group::{_data(title)}"

    def closed(self) -> str:
        return "::endgroup::"

    def verbatim(self) -> tuple[str, str]:
        token = self._token()
        return f"::stop-commands::{token}", f"::{token}::"

    def error(self, title: str, message: str) -> str:
        return f"::error title={_property(title)}::{_data(message)}" if title else f"::error::{_data(message)}"

    def warning(self, text: str) -> str:
        return f"::warning::{_data(text)}"

    def defused(self, text: str) -> str:
        """The same to the eye: a space of no width stands where the command would begin."""
        return _COMMAND.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text)


def _data(text: str) -> str:
    return _hushed(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _hushed(text: str) -> str:
    # Within a command `::` does nothing any more, `##[` does.
    return text.replace("##[", f"##{_ZERO_WIDTH_SPACE}[")
