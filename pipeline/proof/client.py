# SPDX-License-Identifier: GPL-2.0-or-later
"""Which client tries the repository, where it runs, and how it is called: yum in the image, else the host's dnf."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pipeline import command
from pipeline.engines.base import Engine
from pipeline.engines.container import ContainerEngine
from pipeline.engines.hostroot import RootEngine
from pipeline.errors import CommandMissing

_QUICK_SECONDS = 60
_NOWHERE = "/nonexistent"
# Neither the client nor rpm in it may have anything of the host, or do anything to it.
# Source: dnf.conf(5) and yum.conf(5); each takes what it knows.
_MAIN = {
    "assumeyes": "1",
    "best": "1",
    "clean_requirements_on_remove": "0",
    "gpgcheck": "1",
    "install_weak_deps": "0",
    "installonlypkgs": "",
    "keepcache": "0",
    "metadata_expire": "never",  # one load of the metadata serves all steps
    "obsoletes": "1",
    "pluginconfpath": _NOWHERE,
    "plugins": "0",
    "protected_packages": "",
    "reposdir": _NOWHERE,
    "skip_if_unavailable": "0",
    "tsflags": "noscripts notriggers",
    "varsdir": _NOWHERE,
    "zchunk": "0",
}
# Source: rpm's macros file; what a host's own macros could say otherwise. Debian's database lies in the user's home.
RPM_MACROS = """\
%_dbpath /var/lib/rpm
%_excludedocs 0
%_install_langs all
%_netsharedpath %{nil}
%__transaction_audit %{nil}
%__transaction_selinux %{nil}
%__transaction_syslog %{nil}
%__transaction_systemd_inhibit %{nil}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """A program that installs packages; its commands are root's in the engine's workspaces."""

    program: Literal["yum", "dnf"]
    engine: Engine
    label: str

    def plan(self, verb: str, words: Sequence[str], *, config: str, root: str, arch: str) -> list[str]:
        """The command line of one step. yum 3 has no --forcearch: it runs where the packages belong."""
        forced = ["--forcearch", arch] if self.program == "dnf" else []
        return [
            self.program, "--config", config, "--installroot", root, "--releasever", "6", *forced,
            "--noplugins", verb, *words,
        ]  # fmt: skip


def choose_client(engine: Engine, *, network: bool = False) -> Client:
    """yum where the target's image has one, else the host's dnf.

    Raises: CommandMissing when there is neither; EngineError when the image cannot be run.
    """
    found = _yum_in(engine, network=network) if isinstance(engine, ContainerEngine) else None
    if found:
        return found
    if not command.is_on_path("dnf"):
        raise CommandMissing(
            "client-missing",
            "nothing here can prove that hosts install the packages: dnf is not on PATH, and no image has yum",
            hint="apt-get install dnf (or `./bootstrap`), or use a target whose image has yum",
        )
    version = command.run(["dnf", "--version"], timeout_seconds=_QUICK_SECONDS).stdout.split("\n")[0]
    return Client(program="dnf", engine=RootEngine(network=network), label=f"dnf {version} on this host")


def identify(engine: Engine) -> str:
    """What decides which client it will be, without starting one: the image, and the program that is installed here."""
    image = engine.image if isinstance(engine, ContainerEngine) else ""
    if not command.is_on_path("dnf"):
        return image or "none"
    path = Path(command.path_of("dnf")).resolve()
    return f"{image} {path} of {datetime.fromtimestamp(path.stat().st_mtime, timezone.utc):%Y-%m-%d %H:%M:%S}".strip()


def config_text(repositories: Sequence[str], *, keys: Sequence[str], others: Sequence[str]) -> str:
    """The client's whole configuration: ours with both signatures checked, others as they come."""
    main = "".join(f"{name}={value}\n" for name, value in _MAIN.items())
    text = f"[main]\n{main}"
    for number, url in enumerate(repositories):
        text += _section(f"ours{number}", url, gpgcheck=1, repo_gpgcheck=1, gpgkey=" ".join(keys))
    for number, url in enumerate(others):
        text += _section(f"host{number}", url, gpgcheck=0, repo_gpgcheck=0)
    return text


def _section(name: str, url: str, **options: object) -> str:
    lines = "".join(f"{key}={value}\n" for key, value in options.items())
    return f"\n[{name}]\nname={name}\nbaseurl={url}\nenabled=1\n{lines}"


def _yum_in(engine: ContainerEngine, *, network: bool) -> Client | None:
    rooted = ContainerEngine(engine.name, engine.image, as_root=True, network=network)
    with rooted.workspace(Path(tempfile.gettempdir())) as workspace:
        argv = ["sh", "-c", "yum --version || :"]  # a program that is not there looks like a broken engine
        told = workspace.run(argv, timeout_seconds=_QUICK_SECONDS, capture=True).stdout
    version = told.split("\n")[0].strip()
    if not version:
        return None
    # Newer images have dnf under that name.
    program: Literal["yum", "dnf"] = "yum" if version.startswith("3.") else "dnf"
    return Client(program=program, engine=rooted, label=f"yum {version} in {engine.image}")
