# SPDX-License-Identifier: GPL-2.0-or-later
"""The lint stage: findings against the vendor's, what is allowed, and what is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline import command
from pipeline.command import CommandResult
from pipeline.errors import LintError
from pipeline.model import BuildResult, Evr, File, Finding, LintReport, Rpm
from pipeline.stages import lint

OLD = Finding(subject="vdsm.x86_64", level="W", check="no-documentation", detail="")
NEW = Finding(subject="vdsm.spec", level="E", check="broken-syntax", detail="here")
INFO = Finding(subject="vdsm.spec", level="I", check="only-said", detail="")


def made(release: str) -> BuildResult:
    file = File(path=Path(f"{release}.rpm"), size_bytes=1, sha256="0" * 64)
    return BuildResult(srpm=Rpm(file=file, name="vdsm", evr=Evr(version="4.16.30", release=release), arch="src"),
                       rpms=(), spec=file)  # fmt: skip


OURS, VENDORS = made("0.demo.label.904"), made("0.demo")


@dataclass(kw_only=True)
class Rpmlint:
    """What rpmlint finds in each build; it notes which it was asked about."""

    ours: tuple[Finding, ...] = (OLD,)
    vendors: tuple[Finding, ...] = (OLD,)
    version: str = "2.4.0"
    asked: list[str] = field(default_factory=list)

    def check(self, build: BuildResult, config_path: Path, **_: object) -> tuple[Finding, ...]:
        self.asked.append(build.srpm.evr.release)
        return self.ours if build is OURS else self.vendors


@pytest.fixture
def rpmlint(monkeypatch) -> Rpmlint:
    played = Rpmlint()
    monkeypatch.setattr("pipeline.rpmlint.check", played.check)
    monkeypatch.setattr(
        command,
        "run",
        lambda argv, **_: CommandResult(argv=tuple(argv), exit_code=0, stdout=f"{played.version}\n", seconds=0),
    )
    return played


@pytest.fixture
def config_path(checkout_dir) -> Path:
    path = checkout_dir / "specs" / "vdsm" / "rpmlint.toml"
    path.write_text("Filters = []\n")
    return path


@pytest.fixture
def run(make_context, checkout_dir, config_path, rpmlint):
    def run_stage(allowed: dict[str, str] | None = None) -> LintReport:
        context = make_context()
        package = context.package.model_copy(update={"lint_allowed": allowed or {}})
        context.log_path.parent.mkdir(parents=True, exist_ok=True)
        object.__setattr__(context, "package", package)
        return lint.run(OURS, VENDORS, context=context)

    return run_stage


def test_findings_are_new_as_often_as_the_baseline_lacks_them():
    assert lint.compare([OLD, OLD, NEW, OLD], [OLD, OLD]) == ([NEW, OLD], 2)
    assert lint.compare([], [OLD]) == ([], 0)
    assert lint.compare([NEW], []) == ([NEW], 0)


def test_an_error_and_a_warning_of_the_same_check_are_two_findings():
    as_error = Finding(subject=OLD.subject, level="E", check=OLD.check, detail=OLD.detail)
    assert lint.compare([as_error], [OLD]) == ([as_error], 0)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ({"broken-syntax": "why"}, True),
        ({"broken-syntax vdsm.spec": "why"}, True),
        ({"broken-syntax vdsm.src": "why"}, False),
        ({"broken": "why"}, False),
        ({}, False),
    ],
)
def test_a_check_is_allowed_everywhere_or_for_one_subject(allowed, expected):
    assert lint.is_allowed(NEW, allowed) is expected


def test_what_the_vendor_has_as_well_is_counted_and_passes(run):
    assert run() == LintReport(findings=(), inherited_count=1, allowed=())


def test_a_new_finding_fails_the_stage_and_is_named_with_the_mend(run, rpmlint):
    rpmlint.ours = (OLD, NEW)
    with pytest.raises(LintError) as caught:
        run()
    assert caught.value.message == (
        "rpmlint finds 1 that the vendor's package does not have: vdsm.spec: E: broken-syntax here"
    )
    assert '[packages.vdsm.lint_allowed] "broken-syntax vdsm.spec" = "why"' in caught.value.hint
    assert caught.value.exit_code == 14


def test_many_new_findings_are_counted_and_three_named(run, rpmlint):
    rpmlint.ours = tuple(Finding(subject="a", level="W", check=f"check-{n}", detail="") for n in range(5))
    with pytest.raises(LintError) as caught:
        run()
    assert caught.value.message.endswith("a: W: check-0; a: W: check-1; a: W: check-2; and 2 more")


def test_a_new_finding_that_is_allowed_passes_and_is_told(run, rpmlint, told):
    rpmlint.ours = (OLD, NEW)
    assert run({"broken-syntax": "why"}) == LintReport(findings=(NEW,), inherited_count=1, allowed=(NEW,))
    assert "0 new, 1 allowed, 1 that the vendor's package has as well" in told.getvalue()


def test_a_new_finding_that_is_only_said_passes(run, rpmlint):
    rpmlint.ours = (INFO,)
    assert run() == LintReport(findings=(INFO,), inherited_count=0, allowed=())


def test_the_vendor_s_package_is_checked_once(run, rpmlint):
    run()
    run()
    assert rpmlint.asked == ["0.demo.label.904", "0.demo", "0.demo.label.904"]


@pytest.mark.parametrize("change", ["version", "configuration", "cut", "other"])
def test_the_vendor_s_package_is_checked_again_after_a_change(run, rpmlint, config_path, settings, change):
    run()
    kept_path = settings.out_path / "demo/vdsm/baseline/rpmlint.json"
    if change == "version":
        rpmlint.version = "2.5.0"
    elif change == "configuration":
        config_path.write_text("Filters = ['x']\n")
    elif change == "cut":
        kept_path.write_bytes(kept_path.read_bytes()[:50])
    else:
        kept_path.write_text(json.dumps({"key": json.loads(kept_path.read_text())["key"], "findings": [{"x": 1}]}))
    rpmlint.asked.clear()
    run()
    assert rpmlint.asked == ["0.demo.label.904", "0.demo"]


def test_a_package_without_a_configuration_is_told_what_to_write(make_context):
    with pytest.raises(LintError) as caught:
        lint.inputs(OURS, VENDORS, context=make_context())
    assert caught.value.message.endswith("specs/vdsm/rpmlint.toml does not exist")
    assert "Filters = []" in caught.value.hint


def test_the_inputs_see_the_configuration_and_what_is_allowed(make_context, config_path):
    first = lint.inputs(OURS, VENDORS, context=make_context())
    config_path.write_text("Filters = ['x']\n")
    second = lint.inputs(OURS, VENDORS, context=make_context())
    assert first != second
    assert first["lint_allowed"] == second["lint_allowed"] == "{}"
