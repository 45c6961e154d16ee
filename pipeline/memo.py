# SPDX-License-Identifier: GPL-2.0-or-later
"""What was made of a record is kept while that record is asked about: it never changes, and is slow to compare."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def by_identity(most: int) -> Callable[[Callable[[_Given], _Made]], Callable[[_Given], _Made]]:
    """Decorate a function of one frozen record: it is called once for the same object, not for an equal one.

    The last `most` are kept, and what they were made of with them, so that no other object comes to have the same id.
    """

    def decorate(function: Callable[[_Given], _Made]) -> Callable[[_Given], _Made]:
        kept: OrderedDict[int, tuple[Any, _Made]] = OrderedDict()

        @wraps(function)
        def remembered(given: _Given) -> _Made:
            found = kept.get(id(given))
            if found is not None:
                return found[1]
            made = function(given)
            kept[id(given)] = (given, made)
            while len(kept) > most:
                kept.popitem(last=False)
            return made

        return remembered

    return decorate
