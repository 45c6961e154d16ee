# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a job was done again, in one sentence."""

from __future__ import annotations

import pytest

from pipeline.flow import JOB_STAGES
from pipeline.model import StageOutcome
from pipeline.reasons import reason

EVR = "4.16.30-0.el6.label.904"
STAGES = [stage.name for stage in JOB_STAGES]


def outcomes(word: str = "run", **reasons: str) -> list[StageOutcome]:
    """Every stage of a job: done for its reason, cached without one."""
    return [
        StageOutcome(stage=name, result=word, reason=reasons[name])
        if name in reasons
        else StageOutcome(stage=name, result="cached", reason="nothing changed", finished=f"when {name} was made")
        for name in STAGES
    ]


def test_an_unchanged_release_is_told_with_its_release_and_when_it_was_built():
    assert reason(outcomes(), EVR) == "nothing changed since 0.el6.label.904 (built when build was made)"


def test_what_was_not_built_is_told_by_its_last_stage():
    rows = [row for row in outcomes() if row.stage in ("image", "fetch")]
    assert reason(rows, "") == "nothing changed since when fetch was made"


@pytest.mark.parametrize("word", ["run", "ok"])
def test_what_changed_is_told_without_what_follows_from_it(word):
    rows = outcomes(word, image="digest changed from a to b", fetch="image changed", patch="fetch changed",
                    build="render changed", reserve="patch changed")  # fmt: skip
    assert reason(rows, EVR) == "rebuilding: digest changed from a to b"


def test_two_causes_are_both_told_and_the_same_one_once():
    rows = outcomes(patch="patches/vdsm/0003-x.patch changed", baseline="macros changed", fetch="macros changed")
    assert reason(rows, EVR) == "rebuilding: macros changed"
    rows = outcomes(patch="patches/vdsm/0003-x.patch changed", baseline="macros changed")
    assert reason(rows, EVR) == "rebuilding: patches/vdsm/0003-x.patch changed, macros changed"


def test_a_change_that_makes_no_package_is_no_rebuild():
    assert reason(outcomes(lint="specs/vdsm/rpmlint.toml changed"), EVR) == (
        "checking again: specs/vdsm/rpmlint.toml changed"
    )


def test_a_first_run_is_told_as_one():
    assert reason(outcomes(**dict.fromkeys(STAGES, "not done before")), EVR) == "not done before"


def test_a_failure_is_no_reason():
    rows = [*outcomes()[:3], StageOutcome(stage="reserve", result="failed", reason="the remote is away")]
    assert reason(rows, "") == ""


def test_nothing_looked_at_is_nothing_said():
    assert reason([], "") == ""
    assert reason([StageOutcome(stage="image", result="skipped", reason="interrupted")], "") == ""
