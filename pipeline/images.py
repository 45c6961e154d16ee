# SPDX-License-Identifier: GPL-2.0-or-later
"""Container images by name: each is known by the digest of the folder that it is made from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.files import content_digest
from pipeline.settings import Settings


def image_reference(settings: Settings, name: str) -> str:
    """The reference that an engine knows the image by; empty for no image.

    An image with a recipe is tagged with a digest of the recipe's folder and its base: a changed one
    is another image, and an unchanged one is not made again.
    """
    if not name:
        return ""
    image = settings.images[name]
    if image.reference:
        return image.reference
    made_from = f"{content_digest(recipe_dir(settings, name))} {image.base}"
    return f"localhost/vdsm-pipeline/{name}:{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"


def recipe_dir(settings: Settings, name: str) -> Path:
    """The folder that an image is made from. Raises: SettingsError when it is not there."""
    recipe = settings.root_dir / settings.images[name].recipe
    if not settings.images[name].recipe or not recipe.is_dir():
        raise SettingsError(
            "recipe-missing",
            f"images.{name}: there is no folder '{settings.images[name].recipe}' to make it from",
            hint=f"set images.{name}.recipe, or a reference pinned by digest, in pipeline.toml",
        )
    return recipe
