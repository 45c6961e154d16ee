# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that looks at a mirror from outside: audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import ended, exit_with, main, print_json, with_flags

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Look at a mirror from outside: files, signatures, keys, links, log, snapshots; change nothing.")
@click.option("--quick", is_flag=True, help="Of packages, see only that they are there, and their sizes.")
@click.option("--max-age", type=click.FloatRange(min=0), default=0.0, metavar="DAYS", help="Warn of an older revision.")
@click.option("--strict", is_flag=True, help="Warnings count as errors do.")
@with_flags
def audit(quick: bool, max_age: float, strict: bool, **flags: Any) -> None:
    def look(settings: Settings, progress: Progress) -> int:
        from pipeline.audit import audit as room
        from pipeline.audit import telling

        reports = room.run(settings, _packages(settings, flags), quick=quick, max_age_days=max_age)
        telling.tell(reports, progress)
        wrong = telling.error(reports, strict=strict)
        print_json(telling.document(reports, wrong, quick=quick), flags)
        return ended(wrong, progress)

    exit_with(look, flags, _failed_document)


def _packages(settings: Settings, flags: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The chosen packages, by target."""
    from pipeline.selection import choose_jobs

    jobs = choose_jobs(settings, flags["targets"], flags["packages"])
    return {job.target: tuple(each.package for each in jobs if each.target == job.target) for job in jobs}


def _failed_document(error: PipelineError) -> dict[str, Any]:
    from pipeline.audit import telling

    return telling.failed_document(error)
