# SPDX-License-Identifier: GPL-2.0-or-later
"""The published host kit on hosts: its playbook by Ansible over ssh, its page line by line, its `.repo` file."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.hostkit import kit, playbook
from pipeline.mirrors import mirror, rollback
from pipeline.progress import Progress
from tests.integration import hypervisors
from tests.integration.conftest import PackageMaker, Project, SigningKey, SshServer, project_at, sshd
from tests.integration.hypervisors import Hypervisor
from tests.integration.places import channel
from tests.unit.test_hostkit import ARMORED, HOSTILE, hostile_facts

ADDRESSES = ("127.0.0.2", "127.0.0.3")
VENDOR, PREVIOUS, OURS = "0.el6", "0.el6.label.904", "0.el6.label.905"
_BIN_DIR = Path(sys.executable).parent


def _adapt(project: Project) -> None:
    """What vdsm's hosts have below /var/run and /usr/share lies in the host's own folder here."""
    path = project.root_dir / "pipeline.toml"
    text = path.read_text()
    adapted = text.replace("/usr/share/vdsm/dsaversion.py", "$HOST_DIR/root/usr/share/vdsm/text")
    adapted = adapted.replace("find /var/run/vdsm/", "find $HOST_DIR/run/")
    assert adapted.count("$HOST_DIR/") == 3
    path.write_text(adapted)


@dataclass(frozen=True)
class Lab:
    """A published mirror with three releases of two packages, and two hosts behind one sshd."""

    mirror: Path
    folder: Path
    server: SshServer
    hosts: tuple[Hypervisor, Hypervisor]

    def play(self, *words: str, hosts: int = 2) -> Played:
        """Run the published playbook, with nobody at the terminal."""
        argv, env = self.command(*words, hosts=hosts)
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
        )
        return _played(done.returncode, done.stdout + done.stderr)

    def play_with(self, answers: Sequence[str], *words: str) -> Played:
        """The same, with somebody at the terminal who answers each question."""
        argv, env = self.command(*words, hosts=2)
        return _at_a_terminal(argv, env, answers)

    def command(self, *words: str, hosts: int) -> tuple[list[str], dict[str, str]]:
        arguments = " ".join(self.server.command.split()[1:])
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
        env |= {"ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
        return [*argv, *words, str(self.mirror / "hosts.yml")], env


@dataclass(frozen=True)
class Played:
    """How a playbook ended, all that it told on one line, and how many tasks changed each host that it got to."""

    code: int
    told: str
    changed: dict[str, int]


def _played(code: int, text: str) -> Played:
    changed = dict(re.findall(r"^(host\d) +: .*changed=(\d+)", text, re.MULTILINE))
    return Played(code, re.sub(r"\s+", " ", text), {name: int(number) for name, number in changed.items()})


def _at_a_terminal(argv: list[str], env: dict[str, str], answers: Sequence[str]) -> Played:
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("timeout", ["timeout", "--foreground", "60", *argv], env)
    text, seen, left = b"", 0, list(answers)
    with contextlib.suppress(OSError):  # a terminal that nobody is at any more
        while part := os.read(terminal, 65536):
            text += part
            if left and re.search(rb"Type\s+yes.*:\s*$", text[seen:], re.DOTALL):
                time.sleep(0.5)  # what was typed before it asks is thrown away
                seen = len(text)
                os.write(terminal, f"{left.pop(0)}\r".encode())
    os.close(terminal)
    assert not left, text.decode()
    return _played(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), text.decode())


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
        of = f"--repofrompath 'v,{repository.as_uri()}' --repo v --setopt v.gpgcheck=0"
        done = host.run(f"yum -y {of} install {words} && rm $HOST_DIR/calls")
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


def test_the_first_host_then_the_others_then_back(lab: Lab) -> None:
    one, two = lab.hosts
    alone = lab.play("-e", "maintenance=yes")
    assert alone.code != 0
    assert "Stopped after host1, which is done; the others are as they were." in alone.told
    assert one.packages == {"vdsm": f"1.0-{OURS}", "vdsm-cli": f"1.0-{OURS}"}
    assert "In oVirt Engine, activate the host." in alone.told
    assert not two.calls

    one.mark("vms", "somebody's VM")  # it is in use again, and nothing is to be done to it
    rest = lab.play("-e", "go_on=yes maintenance=yes")
    assert rest.code == 0, rest.told
    assert rest.changed == {"host1": 0, "host2": 5 - 1}
    assert two.packages == {"vdsm": f"1.0-{OURS}"}
    assert f"host1 has our release, 1.0-{OURS}. There was nothing to move." in rest.told

    for host in lab.hosts:
        host.forget()
    again = lab.play("-e", "go_on=yes")
    assert (again.code, again.changed) == (0, {"host1": 0, "host2": 0})
    assert not [call for host in lab.hosts for call in host.changes]

    one.mark("vms")
    back = lab.play("-e", "go=back maintenance=yes go_on=yes at_once=1")
    assert back.code == 0, back.told
    assert [host.packages["vdsm"] for host in lab.hosts] == [f"1.0-{VENDOR}"] * 2
    assert "yum -y downgrade vdsm-1.0-0.el6.noarch" in two.changes
    assert f"host2 has the vendor's packages, 1.0-{VENDOR}." in back.told
    assert _enabled(two) == "enabled=0"

    previous = lab.play("-e", "go=upgrade maintenance=yes", "-l", "host1").code
    previous += lab.play("-e", "go=back to=previous maintenance=yes keep_repository=yes", "-l", "host1").code
    assert previous == 0
    assert one.packages == {"vdsm": f"1.0-{PREVIOUS}", "vdsm-cli": f"1.0-{PREVIOUS}"}
    assert _enabled(one) == "enabled=1"


def _rolled_back(published: Project, lab: Lab, folder: Path) -> Lab:
    """The same hosts, and a copy of the mirror on which our last release was rolled back."""
    shutil.copytree(lab.mirror.parent, folder / "mirror", symlinks=True)
    context = published.context(str(folder / "mirror"))
    state = mirror.read_state(context.settings, "el6")
    rollback.run(context.settings, "el6", state.log[-2].revision, Progress(quiet=True), log_path=context.log_path)
    return replace(lab, mirror=folder / "mirror/el6")


def test_hosts_with_a_release_that_was_rolled_back_have_a_way_to_what_stands(
    lab: Lab, published: Project, tmp_path: Path
) -> None:
    one, two = lab.hosts
    assert lab.play("-e", "maintenance=yes go_on=yes").code == 0
    assert [host.packages["vdsm"] for host in lab.hosts] == [f"1.0-{OURS}"] * 2
    after = _rolled_back(published, lab, tmp_path)
    done = after.play("-e", "maintenance=yes go_on=yes")
    assert done.code == 0, done.told
    assert one.packages == {"vdsm": f"1.0-{PREVIOUS}", "vdsm-cli": f"1.0-{PREVIOUS}"}
    assert two.packages == {"vdsm": f"1.0-{PREVIOUS}"}
    assert "yum -y downgrade vdsm-1.0-0.el6.label.904.noarch" in two.changes
    again = after.play("-e", "go_on=yes")
    assert (again.code, again.changed) == (0, {"host1": 0, "host2": 0})


def test_the_commands_of_the_page_lead_back_from_a_release_that_was_rolled_back(
    lab: Lab, published: Project, tmp_path: Path
) -> None:
    host = lab.hosts[0]
    assert lab.play("-e", "maintenance=yes", hosts=1).code == 0
    sections = _commands(_rolled_back(published, lab, tmp_path).mirror / "hosts.txt")
    for command in (command for number in (0, 2, 3) for command in sections[number]):
        done = host.run(f"{_address(sections)}\n{command}")
        assert (done.returncode, command) == (0, command), done.stdout + done.stderr
    assert host.packages == {"vdsm": f"1.0-{PREVIOUS}", "vdsm-cli": f"1.0-{PREVIOUS}"}


def test_an_address_that_is_given_wins(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(lab.mirror)
    address = (tmp_path / "elsewhere").as_uri()
    for changed in (4, 0):
        done = lab.play("-e", f"maintenance=yes baseurl={address}/", hosts=1)
        assert (done.code, done.changed) == (0, {"host1": changed}), done.told
    text = (lab.hosts[0].dir / "root/etc/yum.repos.d/vdsm-patched.repo").read_text()
    assert f"\nbaseurl={address}/\n" in text
    assert "is a folder of the machine that published it" in done.told


def _enabled(host: Hypervisor) -> str:
    text = (host.dir / "root/etc/yum.repos.d/vdsm-patched.repo").read_text()
    return next(line for line in text.splitlines() if line.startswith("enabled"))


def test_a_host_with_vms_is_left_alone_and_so_are_those_after_it(lab: Lab) -> None:
    one, two = lab.hosts
    one.mark("run/vdsmd.pid")
    one.mark("vms", "3f1c  4711  win7-042  Up\n")
    done = lab.play("-e", "maintenance=yes go_on=yes")
    assert done.code != 0
    assert "host1: Refuse while VMs run: 3f1c 4711 win7-042 Up." in done.told
    assert "Move them away and do the same again. Hosts that come after it are as they were." in done.told
    assert not [*one.changes, *two.calls]
    assert not list((one.dir / "root/etc/yum.repos.d").iterdir())


def test_where_vdsm_is_down_its_vms_are_found_by_their_processes(lab: Lab) -> None:
    lab.hosts[0].mark("stopped")
    lab.hosts[0].mark("processes", "/usr/libexec/qemu-kvm -name win7-042 -S\n")
    done = lab.play("-e", "maintenance=yes", hosts=1)
    assert "Refuse while VMs run: /usr/libexec/qemu-kvm -name win7-042 -S." in done.told
    assert not lab.hosts[0].changes


def test_yum_that_fails_on_the_first_host_stops_all(lab: Lab) -> None:
    one, two = lab.hosts
    one.mark("yum-fails")
    done = lab.play("-e", "maintenance=yes go_on=yes")
    assert done.code != 0
    assert "host1: Have yum look anew: No more mirrors to try." in done.told
    assert not two.calls


def test_a_service_that_goes_on_with_the_old_code_is_told(lab: Lab) -> None:
    one, two = lab.hosts
    one.mark("run/vdsmd.pid")
    one.mark("no-restart")
    done = lab.play("-e", "maintenance=yes go_on=yes")
    assert done.code != 0
    assert "host1: Check what runs: it printed nothing, and ended with 0." in done.told
    assert f"The packages are in place and 1.0-{OURS} is not what runs: `service vdsmd restart`" in done.told
    assert not two.calls


def test_nothing_is_done_before_somebody_says_that_the_host_is_ready(lab: Lab) -> None:
    done = lab.play()
    assert done.code != 0
    assert "Nobody said that this is done: In oVirt Engine, put the host into maintenance" in done.told
    assert not lab.hosts[0].changes


def test_somebody_at_a_terminal_is_asked(lab: Lab) -> None:
    one, two = lab.hosts
    done = lab.play_with(("yes", "no"))
    assert done.code != 0
    assert "host1: In oVirt Engine, put the host into maintenance" in done.told
    assert "host1 is done: try it. Type yes to go on with the 1 others" in done.told
    assert one.packages["vdsm"] == f"1.0-{OURS}"
    assert not two.calls


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-e", "go=back to=upgrade"), "There is no such way"),
        (("-e", "go=forth"), "There is no such way"),
        (("--check",), "Without Python on the hosts there is no --check."),
    ],
)
def test_what_cannot_be_done_is_told_before_any_host_is_asked(lab: Lab, words: tuple[str, ...], told: str) -> None:
    done = lab.play(*words)
    assert done.code != 0
    assert told in done.told
    assert not lab.hosts[0].calls


def _commands(page: Path) -> dict[int, list[str]]:
    """Section -> the commands of the page, each as it is pasted."""
    sections: dict[int, list[str]] = {}
    number = 0
    for part in page.read_text().split("\n\n# "):
        if head := re.match(r"(?:# )?==== (\d)\. ", part):
            number = int(head[1])
        lines = part.split("\n")
        command = "\n".join(lines[next((n for n, line in enumerate(lines[1:], 1) if line[:1] != "#"), len(lines)) :])
        if command.strip():
            sections.setdefault(number, []).append(command)
    return sections


def _address(sections: dict[int, list[str]]) -> str:
    """What a person types first, where the repository has no url."""
    (command,) = sections[0]
    return command


def test_each_command_of_the_page_works_in_order(lab: Lab) -> None:
    host = lab.hosts[0]
    host.mark("run/vdsmd.pid")
    sections = _commands(lab.mirror / "hosts.txt")
    assert sorted(sections) == [0, 1, 2, 3, 4, 5]
    for numbers, release in (((1, 2, 3), OURS), ((1, 2, 4), VENDOR), ((1, 2, 3), OURS), ((1, 2, 5), PREVIOUS)):
        printed = ""
        for command in (command for number in numbers for command in sections[number]):
            done = host.run(f"{_address(sections)}\n{command}")
            assert (done.returncode, command) == (0, command), done.stdout + done.stderr
            printed += done.stdout
        assert host.packages == {"vdsm": f"1.0-{release}", "vdsm-cli": f"1.0-{release}"}
        assert printed.splitlines().count(f"1.0-{release}") == 2  # the packages, and what runs


def test_ansible_lint_finds_nothing(lab: Lab, tmp_path: Path) -> None:
    shutil.copyfile(lab.mirror / "hosts.yml", tmp_path / "hosts.yml")
    (tmp_path / ".git").mkdir()
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{_BIN_DIR}:{os.environ['PATH']}"}
    argv = [
        str(_BIN_DIR / "ansible-lint"),
        "--offline",
        "--nocolor",
        "--strict",
        "--profile",
        "production",
        "hosts.yml",
    ]
    done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_repo_file_by_http(lab: Lab, published: Project, nginx: Callable[[Path], str], tmp_path: Path) -> None:
    """The published file alone, as a person takes it: both signatures are checked, and the mirrorlist leads there."""
    context = channel(published, str(tmp_path / "served"), url=(nginx(tmp_path / "served"),))
    for release in (VENDOR, OURS):
        published.publish(context, published.build("vdsm", release, text="a"))
    host = lab.hosts[1]
    shutil.copy(tmp_path / "served/el6/hosts.repo", host.dir / "root/etc/yum.repos.d/hosts.repo")
    text = (tmp_path / "served/el6/hosts.repo").read_text()
    assert {"gpgcheck=1", "repo_gpgcheck=1"} <= {*text.splitlines()}
    assert "mirrorlist=http://127.0.0.1:" in text
    for command, release in (("yum -y upgrade 'vdsm*'", OURS), (f"yum -y downgrade vdsm-1.0-{VENDOR}.noarch", VENDOR)):
        done = host.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.packages == {"vdsm": f"1.0-{release}"}


@pytest.mark.parametrize(
    ("kind", "words", "code", "told"),
    [
        ("local", (), 2, "host: See what is installed: it printed nothing, and ended with 1."),
        ("ssh", (), 2, "Nobody told where hosts find the repository. Give its address, -e baseurl="),
        ("ssh", ("-e", "baseurl=https://mirror.example.org/el6/"), 2, "host: See what is installed"),
    ],
)
def test_hostile_names_reach_rpm_as_they_are(
    tmp_path: Path, kind: str, words: tuple[str, ...], code: int, told: str
) -> None:
    """Nothing of them is evaluated, by Ansible or by a shell. An address that nobody told is asked for."""
    text = playbook.text(kit.of(hostile_facts(kind=kind), ARMORED))
    (tmp_path / "hosts.yml").write_text(text)
    (tmp_path / "rpm").write_text('#!/bin/sh\nfor each; do printf "%s\\0" "$each"; done >>"${0%/*}/args"\n')
    (tmp_path / "rpm").chmod(0o755)
    argv = [str(_BIN_DIR / "ansible-playbook"), "-i", "host,", "-c", "local", *words, str(tmp_path / "hosts.yml")]
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in re.sub(r"\s+", " ", done.stdout + done.stderr)
    if "See what is installed" in told:
        assert (tmp_path / "args").read_text().split("\0")[-2] == HOSTILE
    assert not Path("/x").exists()
