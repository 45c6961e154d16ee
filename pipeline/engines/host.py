# SPDX-License-Identifier: GPL-2.0-or-later
"""This machine as an engine: no network, one path and one host name, where the machine lets us."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pipeline import command, hidden, marks
from pipeline.command import CommandResult
from pipeline.engines import layer
from pipeline.engines.base import HOST_NAME, Engine, Workspace
from pipeline.engines.leash import DIES_WITH_US, PROCESSES_APART, UNDER_A_SHELL
from pipeline.errors import CommandFailed, EngineError
from pipeline.hidden import Hidden
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
            heavy=True,
        )


class HostEngine(Engine):
    """Commands run on this machine, as the user who runs the pipeline."""

    name: EngineName = "host"

    def __init__(self, secrets: Hidden | None = None, layer_dir: Path | None = None) -> None:
        self._hidden = secrets or hidden.always()
        self._layer_dir = layer_dir

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
        walls = _walls(self._hidden.paths)
        if self._hidden.must and walls.guest_dir is None:
            raise EngineError(
                "key-in-reach",
                "a build on this host could read the signing key: nothing can be mounted over it here",
                hint="build in a container (--engine podman), or allow user namespaces:"
                " `sysctl kernel.unprivileged_userns_clone=1`",
            )
        return _HostWorkspace(dir=dir_path, read_only=read_only, walls=replace(walls, layer_dir=self._layer_dir))

    @contextmanager
    def with_packages(
        self, rpms: Sequence[Path], parent_dir: Path, *, nodeps: bool, log_path: Path | None = None
    ) -> Iterator[Engine]:
        """Laid over this machine's own files, in the room of each command."""
        walls = _walls(self._hidden.paths)
        if walls.guest_dir is None:
            raise _no_layers("a room of its own for a command")
        dir_path = self._make_dir(parent_dir)
        try:
            copies = [dir_path / path.name for path in rpms]  # rpm takes no odd letters in a path
            for path, copy in zip(rpms, copies, strict=True):
                shutil.copyfile(path, copy)
            layer_dir = dir_path / "layer"
            layer_dir.mkdir()
            layer.make(layer_dir, copies, walls.unshare, nodeps=nodeps, log_path=log_path)
            _try_layer(replace(walls, layer_dir=layer_dir), dir_path, log_path)
            yield HostEngine(self._hidden, layer_dir)
        finally:
            _remove(dir_path)


def without_rights(secrets: Hidden) -> tuple[str, ...]:
    """The prefix for a host's tool that runs a vendor's code: no network, no key, nobody's rights where we are root.

    rpmlint has rpm parse the spec, and a spec runs commands when it is parsed.
    """
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    as_nobody = nobody if os.getuid() == 0 and command.is_on_path("setpriv") else ()
    for unshare, back in _rooms():
        hiding = (*unshare, "sh", "-c", _HIDE_ONLY, "-", *_counted(secrets.paths), *back)
        if _works([*hiding, "true"]):
            return (*hiding, *as_nobody)
    return (*_without_network(), *as_nobody)


def _try_layer(walls: _Walls, dir_path: Path, log_path: Path | None) -> None:
    """Raises: EngineError where this machine lets nobody lay one folder over another."""
    try:
        command.run(
            [*walls.prefix(dir_path, "/"), "true"],
            timeout_seconds=_QUICK_SECONDS,
            env={"HOME": str(walls.guest_dir)},
            log_path=log_path,
        )
    except CommandFailed as error:
        raise _no_layers(f"one folder over another ({error.message})", log_path) from None


def _no_layers(what: str, log_path: Path | None = None) -> EngineError:
    return EngineError(
        "no-layers",
        f"packages of this run cannot be built on here: this machine does not let us make {what}",
        hint="build in a container (--engine podman), or allow user namespaces and overlayfs:"
        " `sysctl kernel.unprivileged_userns_clone=1`, `modprobe overlay`",
        log_path=log_path,
    )


def _remove(dir_path: Path) -> None:
    """What packages install may be folders that nobody may write to, their owner neither."""
    for folder, names, _ in os.walk(dir_path):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(dir_path, ignore_errors=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Walls:
    """What stands round a command on this host: no network, no key, and where it can be, one path and one host name.

    `layer_dir` has packages to be laid over the host's own. `back` makes a user who was root of the walls, to build
    them, who he was, and takes from root what undoes a mount.
    Source: unshare(1), mount(8), setpriv(1). Mounts and names that are made so end with the command.
    """

    unshare: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    guest_dir: Path | None = None
    hidden: tuple[Path, ...] = ()
    layer_dir: Path | None = None

    def prefix(self, dir_path: Path, inside_cwd: str) -> tuple[str, ...]:
        if self.guest_dir is None:
            return self.unshare
        places = (str(dir_path), str(self.guest_dir), inside_cwd, str(self.layer_dir or ""))
        return (*self.unshare, "sh", "-c", _MOVE_IN, "-", *places, *_counted(self.hidden), *self.back)


# Over a folder an empty one, over a file an empty one. Names of variables say where keys are, so these go as well.
_HIDE = """
hide() {
    if [ -d "$1" ]; then mount -t tmpfs -o ro,mode=555,size=4k hidden "$1"
    elif [ -e "$1" ]; then mount --bind /dev/null "$1"; fi
}
n=$1; shift
while [ "$n" -gt 0 ]; do hide "$1" || exit 125; shift; n=$((n - 1)); done
hide "${GNUPGHOME:-}" || exit 125
unset GNUPGHOME GPG_AGENT_INFO GPG_TTY
"""
_HIDE_ONLY = f'{_HIDE} exec "$@"'
# Not every host has `hostname`, and few builds ask for the name.
_MOVE_IN = f"""mount --bind "$1" "$2" && cd "$3" && layer=$4 && shift 4 || exit 125
hostname {HOST_NAME} 2>/dev/null || :
{layer.LAY_OVER}
{_HIDE_ONLY}"""
# With these, root could take a mount away, or look past it at the disk and at other processes' files.
# Source: capabilities(7).
_UNDOING = ("sys_admin", "sys_ptrace", "sys_module", "sys_rawio", "mknod", "dac_read_search", "sys_boot")


def _counted(paths: tuple[Path, ...]) -> tuple[str, ...]:
    return (str(len(paths)), *map(str, paths))


def _rooms() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The prefix that makes a room without network for our own mounts, and the one that leaves root's rights there.

    The strongest first, of which nothing is left when we are killed.
    """
    user_id, group_id = os.getuid(), os.getgid()
    room = ("unshare", "--mount", "--net", "--uts")
    become: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    if user_id == 0:
        fewer = ",".join(f"-{name}" for name in _UNDOING)
        weaken = ("setpriv", f"--bounding-set={fewer}", "--inh-caps=-all")
        back = weaken if command.is_on_path("setpriv") else ()
    else:
        become = ("unshare", "--user", "--map-root-user")
        back = ("unshare", "--user", f"--map-user={user_id}", f"--map-group={group_id}")
    yield (*become, *DIES_WITH_US, *room, *PROCESSES_APART), (*back, *UNDER_A_SHELL)
    yield (*become, *DIES_WITH_US, *room), back
    yield (*become, *room), back


def _walls(paths: tuple[Path, ...]) -> _Walls:
    """The walls that this machine lets us build."""
    network = _without_network()
    if not network or not _guest_dir_is_there():
        return _Walls(unshare=network)
    for unshare, back in _rooms():
        walls = _Walls(unshare=unshare, back=back, guest_dir=_HOST_GUEST_DIR, hidden=paths)
        if _works([*walls.prefix(_HOST_GUEST_DIR, "/"), "true"]):
            return walls
    return _Walls(unshare=network)


def _guest_dir_is_there() -> bool:
    """Whether there is the folder to mount on, made if need be; a link of somebody else's is none."""
    with suppress(OSError):
        _HOST_GUEST_DIR.mkdir(mode=0o755, exist_ok=True)
    return _HOST_GUEST_DIR.is_dir() and not _HOST_GUEST_DIR.is_symlink()


def _without_network() -> tuple[str, ...]:
    """The prefix that cuts a command off the network, where this machine lets us."""
    prefix = ("unshare", "--net") if os.getuid() == 0 else ("unshare", "--user", "--map-current-user", "--net")
    for each in ((*prefix, *DIES_WITH_US), prefix):
        if command.is_on_path("unshare") and _works([*each, "true"]):
            return each
    return ()


def _works(argv: Sequence[str]) -> bool:
    if not command.is_on_path(argv[0]):
        return False
    return command.run(argv, timeout_seconds=_QUICK_SECONDS, accept=range(-64, 256)).exit_code == 0


def _os_release() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"
