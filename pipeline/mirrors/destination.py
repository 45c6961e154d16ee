# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a target's repository is published: a local directory, an rsync daemon, or a host over ssh.

The repository lies at `<destination>/<target>/`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

from pipeline.errors import PublishError, SettingsError
from pipeline.memo import by_identity
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.places.local import Directory
from pipeline.mirrors.places.remote import Remote, WriteOnly
from pipeline.mirrors.rsync import DAEMON, HOST
from pipeline.settings import Settings
from pipeline.settingtables import MirrorSettings
from pipeline.sources.address import redacted

_SSH = re.compile(rf"{HOST}:[^:\n][^\n]*")
_OTHER = re.compile(r"[a-z+]+://|[^/\[]*::")
# Folders of the out directory that are ours, and so are those of the targets: they are emptied, or read as a whole.
_OURS = (".work", ".cache", ".key")
_FORMS = "a directory, rsync://[user@]host[:port]/module/path, or [user@]host:path for ssh"


def find_destinations(settings: Settings, target_name: str) -> tuple[Destination, ...]:
    """Every place of the channel that the target is published to, the one that is read first.

    Raises: SettingsError, PublishError when we are offline.
    """
    known = _known(settings)
    if target_name not in known:
        configured = settings.mirror(target_name)
        known[target_name] = tuple(
            _destination(settings, configured, text, url, target_name)
            for text, url in zip_longest(configured.destination, configured.url, fillvalue="")
        )
    return known[target_name]


@by_identity(4)
def _known(settings: Settings) -> dict[str, tuple[Destination, ...]]:
    """What was found of these settings: each job of a target asks, several times."""
    return {}


def find_destination(settings: Settings, target_name: str) -> Destination:
    """The place that is read. Raises: as `find_destinations`."""
    return find_destinations(settings, target_name)[0]


def _destination(settings: Settings, configured: MirrorSettings, text: str, url: str, target_name: str) -> Destination:
    kind = _kind(text, configured)
    root = str(_local_dir(settings, text)) if kind is Directory else text.rstrip("/")
    if kind is Directory:
        _refuse_our_folders(settings.out_path, tuple(settings.targets), Path(root) / target_name)
    elif settings.offline:
        raise PublishError(
            "mirror-offline",
            f"the mirror {redacted(text)} is not on this machine, and --offline was given",
            hint="leave out --offline, or name a directory with --mirror",
        )
    return kind(
        address=f"{root}/{target_name}",
        url=f"{url}/{quote(target_name)}" if url else "",
        ssh_command="" if kind is Directory or DAEMON.fullmatch(text) else configured.ssh_command,
        timeout_seconds=settings.time_limits.publish,
        scratch_dir=settings.out_path / ".work",
    )


def _kind(text: str, configured: MirrorSettings) -> type[Directory] | type[Remote] | type[WriteOnly]:
    if not DAEMON.fullmatch(text):
        if _OTHER.match(text) or "\n" in text or "\0" in text:
            raise _no_destination(text)
        if ":" not in text.partition("/")[0]:  # as rsync itself decides
            return Directory
        if not _SSH.fullmatch(text):
            raise _no_destination(text)
    return WriteOnly if configured.write_only else Remote


def _no_destination(text: str) -> SettingsError:
    return SettingsError(
        "mirror-destination",
        f"'{redacted(text)}' is no destination for a mirror",
        hint=f"write {_FORMS}; a directory with a ':' in its name begins with ./ or /",
    )


@lru_cache(maxsize=64)  # every job asks for the mirror of its target, several times
def _refuse_our_folders(out_path: Path, targets: tuple[str, ...], repository_dir: Path) -> None:
    """Raises: SettingsError for a mirror that would be removed or mixed with what a run writes."""
    out_dir, resolved_dir = out_path.resolve(), repository_dir.resolve()
    for name in (*_OURS, *targets):
        if resolved_dir.is_relative_to(out_dir / name):
            raise SettingsError(
                "mirror-in-out",
                f"the mirror {repository_dir} is inside {out_path / name}, which is the pipeline's own folder",
                hint=f"name another folder as destination, as {out_path / 'mirror'}",
            )


def _local_dir(settings: Settings, text: str) -> Path:
    """A configured path is below the checkout, or below the out directory wherever that lies; a flag's path below here.

    The path is not resolved: a symlink to the mirror stays the way to it.
    """
    path = Path(text).expanduser()
    if settings.mirror_override and settings.mirror_override not in settings.mirrors:
        return Path.cwd() / path
    if path.is_relative_to(settings.out_dir):
        return settings.out_path / path.relative_to(settings.out_dir)
    return settings.root_dir / path
