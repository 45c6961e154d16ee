# SPDX-License-Identifier: GPL-2.0-or-later
"""SignedSets -> Repository: a snapshot of what the mirror will hold, staged as it will lie there, and signed.

Source packages are in the same repodata, in `SRPMS/`: they become visible with their binaries, and
the rule that a published package never changes holds for them too. dnf and yum install none of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import checkout, files, guard, release
from pipeline.context import TargetContext
from pipeline.frontpage import feed
from pipeline.mirrors import layout, mirror, placement, publishlog, snapshot, standing, trust, withdrawn
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.facts import Channel
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.placement import Placed
from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.sets import is_nameable, left_out
from pipeline.mirrors.snapshot import Staging
from pipeline.model import LogEntry, PublishedRpm, Repository, SignedSet
from pipeline.signing import keyring

Sets = tuple[SignedSet, ...]
_AS_STAGED = "what this was staged for"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What the repository will hold: the jobs' packages, the vendor's, and what others published."""

    ours: tuple[Placed, ...]
    vendor: tuple[Placed, ...]
    carried: tuple[PublishedRpm, ...]

    @property
    def new(self) -> tuple[Placed, ...]:
        return tuple(placed for placed in (*self.ours, *self.vendor) if placed.is_new)

    @property
    def everything(self) -> tuple[PublishedRpm, ...]:
        return (*self.carried, *(placed.published for placed in (*self.ours, *self.vendor)))


def inputs(sets: Sets, *, context: TargetContext) -> dict[str, str]:
    """The channel, and what stands there: our own publish is no reason to run again."""
    channel = _channel(context)
    for rpm in (rpm for signed in sets for rpm in signed.ours if mirror.is_demo(rpm)):
        for place in channel.places:
            mirror.refuse_demo(rpm.nevra, place)
    return {
        "mirror": ", ".join(place.address for place in channel.places),
        "form of pages and host kit": feed.FORM,
        "url": ", ".join(channel.urls) or "none",
        "what stands on the mirror": _standing(channel.places, context),
    }


def _standing(places: Sequence[Destination], context: TargetContext) -> str:
    """What stands, as far as it is a reason to stage anew: signature, keys and mirrorlist must be those staged, too."""
    digest = mirror.stands(places[0], context.log_path)
    if digest not in _staged_for(context):
        return digest[:12] or "nothing"
    repodata_dir = context.home_dir / "repo" / layout.REPODATA
    for place in places if digest == files.sha256_of(repodata_dir / "repomd.xml") else ():
        there = standing.beside(place, digest, context.log_path)
        for name in there.keys() & set(standing.BESIDE):
            staged_path = repodata_dir / name
            if there[name] != (staged_path.read_bytes() if staged_path.is_file() else b""):
                return f"{digest[:12]}, with another {name} on {place.address}"
        revision = layout.revision_in(str(repodata_dir.readlink()))
        if there and revision is not None and not standing.has_page(place, revision, context.log_path):
            return f"{digest[:12]}, without its {layout.PAGE} on {place.address}"
    return _AS_STAGED


def run(sets: Sets, *, context: TargetContext) -> Repository:
    """The staged repository, under `repo/`. Raises: PublishError, ReleaseError, SigningError."""
    channel, keys = _channel(context), _keys(sets, context)
    place = channel.places[0]
    metadata = mirror.read_metadata(context.settings, place, log_path=context.log_path)
    mirror.refuse_changed(metadata, place, log_path=context.log_path)
    if metadata.is_ours and not _is_staged(metadata, context):
        trust.refuse_foreign(metadata, keys)
    content = _plan(sets, metadata, context)
    if told := left_out(content.everything):
        context.progress.warning(told)
    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="repo-") as scratch:
        if not content.new and standing.is_whole(metadata, keys, channel, context.log_path):
            staging = Staging(dir=Path(scratch) / "repo", revision=metadata.state.revision, before=metadata)
            staging.copy_standing(keys, channel)
            sent: tuple[str, ...] = ()
        else:
            revision = snapshot.next_revision(metadata.state)
            staging = Staging(dir=Path(scratch) / "repo", revision=revision, before=metadata)
            sent = _stage_packages(content.new, sets, staging.dir, context)
            with keyring.opened(context.settings, context.progress, target_name=context.target_name) as key:
                staging.describe([each.published.href for each in content.new], content.everything, key)
            staging.finish(_entry(content, sets, staging, context), content.everything, keys, channel)
        files.replace_tree(staging.dir, context.home_dir / "repo")
    return _record(content, metadata, staging.revision, sent, context)


def _plan(sets: Sets, metadata: Metadata, context: TargetContext) -> _Content:
    """Where everything goes. Raises: PublishError, ReleaseError for what may not be published."""
    state = metadata.state
    finder = placement.Finder(there={rpm.nevra: rpm for rpm in state.packages}, context=context)
    ours = tuple(finder.place(rpm) for signed in sets for rpm in signed.ours)
    vendor = tuple(finder.place(rpm) for signed in sets for rpm in signed.vendor)
    guard.refuse_older(
        (each.published for each in ours if each.is_new), (*state.packages, *(each.published for each in vendor))
    )
    withdrawn.refuse((each.published for each in ours if each.is_new), state.log, context.settings, context.target_name)
    here = {each.published.nevra for each in (*ours, *vendor)}
    content = _Content(ours=ours, vendor=vendor, carried=tuple(rpm for rpm in state.packages if rpm.nevra not in here))
    placement.refuse_shared_places(content.everything)
    return content


def _stage_packages(new: Sequence[Placed], sets: Sets, staging_dir: Path, context: TargetContext) -> tuple[str, ...]:
    """Copy the new packages, and what is said of each beside it; the names of all of them."""
    sidecars = [file for signed in sets for file in signed.sidecars]
    names = []
    for placed in new:
        href = placed.published.href
        files.copy_whole(context.out_path / placed.rpm.file.path, staging_dir / href)
        names.append(href)
        own = placed.rpm.file.path.name
        for file in sidecars:
            if file.path.name.startswith(f"{own}."):
                beside = f"{href}{file.path.name.removeprefix(own)}"
                files.copy_whole(context.out_path / file.path, staging_dir / beside)
                names.append(beside)
    return tuple(names)


def _entry(content: _Content, sets: Sets, staging: Staging, context: TargetContext) -> LogEntry:
    new = {each.rpm for each in content.new}
    sources = {each.published for each in content.new if each.published.arch == "src"}
    # Only what is sent: beside a package that is there already stays what was said of it first.
    said = {f"{each.rpm.file.path.name}.intoto.json" for each in content.new if each.published.arch == "src"}
    return LogEntry(
        revision=staging.revision,
        time=snapshot.now(),
        action="publish",
        repomd_sha256=staging.repomd_sha256,
        releases=tuple(sorted((rpm.name, str(rpm.evr)) for rpm in sources)),
        statements=tuple(
            (file.path.name, file.sha256) for signed in sets for file in signed.sidecars if file.path.name in said
        ),
        detail="; ".join(
            sorted({f"the vendor's: {signed.vendor_origin}" for signed in sets if new & {*signed.vendor}})
        ),
        commit=checkout.read(context.settings.root_dir).commit,
        who=snapshot.publisher(),
    )


def _keys(sets: Sets, context: TargetContext) -> dict[str, bytes]:
    """All public keys that are configured, the one that signed first, each once."""
    return {key.fingerprint: (context.out_path / key.file.path).read_bytes() for signed in sets for key in signed.keys}


def _is_staged(metadata: Metadata, context: TargetContext) -> bool:
    """Whether what stands is, by its digest, what was staged here: then its signature alone is made anew."""
    path = context.home_dir / "repo" / layout.REPOMD
    return path.is_file() and files.sha256_of(path) == metadata.state.repomd_sha256


def _channel(context: TargetContext) -> Channel:
    places = find_destinations(context.settings, context.target_name)
    return Channel(settings=context.settings, target_name=context.target_name, places=places)


def _staged_for(context: TargetContext) -> set[str]:
    """The digests of what is staged and of the state that it was staged for; an empty one for an empty mirror."""
    repo_dir = context.home_dir / "repo"
    if not (repo_dir / layout.REPOMD).exists():
        return set()
    staged = files.sha256_of(repo_dir / layout.REPOMD)
    log = publishlog.read((repo_dir / layout.LOG).read_bytes(), str(repo_dir))
    return {staged, log[-2].repomd_sha256 if len(log) > 1 else ""}


def _record(
    content: _Content, metadata: Metadata, revision: int, sent: tuple[str, ...], context: TargetContext
) -> Repository:
    repo_dir = context.home_dir / "repo"
    return Repository(
        tree=files.tree_record(repo_dir, context.out_path),
        revision=revision,
        base_repomd_sha256=metadata.state.repomd_sha256,
        repomd=files.file_record(repo_dir / layout.snapshot(revision) / layout.REPOMD, context.out_path),
        package_count=len(content.everything),
        files=sent,
        ours=tuple(each.published for each in content.ours),
        vendor=tuple(each.published for each in content.vendor if is_nameable(each.published)),
        previous=_previous(content),
    )


def _previous(content: _Content) -> tuple[PublishedRpm, ...]:
    """For each source package of ours, its last release before this one."""
    found: list[PublishedRpm] = []
    for source in {each.published.source for each in content.ours}:
        own = next(each.published.evr for each in content.ours if each.published.source == source)
        below = [
            rpm
            for rpm in guard.rivals(content.carried, source, but=own)
            if is_nameable(rpm) and release.number_in(rpm.evr.release) is not None and release.compare(rpm.evr, own) < 0
        ]
        last = max(below, key=lambda rpm: release.number_in(rpm.evr.release) or 0, default=None)
        found.extend(rpm for rpm in below if last is not None and rpm.evr == last.evr)
    return tuple(found)
