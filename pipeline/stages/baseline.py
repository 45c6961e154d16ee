# SPDX-License-Identifier: GPL-2.0-or-later
"""Srpm -> BuildResult: the vendor's package, unpatched, built once for each source RPM and image.

It is what lint compares with, and what a client upgrades from.
"""

from __future__ import annotations

from datetime import date

from pipeline import changelog, rpmbuild
from pipeline.context import JobContext
from pipeline.model import BuildResult, Image, Srpm
from pipeline.order import basis, keys
from pipeline.spectext import read_spec

# Before every package of ours; for a spec without a changelog.
_NO_DAY = date(2015, 1, 1)


def inputs(srpm: Srpm, image: Image, *, context: JobContext) -> dict[str, str]:
    """The macros, and the vendor's packages that it is built on; source RPM and image come with the records."""
    built_on = {f"built on {name}": keys.digest_of_rpms(baseline) for name, baseline in _built_on(context).items()}
    return {**rpmbuild.macro_inputs(context.target), **built_on}


def run(srpm: Srpm, image: Image, *, context: JobContext) -> BuildResult:
    """The vendor's RPMs, under `baseline/`. Raises: BuildError, CommandTimedOut."""
    spec = context.out_path / srpm.spec.path
    return basis.build_on(
        [*_built_on(context).values()],
        spec,
        [context.out_path / source.path for source in srpm.sources],
        context.home_dir / "baseline",
        expected=srpm.evr,
        source_date_epoch=changelog.midnight(changelog.newest(read_spec(spec)) or _NO_DAY),
        context=context,
    )


def _built_on(context: JobContext) -> dict[str, BuildResult]:
    """Package -> the vendor's own of it, for those that this one is built on; without these no baseline is begun."""
    return {need.package: need.baseline for need in context.needs if need.baseline is not None}
