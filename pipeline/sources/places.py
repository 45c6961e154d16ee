# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a repository is that the configuration names: a URL, or a directory of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import NetworkError, SettingsError
from pipeline.sources.address import local_path, redacted

_REMOTE = ("http://", "https://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A repository by its URL; `written` is how the configuration has it, and `key` where."""

    url: str
    written: str
    key: str

    @property
    def is_remote(self) -> bool:
        return self.url.startswith(_REMOTE)

    @property
    def shown(self) -> str:
        return redacted(self.written)


def place(written: str, root_dir: Path, *, key: str) -> Place:
    """The repository that a setting names: a URL, or a directory, seen from the checkout. Raises: SettingsError."""
    if "://" in written and not written.startswith((*_REMOTE, "file://")):
        raise SettingsError(
            "repository-address",
            f"{key}: {redacted(written)} is no address of a repository",
            hint="write http://…, https://…, file://… or a directory",
        )
    path = local_path(written) if "://" in written else (root_dir / Path(written).expanduser()).absolute()
    return Place(url=path.as_uri() if path else written, written=written, key=key)


def refuse_network(there: Place) -> None:
    """Raises: NetworkError for a repository that `--offline` puts out of reach."""
    if there.is_remote:
        raise NetworkError(
            "offline",
            f"{there.shown} is on the network, and --offline forbids its use",
            hint=f"leave --offline out, or set {there.key} to a copy on this machine",
        )
