# SPDX-License-Identifier: GPL-2.0-or-later
"""Container images with packages of a run in them: made from another image, named for this process, and removed.

Their names bear the number of the process that made them, as containers' do, so that a later run knows what a killed
one left.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from pipeline import command
from pipeline.engines import leash
from pipeline.errors import CommandFailed, EngineError

_INSTALL_SECONDS = 600
_QUICK_SECONDS = 60
_REPOSITORY = "localhost/vdsm-pipeline-built-on"
# On a system that the packages are not for, their scripts are not either. Source: rpm(8).
_REGARDLESS = ("--nodeps", "--noscripts", "--notriggers")
# Where rpm is a guest, the linker does not look in rpm's folder of libraries.
_INSTALL = 'rpm --upgrade --oldpackage --replacepkgs "$@" ./*.rpm && { ldconfig "$(rpm --eval %_libdir)" || :; }'


def free_name() -> str:
    """The name of an image that nobody has."""
    return f"{_REPOSITORY}:{os.getpid()}-{uuid.uuid4().hex[:8]}"


def plan_install(*, nodeps: bool) -> list[str]:
    """What installs the packages of the folder that it runs in, as root."""
    return ["sh", "-c", _INSTALL, "install", *(_REGARDLESS if nodeps else ())]


def make(program: str, argv: Sequence[str], container: str, image: str, *, log_path: Path | None) -> None:
    """Run the container that `argv` makes, and keep what it leaves as an image.

    Raises: EngineError when it is not kept, and as `command.run`.
    """
    try:
        command.run(argv, timeout_seconds=_INSTALL_SECONDS, log_path=log_path, capture=False)
        _commit(program, container, image, log_path)
    finally:
        remove_container(program, container)


def _commit(program: str, container: str, image: str, log_path: Path | None) -> None:
    try:
        command.run([program, "commit", container, image], timeout_seconds=_INSTALL_SECONDS, log_path=log_path)
    except CommandFailed as error:
        raise EngineError(
            "image-not-kept",
            f"{program} did not make an image of the packages to build on: {error.message}",
            hint="look for a full disk; `.venv/bin/nox -s doctor` tries the engine",
            log_path=log_path,
            reproduce=error.reproduce,
        ) from None


def remove_container(program: str, name: str) -> None:
    """Kill first: podman's `rm --force` asks politely and waits ten seconds."""
    for words in (["kill", name], ["rm", "--force", name]):
        command.run([program, *words], timeout_seconds=_QUICK_SECONDS, accept=range(256), tidies=True)


def remove(program: str, image: str) -> None:
    words = [program, "rmi", "--force", image]
    command.run(words, timeout_seconds=_QUICK_SECONDS, accept=range(256), tidies=True)


def reap(program: str) -> None:
    """Remove the images of runs that were killed; those of a living run stay."""
    words = ["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={_REPOSITORY}"]
    for image in command.run([program, *words], timeout_seconds=_QUICK_SECONDS).stdout.split():
        process_id = image.rpartition(":")[2].partition("-")[0]
        if process_id.isdigit() and not leash.lives(process_id):
            remove(program, image)
