# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look after what is published: snapshots, rollback, promote, prune."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import exit_with, main, print_json, with_flags

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.mirrors.history import Snapshot
    from pipeline.mirrors.retention import Pruning
    from pipeline.model import MirrorState, Publication
    from pipeline.progress import Progress
    from pipeline.settings import Settings

_COLUMNS = 76  # of 80, behind the four that notes begin with


@main.command(help="List the states that a mirror had: revision, date, what came with each, by whom.")
@with_flags
def snapshots(**flags: Any) -> None:
    def tell(settings: Settings, progress: Progress) -> int:
        from pipeline.mirrors import history, mirror
        from pipeline.mirrors.destination import find_destination

        documents = []
        for target in _targets(settings, flags):
            place = find_destination(settings, target)
            log_path = _log_path(settings, target, "snapshots")
            state = mirror.read_state(settings, target, log_path=log_path)
            known = history.snapshots(state, place, log_path=log_path)
            progress.heading(place.address if known else f"{place.address}: {_nothing(state)}")
            for line in (line for each in known for line in _lines(each)):
                progress.note(line)
            documents.append(
                {"target": target, "destination": place.address, "snapshots": [_document(each) for each in known]}
            )
        print_json({"repositories": documents}, flags)
        return 0

    exit_with(tell, flags)


@main.command(help="Let the content of an earlier revision stand again, as a new revision.")
@click.option("--to", "revision", type=click.IntRange(min=0), required=True, metavar="REVISION", help="See snapshots.")
@with_flags
def rollback(revision: int, **flags: Any) -> None:
    def move(settings: Settings, progress: Progress) -> int:
        from pipeline import lock
        from pipeline.mirrors import rollback as room

        done = []
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            for target in _targets(settings, flags):
                log_path = _log_path(settings, target, "rollback")
                done.append(room.run(settings, target, revision, progress, log_path=log_path, dry_run=flags["dry_run"]))
        _tell(done, progress, flags)
        return 0

    exit_with(move, flags)


@main.command(help="Move a snapshot from one channel to another, without a build.")
@click.option("--from", "origin", required=True, metavar="MIRROR", help="The channel that has it.")
@click.option("--to", "channel", required=True, metavar="MIRROR", help="The channel that gets it.")
@click.option("--revision", type=click.IntRange(min=0), metavar="REVISION", help="Default: what stands there.")
@with_flags
def promote(origin: str, channel: str, revision: int | None, **flags: Any) -> None:
    flags["mirror"] = channel

    def move(settings: Settings, progress: Progress) -> int:
        from pipeline import lock
        from pipeline.mirrors import promote as room

        done = []
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            for target in _targets(settings, flags):
                log_path = _log_path(settings, target, "promote")
                done.append(
                    room.run(settings, target, origin, revision, progress, log_path=log_path, dry_run=flags["dry_run"])
                )
        _tell(done, progress, flags)
        return 0

    exit_with(move, flags)


@main.command(help="Tell which snapshots and packages of a mirror nothing keeps; with --remove, remove them.")
@click.option("--remove", is_flag=True, help="Remove them; without this, nothing is touched.")
@with_flags
def prune(remove: bool, **flags: Any) -> None:
    def tidy(settings: Settings, progress: Progress) -> int:
        from pipeline import lock
        from pipeline.mirrors import retention

        found: list[Pruning] = []
        with lock.held(settings.out_path, progress, wait=not flags["no_wait"]):
            for target in _targets(settings, flags):
                found.extend(
                    retention.run(
                        settings,
                        target,
                        progress,
                        remove=remove and not flags["dry_run"],
                        log_path=_log_path(settings, target, "prune"),
                    )
                )
        for each in found:
            _tell_pruning(each, progress)
        print_json({"places": [_pruning_document(each) for each in found]}, flags)
        return 0

    exit_with(tidy, flags)


def _targets(settings: Settings, flags: dict[str, Any]) -> tuple[str, ...]:
    from pipeline.selection import choose_jobs

    return tuple(dict.fromkeys(job.target for job in choose_jobs(settings, flags["targets"], flags["packages"])))


def _log_path(settings: Settings, target: str, name: str) -> Path:
    from pipeline.run import new_attempt

    return settings.out_path / target / "logs" / new_attempt() / f"{name}.log"


def _nothing(state: MirrorState) -> str:
    if not state.repomd_sha256:
        return "nothing is there yet"
    return f"{len(state.packages)} packages, published by others: the next release keeps that state as a snapshot"


def _lines(each: Snapshot) -> Iterator[str]:
    """A snapshot in lines that fit 80 columns; --json has all of it."""
    entry = each.entry
    mark = "  stands" if each.stands else "" if each.is_there else "  pruned"
    yield _short(
        f"{entry.revision:<10}  {entry.time[:16].replace('T', ' ')}  {entry.action:<8}  {entry.who[:24]}{mark}"
    )
    for word in (*(f"{name}-{evr}" for name, evr in entry.releases), entry.detail):
        if word:
            yield f"    {_short(word, _COLUMNS - 4)}"


def _short(text: str, width: int = _COLUMNS) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _document(each: Snapshot) -> dict[str, Any]:
    entry = each.entry
    return {
        "revision": entry.revision,
        "time": entry.time,
        "action": entry.action,
        "detail": entry.detail,
        "releases": [f"{name}-{evr}" for name, evr in entry.releases],
        "statements": dict(entry.statements),
        "commit": entry.commit,
        "who": entry.who,
        "repomd_sha256": entry.repomd_sha256,
        "there": each.is_there,
        "stands": each.stands,
    }


def _tell(done: Sequence[Publication], progress: Progress, flags: dict[str, Any]) -> None:
    for each in done:
        verb = "would be" if flags["dry_run"] else "is" if each.changed else "stays"
        progress.heading(f"{each.destination} {verb} at revision {each.revision}")
    repositories = [
        {
            "destination": each.destination,
            "revision": each.revision,
            "changed": each.changed,
            "places": list(each.places),
        }
        for each in done
    ]
    print_json({"status": "ok", "repositories": repositories}, flags)


def _tell_pruning(each: Pruning, progress: Progress) -> None:
    verb = "removed" if each.removed else "would be removed"
    revisions = [str(snapshot.entry.revision) for snapshot in each.snapshots] + [str(n) for n in each.unfinished]
    progress.heading(
        f"{each.place}: {len(revisions)} snapshots and {len(each.packages)} packages"
        f" ({each.size_bytes / 1e6:.1f} MB) {verb}, {each.kept} snapshots stay"
    )
    for line in (*revisions, *(rpm.nevra for rpm in each.packages)):
        progress.note(f"  {line}")


def _pruning_document(each: Pruning) -> dict[str, Any]:
    return {
        "place": each.place,
        "removed": each.removed,
        "snapshots": [snapshot.entry.revision for snapshot in each.snapshots],
        "unfinished": list(each.unfinished),
        "packages": [rpm.nevra for rpm in each.packages],
        "size_bytes": each.size_bytes,
        "kept": each.kept,
    }
