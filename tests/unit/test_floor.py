# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may write: at once while alone, else all of it at the end, and blocks in blocks the same."""

from __future__ import annotations

from functools import partial

from pipeline.floor import Block, Floor


def written() -> tuple[Floor, list[str]]:
    lines: list[str] = []
    return Floor(lambda item: item()), lines


def say(block: Block, lines: list[str], *texts: str) -> None:
    for text in texts:
        block.put(partial(lines.append, text))


def test_who_is_alone_is_heard_at_once() -> None:
    floor, lines = written()
    with floor.block() as one:
        say(one, lines, "a")
        assert lines == ["a"]


def test_of_several_each_is_heard_when_it_ends() -> None:
    floor, lines = written()
    with floor.block() as one:
        with floor.block() as two:
            say(one, lines, "one 1")
            say(two, lines, "two 1")
            say(one, lines, "one 2")
            say(two, lines, "two 2")
            assert lines == []
        assert lines == ["two 1", "two 2"]
        say(one, lines, "one 3")
        assert lines[2:] == ["one 1", "one 2", "one 3"], "alone again, it is heard, and in its order"


def test_a_block_in_a_block_waits_as_that_one_does() -> None:
    floor, lines = written()
    with floor.block() as one, floor.block() as two:
        inner = Floor(one.put)
        with inner.block() as part:
            say(two, lines, "two")
            say(part, lines, "part")
        assert lines == []
    assert lines == ["two", "part"]
