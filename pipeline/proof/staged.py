# SPDX-License-Identifier: GPL-2.0-or-later
"""A client walks through a staged repository before anybody sees it: what stage verify does, and a promote too."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pipeline.context import TargetContext
from pipeline.errors import VerifyError
from pipeline.mirrors import layout, published
from pipeline.mirrors.metadata.packages import read_packages
from pipeline.mirrors.repodata import read_index
from pipeline.mirrors.sets import Sets
from pipeline.model import ProofReport
from pipeline.proof import proof
from pipeline.proof.beside import drawn_in
from pipeline.proof.client import choose_client
from pipeline.proof.trial import Packages, Trial, for_hosts, is_remote
from pipeline.rpmheaders import read_header


def prove(sets: Sets, staged_dir: Path, context: TargetContext) -> ProofReport:
    """What the client did with the repository that is staged in a folder.

    Raises: VerifyError for the first step that fails; CommandTimedOut, EngineError, PublishError.
    """
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="trial-") as scratch:
        trial = gather(sets, staged_dir, Path(scratch) / "repository", context)
        report = proof.run(
            trial,
            client=choose_client(context.engine, network=trial.needs_network),
            scratch_dir=context.scratch_dir,
            log_path=context.log_path,
            timeout_seconds=context.settings.time_limits.verify,
            progress=context.progress,
        )
    tell(report, context)
    return report


def gather(sets: Sets, staged_dir: Path, folder: Path, context: TargetContext) -> Trial:
    """The trial of a staged repository, with its metadata and all packages of its sets in a folder of its own.

    What is published already is taken from the mirror, as hosts get it. Raises: VerifyError where there is no
    signature or no key; PublishError.
    """
    shutil.copytree(staged_dir / layout.REPODATA, folder / layout.REPODATA)
    if not (folder / layout.SIGNATURE).is_file() or not (folder / layout.REPODATA / layout.KEYS).is_file():
        raise VerifyError(
            "not-signed",
            "the staged repository is not signed: no host could check what it installs",
            hint="name the key in pipeline.toml under [signing], or make one with `.venv/bin/nox -s key`",
        )
    vendor, ours, previous = map(for_hosts, (sets.vendor, sets.ours, sets.before))
    everything = for_hosts((*vendor, *ours, *previous))
    _bring(everything, staged_dir, folder, context)
    beside = _beside(everything, folder)
    _bring(beside, staged_dir, folder, context)
    return Trial(
        repository_dir=folder,
        vendor=vendor,
        ours=ours,
        previous=previous,
        key_paths=(folder / layout.REPODATA / layout.KEYS,),
        host_repositories=host_repositories(context),
        beside=beside,
    )


def _bring(rpms: Packages, staged_dir: Path, folder: Path, context: TargetContext) -> None:
    there = [rpm for rpm in rpms if not (staged_dir / rpm.href).exists()]
    paths = dict(zip(there, published.fetch(there, context), strict=True))
    for rpm in rpms:
        path = folder / rpm.href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(paths.get(rpm, staged_dir / rpm.href).absolute())


def _beside(sets: Packages, folder: Path) -> Packages:
    """What the sets require of the repository's other packages: of those that another run built."""
    primary_path = folder / read_index((folder / layout.REPOMD).read_bytes(), str(folder)).primary.href
    names = {rpm.name for rpm in sets}
    there = for_hosts(read_packages(primary_path, str(folder)))
    others = {rpm.href: rpm for rpm in there if rpm.name not in names}
    return drawn_in(primary_path, [read_header(folder / rpm.href) for rpm in sets], others) if others else ()


def tell(report: ProofReport, context: TargetContext) -> None:
    """What was done, and openly what was not."""
    context.progress.note(f"{report.client}: {len(report.steps)} steps; files and packages were right after each")
    if report.left_out:
        told = ", ".join(f"{package} {scriptlet}" for package, scriptlet in report.left_out)
        context.progress.note(f"left out, since they need a real host: {told}")
    if report.stood_in:
        context.progress.note(f"{len(report.stood_in)} requirements of the host were met by a stand-in")
        context.progress.detail(", ".join(report.stood_in))


def host_repositories(context: TargetContext) -> tuple[str, ...]:
    """What hosts have besides; a folder is taken from the checkout. Offline, what is remote cannot be had."""
    places = context.target.host_repositories
    if context.settings.offline:
        places = tuple(place for place in places if not is_remote(place))
    return tuple(place if "://" in place else str(context.settings.root_dir / place) for place in places)
