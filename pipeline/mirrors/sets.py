# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages of a repository belong together: our release, the vendor's, and our release before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline import release
from pipeline.model import PublishedRpm


@dataclass(frozen=True, kw_only=True, slots=True)
class Sets:
    """What a host goes between: our release, the vendor's packages, and our release before."""

    ours: tuple[PublishedRpm, ...]
    vendor: tuple[PublishedRpm, ...] = ()
    previous: tuple[PublishedRpm, ...] = ()


def sets_of(new: Iterable[PublishedRpm], everything: Iterable[PublishedRpm]) -> Sets:
    """What comes to a repository, as a client tries it: of each source package of ours among the `new` its highest
    release, the one before it, and the vendor's.

    `everything` is all that the repository has then. Without a release of ours among the new there is nothing to try.
    """
    ours: list[PublishedRpm] = []
    vendor: list[PublishedRpm] = []
    previous: list[PublishedRpm] = []
    for source in sorted({rpm.source for rpm in new if _number(rpm) is not None}):
        own = [rpm for rpm in everything if rpm.source == source]
        numbers = sorted({number for rpm in own if (number := _number(rpm)) is not None}, reverse=True)
        ours += [rpm for rpm in own if _number(rpm) == numbers[0]]
        previous += [rpm for rpm in own if _number(rpm) in numbers[1:2]]
        vendor += [rpm for rpm in own if _number(rpm) is None]
    return Sets(ours=tuple(ours), vendor=tuple(vendor), previous=tuple(previous))


def _number(rpm: PublishedRpm) -> int | None:
    return release.number_in(rpm.evr.release)
