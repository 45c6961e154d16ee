# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packages require of a host: all that nothing among themselves is meant to meet, and what would meet it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.rpmheaders import Dependency, Header

# Who reads them: rpm itself, and clients that know conditions, which rpm 4.8 does not.
_MET_BY_NOBODY = ("rpmlib(", "(")
_LOWEST = "0"


def of_the_host(headers: Sequence[Header]) -> tuple[Dependency, ...]:
    """The requirements that a host must meet, each once.

    What a package of the sets provides under any version is theirs to meet, and so is what one requires at its own
    version and release: there the client is to find what is wrong.
    """
    own = {provided.name for header in headers for provided in header.relations["provides"]}
    own |= {name for header in headers for name in header.files}
    found = {
        required
        for header in headers
        for required in header.relations["requires"]
        if required.name not in own
        and not required.name.startswith(_MET_BY_NOBODY)
        and not (required.operator == "=" and required.evr == str(header.evr))
    }
    return tuple(sorted(found, key=str))


def provided_for(required: Sequence[Dependency], headers: Iterable[Header]) -> tuple[Dependency, ...]:
    """What a host would have to provide: for each name one version that meets all, and that nothing conflicts with.

    Where no version does, each requirement gets one of its own: the client then tells what conflicts.
    """
    conflicts = [conflict for header in headers for conflict in header.relations["conflicts"]]
    names = dict.fromkeys(each.name for each in required)
    return tuple(
        provided
        for name in names
        for provided in _provided(
            [each for each in required if each.name == name], [each for each in conflicts if each.name == name]
        )
    )


def meets(provided: Dependency, required: Dependency) -> bool:
    """Whether a provided name fits, as a client judges it: no version meets none but those without.

    Source: libsolv, which dnf uses; a release is compared where both have one.
    """
    if provided.name != required.name:
        return False
    if not required.operator:
        return True
    if not provided.operator:
        return False
    order = compare(provided.evr, required.evr)
    return (order < 0 and "<" in required.operator) or (order > 0 and ">" in required.operator) or (
        order == 0 and "=" in required.operator
    )  # fmt: skip


def compare(left: str, right: str) -> int:
    """-1, 0 or 1 as rpm orders two versions, with or without epoch and release."""
    import rpm  # late: it loads the system's binding

    (epoch, version, release), (other_epoch, other_version, other_release) = _parts(left), _parts(right)
    with_release = bool(release and other_release)
    order: int = rpm.labelCompare(
        (epoch, version, release if with_release else ""), (other_epoch, other_version, other_release * with_release)
    )
    return order


def _provided(required: Sequence[Dependency], conflicts: Sequence[Dependency]) -> Iterator[Dependency]:
    candidates = list(_candidates(required, conflicts))
    for candidate in candidates:
        if all(meets(candidate, each) for each in required) and not any(meets(candidate, each) for each in conflicts):
            yield candidate
            return
    fitting = [next((one for one in candidates if meets(one, each)), None) for each in required]
    yield from dict.fromkeys(one for one in fitting if one is not None)


def _candidates(required: Sequence[Dependency], conflicts: Sequence[Dependency]) -> Iterator[Dependency]:
    """No version, each that is named, one just above it, and the lowest of all."""
    name = required[0].name
    yield Dependency(name=name)
    bounds = dict.fromkeys(each.evr for each in (*required, *conflicts) if each.evr)
    for evr in (*bounds, *(f"{evr}.1" for evr in bounds), _LOWEST):
        yield Dependency(name=name, operator="=", evr=evr)


def _parts(evr: str) -> tuple[str, str, str]:
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    return epoch or "0", version, release
