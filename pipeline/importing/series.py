# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches of one package as they will lie in its series: names, files, and whether they fit its source."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from email import policy
from email.header import Header
from email.parser import BytesParser
from pathlib import Path

from pipeline import compat, files, localgit
from pipeline.errors import PatchError
from pipeline.importing import ground
from pipeline.importing.mails import PatchMail
from pipeline.model import PatchVerdict
from pipeline.series import SeriesPatch, bare_subject, listed_names, number_of, read_series
from pipeline.settings import Settings

# As git format-patch names its files. Source: git-format-patch(1), --filename-max-length.
_NAME_LETTERS = 52
_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_MESSAGE_ID = re.compile(r"^Message-Id: *(\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPatch:
    """A patch that comes to a package's series; `verdict` is how it fits, `None` where its source is not at hand."""

    mail: PatchMail
    name: str
    content: bytes
    verdict: PatchVerdict | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageImport:
    """What comes to one package, behind what it has; `had` counts mails that were imported before."""

    package: str
    patches_dir: Path
    new: tuple[NewPatch, ...]
    had: int
    tried_on: str = ""


def plan(settings: Settings, package: str, mails: Sequence[PatchMail], scratch_dir: Path) -> PackageImport:
    """The patches that the package's series would get, tried on its source where that is at hand.

    Raises: PatchError for a series that cannot be read, or a patch that the pipeline does not take; UsageError.
    """
    patches_dir = settings.root_dir / "patches" / package
    listed = listed_names(patches_dir) if (patches_dir / "series").is_file() else ()
    coming = _coming(mails, [patches_dir / name for name in listed])
    first = max((int(number_of(name)) for name in listed), default=0) + 1
    if first + len(coming) > 10_000:
        raise PatchError("series-long", f"{package} would have more than 9999 patches", hint="begin a series anew")
    new = tuple(
        NewPatch(mail=mail, name=_file_name(number, mail.subject), content=_content(mail))
        for number, mail in enumerate(coming, first)
    )
    # What an import that was killed laid there, and did not list any more.
    left = {patch.name for patch in new if _has(patches_dir / patch.name, patch.content)}
    old = read_series(patches_dir, left_out=left) if listed else ()
    _refuse_others(patches_dir, new, left, listed)
    planned = PackageImport(package=package, patches_dir=patches_dir, new=new, had=len(mails) - len(coming))
    staged = _stage(planned, scratch_dir / package)
    return _tried(settings, planned, old, staged, scratch_dir / f"{package}.git") if staged else planned


def _coming(mails: Sequence[PatchMail], paths: Sequence[Path]) -> list[PatchMail]:
    """The mails that the series does not have yet. Raises: PatchError for one of which it has another under its id."""
    contents = {path: path.read_bytes() for path in paths if path.is_file()}
    by_id = {match[1]: path for path, content in contents.items() if (match := _MESSAGE_ID.search(_head(content)))}
    coming = []
    for mail in mails:
        there = by_id.get(mail.message_id)
        if there is None and _content(mail) not in contents.values():
            coming.append(mail)
        elif there is not None and _subject(contents[there]) != mail.subject:
            raise PatchError(
                "mail-other",
                f"{there.name} bears the Message-Id of '{mail.subject}' ({mail.place}), and another subject",
                hint="remove that patch from the series, or its Message-Id line where it is another patch",
            )
    return coming


def _refuse_others(patches_dir: Path, new: Sequence[NewPatch], left: Collection[str], listed: Sequence[str]) -> None:
    """Raises: PatchError for a file of somebody's own where a patch would lie."""
    for patch in new:
        if patch.name not in left and (patches_dir / patch.name).exists():
            raise PatchError(
                "patch-there",
                f"{patches_dir / patch.name} is there, with other contents, and in no series",
                hint="add it to the series, or move it away; nothing was written",
            )
    unlisted = {path.name for path in patches_dir.glob("*.patch")} - {*left, *listed}
    if unlisted and not listed:
        raise PatchError(
            "patch-unlisted",
            f"{', '.join(sorted(unlisted))} in {patches_dir} is in no series",
            hint=f"add a line to {patches_dir / 'series'}, or move the file away; nothing was written",
        )


def write(planned: PackageImport) -> None:
    """Lay the patches into the series: files first, then the list that names them, so that a kill leaves no half."""
    if not planned.new:
        return
    planned.patches_dir.mkdir(parents=True, exist_ok=True)
    for patch in planned.new:
        files.write_whole(planned.patches_dir / patch.name, patch.content)
    series_path = planned.patches_dir / "series"
    before = series_path.read_bytes() if series_path.is_file() else b""
    gap = b"\n" if before and not before.endswith(b"\n") else b""
    lines = "".join(f"{patch.name}\n" for patch in planned.new).encode()
    files.write_whole(series_path, before + gap + lines)


def _tried(
    settings: Settings,
    planned: PackageImport,
    old: Sequence[SeriesPatch],
    staged: Sequence[SeriesPatch],
    scratch_dir: Path,
) -> PackageImport:
    """The plan with how each patch fits behind those that are there, on the source that the package is made from.

    Raises: PatchError where no source is at hand and git cannot read a patch.
    """
    found = ground.find(settings, planned.package, scratch_dir)
    if found is None:
        _refuse_unreadable(planned, staged)
        return planned
    verdicts = compat.try_series(found.history, found.revision, [*old, *staged]).patches[len(old) :]
    tried = zip(planned.new, verdicts, strict=True)
    return replace(
        planned, new=tuple(replace(patch, verdict=verdict) for patch, verdict in tried), tried_on=found.shown
    )


def _refuse_unreadable(planned: PackageImport, staged: Sequence[SeriesPatch]) -> None:
    """Raises: PatchError for a patch that fits no source: one that a mailer has cut or wrapped."""
    for new, patch in zip(planned.new, staged, strict=True):
        code, told = localgit.run(patch.path.parent, "apply", "--numstat", patch.path.name)
        if code != 0:
            why = next((line for line in told.splitlines() if line.startswith(("error:", "fatal:"))), "it said nothing")
            raise PatchError(
                "patch-corrupt",
                f"'{new.mail.subject}' ({new.mail.place}) is no patch that git can read: {why}",
                hint="nothing was written; get that mail as it was sent: a mailer has cut it, or wrapped its lines",
            )


def _stage(planned: PackageImport, folder: Path) -> tuple[SeriesPatch, ...]:
    """The new patches as a series of its own, read back as the pipeline will read them. Raises: PatchError."""
    if not planned.new:
        return ()
    folder.mkdir(parents=True)
    for patch in planned.new:
        (folder / patch.name).write_bytes(patch.content)
    (folder / "series").write_text("".join(f"{patch.name}\n" for patch in planned.new), encoding="utf-8")
    return read_series(folder)


def _head(content: bytes) -> str:
    return content.partition(b"\n\n")[0].decode("utf-8", "replace")


def _subject(content: bytes) -> str:
    return bare_subject(BytesParser(policy=policy.default).parsebytes(content, headersonly=True))


def _has(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _file_name(number: int, subject: str) -> str:
    words = re.sub(r"[^A-Za-z0-9._]+", "-", subject, flags=re.ASCII).strip("-.")
    return f"{number:04d}-{re.sub(r'[.]{2,}', '.', words)[:_NAME_LETTERS].strip('-.') or 'patch'}.patch"


def _content(mail: PatchMail) -> bytes:
    """The mail as `git format-patch` would write it, with the number that mattered in the mailed series left out."""
    head = [
        _FROM,
        f"From: {mail.sender}",
        f"Date: {mail.date}",
        f"Subject: {Header(f'[PATCH] {mail.subject}', 'utf-8' if not mail.subject.isascii() else 'us-ascii').encode()}",
        *([f"Message-Id: {mail.message_id}"] if mail.message_id else []),
    ]
    body = mail.message.strip("\n")
    diff = mail.diff if mail.diff.startswith(b"---\n") else b"---\n" + mail.diff
    return "\n".join([*head, "", *([body] if body else []), ""]).encode() + diff
