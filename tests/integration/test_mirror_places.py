# SPDX-License-Identifier: GPL-2.0-or-later
"""Several places of one channel, read as readers have them: all get the same, or it is told who has what."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import PublishError
from pipeline.mirrors import history, mirror, rollback, web
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.local import Directory
from pipeline.stages import publish, repo
from tests.integration.conftest import Project, RsyncDaemon, SshServer
from tests.integration.places import WebServer, channel, web_server
from tests.integration.test_publish_local import read_as_client


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return tmp_path / "first place"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return tmp_path / "second place"


@pytest.fixture
def server(first: Path) -> Iterator[WebServer]:
    with web_server(first) as running:
        yield running


def content(place: Path) -> dict[str, bytes]:
    """All files of a repository, by name; those of the links are where they lead."""
    found = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def test_all_places_get_the_same(project: Project, first: Path, second: Path) -> None:
    context = channel(project, first, second)
    _, publication = project.publish(context, project.build())
    assert publication.places == (f"{first}/el6", f"{second}/el6")
    assert content(first / "el6") == content(second / "el6")
    assert read_as_client(second / "el6") == []
    _, again = project.publish(context, project.build())
    assert not again.changed


@pytest.mark.parametrize("is_new", [True, False])
def test_a_place_that_was_away_is_brought_up(project: Project, first: Path, second: Path, is_new: bool) -> None:
    both = channel(project, first, second)
    project.publish(both, project.build())
    for release in ("2", "3"):
        project.publish(channel(project, first), project.build(release=release))
    _, publication = project.publish(both, project.build(release="4" if is_new else "3"))
    assert publication.changed
    assert read_as_client(second / "el6") == []
    for name in ("repodata", "noarch", "SRPMS"):
        assert content(first / "el6" / name) == content(second / "el6" / name)


@pytest.mark.parametrize("is_older", [True, False])
def test_a_first_place_that_was_put_back_takes_nothing_from_the_others(
    project: Project, first: Path, second: Path, tmp_path: Path, is_older: bool
) -> None:
    both = channel(project, first, second)
    project.publish(both, project.build())
    shutil.copytree(first, tmp_path / "kept", symlinks=True)
    project.publish(both, project.build(release="2"))
    before = content(second / "el6")
    shutil.rmtree(first)
    if is_older:
        shutil.copytree(tmp_path / "kept", first, symlinks=True)
    with pytest.raises(PublishError, match=f"{second}/el6 has states that {first}/el6 does not know") as raised:
        project.publish(both, project.build(release="3"))
    assert raised.value.hint.startswith("make the place that is furthest ahead the first")
    assert content(second / "el6") == before
    project.publish(channel(project, second, first), project.build(release="3"))
    assert (first / "el6" / "publish.log").read_bytes() == (second / "el6" / "publish.log").read_bytes()
    assert read_as_client(first / "el6") == []


def test_a_place_that_cannot_be_written_keeps_all_as_they_were(
    project: Project, first: Path, rsync_daemon: RsyncDaemon
) -> None:
    _, former = project.publish(channel(project, first), project.build())
    both = channel(project, first, rsync_daemon.url("readonly"))
    with pytest.raises(PublishError, match="readonly/el6 cannot be written: its rsync module is read-only"):
        project.publish(both, project.build(release="2"))
    assert mirror.read_state(both.settings, "el6").repomd_sha256 == former.repomd_sha256
    assert read_as_client(first / "el6") == []


def test_a_place_that_fails_at_the_switch_is_told_and_the_rerun_brings_it_up(
    project: Project, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = channel(project, first, second)
    project.publish(both, project.build())
    repository = project.stage(both, project.build(release="2"))
    real = Directory.switch

    def switch(self: Directory, *given: object) -> None:
        if self.address.startswith(str(second)):
            raise self.failure("written", "the cable is out")
        real(self, *given)

    monkeypatch.setattr(Directory, "switch", switch)
    with pytest.raises(PublishError) as raised:
        publish.run(repository, context=both)
    assert raised.value.message.endswith(
        f"the cable is out; the new state stands at {first}/el6, not at {second}/el6 and behind"
    )
    assert "that run brings the others up" in raised.value.hint
    assert read_as_client(second / "el6") == []
    monkeypatch.undo()
    assert publish.run(repository, context=both).changed
    assert content(first / "el6") == content(second / "el6")


def test_a_rollback_is_at_all_places(project: Project, first: Path, second: Path) -> None:
    both = channel(project, first, second)
    _, former = project.publish(both, project.build())
    project.publish(both, project.build(release="2"))
    log_path = project.out_path / "rollback.log"
    rollback.run(both.settings, "el6", former.revision, both.progress, log_path=log_path)
    assert content(first / "el6") == content(second / "el6")
    assert len(mirror.read_state(both.settings, "el6").packages) == 2


def test_the_mirrorlist_names_the_snapshot_at_each_place(
    project: Project, first: Path, second: Path, server: WebServer, tmp_path: Path
) -> None:
    with web_server(second) as other:
        both = channel(project, first, second, url=(f"{server.url}/", f"{other.url}"))
        repository, _ = project.publish(both, project.build())
        lines = (first / "el6" / "mirrorlist").read_text().splitlines()
        assert lines == [f"{each.url}/el6/snapshots/{repository.revision}/" for each in (server, other)]
        for line in lines:
            for name in ("repodata/repomd.xml", "noarch/small-1.0-1.noarch.rpm"):
                web.fetch(f"{line}{name}", tmp_path / "file", 10)
        assert server.asked
        assert other.asked


def test_another_url_is_a_new_state_with_its_mirrorlist(project: Project, first: Path, server: WebServer) -> None:
    _, without = project.publish(channel(project, first), project.build())
    assert (first / "el6" / "mirrorlist").read_text() == ""
    _, named = project.publish(channel(project, first, url=(server.url,)), project.build())
    assert named.revision > without.revision
    assert (first / "el6" / "mirrorlist").read_text() == f"{server.url}/el6/snapshots/{named.revision}/\n"


@pytest.mark.parametrize(
    ("fault", "of", "words"),
    [
        ("404", "repomd.xml", "repomd.xml cannot be read: it is not there"),
        ("404", "primary.xml.gz", "primary.xml.gz cannot be read: it is not there"),
        ("503", "repomd.xml", "the server answered 503"),
        ("html", "repomd.xml", "is not whole: repomd.xml names no primary"),
        ("html", "primary.xml.gz", "primary.xml.gz has other contents than repomd.xml says"),
        ("html", "repomd.xml.asc", "is not what was sent: .* no signature"),
        ("cut", "primary.xml.gz", "primary.xml.gz cannot be read: "),
        ("404", ".noarch.rpm", "noarch.rpm on the mirror .* cannot be read: .* it is not there"),
        ("no-links", "", "on the mirror .* cannot be read: .* it is not there"),
    ],
)
def test_what_readers_could_not_read_is_not_switched_to(
    project: Project, first: Path, server: WebServer, fault: str, of: str, words: str
) -> None:
    context = channel(project, first, url=(server.url,))
    server.fault, server.of = fault, of
    repository = project.stage(context, project.build())
    with pytest.raises(PublishError, match=words) as raised:
        publish.run(repository, context=context)
    assert raised.value.hint
    assert not (first / "el6" / "repodata").exists()
    assert mirror.read_state(context.settings, "el6").packages == ()
    server.fault = ""
    publish.run(repository, context=context)
    assert read_as_client(first / "el6") == []


def test_links_that_the_daemon_changes_are_told_before_the_switch(project: Project, rsync_daemon: RsyncDaemon) -> None:
    context = project.context(rsync_daemon.url("munging"))
    with pytest.raises(PublishError, match="is not what was sent|cannot be read") as raised:
        project.publish(context, project.build())
    assert "munge symlinks = no" in raised.value.hint
    assert not (rsync_daemon.dir / "el6" / "repodata").is_symlink()


def test_a_place_that_we_may_only_write_is_read_by_its_url(
    project: Project, ssh_server: SshServer, first: Path, server: WebServer
) -> None:
    ssh_server.authorized_keys.write_text(f'command="rrsync -wo \\"{first}\\"",restrict {ssh_server.public_key}\n')
    try:
        context = channel(project, "127.0.0.1:/", url=(server.url,), write_only=True, ssh_command=ssh_server.command)
        _, former = project.publish(context, project.build())
        _, latter = project.publish(context, project.build(release="2"))
        state = mirror.read_state(context.settings, "el6")
        assert state.repomd_sha256 == latter.repomd_sha256
        assert len(state.packages) == 4
        assert read_as_client(first / "el6") == []
        place = find_destination(context.settings, "el6")
        assert [each.is_there for each in history.snapshots(state, place)] == [True, True]
        again = project.signed(project.build(release="2"))
        assert repo.inputs(again, context=context)["what stands on the mirror"] == "what this was staged for"
        log_path = project.out_path / "rollback.log"
        rollback.run(context.settings, "el6", former.revision, context.progress, log_path=log_path)
        assert len(mirror.read_state(context.settings, "el6").packages) == 2
    finally:
        ssh_server.authorized_keys.write_text(f"{ssh_server.public_key}\n")
