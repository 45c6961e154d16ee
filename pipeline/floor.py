# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may write now, where several have something to say: lines of one are never between those of another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Writes one thing, whole.
Item = Callable[[], None]


@dataclass
class Floor:
    """A place to write to, by `write`, and the blocks that are open there."""

    write: Callable[[Item], None]
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _open: list[Block] = field(default_factory=list)

    @contextmanager
    def block(self) -> Iterator[Block]:
        """A block of lines that stay together: written at once while it is alone, else when it ends."""
        block = Block(floor=self)
        with self._lock:
            self._open.append(block)
        try:
            yield block
        finally:
            with self._lock:
                self._open.remove(block)
                block.flush()

    def is_alone(self, block: Block) -> bool:
        return self._open == [block]

    def held(self) -> threading.RLock:
        return self._lock


@dataclass(eq=False)
class Block:
    """What one of those who write has to say."""

    floor: Floor
    _kept: list[Item] = field(default_factory=list)

    def put(self, item: Item) -> None:
        with self.floor.held():
            self._kept.append(item)
            if self.floor.is_alone(self):
                self.flush()

    def flush(self) -> None:
        kept, self._kept = self._kept, []
        for item in kept:
            self.floor.write(item)
