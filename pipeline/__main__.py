# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pipeline COMMAND`: arguments in, exit code out."""

from __future__ import annotations

from pipeline.commands import (  # noqa: F401  # they register
    audit,
    engine,
    farm,
    keys,
    mirror,
    packages,
    parcels,
    series,
    stages,
    upkeep,
)
from pipeline.commands.frame import main

if __name__ == "__main__":
    main(prog_name="python -m pipeline")
