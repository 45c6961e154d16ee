# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pipeline COMMAND`: arguments in, exit code out."""

from __future__ import annotations

import atexit
import gc

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
    # What one run makes, it keeps: looking for what could be thrown away takes a tenth of its time.
    gc.set_threshold(200_000, 50, 50)
    atexit.register(gc.freeze)
    main(prog_name="python -m pipeline")
