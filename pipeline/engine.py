# SPDX-License-Identifier: GPL-2.0-or-later
"""Where commands run: this host, or a podman or docker container.

A stage asks for a workspace, puts files into its folder, runs commands that see the folder under
`inside()`, and takes results out. In a container the folder is always `/work`, on this host
`/tmp/vdsm-pipeline-work` where the machine lets us: rpm cannot build below a path with a space in
it, and paths and host names that differ from run to run end up in packages.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pipeline import command, marks
from pipeline.command import CommandResult
from pipeline.errors import CommandFailed, CommandTimedOut, EngineError
from pipeline.model import EngineName, Image

_GUEST_DIR = PurePosixPath("/work")
# Where a command on this host sees its workspace, and nobody else sees anything. A folder of /tmp,
# since nothing that a build needs is hidden below it.
_HOST_GUEST_DIR = Path("/tmp/vdsm-pipeline-work")
_HOST_NAME = "localhost"
_BUILDER_ID = 1000
_QUICK_SECONDS = 60
_SAFE_FOR_RPM = re.compile(r"[A-Za-z0-9._/+@=-]+")
# Where the engine itself fails, as opposed to the command in it.
# Source: podman-run(1) and docker-run(1), "Exit Status".
_ENGINE_EXIT_CODES = {125, 126, 127}
_CONTAINER_LABEL = "vdsm-pipeline"
_DOCTOR_HINT = "run `.venv/bin/nox -s doctor`: it tries the engine and says what would mend it"
_LIMITS_HINT = "this machine limits containers: export CONTAINERS_CONF=$PWD/.ci/containers.conf"
# What podman says -> what mends it. The first three: it may not raise limits, as on a machine of somebody else's.
_HINTS = {
    "rlimit": _LIMITS_HINT,
    "RLIMIT": _LIMITS_HINT,
    "cgroups in hybrid mode": _LIMITS_HINT,
    "xec format error": "the image is for another architecture: `{program} rmi {image}`; the next run makes it here",
}
# The runtime's last word where the command never started; it ends with 1 then, as a command that failed would.
# Source: runc 1.0 and 1.1, crun 1.x.
_NOT_STARTED = re.compile(r"(^exec /|exec user process|exec container process).*exec format error", re.IGNORECASE)


@dataclass(kw_only=True)
class Workspace(ABC):
    """A private, empty folder and the way to run commands that see it."""

    dir: Path
    read_only: tuple[Path, ...] = ()

    @abstractmethod
    def inside(self, path: Path) -> str:
        """The path as commands see it, for a path in the workspace or in a read-only folder."""

    @abstractmethod
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
        """Run a command without network. Raises: as `command.run`, and EngineError."""


class Engine(ABC):
    """A kind of place to run commands in."""

    name: EngineName

    @abstractmethod
    def identify(self) -> Image:
        """What decides results here: an image by its digest, or the versions of the host's tools."""

    @contextmanager
    def workspace(self, parent_dir: Path, *, read_only: Sequence[Path] = ()) -> Iterator[Workspace]:
        """A new workspace below `parent_dir`, removed at the end whatever happens."""
        dir_path = self._make_dir(parent_dir)
        try:
            yield self._open(dir_path, tuple(path.resolve() for path in read_only))
        finally:
            shutil.rmtree(dir_path, ignore_errors=True)

    def _make_dir(self, parent_dir: Path) -> Path:
        parent_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent_dir, prefix="work-")).resolve()

    @abstractmethod
    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace: ...


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


@dataclass(kw_only=True)
class _ContainerWorkspace(Workspace):
    program: str
    image: str

    def inside(self, path: Path) -> str:
        if path == self.dir or self.dir in path.parents:
            return str(_GUEST_DIR / path.relative_to(self.dir))
        for index, folder in enumerate(self.read_only):
            if path == folder or folder in path.parents:
                return str(PurePosixPath(f"/mnt/{index}") / path.relative_to(folder))
        raise AssertionError(f"{path} is neither in the workspace nor in a folder given to it")

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
        name = f"{_CONTAINER_LABEL}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        _give_to_builder(self.dir)
        try:
            return command.run(
                plan_container(
                    argv,
                    program=self.program,
                    image=self.image,
                    name=name,
                    workspace_dir=self.dir,
                    read_only=self.read_only,
                    env=env or {},
                    cwd=self.inside(cwd or self.dir),
                ),
                timeout_seconds=timeout_seconds,
                log_path=log_path,
                capture=capture,
            )
        except CommandFailed as error:
            if error.command_exit_code < 0:  # the client was killed, which the container does not notice
                _remove(self.program, name)
            raise _engine_failure(error, self.program, self.image) from None
        except (CommandTimedOut, KeyboardInterrupt):
            # The client is gone; the container is not the client's child.
            _remove(self.program, name)
            raise


class ContainerEngine(Engine):
    """Commands run in a container of `image`, as an ordinary user, without network."""

    def __init__(self, program: EngineName, image: str) -> None:
        self.name = program
        self.image = image
        self._reaped = False

    def identify(self) -> Image:
        found = command.run(
            [self.name, "image", "inspect", "--format", "{{.Id}}", self.image],
            timeout_seconds=_QUICK_SECONDS,
            accept=(0, 1, 125),
        )
        return Image(engine=self.name, reference=self.image, digest=found.stdout.strip().removeprefix("sha256:"))

    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace:
        if not self._reaped:
            _reap(self.name)
            self._reaped = True
        return _ContainerWorkspace(dir=dir_path, read_only=read_only, program=self.name, image=self.image)


def plan_container(
    argv: Sequence[str],
    *,
    program: str,
    image: str,
    name: str,
    workspace_dir: Path,
    read_only: Sequence[Path],
    env: Mapping[str, str],
    cwd: str,
) -> list[str]:
    """The engine's command line for `argv`; the same words serve podman and docker."""
    mounts = [f"type=bind,source={workspace_dir},target={_GUEST_DIR}"]
    mounts += [f"type=bind,source={path},target=/mnt/{index},readonly" for index, path in enumerate(read_only)]
    variables = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(_GUEST_DIR), **env}
    return [
        program, "run", "--rm", "--name", name, "--label", _CONTAINER_LABEL,
        "--network", "none", "--hostname", _HOST_NAME, "--pull", "never", "--security-opt", "label=disable",
        *_user_arguments(program),
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        "--workdir", cwd, image, *argv,
    ]  # fmt: skip


def choose_engine(wish: str, image: str) -> Engine:
    """The engine for a wish (`host`, `podman`, `docker` or `auto`) and an image reference.

    Raises: EngineError when a container is wanted and no engine, or no image, is there.
    """
    if wish == "host" or (wish == "auto" and not image):
        return HostEngine()
    candidates: tuple[EngineName, ...] = ("podman", "docker") if wish == "auto" else (_container_name(wish),)
    for program in candidates:
        if command.is_on_path(program):
            if not image:
                raise EngineError(
                    "image-missing",
                    f"engine '{wish}' needs an image and the target names none",
                    hint="give the target an image in pipeline.toml, or use --engine host",
                )
            return ContainerEngine(program, image)
    raise EngineError(
        "engine-missing",
        f"{' and '.join(candidates)} {'is' if len(candidates) == 1 else 'are'} not on PATH",
        hint="install podman (`apt-get install podman` or `dnf install podman`), or use --engine host",
    )


def _reap(program: str) -> None:
    """Remove the containers of runs that were killed; those of a living run stay."""
    listed = command.run(
        [program, "ps", "--all", "--format", "{{.Names}}", "--filter", f"label={_CONTAINER_LABEL}"],
        timeout_seconds=_QUICK_SECONDS,
    )
    for name in listed.stdout.split():
        process_id = name.removeprefix(f"{_CONTAINER_LABEL}-").partition("-")[0]
        if not Path(f"/proc/{process_id}").exists():
            _remove(program, name)


def _remove(program: str, name: str) -> None:
    """Kill first: podman's `rm --force` asks politely and waits ten seconds."""
    for words in (["kill", name], ["rm", "--force", name]):
        command.run([program, *words], timeout_seconds=_QUICK_SECONDS, accept=range(256), tidies=True)


def _container_name(wish: str) -> EngineName:
    return "docker" if wish == "docker" else "podman"


def _user_arguments(program: str) -> list[str]:
    """An ordinary user inside, who owns the workspace."""
    user_id, group_id = os.getuid(), os.getgid()
    if user_id == 0:
        return ["--user", f"{_BUILDER_ID}:{_BUILDER_ID}"]
    keep = ["--userns", "keep-id"] if program == "podman" else []
    return [*keep, "--user", f"{user_id}:{group_id}"]


def _give_to_builder(dir_path: Path) -> None:
    """Root's workspace is handed to the ordinary user of the container."""
    if os.getuid() != 0:
        return
    os.chown(dir_path, _BUILDER_ID, _BUILDER_ID)
    for folder, folders, files in os.walk(dir_path):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # a run beside this one may have removed it
                os.chown(os.path.join(folder, name), _BUILDER_ID, _BUILDER_ID, follow_symlinks=False)


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
_MOVE_IN = f'mount --bind "$0" "$1" && cd "$2" && shift 2 && {{ hostname {_HOST_NAME} 2>/dev/null || :; }} && exec "$@"'


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


def _engine_failure(error: CommandFailed, program: str, image: str) -> CommandFailed | EngineError:
    if error.command_exit_code == 139:
        return EngineError(
            "vsyscall",
            f"the command in {image} was killed (exit code 139): the kernel may lack vsyscall, which CentOS 6 needs",
            hint="boot with vsyscall=emulate, or use an image built for kernels without it",
            log_path=error.log_path,
            reproduce=error.reproduce,
        )
    if error.command_exit_code == 137:
        return EngineError(
            "container-killed",
            f"the container of {image} was killed (exit code 137), as it is when memory runs out",
            hint="give the machine more memory or run less beside it, then run the same again",
            log_path=error.log_path,
            reproduce=error.reproduce,
        )
    hint = next((hint for word, hint in _HINTS.items() if word in error.output), _DOCTOR_HINT)
    last = next((line.strip() for line in reversed(error.output.splitlines()) if line.strip()), "it said nothing")
    if error.command_exit_code not in _ENGINE_EXIT_CODES and not _NOT_STARTED.search(last):
        return error
    return EngineError(
        "engine-failed",
        f"{program} cannot run {image}: {last}",
        hint=hint.format(program=program, image=image),
        log_path=error.log_path,
        reproduce=error.reproduce,
    )


def _os_release() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown"
