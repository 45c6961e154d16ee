# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as YAML that people can read: each text is a text to whoever loads it, and no template to Ansible. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

Value = str | bool | Mapping[str, "Value"] | Sequence["Value"]

# What a block can hold as it is, on lines of its own: no other line ends, no blanks where YAML would lose them.
_WIDTH = 100
_WORD = re.compile(r"[!-~]+")
_BLOCK = re.compile(r"[!-~]([ -~]*[!-~])?(\n( *[!-~]([ -~]*[!-~])?)?)*\n[ ]*[!-~]([ -~]*[!-~])?")


def lines(value: Mapping[str, Value], indent: str = "") -> list[str]:
    """The lines of a mapping."""
    made: list[str] = []
    for key, each in value.items():
        made += _entry(f"{indent}{key}:", each, indent)
    return made


def _entry(head: str, value: Value, indent: str) -> list[str]:
    if isinstance(value, bool):
        return [f"{head} {str(value).lower()}"]
    if isinstance(value, str):
        return _text(head, value, indent)
    if isinstance(value, Mapping):
        return [head, *lines(value, f"{indent}  ")] if value else [f"{head} {{}}"]
    return [head, *_items(value, f"{indent}  ")] if value else [f"{head} []"]


def _items(values: Sequence[Value], indent: str) -> list[str]:
    made: list[str] = []
    for value in values:
        if isinstance(value, Mapping):
            first, *rest = lines(value, f"{indent}  ")
            made += [f"{indent}- {first.lstrip()}", *rest]
        else:
            made += _entry(f"{indent}-", value, indent)
    return made


def _text(head: str, text: str, indent: str) -> list[str]:
    """Where it has braces, `!unsafe` says that they are braces; Ansible takes an empty text with that tag for none."""
    tag = " !unsafe" if "{" in text else ""
    if _BLOCK.fullmatch(text):
        return [f"{head}{tag} |-", *(f"{indent}  {line}".rstrip() for line in text.split("\n"))]
    words = text.split(" ")
    if len(text) > _WIDTH and all(map(_WORD.fullmatch, words)):
        return [f"{head}{tag} >-", *(f"{indent}  {line}" for line in _filled(words))]
    return [f"{head}{tag} {_quoted(text)}"]


def _quoted(text: str) -> str:
    """As JSON, but for characters above U+FFFF: JSON has two halves for these, which are no characters in YAML."""
    return "".join(json.dumps(char)[1:-1] if ord(char) <= 0xFFFF else f"\\U{ord(char):08X}" for char in text).join('""')


def _filled(words: Sequence[str]) -> list[str]:
    """Words on lines; each line end stands for one blank."""
    made = [words[0]]
    for word in words[1:]:
        if len(made[-1]) + len(word) < _WIDTH:
            made[-1] += f" {word}"
        else:
            made.append(word)
    return made
