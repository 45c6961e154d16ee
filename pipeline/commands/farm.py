# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that makes this machine a worker of a farm."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import exit_with, main, with_flags

if TYPE_CHECKING:
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Do jobs for the scheduler that [farm] names, until told to end; --dry-run tells what it can serve.")
@click.option("--nthreads", default=1, type=click.IntRange(min=1), metavar="N", help="Jobs at once; default 1.")
@click.option("--work", "work_dir", metavar="DIR", help="Where it works; default out/worker.")
@click.option("--name", default="", help="What it is called in messages; default the host's name.")
@with_flags
def worker(nthreads: int, work_dir: str | None, name: str, **flags: Any) -> None:
    def work(settings: Settings, progress: Progress) -> int:
        from pipeline.farm import worker as room
        from pipeline.selection import choose_jobs

        wish = room.Wish(
            nthreads=nthreads,
            work_dir=Path(work_dir).absolute() if work_dir else settings.out_path / "worker",
            name=name or socket.gethostname(),
            targets=tuple(dict.fromkeys(job.target for job in choose_jobs(settings, flags["targets"], ())))
            if flags["targets"]
            else (),
        )
        room.serve(settings, progress, wish, dry_run=flags["dry_run"])
        return 0

    exit_with(work, flags)
