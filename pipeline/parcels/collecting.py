# SPDX-License-Identifier: GPL-2.0-or-later
"""Many parcels -> the jobs that they are of: which are there, whether they belong together, and what of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import selection
from pipeline.errors import ParcelError
from pipeline.files import sha256_of
from pipeline.flow import STAGES
from pipeline.model import Job, JobOutcome
from pipeline.parcels import head
from pipeline.parcels.head import Head
from pipeline.parcels.unpacking import examine
from pipeline.settings import Settings

_ONE_COMMIT = "let all runners, and this one, take the same commit of the same checkout"


def find(places: Sequence[Path], settings: Settings) -> dict[Job, Path]:
    """The parcels below these folders, whole and of jobs that are known here, in the order of the settings.

    Raises: ParcelError for none, for one that does not belong here, and for two different ones of one job.
    """
    known = selection.known(settings)
    found: dict[Job, Path] = {}
    for path in _tars(places):
        told = examine(path)
        _refuse_foreign(path, told, known)
        other = found.setdefault(told.job, path)
        if sha256_of(other) != sha256_of(path):
            raise ParcelError(
                "parcel-twice",
                f"{other} and {path} are different parcels of {told.job.id}",
                hint="keep the one that is meant: give the folder of one run only",
            )
    if not found:
        raise ParcelError(
            "no-parcels",
            f"there is no parcel (*.tar) below {', '.join(map(str, places))}",
            hint="`.venv/bin/nox -s job -- --only ID` leaves one in out/jobs/; name the folder that it was fetched to",
        )
    return {job: found[job] for job in known if job in found}


def refuse_what_does_not_hold(planned: Iterable[JobOutcome], parcels: dict[Job, Path]) -> None:
    """Raises: ParcelError for a job of which something would be built again, with the first reason."""
    for outcome in planned:
        lacking = [need for need in outcome.needs or () if need not in parcels]
        if lacking and any(
            row.result == "run" and f"built on {lacking[0].package}" in row.reason for row in outcome.stages
        ):
            raise ParcelError(
                "parcel-missing",
                f"{outcome.job.id} is built on {lacking[0].id}, which has no parcel here, and was not built here",
                hint=f"add that job's parcel: `.venv/bin/nox -s job -- --only {lacking[0].id}` leaves it",
            )
        anew = [row for row in outcome.stages if row.result == "run"]
        if any(STAGES[row.stage].in_engine for row in anew):
            raise ParcelError(
                "parcel-does-not-hold",
                f"{parcels[outcome.job]} does not hold here, {anew[0].stage} would be done again: {anew[0].reason}",
                hint="give this run the parcels of all that the job is built on, and the flags that its runner had, and"
                f" {_ONE_COMMIT}; else do that job once more",
            )


def _tars(places: Sequence[Path]) -> list[Path]:
    return [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.tar")))]


def _refuse_foreign(path: Path, told: Head, known: Sequence[Job]) -> None:
    if told.pipeline != head.version():
        raise ParcelError("parcel-version", f"{path} was made by another version of the pipeline", hint=_ONE_COMMIT)
    if told.job not in known:
        raise ParcelError(
            "parcel-of-nobody", f"{path} is of {told.job.id}, which pipeline.toml does not have", hint=_ONE_COMMIT
        )
    if told.image is None:
        raise ParcelError(
            "parcel-empty", f"{path} does not say what it was built in", hint="do that job once more, to its end"
        )
