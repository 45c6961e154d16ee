# SPDX-License-Identifier: GPL-2.0-or-later
"""Imported once by the process that jobs are forked from: all that a job would load, so that none loads it again."""

from __future__ import annotations

from pipeline import ledger, overlay  # noqa: F401  # stages load it late
from pipeline.farm import child  # noqa: F401
from pipeline.flow import KEYLESS_STAGES
from pipeline.parcels import head

for _stage in KEYLESS_STAGES:
    _stage.module()
ledger.prepare(_stage.record for _stage in KEYLESS_STAGES)
head.version()  # of the code that is loaded, whatever becomes of its files
