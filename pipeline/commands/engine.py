# SPDX-License-Identifier: GPL-2.0-or-later
"""The command for oVirt Engine's administrator: engine_properties."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import exit_with, main, print_json, with_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.engineproperties.merge import Merge
    from pipeline.errors import PipelineError
    from pipeline.progress import Progress
    from pipeline.settings import Settings
    from pipeline.settingtables import PackageSettings


@main.command("engine_properties", help="The engine-config line that adds our VM properties to those that are set.")
@click.option(
    "--current", metavar="TEXT|@FILE|-", help="What is set: a value, or what engine-config -g prints; - reads it."
)
@click.option("--current-file", type=click.Path(path_type=Path), metavar="FILE", help="The same, in a file.")
@click.option("--cver", "versions", multiple=True, metavar="X.Y", help="Version to set; repeatable; default the last.")
@with_flags
def engine_properties(current: str | None, current_file: Path | None, versions: tuple[str, ...], **flags: Any) -> None:
    """Lines to run go to standard output, all that is told of them to standard error.

    Custom properties belong to a cluster's compatibility version. By default the last one that our package serves is
    set: the one that clusters of these hosts have unless somebody left them behind, for whom --cver is. No
    version that the text names is set by itself.
    """

    def work(settings: Settings, progress: Progress) -> int:
        from pipeline.engineproperties import merge, printed, telling

        name = _chosen_package(settings, flags["packages"])
        package = settings.packages[name]
        chosen = _chosen_versions(name, package, versions)
        texts = printed.read_texts(_given_text(current, current_file, progress), chosen)
        merges = merge.merge_all(texts, package.engine_properties)
        _tell(merges, progress, as_json=flags["as_json"])
        print_json(telling.document(merges), flags)
        return 0

    exit_with(work, flags, _failed_document)


def _chosen_package(settings: Settings, asked: tuple[str, ...]) -> str:
    """The package that is asked for, else the one that has engine properties. Raises: UsageError, SettingsError."""
    from pipeline.errors import SettingsError
    from pipeline.selection import choose_package

    having = tuple(name for name, package in settings.packages.items() if package.engine_properties)
    if not (asked or having):
        raise SettingsError(
            "no-engine-properties",
            "no package has engine_properties",
            hint="name them in pipeline.toml, under the package whose patches act upon them",
        )
    return choose_package(settings, asked or having)


def _chosen_versions(name: str, package: PackageSettings, asked: tuple[str, ...]) -> tuple[str, ...]:
    from pipeline.errors import SettingsError, UsageError

    if not (package.engine_properties and package.engine_versions):
        raise SettingsError(
            "no-engine-properties",
            f"packages.{name} has no engine_properties, or no engine_versions",
            hint="name them in pipeline.toml, or another --package",
        )
    unknown = [version for version in asked if version not in package.engine_versions]
    if unknown:
        raise UsageError(
            "unknown-cver",
            f"{name} {package.version} serves no cluster of version '{unknown[0]}'",
            hint=f"--cver takes {', '.join(package.engine_versions)}",
        )
    return tuple(dict.fromkeys(asked)) or package.engine_versions[-1:]


def _given_text(current: str | None, path: Path | None, progress: Progress) -> str:
    """What is set now, not yet looked at; bytes that are no UTF-8 stay in it, to be told where they are."""
    from pipeline.errors import UsageError

    if current is not None and path is not None:
        raise UsageError("engine-words", "--current and --current-file both say what is set", hint="leave one of them")
    if current is not None and current.startswith("@"):
        path = Path(current[1:])
    if current == "-":
        return _not_empty(sys.stdin.buffer.read(), "standard input")
    if path is not None:
        try:
            return _not_empty(path.read_bytes(), str(path))
        except OSError as error:
            raise UsageError(
                "no-engine-text", f"{path} cannot be read: {error.strerror}", hint="name a file that is there"
            ) from None
    if current is None:
        progress.warning("without --current, nothing is taken to be set; engine-config -s removes what is")
    return current or ""


def _not_empty(content: bytes, name: str) -> str:
    """Raises: UsageError for no text at all: the engine-config that failed before us prints none."""
    from pipeline.errors import UsageError

    if not content.strip():
        raise UsageError(
            "no-engine-text",
            f"{name} is empty, so it does not say what is set, and engine-config -s would remove it",
            hint="see why engine-config -g printed nothing; where it is known that nothing is set, --current ''",
        )
    return content.decode("utf-8", "surrogateescape")


def _tell(merges: Sequence[Merge], progress: Progress, *, as_json: bool) -> None:
    from pipeline.engineproperties import telling
    from pipeline.progress import print_document

    for each in merges:
        progress.heading(f"version {each.version}" + ("" if each.is_changed else ": ours are set already"))
        for line in telling.diff(each):
            progress.note(line)
        for line in telling.warnings(each):
            progress.warning(line)
        if not each.is_changed:
            continue
        if as_json:
            progress.note(f"set:  {each.set_line}")
        else:
            print_document(each.set_line)
        progress.note(f"undo: {each.undo_line}")
    if any(each.is_changed for each in merges):
        progress.note("then restart ovirt-engine; VMs take a property when they are stopped and started again")


def _failed_document(error: PipelineError) -> dict[str, Any]:
    from pipeline import document

    return {"status": "failed", "versions": [], "error": document.error_document(error)}
