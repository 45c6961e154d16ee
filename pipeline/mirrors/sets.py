# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages of a repository belong together: our release, the vendor's, and our release before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline import release
from pipeline.model import PublishedRpm

# What stands in commands of hosts as it is. Others name their packages as they like: `--pipe=reboot`, or `*`.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_PART = re.compile(r"[A-Za-z0-9._+~^]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sets:
    """What a host goes between: our release, the vendor's packages, and our release before."""

    ours: tuple[PublishedRpm, ...]
    vendor: tuple[PublishedRpm, ...] = ()
    previous: tuple[PublishedRpm, ...] = ()

    @property
    def before(self) -> tuple[PublishedRpm, ...]:
        """What hosts had before our release: our previous one, and the vendor's of a package that came later.

        Nothing where no package has a previous release: then the vendor's set is all that was.
        """
        had = {rpm.source for rpm in self.previous}
        return (*self.previous, *(rpm for rpm in self.vendor if had and rpm.source not in had))


def sets_of(new: Iterable[PublishedRpm], everything: Iterable[PublishedRpm]) -> Sets:
    """What comes to a repository, as a client tries it: of each source package of ours among the `new` its highest
    release, the one before it, and the vendor's.

    `everything` is all that the repository has then. Without a release of ours among the new there is nothing to try.
    What no command could name is in none of the sets.
    """
    new, everything = filter(is_nameable, new), tuple(filter(is_nameable, everything))
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


def is_nameable(rpm: PublishedRpm) -> bool:
    """Whether a command of a host means this package by its name and nothing else: no option, and no pattern."""
    names, parts = (rpm.name, rpm.source), (rpm.evr.version, rpm.evr.release, rpm.arch)
    return all(map(_NAME.fullmatch, names)) and all(map(_PART.fullmatch, parts))


def left_out(everything: Iterable[PublishedRpm]) -> str:
    """A sentence on the packages that belong in the sets and are kept out of them; empty where there are none."""
    rpms = tuple(everything)
    ours = {rpm.source for rpm in rpms if _number(rpm) is not None}
    odd = [rpm for rpm in rpms if rpm.source in ours and not is_nameable(rpm)]
    more = f" ({len(odd)} such packages)" if len(odd) > 1 else ""
    return f"'{odd[0].nevra}' is no name for a command: hosts are not taken to it{more}" if odd else ""


def _number(rpm: PublishedRpm) -> int | None:
    return release.number_in(rpm.evr.release)
