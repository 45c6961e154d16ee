# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines for a host's shell: whatever comes from packages and keys is quoted, so it does nothing there. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from shlex import quote

_WIDTH = 100


def line(*words: str) -> str:
    """Words, which are quoted where they need it, on as many lines as it takes."""
    return folded(quote(word) for word in words)


def folded(pieces: Iterable[str]) -> str:
    """Pieces of shell on lines that people can read; the shell takes them for one."""
    lines = [""]
    for piece in pieces:
        if lines[-1].strip() and len(lines[-1]) + len(piece) > _WIDTH:
            lines.append("  ")
        lines[-1] += piece if not lines[-1].strip() else f" {piece}"
    return " \\\n".join(lines)


def write(path: str, content: str, *, expanded: bool = False) -> str:
    """Write a file whole. Where `expanded`, the shell fills in variables, so all else must be safe there."""
    end = "END"
    while end in content.splitlines():
        end += "_"
    body = content if content.endswith("\n") else f"{content}\n"
    return f"cat >{quote(path)} <<{end if expanded else quote_always(end)}\n{body}{end}"


def holds(path: str, content: str) -> str:
    """Succeeds where the file has this content already."""
    body = content if content.endswith("\n") else f"{content}\n"
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f'test "$(sha256sum <{quote(path)})" \\\n  = {quote(f"{digest}  -")}'


def quote_always(word: str) -> str:
    return f"'{word}'"


def unexpanded(text: str) -> str:
    """Text that stays as it is in a here-document in which variables are filled in."""
    for char in "\\$`":
        text = text.replace(char, f"\\{char}")
    return text


def query_literal(text: str) -> str:
    """Text that rpm prints as it is where it stands in a query format."""
    return "".join(f"\\{char}" if char in "\\[]{}|:?" else "%%" if char == "%" else char for char in text)
