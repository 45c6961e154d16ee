# SPDX-License-Identifier: GPL-2.0-or-later
"""What is sent, and which states of a mirror a repository may be put over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PublishError, ReleaseError
from pipeline.model import Evr, File, MirrorState, PublishedRpm, Repository, Tree
from pipeline.stages import publish


def published(name: str, *, href: str = "", sha256: str = "a" * 64) -> PublishedRpm:
    evr = Evr(version="1", release="1")
    return PublishedRpm(
        name=name, evr=evr, arch="noarch", href=href or f"noarch/{name}.rpm", size_bytes=1, sha256=sha256
    )


NEW, OTHER_NEW, CARRIED, FOREIGN = (published(name) for name in ("new", "other", "carried", "foreign"))
REPOSITORY = Repository(
    tree=Tree(path=Path("el6/repo"), fingerprint="f"),
    new=(NEW, OTHER_NEW),
    carried=(CARRIED,),
    repodata=(File(path=Path("el6/repo/repodata/x-primary.xml.gz"), size_bytes=1, sha256="d" * 64),),
    repomd=File(path=Path("el6/repo/repodata/repomd.xml"), size_bytes=1, sha256="e" * 64),
    revision=10,
    demo=False,
)


def state(*rpms: PublishedRpm, revision: int = 9) -> MirrorState:
    return MirrorState(destination="M", repomd_sha256="b" * 64, revision=revision, packages=rpms)


def test_what_is_there_is_not_sent_and_repomd_never_with_the_rest() -> None:
    assert publish.plan_names(REPOSITORY, state(CARRIED, NEW)) == ("noarch/other.rpm", "repodata/x-primary.xml.gz")


def test_what_is_there_elsewhere_or_with_other_contents_is_sent() -> None:
    moved = replace(NEW, href="old/new.rpm")
    changed = replace(OTHER_NEW, sha256="0" * 64)
    assert publish.plan_names(REPOSITORY, state(moved, changed))[:2] == ("noarch/new.rpm", "noarch/other.rpm")


@pytest.mark.parametrize("rpms", [(CARRIED,), (CARRIED, NEW), (CARRIED, replace(NEW, href="old/new.rpm"))])
def test_states_that_it_was_made_for(rpms: tuple[PublishedRpm, ...]) -> None:
    publish.refuse_other_state(REPOSITORY, state(*rpms))


@pytest.mark.parametrize(
    ("found", "how"),
    [
        (state(CARRIED, FOREIGN), "foreign-1-1.noarch was added"),
        (state(CARRIED, replace(NEW, sha256="0" * 64)), "new-1-1.noarch was added"),
        (state(), "carried-1-1.noarch was removed"),
        (state(replace(CARRIED, href="moved.rpm")), "carried-1-1.noarch was removed"),
        (state(CARRIED, revision=10), "it is at revision 10 already"),
    ],
)
def test_states_that_it_was_not_made_for(found: MirrorState, how: str) -> None:
    with pytest.raises(PublishError) as raised:
        publish.refuse_other_state(REPOSITORY, found)
    assert raised.value.message == f"the mirror M changed since the repository was made: {how}"
    assert "run the same again" in raised.value.hint


def test_what_came_to_the_mirror_meanwhile_must_be_beaten_too(make_context, monkeypatch) -> None:
    newer = replace(NEW, evr=Evr(version="1", release="2"), href="noarch/newer.rpm")
    monkeypatch.setattr("pipeline.mirrors.mirror.read_state", lambda *_, **__: state(CARRIED, newer))
    monkeypatch.setattr("pipeline.stages.publish._send", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(ReleaseError, match=r"rpm's order is 1-1 < 1-2"):
        publish.run(REPOSITORY, context=make_context())
