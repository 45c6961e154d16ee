# SPDX-License-Identifier: GPL-2.0-or-later
"""Root of this host, in namespaces of its own: what is asked for, and what is done where it cannot be had."""

from __future__ import annotations

import os

import pytest

from pipeline import command
from pipeline.command import CommandResult
from pipeline.engines.hostroot import RootEngine, plan_walls
from pipeline.errors import EngineError


@pytest.fixture
def refusing(monkeypatch):
    """A function that makes commands fail which have one of the given words; it returns what was tried."""

    def refuse(*words: str) -> list[tuple[str, ...]]:
        tried: list[tuple[str, ...]] = []

        def run(argv, **_: object) -> CommandResult:
            tried.append(tuple(argv))
            return CommandResult(
                argv=tuple(argv), exit_code=int(any(each in argv for each in words)), stdout="", seconds=0
            )

        monkeypatch.setattr(command, "run", run)
        return tried

    return refuse


def test_an_ordinary_user_becomes_root_before_the_link_to_us_is_made():
    strongest, weakest = plan_walls(("unshare", "--user", "--map-root-user"), network=False)
    assert strongest.index("--map-root-user") < strongest.index("--pdeathsig") < strongest.index("--kill-child")
    assert "--net" in strongest
    assert weakest == ("unshare", "--user", "--map-root-user", "setpriv", "--pdeathsig", "KILL")


def test_the_network_is_left_where_it_is_asked_for():
    assert all("--net" not in walls for walls in plan_walls((), network=True))


def test_commands_are_root_s_and_see_no_other_process(tmp_path):
    with RootEngine().workspace(tmp_path / "a space") as workspace:
        script = "id -u; echo $HOME; pwd; ls /proc | grep -c '^[0-9]'; cat /proc/net/dev | wc -l"
        told = workspace.run(["sh", "-c", script], timeout_seconds=10, capture=True).stdout.split("\n")
        assert told[:3] == ["0", str(workspace.dir), str(workspace.dir)]
        assert int(told[3]) < 8
        assert int(told[4]) <= 3
        assert workspace.inside(workspace.dir / "a") == str(workspace.dir / "a")
    assert list((tmp_path / "a space").iterdir()) == []


def test_where_processes_cannot_be_apart_the_command_still_ends_with_us(tmp_path, refusing):
    tried = refusing("--pid")
    with RootEngine().workspace(tmp_path) as workspace:
        workspace.run(["true"], timeout_seconds=10)
    assert tried[-1][-4:] == ("setpriv", "--pdeathsig", "KILL", "true")


def test_a_user_who_may_not_be_root_is_told(tmp_path, monkeypatch, refusing):
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    refusing("--map-root-user")
    with pytest.raises(EngineError) as caught, RootEngine().workspace(tmp_path):
        pytest.fail("there is no root")
    assert caught.value.exit_code == 20
    assert "user namespaces" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
