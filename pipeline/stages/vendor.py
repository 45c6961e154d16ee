# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResult -> VendorSet: the vendor's own packages, built from the same source RPM."""

from __future__ import annotations

from pipeline.context import JobContext
from pipeline.model import BuildResult, VendorSet


def inputs(baseline: BuildResult, *, context: JobContext) -> dict[str, str]:
    """Nothing besides the baseline."""
    return {}


def run(baseline: BuildResult, *, context: JobContext) -> VendorSet:
    """The baseline's packages."""
    return VendorSet(rpms=baseline.all_rpms, origin=f"built from {baseline.srpm.nevra}")
