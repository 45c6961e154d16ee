# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a client failed, in its own words, which package it names, and what mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.model import PublishedRpm

_SHOWN_LINES = 3
# What explains more than the line that begins with "Error". Source: dnf 4.14, yum 3.2.29, rpm 4.18 and 4.8.
_TELLING = re.compile(
    r"nothing provides|conflicts (between|with)|is not signed|Public key for|does not verify|signature|checksum"
    r"|No space left|more space|at least .* needed|Requires: |requires .*, but none|cannot install|No more mirrors",
    re.IGNORECASE,
)
_NOISE = re.compile(r"^\$ |^warning: |^\(try to add|^You could try|^\[Errno 2\] .*logfile| does not exist - using root")
_HEADS = ("error", "problem")
_BULLET = re.compile(r"^(- |\* |Problem( \d+)?: )")
_MENDS = (
    ("space", "free space where out/ lies, or work elsewhere with --out DIR, then run the same again"),
    ("signature", "sign packages and repodata with the key that hosts have, and publish both together"),
    ("Public key", "sign it with the key that hosts have, or give hosts the key that signed it"),
    ("not signed", "sign it with the key that hosts have"),
    ("does not verify", "the package was changed or cut short after it was built: build and sign it again"),
    ("checksum", "a file was changed after the repodata was made: make the repodata again from what was built"),
    ("conflicts", "two packages may not have one file with other contents: leave it to one of them in the spec"),
    ("nothing provides", "the set lacks what it requires: build the subpackage, or correct Requires in the spec"),
    ("No match", "the set does not have that package: publish all of it together"),
)
_OTHERWISE = "the log has all that the client said"


def reason(output: str) -> str:
    """The client's own reason, in at most three of its lines."""
    lines = [line.strip() for line in output.splitlines()]
    lines = [line for line in lines if line and not _NOISE.search(line)]
    heads = [index for index, line in enumerate(lines) if line.lower().startswith(_HEADS)]
    last = lines[heads[0] :] if heads else lines[-_SHOWN_LINES:]
    telling = [line for line in lines if _TELLING.search(line)]
    chosen = dict.fromkeys(_BULLET.sub("", line) for line in (telling or last))
    return "; ".join(list(chosen)[:_SHOWN_LINES]) or "it said nothing"


def package_in(text: str, rpms: Iterable[PublishedRpm]) -> str:
    """The package that a text names, the longest where one's name begins another's; empty if it names none."""
    found = [rpm for rpm in rpms if rpm.nevra in text or rpm.href.rpartition("/")[2] in text]
    found = found or [rpm for rpm in rpms if re.search(rf"(?<![\w.+-]){re.escape(rpm.name)}(?![\w+]|-[A-Za-z])", text)]
    return max((rpm.name for rpm in found), key=len, default="")


def mend(text: str) -> str:
    """What to do about a reason."""
    return next((hint for word, hint in _MENDS if word.lower() in text.lower()), _OTHERWISE)
