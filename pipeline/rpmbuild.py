# SPDX-License-Identifier: GPL-2.0-or-later
"""rpmbuild in a workspace: its command line, its folders, and what it made, checked before it is taken."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pipeline import command, files, release
from pipeline.command import CommandResult
from pipeline.context import JobContext
from pipeline.engines.base import Engine, Workspace
from pipeline.errors import BuildError, CommandFailed
from pipeline.model import BuildResult, Evr, Rpm
from pipeline.settingtables import TargetSettings

_CHECK_SECONDS = 300
_SETTLE_TIMES = Path(__file__).with_name("settle-times.sh")
Step = Literal["-bp", "-bs", "-ba"]


def build_package(
    spec_path: Path,
    sources: Iterable[Path],
    destination: Path,
    *,
    expected: Evr,
    source_date_epoch: int,
    context: JobContext,
    engine: Engine | None = None,
    proved: Mapping[str, Path] | None = None,
) -> BuildResult:
    """Build source and binary RPMs in a workspace of their own and put them under `destination`.

    `engine` is another one than the job's, such as one with more packages in it.
    `source_date_epoch` is the time, in seconds, that they and the files in them bear at the latest.
    `proved` has the files, by their names in the source, that tests ran on: `%prep` must leave them
    the same. rpm applies patches with GNU patch, which may find another place for a hunk than git.

    Raises: BuildError, CommandTimedOut, EngineError.
    """
    limit_seconds = context.settings.time_limits.build
    if source_date_epoch > time.time():
        day = datetime.fromtimestamp(source_date_epoch, timezone.utc).date()
        context.progress.warning(
            f"this machine's clock is before {day}, the day of the newest patch or changelog entry: packages may "
            "bear times that those built elsewhere do not; set the clock, or mend the date"
        )
    with (engine or context.engine).workspace(context.scratch_dir) as workspace:
        spec = lay_out(workspace, spec_path, sources, mtime_seconds=source_date_epoch)
        for step in ("-bp", "-ba") if proved else ("-ba",):
            run(workspace, spec, step, target=context.target, log_path=context.log_path, timeout_seconds=limit_seconds,
                source_date_epoch=source_date_epoch)  # fmt: skip
            if step == "-bp":
                _refuse_other_source(build_dir(workspace), proved, context.log_path)
        return collect(
            workspace, destination, spec_path, expected=expected, out_path=context.out_path, log_path=context.log_path
        )


def _refuse_other_source(source_dir: Path, proved: Mapping[str, Path] | None, log_path: Path) -> None:
    """Raises: BuildError when what would be built is not what was proved."""
    for name, path in (proved or {}).items():
        there = source_dir / name
        if there.exists() != path.exists() or (path.exists() and files.sha256_of(there) != files.sha256_of(path)):
            raise BuildError(
                "not-what-was-proved",
                f"%prep of the rendered spec leaves another {name} than the patched tree that the tests ran on",
                hint="see that the template has each patch, and rebase the series so that its hunks need no offset",
                log_path=log_path,
            )


def lay_out(workspace: Workspace, spec: Path, sources: Iterable[Path], *, mtime_seconds: int | None = None) -> Path:
    """Make rpmbuild's folders in the workspace with the sources in place; returns the spec there.

    With `mtime_seconds` all of these bear that time, whenever a checkout wrote them; a source RPM holds it.
    """
    for name in ("BUILD", "BUILDROOT", "RPMS", "SOURCES", "SPECS", "SRPMS"):
        (workspace.dir / name).mkdir()
    files.copy_whole(_SETTLE_TIMES, workspace.dir / _SETTLE_TIMES.name)
    placed = [(spec, workspace.dir / "SPECS"), *((source, workspace.dir / "SOURCES") for source in sources)]
    for path, folder in placed:
        files.copy_whole(path, folder / path.name)
        if mtime_seconds is not None:
            os.utime(folder / path.name, (mtime_seconds, mtime_seconds))
    return workspace.dir / "SPECS" / spec.name


def plan(step: Step, spec: str, *, topdir: str, macros: Mapping[str, str], nodeps: bool) -> list[str]:
    """rpmbuild's command line.

    Source: rpmbuild(8); rpm's macros file for __arch_install_post, which every rpm since 4.4 runs behind
    %install and before all that __os_install_post names, and which none of ours gives another meaning.
    """
    defined = {"_topdir": topdir, "__arch_install_post": f"sh {topdir}/{_SETTLE_TIMES.name}", **macros}
    defines = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
    # The source RPM is the same whether the build requirements are at hand or not.
    return ["rpmbuild", step, *(["--nodeps"] if nodeps or step != "-ba" else []), *defines, spec]


def run(
    workspace: Workspace,
    spec: Path,
    step: Step,
    *,
    target: TargetSettings,
    log_path: Path,
    timeout_seconds: float,
    source_date_epoch: int | None = None,
) -> CommandResult:
    """Run rpmbuild on a spec that `lay_out` placed; `-bp` makes nothing that bears a time.

    Raises: BuildError, CommandTimedOut, EngineError.
    """
    argv = plan(step, workspace.inside(spec), topdir=workspace.inside(workspace.dir),
                macros=target.rpm_macros(), nodeps=target.nodeps)  # fmt: skip
    env = {} if source_date_epoch is None else {"SOURCE_DATE_EPOCH": str(source_date_epoch)}
    try:
        return workspace.run(argv, timeout_seconds=timeout_seconds, log_path=log_path, env=env)
    except CommandFailed as error:
        raise BuildError(
            "rpmbuild-failed",
            f"rpmbuild {step} of {spec.name} {_why(error)}",
            hint=_hint(error.output),
            log_path=log_path,
            reproduce=error.reproduce,
        ) from None


def macro_inputs(target: TargetSettings) -> dict[str, str]:
    """The target's settings that decide what rpmbuild makes, as ledger inputs."""
    return {"macros": json.dumps(target.rpm_macros(), sort_keys=True), "nodeps": str(target.nodeps)}


def build_dir(workspace: Workspace) -> Path:
    """The one source folder that `%prep` left. Raises: BuildError."""
    top_dir = workspace.dir / "BUILD"
    found = _folders(top_dir)
    # rpm 4.20 puts a folder of its own, `<name>-<version>-build`, between.
    if len(found) == 1 and found[0].name.endswith("-build"):
        found = [path for path in _folders(found[0]) if path.name not in ("BUILDROOT", "SPECPARTS")]
    if len(found) != 1:
        raise BuildError(
            "prep-folders",
            f"%prep left {len(found)} folders ({', '.join(path.name for path in found)}) where one is expected",
            hint="the series is applied to one source folder; a spec with several needs a change in the pipeline",
        )
    return found[0]


def collect(
    workspace: Workspace, destination: Path, spec: Path, *, expected: Evr, out_path: Path, log_path: Path
) -> BuildResult:
    """Check what rpmbuild made, then put it under `destination/{SRPMS,RPMS}`.

    Raises: BuildError when a package is broken, or has another version or release than `expected`.
    """
    made = sorted((workspace.dir / "RPMS").rglob("*.rpm"))
    sources = sorted((workspace.dir / "SRPMS").glob("*.src.rpm"))
    if len(sources) != 1 or not made:
        raise BuildError(
            "build-incomplete",
            f"rpmbuild ended well and left {len(sources)} source and {len(made)} binary packages",
            hint="look in the log for what it wrote",
            log_path=log_path,
        )
    _check_digests([*sources, *made], log_path)
    for path in (*sources, *made):
        _check_evr(path, expected, log_path)
    kept_sources = [_keep(path, destination / "SRPMS") for path in sources]
    kept = [_keep(path, destination / "RPMS" / path.parent.name) for path in made]
    kept_spec = _keep(spec, destination / "SPECS")
    return BuildResult(
        srpm=read_rpm(kept_sources[0], out_path),
        rpms=tuple(sorted((read_rpm(path, out_path) for path in kept), key=lambda rpm: (rpm.name, rpm.arch))),
        spec=files.file_record(kept_spec, out_path),
    )


def unpack(path: Path, root_dir: Path) -> None:
    """Write an RPM's regular files below a folder, as they would lie on a host; no scriptlet runs."""
    import rpmfile

    root_dir.mkdir(parents=True, exist_ok=True)
    with rpmfile.open(str(path)) as package:
        for member in package.getmembers():
            target = (root_dir / member.name).resolve()
            if member.isdir or member.issymlink or root_dir.resolve() not in target.parents:
                continue
            files.write_whole(target, package.extractfile(member).read())


def read_rpm(path: Path, out_path: Path) -> Rpm:
    """The record of an RPM file, from its header."""
    import createrepo_c  # late: it loads a large library

    package = createrepo_c.package_from_rpm(str(path))
    return Rpm(
        file=files.file_record(path, out_path),
        name=package.name,
        evr=Evr(epoch=int(package.epoch or 0), version=package.version, release=package.release),
        arch=package.arch if package.rpm_sourcerpm else "src",
        source=release.source_name(package.rpm_sourcerpm, package.name),
    )


def _check_digests(paths: list[Path], log_path: Path) -> None:
    """rpmbuild that is killed while it writes leaves a cut package under its final name."""
    try:
        command.run(
            ["rpmkeys", "--checksig", "--nosignature", *map(str, paths)],
            timeout_seconds=_CHECK_SECONDS,
            log_path=log_path,
            capture=False,
        )
    except CommandFailed as error:
        raise BuildError(
            "package-broken",
            f"a package is cut short or damaged: {error.message}",
            hint="run the same again; if it stays, look for a full disk",
            log_path=log_path,
        ) from None


def _check_evr(path: Path, expected: Evr, log_path: Path) -> None:
    evr = read_rpm(path, path.parent).evr
    if (evr.version, evr.release) != (expected.version, expected.release):
        raise BuildError(
            "unexpected-release",
            f"{path.name} is {evr}, not {expected}",
            hint="a subpackage or a macro sets a version or release of its own: look in the spec; or the source RPM "
            "was made with other macros than the target's: packages.NAME.dist_tags, targets.NAME.macros",
            log_path=log_path,
        )


def _keep(path: Path, folder: Path) -> Path:
    files.copy_whole(path, folder / path.name)
    return folder / path.name


def _folders(top_dir: Path) -> list[Path]:
    return sorted(path for path in top_dir.iterdir() if path.is_dir())


def _why(error: CommandFailed) -> str:
    if error.command_exit_code < 0 or error.command_exit_code in (137, 143):
        return "was killed"
    told = [line.strip() for line in error.output.splitlines() if line.startswith("error:")]
    return f"failed: {told[0].removeprefix('error:').strip()}" if told else f"ended with {error.command_exit_code}"


def _hint(output: str) -> str:
    if "No space left on device" in output:
        return "the disk is full: free space, then run the same again"
    if "Failed build dependencies" in output:
        return "install the named packages into the image (containers/), or set nodeps for the target"
    return "the last lines of the log say what went wrong"
