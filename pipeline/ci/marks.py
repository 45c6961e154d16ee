# SPDX-License-Identifier: GPL-2.0-or-later
"""What lines for people become in a CI that reads them: folds, annotations, and text that commands nothing."""

from __future__ import annotations

from typing import ClassVar


class Marks:
    """Where no CI reads along: no line is added, and none is changed.

    All texts that are given have no control characters, save line ends where a message has several lines.
    """

    is_ci: ClassVar[bool] = False

    def opened(self, title: str) -> str:
        """The line that begins a fold; empty for none. Folds do not nest."""
        return ""

    def closed(self) -> str:
        """The line that ends the fold; empty for none."""
        return ""

    def verbatim(self) -> tuple[str, str]:
        """The lines before and behind text that the CI shall only show; empty for none."""
        return "", ""

    def error(self, title: str, message: str) -> str:
        """The line in place of an error's first one; empty for the usual one."""
        return ""

    def warning(self, text: str) -> str:
        """The line in place of a warning; empty for the usual one."""
        return ""

    def defused(self, text: str) -> str:
        """The text, changed only where the CI would take it for a command."""
        return text
