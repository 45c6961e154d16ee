# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker is, asked before it is used: which pipeline it has, what its targets' commands run in, its disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.engines.choice import engine_of
from pipeline.errors import PipelineError
from pipeline.farm import workplace
from pipeline.farm.version import Version, version_of
from pipeline.model import Image
from pipeline.settings import Settings, read_settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """One worker, as it is now; `images` has what it serves, by target. Where something `changed` since it was started,
    it cannot be used.
    """

    worker: str
    version: Version
    changed: tuple[str, ...]
    images: tuple[tuple[str, Image], ...]
    no_disk: str

    def image(self, target: str) -> Image | None:
        return dict(self.images).get(target)


def tell(engine: str = "") -> Facts:
    """The facts of the worker that this runs in; `engine` is the wish of the command line."""
    place = workplace.current()
    now = version_of(place.root_dir)
    settings = read_settings(place.root_dir, out=str(place.work_dir), engine=engine or None, environ={})
    images, _ = served(settings, place.targets)
    return Facts(
        worker=place.name,
        version=now,
        changed=now.differing(place.version),
        images=images,
        no_disk=place.lacks_disk(),
    )


def served(settings: Settings, targets: Iterable[str]) -> tuple[tuple[tuple[str, Image], ...], tuple[str, ...]]:
    """What the commands of each of these targets run in here, and why some can run nowhere here."""
    images: list[tuple[str, Image]] = []
    lacking: list[str] = []
    for target in targets:
        try:
            image = engine_of(settings, target).identify()
        except PipelineError as error:
            lacking.append(f"{target}: {error.message}")
            continue
        if image.digest:
            images.append((target, image))
        else:
            lacking.append(f"{target}: {image.engine} has no image {image.reference}")
    return tuple(images), tuple(lacking)
