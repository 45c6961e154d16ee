# SPDX-License-Identifier: GPL-2.0-or-later
"""GitLab CI, whose log has sections and colours, and no annotations.

Source: GitLab's "Job logs", custom collapsible sections. Text cannot open one: it takes an escape character.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import ClassVar

from pipeline.ci.marks import Marks

_RED = "\x1b[31;1m"
_YELLOW = "\x1b[33m"
_PLAIN = "\x1b[0m"
_CLEAR = "\x1b[0K"


class GitlabMarks(Marks):
    """Sections, each with a name of its own, and coloured lines."""

    is_ci: ClassVar[bool] = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._count = 0
        self._name = ""

    def opened(self, title: str) -> str:
        self._count += 1
        self._name = f"{re.sub('[^A-Za-z0-9_.-]', '_', title)[:60]}_{self._count}"
        return f"{_CLEAR}section_start:{self._clock():.0f}:{self._name}[collapsed=true]\r{_CLEAR}{title}"

    def closed(self) -> str:
        return f"{_CLEAR}section_end:{self._clock():.0f}:{self._name}\r{_CLEAR}"

    def error(self, title: str, message: str) -> str:
        first, *rest = (f"error: {title}: {message}" if title else f"error: {message}").split("\n")
        return "\n".join((f"{_RED}{first}{_PLAIN}", *rest))

    def warning(self, text: str) -> str:
        return f"{_YELLOW}warning: {text}{_PLAIN}"
