# SPDX-License-Identifier: GPL-2.0-or-later
"""Srpm, baseline -> VendorSet: the vendor's own packages, which hosts come from and can go back to."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.context import JobContext
from pipeline.errors import NetworkError
from pipeline.gate import completeness
from pipeline.model import BuildResult, Rpm, Srpm, VendorSet
from pipeline.sources import places
from pipeline.sources.places import Place

if TYPE_CHECKING:
    from pipeline.sources.sourcerepo import Entry

_IDENTITY_NAME = "identity.json"
_UNKNOWN = "unknown"


def inputs(srpm: Srpm, baseline: BuildResult, *, context: JobContext) -> dict[str, str]:
    """The repository and what it holds now; when it cannot be asked, what it held the last time stands."""
    there = _place(srpm, context)
    if there is None:
        return {"vendor packages": "built here"}
    return {
        "vendor packages": there.shown,
        "repository": _identity(there, context),
        "pins": json.dumps(context.package.sha256, sort_keys=True),
    }


def run(srpm: Srpm, baseline: BuildResult, *, context: JobContext) -> VendorSet:
    """The packages of the configured repository, under `vendor/`; without one, those that `baseline` built.

    Raises: NetworkError when they cannot be had whole, or not all of them.
    """
    there = _place(srpm, context)
    if there is None:
        origin = f"built from {srpm.file.path.name} (sha256 {srpm.file.sha256}) by this pipeline"
        return VendorSet(rpms=baseline.all_rpms, origin=origin)
    if context.settings.offline:
        places.refuse_network(there)
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="vendor-") as scratch:
        return _fetch(there, srpm, baseline, Path(scratch), context)


def _fetch(there: Place, srpm: Srpm, baseline: BuildResult, scratch: Path, context: JobContext) -> VendorSet:
    from pipeline.sources import packagerepo  # late: requests is slow to import
    from pipeline.sources.download import Limits

    limits = Limits(deadline_seconds=context.settings.time_limits.download)
    named, identity = packagerepo.read(there, scratch / "repodata", limits=limits, progress=context.progress)
    chosen = packagerepo.choose(named, srpm, arches=frozenset(rpm.arch for rpm in baseline.rpms) | {"noarch"})
    _refuse_incomplete(there, srpm, baseline, chosen, named)
    new_dir = scratch / "vendor"
    rpms = packagerepo.fetch(
        chosen, new_dir, pins=context.package.sha256, limits=limits, progress=context.progress
    )  # fmt: skip
    files.write_whole(new_dir / _IDENTITY_NAME, json.dumps({"source": there.shown, "identity": identity}) + "\n")
    new_dir.chmod(0o755)
    files.replace_tree(new_dir, context.home_dir / "vendor")
    context.progress.note(f"{len(rpms)} packages of {srpm.name}-{srpm.evr} from {there.shown}")
    return VendorSet(rpms=tuple(_placed(rpm, context) for rpm in rpms), origin=f"from the repository {there.shown}")


def _refuse_incomplete(
    there: Place, srpm: Srpm, baseline: BuildResult, chosen: Sequence[Entry], named: Sequence[Entry]
) -> None:
    """Raises: NetworkError unless the repository has each package that the same source RPM makes here."""
    found = {entry.name for entry in chosen if entry.arch != "src"}
    lacking = completeness.missing((rpm.name for rpm in baseline.rpms), found)
    if not lacking:
        return
    from pipeline.sources import packagerepo

    instead = packagerepo.others(named, srpm.name)
    if found:
        what = f"lacks {completeness.listed(lacking)} of {srpm.name}-{srpm.evr}"
    else:
        what = f"has no packages built from {srpm.name}-{srpm.evr}{f' (it has {instead})' if instead else ''}"
    raise NetworkError(
        "vendor-set-incomplete",
        f"{there.shown} {what}: a host could not go back to them",
        hint=f"correct {there.key} in pipeline.toml, or leave it out: then the vendor's source RPM is built unpatched",
    )


def _place(srpm: Srpm, context: JobContext) -> Place | None:
    """The configured repository; the demo has no vendor."""
    written = context.target.vendor_packages
    if not written or srpm.demo:
        return None
    key = f"targets.{context.target_name}.vendor_packages"
    return places.place(written, context.settings.root_dir, key=key)


def _placed(rpm: Rpm, context: JobContext) -> Rpm:
    path = (context.home_dir / "vendor" / rpm.file.path).relative_to(context.out_path)
    return replace(rpm, file=replace(rpm.file, path=path))


def _identity(there: Place, context: JobContext) -> str:
    if there.is_remote and context.settings.offline:
        return _last_identity(there, context)
    from pipeline.sources import packagerepo

    try:
        return packagerepo.identity(there, context.progress)
    except NetworkError as error:
        last = _last_identity(there, context)
        if last != _UNKNOWN:
            context.progress.warning(f"{error.message}; taking it for unchanged")
        return last


def _last_identity(there: Place, context: JobContext) -> str:
    try:
        kept = json.loads((context.home_dir / "vendor" / _IDENTITY_NAME).read_text(encoding="utf-8"))
        return str(kept["identity"]) if kept["source"] == there.shown else _UNKNOWN
    except (OSError, ValueError, KeyError, TypeError):
        return _UNKNOWN
