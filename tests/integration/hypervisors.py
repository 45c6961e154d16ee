# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts for a host kit: each a root of its own with a real rpm database, behind an sshd, where all calls are recorded.

`yum` is dnf in that root; `service` and `vdsClient` are stand-ins. What is written below `/etc` lands in the root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline.proof.client import RPM_MACROS

_HEAD = '#!/bin/sh\nprintf %s "'
# Each takes its host's folder from HOST_DIR. A transaction restarts the service, as the packages' scripts do.
_PROGRAMS = {
    "rpm": 'exec /usr/bin/rpm --root "$HOST_DIR/root" "$@"',
    "yum": """
if [ -e "$HOST_DIR/yum-fails" ]; then echo "No more mirrors to try."; exit 1; fi
dnf --config "$HOST_DIR/dnf.conf" --installroot "$HOST_DIR/root" --releasever 6 --noplugins \
  --setopt reposdir=/etc/yum.repos.d "$@" || exit 1
case $* in *clean*) ;; *) [ -e "$HOST_DIR/no-restart" ] || service vdsmd restart ;; esac""",
    "service": """
case $2 in
restart) touch "$HOST_DIR/run/vdsmd.pid" ;;
status) [ -e "$HOST_DIR/run/vdsmd.pid" ] && [ ! -e "$HOST_DIR/stopped" ] ;;
esac""",
    "vdsClient": 'cat "$HOST_DIR/vms"',
    "ps": 'cat "$HOST_DIR/processes"',
}
_ENTER = """#!/bin/sh
# The host that was asked for is the address that was asked.
set -e
address=${SSH_CONNECTION:-$1 $1 $1}
address=${address% *}
export HOST_DIR="FOLDER/${address##* }"
mount --bind "$HOST_DIR/root/etc" /etc
export HOME="$HOST_DIR/home" PATH="$HOST_DIR/bin:$PATH"
exec sh -c "${SSH_ORIGINAL_COMMAND:-$2}"
"""


@dataclass(frozen=True)
class Hypervisor:
    """One host; `calls` are the programs that were run on it, with their arguments."""

    dir: Path
    enter_path: Path

    @property
    def address(self) -> str:
        return self.dir.name

    @property
    def calls(self) -> list[str]:
        path = self.dir / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def changes(self) -> list[str]:
        """The calls that may change something."""
        return [call for call in self.calls if call.startswith(("yum -y", "rpm --import"))]

    @property
    def packages(self) -> dict[str, str]:
        done = self.run("/usr/bin/rpm --root $HOST_DIR/root -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n'")
        lines = [line.split() for line in done.stdout.splitlines() if not line.startswith("gpg-pubkey")]
        return {name: evr for name, evr in sorted(lines)}

    def forget(self) -> None:
        (self.dir / "calls").unlink(missing_ok=True)

    def mark(self, name: str, text: str = "") -> None:
        (self.dir / name).write_text(text)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of shell on the host, without ssh."""
        argv = ["unshare", "--mount", "/bin/sh", str(self.enter_path), self.address, script]
        env = {name: value for name, value in os.environ.items() if not name.startswith("SSH_")}
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False)


def enter_command(folder: Path) -> str:
    """What an sshd runs for each command: the command, on the host whose address was asked."""
    return f"unshare --mount /bin/sh {folder}/enter"


def make(folder: Path, address: str) -> Hypervisor:
    """A host without packages."""
    home = folder / address
    for name in ("bin", "home", "run", "root"):
        (home / name).mkdir(parents=True)
    # Programs of this machine go on finding what they look up.
    shutil.copytree("/etc", home / "root/etc", symlinks=True, ignore=shutil.ignore_patterns("yum.repos.d", "rpm-gpg"))
    for name in ("yum.repos.d", "pki/rpm-gpg"):
        (home / "root/etc" / name).mkdir(parents=True)
    for name, body in _PROGRAMS.items():
        path = home / "bin" / name
        path.write_text(_HEAD + f'{name} $*" | tr -d "\\n" >>"$HOST_DIR/calls"; echo >>"$HOST_DIR/calls"\n{body}\n')
        path.chmod(0o755)
    (home / "home/.rpmmacros").write_text(RPM_MACROS)
    (home / "dnf.conf").write_text(
        "[main]\nbest=1\ninstall_weak_deps=0\nplugins=0\nobsoletes=1\ntsflags=noscripts notriggers\n"
        f"cachedir={home}/cache\nlogdir={home}/log\npersistdir={home}/persist\n"
    )
    for name in ("vms", "processes"):
        (home / name).write_text("")
    (folder / "enter").write_text(_ENTER.replace("FOLDER", str(folder)))
    return Hypervisor(home, folder / "enter")
