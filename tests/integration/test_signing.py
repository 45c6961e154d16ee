# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages and metadata signed by the real gpg and rpmsign, and every way in which a signature is none of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import plumbum
import pytest

from pipeline import files
from pipeline.context import JobContext
from pipeline.errors import SigningError
from pipeline.model import Job, Provenance, SignedSet, VendorSet
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import choice, keyring, metadata, packages
from pipeline.stages import sign
from tests import signing
from tests.integration.conftest import ROOT_DIR, PackageMaker, Project
from tests.signing import LONG_AGO, Home, Keys

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    for home in signing.homes():
        yield Keys(home)


@pytest.fixture(scope="module")
def make_packages(make_packages: PackageMaker, tmp_path_factory: pytest.TempPathFactory) -> PackageMaker:
    """As rpmbuild makes them: without the signatures that other tests want."""
    made: dict[tuple[object, ...], tuple[Path, ...]] = {}

    def make(name: str, release: str, **wishes: object) -> tuple[Path, ...]:
        key = (name, release, *sorted(wishes.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("unsigned")
            made[key] = tuple(Path(shutil.copy(path, folder)) for path in make_packages(name, release, **wishes))
            subprocess.run(["rpmsign", "--delsign", *map(str, made[key])], check=True, capture_output=True)
        return made[key]

    return make


@pytest.fixture
def project(project: Project, make_packages: PackageMaker) -> Project:
    """Without a configured key."""
    shutil.copy(ROOT_DIR / "pipeline.toml", project.root_dir)
    return replace(project, make_packages=make_packages)


@pytest.fixture
def package(make_packages: PackageMaker, tmp_path: Path) -> Path:
    """A copy of a small package that a test may sign and spoil."""
    return Path(shutil.copy(make_packages("small", "1", size_bytes=5000)[-1], tmp_path))


@pytest.fixture
def configured(project: Project) -> Callable[..., Settings]:
    """The settings with a `[signing]` of the test's, for a mirror that is elsewhere."""

    def make(**told: object) -> Settings:
        settings = project.context("rsync://mirror.example.org/repo").settings
        return settings.model_copy(update={"signing": settings.signing.model_copy(update=told)})

    return make


def opened(settings: Settings, target: str = "el6"):
    return keyring.opened(settings, QUIET, target_name=target)


def refused(settings: Settings) -> str:
    with pytest.raises(SigningError) as caught, opened(settings):
        pytest.fail("there is nothing to sign with")
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message


# A short path, since sockets are made below it, and one of these tests alone.
KEYS_DIR = Path(f"/tmp/keys-of-tests-{os.getpid()}")


@pytest.fixture(autouse=True)
def keys_dir(monkeypatch) -> Iterator[Path]:
    monkeypatch.setattr("pipeline.signing.home.KEYS_DIR", KEYS_DIR)
    yield KEYS_DIR
    shutil.rmtree(KEYS_DIR, ignore_errors=True)


def nothing_is_left() -> bool:
    """An agent that was told to end does so in its own time."""
    deadline = time.monotonic() + 10
    while signing.agents_of(KEYS_DIR) and time.monotonic() < deadline:
        time.sleep(0.05)
    return signing.agents_of(KEYS_DIR) == [] and list(KEYS_DIR.iterdir()) == []


class TestPackages:
    """What a package must be for hosts: signed, whole, by a primary key that is trusted and has not expired."""

    def fault(self, path: Path, public_path: Path) -> str:
        with pytest.raises(SigningError) as caught:
            packages.verify([path], [public_path])
        name, _, problem = caught.value.message.partition(": ")
        assert name == path.name
        return problem

    @pytest.fixture
    def public(self, keys: Keys, tmp_path: Path) -> Path:
        return keys.home.public(tmp_path / "public.asc", keys.good)

    def signed(self, keys: Keys, package: Path, name: str = "", *words: str, **wishes: str) -> Path:
        return keys.home.rpmsign(package, name or f"{keys.good}!", *(words or ("--rpmv3",)), **wishes)

    def test_one_that_is_signed_as_it_should_be_holds(self, keys, package, public):
        packages.verify([self.signed(keys, package)], [public])

    def test_none_at_all_hold(self, public):
        packages.verify([], [public])

    def test_one_that_is_not_signed(self, package, public):
        assert self.fault(package, public) == "it is not signed"

    def test_one_signed_by_another_key(self, keys, package, public):
        path = self.signed(keys, package, f"{keys.other}!")
        ids = [fingerprint[-16:].lower() for fingerprint in (keys.other, keys.good)]
        assert self.fault(path, public) == f"it is signed by another key, {ids[0]} (to trust: {ids[1]})"

    def test_one_signed_by_a_key_that_has_expired_since(self, keys, package, tmp_path):
        path = self.signed(keys, package, f"{keys.expired}!", extra=f"--faked-system-time {LONG_AGO}")
        public = keys.home.public(tmp_path / "expired.asc", keys.expired)
        assert self.fault(path, public) == f"the key {keys.expired} that signed it expired on 2020-01-11"

    def test_one_signed_by_a_subkey(self, keys, package, tmp_path):
        path = self.signed(keys, package, keys.with_subkey)
        problem = self.fault(path, keys.home.public(tmp_path / "subkey.asc", keys.with_subkey))
        assert f"a subkey of {keys.with_subkey}: rpm 4.8 knows no subkeys" in problem

    @pytest.mark.parametrize("kind", ["dsa", "ed25519"])
    def test_one_signed_by_a_key_of_another_kind(self, keys, package, tmp_path, kind):
        path = self.signed(keys, package, getattr(keys, kind))
        problem = self.fault(path, keys.home.public(tmp_path / "kind.asc", getattr(keys, kind)))
        assert "where rpm 4.8 needs RSA/SHA256" in problem

    @pytest.mark.parametrize("digest", ["sha1", "sha224", "sha512"])
    def test_one_signed_with_another_digest(self, keys, package, public, digest):
        problem = self.fault(self.signed(keys, package, digest=digest), public)
        assert problem == f"its signature is RSA/{digest.upper()}, where rpm 4.8 needs RSA/SHA256"

    def test_one_of_which_only_the_header_is_signed(self, keys, package, public):
        path = self.signed(keys, package, f"{keys.good}!", "--quiet")
        assert self.fault(path, public) == "only its header is signed, and rpm 4.8 would take any payload with it"

    def test_one_whose_payload_is_cut(self, keys, package, public):
        content = self.signed(keys, package).read_bytes()
        package.write_bytes(content[:-100])
        assert self.fault(package, public).startswith("it was changed or cut short (")

    def test_one_whose_payload_was_edited(self, keys, package, public):
        content = bytearray(self.signed(keys, package).read_bytes())
        content[-50] ^= 1
        package.write_bytes(content)
        assert self.fault(package, public).startswith("it was changed or cut short (")

    def test_one_whose_header_was_edited(self, keys, package, public):
        content = self.signed(keys, package).read_bytes()
        package.write_bytes(content.replace(b"A small package", b"A smell package"))
        assert self.fault(package, public).startswith("it was changed or cut short (")

    @pytest.mark.parametrize("size_bytes", [0, 50, 200])
    def test_one_that_is_cut_before_it_begins(self, package, public, size_bytes):
        package.write_bytes(package.read_bytes()[:size_bytes])
        assert self.fault(package, public).startswith("it is no RPM, or cut short: ")

    def test_the_one_that_does_not_hold_among_others_is_named(self, keys, make_packages, tmp_path, public):
        paths = [Path(shutil.copy(path, tmp_path)) for path in make_packages("small", "1", size_bytes=5000)]
        other = Path(shutil.copy(make_packages("other", "1")[-1], tmp_path / "a name with spaces.rpm"))
        for path in paths:
            self.signed(keys, path)
        assert packages.problems([*paths, other], [public]) == {other: "it is not signed"}

    def test_two_signings_of_one_package_are_seen_to_be_the_same(self, keys, package, tmp_path):
        before = packages.content_digest(package)
        one = self.signed(keys, Path(shutil.copy(package, tmp_path / "one.rpm")))
        two = self.signed(keys, Path(shutil.copy(package, tmp_path / "two.rpm")), f"{keys.other}!")
        assert one.read_bytes() != two.read_bytes()
        assert packages.content_digest(one) == packages.content_digest(two) == before

    def test_another_package_has_another_digest(self, make_packages):
        digests = {packages.content_digest(make_packages("small", "1", text=text)[-1]) for text in "abc"}
        assert len(digests) == 3

    def test_what_is_no_package_has_no_digest(self, tmp_path):
        (tmp_path / "x.rpm").write_text("x" * 500)
        with pytest.raises(SigningError, match="x.rpm is no RPM"):
            packages.content_digest(tmp_path / "x.rpm")


class TestMetadata:
    def signature(self, keys: Keys, content: bytes, *words: str, by: str = "") -> bytes:
        argv = ["--armor", "--detach-sign", "--digest-algo", "SHA256", "--local-user", by or f"{keys.good}!", *words]
        return keys.home.gpg(*argv, stdin=content.decode()).encode()

    def fault(self, content: bytes, signature: bytes, *paths: Path) -> str:
        with pytest.raises(SigningError) as caught:
            metadata.verify(content, signature, paths)
        return caught.value.message.removeprefix("the signature does not hold: ")

    @pytest.fixture
    def public(self, keys: Keys, tmp_path: Path) -> Path:
        return keys.home.public(tmp_path / "public.asc", keys.good)

    def test_what_is_signed_is_verified_by_the_key_that_signed_it(self, keys, public):
        assert metadata.verify(b"text", self.signature(keys, b"text"), [public]) == keys.good

    def test_an_open_key_signs_beside_the_file(self, keys, public, configured, tmp_path):
        path = tmp_path / "repo md.xml"
        path.write_text("<repomd/>")
        settings = configured(key_file=str(keys.home.secret(tmp_path / "key.asc", keys.good)))
        with opened(settings) as key:
            written = metadata.sign(path, key)
        assert written.name == "repo md.xml.asc"
        assert written.read_bytes().startswith(b"-----BEGIN PGP SIGNATURE-----")
        assert metadata.verify(path.read_bytes(), written.read_bytes(), [public]) == keys.good
        assert nothing_is_left()

    def test_other_contents(self, keys, public):
        told = self.fault(b"other", self.signature(keys, b"text"), public)
        assert told == f"the key {keys.good[-16:].lower()} signed other contents"

    def test_another_key(self, keys, public):
        told = self.fault(b"text", self.signature(keys, b"text", by=keys.other), public)
        assert told == f"the key {keys.other[-16:].lower()} signed it, which is none of those to trust (public.asc)"

    def test_a_subkey(self, keys, tmp_path):
        public = keys.home.public(tmp_path / "subkey.asc", keys.with_subkey)
        assert "it is by the subkey" in self.fault(b"text", self.signature(keys, b"text", by=keys.with_subkey), public)

    def test_a_key_that_has_expired(self, keys, tmp_path):
        signature = self.signature(keys, b"text", "--faked-system-time", LONG_AGO, by=keys.expired)
        public = keys.home.public(tmp_path / "expired.asc", keys.expired)
        assert self.fault(b"text", signature, public).endswith("that signed it has expired")

    def test_another_digest(self, keys, public):
        signature = self.signature(keys, b"text", "--digest-algo", "SHA1")
        assert self.fault(b"text", signature, public) == "it is made with SHA-1, not SHA-256"

    @pytest.mark.parametrize("signature", [b"", b"nonsense", b"\x00" * 100])
    def test_what_is_no_signature(self, public, signature):
        assert self.fault(b"text", signature, public) == "it is no signature"


class TestOpening:
    def test_a_key_file_signs_and_nothing_is_left(self, keys, configured, package, tmp_path):
        settings = configured(key_file=str(keys.home.secret(tmp_path / "a key.asc", keys.good)))
        with opened(settings) as key:
            assert key.fingerprint == keys.good
            assert key.home_dir.stat().st_mode & 0o077 == 0
            packages.sign([package], key)
            (tmp_path / "given.asc").write_text(key.public_key)
        packages.verify([package], [tmp_path / "given.asc"])
        assert nothing_is_left()

    def test_a_passphrase_comes_from_its_file(self, keys, configured, package, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.protected, passphrase="right words")
        (tmp_path / "pass phrase").write_text("right words\n")
        with opened(configured(key_file=str(path), passphrase_file=str(tmp_path / "pass phrase"))) as key:
            packages.sign([package], key)
        packages.verify([package], [keys.home.public(tmp_path / "public.asc", keys.protected)])
        assert nothing_is_left()

    def test_a_wrong_passphrase_is_told_and_not_shown(self, keys, configured, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.protected, passphrase="right words")
        (tmp_path / "passphrase").write_text("wrong words\n")
        told = refused(configured(key_file=str(path), passphrase_file=str(tmp_path / "passphrase")))
        assert f"does not sign with the passphrase in {tmp_path}/passphrase: " in told
        assert "wrong words" not in told
        assert nothing_is_left()

    def test_a_passphrase_that_nobody_gives(self, keys, configured, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.protected, passphrase="right words")
        assert f"the signing key {keys.protected} ({path}) does not sign: " in refused(configured(key_file=str(path)))

    def test_a_passphrase_file_that_is_not_there(self, keys, configured, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.good)
        told = refused(configured(key_file=str(path), passphrase_file=str(tmp_path / "none")))
        assert told == f"the passphrase file {tmp_path}/none cannot be read: No such file or directory"

    def test_a_key_file_that_is_not_there_or_no_file(self, configured, tmp_path):
        for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
            assert refused(configured(key_file=str(path))) == f"the key file {path} cannot be read: {why}"

    def test_a_key_file_without_a_key(self, configured, tmp_path):
        (tmp_path / "key.asc").write_text("nothing of the kind\n")
        assert "has no key, so nothing can be signed" in refused(configured(key_file=str(tmp_path / "key.asc")))

    def test_a_key_file_with_a_public_key(self, keys, configured, tmp_path):
        path = keys.home.public(tmp_path / "key.asc", keys.good)
        assert "has only public keys, so nothing" in refused(configured(key_file=str(path)))

    def test_a_key_file_with_several_keys(self, keys, configured, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.good, keys.other)
        assert refused(configured(key_file=str(path))) == f"the key file {path} has 2 secret keys"
        with opened(configured(key_file=str(path), key=keys.other.lower())) as key:
            assert key.fingerprint == keys.other

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            ("ed25519", "it is EdDSA-255, and rpm 4.8 knows RSA alone"),
            ("dsa", "it is DSA-2048, and rpm 4.8 knows RSA alone"),
            ("small", "it has 1024 bits, and fewer than 2048 are no protection"),
            ("sha1", "its own signature is made with SHA-1"),
            ("with_subkey", "and rpm 4.8 verifies with the primary key alone"),
        ],
    )
    def test_a_key_that_rpm_4_8_cannot_use(self, keys, configured, tmp_path, kind, why):
        path = keys.home.secret(tmp_path / "key.asc", getattr(keys, kind))
        assert refused(configured(key_file=str(path))).endswith(why)

    def test_an_expired_key_is_refused_before_anything_is_built(self, keys, configured, tmp_path):
        path = keys.home.secret(tmp_path / "key.asc", keys.expired)
        settings = configured(key_file=str(path))
        error = choice.refusal(settings, [Job(package="vdsm", target="el6")], QUIET)
        assert error is not None
        assert error.message == f"the signing key {keys.expired} ({path}) expired on 2020-01-11"
        assert error.exit_code == 17

    def test_a_key_that_expires_soon_is_warned_of_once(self, keys, configured, tmp_path, progress, told):
        soon = keys.home.make("rsa2048", expires="20d")
        settings = configured(key_file=str(keys.home.secret(tmp_path / "key.asc", soon)))
        jobs = [Job(package="vdsm", target=target) for target in ("el6", "el6-bullseye")]
        assert choice.refusal(settings, jobs, progress) is None
        assert told.getvalue().count(f"warning: the signing key {soon} expires on ") == 1

    def test_without_a_key_nothing_goes_to_a_mirror_elsewhere(self, configured):
        told = refused(configured())
        assert told.startswith("there is no key to sign el6's packages with, and its mirror is not below ")

    @pytest.mark.parametrize("mirror", ["local", "{out}/below", "{out}/../beside", "/srv", "host:path"])
    def test_a_key_for_trying_is_made_only_where_the_mirror_is_below_out(self, project, mirror):
        settings = project.context(mirror.format(out=project.out_path)).settings
        if mirror in ("local", "{out}/below"):
            assert choice.of(settings, "el6").kind == "throwaway"
        else:
            assert "there is no key" in refused(settings)

    def test_the_key_for_trying_is_made_once_and_said_to_be_one(self, project, progress, told):
        settings = project.context("local").settings
        with keyring.opened(settings, progress, target_name="el6") as key:
            first = key.fingerprint
        assert (project.out_path / ".key").stat().st_mode & 0o777 == 0o700
        assert [path.stat().st_mode & 0o777 for path in (project.out_path / ".key").iterdir()] == [0o600]
        with opened(settings) as key:
            assert key.fingerprint == first
        listed = choice.of(settings, "el6").listed
        assert listed is not None
        assert "THROWAWAY" in listed.uid
        assert "signed with a key for trying" in told.getvalue()
        assert nothing_is_left()


class TestKeyring:
    """A key in gpg's own keyring, with `$GNUPGHOME` at places of every kind."""

    @pytest.fixture(params=["short", "with space, %20 and ä", "deep/" * 25])
    def gnupg_home(self, request, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / request.param
        folder.mkdir(mode=0o700, parents=True)
        folder.chmod(0o700)
        with plumbum.local.env(GNUPGHOME=str(folder)):
            yield folder

    @pytest.fixture
    def filled(self, keys: Keys, gnupg_home: Path, tmp_path: Path) -> Path:
        short = tmp_path / "s"
        short.symlink_to(gnupg_home)
        copy = Home(short)
        copy.gpg("--import", str(keys.home.secret(tmp_path / "key.asc", keys.good)))
        subprocess.run(["gpgconf", "--homedir", str(short), "--kill", "gpg-agent"], check=True)
        return gnupg_home

    def test_it_signs_though_no_agent_ran_and_none_is_left(self, keys, filled, configured, package, tmp_path):
        with opened(configured(key=keys.good)) as key:
            packages.sign([package], key)
        packages.verify([package], [keys.home.public(tmp_path / "public.asc", keys.good)])
        assert signing.agents_left(filled) == []
        assert nothing_is_left()

    def test_a_key_that_is_not_there(self, gnupg_home, configured):
        assert refused(configured(key="0" * 40)) == f"gpg's keyring in {gnupg_home} has no key {'0' * 40}"

    def test_a_key_of_which_only_the_public_part_is_there(self, keys, filled, configured):
        shutil.rmtree(filled / "private-keys-v1.d")
        assert "has not the secret part of the key" in refused(configured(key=keys.good))

    def test_a_home_that_is_not_there_is_not_made(self, configured, tmp_path):
        with plumbum.local.env(GNUPGHOME=str(tmp_path / "none")):
            assert "has no key" in refused(configured(key="0" * 40))
        assert not (tmp_path / "none").exists()


def test_somebody_s_agent_goes_on_running(keys, configured):
    keys.home.gpg("--armor", "--sign", "--local-user", keys.good, stdin="x")
    with plumbum.local.env(GNUPGHOME=str(keys.home.dir)), opened(configured(key=keys.good)):
        pass
    assert len(signing.agents_of(keys.home.dir)) == 1
    assert nothing_is_left()


class TestStage:
    @pytest.fixture
    def context(self, project: Project, keys: Keys, tmp_path: Path) -> JobContext:
        target = project.context("local")
        path = keys.home.secret(tmp_path / "key.asc", keys.good)
        signing_settings = target.settings.signing.model_copy(update={"key_file": str(path)})
        settings = target.settings.model_copy(update={"signing": signing_settings})
        return JobContext(
            settings=settings, target_name="el6", target=target.target, engine=target.engine, progress=QUIET,
            home_dir=target.home_dir / "vdsm", log_path=target.home_dir / "vdsm" / "logs" / "1" / "sign.log",
            job=Job(package="vdsm", target="el6"), package=settings.packages["vdsm"],
        )  # fmt: skip

    def run(self, project: Project, context: JobContext, release: str = "2", **wishes: object) -> SignedSet:
        build = project.build("small", release, **wishes)
        vendor = VendorSet(rpms=project.build("small", "1").all_rpms, origin="built from small")
        return sign.run(build, vendor, Provenance(statements=(), sboms=()), context=context)

    def content(self, made: SignedSet, project: Project) -> dict[Path, tuple[bytes, int]]:
        paths = [project.out_path / rpm.file.path for rpm in made.all_rpms]
        return {path: (path.read_bytes(), path.stat().st_ino) for path in paths}

    def test_all_packages_are_signed_and_what_was_built_is_not_touched(self, project, context, keys):
        built = project.build("small", "2")
        made = self.run(project, context)
        key_path = project.out_path / made.keys[0].file.path
        assert key_path == context.home_dir / "signed" / "keys" / f"{keys.good}.asc"
        packages.verify([project.out_path / rpm.file.path for rpm in made.all_rpms], [key_path])
        assert [str(rpm.file.path) for rpm in made.all_rpms] == [
            f"el6/vdsm/signed/{folder}/small-1.0-{release}.{arch}.rpm"
            for release in "21"
            for folder, arch in (("SRPMS", "src"), ("noarch", "noarch"))
        ]
        assert built == project.build("small", "2")
        assert packages.problems([project.out_path / built.srpm.file.path], [key_path])
        assert [rpm.nevra for rpm in made.ours] == [rpm.nevra for rpm in built.all_rpms]
        assert nothing_is_left()

    def test_a_second_run_changes_nothing(self, project, context):
        first = self.run(project, context)
        before = self.content(first, project)
        assert self.run(project, context) == first
        assert self.content(first, project) == before

    def test_another_content_and_a_spoiled_copy_are_signed_anew_and_nothing_else(self, project, context):
        first = self.run(project, context)
        before = self.content(first, project)
        spoiled = project.out_path / first.vendor[0].file.path
        spoiled.write_bytes(spoiled.read_bytes()[:-10])
        second = self.content(self.run(project, context, text="other"), project)
        assert {path.name for path in before if before[path] != second[path]} == {
            "small-1.0-2.src.rpm", "small-1.0-2.noarch.rpm", "small-1.0-1.src.rpm",
        }  # fmt: skip

    def test_another_key_signs_all_anew_and_the_former_is_published_too(self, project, context, keys, tmp_path):
        self.run(project, context)
        former = keys.home.public(tmp_path / "former.asc", keys.good)
        key_file = str(keys.home.secret(tmp_path / "next.asc", keys.other))
        told = {"key_file": key_file, "former_keys": (str(former),)}
        settings = context.settings.model_copy(update={"signing": context.settings.signing.model_copy(update=told)})
        made = self.run(project, replace(context, settings=settings))
        assert [key.fingerprint for key in made.keys] == [keys.other, keys.good]
        paths = [project.out_path / rpm.file.path for rpm in made.all_rpms]
        packages.verify(paths, [project.out_path / made.keys[0].file.path])

    def test_a_secret_key_among_the_former_is_never_published(self, project, context, keys, tmp_path):
        former = keys.home.secret(tmp_path / "former.asc", keys.other)
        told = {"former_keys": (str(former),)}
        settings = context.settings.model_copy(update={"signing": context.settings.signing.model_copy(update=told)})
        with pytest.raises(SigningError, match="of former_keys, has a secret key"):
            self.run(project, replace(context, settings=settings))
        assert not list(project.out_path.rglob(f"{keys.other}.asc"))

    def test_neither_the_log_nor_anything_else_below_out_has_a_secret(self, project, context):
        self.run(project, context)
        for path in filter(Path.is_file, project.out_path.rglob("*")):
            assert b"PRIVATE KEY" not in path.read_bytes(), path

    def test_thirty_eight_packages_take_few_seconds(self, project, context, make_packages):
        import time

        rpms = [project.build("small", str(number)).rpms[0] for number in range(3)]
        source = project.out_path / rpms[0].file.path
        many = []
        for number in range(38):
            path = source.with_name(f"small{number}-1.0-1.noarch.rpm")
            shutil.copy(source, path)
            many.append(replace(rpms[0], file=files.file_record(path, project.out_path)))
        started = time.monotonic()
        sign.run(replace(project.build("small", "1"), rpms=tuple(many)), VendorSet(rpms=(), origin=""),
                 Provenance(statements=(), sboms=()), context=context)  # fmt: skip
        assert time.monotonic() - started < 15
