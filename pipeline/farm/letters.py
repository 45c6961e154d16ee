# SPDX-License-Identifier: GPL-2.0-or-later
"""What travels through the scheduler: what a worker is asked for, and what it says. Files go through the store."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

from pipeline.farm.trouble import Trouble
from pipeline.farm.version import Version
from pipeline.model import Dependency, Image, Job, StageOutcome

# "done" is also a job that failed by what it holds; after the others another worker is asked.
Kind = Literal["done", "no-disk", "other-version", "other-image", "died", "stopped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The stages to do of one job, of which `parcels` have all that was done before; `run` is whose parcels these are.

    `source`, `engine` and `offline` are the wishes of the command line, `version` is the pipeline that asks. The same
    `ticket` begins twice when a worker died of which dask gave the job to another.
    """

    job: Job
    stages: tuple[str, ...]
    attempt: str
    run: str
    version: Version
    image: Image
    parcels: tuple[str, ...] = ()
    needs: tuple[Dependency, ...] = ()
    source: str = ""
    engine: str = ""
    offline: bool = False
    keep_going: bool = False
    ticket: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How it went at a worker: with `done` there is a parcel, also of a job that failed; else `why` says why not."""

    kind: Kind
    worker: str
    why: str = ""
    hint: str = ""
    parcel: str = ""
    outcomes: tuple[StageOutcome, ...] = ()
    trouble: Trouble | None = None
    warnings: tuple[str, ...] = ()


def form() -> dict[str, tuple[str, ...]]:
    """The fields of all that a worker is sent: who has the same can hand it on."""
    found: dict[str, tuple[str, ...]] = {}
    pending: list[Any] = [Asked]
    while pending:
        kind = pending.pop()
        if not is_dataclass(kind):
            pending.extend(get_args(kind))
        elif kind.__name__ not in found:  # type: ignore[union-attr]
            found[kind.__name__] = tuple(field.name for field in fields(kind))  # type: ignore[union-attr]
            pending.extend(get_type_hints(kind).values())
    return found
