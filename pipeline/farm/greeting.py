# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the scheduler and the workers understand what they are sent: they have our dask, and this pipeline."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from pipeline.errors import FarmError
from pipeline.farm import letters
from pipeline.farm.facts import Facts
from pipeline.settingtables import FarmSettings

_OURS = ("dask", "distributed")
# What Python says of a name or a field that it does not have; dask tells it of a worker as text.
_UNREAD = (ImportError, AttributeError, TypeError)
_UNREAD_TEXT = re.compile(r"(?:ModuleNotFound|Import|Attribute|Type)Error\((['\"])(?P<why>.*)\1\)", re.DOTALL)


def refuse_other_dask(client: Any) -> None:
    """Raises: FarmError naming who has another version of dask."""
    versions = client.get_versions()
    ours = versions["client"]["packages"]
    others = {"the scheduler": versions["scheduler"], **versions["workers"]}
    for who, found in others.items():
        for name in _OURS:
            theirs = (found or {}).get("packages", {}).get(name)
            if theirs != ours[name]:
                raise FarmError(
                    "dask-other",
                    f"{who} has {name} {theirs or 'of an unknown version'}, and this machine {ours[name]}",
                    hint="install requirements-farm.lock of one checkout on all machines of the farm",
                )


def refuse_other_scheduler(client: Any, farm: FarmSettings) -> None:
    """Raises: FarmError when the scheduler, which reads all that it hands on, cannot read our jobs."""
    hint = "start it in a checkout of this version, by the command that docs/farm.md has"
    try:
        theirs = client.run_on_scheduler(letters.form)
    except _UNREAD as error:
        raise FarmError(
            "scheduler-other", f"the scheduler at {farm.address} cannot read what it is sent: {error}", hint=hint
        ) from error
    if theirs != letters.form():
        raise FarmError(
            "scheduler-other",
            f"the scheduler at {farm.address} was started with another version of the pipeline",
            hint=hint,
        )


def read_facts(worker: str, told: object) -> Facts:
    """What a worker said of itself. Raises: FarmError when it was no fact, or one of another version."""
    if isinstance(told, Facts) and all(hasattr(told, field.name) for field in fields(Facts)):
        return told
    if isinstance(told, FarmError):  # it was not started by the pipeline
        raise FarmError(told.reference, f"the worker {worker} cannot be used: {told.message}", hint=told.hint)
    text = " ".join(str(told).split()) if isinstance(told, Exception) else "it is of another version"
    unread = _UNREAD_TEXT.fullmatch(text)
    why = f"it cannot read what it is sent: {unread['why']}" if unread else f"it cannot say what it is: {text}"
    raise FarmError(
        "worker-other",
        f"the worker {worker} cannot be used: {why}",
        hint="start it in a checkout of this version: `.venv/bin/nox -s worker`",
    )
