# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pipeline` as people and programs meet it: exit codes, what is on which output, and no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pipeline import lock
from pipeline.flow import STAGES, needed_for

Finished = subprocess.CompletedProcess


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., Finished]:
    """Runs the command line; what it makes goes below the test's own folder."""

    def run(*words: str, root_dir: Path = Path(__file__).parent.parent.parent) -> Finished:
        # As nox does: the interpreter of the environment, on the modules of the checkout.
        environment = {**os.environ, "PIPELINE_OUT": str(tmp_path / "out"), "NO_COLOR": "1"}
        return subprocess.run([sys.executable, "-m", "pipeline", *words], cwd=root_dir, env=environment,
                              capture_output=True, text=True, timeout=60)  # fmt: skip

    return run


@pytest.fixture
def broken_checkout(tmp_path: Path, root_dir: Path) -> Path:
    """A copy of the checkout's code with a pipeline.toml that is wrong in two places."""
    folder = tmp_path / "a checkout, mit ä"
    shutil.copytree(root_dir / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    text = (root_dir / "pipeline.toml").read_text()
    assert "release_floor = 904" in text
    (folder / "pipeline.toml").write_text(
        text.replace("release_floor = 904", "release_flor = 904").replace('python = "python3"', "python = 3")
    )
    return folder


def test_help_is_quick_and_names_every_command(pipeline):
    took = [1.0]
    while min(took) >= 0.2 and len(took) < 20:  # the quickest of some: other work on the machine is not what is asked
        started = time.monotonic()
        told = pipeline("--help")
        took.append(time.monotonic() - started)
    assert told.returncode == 0
    for name in ("plan", "image", "fetch", "patch", "reserve", "render", "unit", "build", "contracts", "lint",
                 "provenance", "repo", "publish", "release", "check", "verify", "compat", "doctor"):  # fmt: skip
        assert f"\n  {name} " in told.stdout
    assert min(took) < 0.2


@pytest.mark.parametrize("command", ["plan", "release", "doctor"])
def test_help_of_a_command_names_its_flags(pipeline, command):
    told = pipeline(command, "--help")
    assert told.returncode == 0
    for flag in ("--target", "--package", "--source", "--engine", "--mirror", "--out", "--offline", "--keep-going",
                 "--dry-run", "--no-wait", "--json", "--traceback"):  # fmt: skip
        assert flag in told.stdout


@pytest.mark.parametrize(
    "words", [("release", "--no-such-flag"), ("no-such-command",), ("release", "--engine", "vm"), ("release", "extra"),
              ("release", "--target")],
)  # fmt: skip
def test_wrong_words_are_a_usage_error(pipeline, words):
    told = pipeline(*words)
    assert (told.returncode, told.stdout) == (2, "")
    assert "Error: " in told.stderr
    assert "Traceback" not in told.stderr


def test_an_unknown_target_is_told_in_one_line_with_its_mend(pipeline, tmp_path):
    told = pipeline("release", "--target", "el6-bulseye")
    assert told.returncode == 2
    assert told.stderr.splitlines() == [
        "error: there is no target 'el6-bulseye' in pipeline.toml",
        "  mend: did you mean 'el6-bullseye'? known: demo, el6, el6-bullseye",
    ]
    assert not (tmp_path / "out").exists()


def test_an_unknown_package_and_an_unknown_source_are_usage_errors(pipeline):
    assert pipeline("release", "--package", "vdms").returncode == 2
    assert pipeline("release", "--source", "cvs:x").returncode == 2


def test_an_unknown_mirror_is_told_in_one_line_with_its_mend(pipeline, tmp_path):
    told = pipeline("release", "--mirror", "locl")
    assert told.returncode == 2
    assert told.stderr.splitlines()[0] == "error: there is no mirror 'locl' in pipeline.toml"
    assert told.stderr.splitlines()[1].endswith("; for a directory write ./locl")
    assert not (tmp_path / "out").exists()


def test_a_broken_configuration_is_told_with_every_key(pipeline, broken_checkout):
    told = pipeline("release", root_dir=broken_checkout)
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr.splitlines()[0].startswith("error: pipeline.toml: ")
    assert "packages.vdsm.release_flor: unknown key; remove it or correct its name" in told.stderr
    assert "targets.demo.python: input should be a valid string (it is 3)" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_missing_configuration_is_told(pipeline, broken_checkout):
    (broken_checkout / "pipeline.toml").unlink()
    told = pipeline("plan", root_dir=broken_checkout)
    assert told.returncode == 3
    assert "pipeline.toml does not exist" in told.stderr


def test_a_failure_before_the_first_stage_is_one_valid_document(pipeline, root_dir):
    told = pipeline("release", "--target", "none", "--json")
    document = json.loads(told.stdout)
    Draft202012Validator(json.loads((root_dir / "schema/run.schema.json").read_text())).validate(document)
    assert (told.returncode, document["status"], document["error"]["exit_code"]) == (2, "failed", 2)


@pytest.mark.parametrize(("command", "schema"), [("compat", "compat"), ("doctor", "doctor"), ("refresh", "run")])
def test_a_failure_is_a_document_of_the_command_s_own_schema(pipeline, validator_of, command, schema):
    told = pipeline(command, "--target", "none", "--json")
    document = json.loads(told.stdout)
    validator_of(schema).validate(document)
    assert (told.returncode, document["error"]["exit_code"]) == (2, 2)


def test_the_traceback_is_shown_to_those_who_ask(pipeline):
    told = pipeline("release", "--target", "none", "--traceback").stderr
    assert told.startswith("Traceback (most recent call last):\n")
    assert "in choose_jobs" in told
    assert "\nerror: there is no target 'none'" in told


def test_a_held_lock_is_told_with_its_holder(pipeline, progress, tmp_path):
    with lock.held(tmp_path / "out", progress, wait=False):
        told = pipeline("fetch", "--no-wait")
    assert told.returncode == 60
    assert told.stderr.startswith(f"error: process {os.getpid()} works in {tmp_path / 'out'}\n")


def test_an_out_directory_that_cannot_be_made_is_told(pipeline, tmp_path):
    (tmp_path / "file").write_text("")
    told = pipeline("fetch", "--out", str(tmp_path / "file" / "out"))
    assert told.returncode == 10
    assert "Not a directory at " in told.stderr
    assert "Traceback" not in told.stderr


def test_a_plan_of_the_demo_tells_every_stage_and_makes_nothing(pipeline, tmp_path, root_dir):
    told = pipeline("plan", "--json")
    document = json.loads(told.stdout)
    Draft202012Validator(json.loads((root_dir / "schema/run.schema.json").read_text())).validate(document)
    assert told.returncode == 0
    (job,) = document["jobs"]
    assert [stage["stage"] for stage in job["stages"]] == [name for name in STAGES if name in needed_for("publish")]
    assert {stage["result"] for stage in job["stages"]} == {"run"}
    assert (job["unit"], job["contracts"]) == (None, None)
    assert "plan of demo/vdsm" in told.stderr
    assert list(tmp_path.rglob("*.rpm")) == []


def test_a_dry_run_plans(pipeline):
    told = pipeline("render", "--dry-run", "--json", "--quiet")
    assert told.returncode == 0
    assert told.stderr == ""
    assert [stage["stage"] for stage in json.loads(told.stdout)["jobs"][0]["stages"]] == [
        "image", "fetch", "patch", "relations", "reserve", "render"
    ]  # fmt: skip
