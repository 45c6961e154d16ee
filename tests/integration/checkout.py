# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy of the checkout that a test may spoil, and the pipeline run in it as users run it."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("pipeline", "patches", "specs", "containers", "tests/patched", "tests/demo", "pipeline.toml")
# Long enough for a busy machine; what hangs fails here and not in CI's own limit.
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Result:
    """How a command of the pipeline ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    @property
    def stages(self) -> dict[str, str]:
        """Stage -> result of the first job."""
        return {row["stage"]: row["result"] for row in self.document["jobs"][0]["stages"]}

    @property
    def error_line(self) -> str:
        """The one line that tells the failure."""
        return next(line for line in self.stderr.splitlines() if line.startswith("error: "))


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, with its own out directory."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def mirror(self) -> Path:
        return self.out / "mirror" / "demo"

    @property
    def job(self) -> Path:
        return self.out / "demo" / "vdsm"

    def run(self, *words: str, env: Mapping[str, str] | None = None, json_too: bool = True) -> Result:
        argv = [sys.executable, "-m", "pipeline", *words, *(["--json"] if json_too else [])]
        done = subprocess.run(
            argv,
            cwd=self.root,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def popen(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            cwd=self.root,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace text in a file; the text must be there."""
        path = self.root / name
        content = path.read_text(encoding="utf-8")
        assert before in content, f"{name} has no {before!r}"
        path.write_text(content.replace(before, after), encoding="utf-8")

    def published(self) -> set[str]:
        """All packages on the mirror: the vendor's 8, and 8 a release of ours."""
        return {path.name for path in self.mirror.rglob("*.rpm")}


def copy_checkout(root: Path) -> Checkout:
    compileall.compile_dir(ROOT / "pipeline", quiet=1)  # once, and not by each command in each copy
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part)
        else:
            shutil.copy(source, root / part)
    return Checkout(root)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "checkout"
    root.mkdir()
    return copy_checkout(root)


@pytest.fixture(scope="session")
def kept_release(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose demo was released once, and a copy of it, kept beside it."""
    root = tmp_path_factory.mktemp("released") / "checkout"
    root.mkdir()
    checkout = copy_checkout(root)
    result = checkout.run("release")
    assert result.code == 0, result.stderr
    keep(checkout)
    return checkout


@pytest.fixture
def released(kept_release: Checkout) -> Checkout:
    """A checkout whose demo was released once; at one place for all tests, since the mirror's place is an input."""
    return renewed(kept_release)


def keep(checkout: Checkout) -> None:
    """Keep the checkout as it is now, for `renewed`."""
    _copy(checkout.root, checkout.root.with_name("kept"))


def renewed(checkout: Checkout) -> Checkout:
    """The checkout as it was kept, whatever a test made of it."""
    _copy(checkout.root.with_name("kept"), checkout.root)
    return checkout


def _copy(source: Path, path: Path) -> None:
    # With all times: the ledger notices files that were touched.
    subprocess.run(["rm", "-rf", str(path)], check=True)
    subprocess.run(["cp", "-a", str(source), str(path)], check=True)
