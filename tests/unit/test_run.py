# SPDX-License-Identifier: GPL-2.0-or-later
"""One invocation: which chains run behind a failure or ctrl-C, and what a job's outcome has of its records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace

import pytest

from pipeline import flow, slots, summary
from pipeline.chain import Chain
from pipeline.context import JobContext, TargetContext
from pipeline.errors import BuildError, NetworkError, UnitError, interrupted
from pipeline.flow import Stage
from pipeline.ledger import Found, Ledger
from pipeline.model import BinaryRelations, ContractReport, Evr, Job, Relations, StageOutcome
from pipeline.run import Run, TargetOutcome
from pipeline.stages.reserve import Foreseen

JOBS = tuple(Job(package=package, target=target) for target in ("demo", "el6") for package in ("vdsm", "other"))


class PlayedChain(Chain):
    """A chain whose stages do nothing, and end as is told beforehand by label and stage; it notes what was done."""

    ends: dict[str, BaseException]
    records_of: dict[str, dict[str, object]]
    done: list[str]

    def _do(self, stage: Stage, context: TargetContext) -> StageOutcome:
        self.done.append(f"{self._label} {stage.name}")
        error = self.ends.get(f"{self._label} {stage.name}")
        if error is not None:
            raise error
        self.records[stage.name] = self.records_of.get(self._label, {}).get(stage.name)
        return StageOutcome(stage=stage.name, result="ok")

    def holds(self, upto: Collection[str] | None = None) -> bool:
        self.run()
        return True  # the lock of a mirror is for what publishes

    def _take_what_holds(self, wanted: object, context: TargetContext) -> None:
        """Nothing does: what a plan finds is for plans."""

    def _inputs(self, stage: Stage, context: TargetContext) -> dict[str, str]:
        return {}

    def _foresee(self, stage: Stage) -> Found:
        return Found(record=self.records_of.get(self._label, {}).get(stage.name), reason="played")


@pytest.fixture(autouse=True)
def one_by_one() -> Iterator[None]:
    slots.allow(1)
    yield
    slots.allow(slots.fitting())


@pytest.fixture
def played(monkeypatch) -> type[PlayedChain]:
    chain: type[PlayedChain] = type("Chain", (PlayedChain,), {"ends": {}, "records_of": {}, "done": []})
    monkeypatch.setattr("pipeline.run.Chain", chain)
    monkeypatch.setattr("pipeline.order.keys.capabilities_of", lambda *_: ())
    for job in JOBS:
        chain.records_of[str(job)] = {"relations": relations(job.package)}
    return chain


def relations(package: str, *build_requires: str) -> Relations:
    makes = BinaryRelations(name=package, provides=(f"{package} = 1-1",))
    return Relations(packages=(makes,), build_requires=build_requires)


@pytest.fixture
def new_run(checkout_dir, settings, progress) -> Callable[..., Run]:
    packages = {name: settings.packages["vdsm"] for name in ("vdsm", "other", "third")}
    both = settings.model_copy(update={"packages": packages, "engine_override": "host"})
    return lambda last="publish": Run(settings=both, progress=progress, last_stage=last, attempt="attempt")


def labels(played: type[PlayedChain]) -> list[str]:
    """The chains that did something, in the order in which they did it, without what makes jobs ready."""
    ready = flow.needed_for("relations")
    return list(dict.fromkeys(label for label, _, stage in (each.partition(" ") for each in played.done)
                              if stage not in ready))  # fmt: skip


def results(outcome: TargetOutcome) -> dict[str, str]:
    return {row.stage: row.result for row in outcome.jobs[0].stages}


def test_all_jobs_run_before_the_repositories(new_run, played):
    outcomes = new_run().perform(JOBS)
    assert labels(played) == ["demo/vdsm", "demo/other", "el6/vdsm", "el6/other", "demo", "el6"]
    assert [outcome.error for outcome in outcomes] == [None, None]


def test_all_jobs_are_made_ready_before_any_of_them_takes_a_number(new_run, played):
    new_run().perform(JOBS)
    stages = [each.partition(" ")[2] for each in played.done]
    assert max(index for index, stage in enumerate(stages) if stage == "relations") < stages.index("reserve")


def test_a_failure_ends_the_run_and_no_repository_is_made(new_run, played, told):
    played.ends["demo/vdsm build"] = BuildError("broken", "it broke")
    first, second = new_run().perform(JOBS), None
    assert labels(played) == ["demo/vdsm"]
    (outcome,) = first
    assert second is None
    assert (outcome.error, outcome.failed_stage) == (played.ends["demo/vdsm build"], "build")
    assert [(row.stage, row.result, row.reason) for row in outcome.jobs[0].stages[-3:]] == [
        (stage, "skipped", "vdsm: build failed") for stage in ("repo", "verify", "publish")
    ]
    assert "demo/other  reserve to gate skipped    0.00 s  demo/vdsm failed" in told.getvalue()
    assert "demo  repo to publish skipped    0.00 s  vdsm: build failed" in told.getvalue()


def test_a_job_that_was_not_reached_has_its_stages_told(new_run, played):
    played.ends["demo/vdsm build"] = BuildError("broken", "it broke")
    (outcome,) = new_run().perform(JOBS)
    other = {row.stage: (row.result, row.reason) for row in outcome.jobs[1].stages}
    assert other["patch"][0] == "ok"
    assert other["build"] == ("skipped", "demo/vdsm failed")


def test_keep_going_does_the_other_jobs_and_targets(new_run, played):
    played.ends["demo/vdsm build"] = BuildError("broken", "it broke")
    played.ends["demo/other build"] = BuildError("broken", "it broke too")
    first, second = new_run().perform(JOBS, keep_going=True)
    assert labels(played) == ["demo/vdsm", "demo/other", "el6/vdsm", "el6/other", "el6"]
    assert first.error is played.ends["demo/vdsm build"]
    assert second.error is None


@pytest.mark.parametrize("keep_going", [False, True])
def test_ctrl_c_ends_the_run_whatever_else_there_is(new_run, played, keep_going):
    played.ends["demo/vdsm build"] = interrupted()
    outcomes = new_run().perform(JOBS, keep_going=keep_going)
    assert labels(played) == ["demo/vdsm"]
    assert outcomes[0].error.exit_code == 130
    assert {outcome.error.exit_code for outcome in outcomes} == {130}


def test_ctrl_c_behind_another_failure_ends_the_run_too(new_run, played):
    played.ends["demo/vdsm build"] = BuildError("broken", "it broke")
    played.ends["demo/other build"] = interrupted()
    outcome, *_ = new_run().perform(JOBS, keep_going=True)
    assert labels(played) == ["demo/vdsm", "demo/other"]
    assert outcome.error is played.ends["demo/other build"]


def test_ctrl_c_in_the_target_s_own_stages_ends_the_run(new_run, played):
    played.ends["demo repo"] = interrupted()
    (outcome,) = new_run().perform(JOBS, keep_going=True)
    assert labels(played)[-1] == "demo"
    assert outcome.error.exit_code == 130


def needing(played: type[PlayedChain], package: str, *needed: str) -> None:
    """Let a package of the demo target be built on others, which are there."""
    played.records_of.setdefault(f"demo/{package}", {})["relations"] = relations(package, *needed)


@pytest.fixture
def keyed(monkeypatch) -> list[object]:
    """What keys were asked for; each is a word of its own."""
    asked: list[object] = []

    def key_of(build: object, reservation: object, *_: object) -> str:
        asked.append((build, reservation))
        return f"key-{len(asked)}"

    monkeypatch.setattr("pipeline.order.keys.key_of", key_of)
    return asked


THREE = tuple(Job(package=package, target="demo") for package in ("vdsm", "other", "third"))


# What an outcome is told of.
PLAYED = {
    "fetch": SimpleNamespace(name="name", origin="somewhere"),
    "patch": SimpleNamespace(patches=()),
    "reserve": SimpleNamespace(evr="1-1"),
}


def build_order(played: type[PlayedChain]) -> list[str]:
    return [each for each in played.done if each.endswith(" build")]


def test_what_is_needed_is_built_first(new_run, played, keyed):
    needing(played, "vdsm", "other", "third")
    needing(played, "other", "third")
    needing(played, "third")
    outcome = new_run().perform(THREE)[0]
    assert build_order(played) == ["demo/third build", "demo/other build", "demo/vdsm build"]
    assert [job.needs for job in outcome.jobs] == [(THREE[1], THREE[2]), (THREE[2],), ()]


def test_a_job_is_given_what_it_is_built_on(new_run, played, keyed, monkeypatch):
    needing(played, "vdsm", "third")
    needing(played, "third")
    seen: dict[str, tuple[str, ...]] = {}
    do = played._do

    def watch(self: PlayedChain, stage: Stage, context: JobContext) -> StageOutcome:
        if stage.name == "reserve":
            seen[self._label] = tuple(f"{need.package} {need.build} {need.key}" for need in context.needs)
        played.records_of[self._label] |= {"build": f"build of {self._label}", "reserve": PLAYED["reserve"]}
        return do(self, stage, context)

    monkeypatch.setattr(played, "_do", watch)
    new_run("build").perform((THREE[0], THREE[2]))
    assert seen == {"demo/third": (), "demo/vdsm": ("third build of demo/third key-1",)}
    assert keyed == [("build of demo/third", PLAYED["reserve"])]


def test_a_failed_package_stops_what_needs_it_and_nothing_else(new_run, played, keyed):
    needing(played, "vdsm", "other")
    needing(played, "third")
    played.ends["demo/other unit"] = UnitError("red", "a test is red")
    (outcome,) = new_run().perform(THREE, keep_going=True)
    assert "demo/third gate" in played.done
    assert "demo/vdsm build" not in played.done
    assert [(job.job.package, job.because) for job in outcome.jobs] == [
        ("vdsm", THREE[1]), ("other", None), ("third", None)
    ]  # fmt: skip
    rows = {row.stage: (row.result, row.reason) for row in outcome.jobs[0].stages}
    assert rows["build"] == ("skipped", "it is built on demo/other, which failed")
    assert (outcome.error, outcome.failed_stage) == (played.ends["demo/other unit"], "unit")


def test_who_was_not_built_is_told_with_the_one_that_began_it(new_run, played, keyed):
    needing(played, "vdsm", "other")
    needing(played, "other", "third")
    needing(played, "third")
    played.ends["demo/third build"] = BuildError("broken", "it broke")
    (outcome,) = new_run().perform(THREE, keep_going=True)
    assert [job.because for job in outcome.jobs] == [THREE[2], THREE[2], None]


def test_every_failure_is_told_when_the_run_goes_on(new_run, played):
    played.ends["demo/vdsm build"] = BuildError("broken", "it broke")
    played.ends["demo/other unit"] = UnitError("red", "a test is red")
    (outcome,) = new_run().perform(JOBS[:2], keep_going=True)
    assert [(each.job, each.stage, each.error) for each in outcome.failures] == [
        (JOBS[0], "build", played.ends["demo/vdsm build"]), (JOBS[1], "unit", played.ends["demo/other unit"])
    ]  # fmt: skip


def test_a_package_that_was_never_built_here_is_what_others_ask_for_under_its_name(new_run, played):
    needing(played, "vdsm", "other-devel")
    (outcome,) = new_run().perform(THREE[:1])
    assert outcome.error.message == "demo/vdsm is built on demo/other, which is not built here"


def test_a_run_up_to_the_relations_tells_the_order(new_run, played):
    needing(played, "vdsm", "other")
    (outcome,) = new_run("relations").perform(THREE[:2])
    assert [job.needs for job in outcome.jobs] == [(THREE[1],), ()]


def test_a_cycle_fails_the_target_before_anything_takes_a_number(new_run, played):
    needing(played, "vdsm", "other")
    needing(played, "other", "vdsm")
    demo, el6 = new_run().perform(JOBS, keep_going=True)
    assert (demo.error.reference, demo.failed_stage) == ("cycle", "reserve")
    assert "other -> vdsm -> other" in demo.error.message
    assert not [each for each in played.done if each.startswith("demo/") and each.endswith("reserve")]
    assert el6.error is None


def test_what_is_needed_and_not_in_the_run_must_have_been_built(new_run, played, keyed, settings):
    needing(played, "vdsm", "other")
    Ledger(settings.out_path / "demo" / "other", settings.out_path).keep(
        "relations", relations("other"), {}, finished="then", seconds=0
    )
    (outcome,) = new_run().perform(THREE[:1])
    assert outcome.error.message == "demo/vdsm is built on demo/other, which is not built here"
    assert "nox -s build -- --target demo --package other --package vdsm" in outcome.error.hint
    assert outcome.failed_stage == "reserve"


def test_a_plan_tells_that_what_is_built_on_a_new_one_is_new(new_run, played, keyed, monkeypatch):
    needing(played, "vdsm", "other")
    for package in ("vdsm", "other"):
        known = {name: name for name in flow.STAGES if name != "relations"}
        played.records_of[f"demo/{package}"] |= known | PLAYED
    played.records_of["demo/other"]["build"] = None
    monkeypatch.setattr(Run, "_foreseen", lambda self, planned, chain: planned)
    first, second = (job.stages for job in new_run().plan(THREE[:2]))
    assert {row.stage: row.reason for row in first}["build"] == "other is made anew"
    assert {row.stage: row.reason for row in second}["build"] == "played"


def test_a_job_s_outcome_has_its_contracts(new_run, played):
    report = ContractReport(kept=("Rooms.a",), absent=())
    played.records_of["demo/vdsm"]["contracts"] = report
    (outcome,) = new_run("contracts").perform(JOBS[:2])
    assert [job.contracts for job in outcome.jobs] == [report, None]


VAIN = tuple(Evr(version="4.16.30", release=f"0.demo.label.{number}") for number in (904, 905))


@pytest.fixture
def foreseen(monkeypatch) -> list[object]:
    """What the reserve stage was asked to foresee the release of."""
    asked: list[object] = []

    def foresee(srpm: object, tree: object, image: object, **_: object) -> Foreseen:
        asked.append((srpm, tree, image))
        return Foreseen(next=VAIN[1], unpublished=VAIN[:1])

    monkeypatch.setattr("pipeline.stages.reserve.foresee", foresee)
    return asked


def test_a_plan_has_the_release_that_would_be_made(new_run, played, foreseen, make_srpm):
    srpm = make_srpm()
    played.records_of["demo/vdsm"] |= {"image": "image", "fetch": srpm}
    planned, without = new_run().plan(JOBS[:2])
    assert (planned.evr, without.evr) == ("4.16.30-0.demo.label.905", "")
    assert (planned.unpublished, without.unpublished) == (VAIN[:1], ())
    assert foreseen == [(srpm, None, "image")]


def test_a_plan_says_that_an_input_which_is_not_known_may_have_a_release(new_run, played, foreseen, make_srpm, told):
    run = new_run()
    for more, words in (
        ({}, "905, or the one that its input has\n"),
        ({"patch": SimpleNamespace(patches=())}, "905\n"),
    ):
        played.records_of["demo/vdsm"] |= {"image": "image", "fetch": make_srpm(), **more}
        summary.tell_plan(run.plan(JOBS[:1]), run.progress)
        assert told.getvalue().partition("the release would be 4.16.30-0.demo.label.")[2].startswith(words)
        told.seek(0)
        told.truncate()


def test_a_plan_looks_for_the_release_of_the_same_input_where_that_is_known(new_run, played, foreseen, make_srpm):
    tree = SimpleNamespace(patches=())
    played.records_of["demo/vdsm"] |= {"fetch": make_srpm(), "patch": tree, "image": "image"}
    new_run().plan(JOBS[:1])
    assert [asked[1:] for asked in foreseen] == [(tree, "image")]


def test_a_plan_is_told_though_the_remote_of_the_releases_is_away(new_run, played, monkeypatch, make_srpm, told):
    def foresee(*_: object, **__: object) -> Foreseen:
        raise NetworkError("releases-unreachable", "release numbers cannot be had")

    monkeypatch.setattr("pipeline.stages.reserve.foresee", foresee)
    played.records_of["demo/vdsm"] |= {"image": "image", "fetch": make_srpm()}
    (planned,) = new_run().plan(JOBS[:1])
    assert (planned.evr, planned.job) == ("", JOBS[0])
    assert "release numbers cannot be had, so which release it would be is not known" in told.getvalue()


def test_a_plan_that_makes_no_release_foresees_none(new_run, played, foreseen, make_srpm):
    played.records_of["demo/vdsm"] |= {"image": "image", "fetch": make_srpm()}
    assert new_run("unit").plan(JOBS[:1])[0].evr == ""
    assert foreseen == []


def test_the_wanted_stages_are_those_that_the_last_one_needs(new_run, played):
    (outcome,) = new_run("contracts").perform(JOBS[:1])
    names = [row.stage for row in outcome.jobs[0].stages]
    assert names == [name for name in flow.STAGES if name in flow.needed_for("contracts")]
    assert names == ["image", "fetch", "patch", "relations", "reserve", "render", "build", "contracts"]
