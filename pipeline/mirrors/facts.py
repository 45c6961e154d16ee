# SPDX-License-Identifier: GPL-2.0-or-later
"""What a repository's pages, feed and host kit are made from: it comes from the state and the settings, not a clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.sets import Sets, sets_of
from pipeline.model import LogEntry, PublishedRpm
from pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What a target is published to: all places of it, the one that is read first."""

    settings: Settings
    target_name: str
    places: Sequence[Destination]

    @property
    def urls(self) -> tuple[str, ...]:
        """Where readers have each place's repository; empty where that is not told."""
        return tuple(place.url for place in self.places if place.url)

    @property
    def base_url(self) -> str:
        """Where hosts find the repository; on this machine it is a folder. Empty where that is not told."""
        if self.urls:
            return self.urls[0]
        return Path(self.places[0].address).absolute().as_uri() if self.places[0].is_local else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why hosts should not take these packages as they are, a sentence or two each."""
        signing = self.settings.signing
        told = [self.settings.targets[self.target_name].note]
        if not (signing.key or signing.key_file):
            told.append(
                "The packages are signed with a key for trying, which pipeline.toml does not name: no host should"
                " trust it."
            )
        if not self.urls and self.base_url:
            told.append(
                f"{self.base_url} is a folder of the machine that published it. For hosts an address belongs there:"
                " the mirror's url in pipeline.toml, or -e baseurl= for the playbook."
            )
        return tuple(each for each in told if each)

    @property
    def grace_seconds(self) -> float:
        """How long a reader may be at a former state."""
        return self.settings.retention.grace_hours * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryFacts:
    """One state of a repository: `packages` are all in it, `sets` what hosts go between, `log` ends with this state.

    `fingerprints` are those of the keys that hosts shall trust, the one that signed first.
    """

    channel: Channel
    revision: int
    packages: tuple[PublishedRpm, ...]
    sets: Sets
    fingerprints: tuple[str, ...]
    log: tuple[LogEntry, ...]


def facts_of(
    channel: Channel,
    revision: int,
    packages: Sequence[PublishedRpm],
    fingerprints: Iterable[str],
    log: Sequence[LogEntry],
) -> RepositoryFacts:
    """The facts of the state with these packages."""
    return RepositoryFacts(
        channel=channel,
        revision=revision,
        packages=tuple(packages),
        sets=sets_of(packages, packages),
        fingerprints=tuple(fingerprints),
        log=tuple(log),
    )
