# SPDX-License-Identifier: GPL-2.0-or-later
"""The contracts stage: what must hold in the patched source and in the files of the built packages alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import flow, rpmbuild
from pipeline.errors import CommandFailed, UnitError
from pipeline.files import file_record, tree_record
from pipeline.model import BuildResult, ContractReport, Evr, PatchedTree, Rpm
from pipeline.stages import contracts


def line(words: str) -> str:
    """What the runner says for words like `Rooms.a+ Power.b- Displays.c?`: kept, broken, absent."""
    outcomes = {"+": "passed", "-": "failed", "!": "error", "?": "absent"}
    tests = [{"name": word[:-1], "patch": "", "outcome": outcomes[word[-1]]} for word in words.split()]
    return json.dumps({"python": "3.11", "tests": tests})


@pytest.fixture
def tree(make_srpm, settings) -> PatchedTree:
    folder = settings.out_path / "demo/vdsm/tree"
    for name in ("pristine", "patched", "steps"):
        (folder / name).mkdir(parents=True)
        (folder / name / "f").write_text(name)
    return PatchedTree(
        srpm=make_srpm(),
        pristine=tree_record(folder / "pristine", settings.out_path),
        patched=tree_record(folder / "patched", settings.out_path),
        steps=tree_record(folder / "steps", settings.out_path),
        patches=(),
    )


@pytest.fixture
def build(settings, monkeypatch) -> BuildResult:
    """Two packages, which unpack to one file of their name each."""

    def rpm(name: str) -> Rpm:
        path = settings.out_path / "demo/vdsm/RPMS" / f"{name}.rpm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        evr = Evr(version="4.16.30", release="0.demo.label.904")
        return Rpm(file=file_record(path, settings.out_path), name=name, evr=evr, arch="noarch")

    def unpack(path: Path, root_dir: Path) -> None:
        (root_dir / "usr/share/vdsm").mkdir(parents=True, exist_ok=True)
        (root_dir / "usr/share/vdsm" / path.stem).write_text(path.read_text())

    monkeypatch.setattr(rpmbuild, "unpack", unpack)
    source = rpm("source")
    return BuildResult(srpm=source, rpms=(rpm("vdsm"), rpm("vdsm-cli")), spec=source.file)


@pytest.fixture
def contracts_dir(checkout_dir) -> Path:
    folder = checkout_dir / "tests/patched/contracts/vdsm"
    folder.mkdir(parents=True)
    (checkout_dir / "tests/patched/runner.py").write_text("")
    return folder


@pytest.fixture
def run(tree, build, image, make_context, contracts_dir) -> Callable[[str, str], ContractReport]:
    """Runs the stage with what the contracts come to in the patched source and in the packages."""

    def run_stage(source: str, packages: str) -> ContractReport:
        def play(call) -> str:
            python, flag, runner, folder, tests = call.argv
            assert (python, flag) == ("python3", "-B")
            assert runner.endswith("tests/patched/runner.py")
            assert tests.endswith("tests/patched/contracts/vdsm")
            if folder.endswith("tree/patched"):
                return source
            unpacked_dir = Path(folder)
            assert unpacked_dir.parts[-2:] == ("usr", "share")
            assert sorted(path.name for path in (unpacked_dir / "vdsm").iterdir()) == ["vdsm", "vdsm-cli"]
            return packages

        return contracts.run(tree, build, image, context=make_context(play))

    return run_stage


def test_what_holds_is_kept_and_what_the_source_lacks_is_absent(run, told):
    found = run(line("Rooms.b+ Rooms.a+ Displays.a?"), line("Rooms.a+ Rooms.b+ Displays.a?"))
    assert replace(found, junit=None) == ContractReport(kept=("Rooms.a", "Rooms.b"), absent=("Displays.a",))
    assert "the patched source: 2 kept, 0 broken, 1 absent" in told.getvalue()
    assert "the built packages: 2 kept, 0 broken, 1 absent" in told.getvalue()


def test_what_the_packages_lost_fails_the_stage(run):
    with pytest.raises(UnitError) as caught:
        run(line("Rooms.a+ Power.a+"), line("Rooms.a+ Power.a?"))
    assert caught.value.reference == "contract-unpacked"
    assert caught.value.message == "Power.a holds in the patched source, and the built packages lack its code"


@pytest.mark.parametrize(
    ("source", "packages", "message"),
    [
        ("Rooms.a- Rooms.b+", "Rooms.a+ Rooms.b+", "in the patched source Rooms.a no longer holds"),
        ("Rooms.a+ Rooms.b+", "Rooms.a+ Rooms.b-", "in the built packages Rooms.b no longer holds"),
        ("Rooms.a+", "Rooms.a!", "in the built packages Rooms.a no longer holds"),
        ("Rooms.a-", "Rooms.a-", "in the patched source Rooms.a no longer holds"),
        ("A.a- A.b- A.c- A.d-", "A.a+", "in the patched source A.a, A.b, A.c no longer holds"),
    ],
)
def test_a_broken_contract_fails_the_stage_with_the_place(run, make_context, source, packages, message):
    with pytest.raises(UnitError) as caught:
        run(line(source), line(packages))
    assert (caught.value.message, caught.value.reference) == (message, "contract-broken")
    assert caught.value.exit_code == 13
    assert caught.value.log_path == make_context().log_path


def test_nothing_is_left_in_the_workspace(run, settings):
    run(line("Rooms.a+"), line("Rooms.a+"))
    assert list((settings.out_path / ".work").iterdir()) == []


def test_a_runner_that_fails_is_told(tree, build, image, make_context, contracts_dir):
    def fail(call) -> str:
        raise CommandFailed("command-failed", "python3 ended with exit code 2: no vm.py", command_exit_code=2)

    with pytest.raises(UnitError, match="^the tests did not run on the patched tree: python3 ended with exit code 2"):
        contracts.run(tree, build, image, context=make_context(fail))


def test_a_package_without_contracts_has_an_empty_report_and_runs_nothing(tree, build, image, make_context, told):
    def fail(call) -> str:
        raise AssertionError("something ran")

    assert contracts.run(tree, build, image, context=make_context(fail)) == ContractReport(kept=(), absent=())
    assert "no contracts are written for vdsm" in told.getvalue()


def test_the_inputs_see_contracts_runner_and_python(tree, build, image, make_context, checkout_dir):
    (checkout_dir / "tests/patched/runner.py").write_text("")

    def inputs(target: str = "demo") -> dict[str, str]:
        return contracts.inputs(tree, build, image, context=make_context(target=target))

    none = inputs()
    assert none["contracts"] == "none"
    folder = checkout_dir / "tests/patched/contracts/vdsm"
    folder.mkdir(parents=True)
    empty = inputs()
    (folder / "test_a.py").write_text("")
    one = inputs()
    (checkout_dir / "tests/patched/runner.py").write_text("#")
    seen = [none, empty, one, inputs(), inputs("el6")]
    assert all(first != second for index, first in enumerate(seen) for second in seen[index + 1 :])


def test_no_repository_is_made_without_contracts_that_hold():
    stage = flow.STAGES["contracts"]
    assert stage.needs == ("patch", "build", "image")
    assert (stage.record, stage.error) == (ContractReport, UnitError)
    assert "contracts" in flow.STAGES["repo"].gates
    assert "contracts" in flow.needed_for("publish")
    assert "contracts" not in flow.needed_for("lint") | flow.needed_for("unit")


def test_the_results_for_a_ci_are_in_the_record_and_of_the_last_run(run, settings):
    path = settings.out_path / "demo/vdsm/junit/contracts.xml"
    assert settings.out_path / run(line("Rooms.a+"), line("Rooms.a+")).junit.path == path
    assert 'failures="0"' in path.read_text()
    with pytest.raises(UnitError):
        run(line("Rooms.a+"), line("Rooms.a-"))
    assert 'failures="1"' in path.read_text()
