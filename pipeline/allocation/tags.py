# SPDX-License-Identifier: GPL-2.0-or-later
"""Reservations as annotated tags on a git remote: whoever creates the tag has the number.

A push that would create a tag that is there is refused by git itself, on the server, under its own
lock: that is what makes a number unique in the world. A tag names an empty commit, the same for
all, and its message has the reservation: reading all of them takes one fetch of a few bytes each,
from any clone, shallow ones and tarballs too.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pipeline import command, release
from pipeline.allocation import note
from pipeline.errors import CommandFailed, CommandTimedOut, NetworkError, ReleaseError
from pipeline.gitenv import UNATTENDED, is_remote
from pipeline.model import Reservation
from pipeline.sources.address import redacted

_TIMEOUT_SECONDS = 120
_PUSHES = 8
# The empty commit is the same object for all who make it.
_NOBODY = "releases <releases@localhost> 946684800 +0000"
# What a server says when two pushes meet; nothing is wrong with either.
_MET = ("cannot lock ref", "failed to update ref", "Unable to create")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What the remote knows: all numbers that were given out, and those reservations that can be read.

    `strange` are tags among them that end in no number of ours.
    """

    numbers: tuple[int, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """The tags `release/<package>/<target>/<evr>` of a remote; without a remote there are none."""

    remote: str
    prefix: str
    tagger: str
    offline: bool

    def read(self) -> Taken:
        """What is on the remote now. Raises: NetworkError."""
        if not self.remote:
            return Taken()
        with self._repository() as folder:
            self._fetch(folder)
            return self._taken(folder)

    def take(self, reservation: Reservation) -> Reservation | None:
        """The reservation, which the remote now has under its tag; `None` when the tag is there already.

        It may be our own, if the answer to a push was lost: a new look says whose it is.
        Raises: NetworkError, ReleaseError when the remote takes no tags.
        """
        if not self.remote:
            return reservation
        taken = replace(reservation, remote=redacted(self.remote), tag=self._name(reservation))
        with self._repository() as folder:
            ours = self._make_tag(folder, taken)
            for _ in range(_PUSHES):
                pushed = self._git(folder, "push", "--porcelain", "--", self.remote, f"{ours}:refs/tags/{taken.tag}")
                if pushed.exit_code == 0:
                    return taken
                self._fetch(folder)
                if self._git(folder, "for-each-ref", f"refs/remote/{taken.tag}").stdout:
                    time.sleep(random.uniform(0, 0.8))  # so that those who wait do not meet again
                    return None
                if "rejected" in pushed.stdout and not any(words in pushed.stdout for words in _MET):
                    break
                time.sleep(random.uniform(0.02, 0.2))
        raise ReleaseError(
            "releases-refused",
            f"{redacted(self.remote)} takes no tag below {self.prefix}: {_said(pushed.stdout)}",
            hint="allow the publisher to create tags of that name there: a right, a hook or a rule of the server"
            " forbids it",
        )

    def _name(self, reservation: Reservation) -> str:
        """The tag's; git forbids the colon of an epoch. Source: Debian's DEP-14, which writes it as %."""
        return self.prefix + str(reservation.evr).replace(":", "%")

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
            self._git(Path(folder), "init", "--quiet", "--bare", "--template=")
            yield Path(folder)

    def _fetch(self, folder: Path) -> None:
        # A tag that somebody made by hand may have all of a project's history behind it.
        refspec = f"+refs/tags/{self.prefix}*:refs/remote/{self.prefix}*"
        fetched = self._git(folder, "fetch", "--quiet", "--no-tags", "--depth=1", "--", self.remote, refspec)
        # With a depth, git ends with 1 and no word where there is nothing to fetch; what goes wrong has words.
        if fetched.exit_code != 0 and (fetched.exit_code != 1 or fetched.stdout.strip()):
            raise self._unreachable(fetched.stdout)

    def _taken(self, folder: Path) -> Taken:
        listing = self._git(folder, "for-each-ref", "--format=%(refname)%00%(contents)%00", "refs/remote/").stdout
        words = listing.split("\0")
        numbers, reservations, strange = [], [], []
        for name, message in zip(words[0::2], words[1::2], strict=False):
            tag = name.strip().removeprefix("refs/remote/")
            number = release.number_in(tag.rpartition("-")[2])
            if number is None:
                strange.append(tag)
                continue
            numbers.append(number)
            reservation = note.read(message)
            if reservation is not None and self._name(reservation) == tag:
                reservations.append(reservation)
        return Taken(numbers=tuple(numbers), reservations=tuple(reservations), strange=tuple(strange))

    def _make_tag(self, folder: Path, reservation: Reservation) -> str:
        """The new tag's object name. Nobody's git settings matter: no key of theirs signs it, no hook sees it."""
        from git import Repo  # late: it looks for the git program when it is imported
        from gitdb import IStream

        with Repo(folder) as repository:

            def store(kind: str, text: str) -> str:
                data = text.encode()
                stored = repository.odb.store(IStream(kind, len(data), BytesIO(data)))
                return str(stored.hexsha.decode())

            tree = store("tree", "")
            commit = store("commit", f"tree {tree}\nauthor {_NOBODY}\ncommitter {_NOBODY}\n\nReleases\n")
            head = f"object {commit}\ntype commit\ntag {reservation.tag}\ntagger {self.tagger} {int(time.time())} +0000"
            return store("tag", f"{head}\n\n{reservation.evr} is reserved\n\n{note.write(reservation)}")

    def _git(self, folder: Path, *arguments: str) -> command.CommandResult:
        """The result of git, whatever its exit code; standard error is told with standard output."""
        # Not -C: a GIT_DIR in the environment, as a hook has it, would be stronger.
        argv = ["git", f"--git-dir={folder}", *arguments]
        try:
            return command.run(argv, timeout_seconds=_TIMEOUT_SECONDS, env=UNATTENDED)
        except CommandFailed as error:
            return command.CommandResult(argv=(), exit_code=error.command_exit_code, stdout=error.output, seconds=0.0)
        except CommandTimedOut:
            raise self._unreachable(f"it was not done within {_TIMEOUT_SECONDS} seconds") from None

    def _unreachable(self, told: str) -> NetworkError:
        return NetworkError(
            "releases-unreachable",
            f"release numbers cannot be had from {redacted(self.remote)}: {_said(told)}",
            hint="try again later, or correct releases.remote in pipeline.toml: without the remote, two machines could"
            " give out one number",
        )


def _said(told: str) -> str:
    """The one line that says why: the server's own words where it has some, else git's."""
    lines = [" ".join(line.split()) for line in redacted(told).splitlines() if line.strip() not in ("", "Done")]
    for start in ("remote:", "fatal:", "!"):
        for line in lines:
            if line.startswith(start) and line != start:
                return line
    return lines[-1] if lines else "it said nothing"
