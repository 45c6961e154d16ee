# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as Markdown: what it says, and that no text of others marks the page up."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import stepsummary
from pipeline.ci.markdown import escaped, fenced, table
from pipeline.errors import BuildError, ReleaseError
from pipeline.settingtables import CiSettings
from tests.unit.test_document import FAILED, JOB, OK

EVIL = "a|b `c` <img src=x> *d* [e](f) @you #7 \\ ~~g~~ https://example.org :tada: $x$ &amp; h\x1b[2J\ni"


def reproduce(stage: str) -> str:
    return f".venv/bin/nox -s {stage}"


def lines_of(*outcomes) -> list[str]:
    return stepsummary.page(outcomes, reproduce=reproduce).splitlines()


def test_a_run_that_went_well():
    lines = lines_of(OK)
    assert lines[0] == "## Well: demo"
    assert lines[2] == "| job | result | release | packages | tests red/green | seconds |"
    assert lines[4].startswith("| demo/vdsm | ok | 4.16.30-0.demo.label.904 | 2 | 2/3 | ")
    assert "- on the mirror: /out/mirror/demo, revision 5" in lines


def test_a_run_that_failed_shows_the_reason_first(tmp_path):
    log = tmp_path / "build.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(30)) + b"```` \xff last\n")
    error = BuildError("x", "rpmbuild failed\nwith *this*", hint="mend it", log_path=log)
    lines = lines_of(replace(FAILED, error=error, failed_stage="build"))
    assert lines[0] == "## Failed: demo"
    start = lines.index("### demo: build")
    assert lines[start + 2] == "**rpmbuild failed**"
    assert "Mend: mend it" in lines
    assert ".venv/bin/nox -s build" in lines
    fence = lines.index("`````text")
    assert lines[fence + 1] == "line 11"
    assert lines[fence + 20 :] == ["```` \ufffd last", "`````"]


def test_a_log_that_is_gone_is_not_shown():
    assert not any(line.startswith("The end of") for line in lines_of(FAILED))


def test_texts_of_others_mark_nothing_up():
    shown = escaped(EVIL)
    assert "\n" not in shown and "\x1b" not in shown
    for raw in ("<img", "| ", "`c`", "[e](", "@you", "~~g", "https:", ":tada:"):
        assert raw not in shown.replace("\\`", "").replace("\\[", "").replace("\\]", "").replace("\\~", "")
    (_, _, row) = table(["a", "b"], [[EVIL, "x"]])
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@pytest.mark.parametrize(
    "text", ["see www.evil.com/x", "a@b.com", "xmpp:a@b.c", "mailto:a@b.c", "https://evil.com", "WWW.evil.com", "@you"]
)
def test_no_address_in_a_text_of_others_becomes_a_link(text):
    shown = html.unescape(escaped(text)).replace("\\", "")
    assert shown.replace("\u200b", "") == text
    assert not re.search(r"www\.|:/|@\w", shown, re.IGNORECASE)


@pytest.mark.parametrize(
    "name",
    [
        "demo/vdsm",
        "4.16.30-0.el6.label.904",
        "/out/mirror/demo",
        "12.5",
        "rebuilding: it changed",
        "2026-11-21 15:12:30",
        "demo:tests/demo/vdsm",
        "me@host: a @ b",
    ],
)
def test_names_numbers_and_times_stay_readable(name):
    assert escaped(name) == name


@pytest.mark.parametrize(
    "text",
    [
        *(":tada:", "a:tada:b", ":+1:", ":100:", "x:a:b:"),
        *("HTTPS://e.org", "mailto:a", "XMPP:a", "www.example.org", "WWW.e.org"),
        *("@you", "(@you)", "_@you", "a@b.org", "git:repo@v4.16.30", "a@b."),
    ],
)
def test_mentions_addresses_and_emoji_codes_are_broken(text):
    assert re.search("&#58;|&#64;|[wW]\u200b", escaped(text))


def test_no_line_closes_a_fence():
    lines = fenced(["``", "`````", "x ```` y"])
    assert lines[0] == "``````text" and lines[-1] == "``````"
    assert fenced([]) == ["```text", "```"]


@pytest.fixture
def with_step_summary(settings, tmp_path):
    path = tmp_path / "step.md"
    return settings.model_copy(update={"ci": CiSettings(name="github", step_summary=path)}), path


def test_it_is_written_and_appended(with_step_summary, progress):
    settings, path = with_step_summary
    path.write_text("before\n")
    for _ in range(2):
        stepsummary.write([OK], settings, progress, reproduce=reproduce)
    text = stepsummary.page([OK], reproduce=reproduce)
    assert (settings.out_path / "summary.md").read_text() == text
    assert path.read_text() == f"before\n{text}{text}"


@pytest.mark.parametrize("already", [0, 1024 * 1024 - 100, 1024 * 1024, 1024 * 1024 + 7])
def test_a_step_gets_no_more_than_github_takes(with_step_summary, progress, already):
    settings, path = with_step_summary
    path.write_text("x" * already)
    job = replace(JOB, reason="é" * 1_200_000)
    stepsummary.write([replace(OK, jobs=(job,))], settings, progress, reproduce=reproduce)
    assert path.stat().st_size <= max(already, 1024 * 1024)
    assert path.read_bytes().decode("utf-8")
    if already <= 1024 * 1024 - 100:
        assert path.read_text().endswith("(cut short)\n")


def test_one_that_cannot_be_written_is_a_warning(settings, progress, told, tmp_path):
    (settings.out_path / "summary.md").mkdir(parents=True)
    settings = settings.model_copy(update={"ci": CiSettings(name="github", step_summary=tmp_path)})
    stepsummary.write([OK], settings, progress, reproduce=reproduce)
    assert [line.partition(" could")[0] for line in told.getvalue().splitlines()] == [
        "warning: summary.md",
        "warning: the step summary",
    ]


def test_a_run_that_is_refused_leaves_no_page_of_an_earlier_one(settings, progress):
    stepsummary.write([OK], settings, progress, reproduce=reproduce)
    stepsummary.write_refused(ReleaseError("dirty", "uncommitted *changes*", hint="commit"), settings, progress)
    text = Path(settings.out_path / "summary.md").read_text()
    assert text == "## Refused\n\n**uncommitted \\*changes\\***\n\nMend: commit\n"
