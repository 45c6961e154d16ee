# SPDX-License-Identifier: GPL-2.0-or-later
"""Work side by side: results in order, the first error, and an interrupt that does not wait."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline import command
from pipeline.errors import CommandFailed, Interrupted
from pipeline.parallel import run_all


def test_results_come_in_the_order_of_the_items() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 * (3 - number))
        return number * 10

    assert run_all(work, range(4)) == [0, 10, 20, 30]


def test_an_error_ends_the_commands_beside_it(tmp_path: Path) -> None:
    def work(words: list[str]) -> None:
        command.run(words, timeout_seconds=60)

    started = time.monotonic()
    with pytest.raises(CommandFailed):
        run_all(work, [["sh", "-c", "sleep 0.3; exit 3"], ["sleep", "50"]])
    assert time.monotonic() - started < 15


def test_a_command_that_is_ended_may_tidy_up_and_has_failed_whatever_it_says(tmp_path: Path) -> None:
    ends: list[int] = []

    def work(script: str) -> None:
        try:
            command.run(["sh", "-c", script], timeout_seconds=60)
        except CommandFailed as error:
            ends.append(error.command_exit_code)
            raise

    tidy = f"trap 'touch {tmp_path}/tidied; exit 0' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done"
    with pytest.raises(CommandFailed):
        run_all(work, [f"while [ ! -e {tmp_path}/ready ]; do sleep 0.02; done; exit 3", tidy])
    assert (tmp_path / "tidied").exists()
    assert sorted(ends) == [-15, 3]


def test_nothing_more_starts_behind_an_error(tmp_path: Path) -> None:
    def work(number: int) -> None:
        if number == 0:
            command.run(["sh", "-c", "sleep 0.3; exit 3"], timeout_seconds=60)
        time.sleep(0.5)
        (tmp_path / f"began-{number}").touch()
        command.run(["sh", "-c", f"touch {tmp_path}/{number}; sleep 50"], timeout_seconds=60)

    started = time.monotonic()
    with pytest.raises(CommandFailed):
        run_all(work, range(8))
    assert time.monotonic() - started < 15
    assert list(tmp_path.glob("began-*")), "no thread came as far as its command"
    assert not list(tmp_path.glob("[0-9]"))


def test_what_tidies_up_may_run_while_the_rest_is_ended() -> None:
    with command.none_running():
        assert command.run(["true"], timeout_seconds=60, tidies=True).exit_code == 0
        with pytest.raises(Interrupted):
            command.run(["true"], timeout_seconds=60)
    assert command.run(["true"], timeout_seconds=60).exit_code == 0


def test_a_later_item_that_fails_does_not_wait_for_an_earlier_one() -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed):
        run_all(lambda words: command.run(words, timeout_seconds=60), [["sleep", "50"], ["false"]])
    assert time.monotonic() - started < 15
