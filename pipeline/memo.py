# SPDX-License-Identifier: GPL-2.0-or-later
"""What was made of a record is kept while that record is asked about: it never changes, and is slow to compare."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class Memo(Generic[Given, Made]):
    """A function of one frozen record that is called once for the same object, not for an equal one."""

    def __init__(self, function: Callable[[Given], Made], most: int) -> None:
        self._function = function
        self._most = most
        # With what they were made of, so that no other object comes to have the same id.
        self._kept: OrderedDict[int, tuple[Given, Made]] = OrderedDict()
        update_wrapper(self, function)

    def __call__(self, given: Given) -> Made:
        found = self._kept.get(id(given))
        if found is not None:
            return found[1]
        made = self._function(given)
        self.remember(given, made)
        return made

    def remember(self, given: Given, made: Made) -> None:
        """Keep what is known to be made of it."""
        self._kept[id(given)] = (given, made)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


def by_identity(most: int) -> Callable[[Callable[[Given], Made]], Memo[Given, Made]]:
    """Decorate a function of one frozen record; what it made of the last `most` is kept."""
    return lambda function: Memo(function, most)
