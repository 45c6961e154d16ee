# SPDX-License-Identifier: GPL-2.0-or-later
"""One invocation: which chains run behind a failure or ctrl-C, and what a job's outcome has of its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace

import pytest

from pipeline import flow
from pipeline.context import TargetContext
from pipeline.errors import BuildError, NetworkError, PipelineError, interrupted
from pipeline.flow import Stage
from pipeline.model import ContractReport, Evr, Job, StageOutcome
from pipeline.run import Run
from pipeline.stages.reserve import Foreseen

JOBS = tuple(Job(package=package, target=target) for target in ("demo", "el6") for package in ("vdsm", "other"))


class PlayedChain:
    """A chain whose end is told beforehand by its label; it notes how it was run."""

    ends: dict[str, PipelineError]
    records_of: dict[str, dict[str, object]]
    ran: list[tuple[str, bool]]

    def __init__(self, label: str, context: TargetContext, stages: Iterable[Stage], **records: object) -> None:
        self._label = label
        self._stages = tuple(stages)
        self.records = {**records, **self.records_of.get(label, {})}
        self.outcomes: list[StageOutcome] = []
        self.error: PipelineError | None = None
        self.failed_stage = ""

    def run(self, *, keep_going: bool = False) -> None:
        self.ran.append((self._label, keep_going))
        self.error = self.ends.get(self._label)
        self.failed_stage = "build" if self.error else ""
        result = "failed" if self.error else "ok"
        self.outcomes = [StageOutcome(stage=stage.name, result=result) for stage in self._stages]

    def holds(self) -> bool:
        self.run()
        return True  # the lock of a mirror is for what publishes

    def plan(self, reason: str = "") -> str:
        self.outcomes = [StageOutcome(stage=stage.name, result="run", reason=reason) for stage in self._stages]
        return reason


@pytest.fixture
def played(monkeypatch) -> type[PlayedChain]:
    chain = type("Chain", (PlayedChain,), {"ends": {}, "records_of": {}, "ran": []})
    monkeypatch.setattr("pipeline.run.Chain", chain)
    return chain


@pytest.fixture
def new_run(checkout_dir, settings, progress) -> Callable[..., Run]:
    packages = {**settings.packages, "other": settings.packages["vdsm"]}
    both = settings.model_copy(update={"packages": packages, "engine_override": "host"})
    return lambda last="publish": Run(settings=both, progress=progress, last_stage=last, attempt="attempt")


def labels(played: type[PlayedChain]) -> list[str]:
    return [label for label, _ in played.ran]


def test_all_jobs_of_a_target_run_before_its_repository(new_run, played):
    outcomes = new_run().perform(JOBS)
    assert labels(played) == ["demo/vdsm", "demo/other", "demo", "el6/vdsm", "el6/other", "el6"]
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {keep_going for _, keep_going in played.ran} == {False}


def test_a_failure_ends_the_run_and_its_repository_is_skipped(new_run, played, told):
    played.ends["demo/vdsm"] = BuildError("broken", "it broke")
    (outcome,) = new_run().perform(JOBS)
    assert labels(played) == ["demo/vdsm"]
    assert (outcome.error, outcome.failed_stage) == (played.ends["demo/vdsm"], "build")
    assert [(row.stage, row.result, row.reason) for row in outcome.jobs[0].stages[-3:]] == [
        (stage, "skipped", "build failed") for stage in ("repo", "verify", "publish")
    ]
    assert [line.split()[:3] for line in told.getvalue().splitlines()] == [
        ["demo", stage, "skipped"] for stage in ("repo", "verify", "publish")
    ]


def test_keep_going_does_the_other_jobs_and_targets(new_run, played):
    played.ends["demo/vdsm"] = BuildError("broken", "it broke")
    played.ends["demo/other"] = BuildError("broken", "it broke too")
    first, second = new_run().perform(JOBS, keep_going=True)
    assert played.ran == [
        ("demo/vdsm", True), ("demo/other", True), ("el6/vdsm", True), ("el6/other", True), ("el6", False)
    ]  # fmt: skip
    assert first.error is played.ends["demo/vdsm"]
    assert second.error is None


@pytest.mark.parametrize("keep_going", [False, True])
def test_ctrl_c_ends_the_run_whatever_else_there_is(new_run, played, keep_going):
    played.ends["demo/vdsm"] = interrupted()
    (outcome,) = new_run().perform(JOBS, keep_going=keep_going)
    assert labels(played) == ["demo/vdsm"]
    assert outcome.error.exit_code == 130


def test_ctrl_c_behind_another_failure_ends_the_run_too(new_run, played):
    played.ends["demo/vdsm"] = BuildError("broken", "it broke")
    played.ends["demo/other"] = interrupted()
    (outcome,) = new_run().perform(JOBS, keep_going=True)
    assert labels(played) == ["demo/vdsm", "demo/other"]
    assert outcome.error is played.ends["demo/other"]


def test_a_failure_behind_ctrl_c_s_place_does_not_take_it(new_run, played):
    played.ends["el6/vdsm"] = interrupted()
    first, second = new_run().perform(JOBS, keep_going=True)
    assert labels(played) == ["demo/vdsm", "demo/other", "demo", "el6/vdsm"]
    assert (first.error, second.error.exit_code) == (None, 130)


def test_ctrl_c_in_the_target_s_own_stages_ends_the_run(new_run, played):
    played.ends["demo"] = interrupted()
    (outcome,) = new_run().perform(JOBS, keep_going=True)
    assert labels(played) == ["demo/vdsm", "demo/other", "demo"]
    assert outcome.error.exit_code == 130


def test_a_job_s_outcome_has_its_contracts(new_run, played):
    report = ContractReport(kept=("Rooms.a",), absent=())
    played.records_of["demo/vdsm"] = {"contracts": report}
    (outcome,) = new_run("contracts").perform(JOBS[:2])
    assert [job.contracts for job in outcome.jobs] == [report, None]


VAIN = tuple(Evr(version="4.16.30", release=f"0.demo.label.{number}") for number in (904, 905))


@pytest.fixture
def foreseen(monkeypatch) -> list[object]:
    """What the reserve stage was asked to foresee the release of."""
    asked: list[object] = []

    def foresee(srpm: object, tree: object, image: object, *, context: object) -> Foreseen:
        asked.append((srpm, tree, image))
        return Foreseen(next=VAIN[1], unpublished=VAIN[:1])

    monkeypatch.setattr("pipeline.stages.reserve.foresee", foresee)
    return asked


def test_a_plan_has_the_release_that_would_be_made(new_run, played, foreseen, make_srpm):
    srpm = make_srpm()
    played.records_of["demo/vdsm"] = {"fetch": srpm}
    planned, without = new_run().plan(JOBS[:2])
    assert (planned.evr, without.evr) == ("4.16.30-0.demo.label.905", "")
    assert (planned.unpublished, without.unpublished) == (VAIN[:1], ())
    assert foreseen == [(srpm, None, None)]


def test_a_plan_looks_for_the_release_of_the_same_input_where_that_is_known(new_run, played, foreseen, make_srpm):
    tree = SimpleNamespace(patches=())
    played.records_of["demo/vdsm"] = {"fetch": make_srpm(), "patch": tree, "image": "image"}
    new_run().plan(JOBS[:1])
    assert [asked[1:] for asked in foreseen] == [(tree, "image")]


def test_a_plan_is_told_though_the_remote_of_the_releases_is_away(new_run, played, monkeypatch, make_srpm, told):
    def foresee(*_: object, **__: object) -> Foreseen:
        raise NetworkError("releases-unreachable", "release numbers cannot be had")

    monkeypatch.setattr("pipeline.stages.reserve.foresee", foresee)
    played.records_of["demo/vdsm"] = {"fetch": make_srpm()}
    (planned,) = new_run().plan(JOBS[:1])
    assert (planned.evr, planned.job) == ("", JOBS[0])
    assert "release numbers cannot be had, so which release it would be is not known" in told.getvalue()


def test_a_plan_that_makes_no_release_foresees_none(new_run, played, foreseen, make_srpm):
    played.records_of["demo/vdsm"] = {"fetch": make_srpm()}
    assert new_run("unit").plan(JOBS[:1])[0].evr == ""
    assert foreseen == []


def test_the_wanted_stages_are_those_that_the_last_one_needs(new_run, played):
    (outcome,) = new_run("contracts").perform(JOBS[:1])
    names = [row.stage for row in outcome.jobs[0].stages]
    assert names == [name for name in flow.STAGES if name in flow.needed_for("contracts")]
    assert names == ["image", "fetch", "patch", "relations", "reserve", "render", "build", "contracts"]
