# SPDX-License-Identifier: GPL-2.0-or-later
"""What travels through the scheduler: what a worker is asked for, and what it says. Files go through the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.farm.trouble import Trouble
from pipeline.model import Dependency, Image, Job, StageOutcome

# "done" is also a job that failed by what it holds; after the others another worker is asked.
Kind = Literal["done", "no-disk", "other-version", "other-image", "died", "stopped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The stages to do of one job, of which `parcels` have all that was done before; `run` is whose parcels these are.

    `source`, `engine` and `offline` are the wishes of the command line, `version` is the pipeline that asks.
    """

    job: Job
    stages: tuple[str, ...]
    attempt: str
    run: str
    version: str
    image: Image
    parcels: tuple[str, ...] = ()
    needs: tuple[Dependency, ...] = ()
    source: str = ""
    engine: str = ""
    offline: bool = False
    keep_going: bool = False


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
