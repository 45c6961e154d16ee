# SPDX-License-Identifier: GPL-2.0-or-later
"""The reservations of one job in the out directory: `releases/<N>/reservation.json`, one folder a number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from pipeline.files import write_whole
from pipeline.model import Reservation

_FILE_NAME = "reservation.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """Numbers that were given out here, whether or not anything was built; `dir` is the job's `releases/`."""

    dir: Path

    def numbers(self) -> list[int]:
        """Every number that has a folder, in order; a folder without a reservation counts, it was given out once."""
        return sorted(int(path.name) for path in self.dir.glob("*") if path.name.isascii() and path.name.isdigit())

    def reservations(self) -> list[Reservation]:
        """The reservations that can be read, by number."""
        found = (_read(self.dir / str(number) / _FILE_NAME) for number in self.numbers())
        return [reservation for reservation in found if reservation is not None]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Nobody else gives out a number of this book meanwhile."""
        self.dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self.dir / ".lock"):
            yield

    def last(self) -> Reservation | None:
        return next(reversed(self.reservations()), None)

    def keep(self, reservation: Reservation) -> None:
        path = self.dir / str(reservation.number) / _FILE_NAME
        write_whole(path, json.dumps(_ADAPTER.dump_python(reservation, mode="json"), indent=1) + "\n")


def _read(path: Path) -> Reservation | None:
    """The reservation in a file; `None` for one that is missing, cut short or edited into something else."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return _ADAPTER.validate_python(document)
    except (OSError, ValueError, ValidationError, RecursionError):
        return None


_ADAPTER = TypeAdapter(Reservation)
