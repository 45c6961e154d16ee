# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pipeline COMMAND`: arguments in, exit code out; the only catch of PipelineError.

Everything but click is imported when a command runs: `--help` is quick.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.progress import Progress
    from pipeline.settings import Settings

_ROOT_DIR = Path(__file__).resolve().parent.parent
_UNFORESEEN_EXIT_CODE = 1

_FLAGS: tuple[Callable[[Any], Any], ...] = (
    click.option("--target", "targets", multiple=True, metavar="NAME", help="Target of pipeline.toml; repeatable."),
    click.option("--package", "packages", multiple=True, metavar="NAME", help="Package; repeatable."),
    click.option("--source", metavar="SPEC", help="srpm:PATH-or-URL, yum:URL, git:REPO@TAG or demo."),
    click.option("--engine", type=click.Choice(["host", "podman", "docker", "auto"]), help="Where commands run."),
    click.option("--mirror", metavar="DEST", help="Name of a mirror, directory, rsync://…, or host:path."),
    click.option("--out", metavar="DIR", help="Where everything is made; default out/."),
    click.option("--offline", is_flag=True, help="Use no network; what is not at hand is an error."),
    click.option("--allow-dirty", is_flag=True, help="Publish from a checkout with uncommitted changes."),
    click.option("--keep-going", is_flag=True, help="After a failure go on with what does not need it."),
    click.option("--dry-run", is_flag=True, help="Tell what would be done, and why; do nothing."),
    click.option("--no-wait", is_flag=True, help="Fail when another run works in the same directory."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
    click.option("--traceback", "with_traceback", is_flag=True, help="Show Python's traceback of an error."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors."),
)


def _flags(function: Callable[..., None]) -> Callable[..., None]:
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Build, prove and publish patched vdsm packages."""


def _stage_command(name: str, help_text: str, last_stage: str) -> None:
    @main.command(name=name, help=help_text)
    @_flags
    def command(**flags: Any) -> None:
        _exit_with(lambda settings, progress: _perform(last_stage, settings, progress, flags), flags)


for _name, _help, _last in (
    ("image", "Make the container image of the target, if it is not there.", "image"),
    ("fetch", "Get the source RPM and check it.", "fetch"),
    ("patch", "Apply the series, with no fuzz, to the source as %prep leaves it.", "patch"),
    ("reserve", "Give the input its release number: the one that it has, or the next.", "reserve"),
    ("render", "Lay our release, patches and changelog over the vendor's spec.", "render"),
    ("unit", "Run the patch's tests: red without it, green with it.", "unit"),
    ("build", "Build source RPM and RPMs.", "build"),
    ("contracts", "Try what must go on working beside the patches, in source and packages.", "contracts"),
    ("lint", "Compare rpmlint's findings with those on the vendor's own package.", "lint"),
    ("provenance", "Write beside each package what it was made from: in-toto statement and SBOM.", "provenance"),
    ("changes", "Tell what differs from the vendor's packages, and from our last release.", "changes"),
    ("repo", "Stage a yum repository with the new packages.", "repo"),
    ("publish", "Put the staged repository on the mirror.", "publish"),
    ("release", "Everything, from the source RPM to the mirror.", "publish"),
):
    _stage_command(_name, _help, _last)


@main.command(help="Tell what a release would do, and why; do nothing.")
@_flags
def plan(**flags: Any) -> None:
    flags["dry_run"] = True
    _exit_with(lambda settings, progress: _perform("publish", settings, progress, flags), flags)


@main.command(help="Tell what this machine can do, and the line that mends what it cannot.")
@_flags
def doctor(**flags: Any) -> None:
    from pipeline import doctor as room

    def examine(settings: Settings, progress: Progress) -> int:
        return room.tell(room.examine(settings, flags["targets"]), progress, as_json=flags["as_json"])

    _exit_with(examine, flags, room.failed_document)


@main.command(help="Build the release a second time elsewhere, and tell which file of which package differs.")
@_flags
def reproduce(**flags: Any) -> None:
    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline import reproduce as room
        from pipeline.settings import choose_jobs

        jobs = choose_jobs(settings, flags["targets"], flags["packages"])
        reports = room.run(settings, progress, jobs, wait=not flags["no_wait"])
        room.tell(reports, progress)
        _print_json(room.json_document(reports), flags)
        return _ended(room.failure(reports), progress)

    _exit_with(examine, flags)


@main.command(help="Hold packages against the statements and SBOMs beside them, and their own digests.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE.rpm...")
@_flags
def verify(paths: tuple[Path, ...], **flags: Any) -> None:
    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline.attestation import verify as room

        verdicts = room.examine(paths)
        room.tell(verdicts, progress)
        _print_json(room.document(verdicts), flags)
        return _ended(room.failure(verdicts), progress)

    _exit_with(examine, flags)


@main.command(help="Try the series on upstream's tags: does it apply, and why not; do its tests pass.")
@click.option(
    "--tags", default="", metavar="PATTERN", help="Shell pattern of the tags to try; default those like the version's."
)
@click.option("--unit", is_flag=True, help="Run the tests on each tag that the series applies to.")
@click.option("--watch", default="", metavar="BRANCH", help="List later commits that touch the same functions.")
@_flags
def compat(source: str | None, **flags: Any) -> None:
    flags["source"] = None  # a repository here, with no tag: not a source of packages

    def examine(settings: Settings, progress: Progress) -> int:
        from pipeline import compat as room
        from pipeline.settings import choose_jobs

        unit = flags["unit"] and not flags["dry_run"]
        wish = room.Wish(source=source or "", tags=flags["tags"], unit=unit, watch=flags["watch"])
        report = room.run(settings, progress, wish, choose_jobs(settings, flags["targets"], flags["packages"]))
        room.tell(report, progress)
        if flags["dry_run"]:
            tests = ", and the tests would run on each tag that it applies to" if flags["unit"] else ""
            progress.heading(f"nothing is written; {settings.out_path / 'compat'} would have the picture{tests}")
        else:
            progress.note(f"drawn: {room.write(report, settings.out_path)}")
        _print_json(room.document(report), flags)
        return _ended(room.failure(report), progress)

    def failed_document(error: PipelineError) -> dict[str, Any]:
        from pipeline import compat as room

        return room.failed_document(error)

    _exit_with(examine, flags, failed_document)


@main.command(help="Rebase the series onto another tag of upstream's; stops at a conflict, and goes on.")
@click.option("--continue", "go_on", is_flag=True, help="Go on behind a conflict that you resolved.")
@click.option("--skip", is_flag=True, help="Leave the patch that it stopped at out of the series, and go on.")
@click.option("--abort", is_flag=True, help="Give it up; the series is as it was.")
@_flags
def refresh(go_on: bool, skip: bool, abort: bool, **flags: Any) -> None:
    def rebase(settings: Settings, progress: Progress) -> int:
        from pipeline import document, lock
        from pipeline.errors import UsageError
        from pipeline.refreshing import refresh as room
        from pipeline.settings import choose_package

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
        _print_json(document.plan_document(()), flags)
        return 0

    _exit_with(rebase, flags)


@main.command(help="Tell what in out/ nothing needs any more; with --remove, remove it.")
@click.option("--remove", is_flag=True, help="Remove it; without this, nothing is touched.")
@click.option("--older-than", default="", metavar="DAYS", help="Only what is older.")
@click.option(
    "--keep-size", default="", metavar="SIZE", help="The oldest, until out/ takes no more than, say, 2G or 500M."
)
@click.option("--keep-logs", default=10, metavar="N", help="Attempts of each job whose logs stay; default 10.")
@_flags
def clean(remove: bool, older_than: str, keep_size: str, keep_logs: int, **flags: Any) -> None:
    def tidy(settings: Settings, progress: Progress) -> int:
        from pipeline import clean as room
        from pipeline import lock
        from pipeline.settings import choose_jobs

        wish = room.read_wish(older_than, keep_size, keep_logs, remove=remove and not flags["dry_run"])
        jobs = choose_jobs(settings, flags["targets"] or tuple(settings.targets), flags["packages"])
        room.refuse_foreign(settings)
        everything = not (flags["targets"] or flags["packages"])
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            report = room.clean(settings, jobs, everything=everything, wish=wish, progress=progress)
        words = [word for word in sys.argv[2:] if word not in ("--dry-run", "--json", "--remove")]
        room.tell(report, progress, command_line=_session("clean", [*words, "--remove"]))
        _print_json(room.document(report), flags)
        return 0

    _exit_with(tidy, flags)


def _perform(last_stage: str, settings: Settings, progress: Progress, flags: dict[str, Any]) -> int:
    """Run or plan up to a stage; the exit code."""
    from pipeline import checkout, document, lock, summary
    from pipeline.run import Run, empty_scratch, new_attempt
    from pipeline.settings import choose_jobs

    jobs = choose_jobs(settings, flags["targets"], flags["packages"])
    run = Run(settings=settings, progress=progress, last_stage=last_stage, attempt=new_attempt())
    refusal = checkout.refusal(settings, jobs) if last_stage == "publish" else None
    if flags["dry_run"]:
        if refusal:
            progress.warning(f"a release would be refused: {refusal.message}")
        planned = run.plan(jobs)
        summary.tell_plan(planned, progress)
        _print_json(document.plan_document(planned), flags)
        return 0
    if refusal:
        raise refusal
    with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
        empty_scratch(settings.out_path)
        summary.tell_start(jobs, last_stage, settings, progress)
        try:
            outcomes = run.perform(jobs, keep_going=flags["keep_going"])
            document.write_results(outcomes, settings)
        finally:
            empty_scratch(settings.out_path)
    summary.tell_end(outcomes, progress, reproduce=_command_for)
    _print_json(document.run_document(outcomes, settings), flags)
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors and flags["with_traceback"]:
        traceback.print_exception(errors[0])
    return errors[0].exit_code if errors else 0


def _exit_with(
    work: Callable[[Settings, Progress], int],
    flags: dict[str, Any],
    failed_document: Callable[[PipelineError], dict[str, Any]] | None = None,
) -> None:
    """Do the work and leave with its exit code; every foreseen error ends here.

    With --json, `failed_document` makes what is told of it; without one it is told as a run is.
    """
    from pipeline.errors import INTERRUPTED_EXIT_CODE, PipelineError, interrupted, unwritable
    from pipeline.progress import Progress

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    progress = Progress(quiet=flags["quiet"], verbose=flags["verbose"])
    try:
        sys.exit(work(_settings(flags), progress))
    except KeyboardInterrupt as caught:
        error: PipelineError = interrupted().with_traceback(caught.__traceback__)
        code = INTERRUPTED_EXIT_CODE
    except PipelineError as caught:
        error, code = caught, caught.exit_code
    except OSError as caught:
        error = unwritable(caught).with_traceback(caught.__traceback__)
        code = error.exit_code
    if flags["with_traceback"]:
        traceback.print_exception(error)
    progress.failure(error)
    if flags["as_json"]:
        from pipeline import document

        _print_json({**(failed_document or document.failed_document)(error)}, flags)
    sys.exit(code)


def _ended(error: PipelineError | None, progress: Progress) -> int:
    """The exit code of work whose report is told already, and what is wrong in it, if anything is."""
    if error is None:
        return 0
    progress.failure(error)
    return error.exit_code


def _command_for(stage: str) -> str:
    """The command that runs up to a stage with the flags of this run."""
    session = "lint" if stage == "baseline" else stage  # the vendor's build has no session of its own
    return _session(session, sys.argv[2:])


def _session(name: str, words: list[str]) -> str:
    from pipeline import command

    return command.shown([".venv/bin/nox", "-s", name, *(["--", *words] if words else [])])


def _settings(flags: dict[str, Any]) -> Settings:
    from pipeline.settings import read_settings

    return read_settings(
        _ROOT_DIR,
        out=flags["out"],
        source=flags["source"],
        engine=flags["engine"],
        mirror=flags["mirror"],
        offline=flags["offline"],
        allow_dirty=flags["allow_dirty"],
    )


def _print_json(content: dict[str, Any], flags: dict[str, Any]) -> None:
    if flags["as_json"]:
        import json

        from pipeline.progress import print_document

        print_document(json.dumps(content, indent=1))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as ctrl-C does: children ended, nothing half-made left."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(prog_name="python -m pipeline")
