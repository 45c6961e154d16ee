# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of a matrix: one job on one machine, and the jobs of many brought together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import exit_with, main, print_json, with_flags, with_job_flags
from pipeline.commands.stages import perform

if TYPE_CHECKING:
    from pipeline.model import Job
    from pipeline.progress import Progress
    from pipeline.settings import Settings

_PARCELS = "jobs"


@main.command(help="All of a job that needs no key; its parcel, out/jobs/ID.tar, is what collect takes.")
@click.option(
    "--with",
    "given",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR",
    help="Folder with the parcels of jobs that this one needs; repeatable.",
)
@with_job_flags
def job(given: tuple[Path, ...], **flags: Any) -> None:
    exit_with(lambda settings, progress: _job(settings, progress, given, flags), flags)


@main.command(help="Take the parcels (*.tar) below the DIRs, sign what they hold, and publish it once.")
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="DIR...")
@with_flags
def collect(places: tuple[Path, ...], **flags: Any) -> None:
    exit_with(lambda settings, progress: _collect(settings, progress, places, flags), flags)


def _job(settings: Settings, progress: Progress, given: tuple[Path, ...], flags: dict[str, Any]) -> int:
    """Do it, and leave a parcel of each job if all went well; none of an earlier run stays."""
    from pipeline import lock, selection
    from pipeline.errors import UsageError
    from pipeline.flow import KEYLESS
    from pipeline.parcels import collecting
    from pipeline.parcels.packing import pack

    if not flags["only"]:
        raise UsageError(
            "which-job", "job does one job", hint="name it: --only PACKAGE@TARGET, as plan -- --json has it"
        )
    jobs = selection.choose(settings, flags["targets"], flags["packages"], flags["only"])
    parcels = collecting.find(given, settings) if given else {}
    if flags["dry_run"]:
        return perform(KEYLESS, settings, progress, flags)
    for each in jobs:
        _parcel_path(settings, each).unlink(missing_ok=True)
    _unpack({each: path for each, path in parcels.items() if each not in jobs}, settings, progress, flags)
    exit_code = perform(KEYLESS, settings, progress, flags)
    if exit_code == 0:
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            for each in jobs:
                path = _parcel_path(settings, each)
                pack(settings.out_path / each.target / each.package, settings.out_path, path)
                progress.heading(f"{each}: {path}, for collect")
    return exit_code


def _collect(settings: Settings, progress: Progress, places: tuple[Path, ...], flags: dict[str, Any]) -> int:
    """What they hold is in place before anything is signed; nothing is published but all of it."""
    from pipeline.document import plan_document
    from pipeline.errors import UsageError
    from pipeline.parcels import collecting, unpacking
    from pipeline.run import Run, new_attempt

    if flags["targets"] or flags["packages"]:
        raise UsageError("collect-all", "collect publishes all that it is given", hint="name folders, not jobs")
    parcels = collecting.find(places, settings)
    for each, path in parcels.items():
        progress.heading(f"{each}: {path}")
    if flags["dry_run"]:
        print_json(plan_document(()), flags)
        return 0
    _unpack(parcels, settings, progress, flags)
    images = {each: image for each, path in parcels.items() if (image := unpacking.read_head(path).image)}
    run = Run(settings=settings, progress=progress, last_stage="publish", attempt=new_attempt(), images=images)
    collecting.refuse_what_does_not_hold(run.plan(parcels), parcels)
    return perform("publish", settings, progress, flags, images=images)


def _unpack(parcels: dict[Job, Path], settings: Settings, progress: Progress, flags: dict[str, Any]) -> None:
    from pipeline import lock
    from pipeline.parcels.unpacking import unpack

    if parcels:
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            for path in parcels.values():
                unpack(path, settings.out_path)


def _parcel_path(settings: Settings, job: Job) -> Path:
    return settings.out_path / _PARCELS / f"{job.id}.tar"
