# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk of a host through a repository, in steps: what is typed, and what must be installed then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.model import PublishedRpm
from pipeline.proof.trial import Packages, Trial, for_hosts


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One command of a client: `words` are packages or patterns, `expected` is all of the sets that is there then.

    One that is `idle` must find nothing to do.
    """

    sentence: str
    verb: Literal["install", "upgrade", "downgrade"]
    words: tuple[str, ...]
    expected: Packages
    idle: bool = False


def plan(trial: Trial) -> tuple[Step, ...]:
    """The steps: from each earlier set to ours and back, then what only ours has, and at last nothing to do."""
    vendor, ours, previous = map(for_hosts, (trial.vendor, trial.ours, trial.previous))
    first, named = (vendor, "the vendor's set") if vendor else (previous, "our previous release")
    steps: list[Step] = []
    if first:
        steps.append(_step(f"install {named}", "install", first))
        steps += _there_and_back(first, ours, first, named)
        if vendor and previous:
            steps += _back_and_there(first, ours, previous, "our previous release")
    new = tuple(rpm for rpm in ours if rpm.name not in _names(first))
    if new:
        told = "install what our release has besides" if first else "install our release"
        steps.append(Step(sentence=told, verb="install", words=_exact(new), expected=ours))
    idle = Step(
        sentence="upgrade once more, with nothing to do",
        verb="upgrade",
        words=patterns(ours),
        expected=ours,
        idle=True,
    )
    return (*steps, idle)


def patterns(rpms: Iterable[PublishedRpm]) -> tuple[str, ...]:
    """What a person types to upgrade these: `vdsm*` by the source's name, and the full names that it does not cover."""
    words: dict[str, None] = {}
    for rpm in rpms:
        covered = rpm.source and rpm.name.startswith(rpm.source)
        words[f"{rpm.source}*" if covered else rpm.name] = None
    return tuple(words)


def _there_and_back(first: Packages, ours: Packages, back: Packages, named: str) -> Iterator[Step]:
    yield _upgrade("upgrade to our release", first, ours)
    yield from _back_and_there(first, ours, back, named)


def _back_and_there(first: Packages, ours: Packages, back: Packages, named: str) -> Iterator[Step]:
    there = tuple(rpm for rpm in back if rpm.name in _names(first))
    yield _step(f"downgrade to {named}", "downgrade", there)
    yield _upgrade(f"upgrade again from {named}", first, ours)


def _upgrade(sentence: str, first: Packages, ours: Packages) -> Step:
    expected = tuple(rpm for rpm in ours if rpm.name in _names(first))
    return Step(sentence=sentence, verb="upgrade", words=patterns(first), expected=expected)


def _step(sentence: str, verb: Literal["install", "downgrade"], rpms: Packages) -> Step:
    return Step(sentence=sentence, verb=verb, words=_exact(rpms), expected=rpms)


def _exact(rpms: Packages) -> tuple[str, ...]:
    """Packages as both yum and dnf take them: name, epoch where there is one, version, release, arch."""
    return tuple(rpm.nevra for rpm in rpms)


def _names(rpms: Packages) -> frozenset[str]:
    return frozenset(rpm.name for rpm in rpms)
