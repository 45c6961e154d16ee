# SPDX-License-Identifier: GPL-2.0-or-later
"""The kit as a page for a person: the commands of the playbook, in order, with what each is for. Pure.

All but the commands is comment, so that a line, a part or the whole can go to root's shell as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.hostkit.comments import comment
from pipeline.hostkit.steps import Kit, Step, Way


def text(kit: Kit) -> str:
    """The page of a kit: what comes first, the upgrade, and each way back."""
    parts = [comment(*_opening(kit)), *_address(kit)]
    parts += [_head(1, "Before"), *_comments(kit.before), *map(_step, (kit.installed, *kit.idle))]
    parts += [_head(2, "The repository, on each host once"), *map(_step, (*kit.key, kit.repository))]
    for number, (name, way) in enumerate(kit.ways.items(), 3):
        parts += _way(kit, way, number, is_back=name != "upgrade")
    return "\n\n".join(parts) + "\n"


def nothing(about: str, why: str) -> str:
    return comment(about, why) + "\n"


def _opening(kit: Kit) -> Iterator[str]:
    yield f"{', '.join(kit.sources)} on hosts: {kit.about}"
    yield (
        "The commands of hosts.yml, for a person: in root's shell on one host, which has to prove itself before the"
        " others get the same. Lines that begin with # say what the next command is for. Where one ends otherwise than"
        " it should, stop: what mends it stands there."
    )
    yield from (f"WARNING: {each}" for each in kit.warnings)
    yield "The repository's keys have these fingerprints. Compare them with what you were told by another way:"
    yield from kit.fingerprints


def _address(kit: Kit) -> list[str]:
    """Where the repository is, for those commands that take it from the shell."""
    if kit.repository != kit.repository_elsewhere:
        return []
    told = "Where hosts find the repository: write its address here, in this shell, before all else."
    why = "This is a folder of the machine that published it." if kit.base_url else "Nobody told it."
    return [f'{comment(f"{told} {why}")}\n: "${{baseurl:={kit.base_url or "https://MIRROR"}}}"']


def _way(kit: Kit, way: Way, number: int, *, is_back: bool) -> Iterator[str]:
    told = f"{way.told}, {way.versions}"
    yield _head(number, f"Back to {told}: 1 and 2, then this" if is_back else f"To {told}, from what is older or newer")
    yield from map(_step, (*way.first, kit.fresh, way.move))
    yield from map(_guarded, way.newer)
    yield from map(_step, (*way.arrived, *way.running))
    if is_back:
        yield comment("The next command is to be left out where hosts shall go on using the repository.")
        yield _step(kit.off)
    yield from _comments(kit.after)


def _head(number: int, words: str) -> str:
    return comment(f"==== {number}. {words} ====")


def _comments(paragraphs: Iterable[str]) -> Iterator[str]:
    return map(comment, paragraphs)


def _step(step: Step) -> str:
    return f"{comment(f'{step.title}.{_expected(step.prints)} Otherwise: {step.mend}')}\n{step.command}"


def _guarded(step: Step) -> str:
    """A step that does nothing where there is nothing to do."""
    return _step(replace(step, command=f"{step.unless} ||\n{step.command}"))


def _expected(prints: tuple[str, ...]) -> str:
    if not prints:
        return ""
    told = " or ".join(" and ".join(each.split("\n")) if each else "nothing" for each in prints)
    return f" Prints {told}."
