# SPDX-License-Identifier: GPL-2.0-or-later
"""Stages one behind the other, each played by an object with `inputs` and `run`."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from pipeline import command, parallel, slots
from pipeline.chain import Chain
from pipeline.context import JobContext
from pipeline.errors import (
    BuildError,
    CommandFailed,
    CommandTimedOut,
    Interrupted,
    LintError,
    PatchError,
    PipelineError,
    PublishError,
)
from pipeline.flow import Stage
from pipeline.model import Evr

STAGES = (
    Stage(name="alpha", record=Evr, error=PatchError),
    Stage(name="beta", needs=("alpha",), record=Evr, error=BuildError),
    Stage(name="gamma", needs=("alpha", "beta"), record=Evr, error=LintError),
)


@dataclass(kw_only=True)
class Played:
    """What a stage's module has; it notes its calls."""

    name: str
    calls: list[str]
    own_inputs: dict[str, str] = field(default_factory=lambda: {"setting": "1"})
    failure: BaseException | None = None
    release: str = "1"
    behind: Callable[[], None] = lambda: None

    def inputs(self, *given: Evr, context: JobContext) -> dict[str, str]:
        return dict(self.own_inputs)

    def run(self, *given: Evr, context: JobContext) -> Evr:
        self.calls.append(f"{self.name}({', '.join(str(record) for record in given)})")
        assert context.log_path.name == f"{self.name}.log"
        if self.failure is not None:
            raise self.failure
        self.behind()
        return Evr(version=self.name, release=self.release)


@pytest.fixture(autouse=True)
def one_by_one() -> Iterator[None]:
    """Most of what a chain does shows best when its stages do not run side by side."""
    slots.allow(1)
    yield
    slots.allow(slots.fitting())


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def played(calls, monkeypatch) -> dict[str, Played]:
    """The stages' modules by name."""
    names = ("alpha", "beta", "gamma", "delta", "omega", "zeta")
    modules = {name: Played(name=name, calls=calls) for name in names}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"pipeline.stages.{name}", module)
    return modules


@pytest.fixture
def new_chain(make_context, played) -> Callable[..., Chain]:
    return lambda stages=STAGES: Chain("demo/vdsm", make_context(), stages)


@pytest.fixture
def run(new_chain) -> Callable[..., Chain]:
    def run_chain(stages=STAGES) -> Chain:
        chain = new_chain(stages)
        chain.run()
        return chain

    return run_chain


def results(chain: Chain) -> list[str]:
    return [f"{outcome.stage} {outcome.result}" for outcome in chain.outcomes]


def reasons(chain: Chain) -> list[str]:
    return [outcome.reason for outcome in chain.outcomes]


def test_every_stage_is_given_the_records_that_it_needs_in_order(run, calls):
    chain = run()
    assert calls == ["alpha()", "beta(alpha-1)", "gamma(alpha-1, beta-1)"]
    assert results(chain) == ["alpha ok", "beta ok", "gamma ok"]
    assert reasons(chain) == ["not done before"] * 3
    assert chain.error is None
    assert chain.records["gamma"] == Evr(version="gamma", release="1")


def test_what_changes_while_a_stage_is_at_work_is_told_and_nothing_of_it_is_kept(run, played, calls):
    played["beta"].behind = lambda: played["beta"].own_inputs.update(setting="2")
    chain = run()
    assert results(chain) == ["alpha ok", "beta failed", "gamma skipped"]
    assert isinstance(chain.error, BuildError)
    assert chain.error.message == "beta was at work when its input changed: setting changed from 1 to 2"
    played["beta"].behind = lambda: None
    played["beta"].own_inputs.update(setting="1")
    assert results(run()) == ["alpha cached", "beta ok", "gamma ok"]
    assert calls == ["alpha()", "beta(alpha-1)", "beta(alpha-1)", "gamma(alpha-1, beta-1)"]


def test_every_stage_is_told_with_its_time(run, told):
    chain = run()
    assert all(0 <= outcome.seconds < 5 for outcome in chain.outcomes)
    assert [line.split()[:3] for line in told.getvalue().splitlines()] == [
        ["demo/vdsm", name, "ok"] for name in ("alpha", "beta", "gamma")
    ]


def test_a_second_run_takes_every_record_from_the_ledger(run, calls):
    first = run()
    calls.clear()
    second = run()
    assert calls == []
    assert results(second) == ["alpha cached", "beta cached", "gamma cached"]
    assert all(reason.startswith("nothing changed since 2") for reason in reasons(second))
    assert second.records == first.records


def test_a_changed_input_does_its_stage_again_and_the_others_only_if_the_record_changed(run, calls, played):
    run()
    calls.clear()
    played["alpha"].own_inputs = {"setting": "2"}
    assert reasons(run())[0] == "setting changed from 1 to 2"
    assert calls == ["alpha()"]

    calls.clear()
    played["alpha"].own_inputs = {"setting": "3"}
    played["alpha"].release = "2"
    chain = run()
    assert calls == ["alpha()", "beta(alpha-2)", "gamma(alpha-2, beta-1)"]
    assert reasons(chain)[1:] == ["alpha changed", "alpha changed"]


def test_a_stage_of_another_version_is_done_again(run, calls):
    run()
    calls.clear()
    newer = (STAGES[0], Stage(name="beta", needs=("alpha",), record=Evr, error=BuildError, version=2), STAGES[2])
    assert reasons(run(newer))[1] == "stage version changed from 1 to 2"
    assert calls == ["beta(alpha-1)"]


def test_behind_a_failure_the_rest_is_skipped(run, calls, played):
    played["beta"].failure = BuildError("broken", "it broke", hint="mend it")
    chain = run()
    assert results(chain) == ["alpha ok", "beta failed", "gamma skipped"]
    assert reasons(chain)[1:] == ["it broke", "beta failed"]
    assert chain.error is played["beta"].failure
    assert chain.failed_stage == "beta"
    assert calls == ["alpha()", "beta(alpha-1)"]
    assert "gamma" not in chain.records


def test_a_run_after_a_failure_goes_on_from_the_last_finished_stage(run, calls, played):
    played["beta"].failure = BuildError("broken", "it broke")
    run()
    played["beta"].failure = None
    calls.clear()
    assert results(run()) == ["alpha cached", "beta ok", "gamma ok"]
    assert calls == ["beta(alpha-1)", "gamma(alpha-1, beta-1)"]


def failed(chain: Chain) -> PipelineError:
    assert chain.error is not None
    return chain.error


def test_an_input_output_error_becomes_the_stage_s_own(run, played):
    played["beta"].failure = OSError(28, "No space left on device", "/out/a file")
    error = failed(run())
    assert type(error) is BuildError
    assert (error.reference, error.message) == ("input-output", "No space left on device at /out/a file")
    assert error.log_path.name == "beta.log"
    assert "nothing half-made is taken for done" in error.hint


def test_an_input_output_error_while_the_inputs_are_read_is_told_the_same(run, played, monkeypatch):
    def fail(*given: Evr, context: JobContext) -> dict[str, str]:
        raise FileNotFoundError(2, "No such file or directory", "series")

    monkeypatch.setattr(played["alpha"], "inputs", fail)
    error = failed(run())
    assert type(error) is PatchError
    assert error.message == "No such file or directory at series"


def test_an_input_output_error_without_a_file_is_told(run, played):
    played["gamma"].failure = OSError("odd")
    assert (type(failed(run())), failed(run()).message) == (LintError, "odd")


def test_a_failed_command_becomes_the_stage_s_own_error(run, played, tmp_path):
    played["gamma"].failure = CommandFailed(
        "command-failed", "tool ended with exit code 1: why", command_exit_code=1, log_path=tmp_path / "tool.log",
        reproduce="tool --now",
    )  # fmt: skip
    error = failed(run())
    assert type(error) is LintError
    assert (error.message, error.reproduce) == ("tool ended with exit code 1: why", "tool --now")
    assert error.log_path == tmp_path / "tool.log"
    assert error.hint == "the log has the command's own words"


@pytest.mark.parametrize("error", [CommandTimedOut("time-limit", "too long"), PublishError("x", "y")])
def test_other_errors_stay_what_they_are(run, played, error):
    played["alpha"].failure = error
    assert failed(run()) is error


def test_ctrl_c_is_the_stage_s_failure_and_the_rest_is_skipped(run, calls, played, told):
    played["beta"].failure = KeyboardInterrupt()
    chain = run()
    assert results(chain) == ["alpha ok", "beta failed", "gamma skipped"]
    assert reasons(chain)[1:] == [
        "interrupted; what ran was ended, and nothing half-made was taken for done", "interrupted"
    ]  # fmt: skip
    assert (type(chain.error), chain.error.exit_code, chain.failed_stage) == (Interrupted, 130, "beta")
    assert chain.error.__traceback__ is not None
    assert [line.split()[1:3] for line in told.getvalue().splitlines()] == [
        ["alpha", "ok"], ["beta", "failed"], ["gamma", "skipped"]
    ]  # fmt: skip
    played["beta"].failure = None
    calls.clear()
    assert results(run()) == ["alpha cached", "beta ok", "gamma ok"]
    assert calls == ["beta(alpha-1)", "gamma(alpha-1, beta-1)"]


def test_ctrl_c_while_the_inputs_are_read_is_the_same(run, played, monkeypatch):
    def interrupt(*given: Evr, context: JobContext) -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(played["alpha"], "inputs", interrupt)
    chain = run()
    assert results(chain) == ["alpha failed", "beta skipped", "gamma skipped"]
    assert type(chain.error) is Interrupted


# Two lines of stages that do not need each other, and one that waits for a proof.
BRANCHES = (
    Stage(name="alpha", record=Evr, error=PatchError),
    Stage(name="beta", needs=("alpha",), record=Evr, error=BuildError),
    Stage(name="gamma", record=Evr, error=LintError),
    Stage(name="delta", needs=("gamma",), record=Evr, error=LintError),
    Stage(name="omega", needs=("gamma",), gates=("beta",), record=Evr, error=PublishError),
)


def test_a_failure_stops_all_that_is_behind_it(run, played):
    played["alpha"].failure = PatchError("broken", "it broke")
    chain = run(BRANCHES)
    assert results(chain) == ["alpha failed", "beta skipped", "gamma skipped", "delta skipped", "omega skipped"]
    assert reasons(chain)[1:] == ["alpha failed"] * 4


def test_keep_going_does_what_needs_no_failed_stage(new_chain, played, calls):
    played["alpha"].failure = PatchError("broken", "it broke")
    chain = new_chain(BRANCHES)
    chain.run(keep_going=True)
    assert results(chain) == ["alpha failed", "beta skipped", "gamma ok", "delta ok", "omega skipped"]
    assert reasons(chain)[1] == "it needs alpha"
    assert reasons(chain)[4] == "it needs beta"
    assert calls == ["alpha()", "gamma()", "delta(gamma-1)"]
    assert (chain.error, chain.failed_stage) == (played["alpha"].failure, "alpha")


def test_keep_going_tells_the_first_of_several_failures(new_chain, played):
    played["alpha"].failure = PatchError("broken", "it broke")
    played["gamma"].failure = LintError("broken", "it broke too")
    chain = new_chain(BRANCHES)
    chain.run(keep_going=True)
    assert results(chain) == ["alpha failed", "beta skipped", "gamma failed", "delta skipped", "omega skipped"]
    assert reasons(chain)[2] == "it broke too"
    assert (chain.error, chain.failed_stage) == (played["alpha"].failure, "alpha")


def test_ctrl_c_stops_even_what_keeps_going(new_chain, played, calls):
    played["alpha"].failure = KeyboardInterrupt()
    chain = new_chain(BRANCHES)
    chain.run(keep_going=True)
    assert results(chain) == ["alpha failed", "beta skipped", "gamma skipped", "delta skipped", "omega skipped"]
    assert calls == ["alpha()"]


def test_ctrl_c_behind_another_failure_stops_what_keeps_going(new_chain, played, calls):
    played["alpha"].failure = PatchError("broken", "it broke")
    played["gamma"].failure = KeyboardInterrupt()
    stages = (*BRANCHES, Stage(name="zeta", record=Evr, error=LintError))
    chain = new_chain(stages)
    chain.run(keep_going=True)
    assert results(chain)[2:] == ["gamma failed", "delta skipped", "omega skipped", "zeta skipped"]
    assert reasons(chain)[3:] == ["interrupted"] * 3
    assert (type(chain.error), chain.failed_stage) == (Interrupted, "gamma")
    assert calls == ["alpha()", "gamma()"]


def test_a_record_that_cannot_be_kept_is_a_failure_of_its_stage(run, settings):
    (settings.out_path / "demo" / "vdsm").mkdir(parents=True)
    (settings.out_path / "demo" / "vdsm" / "ledger").write_text("a file is in the way")
    chain = run()
    assert results(chain) == ["alpha failed", "beta skipped", "gamma skipped"]
    assert chain.error.message.startswith("Not a directory at ") or chain.error.message.startswith("File exists at ")


def test_a_stage_that_changes_its_inputs_is_kept_under_what_they_are_after(run, calls, played):
    def build_image() -> None:
        played["alpha"].own_inputs = {"image": "made"}

    stages = (Stage(name="alpha", record=Evr, error=PatchError, changes_its_inputs=True),)
    played["alpha"].own_inputs = {"image": "nothing"}
    played["alpha"].behind = build_image
    run(stages)
    assert results(run(stages)) == ["alpha cached"]
    played["alpha"].own_inputs = {"image": "nothing"}
    assert reasons(run(stages)) == ["image changed from made to nothing"]


def test_a_plan_of_a_first_run_runs_all_and_does_nothing(new_chain, calls, settings):
    chain = new_chain()
    assert chain.plan() == "alpha is made anew"
    assert results(chain) == ["alpha run", "beta run", "gamma run"]
    assert reasons(chain) == ["not done before", "alpha is made anew", "alpha, beta is made anew"]
    assert calls == []
    assert not settings.out_path.exists()


def test_a_plan_with_nothing_changed_runs_nothing_and_has_the_records(new_chain, run):
    first = run()
    chain = new_chain()
    assert chain.plan() == ""
    assert results(chain) == ["alpha cached", "beta cached", "gamma cached"]
    assert chain.records == first.records


def test_a_plan_tells_where_it_begins_and_why(new_chain, run, played):
    run()
    played["beta"].own_inputs = {"setting": "2"}
    chain = new_chain()
    assert chain.plan() == "beta is made anew"
    assert results(chain) == ["alpha cached", "beta run", "gamma run"]
    assert reasons(chain)[1:] == ["setting changed from 1 to 2", "beta is made anew"]


def test_a_plan_behind_one_that_runs_runs_all(new_chain, run):
    run()
    chain = new_chain()
    assert chain.plan("build is made anew") == "build is made anew"
    assert reasons(chain) == ["build is made anew"] * 3


def test_a_plan_looks_up_a_stage_whose_needs_hold_though_another_one_runs_anew(new_chain, run, played, calls):
    run(BRANCHES)
    calls.clear()
    played["alpha"].own_inputs = {"setting": "2"}
    chain = new_chain(BRANCHES)
    assert chain.plan() == "alpha is made anew"
    assert results(chain) == ["alpha run", "beta run", "gamma cached", "delta cached", "omega cached"]
    assert reasons(chain)[:2] == ["setting changed from 1 to 2", "alpha is made anew"]
    assert sorted(chain.records) == ["delta", "gamma", "omega"]
    assert calls == []


def test_a_plan_has_its_own_reason_for_each_stage_that_runs(new_chain, run, played):
    run(BRANCHES)
    played["beta"].own_inputs = {"setting": "2"}
    played["delta"].own_inputs = {"setting": "3"}
    chain = new_chain(BRANCHES)
    assert chain.plan() == "beta is made anew"
    assert [reason for reason in reasons(chain) if "changed from" in reason] == [
        "setting changed from 1 to 2", "setting changed from 1 to 3"
    ]  # fmt: skip
    assert results(chain) == ["alpha cached", "beta run", "gamma cached", "delta run", "omega cached"]


@pytest.fixture
def side_by_side(one_by_one) -> None:
    slots.allow(3)


def meet(played: dict[str, Played], *names: str) -> None:
    """Let these stages wait for each other: they end only if they are at it at once."""
    barrier = threading.Barrier(len(names))
    for name in names:
        played[name].behind = lambda: barrier.wait(timeout=20) and None


def test_stages_that_need_nothing_of_each_other_run_side_by_side(side_by_side, run, played):
    meet(played, "alpha", "gamma")
    chain = run(BRANCHES)
    assert results(chain) == ["alpha ok", "beta ok", "gamma ok", "delta ok", "omega ok"]
    assert chain.is_good


def test_a_stage_waits_for_what_it_needs_and_for_its_gates(side_by_side, run, played, calls):
    meet(played, "beta", "delta")
    run(BRANCHES)
    assert calls.index("alpha()") < calls.index("beta(alpha-1)") < calls.index("omega(gamma-1)") == 4
    assert calls.index("gamma()") < calls.index("delta(gamma-1)")


def test_behind_a_failure_nothing_begins_and_what_is_at_work_comes_to_its_end(side_by_side, run, played, calls):
    failed_already, barrier = threading.Event(), threading.Barrier(2)

    def fail() -> None:
        barrier.wait(timeout=20)
        failed_already.set()
        raise PatchError("broken", "it broke")

    def go_on() -> None:
        barrier.wait(timeout=20)
        assert failed_already.wait(20)
        time.sleep(0.05)

    played["alpha"].behind, played["gamma"].behind = fail, go_on
    chain = run(BRANCHES)
    assert results(chain) == ["alpha failed", "beta skipped", "gamma ok", "delta skipped", "omega skipped"]
    assert sorted(calls) == ["alpha()", "gamma()"]
    assert not chain.is_good


def test_the_lines_of_stages_that_run_side_by_side_are_not_mixed(side_by_side, make_context, played, told, monkeypatch):
    barrier = threading.Barrier(2)

    def speak(name: str) -> Callable[..., Evr]:
        def run_stage(*given: Evr, context: JobContext) -> Evr:
            for number in range(20):
                barrier.wait(timeout=20)
                context.progress.note(f"{name} {number}")
            return Evr(version=name, release="1")

        return run_stage

    for name in ("alpha", "gamma"):
        monkeypatch.setattr(played[name], "run", speak(name))
    Chain("demo/vdsm", make_context(), (BRANCHES[0], BRANCHES[2])).run()
    lines = [line.strip() for line in told.getvalue().splitlines()]
    assert len(lines) == 42
    for name in ("alpha", "gamma"):
        last = next(index for index, line in enumerate(lines) if line.startswith("demo/vdsm") and f" {name} " in line)
        own = [index for index, line in enumerate(lines) if line.startswith(f"{name} ")]
        # What was said while no other had begun may stand above; the rest is one block.
        assert own[1:] == [*range(last - 19, last)]


def test_ctrl_c_ends_the_commands_of_all_stages_that_run(side_by_side, new_chain, played):
    both_run = threading.Barrier(2)

    def wait_long() -> None:
        both_run.wait(timeout=20)
        command.run(["sleep", "50"], timeout_seconds=60)

    played["alpha"].behind = played["gamma"].behind = wait_long
    chain, started = new_chain(BRANCHES), time.monotonic()
    timer = threading.Timer(0.5, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    timer.start()
    chain.run()
    assert time.monotonic() - started < 15
    assert results(chain) == ["alpha failed", "beta skipped", "gamma failed", "delta skipped", "omega skipped"]
    assert {row.reason.partition(";")[0] for row in chain.outcomes} == {"interrupted"}
    assert type(chain.error) is Interrupted


def test_of_a_stage_that_is_done_alone_one_is_done_at_a_time(side_by_side, make_context, played):
    at_it: list[int] = []
    most: list[int] = []

    def count() -> None:
        at_it.append(1)
        most.append(len(at_it))
        time.sleep(0.05)
        at_it.pop()

    played["alpha"].behind = count
    stage = (Stage(name="alpha", record=Evr, error=PatchError, alone=True),)
    chains = [Chain(f"demo/{number}", _at(make_context(), number), stage) for number in range(4)]
    parallel.run_all(Chain.run, chains)
    assert most == [1, 1, 1, 1]


def _at(context: JobContext, number: int) -> JobContext:
    return replace(context, home_dir=context.home_dir.with_name(f"package-{number}"))


def test_a_chain_can_stop_on_the_way_and_go_on(run, new_chain, calls):
    chain = new_chain(BRANCHES)
    chain.run(upto={"alpha", "gamma"})
    assert results(chain) == ["alpha ok", "gamma ok"]
    chain.run()
    assert results(chain) == ["alpha ok", "beta ok", "gamma ok", "delta ok", "omega ok"]
    assert calls == ["alpha()", "gamma()", "beta(alpha-1)", "delta(gamma-1)", "omega(gamma-1)"]


def test_what_is_left_out_for_one_reason_is_one_line(new_chain, told):
    chain = new_chain(BRANCHES)
    chain.skip("demo/library failed")
    assert results(chain)[:2] == ["alpha skipped", "beta skipped"]
    assert told.getvalue() == "demo/vdsm  alpha to omega skipped    0.00 s  demo/library failed\n"


def test_what_stands_in_the_way_is_the_failure_of_the_next_stage(new_chain, told):
    chain, error = new_chain(), BuildError("cycle", "a needs b")
    chain.run(upto={"alpha"})
    assert chain.fail(error)
    assert not chain.fail(error, "alpha")
    assert results(chain) == ["alpha ok", "beta failed"]
    assert (chain.error, chain.failed_stage) == (error, "beta")
