# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look after this machine and its out directory: doctor, report, clean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import exit_with, main, print_json, session_line, with_flags

if TYPE_CHECKING:
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Tell what this machine can do, and the line that mends what it cannot.")
@with_flags
def doctor(**flags: Any) -> None:
    from pipeline import doctor as room

    def examine(settings: Settings, progress: Progress) -> int:
        return room.tell(room.examine(settings, flags["targets"]), progress, as_json=flags["as_json"])

    exit_with(examine, flags, room.failed_document)


@main.command(help="Make out/index.html anew from the history of runs; no stage is run.")
@with_flags
def report(**flags: Any) -> None:
    from pipeline.report import told

    # Without the lock: a history file is there whole or not at all, and so is the page.
    def make(settings: Settings, progress: Progress) -> int:
        from pipeline.report import conclusion, page

        written = page.write(settings.out_path)
        conclusion.warn(written, progress)
        progress.heading(f"{written.verdict.sign} {written.verdict.words}")
        progress.heading(f"report: {written.path}")
        print_json(told.document(written), flags)
        return 0

    exit_with(make, flags, told.failed_document)


@main.command(help="Tell what in out/ nothing needs any more; with --remove, remove it.")
@click.option("--remove", is_flag=True, help="Remove it; without this, nothing is touched.")
@click.option("--older-than", default="", metavar="DAYS", help="Only what is older.")
@click.option(
    "--keep-size", default="", metavar="SIZE", help="The oldest, until out/ takes no more than, say, 2G or 500M."
)
@click.option("--keep-logs", default=10, metavar="N", help="Attempts of each job whose logs stay; default 10.")
@with_flags
def clean(remove: bool, older_than: str, keep_size: str, keep_logs: int, **flags: Any) -> None:
    def tidy(settings: Settings, progress: Progress) -> int:
        from pipeline import clean as room
        from pipeline import lock
        from pipeline.report import conclusion
        from pipeline.selection import choose_jobs

        wish = room.read_wish(older_than, keep_size, keep_logs, remove=remove and not flags["dry_run"])
        jobs = choose_jobs(settings, flags["targets"] or tuple(settings.targets), flags["packages"])
        room.refuse_foreign(settings)
        everything = not (flags["targets"] or flags["packages"])
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            try:
                found = room.clean(settings, jobs, everything=everything, wish=wish, progress=progress)
            finally:
                if wish.remove:
                    conclusion.again(settings.out_path, progress)
        words = [word for word in sys.argv[2:] if word not in ("--dry-run", "--json", "--remove")]
        room.tell(found, progress, command_line=session_line("clean", [*words, "--remove"]))
        print_json(room.document(found), flags)
        return 0

    exit_with(tidy, flags)
