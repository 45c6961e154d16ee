# SPDX-License-Identifier: GPL-2.0-or-later
"""Srpm -> BuildResult: the vendor's package, unpatched, built once for each source RPM and image.

It is what lint compares with, and what a client upgrades from.
"""

from __future__ import annotations

from pipeline import rpmbuild
from pipeline.context import JobContext
from pipeline.model import BuildResult, Image, Srpm


def inputs(srpm: Srpm, image: Image, *, context: JobContext) -> dict[str, str]:
    """The macros; source RPM and image come with the records."""
    return rpmbuild.macro_inputs(context.target)


def run(srpm: Srpm, image: Image, *, context: JobContext) -> BuildResult:
    """The vendor's RPMs, under `baseline/`. Raises: BuildError, CommandTimedOut."""
    return rpmbuild.build_package(
        context.out_path / srpm.spec.path,
        [context.out_path / source.path for source in srpm.sources],
        context.home_dir / "baseline",
        expected=srpm.evr,
        context=context,
    )
