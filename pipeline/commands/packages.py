# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands about packages: new_package; and reproduce and verify, which look at what is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import ended, exit_with, main, print_json, session_line, with_flags, with_job_flags
from pipeline.commands.stages import perform

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.model import Source
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Build the release a second time elsewhere, and tell which file of which package differs.")
@with_job_flags
def reproduce(**flags: Any) -> None:
    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline import reproduce as room
        from pipeline import selection

        jobs = selection.choose(settings, flags["targets"], flags["packages"], flags["only"])
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
@with_job_flags
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


@main.command("new_package", help="Add a package: its settings, an empty series and a spec template that work at once.")
@click.argument("name")
@click.option("--version", default="", metavar="VERSION", help="Of the source; default what that says itself.")
@click.option("--label", default="patched", metavar="WORD", help="Stands in our releases, before their number.")
@click.option("--python", default="", metavar="X.Y", help="The oldest Python that what the series adds must run on.")
@with_flags
def new_package(name: str, version: str, label: str, python: str, **flags: Any) -> None:
    def add(settings: Settings, progress: Progress) -> int:
        from pipeline import lock
        from pipeline.newpackage import adding as room

        wish = room.Wish(
            name=name,
            source=_one_source(settings),
            targets=flags["targets"],
            version=version,
            label=label,
            python=python,
            dry_run=flags["dry_run"],
        )
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            addition = room.run(settings, wish, progress)
        words = ["--package", name, "--target", addition.targets[0]]
        room.tell(addition, progress, dry_run=wish.dry_run, next_line=session_line("build", words))
        print_json(room.document(addition), flags)
        return 0

    def failed_document(error: PipelineError) -> dict[str, Any]:
        from pipeline.newpackage import adding as room

        return room.failed_document(error)

    exit_with(add, flags, failed_document)


def _one_source(settings: Settings) -> Source:
    """The source that the flag names. Raises: UsageError without one."""
    from pipeline.errors import UsageError
    from pipeline.sourcespec import SOURCE_FORMS

    if settings.source_override is None:
        raise UsageError(
            "no-source", "a new package needs to know where its source is", hint=f"--source takes {SOURCE_FORMS}"
        )
    return settings.source_override
