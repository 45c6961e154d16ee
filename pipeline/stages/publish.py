# SPDX-License-Identifier: GPL-2.0-or-later
"""Repository -> Publication: the mirror names the new packages, and no reader ever saw it half-done.

Packages and metadata go first, under names that nobody reads yet; `repomd.xml` goes last and alone.
Nothing is removed: who is reading the former metadata finds it (the mirror issue prunes it after a grace).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pipeline import guard
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors import mirror
from pipeline.mirrors.destination import Destination, find_destination
from pipeline.model import MirrorState, Publication, PublishedRpm, Repository


def inputs(repository: Repository, *, context: TargetContext) -> dict[str, str]:
    """Where the mirror is and what stands on it, so that a mirror that others changed is published to again."""
    state = mirror.read_state(context.settings, context.target_name, log_path=context.log_path)
    stands = f"revision {state.revision} ({state.repomd_sha256[:12]})" if state.repomd_sha256 else ""
    return {"mirror": state.destination, "what stands on the mirror": stands}


def run(repository: Repository, *, context: TargetContext) -> Publication:
    """What stands on the mirror now. Raises: PublishError, and the mirror is as it was."""
    destination = find_destination(context.settings, context.target_name)
    for demo in filter(mirror.is_demo, repository.new):
        mirror.refuse_demo(demo.nevra, destination)
    state = mirror.read_state(context.settings, context.target_name, log_path=context.log_path)
    if _contents(state.packages) == _contents((*repository.new, *repository.carried)):
        return _publication(state.destination, state.revision, state.repomd_sha256, changed=False)
    guard.refuse_older(repository.new, state.packages)
    refuse_other_state(repository, state)
    names = plan_names(repository, state)
    _send(repository, names, state, destination, context)
    _switch(repository, state, destination, context)
    return _publication(state.destination, repository.revision, repository.repomd.sha256, changed=True)


def plan_names(repository: Repository, state: MirrorState) -> tuple[str, ...]:
    """The files to send before the switch: packages that the mirror does not name yet, and the metadata."""
    there = {(rpm.href, rpm.sha256) for rpm in state.packages}
    packages = [rpm.href for rpm in repository.new if (rpm.href, rpm.sha256) not in there]
    metadata = [str(file.path.relative_to(repository.tree.path)) for file in repository.repodata]
    return (*packages, *metadata)


def refuse_other_state(repository: Repository, state: MirrorState) -> None:
    """Raises: PublishError when the mirror is not what the repository was made for: something would be lost."""
    kept = _contents((*repository.new, *repository.carried))
    lost = [rpm for rpm in state.packages if (rpm.nevra, rpm.sha256) not in kept]
    there = set(state.packages)
    gone = [rpm for rpm in repository.carried if rpm not in there]
    if lost:
        raise _changed_meanwhile(state.destination, f"{lost[0].nevra} was added")
    if gone:
        raise _changed_meanwhile(state.destination, f"{gone[0].nevra} was removed")
    if state.revision >= repository.revision:
        raise _changed_meanwhile(state.destination, f"it is at revision {state.revision} already")


def _send(
    repository: Repository,
    names: tuple[str, ...],
    state: MirrorState,
    destination: Destination,
    context: TargetContext,
) -> None:
    """Put the files there, and see that each has arrived as it is here."""
    repo_dir = context.out_path / repository.tree.path
    size_bytes = sum((repo_dir / name).stat().st_size for name in names)
    context.progress.note(f"sending {len(names)} files, {size_bytes / 1e6:.1f} MB, to {destination.address}")
    destination.send(repo_dir, names, context.log_path, anew=not state.repomd_sha256)
    differing = destination.differing(repo_dir, names, context.log_path)
    if differing:
        if _stands(destination, context) != state.repomd_sha256:
            raise _changed_meanwhile(state.destination, f"somebody else published {differing[0]}")
        raise PublishError(
            "mirror-differs",
            f"{differing[0]} on the mirror {destination.address} is not what was sent ({len(differing)} files)",
            hint="look at the mirror's disk, then run the same again: what readers use was not touched",
            log_path=context.log_path,
        )


def _switch(repository: Repository, state: MirrorState, destination: Destination, context: TargetContext) -> None:
    """The one step that readers see, if the mirror still is as it was read; then see that it took place."""
    if _stands(destination, context) != state.repomd_sha256:
        raise _changed_meanwhile(state.destination, "somebody else published to it")
    destination.switch(context.out_path / repository.repomd.path, context.log_path)
    if _stands(destination, context) != repository.repomd.sha256:
        raise PublishError(
            "mirror-differs",
            f"the mirror {destination.address} has another repomd.xml than the one just sent",
            hint="somebody else may be publishing: run the same again",
            log_path=context.log_path,
        )


def _stands(destination: Destination, context: TargetContext) -> str:
    """The digest of the mirror's repomd.xml; empty where there is none."""
    repomd = destination.repomd(context.log_path)
    return "" if repomd is None else hashlib.sha256(repomd).hexdigest()


def _changed_meanwhile(address: str, how: str) -> PublishError:
    return PublishError(
        "mirror-changed",
        f"the mirror {address} changed since the repository was made: {how}",
        hint="run the same again: the repository is made anew from what is there now",
    )


def _contents(rpms: Iterable[PublishedRpm]) -> set[tuple[str, str]]:
    return {(rpm.nevra, rpm.sha256) for rpm in rpms}


def _publication(destination: str, revision: int, repomd_sha256: str, *, changed: bool) -> Publication:
    return Publication(destination=destination, revision=revision, repomd_sha256=repomd_sha256, changed=changed)
