# SPDX-License-Identifier: GPL-2.0-or-later
"""What each stage made, on disk, keyed by what it was made from.

An entry holds the inputs (name -> digest or value), the record, and a digest of the record. It is
taken again only if the inputs are the same and every file that the record names is still there,
unchanged; otherwise the difference is the reason to run the stage again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from pipeline import canonical
from pipeline.files import sha256_of, tree_fingerprint, write_whole
from pipeline.inputs import difference
from pipeline.memo import by_identity
from pipeline.model import File, Tree

_FORMAT = 1
_SETTLED_SECONDS = 2
_CAPITAL = re.compile("[A-Z]")
NOTHING_MOVED: Mapping[str, str] = MappingProxyType({})

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A record that still holds, or `None`; `reason` says why either way."""

    record: Any
    reason: str
    finished: str = ""


class Ledger:
    """The entries of one job (or of one target), one JSON file a stage."""

    def __init__(self, home_dir: Path, out_path: Path) -> None:
        self._dir = home_dir / "ledger"
        self._out_dir = str(out_path)
        # Files that were read, and their times then: records name again what those before them name.
        self._read_at: dict[File, _Stamp] = {}

    def find(
        self, stage: str, record_type: type, inputs: Mapping[str, str], instead: Mapping[str, str] = NOTHING_MOVED
    ) -> Found:
        """The record that `stage` made from exactly these inputs, if all of it is still there.

        `instead` is where files lie that were moved: path -> path.
        """
        entry = self._read(stage)
        if entry is None:
            return Found(record=None, reason="not done before")
        changed = difference(entry.inputs, inputs)
        if changed:
            return Found(record=None, reason=changed)
        record = entry.record(record_type)
        if record is None:
            return Found(record=None, reason="the ledger entry was edited or cut short")
        gone = self._gone(record, instead)
        if gone:
            return Found(record=None, reason=f"{gone} is missing or was changed")
        return Found(record=record, reason=f"nothing changed since {entry.finished}", finished=entry.finished)

    def last(self, stage: str, record_type: type) -> Any:
        """The newest record of a stage, whatever it was made from, or `None`."""
        entry = self._read(stage)
        return None if entry is None else entry.record(record_type)

    def has_files(self, record: object) -> bool:
        """Whether all that the record names is still there, unchanged."""
        return not self._gone(record)

    def keep(self, stage: str, record: object, inputs: Mapping[str, str], *, finished: str, seconds: float) -> None:
        entry = {
            "format": _FORMAT,
            "stage": stage,
            "finished": finished,
            "seconds": round(seconds, 3),
            "inputs": dict(inputs),
            "record": encode(record),
            "record_sha256": digest_of(record),
        }
        write_whole(self._dir / f"{stage}.json", json.dumps(entry, indent=1, sort_keys=True) + "\n")

    def _read(self, stage: str) -> _Entry | None:
        try:
            with open(f"{self._dir}/{stage}.json", "rb") as stream:  # noqa: PTH123  # a Path for each takes twice the time
                content = stream.read()
        except OSError:
            return None
        return _entry_of(content)

    def _gone(self, record: object, instead: Mapping[str, str] = NOTHING_MOVED) -> str:
        """The first of the record's files that is not as it was; empty if all are."""
        return next((str(part.path) for part in parts(record) if not self._holds(part, instead)), "")

    def _holds(self, part: File | Tree, instead: Mapping[str, str]) -> bool:
        path = f"{self._out_dir}/{part.path}"  # a Path for each takes several times as long as to look at it
        path = instead.get(path, path)
        try:
            if isinstance(part, Tree):
                return tree_fingerprint(path) == part.fingerprint
            status = os.stat(path)  # noqa: PTH116
            stamp = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            if status.st_size != part.size_bytes or self._read_at.get(part) == stamp:
                return status.st_size == part.size_bytes
            if sha256_of(path) != part.sha256:
                return False
        except (OSError, ValueError):  # ValueError: a path that no file can have
            return False
        # What was written this very moment may be written again under the same time.
        if time.time() - status.st_ctime > _SETTLED_SECONDS:
            self._read_at[part] = stamp
        return True


def encode(record: object) -> Any:
    """The record as plain JSON values."""
    return _adapter(cast(Hashable, type(record))).dump_python(record, mode="json")


@by_identity(1000)
def digest_of(record: object) -> str:
    """The sha256 of a record's canonical JSON."""
    return _digest(encode(record))


def _digest(encoded: object) -> str:
    return hashlib.sha256(canonical.text_of(encoded)).hexdigest()


def prepare(record_types: Iterable[type]) -> None:
    """Make now what reads and writes these records: a process that is forked later has it."""
    for record_type in record_types:
        _adapter(cast(Hashable, record_type))


@dataclass(kw_only=True, eq=False, slots=True)
class _Entry:
    """What lies on the disk of a stage. Its record is made when it is asked for, and once."""

    content: bytes
    finished: str
    inputs: Mapping[str, str]
    encoded: object
    sha256: str
    _records: dict[type, Any] = field(default_factory=dict, init=False)

    def record(self, record_type: type) -> Any:
        """The record; `None` for one that was edited or cut short, or is of another type."""
        if record_type not in self._records:
            self._records[record_type] = self._decoded(record_type)
        return self._records[record_type]

    def _decoded(self, record_type: type) -> Any:
        encoded = self.encoded
        if _digest(encoded) != self.sha256:  # perhaps it has a number that was rounded
            encoded = canonical.read_exactly(self.content)["record"]
            if _digest(encoded) != self.sha256:
                return None
        try:
            record = _adapter(record_type).validate_python(encoded, strict=False)
        except ValidationError:
            return None
        digest_of.remember(record, self.sha256)
        return record


@lru_cache(64)  # the stages of a job ask for each other's
def _entry_of(content: bytes) -> _Entry | None:
    """The entry that anybody may have edited; `None` for what has not the parts of one."""
    try:
        entry = canonical.read(content)
    except (ValueError, RecursionError):
        return None
    wanted = {"inputs", "record", "record_sha256", "finished"}
    if not isinstance(entry, dict) or entry.get("format") != _FORMAT or not wanted <= entry.keys():
        return None
    inputs = entry["inputs"]
    if not isinstance(inputs, dict) or not all(isinstance(value, str) for value in inputs.values()):
        return None
    return _Entry(
        content=content,
        finished=entry["finished"],
        inputs=inputs,
        encoded=entry["record"],
        sha256=entry["record_sha256"],
    )


@lru_cache
def _adapter(record_type: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type, record_type))


def parts(record: object) -> Iterator[File | Tree]:
    """Every file and tree that a record names, at any depth, each once."""
    seen: set[Path] = set()
    pending = [record]
    while pending:
        part = pending.pop()
        if isinstance(part, (File, Tree)):  # a union is looked through anew each time
            if part.path not in seen:
                seen.add(part.path)
                yield part
        elif isinstance(part, tuple):
            pending.extend(part)
        else:
            kind: Any = type(part)
            pending.extend(getattr(part, name) for name in _field_names(kind))


@lru_cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Of a record, those that may hold records, which have names in capitals; none of any other value."""
    return tuple(field.name for field in fields(kind) if _CAPITAL.search(str(field.type))) if is_dataclass(kind) else ()
