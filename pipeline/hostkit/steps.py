# SPDX-License-Identifier: GPL-2.0-or-later
"""What is typed on a host, one record a command: playbook and runbook are both made from these. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model import PublishedRpm


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A command for root's shell on a host, what it is for, and what to do where it ends otherwise.

    It must succeed, and where `prints` is given print one of these texts, line ends aside. `unless` is a command that
    succeeds where this one has nothing to do; without it, it only looks.
    """

    title: str
    command: str
    mend: str
    prints: tuple[str, ...] = ()
    unless: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """From what a host has to one set: `told` is its name for people, `move` what changes the packages.

    `first` must hold before the move, `newer` comes behind it where the host may have a later release than the set,
    `arrived` tells whether the host has the set, `running` whether it runs it.
    """

    told: str
    packages: tuple[PublishedRpm, ...]
    first: tuple[Step, ...]
    move: Step
    newer: tuple[Step, ...]
    arrived: tuple[Step, ...]
    running: tuple[Step, ...]

    @property
    def versions(self) -> str:
        """The version and release of what the host has then; several where they differ."""
        return ", ".join(dict.fromkeys(str(rpm.evr) for rpm in self.packages))


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """All that is typed on hosts, for one state of a repository.

    `ways` are by name: `upgrade`, and back to `vendor` and to `previous`, so far as the state has these sets.
    `base_url` is where hosts find the repository, empty where nobody told; `repository_elsewhere` takes another, from
    the shell's variable `baseurl`, and so does `repository` where the repository has no url.
    """

    about: str
    sources: tuple[str, ...]
    base_url: str
    warnings: tuple[str, ...]
    fingerprints: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    installed: Step
    idle: tuple[Step, ...]
    key: tuple[Step, ...]
    repository: Step
    repository_elsewhere: Step
    fresh: Step
    ways: dict[str, Way]
    off: Step
