# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResults -> Repository: the built packages, and repodata that names them with all that the mirror has.

Source packages are in the same repodata, in `SRPMS/`: they become visible with their binaries, and
the rule that a published package never changes holds for them too. dnf and yum install none of them.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import files, guard
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.mirrors import mirror, repodata
from pipeline.mirrors.destination import REPOMD, find_destination
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.repodata import NewRpm
from pipeline.model import BuildResult, MirrorState, PublishedRpm, Repository, Rpm

Builds = tuple[BuildResult, ...]


def inputs(builds: Builds, *, context: TargetContext) -> dict[str, str]:
    """The mirror, without what these builds put there: our own publish is no reason to run again."""
    rpms = _all_rpms(builds)
    destination = find_destination(context.settings, context.target_name)
    for demo in filter(mirror.is_demo, rpms):
        mirror.refuse_demo(demo.nevra, destination)
    state = mirror.read_state(context.settings, context.target_name, log_path=context.log_path)
    own = {(rpm.nevra, rpm.file.sha256) for rpm in rpms}
    others = [rpm for rpm in state.packages if (rpm.nevra, rpm.sha256) not in own]
    all_there = len(state.packages) - len(others) == len(own)
    return {
        "mirror": destination.address,
        "other packages on the mirror": _summary(others),
        "newer revision on the mirror": "none" if all_there else _newer_revision(state, context),
    }


def run(builds: Builds, *, context: TargetContext) -> Repository:
    """The staged repository, under `repo/`. Raises: PublishError."""
    metadata = mirror.read_metadata(context.settings, context.target_name, log_path=context.log_path)
    rpms = _all_rpms(builds)
    new = plan_new(rpms, metadata.state)
    guard.refuse_older(new, metadata.state.packages)
    own = {rpm.nevra for rpm in new}
    carried = tuple(rpm for rpm in metadata.state.packages if rpm.nevra not in own)
    _refuse_shared_places((*new, *carried))
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="repo-") as scratch:
        staging_dir = Path(scratch) / "repo"
        for rpm, placed in zip(rpms, new, strict=True):
            files.copy_whole(context.out_path / rpm.file.path, staging_dir / placed.href)
        revision = _write_repodata(staging_dir, new, carried, metadata)
        _check_written(staging_dir, (*new, *carried))
        files.replace_tree(staging_dir, context.home_dir / "repo")
    return _record(context, new, carried, revision)


def plan_new(rpms: Sequence[Rpm], state: MirrorState) -> tuple[PublishedRpm, ...]:
    """Where each built package goes, in the order given: one that is published stays where it is.

    Raises: PublishError when a package of that name is there with other contents.
    """
    there = {rpm.nevra: rpm for rpm in state.packages}
    return tuple(_placed(rpm, there.get(rpm.nevra)) for rpm in rpms)


def _placed(rpm: Rpm, there: PublishedRpm | None) -> PublishedRpm:
    if there is not None and there.sha256 != rpm.file.sha256:
        raise PublishError(
            "nevra-taken",
            f"{rpm.nevra} is published already with other contents"
            f" (sha256 {there.sha256[:12]}, ours {rpm.file.sha256[:12]})",
            hint="a published package never changes: bump the release, by running `.venv/bin/nox -s release` again"
            " or by raising release_floor in pipeline.toml",
        )
    folder = "SRPMS" if rpm.arch == "src" else rpm.arch
    return PublishedRpm(
        name=rpm.name,
        evr=rpm.evr,
        arch=rpm.arch,
        href=there.href if there else f"{folder}/{rpm.file.path.name}",
        size_bytes=rpm.file.size_bytes,
        sha256=rpm.file.sha256,
        source=rpm.source,
    )


def _refuse_shared_places(rpms: Iterable[PublishedRpm]) -> None:
    """A file name has no epoch in it, and two packages of ours may build the same subpackage."""
    places: dict[str, PublishedRpm] = {}
    for rpm in rpms:
        other = places.setdefault(rpm.href, rpm)
        if other is not rpm and (other.nevra, other.sha256) != (rpm.nevra, rpm.sha256):
            raise PublishError(
                "place-taken",
                f"{rpm.nevra} and {other.nevra} would both be {rpm.href}",
                hint="give one of them another name or release",
            )


def _write_repodata(
    staging_dir: Path, new: tuple[PublishedRpm, ...], carried: tuple[PublishedRpm, ...], metadata: Metadata
) -> int:
    """The revision of the repodata now in the staging folder: the mirror's own, where that names all of it already."""
    state = metadata.state
    if metadata.index is not None and set(state.packages) == {*new, *carried}:
        for file in metadata.index.files:
            files.copy_whole(metadata.dir / file.href, staging_dir / file.href)
        files.write_whole(staging_dir / REPOMD, metadata.repomd)
        repodata.set_times(staging_dir, state.revision)
        return state.revision
    # yum keeps its cache over a repomd.xml of a lower revision.
    revision = max(state.revision + 1, int(time.time()))
    rpms = [NewRpm(path=staging_dir / rpm.href, href=rpm.href) for rpm in new]
    repodata.write(
        staging_dir, new=rpms, carried=carried, before=metadata.index, before_dir=metadata.dir, revision=revision
    )
    return revision


def _check_written(staging_dir: Path, meant: Sequence[PublishedRpm]) -> None:
    """createrepo_c leaves out a package with a cut header and says nothing: what it names must be what was meant."""
    index = repodata.read_index((staging_dir / REPOMD).read_bytes(), str(staging_dir))
    for file in index.files:
        repodata.verify(file, staging_dir, str(staging_dir))
    primary = index.file("primary")
    named = Counter(repodata.read_packages(staging_dir / primary.href, str(staging_dir)) if primary else ())
    wrong = [*(Counter(meant) - named), *(named - Counter(meant))]
    if wrong:
        raise PublishError(
            "repodata-differs",
            f"the new repodata does not name {wrong[0].nevra} as it was meant ({len(wrong)} differences)",
            hint="the package may be damaged: remove out/ and build again",
        )


def _record(
    context: TargetContext, new: tuple[PublishedRpm, ...], carried: tuple[PublishedRpm, ...], revision: int
) -> Repository:
    repo_dir = context.home_dir / "repo"
    index = repodata.read_index((repo_dir / REPOMD).read_bytes(), str(repo_dir))
    return Repository(
        tree=files.tree_record(repo_dir, context.out_path),
        new=new,
        carried=carried,
        repodata=tuple(files.file_record(repo_dir / file.href, context.out_path) for file in index.files),
        repomd=files.file_record(repo_dir / REPOMD, context.out_path),
        revision=revision,
        demo=any(map(mirror.is_demo, new)),
    )


def _newer_revision(state: MirrorState, context: TargetContext) -> str:
    """The mirror's revision, if it went past the one that is staged: what is staged could not be published."""
    staged_path = context.home_dir / "repo" / REPOMD
    if not staged_path.exists() or files.sha256_of(staged_path) == state.repomd_sha256:
        return "none"
    staged = repodata.read_index(staged_path.read_bytes(), str(staged_path))
    return str(state.revision) if state.revision >= staged.revision else "none"


def _summary(rpms: Sequence[PublishedRpm]) -> str:
    if not rpms:
        return "none"
    told = "\n".join(sorted(f"{rpm.nevra} {rpm.sha256} {rpm.href}" for rpm in rpms))
    return f"{len(rpms)} ({hashlib.sha256(told.encode()).hexdigest()[:12]})"


def _all_rpms(builds: Builds) -> tuple[Rpm, ...]:
    return tuple(rpm for build in builds for rpm in build.all_rpms)
