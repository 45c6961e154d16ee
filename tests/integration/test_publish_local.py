# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository in a local directory: what readers see, what a client lists, what a kill leaves."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import plumbum
import pytest

from pipeline.chain import Chain
from pipeline.context import TargetContext
from pipeline.errors import CommandMissing, PublishError
from pipeline.flow import TARGET_STAGES
from pipeline.mirrors import catchup, mirror, repodata, retention, rollback, snapshot, upload
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.signing import keyring
from pipeline.signing import metadata as signature
from pipeline.stages import publish, repo
from tests.integration.conftest import Project, RsyncShim

_XML = "{http://linux.duke.edu/metadata/repo}"


def read_as_client(repository_dir: Path) -> list[str]:
    """What is wrong for a reader who takes repomd.xml and then every file that it names."""
    try:
        content = (repository_dir / "repodata" / "repomd.xml").read_bytes()
    except FileNotFoundError:
        return []  # before the first publish
    wrong = []
    for data in ElementTree.fromstring(content).findall(f"{_XML}data"):
        href = data.find(f"{_XML}location").get("href")
        wrong += _differs(repository_dir / href, data.findtext(f"{_XML}checksum"))
        if data.get("type") == "primary" and not wrong:
            primary = ElementTree.fromstring(gzip.decompress((repository_dir / href).read_bytes()))
            common = "{http://linux.duke.edu/metadata/common}"
            for package in primary.findall(f"{common}package"):
                path = repository_dir / package.find(f"{common}location").get("href")
                wrong += _differs(path, package.findtext(f"{common}checksum"))
    return wrong


def _differs(path: Path, digest: str) -> list[str]:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return [f"{path.name} is missing"]
    return [] if found == digest else [f"{path.name} differs"]


def listed_by_dnf(repository_dir: Path, tmp_path: Path) -> set[str]:
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    found = subprocess.run(
        ["dnf", "-q", f"--installroot={root}", "--releasever=6", f"--repofrompath=ours,{repository_dir.as_uri()}",
         "--nogpgcheck", "--disablerepo=*", "--enablerepo=ours", f"--setopt=cachedir={root}/cache",
         "repoquery", "--qf", "%{name}-%{version}-%{release}.%{arch}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(found.stdout.split())


def test_first_publish_is_what_dnf_lists(project: Project, tmp_path: Path) -> None:
    context = project.context("local")
    repository, publication = project.publish(context, project.build())
    mirror_dir = project.out_path / "mirror" / "el6"
    assert publication.changed
    assert publication.destination == str(mirror_dir)
    assert listed_by_dnf(mirror_dir, tmp_path) == {"small-1.0-1.noarch", "small-1.0-1.src"}
    assert (mirror_dir / "noarch" / "small-1.0-1.noarch.rpm").exists()
    assert (mirror_dir / "SRPMS" / "small-1.0-1.src.rpm").exists()
    assert (mirror_dir / "repodata").readlink() == Path(f"snapshots/{repository.revision}/repodata")
    named = repodata.read_index((mirror_dir / "repodata" / "repomd.xml").read_bytes(), "mirror").files
    assert {Path(file.href).suffix for file in named} == {".gz"}
    assert read_as_client(mirror_dir) == []


def test_carried_packages_stay_where_they_are(project: Project, tmp_path: Path) -> None:
    mirror_dir = tmp_path / "by hand" / "el6"
    (mirror_dir / "old folder").mkdir(parents=True)
    for path in project.make_packages("vendor", "7"):
        shutil.copy(path, mirror_dir / "old folder")
    (tmp_path / "comps.xml").write_text("<comps><group><id>ours</id></group></comps>")
    subprocess.run(
        ["createrepo_c", "-q", "--database", "--general-compress-type=gz", "-g", tmp_path / "comps.xml", mirror_dir],
        check=True,
    )
    context = project.context(str(tmp_path / "by hand"))
    repository, _ = project.publish(context, project.build())
    assert repository.files == ("SRPMS/small-1.0-1.src.rpm", "noarch/small-1.0-1.noarch.rpm")
    assert {rpm.href for rpm in mirror.read_state(context.settings, "el6").packages if rpm.name == "vendor"} == {
        "old folder/vendor-1.0-7.noarch.rpm",
        "old folder/vendor-1.0-7.src.rpm",
    }
    assert listed_by_dnf(mirror_dir, tmp_path) == {
        "small-1.0-1.noarch", "small-1.0-1.src", "vendor-1.0-7.noarch", "vendor-1.0-7.src",
    }  # fmt: skip
    kinds = {
        data.get("type")
        for data in ElementTree.parse(mirror_dir / "repodata" / "repomd.xml").getroot().findall(f"{_XML}data")
    }
    assert {"primary", "filelists", "other", "group"} <= kinds
    assert "primary_db" not in kinds
    assert read_as_client(mirror_dir) == []


def test_the_next_release_keeps_the_former_and_raises_the_revision(project: Project) -> None:
    context = project.context("local")
    _, first = project.publish(context, project.build(release="1"))
    _, second = project.publish(context, project.build(release="2"))
    assert second.revision > first.revision
    state = mirror.read_state(context.settings, "el6")
    assert {rpm.nevra for rpm in state.packages} == {
        "small-1.0-1.noarch", "small-1.0-1.src", "small-1.0-2.noarch", "small-1.0-2.src",
    }  # fmt: skip
    assert (state.revision, state.repomd_sha256) == (second.revision, second.repomd_sha256)


def test_own_publish_is_no_reason_to_run_again_but_an_emptied_mirror_is(project: Project) -> None:
    context = project.context("local")
    build = project.build()
    repository = project.stage(context, build)
    before = repo.inputs(project.signed(build), context=context)
    first = publish.run(repository, context=context)
    assert repo.inputs(project.signed(build), context=context) == before
    kept = publish.inputs(repository, context=context)
    assert publish.inputs(repository, context=context) == kept

    shutil.rmtree(project.out_path / "mirror")
    assert repo.inputs(project.signed(build), context=context) == before
    assert publish.inputs(repository, context=context) != kept
    again = publish.run(repository, context=context)
    assert again.changed
    assert again.repomd_sha256 == first.repomd_sha256
    assert read_as_client(project.out_path / "mirror" / "el6") == []


def test_what_is_there_already_is_not_published_again(project: Project, tmp_path: Path) -> None:
    context = project.context("local")
    build = project.build()
    repository, first = project.publish(context, build)
    again, publication = project.publish(context, build)
    assert not publication.changed
    assert (again.revision, again.repomd) == (repository.revision, repository.repomd)
    assert again.files == ()
    assert publication.repomd_sha256 == first.repomd_sha256


def test_another_publisher_is_a_readable_reason_and_nothing_is_lost(project: Project, tmp_path: Path) -> None:
    context = project.context("local")
    ours, theirs = project.build("small"), project.build("other")
    before = repo.inputs(project.signed(ours), context=context)
    repository = project.stage(context, ours)
    project.publish(_elsewhere(project), theirs)

    with pytest.raises(PublishError, match="changed since the repository was made: its repomd.xml is another"):
        publish.run(repository, context=context)
    after = repo.inputs(project.signed(ours), context=context)
    assert before["what stands on the mirror"] == "nothing"
    assert after["what stands on the mirror"] == mirror.read_state(context.settings, "el6").repomd_sha256[:12]
    project.publish(context, ours)
    packages = mirror.read_state(context.settings, "el6").packages
    assert {rpm.name for rpm in packages} == {"small", "other"}


def test_a_switch_by_another_during_our_upload_is_seen(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = project.context("local")
    ours, theirs = project.build("small"), project.build("other")
    repository = project.stage(context, ours)
    real_send = Destination.send

    def slow_send(self: Destination, *given: object, **named: object) -> None:
        monkeypatch.setattr(Destination, "send", real_send)
        real_send(self, *given, **named)
        project.publish(_elsewhere(project), theirs)

    monkeypatch.setattr(Destination, "send", slow_send)
    with pytest.raises(PublishError, match="changed since .* somebody else published"):
        publish.run(repository, context=context)
    assert {rpm.name for rpm in mirror.read_state(context.settings, "el6").packages} == {"other"}
    project.publish(context, ours)
    assert {rpm.name for rpm in mirror.read_state(context.settings, "el6").packages} == {"other", "small"}


def sign_again(repomd: Path, context: TargetContext) -> None:
    with keyring.opened(context.settings, context.progress, target_name=context.target_name) as key:
        signature.sign(repomd, key)


def test_a_repomd_that_somebody_edited_is_not_built_upon(project: Project) -> None:
    context = project.context("local")
    _, first = project.publish(context, project.build("vendor"))
    project.publish(context, project.build())
    repository = project.stage(context, project.build(release="2"))
    repomd = project.out_path / "mirror" / "el6" / "repodata" / "repomd.xml"
    text = repomd.read_text()
    revision = text.partition("<revision>")[2].partition("<")[0]
    repomd.write_text(text.replace(f"<revision>{revision}<", f"<revision>{repository.revision + 1000}<"))
    sign_again(repomd, context)

    with pytest.raises(PublishError, match="its repomd.xml is another one"):
        publish.run(repository, context=context)
    with pytest.raises(PublishError, match="tells of another state than the one that stands"):
        project.stage(context, project.build(release="2"))
    rollback.run(context.settings, "el6", first.revision, context.progress, log_path=context.log_path)
    _, publication = project.publish(context, project.build(release="2"))
    assert publication.revision > repository.revision + 1000


def test_same_name_with_other_bytes_is_refused(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build(text="one"))
    before = (project.out_path / "mirror" / "el6" / "repodata" / "repomd.xml").read_bytes()
    with pytest.raises(PublishError, match="small-1.0-1.src is published already with other contents") as raised:
        project.stage(context, project.build(text="two"))
    assert "bump the release" in raised.value.hint
    assert (project.out_path / "mirror" / "el6" / "repodata" / "repomd.xml").read_bytes() == before


def test_same_file_name_with_another_epoch_is_refused(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    with pytest.raises(PublishError, match=r"would both be (SRPMS|noarch)/small-1.0-1"):
        project.stage(context, project.build(epoch="1"))


def test_two_targets_share_a_mirror(project: Project, tmp_path: Path) -> None:
    first, second = project.context("local"), project.context("local", "demo")
    project.publish(first, project.build())
    project.publish(second, project.build("other", release="1.demo", target="demo"))
    mirror_dir = project.out_path / "mirror"
    assert listed_by_dnf(mirror_dir / "el6", tmp_path) == {"small-1.0-1.noarch", "small-1.0-1.src"}
    assert listed_by_dnf(mirror_dir / "demo", tmp_path) == {"other-1.0-1.demo.noarch", "other-1.0-1.demo.src"}


def test_a_reader_during_20_publishes_sees_no_bad_state(project: Project) -> None:
    context = project.context("local")
    mirror_dir = project.out_path / "mirror" / "el6"
    builds = [project.build(release=str(number), size_bytes=100_000) for number in range(20)]
    ended = threading.Event()
    reads: list[list[str]] = []

    def read_on() -> None:
        while not ended.is_set():
            reads.append(read_as_client(mirror_dir))

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        for build in builds:
            project.publish(context, build)
    finally:
        ended.set()
        reader.join()
    assert len(reads) > 100
    assert [wrong for wrong in reads if wrong] == []
    assert len(mirror.read_state(context.settings, "el6").packages) == 40


def test_an_umask_locks_no_reader_out(project: Project) -> None:
    former = os.umask(0o077)
    try:
        project.publish(project.context("local"), project.build())
    finally:
        os.umask(former)
    mirror_dir = project.out_path / "mirror"
    for path in (mirror_dir, *mirror_dir.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_full_disk(project: Project, small_disk: Path) -> None:
    context = project.context(str(small_disk))
    _, first = project.publish(context, project.build())
    with pytest.raises(PublishError, match="its disk is full") as raised:
        project.publish(context, project.build(release="2", size_bytes=2_000_000))
    assert "free space" in raised.value.hint
    assert raised.value.exit_code == 31
    assert mirror.read_state(context.settings, "el6").repomd_sha256 == first.repomd_sha256
    assert read_as_client(small_disk / "el6") == []
    assert not [path for path in small_disk.rglob(".*") if path.is_file()]


def test_unwritable_mirror(project: Project, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(PublishError, match=r"cannot be written: Read-only file system at .*small disk/el6"):
        project.publish(project.context(str(small_disk)), project.build())


def test_a_file_where_the_mirror_should_be(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="cannot be read: Not a directory"):
        project.publish(project.context(str(tmp_path / "file")), project.build())


# Each call of rsync in a publish: send, compare, switch.
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "after"])
def test_rsync_killed_then_a_rerun_heals(project: Project, rsync_shim: RsyncShim, number: int, when: str) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    repository = project.stage(context, project.build(release="2", size_bytes=200_000))
    rsync_shim.at_call(number, "kill -9 $$" if when == "before" else '$REAL "$@"; kill -9 $$')
    with pytest.raises(PublishError, match="rsync was killed") as raised:
        publish.run(repository, context=context)
    assert "run the same again" in raised.value.hint
    assert read_as_client(project.out_path / "mirror" / "el6") == []
    again = publish.run(repository, context=context)
    assert again.repomd_sha256 == repository.repomd.sha256
    assert read_as_client(project.out_path / "mirror" / "el6") == []
    assert len(mirror.read_state(context.settings, "el6").packages) == 4


def test_a_publish_here_is_three_calls_of_rsync(project: Project, rsync_shim: RsyncShim) -> None:
    rsync_shim.at_call(0, ":")
    project.publish(project.context("local"), project.build())
    assert rsync_shim.calls() == 3


def test_what_arrives_damaged_is_sent_once_more(project: Project, rsync_shim: RsyncShim) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    damaged = project.out_path / "mirror" / "el6" / "noarch" / "small-1.0-2.noarch.rpm"
    rsync_shim.at_call(1, f'$REAL "$@"; echo >> "{damaged}"; exit 0')
    project.publish(context, project.build(release="2"))
    assert read_as_client(project.out_path / "mirror" / "el6") == []


def test_what_goes_on_arriving_damaged_is_not_switched_to(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    context = project.context("local")
    _, first = project.publish(context, project.build())
    damaged = project.out_path / "mirror" / "el6" / "noarch" / "small-1.0-2.noarch.rpm"
    real_send = Destination.send

    def send(self: Destination, *given: object, **named: object) -> None:
        real_send(self, *given, **named)
        damaged.write_bytes(b"damaged")

    monkeypatch.setattr(Destination, "send", send)
    with pytest.raises(PublishError, match=r"noarch/small-1.0-2.noarch.rpm on the mirror .* is not what was sent"):
        project.publish(context, project.build(release="2"))
    assert mirror.read_state(context.settings, "el6").repomd_sha256 == first.repomd_sha256


def test_what_an_unfinished_publish_left_under_our_names_gives_way(project: Project) -> None:
    """Another machine's signature of the same release has other bytes, and nobody ever saw those that lie there."""
    context = project.context("local")
    noarch_dir = project.out_path / "mirror" / "el6" / "noarch"
    noarch_dir.mkdir(parents=True)
    (noarch_dir / "small-1.0-1.noarch.rpm").write_bytes(b"signed elsewhere")
    project.publish(context, project.build())
    assert read_as_client(noarch_dir.parent) == []
    (noarch_dir / "small-1.0-2.noarch.rpm").write_bytes(b"signed elsewhere")
    project.publish(context, project.build(release="2"))
    assert read_as_client(noarch_dir.parent) == []


@pytest.mark.parametrize("release", ["1", "2"])
def test_what_a_state_names_never_gives_way(project: Project, tmp_path: Path, release: str) -> None:
    """The standing state names the first; the second was rolled back, and its snapshot is there."""
    context = project.context("local")
    _, first = project.publish(context, project.build())
    project.publish(context, project.build(release="2"))
    log_path = tmp_path / "log"
    rollback.run(context.settings, "el6", first.revision, context.progress, log_path=log_path)
    place = find_destination(context.settings, "el6")
    name = f"noarch/small-1.0-{release}.noarch.rpm"
    differ = upload.FilesDiffer(place, [f"{name}.cdx.json"], log_path)
    with pytest.raises(upload.FilesDiffer, match="is not what was sent"):
        catchup.clear_leftovers(differ, context.settings, context.progress, log_path)
    assert (Path(place.address) / name).exists()


def test_missing_rsync(project: Project) -> None:
    context = project.context("local")
    repository = project.stage(context, project.build())
    with plumbum.local.env(PATH="/nonexistent"), pytest.raises(CommandMissing, match="rsync is not on PATH"):
        publish.run(repository, context=context)


def test_dnf_installs_the_package_and_never_its_source(project: Project, tmp_path: Path) -> None:
    project.publish(project.context("local"), project.build())
    root = tmp_path / "root"
    mirror_dir = project.out_path / "mirror" / "el6"
    subprocess.run(
        ["dnf", "-q", "-y", f"--installroot={root}", "--releasever=6", f"--repofrompath=ours,{mirror_dir.as_uri()}",
         "--nogpgcheck", "--disablerepo=*", "--enablerepo=ours", f"--setopt=cachedir={root}/cache",
         "install", "small*"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert (root / "usr/share/small/text").read_text() == "a\n"
    assert not (root / "root/rpmbuild").exists()


def test_the_same_revision_gives_the_same_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = project.context("local")
    project.publish(context, project.build("vendor"))
    build = project.build()
    soon = int(time.time()) + 1000
    monkeypatch.setattr(snapshot.time, "time", lambda: soon + 0.0)
    first = project.stage(context, build)
    monkeypatch.setattr(snapshot.time, "time", lambda: soon + 0.9)
    second = project.stage(context, build)
    assert (second.repomd, second.revision) == (first.repomd, soon)  # signatures and the log have a time
    assert (project.out_path / first.repomd.path).read_text().count(f"<timestamp>{soon}<") == 3


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "has other contents than repomd.xml says"),
        (Path.unlink, "is named by repomd.xml and is not there"),
    ],
)
def test_a_broken_mirror_is_told(project: Project, damage: object, words: str) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    damage(next((project.out_path / "mirror" / "el6" / "repodata").glob("*primary*")))
    with pytest.raises(PublishError, match=words):
        mirror.read_state(context.settings, "el6")


def test_a_mirror_without_filelists_is_told(project: Project) -> None:
    context = project.context("local")
    mirror_dir = project.out_path / "mirror" / "el6"
    mirror_dir.mkdir(parents=True)
    subprocess.run(["createrepo_c", "-q", "--general-compress-type=gz", mirror_dir], check=True)
    repomd = mirror_dir / "repodata" / "repomd.xml"
    repomd.write_text(repomd.read_text().replace('type="filelists"', 'type="lists"'))
    sign_again(repomd, context)
    with pytest.raises(PublishError, match="names no filelists"):
        project.stage(context, project.build())


def _dangling(mirror_dir: Path) -> None:
    (mirror_dir / "repodata").unlink()
    (mirror_dir / "repodata").symlink_to("snapshots/123/repodata")


def _without_log(mirror_dir: Path) -> None:
    (mirror_dir / "repodata" / "publish.log").unlink()


def _last_line_cut(mirror_dir: Path) -> None:
    log_path = mirror_dir / "repodata" / "publish.log"
    log_path.write_bytes(b"".join(log_path.read_bytes().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_dangling, "repodata of .* leads to no repomd.xml"),
        (_without_log, "the publish log of .* is gone"),
        (_last_line_cut, "the publish log of .* tells of another state"),
    ],
)
def test_a_spoilt_mirror_is_neither_published_to_nor_pruned(
    project: Project, spoil: Callable[[Path], None], told: str
) -> None:
    """What it has would be taken for nothing, or for somebody else's, and go."""
    context = project.context("local")
    project.publish(context, project.build())
    project.publish(context, project.build(release="2"))
    mirror_dir = project.out_path / "mirror" / "el6"
    spoil(mirror_dir)
    before = sorted(mirror_dir.rglob("*"))
    with pytest.raises(PublishError, match=told):
        project.stage(context, project.build(release="3"))
    with pytest.raises(PublishError, match=told):
        retention.run(context.settings, "el6", context.progress, remove=True, log_path=context.log_path)
    assert sorted(path for path in mirror_dir.rglob("*") if path.name != ".publish.lock") == [
        path for path in before if path.name != ".publish.lock"
    ]


def test_prune_leaves_other_people_s_folders(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    theirs = project.out_path / "mirror" / "el6" / "snapshots" / "20240101"
    theirs.mkdir()
    (theirs / "notes").write_text("mine")
    retention.run(context.settings, "el6", context.progress, remove=True, log_path=context.log_path)
    assert (theirs / "notes").exists()


def test_a_link_of_somebody_s_own_is_read_as_it_stands(project: Project) -> None:
    context = project.context("local")
    project.publish(context, project.build())
    mirror_dir = project.out_path / "mirror" / "el6"
    (mirror_dir / "md").symlink_to((mirror_dir / "repodata").readlink())
    (mirror_dir / "repodata").unlink()
    (mirror_dir / "repodata").symlink_to("md")
    assert {rpm.name for rpm in mirror.read_state(context.settings, "el6").packages} == {"small"}


def test_a_disk_that_is_full_here_at_any_step(project: Project, small_disk: Path) -> None:
    """Staging stops with one line of ours, createrepo_c's failures included, or it is whole."""
    full = replace(project, out_path=small_disk)
    sets = full.signed(full.build())
    context = full.context(str(project.root_dir / "mirror"))
    filler = small_disk / "filler"
    ends = set()
    (context.out_path / ".work").mkdir()
    for free_pages in range(0, 48, 2):
        filler.unlink(missing_ok=True)
        shutil.rmtree(context.home_dir / "repo", ignore_errors=True)
        free_bytes = os.statvfs(small_disk).f_bavail * 4096
        filler.write_bytes(b"x" * max(0, free_bytes - free_pages * 4096))
        chain = Chain("el6", context, TARGET_STAGES[:1], sign=sets)
        chain.run()
        assert chain.error is None or isinstance(chain.error, PublishError)
        ends.add("whole" if chain.error is None else chain.error.reference)
        if chain.error is None:
            assert read_as_client(context.home_dir / "repo") == []
        else:
            assert not (context.home_dir / "repo").exists() or chain.error.reference == "input-output"
    assert ends == {"whole", "input-output", "repodata-unwritten"}


def test_a_package_that_was_cut_is_told(project: Project) -> None:
    context = project.context("local")
    build = project.build()
    path = project.out_path / build.rpms[0].file.path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(PublishError, match=r"small-1.0-1.noarch"):
        project.stage(context, build)
    assert not (context.home_dir / "repo").exists()


def _elsewhere(project: Project) -> TargetContext:
    """Another publisher's context, with a staging folder of its own."""
    context = project.context(str(project.out_path / "mirror"))
    return replace(context, home_dir=project.out_path / "theirs")
