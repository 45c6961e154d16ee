# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mails make the series, and which package each of them is for. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from pipeline.errors import PatchError, UsageError
from pipeline.importing import diffs
from pipeline.importing.mails import Envelope, PatchMail

_SHOWN = 6
_PATH = re.compile(rb"(?:--- |\+\+\+ |rename (?:from|to) |copy (?:from|to) )([^\t]+)")
_GIT_PATHS = re.compile(rb"diff --git (.+)")


def version_of(envelopes: Sequence[Envelope], wanted: int | None) -> tuple[int, tuple[int, ...]]:
    """The newest version of the series, or the one that is asked for, and those that are left aside.

    Raises: PatchError where no mail is a patch, UsageError for a version that is not there.
    """
    versions = sorted({each.version for each in envelopes if each.number > 0})
    if not versions:
        raise PatchError(
            "no-patches",
            f"none of the {len(envelopes)} mails is tagged as a patch",
            hint="export the thread as an mbox, with the mails as they were sent",
        )
    chosen = versions[-1] if wanted is None else wanted
    if chosen not in versions:
        raise UsageError(
            "no-such-version",
            f"the mbox has no version {chosen} of the series",
            hint=f"it has {', '.join(f'v{each}' for each in versions)}",
        )
    return chosen, tuple(each for each in versions if each != chosen)


def by_package(
    mails: Sequence[PatchMail], packages: Collection[str], *, single: str = "", names: Mapping[str, str]
) -> dict[str, tuple[PatchMail, ...]]:
    """One version of the series, in order, taken apart by package.

    A patch without a tag is for the package `single`, if one is named; `names` are what other tags mean.
    Raises: PatchError for a series that is not whole or belongs to nobody.
    """
    found: dict[str, tuple[PatchMail, ...]] = {}
    for mail in _whole(mails):
        refuse_outside(mail)
        package = _package(mail, packages, single, names)
        found[package] = (*found.get(package, ()), mail)
    return found


def _whole(mails: Sequence[PatchMail]) -> list[PatchMail]:
    """The mails in order, each number once. Raises: PatchError for numbers that are missing, or are two patches."""
    if not mails:
        raise PatchError(
            "no-patches",
            "the mails that are tagged as patches bear no diff",
            hint="look whether a mailer cut them: a line that begins with 'From ' ends a mail in an mbox",
        )
    totals = sorted({mail.envelope.total for mail in mails})
    if len(totals) > 1:
        raise PatchError(
            "series-mixed",
            f"there are patches of series of different lengths ({', '.join(map(str, totals))})",
            hint="leave one thread in the mbox",
        )
    by_number: dict[int, PatchMail] = {}
    for mail in mails:
        other = by_number.setdefault(mail.envelope.number, mail)
        if (other.diff, other.subject) != (mail.diff, mail.subject):
            raise PatchError(
                "number-twice",
                f"two patches have the number {mail.envelope.number}: '{other.subject}' and '{mail.subject}'",
                hint="leave the one that is meant in the mbox",
            )
    missing = [number for number in range(1, totals[0] + 1) if number not in by_number]
    beyond = [number for number in by_number if number > totals[0]]
    if missing or beyond:
        what = f"lacks {_listed(missing)}" if missing else f"has a number {beyond[0]}"
        raise PatchError(
            "series-not-whole",
            f"the series of {totals[0]} patches {what}",
            hint="get the mails that are missing; --version N takes another version of the series",
        )
    return [by_number[number] for number in sorted(by_number)]


def _package(mail: PatchMail, packages: Collection[str], single: str, names: Mapping[str, str]) -> str:
    """The package that a patch is for. Raises: PatchError."""
    told = tuple(dict.fromkeys(names.get(word, word) for word in mail.envelope.repositories))
    known = [word for word in told if word in packages]
    if len(known) > 1:
        raise PatchError(
            "patch-of-two",
            f"'{mail.subject}' ({mail.place}) is tagged for {' and '.join(known)}: it cannot be for both",
            hint="split it into a patch for each of them",
        )
    if known:
        return known[0]
    if not told and single:
        return single
    if not told:
        raise PatchError(
            "patch-of-nobody",
            f"'{mail.subject}' ({mail.place}) has no tag that says where it belongs",
            hint="name the package that all such are for: --package NAME",
        )
    near = get_close_matches(told[0], packages, n=1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    raise PatchError(
        "no-such-package",
        f"'{mail.subject}' ({mail.place}) is for {_listed(told)}, and there is no such package",
        hint=f"{meant}known: {', '.join(packages)}; add it to pipeline.toml, or say what the tag means: "
        f"--as {told[0]}=PACKAGE",
    )


def refuse_outside(mail: PatchMail) -> None:
    """Raises: PatchError for a patch that names a file outside of the tree that it is applied to."""
    named: list[str] = []
    for line in diffs.headers(mail.diff):
        if match := _PATH.match(line):
            named.append(match[1].decode(errors="replace"))
        elif match := _GIT_PATHS.match(line):
            named += match[1].decode(errors="replace").split(" ")
    for name in (each.strip('"') for each in named):
        if name != "/dev/null" and (name.startswith("/") or ".." in name.split("/") or ".git" in name.split("/")):
            raise PatchError(
                "patch-outside",
                f"'{mail.subject}' ({mail.place}) names {name}, which is outside of its source",
                hint="nothing of the series was taken: look at that mail before anything else",
            )


def _listed(names: Iterable[object]) -> str:
    told = [str(name) for name in names]
    return ", ".join(told[:_SHOWN]) + (f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")
