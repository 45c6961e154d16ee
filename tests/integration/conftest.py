# SPDX-License-Identifier: GPL-2.0-or-later
"""Real parts for tests: small RPMs made by rpmbuild, an rsync daemon, an sshd, a small disk."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import plumbum
import pytest

from pipeline import files
from pipeline.context import TargetContext
from pipeline.engines.host import HostEngine
from pipeline.model import BuildResult, File, Publication, PublicKey, Repository, SignedSet
from pipeline.progress import Progress
from pipeline.rpmbuild import read_rpm
from pipeline.settings import read_settings
from pipeline.signing import home, keyring, packages
from pipeline.stages import publish, repo
from tests.browser import browser
from tests.integration import papers
from tests.integration.checkout import checkout, kept_release, released

__all__ = ["browser", "checkout", "kept_release", "released"]  # fixtures

ROOT_DIR = Path(__file__).parents[2]

_SPEC = """\
Name: {name}
{epoch}Version: 1.0
Release: {release}
Summary: A small package
License: GPL-2.0-or-later
BuildArch: noarch
%description
A small package.
%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo '{text}' > %{{buildroot}}/usr/share/{name}/text
head -c {size_bytes} /dev/urandom > %{{buildroot}}/usr/share/{name}/bulk
%files
/usr/share/{name}
%changelog
* Mon Jan 05 2015 A Packager <packager@example.org> - 1.0-{release}
- first
"""

PackageMaker = Callable[..., tuple[Path, ...]]


@dataclass(frozen=True)
class SigningKey:
    """A key that signs in all tests: its secret and its public half, armored."""

    secret_path: Path
    public_path: Path
    fingerprint: str

    def sign(self, *paths: Path) -> None:
        """Sign packages in place."""
        given = read_settings(ROOT_DIR, environ={})
        signing = given.signing.model_copy(update={"key_file": str(self.secret_path)})
        settings = given.model_copy(update={"signing": signing})
        with keyring.opened(settings, Progress(quiet=True), target_name="el6") as key:
            packages.sign(paths, key)


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    folder = tmp_path_factory.mktemp("key")
    with home.private() as homedir:
        gpg = [
            "gpg",
            "--homedir",
            str(homedir),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]
        subprocess.run([*gpg, "--quick-generate-key", "Tests <tests@example.org>", "rsa3072", "sign", "1y"], check=True,
                       capture_output=True)  # fmt: skip
        for name, word in (("secret", "--export-secret-keys"), ("public", "--export")):
            done = subprocess.run([*gpg, "--armor", word], check=True, capture_output=True)
            (folder / f"{name}.asc").write_bytes(done.stdout)
        (folder / "secret.asc").chmod(0o600)
        listed = subprocess.run([*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True)
        subprocess.run(["gpgconf", "--homedir", str(homedir), "--kill", "all"], check=True, capture_output=True)
    fingerprint = next(line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr:"))
    return SigningKey(folder / "secret.asc", folder / "public.asc", fingerprint)


@pytest.fixture(scope="session")
def make_packages(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> PackageMaker:
    """A function that has rpmbuild make a package once, signed, and returns its source and binary RPM."""
    made: dict[tuple[object, ...], tuple[Path, ...]] = {}

    def make(name: str, release: str, *, text: str = "a", size_bytes: int = 10, epoch: str = "") -> tuple[Path, ...]:
        key = (name, release, text, size_bytes, epoch)
        if key not in made:
            topdir = tmp_path_factory.mktemp("rpmbuild")
            spec = topdir / f"{name}.spec"
            spec.write_text(_SPEC.format(name=name, release=release, text=text, size_bytes=size_bytes,
                                         epoch=f"Epoch: {epoch}\n" if epoch else ""))  # fmt: skip
            macros = {"_topdir": topdir, "_binary_payload": "w1.gzdio", "_source_payload": "w1.gzdio"}
            defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
            subprocess.run(["rpmbuild", "-ba", "--quiet", *defines, str(spec)], check=True, capture_output=True)
            signing_key.sign(*topdir.glob("*RPMS/**/*.rpm"))
            made[key] = (*sorted(topdir.glob("SRPMS/*.rpm")), *sorted(topdir.glob("RPMS/*/*.rpm")))
        return made[key]

    return make


@dataclass(frozen=True)
class Project:
    """A checkout's settings with an out directory and a mirror of its own, and the two last stages."""

    root_dir: Path
    out_path: Path
    make_packages: PackageMaker
    key: SigningKey
    has_papers: bool = False

    def context(
        self, mirror: str, target: str = "el6", *, ssh_command: str = "", offline: bool = False
    ) -> TargetContext:
        settings = read_settings(self.root_dir, out=str(self.out_path), mirror=mirror, offline=offline, environ={})
        if ssh_command:
            local = settings.mirrors["local"].model_copy(update={"destination": (mirror,), "ssh_command": ssh_command})
            settings = settings.model_copy(update={"mirrors": {mirror: local}})
        home_dir = self.out_path / target
        return TargetContext(
            settings=settings,
            target_name=target,
            target=settings.target(target),
            engine=HostEngine(),
            progress=Progress(quiet=True),
            home_dir=home_dir,
            log_path=home_dir / "logs" / "1" / "stage.log",
        )

    def build(self, name: str = "small", release: str = "1", target: str = "el6", **wishes: object) -> BuildResult:
        """The record of a build whose packages lie in the out directory."""
        home_dir = self.out_path / target / name
        records = []
        for path in self.make_packages(name, release, **wishes):
            kept = home_dir / "RPMS" / path.name
            files.copy_whole(path, kept)
            records.append(read_rpm(kept, self.out_path))
        spec = home_dir / "SPECS" / f"{name}.spec"
        files.write_whole(spec, "Name: small\n")
        return BuildResult(srpm=records[0], rpms=tuple(records[1:]), spec=files.file_record(spec, self.out_path))

    def signed(self, *builds: BuildResult) -> tuple[SignedSet, ...]:
        """What the stage `sign` would make of builds; their packages are signed already."""
        key_path = self.out_path / "keys" / "key.asc"
        files.copy_whole(self.key.public_path, key_path)
        key = PublicKey(fingerprint=self.key.fingerprint, file=files.file_record(key_path, self.out_path))
        return tuple(
            SignedSet(ours=build.all_rpms, vendor=(), vendor_origin="", keys=(key,), sidecars=self._papers(build))
            for build in builds
        )

    def _papers(self, build: BuildResult) -> tuple[File, ...]:
        if not self.has_papers:
            return ()
        return tuple(papers.write(rpm, build, self.out_path, suffix) for rpm in build.all_rpms for suffix in papers.ALL)

    def stage(self, context: TargetContext, *builds: BuildResult) -> Repository:
        return repo.run(self.signed(*builds), context=context)

    def publish(self, context: TargetContext, *builds: BuildResult) -> tuple[Repository, Publication]:
        repository = self.stage(context, *builds)
        return repository, publish.run(repository, context=context)


def project_at(folder: Path, make_packages: PackageMaker, key: SigningKey) -> Project:
    root_dir = folder / "checkout"
    root_dir.mkdir()
    text = (ROOT_DIR / "pipeline.toml").read_text()
    (root_dir / "pipeline.toml").write_text(f'{text}\n[signing]\nkey_file = "{key.secret_path}"\n')
    return Project(root_dir, folder / "out dir é", make_packages, key)


@pytest.fixture
def project(tmp_path: Path, make_packages: PackageMaker, signing_key: SigningKey) -> Project:
    return project_at(tmp_path, make_packages, signing_key)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    argv: list[str], port: int, log_path: Path, *, umask: int = -1, address: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it listens until the end of the block."""
    with log_path.open("ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, umask=umask)
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{argv[0]} did not come up: {log_path.read_text()}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


@dataclass(frozen=True)
class RsyncDaemon:
    """An rsync daemon with the modules `repo`, `munging`, `chrooted`, `readonly` and `secret` over one folder.

    Links that `munging` is given lead nowhere.
    """

    port: int
    dir: Path

    def url(self, module: str = "repo") -> str:
        return f"rsync://127.0.0.1:{self.port}/{module}"


@pytest.fixture
def rsync_daemon(tmp_path: Path) -> Iterator[RsyncDaemon]:
    folder = tmp_path / "daemon"
    served = folder / "served"
    served.mkdir(parents=True)
    (folder / "secrets").write_text("publisher:right\n")
    (folder / "secrets").chmod(0o600)
    port = free_port()
    owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
    chroot = "yes" if os.getuid() == 0 else "no"
    config = folder / "rsyncd.conf"
    config.write_text(
        f"port = {port}\naddress = 127.0.0.1\npid file = {folder}/pid\nlog file = {folder}/log\n{owner}"
        f"[repo]\npath = {served}\nread only = no\nuse chroot = no\nmunge symlinks = no\n"
        f"[munging]\npath = {served}\nread only = no\nuse chroot = no\n"
        f"[chrooted]\npath = {served}\nread only = no\nuse chroot = {chroot}\n"
        f"[readonly]\npath = {served}\nread only = yes\nuse chroot = no\n"
        f"[secret]\npath = {served}\nread only = no\nuse chroot = no\n"
        f"auth users = publisher\nsecrets file = {folder}/secrets\n"
    )
    # With that umask, whatever is not given its mode would be out of reach of a web server.
    with running(["rsync", "--daemon", "--no-detach", f"--config={config}"], port, folder / "out", umask=0o077):
        yield RsyncDaemon(port, served)


@dataclass(frozen=True)
class SshServer:
    """An sshd that takes one key; `command` is the ssh that knows it, and the server's key."""

    port: int
    command: str
    authorized_keys: Path
    public_key: str
    known_hosts: Path

    @property
    def options(self) -> dict[str, object]:
        """The same for asyncssh."""
        keys = [str(self.authorized_keys.with_name("user"))]
        return {"port": self.port, "known_hosts": str(self.known_hosts), "client_keys": keys}


@contextlib.contextmanager
def sshd(folder: Path, *lines: str, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Iterator[SshServer]:
    """An sshd whose configuration ends with these lines."""
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd gives up its rights in there
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    public_key = (folder / "user.pub").read_text().strip()
    authorized_keys = folder / "authorized_keys"
    authorized_keys.write_text(f"{public_key}\n")
    known_hosts = folder / "known_hosts"
    host_key = (folder / "host.pub").read_text()
    known_hosts.write_text("".join(f"[{address}]:{port} {host_key}" for address in addresses))
    config = folder / "sshd_config"
    listening = "".join(f"ListenAddress {address}\n" for address in addresses)
    config.write_text(
        f"Port {port}\n{listening}HostKey {folder}/host\nAuthorizedKeysFile {authorized_keys}\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        + "".join(f"{line}\n" for line in lines)
    )
    command = (
        f"ssh -F none -p {port} -i {folder}/user -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes"
        " -o BatchMode=yes -o IdentitiesOnly=yes"
    )
    argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
    with running(argv, port, folder / "log", address=addresses[0]):
        yield SshServer(port, command, authorized_keys, public_key, known_hosts)


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with sshd(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 900 kB."""
    path = tmp_path / "small disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@dataclass(frozen=True)
class RsyncShim:
    """An `rsync` before the real one on PATH that counts its calls and does as it is told at one of them."""

    dir: Path

    def at_call(self, number: int, script: str) -> None:
        """At that call run `script`, a piece of sh in which "$@" are the arguments and $REAL is rsync."""
        (self.dir / "count").write_text("0")
        path = self.dir / "rsync"
        real = next(str(Path(d) / "rsync") for d in os.environ["PATH"].split(":")
                    if Path(d) != self.dir and (Path(d) / "rsync").exists())  # fmt: skip
        path.write_text(
            f"#!/bin/sh\nREAL={real}\nn=$(($(cat '{self.dir}/count') + 1))\necho $n > '{self.dir}/count'\n"
            f'if [ $n = {number} ]; then\n{script}\nfi\nexec $REAL "$@"\n'
        )
        path.chmod(0o755)

    def calls(self) -> int:
        return int((self.dir / "count").read_text())


@pytest.fixture
def rsync_shim(tmp_path: Path) -> Iterator[RsyncShim]:
    folder = tmp_path / "shim"
    folder.mkdir()
    with plumbum.local.env(PATH=f"{folder}:{os.environ['PATH']}"):
        shim = RsyncShim(folder)
        shim.at_call(0, ":")  # from the start: plumbum remembers where it found a program
        yield shim


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """A function that serves a folder by a web server of its own, and returns its address."""
    with contextlib.ExitStack() as servers:

        def serve(served: Path) -> str:
            port = free_port()
            home = tmp_path / f"nginx-{port}"
            home.mkdir()
            owner = "user root;\n" if os.getuid() == 0 else ""
            temporary = "".join(f"{name}_temp_path {home}/{name};\n"
                                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
            (home / "nginx.conf").write_text(
                f"{owner}daemon off;\npid {home}/pid;\nerror_log {home}/error.log;\nevents {{}}\n"
                f"http {{\naccess_log off;\n{temporary}"
                f'server {{ listen 127.0.0.1:{port}; root "{served}"; }}\n}}\n'
            )
            argv = ["nginx", "-p", str(home), "-e", str(home / "error.log"), "-c", str(home / "nginx.conf")]
            servers.enter_context(running(argv, port, home / "out"))
            return f"http://127.0.0.1:{port}"

        yield serve
