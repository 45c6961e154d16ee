# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository behind an rsync daemon or over ssh: the same promises, and each failure in one clear line."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.chain import Chain
from pipeline.context import TargetContext
from pipeline.errors import PublishError
from pipeline.flow import TARGET_STAGES
from pipeline.mirrors import mirror, rsync
from pipeline.model import MirrorState
from pipeline.stages import publish, repo
from tests.integration.conftest import Project, RsyncDaemon, RsyncShim, SshServer, free_port


@dataclass(frozen=True)
class Remote:
    """A remote mirror, and the folder behind it on this machine."""

    context: TargetContext
    dir: Path


# ssh's logins are slow: what does not depend on the way is tried with two.
FOUR_WAYS = pytest.mark.parametrize("remote", ["daemon", "chrooted daemon", "ssh", "restricted ssh"], indirect=True)
TWO_WAYS = pytest.mark.parametrize("remote", ["chrooted daemon", "restricted ssh"], indirect=True)
ONE_WAY = pytest.mark.parametrize("remote", ["daemon"], indirect=True)


@pytest.fixture
def remote(
    request: pytest.FixtureRequest, project: Project, rsync_daemon: RsyncDaemon, ssh_server: SshServer, tmp_path: Path
) -> Iterator[Remote]:
    if "daemon" in request.param:
        module = "chrooted" if "chrooted" in request.param else "repo"
        yield Remote(project.context(rsync_daemon.url(module)), rsync_daemon.dir / "el6")
        return
    served = tmp_path / "served é x"
    served.mkdir()
    destination = f"127.0.0.1:{served}"
    if "restricted" in request.param:
        ssh_server.authorized_keys.write_text(f'command="rrsync \\"{served}\\"",restrict {ssh_server.public_key}\n')
        destination = "127.0.0.1:/"
    yield Remote(project.context(destination, ssh_command=ssh_server.command), served / "el6")
    ssh_server.authorized_keys.write_text(f"{ssh_server.public_key}\n")


@FOUR_WAYS
def test_publish_read_back_and_publish_more(project: Project, remote: Remote) -> None:
    context = remote.context
    assert mirror.read_state(context.settings, "el6").packages == ()
    first_build, second_build = project.build(), project.build(release="2")
    repository = project.stage(context, first_build)
    before = repo.inputs(project.signed(first_build), context=context)
    publication = publish.run(repository, context=context)
    assert publication.changed
    assert (remote.dir / "repodata" / "repomd.xml").stat().st_mode & 0o777 == 0o644
    assert remote.dir.stat().st_mode & 0o777 == 0o755
    assert repo.inputs(project.signed(first_build), context=context) == before
    assert list(publish.inputs(repository, context=context).values()) == [repository.repomd.sha256[:12]]

    _, second = project.publish(context, second_build)
    state = mirror.read_state(context.settings, "el6")
    assert state.repomd_sha256 == second.repomd_sha256
    assert {rpm.nevra for rpm in state.packages} == {
        "small-1.0-1.noarch", "small-1.0-1.src", "small-1.0-2.noarch", "small-1.0-2.src",
    }  # fmt: skip
    assert all((remote.dir / rpm.href).stat().st_size == rpm.size_bytes for rpm in state.packages)

    _, third = project.publish(context, second_build)
    assert not third.changed


@ONE_WAY
def test_only_what_is_new_is_sent(project: Project, remote: Remote) -> None:
    context = remote.context
    project.publish(context, project.build(size_bytes=300_000))
    copies = list((project.out_path / ".cache" / "mirror").rglob("*.gz"))
    assert copies == []
    kept = {path: path.stat().st_ino for path in remote.dir.rglob("*.rpm")}
    project.publish(context, project.build(release="2"))
    assert {path: path.stat().st_ino for path in kept} == kept
    mirror.read_state(context.settings, "el6")
    kinds = [path.name.split("-")[1] for path in (project.out_path / ".cache" / "mirror").rglob("*.gz")]
    assert sorted(kinds) == ["filelists.xml.gz", "other.xml.gz", "primary.xml.gz", "primary.xml.gz"]


@TWO_WAYS
def test_rsync_that_dies_half_way_then_a_rerun(project: Project, remote: Remote, rsync_shim: RsyncShim) -> None:
    context = remote.context
    _, first = project.publish(context, project.build())
    repository = project.stage(context, project.build(release="2", size_bytes=4_000_000))
    before = mirror.read_state(context.settings, "el6")
    # Calls of a publish: read repomd.xml twice, send.
    rsync_shim.at_call(3, '$REAL --bwlimit=2000 "$@" & sleep 0.7; kill -9 $!; wait $!; exit 12')
    with pytest.raises(PublishError, match=r"cannot be written: (the connection broke|rsync was killed)") as raised:
        publish.run(repository, context=context)
    assert "run the same again" in raised.value.hint
    assert mirror.read_state(context.settings, "el6") == before
    assert before.repomd_sha256 == first.repomd_sha256
    again = publish.run(repository, context=context)
    assert again.repomd_sha256 == repository.repomd.sha256
    assert len(mirror.read_state(context.settings, "el6").packages) == 4


@ONE_WAY
def test_demo_stays_here(project: Project, remote: Remote) -> None:
    build = project.build(release="1.demo.ours.904")
    with pytest.raises(PublishError, match=r"small-1.0-1.demo.ours.904.src is made from the demo") as raised:
        repo.inputs(project.signed(build), context=remote.context)
    assert raised.value.exit_code == 31
    chain = Chain("el6", remote.context, TARGET_STAGES, sign=project.signed(build))
    chain.run()
    assert "is not a directory of this machine" in chain.error.message
    assert not remote.dir.exists()


def test_offline(project: Project) -> None:
    context = project.context("rsync://mirror.example.org/repo", offline=True)
    with pytest.raises(PublishError, match="rsync://mirror.example.org/repo is not on this machine, and --offline"):
        mirror.read_state(context.settings, "el6")


def test_unreachable_daemon(project: Project) -> None:
    port = free_port()
    assert _refusal(project, f"rsync://127.0.0.1:{port}/repo") == (
        f"the mirror rsync://127.0.0.1:{port}/repo/el6 cannot be read: nothing listens there (rsync ended with 10)"
    )


def test_unknown_module(project: Project, rsync_daemon: RsyncDaemon) -> None:
    assert "the rsync daemon has no such module (rsync ended with 5)" in _refusal(project, rsync_daemon.url("typo"))


def test_unknown_host(project: Project) -> None:
    assert "its name cannot be resolved" in _refusal(project, "rsync://no-such-host.invalid/repo")


def test_wrong_password(project: Project, rsync_daemon: RsyncDaemon) -> None:
    url = rsync_daemon.url("secret").replace("//", "//publisher@")
    assert "the rsync daemon refuses the account (rsync ended with 5)" in _refusal(project, url)


def test_read_only_module(project: Project, rsync_daemon: RsyncDaemon) -> None:
    context = project.context(rsync_daemon.url("readonly"))
    with pytest.raises(PublishError, match="cannot be written: its rsync module is read-only"):
        project.publish(context, project.build())


def test_missing_folder(project: Project, rsync_daemon: RsyncDaemon) -> None:
    context = project.context(rsync_daemon.url() + "/no/such")
    assert mirror.read_state(context.settings, "el6") == MirrorState(destination=rsync_daemon.url() + "/no/such/el6")
    with pytest.raises(
        PublishError, match=r"cannot be written: the folder is not there \(rsync ended with 11\)"
    ) as raised:
        project.publish(context, project.build())
    assert "make it on the mirror" in raised.value.hint


def test_server_that_never_answers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsync, "_SILENCE_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "it does not answer" in _refusal(project, f"rsync://127.0.0.1:{silent.getsockname()[1]}/repo")


def test_ssh_that_never_answers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsync, "_SILENCE_SECONDS", 1)
    assert "it does not answer" in _refusal(project, "host:/srv", ssh_command="sh -c 'sleep 100'")


def test_ssh_refuses_our_key(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    command = f"{ssh_server.command} -i {tmp_path / 'other'}".replace(f"-i {ssh_server.known_hosts.parent}/user ", "")
    assert "ssh refuses our key (rsync ended with" in _refusal(project, "127.0.0.1:/srv", ssh_command=command)


def test_ssh_host_key_that_changed(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {(tmp_path / 'host.pub').read_text()}")
    command = ssh_server.command.replace(str(ssh_server.known_hosts), str(known))
    words = "ssh does not know its host key, or the key changed (rsync ended with 255)"
    assert words in _refusal(project, "127.0.0.1:/srv", ssh_command=command)


def test_ssh_disk_full(project: Project, ssh_server: SshServer, small_disk: Path) -> None:
    context = project.context(f"127.0.0.1:{small_disk}", ssh_command=ssh_server.command)
    _, first = project.publish(context, project.build())
    with pytest.raises(PublishError, match="its disk is full"):  # with or without rsync's words: ssh may lose them
        project.publish(context, project.build(release="2", size_bytes=2_000_000))
    assert mirror.read_state(context.settings, "el6").repomd_sha256 == first.repomd_sha256


def test_a_folder_for_repomd_is_not_an_absent_one(project: Project, rsync_daemon: RsyncDaemon) -> None:
    (rsync_daemon.dir / "el6" / "repodata" / "repomd.xml").mkdir(parents=True)
    with pytest.raises(PublishError, match=r"cannot be read: repodata/repomd.xml there is no file"):
        mirror.read_state(project.context(rsync_daemon.url()).settings, "el6")


def test_an_edited_copy_of_the_metadata_is_fetched_anew(project: Project, rsync_daemon: RsyncDaemon) -> None:
    context = project.context(rsync_daemon.url())
    project.publish(context, project.build())
    before = mirror.read_state(context.settings, "el6")
    copy = next((project.out_path / ".cache" / "mirror").rglob("*primary*"))
    copy.write_bytes(b"edited")
    mirror._STATES.clear()  # as another run begins
    assert mirror.read_state(context.settings, "el6") == before
    assert copy.read_bytes() != b"edited"


def test_rsync_rsh_of_the_environment_is_used(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    import plumbum

    served = tmp_path / "served"
    served.mkdir()
    context = project.context(f"127.0.0.1:{served}")
    with plumbum.local.env(RSYNC_RSH=ssh_server.command):
        _, publication = project.publish(context, project.build())
    assert publication.changed
    assert (served / "el6" / "repodata" / "repomd.xml").exists()


def _refusal(project: Project, destination: str, *, ssh_command: str = "") -> str:
    context = project.context(destination, ssh_command=ssh_command)
    with pytest.raises(PublishError) as raised:
        mirror.read_state(context.settings, "el6", log_path=context.log_path)
    assert raised.value.hint
    assert raised.value.log_path == context.log_path
    return raised.value.message
