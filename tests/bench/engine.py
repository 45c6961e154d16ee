# SPDX-License-Identifier: GPL-2.0-or-later
"""The words that run a bare command where the pipeline ran its own: in the target's image, or on this host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def in_engine(home_dir: Path, work_dir: Path) -> list[str]:
    """What stands before a command that works in `work_dir`; nothing on this host."""
    image = _image(home_dir)
    if image["engine"] == "host":
        return []
    mount = f"type=bind,source={work_dir},target=/workspace"
    words = [image["engine"], "run", "--rm", "--network", "none", "--user", "1000:1000", "--mount", mount]
    return [*words, "--env", "HOME=/workspace", image["reference"]]


def inside(home_dir: Path, work_dir: Path) -> str:
    """How `work_dir` is called there."""
    return str(work_dir) if _image(home_dir)["engine"] == "host" else "/workspace"


def _image(home_dir: Path) -> dict[str, Any]:
    """What the job's engine was, by its ledger."""
    record: dict[str, Any] = json.loads((home_dir / "ledger" / "image.json").read_text())["record"]
    return record
