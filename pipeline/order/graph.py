# SPDX-License-Identifier: GPL-2.0-or-later
"""Package -> the packages of the same run that it is built on. Pure.

The order comes from the specs and from `provides` of the settings alone, so that it is the same on every machine. What
a build turns out to provide decides nothing: where another package asks for it, `refuse_unsaid` tells what to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter

from pipeline.errors import OrderError
from pipeline.gate.relations import overlap
from pipeline.model import BinaryRelations, Relations
from pipeline.rpmheaders import Dependency

Needs = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Giver:
    """A binary package that gives a capability, and the package that it is made of."""

    package: str
    binary: BinaryRelations
    given: Dependency


# The same few are asked for by many.
_read = lru_cache(maxsize=65536)(Dependency.read)
_overlap = lru_cache(maxsize=65536)(overlap)


def needs_of(relations: Mapping[str, Relations]) -> dict[str, tuple[str, ...]]:
    """Package -> the sorted packages that must be built before it, since they are installed where it is built.

    These are the makers of what it requires to be built, and of what those require when they are installed. A package
    that requires what it makes itself needs nobody for that.

    Raises: OrderError for two packages that make one RPM, for a cycle, and for a requirement that nobody has.
    """
    _refuse_two_makers(relations)
    givers = _givers(relations)
    _refuse_missing(relations, givers)
    needs = {package: _needs(package, relations[package], givers) for package in sorted(relations)}
    order_of(needs)
    return needs


def guessed(unread: Iterable[str], relations: Mapping[str, Relations]) -> dict[str, Relations]:
    """What packages may give whose own specs could not be read: what others ask for under their names.

    So what is built on a package that failed before its spec was at hand, or that was never built here, is not built
    without it. What the engine is known to have is nobody's.
    """
    asked = sorted({text for told in relations.values() for text in told.missing or told.build_requires})
    return {
        name: Relations(
            packages=(BinaryRelations(name=name, provides=tuple(filter(_named_like(name), asked))),), build_requires=()
        )
        for name in unread
    }


def order_of(needs: Needs) -> tuple[str, ...]:
    """The packages, each behind all that it needs. Raises: OrderError for a cycle."""
    try:
        return tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        # Each is needed by the next; people read it the other way round.
        cycle = _from_the_first(list(reversed(error.args[1][1:])))
        raise OrderError(
            "cycle",
            f"packages need each other to be built: {' -> '.join([*cycle, cycle[0]])}",
            hint="take one BuildRequires of these out of a spec; or a package out of pipeline.toml, to have it from the"
            " image",
        ) from None


def needed_by(needs: Needs, package: str) -> frozenset[str]:
    """All that cannot be built without the package, at any distance."""
    found: set[str] = set()
    pending = [package]
    while pending:
        name = pending.pop()
        behind = {each for each, needed in needs.items() if name in needed} - found
        found |= behind
        pending.extend(behind)
    return frozenset(found - {package})


def refuse_unsaid(relations: Mapping[str, Relations], built: Mapping[str, Iterable[str]]) -> None:
    """Refuse an order that was made without knowing what a build has shown.

    `built` is what the RPMs of a package provide. Raises: OrderError with the line that the settings lack.
    """
    said = _givers(relations)
    for maker, capabilities in sorted(built.items()):
        shown: dict[str, list[Dependency]] = {}
        for each in map(_read, capabilities):
            shown.setdefault(each.name, []).append(each)
        for package in sorted(set(relations) - {maker}):
            for wanted in map(_read, relations[package].build_requires):
                fits = any(_overlap(each, wanted) for each in shown.get(wanted.name, ()))
                if fits and not any(giver.package == maker for giver in said.get(wanted.name, ())):
                    raise OrderError(
                        "order-unsaid",
                        f"{package} requires {wanted.name} to be built, which {maker} turned out to provide:"
                        " nobody knew that it comes first",
                        hint=f'write provides = ["{wanted.name}"] under [packages.{maker}] in pipeline.toml',
                    )


def _named_like(package: str) -> Callable[[str], bool]:
    """Whether a requirement reads like one for that package: `x`, `x-devel`, `pkgconfig(x)`."""
    pattern = re.compile(rf"(?:\w+\()?{re.escape(package)}(?:$|[-\s(.)])")
    return lambda text: pattern.match(text) is not None


def _needs(package: str, relations: Relations, givers: Mapping[str, list[_Giver]]) -> tuple[str, ...]:
    installed: dict[str, str] = {}
    pending = list(relations.build_requires)
    while pending:
        wanted = _read(pending.pop())
        for giver in givers.get(wanted.name, ()):
            if giver.package != package and giver.binary.name not in installed and _overlap(giver.given, wanted):
                installed[giver.binary.name] = giver.package
                pending.extend(giver.binary.requires)
    return tuple(sorted(set(installed.values())))


def _givers(relations: Mapping[str, Relations]) -> dict[str, list[_Giver]]:
    """Capability -> all that give it. Whatever the settings say of a package may be in any of its binary packages."""
    found: dict[str, list[_Giver]] = {}
    for package, told in sorted(relations.items()):
        for binary in told.packages:
            for given in map(_read, (*binary.provides, *told.provides)):
                found.setdefault(given.name, []).append(_Giver(package=package, binary=binary, given=given))
    return found


def _refuse_two_makers(relations: Mapping[str, Relations]) -> None:
    makers: dict[str, str] = {}
    for package, told in sorted(relations.items()):
        for name in told.makes:
            if makers.setdefault(name, package) != package:
                raise OrderError(
                    "two-makers",
                    f"{makers[name]} and {package} both make an RPM of the name {name}",
                    hint="take the subpackage out of one of the specs, or one of the packages out of the run",
                )


def _refuse_missing(relations: Mapping[str, Relations], givers: Mapping[str, list[_Giver]]) -> None:
    for package, told in sorted(relations.items()):
        for text in told.missing:
            wanted = _read(text)
            there = givers.get(wanted.name, ())
            if any(_overlap(giver.given, wanted) for giver in there):
                continue
            others = ", ".join(sorted({f"{giver.package} has {giver.given}" for giver in there}))
            raise OrderError(
                "nobody-has",
                f"{package} requires {text} to be built, and nobody has it: not the engine, no package of this run"
                f"{f' ({others})' if others else ''}",
                hint="install it into the image (containers/); or, if a package of pipeline.toml makes it, have that in"
                " the run and name it under its `provides`",
            )


def _from_the_first(cycle: list[str]) -> list[str]:
    """The same cycle, wherever it was found."""
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
