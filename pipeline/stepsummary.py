# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on a page of Markdown: `out/summary.md`, and what a CI shows of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.ci.markdown import escaped, fenced, table
from pipeline.errors import PipelineError
from pipeline.files import write_whole
from pipeline.progress import Progress, tail
from pipeline.run import TargetOutcome
from pipeline.settings import Settings
from pipeline.summary import job_row

# GitHub refuses all that a step has to say when it is more than 1 MiB. Source: "Workflow commands", step isolation.
_LIMIT_BYTES = 1024 * 1024
_CUT = "\n\n(cut short)\n"
_COLUMNS = ("job", "result", "release", "packages", "tests red/green", "seconds")


def write(
    outcomes: Sequence[TargetOutcome], settings: Settings, progress: Progress, *, reproduce: Callable[[str], str]
) -> None:
    """Write the page, and give it to the CI. One that cannot be written is a warning: the run is over."""
    _keep(page(outcomes, reproduce=reproduce), settings, progress)


def write_refused(error: PipelineError, settings: Settings, progress: Progress) -> None:
    """The same for a run that was refused before its first stage; no page of an earlier run stays.

    Such a run makes nothing, and no out directory either.
    """
    lines = ["## Refused", "", f"**{escaped(error.message)}**"]
    _keep("\n".join([*lines, *_mend(error)]) + "\n", settings, progress, here=settings.out_path.is_dir())


def _keep(text: str, settings: Settings, progress: Progress, *, here: bool = True) -> None:
    if here:
        _try(lambda: write_whole(settings.out_path / "summary.md", text), "summary.md", progress)
    step_summary = settings.ci.step_summary
    if step_summary:
        _try(lambda: _append(step_summary, text), "the step summary", progress)


def page(outcomes: Sequence[TargetOutcome], *, reproduce: Callable[[str], str]) -> str:
    """The verdict, each job, what is on mirrors, and what failed with its last lines."""
    failed = [outcome for outcome in outcomes if outcome.error]
    names = ", ".join(escaped(outcome.target) for outcome in failed or outcomes)
    lines = [f"## {'Failed' if failed else 'Well'}: {names}", ""]
    lines += table(_COLUMNS, [job_row(job) for outcome in outcomes for job in outcome.jobs])
    for outcome in outcomes:
        lines += ["", *(_failure(outcome, reproduce) if outcome.error else _published(outcome))]
    return "\n".join(lines).rstrip() + "\n"


def _failure(outcome: TargetOutcome, reproduce: Callable[[str], str]) -> list[str]:
    error = outcome.error
    assert error is not None
    first, *more = error.message.split("\n")
    lines = [f"### {escaped(outcome.target)}: {escaped(outcome.failed_stage)}", "", f"**{escaped(first)}**"]
    lines += ["", *fenced(more)] if more else []
    lines += _mend(error)
    lines += ["", "Reproduce:", "", *fenced([reproduce(outcome.failed_stage) or error.reproduce])]
    return [*lines, *_last_lines(error.log_path)]


def _mend(error: PipelineError) -> list[str]:
    return ["", f"Mend: {escaped(error.hint)}"] if error.hint else []


def _last_lines(log_path: Path | None) -> list[str]:
    if log_path is None or not log_path.is_file():
        return []
    return ["", f"The end of {escaped(str(log_path))}:", "", *fenced(tail(log_path))]


def _published(outcome: TargetOutcome) -> list[str]:
    lines = [f"- {escaped(str(job.job))}: {escaped(job.reason)}" for job in outcome.jobs if job.reason]
    if outcome.publication:
        place = f"{escaped(outcome.publication.destination)}, revision {outcome.publication.revision}"
        lines.append(f"- on the mirror: {place}")
    return lines


def _append(path: Path, text: str) -> None:
    # Every step has a file of its own, and what is in it already counts.
    room = _LIMIT_BYTES - (path.stat().st_size if path.exists() else 0)
    data = text.encode("utf-8", errors="replace")
    if len(data) > room:
        kept = data[: max(room - len(_CUT), 0)].decode("utf-8", errors="ignore")
        data = (kept + _CUT).encode()[: max(room, 0)]
    with path.open("ab") as stream:
        stream.write(data)


def _try(work: Callable[[], None], what: str, progress: Progress) -> None:
    try:
        work()
    except OSError as error:
        progress.warning(f"{what} could not be written: {error.strerror or error}")
