# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run leaves in its history, whatever became of it, and what is read of what lies there."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from pipeline.errors import BuildError, UnitError
from pipeline.model import Changes
from pipeline.report import history, record
from tests import runs

ERROR = BuildError("rpmbuild-failed", "it broke", hint="mend it")


@pytest.fixture
def write(settings):
    def write(*outcomes, number: int = 0, words: tuple[str, ...] = ()):
        return record.write(runs.told(number, *words), outcomes or (runs.published(runs.good_job()),), settings)

    return write


@pytest.mark.parametrize(
    "outcomes",
    [
        (runs.published(runs.good_job()),),
        (runs.published(runs.good_job(), changed=False), runs.failed(ERROR, target="el6")),
        (runs.failed(UnitError("unit-tests", "red\n  why"), "unit"),),
        (runs.stopped(),),
        (),
    ],
    ids=["published", "kept going", "failed", "interrupted", "no job"],
)
def test_the_history_of_any_run_is_what_its_schema_says_and_is_read_again(write, settings, validator_of, outcomes):
    path = record.write(runs.told(), outcomes, settings)
    document = json.loads(path.read_text())
    validator_of("history").validate(document)
    run = history.read(path)
    assert (run.attempt, run.last_stage, len(run.run.jobs)) == (path.stem, "publish", len(run.details))
    assert history.read_all(settings.out_path) == history.Kept(runs=(run,), unreadable=())


def test_the_schema_lets_nothing_else_through(write, validator_of):
    document = json.loads(write().read_text())
    validator = validator_of("history")
    for spoilt in (
        {**document, "more": 1},
        {**document, "format": 2},
        {**document, "started": "2026-11-21T03:00:00"},
        {**document, "details": [{**document["details"][0], "more": 1}]},
        {**document, "failures": [{"stage": "build"}]},
        {**document, "run": {}},
    ):
        assert not validator.is_valid(spoilt)


def test_what_the_run_document_lacks_is_there(write, settings):
    text, told = runs.file("demo/vdsm/releases/905/changes.md"), runs.file("demo/vdsm/releases/905/changes.json")
    folder = settings.out_path / "demo/vdsm/releases/905"
    folder.mkdir(parents=True)
    (folder / "changes.md").write_text("# what differs\n")
    (folder / "changes.json").write_text(
        json.dumps(
            {"vendor": {"before": "4-0", "summary": "2 files"}, "last": {"before": "4-904", "summary": "1 file"}}
        )
    )
    job = runs.good_job(changes=Changes(document=told, text=text, last="904"))
    (details,) = history.read(write(runs.published(job))).details
    assert details.release == 905
    assert details.authors == ("A <a@example.org>",)
    assert details.tests.pristine.failed == runs.RED
    assert details.tests.patched.failed == ()
    assert [(row.check, row.allowed) for row in details.findings] == [("informs", False), ("meant", True)]
    assert details.changes.text == "# what differs\n"
    assert (details.changes.last.before, details.changes.vendor.summary) == ("4-904", "2 files")
    assert details.source.origin == "demo:tests/demo/vdsm"
    assert details.statements == ("demo/vdsm/RPMS/vdsm.rpm.intoto.json",)


def test_passwords_in_addresses_are_in_no_part_of_it(write):
    secret = "srpm:https://user:pass@example.org/a.src.rpm"
    error = BuildError("a", f"no {secret}", hint=f"try {secret}")
    text = write(runs.failed(error), words=("release", "--source", secret)).read_text()
    assert "pass" not in text
    assert text.count("***@example.org") == 7


def test_the_end_of_a_log_stays_when_the_log_goes(write, settings):
    log_path = settings.out_path / "demo/vdsm/logs/1/build.log"
    log_path.parent.mkdir(parents=True)
    log_path.write_text("".join(f"line {number}\n" for number in range(100)))
    path = write(runs.failed(ERROR, log=str(log_path)))
    log_path.unlink()
    (failure,) = history.read(path).failures
    assert failure.lines == tuple(f"line {number}" for number in range(80, 100))
    assert (failure.log, failure.message, failure.hint) == ("demo/vdsm/logs/1/build.log", "it broke", "mend it")
    assert failure.reproduce == ".venv/bin/nox -s build -- --target demo"


def test_a_log_of_a_gigabyte_that_is_no_utf_8_is_read_at_its_end_alone(write, settings):
    log_path = settings.out_path / "build.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as stream:
        stream.truncate(1_000_000_000)
        stream.seek(0, 2)
        stream.write(b"\nnot \xff\xfe text\n" + b"x" * 50_000 + b"\nlast\n")
    started = time.monotonic()
    path = write(runs.failed(ERROR, log=str(log_path)))
    assert time.monotonic() - started < 2
    (failure,) = history.read(path).failures
    assert failure.lines[-3] == "not \ufffd\ufffd text"
    assert failure.lines[-2] == f"{'x' * 2000} … (48000 more characters)"
    assert failure.lines[-1] == "last"
    assert path.stat().st_size < 100_000


def test_an_interrupted_stage_shows_the_log_that_it_began(write, settings):
    log_path = settings.out_path / "demo/vdsm/logs" / runs.told().attempt / "build.log"
    log_path.parent.mkdir(parents=True)
    log_path.write_text("so far\n")
    run = history.read(write(runs.stopped()))
    assert run.interrupted
    assert run.failures[0].lines == ("so far",)
    assert run.failures[0].log.endswith("-7/build.log")


def test_a_stage_that_a_target_did_for_all_its_jobs_fails_once(write):
    ends = runs.rows("build ok", "repo failed", reason="the mirror is away")
    jobs = tuple(runs.good_job(package=name, stages=ends) for name in ("vdsm", "other"))
    outcome = replace(runs.published(*jobs), publication=None, error=ERROR, failed_stage="repo")
    assert [(each.package, each.stage) for each in history.read(write(outcome)).failures] == [("", "repo")]


def test_each_failure_of_a_run_that_kept_going_is_told(write):
    ends = runs.rows("unit failed", "build ok", reason="red") + runs.rows("lint failed", reason="new findings")
    job = runs.good_job(stages=ends)
    outcome = replace(runs.published(job), publication=None, error=ERROR, failed_stage="unit")
    failures = history.read(write(outcome, runs.failed(ERROR, target="el6"))).failures
    assert [(each.target, each.stage, each.message) for each in failures] == [
        ("demo", "unit", "red"),
        ("demo", "lint", "new findings"),
        ("el6", "build", "it broke"),
    ]


def test_a_file_cut_short_or_of_another_format_is_told_and_left_alone(write, settings):
    good = write(number=0)
    spoilt = {
        write(number=1): good.read_bytes()[:900],
        write(number=2): good.read_bytes().replace(b'"format": 1', b'"format": 2'),
        write(number=3): b"\xff\xfe\x00",
        write(number=4): b"[" * 100_000,
        write(number=5): good.read_bytes().replace(b'"demo"', b'"else"', 1),
    }
    for path, content in spoilt.items():
        path.write_bytes(content)
    kept = history.read_all(settings.out_path)
    assert [run.attempt for run in kept.runs] == [good.stem]
    assert [each.partition(":")[0] for each in kept.unreadable] == [path.name for path in spoilt]
    assert "not of format 1" in kept.unreadable[1]
    write(number=6)
    assert {path: path.read_bytes() for path in spoilt} == spoilt


def test_the_newest_two_hundred_stay_and_nobody_else_s_file_goes(write, settings, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 3)
    write(number=0)
    foreign = settings.out_path / "history" / "notes.json"
    foreign.write_text("mine")
    for number in range(1, 5):
        write(number=number)
    assert [path.name for path in history.paths(settings.out_path)] == [
        f"{runs.told(number).attempt}.json" for number in (2, 3, 4)
    ]
    assert foreign.read_text() == "mine"


def test_a_run_s_own_file_is_never_pruned_and_runs_of_the_future_go_first(write, settings, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 3)
    future = [24 * 365 * 100 + number for number in range(4)]
    for number in future:
        write(number=number)
    own = write(number=0)
    assert own.is_file()
    assert len(history.paths(settings.out_path)) == 3
    assert history.read_all(settings.out_path).runs[0].attempt == own.stem
    write(number=1)
    last = write(number=future[0])
    assert [path.stem for path in history.paths(settings.out_path)] == [
        last.stem,
        own.stem,
        runs.told(1).attempt,
    ]


def test_what_is_no_file_is_not_removed(write, settings, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 2)
    (settings.out_path / "history" / "20200101T000000Z-1.json").mkdir(parents=True)
    for number in range(4):
        write(number=number)
    assert [path.name[:4] for path in history.paths(settings.out_path)] == ["2020", "2025", "2025"]


def test_runs_come_newest_first_by_when_they_ended(write, settings):
    for number in (2, 0, 1):
        write(number=number)
    assert [run.started.hour for run in history.read_all(settings.out_path).runs] == [5, 4, 3]


def test_of_large_histories_fewer_are_read_and_the_run_s_own_always(write, settings, monkeypatch):
    for number in range(5):
        path = write(number=number)
    monkeypatch.setattr(history, "_READ_BYTES", int(2.5 * path.stat().st_size))
    assert [run.attempt for run in history.read_all(settings.out_path).runs] == [
        runs.told(number).attempt for number in (4, 3)
    ]
    monkeypatch.setattr(history, "_READ_BYTES", 1)
    own = runs.told(0).attempt
    assert [run.attempt for run in history.read_all(settings.out_path, own).runs] == [own]
