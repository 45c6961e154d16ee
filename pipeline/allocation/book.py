# SPDX-License-Identifier: GPL-2.0-or-later
"""The reservations of one job in the out directory: `releases/<N>/reservation.json`, one folder a number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pipeline.allocation import note
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
        found = ((number, self._read(number)) for number in self.numbers())
        return [each for number, each in found if each is not None and each.number == number]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Nobody else gives out a number of this book meanwhile."""
        self.dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self.dir / ".lock"):
            yield

    def last(self) -> Reservation | None:
        return next(reversed(self.reservations()), None)

    def keep(self, reservation: Reservation) -> None:
        write_whole(self.dir / str(reservation.number) / _FILE_NAME, note.write(reservation))

    def _read(self, number: int) -> Reservation | None:
        try:
            return note.read((self.dir / str(number) / _FILE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # missing, or no text
            return None
