# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with metadata, within these rooms and as it is told."""

from __future__ import annotations

from pipeline.errors import PublishError

_REMAKE = "remake its repodata with `createrepo_c --checksum sha256 --general-compress-type gz`"


class Damaged(ValueError):
    """The metadata cannot be believed; the text says why, in a few words."""


class NotPlain(ValueError):
    """It may be right, and is written in a way that only a whole XML parser understands."""


def unreadable(place: str, why: object) -> PublishError:
    return PublishError(
        "repodata-unreadable",
        f"the repository {place} is not whole: {why}",
        hint=f"if somebody is just publishing to it, run the same again; else {_REMAKE}",
    )
