# SPDX-License-Identifier: GPL-2.0-or-later
"""The four places that source RPMs come from: how each is had, and what names what it would give now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files, gitenv, rpmbuild
from pipeline.context import JobContext
from pipeline.errors import BuildError, SrpmError, UsageError
from pipeline.model import Source
from pipeline.sources import gitarchive, tarball, upstream
from pipeline.sources.address import file_name, local_path, redacted

if TYPE_CHECKING:
    from pipeline.sources.download import Limits

_IDENTITY_SECONDS = 20
# The stand-in has no commit to take a time from. This one is before every release of ours.
_DEMO_SECONDS = 1_446_336_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Obtained:
    """A source RPM that is not yet checked.

    `identity` says which it is of all that its source may give; `unpinned` is the name that it has
    there, when nothing in the configuration says what is right under that name.
    """

    path: Path
    identity: str = ""
    unpinned: str = ""


def obtain(source: Source, folder: Path, context: JobContext) -> Obtained:
    """The source RPM that the source gives now; `folder` is an empty one for it to use.

    Raises: NetworkError and UsageError when it is not to be had; SrpmError, BuildError, EngineError.
    """
    return _OBTAIN[source.kind](source, folder, context)


def identify(source: Source, context: JobContext) -> str:
    """A name for what the source would give now; asks the network for no more than that.

    Raises: NetworkError, UsageError.
    """
    return _IDENTIFY[source.kind](source, context)


def shown(source: Source) -> str:
    return redacted(str(source))


def is_remote(source: Source) -> bool:
    """Whether having it needs the network."""
    if source.kind == "git":
        return gitenv.is_remote(source.location)
    return source.kind != "demo" and local_path(source.location) is None


def is_fixed(source: Source, context: JobContext) -> bool:
    """Whether the address says all: a URL of a source RPM, or a tag whose commit is pinned."""
    return source.kind == "srpm" or (source.kind == "git" and source.tag in context.package.git_commits)


# ---- a source RPM: a file or a URL ------------------------------------------------------------------


def _obtain_srpm(source: Source, folder: Path, context: JobContext) -> Obtained:
    path = local_path(source.location)
    if path is None:
        return _download_srpm(source, folder, context)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError("srpm-missing", f"{path} {what}", hint="give the path of a .src.rpm file: --source srpm:PATH")
    files.copy_whole(path, folder / "package.src.rpm")
    pin = source.sha256 or context.package.sha256.get(path.name, "")
    digest = files.sha256_of(folder / "package.src.rpm")
    if pin and pin != digest:
        raise SrpmError(
            "sha256-differs",
            f"{path}: its sha256 is {digest}, and {pin} is wanted",
            hint="it was damaged or replaced; if it is right, put its digest where the old one stands",
        )
    return Obtained(path=folder / "package.src.rpm", identity=digest, unpinned="" if pin else path.name)


def _download_srpm(source: Source, folder: Path, context: JobContext) -> Obtained:
    from pipeline.sources.download import download  # late: requests is slow to import

    name = file_name(source.location)
    pin = source.sha256 or context.package.sha256.get(name, "")
    path = folder / "package.src.rpm"
    digest = download(source.location, path, limits=_limits(context), progress=context.progress, sha256=pin)
    return Obtained(path=path, identity=digest, unpinned="" if pin else name)


def _identify_srpm(source: Source, context: JobContext) -> str:
    path = local_path(source.location)
    if path is None:
        return "by its address"
    return files.sha256_of(path) if path.is_file() else "missing"


# ---- a yum source repository ------------------------------------------------------------------------


def _obtain_yum(source: Source, folder: Path, context: JobContext) -> Obtained:
    from pipeline.sources import sourcerepo

    limits, progress = _limits(context), context.progress
    repomd, identity = sourcerepo.read_repomd(source.location, folder, limits=limits, progress=progress)
    entry = sourcerepo.newest(
        source.location, repomd, name=context.job.package, version=context.package.version, limits=limits,
        progress=progress,
    )  # fmt: skip
    progress.note(f"{shown(source)}: {entry.name}-{entry.evr} is the newest")
    path = folder / "package.src.rpm"
    sourcerepo.fetch(entry, path, limits=limits, progress=progress)
    name, digest = file_name(entry.url), files.sha256_of(path)
    pin = context.package.sha256.get(name, "")
    if pin and pin != digest:
        raise SrpmError(
            "sha256-differs",
            f"{shown(source)}: the sha256 of {name} is {digest}, and {pin} is wanted",
            hint=f"it was replaced; if it is right, correct packages.{context.job.package}.sha256 in pipeline.toml",
        )
    return Obtained(path=path, identity=identity, unpinned="" if pin else name)


def _identify_yum(source: Source, context: JobContext) -> str:
    from pipeline.sources import sourcerepo

    limits = _limits(context, deadline_seconds=_IDENTITY_SECONDS, attempts=1)
    with tempfile.TemporaryDirectory() as folder:
        return sourcerepo.read_repomd(source.location, Path(folder), limits=limits, progress=context.progress)[1]


# ---- a git tag --------------------------------------------------------------------------------------


def _obtain_git(source: Source, folder: Path, context: JobContext) -> Obtained:
    limits = context.settings.time_limits
    commit = upstream.tag_commit(source.location, source.tag, timeout_seconds=limits.download)
    _check_commit(source, commit, context)
    name, version = context.job.package, context.package.version
    with context.engine.workspace(context.scratch_dir) as workspace:
        checkout = upstream.clone(
            source.location, source.tag, commit, workspace.dir / "src", timeout_seconds=limits.download
        )
        spec, archive = folder / f"{name}.spec", folder / f"{name}-{version}.tar.gz"
        if context.package.dist == "archive":
            gitarchive.make(checkout.dir, folder, name=name, version=version, mtime_seconds=checkout.commit_seconds)
            gitarchive.extract_spec(checkout.dir, archive, spec, name=name, version=version)
        else:
            made = upstream.make_dist(
                workspace, checkout, name=name, version=version, timeout_seconds=limits.build,
                log_path=context.log_path, prepare=context.package.dist_prepare,
                left_out=tuple(context.package.dist_left_out),
            )  # fmt: skip
            files.copy_whole(made, archive)
            upstream.extract_spec(archive, name=name, version=version, destination=spec)
    path = _make_srpm(spec, archive, folder, checkout.commit_seconds, context)
    return Obtained(path=path, identity=commit)


def _check_commit(source: Source, commit: str, context: JobContext) -> None:
    pinned = context.package.git_commits.get(source.tag)
    if pinned is None:
        context.progress.warning(
            f"the tag {source.tag} is not pinned; if {commit} is the right commit, add to pipeline.toml "
            f'under [packages.{context.job.package}.git_commits]: "{source.tag}" = "{commit}"'
        )
    elif pinned != commit:
        raise SrpmError(
            "commit-differs",
            f"{shown(source)}: the tag is {commit}, and {pinned} is wanted",
            hint="a tag should never move: find out who moved it; if it is right, correct "
            f"packages.{context.job.package}.git_commits in pipeline.toml",
        )


def _identify_git(source: Source, context: JobContext) -> str:
    pinned = context.package.git_commits.get(source.tag)
    return pinned or upstream.tag_commit(source.location, source.tag, timeout_seconds=_IDENTITY_SECONDS)


# ---- the demo ---------------------------------------------------------------------------------------


def _obtain_demo(source: Source, folder: Path, context: JobContext) -> Obtained:
    name, version = context.job.package, context.package.version
    demo_dir = context.settings.root_dir / source.location
    spec, top_dir = demo_dir / f"{name}.spec", demo_dir / f"{name}-{version}"
    others = sorted(path.name.removeprefix(f"{name}-") for path in demo_dir.glob(f"{name}-*") if path.is_dir())
    if not top_dir.is_dir() and others:
        raise UsageError(
            "demo-version",
            f"packages.{name}.version is {version}, and {shown(source)} has {' and '.join(others)} alone",
            hint="set version to what the demo has, or name another source: --target NAME --source git:REPO@TAG",
        )
    for path, there in ((spec, spec.is_file()), (top_dir, top_dir.is_dir())):
        if not there:
            raise UsageError("demo-missing", f"{shown(source)}: there is no {path}", hint="use a whole checkout")
    archive = folder / f"{name}-{version}.tar.gz"
    tarball.pack(top_dir, top_dir.name, archive, mtime_seconds=_DEMO_SECONDS)
    files.copy_whole(spec, folder / spec.name)
    path = _make_srpm(folder / spec.name, archive, folder, _DEMO_SECONDS, context)
    return Obtained(path=path)


def _identify_demo(source: Source, context: JobContext) -> str:
    demo_dir = context.settings.root_dir / source.location
    return files.content_digest(demo_dir) if demo_dir.is_dir() else "missing"


# ---- what they share -------------------------------------------------------------------------------


def _make_srpm(spec: Path, archive: Path, folder: Path, time_seconds: int, context: JobContext) -> Path:
    """`rpmbuild -bs` in the engine: the same bytes for the same spec, tarball, macros and image."""
    with context.engine.workspace(context.scratch_dir) as workspace:
        placed = rpmbuild.lay_out(workspace, spec, [archive], mtime_seconds=time_seconds)
        rpmbuild.run(workspace, placed, "-bs", target=context.target, log_path=context.log_path,
                     timeout_seconds=context.settings.time_limits.build, source_date_epoch=time_seconds)  # fmt: skip
        made = sorted((workspace.dir / "SRPMS").glob("*.src.rpm"))
        if len(made) != 1:
            raise BuildError(
                "srpm-count", f"rpmbuild -bs made {len(made)} source RPMs", hint="look in the log",
                log_path=context.log_path,
            )  # fmt: skip
        files.copy_whole(made[0], folder / "package.src.rpm")
    return folder / "package.src.rpm"


def _limits(context: JobContext, *, deadline_seconds: float = 0, attempts: int = 3) -> Limits:
    from pipeline.sources.download import Limits

    return Limits(deadline_seconds=deadline_seconds or context.settings.time_limits.download, attempts=attempts)


_OBTAIN: dict[str, Callable[[Source, Path, JobContext], Obtained]] = {
    "srpm": _obtain_srpm,
    "yum": _obtain_yum,
    "git": _obtain_git,
    "demo": _obtain_demo,
}
_IDENTIFY: dict[str, Callable[[Source, JobContext], str]] = {
    "srpm": _identify_srpm,
    "yum": _identify_yum,
    "git": _identify_git,
    "demo": _identify_demo,
}
