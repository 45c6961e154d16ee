# SPDX-License-Identifier: GPL-2.0-or-later
"""A podman or docker container as an engine; the same words serve both."""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline import command
from pipeline.command import CommandResult
from pipeline.engines import derived, layer, leash
from pipeline.engines.base import HOST_NAME, Engine, Workspace
from pipeline.errors import CommandFailed, CommandTimedOut, EngineError
from pipeline.model import EngineName, Image

_GUEST_DIR = PurePosixPath("/workspace")
_BUILDER_ID = 1000
_QUICK_SECONDS = 60
# Where the engine itself fails, as opposed to the command in it.
# Source: podman-run(1) and docker-run(1), "Exit Status".
_ENGINE_EXIT_CODES = {125, 126, 127}
# Exit code -> reference, what it means, what mends it. Source: 128 and the signal's number, podman-run(1).
_KILLED = {
    137: (
        "container-killed",
        ", as it is when memory runs out",
        "give the machine more memory or run less beside it, then run the same again",
    ),
    139: (
        "vsyscall",
        ": the kernel may lack vsyscall, which CentOS 6 needs",
        "boot with vsyscall=emulate, or use an image built for kernels without it",
    ),
}
_REAP_TRIES = 5
_REAP_PAUSE_SECONDS = 0.3
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
class _ContainerWorkspace(Workspace):
    program: str
    image: str
    as_root: bool = False
    network: bool = False

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
        name = _free_name()
        if not self.as_root:
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
                    as_root=self.as_root,
                    network=self.network,
                ),
                timeout_seconds=timeout_seconds,
                log_path=log_path,
                capture=capture,
                heavy=True,
            )
        except CommandFailed as error:
            if error.command_exit_code < 0:  # the client was killed, which the container does not notice
                derived.remove_container(self.program, name)
            raise _engine_failure(error, self.program, self.image) from None
        except (CommandTimedOut, KeyboardInterrupt):
            # The client is gone; the container is not the client's child.
            derived.remove_container(self.program, name)
            raise


class ContainerEngine(Engine):
    """Commands run in a container of `image`, as an ordinary user and without network, if nothing else is asked for.

    What root makes in a workspace may be out of the user's reach: it is removed by root, before the workspace ends.
    """

    def __init__(self, program: EngineName, image: str, *, as_root: bool = False, network: bool = False) -> None:
        self.name = program
        self.image = image
        self._as_root = as_root
        self._network = network
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
            reap(self.name)
            self._reaped = True
        return _ContainerWorkspace(
            dir=dir_path,
            read_only=read_only,
            program=self.name,
            image=self.image,
            as_root=self._as_root,
            network=self._network,
        )

    @contextmanager
    def with_packages(
        self, rpms: Sequence[Path], parent_dir: Path, *, nodeps: bool, log_path: Path | None = None
    ) -> Iterator[Engine]:
        """In an image of their own, which is removed at the end."""
        image, container = derived.free_name(), _free_name()
        derived.reap(self.name)
        with self.workspace(parent_dir) as workspace:
            for path in rpms:
                shutil.copyfile(path, workspace.dir / path.name)
            argv = plan_container(
                derived.plan_install(nodeps=nodeps),
                program=self.name,
                image=self.image,
                name=container,
                workspace_dir=workspace.dir,
                read_only=(),
                env={},
                cwd=str(_GUEST_DIR),
                as_root=True,
                keep=True,
            )
            try:
                derived.make(self.name, argv, container, image, log_path=log_path)
            except CommandFailed as error:
                failure = _engine_failure(error, self.name, self.image)
                raise (layer.refused(rpms, error) if failure is error else failure) from None
        try:
            yield ContainerEngine(self.name, image, as_root=self._as_root, network=self._network)
        finally:
            derived.remove(self.name, image)


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
    as_root: bool = False,
    network: bool = False,
    keep: bool = False,
) -> list[str]:
    """The engine's command line for `argv`; the same words serve podman and docker."""
    mounts = [f"type=bind,source={workspace_dir},target={_GUEST_DIR}"]
    mounts += [f"type=bind,source={path},target=/mnt/{index},readonly" for index, path in enumerate(read_only)]
    variables = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(_GUEST_DIR), **env}
    return [
        program, "run", *([] if keep else ["--rm"]), "--name", name, "--label", _CONTAINER_LABEL,
        *([] if network else ["--network", "none"]),
        "--hostname", HOST_NAME, "--pull", "never", "--security-opt", "label=disable",
        *(["--user", "0:0"] if as_root else _user_arguments(program)),
        *(word for mount in mounts for word in ("--mount", mount)),
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        "--workdir", cwd, image, *argv,
    ]  # fmt: skip


def reap(program: str) -> None:
    """Remove the containers of runs that were killed; those of a living run stay.

    One that is being made may not be removed just then: its client goes on without whoever started it.
    """
    for _ in range(_REAP_TRIES):
        left = _of_the_dead(program)
        for name in left:
            derived.remove_container(program, name)
        if not left:
            return
        time.sleep(_REAP_PAUSE_SECONDS)


def _of_the_dead(program: str) -> list[str]:
    """The containers whose run is no more, by their names."""
    listed = command.run(
        [program, "ps", "--all", "--format", "{{.Names}}", "--filter", f"label={_CONTAINER_LABEL}"],
        timeout_seconds=_QUICK_SECONDS,
    )
    names = listed.stdout.split()
    return [name for name in names if not leash.lives(name.removeprefix(f"{_CONTAINER_LABEL}-").partition("-")[0])]


def _free_name() -> str:
    return f"{_CONTAINER_LABEL}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


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


def _engine_failure(error: CommandFailed, program: str, image: str) -> CommandFailed | EngineError:
    if error.command_exit_code in _KILLED:
        reference, why, hint = _KILLED[error.command_exit_code]
        return EngineError(
            reference,
            f"the container of {image} was killed (exit code {error.command_exit_code}){why}",
            hint=hint,
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
