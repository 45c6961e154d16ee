# SPDX-License-Identifier: GPL-2.0-or-later
"""Two publishers at once, each with an out directory and a package of its own whose release rises each round."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.mirrors import lease
from pipeline.mirrors.places.remote import Remote
from pipeline.progress import Progress
from tests.chaos import publisher
from tests.chaos.figures import size, tell
from tests.chaos.wholeness import Broken, Signatures, State, read_state
from tests.integration.conftest import Project, RsyncDaemon, RsyncShim, SshServer

ROUNDS = size(6, 60)
REMOTE_ROUNDS = size(1, 60)
_PACKAGES = ("small", "other")
_MOST_RUNS = 5


@dataclass(frozen=True)
class Channel:
    """The name of a channel, how it is reached, and the folder behind it."""

    name: str
    way: str
    dir: Path
    rounds: int


@pytest.fixture(params=["local", "daemon", "restricted ssh"])
def channel(
    request: pytest.FixtureRequest, project: Project, rsync_daemon: RsyncDaemon, ssh_server: SshServer, tmp_path: Path
) -> Iterator[Channel]:
    served = tmp_path / "served"
    served.mkdir()
    if request.param == "local":
        _configure(project, str(served))
        yield Channel("both", request.param, served / publisher.TARGET, ROUNDS)
    elif request.param == "daemon":
        _configure(project, rsync_daemon.url())
        yield Channel("both", request.param, rsync_daemon.dir / publisher.TARGET, REMOTE_ROUNDS)
    else:
        ssh_server.authorized_keys.write_text(f'command="rrsync \\"{served}\\"",restrict {ssh_server.public_key}\n')
        _configure(project, "127.0.0.1:/", ssh_server.command)
        yield Channel("both", request.param, served / publisher.TARGET, REMOTE_ROUNDS)
        ssh_server.authorized_keys.write_text(f"{ssh_server.public_key}\n")


def _configure(project: Project, destination: str, ssh_command: str = "") -> None:
    path = project.root_dir / "pipeline.toml"
    section = f'\n[mirrors.both]\ndestination = "{destination}"\nssh_command = "{ssh_command}"\n'
    path.write_text(path.read_text() + section)


@dataclass
class Watcher(threading.Thread):
    """Reads the repository all the while: the revisions that it saw, and what was broken."""

    dir: Path
    signatures: Signatures
    stopped: threading.Event = field(default_factory=threading.Event)
    revisions: list[int] = field(default_factory=list)
    reads: int = 0
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.stopped.wait(0.02):
            self.reads += 1
            try:
                self.revisions.append(read_state(self.dir, self.signatures).revision)
            except Broken as error:
                self.broken.append(str(error))


def test_no_release_is_lost(project: Project, channel: Channel, signatures: Signatures) -> None:
    publishers = [replace(project, out_path=project.out_path / name) for name in _PACKAGES]
    watcher = Watcher(channel.dir, signatures)
    watcher.start()
    former, repeats = State(), 0
    for number in range(1, channel.rounds + 1):
        repeats += _both_publish(publishers, channel, number)
        state = read_state(channel.dir, signatures)
        assert state.packages >= former.packages | _released(number), f"round {number}"
        assert len(state.log_revisions) == 2 * number, f"round {number}"
        former = state
    watcher.stopped.set()
    watcher.join(timeout=30)
    revisions = list(former.log_revisions)
    tell(**{
        f"two publishers, {channel.way}": f"{channel.rounds} rounds, {len(former.packages)} packages, "
        f"{len(revisions)} revisions, {len(watcher.broken)} of {watcher.reads} readings broken, {repeats} run again"
    })  # fmt: skip
    assert watcher.broken == []
    assert watcher.revisions == sorted(watcher.revisions)
    assert revisions == sorted(set(revisions))


def test_a_lock_that_is_left_is_taken_over_by_one_at_a_time(
    rsync_daemon: RsyncDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two see at the same moment that its holder is gone; the slower one removes the lock of the quicker."""
    (rsync_daemon.dir / publisher.TARGET).mkdir()
    place = Remote(address=f"{rsync_daemon.url()}/{publisher.TARGET}", timeout_seconds=60,
                        scratch_dir=tmp_path / "scratch")  # fmt: skip
    gone = subprocess.Popen(["true"])
    gone.wait()
    place.make_link(lease.LEASE, f"them;{socket.gethostname()};{gone.pid};{int(time.time()) + 60}", None)
    inside: list[int] = []
    at_once: list[int] = []
    both_saw = threading.Barrier(2)
    removals = itertools.count()
    remove = Remote.remove

    def remove_later(self: Remote, names: tuple[str, ...], log_path: Path) -> None:
        number = next(removals)
        if number < 2:
            both_saw.wait()
            time.sleep(number * 0.4)
        remove(self, names, log_path)

    monkeypatch.setattr(Remote, "remove", remove_later)
    monkeypatch.setattr(lease, "_PAUSE_SECONDS", 1.0)

    def publish(number: int) -> None:
        with lease.held(place, str(number), Progress(quiet=True), log_path=tmp_path / f"{number}.log"):
            inside.append(number)
            time.sleep(1.2)
            at_once.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(publish, range(2)))
    assert at_once == [1, 1]
    assert place.names_in(".", None) == ()


def test_a_lock_that_goes_while_it_is_read_is_no_failure(
    rsync_daemon: RsyncDaemon, rsync_shim: RsyncShim, tmp_path: Path
) -> None:
    place = Remote(address=rsync_daemon.url(), timeout_seconds=60, scratch_dir=tmp_path / "scratch")
    rsync_shim.at_call(1, "exit 24")  # as rsync does when a name vanishes between its two looks
    assert place.link_text(lease.LEASE, None) == ""


def _both_publish(publishers: list[Project], channel: Channel, number: int) -> int:
    """Both begin at the same moment; how many were told to run again, and did."""
    commands = []
    for each, name in zip(publishers, _PACKAGES, strict=True):
        sets = each.signed(each.build(name, release=str(number)))
        publisher.hand_over(sets, each.out_path)
        commands.append(publisher.argv("publish", each.root_dir, each.out_path, channel.name))
    running = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for argv in commands]
    told = [process.communicate(timeout=120)[1] for process in running]
    return sum(
        _repeat(argv, words)
        for argv, process, words in zip(commands, running, told, strict=True)
        if process.returncode != 0
    )


def _repeat(argv: list[str], words: str) -> int:
    """Do as it is told until it is done; how often."""
    for count in range(1, _MOST_RUNS):
        assert "run the same again" in words, words
        tell(told_to_run_again=words.partition(";")[0])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            return count
        words = done.stderr
    raise AssertionError(words)


def _released(number: int) -> set[str]:
    return {f"{name}-1.0-{number}.{kind}.rpm" for name in _PACKAGES for kind in ("src", "noarch")}
