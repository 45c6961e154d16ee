# SPDX-License-Identifier: GPL-2.0-or-later
"""RenderedSpec -> BuildResult: `rpmbuild -ba` of the patched package in the engine."""

from __future__ import annotations

from pipeline import rpmbuild
from pipeline.context import JobContext
from pipeline.model import BuildResult, Image, RenderedSpec
from pipeline.order import basis


def inputs(rendered: RenderedSpec, image: Image, *, context: JobContext) -> dict[str, str]:
    """The macros; spec, sources, patches, image and what it is built on come with the records."""
    return rpmbuild.macro_inputs(context.target)


def run(rendered: RenderedSpec, image: Image, *, context: JobContext) -> BuildResult:
    """The source RPM and all RPMs, under `SRPMS/` and `RPMS/`. Raises: BuildError, CommandTimedOut."""
    tree, spec_path = rendered.tree, context.out_path / rendered.spec.path
    sources = [context.out_path / each.path for each in (*tree.srpm.sources, *(patch.file for patch in tree.patches))]
    patched_dir = context.out_path / tree.patched.path
    return basis.build_on(
        [need.build for need in context.needs],
        spec_path,
        sources,
        context.home_dir,
        expected=rendered.evr,
        source_date_epoch=rendered.source_date_epoch,
        context=context,
        proved={name: patched_dir / name for patch in tree.patches for name in patch.touched},
    )
