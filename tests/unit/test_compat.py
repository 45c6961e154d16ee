# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests say of a tag: which of them count, when they pass, and what is told where they did not run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import compat
from pipeline.errors import CommandFailed

BEFORE = {"vm.py": "".join(f"line {number}\n" for number in range(9))}
AFTER = {"vm.py": BEFORE["vm.py"].replace("line 4", "ours")}
TAGS = ("v4.16.30", "v4.16.31/fix")


@pytest.fixture
def examine(make_context, checkout_dir: Path, format_patch, tmp_path: Path) -> Callable[..., compat.Report]:
    """The report on two tags with one patch, and a test runner that answers as it is told."""
    folder = checkout_dir / "patches/vdsm"
    (folder / "series").write_text("0001-x.patch\n")
    (folder / "0001-x.patch").write_bytes(format_patch(BEFORE, AFTER))
    repository = tmp_path / "upstream"
    repository.mkdir()
    (repository / "vm.py").write_text(BEFORE["vm.py"])
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    tags = (("tag", tag) for tag in TAGS)
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "x"), *tags):
        subprocess.run(["git", *identity, *words], cwd=repository, check=True)

    def run(answer: Callable) -> compat.Report:
        wish = compat.Wish(source="", tags="", unit=True, watch="")
        return compat.examine(str(repository), wish, make_context(answer, target="el6"))

    return run


def line(**outcomes: str) -> str:
    """The runner's word on tests of patches: `t0001="passed"`."""
    tests = [{"name": f"A.{name}", "patch": name[1:], "outcome": outcome} for name, outcome in outcomes.items()]
    return json.dumps({"python": "2.7", "tests": tests})


@pytest.mark.parametrize(
    ("sources", "prefix"),
    [
        (("srpm:x.src.rpm", "git:/x@spice-gtk-4.16.30"), "spice-gtk-"),
        (("git:/x@4.16.30",), ""),
        (("git:/x@v4.16.29", "yum:http://example.org/"), "v"),
    ],
)
def test_upstream_s_tags_are_written_as_the_package_s_own_source_has_them(make_context, sources, prefix):
    context = make_context(target="el6")
    package = context.package.model_copy(update={"sources": {"el6": sources}})
    assert compat._tag_prefix(replace(context, package=package)) == prefix


def test_tests_of_patches_that_the_series_has_no_more_are_left_out(examine):
    report = examine(lambda call: line(t="passed", t0001="passed", t0002="failed", t0003="passed"))
    assert [tag.unit.passed for tag in report.tags] == [("A.t", "A.t0001")] * 2
    assert compat.failure(report) is None
    assert compat.summary(report) == "applies to 2 of 2 tags, tests pass on 2 of 2"


@pytest.mark.parametrize("outcome", ["absent", "failed"])
def test_a_tag_on_which_no_test_passes_is_not_good(examine, outcome):
    report = examine(lambda call: line(t0001=outcome, t0002="passed"))
    assert compat.summary(report) == "applies to 2 of 2 tags, tests pass on 0 of 2"
    error = compat.failure(report)
    assert (error.exit_code, error.reference) == (13, "series-red")
    assert "none passes, on 2 of 2 tags" in error.message


def test_each_tag_is_tested_with_a_log_of_its_own_also_one_with_a_slash(examine):
    trees = []

    def answer(call) -> str:
        trees.append(Path(call.argv[3]))
        assert (trees[-1] / "vm.py").read_text() == AFTER["vm.py"]
        return line(t0001="passed")

    assert [tag.tag for tag in examine(answer).tags] == list(TAGS)
    assert sorted(tree.name for tree in trees) == ["v4.16.30", "v4.16.31%2Ffix"]


def test_where_the_tests_do_not_run_it_is_told_and_whether_the_series_applies_is_kept(examine, validator_of):
    def fail(call) -> str:
        raise CommandFailed("command-failed", "python ended with exit code 2: no import", command_exit_code=2)

    report = examine(fail)
    assert [(tag.applies, tag.unit) for tag in report.tags] == [(True, None)] * 2
    document = compat.document(report)
    validator_of("compat").validate(document)
    assert (document["error"]["exit_code"], document["error"]["reference"]) == (13, "unit-run")
    assert document["tags"][0]["patches"][0]["state"] == "clean"
