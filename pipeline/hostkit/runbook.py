# SPDX-License-Identifier: GPL-2.0-or-later
"""The kit as a page for a person: the commands of the playbook, in order, with what each is for. Pure.

All but the commands is comment, so that a line, a part or the whole can go to root's shell as it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from pipeline.hostkit.steps import Kit, Step, Way
from pipeline.printable import printable

_WIDTH = 100


def text(kit: Kit) -> str:
    """The page of a kit: what comes first, the upgrade, and each way back."""
    parts = [_comment(*_opening(kit)), *_address(kit)]
    parts += [_head(1, "Before"), *_comments(kit.before), *map(_step, (kit.installed, *kit.idle))]
    parts += [_head(2, "The repository, on each host once"), *map(_step, (*kit.key, kit.repository))]
    for number, (name, way) in enumerate(kit.ways.items(), 3):
        parts += _way(kit, way, number, is_back=name != "upgrade")
    return "\n\n".join(parts) + "\n"


def nothing(about: str, why: str) -> str:
    return _comment(about, why) + "\n"


def _opening(kit: Kit) -> Iterator[str]:
    yield f"{', '.join(kit.sources)} on hosts: {kit.about}"
    yield (
        "The commands of hosts.yml, for a person: in root's shell on one host, which has to prove itself before the"
        " others get the same. Lines that begin with # say what the next command is for. Where one ends otherwise than"
        " it should, stop: what mends it stands there."
    )
    yield "The repository's keys have these fingerprints. Compare them with what you were told by another way:"
    yield from kit.fingerprints


def _address(kit: Kit) -> list[str]:
    if not kit.needs_base_url:
        return []
    told = "Nobody told where hosts find the repository: write its address here, in this shell, before all else."
    return [f'{_comment(told)}\n: "${{baseurl:=https://MIRROR}}"']


def _way(kit: Kit, way: Way, number: int, *, is_back: bool) -> Iterator[str]:
    told = f"{way.told}, {way.versions}"
    yield _head(number, f"Back to {told}: 1 and 2, then this" if is_back else f"Upgrade to {told}")
    yield from map(_step, (*way.first, kit.fresh, way.move, *way.arrived, *way.running))
    if is_back:
        yield _comment("The next command is to be left out where hosts shall go on using the repository.")
        yield _step(kit.off)
    yield from _comments(kit.after)


def _head(number: int, words: str) -> str:
    return _comment(f"==== {number}. {words} ====")


def _comments(paragraphs: Iterable[str]) -> Iterator[str]:
    return map(_comment, paragraphs)


def _step(step: Step) -> str:
    return f"{_comment(f'{step.title}.{_expected(step.prints)} Otherwise: {step.mend}')}\n{step.command}"


def _expected(prints: tuple[str, ...]) -> str:
    if not prints:
        return ""
    told = " or ".join(" and ".join(each.split("\n")) if each else "nothing" for each in prints)
    return f" Prints {told}."


def _comment(*paragraphs: str) -> str:
    """Text on lines that no shell acts upon."""
    return "\n".join(line for paragraph in paragraphs for line in _lines(paragraph))


def _lines(paragraph: str) -> Iterable[str]:
    shown = printable(paragraph, keep="")
    return textwrap.wrap(
        shown, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
