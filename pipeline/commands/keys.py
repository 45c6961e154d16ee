# SPDX-License-Identifier: GPL-2.0-or-later
"""The command that looks after the signing key: key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.frame import ended, exit_with, main, print_json, with_flags

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.progress import Progress
    from pipeline.settings import Settings

_PATH = click.Path(path_type=Path, dir_okay=False)


@main.command(help="Tell the signing key: what it is, when it expires, whether rpm 4.8 can use it; or make one.")
@click.option("--make", "name", default="", metavar="'Name <mail>'", help="Make a key fit for rpm 4.8.")
@click.option("--rotate", is_flag=True, help="Make the key that follows the configured one, named as that.")
@click.option("--export", "export_path", type=_PATH, metavar="FILE", help="Write the public key, for hosts.")
@click.option("--expires", "years", type=click.IntRange(1, 30), default=5, metavar="YEARS", help="Of a new key; 5.")
@click.option("--key-file", "key_path", type=_PATH, metavar="FILE", help="Where a new key goes; default gpg's keyring.")
@click.option("--passphrase-file", "passphrase_path", type=_PATH, metavar="FILE", help="What protects a new key.")
@with_flags
def key(
    name: str,
    rotate: bool,
    export_path: Path | None,
    years: int,
    key_path: Path | None,
    passphrase_path: Path | None,
    **flags: Any,
) -> None:
    def work(settings: Settings, progress: Progress) -> int:
        from pipeline.errors import UsageError
        from pipeline.signing import keys as room

        if bool(name) + rotate + bool(export_path) > 1:
            raise UsageError("key-words", "key takes one of --make, --rotate and --export", hint="leave one of them")
        if name or rotate:
            if rotate:
                wish = room.wish_to_follow(settings, years, key_path, passphrase_path)
            else:
                who, mail = room.read_name(name)
                wish = room.Wish(name=who, mail=mail, years=years, key_path=key_path, passphrase_path=passphrase_path)
            return _make(settings, progress, wish, rotate, flags)
        return _tell(settings, progress, export_path, flags)

    exit_with(work, flags, _failed_document)


def _make(settings: Settings, progress: Progress, wish: Any, rotate: bool, flags: dict[str, Any]) -> int:
    from pipeline.signing import keys as room

    if flags["dry_run"]:
        where = wish.key_path or "gpg's keyring"
        progress.heading(f"would make RSA-{wish.bits} for {wish.name} <{wish.mail}>, {wish.years} years, in {where}")
        print_json(room.document(None), flags)
        return 0
    made = room.rotate(wish, settings) if rotate else room.make(wish, settings)
    room.tell_made(made, progress, protected=wish.passphrase_path is not None)
    print_json(room.document(None, made), flags)
    return 0


def _tell(settings: Settings, progress: Progress, export_path: Path | None, flags: dict[str, Any]) -> int:
    from pipeline import document, files
    from pipeline.selection import choose_jobs
    from pipeline.signing import choice
    from pipeline.signing import keys as room

    target = choose_jobs(settings, flags["targets"], flags["packages"])[0].target
    chosen = choice.configured(settings) or choice.of(settings, target)
    room.tell(chosen, progress)
    if export_path and chosen.listed and not flags["dry_run"]:
        files.write_whole(export_path, room.exported(chosen))
        progress.note(f"written: {export_path}; on a host: rpm --import {export_path.name}")
    error = room.failure(chosen)
    print_json({**room.document(chosen), "error": document.error_document(error) if error else None}, flags)
    return ended(error, progress)


def _failed_document(error: PipelineError) -> dict[str, Any]:
    from pipeline import document
    from pipeline.signing import keys as room

    return {**room.document(None), "status": "failed", "error": document.error_document(error)}
