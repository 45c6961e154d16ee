# SPDX-License-Identifier: GPL-2.0-or-later
"""Work side by side: results in order, the first error, and an interrupt that does not wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import command, slots
from pipeline.errors import CommandFailed, Interrupted
from pipeline.parallel import run_all, run_ordered


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


def test_what_fails_ends_its_own_commands_and_leaves_those_of_others_alone() -> None:
    others: list[int] = []

    def one_that_goes_on() -> None:
        others.append(command.run(["sleep", "1"], timeout_seconds=60).exit_code)

    beside = threading.Thread(target=one_that_goes_on)
    beside.start()
    with pytest.raises(CommandFailed):
        run_all(lambda words: command.run(words, timeout_seconds=60), [["sleep", "50"], ["false"]])
    beside.join(timeout=20)
    assert others == [0]


def test_what_ends_a_crew_ends_the_crews_below_it() -> None:
    ends: list[BaseException] = []

    def wait_long(_: int) -> None:
        command.run(["sleep", "50"], timeout_seconds=60)

    def two_together(number: int) -> None:
        try:
            run_all(wait_long, range(2))
        except (CommandFailed, Interrupted) as error:
            ends.append(error)
            raise

    started = time.monotonic()
    with pytest.raises((CommandFailed, Interrupted)):
        run_ordered(lambda key: two_together(0) if key != "c" else fail_soon(), {"a": (), "b": (), "c": ()}, width=3)
    assert len(ends) == 2
    assert time.monotonic() - started < 15


def fail_soon() -> None:
    command.run(["sh", "-c", "sleep 0.5; exit 3"], timeout_seconds=60)


def test_each_is_done_behind_what_it_needs() -> None:
    done: list[str] = []
    run_ordered(done.append, {"d": ("b", "c"), "c": ("a",), "b": ("a", "elsewhere"), "a": ()}, width=1)
    assert done == ["a", "c", "b", "d"]


def test_nothing_to_do_is_done_at_once() -> None:
    run_ordered(str, {}, width=0)


def test_as_many_are_done_at_once_as_there_is_room_for() -> None:
    barrier, at_it, most = threading.Barrier(3), [], []

    def work(key: int) -> None:
        at_it.append(key)
        barrier.wait(timeout=20)
        most.append(len(at_it))
        barrier.wait(timeout=20)
        at_it.remove(key)

    run_ordered(work, {key: () for key in range(6)}, width=3)
    assert most == [3] * 6


def test_the_first_error_of_work_in_order_ends_the_rest() -> None:
    done: list[int] = []

    def work(key: int) -> None:
        if key == 1:
            raise ValueError("one")
        done.append(key)

    with pytest.raises(ValueError, match="one"):
        run_ordered(work, {0: (), 1: (0,), 2: (1,)}, width=2)
    assert done == [0]


@given(st.data())
def test_any_order_without_a_cycle_is_kept(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    needs = {key: data.draw(st.sets(st.integers(0, key - 1), max_size=4)) if key else set() for key in range(count)}
    shuffled = {key: needs[key] for key in data.draw(st.permutations(range(count)))}
    done: list[int] = []

    def work(key: int) -> None:
        assert needs[key] <= {*done}
        done.append(key)

    run_ordered(work, shuffled, width=data.draw(st.integers(1, 4)))
    assert sorted(done) == list(range(count))


def test_heavy_commands_wait_for_a_place(tmp_path: Path) -> None:
    slots.allow(2)
    try:
        script = f"mkdir {tmp_path}/$1; sleep 0.3; ls {tmp_path} | wc -l > {tmp_path}.$1; rmdir {tmp_path}/$1"
        run_all(
            lambda number: command.run(["sh", "-c", script, "sh", str(number)], timeout_seconds=60, heavy=True),
            range(4),
        )
        counts = [int(Path(f"{tmp_path}.{number}").read_text()) for number in range(4)]
    finally:
        slots.allow(slots.fitting())
    assert max(counts) <= 2


def test_there_is_room_for_one_at_least_and_for_no_more_than_there_are_cores() -> None:
    assert 1 <= slots.fitting() <= (os.cpu_count() or 1)


def test_little_memory_leaves_less_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(16))
    monkeypatch.setattr("pipeline.slots._free_bytes", lambda: 3 * 1024**3 + 5)
    assert slots.fitting() == 3
    monkeypatch.setattr("pipeline.slots._free_bytes", lambda: 5)
    assert slots.fitting() == 1


def test_who_has_more_patience_is_behind_and_else_who_came_first_is_first() -> None:
    slots.allow(1)
    order: list[str] = []
    held, threads = threading.Event(), []

    def hold() -> None:
        with slots.taken():
            held.wait(timeout=20)

    def take(name: str) -> None:
        patience = ("build", "test", "look").index(name.partition(" ")[0])

        def work(_: int) -> None:
            with slots.taken():
                order.append(name)

        with slots.having(patience):
            run_all(work, [1])  # a thread of its own

    def begin(work: Callable[[], None], waiting: int) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        threads.append(thread)
        deadline = time.monotonic() + 20
        while len(slots._there()._queue) != waiting and time.monotonic() < deadline:
            time.sleep(0.001)

    try:
        begin(hold, 0)
        names = ("look 1", "test 1", "test 2", "build 1", "build 2")
        for count, name in enumerate(names):
            begin(partial(take, name), count + 1)
        held.set()
        for thread in threads:
            thread.join(timeout=20)
    finally:
        slots.allow(slots.fitting())
    assert order == ["build 1", "build 2", "test 1", "test 2", "look 1"]
