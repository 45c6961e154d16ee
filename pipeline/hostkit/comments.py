# SPDX-License-Identifier: GPL-2.0-or-later
"""Text for people in a file that a program reads: on lines that begin with `#`, however it came about. Pure."""

from __future__ import annotations

import textwrap

from pipeline.printable import printable

_WIDTH = 100


def comment(*paragraphs: str) -> str:
    """The paragraphs on lines that nothing acts upon."""
    return "\n".join(line for paragraph in paragraphs for line in _lines(paragraph))


def _lines(paragraph: str) -> list[str]:
    shown = printable(paragraph, keep="")
    return textwrap.wrap(
        shown, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
