# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look at what is built: reproduce, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import ended, exit_with, main, print_json, with_flags
from pipeline.commands.stages import perform

if TYPE_CHECKING:
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Build the release a second time elsewhere, and tell which file of which package differs.")
@with_flags
def reproduce(**flags: Any) -> None:
    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline import reproduce as room
        from pipeline.settings import choose_jobs

        jobs = choose_jobs(settings, flags["targets"], flags["packages"])
        reports = room.run(settings, progress, jobs, wait=not flags["no_wait"])
        room.tell(reports, progress)
        print_json(room.json_document(reports), flags)
        return ended(room.failure(reports), progress)

    exit_with(examine, flags)


@main.command(
    help="Try the staged repository as hosts will: install, upgrade, downgrade, by a real client in a clean root."
    " With FILEs, hold these against the statements and SBOMs beside them, and their own digests."
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE.rpm...]")
@with_flags
def verify(paths: tuple[Path, ...], **flags: Any) -> None:
    def examine(settings: Settings, progress: Progress) -> int:
        if not paths:
            return perform("verify", settings, progress, flags)
        from pipeline.attestation import verify as room

        verdicts = room.examine(paths)
        room.tell(verdicts, progress)
        print_json(room.document(verdicts), flags)
        return ended(room.failure(verdicts), progress)

    exit_with(examine, flags)
