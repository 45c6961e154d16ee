# SPDX-License-Identifier: GPL-2.0-or-later
"""What a package says of the patches in it: `patch(<package>-<subject>) = <sha256, short>`. Pure.

`rpm -q --provides vdsm` on a host answers with these.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.model import AppliedPatch

_SLUG_LENGTH = 60
_SHORT = 12
_PATCH = re.compile(r"patch\(.*\)")
# rpm makes these of a macro, with no section in the spec for a line of ours.
_MADE_BY_RPM = ("-debuginfo", "-debugsource")


@dataclass(frozen=True, kw_only=True, slots=True)
class Capability:
    """A name and a version that a package provides."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} = {self.version}"


def of_patches(package: str, patches: Iterable[AppliedPatch]) -> tuple[Capability, ...]:
    """One capability a patch, in order; no two have the same name."""
    taken: set[str] = set()
    return tuple(
        Capability(name=f"patch({package}-{_free(_slug(patch), taken)})", version=patch.file.sha256[:_SHORT])
        for patch in patches
    )


def is_of_patch(name: str) -> bool:
    return _PATCH.fullmatch(name) is not None


def may_lack(name: str, arch: str) -> bool:
    """Whether a package of ours may say nothing of patches: a source package, or one that rpm makes by itself."""
    return arch == "src" or name.endswith(_MADE_BY_RPM)


def _slug(patch: AppliedPatch) -> str:
    """The subject in lower-case letters, digits and '-', which every rpm takes in a capability; never empty."""
    return _plain(patch.subject) or _plain(patch.file.path.stem) or "unnamed"


def _plain(text: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = "-".join(re.findall(r"[a-z0-9]+", ascii_only.lower()))
    if len(words) <= _SLUG_LENGTH:
        return words
    cut = words[: _SLUG_LENGTH + 1].rpartition("-")[0]
    return cut or words[:_SLUG_LENGTH]


def _free(slug: str, taken: set[str]) -> str:
    """The slug, or the slug with the first number from 2 that nobody has."""
    free, count = slug, 1
    while free in taken:
        count += 1
        free = f"{slug}-{count}"
    taken.add(free)
    return free
