# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands run as real small processes: how each way to end is told, and what is left running."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import command, crew
from pipeline.errors import CommandFailed, CommandMissing, CommandTimedOut


def lives(process_id: int) -> bool:
    """Whether a process runs; one that ended and nobody waited for does not."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def gone(process_id: int) -> bool:
    """Whether a process ends; the kernel ends one that was killed in its own time, not at once."""
    return within(60, lambda: not lives(process_id))


def sh(script: str, **options: object) -> command.CommandResult:
    return command.run(["sh", "-c", script], **{"timeout_seconds": 20, **options})


def test_exit_code_zero_returns_standard_output_and_the_time_it_took():
    result = sh("echo out; echo err >&2")
    assert (result.exit_code, result.stdout) == (0, "out\n")
    assert 0 < result.seconds < 20
    assert result.argv == ("sh", "-c", "echo out; echo err >&2")


def test_an_exit_code_that_was_not_expected_is_an_error_with_the_last_words():
    with pytest.raises(CommandFailed) as caught:
        sh("echo first; echo the reason >&2; exit 3")
    assert caught.value.command_exit_code == 3
    assert caught.value.message == "sh ended with exit code 3: the reason"
    assert "first\n" in caught.value.output
    assert caught.value.reproduce == "sh -c 'echo first; echo the reason >&2; exit 3'"


def test_an_exit_code_that_was_expected_is_a_result():
    assert sh("exit 3", accept=(0, 3)).exit_code == 3


def test_a_command_that_a_signal_killed_is_told_with_the_signal():
    with pytest.raises(CommandFailed) as caught:
        sh("kill -KILL $$")
    assert caught.value.command_exit_code == -9
    assert "was killed by signal 9" in caught.value.message


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(CommandMissing) as caught:
        command.run(["no-such-program-here"], timeout_seconds=5, log_path=tmp_path / "log")
    assert caught.value.message == "no-such-program-here is not on PATH"
    assert caught.value.exit_code == 20
    assert not command.is_on_path("no-such-program-here")
    assert command.is_on_path("sh")


def test_capture_keeps_standard_output_out_of_the_log_and_error_output_in_it(tmp_path):
    log_path = tmp_path / "logs" / "new" / "stage.log"
    assert sh("echo out; echo err >&2", log_path=log_path).stdout == "out\n"
    assert log_path.read_text() == "$ sh -c 'echo out; echo err >&2'\nerr\n"


def test_without_capture_both_outputs_go_to_the_log_in_order(tmp_path):
    log_path = tmp_path / "stage.log"
    result = sh("echo 1; echo 2 >&2; echo 3", log_path=log_path, capture=False, cwd=tmp_path)
    assert result.stdout == ""
    assert log_path.read_text() == f"$ sh -c 'echo 1; echo 2 >&2; echo 3'  (in {tmp_path})\n1\n2\n3\n"


def test_a_second_command_is_logged_behind_the_first_and_fails_with_its_own_words_only(tmp_path):
    log_path = tmp_path / "stage.log"
    sh("echo of the first >&2", log_path=log_path)
    with pytest.raises(CommandFailed) as caught:
        sh("exit 1", log_path=log_path)
    assert caught.value.message == "sh ended with exit code 1"
    assert caught.value.output == ""
    assert caught.value.log_path == log_path
    assert log_path.read_text() == "$ sh -c 'echo of the first >&2'\nof the first\n$ sh -c 'exit 1'\n"


def test_the_environment_is_laid_over_this_process_s_own(tmp_path):
    result = sh('echo "$ADDED $HOME"; pwd', env={"ADDED": "new"}, cwd=tmp_path)
    assert result.stdout == f"new {os.environ['HOME']}\n{tmp_path}\n"


def test_a_command_reads_nothing_from_our_standard_input():
    assert command.run(["cat"], timeout_seconds=5).stdout == ""


def test_output_that_is_not_utf_8_is_replaced_and_logged_as_it_came(tmp_path):
    log_path = tmp_path / "stage.log"
    result = sh(r"printf 'caf\351\n'; printf '\377\n' >&2", log_path=log_path)
    assert result.stdout == "caf\ufffd\n"
    assert log_path.read_bytes().endswith(b"\n\xff\n")


def test_arguments_that_are_not_utf_8_do_not_break_the_log(tmp_path):
    log_path = tmp_path / "stage.log"
    command.run(["true", os.fsdecode(b"\xff")], timeout_seconds=5, log_path=log_path)
    assert b"\xff" in log_path.read_bytes()


def test_the_time_limit_ends_the_grandchildren_that_hold_the_output(tmp_path):
    started = time.monotonic()
    with pytest.raises(CommandTimedOut) as caught:
        sh("sleep 60 & echo $! > grandchild; wait", timeout_seconds=1.5, cwd=tmp_path)
    assert time.monotonic() - started < 30
    assert gone(int((tmp_path / "grandchild").read_text()))
    assert caught.value.exit_code == 11
    assert "ran longer than 1.5 seconds" in caught.value.message


def test_a_group_that_ignores_the_polite_signal_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(CommandTimedOut):
        sh("trap '' TERM; sleep 60 & echo $! > grandchild; wait; wait", timeout_seconds=1.5, cwd=tmp_path)
    assert time.monotonic() - started < 30
    assert gone(int((tmp_path / "grandchild").read_text()))


def test_what_a_command_leaves_running_is_ended_with_it(tmp_path):
    started = time.monotonic()
    assert sh("sleep 60 & echo $! > left; echo done", cwd=tmp_path).stdout == "done\n"
    assert time.monotonic() - started < 30
    assert gone(int((tmp_path / "left").read_text()))


def test_ctrl_c_ends_the_group_and_passes_on(tmp_path):
    script = (
        "from pipeline import command\n"
        "try:\n"
        "    command.run(['sh', '-c', 'sleep 60 & echo $! > written; mv written grandchild; wait'], "
        "timeout_seconds=60)\n"
        "except KeyboardInterrupt:\n"
        "    raise SystemExit(42)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parent.parent)}
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment) as process:
        assert within(60, (tmp_path / "grandchild").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 42
    assert gone(int((tmp_path / "grandchild").read_text()))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.org/x", "https://***@example.org/x"),
        ("https://:secret@example.org/x", "https://***@example.org/x"),
        ("https://user:sec@ret@example.org/x", "https://***@example.org/x"),
        ("https://secret-token@example.org/x", "https://***@example.org/x"),
        ("rsync://user:secret@example.org/module", "rsync://***@example.org/module"),
        ("rsync://user@example.org/module", "rsync://user@example.org/module"),
        ("ssh://git@example.org/x", "ssh://git@example.org/x"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("https://example.org:8080/a:b@c", "https://example.org:8080/a:b@c"),
    ],
)
def test_credentials_in_urls_are_not_shown(url, shown):
    assert shlex.split(command.shown(["tool", f"--from={url}"])) == ["tool", f"--from={shown}"]


def test_credentials_are_in_no_error_and_in_no_log_line_of_ours(tmp_path):
    url = "https://user:secret@example.org/x"
    log_path = tmp_path / "log"
    with pytest.raises(CommandFailed) as caught:
        command.run(["sh", "-c", 'echo "cannot reach $1"; exit 1', "sh", url], timeout_seconds=5, log_path=log_path)
    assert "secret" not in log_path.read_text()
    assert "secret" not in caught.value.reproduce
    assert "secret" not in caught.value.message
    assert "cannot reach https://***@example.org/x" in caught.value.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_during_the_start_leaves_no_process(tmp_path, monkeypatch, number):
    start = command._start
    started: list[subprocess.Popen[bytes]] = []

    def interrupted_start(*args, **options):
        started.append(start(*args, **options))
        signal.raise_signal(number)
        return started[0]

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_start", interrupted_start)
    former = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            sh("sleep 60", cwd=tmp_path)
    finally:
        signal.signal(number, former)
    assert started[0].returncode is not None
    assert crew._all._running == set()
