# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that run or plan the stages."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.commands.frame import exit_with, main, print_json, session_line, with_job_flags

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pipeline.errors import PipelineError
    from pipeline.model import Image, Job
    from pipeline.progress import Progress
    from pipeline.report.record import Told
    from pipeline.run import Run, TargetOutcome
    from pipeline.settings import Settings

# The mirror of what is checked only, in the out directory: nothing is ever published there. No target has such a name.
_PROPOSED = ".proposed"


def _stage_command(name: str, help_text: str, last_stage: str) -> None:
    @main.command(name=name, help=help_text)
    @with_job_flags
    def command(**flags: Any) -> None:
        exit_with(lambda settings, progress: perform(last_stage, settings, progress, flags), flags)


for _name, _help, _last in (
    ("image", "Make the container image of the target, if it is not there.", "image"),
    ("fetch", "Get the source RPM and check it.", "fetch"),
    ("patch", "Apply the series, with no fuzz, to the source as %prep leaves it.", "patch"),
    ("relations", "Ask rpm what each spec requires and provides: which package is built on which.", "relations"),
    ("reserve", "Give the input its release number: the one that it has, or the next.", "reserve"),
    ("render", "Lay our release, patches and changelog over the vendor's spec.", "render"),
    ("unit", "Run the patch's tests: red without it, green with it.", "unit"),
    ("build", "Build source RPM and RPMs.", "build"),
    ("contracts", "Try what must go on working beside the patches, in source and packages.", "contracts"),
    ("lint", "Compare rpmlint's findings with those on the vendor's own package.", "lint"),
    ("provenance", "Write beside each package what it was made from: in-toto statement and SBOM.", "provenance"),
    ("vendor", "Get the vendor's own packages, or take those that were built unpatched.", "vendor"),
    ("gate", "Refuse what the target's rpm and yum cannot read, or what breaks a set of packages.", "gate"),
    ("changes", "Tell what differs from the vendor's packages, and from our last release.", "changes"),
    ("sign", "Sign copies of the packages, ours and the vendor's, and verify them.", "sign"),
    ("repo", "Stage a yum repository with the new packages.", "repo"),
    ("publish", "Put the staged repository on the mirror.", "publish"),
    ("release", "Everything, from the source RPM to the mirror.", "publish"),
):
    _stage_command(_name, _help, _last)


@main.command(help="All that a release does but the publish, for a proposal: no key, mirror or remote is touched.")
@with_job_flags
def check(**flags: Any) -> None:
    exit_with(lambda settings, progress: perform("verify", _proposed(settings), progress, flags), flags)


@main.command(help="Tell what a release would do, and why; do nothing.")
@with_job_flags
def plan(**flags: Any) -> None:
    flags["dry_run"] = True
    exit_with(lambda settings, progress: perform("publish", settings, progress, flags), flags)


def perform(
    last_stage: str,
    settings: Settings,
    progress: Progress,
    flags: dict[str, Any],
    *,
    images: Mapping[Job, Image] | None = None,
) -> int:
    """Run or plan up to a stage; the exit code. `images` are what jobs were built in that came in parcels."""
    from pipeline import document, selection, summary
    from pipeline.run import Run, new_attempt

    jobs = tuple(images or selection.choose(settings, flags["targets"], flags["packages"], flags["only"]))
    run = Run(
        settings=settings, progress=progress, last_stage=last_stage, attempt=new_attempt(), images=dict(images or {})
    )
    refusal = _refusal(last_stage, settings, jobs, progress)
    if flags["dry_run"]:
        if refusal:
            progress.warning(f"a release would be refused: {refusal.message}")
        planned = run.plan(jobs)
        summary.tell_plan(planned, progress)
        print_json(document.plan_document(planned), flags)
        return 0
    if refusal:
        _leave_refused(run, jobs, refusal)
        raise refusal
    outcomes, page_path = _perform(run, jobs, flags)
    summary.tell_end(outcomes, progress, reproduce=_command_for)
    if page_path:
        progress.heading(f"report: {page_path}")
    print_json(document.run_document(outcomes, settings), flags)
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors and flags["with_traceback"]:
        traceback.print_exception(errors[0])
    return errors[0].exit_code if errors else 0


def _perform(run: Run, jobs: tuple[Job, ...], flags: dict[str, Any]) -> tuple[tuple[TargetOutcome, ...], Path | None]:
    """Do it as the only one in the out directory; the outcomes, and the page of them if it could be made."""
    from dataclasses import replace
    from datetime import datetime, timezone

    from pipeline import lock, stepsummary, summary
    from pipeline.farm.choice import open_farm
    from pipeline.report import conclusion
    from pipeline.run import empty_scratch

    settings, progress = run.settings, run.progress
    with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
        empty_scratch(settings.out_path)
        started = datetime.now(timezone.utc)
        summary.tell_start(jobs, run.last_stage, settings, progress)
        try:
            with open_farm(settings, progress) as farm:
                outcomes = replace(run, farm=farm).perform(jobs, keep_going=flags["keep_going"])
            page_path = conclusion.conclude(_told(run, started), outcomes, settings, progress)
            page_of_step = partial(stepsummary.write, outcomes, settings, progress, reproduce=_command_for)
            conclusion.attempt("no summary of this run", page_of_step, progress)
        finally:
            empty_scratch(settings.out_path)
    return outcomes, page_path


def _leave_refused(run: Run, jobs: tuple[Job, ...], refusal: PipelineError) -> None:
    """What a CI picks up tells of the refusal, not of an earlier run; while another is at work, its results stay."""
    from pipeline import lock, stepsummary
    from pipeline.errors import LockedError

    stepsummary.write_refused(refusal, run.settings, run.progress)
    if run.settings.out_path.is_dir():
        with suppress(LockedError, OSError), lock.held(run.settings.out_path, run.progress, wait=False):
            run.refuse(jobs, refusal)


def _proposed(settings: Settings) -> Settings:
    """The settings for what nobody agreed to yet: numbers, key and an empty mirror of its own, all below `out/`.

    Raises: UsageError for a mirror, which would say that something is published.
    """
    from pipeline.errors import UsageError
    from pipeline.settingtables import ReleaseSettings, SigningSettings

    if settings.mirror_override:
        raise UsageError(
            "check-mirror", "check publishes nothing, so it takes no --mirror", hint="leave it out, or use release"
        )
    alone = {"releases": ReleaseSettings(), "signing": SigningSettings()}
    return settings.model_copy(update={**alone, "mirror_override": str(settings.out_path / _PROPOSED)})


def _refusal(last_stage: str, settings: Settings, jobs: tuple[Job, ...], progress: Progress) -> PipelineError | None:
    """What would fail in the end, found before anything is done."""
    from pipeline import checkout
    from pipeline.flow import needed_for
    from pipeline.signing import choice

    refusal = checkout.refusal(settings, jobs) if last_stage == "publish" else None
    if refusal is None and "sign" in needed_for(last_stage):
        return choice.refusal(settings, jobs, progress)
    return refusal


def _told(run: Run, started: datetime) -> Told:
    """What the history says of this run besides its outcomes."""
    from datetime import datetime, timezone

    from pipeline.report.record import Told

    return Told(
        attempt=run.attempt,
        started=started,
        finished=datetime.now(timezone.utc),
        last_stage=run.last_stage,
        words=tuple(sys.argv[1:]),
        command=session_line(sys.argv[1], sys.argv[2:]),
        reproduce=_command_for,
    )


def _command_for(stage: str) -> str:
    """The command that runs up to a stage with the flags of this run; a check's asks no more of the world."""
    from pipeline.flow import needed_for

    if sys.argv[1] == "check" and (stage in ("baseline", "relations") or "reserve" in needed_for(stage)):
        return session_line("check", sys.argv[2:])
    if sys.argv[1] in ("job", "collect"):  # their words mean nothing to a stage's session
        return session_line(sys.argv[1], sys.argv[2:])
    # The vendor's packages have no session of their own.
    session = {"baseline": "lint", "vendor": "sign"}.get(stage, stage)
    return session_line(session, sys.argv[2:])
