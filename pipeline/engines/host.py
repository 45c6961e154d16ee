# SPDX-License-Identifier: GPL-2.0-or-later
"""This machine as an engine: no network, one path and one host name, where the machine lets us."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline import command, marks
from pipeline.command import CommandResult
from pipeline.engines.base import HOST_NAME, Engine, Workspace
from pipeline.errors import EngineError
from pipeline.model import EngineName, Image

# Where a command on this host sees its workspace, and nobody else sees anything. A folder of /tmp,
# since nothing that a build needs is hidden below it.
_HOST_GUEST_DIR = Path("/tmp/vdsm-pipeline-work")
_QUICK_SECONDS = 60
_SAFE_FOR_RPM = re.compile(r"[A-Za-z0-9._/+@=-]+")


@dataclass(kw_only=True)
class _HostWorkspace(Workspace):
    walls: _Walls

    def inside(self, path: Path) -> str:
        if self.walls.guest_dir and (path == self.dir or self.dir in path.parents):
            return str(self.walls.guest_dir / path.relative_to(self.dir))
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
        where = cwd or self.dir
        return command.run(
            [*self.walls.prefix(self.dir, self.inside(where)), *argv],
            timeout_seconds=timeout_seconds,
            log_path=log_path,
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": self.inside(self.dir), **(env or {})},
            cwd=where,
            capture=capture,
        )


class HostEngine(Engine):
    """Commands run on this machine, as the user who runs the pipeline."""

    name: EngineName = "host"

    @lru_cache(maxsize=1)  # noqa: B019  # one engine lives as long as the run
    def identify(self) -> Image:
        version = command.run(["rpmbuild", "--version"], timeout_seconds=_QUICK_SECONDS).stdout.strip()
        return Image(engine="host", reference=_os_release(), digest=f"{version}, {os.uname().machine}")

    def _make_dir(self, parent_dir: Path) -> Path:
        if _SAFE_FOR_RPM.fullmatch(str(parent_dir.resolve())):
            return super()._make_dir(parent_dir)
        safe_dir = Path(tempfile.gettempdir()).resolve()
        if not _SAFE_FOR_RPM.fullmatch(str(safe_dir)):
            raise EngineError(
                "unsafe-path",
                f"rpm cannot build below '{safe_dir}', whose name has spaces or unusual letters",
                hint="set TMPDIR to a folder with a plain name, or use a container: --engine podman",
            )
        dir_path = super()._make_dir(safe_dir)
        marks.leave(dir_path)  # nobody empties that folder: `clean` must know what is ours there
        return dir_path

    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace:
        return _HostWorkspace(dir=dir_path, read_only=read_only, walls=_walls())


def without_rights() -> tuple[str, ...]:
    """The prefix for a host's tool that runs code of a vendor's: no network, and nobody's rights where we are root.

    rpmlint has rpm parse the spec, and a spec runs commands when it is parsed.
    """
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    as_nobody = nobody if os.getuid() == 0 and command.is_on_path("setpriv") else ()
    return (*_without_network(), *as_nobody)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Walls:
    """What stands round a command on this host: no network, and where it can be, one path and one host name.

    `back` makes a user who was root of the walls, to build them, who he was.
    Source: unshare(1), mount(8). Mounts and names that are made so end with the command.
    """

    unshare: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    guest_dir: Path | None = None

    def prefix(self, dir_path: Path, inside_cwd: str) -> tuple[str, ...]:
        if self.guest_dir is None:
            return self.unshare
        return (*self.unshare, "sh", "-c", _MOVE_IN, str(dir_path), str(self.guest_dir), inside_cwd, *self.back)


# Not every host has `hostname`, and few builds ask for the name.
_MOVE_IN = f'mount --bind "$0" "$1" && cd "$2" && shift 2 && {{ hostname {HOST_NAME} 2>/dev/null || :; }} && exec "$@"'


def _walls() -> _Walls:
    """The walls that this machine lets us build."""
    network = _without_network()
    if not network or not _guest_dir_is_there():
        return _Walls(unshare=network)
    user_id, group_id = os.getuid(), os.getgid()
    all_of_them = ("--mount", "--net", "--uts")
    if user_id == 0:
        walls = _Walls(unshare=("unshare", *all_of_them), guest_dir=_HOST_GUEST_DIR)
    else:
        back = ("unshare", "--user", f"--map-user={user_id}", f"--map-group={group_id}")
        root = ("unshare", "--user", "--map-root-user", *all_of_them)
        walls = _Walls(unshare=root, back=back, guest_dir=_HOST_GUEST_DIR)
    return walls if _works([*walls.prefix(_HOST_GUEST_DIR, "/"), "true"]) else _Walls(unshare=network)


def _guest_dir_is_there() -> bool:
    """Whether there is the folder to mount on, made if need be; a link of somebody else's is none."""
    with suppress(OSError):
        _HOST_GUEST_DIR.mkdir(mode=0o755, exist_ok=True)
    return _HOST_GUEST_DIR.is_dir() and not _HOST_GUEST_DIR.is_symlink()


def _without_network() -> tuple[str, ...]:
    """The prefix that cuts a command off the network, where this machine lets us."""
    prefix = ("unshare", "--net") if os.getuid() == 0 else ("unshare", "--user", "--map-current-user", "--net")
    return prefix if command.is_on_path("unshare") and _works([*prefix, "true"]) else ()


def _works(argv: Sequence[str]) -> bool:
    return command.run(argv, timeout_seconds=_QUICK_SECONDS, accept=range(-64, 256)).exit_code == 0


def _os_release() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"
