# SPDX-License-Identifier: GPL-2.0-or-later
"""The code blocks of a page for people, in order, each with what it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# `sh` runs here; `sh host` and `sh engine` on machines that we do not have; `text` is what the block before printed;
# `yaml` stands in an example of `docs/ci/`.
KINDS = {"sh", "sh host", "sh engine", "text", "toml", "ini", "conf", "yaml"}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; `place` is where it begins, as in `docs/ci.md:7`."""

    kind: str
    text: str
    place: str


def blocks(path: Path) -> list[Block]:
    """All blocks of a page. Raises: AssertionError for code that is not fenced, or of a kind that no test runs."""
    found: list[Block] = []
    kind, begun, lines = "", 0, []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fence = re.fullmatch(r"```(.*)", line)
        if fence and not begun:
            kind, begun, lines = fence[1].strip(), number, []
            assert kind in KINDS, f"{path.name}:{number}: nothing runs a block of the kind '{kind}'"
        elif fence:
            found.append(Block(kind=kind, text="\n".join(lines), place=f"{path.name}:{begun}"))
            begun = 0
        elif begun:
            lines.append(line)
        else:
            assert not re.match(r" {4}\S|\t", line), f"{path.name}:{number}: code without a fence is not tested"
            assert "~~~" not in line, f"{path.name}:{number}: fences are ```"
    assert not begun, f"{path.name}:{begun}: the block does not end"
    return found


def inline_sessions(text: str) -> set[str]:
    """The sessions that are named between the lines."""
    return {
        name for words in re.findall(r"(?:nox|bootstrap) -s ([a-z_ ]+?)(?= -|[^a-z_ ])", text) for name in words.split()
    }
