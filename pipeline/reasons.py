# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a job was done again, or was not, in one sentence: what changed first, without all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.flow import JOB_STAGES, needed_for
from pipeline.model import StageOutcome

_NEW = "not done before"
_DONE = ("ok", "run", "failed")


def reason(stages: Sequence[StageOutcome], evr: str) -> str:
    """The sentence for a job whose stages ended (or were planned) so; empty where none of them came to be looked at."""
    rows = {row.stage: row for row in stages}
    done = [stage for stage in JOB_STAGES if stage.name in rows and rows[stage.name].result in _DONE]
    if not done:
        return _unchanged(rows, evr) if all(row.result == "cached" for row in stages) and stages else ""
    first = [stage for stage in done if not any(name in rows and rows[name].result in _DONE for name in stage.needs)]
    told = [rows[stage.name].reason for stage in first if rows[stage.name].result != "failed"]
    whys = list(dict.fromkeys(why for each in told for why in each.split(", ") if why))
    if not whys:
        return ""
    if set(whys) == {_NEW}:
        return _NEW
    whys = [why for why in whys if why != _NEW]
    packages = any(stage.name in needed_for("build") for stage in first)
    return f"{'rebuilding' if packages else 'checking again'}: {', '.join(whys)}"


def _unchanged(rows: dict[str, StageOutcome], evr: str) -> str:
    built = rows.get("build")
    since = evr.partition("-")[2] or evr
    if built is None or not evr:
        return f"nothing changed since {next(reversed(rows.values())).finished}"
    return f"nothing changed since {since} (built {built.finished})"
