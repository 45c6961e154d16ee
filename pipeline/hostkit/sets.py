# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands about the packages of a set: which a host has, how they move together, whether they are there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from shlex import quote

from pipeline.hostkit import shell
from pipeline.hostkit.steps import Step
from pipeline.model import Evr, PublishedRpm
from pipeline.proof import steps as walk

Packages = tuple[PublishedRpm, ...]


def names(rpms: Iterable[PublishedRpm]) -> tuple[str, ...]:
    return tuple(sorted({rpm.name for rpm in rpms}))


def installed(rpms: Packages) -> Step:
    """What a host has of these, whatever its version."""
    return Step(
        title="See what is installed",
        command=f"{_query('%{NAME}-%{VERSION}-%{RELEASE}', names(rpms))} | grep .",
        mend="None of these packages is installed here: take the host out of the inventory, or install them first.",
    )


def arrived(rpms: Packages) -> tuple[Step, ...]:
    """Whether all of these that a host has are at their version and release."""
    groups: dict[Evr, list[PublishedRpm]] = {}
    for rpm in rpms:
        groups.setdefault(rpm.evr, []).append(rpm)
    # A host need not have packages of each source; that it has some is seen before.
    rest = ("",) if len(groups) > 1 else ()
    return tuple(_at(evr, group, rest) for evr, group in groups.items())


def _at(evr: Evr, rpms: Iterable[PublishedRpm], rest: tuple[str, ...]) -> Step:
    epoch = "%{EPOCH}:" if evr.epoch else ""
    return Step(
        title="Check that all packages are of one release",
        command=f"{_query(f'{epoch}%{{VERSION}}-%{{RELEASE}}', names(rpms))} | sort -u",
        prints=(str(evr), *rest),
        mend=f"Not all packages are at {evr}: `rpm -qa` tells which, `yum list` where others come from.",
    )


def have_arrived(steps: Iterable[Step]) -> str:
    """A command that succeeds where these steps print what they should."""
    return " && ".join(
        f"case $({step.command}) in {'|'.join(map(quote, step.prints))}) ;; *) false ;; esac" for step in steps
    )


def left_out(rpms: Packages, everything: Packages) -> tuple[Step, ...]:
    """Whether a host has packages that a set lacks: they would hold the others back."""
    lacking = sorted({*names(everything)} - {*names(rpms)})
    if not lacking:
        return ()
    return (
        Step(
            title="See that no package stays behind",
            command=_query("%{NAME}", lacking),
            prints=("",),
            mend="The set to go to lacks these packages, and they hold the others back: `yum remove` them first.",
        ),
    )


def upgrade(rpms: Packages) -> Step:
    return Step(
        title="Upgrade the packages",
        command=shell.line("yum", "-y", "upgrade", *walk.patterns(rpms)),
        mend="What yum printed says why; nothing is changed where it fails before it runs the transaction."
        " Mend it and do the same again, or go back.",
    )


def downgrade_newer(rpms: Packages) -> Step:
    """Behind an upgrade: what a host has of a later release, which a rollback took back, and no upgrade leaves."""
    rolled_back = downgrade(rpms)
    return replace(
        rolled_back,
        title="Downgrade what is newer: a host may have a release that was rolled back",
        mend=f"{rolled_back.mend} A package that the newer release alone has holds the others back:"
        f" {shell.line('rpm', '-qa', *walk.patterns(rpms))} tells it, and `yum remove` takes it away.",
    )


def downgrade(rpms: Packages) -> Step:
    """All that a host has of a set, in one transaction: its packages require each other at the exact release."""
    groups: dict[str, list[PublishedRpm]] = {}
    for rpm in rpms:
        groups.setdefault(f"-{rpm.evr}.{rpm.arch}", []).append(rpm)
    parts = [f"$({_query(f'%{{NAME}}{shell.query_literal(end)}', names(group))})" for end, group in groups.items()]
    return Step(
        title="Downgrade the packages",
        command=shell.folded(["yum -y downgrade", *parts]),
        mend="What yum printed says why; nothing is changed where it fails before it runs the transaction.",
    )


def _query(form: str, these: Iterable[str]) -> str:
    """Which of these packages a host has, in a form; nothing of those that it has not."""
    return shell.folded(["rpm -qa --qf", quote(f"{form}\\n"), *map(quote, these)])
