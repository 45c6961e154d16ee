# SPDX-License-Identifier: GPL-2.0-or-later
"""What a CI makes of our lines: its folds and annotations are ours, and no text of others commands it."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from pipeline.ci.choice import marks_of
from pipeline.ci.github import GithubMarks
from pipeline.ci.gitlab import GitlabMarks
from pipeline.ci.marks import Marks
from pipeline.errors import BuildError
from pipeline.model import StageOutcome
from pipeline.progress import Progress
from pipeline.settings import read_ci
from pipeline.settingtables import CiSettings

COMMANDS = (
    "::set-env name=PATH::/evil",
    "  ::error::not ours",
    "\t::add-mask::x",
    "text ##[add-path]/evil",
    "##[group]not ours",
    "::endgroup::",
    "::stop-commands::guessed",
    ":::error::three",
)


def told_by(marks: Marks, say) -> str:
    stream = io.StringIO()
    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True)
    say(Progress(console=console, marks=marks))
    return stream.getvalue()


def executed(text: str) -> list[str]:
    """What GitHub's runner would do of a log: its two forms of commands, and the token that stops both."""
    done = []
    token = ""
    for line in text.split("\n"):
        second = re.match(r"::([^ :]+)(?: [^:]*)?::", line.lstrip())
        first = re.search(r"##\[([^\] ]+)", line)
        name = second[1] if second else first[1] if first else ""
        if token:
            token = "" if name == token else token
        elif name == "stop-commands":
            token = line.rpartition("::")[2]
        elif name:
            done.append(name)
    return done


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, ""),
        ({"CI": "true"}, ""),
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"GITHUB_ACTIONS": "false"}, ""),
        ({"GITLAB_CI": "true", "CI": "true"}, "gitlab"),
        ({"JENKINS_URL": "https://ci.example.org/"}, "jenkins"),
        ({"BUILD_ID": "7", "BUILD_TAG": "jenkins-vdsm-7"}, "jenkins"),
        ({"BUILD_ID": "7"}, ""),
    ],
)
def test_a_ci_is_known_by_what_it_sets(environ, name):
    assert read_ci(environ).name == name


def test_github_says_where_the_summary_goes(tmp_path):
    given = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    assert read_ci(given).step_summary == tmp_path / "s"
    assert read_ci({"GITHUB_STEP_SUMMARY": str(tmp_path / "s")}).step_summary is None


@pytest.mark.parametrize(("name", "kind"), [("", Marks), ("jenkins", Marks), ("github", GithubMarks),
                                             ("gitlab", GitlabMarks)])  # fmt: skip
def test_each_ci_has_its_marks(name, kind):
    assert type(marks_of(CiSettings(name=name))) is kind


def say_everything(progress: Progress, text: str, log_path) -> None:
    with progress.chapter("demo/vdsm") as chapter:
        chapter.note(text)
        chapter.heading(text)
        chapter.table(text, ("a", text), [(text, "b")])
        chapter.ended(text, StageOutcome(stage="build", result="failed", reason=text))
    progress.warning(text)
    log_path.write_text(f"{text}\n{text}\nlast\n")
    error = BuildError("x", f"it failed\n{text}", hint=text, log_path=log_path, reproduce=text)
    progress.failure(error, stage="demo: build")
    progress.failure(BuildError("x", text))


def test_without_a_ci_no_byte_differs(tmp_path):
    def say(progress):
        with progress.chapter("demo/vdsm") as chapter:
            chapter.note("::error::as it is ##[x]")
        (tmp_path / "log").write_text("one\ntwo\n")
        progress.failure(BuildError("x", "it failed", log_path=tmp_path / "log"), stage="demo: build")

    assert told_by(Marks(), say) == (
        "    ::error::as it is ##[x]\n"
        "error: demo: build: it failed\n"
        f"  last 2 lines of {tmp_path}/log:\n  | one\n  | two\n"
    )


@pytest.mark.parametrize("text", COMMANDS)
def test_on_github_no_text_of_others_commands(text, tmp_path):
    told = told_by(GithubMarks(), lambda progress: say_everything(progress, text, tmp_path / "log"))
    assert executed(told) == ["group", "endgroup", "warning", "error", "group", "endgroup", "error"]


def test_what_stops_commands_is_new_each_time():
    assert len({GithubMarks().verbatim() for _ in range(3)}) == 3


def test_the_lines_for_github(tmp_path):
    (tmp_path / "log").write_text("50% done\n")

    def say(progress):
        with progress.chapter("demo/vdsm") as chapter:
            chapter.note("100% green")
        progress.warning("50%, so far")
        progress.failure(BuildError("x", "a 50%\nb", log_path=tmp_path / "log"), stage="demo: build, all")

    assert told_by(GithubMarks(lambda: "TOKEN"), say) == (
        "::group::demo/vdsm\n    100% green\n::endgroup::\n"
        "::warning::50%25, so far\n"
        "::error title=demo%3A build%2C all::a 50%25%0Ab\n"
        f"::group::last 1 lines of {tmp_path}/log:\n"
        "::stop-commands::TOKEN\n  | 50% done\n::TOKEN::\n::endgroup::\n"
    )


def test_the_lines_for_gitlab(tmp_path):
    (tmp_path / "log").write_text("section_start:1:evil\r\x1b[0Kx\n")

    def say(progress):
        with progress.chapter("demo/vdsm") as chapter:
            chapter.note("green")
        progress.warning("so far")
        progress.failure(BuildError("x", "a\nb", log_path=tmp_path / "log"), stage="demo: build")

    lines = told_by(GitlabMarks(lambda: 7.0), say).split("\n")
    assert lines[:3] == [
        "\x1b[0Ksection_start:7:demo_vdsm_1[collapsed=true]\r\x1b[0Kdemo/vdsm",
        "    green",
        "\x1b[0Ksection_end:7:demo_vdsm_1\r\x1b[0K",
    ]
    assert lines[3:6] == ["\x1b[33mwarning: so far\x1b[0m", "\x1b[31;1merror: demo: build: a\x1b[0m", "b"]
    assert lines[6].startswith("\x1b[0Ksection_start:7:last_2_lines_of_")
    assert "\r" not in lines[7] and "\r" not in lines[8] and lines[7].startswith("  | section_start:1:evil")
    assert re.fullmatch("\x1b\\[0Ksection_end:7:last_2_lines_of_.*_2\r\x1b\\[0K", lines[9])


def test_a_quiet_run_has_no_empty_folds():
    stream = io.StringIO()
    progress = Progress(quiet=True, console=Console(file=stream), marks=GithubMarks())
    with progress.chapter("demo/vdsm") as chapter:
        chapter.note("unseen")
    assert stream.getvalue() == ""


def test_in_a_ci_there_is_no_spinner_though_colours_are_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress = Progress(marks=GithubMarks())
    with progress.working("demo/vdsm", "build"):
        progress.note("half way")
    assert capsys.readouterr().err == "    half way\n"
