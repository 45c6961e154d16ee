# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches of a release, as the mails beside its source package tell them, held against what the packages say.

The mails are not signed. The packages are, and name the first digits of each patch's digest: so a file of mails that
was cut or changed is told for what it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.attestation import patchmails
from pipeline.attestation.patchmails import Mail
from pipeline.errors import PublishError
from pipeline.mirrors.places.base import Destination
from pipeline.model import PublishedRpm

_MAX_BYTES = 8 << 20
_SHORT = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The patches in a source package; `fault` says what is wrong with the file of mails, empty for nothing."""

    source: PublishedRpm
    mails: tuple[Mail, ...] = ()
    fault: str = ""

    @property
    def link(self) -> str:
        return quote(f"{self.source.href}{patchmails.SUFFIX}", errors="replace")


def find(source: PublishedRpm, named: Collection[str], staging_dir: Path, place: Destination) -> Series | None:
    """The patches in a source package, and `None` where nothing is said of them.

    The mails are taken from what is staged, else from where the repository lies; `named` are the patches' short
    digests, as the packages have them.
    """
    name = f"{source.href}{patchmails.SUFFIX}"
    try:
        content = _content(name, staging_dir, place)
    except (PublishError, OSError):  # what the error says is about our way there, and the page is for everybody
        return Series(source=source, fault="The patches could not be read when this page was made.")
    if content is None:
        return None
    mails = patchmails.read(content)
    return Series(source=source, mails=mails, fault=_fault(mails, named))


def _content(name: str, staging_dir: Path, place: Destination) -> bytes | None:
    """Raises: PublishError, OSError."""
    if (staging_dir / name).is_file():
        return _read(staging_dir / name)
    if place.missing([name], None):
        return None
    place.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.scratch_dir, prefix="patches-") as folder:
        place.fetch([name], Path(folder), None)
        return _read(Path(folder) / Path(name).name)


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MAX_BYTES)


def _fault(mails: tuple[Mail, ...], named: Collection[str]) -> str:
    if not mails:
        return "The file of patches is damaged: there is no mail in it."
    there = [{digest[:_SHORT] for digest in mail.digests} for mail in mails]
    missing = {*named}.difference(*there)
    unknown = [digests for digests in there if not digests.intersection(named)] if named else []
    if missing:
        return f"The file of patches is damaged: {len(missing)} of the {len(named)} in the packages are not in it."
    return f"The file of patches is not that of the packages: {len(unknown)} more are in it." if unknown else ""
