# SPDX-License-Identifier: GPL-2.0-or-later
"""Our properties merged by key into those that others set, and what that changes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.engineproperties.text import MAX_CHARACTERS, NAME, Properties, Property, read_properties
from pipeline.errors import UsageError

State = Literal["kept", "replaced", "added"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What becomes of one key; `former` is None for one that is added."""

    key: str
    state: State
    former: str | None
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Merge:
    """One version's text before and after; `cut_keys` have a regex that the engine itself would cut at a ';'."""

    version: str
    former: str
    new: str
    changes: tuple[Change, ...]
    cut_keys: tuple[str, ...] = ()

    @property
    def is_changed(self) -> bool:
        return self.new != self.former

    @property
    def set_line(self) -> str:
        """The command that sets the new text, as a shell takes it."""
        return _line(self.new, self.version)

    @property
    def undo_line(self) -> str:
        """The command that sets the former text back, byte for byte."""
        return _line(self.former, self.version)


def merge_all(texts: Mapping[str, str], ours: Mapping[str, str]) -> tuple[Merge, ...]:
    """A merge for each version. Raises: UsageError for a text that cannot be read, or would not fit."""
    return tuple(_merge_text(version, text, ours) for version, text in texts.items())


def merge(former: Properties, ours: Sequence[Property]) -> Properties:
    """Others' properties as they were, ours in the place of their old regex or behind all, the last ';' as it was."""
    wanted = {each.key: each for each in ours}
    present = {each.key for each in former.properties}
    kept = tuple(wanted.get(each.key, each) for each in former.properties)
    return replace(former, properties=(*kept, *(each for each in ours if each.key not in present)))


def changes(former: Properties, new: Properties) -> tuple[Change, ...]:
    """What becomes of each key, in the order of the new text."""
    before = {each.key: each.regex for each in former.properties}
    return tuple(_change(before.get(each.key), each) for each in new.properties)


def _merge_text(version: str, text: str, ours: Mapping[str, str]) -> Merge:
    former = read_properties(text, f"version {version}")
    new = merge(former, [Property(key=key, regex=regex) for key, regex in ours.items()])
    if len(str(new)) > MAX_CHARACTERS:
        raise UsageError(
            "engine-text",
            f"version {version}: the new text has {len(str(new))} characters, and the engine keeps {MAX_CHARACTERS}",
            hint="remove properties that no hook needs any more",
        )
    return Merge(version=version, former=text, new=str(new), changes=changes(former, new), cut_keys=new.cut_keys)


def _change(former: str | None, new: Property) -> Change:
    state: State = "added" if former is None else "kept" if former == new.regex else "replaced"
    return Change(key=new.key, state=state, former=former, new=new.regex)


def _line(text: str, version: str) -> str:
    return shlex.join(["engine-config", "-s", f"{NAME}={text}", f"--cver={version}"])
