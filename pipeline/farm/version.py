# SPDX-License-Identifier: GPL-2.0-or-later
"""A digest of all of a checkout that decides what packages become: two machines with the same make the same."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import content_digest

_FOLDERS = ("pipeline", "patches", "specs", "tests/patched", "containers")
# What is about one machine, or about what is done with packages behind their build.
_NOT_OF_WORKERS = ("default_targets", "out_dir", "releases", "mirrors", "signing", "retention", "hosts", "farm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """The sha256 of each part of a checkout: the pipeline, patches, templates, tests, recipes, and the settings."""

    parts: tuple[tuple[str, str], ...]

    def differing(self, other: Version) -> tuple[str, ...]:
        """The parts that are not the same in the two."""
        theirs = dict(other.parts)
        return tuple(name for name, digest in self.parts if theirs.get(name) != digest)


def version_of(root_dir: Path) -> Version:
    """What a checkout has of all that decides packages, of `pipeline.toml` no more than that."""
    folders = tuple((f"{folder}/", _digest_of(root_dir / folder)) for folder in _FOLDERS)
    document = tomllib.loads((root_dir / "pipeline.toml").read_text(encoding="utf-8"))
    decides = {key: value for key, value in document.items() if key not in _NOT_OF_WORKERS}
    settings = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()
    return Version(parts=(*folders, ("pipeline.toml", settings)))


def named(parts: Sequence[str]) -> str:
    """These parts in a sentence."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _digest_of(folder: Path) -> str:
    return content_digest(folder, but=("__pycache__",)) if folder.is_dir() else ""
