# SPDX-License-Identifier: GPL-2.0-or-later
"""This machine as an engine whose commands are root's, in namespaces of their own: a package client wants to be root.

As an ordinary user, root of a user namespace alone. A namespace of processes ends all that a command left behind
(a repository's keys start a gpg-agent that stays), however it ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import command
from pipeline.command import CommandResult
from pipeline.engines.base import Engine, Workspace
from pipeline.engines.leash import DIES_WITH_US, PROCESSES_APART, UNDER_A_SHELL
from pipeline.errors import EngineError
from pipeline.model import EngineName, Image

_QUICK_SECONDS = 60
_BECOME_ROOT = ("unshare", "--user", "--map-root-user")
_APART = ("unshare", "--mount", *PROCESSES_APART)


@dataclass(kw_only=True)
class _RootWorkspace(Workspace):
    prefix: tuple[str, ...]

    def inside(self, path: Path) -> str:
        return str(path)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        log_path: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        capture: bool = False,
    ) -> CommandResult:
        return command.run(
            [*self.prefix, *argv],
            timeout_seconds=timeout_seconds,
            log_path=log_path,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.dir), **(env or {})},
            cwd=cwd or self.dir,
            capture=capture,
        )


class RootEngine(Engine):
    """Commands run on this machine as root, or as what an ordinary user has of it, without network if not asked for."""

    name: EngineName = "host"

    def __init__(self, *, network: bool = False) -> None:
        self._network = network

    def identify(self) -> Image:
        return Image(engine="host", reference="root of this host", digest=os.uname().machine)

    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace:
        return _RootWorkspace(dir=dir_path, read_only=read_only, prefix=self._prefix())

    def _prefix(self) -> tuple[str, ...]:
        """The walls that this machine lets us build. Raises: EngineError when nobody here may be root."""
        become = () if os.getuid() == 0 else _BECOME_ROOT
        for walls in plan_walls(become, network=self._network):
            if _works([*walls, "true"]):
                return walls
        raise EngineError(
            "no-root",
            "this user may not be root, not even of a user namespace, and a package client wants to be",
            hint="run it as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
            " user.max_user_namespaces=10000",
        )


def plan_walls(become: Sequence[str], *, network: bool) -> tuple[tuple[str, ...], ...]:
    """Prefixes to try, the strongest first.

    A user namespace clears what `setpriv` asked for, so that it stands behind it. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    apart = (*_APART, *(() if network else ("--net",)))
    return (
        (*become, *DIES_WITH_US, *apart, *UNDER_A_SHELL),
        (*become, *DIES_WITH_US),
    )


def _works(argv: Sequence[str]) -> bool:
    if not command.is_on_path(argv[0]):
        return False
    return command.run(argv, timeout_seconds=_QUICK_SECONDS, accept=range(-64, 256)).exit_code == 0
