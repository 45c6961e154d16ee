# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs and packages: those that the settings know, and those that flags select, by names or ids (`PACKAGE@TARGET`)."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from pipeline.errors import UsageError
from pipeline.model import Job
from pipeline.settings import Settings


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


def choose_jobs(settings: Settings, targets: tuple[str, ...], packages: tuple[str, ...]) -> tuple[Job, ...]:
    """The jobs that the flags select, targets first; a package is built for those targets whose sources it has.

    Raises: UsageError naming what does not exist, with the nearest name that does; for what is asked for and not built;
    for one source that is given to several packages.
    """
    _refuse_unknown("target", targets, settings.targets)
    chosen = choose_packages(settings, packages)
    jobs = tuple(
        Job(package=package, target=target)
        for target in dict.fromkeys(targets or settings.default_targets)
        for package in chosen
        if settings.builds(package, target)
    )
    _refuse_unbuilt(settings, jobs, targets or settings.default_targets, packages)
    _refuse_shared_source(settings, jobs)
    return jobs


def choose_packages(settings: Settings, packages: tuple[str, ...]) -> tuple[str, ...]:
    """The packages that the flags select, all where they name none. Raises: UsageError for one that does not exist."""
    _refuse_unknown("package", packages, settings.packages)
    return tuple(dict.fromkeys(packages or tuple(settings.packages)))


def choose_package(settings: Settings, packages: tuple[str, ...]) -> str:
    """The one package that the flags select. Raises: UsageError when it is not one."""
    names = choose_packages(settings, packages)
    if len(names) != 1:
        raise UsageError("which-package", f"there are {len(names)} packages", hint=f"name one: --package {names[0]}")
    return names[0]


def _refuse_unknown(kind: str, asked: tuple[str, ...], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                f"unknown-{kind}",
                f"there is no {kind} '{name}' in pipeline.toml",
                hint=f"{meant}known: {', '.join(known)}",
            )


def _refuse_unbuilt(
    settings: Settings, jobs: tuple[Job, ...], targets: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    """Raises: UsageError for a package that was asked for, or all of them, and is built for none of the targets."""
    unbuilt = [name for name in packages if name not in {job.package for job in jobs}]
    if jobs and not unbuilt:
        return
    told = f"{unbuilt[0]} is not" if unbuilt else "none of the packages is"
    wanted = unbuilt[:1] or tuple(settings.packages)
    fit = [target for target in settings.targets if any(settings.builds(name, target) for name in wanted)]
    raise UsageError(
        "not-built-for",
        f"{told} built for {' or '.join(dict.fromkeys(targets))}: it has no list of sources for that",
        hint=f"--target {fit[0]} builds it" if fit else "give it sources in pipeline.toml that a target takes",
    )


def _refuse_shared_source(settings: Settings, jobs: tuple[Job, ...]) -> None:
    source = settings.source_override
    names = tuple(dict.fromkeys(job.package for job in jobs))
    if source is not None and source.kind != "demo" and len(names) > 1:
        raise UsageError(
            "source-of-one",
            f"--source is one package's, and {len(names)} are asked for: {', '.join(names)}",
            hint=f"name the one that it is of: --package {names[0]}",
        )
