# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of others in a page of Markdown: they are shown, and mark nothing up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.printable import printable

_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", ":": "&#58;", "@": "&#64;", "$": "&#36;"}
_WORDS = {char: _ENTITIES.get(char, f"\\{char}") for char in r"\`*_{}[]()#+-.!|~<>&:@$="}
# A page is read as text as well, so what marks nothing up stays: these within words and numbers, but not in `www.`,
_HARMLESS = re.compile(
    r"(?<=[A-Za-z0-9])[-+=](?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?<!www)\.(?=[A-Za-z0-9])"
    # a colon that begins no `//` and no :code:, which a time is none of, and ends no scheme that is linked without,
    r"|(?<!mailto)(?<!xmpp):(?!//|(?!\d\d?:)[A-Za-z0-9_+-]+:)"
    # and an @ that no name follows, or in a word that is no mail address.
    r"|@(?![A-Za-z0-9_-])|(?<=[A-Za-z0-9])@(?=[A-Za-z0-9_-]+(?![A-Za-z0-9._-]))",
    re.IGNORECASE,
)
# What GitHub and GitLab make a link or a mention of, whatever stands for its characters: a space of no width breaks it.
_LINKING = re.compile(r"www(?=\\?\.)|&#58;(?=/)|&#64;(?=\w)", re.IGNORECASE)


def escaped(text: str) -> str:
    """One line of Markdown that shows the text: no emphasis, link, HTML, cell or mention comes of it."""
    shown = printable(text.replace("\n", " "), keep="")
    harmless = {found.start() for found in _HARMLESS.finditer(shown)}
    marked = "".join(char if place in harmless else _WORDS.get(char, char) for place, char in enumerate(shown))
    return _LINKING.sub("\\g<0>\u200b", marked)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    lines = [columns, ["---"] * len(columns), *([escaped(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def fenced(lines: Sequence[str]) -> list[str]:
    """The lines as they are, between fences that none of them can close."""
    shown = [printable(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *shown, fence]
