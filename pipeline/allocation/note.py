# SPDX-License-Identifier: GPL-2.0-or-later
"""A reservation as text: what its file holds, and what its tag's message ends with."""

from __future__ import annotations

import json
from functools import lru_cache

from pydantic import TypeAdapter

from pipeline import release
from pipeline.inputs import digest
from pipeline.model import Reservation

_ADAPTER = TypeAdapter(Reservation)


def write(reservation: Reservation) -> str:
    return json.dumps(_ADAPTER.dump_python(reservation, mode="json"), indent=1) + "\n"


@lru_cache(256)  # each stage that counts releases asks for all of them
def read(text: str) -> Reservation | None:
    """The first reservation in a text; `None` for one that was cut short, edited, or never was one."""
    try:
        document, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
        found = _ADAPTER.validate_python(document)
        holds = digest(dict(found.inputs)) == found.input_sha256
        return found if holds and release.number_in(found.evr.release) == found.number else None
    except (ValueError, RecursionError):
        return None
