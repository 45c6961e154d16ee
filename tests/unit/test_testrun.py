# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of tests on a tree: the runner's command line, what it says, and what is no result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import testrun
from pipeline.errors import CommandFailed, CommandTimedOut, UnitError
from pipeline.model import UnitOutcome

PASSED = {"name": "A.a", "patch": "0001", "outcome": "passed"}
GOOD = json.dumps({"python": "3.11", "tests": [PASSED]})


@pytest.fixture
def run(make_context, tmp_path):
    """Runs the tests of a folder with a runner that answers as it is told."""

    def run_with(answer) -> testrun.TestRun:
        context = make_context(answer, target="el6")
        with context.engine.workspace(tmp_path / "work") as workspace:
            log_path = tmp_path / "a.log"
            return testrun.run_tests(Path("/a/patched"), Path("/t/vdsm"), workspace, context, log_path=log_path)

    return run_with


def test_the_runner_is_called_with_tree_and_tests_and_writes_no_bytecode(run, checkout_dir):
    seen = []
    assert run(lambda call: seen.append(call.argv) or GOOD).outcome.passed == ("A.a",)
    runner = str(checkout_dir / "tests/patched/runner.py")
    assert seen == [("python2.6", "-B", runner, "/a/patched", "/t/vdsm")]


def test_failed_and_error_are_red_and_absent_is_neither():
    names = {"A.a": "passed", "A.b": "failed", "A.c": "error", "A.d": "absent"}
    tests = [{"name": name, "patch": "", "outcome": outcome} for name, outcome in names.items()]
    found = testrun.read({"python": "2.6.6", "tests": tests})
    assert found == testrun.TestRun(
        python="2.6.6",
        outcome=UnitOutcome(passed=("A.a",), failed=("A.b", "A.c")),
        first_patch=dict.fromkeys(names, ""),
        absent=("A.d",),
    )


def test_each_test_has_the_patch_that_it_needs():
    tests = [PASSED, {"name": "B.b", "patch": "0003", "outcome": "failed"}, {"name": "K.k", "outcome": "passed"}]
    assert testrun.read({"python": "3", "tests": tests}).first_patch == {"A.a": "0001", "B.b": "0003", "K.k": ""}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (7, "PATCH = 7: write PATCH = '0007'"),
        ("7", "PATCH = '7': write PATCH = '0007'"),
        ("12", "PATCH = '12': write PATCH = '0012'"),
        (12345, "PATCH = 12345: write four digits, such as PATCH = '0007'"),
        ("0007-x.patch", "PATCH = '0007-x.patch': write four digits, such as PATCH = '0007'"),
        (None, "PATCH = None: write four digits, such as PATCH = '0007'"),
        (["0007"], "PATCH = ['0007']: write four digits, such as PATCH = '0007'"),
    ],
)
def test_a_patch_that_is_no_number_of_four_digits_is_told_with_the_right_one(run, number, told):
    said = json.dumps({"python": "3", "tests": [{"name": "A.a", "patch": number, "outcome": "passed"}]})
    with pytest.raises(UnitError) as caught:
        run(lambda call: said)
    assert caught.value.message == f"A.a has {told}"


def test_each_test_that_is_not_green_has_its_reason():
    tests = [{**PASSED, "detail": ""}, {"name": "B.b", "outcome": "failed", "detail": "AssertionError: 1 != 2"}]
    assert testrun.read({"python": "3", "tests": tests}).reasons == {"B.b": "AssertionError: 1 != 2"}


@pytest.mark.parametrize(
    "said", ["", "Traceback\n", "{}", "[]", "null", "5", '{"python": "3"}', '{"python": "3", "tests": [5]}',
             '{"python": "3", "tests": [{"name": "A.a"}]}', '{"python": "3", "tests": 5}', '{"tests": []}',
             "printed\n" + GOOD, GOOD + GOOD],
)  # fmt: skip
def test_what_is_no_result_is_told_with_the_tree(run, tmp_path, said):
    with pytest.raises(UnitError) as caught:
        run(lambda call: said)
    assert caught.value.message == "the test runner's last word on the patched tree is no result"
    assert (caught.value.reference, caught.value.log_path) == ("unit-output", tmp_path / "a.log")


def test_a_runner_that_fails_is_told_with_the_tree_and_how_to_repeat_it(run):
    def fail(call) -> str:
        raise CommandFailed("command-failed", "python2.6 ended with exit code 2: no import", command_exit_code=2,
                            reproduce="python2.6 -B …")  # fmt: skip

    with pytest.raises(UnitError) as caught:
        run(fail)
    assert caught.value.message == (
        "the tests did not run on the patched tree: python2.6 ended with exit code 2: no import"
    )
    assert (caught.value.exit_code, caught.value.reproduce) == (13, "python2.6 -B …")


def test_a_runner_that_hangs_stays_a_time_limit(run):
    def hang(call) -> str:
        raise CommandTimedOut("time-limit", "too long")

    with pytest.raises(CommandTimedOut):
        run(hang)
