# SPDX-License-Identifier: GPL-2.0-or-later
"""The public keys that are configured here: hosts are given these and no others, and no others are believed.

A repository has keys beside it too, and whoever can write to the mirror can put one there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.settings import Settings
from pipeline.signing import choice, home, keys


def configured(settings: Settings, target_name: str) -> dict[str, bytes]:
    """Fingerprint -> armored key: the one that signs for the target, then the `former_keys`. Raises: SigningError."""
    chosen = choice.of(settings, target_name)
    found = {}
    if chosen.listed:  # one for trying may still have to be made
        found[chosen.fingerprint] = keys.exported(chosen).encode()
    for path, listed in choice.former(settings):
        found.setdefault(listed.fingerprint, path.read_bytes())
    return found


def joined(armored: Mapping[str, bytes]) -> bytes:
    """Armored keys in one file, as hosts get them beside a repository."""
    return b"".join(content.strip() + b"\n" for content in armored.values())


@contextmanager
def as_files(armored: Mapping[str, bytes]) -> Iterator[list[Path]]:
    """The keys as files, for programs that read such, while the block lasts."""
    with home.private() as folder:
        paths = {folder / f"{fingerprint}.asc": content for fingerprint, content in armored.items()}
        for path, content in paths.items():
            path.write_bytes(content)
        yield list(paths)
