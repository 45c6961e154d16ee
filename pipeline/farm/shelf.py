# SPDX-License-Identifier: GPL-2.0-or-later
"""The parcels of one run in the store: a name has the time, the run and the content's digest, so none is taken half."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pipeline.errors import FarmError
from pipeline.farm.store import Store
from pipeline.files import sha256_of

_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{12})-([0-9a-f]{64})\.parcel")
_TIME = "%Y%m%dT%H%M%SZ"
_LONGEST = timedelta(days=1)


def new_run() -> str:
    """What the names of a run's parcels begin with."""
    return f"{datetime.now(timezone.utc):{_TIME}}-{uuid.uuid4().hex[:12]}"


class Shelf:
    """Where a run lays parcels and takes them from. Raises, everywhere: FarmError."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run

    def put(self, path: Path) -> str:
        """The name under which this file can be had now."""
        name = f"{self._run}-{sha256_of(path)}.parcel"
        self._store.put(path, name)
        return name

    def get(self, name: str, path: Path) -> None:
        """Copy the file here. Raises: FarmError also when it is not what was put there."""
        match = _NAME.fullmatch(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store.get(name, path)
        if match is None or sha256_of(path) != match[3]:
            raise FarmError(
                "parcel-damaged",
                f"the parcel {name} came out of the store as something else",
                hint="look at the store's disk, then run the same again: nothing of it was taken",
            )

    def drop(self, *names: str) -> None:
        """Remove these: nobody takes them any more."""
        self._store.remove(names)

    def clear(self) -> None:
        """Remove what this run laid there, and what any run left more than a day ago."""
        self._store.remove(outdated(self._store.names(), self._run, datetime.now(timezone.utc)))


def outdated(names: Iterable[str], run: str, now: datetime) -> tuple[str, ...]:
    """The parcels of this run, and those older than a day; what is no parcel's name is somebody else's."""
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        # Such times sort as text, so that a day which no calendar has is no fault.
        if match and (name.startswith(f"{run}-") or match[1] < f"{now - _LONGEST:{_TIME}}"):
            found.append(name)
    return tuple(found)
