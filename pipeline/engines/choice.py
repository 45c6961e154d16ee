# SPDX-License-Identifier: GPL-2.0-or-later
"""Which engine a target's commands run in."""

from __future__ import annotations

from contextlib import suppress

from pipeline import command, hidden
from pipeline.engines.base import Engine
from pipeline.engines.container import ContainerEngine
from pipeline.engines.given import GivenEngine
from pipeline.engines.host import HostEngine
from pipeline.errors import EngineError, PipelineError
from pipeline.hidden import Hidden
from pipeline.images import image_reference
from pipeline.model import EngineName, Image
from pipeline.settings import Settings


def engine_of(settings: Settings, target_name: str) -> Engine:
    """The engine that a target's commands run in, as the settings have it. Raises: as `choose_engine`."""
    target = settings.targets[target_name]
    wish = settings.engine_override or target.engine
    return choose_engine(wish, image_reference(settings, target.image), hidden.of(settings))


def engine_or_given(settings: Settings, target_name: str, image: Image) -> Engine:
    """This machine's engine where it has the very same image; else one that stands for the machines that have it."""
    with suppress(PipelineError):
        engine = engine_of(settings, target_name)
        if engine.identify() == image:
            return engine
    return GivenEngine(image)


def choose_engine(wish: str, image: str, secrets: Hidden | None = None) -> Engine:
    """The engine for a wish (`host`, `podman`, `docker` or `auto`) and an image reference.

    `secrets` is what its commands must not reach; a container has nothing but its workspace.

    Raises: EngineError when a container is wanted and no engine, or no image, is there.
    """
    if wish == "host" or (wish == "auto" and not image):
        return HostEngine(secrets)
    candidates: tuple[EngineName, ...] = ("podman", "docker") if wish == "auto" else (_container_name(wish),)
    for program in candidates:
        if command.is_on_path(program):
            if not image:
                raise EngineError(
                    "image-missing",
                    f"engine '{wish}' needs an image and the target names none",
                    hint="give the target an image in pipeline.toml, or use --engine host",
                )
            return ContainerEngine(program, image)
    raise EngineError(
        "engine-missing",
        f"{' and '.join(candidates)} {'is' if len(candidates) == 1 else 'are'} not on PATH",
        hint="install podman (`apt-get install podman` or `dnf install podman`), or use --engine host",
    )


def _container_name(wish: str) -> EngineName:
    return "docker" if wish == "docker" else "podman"
