# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of a publish at each call that makes, moves or removes a name, and at any moment; errors of a disk too.

Each time readers find the former state or the new one, whole, and the plain rerun ends with the new one.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import killer
from tests.chaos.figures import FULL, size, tell
from tests.chaos.scenarios import SCENARIOS, Case, Scenario, second, second_over_daemon
from tests.chaos.wholeness import Signatures, State, read_state
from tests.integration.conftest import Project, RsyncDaemon

_SEED = 20150105
_RERUN_SECONDS = 60
_WORKERS = 2
# Of a publish to this machine: packages and links, then metadata.
_WRITING_RSYNCS = (1, 2)
_RSYNC_KINDS = ("renameat", "linkat", "symlinkat", "mkdir", "mkdirat")
# What a disk refuses. gpg alone makes its locks by link, and waits for ever behind one that it could not unlink.
_FAILING = ("rename", "symlink", *_RSYNC_KINDS)
_CHILDREN = 20  # of a daemon, for a publish


@pytest.mark.parametrize("make", SCENARIOS, ids=lambda make: make.__name__)
def test_killed_at_a_call(
    make: Callable[[Project], Scenario], project: Project, signatures: Signatures, tmp_path: Path
) -> None:
    _kill_at_calls(make.__name__, make(project), signatures, tmp_path)


def test_killed_at_a_call_over_a_daemon(
    project: Project, rsync_daemon: RsyncDaemon, signatures: Signatures, tmp_path: Path
) -> None:
    _kill_at_calls("over a daemon", second_over_daemon(project, rsync_daemon), signatures, tmp_path)


def _kill_at_calls(name: str, scenario: Scenario, signatures: Signatures, tmp_path: Path) -> None:
    case, calls = _prepared(scenario, signatures, tmp_path)
    ends = _try_each(
        case,
        _some(range(1, len(calls) + 1), 1),
        signatures,
        tmp_path,
        lambda number, its: killer.after_calls(its.argv, number, its.dir),
    )
    tell(**{f"killed at a call, {name}": f"{sum(ends.values())} of {len(calls)} calls, {_told(ends)}"})


def test_killed_at_a_moment(project: Project, signatures: Signatures, tmp_path: Path) -> None:
    base = second(project)
    started = time.monotonic()
    case, _ = _prepared(base, signatures, tmp_path, counted=False)
    whole_seconds = time.monotonic() - started
    moments = random.Random(_SEED)
    ends = _try_each(
        case,
        [moments.uniform(0.2 * whole_seconds, whole_seconds) for _ in range(size(2, 50))],
        signatures,
        tmp_path,
        lambda seconds, its: killer.after_seconds(its.argv, seconds),
    )
    tell(**{"killed at a moment": f"{sum(ends.values())} times, {_told(ends)}"})


def test_a_child_of_the_daemon_is_killed(
    project: Project, rsync_daemon: RsyncDaemon, signatures: Signatures, tmp_path: Path
) -> None:
    case, _ = _prepared(second_over_daemon(project, rsync_daemon), signatures, tmp_path, counted=False)
    server = int((rsync_daemon.dir.parent / "pid").read_text())
    whole = case.scenario.copied(tmp_path.with_name(f"{tmp_path.name}-count"))
    count = killer.a_child_of(server, whole.argv, 0, 0) if FULL else _CHILDREN
    ends = _try_each(
        case,
        _some([(number, delay) for number in range(1, count + 1) for delay in (0.0, 0.01, 0.03)], 1),
        signatures,
        tmp_path,
        lambda each, its: killer.a_child_of(server, its.argv, *each),
        workers=1,  # the daemon has no other children then
    )
    tell(**{"a child of the daemon killed": f"{sum(ends.values())} times, one of {count} children, {_told(ends)}"})


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_call_that_fails(error: str, project: Project, signatures: Signatures, tmp_path: Path) -> None:
    """The N-th of a kind, in each process of ours; then in each run of rsync that writes to the mirror, alone."""
    case, calls = _prepared(second(project), signatures, tmp_path)
    most = killer.most_of_one(calls)
    codes: Counter[int] = Counter()

    def harm(each: tuple[str, int, int], its: Scenario) -> None:
        kind, number, rsync_call = each
        codes[killer.with_error(its.argv, kind, number, error, its.dir, rsync_call=rsync_call)] += 1

    given = [
        (kind, number, rsync_call)
        for kind in _FAILING
        for number in range(1, most.get(kind, 0) + 1)
        for rsync_call in (0, *(_WRITING_RSYNCS if kind in _RSYNC_KINDS else ()))
    ]
    ends = _try_each(case, _some(given, 1), signatures, tmp_path, harm)
    tell(**{f"calls that failed with {error}": f"{sum(ends.values())}, {_told(ends)}; exit codes {dict(codes)}"})


def _some(given: Sequence[Any], short: int) -> Sequence[Any]:
    """All in the full form, else the same few each time."""
    return given if FULL else random.Random(_SEED).sample(given, short)


def _prepared(
    scenario: Scenario, signatures: Signatures, tmp_path: Path, *, counted: bool = True
) -> tuple[Case, list[str]]:
    """The scenario with what it leads to, and the calls that it takes when nobody kills it."""
    base = scenario.copied(tmp_path.with_name(f"{tmp_path.name}-base"))
    whole = base.copied(tmp_path.with_name(f"{tmp_path.name}-whole"))
    calls = killer.after_calls(whole.argv, 10**6, whole.dir) if counted else []
    if not counted:
        subprocess.run(whole.argv, check=True)
    former, new = read_state(base.repository_dir, signatures), read_state(whole.repository_dir, signatures)
    assert new.revision > former.revision
    assert new.packages != former.packages
    return Case(base, former, new), calls


def _try_each(
    case: Case,
    given: Sequence[Any],
    signatures: Signatures,
    tmp_path: Path,
    harm: Callable[[Any, Scenario], object],
    *,
    workers: int = _WORKERS,
) -> Counter[str]:
    """How often readers found which state after the harm; all else is an error."""

    def attempt(each: Any) -> str:
        name = f"{tmp_path.name}-{str(each).replace(' ', '')}"
        scenario = case.scenario.copied(tmp_path.with_name(name))
        harm(each, scenario)
        return _healed(case, scenario, signatures, str(each))

    with ThreadPoolExecutor(workers) as pool:
        return Counter(pool.map(attempt, given))


def _healed(case: Case, scenario: Scenario, signatures: Signatures, told: str) -> str:
    """Which state readers found before the rerun, when all was right then and after it."""
    found = read_state(scenario.repository_dir, signatures)
    assert _is(found, case.former) or _is_new(found, case), told
    rerun = subprocess.run(scenario.argv, capture_output=True, text=True, timeout=_RERUN_SECONDS)
    assert rerun.returncode == 0, f"{told}: {rerun.stderr}"
    after = read_state(scenario.repository_dir, signatures)
    assert _is_new(after, case), told
    assert list(after.log_revisions) == sorted(set(after.log_revisions)), told
    missing = [name for name in case.scenario.former_files() if not (scenario.repository_dir / name).exists()]
    assert not missing, told
    return "the former stood" if _is(found, case.former) else "the new one stood"


def _is(found: State, state: State) -> bool:
    return found.repomd_sha256 == state.repomd_sha256


def _is_new(found: State, case: Case) -> bool:
    return found.packages == case.new.packages and found.revision > case.former.revision


def _told(ends: Counter[str]) -> str:
    return ", ".join(f"{what} {count} times" for what, count in sorted(ends.items()))
