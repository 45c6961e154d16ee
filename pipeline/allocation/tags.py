# SPDX-License-Identifier: GPL-2.0-or-later
"""Reservations as annotated tags on a git remote: whoever creates the tag has the number.

A push that would create a tag that is there is refused by git itself, on the server, under its own
lock: that is what makes a number unique in the world. A tag names an empty commit, the same for
all, and its message has the reservation: reading all of them takes one fetch of a few bytes each,
from any clone, shallow ones and tarballs too.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import command, release
from pipeline.errors import CommandFailed, CommandTimedOut, NetworkError, PipelineError, ReleaseError
from pipeline.gitenv import UNATTENDED, is_remote
from pipeline.model import Reservation
from pipeline.progress import Progress
from pipeline.sources.address import redacted

_TIMEOUT_SECONDS = 120
# The empty commit is the same object for all who make it.
_EPOCH = "2000-01-01T00:00:00+0000"
# What a server says when two pushes meet; nothing is wrong with either.
_MET = ("already exists", "cannot lock ref", "failed to update ref", "Unable to create", "reference already exists")
_ADAPTER = TypeAdapter(Reservation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What the remote knows: every number that was given out, and those reservations that can be read."""

    numbers: tuple[int, ...] = ()
    reservations: tuple[Reservation, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """The tags `release/<package>/<target>/<evr>` of a remote; without a remote there are none."""

    remote: str
    prefix: str
    tagger: str
    offline: bool
    progress: Progress = field(compare=False)

    def read(self) -> Taken:
        """What is on the remote now. Raises: NetworkError, ReleaseError."""
        if not self.remote:
            return Taken()
        with self._repository() as folder:
            self._fetch(folder)
            return self._taken(folder)

    def take(self, reservation: Reservation) -> Reservation | None:
        """The reservation, which the remote now has under its tag; `None` when somebody else was quicker.

        Raises: NetworkError, ReleaseError when the remote takes no tags.
        """
        if not self.remote:
            return reservation
        taken = replace(reservation, remote=redacted(self.remote), tag=f"{self.prefix}{_evr_in_a_tag(reservation)}")
        with self._repository() as folder:
            ours = self._make_tag(folder, taken)
            pushed = self._git(folder, "push", "--porcelain", "--", self.remote, f"refs/tags/{taken.tag}")
            if pushed.exit_code == 0:
                return taken
            # An answer may be lost on its way: what the remote has is what counts.
            self._fetch(folder)
            there = self._git(folder, "rev-parse", "--verify", "--quiet", f"refs/remote/{taken.tag}").stdout.strip()
            if there == ours:
                return taken
            if not there and not any(word in pushed.stdout for word in _MET):
                raise self._refused(pushed.stdout)
        time.sleep(random.uniform(0.01, 0.1))
        return None

    @contextmanager
    def _repository(self) -> Iterator[Path]:
        """A bare repository of its own: nothing stale, and the checkout's tags are not touched."""
        if self.offline and is_remote(self.remote):
            raise NetworkError(
                "offline",
                f"a release number is to be had from {redacted(self.remote)}, and --offline forbids the network",
                hint="run without --offline, or leave releases.remote empty in pipeline.toml",
            )
        command.need("git")
        with tempfile.TemporaryDirectory(prefix="releases-") as folder:
            self._git(Path(folder), "init", "--quiet", "--bare")
            yield Path(folder)

    def _fetch(self, folder: Path) -> None:
        refspec = f"+refs/tags/{self.prefix}*:refs/remote/{self.prefix}*"
        fetched = self._git(folder, "fetch", "--quiet", "--no-tags", "--", self.remote, refspec)
        if fetched.exit_code != 0:
            raise self._unreachable(fetched.stdout)

    def _taken(self, folder: Path) -> Taken:
        listing = self._git(folder, "for-each-ref", "--format=%(refname)%00%(contents)%00", "refs/remote/").stdout
        words = listing.split("\0")
        numbers, reservations = [], []
        for name, message in zip(words[0::2], words[1::2], strict=False):
            tag = name.strip().removeprefix("refs/remote/")
            number = release.number_in(tag.rpartition("-")[2])
            if number is None:
                self.progress.warning(
                    f"the tag {tag} on {redacted(self.remote)} ends in no number of ours: not counted"
                )
                continue
            numbers.append(number)
            reservation = _read(message)
            if reservation is not None and reservation.number == number:
                reservations.append(reservation)
        return Taken(numbers=tuple(numbers), reservations=tuple(reservations))

    def _make_tag(self, folder: Path, reservation: Reservation) -> str:
        """The new tag's object name; GitPython makes the objects, no program of git's needs to run."""
        from git import Actor, Commit, Repo, TagReference  # late: it looks for the git program when it is imported

        who = Actor._from_string(self.tagger)
        with Repo(folder) as repository:
            empty = repository.git.hash_object("-w", "-t", "tree", "/dev/null")
            nobody = Actor("releases", "releases@localhost")
            commit = Commit.create_from_tree(
                repository, empty, "Releases\n", parent_commits=[], author=nobody, committer=nobody,
                author_date=_EPOCH, commit_date=_EPOCH,
            )  # fmt: skip
            document = json.dumps(_ADAPTER.dump_python(reservation, mode="json"), indent=1)
            message = f"{reservation.evr} is reserved\n\n{document}\n"
            identity = {"GIT_COMMITTER_NAME": str(who.name), "GIT_COMMITTER_EMAIL": str(who.email)}
            with repository.git.custom_environment(**identity):
                tag = TagReference.create(repository, reservation.tag, reference=commit, message=message)
            assert tag.tag is not None
            return str(tag.tag.hexsha)

    def _git(self, folder: Path, *arguments: str) -> command.CommandResult:
        """The result of git, whatever its exit code; standard error is told with standard output."""
        try:
            result = command.run(
                ["git", "-C", str(folder), *arguments], timeout_seconds=_TIMEOUT_SECONDS, env=UNATTENDED
            )
        except CommandFailed as error:
            return command.CommandResult(argv=(), exit_code=error.command_exit_code, stdout=error.output, seconds=0.0)
        except CommandTimedOut:
            raise self._unreachable(f"it was not done within {_TIMEOUT_SECONDS} seconds") from None
        return result

    def _unreachable(self, told: str) -> NetworkError:
        return NetworkError(
            "releases-unreachable",
            f"release numbers cannot be had from {redacted(self.remote)}: {_last_word(told)}",
            hint="try again later, or correct releases.remote in pipeline.toml: without the remote, two machines could"
            " give out one number",
        )

    def _refused(self, told: str) -> PipelineError:
        if "rejected" not in told:
            return self._unreachable(told)
        return ReleaseError(
            "releases-refused",
            f"{redacted(self.remote)} takes no tag below {self.prefix}: {_last_word(told)}",
            hint="allow the publisher to create tags of that name there: a hook or a rule of the server forbids it",
        )


def _evr_in_a_tag(reservation: Reservation) -> str:
    """git forbids the colon of an epoch. Source: Debian's DEP-14, which writes it as %."""
    return str(reservation.evr).replace(":", "%")


def _read(message: str) -> Reservation | None:
    """The reservation in a tag's message; `None` in one that somebody wrote by hand."""
    try:
        return _ADAPTER.validate_python(json.loads(message[message.index("{") :]))
    except (ValueError, ValidationError, RecursionError):
        return None


def _last_word(told: str) -> str:
    lines = [line.strip() for line in redacted(told).splitlines() if line.strip() and line.strip() != "Done"]
    chosen = [line for line in lines if "rejected" in line or line.startswith(("fatal:", "remote:"))] or lines
    return " ".join(chosen[0].split()) if chosen else "it said nothing"
