# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree + Reservation + template -> RenderedSpec: our few lines laid over the vendor's spec."""

from __future__ import annotations

from difflib import unified_diff

from pipeline import changelog, files, rendering
from pipeline.context import JobContext
from pipeline.model import PatchedTree, RenderedSpec, Reservation


def inputs(tree: PatchedTree, reservation: Reservation, *, context: JobContext) -> dict[str, str]:
    """Template and settings; source, patches and number come with the records."""
    return rendering.inputs(context)


def run(tree: PatchedTree, reservation: Reservation, *, context: JobContext) -> RenderedSpec:
    """The spec of the release, under `releases/N/`, with its diff. Raises: SettingsError, SrpmError."""
    spec = rendering.lay_over(tree, reservation.number, reservation.evr, context)
    spec_path = context.home_dir / "releases" / str(reservation.number) / tree.srpm.spec.path.name
    diff_path = spec_path.with_suffix(".diff")
    files.write_whole(spec_path, spec.ours)
    files.write_whole(diff_path, _diff(spec.vendor, spec.ours, spec_path.name))
    return RenderedSpec(
        tree=tree,
        reservation=reservation,
        spec=files.file_record(spec_path, context.out_path),
        diff=files.file_record(diff_path, context.out_path),
        source_date_epoch=changelog.midnight(spec.day),
    )


def _diff(before: str, after: str, name: str) -> str:
    lines = unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"vendor/{name}", f"ours/{name}"
    )
    return "".join(lines)
