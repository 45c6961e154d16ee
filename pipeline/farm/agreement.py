# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the workers of a target may be used: of this pipeline, all with one image, with room on their disks."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import FarmError
from pipeline.farm.facts import Facts
from pipeline.farm.version import Version, named
from pipeline.model import Image


def image_of(target: str, resource: str, workers: Sequence[Facts], version: Version) -> Image:
    """What the target's commands run in at every worker that serves it. Raises: FarmError naming who differs."""
    serving = [each for each in workers if each.image(target) is not None]
    if not serving:
        names = ", ".join(each.worker for each in workers) or "none"
        raise FarmError(
            "no-worker",
            f"no worker serves the target {target} (resource {resource}); workers: {names}",
            hint="start one on a machine with that image: `.venv/bin/nox -s worker`",
        )
    _refuse_other_versions(serving, version)
    images = {each.worker: each.image(target) for each in serving}
    first_name, first = next(iter(images.items()))
    for name, image in images.items():
        if image != first:
            raise FarmError(
                "other-image",
                f"{target}: commands run in {_shown(first)} at {first_name}, and in {_shown(image)} at {name}",
                hint="give all the same image (`podman save` here, `podman load` there, or pin it by digest)",
            )
    if all(each.no_disk for each in serving):
        told = "; ".join(f"{each.worker}: {each.no_disk}" for each in serving)
        raise FarmError(
            "no-disk", f"no worker of {target} has room: {told}", hint="free space there, or use --work DIR"
        )
    assert first is not None
    return first


def _refuse_other_versions(workers: Sequence[Facts], version: Version) -> None:
    """Raises: FarmError naming all that differ, with why the first of them does."""
    told = {each.worker: (version.differing(each.version), each.changed) for each in workers}
    faults = {name: fault for name, fault in told.items() if any(fault)}
    if not faults:
        return
    other, changed = next(iter(faults.values()))
    names, alike = [*faults], [name for name, fault in faults.items() if fault == (other, changed)]
    its = _verb(alike, "its", "their")
    why = f"{its} {named(other)} {_verb(other, 'differs', 'differ')} from what is here"
    if changed:
        started = _verb(alike, "it was", "they were")
        why = f"{its} {named(changed)} {_verb(changed, 'was', 'were')} changed since {started} started"
    more = [name for name in names if name not in alike]
    raise FarmError(
        "other-version",
        f"{_workers(alike)} cannot be used: {why}" + (f"; nor can {_workers(more)}" if more else ""),
        hint=f"bring the checkout of {named(names)} to this one's state, then start {_workers(names)} anew"
        if any(other for other, _ in faults.values())
        else f"start {_workers(names)} anew",
    )


def _workers(names: Sequence[str]) -> str:
    return f"{_verb(names, 'the worker', 'the workers')} {named(names)}"


def _verb(parts: Sequence[str], one: str, several: str) -> str:
    return one if len(parts) == 1 else several


def _shown(image: Image | None) -> str:
    return f"{image.reference} {image.digest[:12]}" if image else "nothing"
