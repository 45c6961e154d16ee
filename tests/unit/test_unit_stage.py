# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit stage: what runs of the patches' tests on each part of the series must say, and how they are made."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import judging
from pipeline.errors import CommandFailed, UnitError
from pipeline.files import file_record, tree_record
from pipeline.model import AppliedPatch, MatrixRow, PatchedTree, UnitOutcome, UnitReport
from pipeline.stages import unit
from pipeline.testrun import TestRun, read

ONE = ["0001-a.patch"]
TWO = ["0001-a.patch", "0002-b.patch"]
THREE = [*TWO, "0003-c.patch"]


def document(words: str) -> dict:
    """What the runner would say for words like `A.a:0001- KeptB.b+`: red before 0001, and green; `?` is absent."""
    outcomes = {"+": "passed", "-": "failed", "?": "absent"}
    tests = []
    for word in words.split():
        name, _, patch = word[:-1].partition(":")
        tests.append({"name": name, "patch": patch, "outcome": outcomes[word[-1]]})
    return {"python": "3.11", "tests": tests}


def runs(*words: str) -> list[TestRun]:
    """The runs on 0, 1, 2 … patches."""
    return [read(document(each)) for each in words]


@pytest.mark.parametrize(
    ("patches", "words"),
    [
        (ONE, ["A.a:0001-", "A.a:0001+"]),
        (ONE, ["A.a:0001- A.b:0001- KeptB.b+", "A.a:0001+ A.b:0001+ KeptB.b+"]),
        (TWO, ["A.a:0001- B.b:0002-", "A.a:0001+ B.b:0002-", "A.a:0001+ B.b:0002+"]),
        (
            THREE,
            [
                "C.c:0003- B.b:0002- A.a:0001- Kept.k+",
                "C.c:0003- B.b:0002- A.a:0001+ Kept.k+",
                "C.c:0003- B.b:0002+ A.a:0001+ Kept.k+",
                "C.c:0003+ B.b:0002+ A.a:0001+ Kept.k+",
            ],
        ),
    ],
)
def test_red_before_its_patch_and_green_from_it_on_is_right(patches, words):
    assert judging.judge(runs(*words), patches) == ""


NO_PROOF = " passed as well, so they prove nothing about the patch they name"
NO_RED = " did not run, so nothing shows that they need the patch they name"


@pytest.mark.parametrize(
    ("patches", "words", "wrong"),
    [
        (ONE, ["", ""], "there are no tests, so nothing shows that the patches do what they should"),
        (ONE, ["A.a:0001-", "A.a:0001-"], "with 1 of 1 patches A.a (PATCH = '0001') failed"),
        (ONE, ["A.a:0001- A.b:0001-", "A.a:0001+ A.b:0001-"], "with 1 of 1 patches A.b (PATCH = '0001') failed"),
        (ONE, ["A.a:0001- KeptB.b+", "A.a:0001+ KeptB.b-"], "with 1 of 1 patches KeptB.b failed"),
        (ONE, ["A.a:0001- KeptB.b-", "A.a:0001+ KeptB.b+"], "without the patches KeptB.b failed"),
        (ONE, ["A.a:0001+ A.b:0001-", "A.a:0001+ A.b:0001+"], f"without the patches A.a (PATCH = '0001'){NO_PROOF}"),
        (ONE, ["A.a:0001-", "A.a:0001+ A.b:0001+"], f"without the patches A.b (PATCH = '0001'){NO_RED}"),
        (ONE, ["", "A.a:0001+"], f"without the patches A.a (PATCH = '0001'){NO_RED}"),
        (ONE, ["A.a:0001?", "A.a:0001+"], f"without the patches A.a (PATCH = '0001'){NO_RED}"),
        (ONE, ["A.a:0001-", "A.a:0001?"], "with 1 of 1 patches A.a (PATCH = '0001') failed"),
        (ONE, ["A.a:0001- KeptB.b?", "A.a:0001+ KeptB.b+"], "without the patches KeptB.b failed"),
        # Green too early: it needs only the first patch, not the second that it names.
        (
            TWO,
            ["A.a:0001- B.b:0002-", "A.a:0001+ B.b:0002+", "A.a:0001+ B.b:0002+"],
            f"with 1 of 2 patches B.b (PATCH = '0002'){NO_PROOF}",
        ),
        # Red too long: the first patch alone does not do what the test asks.
        (
            TWO,
            ["A.a:0001- B.b:0002-", "A.a:0001- B.b:0002-", "A.a:0001+ B.b:0002+"],
            "with 1 of 2 patches A.a (PATCH = '0001') failed",
        ),
        # Broken again by a later patch.
        (
            THREE,
            [
                "A.a:0001- B.b:0002- C.c:0003-",
                "A.a:0001+ B.b:0002- C.c:0003-",
                "A.a:0001- B.b:0002+ C.c:0003-",
                "A.a:0001+ B.b:0002+ C.c:0003+",
            ],
            "with 2 of 3 patches A.a (PATCH = '0001') failed",
        ),
        (
            ONE,
            ["A.a:0001- A.b:0001- A.c:0001- A.d:0001- A.e:0001-"] * 2,
            "with 1 of 1 patches A.a (PATCH = '0001'), A.b (PATCH = '0001'), A.c (PATCH = '0001') and 2 more failed",
        ),
    ],
)
def test_what_is_not_red_then_green_is_told_with_the_part_of_the_series(patches, words, wrong):
    assert judging.judge(runs(*words), patches) == wrong


@pytest.mark.parametrize(
    ("patches", "words", "unproved"),
    [
        (ONE, ["KeptB.b+", "KeptB.b+"], "0001-a.patch"),
        (TWO, ["A.a:0001-", "A.a:0001+", "A.a:0001+"], "0002-b.patch"),
        (TWO, ["B.b:0002-", "B.b:0002-", "B.b:0002+"], "0001-a.patch"),
        (THREE, ["B.b:0002-", "B.b:0002-", "B.b:0002+", "B.b:0002+"], "0001-a.patch, 0003-c.patch"),
        (ONE, ["A.a:0002-", "A.a:0002-"], "0001-a.patch"),
    ],
)
def test_every_patch_needs_a_test(patches, words, unproved):
    told = f"no test needs {unproved}: write one that fails without it, with PATCH set to its number"
    assert judging.judge(runs(*words), patches) == told


def test_a_test_without_a_patch_must_be_in_a_kept_class():
    said = "A.b name no patch: set PATCH in the class or module, or put them into a Kept… class"
    assert judging.judge(runs("A.a:0001- A.b-", "A.a:0001+ A.b+"), ONE) == said
    assert judging.judge(runs("A.a:0001-", "A.a:0001+ A.b+"), ONE) == said
    assert judging.judge(runs("A.a:0001- NotKept.b+", "A.a:0001+ NotKept.b+"), ONE).startswith(
        "NotKept.b name no patch"
    )
    assert judging.judge(runs("A.a:0001- KeptA.b+", "A.a:0001+ KeptA.b+"), ONE) == ""


@pytest.mark.parametrize("sign", ["+", "-", "?"])
def test_a_test_whose_patch_is_not_in_the_series_is_left_out(sign):
    both = runs(f"A.a:0001- X.x:0002{sign} Y.y:0003{sign}", f"A.a:0001+ X.x:0002{sign} Y.y:0003{sign}")
    assert judging.judge(both, ONE) == ""
    assert judging.left_out(both, ONE) == "2 tests belong to patches that are not in the series (0002, 0003)"


def test_a_patch_between_that_the_series_has_no_more_is_left_out():
    words = "A.a:0001{} X.x:0002- C.c:0003{}"
    gap = runs(words.format("-", "-"), words.format("+", "-"), words.format("+", "+"))
    assert judging.judge(gap, ["0001-a.patch", "0003-c.patch"]) == ""
    assert judging.left_out(gap, ["0001-a.patch", "0003-c.patch"]) == (
        "1 test belongs to patches that are not in the series (0002)"
    )
    assert judging.left_out(gap, THREE) == ""


@pytest.mark.parametrize(("number", "more"), [("0009", ""), ("0003", ""), ("0004", " Y.y:0002-")])
def test_a_number_above_all_that_were_ever_there_is_refused(number, more):
    both = [f"A.a:0001- X.x:{number}-{more}", f"A.a:0001+ X.x:{number}-{more}"]
    assert judging.judge(runs(*both), ONE) == f"X.x (PATCH = '{number}') belong to no patch: the series ends with 0001"


def test_the_failing_test_s_own_reason_is_told_of_the_run_that_is_told():
    found = [document("A.a:0001-"), document("A.a:0001-")]
    found[0]["tests"][0]["detail"] = "AssertionError: of another run"
    found[1]["tests"][0]["detail"] = "AssertionError: 1 != 2"
    assert judging.judge([read(each) for each in found], ONE) == (
        "with 1 of 1 patches A.a (PATCH = '0001') failed\n  A.a: AssertionError: 1 != 2"
    )


def test_a_test_that_both_passed_and_failed_failed():
    both = runs("A.a:0001-", "A.a:0001+ A.a:0001-")
    assert judging.judge(both, ONE) == "with 1 of 1 patches A.a (PATCH = '0001') failed"


def test_the_place_in_the_series_counts_and_not_the_number():
    patches = ["0007-first.patch", "0002-second.patch"]
    right = runs("A.a:0007- B.b:0002-", "A.a:0007+ B.b:0002-", "A.a:0007+ B.b:0002+")
    assert judging.judge(right, patches) == ""
    assert judging.judge(right, patches[::-1]) == "with 1 of 2 patches B.b (PATCH = '0002') failed"


def test_the_matrix_counts_for_each_patch_the_green_tests_on_each_part():
    found = judging.matrix(
        runs(
            "A.a:0001- A.b:0001- B.b:0002- Kept.k+ X.x:0009-",
            "A.a:0001+ A.b:0001- B.b:0002- Kept.k+ X.x:0009-",
            "A.a:0001+ A.b:0001+ B.b:0002+ Kept.k- X.x:0009-",
        )
    )
    assert found == (
        MatrixRow(patch="", tests=1, green=(1, 1, 0)),
        MatrixRow(patch="0001", tests=2, green=(0, 1, 2)),
        MatrixRow(patch="0002", tests=1, green=(0, 0, 1)),
        MatrixRow(patch="0009", tests=1, green=(0, 0, 0)),
    )


def test_a_test_that_did_not_run_everywhere_counts_in_the_matrix():
    assert judging.matrix(runs("", "A.a:0001+")) == (MatrixRow(patch="0001", tests=1, green=(0, 1)),)


@pytest.fixture
def run(make_context, make_srpm, image, settings, checkout_dir) -> Callable[..., UnitReport]:
    """Runs the stage on a series of some patches, with a runner that says something about each tree.

    Every patch changes `f` to its own number; `g` is the vendor's and touched by the second only.
    """
    (checkout_dir / "tests/patched/runner.py").write_text("")
    folder = settings.out_path / "demo/vdsm/tree"

    def make_tree(count: int) -> PatchedTree:
        contents = {"pristine/f": "0", "pristine/g": "vendor", "patched/f": str(count), "patched/g": "ours"}
        for number in range(1, count + 1):
            contents[f"steps/{number}/f"] = str(number)
            contents[f"series/000{number}-x.patch"] = ""
        if count >= 2:
            contents["steps/2/g"] = "ours"
        for name, text in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        (folder / "steps").mkdir(exist_ok=True)
        patches = tuple(
            AppliedPatch(file=file_record(folder / f"series/000{number}-x.patch", settings.out_path), subject="s",
                         author="a", state="clean", offset_lines=0, touched=("f",))
            for number in range(1, count + 1)
        )  # fmt: skip
        return PatchedTree(
            srpm=make_srpm(),
            pristine=tree_record(folder / "pristine", settings.out_path),
            patched=tree_record(folder / "patched", settings.out_path),
            steps=tree_record(folder / "steps", settings.out_path),
            patches=patches,
        )

    def run_stage(answer: Callable[[str, Path], str], *, patches: int = 1) -> UnitReport:
        def play(call) -> str:
            python, flag, runner, tree, tests = call.argv
            assert (python, flag) == ("python3", "-B")
            assert runner.endswith("tests/patched/runner.py")
            assert tests.endswith("tests/patched/vdsm")
            return answer(tree.rpartition("/")[2], Path(tree))

        return unit.run(make_tree(patches), image, context=make_context(play))

    return run_stage


NOTHING = UnitOutcome(passed=(), failed=())


def line(words: str) -> str:
    return json.dumps(document(words))


def good(tree: str, _: Path) -> str:
    return line("A.a:0001+ KeptB.b+" if tree == "patched" else "A.a:0001- KeptB.b+")


def by_content(patches: int) -> Callable[[str, Path], str]:
    """One test for each patch, which is green where the tree has that patch, by what lies in `f`."""

    def answer(_: str, folder: Path) -> str:
        have = int((folder / "f").read_text())
        return line(" ".join(f"T{n}.t:000{n}{'+' if have >= n else '-'}" for n in range(1, patches + 1)))

    return answer


def test_pristine_and_patched_counts_and_the_matrix_are_told(run, told):
    found = run(good)
    assert replace(found, junit=None) == UnitReport(
        python="3.11",
        pristine=UnitOutcome(passed=("KeptB.b",), failed=("A.a",)),
        patched=UnitOutcome(passed=("A.a", "KeptB.b"), failed=()),
        matrix=(MatrixRow(patch="", tests=1, green=(1, 1)), MatrixRow(patch="0001", tests=1, green=(0, 1))),
    )
    assert "pristine: 1 red, 1 green; patched: 0 red, 2 green (Python 3.11)" in told.getvalue()
    rows = [text.split() for text in told.getvalue().splitlines()]
    assert ["no", "patch", "1/1", "1/1"] in rows
    assert ["0001", "0/1", "1/1"] in rows


def test_every_part_of_the_series_is_tested_with_the_files_as_they_are_there(run):
    seen: dict[str, tuple[str, str]] = {}

    def answer(tree: str, folder: Path) -> str:
        seen[tree] = ((folder / "f").read_text(), (folder / "g").read_text())
        return by_content(3)(tree, folder)

    found = run(answer, patches=3)
    assert seen == {
        "pristine": ("0", "vendor"),
        "after-1": ("1", "vendor"),
        "after-2": ("2", "ours"),
        "patched": ("3", "ours"),
    }
    assert found.matrix == tuple(
        MatrixRow(patch=f"000{number}", tests=1, green=green)
        for number, green in ((1, (0, 1, 1, 1)), (2, (0, 0, 1, 1)), (3, (0, 0, 0, 1)))
    )


def test_the_trees_between_are_gone_afterwards_and_the_kept_ones_untouched(run, settings):
    folders: list[Path] = []

    def answer(tree: str, folder: Path) -> str:
        folders.append(folder)
        return by_content(2)(tree, folder)

    run(answer, patches=2)
    between = [folder for folder in folders if folder.name == "after-1"]
    assert len(between) == 1
    assert not between[0].exists()
    assert (settings.out_path / "demo/vdsm/tree/pristine/f").read_text() == "0"


@pytest.mark.parametrize("late", [0, 1, 2])
def test_runs_that_end_in_another_order_are_not_mixed_up(run, late):
    """The run of one tree waits until all others are through."""
    others = threading.Semaphore(0)

    def answer(tree: str, folder: Path) -> str:
        if int((folder / "f").read_text()) == late:
            for _ in range(2):
                assert others.acquire(timeout=10)
        else:
            others.release()
        return by_content(2)(tree, folder)

    found = run(answer, patches=2)
    assert [row.green for row in found.matrix] == [(0, 1, 1), (0, 0, 1)]


def test_a_wrong_run_fails_the_stage_after_the_matrix_was_told(run, told):
    with pytest.raises(UnitError, match=r"^with 1 of 1 patches A\.a \(PATCH = '0001'\) failed$") as caught:
        run(lambda *_: line("A.a:0001-"))
    assert (caught.value.exit_code, caught.value.reference) == (13, "unit-tests")
    assert ["0001", "0/1", "0/1"] in [text.split() for text in told.getvalue().splitlines()]


def test_a_wrong_run_between_fails_the_stage(run):
    def answer(tree: str, folder: Path) -> str:
        return line("A.a:0001- B.b:0002-") if tree == "after-1" else by_content(2)(tree, folder).replace("T1.t", "A.a")

    with pytest.raises(UnitError, match=r"^with 1 of 2 patches A\.a \(PATCH = '0001'\) failed$"):
        run(lambda tree, folder: answer(tree, folder).replace("T2.t", "B.b"), patches=2)


def test_the_logs_of_all_runs_are_one_in_the_order_of_the_series(run, make_context, monkeypatch):
    log_path = make_context().log_path

    def run_tests(tree_dir: Path, *_: object, log_path: Path, **__: object) -> TestRun:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_text(f"{tree_dir.name}\n")
        return read(json.loads(by_content(2)(tree_dir.name, tree_dir)))

    monkeypatch.setattr("pipeline.testrun.run_tests", run_tests)
    run(good, patches=2)
    assert log_path.read_text() == "pristine\nafter-1\npatched\n"
    assert [path.name for path in log_path.parent.iterdir()] == [log_path.name]


@pytest.mark.parametrize("how", ["wrong", "raises"])
def test_the_log_of_the_run_that_is_told_comes_last(run, make_context, monkeypatch, how):
    log_path = make_context().log_path

    def run_tests(tree_dir: Path, *_: object, log_path: Path, **__: object) -> TestRun:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_text(f"{tree_dir.name}\n")
        if tree_dir.name != "after-1":
            return read(json.loads(by_content(2)(tree_dir.name, tree_dir)))
        if how == "raises":
            raise UnitError("unit-run", "it did not run", log_path=log_path)
        return read(document("T1.t:0001- T2.t:0002-"))

    monkeypatch.setattr("pipeline.testrun.run_tests", run_tests)
    with pytest.raises(UnitError) as caught:
        run(good, patches=2)
    assert caught.value.log_path == log_path
    assert log_path.read_text().splitlines()[-1] == "after-1"


def test_tests_that_are_left_out_are_told_in_one_line(run, told):
    run(lambda tree, folder: line(f"A.a:0001{'+' if tree == 'patched' else '-'} B.b:0002- B.c:0002-"))
    assert "warning: 2 tests belong to patches that are not in the series (0002)\n" in told.getvalue()


@pytest.mark.parametrize("tree", ["pristine", "after-1", "patched"])
def test_a_runner_that_fails_is_told_with_the_tree(run, tree):
    def fail(which: str, folder: Path) -> str:
        if which == tree:
            raise CommandFailed("command-failed", "python3 ended with exit code 2: no import", command_exit_code=2)
        return by_content(2)(which, folder)

    with pytest.raises(UnitError) as caught:
        run(fail, patches=2)
    assert caught.value.message == (
        f"the tests did not run on the {tree} tree: python3 ended with exit code 2: no import"
    )


@pytest.mark.parametrize("tree", ["pristine", "patched"])
def test_a_runner_that_says_no_result_is_told_with_the_tree(run, tree):
    def answer(which: str, folder: Path) -> str:
        return "Traceback\n" if which == tree else good(which, folder)

    with pytest.raises(UnitError, match=f"the test runner's last word on the {tree} tree is no result"):
        run(answer)


def test_without_a_patch_there_is_nothing_to_prove_and_no_test_runs(run, make_context, image, told, settings):
    def never(tree: str, _: Path) -> str:
        raise AssertionError(tree)

    report = run(never, patches=0)
    assert (report.pristine, report.patched, report.matrix, report.junit) == (NOTHING, NOTHING, (), None)
    assert (
        "warning: the series of vdsm has no patch, so there is nothing to prove, and tests of patches"
        in told.getvalue()
    )
    assert unit.inputs(SimpleNamespace(patches=()), image, context=make_context()) == {}
    assert not (settings.out_path / "demo/vdsm/junit/unit.xml").exists()


@pytest.mark.parametrize("folder", ["there", "gone"])
def test_a_patch_without_tests_is_told_what_to_write(run, checkout_dir, make_context, image, folder):
    (checkout_dir / "tests/patched/vdsm/test_it.py").unlink()
    if folder == "gone":
        (checkout_dir / "tests/patched/vdsm").rmdir()
    with pytest.raises(UnitError) as caught:
        run(good)
    message = "tests/patched/vdsm has no test_*.py, so nothing shows what 0001-x.patch does"
    assert (caught.value.reference, caught.value.message) == ("tests-missing", message)
    assert "PATCH = '0001'" in caught.value.hint
    told = unit.inputs(SimpleNamespace(patches=("x",)), image, context=make_context())
    assert (told["tests/patched/vdsm"] == "none") == (folder == "gone")


def test_the_inputs_see_tests_runner_and_python(make_context, checkout_dir, image):
    (checkout_dir / "tests/patched/runner.py").write_text("")

    def inputs(target: str = "demo") -> dict[str, str]:
        return unit.inputs(SimpleNamespace(patches=("0001",)), image, context=make_context(target=target))

    first = inputs()
    assert inputs("el6") != first
    (checkout_dir / "tests/patched/vdsm/test_a.py").write_text("")
    second = inputs()
    (checkout_dir / "tests/patched/runner.py").write_text("#")
    assert first != second != inputs()


def test_the_shipped_tests_name_only_patches_of_the_shipped_series(root_dir):
    """A test for a patch that is not in the series is left out: none of ours may be, unseen."""
    series: Sequence[str] = (root_dir / "patches/vdsm/series").read_text().split()
    numbers = {name.partition("-")[0] for name in series if name.endswith(".patch")}
    named = {
        words[2].strip("'\"")
        for path in (root_dir / "tests/patched/vdsm").glob("*.py")
        for words in (text.split() for text in path.read_text().splitlines())
        if words[:2] == ["PATCH", "="]
    }
    assert named == numbers


def test_the_results_for_a_ci_are_in_the_record_and_of_the_last_run(run, settings):
    path = settings.out_path / "demo/vdsm/junit/unit.xml"
    assert settings.out_path / run(good).junit.path == path
    assert 'failures="0"' in path.read_text()
    with pytest.raises(UnitError):
        run(lambda tree, folder: line("A.a:0001- KeptB.b+"))
    assert 'failures="1"' in path.read_text()

    def fail(tree: str, folder: Path) -> str:
        raise CommandFailed("command-failed", "python3 ended with exit code 2", command_exit_code=2)

    with pytest.raises(UnitError):
        run(fail)
    assert "the tests did not run on the" in path.read_text()
    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert not path.exists()


def interrupt(tree: str, folder: Path) -> str:
    raise KeyboardInterrupt
