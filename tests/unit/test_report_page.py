# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page says of runs, well and badly ended, and that nothing in it is more than text."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import hypothesis
import pytest
from hypothesis import strategies as st

from pipeline.errors import BuildError, UsageError
from pipeline.report import conclusion, facts, history, page, record, timing
from pipeline.report import told as telling
from tests import runs

ERROR = BuildError("rpmbuild-failed", "it broke\n  in two lines\n  of reasons", hint="mend it")
EVIL = "<script>alert(1)</script>&amp;\x1b[31m\u202e'\"><img src=x onerror=y>"


class Seen(HTMLParser):
    """Every element of a page with its attributes, and all the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    @property
    def links(self) -> list[str]:
        return [attributes["href"] for tag, attributes in self.elements if tag == "a"]


@pytest.fixture
def ran(settings):
    """Runs that ended so, one an hour, and the page's facts; every file that they name is there."""

    def ran(*ends, last_stage="publish", there=lambda path: True):
        for number, outcomes in enumerate(ends):
            record.write(runs.told(number, last_stage=last_stage), outcomes, settings)
        return facts.page(history.read_all(settings.out_path).runs, there)

    return ran


@pytest.fixture
def shown(settings, ran):
    """The page itself, of such runs."""

    def shown(*ends):
        ran(*ends)
        return Seen(page.write(settings.out_path).path.read_text())

    return shown


@pytest.mark.parametrize(
    ("outcomes", "last_stage", "kind", "words"),
    [
        ((runs.published(runs.good_job()),), "publish", "ok", "Release 905 of demo published"),
        (
            (runs.published(runs.good_job("unit cached", "publish cached"), changed=False),),
            "publish",
            "cached",
            "Nothing changed: release 905 of demo stands",
        ),
        (
            (runs.published(runs.good_job()), runs.published(runs.good_job(target="el6"))),
            "publish",
            "ok",
            "Release 905 of demo published, release 905 of el6 published",
        ),
        ((runs.failed(ERROR),), "publish", "failed", "Failed at stage build of demo"),
        (
            (runs.published(runs.good_job()), runs.failed(ERROR, target="el6")),
            "publish",
            "failed",
            "Failed at stage build of el6; release 905 of demo published",
        ),
        (
            (runs.failed(ERROR), runs.failed(ERROR, "lint", target="el6")),
            "publish",
            "failed",
            "Failed at stages build of demo, lint of el6",
        ),
        ((runs.stopped(),), "publish", "failed", "Interrupted at build of demo"),
        (
            (runs.TargetOutcome(target="demo", jobs=(runs.good_job("image cached", "patch ok", evr="", nevra=""),)),),
            "patch",
            "ok",
            "Patch of demo done",
        ),
        (
            (replace(runs.published(runs.good_job("image cached", "patch cached")), publication=None),),
            "patch",
            "cached",
            "Nothing changed: `patch` of demo holds as it was",
        ),
    ],
)  # fmt: skip
def test_the_verdict_is_one_sentence(ran, outcomes, last_stage, kind, words):
    verdict = ran(outcomes, last_stage=last_stage).verdict
    assert (verdict.kind, verdict.words) == (kind, words)


def test_a_release_that_failed_stays_told_until_there_is_another(settings):
    patched = replace(runs.published(runs.good_job("patch ok")), publication=None)
    record.write(runs.told(0), (runs.failed(ERROR),), settings)
    record.write(runs.told(1, "patch", last_stage="patch"), (patched,), settings)
    kept = history.read_all(settings.out_path).runs
    found = facts.page(kept, lambda path: True)
    assert found.verdict.words == "Patch of demo done"
    assert (found.release.verdict.words, found.release.sentence) == ("Failed at stage build of demo", "it broke")
    assert facts.page(kept[1:], lambda path: True).release is None
    record.write(runs.told(2), (runs.published(runs.good_job()),), settings)
    assert facts.page(history.read_all(settings.out_path).runs, lambda path: True).release is None


def test_the_package_is_named_where_a_target_has_several(ran):
    jobs = (runs.good_job(), runs.good_job(package="other"))
    words = ran((runs.published(*jobs),)).verdict.words
    assert words == "Release 905 of demo/vdsm published, release 905 of demo/other published"


def test_a_stage_s_time_is_told_against_the_median_of_the_last_ten_that_were_not_cached(ran):
    ends = [(runs.published(runs.good_job(stages=runs.rows("build ok", seconds=1000.0))),)]
    ends += [(runs.published(runs.good_job(stages=runs.rows("build ok", seconds=float(n)))),) for n in range(1, 11)]
    ends += [(runs.published(runs.good_job(stages=runs.rows("build cached", seconds=0.0))),)]
    ends += [(runs.failed(ERROR, "build"),)]
    ends += [(runs.published(runs.good_job(target="el6", stages=runs.rows("build ok", seconds=9.0))),)]
    ends += [(runs.published(runs.good_job(stages=runs.rows("build ok", seconds=11.0))),)]
    (job,) = ran(*ends).jobs
    assert job.bars == (
        timing.Bar(stage="build", result="ok", width=100.0, mark=50.0,
                   words="11 s, median of the last 10: 5.5 s", why="why"),
    )  # fmt: skip


def test_what_was_cached_links_to_the_log_of_the_run_that_made_it(ran, settings):
    first = runs.rows("build failed", log=str(settings.out_path / "demo/vdsm/logs/1/build.log"))
    made = [replace(first[0], result="ok")]
    (job,) = ran(
        (runs.published(runs.good_job(stages=tuple(made))),), (runs.published(runs.good_job("build cached")),)
    ).jobs
    assert [(chip.result, chip.link) for chip in job.chips] == [("cached", "demo/vdsm/logs/1/build.log")]


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("demo/vdsm/logs/1/build.log", "demo/vdsm/logs/1/build.log"),
        ('a "b"/#1?.log', "a%20%22b%22/%231%3F.log"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("../../etc/passwd", ""),
        ("/etc/passwd", ""),
        ("", ""),
    ],
)
def test_a_link_leads_into_the_out_directory_or_nowhere(path, link):
    assert facts.link(path, lambda path: True) == link
    assert facts.link(path, lambda path: False) == ""


def test_on_failure_the_reason_comes_first_and_all_is_there_to_go_on(shown, settings):
    log_path = settings.out_path / "demo/vdsm/logs/1/build.log"
    log_path.parent.mkdir(parents=True)
    log_path.write_text("gcc: no\nmake: *** [all] Error 1\n")
    seen = shown((runs.failed(ERROR, log=str(log_path)),))
    told = [
        "Failed at stage build of demo",
        "demo/vdsm: build",
        "it broke",
        "in two lines\nof reasons",
        "Mend: mend it",
        "Reproduce: .venv/bin/nox -s build -- --target demo",
        "Last 2 lines of demo/vdsm/logs/1/build.log",
        "gcc: no\nmake: *** [all] Error 1",
        "Stages",
        "Last runs",
    ]
    places = [seen.text.find(each) for each in told]
    assert -1 not in places
    assert places == sorted(places)
    assert "demo/vdsm/logs/1/build.log" in seen.links


def test_a_log_that_was_cleaned_away_is_no_link_and_its_end_is_still_there(shown, settings):
    log_path = settings.out_path / "build.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text("the last words\n")
    shown((runs.failed(ERROR, log=str(log_path)),))
    log_path.unlink()
    seen = Seen(page.write(settings.out_path).path.read_text())
    assert "the last words" in seen.text
    assert "build.log, which is not there any more" in seen.text
    assert seen.links == []


def test_markup_and_control_characters_are_shown_as_text_wherever_they_come_from(shown, settings):
    log_path = settings.out_path / "build.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.write_text(f"{EVIL} in the log\n")
    patch = replace(runs.good_job().patches[0], subject=f"{EVIL} as subject", author=f"{EVIL} as author")
    rpm = replace(runs.good_job().build.srpm, name=f"{EVIL} as package")
    finding = replace(runs.INFORMS, subject=f"{EVIL} as finding")
    job = runs.good_job(
        reason=f"{EVIL} as reason",
        patches=(patch,),
        build=replace(runs.good_job().build, srpm=rpm),
        lint=replace(runs.good_job().lint, findings=(finding,)),
        stages=runs.rows("build failed", reason=f"{EVIL} as message\nmore", hint=f"{EVIL} as hint", log=str(log_path)),
    )
    seen = shown((runs.TargetOutcome(target="demo", jobs=(job,), error=ERROR, failed_stage="build"),))
    shown_evil = EVIL.replace("\x1b", "\\x1b").replace("\u202e", "\\x202e")
    for where in (
        "in the log",
        "as subject",
        "as author",
        "as package",
        "as finding",
        "as reason",
        "as message",
        "as hint",
    ):
        assert f"{shown_evil} {where}" in seen.text
    assert {tag for tag, _ in seen.elements} & {"script", "img"} == set()
    assert not [name for _, attributes in seen.elements for name in attributes if name.startswith("on")]
    assert "\x1b" not in (settings.out_path / "index.html").read_text()


def test_the_page_asks_for_nothing_and_runs_nothing(shown, settings):
    (settings.out_path / "compat").mkdir(parents=True)
    (settings.out_path / "compat/vdsm.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    tags = [{"tag": "v4.16.1", "applies": True}, {"tag": "v4.16.2", "applies": False}]
    (settings.out_path / "compat/vdsm.json").write_text(json.dumps({"tags": tags}))
    seen = shown((runs.published(runs.good_job()),))
    addresses = [value for _, attributes in seen.elements for name, value in attributes.items() if name == "src"]
    assert [address.partition(",")[0] for address in addresses] == ["data:image/svg+xml;base64"]
    assert "the series applies to 1 of 2 tags, not to v4.16.2" in seen.text
    assert not [link for link in seen.links if "://" in link]
    assert "script" not in {tag for tag, _ in seen.elements}


def test_the_tests_stand_side_by_side(ran):
    (job,) = ran((runs.published(runs.good_job()),)).jobs
    assert [(line.name, line.pristine, line.patched) for line in job.tests] == [
        ("TestA.test_one", "red", "green"),
        ("TestA.test_two", "red", "green"),
    ]
    assert [row.check for row in job.new_findings] == ["informs"]
    assert [row.check for row in job.allowed_findings] == ["meant"]


def test_without_any_history_there_is_one_error_that_names_the_mend(settings, write_spoilt):
    with pytest.raises(UsageError, match=r"^there is no history of a run in ") as caught:
        page.write(settings.out_path)
    assert ".venv/bin/nox -s release" in caught.value.hint
    write_spoilt()
    with pytest.raises(UsageError, match=r"^there is no history of a run that can be read \(2025"):
        page.write(settings.out_path)


@pytest.fixture
def write_spoilt(settings):
    def write() -> str:
        path = record.write(runs.told(9), (runs.published(runs.good_job()),), settings)
        path.write_text(path.read_text()[:500])
        return path.name

    return write


def test_what_cannot_be_read_is_told_in_the_page_and_by_a_warning(shown, settings, progress, told, write_spoilt):
    name = write_spoilt()
    written = conclusion.conclude(runs.told(0), (runs.published(runs.good_job()),), settings, progress)
    assert f"warning: the report leaves out {name}: Invalid JSON" in told.getvalue()
    assert f"Left out of this page: {name}: Invalid JSON" in Seen(written.read_text()).text


def test_a_page_that_cannot_be_written_is_a_warning_and_no_more(settings, progress, told):
    (settings.out_path / "index.html").mkdir(parents=True)
    assert conclusion.conclude(runs.told(), (runs.published(runs.good_job()),), settings, progress) is None
    where = settings.out_path / "index.html"
    assert told.getvalue().startswith(f"warning: no report of this run: {where} is a directory")
    assert "; move it away or remove it" in told.getvalue()
    assert len(history.paths(settings.out_path)) == 1


@pytest.fixture
def spoil(settings):
    """Write the file of a run that failed, with another value at one place; its name."""

    def spoil(value, *places, number=1):
        path = record.write(runs.told(number), (runs.failed(ERROR),), settings)
        document = json.loads(path.read_text())
        part = document
        for place in places[:-1]:
            part = part[place]
        part[places[-1]] = value
        path.write_text(json.dumps(document))
        return path.name

    return spoil


FIRST_STAGE = ("run", "jobs", 0, "stages", 0)


@pytest.mark.parametrize(
    ("value", "places"),
    [
        (float("inf"), (*FIRST_STAGE, "seconds")),
        (float("nan"), (*FIRST_STAGE, "seconds")),
        (-1, (*FIRST_STAGE, "seconds")),
        ("2025-11-21T03:00:00", ("finished",)),
        ("0001-01-01T00:00:00+14:00", ("finished",)),
        ("9999-12-31T23:59:59-14:00", ("started",)),
        (["w"] * 10_000, ("words",)),
        ("\ud800", ("failures", 0, "message")),
        (10**4000, ("run", "error", "exit_code")),
    ],
)
def test_a_bad_value_in_one_file_is_told_and_the_page_comes(settings, spoil, value, places):
    record.write(runs.told(0), (runs.published(runs.good_job()),), settings)
    name = spoil(value, *places)
    written = page.write(settings.out_path)
    assert (written.runs, written.verdict.words) == (1, "Release 905 of demo published")
    assert [each.partition(":")[0] for each in written.unreadable] == [name]


@pytest.mark.parametrize("log", ["x" * 5_000, "a/" * 5_000, "a\0b"])
def test_a_log_of_a_name_that_no_file_can_have_is_no_link(settings, spoil, log):
    spoil(log, "failures", 0, "log")
    spoil(log, *FIRST_STAGE, "log", number=2)
    written = page.write(settings.out_path)
    assert (written.runs, written.unreadable) == (2, ())
    assert Seen(written.path.read_text()).links == []


def test_a_run_of_which_no_page_can_be_made_is_left_out(settings, spoil, monkeypatch):
    spoil("evil", "failures", 0, "message")
    record.write(runs.told(0), (runs.published(runs.good_job()),), settings)
    moment = facts.moment

    def fail(when):
        if when.hour == 4:
            raise OverflowError("beyond all bounds")
        return moment(when)

    monkeypatch.setattr(facts, "moment", fail)
    written = page.write(settings.out_path)
    assert (written.runs, written.unreadable) == (1, (f"{runs.told(1).attempt}.json: beyond all bounds",))


_RUN = runs.published(runs.good_job())
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "x" * 5_000, "\ud800", "\0", 10**400, 1e308]),
    st.lists(st.integers(), max_size=3),
    st.just({}),
)


def _leaves(part, *path):
    if isinstance(part, dict | list) and part:
        for name, each in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _leaves(each, *path, name)
    elif path:
        yield path


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_the_page_comes_whatever_a_history_file_says(settings, data):
    record.write(runs.told(0), (_RUN,), settings)
    path = record.write(runs.told(1), (_RUN, runs.failed(ERROR, target="el6", log="a.log")), settings)
    document = json.loads(path.read_text())
    for places in data.draw(st.lists(st.sampled_from(list(_leaves(document))), min_size=1, max_size=3)):
        part = document
        for place in places[:-1]:
            part = part[place]
        part[places[-1]] = data.draw(_LEAVES)
    path.write_text(json.dumps(document))
    spoilt = path.read_bytes()
    (settings.out_path / "index.html").unlink(missing_ok=True)
    written = page.write(settings.out_path)
    assert written.runs + len(written.unreadable) == 2
    assert (settings.out_path / "index.html").read_text()
    assert path.read_bytes() == spoilt


def test_pipes_and_folders_in_the_place_of_files_are_never_waited_for(settings):
    record.write(runs.told(0), (_RUN,), settings)
    os.mkfifo(settings.out_path / "history" / "20251122T000000Z-1.json")
    (settings.out_path / "history" / "20251123T000000Z-1.json").mkdir()
    (settings.out_path / "compat").mkdir()
    os.mkfifo(settings.out_path / "compat" / "vdsm.svg")
    written = page.write(settings.out_path)
    assert written.runs == 1
    assert sorted(written.unreadable) == [
        "20251122T000000Z-1.json: not a regular file",
        "20251123T000000Z-1.json: not a regular file",
    ]


def test_times_that_run_backwards_are_none(ran, settings):
    told = runs.told(0)
    record.write(replace(told, finished=told.started - timedelta(days=1)), (_RUN,), settings)
    assert facts.page(history.read_all(settings.out_path).runs, lambda path: True).took == "< 0.1 s"
    assert timing.seconds(-5.0) == "< 0.1 s"


def test_the_run_that_was_just_made_is_the_page_s_whatever_the_clock_said_before(settings, progress):
    for number in range(3):
        future = runs.told(24 * 365 * 100 + number)
        record.write(future, (_RUN,), settings)
    # And its own clock was set back while it ran.
    own = runs.told(24 * 365 * 90)
    own = replace(own, finished=runs.told(0).finished)
    path = conclusion.conclude(own, (runs.failed(ERROR),), settings, progress)
    assert "Failed at stage build of demo" in Seen(path.read_text()).text.partition("Last runs")[0]
    assert page.write(settings.out_path).verdict.words == "Failed at stage build of demo"


def test_the_page_is_made_again_only_where_there_is_one(settings, progress):
    record.write(runs.told(), (runs.published(runs.good_job()),), settings)
    conclusion.again(settings.out_path, progress)
    assert not (settings.out_path / "index.html").exists()
    page.write(settings.out_path).path.write_text("old")
    conclusion.again(settings.out_path, progress)
    assert "Release 905" in (settings.out_path / "index.html").read_text()


def test_two_hundred_runs_make_a_page_at_once(settings):
    names = tuple(f"TestNumber{number}.test_with_a_name_of_some_length" for number in range(200))
    unit = runs.UnitReport(python="3", pristine=runs.UnitOutcome(passed=(), failed=names),
                           patched=runs.UnitOutcome(passed=names, failed=()))  # fmt: skip
    outcome = runs.published(runs.good_job(unit=unit))
    for number in range(200):
        record.write(runs.told(number), (outcome,), settings)
    started = time.monotonic()
    assert page.write(settings.out_path).runs == 60
    assert time.monotonic() - started < 1
    assert (settings.out_path / "index.html").stat().st_size < 200_000


def test_what_report_tells_programs_is_what_its_schema_says(settings, validator_of):
    record.write(runs.told(), (runs.published(runs.good_job()),), settings)
    document = telling.document(page.write(settings.out_path))
    validator_of("report").validate(document)
    assert document == {"page": str(settings.out_path / "index.html"), "runs": 1, "unreadable": [], "error": None}
    validator_of("report").validate(telling.failed_document(ERROR))
