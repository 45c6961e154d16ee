# SPDX-License-Identifier: GPL-2.0-or-later
"""What no build step may reach: the signing key, what opens it, and the agents that have it in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import Settings

# Where a key is opened. A short path: a socket's name has 107 bytes at most, and out directories are deep.
# Source: unix(7), sun_path.
KEYS_DIR = Path(f"/tmp/vdsm-pipeline-keys-{os.getuid()}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hidden:
    """The files and folders; with `must`, no build may run where they cannot be hidden."""

    paths: tuple[Path, ...]
    must: bool = False


def always() -> Hidden:
    """What has keys on any machine. The walls add `$GNUPGHOME` themselves."""
    return Hidden(paths=(Path.home() / ".gnupg", Path(f"/run/user/{os.getuid()}/gnupg"), KEYS_DIR))


def of(settings: Settings) -> Hidden:
    """What these settings name besides; a key that is no throwaway one must be hidden."""
    signing = settings.signing
    named = [absolute(settings, text) for text in (signing.key_file, signing.passphrase_file) if text]
    paths = (*always().paths, *named, throwaway_dir(settings))
    return Hidden(paths=paths, must=bool(signing.key or signing.key_file))


def absolute(settings: Settings, text: str) -> Path:
    """A path of `[signing]`: relative ones are below the checkout."""
    return settings.root_dir / Path(text).expanduser()


def throwaway_dir(settings: Settings) -> Path:
    """Where the key for trying lies, which is made by itself."""
    return settings.out_path / ".key"
