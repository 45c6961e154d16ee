# SPDX-License-Identifier: GPL-2.0-or-later
"""The series against a range of upstream's tags: does it apply, why not, do its tests pass, what is coming."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline import files, lock, parallel, testrun
from pipeline.context import JobContext
from pipeline.document import error_document
from pipeline.errors import CommandTimedOut, EngineError, PatchError, PipelineError, UnitError, UsageError
from pipeline.model import Job, PatchVerdict, TagVerdict, UnitOutcome
from pipeline.pictures import matrix
from pipeline.progress import Progress
from pipeline.run import Run, empty_scratch, new_attempt
from pipeline.series import SeriesPatch, number_of, read_patches
from pipeline.settings import Settings
from pipeline.sources.history import Commit, History
from pipeline.sourcespec import parse_source

_SHOWN = 5  # of many tags


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Every tag's verdict, in the order of their numbers, and the commits on a branch to watch.

    `watch_since` is the tag behind which commits are watched; empty where the series applies to none.
    `untested` is why the tests, which were asked for, ran on no tag.
    """

    package: str
    repository: str
    tags: tuple[TagVerdict, ...]
    watch_branch: str = ""
    watch_since: str = ""
    watch: tuple[Commit, ...] = ()
    untested: PipelineError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for: `git:PATH`, a shell pattern of tags, whether to run tests, a branch to look ahead on.

    Without a pattern it is the tags of the packaged version's line: v4.16.* for 4.16.30.
    """

    source: str
    tags: str
    unit: bool
    watch: str


def run(settings: Settings, progress: Progress, wish: Wish, jobs: Sequence[Job]) -> Report:
    """The report for one package; tests need the lock and an image, the rest does not.

    Raises: UsageError, PatchError for a series that cannot be read, EngineError.
    """
    kind, _, repository = wish.source.partition(":")
    path, at, tag = repository.rpartition("@")
    if kind == "git" and at and Path(path).is_dir() and not Path(repository).exists():
        raise UsageError(
            "compat-source",
            f"compat tries many tags: it takes the path without @{tag}",
            hint=f"--source git:{path} --tags '{tag}'",
        )
    if len(jobs) != 1 or kind != "git" or not repository:
        raise UsageError(
            "compat-source",
            "compat tries one package's series on one git repository",
            hint="name both: --source git:PATH, and --target or --package where there are several",
        )
    work = Run(settings=settings, progress=progress, last_stage="image", attempt=new_attempt())
    context = work.job_context(jobs[0])
    if not wish.unit:
        return examine(repository, wish, context)
    with lock.held(settings.out_path, progress, wait=True):
        (outcome,) = work.perform(tuple(jobs))
        if outcome.error is not None:
            raise outcome.error
        try:
            return examine(repository, wish, context)
        finally:
            empty_scratch(settings.out_path)


def examine(repository: str, wish: Wish, context: JobContext) -> Report:
    """The report for one repository."""
    history = History(repository)
    patches = read_patches(context.patches_dir)
    if wish.watch:
        history.need_branch(wish.watch)
    version = context.package.version
    prefix = _tag_prefix(context)
    tags = history.tags(wish.tags or f"{prefix}{version.rpartition('.')[0] or version}.*")
    verdicts = parallel.run_all(lambda tag: try_series(history, tag, patches), tags)
    verdicts = [_with_causes(history, verdict, verdicts, patches) for verdict in verdicts]
    untested: PipelineError | None = None
    if wish.unit:
        try:
            verdicts = _with_tests(history, verdicts, patches, context)
        except (UnitError, CommandTimedOut, EngineError) as error:
            untested = error  # whether the series applies is known nevertheless
    good = [verdict.tag for verdict in verdicts if verdict.applies]
    ours = f"{prefix}{version}"  # what hosts have now; where it is not among the tags, the highest that will do
    since = (ours if ours in good else good[-1]) if wish.watch and good else ""
    return Report(
        package=context.job.package,
        repository=repository,
        tags=tuple(verdicts),
        watch_branch=wish.watch,
        watch_since=since,
        watch=tuple(_ahead(history, since, wish.watch, patches)) if since else (),
        untested=untested,
    )


def _tag_prefix(context: JobContext) -> str:
    """What stands before the version in upstream's tags: as in the package's own sources, else `v`."""
    version, listed = context.package.version, context.package.sources.values()
    tags = (parse_source(text).tag for texts in listed for text in texts)
    return next((tag.removesuffix(version) for tag in tags if tag.endswith(version)), "v")


def try_series(history: History, revision: str, patches: Sequence[SeriesPatch], *, last_only: str = "") -> TagVerdict:
    """How the patches fare on one revision; those behind a conflict are not tried.

    With `last_only`, only what the last patch changes in that file counts.
    """
    verdicts: list[PatchVerdict] = []
    with history.index(revision) as index:
        for patch in patches:
            if verdicts and verdicts[-1].state in ("conflict", "untried"):
                verdicts.append(PatchVerdict(patch=patch.path.name, state="untried"))
            else:
                verdicts.append(index.apply(patch, only=last_only if patch is patches[-1] else ""))
    return TagVerdict(tag=revision, patches=tuple(verdicts))


def failure(report: Report) -> PipelineError | None:
    """The error that the report amounts to, or `None`."""
    if report.untested:
        return report.untested
    refused = [verdict.tag for verdict in report.tags if not verdict.applies]
    if refused:
        causes = any(patch.cause for tag in report.tags for patch in tag.patches)
        return PatchError(
            "series-conflicts",
            f"the series does not apply to {len(refused)} of {len(report.tags)} tags: {_listed(refused)}",
            hint=f"the lines below the table name the place{', and the commit where it was found' if causes else ''}; "
            "`git apply --reject` in a checkout of the tag shows the rest",
        )
    red = [verdict.tag for verdict in report.tags if verdict.unit and not verdict.unit.is_good]
    if red:
        return UnitError(
            "series-red",
            f"tests of the series fail, or none passes, on {len(red)} of {len(report.tags)} tags: {_listed(red)}",
            hint="the JSON document names the tests: --json",
        )
    return None


def _listed(tags: Sequence[str]) -> str:
    return ", ".join([*tags[:_SHOWN], *(["…"] if len(tags) > _SHOWN else [])])


def tell(report: Report, progress: Progress) -> None:
    names = [verdict.patch for verdict in report.tags[0].patches]
    columns = ["tag", *(name[:4] for name in names), *(["tests"] if _any_unit(report) else [])]
    progress.table(f"the series on {report.repository}", columns, [_row(verdict, report) for verdict in report.tags])
    for tag in report.tags:
        for verdict in tag.patches:
            if verdict.state == "conflict":
                cause = f", because of {verdict.cause}" if verdict.cause else ""
                progress.heading(f"{tag.tag}: {verdict.patch} conflicts at {verdict.detail}{cause}")
    progress.heading(summary(report))
    if not report.watch_branch:
        return
    if not report.watch_since:
        progress.heading(f"nothing to watch on {report.watch_branch}: the series applies to none of the tags")
    elif not report.watch:
        progress.heading(f"no commit of {report.watch_branch} behind {report.watch_since} touches the same functions")
    else:
        rows = [[commit.sha, commit.date, commit.subject] for commit in report.watch]
        title = f"commits of {report.watch_branch} behind {report.watch_since} that touch the same functions"
        progress.table(title, ["commit", "date", "subject"], rows)


def summary(report: Report) -> str:
    """How many tags the series applies to, and on how many its tests pass, in one sentence."""
    good = sum(tag.applies for tag in report.tags)
    tested = [tag.unit for tag in report.tags if tag.unit]
    passed = f", tests pass on {sum(unit.is_good for unit in tested)} of {len(tested)}"
    return f"applies to {good} of {len(report.tags)} tags{passed if tested else ''}"


def write(report: Report, out_path: Path) -> Path:
    """Leave `compat/<package>.json` for programs and `.svg` for people, whose path is returned."""
    picture_path = out_path / "compat" / f"{report.package}.svg"
    files.write_whole(picture_path.with_suffix(".json"), json.dumps(document(report), indent=1) + "\n")
    files.write_whole(picture_path, matrix.draw(report.package, summary(report), report.tags))
    return picture_path


def document(report: Report) -> dict[str, Any]:
    """The report for programs."""
    error = failure(report)
    return {
        "status": "failed" if error else "ok",
        "repository": report.repository,
        "tags": [
            {
                "tag": tag.tag,
                "applies": tag.applies,
                "patches": [asdict(verdict) for verdict in tag.patches],
                "unit": {"passed": len(tag.unit.passed), "failed": list(tag.unit.failed)} if tag.unit else None,
            }
            for tag in report.tags
        ],
        "watch_branch": report.watch_branch,
        "watch_since": report.watch_since,
        "watch": [asdict(commit) for commit in report.watch],
        "error": error_document(error) if error else None,
    }


def failed_document(error: PipelineError) -> dict[str, Any]:
    """The document of a failure before any tag was tried."""
    empty = document(Report(package="", repository="", tags=()))
    return {**empty, "status": "failed", "error": error_document(error)}


def _with_causes(
    history: History, verdict: TagVerdict, verdicts: Sequence[TagVerdict], patches: Sequence[SeriesPatch]
) -> TagVerdict:
    """The verdict with, for a conflict, the commit that made the difference to the nearest tag that is good."""
    place = next((i for i, each in enumerate(verdict.patches) if each.state == "conflict"), None)
    if place is None or not verdict.patches[place].path:
        return verdict
    position = list(verdicts).index(verdict)
    good = [(abs(index - position), index) for index, each in enumerate(verdicts) if _holds(each, place)]
    if not good:
        return verdict
    nearest = min(good)[1]
    path, part = verdict.patches[place].path, patches[: place + 1]
    if nearest < position:
        commits, wanted, word = history.commits_on(verdicts[nearest].tag, verdict.tag, path), False, ""
    else:
        commits, wanted, word = history.commits_on(verdict.tag, verdicts[nearest].tag, path), True, "the lack of "
    for commit in commits:
        if _holds(try_series(history, commit.sha, part, last_only=path), place) == wanted:
            named = replace(verdict.patches[place], cause=f"{word}{commit.sha} ({commit.subject})")
            return replace(verdict, patches=(*verdict.patches[:place], named, *verdict.patches[place + 1 :]))
    return verdict


def _holds(verdict: TagVerdict, place: int) -> bool:
    return verdict.patches[place].state in ("clean", "offset", "upstream")


def _with_tests(
    history: History, verdicts: Sequence[TagVerdict], patches: Sequence[SeriesPatch], context: JobContext
) -> list[TagVerdict]:
    """The verdicts with what the tests say on each tag that the series applies to."""

    def test(verdict: TagVerdict) -> TagVerdict:
        if not verdict.applies:
            return verdict
        return replace(verdict, unit=_test(history, verdict.tag, patches, context))

    if context.settings.targets[context.target_name].sources == "demo":
        raise UsageError(
            "compat-target",
            f"upstream's tags need Python 2, and target '{context.target_name}' has {context.target.python}",
            hint="name a target that has it, such as --target el6-bullseye",
        )
    return parallel.run_all(test, verdicts)


def _test(history: History, tag: str, patches: Sequence[SeriesPatch], context: JobContext) -> UnitOutcome:
    with context.engine.workspace(context.scratch_dir, read_only=[context.patched_dir]) as workspace:
        name = quote(tag, safe="")  # a tag may have a slash
        tree_dir = workspace.dir / name
        with history.index(tag) as index:
            for patch in patches:
                index.apply(patch)
            index.write_to(tree_dir)
        log_path = context.log_path.with_name(f"compat-{name}.log")
        run = testrun.run_tests(tree_dir, context.tests_dir, workspace, context, log_path=log_path)
        numbers = {"", *(number_of(patch.path.name) for patch in patches)}
        outcome = UnitOutcome(
            passed=tuple(name for name in run.outcome.passed if run.first_patch[name] in numbers),
            failed=tuple(name for name in run.outcome.failed if run.first_patch[name] in numbers),
        )
        context.progress.note(f"{tag}: {len(outcome.passed)} green, {len(outcome.failed)} red")
        return outcome


def _ahead(history: History, tag: str, branch: str, patches: Sequence[SeriesPatch]) -> list[Commit]:
    with history.index(tag) as index:
        for patch in patches:
            index.apply(patch)
        functions = index.changed_functions(tag)
    names = sorted({Path(name).name for patch in patches for name in patch.touched})
    return history.commits_touching(functions, tag, branch, names)


def _any_unit(report: Report) -> bool:
    return any(tag.unit for tag in report.tags)


def _row(verdict: TagVerdict, report: Report) -> list[str]:
    cells = [f"offset {each.offset_lines}" if each.state == "offset" else each.state for each in verdict.patches]
    tests = []
    if _any_unit(report):
        unit = verdict.unit
        tests = [f"{len(unit.passed)} green, {len(unit.failed)} red" if unit else "-"]
    return [verdict.tag, *cells, *tests]
