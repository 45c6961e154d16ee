# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof: a client walks through a repository in a clean root, and after each step all is as it should be."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.engines.base import Workspace
from pipeline.engines.host import HostEngine
from pipeline.model import ProofReport
from pipeline.progress import Progress
from pipeline.proof import requirements, standin, steps
from pipeline.proof.client import Client
from pipeline.proof.trial import Trial, path_of
from pipeline.proof.walk import Walk
from pipeline.rpmheaders import Dependency, Header, read_header

# Source: rpm's spec manual, "Scriptlets"; the others have the same name in header and spec.
_SPEC_WORDS = {"prein": "pre", "postin": "post"}


def run(
    trial: Trial, *, client: Client, scratch_dir: Path, log_path: Path, timeout_seconds: float, progress: Progress
) -> ProofReport:
    """What the client did, with the repository alone and in a root below `scratch_dir` that is gone afterwards.

    Raises: VerifyError for the first step that fails; CommandTimedOut, EngineError.
    """
    deadline = time.monotonic() + timeout_seconds
    headers = {rpm.nevra: read_header(path_of(trial, rpm)) for rpm in trial.all_for_hosts}
    beside = [read_header(path_of(trial, rpm)) for rpm in trial.beside]
    installed = (*headers.values(), *beside)
    stood_in = () if trial.host_repositories else requirements.of_the_host(installed)
    folders = [trial.repository_dir, *_folders(trial)]
    with client.engine.workspace(scratch_dir, read_only=folders) as workspace:
        walk = Walk(
            trial=trial, client=client, workspace=workspace, headers=headers, log_path=log_path, deadline=deadline
        )
        try:
            walk.prepare(_others(trial, stood_in, installed, workspace, log_path))
            planned = steps.plan(trial)
            for number, step in enumerate(planned, start=1):
                progress.detail(f"{client.label}: {number} of {len(planned)}: {step.sentence}")
                walk.perform(step)
        finally:
            walk.wipe()
    return ProofReport(
        client=client.label,
        steps=tuple(f"{step.sentence}: {len(step.expected)} packages" for step in planned),
        left_out=left_out(headers.values()),
        stood_in=tuple(map(str, stood_in)),
    )


def left_out(headers: Iterable[Header]) -> tuple[tuple[str, str], ...]:
    """(package, scriptlet) of each scriptlet that an empty root cannot run, as a spec names it."""
    return tuple(sorted({(header.name, _spec_word(name)) for header in headers for name in header.scriptlets}))


def _spec_word(name: str) -> str:
    """`%post`, or a trigger with the names that pull it: `%triggerin -- libvirt`."""
    word, _, pulled_by = name.partition(" ")
    return f"%{_SPEC_WORDS.get(word, word)}{f' -- {pulled_by}' if pulled_by else ''}"


def _folders(trial: Trial) -> list[Path]:
    return [Path(place) for place in trial.host_repositories if "://" not in place]


def _others(
    trial: Trial,
    stood_in: tuple[Dependency, ...],
    headers: Iterable[Header],
    workspace: Workspace,
    log_path: Path,
) -> list[str]:
    """The URLs of what hosts have besides: repositories that are configured, or a stand-in for what is required."""
    if stood_in:
        folder = workspace.dir / "stand-in"
        provided = requirements.provided_for(stood_in, headers)
        standin.make(provided, folder, engine=HostEngine(), log_path=log_path)
        return [Path(workspace.inside(folder)).as_uri()]
    places = trial.host_repositories
    return [place if "://" in place else Path(workspace.inside(Path(place).resolve())).as_uri() for place in places]
