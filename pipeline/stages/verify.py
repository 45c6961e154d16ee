# SPDX-License-Identifier: GPL-2.0-or-later
"""Repository -> ProofReport: a client installs, upgrades and goes back from what is staged, before anybody sees it."""

from __future__ import annotations

from pipeline.context import TargetContext
from pipeline.mirrors.sets import Sets
from pipeline.model import ProofReport, Repository
from pipeline.proof import staged
from pipeline.proof.client import identify


def inputs(repository: Repository, *, context: TargetContext) -> dict[str, str]:
    """The client, and what it may take besides; the repository comes with its record."""
    return {
        "client": identify(context.engine),
        "host_repositories": " ".join(staged.host_repositories(context)) or "none: a stand-in",
    }


def run(repository: Repository, *, context: TargetContext) -> ProofReport:
    """What the client did. Raises: VerifyError for the first step that fails; CommandTimedOut, EngineError."""
    sets = Sets(ours=repository.ours, vendor=repository.vendor, previous=repository.previous)
    return staged.prove(sets, context.out_path / repository.tree.path, context)
