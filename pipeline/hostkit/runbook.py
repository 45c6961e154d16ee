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
    """The page of a kit: the upgrade, and each way back."""
    parts = [_comment(*_opening(kit)), *_address(kit)]
    for number, (name, way) in enumerate(kit.ways.items(), 1):
        parts += _way(kit, way, number, is_back=name != "upgrade")
    return "\n\n".join(parts) + "\n"


def nothing(about: str, why: str) -> str:
    return _comment(about, why) + "\n"


def _opening(kit: Kit) -> Iterator[str]:
    yield f"{', '.join(kit.sources)} on hosts: {kit.about}"
    yield (
        "The commands of hosts.yml, for a person: root's shell on one host, which has to prove itself before the others"
        " get the same. Lines that begin with # say what the next command is for. Where a command ends otherwise than"
        " it says, stop there: what mends it stands with it."
    )
    yield "The repository's keys have these fingerprints. Compare them with what you were told by another way:"
    yield from kit.fingerprints


def _address(kit: Kit) -> list[str]:
    if not kit.needs_base_url:
        return []
    told = "Nobody told where hosts find the repository: write its address here, in this shell, before all else."
    return [f'{_comment(told)}\n: "${{baseurl:=https://MIRROR}}"']


def _way(kit: Kit, way: Way, number: int, *, is_back: bool) -> Iterator[str]:
    head = "Back to" if is_back else "Upgrade to"
    yield _comment(f"==== {number}. {head} {way.told}: {way.versions} ====", *kit.before)
    steps = [kit.installed, *kit.idle, *way.first, *kit.key, kit.repository, kit.fresh, way.move, *way.arrived]
    yield from map(_step, [*steps, *way.running])
    if is_back:
        told = "So that the next `yum update` does not bring what was left; leave it out to stay with the repository."
        yield f"{_comment(told)}\n{_step(kit.off)}"
    yield _comment(*kit.after, "Try this host. Then the next one, or stop.")


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
