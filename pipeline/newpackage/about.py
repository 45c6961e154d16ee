# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a new package once its source was looked at; nothing of it is used before that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Dist = Literal["", "make", "archive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """Name and version, and what pins them: digests by file name, commits by tag.

    `dist` says how a tarball comes about where the source is a tag of git, and is empty for others; `dist_prepare` are
    the words of the command before `make dist`. `dist_tags` are by target, where a source RPM was made with another one
    than the target's. A spec that `unpacks_by_itself` has %autosetup.
    """

    name: str
    version: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    git_commits: Mapping[str, str] = field(default_factory=dict)
    dist: Dist = ""
    dist_prepare: tuple[str, ...] = ()
    dist_tags: Mapping[str, str] = field(default_factory=dict)
    unpacks_by_itself: bool = False
