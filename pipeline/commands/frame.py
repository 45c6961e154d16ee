# SPDX-License-Identifier: GPL-2.0-or-later
"""What every command has: its flags, and the one catch of PipelineError that becomes an exit code.

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

_ROOT_DIR = Path(__file__).resolve().parent.parent.parent

_FLAGS: tuple[Callable[[Any], Any], ...] = (
    click.option("--target", "targets", multiple=True, metavar="NAME", help="Target of pipeline.toml; repeatable."),
    click.option("--package", "packages", multiple=True, metavar="NAME", help="Package; repeatable."),
    click.option("--source", metavar="SPEC", help="srpm:PATH-or-URL, yum:URL, git:REPO@TAG or demo."),
    click.option("--engine", type=click.Choice(["host", "podman", "docker", "auto"]), help="Where commands run."),
    click.option(
        "--executor", type=click.Choice(["local", "dask"]), default="local", help="Who does it: this machine or a farm."
    ),
    click.option("--mirror", metavar="DEST", help="Name of a mirror, directory, rsync://…, or host:path."),
    click.option("--out", metavar="DIR", help="Where everything is made; default out/."),
    click.option(
        "--rebuild-on",
        type=click.Choice(["change", "provides"]),
        help="Which change of a package rebuilds those built on it; default: any change.",
    ),
    click.option("--offline", is_flag=True, help="Use no network; what is not at hand is an error."),
    click.option("--allow-dirty", is_flag=True, help="Publish from a checkout with uncommitted changes."),
    click.option("--keep-going", is_flag=True, help="After a failure go on with what does not need it."),
    click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Heavy commands at once; as many as fit."),
    click.option("--dry-run", is_flag=True, help="Tell what would be done, and why; do nothing."),
    click.option("--no-wait", is_flag=True, help="Fail when another run works in the same directory."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
    click.option("--traceback", "with_traceback", is_flag=True, help="Show Python's traceback of an error."),
    click.option("-v", "--verbose", is_flag=True, help="Say more."),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors."),
)


_ONLY = click.option(
    "--only", multiple=True, metavar="ID", help="One job, PACKAGE@TARGET as a plan names it; repeatable."
)


def with_job_flags(function: Callable[..., None]) -> Callable[..., None]:
    """The flags of a command that does jobs, which can be named one by one as well."""
    return _ONLY(with_flags(function))


def with_flags(function: Callable[..., None]) -> Callable[..., None]:
    for flag in reversed(_FLAGS):
        function = flag(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Build, prove and publish patched vdsm packages."""


def exit_with(
    work: Callable[[Settings, Progress], int],
    flags: dict[str, Any],
    failed_document: Callable[[PipelineError], dict[str, Any]] | None = None,
) -> None:
    """Do the work and leave with its exit code; every foreseen error ends here.

    With --json, `failed_document` makes what is told of it; without one it is told as a run is.
    """
    from pipeline import slots
    from pipeline.ci.choice import marks_of
    from pipeline.errors import INTERRUPTED_EXIT_CODE, PipelineError, interrupted, unwritable
    from pipeline.progress import Progress, keep_standard_error
    from pipeline.settings import read_ci

    keep_standard_error()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if flags["jobs"]:
        slots.allow(flags["jobs"])
    progress = Progress(quiet=flags["quiet"], verbose=flags["verbose"], marks=marks_of(read_ci()))
    try:
        sys.exit(work(_settings(flags), progress))
    except KeyboardInterrupt as caught:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it ends already; once more would take its exit code
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

        print_json({**(failed_document or document.failed_document)(error)}, flags)
    sys.exit(code)


def ended(error: PipelineError | None, progress: Progress) -> int:
    """The exit code of work whose report is told already, and what is wrong in it, if anything is."""
    if error is None:
        return 0
    progress.failure(error)
    return error.exit_code


def session_line(name: str, words: list[str]) -> str:
    from pipeline import command

    return command.shown([".venv/bin/nox", "-s", name, *(["--", *words] if words else [])])


def print_json(content: dict[str, Any], flags: dict[str, Any]) -> None:
    if flags["as_json"]:
        import json

        from pipeline.progress import print_document

        print_document(json.dumps(content, indent=1))


def _settings(flags: dict[str, Any]) -> Settings:
    from pipeline.settings import read_settings

    return read_settings(
        _ROOT_DIR,
        out=flags["out"],
        source=flags["source"],
        engine=flags["engine"],
        mirror=flags["mirror"],
        rebuild_on=flags["rebuild_on"],
        offline=flags["offline"],
        allow_dirty=flags["allow_dirty"],
        executor=flags["executor"],
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as ctrl-C does: children ended, nothing half-made left."""
    raise KeyboardInterrupt
