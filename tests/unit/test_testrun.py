# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of tests on a tree: the runner's command line, what it says, and what is no result."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import testrun
from pipeline.errors import CommandFailed, CommandTimedOut, UnitError
from pipeline.model import UnitOutcome

ROOT = Path(__file__).resolve().parents[2]
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
    seen: list[Sequence[str]] = []

    def note(call):
        seen.append(call.argv)
        return GOOD

    assert run(note).outcome.passed == ("A.a",)
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
    "said", ["Traceback\n", "{}", "[]", "null", "5", '{"python": "3"}', '{"python": "3", "tests": [5]}',
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


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("begins A.a\npassed A.a\nbegins B.b\n", "B.b began last and may have ended the process"),
        ("", "the process ended before the first test began"),
    ],
)
@pytest.mark.parametrize("code", [0, 1, 137, -9])
def test_a_test_that_ends_the_process_is_told(run, tmp_path, log, told, code):
    def end(call) -> str:
        (tmp_path / "a.log").write_text(log)
        if code == 0:
            return ""
        raise CommandFailed("command-failed", f"python2.6 ended with {code}", command_exit_code=code)

    with pytest.raises(UnitError) as caught:
        run(end)
    how = f"python2.6 ended with {code}" if code else "it ended with no result"
    assert caught.value.message == f"the tests did not run to their end on the patched tree: {how}"
    assert caught.value.hint.startswith(told)


SAME = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n        {}\n"


def run_the_runner(folder: Path, **tests: str) -> subprocess.CompletedProcess[str]:
    """The real runner on a tree of nothing and these test files."""
    (folder / "tree/vdsm/virt").mkdir(parents=True)
    (folder / "tree/vdsm/virt/vm.py").touch()
    (folder / "tests").mkdir()
    for name, text in tests.items():
        (folder / f"tests/{name}.py").write_text(text)
    argv = [sys.executable, "-B", str(ROOT / "tests/patched/runner.py"), str(folder / "tree"), str(folder / "tests")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_the_runner_refuses_two_tests_of_one_name(tmp_path):
    done = run_the_runner(tmp_path, test_one=SAME.format("assert 0"), test_two=SAME.format("pass"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "A.test_a is in test_one.py and in test_two.py: rename one\n"


def test_the_runner_takes_a_class_that_two_files_import(tmp_path):
    shared = "from base import A\n"
    done = run_the_runner(tmp_path, base=SAME.format("pass"), test_one=shared, test_two=shared)
    assert done.returncode == 0, done.stderr


def test_the_runner_says_which_test_begins(tmp_path):
    done = run_the_runner(tmp_path, test_one=SAME.format("import os; os._exit(0)"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "begins A.test_a\n")
