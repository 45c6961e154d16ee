# SPDX-License-Identifier: GPL-2.0-or-later
"""The dist tag that a source RPM was made with, told from its spec and the release in its header. Pure.

A vendor's update may have another one than the target: `1.el6_6.3` where the target says `.el6`. Nothing of the spec
is run: what cannot be told from its text is not told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pipeline import release

_PREAMBLE_END = re.compile(r"^%(?:package|description|prep)\b", re.MULTILINE)
_RELEASE = re.compile(r"^Release[ \t]*:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_DEFINED = re.compile(r"%(?:global|define)[ \t]+(\w+)")
_USED = re.compile(r"%\{?[?!]*(\w+)")
_TAG = re.compile(r"(|\.[A-Za-z0-9_.+]+)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Stands for the dist tag in a release; no release can have it.
_MARK = "\x01"


def of_source(spec: str, made_release: str, macros: Mapping[str, str]) -> str | None:
    """The dist tag that gives a spec the release that its source RPM has; `None` where none does, or nobody can tell.

    `macros` are those of the target. Source: rpm's macros manual.
    """
    preamble = spec[: found.start()] if (found := _PREAMBLE_END.search(spec)) else spec
    lines = _RELEASE.findall(preamble)
    # The spec's own definitions go before those of the command line.
    if len(lines) != 1 or set(_USED.findall(lines[0])) & set(_DEFINED.findall(spec)):
        return None
    before, mark, after = release.substituted(lines[0], {**macros, "dist": _MARK}).partition(_MARK)
    if not mark or "%" in before + after or len(made_release) < len(before + after):
        return None
    tag = made_release[len(before) : len(made_release) - len(after)]
    return tag if f"{before}{tag}{after}" == made_release and _TAG.fullmatch(tag) else None


def setting(tags: Mapping[str, str]) -> str:
    """The line of a package's settings that says so; `tags` are by target."""
    said = (f"{name if _BARE_KEY.fullmatch(name) else json.dumps(name)} = {json.dumps(tags[name])}" for name in tags)
    return f"dist_tags = {{ {', '.join(said)} }}"
