# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's git repository: what a tag is, a clone of it, and the tarball that its own tools make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pipeline import command
from pipeline.engines.base import Workspace
from pipeline.errors import (
    BuildError,
    CommandFailed,
    CommandTimedOut,
    NetworkError,
    PipelineError,
    SrpmError,
    UsageError,
)
from pipeline.gitenv import UNATTENDED, is_remote
from pipeline.sources import tarball
from pipeline.sources.address import redacted


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A clone at a tag; the time is that of the commit, in seconds since the epoch."""

    dir: Path
    commit: str
    commit_seconds: int


def tag_commit(location: str, tag: str, *, timeout_seconds: float) -> str:
    """The commit that the tag names in the repository.

    Raises: UsageError when there is no such repository here, or no such tag in it; NetworkError.
    """
    listed = _git(["ls-remote", "--tags", "--", _address(location)], location, timeout_seconds)
    tags = _read_tags(listed)
    if tag not in tags:
        near = get_close_matches(tag, tags, n=3, cutoff=0.8) or sorted(tags, key=_by_number)[-3:]
        raise UsageError(
            "tag-missing",
            f"{redacted(location)} has no tag '{tag}'",
            hint=f"it has {', '.join(near)}" if near else f"it has {len(tags)} tags; `git fetch --tags` may bring it",
        )
    return tags[tag]


def clone(location: str, tag: str, commit: str, destination: Path, *, timeout_seconds: float) -> Checkout:
    """A clone of its own, history included (upstream's ChangeLog is made of it), at the tag.

    Raises: UsageError for a shallow repository; SrpmError when the tag is not `commit`; NetworkError.
    """
    # Hard links would let the container's user, who is given the clone, own the original.
    options = ["--quiet", "--no-hardlinks", "--single-branch", "--branch", tag]
    settings = ["-c", "advice.detachedHead=false", "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null"]
    _git(["clone", *options, *settings, "--", _address(location), str(destination)], location, timeout_seconds)
    if (destination / ".git" / "shallow").exists():
        raise UsageError(
            "repository-shallow",
            f"{redacted(location)} is a shallow clone: it lacks the history that the ChangeLog is made of",
            hint="run `git fetch --unshallow --tags` in it",
        )
    from git import Repo  # late: it looks for the git program when it is imported

    with Repo(destination) as clone_of_it:
        head = clone_of_it.head.commit
        if head.hexsha != commit:
            raise SrpmError(
                "tag-moved",
                f"{redacted(location)}: the tag {tag} gave {head.hexsha}, and was read as {commit}",
                hint="see that no branch has the tag's name and that nobody moves it, then run the same again",
            )
        return Checkout(dir=destination, commit=head.hexsha, commit_seconds=head.committed_date)


def plan_dist(left_out: Sequence[str] = ()) -> list[str]:
    """automake's `make dist`, in an order that is not the disk's, and without the names `left_out`.

    These are shell patterns below the top folder, in letters that need no quotes.
    Source: automake's am/distdir.am; CentOS 6's find, sort, tar and gzip know all of these words.
    """
    skipped = "".join(f'-path "$$tardir/{pattern}" -o ' for pattern in left_out)
    archive = (
        f'find "$$tardir" {skipped}-print0 | LC_ALL=C sort -z | '
        "tar --create --dereference --format=v7 --no-recursion --null --files-from=- --file=-"
    )
    # gzip keeps no name and no time; one word, since automake 1.11 does not quote it.
    return ["make", "dist", f"am__tar={archive}", "GZIP_ENV=-9n"]


def plan_environment(commit_seconds: int) -> dict[str, str]:
    """Variables that make the tarball the same each time.

    Source: tar's manual, "TAR_OPTIONS"; all of these are known to CentOS 6's tar 1.23.
    """
    return {
        "SOURCE_DATE_EPOCH": str(commit_seconds),
        "TAR_OPTIONS": f"--mtime=@{commit_seconds} --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w",
    }


def make_dist(
    workspace: Workspace,
    checkout: Checkout,
    *,
    name: str,
    version: str,
    timeout_seconds: float,
    log_path: Path,
    prepare: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> Path:
    """The source tarball that upstream's own build makes of the checkout, checked for being of `version`.

    `prepare` are the words of the command that a checkout needs before `make dist`, if it needs one.

    Raises: BuildError, CommandTimedOut, EngineError.
    """
    _refuse_missing(checkout, prepare, name)
    for argv in filter(None, (list(prepare), plan_dist(left_out))):
        try:
            workspace.run(
                argv,
                cwd=checkout.dir,
                env=plan_environment(checkout.commit_seconds),
                timeout_seconds=timeout_seconds,
                log_path=log_path,
            )
        except CommandFailed as error:
            raise BuildError(
                "upstream-failed",
                f"upstream's `{' '.join(argv[:2])}` ended with exit code {error.command_exit_code}",
                hint="the last lines of the log say what it lacks; the image (containers/) is where to add it, and"
                f" packages.{name}.dist and dist_prepare say how a tarball is made",
                log_path=log_path,
                reproduce=error.reproduce,
            ) from None
    wanted = checkout.dir / f"{name}-{version}.tar.gz"
    if not wanted.is_file():
        made = ", ".join(path.name for path in sorted(checkout.dir.glob("*.tar.gz"))) or "no tarball"
        raise BuildError(
            "upstream-version",
            f"upstream's `make dist` made {made}, and {wanted.name} is wanted",
            hint=f"take another tag, or set packages.{name}.version in pipeline.toml",
            log_path=log_path,
        )
    return wanted


def _refuse_missing(checkout: Checkout, prepare: Sequence[str], name: str) -> None:
    """Raises: BuildError where the command before `make dist` is a file that upstream does not have."""
    program = prepare[0] if prepare else ""
    if not program.startswith("./") or (checkout.dir / program).is_file():
        return
    if any((checkout.dir / each).is_file() for each in ("configure.ac", "configure.in")):
        setting = 'dist_prepare = ["sh", "-c", "autoreconf --install && ./configure"]'
    else:
        setting = 'dist = "archive", which takes the files as git has them'
    raise BuildError(
        "upstream-lacks",
        f"upstream has no {program.removeprefix('./')} at {checkout.commit[:12]}, which should come before `make dist`",
        hint=f"write in pipeline.toml, under [packages.{name}]: {setting}",
    )


def extract_spec(archive: Path, *, name: str, version: str, destination: Path) -> None:
    """Write the spec that lies in upstream's tarball to `destination`. Raises: SrpmError."""
    destination.write_bytes(tarball.read_member(archive, f"{name}-{version}/{name}.spec"))


def _address(location: str) -> str:
    """What git is told: a path is made absolute, so that nothing in it looks like a URL or an option."""
    return location if "://" in location or is_remote(location) else str(Path(location).expanduser().absolute())


def _by_number(tag: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", tag)]


def _read_tags(listed: str) -> dict[str, str]:
    """Tag -> commit. Source: git-ls-remote(1): an annotated tag's commit is on a second line, with ^{}."""
    tags: dict[str, str] = {}
    for line in listed.splitlines():
        digest, _, reference = line.partition("\t")
        tag = reference.removeprefix("refs/tags/")
        if tag.endswith("^{}"):
            tags[tag.removesuffix("^{}")] = digest
        else:
            tags.setdefault(tag, digest)
    return tags


def _git(arguments: list[str], location: str, timeout_seconds: float) -> str:
    # Not GitPython's own runner: ctrl-C would wait for its timer.
    try:
        result = command.run(["git", *arguments], timeout_seconds=timeout_seconds, env=UNATTENDED)
    except CommandTimedOut:
        raise NetworkError(
            "git-timeout",
            f"git was not done with {redacted(location)} within {timeout_seconds:g} seconds",
            hint="raise time_limits.download in pipeline.toml, or give a clone on disk: git:PATH@TAG",
        ) from None
    except CommandFailed as error:
        raise _failure(location, error.output) from None
    return result.stdout


def _failure(location: str, told: str) -> PipelineError:
    lines = [line.strip() for line in redacted(told).splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines or ["it said nothing"]
    message = f"git cannot read {redacted(location)}: {fatal[0].partition(': ')[2] or fatal[0]}"
    if is_remote(location):
        return NetworkError("git-failed", message, hint="try again later, or give a clone on disk: git:PATH@TAG")
    if "dubious ownership" in told:
        return UsageError("git-owner", message, hint=f"run `git config --global --add safe.directory {location}`")
    return UsageError("git-missing", message, hint="give the path of a git repository: git:PATH@TAG")
