# SPDX-License-Identifier: GPL-2.0-or-later
"""A digest of all of a checkout that decides what packages become: two machines with the same make the same."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

from pipeline.files import sha256_of

_FOLDERS = ("pipeline", "patches", "specs", "tests/patched", "containers")
# What is about one machine, or about what is done with packages behind their build.
_NOT_OF_WORKERS = ("default_targets", "out_dir", "releases", "mirrors", "signing", "retention", "hosts", "farm")


def version_of(root_dir: Path) -> str:
    """The sha256 of the pipeline, patches, templates, tests, recipes, and what `pipeline.toml` says of packages."""
    digest = hashlib.sha256()
    for folder in _FOLDERS:
        for path in sorted((root_dir / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(root_dir)}\0{sha256_of(path)}\n".encode(errors="surrogateescape"))
    document = tomllib.loads((root_dir / "pipeline.toml").read_text(encoding="utf-8"))
    decides = {key: value for key, value in document.items() if key not in _NOT_OF_WORKERS}
    digest.update(json.dumps(decides, sort_keys=True, default=str).encode())
    return digest.hexdigest()
