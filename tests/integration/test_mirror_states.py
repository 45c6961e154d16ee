# SPDX-License-Identifier: GPL-2.0-or-later
"""States of a mirror: listed, gone back to, moved to another channel, pruned; on a directory and by an rsync daemon."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.errors import (
    GateError,
    LockedError,
    PublishError,
    ReleaseError,
    SigningError,
    UsageError,
    VerifyError,
)
from pipeline.mirrors import history, layout, lease, mirror, promote, retention, rollback
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.base import Destination
from pipeline.model import LogEntry, Publication
from pipeline.progress import Progress
from pipeline.settings import Settings, read_settings
from pipeline.settingtables import RetentionSettings
from pipeline.signing import gpg, keyring
from tests.integration.conftest import ROOT_DIR, Project, RsyncDaemon, RsyncShim
from tests.integration.packages import make
from tests.integration.test_publish_local import listed_by_dnf, read_as_client

FIRST, SECOND, THIRD = ("1.el6.ours.1", "1.el6.ours.2", "1.el6.ours.3")
_AT_ONCE = RetentionSettings(keep_snapshots=1, keep_days=0, grace_hours=0)
_TARGET = "el6"


@dataclass(frozen=True)
class Channel:
    """A channel of one place, and where its files lie on this machine."""

    project: Project
    name: str
    place: str
    served_dir: Path

    @property
    def settings(self) -> Settings:
        return read_settings(self.project.root_dir, out=str(self.project.out_path), mirror=self.name, engine="host",
                             environ={})  # fmt: skip

    @property
    def destination(self) -> Destination:
        return find_destination(self.settings, _TARGET)

    @property
    def log_path(self) -> Path:
        return self.project.out_path / "logs" / "stage.log"

    def publish(self, release: str, **wishes: object) -> Publication:
        context = self.project.context(self.name)
        home_dir = self.project.out_path / self.name / release
        _, publication = self.project.publish(replace(context, home_dir=home_dir),
                                              self.project.build(release=release, **wishes))  # fmt: skip
        return publication

    def roll_back(self, revision: int, settings: Settings | None = None, **more: bool) -> Publication:
        return rollback.run(settings or self.settings, _TARGET, revision, Progress(quiet=True),
                            log_path=self.log_path, **more)  # fmt: skip

    def take(
        self, source: Channel, revision: int | None = None, settings: Settings | None = None, **more: bool
    ) -> Publication:
        return promote.run(settings or self.settings, _TARGET, source.name, revision, Progress(quiet=True),
                           log_path=self.log_path, **more)  # fmt: skip

    def prune(self, wishes: RetentionSettings = _AT_ONCE, *, remove: bool = True) -> retention.Pruning:
        settings = self.settings.model_copy(update={"retention": wishes})
        (done,) = retention.run(settings, _TARGET, Progress(quiet=True), remove=remove, log_path=self.log_path)
        return done

    def known(self) -> tuple[history.Snapshot, ...]:
        return history.snapshots(mirror.read_state(self.settings, _TARGET), self.destination)

    def packages(self) -> dict[str, str]:
        return {rpm.nevra: rpm.sha256 for rpm in mirror.read_state(self.settings, _TARGET).packages}

    def log(self) -> tuple[LogEntry, ...]:
        return mirror.read_state(self.settings, _TARGET).log

    def stamps(self) -> dict[Path, tuple[int, int]]:
        return {path: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in self.served_dir.rglob("*")}


def dnf(root: Path, repository_dir: Path, *words: str) -> None:
    subprocess.run(
        ["dnf", "-q", "-y", f"--installroot={root}", "--releasever=6", f"--repofrompath=ours,{repository_dir.as_uri()}",
         "--nogpgcheck", "--disablerepo=*", "--enablerepo=ours", f"--setopt=cachedir={root}/cache", "--refresh",
         "--setopt=tsflags=noscripts", *words],
        check=True, capture_output=True, text=True,
    )  # fmt: skip


def installed(root: Path) -> str:
    """Version and release of the package in a root, as dnf has it."""
    argv = ["dnf", "-q", f"--installroot={root}", "--releasever=6", "--disablerepo=*", "repoquery", "--installed",
            "--qf", "%{version}-%{release}", "small"]  # fmt: skip
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


MakeChannel = Callable[..., Channel]


@pytest.fixture
def channel(project: Project, tmp_path: Path, rsync_daemon: RsyncDaemon) -> MakeChannel:
    (project.root_dir / "containers").symlink_to(ROOT_DIR / "containers")

    def make(name: str, kind: str = "local") -> Channel:
        place = str(tmp_path / name) if kind == "local" else rsync_daemon.url(f"repo/{name}")
        served_dir = tmp_path / name if kind == "local" else rsync_daemon.dir / name
        if kind != "local":
            served_dir.mkdir()
        with (project.root_dir / "pipeline.toml").open("a") as stream:
            stream.write(f'\n[mirrors.{name}]\ndestination = "{place}"\n')
        return Channel(project, name, place, served_dir / _TARGET)

    return make


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second key that signs."""
    path = tmp_path_factory.mktemp("other key") / "secret.asc"
    with keyring.new_home() as home_dir:
        fingerprint = gpg.make(home_dir, name="Other", mail="o@example.org", bits=3072, years=1, passphrase="")
        path.write_text(gpg.secret_key(home_dir, fingerprint, ()))
    path.chmod(0o600)
    return path


@pytest.fixture(params=["local", "daemon"])
def stable(channel: MakeChannel, request: pytest.FixtureRequest) -> Channel:
    return channel("stable", request.param)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def primary(repository_dir: Path) -> bytes:
    """The bytes of the primary.xml that stands there."""
    repomd = (repository_dir / "repodata" / "repomd.xml").read_bytes()
    return next(path.read_bytes() for path in (repository_dir / "repodata").glob("*-primary.xml.gz")
                if path.name.encode() in repomd)  # fmt: skip


NOT_SIGNED = "is not signed by a key that is configured here: the key [0-9a-f]+ signed"


def spoil(channel: Channel, revision: int) -> None:
    """Change `repomd.xml` as somebody would who can write there and has no key: the log says the new digest."""
    path = channel.served_dir / layout.snapshot(revision) / layout.REPOMD
    former = digest(path)
    path.write_bytes(path.read_bytes() + b"<!-- Mallory -->\n")
    log_path = path.with_name(layout.LOG)
    log_path.write_text(log_path.read_text().replace(former, digest(path)))


def keys_of(channel: Channel, revision: int) -> Path:
    return channel.served_dir / layout.link_to(revision) / layout.KEYS


def public_half(channel: Channel, secret_path: Path) -> str:
    signing = channel.settings.signing.model_copy(update={"key_file": str(secret_path)})
    with keyring.opened(channel.settings.model_copy(update={"signing": signing}), Progress(quiet=True),
                        target_name=_TARGET) as key:  # fmt: skip
        return key.public_key


class TestSnapshots:
    def test_they_tell_what_came_and_which_stands(self, stable: Channel) -> None:
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        newest, oldest = stable.known()
        assert [each.entry.revision for each in (newest, oldest)] == [second.revision, first.revision]
        assert (newest.stands, newest.is_there, oldest.stands, oldest.is_there) == (True, True, False, True)
        assert newest.entry.releases == (("small", f"1.0-{SECOND}"),)

    def test_an_empty_mirror_has_none(self, stable: Channel) -> None:
        assert stable.known() == ()

    def test_a_snapshot_without_its_repomd_is_none(self, stable: Channel) -> None:
        first = stable.publish(FIRST)
        stable.publish(SECOND)
        (stable.served_dir / layout.snapshot(first.revision) / layout.REPOMD).unlink()
        assert [each.is_there for each in stable.known()] == [True, False]


class TestRollback:
    def test_the_earlier_content_stands_again_under_a_higher_number(self, stable: Channel, tmp_path: Path) -> None:
        first = stable.publish(FIRST)
        packages, described = stable.packages(), primary(stable.served_dir)
        second = stable.publish(SECOND)
        back = stable.roll_back(first.revision)
        assert back.revision > second.revision
        assert stable.packages() == packages
        assert primary(stable.served_dir) == described
        assert read_as_client(stable.served_dir) == []
        assert listed_by_dnf(stable.served_dir, tmp_path) == {f"small-1.0-{FIRST}.noarch", f"small-1.0-{FIRST}.src"}
        again = stable.roll_back(second.revision)
        assert again.revision > back.revision
        assert len(stable.packages()) == 4
        assert [entry.action for entry in stable.log()] == ["publish", "publish", "rollback", "rollback"]

    def test_a_host_goes_back(self, channel: MakeChannel, tmp_path: Path) -> None:
        stable = channel("stable")
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        root = tmp_path / "host"
        dnf(root, stable.served_dir, "install", "small")
        assert installed(root) == f"1.0-{SECOND}"
        stable.roll_back(first.revision)
        dnf(root, stable.served_dir, "distro-sync")
        assert installed(root) == f"1.0-{FIRST}"

    def test_to_what_stands_there_is_nothing_to_do(self, stable: Channel) -> None:
        first = stable.publish(FIRST)
        with pytest.raises(PublishError, match="is what stands on"):
            stable.roll_back(first.revision)

    def test_to_what_is_not_there_names_what_is(self, stable: Channel) -> None:
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        with pytest.raises(PublishError, match="the revision 7 of .* was never published") as raised:
            stable.roll_back(7)
        assert raised.value.hint == f"choose one of {second.revision}, {first.revision}"
        stable.prune()
        with pytest.raises(PublishError, match=rf"the revision {first.revision} of .* was pruned"):
            stable.roll_back(first.revision)

    def test_to_packages_that_somebody_removed_is_refused(self, stable: Channel) -> None:
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        (stable.served_dir / "noarch" / f"small-1.0-{FIRST}.noarch.rpm").unlink()
        before = stable.stamps()
        with pytest.raises(PublishError, match=r"small-1\.0-.*noarch\.rpm of that revision is no more on"):
            stable.roll_back(first.revision)
        assert {path for path in before if path not in stable.stamps()} <= {stable.served_dir / lease.LOCK}

    def test_a_dry_run_touches_nothing(self, stable: Channel) -> None:
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        before = stable.stamps()
        foreseen = stable.roll_back(first.revision, dry_run=True)
        assert stable.stamps() == before
        assert foreseen.changed
        assert foreseen.revision > second.revision

    def test_over_a_change_of_keys_the_former_must_be_configured_and_hosts_are_given_both(
        self, stable: Channel, other_key: Path
    ) -> None:
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        signing = stable.settings.signing.model_copy(update={"key_file": str(other_key)})
        with pytest.raises(PublishError, match=NOT_SIGNED) as raised:
            stable.roll_back(first.revision, stable.settings.model_copy(update={"signing": signing}))
        assert "[signing] former_keys" in raised.value.hint
        signing = signing.model_copy(update={"former_keys": (str(stable.project.key.public_path),)})
        stable.roll_back(first.revision, stable.settings.model_copy(update={"signing": signing}))
        keys = (stable.served_dir / layout.KEYS).read_text()
        assert keys.count("BEGIN PGP PUBLIC KEY BLOCK") == 2
        assert stable.project.key.public_path.read_text().strip() in keys

    def test_with_no_key_that_signs_nothing_changes(self, stable: Channel, tmp_path: Path) -> None:
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        signing = stable.settings.signing.model_copy(update={"key_file": str(tmp_path / "none")})
        standing = mirror.read_state(stable.settings, _TARGET).revision
        for dry_run in (True, False):
            with pytest.raises(SigningError, match="cannot be read"):
                stable.roll_back(
                    first.revision, stable.settings.model_copy(update={"signing": signing}), dry_run=dry_run
                )
        assert mirror.read_state(stable.settings, _TARGET).revision == standing

    def test_it_leads_out_of_what_somebody_changed(self, stable: Channel) -> None:
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        spoil(stable, second.revision)
        with pytest.raises(PublishError, match=NOT_SIGNED):
            stable.publish(THIRD)
        stable.roll_back(first.revision)
        assert read_as_client(stable.served_dir) == []
        assert (stable.served_dir / layout.KEYS).read_text().count("BEGIN PGP") == 1
        with pytest.raises(PublishError, match=NOT_SIGNED):
            stable.roll_back(second.revision)


class TestPromote:
    def test_the_very_packages_come_and_are_tried_first(self, channel: MakeChannel, stable: Channel) -> None:
        testing = channel("testing")
        testing.publish(FIRST)
        tested = testing.publish(SECOND)
        stable.publish(FIRST)
        done = stable.take(testing)
        assert stable.packages() == testing.packages()
        for path in testing.served_dir.rglob("*.rpm"):
            assert digest(stable.served_dir / path.relative_to(testing.served_dir)) == digest(path)
        assert read_as_client(stable.served_dir) == []
        entry = stable.log()[-1]
        assert (entry.action, entry.revision) == ("promote", done.revision)
        assert entry.detail == f"{tested.revision} from {testing.served_dir}"
        before = stable.stamps()
        assert not stable.take(testing).changed
        changed = {path for path in before if stable.stamps().get(path) != before[path]}
        assert changed <= {stable.served_dir, stable.served_dir / lease.LOCK}

    def test_a_new_key_comes_though_no_package_does(
        self, channel: MakeChannel, stable: Channel, other_key: Path
    ) -> None:
        testing = channel("testing")
        testing.publish(FIRST)
        stable.take(testing)
        former = (str(stable.project.key.public_path),)
        signing = stable.settings.signing.model_copy(update={"key_file": str(other_key), "former_keys": former})
        rotated = stable.settings.model_copy(update={"signing": signing})
        assert stable.take(testing, settings=rotated, dry_run=True).changed
        assert stable.take(testing, settings=rotated).changed
        keys = (stable.served_dir / layout.KEYS).read_text()
        assert keys.count("BEGIN PGP PUBLIC KEY BLOCK") == 2
        assert read_as_client(stable.served_dir) == []
        assert not stable.take(testing, settings=rotated).changed

    def test_what_is_not_signed_at_the_source_or_there_is_refused(self, channel: MakeChannel, stable: Channel) -> None:
        testing = channel("testing")
        stable.publish(FIRST)
        spoil(testing, testing.publish(SECOND).revision)
        with pytest.raises(PublishError, match=rf"{testing.served_dir}/snapshots/.*{NOT_SIGNED}"):
            stable.take(testing)
        spoil(stable, stable.known()[0].entry.revision)
        with pytest.raises(PublishError, match=NOT_SIGNED):
            testing.take(stable)

    def test_a_key_that_somebody_put_beside_the_source_does_not_come(
        self, channel: MakeChannel, other_key: Path
    ) -> None:
        testing, stable = channel("testing"), channel("stable")
        revision = testing.publish(FIRST).revision
        with keys_of(testing, revision).open("a") as stream:
            stream.write(public_half(testing, other_key))
        stable.take(testing)
        assert (stable.served_dir / layout.KEYS).read_text().count("BEGIN PGP") == 1

    @pytest.mark.parametrize(
        ("wishes", "macros", "told"),
        [
            ({"version": "1.0~rc1"}, {}, "its version has '~', which rpm 4.8 refuses"),
            ({}, {"_binary_payload": "w3.zstdio"}, "payload compressed with zstd"),
        ],
    )
    def test_what_the_target_cannot_read_is_refused(
        self, channel: MakeChannel, tmp_path: Path, wishes: dict[str, str], macros: dict[str, str], told: str
    ) -> None:
        testing, stable = channel("testing"), channel("stable")
        made = make(tmp_path / "made", subpackages={}, macros=macros, **wishes)
        testing.project.key.sign(*made)
        project = replace(testing.project, make_packages=lambda *_, **__: tuple(made))
        replace(testing, project=project).publish(FIRST)
        with pytest.raises(GateError) as raised:
            stable.take(testing)
        assert told in f"{raised.value.message} {raised.value.log_path.read_text()}"
        assert not list(stable.served_dir.rglob("*.rpm"))

    def test_what_a_client_cannot_install_is_refused(self, channel: MakeChannel, monkeypatch) -> None:
        testing, stable = channel("testing"), channel("stable")
        testing.publish(FIRST)

        def refuse(*_: object) -> None:
            raise VerifyError("proof-failed", "a host cannot install our release", hint="")

        monkeypatch.setattr("pipeline.proof.staged.prove", refuse)
        with pytest.raises(VerifyError):
            stable.take(testing)
        assert stable.packages() == {}
        assert not list(stable.served_dir.glob("**/*.rpm"))

    def test_sidecars_come_along(self, channel: MakeChannel, stable: Channel) -> None:
        testing = channel("testing")
        testing.publish(FIRST)
        name = f"noarch/small-1.0-{FIRST}.noarch.rpm.intoto.json"
        (testing.served_dir / name).write_text("{}")
        stable.take(testing)
        assert (stable.served_dir / name).read_text() == "{}"

    def test_a_revision_that_does_not_stand_any_more(self, channel: MakeChannel) -> None:
        testing, stable = channel("testing"), channel("stable")
        first, _ = testing.publish(FIRST), testing.publish(SECOND)
        stable.take(testing, first.revision)
        assert {name for name in stable.packages() if SECOND in name} == set()
        assert len(stable.packages()) == 2

    def test_a_higher_release_there_is_a_refusal(self, channel: MakeChannel) -> None:
        testing, stable = channel("testing"), channel("stable")
        testing.publish(FIRST)
        stable.publish(SECOND)
        with pytest.raises(ReleaseError, match="does not beat"):
            stable.take(testing)

    def test_other_bytes_under_one_name_are_a_refusal(self, channel: MakeChannel) -> None:
        testing, stable = channel("testing"), channel("stable")
        testing.publish(FIRST)
        stable.publish(FIRST, text="b")
        with pytest.raises(PublishError, match="already with other contents"):
            stable.take(testing)

    @pytest.mark.parametrize("harm", ["cut", "unsigned"])
    def test_a_bad_package_at_the_source_is_refused_and_nothing_is_there(
        self, channel: MakeChannel, stable: Channel, harm: str
    ) -> None:
        testing = channel("testing")
        testing.publish(FIRST)
        path = testing.served_dir / "noarch" / f"small-1.0-{FIRST}.noarch.rpm"
        if harm == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        else:
            subprocess.run(["rpmsign", "--delsign", str(path)], check=True, capture_output=True)
        with pytest.raises(PublishError, match="is not what its metadata says"):
            stable.take(testing)
        assert not list(stable.served_dir.rglob("*.rpm"))
        assert stable.packages() == {}

    @pytest.mark.parametrize(("source", "to"), [("tsting", "stable"), ("testing", "stabel")])
    def test_a_name_that_is_no_channel_is_refused(self, channel: MakeChannel, source: str, to: str) -> None:
        testing, stable = channel("testing"), channel("stable")
        testing.publish(FIRST)
        with pytest.raises(UsageError, match="there is no mirror '(tsting|stabel)'"):
            replace(stable, name=to).take(replace(testing, name=source))

    def test_a_dry_run_touches_nothing(self, channel: MakeChannel, stable: Channel) -> None:
        testing = channel("testing")
        testing.publish(FIRST)
        before = stable.stamps()
        assert stable.take(testing, dry_run=True).changed
        assert stable.stamps() == before


class TestPrune:
    def test_without_remove_nothing_is_touched(self, stable: Channel) -> None:
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        before = stable.stamps()
        plan = stable.prune(remove=False)
        assert [each.entry.revision for each in plan.snapshots] == [first.revision]
        assert not plan.removed
        assert stable.stamps() == before

    def test_what_no_kept_snapshot_names_goes_with_what_lies_beside(self, stable: Channel) -> None:
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        stable.roll_back(first.revision)
        beside = stable.served_dir / "noarch" / f"small-1.0-{SECOND}.noarch.rpm.intoto.json"
        beside.write_text("{}")
        own = stable.served_dir / "noarch" / "mine.txt"
        own.write_text("not of the repository")
        done = stable.prune()
        assert {rpm.nevra for rpm in done.packages} == {f"small-1.0-{SECOND}.noarch", f"small-1.0-{SECOND}.src"}
        assert not beside.exists()
        assert own.exists()
        assert not (stable.served_dir / layout.snapshot(second.revision)).exists()
        assert {path.name for path in (stable.served_dir / "noarch").iterdir()} == {
            "mine.txt", f"small-1.0-{FIRST}.noarch.rpm",
        }  # fmt: skip
        assert read_as_client(stable.served_dir) == []
        assert [each.is_there for each in stable.known()] == [True, False, False]

    def test_number_age_and_grace_keep(self, stable: Channel) -> None:
        stable.publish(FIRST)
        stable.publish(SECOND)
        for wishes in (
            RetentionSettings(keep_snapshots=2, keep_days=0, grace_hours=0),
            RetentionSettings(keep_snapshots=1, keep_days=1, grace_hours=0),
            RetentionSettings(keep_snapshots=1, keep_days=0, grace_hours=1),
        ):
            assert stable.prune(wishes).snapshots == ()
        assert len(stable.prune().snapshots) == 1

    def test_what_a_killed_publish_left_goes_after_the_grace(self, stable: Channel) -> None:
        stable.publish(FIRST)
        old, young = int(time.time()) - 7200, int(time.time()) + 60
        for revision in (old, young):
            (stable.served_dir / layout.link_to(revision)).mkdir(parents=True)
        done = stable.prune(RetentionSettings(keep_snapshots=1, keep_days=0, grace_hours=1))
        assert done.unfinished == (old,)
        assert {path.name for path in (stable.served_dir / "snapshots").iterdir()} >= {str(young)}
        assert not (stable.served_dir / layout.snapshot(old)).exists()

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_a_kill_in_the_middle_is_healed_by_the_next(
        self, channel: MakeChannel, rsync_shim: RsyncShim, number: int
    ) -> None:
        stable = channel("stable")
        first, second = stable.publish(FIRST), stable.publish(SECOND)
        stable.roll_back(first.revision)
        rsync_shim.at_call(number, "exit 20")
        with pytest.raises(PublishError):
            stable.prune()
        assert read_as_client(stable.served_dir) == []
        rsync_shim.at_call(0, ":")
        stable.prune()
        assert len(list((stable.served_dir / "snapshots").iterdir())) == 1
        assert not (stable.served_dir / layout.snapshot(second.revision)).exists()
        assert len(list(stable.served_dir.rglob("*.rpm"))) == 2

    def test_a_folder_that_was_removed_by_half_is_taken_away(self, stable: Channel) -> None:
        first, _ = stable.publish(FIRST), stable.publish(SECOND)
        (stable.served_dir / layout.snapshot(first.revision) / layout.REPOMD).unlink()
        assert stable.prune(RetentionSettings()).unfinished == (first.revision,)
        assert not (stable.served_dir / layout.snapshot(first.revision)).exists()

    def test_while_another_publishes_it_is_refused(self, channel: MakeChannel) -> None:
        stable = channel("stable")
        stable.publish(FIRST)
        place = replace(stable.destination, timeout_seconds=1)
        settings = stable.settings
        limits = settings.time_limits.model_copy(update={"publish": 1})
        with (
            lease.held(place, "us", Progress(quiet=True), log_path=stable.log_path),
            pytest.raises(LockedError, match="somebody is publishing"),
        ):
            retention.run(settings.model_copy(update={"time_limits": limits}), _TARGET, Progress(quiet=True),
                          remove=True, log_path=stable.log_path)  # fmt: skip
