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
from pipeline.report import facts, history

NAME = "index.html"
_LARGEST_PICTURE_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Where the page is, of how many runs it tells, and which history files could not be read."""

    path: Path
    runs: int
    unreadable: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A compat picture as an image in the page; `words` say what it shows."""

    package: str
    words: str
    address: str
    link: str


def write(out_path: Path) -> Written:
    """Make the page. Raises: UsageError where no run is known; OSError."""
    kept = history.read_all(out_path)
    if not kept.runs:
        why = f" that can be read ({kept.unreadable[0]})" if kept.unreadable else ""
        raise UsageError(
            "no-history",
            f"there is no history of a run{why} in {out_path}",
            hint="run something first, such as .venv/bin/nox -s release; or name another out directory with --out",
        )
    text = template.fill(
        Path(__file__).parent,
        "index.html.j2",
        page=facts.page(kept.runs, lambda path: (out_path / path).is_file()),
        unreadable=kept.unreadable,
        pictures=pictures(out_path),
    )
    files.write_whole(out_path / NAME, text)
    return Written(path=out_path / NAME, runs=len(kept.runs), unreadable=kept.unreadable)


def pictures(out_path: Path) -> tuple[Picture, ...]:
    """What `compat` left; a picture that cannot be read is none."""
    found = []
    for path in sorted((out_path / "compat").glob("*.svg")):
        try:
            if path.stat().st_size > _LARGEST_PICTURE_BYTES:
                continue
            content = base64.b64encode(path.read_bytes()).decode("ascii")
        except OSError:
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
        tags = json.loads(path.read_text(encoding="utf-8"))["tags"]
        refused = [str(tag["tag"]) for tag in tags if not tag["applies"]]
    except (OSError, ValueError, KeyError, TypeError):
        return "the series on upstream's tags"
    not_on = f", not to {', '.join(refused)}" if refused else ""
    return f"the series applies to {len(tags) - len(refused)} of {len(tags)} tags{not_on}"
