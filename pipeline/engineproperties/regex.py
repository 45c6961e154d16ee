# SPDX-License-Identifier: GPL-2.0-or-later
r"""Regular expressions as the engine's Java reads them: what is wrong with one, and which ';' are in none of its parts.

They are compiled by Python, whose syntax is nearly Java's; what Java alone has is put into Python's words before. Not
checked: which names `\p{…}` takes, what `&&` makes of a class, how wide a look-behind may be, braces that repeat
nothing, and how much time a match takes.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

# A '[' takes along what follows and is literal there: '^', and a ']' that comes first.
_TOKEN = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?|[\]();|]", re.DOTALL)
_JAVA_ONLY = re.compile(
    r"""\\Q(?P<quoted>.*?)(?:\\E|\Z)
    | \\[pP](?:\{[^{}]+\}|[A-Za-z]) | (?P<kind>\\[hHvVRXe])
    | \\x\{(?P<hex>[0-9A-Fa-f]{1,6})\} | (?P<control>\\c.)
    | (?P<place>\\[zG])
    | \\k<(?P<reference>\w+)>
    | \(\?<(?P<group>[A-Za-z]\w*)>
    | (?P<flags>\(\?[a-zA-Z]+(?:-[a-zA-Z]+)?\))
    | (?P<escaped>\\.)""",
    re.DOTALL | re.VERBOSE,
)
_PYTHON_ONLY = ("(?P", "(?#", "(?(")
_JAVA_S_OWN_RULE = "look-behind requires fixed-width pattern"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """Where a mark stands outside of groups, classes, quotations and escapes, and what is left open."""

    places: tuple[int, ...]
    left_open: tuple[str, ...]


def outside(text: str, wanted: str = ";") -> Outside:
    """Where the wanted mark, ';' or '|', belongs to no part of a regex; classes nest, as Java has them."""
    found: list[int] = []
    brackets: list[str] = []
    for token in _TOKEN.finditer(text):
        mark = token.group()
        in_class = brackets[-1:] == ["["]
        if mark.startswith(r"\Q") and not mark.endswith(r"\E"):
            brackets.append(r"\Q")  # it would quote whatever follows, ours as well
        elif mark[0] == "[" or (mark == "(" and not in_class):
            brackets.append(mark[0])
        elif (mark == "]" and in_class) or (mark == ")" and brackets[-1:] == ["("]):
            brackets.pop()
        elif mark == wanted and not brackets:
            found.append(token.start())
    return Outside(places=tuple(found), left_open=tuple(brackets))


def fault(text: str) -> str:
    """Why Java would not compile it, in words; empty if it would."""
    left_open = outside(text).left_open
    if left_open:
        return f"a '{left_open[-1]}' is not closed"
    foreign = next((words for words in _PYTHON_ONLY if words in _without_escapes(text)), "")
    if foreign:
        return f"Java knows no '{foreign}'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes in classes, which Java has
            re.compile(_in_python_s_words(text))
    except (re.error, OverflowError, RecursionError) as error:
        told = str(error)
        return "" if told == _JAVA_S_OWN_RULE else told.partition(" at position")[0]
    return ""


def is_anchored(text: str) -> bool:
    r"""Whether it says itself that it is about the whole value: `^…$`, neither `^…\$` nor `^…|…$`."""
    plain = _without_escapes(text)
    return plain.startswith("^") and plain.endswith("$") and not outside(text, "|").places


def _without_escapes(text: str) -> str:
    """The text without what is escaped or quoted; a backslash stands for each, so that none joins its neighbours."""
    return _TOKEN.sub(lambda token: "\\" if token.group()[0] == "\\" else token.group(), text)


def _in_python_s_words(text: str) -> str:
    return _JAVA_ONLY.sub(_translated, text)


def _translated(found: re.Match[str]) -> str:
    kind, words = found.lastgroup, found.group(found.lastgroup or 0)
    match kind:
        case "quoted":
            return re.escape(words)
        case "hex":
            return f"\\U{int(words, 16):08x}" if int(words, 16) <= 0x10FFFF else r"\U"
        case "control":
            return r"\x01"
        case "place":
            return r"\Z"
        case "reference":
            return f"(?P={words})"
        case "group":
            return f"(?P<{words}>"
        case "flags":  # Java lets them stand anywhere
            return ""
        case "escaped":
            return found.group()
    return r"\w"
