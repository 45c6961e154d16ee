# SPDX-License-Identifier: GPL-2.0-or-later
"""How much is tried, and the figures that come of it.

`./bootstrap -s tests` tries a part; `nox -s bench -- readers|kills|publishers` sets FULL=1 and prints all figures.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FULL = os.environ.get("FULL", "") == "1"


def size(short: int, full: int) -> int:
    """How many in this run."""
    return full if FULL else short


def tell(**figures: object) -> None:
    """Keep figures for the bench: in the file that it named, and for who reads the output."""
    sys.stdout.write("".join(f"{what.replace('_', ' ')}: {value}\n" for what, value in figures.items()))
    if path := os.environ.get("FIGURES"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({what.replace("_", " "): value for what, value in figures.items()}) + "\n")
