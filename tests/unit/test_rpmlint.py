# SPDX-License-Identifier: GPL-2.0-or-later
"""rpmlint's lines as records, and its runs that did not come to an end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline import command, hidden, rpmlint, slots
from pipeline.command import CommandResult
from pipeline.engines import host
from pipeline.errors import CommandFailed, LintError
from pipeline.model import BuildResult, Evr, File, Finding, Rpm

OUTPUT = """\
============================ rpmlint session starts ============================
rpmlint: 2.4.0
configuration:
    /usr/lib/python3/dist-packages/rpmlint/configdefaults.toml
    specs/vdsm/rpmlint.toml
checks: 26, packages: 8

vdsm.src: W: invalid-url URL: http://www.ovirt.org/develop/ HTTP Error 404: Not Found
vdsm.spec:14: E: hardcoded-library-path in %{_prefix}/lib/python%{vdsm_python}/site-packages}
/out/demo/vdsm/SPECS/vdsm.spec:1034: W: mixed-use-of-spaces-and-tabs (spaces: line 2, tab: line 1)
vdsm.x86_64: W: no-documentation
vdsm.x86_64: W: incoherent-version-in-changelog 4.16.30-0 ['4.16.30-0.el6.label.904', '0.el6.label.904']
vdsm-python-zombiereaper.noarch: I: checking   twice
vdsm-cli.noarch: E: non-executable-script /usr/share/vdsm/vdsClient.py 644 /usr/bin/python
vdsm.x86_64: X: no-such-level of findings
 7 packages and 1 specfiles checked; 2 errors, 4 warnings, 2 badness; has taken 0.4 s
"""
EVRS = ["4.16.30-0.el6.label.904", "0.el6.label.904"]


@pytest.fixture
def build() -> BuildResult:
    def file(name: str) -> File:
        return File(path=Path(name), size_bytes=1, sha256="0" * 64)

    evr = Evr(version="4.16.30", release="0.el6.label.904")
    srpm = Rpm(file=file("SRPMS/a.src.rpm"), name="a", evr=evr, arch="src")
    return BuildResult(srpm=srpm, rpms=(Rpm(file=file("RPMS/a.rpm"), name="a", evr=evr, arch="x86_64"),),
                       spec=file("SPECS/a.spec"))  # fmt: skip


@pytest.fixture
def check(build, tmp_path, monkeypatch):
    """Checks the build with an rpmlint that says what it is told to."""

    def run_check(script: str) -> tuple[Finding, ...]:
        program = tmp_path / "bin" / "rpmlint"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        # Nobody cannot read a folder of pytest's; who runs it is seen in the integration tests.
        monkeypatch.setattr(host, "without_rights", lambda secrets: ())
        (tmp_path / "c.toml").touch()
        for part in (build.spec, build.srpm.file, build.rpms[0].file):
            (tmp_path / part.path).parent.mkdir(exist_ok=True)
            (tmp_path / part.path).touch()
        with command.local.env(PATH=f"{program.parent}:{os.environ['PATH']}"):
            return rpmlint.check(build, tmp_path / "c.toml", secrets=hidden.always(), out_path=tmp_path,
                                 timeout_seconds=20, log_path=tmp_path / "lint.log")  # fmt: skip

    return run_check


def test_every_finding_is_a_record_and_other_lines_are_none():
    assert rpmlint.read(OUTPUT, EVRS) == (
        Finding(subject="vdsm.src", level="W", check="invalid-url",
                detail="URL: http://www.ovirt.org/develop/ HTTP Error 404: Not Found"),
        Finding(subject="vdsm.spec", level="E", check="hardcoded-library-path",
                detail="in %{_prefix}/lib/python%{vdsm_python}/site-packages}"),
        Finding(subject="vdsm.spec", level="W", check="mixed-use-of-spaces-and-tabs",
                detail="(spaces: line 2, tab: line 1)"),
        Finding(subject="vdsm.x86_64", level="W", check="no-documentation", detail=""),
        Finding(subject="vdsm.x86_64", level="W", check="incoherent-version-in-changelog",
                detail="4.16.30-0 ['<evr>', '<evr>']"),
        Finding(subject="vdsm-python-zombiereaper.noarch", level="I", check="checking", detail="twice"),
        Finding(subject="vdsm-cli.noarch", level="E", check="non-executable-script",
                detail="/usr/share/vdsm/vdsClient.py 644 /usr/bin/python"),
    )  # fmt: skip


def test_findings_that_differ_by_line_and_release_alone_are_equal():
    ours = "vdsm.spec:20: W: versioned-file /usr/share/doc/vdsm-4.16.30-0.el6.label.904/x"
    vendors = "vdsm.spec:14: W: versioned-file /usr/share/doc/vdsm-4.16.30-0.el6/x"
    assert rpmlint.read(ours, EVRS) == rpmlint.read(vendors, ["4.16.30-0.el6", "0.el6"])


def test_no_output_has_no_findings():
    assert rpmlint.read("", EVRS) == ()


def test_all_files_go_into_one_call(tmp_path):
    assert rpmlint.plan(tmp_path / "c.toml", [Path("a.spec"), Path("a b.rpm")]) == [
        "rpmlint", "--config", str(tmp_path / "c.toml"), "a.spec", "a b.rpm"
    ]  # fmt: skip


@pytest.fixture
def one_call():
    slots.allow(1)
    yield
    slots.allow(slots.fitting())


@pytest.mark.parametrize("exit_code", [0, 64, 66])
def test_a_run_with_findings_ends_well_and_is_in_the_log(one_call, check, tmp_path, exit_code):
    said = "a.x86_64: W: no-documentation\n1 packages and 1 specfiles checked; 0 errors"
    found = check(f"echo '{said}'; echo words >&2; exit {exit_code}")
    assert found == (Finding(subject="a.x86_64", level="W", check="no-documentation", detail=""),)
    assert "no-documentation" in (tmp_path / "lint.log").read_text()
    assert "words" in (tmp_path / "lint.log").read_text()


def test_it_is_given_the_spec_the_source_rpm_and_the_rpms(one_call, check, tmp_path):
    check('echo "$@" > "${0%/*}/arguments"; echo "1 packages and 1 specfiles checked"')
    option, *paths = (tmp_path / "bin" / "arguments").read_text().split()
    assert option == "--config"
    assert sorted(Path(path).name for path in paths) == ["a.rpm", "a.spec", "a.src.rpm", "c.toml"]


def test_several_calls_share_the_files_and_all_that_they_find_counts(check, tmp_path):
    slots.allow(2)
    try:
        found = check(
            'for each; do :; done; echo "$*" >> "${0%/*}/arguments"'
            '; echo "${each##*/}: W: found"; echo "1 packages and 1 specfiles checked"'
        )
    finally:
        slots.allow(slots.fitting())
    calls = (tmp_path / "bin" / "arguments").read_text().splitlines()
    assert len(calls) == len(found) == 2
    given = sorted(Path(path).name for call in calls for path in call.split()[2:])
    assert given == ["a.rpm", "a.spec", "a.src.rpm"]


def test_shares_are_about_as_large_as_each_other(tmp_path):
    for size in (1, 2, 3, 4, 10):
        (tmp_path / str(size)).write_bytes(b"x" * size)
    shares = rpmlint.shared_out([tmp_path / str(size) for size in (1, 2, 3, 4, 10)], 2)
    assert [sorted(int(path.name) for path in share) for share in shares] == [[10], [1, 2, 3, 4]]
    assert len(rpmlint.shared_out([tmp_path / "1"], 8)) == 1


def test_a_run_without_its_summary_did_not_check_everything(check):
    with pytest.raises(LintError, match="without its summary line") as caught:
        check("echo 'a.x86_64: W: no-documentation'")
    assert caught.value.exit_code == 14


@pytest.mark.parametrize("exit_code", [1, 2, 65])
def test_another_exit_code_is_a_failure(check, exit_code):
    with pytest.raises(CommandFailed, match="broken configuration"):
        check(f"echo broken configuration >&2; exit {exit_code}")


def test_the_real_rpmlint_is_understood(tmp_path):
    """That the lines above are those of the rpmlint that is installed, also below a path with a space."""
    spec_path = tmp_path / "a folder" / "a.spec"
    spec_path.parent.mkdir()
    spec_path.write_text("Name: a\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\n%description\nx\n%prep\n%build\n")
    config_path = tmp_path / "c.toml"
    config_path.write_text("")
    result: CommandResult = command.run(rpmlint.plan(config_path, [spec_path]), timeout_seconds=60, accept=(0, 64, 66))
    assert rpmlint._SUMMARY.search(result.stdout)
    found = rpmlint.read(result.stdout, [])
    assert "no-%install-section" in {finding.check for finding in found}
    assert {finding.subject for finding in found} == {"a.spec"}
