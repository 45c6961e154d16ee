# SPDX-License-Identifier: GPL-2.0-or-later
"""Remove what the pipeline made and nothing needs any more; without being told to, only say what that is."""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files, marks, oldimages, unreachable
from pipeline.errors import BuildError, CommandFailed, CommandTimedOut, PipelineError, UsageError
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.model import Job
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.unreachable import Item, Search

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.ASCII)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What of the unreachable is meant: all of it, or what is older, or the oldest until out/ is small enough."""

    older_than_seconds: float = 0.0
    keep_bytes: int | None = None
    keep_logs: int = 10
    remove: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What is unreachable, what of that the wish chose, and how large the out directory was before."""

    out_path: Path
    out_bytes: int
    chosen: tuple[Item, ...]
    others: tuple[Item, ...]
    removed: bool
    now: float
    keep_bytes: int | None = None

    @property
    def freed_bytes(self) -> int:
        return sum(item.size_bytes for item in self.chosen)


def read_wish(older_than: str, keep_size: str, keep_logs: int, *, remove: bool) -> Wish:
    """The wish of the command line. Raises: UsageError."""
    if keep_logs < 0:
        raise UsageError("keep-logs", f"{keep_logs} logs cannot be kept", hint="--keep-logs takes 0 or more")
    return Wish(
        older_than_seconds=_days(older_than) * _DAY_SECONDS if older_than else 0.0,
        keep_bytes=_bytes(keep_size) if keep_size else None,
        keep_logs=keep_logs,
        remove=remove,
    )


def refuse_foreign(settings: Settings) -> Path:
    """The out directory, links resolved. Raises: UsageError when it is none of ours."""
    out_path = settings.out_path.resolve()
    if not out_path.is_dir():
        raise UsageError("out-missing", f"there is no directory {settings.out_path}", hint="see what --out names")
    root_dir = settings.root_dir.resolve()
    if out_path in (root_dir, *root_dir.parents, Path.home()) or (out_path / ".git").exists():
        raise UsageError(
            "out-unsafe",
            f"{out_path} holds more than what the pipeline made",
            hint="clean looks into an out directory only: name it with --out",
        )
    if not Search(out_path=out_path).homes():
        raise UsageError(
            "out-foreign",
            f"{out_path} has no ledger and no log of the pipeline in it",
            hint="nothing there is known to be ours; if it is an out directory, remove it by hand",
        )
    return out_path


def clean(settings: Settings, jobs: Sequence[Job], *, everything: bool, wish: Wish, progress: Progress) -> Report:
    """Find what nothing needs, and remove what is wished. The caller holds the lock of the out directory.

    With `everything` also what belongs to no job: caches, images, what killed runs left elsewhere.

    Raises: UsageError; BuildError naming what could not be removed.
    """
    out_path = refuse_foreign(settings)
    search = Search(out_path=out_path, kept_dirs=tuple(_mirror_dirs(settings)), keep_logs=wish.keep_logs)
    named = search.named()
    wanted = {out_path / job.target for job in jobs} | {out_path / job.target / job.package for job in jobs}
    found = list(search.find((home for home in search.homes() if everything or home in wanted), named))
    if everything:
        found += search.find_shared(settings.packages, frozenset(_caches_in_use(settings)))
        found += _left_elsewhere()
        found += oldimages.find(settings, named.images, progress)
    now, out_bytes = time.time(), search.size_bytes()
    chosen = choose(found, wish, out_path=out_path, out_bytes=out_bytes, now=now)
    if wish.remove:
        _remove(chosen)
    return Report(
        out_path=out_path,
        out_bytes=out_bytes,
        chosen=tuple(chosen),
        others=tuple(each for each in found if each not in chosen),
        removed=wish.remove,
        now=now,
        keep_bytes=wish.keep_bytes,
    )


def choose(found: Iterable[Item], wish: Wish, *, out_path: Path, out_bytes: int, now: float) -> list[Item]:
    """What the wish means, oldest first. Only what lies in the out directory makes that smaller."""
    old = sorted(
        (item for item in found if now - item.modified >= wish.older_than_seconds or not wish.older_than_seconds),
        key=lambda item: item.modified,
    )
    if wish.keep_bytes is None:
        return old
    chosen: list[Item] = []
    for item in old:
        if out_bytes <= wish.keep_bytes:
            break
        if any(out_path in path.parents for path in item.paths):
            chosen.append(item)
            out_bytes -= item.size_bytes
    return chosen


def tell(report: Report, progress: Progress, *, command_line: str) -> None:
    """The table, the total, and the line that does it."""
    if not report.chosen:
        progress.heading(f"nothing to remove in {report.out_path}{_stays(report)}")
    else:
        rows = [_row(same, report.now) for same in _alike(report.chosen)]
        progress.table("", ("what", "size", "age", "why"), rows)
        verb = "freed" if report.removed else "would be freed"
        size = f"{shown(report.freed_bytes)} {verb}, {report.out_path} takes {shown(report.out_bytes)}"
        progress.heading(f"{size}{' before' if report.removed else ''}{_stays(report)}")
    left = report.out_bytes - sum(each.size_bytes for each in report.chosen if not each.image)
    if report.keep_bytes is not None and left > report.keep_bytes:
        progress.warning(f"{shown(left)} stay, more than {shown(report.keep_bytes)}: all the rest is in use")
    if report.chosen and not report.removed:
        progress.heading(f"nothing was removed; to remove it: {command_line}")


def document(report: Report) -> dict[str, Any]:
    """The same for programs; sizes are bytes, ages days."""
    return {
        "out": str(report.out_path),
        "size_bytes": report.out_bytes,
        "freed_bytes": report.freed_bytes,
        "removed": report.removed,
        "chosen": [_item_document(item, report.now) for item in report.chosen],
        "others": [_item_document(item, report.now) for item in report.others],
    }


def shown(size_bytes: float) -> str:
    """A size for people, in the units that `--keep-size` takes."""
    for unit in ("bytes", "K", "M", "G"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} bytes" if unit == "bytes" else f"{size_bytes:.1f}{unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f}T"


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not (math.isfinite(days) and days >= 0):
        raise UsageError("older-than", f"'{text}' is no number of days", hint="--older-than takes 0 or more, as in 30")
    return days


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(
            "keep-size", f"'{text}' is no size", hint="--keep-size takes a number with K, M, G or T: 500M, 2G"
        )
    return int(float(match[1]) * 1024 ** _UNITS[match[2]])


def _mirror_dirs(settings: Settings) -> Iterator[Path]:
    """Where mirrors lie on this machine; what is in them is published."""
    for destination in _destinations(settings):
        if destination.is_local:
            yield Path(destination.address).resolve()


def _caches_in_use(settings: Settings) -> Iterator[str]:
    """The names of the folders that mirror keeps copies of metadata in."""
    for destination in _destinations(settings):
        yield hashlib.sha256(destination.address.encode()).hexdigest()[:16]


def _destinations(settings: Settings) -> Iterator[Destination]:
    """Each target's repository on each mirror that is known here."""
    online = settings.model_copy(update={"offline": False})
    for mirror in ("", *settings.mirrors):
        chosen = online.model_copy(update={"mirror_override": mirror or settings.mirror_override})
        for target in settings.targets:
            try:
                yield find_destination(chosen, target)
            except PipelineError as error:
                if error.reference == "mirror-in-out":
                    raise  # what is there might go
                continue  # no place can be read out of it, so it is none of this machine


def _left_elsewhere() -> Iterator[Item]:
    """Workspaces that a killed run left in the folder for temporary files."""
    for path in Path(tempfile.gettempdir()).glob("work-*"):
        if marks.is_left_behind(path):
            yield unreachable.item("workspace elsewhere", f"a killed run left {path}", (path,))


def _remove(items: Iterable[Item]) -> None:
    """Remove all that can be. Raises: BuildError naming the first that could not."""
    failed: list[str] = []
    for item in items:
        try:
            if item.image:
                oldimages.remove(item)
            for path in item.paths:
                files.remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            failed.append(f"{error.filename or item.what}: {error.strerror}")
        except (CommandFailed, CommandTimedOut) as error:
            failed.append(f"{item.what}: {error.message}")
    if failed:
        raise BuildError(
            "not-removed",
            f"{len(failed)} of what is not needed could not be removed: {failed[0]}",
            hint="mend the rights there, or end what uses it, then run the same again; the rest is gone",
        )


def _alike(items: Sequence[Item]) -> list[list[Item]]:
    """Items that are told in one line: the logs of one job, whatever their number."""
    rows: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        rows.setdefault((item.what, item.why), []).append(item)
    return list(rows.values())


def _row(same: Sequence[Item], now: float) -> list[str]:
    times = f" ({len(same)})" if len(same) > 1 else ""
    ages = sorted({round(_age(each, now)) for each in same})
    age = str(ages[0]) if len(ages) == 1 else f"{ages[0]} to {ages[-1]}"
    size = shown(sum(each.size_bytes for each in same))
    return [f"{same[0].what}{times}", size, f"{age} days", same[0].why]


def _age(item: Item, now: float) -> float:
    return max(0.0, now - item.modified) / _DAY_SECONDS


def _stays(report: Report) -> str:
    if not report.others:
        return ""
    count = "1 thing" if len(report.others) == 1 else f"{len(report.others)} things"
    return f"; {count} more of {shown(sum(each.size_bytes for each in report.others))} are not needed either, and stay"


def _item_document(item: Item, now: float) -> dict[str, Any]:
    return {
        "what": item.what,
        "why": item.why,
        "size_bytes": item.size_bytes,
        "age_days": round(_age(item, now), 3),
        "paths": [str(path) for path in item.paths],
        "image": item.image,
    }
