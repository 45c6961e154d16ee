# SPDX-License-Identifier: GPL-2.0-or-later
"""Target -> Image: what commands will run in; a container image that is not there is made."""

from __future__ import annotations

import ssl
from pathlib import Path

from pipeline import command
from pipeline.context import TargetContext
from pipeline.errors import CommandFailed, EngineError
from pipeline.images import recipe_dir
from pipeline.model import Image


def inputs(*, context: TargetContext) -> dict[str, str]:
    """What is there now: an image that was removed, or a host that was upgraded, shows here."""
    found = context.engine.identify()
    return {"engine": found.engine, "image": found.reference, "what it holds": found.digest or "nothing"}


def run(*, context: TargetContext) -> Image:
    """The image, made from its recipe if need be. Raises: EngineError."""
    found = context.engine.identify()
    if found.digest:
        return found
    if context.settings.offline:
        raise EngineError(
            "image-missing",
            f"{found.engine} has no image {found.reference}, and --offline forbids making it",
            hint=f"run `.venv/bin/nox -s image -- --target {context.target_name}` once with network",
        )
    _make(found, context)
    made = context.engine.identify()
    if not made.digest:
        raise EngineError(
            "image-missing",
            f"{found.engine} has no image {found.reference} after making it",
            hint="look in the log for what the recipe did",
            log_path=context.log_path,
        )
    return made


def plan(recipe: Path, work_dir: Path, image: Image, *, base: str) -> list[list[str]]:
    """The commands that make an image from its recipe's folder."""
    if (recipe / "build").exists():
        archive = str(work_dir / "root.tar")
        return [[str(recipe / "build"), archive], [image.engine, "import", archive, image.reference]]
    # An old image's certificates no longer reach today's servers: it is lent this machine's.
    certificates = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    copy_dir = work_dir / "recipe"
    base_arguments = ["--build-arg", f"IMAGE={base}"] if base else []
    containerfile = str(copy_dir / "Containerfile")
    return [
        ["cp", "--recursive", str(recipe), str(copy_dir)],
        ["cp", certificates, str(copy_dir / "ca-bundle.crt")],
        [image.engine, "build", *base_arguments, "--tag", image.reference, "--file", containerfile, str(copy_dir)],
    ]


def _make(image: Image, context: TargetContext) -> None:
    """Make the image: a `build` script gives a root file system to import, a Containerfile is built."""
    recipe = _recipe(context)
    context.progress.note(f"making {image.reference} from {recipe.name}/ (minutes, and the network)")
    try:
        with context.engine.workspace(context.scratch_dir) as workspace:
            base = context.settings.images[context.target.image].base
            for argv in plan(recipe, workspace.dir, image, base=base):
                command.run(
                    argv,
                    timeout_seconds=context.settings.time_limits.image,
                    log_path=context.log_path,
                    capture=False,
                )
    except CommandFailed as error:
        raise EngineError(
            "image-failed",
            f"the image {image.reference} could not be made: {error.message}",
            hint="making an image needs the network and the programs that containers/README.md names",
            log_path=context.log_path,
            reproduce=error.reproduce,
        ) from None


def _recipe(context: TargetContext) -> Path:
    return recipe_dir(context.settings, context.target.image)
