# SPDX-License-Identifier: GPL-2.0-or-later
"""Look at the source of a new package: is it that package's, which version, and how is it unpacked."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline import disttag, files, gitenv, localgit, release
from pipeline.errors import NetworkError, UsageError
from pipeline.model import Source
from pipeline.newpackage.about import About, Dist
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.sources import srpm, upstream
from pipeline.sources.address import file_name, local_path, redacted
from pipeline.spectext import read_spec

if TYPE_CHECKING:
    from pipeline.sources.download import Limits

# What a tag says behind its words: 4.16.30 of v4.16.30, 0.31 of spice-gtk-0.31, 7 of v7.
_TAGGED = (re.compile(r"(?:^|[^0-9.])(\d+(?:\.\d+)+[A-Za-z0-9.+]*)$"), re.compile(r"^[^0-9]*(\d+)$"))
_VERSION_LINE = re.compile(r"^Version:[ \t]*([A-Za-z0-9._+]+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_AUTOSETUP = re.compile(r"^%autosetup\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is to be looked at: `version` is what a person says it is, empty where the source shall tell.

    `targets` are those that it is built for.
    """

    name: str
    source: Source
    version: str
    settings: Settings
    progress: Progress
    scratch_dir: Path
    targets: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return redacted(str(self.source))


def look(question: Question) -> About:
    """What the source says of the package.

    Raises: UsageError, NetworkError where it is not to be had or is another's; SrpmError for one that is damaged.
    """
    if question.settings.offline and _is_remote(question.source):
        raise NetworkError(
            "offline",
            f"{question.shown} is on the network, and --offline forbids its use",
            hint="leave --offline out, or give a source on this machine: srpm:PATH or git:PATH@TAG",
        )
    return _LOOK[question.source.kind](question)


def _is_remote(source: Source) -> bool:
    if source.kind == "git":
        return gitenv.is_remote(source.location)
    return source.kind != "demo" and local_path(source.location) is None


# ---- source RPMs ------------------------------------------------------------------------------------


def _look_at_srpm(question: Question) -> About:
    path = local_path(question.source.location)
    if path is None:
        from pipeline.sources.download import download  # late: requests is slow to import

        name, path = file_name(question.source.location), question.scratch_dir / "package.src.rpm"
        download(question.source.location, path, limits=_limits(question), progress=question.progress,
                 sha256=question.source.sha256)  # fmt: skip
        return _about_srpm(question, path, name)
    if not path.is_file():
        raise UsageError("srpm-missing", f"{path} is no file", hint="give the path of a .src.rpm: --source srpm:PATH")
    return _about_srpm(question, path, path.name)


def _look_at_yum(question: Question) -> About:
    from pipeline.sources import sourcerepo

    url, limits, progress = question.source.location, _limits(question), question.progress
    repomd, _ = sourcerepo.read_repomd(url, question.scratch_dir, limits=limits, progress=progress)
    there = sourcerepo.entries(url, repomd, limits=limits, progress=progress)
    own = [entry for entry in there if entry.arch == "src" and entry.name == question.name]
    fitting = [entry for entry in own if question.version in ("", entry.evr.version)]
    if not fitting:
        raise UsageError(
            "not-in-repository",
            f"{question.shown} has no source package {question.name} {question.version}".rstrip(),
            hint="call the package by the name that it has there; it may be no source repository",
        )
    by_rpm = functools.cmp_to_key(release.compare)
    newest = max(fitting, key=lambda entry: by_rpm(entry.evr))
    path = question.scratch_dir / "package.src.rpm"
    sourcerepo.fetch(newest, path, limits=limits, progress=progress)
    return _about_srpm(question, path, file_name(newest.url))


def _about_srpm(question: Question, path: Path, name_there: str) -> About:
    name, evr = srpm.read_identity(path, label=question.shown)
    if name != question.name:
        raise UsageError(
            "other-package",
            f"{question.shown} is the source of {name}, not of {question.name}",
            hint=f"call the package {name}, or give another source",
        )
    payload_dir = question.scratch_dir / "payload"
    wanted = question.version or evr.version
    package = srpm.read_srpm(path, payload_dir, label=question.shown, name=name, version=wanted)
    return About(
        name=name,
        version=evr.version,
        sha256={} if question.source.sha256 else {name_there: files.sha256_of(path)},
        dist_tags=_dist_tags(question, read_spec(payload_dir / package.spec), evr.release),
        unpacks_by_itself=_unpacks_by_itself(payload_dir / package.spec),
    )


def _dist_tags(question: Question, spec: str, made_release: str) -> dict[str, str]:
    """The dist tag that it was made with, for the targets that have another one. Raises: UsageError for the demo's."""
    found = {}
    for name in question.targets:
        target = question.settings.targets[name]
        tag = disttag.of_source(spec, made_release, target.rpm_macros())
        if tag in (None, target.dist):
            continue
        if target.dist == ".demo":
            raise UsageError(
                "demo-dist",
                f"{question.shown} has the release {made_release}, and what {name} builds is marked .demo",
                hint="add it for another target, --target NAME; or give a tag, git:REPO@TAG, or a folder of the "
                "checkout, demo:FOLDER",
            )
        found[name] = tag or ""
    return found


# ---- a git tag --------------------------------------------------------------------------------------


def _look_at_git(question: Question) -> About:
    location, tag = question.source.location, question.source.tag
    seconds = question.settings.time_limits.download
    commit = upstream.tag_commit(location, tag, timeout_seconds=seconds)
    checkout = upstream.clone(location, tag, commit, question.scratch_dir / "src", timeout_seconds=seconds)
    tree = _Tree(checkout.dir)
    spec_path = tree.spec_path(question)
    dist, prepare = tree.way_to_a_tarball()
    told = _version_in(checkout.dir / spec_path) if dist == "archive" else ""
    return About(
        name=question.name,
        version=question.version or told or _version_of_tag(tag),
        git_commits={tag: commit},
        dist=dist,
        dist_prepare=prepare,
        unpacks_by_itself=_unpacks_by_itself(checkout.dir / spec_path),
    )


class _Tree:
    """The files of a commit."""

    def __init__(self, folder: Path) -> None:
        code, listed = localgit.run(folder, "ls-tree", "-r", "-z", "--name-only", "HEAD")
        self.paths = tuple(filter(None, listed.split("\0"))) if not code else ()

    def spec_path(self, question: Question) -> str:
        """The spec, or what upstream makes it of. Raises: UsageError: nothing else says how the package is built."""
        for wanted in (f"{question.name}.spec", f"{question.name}.spec.in"):
            found = [path for path in self.paths if PurePosixPath(path).name == wanted]
            if found:
                return min(found, key=lambda path: path.count("/"))
        raise UsageError(
            "no-spec",
            f"{question.shown} has no {question.name}.spec, and no {question.name}.spec.in that it is made of",
            hint="call the package by the name that it has there, or give a source RPM: srpm:PATH-or-URL or yum:URL",
        )

    def way_to_a_tarball(self) -> tuple[Dist, tuple[str, ...]]:
        if "autogen.sh" in self.paths:
            return "make", ("./autogen.sh",)
        if "configure.ac" in self.paths or "configure.in" in self.paths:
            return "make", ("sh", "-c", "autoreconf --install && ./configure")
        return "archive", ()


def _version_of_tag(tag: str) -> str:
    found = next(filter(None, (pattern.search(tag) for pattern in _TAGGED)), None)
    if found is None:
        raise UsageError("no-version", f"the tag {tag} names no version", hint="say which one it is: --version VERSION")
    return found[1]


# ---- a folder of the checkout -----------------------------------------------------------------------


def _look_at_demo(question: Question) -> About:
    folder = question.settings.root_dir / question.source.location
    spec_path = folder / f"{question.name}.spec"
    if not question.source.location or not spec_path.is_file():
        raise UsageError(
            "demo-missing",
            f"there is no {spec_path}",
            hint=f"give a folder of the checkout with {question.name}.spec and the source: --source demo:FOLDER",
        )
    there = sorted(path.name.removeprefix(f"{question.name}-") for path in folder.glob(f"{question.name}-*/"))
    version = question.version or _version_in(spec_path) or "".join(there[:1])
    if version not in there:
        raise UsageError(
            "demo-version",
            f"{question.shown} has no folder {question.name}-{version}",
            hint=f"it has {', '.join(there)}; say which: --version VERSION" if there else "the source belongs there",
        )
    return About(name=question.name, version=version, unpacks_by_itself=_unpacks_by_itself(spec_path))


# ---- what they share --------------------------------------------------------------------------------


def _version_in(spec_path: Path) -> str:
    """The version that a spec says in plain letters; empty where a macro says it."""
    found = _VERSION_LINE.search(read_spec(spec_path)) if _is_plain(spec_path) else None
    return found[1] if found else ""


def _unpacks_by_itself(spec_path: Path) -> bool:
    return _is_plain(spec_path) and bool(_AUTOSETUP.search(read_spec(spec_path)))


def _is_plain(path: Path) -> bool:
    """Whether it is a file: a link in somebody's repository may lead anywhere."""
    return path.is_file() and not path.is_symlink()


def _limits(question: Question) -> Limits:
    from pipeline.sources.download import Limits

    return Limits(deadline_seconds=question.settings.time_limits.download)


_LOOK: dict[str, Callable[[Question], About]] = {
    "srpm": _look_at_srpm,
    "yum": _look_at_yum,
    "git": _look_at_git,
    "demo": _look_at_demo,
}
