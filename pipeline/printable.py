# SPDX-License-Identifier: GPL-2.0-or-later
"""Text from logs, packages and patches, made fit to be shown: what would drive a terminal is shown, not sent."""

from __future__ import annotations


def printable(text: str, *, keep: str = "\t") -> str:
    """The text with every control character, but those to `keep`, as its number."""
    if text.isprintable():  # nearly all is, and a page has thousands of them
        return text
    return "".join(
        char if char in keep or char.isprintable() or char == " " else f"\\x{ord(char):02x}" for char in text
    )
