# SPDX-License-Identifier: GPL-2.0-or-later
"""`out/index.html`: one file with all in it, made anew from the history and the compat pictures."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline import files
from pipeline.errors import UsageError
from pipeline.pages import template
from pipeline.report import facts, history, verdict
from pipeline.report.history import Kept
from pipeline.report.verdict import Verdict

NAME = "index.html"
_LARGEST_PICTURE_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Where the page is, of how many runs it tells, which history files could not be read, and how its run ended."""

    path: Path
    runs: int
    unreadable: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A compat picture as an image in the page; `words` say what it shows."""

    package: str
    words: str
    address: str
    link: str


def write(out_path: Path, attempt: str = "") -> Written:
    """Make the page, of the run of that attempt or of the newest. Raises: UsageError where none is known; OSError."""
    path = out_path / NAME
    if path.is_dir():
        raise UsageError(
            "page-in-the-way",
            f"{path} is a directory, and the page has that name",
            hint="move it away or remove it, then run .venv/bin/nox -s report",
        )
    kept = history.read_all(out_path, attempt)
    try:
        text = _text(kept, out_path) if kept.runs else ""
    except Exception:  # something in one of them is beyond all bounds
        kept = _tellable(kept, out_path)
        text = _text(kept, out_path) if kept.runs else ""
    if not kept.runs:
        why = f" that can be read ({kept.unreadable[0]})" if kept.unreadable else ""
        raise UsageError(
            "no-history",
            f"there is no history of a run{why} in {out_path}",
            hint="run something first, such as .venv/bin/nox -s release; or name another out directory with --out",
        )
    files.write_whole(path, text)
    return Written(path=path, runs=len(kept.runs), unreadable=kept.unreadable, verdict=verdict.of(kept.runs[0]))


def _text(kept: Kept, out_path: Path) -> str:
    return template.fill(
        Path(__file__).parent,
        "index.html.j2",
        page=facts.page(kept.runs, lambda path: _is_there(out_path / path)),
        unreadable=kept.unreadable,
        pictures=pictures(out_path),
    )


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _tellable(kept: Kept, out_path: Path) -> Kept:
    """Only the runs of which a page can be made, each tried alone."""
    runs, unreadable = [], list(kept.unreadable)
    for run in kept.runs:
        try:
            _text(Kept(runs=(run,), unreadable=()), out_path).encode()
        except Exception as error:
            unreadable.append(f"{run.attempt}.json: {history.why(error)}")
        else:
            runs.append(run)
    return Kept(runs=tuple(runs), unreadable=tuple(unreadable))


def pictures(out_path: Path) -> tuple[Picture, ...]:
    """What `compat` left; a picture that cannot be read is none."""
    found = []
    for path in sorted((out_path / "compat").glob("*.svg")):
        try:
            content = base64.b64encode(files.read_regular(path, _LARGEST_PICTURE_BYTES)).decode("ascii")
        except (OSError, ValueError):
            continue
        found.append(
            Picture(
                package=path.stem,
                words=_words(path.with_suffix(".json")),
                address=f"data:image/svg+xml;base64,{content}",
                link=quote(f"compat/{path.name}"),
            )
        )
    return tuple(found)


def _words(path: Path) -> str:
    """What the picture shows, in a sentence, from the document beside it."""
    try:
        tags = json.loads(files.read_regular(path, _LARGEST_PICTURE_BYTES))["tags"]
        refused = [str(tag["tag"]) for tag in tags if not tag["applies"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "the series on upstream's tags"
    not_on = f", not to {', '.join(refused)}" if refused else ""
    return f"the series applies to {len(tags) - len(refused)} of {len(tags)} tags{not_on}"
