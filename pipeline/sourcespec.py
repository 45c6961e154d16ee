# SPDX-License-Identifier: GPL-2.0-or-later
"""How a source is written, in `pipeline.toml` and behind `--source`. Pure."""

from __future__ import annotations

import re

from pipeline.model import Source

SOURCE_FORMS = "srpm:PATH-or-URL, yum:URL, git:REPO@TAG or demo"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_source(text: str) -> Source:
    """The source that `text` names; the form is the one of `--source`.

    Raises: ValueError with the forms that exist.
    """
    kind, _, location = text.partition(":")
    if kind == "demo":
        return Source(kind="demo", location=location)
    if kind == "srpm" and location.partition("#")[0]:
        location, _, pin = location.partition("#sha256=")
        return Source(kind="srpm", location=location, sha256=sha256_digits(pin) if pin else "")
    if kind == "yum" and "://" in location:
        return Source(kind="yum", location=location)
    repository, at, tag = location.rpartition("@")
    if kind == "git" and at and repository and tag and not tag.startswith("-"):
        return Source(kind="git", location=repository, tag=tag)
    if kind == "git" and location and not at:
        raise ValueError(f"'{text}' is no source: @TAG is missing; write git:{location}@TAG")
    raise ValueError(f"'{text}' is no source; write {SOURCE_FORMS}")


def sha256_digits(text: str) -> str:
    """The text, if it is a sha256. Raises: ValueError."""
    if not _SHA256.fullmatch(text):
        raise ValueError(f"'{text}' is no sha256: write 64 lower-case hexadecimal digits")
    return text
