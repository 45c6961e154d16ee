# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a client failed, in its own words, which package it names, and what mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.model import PublishedRpm

_SHOWN_LINES = 3
# What explains more than the line that begins with "Error". Source: dnf 4.14, yum 3.2.29, rpm 4.18 and 4.8.
_TELLING = re.compile(
    r"nothing provides|conflicts (between|with)|is not signed|[Pp]ublic key|keys listed|does not verify|GPG signature"
    r"|checksum|Problem opening|No space left|disk is full|more space|Requires: |requires .*, but none"
    r"|Failing package|Package: |cannot install|No more mirrors|^No package |No match for"
)
_NOISE = re.compile(r"^\$ |^warning: |^\(try to add|^You could try| does not exist - using root|^From +:|^Userid +:")
_HEADS = ("error", "problem")
_BULLET = re.compile(r"^(- |\* |Problem( \d+)?: |Error: )")
_FREE_SPACE = "free space where out/ lies, or work elsewhere with --out DIR, then run the same again"
# The first whose word is in the reason.
_MENDS = (
    ("No space left", _FREE_SPACE),
    ("more space", _FREE_SPACE),
    ("disk is full", _FREE_SPACE),
    ("GPG signature", "sign repomd.xml anew with the key that hosts have, and publish it with its signature"),
    ("public key", "sign it with the key that hosts have, or give hosts the key that signed it"),
    ("keys listed", "sign it with the key that hosts have, or give hosts the key that signed it"),
    ("not signed", "sign it with the key that hosts have"),
    ("Problem opening", "the package was changed or cut short after it was built: build and sign it again"),
    ("does not verify", "the package was changed or cut short after it was built: build and sign it again"),
    ("GPG check", "sign it with the key that hosts have, or give hosts the key that signed it"),
    ("checksum", "a file was changed after the repodata was made: make the repodata again from what was built"),
    (
        "conflicts between",
        "two packages may not have one file with other contents: leave it to one of them in the spec",
    ),
    ("conflicts with", "hosts have both packages: correct Conflicts in the spec, or let one obsolete the other"),
    ("stays installed", "build every package of the vendor's set, or let one of ours obsolete it"),
    ("rpm's order is", "hosts go by rpm's order alone: give our release one that is higher than the vendor's"),
    ("nothing provides", "the set lacks what it requires: build the subpackage, or correct Requires in the spec"),
    ("but none", "build every package of the vendor's set, or correct Requires in the spec"),
    ("No package", "the metadata does not name it: make the repodata of all that is published"),
    ("differs from its package", "two packages have the file, or a file is made in another way than it is packaged"),
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
    lowered = text.lower()
    return next((hint for word, hint in _MENDS if word.lower() in lowered), _OTHERWISE)
