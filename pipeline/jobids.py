# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs by their ids, `PACKAGE@TARGET`: those that the settings know, and those that a command is to do."""

from __future__ import annotations

from difflib import get_close_matches

from pipeline.errors import UsageError
from pipeline.model import Job
from pipeline.settings import Settings, choose_jobs


def known(settings: Settings) -> tuple[Job, ...]:
    """All jobs of the settings, also those of targets that are not done by default."""
    return tuple(
        Job(package=package, target=target)
        for target in settings.targets
        for package in settings.packages
        if settings.builds(package, target)
    )


def choose(
    settings: Settings, targets: tuple[str, ...], packages: tuple[str, ...], only: tuple[str, ...]
) -> tuple[Job, ...]:
    """The jobs whose ids are given, each once, in the order of the settings; without ids as `choose_jobs`.

    Raises: UsageError naming an id that no job has, with the nearest that one has; as `choose_jobs`.
    """
    if not only:
        return choose_jobs(settings, targets, packages)
    if targets or packages:
        raise UsageError(
            "only-alone", "--only names whole jobs", hint="leave out --target and --package, or --only PACKAGE@TARGET"
        )
    there = {job.id: job for job in known(settings)}
    for wanted in only:
        if wanted not in there:
            near = get_close_matches(wanted, there, n=1)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                "unknown-job",
                f"there is no job '{wanted}' in pipeline.toml",
                hint=f"{meant}an id is PACKAGE@TARGET; `.venv/bin/nox -s plan -- --json` has those of all jobs",
            )
    wanted_jobs = [job for name, job in there.items() if name in only]
    # What is refused of the other flags is refused of these as well, such as one source for two packages.
    of_names = (tuple(job.target for job in wanted_jobs), tuple(job.package for job in wanted_jobs))
    return tuple(job for job in choose_jobs(settings, *of_names) if job in wanted_jobs)
