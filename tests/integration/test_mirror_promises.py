# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench measures of a mirror with 10,000 packages, held with a few: bytes, memory, nothing read in vain."""

from __future__ import annotations

import statistics

import pytest

from pipeline.chain import Chain
from pipeline.flow import TARGET_STAGES
from pipeline.mirrors import readback, repodata
from tests.bench import mirror as bench
from tests.integration.conftest import Project

_STAGES = tuple(stage for stage in TARGET_STAGES if stage.name != "verify")


def test_a_publish_sends_what_changed_and_takes_little_memory() -> None:
    for where, figures in bench.measure(rounds=1, count=300).items():
        for what in (bench.SENT, bench.MEMORY):
            assert statistics.median(figures[what]) <= bench.LIMITS[what], f"{what}, {where}"


def test_when_nothing_changed_no_package_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = project.signed(project.build())
    Chain("el6", project.context("local"), _STAGES, sign=signed).run()

    def refuse(*_: object) -> None:
        raise AssertionError("packages are read")

    monkeypatch.setattr(repodata, "read_packages", refuse)
    chain = Chain("el6", project.context("local"), _STAGES, sign=signed)
    assert chain.holds()
    assert [outcome.result for outcome in chain.outcomes] == ["cached", "cached"]


def test_a_local_place_is_read_back_where_it_lies(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = readback.check_snapshot

    def watched(*given: object) -> None:
        monkeypatch.setattr("pipeline.mirrors.destination.Destination.fetch", lambda *_: pytest.fail("it is copied"))
        seen.append(given)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(readback, "check_snapshot", watched)
    project.publish(project.context("local"), project.build())
    assert seen
