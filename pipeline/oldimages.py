# SPDX-License-Identifier: GPL-2.0-or-later
"""Container images that were made from a recipe that is no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from pipeline import command
from pipeline.errors import CommandFailed, CommandTimedOut, SettingsError
from pipeline.images import image_reference
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.unreachable import Item

_OURS = "localhost/vdsm-pipeline/"
_SECONDS = 120


def find(settings: Settings, in_use: frozenset[str], progress: Progress) -> Iterator[Item]:
    """The images of ours that no recipe of today makes and no ledger entry names, of each engine that is here."""
    wish = settings.engine_override
    programs = (wish,) if wish in ("podman", "docker") else () if wish == "host" else ("podman", "docker")
    for program in filter(command.is_on_path, programs):
        try:
            for reference in _listed(program):
                if reference not in in_use and not _is_current(reference, settings):
                    yield _item(program, reference)
        except (CommandFailed, CommandTimedOut) as error:
            tell = progress.warning if wish == program else progress.detail
            tell(f"{program} was not looked through for old images: {error.message}")


def remove(item: Item) -> None:
    """Remove an image. Raises: CommandFailed, as when a container still uses it."""
    command.run([item.engine, "image", "rm", item.image], timeout_seconds=_SECONDS)


def _listed(program: str) -> list[str]:
    argv = [program, "image", "ls", "--filter", f"reference={_OURS}*", "--format", "{{.Repository}}:{{.Tag}}"]
    names = command.run(argv, timeout_seconds=_SECONDS).stdout.split()
    return [name for name in names if name.startswith(_OURS) and not name.endswith(":<none>")]


def _is_current(reference: str, settings: Settings) -> bool:
    """Whether a recipe makes just this; where its folder cannot be read, every image of its name counts."""
    name = reference.removeprefix(_OURS).partition(":")[0]
    if name not in settings.images:
        return False
    try:
        return reference == image_reference(settings, name)
    except SettingsError:
        return True


def _item(program: str, reference: str) -> Item:
    form = "{{.Size}} {{json .Created}}"
    told = command.run([program, "image", "inspect", "--format", form, reference], timeout_seconds=_SECONDS).stdout
    size, _, created = told.strip().partition(" ")
    made = datetime.fromisoformat(created.strip('"')[:19]).replace(tzinfo=timezone.utc)
    return Item(
        what=f"image {reference.removeprefix(_OURS)} of {program}",
        why="its recipe is another one now",
        size_bytes=int(size),
        modified=made.timestamp(),
        image=reference,
        engine=program,
    )
