# SPDX-License-Identifier: GPL-2.0-or-later
"""Lay a few lines of ours over a vendor's spec; every other byte of it stays.

The overlay is a fragment of a spec: tags (`Release`, `PatchN`, `Provides`), `%prep` and `%changelog`. The
specfile library does the editing. It expands some of a spec, and a spec runs code when it is expanded
(`%(…)`, `%{lua:…}`, `%{expand:%%(…)}`): what it would expand is masked, and nothing is left to run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from specfile.constants import SECTION_NAMES
from specfile.sections import Section, Sections
from specfile.tags import Comments, Tag, Tags

from pipeline.errors import SettingsError, SrpmError

_SETUP = re.compile(r"^%(auto)?setup\b")
# Stands for "%" where the library would expand what follows.
_MASK = "\x01"
_HEADER = re.compile(rf"%({'|'.join(SECTION_NAMES)})\b", re.IGNORECASE)
_CONDITION = re.compile(rf"\s*[%{_MASK}](if|endif)")
_PATCH_TAG = re.compile(r"patch(\d*)", re.IGNORECASE)
_SOURCE_TAG = re.compile(r"source\d*", re.IGNORECASE)
_TAG_LINE = re.compile(r"(\w+)(:\s*)\S")
_ALLOWED_SECTIONS = {"package", "prep", "changelog"}

# Held by who parses: rpm's macros are the process's own, and the library lays its standard error aside meanwhile.
TURN = threading.Lock()


class VendorSpec:
    """A spec whose tags and sections can be told and changed."""

    def __init__(self, text: str) -> None:
        if _MASK in text:
            raise SrpmError(
                "spec-control",
                "the spec has a control character (0x01)",
                hint="remove it from the spec and make the source RPM again",
            )
        self._end = "\n" if text.endswith("\n") else ""
        self._sections = _sections(text)
        self._tags = _tags(self._sections[0])

    def __str__(self) -> str:
        self._sections[0].data = self._tags.get_raw_section_data()
        return _unmasked(str(self._sections).removesuffix("\n") + self._end)

    @property
    def release(self) -> str:
        """The value of the Release tag, macros as they stand. Raises: SrpmError."""
        return _unmasked(str(_release_tag(self._tags).value))

    @property
    def next_patch_number(self) -> int:
        """One more than the highest patch number in the spec; 0 where it has no patch."""
        found = [match for tag in self._tags if (match := _PATCH_TAG.fullmatch(tag.name))]
        return max((int(match.group(1) or 0) + 1 for match in found), default=0)

    def lay(self, overlay: str) -> None:
        """Take the overlay's lines in. Raises: SrpmError, SettingsError."""
        ours = _sections(overlay)
        for section in ours:
            if section.id not in _ALLOWED_SECTIONS:
                raise _overlay_error(f"%{section.id}", "a template may have tags, %prep and %changelog only")
        tags = _tags(ours[0])
        _lay_tags(tags, self._tags)
        _lay_provides(tags, self._sections)
        _lay_prep(_lines(ours, "prep"), self._sections)
        _lay_changelog(_lines(ours, "changelog"), self._sections)


def lay_over(spec: str, make_overlay: Callable[[VendorSpec], str]) -> str:
    """The spec with the overlay's lines in it; `make_overlay` makes them from what the spec says.

    Raises: SrpmError for a spec that lacks what is needed; SettingsError.
    """
    vendor = VendorSpec(spec)
    vendor.lay(make_overlay(vendor))
    return str(vendor)


def _sections(text: str) -> Sections:
    """The sections, of which the headers are masked: the library expands their last word."""
    lines = text.removesuffix("\n").split("\n")
    return Sections.parse([line[:1] + _masked(line[1:]) if _HEADER.match(line) else line for line in lines])


def _tags(section: Section) -> Tags:
    """The tags of a section, all masked: the library expands every line to find its conditions."""
    return Tags.parse(Section(section.name, data=[_masked(line) for line in section]))


def _masked(text: str) -> str:
    return text.replace("%", _MASK)


def _unmasked(text: str) -> str:
    return text.replace(_MASK, "%")


def _release_tag(tags: Tags) -> Tag:
    found = [tag for tag in tags if tag.name.lower() == "release"]
    if len(found) != 1:
        raise SrpmError(
            "spec-release",
            f"the spec has {len(found) or 'no'} Release line{'s' if found else ''} for the package; one is needed",
            hint="the release number is written there; correct the spec and make the source RPM again",
        )
    return found[0]


def _lay_tags(ours: Tags, tags: Tags) -> None:
    sources = [index for index, tag in enumerate(tags) if _SOURCE_TAG.fullmatch(tag.name)]
    for tag in sorted(ours, key=_is_provides):
        if tag.name.lower() == "release":
            _release_tag(tags).value = tag.value
        elif _is_provides(tag):
            place = max(sources) if sources else tags.index(_release_tag(tags))
            sources.append(_insert_unconditionally(tags, place + 1, _aligned(tag, tags[place])))
        elif _PATCH_TAG.fullmatch(tag.name):
            if not sources:
                raise SrpmError(
                    "spec-source", "the spec has no Source line", hint="a package without sources cannot be patched"
                )
            aligned = _aligned(tag, tags[max(sources)])
            sources.append(_insert_unconditionally(tags, max(sources) + 1, aligned))
        else:
            raise _overlay_error(f"tag {tag.name}", "a template may set Release, PatchN and Provides only")


def _lay_provides(ours: Tags, sections: Sections) -> None:
    """Give every subpackage what the main package got: right behind its header, in whatever condition that is."""
    provided = [tag for tag in ours if _is_provides(tag)]
    for section in sections[1:]:
        if section.name.lower() == "package":
            neighbour = next((match for line in section if (match := _TAG_LINE.match(line))), None)
            section[0:0] = [_line(tag, neighbour) for tag in provided]


def _is_provides(tag: Tag) -> bool:
    return bool(tag.name.lower() == "provides")


def _line(tag: Tag, neighbour: re.Match[str] | None) -> str:
    like = Tag(neighbour[1], "x", neighbour[2], Comments()) if neighbour else Tag(tag.name, "x", ": ", Comments())
    aligned = _aligned(tag, like)
    return f"{aligned.name}{aligned._separator}{aligned.value}"


def _insert_unconditionally(tags: Tags, first: int, tag: Tag) -> int:
    """Put the tag at `first` or behind it, in no %if block: in one, the patch would come and go with it.

    Returns the tag's place.
    """
    depth = 0
    for index in range(len(tags) + 1):
        before = tags[index].comments._preceding_lines if index < len(tags) else tags._remainder
        for count in range(len(before) + 1):
            if index >= first and depth + _depth(before[:count]) == 0:
                tag.comments._preceding_lines[:] = before[:count]
                del before[:count]
                tags.data.insert(index, tag)
                return index
        depth += _depth(before)
    raise SrpmError(
        "spec-condition", "an %if of the spec has no %endif", hint="correct the spec and make the source RPM again"
    )


def _depth(lines: list[str]) -> int:
    """How many %if blocks the lines, masked or not, open and do not close."""
    conditions = [match for line in lines if (match := _CONDITION.match(line))]
    return sum(1 if match[1] == "if" else -1 for match in conditions)


def _aligned(tag: Tag, neighbour: Tag) -> Tag:
    """The tag with its value in the column of its neighbour's."""
    column = len(neighbour.name) + len(neighbour._separator)
    blank = "\t" if "\t" in neighbour._separator else " " * max(1, column - len(tag.name) - 1)
    return Tag(tag.name, tag.value, f":{blank}", Comments())


def _lay_prep(lines: list[str], sections: Sections) -> None:
    if not lines:
        return
    prep = _section(sections, "prep")
    setups = [index for index, line in enumerate(prep or []) if _SETUP.match(line)]
    if prep is None or not setups:
        raise SrpmError(
            "spec-setup",
            "the spec has no %setup line in %prep",
            hint="the patches are applied behind %setup; a spec that unpacks by hand needs a change in the pipeline",
        )
    if prep[setups[0]].startswith("%autosetup"):
        raise SrpmError(
            "spec-autosetup",
            "the spec unpacks with %autosetup, which applies every patch by itself",
            hint="leave the %prep part out of this package's template and say so there",
        )
    place = setups[0] + 1
    while place < len(prep) and _depth(list(prep)[:place]) > 0:
        place += 1
    prep[place:place] = lines


def _lay_changelog(lines: list[str], sections: Sections) -> None:
    if not lines:
        return
    changelog = _section(sections, "changelog")
    if changelog is None:
        changelog = Section("changelog", data=[])
        sections.append(changelog)
    changelog[0:0] = [*lines, ""] if len(changelog) else lines


def _section(sections: Sections, name: str) -> Section | None:
    return next((section for section in sections if section.id == name), None)


def _lines(sections: Sections, name: str) -> list[str]:
    """The lines of one of the overlay's sections, without empty ones around them."""
    section = _section(sections, name)
    return "\n".join(section or []).strip("\n").splitlines()


def _overlay_error(what: str, hint: str) -> SettingsError:
    return SettingsError("template-part", f"the spec template has {what}, which cannot be laid over a spec", hint=hint)
