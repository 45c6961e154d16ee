# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages that are built on each other, from their specs to one repository; and what a failure or a change does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import family
from tests.family import LIBRARY, PROGRAM, PROTOCOL
from tests.integration.checkout import Checkout, Result

NAMES = (PROTOCOL, LIBRARY, PROGRAM)


@pytest.fixture
def relatives(checkout: Checkout) -> Checkout:
    """A checkout that has the family alone, and not in the order in which it must be built."""
    family.lay(checkout.root, names=(PROGRAM, LIBRARY, PROTOCOL), only=True)
    return checkout


def results(run: Result, stage: str) -> dict[str, str]:
    """Package -> how a stage of it ended."""
    return {
        job["package"]: next((row["result"] for row in job["stages"] if row["stage"] == stage), "")
        for job in run.document["jobs"]
    }


def reason(run: Result, package: str, stage: str) -> str:
    job = next(job for job in run.document["jobs"] if job["package"] == package)
    return next(str(row["reason"]) for row in job["stages"] if row["stage"] == stage)


def change(checkout: Checkout, package: str) -> None:
    """A patch of the package gets another comment: its input is another, what it provides is not."""
    path = next((checkout.root / "patches" / package).glob("*.patch"))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\n---\n", "\n\nSaid more clearly.\n---\n", 1), encoding="utf-8")


def test_three_are_built_on_each_other_and_installed_together(relatives: Checkout) -> None:
    first = relatives.run("release")
    assert first.code == 0, first.stderr
    assert [(job["id"], job["needs"]) for job in first.document["jobs"]] == [
        ("greet@demo", ["greet-protocol@demo", "libgreet@demo"]),
        ("libgreet@demo", ["greet-protocol@demo"]),
        ("greet-protocol@demo", []),
    ]
    assert set(results(first, "build").values()) == {"ok"}
    # The patched program says what only the patched library can, which is built with what only the patched header has.
    program = next((relatives.out / "demo" / PROGRAM / "RPMS").rglob("greet-1.0*.rpm"))
    needed = subprocess.run(["rpm", "-qp", "--requires", str(program)], capture_output=True, text=True, check=True)
    assert "libgreet.so" in needed.stdout
    assert first.document["mirror"]["changed"]

    again = relatives.run("release")
    assert again.code == 0
    assert {row["result"] for job in again.document["jobs"] for row in job["stages"]} == {"cached"}

    change(relatives, PROTOCOL)
    planned = relatives.run("plan")
    assert results(planned, "build") == {PROGRAM: "run", LIBRARY: "run", PROTOCOL: "run"}
    assert set(results(planned, "baseline").values()) == {"cached"}, "the vendor's packages are what they were"
    assert reason(planned, LIBRARY, "build") == f"{PROTOCOL} is made anew"
    changed = relatives.run("release")
    assert changed.code == 0, changed.stderr
    assert set(results(changed, "build").values()) == {"ok"}
    assert reason(changed, LIBRARY, "reserve").startswith(f"built on {PROTOCOL} changed")

    # With the switch, only another set of capabilities counts.
    switched = relatives.run("release", "--rebuild-on", "provides")
    assert switched.code == 0, switched.stderr
    change(relatives, PROTOCOL)
    still = relatives.run("release", "--rebuild-on", "provides")
    assert still.code == 0, still.stderr
    assert results(still, "build") == {PROGRAM: "cached", LIBRARY: "cached", PROTOCOL: "ok"}


def test_a_failed_package_stops_what_needs_it_and_nothing_else(relatives: Checkout) -> None:
    test = relatives.root / "tests" / "patched" / LIBRARY / "test_red.py"
    test.write_text(
        "import unittest\n\nPATCH = '0001'\n\n\nclass Red(unittest.TestCase):\n"
        "    def test_red(self):\n        self.fail('always')\n",
        encoding="utf-8",
    )
    run = relatives.run("release", "--keep-going")
    assert run.code == 13
    assert results(run, "gate") == {PROGRAM: "skipped", LIBRARY: "skipped", PROTOCOL: "ok"}
    assert results(run, "build")[PROGRAM] == "skipped"
    assert reason(run, PROGRAM, "build") == "it is built on demo/libgreet, which failed"
    assert "demo/greet was not built: it is built on demo/libgreet, which failed" in run.stderr
    assert not relatives.mirror.exists()


def test_what_may_be_built_on_one_that_cannot_be_read_is_not_built(relatives: Checkout) -> None:
    series = relatives.root / "patches" / PROTOCOL / "series"
    series.write_text(series.read_text() + "missing.patch\n", encoding="utf-8")
    run = relatives.run("release", "--keep-going")
    assert run.code == 12, run.stderr
    assert reason(run, LIBRARY, "build") == "it is built on demo/greet-protocol, which failed"
    assert reason(run, PROGRAM, "build").startswith("it is built on demo/")


def test_a_package_alone_is_built_on_what_was_built_before(relatives: Checkout) -> None:
    nothing_there = relatives.run("build", "--package", PROTOCOL)
    assert nothing_there.code == 0, nothing_there.stderr
    alone = relatives.run("build", "--package", LIBRARY)
    assert alone.code == 0, alone.stderr
    assert alone.document["jobs"][0]["needs"] == ["greet-protocol@demo"]
    for path in (relatives.out / "demo" / PROTOCOL / "RPMS").rglob("*.rpm"):
        path.unlink()
    change(relatives, LIBRARY)
    lost = relatives.run("build", "--package", LIBRARY)
    assert (lost.code, lost.error_line) == (
        10,
        "error: demo: reserve: demo/libgreet is built on demo/greet-protocol, which is not built here",
    )


def test_a_package_that_was_never_built_is_told_instead_of_what_the_compiler_misses(relatives: Checkout) -> None:
    run = relatives.run("build", "--package", LIBRARY)
    assert run.code == 10
    assert run.error_line.endswith("reserve: demo/libgreet is built on demo/greet-protocol, which is not built here")
    order = relatives.run("relations")
    assert [job["needs"] for job in order.document["jobs"]][1] == ["greet-protocol@demo"]
    assert not list(relatives.out.glob("demo/*/releases/*/reservation.json"))


def test_a_cycle_is_shown_before_anything_is_built(relatives: Checkout) -> None:
    spec = relatives.root / "tests" / "family" / PROTOCOL / f"{PROTOCOL}.spec"
    spec.write_text(spec.read_text().replace("BuildRequires:  make\n", "BuildRequires:  make, greet\n", 1))
    run = relatives.run("release", "--keep-going")
    assert run.code == 10
    assert "greet -> greet-protocol -> greet" in run.error_line
    assert not list(relatives.out.glob("demo/*/releases/*/reservation.json"))


def test_ctrl_c_ends_all_jobs_and_the_next_run_goes_on(relatives: Checkout) -> None:
    spec = relatives.root / "tests" / "family" / PROTOCOL / f"{PROTOCOL}.spec"
    whole = spec.read_text(encoding="utf-8")
    spec.write_text(whole.replace("%build\n", "%build\nsleep 985\n", 1), encoding="utf-8")
    process = relatives.popen("release", "--jobs", "4")
    deadline = time.monotonic() + 120
    while not _running("sleep 985") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running("sleep 985")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not _running("sleep 985")
    spec.write_text(whole, encoding="utf-8")
    ended = relatives.run("build")
    assert ended.code == 0, ended.stderr


def _running(command: str) -> bool:
    words = command.encode().split()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[: len(words)] == words and path.parent.stat().st_uid in (0, os.getuid()):
                return True
        except OSError:
            continue
    return False
