# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s engine_properties` as administrators run it: what it prints, and what a shell makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engineproperties.merge import merge_all

ROOT = Path(__file__).resolve().parents[2]
NAME = "UserDefinedVMProperties"
OURS = "spice_disconnect_action=^(noop|lock|logoff|shutdown|reboot)$;spice_disconnect_waittime_seconds=^[0-9]+$"
OTHERS = "hostusb=^0x[0-9a-fA-F]{4}:0x[0-9a-fA-F]{4}$;floppy=^.*$"
NASTY = "a=^'\"`id`!!$HOME$(id) \\\\ #~*?<>|&ä$"

Finished = subprocess.CompletedProcess


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    """The command on the checkout; `text` is its standard input."""

    def run(*words: str | bytes, text: bytes = b"") -> Finished:
        environment = {**os.environ, "PIPELINE_OUT": str(tmp_path / "out"), "NO_COLOR": "1"}
        done = subprocess.run([sys.executable, "-m", "pipeline", "engine_properties", *words], cwd=ROOT, input=text,
                              env=environment, capture_output=True, timeout=60)  # fmt: skip
        return Finished(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def called(tmp_path: Path) -> Callable[[str, Sequence[str]], list[list[str]]]:
    """What engine-config is called with when a shell runs a script."""
    fake, calls = tmp_path / "bin" / "engine-config", tmp_path / "calls"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" END >>{calls}\n")
    fake.chmod(0o755)

    def run_script(script: str, shell: Sequence[str] = ("sh",)) -> list[list[str]]:
        calls.write_bytes(b"")
        environment = {
            **os.environ,
            "PATH": f"{fake.parent}:{os.environ['PATH']}",
            "HISTFILE": str(tmp_path / "history"),
        }
        subprocess.run([*shell], input=script.encode(), env=environment, check=True, capture_output=True, timeout=60)
        found = calls.read_bytes().decode().split("\0END\0")[:-1]
        return [call.split("\0") for call in found]

    return run_script


def undo_line(told: Finished) -> str:
    (line,) = [line for line in told.stderr.splitlines() if line.startswith("    undo: ")]
    return line.removeprefix("    undo: ")


@pytest.mark.parametrize("shell", [("sh",), ("bash",), ("bash", "--norc", "-i")])
@pytest.mark.parametrize("text", ["", OTHERS, f"{OTHERS};", NASTY], ids=["nothing", "others", "trailing", "nasty"])
def test_a_shell_calls_engine_config_with_the_new_text_and_undoes_it(run, called, text, shell):
    told = run("--current", text)
    assert told.returncode == 0, told.stderr
    end = ";" if text.endswith(";") else ""
    new = f"{text.removesuffix(';')};{OURS}{end}".removeprefix(";")
    assert called(told.stdout, shell) == [["-s", f"{NAME}={new}", "--cver=3.5"]]
    assert called(f"{undo_line(told)}\n", shell) == [["-s", f"{NAME}={text}", "--cver=3.5"]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(("'", '"', "`", "$", "!", "\\\\", "$(id)", "${x}", " ", "&", "a", "ä", "~", "#", "=")),
        max_size=12,
    )
)
def test_whatever_the_regex_a_shell_leaves_it_as_it_is(called, pieces):
    text = f"a={''.join(pieces)}"
    (merge,) = merge_all({"3.5": text}, {"ours": "^x$"})
    assert called(f"{merge.set_line}\n{merge.undo_line}\n") == [
        ["-s", f"{NAME}={text};ours=^x$", "--cver=3.5"],
        ["-s", f"{NAME}={text}", "--cver=3.5"],
    ]


def test_what_is_printed_changes_nothing_when_it_is_set(run, called):
    (call,) = called(run("--current", OTHERS).stdout)
    told = run("--current", call[1].removeprefix(f"{NAME}="))
    assert (told.returncode, told.stdout) == (0, "")
    assert told.stderr.startswith("version 3.5: ours are set already\n")


PRINTED = "".join(f"{NAME}:  version: 3.{minor}\n" for minor in range(5)) + f"{NAME}: {OTHERS} version: 3.5\n"


@pytest.mark.parametrize("way", ["text", "@file", "--current-file", "-"])
def test_printed_text_comes_from_anywhere(run, called, tmp_path, way):
    path = tmp_path / "printed text"
    path.write_text(PRINTED)
    words = {"text": ("--current", PRINTED), "@file": ("--current", f"@{path}"), "-": ("--current", "-"),
             "--current-file": ("--current-file", str(path))}[way]  # fmt: skip
    told = run(*words, text=PRINTED.encode())
    assert called(told.stdout) == [["-s", f"{NAME}={OTHERS};{OURS}", "--cver=3.5"]]


@pytest.mark.parametrize("text", [b"", b"\n", b"  \n\n"])
@pytest.mark.parametrize("way", ["@file", "--current-file", "-"])
def test_a_command_that_printed_nothing_is_not_taken_for_no_properties(run, tmp_path, way, text):
    path = tmp_path / "printed"
    path.write_bytes(text)
    words = {
        "@file": ("--current", f"@{path}"),
        "-": ("--current", "-"),
        "--current-file": ("--current-file", str(path)),
    }
    told = run(*words[way], text=text)
    assert (told.returncode, told.stdout) == (2, "")
    assert "is empty, so it does not say what is set" in told.stderr


def test_versions_are_chosen_and_each_has_its_lines(run, called, validator_of):
    told = run("--current", "-", "--cver", "3.4", "--cver", "3.5", "--json", text=PRINTED.encode())
    document = json.loads(told.stdout)
    validator_of("engine_properties").validate(document)
    assert [row["version"] for row in document["versions"]] == ["3.4", "3.5"]
    assert called("\n".join(row["set"] for row in document["versions"])) == [
        ["-s", f"{NAME}={OURS}", "--cver=3.4"],
        ["-s", f"{NAME}={OTHERS};{OURS}", "--cver=3.5"],
    ]
    assert called("\n".join(row["undo"] for row in document["versions"])) == [
        ["-s", f"{NAME}=", "--cver=3.4"],
        ["-s", f"{NAME}={OTHERS}", "--cver=3.5"],
    ]


def test_people_are_told_the_difference_what_is_left_to_do_and_what_may_fail(run):
    told = run("--current", "a=^[;]$;spice_disconnect_action=^lock$")
    assert told.stderr.splitlines()[:5] == [
        "version 3.5",
        "      a=^[;]$",
        "    - spice_disconnect_action=^lock$",
        "    + spice_disconnect_action=^(noop|lock|logoff|shutdown|reboot)$",
        "    + spice_disconnect_waittime_seconds=^[0-9]+$",
    ]
    assert "warning: version 3.5: the regex of 'a' has a ';' in it, where the engine cuts it" in told.stderr
    assert "then restart ovirt-engine" in told.stderr


def test_without_a_text_there_is_a_warning(run):
    told = run("--quiet")
    assert told.stdout.startswith(f"engine-config -s '{NAME}={OURS}' --cver=3.5")
    assert told.stderr == "warning: without --current, nothing is taken to be set; engine-config -s removes what is\n"


@pytest.mark.parametrize(
    ("words", "text", "line"),
    [
        (("--current", PRINTED + PRINTED.splitlines()[5]), b"", "version 3.5 has two values, in lines 6 and 7"),
        (("--current", "a=1;b=2;a=3"), b"", "version 3.5: 'a' is there 2 times"),
        (("--current", "a=^(x"), b"", "version 3.5: the regex of 'a' does not compile: a '(' is not closed"),
        (("--current", "a=\x1b]0;x\x07"), b"",
         "version 3.5: there is a control or invisible character, U+001B, at character 3"),
        (("--current", "-"), b"a=1\0",
         "version 3.5: there is a control or invisible character, U+0000, at character 4"),
        (("--current", "-"), b"a=\xff", "version 3.5: there is no UTF-8 at character 3"),
        (("--current", b"a=\xff"), b"", "version 3.5: there is no UTF-8 at character 3"),
        (("--current", "", "--cver", "3.6"), b"", "vdsm 4.16.30 serves no cluster of version '3.6'"),
        (("--current", "", "--cver", "x;y"), b"", "vdsm 4.16.30 serves no cluster of version 'x;y'"),
        (("--current", "@/no/such/file"), b"", "/no/such/file cannot be read: No such file or directory"),
        (("--current-file", "/"), b"", "/ cannot be read: Is a directory"),
        (("--current", "", "--current-file", "x"), b"", "--current and --current-file both say what is set"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_its_mend_and_nothing_to_run(run, validator_of, words, text, line):
    told = run(*words, text=text)
    assert (told.returncode, told.stdout) == (2, "")
    first, mend = told.stderr.splitlines()
    assert (first, mend[:8]) == (f"error: {line}", "  mend: ")
    document = json.loads(run(*words, "--json", text=text).stdout)
    validator_of("engine_properties").validate(document)
    assert document["error"]["message"] == line


def test_a_package_without_properties_is_a_wrong_setting(checkout):
    path = checkout.root / "pipeline.toml"
    text = path.read_text()
    assert "\nengine_versions = " in text
    path.write_text(text.replace("\nengine_versions = ", "\n# "))
    told = checkout.run("engine_properties", "--current", "", json_too=False)
    assert (told.code, told.stdout) == (3, "")
    assert told.error_line == "error: packages.vdsm has no engine_properties, or no engine_versions"
