# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit on a mirror that was published for real: whole, it is silent; each damage is exactly one finding."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.allocation.tags import Tags
from pipeline.audit import audit, telling
from pipeline.audit.audit import Report
from pipeline.errors import PublishError
from pipeline.inputs import digest
from pipeline.ledger import Ledger
from pipeline.mirrors import layout, repodata
from pipeline.model import Evr, Reservation
from pipeline.settings import Settings
from pipeline.settingtables import MirrorSettings
from tests.integration.conftest import PackageMaker, Project, RsyncDaemon, SigningKey, SshServer, project_at
from tests.signing import Home, homes


@dataclass
class Mirror:
    """A copy of a channel's root with two publishes of el6, and what damages it."""

    root: Path
    project: Project

    @property
    def dir(self) -> Path:
        return self.root / "el6"

    @property
    def revisions(self) -> list[int]:
        return sorted(int(path.name) for path in (self.dir / "snapshots").iterdir())

    @property
    def standing(self) -> Path:
        return self.dir / "snapshots" / str(self.revisions[-1]) / "repodata"

    @property
    def former(self) -> Path:
        return self.dir / "snapshots" / str(self.revisions[0]) / "repodata"

    def metadata(self, kind: str) -> Path:
        index = repodata.read_index((self.standing / "repomd.xml").read_bytes(), "")
        return self.standing / Path(next(file.href for file in index.files if file.kind == kind)).name

    def settings(self, mirror: str = "") -> Settings:
        return self.project.context(mirror or str(self.root)).settings

    def look(self, mirror: str = "", *, quick: bool = False, max_age: float = 0, **other: Any) -> Report:
        settings = self.settings(mirror).model_copy(update=other)
        (report,) = audit.run(settings, {"el6": ("small",)}, quick=quick, max_age_days=max_age)
        return report

    def found(self, mirror: str = "", **wishes: Any) -> list[tuple[str, str]]:
        return [(each.kind, each.subject) for each in self.look(mirror, **wishes).found]


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, make_packages: PackageMaker, signing_key: SigningKey
) -> tuple[Path, Project]:
    folder = tmp_path_factory.mktemp("channel")
    project = replace(project_at(folder, make_packages, signing_key), has_papers=True)
    context = project.context(str(folder / "mirror"))
    for release in ("1.ours.1", "1.ours.2"):
        project.publish(context, project.build(release=release))
    return folder / "mirror", project


@pytest.fixture
def mirror(published: tuple[Path, Project], tmp_path: Path) -> Mirror:
    source, project = published
    subprocess.run(["cp", "-a", str(source), str(tmp_path / "mirror")], check=True)
    return Mirror(tmp_path / "mirror", replace(project, out_path=tmp_path / "out"))


@pytest.fixture(scope="module")
def gpg_home() -> Any:
    yield from homes()


NEW = "noarch/small-1.0-1.ours.2.noarch.rpm"
OLD = "noarch/small-1.0-1.ours.1.noarch.rpm"
SOURCE = "SRPMS/small-1.0-1.ours.2.src.rpm"


def test_a_whole_mirror_gives_no_finding(mirror: Mirror) -> None:
    report = mirror.look(max_age=1)
    assert report.found == ()
    assert report.unseen == ("the mirrorlist: no url is configured: hosts read by baseurl",)
    assert (report.packages, report.snapshots, report.revision) == (4, 2, mirror.revisions[-1])
    assert mirror.look(quick=True).found == ()


def edit(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def flip(path: Path) -> None:
    """Change one byte in the middle; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def as_folder(mirror: Mirror) -> None:
    target = (mirror.dir / "repodata").resolve()
    (mirror.dir / "repodata").unlink()
    shutil.copytree(target, mirror.dir / "repodata")


def relink(path: Path, text: str) -> None:
    path.unlink()
    path.symlink_to(text)


def rewritten_log(mirror: Mirror) -> None:
    """A log with a whole chain and the right end, in which the past is another one."""
    former, lines = "", []
    for line in (mirror.standing / "publish.log").read_bytes().splitlines():
        said = json.loads(line)
        said |= {"who": "nobody@nowhere", "former_sha256": former}
        lines.append(json.dumps(said).encode())
        former = hashlib.sha256(lines[-1]).hexdigest()
    edit(mirror.standing / "publish.log", b"\n".join(lines) + b"\n")


def stray(mirror: Mirror, name: str) -> None:
    path = mirror.dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("stray")


DAMAGES: dict[str, tuple[Callable[[Mirror], Any], str, str]] = {
    "no repomd.xml": (lambda m: (m.standing / "repomd.xml").unlink(), "repodata-link", "repodata"),
    "html for repomd.xml": (
        lambda m: edit(m.standing / "repomd.xml", b"<html><body>Sign in<br></body></html>"),
        "repomd-broken", "repodata/repomd.xml"),
    "an empty repomd.xml": (lambda m: edit(m.standing / "repomd.xml", b""), "repomd-broken", "repodata/repomd.xml"),
    "deep XML": (
        lambda m: edit(m.standing / "repomd.xml", b"<a>" * 300_000 + b"</a>" * 300_000),
        "repomd-broken", "repodata/repomd.xml"),
    "half a deep XML": (
        lambda m: edit(m.standing / "repomd.xml", b"<a>" * 300_000), "repomd-broken", "repodata/repomd.xml"),
    "another repomd.xml": (
        lambda m: edit(m.standing / "repomd.xml", (m.standing / "repomd.xml").read_bytes() + b"\n"),
        "repomd-signature", "repodata/repomd.xml.asc"),
    "no signature": (lambda m: (m.standing / "repomd.xml.asc").unlink(), "repomd-unsigned", "repodata/repomd.xml.asc"),
    "garbage for a signature": (
        lambda m: edit(m.standing / "repomd.xml.asc", b"\0\xff" * 99), "repomd-signature", "repodata/repomd.xml.asc"),
    "no filelists": (lambda m: m.metadata("filelists").unlink(), "metadata-missing", "repodata/*filelists.xml.gz"),
    "other filelists": (lambda m: flip(m.metadata("filelists")), "metadata-changed", "repodata/*filelists.xml.gz"),
    "a cut primary": (
        lambda m: edit(m.metadata("primary"), m.metadata("primary").read_bytes()[:-20]),
        "metadata-changed", "repodata/*primary.xml.gz"),
    "no primary": (lambda m: m.metadata("primary").unlink(), "metadata-missing", "repodata/*primary.xml.gz"),
    "no keys": (lambda m: (m.standing / "keys.asc").unlink(), "keys-missing", "repodata/keys.asc"),
    "garbage for keys": (
        lambda m: edit(m.standing / "keys.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nx\xff\n"),
        "keys-missing", "repodata/keys.asc"),
    "a missing package": (lambda m: (m.dir / NEW).unlink(), "package-missing", NEW),
    "a package of both states": (lambda m: (m.dir / OLD).unlink(), "package-missing", OLD),
    "a longer package": (lambda m: edit(m.dir / NEW, (m.dir / NEW).read_bytes() + b"x"), "package-changed", NEW),
    "a changed package": (lambda m: flip(m.dir / NEW), "package-changed", NEW),
    "a link to nowhere for a package": (lambda m: relink(m.dir / NEW, "/nowhere/x.rpm"), "package-missing", NEW),
    "an extra package": (lambda m: shutil.copy(m.dir / NEW, m.dir / "noarch/x.rpm"), "file-extra", "noarch/x.rpm"),
    "an extra file": (lambda m: stray(m, "deep/down/x"), "file-extra", "deep/down/x"),
    "an extra file with a strange name": (lambda m: stray(m, "noarch/a b\n\udcff"), "file-extra", "noarch/a b\n\udcff"),
    "an extra link": (lambda m: (m.dir / "out").symlink_to("/etc"), "file-extra", "out"),
    "extra metadata": (
        lambda m: edit(m.standing / "comps.xml", b"x"), "file-extra", "snapshots/*/repodata/comps.xml"),
    "what rsync left": (lambda m: stray(m, "noarch/.x.rpm.Ab3dE9"), "leftover", "noarch/.x.rpm.Ab3dE9"),
    "what a switch left": (lambda m: (m.dir / ".repodata.123").symlink_to("x"), "leftover", ".repodata.123"),
    "an unfinished snapshot": (
        lambda m: stray(m, "snapshots/1500000000/repodata/x"), "snapshot-unfinished", "snapshots/1500000000"),
    "a half-removed snapshot": (
        lambda m: (m.former / "repomd.xml").unlink(), "snapshot-damaged", "snapshots/*"),
    "a snapshot without its primary": (
        lambda m: next(m.former.glob("*primary.xml.gz")).unlink(), "snapshot-damaged", "snapshots/*"),
    "another repomd.xml in a snapshot": (
        lambda m: edit(m.former / "repomd.xml", (m.former / "repomd.xml").read_bytes() + b"\n"),
        "snapshot-damaged", "snapshots/*"),
    "a snapshot's link": (lambda m: (m.former.parent / "noarch").unlink(), "snapshot-link", "snapshots/*/noarch"),
    "a folder for repodata": (as_folder, "repodata-link", "repodata"),
    "repodata to nowhere": (lambda m: relink(m.dir / "repodata", "snapshots/7/repodata"), "repodata-link", "repodata"),
    "repodata to itself": (lambda m: relink(m.dir / "repodata", "repodata"), "repodata-link", "repodata"),
    "no mirrorlist link": (lambda m: (m.dir / "mirrorlist").unlink(), "link-wrong", "mirrorlist"),
    "a fixed link elsewhere": (
        lambda m: relink(m.dir / "keys.asc", "snapshots/1/repodata/keys.asc"), "link-wrong", "keys.asc"),
    "a mirrorlist elsewhere": (
        lambda m: edit(m.standing / "mirrorlist", b"http://example.org/el6/snapshots/1/\n"),
        "mirrorlist", "mirrorlist"),
    "no log": (lambda m: (m.standing / "publish.log").unlink(), "log-missing", "repodata/publish.log"),
    "garbage in the log": (
        lambda m: edit(m.standing / "publish.log", b"\xff{[" * 99), "log-broken", "repodata/publish.log"),
    "deep garbage in the log": (
        lambda m: edit(m.standing / "publish.log", b"[" * 300_000), "log-broken", "repodata/publish.log"),
    "a line less in the log": (
        lambda m: edit(m.standing / "publish.log", (m.standing / "publish.log").read_bytes().splitlines()[1]),
        "log-broken", "repodata/publish.log"),
    "a rewritten log": (rewritten_log, "log-rewritten", "repodata/publish.log"),
    "no statement": (lambda m: (m.dir / f"{NEW}.intoto.json").unlink(), "statement-missing", f"{NEW}.intoto.json"),
    "no SBOM": (lambda m: (m.dir / f"{NEW}.cdx.json").unlink(), "statement-missing", f"{NEW}.cdx.json"),
    "no statement of a source package": (
        lambda m: (m.dir / f"{SOURCE}.intoto.json").unlink(), "statement-missing", f"{SOURCE}.intoto.json"),
    "a changed statement of the log": (
        lambda m: edit(m.dir / f"{SOURCE}.intoto.json", (m.dir / f"{SOURCE}.intoto.json").read_bytes() + b"\n"),
        "statement-changed", f"{SOURCE}.intoto.json"),
    "another statement": (
        lambda m: edit(m.dir / f"{NEW}.intoto.json", (m.dir / f"{OLD}.intoto.json").read_bytes()),
        "statement-wrong", NEW),
    "garbage for a statement": (lambda m: edit(m.dir / f"{NEW}.intoto.json", b"\xff["), "statement-wrong", NEW),
    "another SBOM": (
        lambda m: edit(m.dir / f"{NEW}.cdx.json", (m.dir / f"{OLD}.cdx.json").read_bytes()), "statement-wrong", NEW),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_exactly_one_finding(mirror: Mirror, damage: str) -> None:
    work, kind, subject = DAMAGES[damage]
    work(mirror)
    report = mirror.look()
    assert [each.kind for each in report.found] == [kind], report.found
    (found,) = report.found
    assert Path(found.subject).match(subject) or found.subject == subject
    assert found.why
    assert found.mend


@pytest.mark.parametrize("damage", ["a missing package", "a longer package", "no primary", "no SBOM",
                                    "a half-removed snapshot"])  # fmt: skip
def test_a_quick_look_misses_only_what_needs_a_full_read(mirror: Mirror, damage: str) -> None:
    work, kind, _ = DAMAGES[damage]
    work(mirror)
    assert [each for each, _ in mirror.found(quick=True)] == [kind]


def test_a_quick_look_leaves_out_what_needs_a_full_read_and_says_so(mirror: Mirror) -> None:
    flip(mirror.dir / NEW)
    report = mirror.look(quick=True)
    assert report.found == ()
    assert "--quick" in report.unseen[0]


def primary_of(folder: Path, content: bytes) -> None:
    """A repository by hand whose repomd.xml vouches for this primary.xml."""
    (folder / "el6" / "repodata").mkdir(parents=True)
    path = folder / "primary"
    path.write_bytes(content)
    write_repomd(folder / "el6" / "repodata", path)


HOSTILE = {
    "deep XML": b"<metadata>" + b"<a>" * 100_000,
    "a cut gzip": gzip.compress(b"<metadata>" * 99)[:40],
    "many zeros": gzip.compress(b"\0" * 10_000_000),
    "html": b"<html>Sign in</html>",
    "entities": b'<!DOCTYPE a [<!ENTITY b "&c;&c;"><!ENTITY c "x">]><metadata>&b;</metadata>',
    "a way out": b'<metadata xmlns="http://linux.duke.edu/metadata/common" packages="1"><package type="rpm">'
    b'<name>x</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">'
    + b"0" * 64 + b'</checksum><location href="../../etc/passwd"/></package></metadata>',
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_metadata_is_one_finding(mirror: Mirror, tmp_path: Path, content: str) -> None:
    primary_of(tmp_path / "hand", HOSTILE[content])
    found = dict(mirror.found(str(tmp_path / "hand")))
    assert found.keys() == {"metadata-broken", "not-ours", "repomd-unsigned"}


def test_a_publish_meanwhile_makes_it_look_again(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []

    def meanwhile(*_: Any) -> tuple[()]:
        if not published:
            published.append("once")
            mirror.project.publish(mirror.project.context(str(mirror.root)), mirror.project.build(release="1.ours.3"))
        return ()

    monkeypatch.setattr(audit, "CHECKS", (("meanwhile", meanwhile), *audit.CHECKS))
    report = mirror.look()
    assert (report.found, report.packages, report.revision) == ((), 6, mirror.revisions[-1])


def test_a_check_that_fails_does_not_stop_the_others(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> tuple[()]:
        raise ValueError("embedded null byte")

    (mirror.dir / NEW).unlink()
    monkeypatch.setattr(audit, "CHECKS", (("this", fails), *audit.CHECKS))
    assert mirror.found() == [("not-checked", "this"), ("package-missing", NEW)]


def test_nothing_there_is_one_finding(mirror: Mirror, tmp_path: Path) -> None:
    assert mirror.found(str(tmp_path / "none")) == [("repomd-missing", "repodata/repomd.xml")]


def test_a_former_state_that_stands_is_told_by_the_log_no_more(mirror: Mirror) -> None:
    relink(mirror.dir / "repodata", f"snapshots/{mirror.revisions[0]}/repodata")
    kinds = {kind for kind, _ in mirror.found()}
    assert kinds <= {"file-extra", "snapshot-unfinished"}  # the later one: told once it is older than the grace


def test_all_damages_at_once_are_all_told(mirror: Mirror) -> None:
    for damage in ("an extra file", "a changed package", "what rsync left", "a snapshot's link", "other filelists"):
        DAMAGES[damage][0](mirror)
    wanted = {"file-extra", "package-changed", "leftover", "snapshot-link", "metadata-changed"}
    assert {kind for kind, _ in mirror.found()} == wanted


def test_a_statement_of_a_state_that_does_not_stand_is_looked_at_too(mirror: Mirror) -> None:
    mirror.project.publish(mirror.project.context(str(mirror.root)), mirror.project.build(release="1.ours.3"))
    (mirror.dir / f"{SOURCE}.intoto.json").write_text("{}")
    assert mirror.found() == [("statement-changed", f"{SOURCE}.intoto.json")]
    assert mirror.found(quick=True) == []


# ---- signatures and keys


def test_keys_that_are_none_of_ours_or_expire_are_told(mirror: Mirror, gpg_home: Home, tmp_path: Path) -> None:
    foreign = gpg_home.make("rsa2048")
    ours = (mirror.standing / "keys.asc").read_bytes()
    edit(mirror.standing / "keys.asc", ours + gpg_home.public(tmp_path / "k.asc", foreign).read_bytes())
    assert mirror.found() == [("key-foreign", foreign)]

    former = mirror.settings().signing.model_copy(update={"former_keys": (str(tmp_path / "k.asc"),)})
    assert mirror.found(signing=former) == []

    soon = gpg_home.make("rsa2048", expires="20d")
    public = gpg_home.public(tmp_path / "k.asc", soon).read_bytes()
    edit(mirror.standing / "keys.asc", ours + public)
    report = mirror.look(signing=former)
    assert [(each.kind, each.subject, each.severity) for each in report.found] == [("key-expiring", soon, "warning")]

    expired = gpg_home.make("rsa2048", "sign", "--faked-system-time", "20200101T000000", expires="10d")
    edit(mirror.standing / "keys.asc", ours + gpg_home.public(tmp_path / "k.asc", expired).read_bytes())
    assert mirror.found(signing=former) == [("key-expired", expired)]

    edit(mirror.standing / "keys.asc", ours + gpg_home.secret(tmp_path / "s.asc", foreign).read_bytes())
    assert mirror.found(signing=former) == [("key-secret", "repodata/keys.asc")]


def test_keys_of_somebody_else_do_not_count(mirror: Mirror, gpg_home: Home, tmp_path: Path) -> None:
    foreign = gpg_home.make("rsa2048")
    edit(mirror.standing / "keys.asc", gpg_home.public(tmp_path / "k.asc", foreign).read_bytes())
    ours = mirror.project.key.fingerprint
    assert mirror.found() == [("key-foreign", foreign), ("key-absent", ours)]
    no_wish = mirror.settings().signing.model_copy(update={"key_file": ""})
    kinds = {kind for kind, _ in mirror.found(signing=no_wish)}
    assert kinds == {"repomd-signature", "package-signature"}


def test_a_configured_key_that_is_not_here_is_said_and_no_finding(mirror: Mirror) -> None:
    there = mirror.settings().signing
    gone = there.model_copy(update={"key_file": "/nowhere/key.asc"})
    report = mirror.look(signing=gone)
    assert report.found == ()
    assert "/nowhere/key.asc" in report.unseen[0]
    by_name = there.model_copy(update={"key_file": "", "key": mirror.project.key.fingerprint.lower()})
    report = mirror.look(signing=by_name)
    assert report.found == ()
    assert not any("key" in sentence for sentence in report.unseen)


def by_hand(folder: Path, *paths: Path) -> None:
    (folder / "el6" / "noarch").mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder / "el6" / "noarch")
    subprocess.run(["createrepo_c", "-q", "--general-compress-type=gz", str(folder / "el6")], check=True)


def test_what_others_published_before_us_is_a_warning_when_unsigned(
    mirror: Mirror, project: Project, tmp_path: Path
) -> None:
    source, binary = project.make_packages("vendor", "7")
    for path in (source, binary):
        shutil.copy(path, tmp_path)
        subprocess.run(["rpmsign", "--delsign", str(tmp_path / path.name)], check=True, capture_output=True)
    by_hand(tmp_path / "hand", tmp_path / source.name, tmp_path / binary.name)
    kinds = {kind for kind, _ in mirror.found(str(tmp_path / "hand"))}
    assert kinds == {"not-ours", "repomd-unsigned"}

    project = replace(project, has_papers=True)
    project.publish(project.context(str(tmp_path / "hand")), project.build(release="1.ours.1"))
    report = mirror.look(str(tmp_path / "hand"))
    assert [(each.kind, each.severity, each.subject) for each in report.found] == [
        ("package-unsigned", "warning", f"noarch/{name}") for name in sorted((source.name, binary.name))
    ]
    assert telling.error([report], strict=False) is None
    assert telling.error([report], strict=True) is not None

    adopted = next(
        path for path in (tmp_path / "hand/el6/snapshots").iterdir() if not (path / "repodata/publish.log").exists()
    )
    shutil.rmtree(adopted)  # pruned: the log alone tells now
    assert mirror.look(str(tmp_path / "hand")).found == report.found


def test_an_unsigned_package_of_ours_is_an_error(mirror: Mirror, project: Project, tmp_path: Path) -> None:
    """As if somebody had put it into the repository, metadata and all."""
    path = tmp_path / Path(NEW).name
    shutil.copy(mirror.dir / NEW, path)
    subprocess.run(["rpmsign", "--delsign", str(path)], check=True, capture_output=True)
    by_hand(tmp_path / "hand", path)
    shutil.copy(mirror.standing / "keys.asc", tmp_path / "hand/el6/repodata")
    found = mirror.look(str(tmp_path / "hand")).found
    assert [(each.kind, each.severity) for each in found if each.kind.startswith("package")] == [
        ("package-unsigned", "error")
    ]


# ---- elsewhere: the clock, the ledger, the remote, other places


def test_an_old_revision_is_a_warning(mirror: Mirror) -> None:
    assert mirror.found(max_age=1e-9) == [("revision-old", str(mirror.revisions[-1]))]


def signed_here(mirror: Mirror, release: str) -> None:
    build = mirror.project.build(release=release)
    (signed,) = mirror.project.signed(build)
    book = Ledger(mirror.project.out_path / "el6" / "small", mirror.project.out_path)
    book.keep("sign", signed, {}, finished="now", seconds=0)


def test_the_ledger_of_this_machine_is_compared(mirror: Mirror) -> None:
    signed_here(mirror, "1.ours.2")
    assert mirror.found() == []
    signed_here(mirror, "1.ours.3")
    assert mirror.found() == [("not-published", "small-1.0-1.ours.3")]
    signed_here(mirror, "1.ours.1")
    assert mirror.found() == [("newer-than-built", "small-1.0-1.ours.2")]


def test_the_numbers_that_all_share_are_compared(mirror: Mirror, tmp_path: Path) -> None:
    remote = tmp_path / "releases.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    releases = mirror.settings().releases.model_copy(update={"remote": str(remote)})
    assert mirror.found(releases=releases) == [("never-reserved", "small-1.0-1.ours.2")]
    reserve(remote, 2)
    assert mirror.found(releases=releases) == []
    reserve(remote, 3)
    assert mirror.found(releases=releases) == [("reserved-unpublished", "small-1.0-1.ours.3")]
    away = releases.model_copy(update={"remote": str(tmp_path / "none.git")})
    assert mirror.found(releases=away) == [("not-checked", "the releases' remote")]


def reserve(remote: Path, number: int) -> None:
    tags = Tags(remote=str(remote), prefix="release/small/el6/", tagger="A <a@example.org>", offline=False)
    evr = Evr(version="1.0", release=f"1.ours.{number}")
    assert tags.take(Reservation(number=number, evr=evr, input_sha256=digest({}), inputs=()))


def test_the_demo_on_a_mirror_is_told(mirror: Mirror, by_rsync: str) -> None:
    mirror.project.publish(mirror.project.context(str(mirror.root)), mirror.project.build("other", release="1.demo"))
    assert mirror.found() == []
    report = mirror.look(by_rsync)
    assert [(each.kind, each.subject) for each in report.found] == [
        ("demo-published", "other-1.0-1.demo.noarch"),
        ("demo-published", "other-1.0-1.demo.src"),
    ]


def channel(mirror: Mirror, *places: str, urls: tuple[str, ...] = ()) -> Settings:
    settings = mirror.settings()
    there = MirrorSettings(destination=places, url=urls)
    return settings.model_copy(update={"mirrors": {"channel": there}, "mirror_override": "channel"})


def test_each_place_is_held_against_the_first(mirror: Mirror, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", str(mirror.root), str(tmp_path / "second")], check=True)
    settings = channel(mirror, str(mirror.root), str(tmp_path / "second"))
    reports = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert [report.found for report in reports] == [(), ()]

    context = mirror.project.context(str(tmp_path / "second"))
    mirror.project.publish(context, mirror.project.build(release="1.ours.3"))
    turned = channel(mirror, str(tmp_path / "second"), str(mirror.root))
    ahead, behind = audit.run(turned, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert ahead.found == ()
    assert [(each.kind, each.subject) for each in behind.found] == [("place-behind", str(mirror.dir))]
    assert "small-1.0-1.ours.3" in behind.found[0].why


def test_a_place_that_does_not_answer_is_a_finding_unless_it_is_the_only_one(mirror: Mirror) -> None:
    away = "rsync://127.0.0.1:1/repo"
    settings = channel(mirror, str(mirror.root), away)
    here, there = audit.run(settings, {"el6": ("small",)}, quick=True, max_age_days=0)
    assert here.found == ()
    assert [each.kind for each in there.found] == ["unreachable"]
    with pytest.raises(PublishError, match="nothing listens there"):
        mirror.look(away)


def test_mends_are_commands_for_the_mirror_that_was_looked_at(mirror: Mirror) -> None:
    DAMAGES["other filelists"][0](mirror)
    (found,) = mirror.look().found
    flags = f"--target el6 --mirror {mirror.root} --out {mirror.project.out_path}"
    assert f"`.venv/bin/nox -s rollback -- {flags} --to {mirror.revisions[0]}`" in found.mend


def test_a_channel_filled_by_promote_waits_for_nothing(mirror: Mirror) -> None:
    signed_here(mirror, "1.ours.3")
    assert mirror.found() == [("not-published", "small-1.0-1.ours.3")]
    log = mirror.standing / "publish.log"
    first, last = log.read_bytes().splitlines(keepends=True)
    edit(log, first + last.replace(b'"publish"', b'"promote"'))
    assert mirror.found() == []


def test_the_url_of_a_configured_channel_is_that_channel(mirror: Mirror, nginx: Any) -> None:
    mirror.project.publish(mirror.project.context(str(mirror.root)), mirror.project.build("other", release="1.demo"))
    url = nginx(mirror.root)
    edit(mirror.standing / "mirrorlist", f"{url}/el6/{layout.snapshot(mirror.revisions[-1])}/\n".encode())
    for given in (url, f"{url}/", f"{url}/el6"):
        settings = channel(mirror, str(mirror.root), urls=(url,)).model_copy(update={"mirror_override": given})
        (report,) = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
        assert report.found == ()
        assert report.place == f"{url}/el6"
    (mirror.standing / "repomd.xml.asc").unlink()
    (report,) = audit.run(settings, {"el6": ("small",)}, quick=True, max_age_days=0)
    assert "publish -- --target el6 --mirror channel " in report.found[0].mend


def test_a_url_that_ends_with_the_target_is_understood(mirror: Mirror, nginx: Any) -> None:
    report = mirror.look(f"{nginx(mirror.root)}/el6")
    assert (report.found, report.packages) == ((), 4)


# ---- by rsync, ssh and http


# One of each way in which a place is read: links, books, metadata, packages, snapshots, names.
REMOTE = ("", "no repomd.xml", "html for repomd.xml", "another repomd.xml", "no signature", "no filelists",
          "other filelists", "a missing package", "a package of both states", "a longer package", "a changed package",
          "an extra package", "what rsync left", "an unfinished snapshot", "a half-removed snapshot",
          "a snapshot without its primary", "a snapshot's link", "a folder for repodata", "repodata to itself",
          "a fixed link elsewhere", "a mirrorlist elsewhere", "no log", "a rewritten log", "no statement",
          "a changed statement of the log", "another statement", "another SBOM")  # fmt: skip


@pytest.fixture
def by_rsync(mirror: Mirror, rsync_daemon: RsyncDaemon) -> str:
    mirror.root.rename(rsync_daemon.dir / "channel")
    mirror.root = rsync_daemon.dir / "channel"
    return rsync_daemon.url() + "/channel"


@pytest.mark.parametrize("damage", REMOTE)
def test_rsync_shows_the_same(mirror: Mirror, by_rsync: str, damage: str) -> None:
    if damage:
        DAMAGES[damage][0](mirror)
    wanted = [DAMAGES[damage][1]] if damage else []
    assert [kind for kind, _ in mirror.found(by_rsync)] == wanted


def test_ssh_shows_the_same(mirror: Mirror, ssh_server: SshServer) -> None:
    address = f"127.0.0.1:{mirror.root}"
    settings = mirror.project.context(address, ssh_command=ssh_server.command).settings
    (whole,) = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert whole.found == ()
    flip(mirror.dir / NEW)
    (report,) = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert [(each.kind, each.subject) for each in report.found] == [("package-changed", NEW)]


def test_what_is_write_only_is_read_by_its_url(mirror: Mirror, nginx: Any) -> None:
    settings = channel(mirror, "127.0.0.1:/nowhere", urls=(nginx(mirror.root),))
    there = settings.mirrors["channel"].model_copy(update={"write_only": True})
    settings = settings.model_copy(update={"mirrors": {"channel": there}})
    (report,) = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert [each.kind for each in report.found] == ["mirrorlist"]  # it was published without a url


# What a web server does not show, or shows in another way.
UNSEEN = {"an extra package", "what rsync left", "an unfinished snapshot", "a half-removed snapshot",
          "a folder for repodata"}  # fmt: skip
BY_HTTP = {"no repomd.xml": "repomd-missing", "repodata to itself": "unreadable"}


@pytest.mark.parametrize("damage", REMOTE)
def test_http_shows_the_same_but_what_has_no_name(mirror: Mirror, nginx: Any, damage: str) -> None:
    if damage:
        DAMAGES[damage][0](mirror)
    report = mirror.look(nginx(mirror.root))
    kind = BY_HTTP.get(damage) or (DAMAGES[damage][1] if damage else "")
    wanted = [] if not damage or damage in UNSEEN else [kind]
    assert [each.kind for each in report.found] == wanted
    assert "a web server tells no names" in report.unseen[0]


def test_a_web_server_that_answers_with_errors_is_a_finding(mirror: Mirror, httpserver: Any) -> None:
    httpserver.expect_request("/el6/repodata/repomd.xml").respond_with_data("busy", status=503)
    report = mirror.look(httpserver.url_for(""))
    assert [(each.kind, each.subject) for each in report.found] == [("unreadable", "repodata/repomd.xml")]


def test_a_web_server_that_is_away_is_exit_31(mirror: Mirror) -> None:
    with pytest.raises(PublishError) as caught:
        mirror.look("http://127.0.0.1:1/")
    assert caught.value.exit_code == 31


def test_what_readers_get_by_the_url_must_be_what_stands(mirror: Mirror, nginx: Any, tmp_path: Path) -> None:
    url = nginx(mirror.root)
    settings = channel(mirror, str(mirror.root), urls=(url,))
    (report,) = audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)
    assert [each.kind for each in report.found] == ["mirrorlist"]  # it was published without a url
    edit(mirror.standing / "mirrorlist", f"{url}/el6/{layout.snapshot(mirror.revisions[-1])}/\n".encode())
    assert audit.run(settings, {"el6": ("small",)}, quick=False, max_age_days=0)[0].found == ()
    (tmp_path / "empty").mkdir()
    wrong = channel(mirror, str(mirror.root), urls=(nginx(tmp_path / "empty"),))
    (report,) = audit.run(wrong, {"el6": ("small",)}, quick=True, max_age_days=0)
    assert "url-differs" in [each.kind for each in report.found]


# ---- for programs


def run_audit(mirror: Mirror, *words: str) -> tuple[int, dict[str, Any], str]:
    argv = [sys.executable, "-m", "pipeline", "audit", "--target", "el6", "--out", str(mirror.project.out_path),
            "--mirror", str(mirror.root), "--json", *words]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_exit_code_and_document_are_for_programs(mirror: Mirror, validator_of: Callable[[str], Any]) -> None:
    before = {path: path.lstat().st_mtime_ns for path in mirror.root.rglob("*")}
    code, document, _ = run_audit(mirror)
    validator_of("audit").validate(document)
    assert (code, document["status"], document["places"][0]["findings"]) == (0, "ok", [])

    stray(mirror, "noarch/x")
    code, document, _ = run_audit(mirror)
    assert (code, document["places"][0]["warnings"]) == (0, 1)
    code, document, told = run_audit(mirror, "--strict", "--max-age", "0.0000001")
    validator_of("audit").validate(document)
    assert (code, document["status"], document["places"][0]["warnings"]) == (19, "failed", 2)

    (mirror.dir / NEW).unlink()
    code, document, told = run_audit(mirror, "--quick")
    validator_of("audit").validate(document)
    assert (code, document["error"]["exit_code"], document["places"][0]["errors"]) == (19, 19, 1)
    assert "error: package-missing: noarch/small" in told
    assert not mirror.project.out_path.exists()
    after = {path: path.lstat().st_mtime_ns for path in mirror.root.rglob("*")}
    assert {path for path in after if before.get(path) != after[path]} == {
        mirror.dir / "noarch",
        mirror.dir / "noarch/x",
    }

    code, document, _ = run_audit(mirror, "--mirror", "rsync://127.0.0.1:1/repo")
    validator_of("audit").validate(document)
    assert (code, document["places"]) == (31, [])


def test_ten_thousand_packages_take_a_quick_look_two_seconds(mirror: Mirror, tmp_path: Path) -> None:
    count = 10_000
    primary = gzip.decompress(mirror.metadata("primary").read_bytes()).decode()
    head, _, rest = primary.partition("<package ")
    element = "<package " + rest.partition("</package>")[0] + "</package>\n"
    head = head.replace('packages="4"', f'packages="{count}"')
    href = element.partition('<location href="')[2].partition('"')[0]
    big = Mirror(tmp_path / "big", mirror.project)
    (big.dir / "noarch").mkdir(parents=True)
    size = (mirror.dir / href).stat().st_size
    elements = []
    for number in range(count):
        name = f"noarch/many-{number}.rpm"
        elements.append(element.replace(f'href="{href}"', f'href="{name}"'))
        with (big.dir / name).open("wb") as stream:
            stream.truncate(size)
    folder = tmp_path / "metadata"
    folder.mkdir()
    (folder / "primary.xml").write_text(head + "".join(elements) + "</metadata>\n")
    (big.dir / "repodata").mkdir()
    write_repomd(big.dir / "repodata", folder / "primary.xml")
    looks = []
    for _ in range(3):  # the best of three: the machine may be busy
        started = time.monotonic()
        report = big.look(quick=True)
        looks.append(time.monotonic() - started)
    assert report.packages == count
    assert {each.kind for each in report.found} == {"not-ours", "repomd-unsigned"}
    assert min(looks) < 2


def write_repomd(repodata_dir: Path, primary: Path) -> None:
    content = primary.read_bytes()
    shutil.copy(primary, repodata_dir / "primary.xml")
    (repodata_dir / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">'
        f'<checksum type="sha256">{hashlib.sha256(content).hexdigest()}</checksum>'
        '<location href="repodata/primary.xml"/></data></repomd>'
    )


def test_every_kind_of_a_finding_is_made_somewhere() -> None:
    from pipeline.audit.findings import KINDS

    code = "".join(path.read_text() for path in Path(audit.__file__).parent.glob("*.py"))
    assert [kind for kind in KINDS if code.count(f'"{kind}"') < 2] == []
