# SPDX-License-Identifier: GPL-2.0-or-later
"""`clean` on what real releases leave: told first, then removed, and a release afterwards has nothing to do."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.integration.checkout import Checkout

PATCH = "patches/vdsm/0006-vm-lock-at-most-when-a-client-was-not-seen-to-connec.patch"
HOST = ("--engine", "host")  # images of this machine are no part of the test


def contents(folder: Path) -> dict[str, bytes]:
    """The files below it, but for the lock of the out directory and what Python keeps."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != ".lock" and path.suffix != ".pyc"}  # fmt: skip


@pytest.fixture
def three_releases(released: Checkout) -> Checkout:
    words = ["a client was", "any client was", "some client was", "one client was"]
    for before, after in itertools.pairwise(words):
        released.edit(PATCH, f"+    # Whether {before} seen", f"+    # Whether {after} seen")
        result = released.run("release")
        assert result.code == 0, result.stderr
    return released


def test_releases_that_nothing_stands_on_go_and_the_next_run_has_nothing_to_do(three_releases: Checkout) -> None:
    checkout = three_releases
    mirror, before = contents(checkout.mirror), contents(checkout.out)
    dry = checkout.run("clean", *HOST)
    assert dry.code == 0, dry.stderr
    assert contents(checkout.out) == before
    assert {item["what"] for item in dry.document["chosen"]} == {f"release {n} of demo/vdsm" for n in (904, 905, 906)}
    assert ".venv/bin/nox -s clean -- --engine host --remove" in dry.stderr

    done = checkout.run("clean", *HOST, "--remove")

    assert done.code == 0, done.stderr
    assert (done.document["removed"], done.document["freed_bytes"]) == (True, dry.document["freed_bytes"])
    after = contents(checkout.out)
    assert sum(map(len, before.values())) - sum(map(len, after.values())) == dry.document["freed_bytes"]
    assert contents(checkout.mirror) == mirror
    packages = sorted(path.name.rsplit(".", 3)[1] for path in (checkout.job / "SRPMS").glob("*.rpm"))
    assert packages == ["906", "907"]  # what stands, and what it was compared with
    for number in (904, 905, 906, 907):
        assert (checkout.job / "releases" / str(number) / "reservation.json").exists()
    assert set(checkout.run("release").stages.values()) == {"cached"}
    assert checkout.run("clean", *HOST).document["chosen"] == []
    checkout.edit(PATCH, "+    # Whether one client was seen", "+    # Whether this client was seen")
    assert checkout.run("reserve").document["jobs"][0]["evr"].endswith(".908")


@pytest.mark.parametrize("lost", ["reserve", "build", "changes", "all"])
def test_a_lost_entry_and_what_nothing_needs_any_more_are_made_again(released: Checkout, lost: str) -> None:
    ledger = released.job / "ledger"
    shutil.rmtree(ledger) if lost == "all" else (ledger / f"{lost}.json").unlink()
    assert released.run("clean", *HOST, "--remove").code == 0

    result = released.run("release")
    if result.code == 31:  # packages that rpm cannot make alike get another number, as without clean
        result = released.run("release")

    assert result.code == 0, result.stderr
    assert result.document["mirror"]["destination"] == str(released.mirror)
    assert set(released.run("release").stages.values()) == {"cached"}


def test_age_and_size_choose_and_logs_are_counted(released: Checkout) -> None:
    for _ in range(3):
        assert released.run("build").code == 0
    logs = sorted((released.job / "logs").iterdir())
    for path in (path for folder in logs[:2] for path in folder.iterdir()):
        os.utime(path, (0, time.time() - 40 * 24 * 3600))
    document = released.run("clean", *HOST, "--keep-logs", "1", "--older-than", "30").document
    assert [item["paths"] for item in document["chosen"]] == [[str(path)] for path in logs[:2]]
    assert len(document["others"]) >= 1
    assert all(39 < item["age_days"] < 41 for item in document["chosen"])
    enough = f"{document['size_bytes']}"
    assert released.run("clean", *HOST, "--keep-logs", "1", "--keep-size", enough).document["chosen"] == []
    little = f"{document['size_bytes'] - 1}"
    chosen = released.run("clean", *HOST, "--keep-logs", "1", "--keep-size", little).document["chosen"]
    assert len(chosen) == 1


def test_what_a_killed_run_left_goes_and_the_release_goes_on(checkout: Checkout) -> None:
    process = checkout.popen("release")
    deadline = time.monotonic() + 60
    while not list((checkout.out / ".work").glob("work-*/SPECS")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert list((checkout.out / ".work").glob("*"))

    result = checkout.run("clean", *HOST, "--remove")

    assert result.code == 0, result.stderr
    assert "workspaces" in {item["what"] for item in result.document["chosen"]}
    assert list((checkout.out / ".work").glob("*")) == []
    assert checkout.run("release").code == 0


def test_a_release_under_way_is_waited_for(released: Checkout) -> None:
    released.edit(PATCH, "+    # Whether a client was seen", "+    # Whether any client was seen")
    process = released.popen("release")
    deadline = time.monotonic() + 60
    while not (released.out / ".lock.holder").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    refused = released.run("clean", *HOST, "--no-wait", "--remove")
    waited = released.run("clean", *HOST, "--remove")
    process.communicate(timeout=300)
    assert (refused.code, refused.document["error"]["reference"]) == (60, "locked")
    assert "waiting for process" in waited.stderr
    assert (waited.code, process.returncode) == (0, 0)
    assert set(released.run("release").stages.values()) == {"cached"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--older-than", "-1"], "'-1' is no number of days"),
        (["--keep-size", "2X"], "'2X' is no size"),
        (["--keep-logs", "-1"], "-1 logs cannot be kept"),
        (["--out", "nowhere"], "there is no directory"),
        (["--out", "/"], "/ holds more than what the pipeline made"),
        (["--out", "."], "holds more than what the pipeline made"),
        (["--out", "patches"], "has no ledger and no log of the pipeline in it"),
        (["--target", "no"], "there is no target 'no'"),
    ],
)
def test_bad_input_is_told_and_nothing_is_touched(checkout: Checkout, words: list[str], told: str) -> None:
    before = contents(checkout.root)
    result = checkout.run("clean", *HOST, *words, "--remove")
    assert (result.code, result.document["error"]["exit_code"]) == (2, 2)
    assert told in result.error_line
    assert result.document["error"]["hint"]
    assert contents(checkout.root) == before
    assert not (checkout.root / "nowhere").exists()


def test_the_document_is_one_and_on_standard_output_alone(released: Checkout) -> None:
    result = released.run("clean", *HOST)
    assert set(json.loads(result.stdout)) == {"out", "size_bytes", "freed_bytes", "removed", "chosen", "others"}
