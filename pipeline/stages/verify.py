# SPDX-License-Identifier: GPL-2.0-or-later
"""Repository -> ProofReport: a client installs, upgrades and goes back from what is staged, before anybody sees it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from pipeline.context import TargetContext
from pipeline.errors import VerifyError
from pipeline.mirrors import layout, published
from pipeline.model import ProofReport, Repository
from pipeline.proof import proof
from pipeline.proof.client import choose_client, identify
from pipeline.proof.trial import Trial, for_hosts, is_remote


def inputs(repository: Repository, *, context: TargetContext) -> dict[str, str]:
    """The client, and what it may take besides; the repository comes with its record."""
    return {
        "client": identify(context.engine),
        "host_repositories": " ".join(_host_repositories(context)) or "none: a stand-in",
    }


def run(repository: Repository, *, context: TargetContext) -> ProofReport:
    """What the client did. Raises: VerifyError for the first step that fails; CommandTimedOut, EngineError."""
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="trial-") as scratch:
        trial = gather(repository, Path(scratch) / "repository", context)
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


def gather(repository: Repository, folder: Path, context: TargetContext) -> Trial:
    """The trial of a staged repository, with its metadata and all packages of its sets in a folder of its own.

    What is published already is taken from the mirror, as hosts get it. Raises: VerifyError where there is no
    signature or no key; PublishError.
    """
    staged_dir = context.out_path / repository.tree.path
    shutil.copytree(staged_dir / layout.REPODATA, folder / layout.REPODATA)
    if not (folder / layout.SIGNATURE).is_file() or not (folder / layout.REPODATA / layout.KEYS).is_file():
        raise VerifyError(
            "not-signed",
            "the staged repository is not signed: no host could check what it installs",
            hint="name the key in pipeline.toml under [signing], or make one with `.venv/bin/nox -s key`",
        )
    sets = [for_hosts(each) for each in (repository.vendor, repository.ours, repository.previous)]
    everything = [rpm for each in sets for rpm in each]
    there = [rpm for rpm in everything if not (staged_dir / rpm.href).exists()]
    paths = dict(zip(there, published.fetch(there, context), strict=True))
    for rpm in everything:
        path = folder / rpm.href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(paths.get(rpm, staged_dir / rpm.href).absolute())
    return Trial(
        repository_dir=folder,
        vendor=sets[0],
        ours=sets[1],
        previous=sets[2],
        key_paths=(folder / layout.REPODATA / layout.KEYS,),
        host_repositories=_host_repositories(context),
    )


def tell(report: ProofReport, context: TargetContext) -> None:
    """What was done, and openly what was not."""
    context.progress.note(f"{report.client}: {len(report.steps)} steps; files and packages were right after each")
    if report.left_out:
        told = ", ".join(f"{package} {scriptlet}" for package, scriptlet in report.left_out)
        context.progress.note(f"left out, since they need a real host: {told}")
    if report.stood_in:
        context.progress.note(f"{len(report.stood_in)} requirements of the host were met by a stand-in")
        context.progress.detail(", ".join(report.stood_in))


def _host_repositories(context: TargetContext) -> tuple[str, ...]:
    """What hosts have besides; a folder is taken from the checkout. Offline, what is remote cannot be had."""
    places = context.target.host_repositories
    if context.settings.offline:
        places = tuple(place for place in places if not is_remote(place))
    return tuple(place if "://" in place else str(context.settings.root_dir / place) for place in places)
