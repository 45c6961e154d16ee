# SPDX-License-Identifier: GPL-2.0-or-later
"""What was made of a record is made once for it, and again for another that only looks like it."""

from __future__ import annotations

from pipeline.memo import by_identity


def test_it_is_made_once_for_the_same_object_and_again_for_an_equal_one():
    asked: list[tuple[int, ...]] = []

    @by_identity(2)
    def length(given: tuple[int, ...]) -> int:
        asked.append(given)
        return len(given)

    one, other = tuple([1, 2]), tuple([1, 2])
    assert [length(one), length(one), length(other), length(other)] == [2, 2, 2, 2]
    assert [each is one for each in asked] == [True, False]


def test_the_oldest_is_forgotten():
    asked = []
    remembered = by_identity(2)(asked.append)
    first, second, third = [1], [2], [3]
    for given in (first, second, third, second, first):
        remembered(given)
    assert asked == [[1], [2], [3], [1]]


def test_a_new_object_at_the_place_of_an_old_one_is_another():
    remembered = by_identity(1000)(lambda given: given[0])
    assert [remembered([number]) for number in range(500)] == list(range(500))
