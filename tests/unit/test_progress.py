# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see: plain lines off a terminal, colours on one, and nothing that drives the terminal."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.errors import BuildError
from pipeline.model import StageOutcome
from pipeline.progress import Progress, print_document, tail

OUTCOME = StageOutcome(stage="build", result="ok", seconds=1.234, reason="not done before")


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def on_terminal(terminal) -> Progress:
    console = Console(file=terminal, force_terminal=True, color_system="standard", width=80, markup=False,
                      highlight=False, emoji=False, soft_wrap=True, legacy_windows=False)  # fmt: skip
    return Progress(console=console)


def test_off_a_terminal_a_stage_is_one_plain_line(progress, told):
    with progress.working("demo/vdsm", "build"):
        progress.note("half way")
    progress.ended("demo/vdsm", OUTCOME)
    assert told.getvalue() == "    half way\ndemo/vdsm  build     ok         1.23 s  not done before\n"


def test_a_stage_that_a_worker_did_names_it(progress, told):
    progress.ended("demo/vdsm", replace(OUTCOME, where="wf"))
    progress.ended("demo/vdsm", replace(OUTCOME, where="wf", reason=""))
    lines = told.getvalue().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == ["not done before, at wf", "at wf"]


def test_off_a_terminal_a_long_line_is_not_broken(progress, told):
    progress.warning("x" * 500)
    assert told.getvalue() == f"warning: {'x' * 500}\n"


def test_on_a_terminal_there_are_colours(on_terminal, terminal):
    on_terminal.ended("demo/vdsm", OUTCOME)
    assert "\x1b[32m" in terminal.getvalue()


def test_a_plain_progress_writes_to_standard_error_without_colours(capsys):
    Progress().ended("demo/vdsm", OUTCOME)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "demo/vdsm  build     ok         1.23 s  not done before\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_no_color_is_heeded_on_a_terminal(monkeypatch, capsys, no_color, coloured):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    Progress().warning("look")
    assert ("\x1b[33m" in capsys.readouterr().err) is coloured


CONTROL = "a\x1b[2Jb\x07c\rd\x9be\u202ef é"
SHOWN = "a\\x1b[2Jb\\x07c\\x0dd\\x9be\\x202ef é"


@pytest.mark.parametrize(
    "say",
    [
        lambda progress, tmp_path: progress.note(CONTROL),
        lambda progress, tmp_path: progress.warning(CONTROL),
        lambda progress, tmp_path: progress.heading(CONTROL),
        lambda progress, tmp_path: progress.ended("demo", StageOutcome(stage="x", result="failed", reason=CONTROL)),
        lambda progress, tmp_path: progress.table("t", ("column",), [[CONTROL]]),
        lambda progress, tmp_path: progress.failure(BuildError("x", CONTROL)),
        lambda progress, tmp_path: progress.failure(BuildError("x", "y", hint=CONTROL)),
        lambda progress, tmp_path: progress.failure(BuildError("x", "y", reproduce=CONTROL)),
    ],
    ids=["note", "warning", "heading", "ended", "table", "message", "hint", "reproduce"],
)
def test_control_characters_are_shown_instead_of_sent(progress, told, on_terminal, terminal, tmp_path, say):
    say(progress, tmp_path)
    assert SHOWN in told.getvalue()
    say(on_terminal, tmp_path)
    assert "\x1b[2J" not in terminal.getvalue()
    assert "\x07" not in terminal.getvalue()


def test_markup_in_texts_is_text(on_terminal, terminal):
    on_terminal.note("[red]not red[/red] :smile:")
    on_terminal.table("", ("[b]c[/b]",), [["[red]cell[/red]"]])
    for text in ("[red]not red[/red] :smile:", "[b]c[/b]", "[red]cell[/red]"):
        assert text in terminal.getvalue()


def test_a_failure_has_the_stage_the_mend_the_log_s_end_and_the_command(progress, told, tmp_path):
    log_path = tmp_path / "build.log"
    log_path.write_text("".join(f"line {number}\n" for number in range(100)) + "\x1b[31mred\n")
    error = BuildError("x", "it broke", hint="mend it", log_path=log_path, reproduce="tool --now")
    progress.failure(error, stage="demo: build")
    lines = told.getvalue().splitlines()
    assert lines[:4] == [
        "error: demo: build: it broke", "  mend: mend it", f"  last 20 lines of {log_path}:", "  | line 81"
    ]  # fmt: skip
    assert lines[-2:] == ["  | \\x1b[31mred", "  reproduce: tool --now"]
    assert len(lines) == 3 + 20 + 1


def test_a_failure_shows_the_lines_of_a_message_as_lines(progress, told):
    progress.failure(BuildError("x", "does not fit a.py:\n  -one\n  +two\x07"))
    assert told.getvalue() == "error: does not fit a.py:\n  -one\n  +two\\x07\n"


def test_a_stage_with_a_message_of_several_lines_is_one_line(progress, told):
    progress.ended("demo", StageOutcome(stage="patch", result="failed", reason="does not fit a.py:\n  -one"))
    assert told.getvalue().endswith("  does not fit a.py:\n")
    assert told.getvalue().count("\n") == 1


def test_a_failure_whose_log_was_never_written_is_told_without_it(progress, told, tmp_path):
    progress.failure(BuildError("x", "it broke", log_path=tmp_path / "none.log"))
    assert told.getvalue() == "error: it broke\n"


def test_quiet_says_warnings_and_failures_only():
    file = io.StringIO()
    progress = Progress(quiet=True, console=Console(file=file))
    progress.heading("a")
    progress.note("b")
    progress.ended("c", OUTCOME)
    progress.table("d", ("e",), [["f"]])
    assert file.getvalue() == ""
    progress.warning("look")
    progress.failure(BuildError("x", "broke"))
    assert file.getvalue() == "warning: look\nerror: broke\n"


def test_details_are_for_those_who_asked():
    for verbose, expected in ((False, ""), (True, "    more\n")):
        file = io.StringIO()
        Progress(verbose=verbose, console=Console(file=file)).detail("more")
        assert file.getvalue() == expected


def test_a_plain_table_is_aligned_without_trailing_blanks(progress, told):
    progress.table("title", ("one", "two"), [["a", "b"], ["long cell", ""]])
    assert told.getvalue() == "title\none        two\na          b\nlong cell\n"


def test_a_transfer_says_nothing_off_a_terminal(progress, told):
    with progress.transfer("file", 100) as done:
        done(50)
    assert told.getvalue() == ""


def test_the_state_log_has_a_line_for_each_start_and_end(progress, tmp_path):
    progress.log_state_to(tmp_path / "logs" / "state.log")
    with progress.working("demo/vdsm", "build"):
        pass
    progress.ended("demo/vdsm", replace(OUTCOME, where="wf"))
    start, end = (json.loads(line) for line in (tmp_path / "logs" / "state.log").read_text().splitlines())
    assert (start["event"], start["label"], start["stage"]) == ("start", "demo/vdsm", "build")
    assert (end["event"], end["result"], end["seconds"], end["reason"]) == ("end", "ok", 1.234, "not done before")
    assert end["where"] == "wf"
    assert start["time"] <= end["time"]


def test_the_tail_of_a_big_log_is_its_last_lines_and_is_read_from_its_end(tmp_path, monkeypatch):
    path = tmp_path / "big.log"
    with path.open("wb") as stream:
        stream.truncate(10 * 1024**3)  # ten gigabytes that take no space
        stream.seek(0, 2)
        stream.write(b"\n" + b"".join(b"line %d\n" % number for number in range(30)))
    assert tail(path) == [f"line {number}" for number in range(10, 30)]


def test_the_tail_of_a_log_that_is_not_utf_8_is_its_last_lines(tmp_path):
    path = tmp_path / "odd.log"
    path.write_bytes(b"caf\xe9\n\xff\xfe\x00\n" + "naïve\n".encode())
    assert tail(path) == ["caf\ufffd", "\ufffd\ufffd\x00", "naïve"]


def test_the_tail_of_a_log_that_is_cut_inside_a_letter_is_told(tmp_path):
    path = tmp_path / "odd.log"
    path.write_bytes(("é" * 40_000).encode() + b"\nend\n")
    assert tail(path)[-1] == "end"


def test_the_tail_of_a_short_or_empty_log_is_all_of_it(tmp_path):
    path = tmp_path / "short.log"
    path.write_text("")
    assert tail(path) == []
    path.write_text("no newline")
    assert tail(path) == ["no newline"]


def test_a_document_goes_to_standard_output_alone(capsys):
    print_document('{"a": 1}')
    assert capsys.readouterr() == ('{"a": 1}\n', "")


def test_transfers_on_a_terminal_have_a_line_each(on_terminal, terminal):
    with on_terminal.transfers([("one", 10_000_000), ("other", 20_000_000)]) as (one, other):
        one(2_500_000)
        other(20_000_000)
    shown = re.split("[\r\n]", terminal.getvalue())
    assert not [line for line in shown if "one" in line and "other" in line]
    assert "25%" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_transfers_off_a_terminal_are_lines_at_quarters(progress, told):
    with progress.transfers([("one", 10_000_000)]) as (one,):
        for done in range(0, 10_000_001, 500_000):
            one(done)
    assert told.getvalue().splitlines() == [
        f"    one: {part} of 10.0 MB ({percent} %)"
        for part, percent in (("2.5", 25), ("5.0", 50), ("7.5", 75), ("10.0", 100))
    ]


def test_a_slow_transfer_off_a_terminal_has_a_line_every_ten_seconds(progress, told, monkeypatch):
    now = 0.0
    monkeypatch.setattr("pipeline.progress.time.monotonic", lambda: now)
    with progress.transfers([("one", 100_000_000)]) as (one,):
        for now in (3.0, 9.0, 12.0, 15.0, 23.0):  # monotonic returns it
            one(int(now) * 100_000)
    assert told.getvalue() == "    one: 1.2 of 100.0 MB (1 %)\n    one: 2.3 of 100.0 MB (2 %)\n"


@pytest.mark.parametrize(("quiet", "size_bytes"), [(True, 100_000_000), (False, 100_000)])
def test_transfers_are_not_told_when_quiet_or_small(quiet, size_bytes):
    file = io.StringIO()
    with Progress(quiet=quiet, console=Console(file=file)).transfers([("one", size_bytes)]) as (one,):
        one(size_bytes)
    assert file.getvalue() == ""


def test_a_section_is_one_block_and_knows_what_was_noted_elsewhere(progress, told):
    with progress.section() as one, progress.section() as two:
        one.note("one")
        two.note("two")
        one.note_once("both")
        two.note_once("both")
    assert [line.strip() for line in told.getvalue().splitlines()] == ["two", "one", "both"]


def test_a_chapter_has_a_state_log_of_its_own(progress, tmp_path):
    with progress.chapter("a") as one, progress.chapter("b") as two:
        one.log_state_to(tmp_path / "a.log")
        two.log_state_to(tmp_path / "b.log")
        one.ended("a", OUTCOME)
    assert len((tmp_path / "a.log").read_text().splitlines()) == 1
    assert not (tmp_path / "b.log").exists()


def test_what_is_left_out_is_one_line_for_people_and_one_each_for_programs(progress, told, tmp_path):
    progress.log_state_to(tmp_path / "state.log")
    left = [StageOutcome(stage=name, result="skipped", reason="why") for name in ("build", "lint", "sign")]
    progress.skipped("demo/vdsm", left)
    progress.skipped("demo/vdsm", [])
    assert told.getvalue() == "demo/vdsm  build to sign skipped    0.00 s  why\n"
    assert [json.loads(line)["stage"] for line in (tmp_path / "state.log").read_text().splitlines()] == [
        "build", "lint", "sign"
    ]  # fmt: skip
