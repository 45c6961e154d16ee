# SPDX-License-Identifier: GPL-2.0-or-later
"""Source RPM file or URL | yum source repository | git tag | demo -> Srpm, checked and unpacked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import disttag, files, rpmbuild
from pipeline.context import JobContext
from pipeline.errors import NetworkError, SrpmError, UsageError
from pipeline.model import Image, Source, Srpm
from pipeline.sources import origins, srpm
from pipeline.spectext import read_spec

_IDENTITY_NAME = "identity.json"
_UNKNOWN = "unknown"


def inputs(image: Image, *, context: JobContext) -> dict[str, str]:
    """The sources and what each would give now, as far as that can be told cheaply.

    Only the first one is asked over the network, and shortly: the others do not count while it
    holds. When it cannot be asked, what it gave the last time stands.
    """
    sources = context.settings.source_list(context.job)
    decided = {
        "sources": " ".join(origins.shown(source) for source in sources),
        "version": context.package.version,
        "pins": json.dumps({**context.package.sha256, **context.package.git_commits}, sort_keys=True),
    }
    for index, source in enumerate(sources):
        decided[origins.shown(source)] = _identity(source, context, ask_network=index == 0)
    if any(source.kind in ("git", "demo") for source in sources):
        decided |= rpmbuild.macro_inputs(context.target)
        decided["left out"] = " ".join(context.package.dist_left_out)
        decided["tarball"] = json.dumps([context.package.dist, *context.package.dist_prepare])
    if context.job.target in context.package.dist_tags:
        decided["dist tag"] = context.target.dist
    return decided


def run(image: Image, *, context: JobContext) -> Srpm:
    """The source RPM of the first source that can be had, under `srpm/`, with its files in `srpm/payload/`.

    Raises: NetworkError, UsageError, SrpmError, BuildError, EngineError.
    """
    with _scratch(context) as folder:
        source, obtained = _obtain_first(folder, context)
        return _keep(source, obtained, folder / "srpm", context)


def _obtain_first(folder: Path, context: JobContext) -> tuple[Source, origins.Obtained]:
    sources = context.settings.source_list(context.job)
    reasons: list[str] = []
    for index, source in enumerate(sources):
        try:
            if context.settings.offline:
                _refuse_network(source)
            return source, origins.obtain(source, _new_dir(folder, index), context)
        except (NetworkError, UsageError) as error:
            if len(sources) == 1:
                raise
            reasons.append(error.message)
            if index + 1 < len(sources):
                context.progress.warning(f"{reasons[-1]}; trying {origins.shown(sources[index + 1])}")
    raise NetworkError(
        "no-source",
        f"no source of {context.job.package} {context.package.version} can be had: {'; '.join(reasons)}",
        hint="give one that you have with --source, such as srpm:PATH or git:PATH@TAG",
    )


def _new_dir(folder: Path, index: int) -> Path:
    """A fresh folder for what one source brings."""
    path = folder / f"source-{index}"
    path.mkdir()
    return path


def _keep(source: Source, obtained: origins.Obtained, new_dir: Path, context: JobContext) -> Srpm:
    """Check the source RPM, then put it and its files in place of the last one's."""
    name = context.job.package
    package = srpm.read_srpm(
        obtained.path, new_dir / "payload", label=origins.shown(source), name=name, version=context.package.version
    )
    spec = read_spec(new_dir / "payload" / package.spec)
    if source.kind in ("srpm", "yum"):
        _refuse_other_dist(spec, package, source, context)
    if obtained.unpinned:
        context.progress.warning(
            f"{obtained.unpinned} is not pinned, so nobody can tell whether it is the right one; if it is, add to "
            f"pipeline.toml under [packages.{name}.sha256]: "
            f'"{obtained.unpinned}" = "{files.sha256_of(obtained.path)}"'
        )
    files.copy_whole(obtained.path, new_dir / package.file_name)
    identity = {"source": origins.shown(source), "identity": obtained.identity}
    files.write_whole(new_dir / _IDENTITY_NAME, json.dumps(identity) + "\n")
    home_dir = context.home_dir / "srpm"
    files.replace_tree(new_dir, home_dir)
    return Srpm(
        file=files.file_record(home_dir / package.file_name, context.out_path),
        name=package.name,
        evr=package.evr,
        spec=files.file_record(home_dir / "payload" / package.spec, context.out_path),
        sources=tuple(files.file_record(home_dir / "payload" / each, context.out_path) for each in package.sources),
        origin=origins.shown(source),
        # Also one that an earlier demo run made and that is now given as a file.
        demo=source.kind == "demo" or "demo" in package.evr.release.split("."),
    )


def _refuse_other_dist(spec: str, package: srpm.SourcePackage, source: Source, context: JobContext) -> None:
    """Raises: SrpmError for a source RPM that was made with another dist tag: its build would have another release.

    And ours, which goes on from it, could sort below what hosts have.
    """
    target, name = context.target, context.job.target
    tag = disttag.of_source(spec, package.evr.release, target.rpm_macros())
    if tag in (None, target.dist):
        return
    if target.dist == ".demo":
        hint = "build it for another target; or give --source git:REPO@TAG, or a folder of the checkout, demo:FOLDER"
    else:
        line = disttag.setting({**context.package.dist_tags, name: tag or ""})
        hint = f"write in pipeline.toml, under [packages.{package.name}]: {line}"
    raise SrpmError(
        "srpm-dist",
        f"{origins.shown(source)}: it is {package.name}-{package.evr}, made with "
        f"{f'the dist tag {tag}' if tag else 'no dist tag'}, and {name} has {target.dist or 'none'}",
        hint=hint,
    )


def _identity(source: Source, context: JobContext, *, ask_network: bool) -> str:
    """What the source would give now; for one on the network that does not answer, what it gave the last time."""
    needs_network = origins.is_remote(source) and not origins.is_fixed(source, context)
    if needs_network and not ask_network:
        return "not asked"
    if needs_network and context.settings.offline:
        return _last_identity(source, context)
    try:
        return origins.identify(source, context)
    except NetworkError as error:
        last = _last_identity(source, context)
        if last != _UNKNOWN:
            context.progress.warning(f"{error.message}; taking it for unchanged")
        return last
    except UsageError:
        return "missing"


def _last_identity(source: Source, context: JobContext) -> str:
    try:
        kept = json.loads((context.home_dir / "srpm" / _IDENTITY_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return _UNKNOWN
    return str(kept["identity"]) if kept.get("source") == origins.shown(source) else _UNKNOWN


def _refuse_network(source: Source) -> None:
    if origins.is_remote(source):
        raise NetworkError(
            "offline",
            f"{origins.shown(source)} is on the network, and --offline forbids its use",
            hint="leave --offline out, or give a source on this machine: srpm:PATH or git:PATH@TAG",
        )


@contextmanager
def _scratch(context: JobContext) -> Iterator[Path]:
    """A folder of this job's own, on the out directory's file system, removed at the end."""
    folder = context.scratch_dir / f"fetch-{context.job.target}-{context.job.package}"
    files.remove_tree(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        files.remove_tree(folder)
