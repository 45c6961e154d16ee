# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of the values in `pipeline.toml`: each checks itself, and says what is wrong and what it should be."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.engineproperties import regex
from pipeline.sourcespec import parse_source, sha256_digits

_COMMIT = re.compile(r"[0-9a-f]{40}")
_RELEASE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_DIST_WORD = re.compile(r"(el|fc)\d+")
# Source: rpm's dependencies manual: a Provides has one version, or none.
_CAPABILITY = re.compile(r"[^\s,<>=]+( = [A-Za-z0-9._+~^:-]+)?")
_MACRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The letters that rpmbuild takes in a name. Source: rpm's build/parsePreamble.c.
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# What lies beside the packages' folders: in `out/<target>/`, and in `tests/patched/`.
_TAKEN_FOLDERS = ("contracts", "ledger", "logs", "repo")


def _commit(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise ValueError(f"'{text}' is no commit: write all 40 lower-case hexadecimal digits")
    return text


def _macro_name(text: str) -> str:
    if not _MACRO_NAME.fullmatch(text):
        raise ValueError(f"'{text}' is no macro name: letters, digits and _ only")
    return text


def _release_word(text: str) -> str:
    if not _RELEASE_WORD.fullmatch(text):
        raise ValueError(f"'{text}' cannot stand in a release: write letters and digits only, a letter first")
    if _DIST_WORD.fullmatch(text):
        raise ValueError(f"'{text}' reads as a dist tag, so our releases would be taken for a vendor's: choose a word")
    return text


def _package_name(text: str) -> str:
    if not _PACKAGE_NAME.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be a package: write letters, digits, '.', '_', '+' and '-', a letter or a digit first"
        )
    if text in _TAKEN_FOLDERS:
        raise ValueError(f"no package can be called '{text}': the pipeline has a folder of that name")
    return text


def _git_remote(text: str) -> str:
    if text.startswith("-") or (text and not re.search(r"[/:]", text)):
        raise ValueError(f"'{text}' is no address of a git repository: write its URL, host:path, or ./path")
    return text


def _engine_regex(text: str) -> str:
    if not text.isprintable() or ";" in text:
        raise ValueError("a regex of the engine has no ';', where it would be cut, and no line end: write \\x3b, \\n")
    if not regex.is_anchored(text):
        raise ValueError(f"'{text}' should be about the whole value: write ^…$")
    fault = regex.fault(text)
    if fault:
        raise ValueError(f"'{text}' does not compile: {fault}")
    return text


def _source_text(text: str) -> str:
    parse_source(text)
    return text


def _capability(text: str) -> str:
    if not _CAPABILITY.fullmatch(text):
        raise ValueError(f"'{text}' is no capability as rpm writes them: write a name, or a name, = and a version")
    return text


Seconds = Annotated[int, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, AfterValidator(sha256_digits)]
Commit = Annotated[str, AfterValidator(_commit)]
MacroName = Annotated[str, AfterValidator(_macro_name)]
GitRemote = Annotated[str, AfterValidator(_git_remote)]
EngineRegex = Annotated[str, AfterValidator(_engine_regex)]
SourceText = Annotated[str, AfterValidator(_source_text)]
# One piece of an RPM release: no '-' (it separates), no '~' or '^' (rpm 4.8 refuses them).
ReleaseWord = Annotated[str, AfterValidator(_release_word)]
Capability = Annotated[str, AfterValidator(_capability)]
# Names become folders.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PackageName = Annotated[str, AfterValidator(_package_name)]
# A shell pattern of file names, one that make and a shell take as it is.
DistPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*?][A-Za-z0-9._/*?-]*$")]
# A folder of a tree, seen from its top; empty for the top itself.
FolderBelow = Annotated[str, Field(pattern=r"^(|[A-Za-z0-9_+-][A-Za-z0-9._+-]*(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*)$")]
# What %dist comes to; empty for a package that was made without any.
DistTag = Annotated[str, Field(pattern=r"^(|\.[A-Za-z0-9_.+]+)$")]
# What oVirt Engine takes as the key of a custom property.
PropertyKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
# For people and for a shell.
HostText = Annotated[str, Field(pattern=r"^[ -~\n]*$"), AfterValidator(str.strip)]
PinnedReference = Annotated[str, Field(pattern=r"^(|[^\s@]+@sha256:[0-9a-f]{64})$")]


def _listed(value: object) -> object:
    if value in ("", []):
        raise ValueError("should name a place")
    if not isinstance(value, str | list | tuple):
        raise ValueError("should be a text, or a list of texts")
    return (value,) if isinstance(value, str) else value


def _base_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", text):
        raise ValueError(f"'{text}' is no address that readers have: write http://host/path or https://host/path")
    return text.rstrip("/")


OneOrMore = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
OneOrNone = Annotated[tuple[Annotated[str, AfterValidator(_base_url)], ...], BeforeValidator(_listed)]
