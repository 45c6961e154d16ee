# SPDX-License-Identifier: GPL-2.0-or-later
"""Something that must not enter a repository, and what is told of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import GateError


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One reason to refuse: `reference` is its kind, `message` names the thing and why, `mend` what to do."""

    reference: str
    message: str
    mend: str


def refusal(problems: Sequence[Problem]) -> GateError:
    """The error for these problems, of which there is one at least: the first, and how many more there are."""
    first = problems[0]
    more = len(problems) - 1
    others = f" ({more} other problem{'s' if more > 1 else ''} in the log)" if more else ""
    return GateError(first.reference, f"{first.message}{others}", hint=first.mend)


def told(problems: Sequence[Problem]) -> str:
    """All of them, a line each, with what mends them."""
    return "".join(f"refused: {each.message}\n    {each.mend}\n" for each in problems)


def refuse(problems: Sequence[Problem], log_path: Path) -> None:
    """Raises: GateError for the first, after all are in the log."""
    if not problems:
        return
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a", encoding="utf-8") as log:
        log.write(told(problems))
    error = refusal(problems)
    error.log_path = log_path
    raise error
