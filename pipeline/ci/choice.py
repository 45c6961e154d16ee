# SPDX-License-Identifier: GPL-2.0-or-later
"""The marks of the CI that was recognised."""

from __future__ import annotations

from pipeline.ci.github import GithubMarks
from pipeline.ci.gitlab import GitlabMarks
from pipeline.ci.marks import Marks
from pipeline.settingtables import CiSettings


def marks_of(ci: CiSettings) -> Marks:
    """What lines become there. Jenkins shows them as they are."""
    if ci.name == "github":
        return GithubMarks()
    return GitlabMarks() if ci.name == "gitlab" else Marks()
