# SPDX-License-Identifier: GPL-2.0-or-later
"""Where built packages go in the repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PublishError
from pipeline.mirrors import placement
from pipeline.mirrors.placement import Placed
from pipeline.model import Evr, File, PublishedRpm, Rpm


def built(name: str = "vdsm", arch: str = "x86_64", sha256: str = "a" * 64, epoch: int = 0, release: str = "1") -> Rpm:
    path = Path("el6/vdsm/signed") / f"{name}-4.16.30-{release}.{arch}.rpm"
    return Rpm(file=File(path=path, size_bytes=7, sha256=sha256), name=name,
               evr=Evr(epoch=epoch, version="4.16.30", release=release), arch=arch)  # fmt: skip


@pytest.fixture
def place(make_context, monkeypatch) -> Callable[..., Placed]:
    """Places a package among those that are there; contents are the same where the digests are."""
    monkeypatch.setattr(
        "pipeline.mirrors.published.is_same_content",
        lambda path, there, context: there.sha256 in (path.read_text() if path.is_file() else "", "a" * 64),
    )

    def run(rpm: Rpm, *there: PublishedRpm) -> Placed:
        return placement.Finder(there={each.nevra: each for each in there}, context=make_context()).place(rpm)

    return run


def test_packages_lie_by_architecture_and_sources_apart(place) -> None:
    rpms = (built(arch="src"), built(), built("vdsm-cli", "noarch"))
    assert [place(rpm).published.href for rpm in rpms] == [
        "SRPMS/vdsm-4.16.30-1.src.rpm",
        "x86_64/vdsm-4.16.30-1.x86_64.rpm",
        "noarch/vdsm-cli-4.16.30-1.noarch.rpm",
    ]
    assert all(place(rpm).is_new for rpm in rpms)


def test_a_published_package_stays_where_it_is(place) -> None:
    elsewhere = replace(place(built()).published, href="old/v.rpm")
    assert place(built(), elsewhere) == Placed(rpm=built(), published=elsewhere, is_new=False)


def test_one_that_was_signed_again_stays_as_it_was_published(place) -> None:
    signed_before = place(built()).published
    assert place(built(sha256="c" * 64), signed_before).published == signed_before


def test_a_published_package_never_changes(place) -> None:
    there = place(built(sha256="c" * 64)).published
    with pytest.raises(PublishError) as raised:
        place(built(), there)
    assert raised.value.message == (
        "vdsm-4.16.30-1.x86_64 is published already with other contents (sha256 cccccccccccc, ours aaaaaaaaaaaa)"
    )
    assert "bump the release" in raised.value.hint


def test_another_epoch_is_another_package_and_lies_in_the_same_place(place) -> None:
    there = place(built(epoch=1)).published
    ours = place(built(), there)
    assert ours.is_new
    with pytest.raises(PublishError, match="would both be x86_64/vdsm-4"):
        placement.refuse_shared_places([there, ours.published])


def test_one_package_may_be_named_twice(place) -> None:
    placement.refuse_shared_places([place(built()).published] * 2)
