# SPDX-License-Identifier: GPL-2.0-or-later
"""Package -> the packages of the same run that it is built on. Pure.

The order comes from the specs and from `provides` of the settings alone, so that it is the same on every machine. What
a build turns out to provide decides nothing: where another package asks for it, `refuse_unsaid` tells what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What each package is built on, and why some cannot be built at all; these wait for nobody."""

    needs: dict[str, tuple[str, ...]]
    faults: dict[str, OrderError]


def order_among(relations: Mapping[str, Relations]) -> Order:
    """Package -> the sorted packages that must be built before it, since they are installed where it is built.

    These are the makers of what it requires to be built, and of what those require when they are installed. A package
    that requires what it makes itself needs nobody for that. At fault are two packages that make one RPM, one that
    requires what nobody has, and all of a cycle.
    """
    givers = _givers(relations)
    needs = {package: _needs(package, relations[package], givers) for package in sorted(relations)}
    faults: dict[str, OrderError] = {}
    for packages, error in (*_two_makers(relations), *_missing(relations, givers), *_cycles(needs)):
        for package in packages:
            faults.setdefault(package, error)
    return Order(needs={name: () if name in faults else needed for name, needed in needs.items()}, faults=faults)


def guessed(unread: Iterable[str], relations: Mapping[str, Relations]) -> dict[str, Relations]:
    """What packages may give whose own specs could not be read: what others ask for under their names.

    So what is built on a package that failed before its spec was at hand, or that was never built here, is not built
    without it. What others give, or the engine is known to have, is not theirs, nor what has another package's longer
    name.
    """
    names = {*unread}
    there = _givers(relations)
    asked = {text for told in relations.values() for text in told.missing or told.build_requires}
    given: dict[str, list[str]] = {name: [] for name in names}
    for text in sorted(text for text in asked if _read(text).name not in there):
        owner = max((name for name in {*names, *relations} if _is_named_like(name, text)), key=len, default="")
        if owner in given:
            given[owner].append(text)
    return {
        name: Relations(packages=(BinaryRelations(name=name, provides=tuple(texts)),), build_requires=())
        for name, texts in given.items()
    }


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


def _is_named_like(package: str, requirement: str) -> bool:
    """Whether a requirement reads like one for that package: `x`, `x-devel`, `pkgconfig(x)`."""
    return re.match(rf"(?:\w+\()?{re.escape(package)}(?:$|[-\s(.)])", requirement) is not None


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


def _two_makers(relations: Mapping[str, Relations]) -> Iterator[tuple[tuple[str, ...], OrderError]]:
    makers: dict[str, str] = {}
    for package, told in sorted(relations.items()):
        for name in told.makes:
            if makers.setdefault(name, package) != package:
                yield (
                    (makers[name], package),
                    OrderError(
                        "two-makers",
                        f"{makers[name]} and {package} both make an RPM of the name {name}",
                        hint="take the subpackage out of one of the specs, or one of the packages out of the run",
                    ),
                )


def _missing(
    relations: Mapping[str, Relations], givers: Mapping[str, list[_Giver]]
) -> Iterator[tuple[tuple[str, ...], OrderError]]:
    for package, told in sorted(relations.items()):
        lacking = [text for text in told.missing if not _has_giver(text, givers)]
        if lacking:
            yield (package,), _nobody_has(package, lacking, givers)


def _nobody_has(package: str, lacking: Sequence[str], givers: Mapping[str, list[_Giver]]) -> OrderError:
    near = sorted(
        {f"{giver.package} has {giver.given}" for text in lacking for giver in givers.get(_read(text).name, ())}
    )
    others, them = f" ({', '.join(near)})" if near else "", "it" if len(lacking) == 1 else "them"
    return OrderError(
        "nobody-has",
        f"{package} requires {', '.join(lacking)} to be built, and nobody has {them}: not the engine, no package of"
        f" this run{others}",
        hint="install it into the image (containers/); or, if a package of pipeline.toml makes it, have that in"
        " the run and name it under its `provides`",
    )


def _has_giver(text: str, givers: Mapping[str, list[_Giver]]) -> bool:
    wanted = _read(text)
    return any(_overlap(giver.given, wanted) for giver in givers.get(wanted.name, ()))


def _cycles(needs: Needs) -> Iterator[tuple[tuple[str, ...], OrderError]]:
    """Each cycle with its packages; those that only need one of these are none of it."""
    left = dict(needs)
    while cycle := _first_cycle(left):
        yield cycle, _cycle_error(cycle)
        left = {name: tuple(need for need in needed if need not in cycle)
                for name, needed in left.items() if name not in cycle}  # fmt: skip


def _cycle_error(cycle: tuple[str, ...]) -> OrderError:
    return OrderError(
        "cycle",
        f"packages need each other to be built: {' -> '.join([*cycle, cycle[0]])}",
        hint="take one BuildRequires of these out of a spec; or a package out of pipeline.toml, for the image's",
    )


def _first_cycle(needs: Needs) -> tuple[str, ...]:
    """Its packages, each of which needs the next one; none where there is an order."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        # Each is needed by the next; people read it the other way round.
        cycle = list(reversed(error.args[1][1:]))
        first = cycle.index(min(cycle))  # the same, wherever it was found
        return (*cycle[first:], *cycle[:first])
    return ()


def near_misses(relations: Mapping[str, Relations]) -> tuple[str, ...]:
    """What packages require of each other in a version that the other has not, where nobody checks it, in sentences."""
    givers = _givers(relations)
    found = []
    for package, told in sorted(relations.items()):
        for text in told.build_requires:
            there = givers.get(_read(text).name, ())
            if there and not _has_giver(text, givers):
                have = ", ".join(sorted({f"{giver.package} has {giver.given}" for giver in there}))
                found.append(f"{package} requires {text} to be built, and is not built on it: {have}")
    return tuple(found)
