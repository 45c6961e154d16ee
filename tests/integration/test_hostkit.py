# SPDX-License-Identifier: GPL-2.0-or-later
"""The published host kit on hosts: its playbook by Ansible over ssh, its page line by line, its `.repo` file with dnf."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import hypervisors
from tests.integration.conftest import PackageMaker, Project, SigningKey, SshServer, project_at, sshd
from tests.integration.hypervisors import Hypervisor
from tests.integration.places import channel

ADDRESSES = ("127.0.0.2", "127.0.0.3")
VENDOR, PREVIOUS, OURS = "0.el6", "0.el6.label.904", "0.el6.label.905"
_BIN_DIR = Path(sys.executable).parent


def _adapt(project: Project) -> None:
    """What vdsm's hosts have below /var/run and /usr/share lies in the host's own folder here."""
    path = project.root_dir / "pipeline.toml"
    text = path.read_text()
    adapted = text.replace("/usr/share/vdsm/dsaversion.py", "$HOST_DIR/root/usr/share/vdsm/text")
    adapted = adapted.replace("find /var/run/vdsm/", 'find $HOST_DIR/run/')
    assert adapted.count("HOST_DIR") == 3
    path.write_text(adapted)


@dataclass(frozen=True)
class Lab:
    """A published mirror with three releases of two packages, and two hosts behind one sshd."""

    mirror: Path
    folder: Path
    server: SshServer
    hosts: tuple[Hypervisor, Hypervisor]

    def play(self, *words: str, hosts: int = 2, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run the published playbook, with nobody at the terminal."""
        command = self.server.command.split()
        arguments = " ".join(command[1:])
        inventory = self.folder / "inventory"
        inventory.write_text(
            "".join(
                f"host{n} ansible_host={host.address} ansible_user=root ansible_port={self.server.port} "
                f"ansible_ssh_common_args='{arguments}'\n"
                for n, host in enumerate(self.hosts[:hosts], 1)
            )
        )
        argv = [str(_BIN_DIR / "ansible-playbook"), "-i", str(inventory), "-e", "try_seconds=0 tries=1"]
        env = {**os.environ, "HOME": str(self.folder), "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "c")}
        env |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*argv, *words, str(self.mirror / "hosts.yml")],
            env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, make_packages: PackageMaker, signing_key: SigningKey
) -> Project:
    project = project_at(tmp_path_factory.mktemp("host kit"), make_packages, signing_key)
    _adapt(project)
    context = project.context(str(project.root_dir.parent / "mirror"))
    for release in (VENDOR, PREVIOUS, OURS):
        said = f'raw_version_revision = "1.0-{release}"'
        project.publish(context, *(project.build(name, release, text=said) for name in ("vdsm", "vdsm-cli")))
    return project


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, SshServer]]:
    # Paths of ssh's sockets are short.
    folder = tmp_path_factory.mktemp("hv")
    (folder / "ssh").mkdir()
    forced = f"ForceCommand {hypervisors.enter_command(folder)}"
    with sshd(folder / "ssh", forced, "MaxStartups 100", addresses=ADDRESSES) as served:
        yield folder, served


@pytest.fixture(scope="module")
def fresh_hosts(published: Project, server: tuple[Path, SshServer]) -> Path:
    """Hosts with the vendor's packages: the second has only the first of them."""
    folder = server[0]
    repository = published.root_dir.parent / "mirror/el6"
    for address, names in zip(ADDRESSES, (("vdsm", "vdsm-cli"), ("vdsm",)), strict=True):
        host = hypervisors.make(folder, address)
        words = " ".join(f"{name}-1.0-{VENDOR}" for name in names)
        done = host.run(
            f"yum -y --repofrompath 'v,{repository.as_uri()}' --setopt v.gpgcheck=0 --repo v install {words} && rm $HOST_DIR/calls"
        )
        assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(folder, folder.parent / "kept", symlinks=True, ignore=shutil.ignore_patterns("ssh"))
    return folder.parent / "kept"


@pytest.fixture
def lab(published: Project, server: tuple[Path, SshServer], fresh_hosts: Path) -> Lab:
    folder, served = server
    for address in ADDRESSES:
        shutil.rmtree(folder / address)
        shutil.copytree(fresh_hosts / address, folder / address, symlinks=True)
    hosts = tuple(Hypervisor(folder / address, folder / "enter") for address in ADDRESSES)
    return Lab(published.root_dir.parent / "mirror/el6", folder, served, hosts)  # type: ignore[arg-type]


def _told(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def test_there_and_back(lab: Lab) -> None:
    one, two = lab.hosts
    done = lab.play("-e", "maintenance=yes go_on=yes")
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert one.packages == {"vdsm": f"1.0-{OURS}", "vdsm-cli": f"1.0-{OURS}"}
    assert two.packages == {"vdsm": f"1.0-{OURS}"}
