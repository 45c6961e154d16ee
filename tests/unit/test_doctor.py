# SPDX-License-Identifier: GPL-2.0-or-later
"""The doctor: which checks decide its exit code, and what is told of those that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import command, doctor
from pipeline.doctor import Check
from pipeline.errors import EngineError, UsageError
from pipeline.gate import closure

WELL = Check(what="git", ok=True, found="/usr/bin/git")
BROKEN = Check(what="target el6", ok=False, found="podman is not on PATH", mend="apt-get install podman")


def aside(check: Check) -> Check:
    return Check(what=check.what, ok=check.ok, found=check.found, mend=check.mend, counts=False)


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([WELL], 0),
        ([WELL, BROKEN], 20),
        ([WELL, aside(BROKEN)], 0),
        ([aside(BROKEN), BROKEN], 20),
        ([aside(BROKEN)], 0),
    ],
)
def test_what_does_not_count_does_not_decide(progress, checks, code):
    assert doctor.tell(checks, progress, as_json=False) == code


def test_what_does_not_count_is_told_all_the_same(progress, told):
    doctor.tell([aside(BROKEN)], progress, as_json=False)
    assert "warning: target el6: podman is not on PATH\n" in told.getvalue()
    assert "    apt-get install podman\n" in told.getvalue()


def test_a_check_that_is_well_has_its_mend_as_a_note(progress, told):
    check = Check(what="target el6", ok=True, found="podman is here", mend=".venv/bin/nox -s image -- --target el6")
    assert doctor.tell([check], progress, as_json=False) == 0
    assert "target el6: .venv/bin/nox -s image -- --target el6\n" in told.getvalue()
    assert "warning" not in told.getvalue()


def test_programs_are_told_what_counts(progress, capsys, validator_of):
    doctor.tell([WELL, aside(BROKEN)], progress, as_json=True)
    told = json.loads(capsys.readouterr().out)
    validator_of("doctor").validate(told)
    rows = told["checks"]
    assert [(row["what"], row["ok"], row["counts"]) for row in rows] == [
        ("git", True, True),
        ("target el6", False, False),
    ]


class NoEngine:
    """An engine that is not there."""

    def identify(self) -> None:
        raise EngineError("engine-missing", "podman is not on PATH", hint="install it")


@pytest.fixture
def broken_targets(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "engine_of", lambda *_: NoEngine())


@pytest.mark.parametrize(
    ("asked", "counting"),
    [
        ((), {"demo": True, "el6": False}),
        (("el6",), {"el6": True}),
        (("el6", "demo"), {"el6": True, "demo": True}),
    ],
)
def test_targets_that_are_asked_for_or_else_the_default_ones_count(settings, broken_targets, asked, counting):
    checks = doctor.examine(settings, asked)
    found = {check.what: check for check in checks if check.what.startswith("target ")}
    assert {what.removeprefix("target "): check.counts for what, check in found.items()} == counting
    assert {(check.ok, check.found, check.mend) for check in found.values()} == {
        (False, "podman is not on PATH", "install it")
    }
    assert all(check.counts for check in checks if check.what not in found)


def test_an_unknown_target_is_a_usage_error(settings, broken_targets):
    with pytest.raises(UsageError, match="there is no target 'el7'"):
        doctor.examine(settings, ("el7",))


def test_a_program_is_told_with_its_place_or_how_to_get_it(settings, broken_targets, monkeypatch, tmp_path):
    there = {check.what: check for check in doctor.examine(settings, ())}["git"]
    assert there.ok
    assert Path(there.found).is_absolute()
    assert Path(there.found).name == "git"
    monkeypatch.setattr(command, "is_on_path", lambda name: name != "git")
    gone = {check.what: check for check in doctor.examine(settings, ())}["git"]
    assert (gone.ok, gone.counts, gone.mend) == (False, True, "apt-get install git")
    assert gone.found == "not on PATH (fetch and patch)"


@pytest.mark.parametrize("usable", [True, False])
@pytest.mark.parametrize(("asked", "counts"), [((), False), (("el6",), True)])
def test_repoclosure_is_looked_for_where_hosts_repositories_are_configured(
    settings, broken_targets, monkeypatch, usable, asked, counts
):
    monkeypatch.setattr(closure, "usable", lambda: usable)
    assert not any(check.what == "dnf repoclosure" for check in doctor.examine(settings, asked))
    target = settings.targets["el6"].model_copy(update={"host_repositories": ("theirs",)})
    settings = settings.model_copy(update={"targets": {**settings.targets, "el6": target}})
    (check,) = (check for check in doctor.examine(settings, asked) if check.what == "dnf repoclosure")
    assert (check.ok, check.counts) == (usable, counts)
    assert ("dnf-plugins-core" in check.mend) is not usable


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("destination", "remote", "asked", "counts"),
    [
        ("out/mirror", "", (), None),
        ("./a:b", "./releases.git", (), None),
        ("rsync://host/module/path", "https://host/releases.git", (), None),
        ("me@host:/srv/yum", "", (), True),
        ("me@host:/srv/yum", "", ("el6",), True),
        ("out/mirror", "ssh://git@host/releases.git", (), True),
        ("out/mirror", "git@host:releases.git", (), True),
    ],
)
def test_ssh_is_looked_for_where_something_is_behind_it(
    settings, broken_targets, monkeypatch, there, destination, remote, asked, counts
):
    monkeypatch.setattr(command, "is_on_path", lambda name: there or name != "ssh")
    monkeypatch.setattr(command, "path_of", lambda name: name)
    mirrors = {"local": settings.mirrors["local"].model_copy(update={"destination": (destination,)})}
    releases = settings.releases.model_copy(update={"remote": remote})
    settings = settings.model_copy(update={"mirrors": mirrors, "releases": releases})
    found = [check for check in doctor.examine(settings, asked) if check.what == "ssh"]
    assert [check.counts for check in found] == ([] if counts is None else [counts])
    assert all(check.ok is there and ("openssh-client" in check.mend) is not there for check in found)
