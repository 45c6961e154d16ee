# SPDX-License-Identifier: GPL-2.0-or-later
"""What a mirror is over time: adopted, locked, logged, rolled back, spoilt by hand."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import LockedError, PublishError, ReleaseError
from pipeline.mirrors import history, lease, mirror, rollback
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.model import BuildResult
from pipeline.progress import Progress
from pipeline.stages import publish
from tests.integration.conftest import Project, RsyncDaemon
from tests.integration.test_publish_local import read_as_client


def mirror_dir(project: Project) -> Path:
    return project.out_path / "mirror" / "el6"


def back(project: Project, revision: int, place: str = "local") -> None:
    context = project.context(place)
    rollback.run(context.settings, "el6", revision, context.progress, log_path=project.out_path / "rollback.log")


def made_by_hand(project: Project, folder: Path, *, revision: str = "by hand", database: bool = True) -> None:
    """A repository with a real `repodata`, flat packages, plain names, and perhaps sqlite besides."""
    folder.mkdir(parents=True)
    for path in project.make_packages("vendor", "7"):
        shutil.copy(path, folder)
    words = ["--simple-md-filenames", "--revision", revision, "--database" if database else "--no-database"]
    subprocess.run(["createrepo_c", "-q", "--general-compress-type=gz", *words, folder], check=True)


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_repository_made_by_hand_is_adopted_with_all_that_it_has(
    project: Project, rsync_daemon: RsyncDaemon, is_remote: bool
) -> None:
    place = rsync_daemon.url() if is_remote else "local"
    folder = rsync_daemon.dir / "el6" if is_remote else mirror_dir(project)
    made_by_hand(project, folder)
    before = {path.name: path.read_bytes() for path in (folder / "repodata").iterdir()}
    context = project.context(place)
    _, publication = project.publish(context, project.build())
    state = mirror.read_state(context.settings, "el6")
    assert {rpm.href for rpm in state.packages if rpm.name == "vendor"} == {
        "vendor-1.0-7.noarch.rpm", "vendor-1.0-7.src.rpm",
    }  # fmt: skip
    assert [(entry.action, entry.revision) for entry in state.log] == [("adopt", 0), ("publish", publication.revision)]
    assert {path.name: path.read_bytes() for path in (folder / "snapshots/0/repodata").iterdir()} == before
    assert read_as_client(folder) == read_as_client(folder / "snapshots" / "0") == []
    back(project, 0, place)
    assert {rpm.name for rpm in mirror.read_state(context.settings, "el6").packages} == {"vendor"}
    assert read_as_client(folder) == []


def test_one_made_by_hand_with_a_number_keeps_it(project: Project) -> None:
    made_by_hand(project, mirror_dir(project), revision="4000000000", database=False)
    _, publication = project.publish(project.context("local"), project.build())
    assert publication.revision == 4_000_000_001
    assert (mirror_dir(project) / "snapshots" / "4000000000" / "repodata" / "repomd.xml").exists()


@pytest.fixture
def lockable(project: Project, rsync_daemon: RsyncDaemon) -> Callable[[str], Destination]:
    """A place on this machine or behind a daemon, whose lock is waited for half a second."""

    def find(kind: str) -> Destination:
        place = find_destination(project.context("local" if kind == "local" else rsync_daemon.url()).settings, "el6")
        (rsync_daemon.dir / "el6").mkdir(exist_ok=True)
        return replace(place, timeout_seconds=0.5)

    return find


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_PAUSE_SECONDS", 0.1)


KINDS = pytest.mark.parametrize("kind", ["local", "daemon"])


@KINDS
def test_one_publisher_at_a_time(lockable: Callable[[str], Destination], kind: str, tmp_path: Path) -> None:
    place, progress, log_path = lockable(kind), Progress(quiet=True), tmp_path / "log"
    with lease.held(replace(place, timeout_seconds=60), "me", progress, log_path=log_path):
        for wait in (False, True):
            with (
                pytest.raises(LockedError, match="is publishing to") as raised,
                lease.held(place, "you", progress, log_path=log_path, wait=wait),
            ):
                pass
            assert raised.value.exit_code == 60
            # A file lock ends with who holds it: there is nothing to remove.
            assert ("remove .publish.lease there" in raised.value.hint) == (kind != "local")
    with lease.held(place, "you", progress, log_path=log_path, wait=False):
        pass


@KINDS
def test_a_failure_gives_the_lock_back(lockable: Callable[[str], Destination], kind: str, tmp_path: Path) -> None:
    place, progress = lockable(kind), Progress(quiet=True)
    with pytest.raises(ZeroDivisionError), lease.held(place, "me", progress, log_path=tmp_path / "log"):
        raise ZeroDivisionError
    with lease.held(place, "you", progress, log_path=tmp_path / "log", wait=False):
        pass


@KINDS
def test_the_second_waits_and_then_works(lockable: Callable[[str], Destination], kind: str, tmp_path: Path) -> None:
    place = replace(lockable(kind), timeout_seconds=60)
    holder = _holder(place, tmp_path, seconds=0.7)
    try:
        started = time.monotonic()
        with lease.held(place, "you", Progress(quiet=True), log_path=tmp_path / "log"):
            assert time.monotonic() - started > 0.2
    finally:
        holder.wait(timeout=30)


@KINDS
def test_a_holder_that_was_killed_here_holds_nothing(
    lockable: Callable[[str], Destination], kind: str, tmp_path: Path
) -> None:
    place = replace(lockable(kind), timeout_seconds=60)
    holder = _holder(place, tmp_path, seconds=60)
    holder.kill()
    holder.wait()
    started = time.monotonic()
    with lease.held(place, "you", Progress(quiet=True), log_path=tmp_path / "log"):
        assert time.monotonic() - started < 10


def _holder(place: Destination, folder: Path, *, seconds: float) -> subprocess.Popen[bytes]:
    """Another process that has the lock by now."""
    module, name = type(place).__module__, type(place).__name__
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom pipeline.mirrors import lease\n"
        f"from {module} import {name} as Place\nfrom pipeline.progress import Progress\n"
        "address, folder, seconds = sys.argv[1:]\n"
        "place = Place(address=address, timeout_seconds=60, scratch_dir=Path(folder))\n"
        "with lease.held(place, 'he', Progress(quiet=True), log_path=Path(folder) / 'his log'):\n"
        "    (Path(folder) / 'held').touch()\n    time.sleep(float(seconds))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, place.address, folder, str(seconds)])
    deadline = time.monotonic() + 30
    while not (folder / "held").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(
    ("host", "until_seconds", "is_taken_over"),
    [("elsewhere", -1, True), ("elsewhere", 600, False), (socket.gethostname(), 600, True), ("", 0, False)],
)
def test_a_lease_of_another_host_ends_with_its_time(
    lockable: Callable[[str], Destination], tmp_path: Path, host: str, until_seconds: int, is_taken_over: bool
) -> None:
    place = lockable("daemon")
    text = f"he;{host};{2**22 - 1};{int(time.time()) + until_seconds}" if host else "made by hand"
    assert place.make_link(lease.LEASE, text, None)
    if is_taken_over:
        with lease.held(place, "me", Progress(quiet=True), log_path=tmp_path / "log"):
            assert place.link_text(lease.LEASE, None).startswith("me;")
        return
    with (
        pytest.raises(LockedError, match="he is publishing to" if host else "somebody is publishing to"),
        lease.held(place, "me", Progress(quiet=True), log_path=tmp_path / "log"),
    ):
        pass
    assert place.link_text(lease.LEASE, None) == text


def test_the_log_tells_who_published_what_from_which_input(project: Project) -> None:
    context = project.context("local")
    statement = project.out_path / "small-1.0-1.src.rpm.intoto.json"
    files.write_whole(statement, "{}")
    record = files.file_record(statement, project.out_path)
    (signed,) = project.signed(project.build())
    from pipeline.stages import repo

    publish.run(repo.run((replace(signed, sidecars=(record,)),), context=context), context=context)
    (entry,) = mirror.read_state(context.settings, "el6").log
    assert entry.releases == (("small", "1.0-1"),)
    assert entry.statements == ((statement.name, record.sha256),)
    assert entry.who.endswith(f"@{socket.gethostname()}")
    assert (mirror_dir(project) / "SRPMS" / statement.name).read_text() == "{}"


def test_an_edited_log_is_told_and_nothing_is_published_over_it(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    project.publish(context, project.build(release="2"))
    log_path = mirror_dir(project) / "publish.log"
    log_path.write_bytes(log_path.read_bytes().replace(b'"publish"', b'"promote"', 1))
    with pytest.raises(PublishError, match="publish log of .* is not whole: line 2 does not follow"):
        project.publish(context, project.build(release="3"))


def test_a_release_that_was_rolled_back_comes_by_hand_alone(project: Project) -> None:
    context = project.context("local")
    _, first = project.publish(context, project.build())
    _, second = project.publish(context, project.build(release="2"))
    back(project, first.revision)
    rolled = mirror.read_state(context.settings, "el6")
    with pytest.raises(ReleaseError, match=r"small-1.0-2 was rolled back on .* \(revision [0-9]+\)") as raised:
        project.publish(context, project.build(release="2"))
    assert f"--to {second.revision}`" in raised.value.hint
    assert mirror.read_state(context.settings, "el6") == rolled
    project.publish(context, project.build(release="3"))
    back(project, second.revision)
    assert {str(rpm.evr) for rpm in mirror.read_state(context.settings, "el6").packages} == {"1.0-1", "1.0-2"}
    _, again = project.publish(context, project.build(release="2"))
    assert not again.changed


def signed_again(project: Project, build: BuildResult) -> BuildResult:
    """The same packages with another signature: a signature has its time in it."""
    paths = [project.out_path / rpm.file.path for rpm in build.all_rpms]
    before = [path.read_bytes() for path in paths]
    subprocess.run(["rpmsign", "--delsign", *paths], check=True, capture_output=True)
    project.key.sign(*paths)
    assert all(path.read_bytes() != content for path, content in zip(paths, before, strict=True))
    rpms = [replace(rpm, file=files.file_record(project.out_path / rpm.file.path, project.out_path))
            for rpm in build.all_rpms]  # fmt: skip
    return replace(build, srpm=rpms[0], rpms=tuple(rpms[1:]))


def test_a_package_that_was_signed_again_stays_as_it_was_published(project: Project) -> None:
    context = project.context("local")
    build = project.build()
    _, first = project.publish(context, build)
    kept = (mirror_dir(project) / "noarch" / "small-1.0-1.noarch.rpm").read_bytes()
    time.sleep(1.1)
    repository, again = project.publish(context, signed_again(project, build))
    assert not again.changed
    assert again.repomd_sha256 == first.repomd_sha256
    assert repository.files == ()
    assert (mirror_dir(project) / "noarch" / "small-1.0-1.noarch.rpm").read_bytes() == kept
    with pytest.raises(PublishError, match="published already with other contents"):
        project.stage(context, project.build(text="other"))


def test_a_root_that_is_a_link_stays_one(project: Project, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to("disk")
    for release in ("1", "2"):
        project.publish(project.context(str(tmp_path / "root")), project.build(release=release))
    assert (tmp_path / "root").is_symlink()
    assert read_as_client(tmp_path / "disk" / "el6") == []


def test_an_absent_root_is_made(project: Project, tmp_path: Path) -> None:
    project.publish(project.context(str(tmp_path / "not" / "yet")), project.build())
    assert read_as_client(tmp_path / "not" / "yet" / "el6") == []


def test_what_lies_besides_is_left_alone(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    extra = mirror_dir(project) / "noarch" / "by hand.rpm"
    extra.write_text("extra")
    project.publish(context, project.build(release="2"))
    assert extra.read_text() == "extra"


def test_a_state_whose_packages_are_gone_does_not_come_back(project: Project) -> None:
    context = project.context("local")
    _, first = project.publish(context, project.build())
    project.publish(context, project.build(release="2"))
    (mirror_dir(project) / "noarch" / "small-1.0-1.noarch.rpm").unlink()
    with pytest.raises(PublishError, match=r"noarch/small-1.0-1.noarch.rpm of that revision is no more on"):
        back(project, first.revision)


def test_a_snapshot_that_was_pruned_or_edited_is_told(project: Project) -> None:
    context = project.context("local")
    revisions = [project.publish(context, project.build(release=release))[1].revision for release in ("1", "2", "3")]
    shutil.rmtree(mirror_dir(project) / "snapshots" / str(revisions[0]))
    with pytest.raises(PublishError, match=f"the revision {revisions[0]} of .* was pruned") as raised:
        back(project, revisions[0])
    assert raised.value.hint == f"choose one of {revisions[2]}, {revisions[1]}"
    repomd = mirror_dir(project) / "snapshots" / str(revisions[1]) / "repodata" / "repomd.xml"
    repomd.write_bytes(repomd.read_bytes() + b"\n")
    with pytest.raises(PublishError, match=f"snapshots/{revisions[1]} on .* is not what the log says was published"):
        back(project, revisions[1])
    with pytest.raises(PublishError, match="the revision 5 of .* was never published"):
        back(project, 5)
    known = history.snapshots(mirror.read_state(context.settings, "el6"), find_destination(context.settings, "el6"))
    assert [each.is_there for each in known] == [True, True, False]


def test_a_mirror_that_says_nothing_is_given_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.mirrors.web._SILENCE_SECONDS", 0.3)
    from tests.integration.places import channel

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        context = channel(project, project.out_path / "mirror", url=(url,))
        with pytest.raises(PublishError, match="cannot be read: no answer in time"):
            project.publish(context, project.build())
    assert not os.path.lexists(mirror_dir(project) / "repodata")
