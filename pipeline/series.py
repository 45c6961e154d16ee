# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch series on disk: quilt's `series` file and the git format-patch files that it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from dataclasses import dataclass
from datetime import datetime, timezone
from email import policy
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from pipeline.errors import PatchError
from pipeline.files import sha256_of

# rpm expands a patch's name as a macro and hands it to a shell: nothing but plain letters goes in.
# The four digits are what a test's PATCH names.
_NAME = re.compile(r"\d{4}-[A-Za-z0-9._+-]+\.patch", re.ASCII)
_TAG = re.compile(r"^\[[^\]]*\]\s*")
_OLD_FILE = re.compile(rb"^--- a/([^\t\n]+)", re.MULTILINE)
_NEW_FILE = re.compile(rb"^\+\+\+ b/([^\t\n]+)", re.MULTILINE)
_CHANGE = re.compile(rb"^(?=diff --git )", re.MULTILINE)
# What a change without a line of text can be, or one whose file git cannot name plainly: nobody could tell what it did.
# A link may lead out of the source; and the `patch` that rpmbuild calls on EL6 makes a plain file of it.
_UNTAKEN = {
    "makes, changes or removes a symbolic link or a submodule": re.compile(
        rb"^(?:(?:new|deleted) file mode|(?:old|new) mode|index \S+)[ \t]+0*1[26][0-7]{4}\s", re.MULTILINE
    ),
    "has a file name that is not plain ASCII": re.compile(rb'\Adiff --git .*"'),
    "only renames or copies a file": re.compile(rb"^(?:rename|copy) from (?!.*^@@ )", re.MULTILINE | re.DOTALL),
    "changes a binary file": re.compile(rb"^(?:GIT binary patch$|Binary files )", re.MULTILINE),
    "only changes the mode of a file": re.compile(rb"^old mode (?!.*^@@ )", re.MULTILINE | re.DOTALL),
    "makes or removes an empty file": re.compile(rb"^(?:new|deleted) file mode (?!.*^@@ )", re.MULTILINE | re.DOTALL),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPatch:
    """One patch as it lies in the series, not yet applied to anything."""

    path: Path
    sha256: str
    subject: str
    author: str
    date_seconds: int
    touched: tuple[str, ...]


def number_of(name: str) -> str:
    """The four digits that a patch's file name begins with, and that tests name."""
    return name[:4]


def listed_names(patches_dir: Path) -> tuple[str, ...]:
    """The names in `series`, in order. Raises: PatchError for one that is none."""
    series_path = patches_dir / "series"
    return tuple(_listed_name(series_path, line) for line in _lines(series_path))


def read_series(patches_dir: Path, *, left_out: Collection[str] = ()) -> tuple[SeriesPatch, ...]:
    """The patches in the order of `series`, none where it names none; files that are `left_out` need not be in it.

    Raises: PatchError as `listed`, and for a patch git cannot read.
    """
    return tuple(_read_patch(path) for path in listed(patches_dir, left_out=left_out))


def listed(patches_dir: Path, *, left_out: Collection[str] = ()) -> tuple[Path, ...]:
    """The files of the series in its order; what is in them is not looked at.

    Raises: PatchError for a missing or unlisted file, a name that has no number or another's, or that rpm could run.
    """
    series_path = patches_dir / "series"
    if not series_path.is_file():
        raise PatchError(
            "series-missing", f"{series_path} does not exist", hint="write the patch names into it, one a line"
        )
    names = listed_names(patches_dir)
    for name in names:
        if names.count(name) > 1:
            raise PatchError("series-twice", f"{series_path} names {name} twice", hint="remove one of the lines")
        same = [other for other in names if number_of(other) == number_of(name)]
        if len(same) > 1:
            raise PatchError(
                "patch-number",
                f"{' and '.join(same)} in {patches_dir} have the same number, so no test can name one of them",
                hint="rename one of them, in the series file as well",
            )
    unlisted = sorted({path.name for path in patches_dir.glob("*.patch")} - {*names, *left_out})
    if unlisted:
        raise PatchError(
            "patch-unlisted",
            f"{', '.join(unlisted)} in {patches_dir} is not in its series file",
            hint=f"add a line to {series_path}, or remove the file",
        )
    for name in names:
        if not (patches_dir / name).is_file():
            raise PatchError(
                "patch-missing",
                f"{series_path} names {name}, which is not there",
                hint="add the file, or remove the line",
            )
    return tuple(patches_dir / name for name in names)


def read_patches(patches_dir: Path) -> tuple[SeriesPatch, ...]:
    """The patches of a series that has some. Raises: PatchError for one that has none, and as `read_series`."""
    patches = read_series(patches_dir)
    if not patches:
        raise PatchError(
            "series-empty",
            f"{patches_dir / 'series'} names no patch, so there is nothing to try or to move",
            hint="write the patch names into it, one a line; or take them from mails: `nox -s import_series`",
        )
    return patches


def without(text: str, names: Container[str]) -> str:
    """The text of a series file without the lines of these patches; all else stays, comments too."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if "".join(line.partition("#")[0].split()[:1]) not in names)


def _lines(series_path: Path) -> list[str]:
    text = series_path.read_text(encoding="utf-8", errors="replace")
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _listed_name(series_path: Path, line: str) -> str:
    name, *options = line.split()
    if options not in ([], ["-p1"]):
        raise PatchError(
            "series-option",
            f"{series_path}: '{line}' asks for {' '.join(options)}; patches are applied with -p1",
            hint="make the patch with `git format-patch` and list its name alone",
        )
    if not _NAME.fullmatch(name):
        raise PatchError(
            "patch-name",
            f"{series_path}: '{name}' is no patch name",
            hint="name it NNNN-words.patch: four digits, then letters, digits, '.', '_', '+' and '-'",
        )
    return name


def _read_patch(path: Path) -> SeriesPatch:
    content = path.read_bytes()
    if b"\r\n" in content:
        raise PatchError(
            "patch-crlf",
            f"{path.name} has Windows line ends (CRLF), which never match the source",
            hint=f"convert it: sed -i 's/\\r$//' {path}",
        )
    for change in _CHANGE.split(content)[1:]:
        untaken = next((what for what, found in _UNTAKEN.items() if found.search(change)), "")
        if untaken:
            name = change.partition(b"\n")[0].decode(errors="replace")
            raise PatchError(
                "patch-kind",
                f"{path.name} {untaken}, which the pipeline does not take: {name}",
                hint="leave it out of the patch: only changes of text are taken, in files with plain names",
            )
    header = BytesParser(policy=policy.default).parsebytes(content, headersonly=True)
    names = _OLD_FILE.findall(content) + _NEW_FILE.findall(content)
    touched = dict.fromkeys(name.decode(errors="replace") for name in names)
    date = _date(header)
    lacking = [line for line in ("Subject", "From") if not header[line]]
    lacking += [] if date is not None else ["Date"]
    if lacking or not touched:
        lack = f"{lacking[0]} line" if lacking else "changed file"
        raise PatchError(
            "patch-format",
            f"{path.name} is not a git format-patch file: it has no {lack}",
            hint="commit the change and export it with `git format-patch`",
        )
    assert date is not None
    return SeriesPatch(
        path=path,
        sha256=sha256_of(path),
        subject=bare_subject(header),
        author=str(header["From"]),
        date_seconds=int(date.timestamp()),
        touched=tuple(touched),
    )


def bare_subject(header: Message) -> str:
    """A mail's subject, without the tag that says that it is a patch."""
    return _TAG.sub("", " ".join(str(header["Subject"]).split()))


def _date(header: Message) -> datetime | None:
    """When the patch was written; `None` where the line is missing or says no time."""
    try:
        date = parsedate_to_datetime(str(header["Date"]))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
