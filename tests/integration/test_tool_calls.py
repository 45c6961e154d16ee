# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that a release calls, in order and with all their words: what changes here is seen in review."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.integration.checkout import ROOT, Checkout

_FAKEBIN = ROOT / "tests" / "fakebin"
_RECORDED = ("rpmbuild", "rpmkeys", "rpmlint", "rsync")


@pytest.fixture
def bin_dir() -> Iterator[Path]:
    """A folder of recorders that nobody may enter as well: lint runs with nobody's rights."""
    with tempfile.TemporaryDirectory(prefix="recorders-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for tool in _RECORDED:
            shutil.copy(_FAKEBIN / "record", folder / tool)
        (folder / "calls").touch()
        (folder / "calls").chmod(0o666)
        yield folder


def calls(path: Path, checkout: Checkout) -> list[str]:
    """The recorded calls, one text each, with what differs from run to run taken out."""
    texts = [" ".join(json.loads(line)) for line in path.read_text().splitlines()]
    told = [_without_accidents(text, checkout) for text in texts]
    return [text for text in told if "--root OUT/.work" not in text]  # dnf's own, in the root of its trial


def _without_accidents(text: str, checkout: Checkout) -> str:
    for pattern, name in (
        (re.escape(str(checkout.out.resolve())), "OUT"),
        (re.escape(str(checkout.root.resolve())), "CHECKOUT"),
        (r"/tmp/[^ ]*files-\w+", "LIST"),
        (r"work-\w+", "work-X"),
        (r"/tmp/lint-\w+", "LINT"),
        (r"/tmp/vdsm-pipeline-keys-\d+/\w+", "KEYS"),
        (r"[0-9A-F]{40}", "FINGERPRINT"),
        (r"snapshots/\d+", "snapshots/REVISION"),
        (r"repo-\w+|sign-\w+|trial-\w+|list-\w+|files-\w+|mirror-\w+", "TEMPORARY"),
        (r"vdsm-pipeline-\d+-\w+", "vdsm-pipeline-PID-X"),
        (r"bullseye:[0-9a-f]{16}", "bullseye:DIGEST"),
        (r"--user \d+:\d+", "--user BUILDER"),
        (r"SOURCE_DATE_EPOCH=\d+", "SOURCE_DATE_EPOCH=DAY"),
    ):
        text = re.sub(pattern, name, text)
    return text


def test_the_programs_that_a_release_on_this_host_calls(
    checkout: Checkout, bin_dir: Path, snapshot: SnapshotAssertion
) -> None:
    path = bin_dir / "calls"

    result = checkout.run("release", "--jobs", "1", env={"CALLS": str(path), "PATH": f"{bin_dir}:{os.environ['PATH']}"})

    assert result.code == 0, result.stderr
    assert calls(path, checkout) == snapshot
    path.write_text("")
    again = checkout.run("release", "--jobs", "1", env={"CALLS": str(path), "PATH": f"{bin_dir}:{os.environ['PATH']}"})
    assert set(again.stages.values()) == {"cached"}
    assert calls(path, checkout) == ["rpmbuild --version"]


def test_docker_is_spoken_to_by_the_same_code(checkout: Checkout, bin_dir: Path, snapshot: SnapshotAssertion) -> None:
    for name in _RECORDED:
        (bin_dir / name).unlink()
    shutil.copy(_FAKEBIN / "docker", bin_dir / "docker")
    path = bin_dir / "calls"
    checkout.edit("pipeline.toml", 'python = "python2.7"', 'python = "python3"')

    result = checkout.run(
        *("build", "--target", "el6-bullseye", "--source", "demo", "--engine", "docker"),
        env={"CALLS": str(path), "PATH": f"{bin_dir}:{os.environ['PATH']}"},
    )

    assert result.code == 0, result.stderr
    assert calls(path, checkout) == snapshot
