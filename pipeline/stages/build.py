# SPDX-License-Identifier: GPL-2.0-or-later
"""RenderedSpec -> BuildResult: `rpmbuild -ba` of the patched package in the engine."""

from __future__ import annotations

from pipeline import rpmbuild
from pipeline.context import JobContext
from pipeline.model import BuildResult, Image, RenderedSpec


def inputs(rendered: RenderedSpec, image: Image, *, context: JobContext) -> dict[str, str]:
    """The macros; spec, sources, patches and image come with the records."""
    return rpmbuild.macro_inputs(context.target)


def run(rendered: RenderedSpec, image: Image, *, context: JobContext) -> BuildResult:
    """The source RPM and all RPMs, under `SRPMS/` and `RPMS/`. Raises: BuildError, CommandTimedOut."""
    sources = [*rendered.tree.srpm.sources, *(patch.file for patch in rendered.tree.patches)]
    patched_dir = context.out_path / rendered.tree.patched.path
    return rpmbuild.build_package(
        context.out_path / rendered.spec.path,
        [context.out_path / source.path for source in sources],
        context.home_dir,
        expected=rendered.evr,
        source_date_epoch=rendered.source_date_epoch,
        context=context,
        proved={name: patched_dir / name for patch in rendered.tree.patches for name in patch.touched},
    )
