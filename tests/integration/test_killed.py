# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at any moment of a release, and a plain release behind it: all is well, and nothing is there twice.

KILLS=50 tries more moments than every test run does.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.integration.checkout import Checkout

TEMPLATE = "specs/vdsm/vdsm.spec.j2"
KILLS = int(os.environ.get("KILLS", "5"))


def digests(checkout: Checkout) -> dict[str, str]:
    """Package file on the mirror -> sha256."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkout.mirror.rglob("*.rpm")}


def test_a_release_that_is_killed_at_any_moment_is_healed_by_the_next(released: Checkout) -> None:
    started = time.monotonic()
    _change(released, "first")
    assert released.run("release").code == 0
    whole_seconds = time.monotonic() - started
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    seen = digests(released)
    for kill in range(KILLS):
        _change(released, str(kill))
        moment = moments.uniform(0.1, whole_seconds)
        told = f"seed {seed}, kill {kill} at {moment:.2f} of {whole_seconds:.2f} s"
        _kill_after(moment, released)

        result = released.run("release")

        assert result.code == 0, f"{told}: {result.stderr}"
        now = digests(released)
        changed = [name for name, digest in seen.items() if now.get(name) != digest]
        assert not changed, f"{told}: {changed}"
        _see_that_all_is_whole(released, result.document["artifacts"], told)
        seen = now
    assert released.run("release").stages["build"] == "cached"


def _change(checkout: Checkout, word: str) -> None:
    path = checkout.root / TEMPLATE
    path.write_text(path.read_text() + f"{{# {word} #}}\n")


def _kill_after(seconds: float, checkout: Checkout) -> None:
    """Start a release and kill it with all that it started, as the end of a machine would."""
    process = checkout.popen("release")
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        children = _descendants(process.pid)
        for process_id in (process.pid, *children):
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.communicate(timeout=60)


def _descendants(process_id: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    found = [process_id]
    for each in found:
        found += [pid for pid, parent in parents.items() if parent == each]
    return found[1:]


def _see_that_all_is_whole(checkout: Checkout, artifacts: list[dict[str, str]], told: str) -> None:
    """What the run names is there as it says, on the mirror too, and every ledger entry can be read."""
    there = digests(checkout)
    for artifact in artifacts:
        path = checkout.out / artifact["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == artifact["sha256"], told
        signed = checkout.job / "signed" / path.parent.name / path.name
        assert hashlib.sha256(signed.read_bytes()).hexdigest() == there[path.name], told
    packages = [str(checkout.out / artifact["path"]) for artifact in artifacts]
    subprocess.run(["rpmkeys", "--checksig", "--nosignature", *packages], check=True, stdout=subprocess.DEVNULL)
    for path in Path(checkout.job / "ledger").glob("*.json"):
        json.loads(path.read_text())
