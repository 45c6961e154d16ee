# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look after the patch series: compat, refresh, import_series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import ended, exit_with, main, print_json, with_flags

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.progress import Progress
    from pipeline.settings import Settings


@main.command(help="Try the series on upstream's tags: does it apply, and why not; do its tests pass.")
@click.option(
    "--tags", default="", metavar="PATTERN", help="Shell pattern of the tags to try; default those like the version's."
)
@click.option("--unit", is_flag=True, help="Run the tests on each tag that the series applies to.")
@click.option("--watch", default="", metavar="BRANCH", help="List later commits that touch the same functions.")
@with_flags
def compat(source: str | None, **flags: Any) -> None:
    flags["source"] = None  # a repository here, with no tag: not a source of packages

    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline import compat as room
        from pipeline.selection import choose_jobs

        unit = flags["unit"] and not flags["dry_run"]
        wish = room.Wish(source=source or "", tags=flags["tags"], unit=unit, watch=flags["watch"])
        report = room.run(settings, progress, wish, choose_jobs(settings, flags["targets"], flags["packages"]))
        room.tell(report, progress)
        if flags["dry_run"]:
            tests = ", and the tests would run on each tag that it applies to" if flags["unit"] else ""
            progress.heading(f"nothing is written; {settings.out_path / 'compat'} would have the picture{tests}")
        else:
            progress.note(f"drawn: {room.write(report, settings.out_path)}")
        print_json(room.document(report), flags)
        return ended(room.failure(report), progress)

    def failed_document(error: PipelineError) -> dict[str, Any]:
        from pipeline import compat as room

        return room.failed_document(error)

    exit_with(examine, flags, failed_document)


@main.command(help="Rebase the series onto another tag of upstream's; stops at a conflict, and goes on.")
@click.option("--continue", "go_on", is_flag=True, help="Go on behind a conflict that you resolved.")
@click.option("--skip", is_flag=True, help="Leave the patch that it stopped at out of the series, and go on.")
@click.option("--abort", is_flag=True, help="Give it up; the series is as it was.")
@with_flags
def refresh(go_on: bool, skip: bool, abort: bool, **flags: Any) -> None:
    def rebase(settings: Settings, progress: Progress) -> int:
        from pipeline import document, lock
        from pipeline.errors import UsageError
        from pipeline.refreshing import refresh as room
        from pipeline.selection import choose_package

        if go_on + skip + abort + bool(flags["source"]) > 1:
            raise UsageError(
                "refresh-words",
                "refresh takes one of --source, --continue, --skip and --abort",
                hint="leave one of them",
            )
        work = room.Refresh(settings, choose_package(settings, flags["packages"]), progress)
        source = settings.source_override
        where = (source.location, source.tag) if source else ("", "")
        if flags["dry_run"]:
            if go_on or skip:
                work.foresee_going_on(skip=skip)
            else:
                work.foresee_abort() if abort else work.foresee(*where)
        else:
            with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
                if go_on or skip:
                    work.go_on(skip=skip)
                else:
                    work.abort() if abort else work.start(*where)
        print_json(document.plan_document(()), flags)
        return 0

    exit_with(rebase, flags)


@main.command("import_series", help="Take a mailed series apart by its tags into the packages' own series.")
@click.argument("mbox", type=click.Path(path_type=Path), metavar="FILE.mbox")
@click.option("--version", type=int, metavar="N", help="Version of the series; default the newest.")
@click.option("--as", "names", multiple=True, metavar="TAG=PACKAGE", help="What a tag means that is no package's name.")
@with_flags
def import_series(mbox: Path, version: int | None, names: tuple[str, ...], **flags: Any) -> None:
    def work(settings: Settings, progress: Progress) -> int:
        from pipeline import lock
        from pipeline.importing import importing as room
        from pipeline.selection import choose_packages

        chosen = choose_packages(settings, flags["packages"]) if flags["packages"] else ()
        wish = room.Wish(
            mbox=mbox,
            version=version,
            single=chosen[0] if len(chosen) == 1 else "",
            names=_meanings(names, settings),
            dry_run=flags["dry_run"],
        )
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            report = room.run(settings, wish)
        room.tell(report, progress, dry_run=wish.dry_run)
        print_json(room.document(report, settings), flags)
        return ended(room.failure(report), progress)

    def failed_document(error: PipelineError) -> dict[str, Any]:
        from pipeline.importing import importing as room

        return room.failed_document(error)

    exit_with(work, flags, failed_document)


def _meanings(names: tuple[str, ...], settings: Settings) -> dict[str, str]:
    """Tag -> package. Raises: UsageError."""
    from pipeline.errors import UsageError
    from pipeline.selection import choose_packages

    meanings = dict(name.partition("=")[::2] for name in names)
    for tag, package in meanings.items():
        if not (tag and package):
            raise UsageError("import-words", f"--as takes TAG=PACKAGE, not '{tag}'", hint="as in --as spice-lib=spice")
        choose_packages(settings, (package,))
    return meanings
