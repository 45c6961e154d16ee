# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of `out/history/`: which there are, which are the newest, and what they say; one file a run.

A run that begins or ends in the future was made while a clock was wrong: it counts as older than all others.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import files
from pipeline.report.records import History

FORMAT = 1
FOLDER = "history"
KEPT = 200
# The page needs the newest few: ten times of each stage, and the table of runs. Those of hundreds of jobs are large.
_READ = 60
_READ_BYTES = 6_000_000
_NAME = re.compile(r"\d{8}T\d{6}Z-\d+\.json", re.ASCII)
_LARGEST_BYTES = 8_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The newest runs, newest first, and a sentence for each file among them that cannot be read."""

    runs: tuple[History, ...]
    unreadable: tuple[str, ...]


def paths(out_path: Path) -> tuple[Path, ...]:
    """The history files in the order of their runs; what has another kind of name is not ours."""
    now = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    found = (path for path in (out_path / FOLDER).glob("*.json") if _NAME.fullmatch(path.name))
    return tuple(sorted(found, key=lambda path: (path.name.partition("-")[0] <= now, path.name)))


def prune(out_path: Path, own: Path) -> None:
    """Remove what is more than is kept, but never the run's own file, nor what is no file."""
    for path in [path for path in paths(out_path) if path != own][: 1 - KEPT]:
        if stat.S_ISREG(path.lstat().st_mode):
            path.unlink(missing_ok=True)


def read_all(out_path: Path, attempt: str = "") -> Kept:
    """The newest runs; the one of that attempt, if there is one, is the first.

    A file that is cut short or of another format is told and left alone.
    """
    runs, unreadable = [], []
    # The sort is stable: the run's own file comes last, whatever its name says.
    for path in _newest(sorted(paths(out_path), key=lambda path: path.stem == attempt)):
        try:
            runs.append(read(path))
        except FileNotFoundError:
            continue  # another run took it away just now
        except Exception as error:  # whatever one file has, the others are told
            unreadable.append(f"{path.name}: {why(error)}")
    now = datetime.now(timezone.utc)
    runs.sort(key=lambda run: (run.attempt == attempt, run.finished <= now, run.finished, run.attempt), reverse=True)
    return Kept(runs=tuple(runs), unreadable=tuple(unreadable))


def _newest(ordered: Sequence[Path]) -> list[Path]:
    """The last ones, as many as the page needs and as can be read quickly; one at least."""
    wanted: list[Path] = []
    left_bytes = _READ_BYTES
    for path in reversed(ordered[-_READ:]):
        left_bytes -= path.lstat().st_size if path.exists() else 0
        if wanted and left_bytes < 0:
            break
        wanted.append(path)
    return wanted[::-1]


def read(path: Path) -> History:
    """The run that a file tells. Raises: OSError; ValueError for what is no history of this format."""
    history = _READER.validate_json(files.read_regular(path, _LARGEST_BYTES))
    jobs = [(job.target, job.package) for job in history.run.jobs]
    if jobs != [(each.target, each.package) for each in history.details]:
        raise ValueError("jobs and details do not match")
    return history


def why(error: Exception) -> str:
    """What is wrong with a file, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        if where == "format":
            return f"not of format {FORMAT}, the only one that this pipeline knows"
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return getattr(error, "strerror", "") or str(error) or type(error).__name__


_READER: TypeAdapter[History] = TypeAdapter(History)
