# SPDX-License-Identifier: GPL-2.0-or-later
"""The head of a parcel: whose it is, and which pipeline made it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.files import content_digest
from pipeline.model import Image, Job

FORMAT = 1
_ROOM_DIR = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a parcel says of itself; `attempt` is the run whose logs are in it, `pipeline` as `version` has it."""

    format: int
    package: str
    target: str
    pipeline: str
    image: Image | None
    attempt: str = ""

    @property
    def job(self) -> Job:
        return Job(package=self.package, target=self.target)


def write(head: Head) -> str:
    return json.dumps(asdict(head), indent=1, sort_keys=True) + "\n"


def read(text: str | bytes) -> Head:
    """The head of this text. Raises: ValueError, in words, for what is none of ours."""
    try:
        found = json.loads(text)
        if isinstance(found, dict) and found.get("format") != FORMAT:
            raise ValueError(f"it is of format {found.get('format')!r}, and this pipeline reads {FORMAT}")
        head = TypeAdapter(Head).validate_python(found)
    except (ValidationError, RecursionError, json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("its head cannot be read") from None
    # They become folders, and the attempt one as well.
    if not all(_NAME.fullmatch(name) for name in (head.package, head.target, head.attempt or "none")):
        raise ValueError("its head has names that no job has")
    return head


@lru_cache(maxsize=1)
def version() -> str:
    """The sha256 of the pipeline's own code: two that differ may make different things of the same input."""
    return content_digest(_ROOM_DIR, but=("__pycache__",))
