# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard: what rpm takes for an upgrade is let through, and all else is told in rpm's own order."""

from __future__ import annotations

import pytest

from pipeline import guard
from pipeline.errors import ReleaseError
from pipeline.model import Evr, PublishedRpm


def evr(release: str, *, version: str = "4.16.30", epoch: int = 0) -> Evr:
    return Evr(epoch=epoch, version=version, release=release)


def rpm(release: str, name: str = "vdsm", arch: str = "x86_64", *, version: str = "4.16.30", epoch: int = 0,
        source: str = "vdsm") -> PublishedRpm:  # fmt: skip
    return PublishedRpm(name=name, evr=evr(release, version=version, epoch=epoch), arch=arch, href="x", size_bytes=1,
                        sha256="0" * 64, source=source)  # fmt: skip


NEW = "0.el6.label.904"


def refusal(new: list[PublishedRpm], published: list[PublishedRpm]) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        guard.refuse_older(new, published)
    assert caught.value.exit_code == 15
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "there",
    [
        rpm("0.el6.label.903"),
        rpm("0.el6.label.99"),
        rpm("0.el6"),
        rpm("0.el6.abel.2000"),
        rpm("0.el6.label.905", "vdsm-cli", "noarch"),
        rpm("0.el6.label.905", arch="src"),
        rpm("9.el6", version="4.16.29"),
    ],
    ids=str,
)
def test_a_release_that_hosts_would_upgrade_to_is_taken(there):
    guard.refuse_older([rpm(NEW)], [there])


def test_nothing_published_is_beaten():
    guard.refuse_older([rpm(NEW)], [])
    guard.refuse(evr(NEW), [])


@pytest.mark.parametrize(
    ("there", "told", "order"),
    [
        (rpm("0.el6.label.905"), "4.16.30-0.el6.label.905", "<"),
        (rpm("0.el6.label.1000"), "4.16.30-0.el6.label.1000", "<"),
        (rpm("0.el6.mabel.1"), "4.16.30-0.el6.mabel.1", "<"),
        (rpm("0.el6.label.905", arch="noarch"), "4.16.30-0.el6.label.905", "<"),
        (rpm(NEW, arch="noarch"), "4.16.30-0.el6.label.904", "="),
        (rpm("0.el6.label.1", epoch=1), "1:4.16.30-0.el6.label.1", "<"),
    ],
    ids=str,
)
def test_a_release_that_does_not_beat_all_that_are_published_is_refused(there, told, order):
    older = rpm("0.el6.label.1")
    tail = f"rpm's order is 4.16.30-{NEW} < {told}" if order == "<" else f"both are 4.16.30-{NEW}"
    for published in ([older, there], [there, older]):
        error = refusal([rpm(NEW, "other"), rpm(NEW)], published)
        assert error.reference == "not-newer"
        assert error.message == (
            f"vdsm: 4.16.30-{NEW} does not beat {told}, which the mirror has: hosts would keep that ({tail})"
        )
        assert "its label before its number" in error.hint


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (rpm("1.el6"), "vdsm-4.16.30-1.el6"),
        (rpm("0.el6", version="4.16.31"), "vdsm-4.16.31-0.el6"),
        (rpm("0.el6", version="4.17"), "vdsm-4.17-0.el6"),
        (rpm("0.el5", epoch=1), "vdsm-1:4.16.30-0.el5"),
    ],
    ids=str,
)
def test_a_vendor_s_release_that_beats_ours_is_named_as_the_vendor_s(there, told):
    for published in ([rpm("0.el6"), there], [there, rpm("0.el6")]):
        error = refusal([rpm(NEW)], published)
        assert error.reference == "vendor-newer"
        assert error.message.startswith(f"the vendor's {told} is published and beats our 4.16.30-{NEW}: ")
        assert error.message.endswith(f"(rpm's order is 4.16.30-{NEW} < {there.evr})")
        assert "rebase the series" in error.hint


def test_our_epoch_decides_too():
    guard.refuse_older([rpm(NEW, epoch=1)], [rpm("1.el6", version="9")])


def test_the_highest_of_those_that_are_not_beaten_is_told():
    there = [rpm("0.el6.label.905"), rpm("0.el6.label.1000"), rpm("0.el6.label.999")]
    for published in (there, there[::-1]):
        assert "does not beat 4.16.30-0.el6.label.1000," in refusal([rpm(NEW)], published).message


def test_source_packages_are_compared_among_themselves():
    published = [rpm("0.el6.label.905", arch="src"), rpm("0.el6.label.903")]
    guard.refuse_older([rpm(NEW)], published)
    assert "does not beat 4.16.30-0.el6.label.905" in refusal([rpm(NEW, arch="src")], published).message


def test_what_is_published_already_may_be_put_there_again_below_something_newer():
    guard.refuse_older([rpm(NEW)], [rpm(NEW), rpm("0.el6.label.905")])


def test_rivals_are_those_of_the_same_source_but_one_release():
    ours, cli, mom = rpm(NEW), rpm("0.el6.label.903", "vdsm-cli"), rpm("9", "mom", source="mom")
    assert guard.rivals([ours, cli, mom], "vdsm") == [ours, cli]
    assert guard.rivals([ours, cli, mom], "vdsm", but=evr(NEW)) == [cli]
