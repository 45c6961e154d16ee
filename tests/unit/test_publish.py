# SPDX-License-Identifier: GPL-2.0-or-later
"""Which states of a mirror a staged repository may be put over, and what a number that is taken leads to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline import files
from pipeline.context import JobContext
from pipeline.errors import PublishError
from pipeline.mirrors import layout, publishlog, upload
from pipeline.mirrors.upload import Load
from pipeline.model import LogEntry, Repository
from pipeline.stages import publish

BASE = "b" * 64


@pytest.fixture
def staged(make_context) -> tuple[JobContext, Repository]:
    context = make_context()
    folder = context.home_dir / "repo"
    home = folder / layout.link_to(7)
    files.write_whole(home / "repomd.xml", "<repomd/>")
    log = b""
    for revision, digest in ((5, BASE), (7, files.sha256_of(home / "repomd.xml"))):
        entry = LogEntry(revision=revision, time="2026-11-21T10:00:00Z", action="publish", repomd_sha256=digest)
        log = publishlog.appended(log, entry)
    files.write_whole(home / layout.LOG, log)
    repository = Repository(
        tree=files.tree_record(folder, context.out_path),
        revision=7,
        base_repomd_sha256=BASE,
        repomd=files.file_record(home / "repomd.xml", context.out_path),
        package_count=0,
        files=("noarch/a.rpm",),
        ours=(),
    )
    return context, repository


@pytest.fixture
def stands(monkeypatch) -> Callable[[str], list[Load]]:
    """Lets a digest stand on the mirror; returns the loads that are then delivered."""

    def let(digest: str) -> list[Load]:
        loads: list[Load] = []
        monkeypatch.setattr("pipeline.mirrors.mirror.stands", lambda *_: digest)
        monkeypatch.setattr("pipeline.mirrors.catchup.deliver", lambda load, *_: loads.append(load))
        return loads

    return let


def test_it_rests_on_the_state_that_was_read(staged, stands) -> None:
    load = _delivered(staged, stands, BASE)
    assert (load.revision, load.former, load.base_repomd_sha256) == (7, 5, BASE)
    assert load.files == ("noarch/a.rpm",)
    assert load.keys_path == staged[0].home_dir / "repo" / "snapshots/7/repodata/keys.asc"


def test_what_stands_already_is_delivered_to_places_that_lack_it(staged, stands) -> None:
    assert _delivered(staged, stands, staged[1].repomd.sha256).revision == 7


@pytest.mark.parametrize(("digest", "told"), [("f" * 64, "ffffffffffff"), ("", "none")])
def test_another_state_is_refused(staged, stands, digest: str, told: str) -> None:
    context, repository = staged
    loads = stands(digest)
    with pytest.raises(PublishError) as raised:
        publish.run(repository, context=context)
    assert raised.value.message.endswith(
        f"demo changed since the repository was made: its repomd.xml is another one ({told})"
    )
    assert "run the same again" in raised.value.hint
    assert loads == []


@pytest.mark.parametrize(("reference", "stays"), [(upload.REVISION_TAKEN, False), ("mirror-failed", True)])
def test_only_a_number_that_is_taken_is_staged_anew(staged, stands, monkeypatch, reference: str, stays: bool) -> None:
    context, repository = staged
    stands(BASE)

    def fail(*_: object) -> None:
        raise PublishError(reference, "it failed")

    monkeypatch.setattr("pipeline.mirrors.catchup.deliver", fail)
    with pytest.raises(PublishError, match="it failed"):
        publish.run(repository, context=context)
    assert (context.home_dir / "repo").exists() == stays


def _delivered(staged: tuple[JobContext, Repository], stands: Callable[[str], list[Load]], digest: str) -> Load:
    loads = stands(digest)
    publish.run(staged[1], context=staged[0])
    (load,) = loads
    return load
