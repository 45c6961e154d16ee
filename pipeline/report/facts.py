# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page says of the newest run, from the histories alone. Pure but for asking which files are there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath
from textwrap import dedent
from urllib.parse import quote

from pipeline.report import timing, verdict
from pipeline.report.records import Artifact, Details, Failure, FindingRow, History, JobRow, PatchRow, Published
from pipeline.report.timing import Bar
from pipeline.report.verdict import Verdict

_RUNS_SHOWN = 30

# Whether a path, relative to the out directory, is a file there.
There = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """One field of the verdict grid; `link` is the log's, empty where there is none."""

    stage: str
    result: str
    time: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A failure with the link to its log, and its sentence apart from the lines behind it."""

    where: str
    sentence: str
    more: str
    link: str
    failure: Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class TestLine:
    """One test: how it ended without the series and with all of it; empty where it did not run."""

    name: str
    pristine: str
    patched: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job, each part ready to be shown."""

    name: str
    row: JobRow
    details: Details
    chips: tuple[Chip, ...]
    bars: tuple[Bar, ...]
    tests: tuple[TestLine, ...]
    patches: tuple[tuple[PatchRow, str], ...]
    new_findings: tuple[FindingRow, ...]
    allowed_findings: tuple[FindingRow, ...]
    packages: tuple[tuple[Artifact, str], ...]
    statements: tuple[tuple[str, str], ...]
    changes_link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLine:
    """An earlier run in the table; `sentence` and `link` are those of its first failure."""

    when: str
    command: str
    verdict: Verdict
    sentence: str
    link: str
    took: str
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All that the page says of the newest run, and the table of the last ones.

    `release` is the last release where that failed and what ran since was less.
    """

    run: History
    verdict: Verdict
    when: str
    took: str
    commit: str
    state: str
    command: str
    failures: tuple[Told, ...]
    jobs: tuple[Job, ...]
    mirrors: tuple[Published, ...]
    runs: tuple[RunLine, ...]
    release: RunLine | None


def page(runs: Sequence[History], there: There) -> Page:
    """The page's facts; `runs` are newest first, and at least one."""
    run, before = runs[0], runs[1:]
    return Page(
        run=run,
        verdict=verdict.of(run),
        when=moment(run.finished),
        took=timing.seconds((run.finished - run.started).total_seconds()),
        commit=run.checkout.commit,
        state=run.checkout.state,
        command=command(run),
        failures=tuple(_told(each, there) for each in run.failures),
        jobs=tuple(_job(row, details, run, before, there) for row, details in run.pairs),
        mirrors=run.run.mirror.repositories if run.run.mirror else (),
        runs=tuple(_line(each, there) for each in runs[:_RUNS_SHOWN]),
        release=_failed_release(runs, there),
    )


def moment(when: datetime) -> str:
    return f"{when.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def command(run: History) -> str:
    """The words of the run's command, as a person would say them to nox."""
    session, *words = run.words or ("?",)
    return shlex.join(["nox", "-s", session, *(["--", *words] if words else [])])


def link(path: str, there: There) -> str:
    """The path as a link of a page in the out directory; empty if it leads out of there or nowhere."""
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts or not there(path):
        return ""
    return quote(path)


def _told(failure: Failure, there: There) -> Told:
    sentence, _, more = failure.message.partition("\n")
    where = f"{verdict.label(failure)}: {failure.stage}"
    return Told(where=where, sentence=sentence, more=dedent(more), link=link(failure.log, there), failure=failure)


def _job(row: JobRow, details: Details, run: History, before: Sequence[History], there: There) -> Job:
    home = f"{row.target}/{row.package}/"
    findings = details.findings or ()
    return Job(
        name=f"{row.target}/{row.package}",
        row=row,
        details=details,
        chips=_chips(row, before, there),
        bars=timing.bars(row, before),
        tests=_tests(details),
        patches=tuple(zip(row.patches, details.authors, strict=False)),
        new_findings=tuple(each for each in findings if not each.allowed),
        allowed_findings=tuple(each for each in findings if each.allowed),
        packages=tuple((each, link(each.path, there)) for each in run.run.artifacts if each.path.startswith(home)),
        statements=tuple((PurePosixPath(each).name, link(each, there)) for each in details.statements),
        changes_link=link(details.changes.path, there) if details.changes else "",
    )


def _chips(job: JobRow, before: Sequence[History], there: There) -> tuple[Chip, ...]:
    return tuple(
        Chip(
            stage=row.stage,
            result=row.result,
            time=timing.seconds(row.seconds) if row.result in ("ok", "failed") else "",
            link=link(row.log or (_made_by(job, row.stage, before) if row.result == "cached" else ""), there),
        )
        for row in job.stages
    )


def _made_by(job: JobRow, stage: str, before: Sequence[History]) -> str:
    """The log of the run that made what is now taken from the ledger; empty if it is not among these."""
    rows = (row for each in timing.earlier(job, before) for row in each.stages)
    return next((row.log for row in rows if row.stage == stage and row.result == "ok"), "")


def _tests(details: Details) -> tuple[TestLine, ...]:
    """Tests that the series turns green, and those that are red with it, which come first."""
    tests = details.tests
    if tests is None:
        return ()
    states = [
        {**dict.fromkeys(tree.passed, "green"), **dict.fromkeys(tree.failed, "red")}
        for tree in (tests.pristine, tests.patched)
    ]
    wanted = sorted({*tests.pristine.failed, *tests.patched.failed})
    lines = [TestLine(name=name, pristine=states[0].get(name, ""), patched=states[1].get(name, "")) for name in wanted]
    return tuple(sorted(lines, key=lambda line: line.patched == "green"))


def _failed_release(runs: Sequence[History], there: There) -> RunLine | None:
    last = next((each for each in runs if each.last_stage == "publish"), None)
    return _line(last, there) if last and last is not runs[0] and last.run.error else None


def _line(run: History, there: There) -> RunLine:
    first = run.failures[0] if run.failures else None
    message = first.message if first else run.run.error.message if run.run.error else ""
    return RunLine(
        when=moment(run.finished),
        command=command(run),
        verdict=verdict.of(run),
        sentence=message.partition("\n")[0],
        link=link(first.log, there) if first else "",
        took=timing.seconds((run.finished - run.started).total_seconds()),
        commit=run.checkout.commit[:12],
    )
