# SPDX-License-Identifier: GPL-2.0-or-later
"""A checkout as people have it, with `./bootstrap` and `.venv`, and their shells in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.checkout import ROOT, Checkout

_PARTS = (
    "bootstrap",
    "noxfile.py",
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-farm.lock",
    "pyproject.toml",
    "README.md",
)
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Site:
    """The demo, released once, in a checkout with all that sessions need; `home` is the user's own folder."""

    checkout: Checkout
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def sh(
        self, script: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What `sh -e` makes of a script, as CIs run it; both streams together are its `stdout`."""
        return subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=cwd or self.checkout.root,
            env={**os.environ, "HOME": str(self.home), **self.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )


def lay_site(checkout: Checkout, home: Path) -> Site:
    for name in _PARTS:
        shutil.copy(ROOT / name, checkout.root / name)
    shutil.copytree(ROOT / "docs", checkout.root / "docs")
    (checkout.root / ".venv").symlink_to(sys.prefix)
    home.mkdir()
    return Site(checkout, home)


@pytest.fixture
def site(released: Checkout, tmp_path: Path) -> Site:
    return lay_site(released, tmp_path / "home")
