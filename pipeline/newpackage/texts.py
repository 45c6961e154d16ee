# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written for a new package: series, spec template, rpmlint's configuration, its block of settings. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from pipeline import disttag
from pipeline.newpackage.about import About

_LICENSE = "SPDX-License-Identifier: GPL-2.0-or-later"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_SERIES = """\
# {license}
# Our patches on {name}, as `git format-patch` names them, in the order in which they apply. Each needs a test in
# tests/patched/{name}/ that names it. While there is none, what is built is the vendor's source under our release.
"""

_TEMPLATE = """\
{{# {license} #}}
{{# What we change in the vendor's spec, and nothing else. It is rendered, then laid over the spec that came in the
   source RPM: a tag that the spec has gets our value, PatchN tags go behind the last source, Provides behind these and
   behind the header of every %package, {prep_told}and the %changelog entry above all others.
   At hand: vendor (release, version), label, number, patches (number, file_name, subject, state, capability),
   changelog(lines). A capability is `patch(<package>-<subject>) = <sha256, short>`. -#}}
Release: {{{{ vendor.release }}}}.{{{{ label }}}}.{{{{ number }}}}
{{% for patch in patches -%}}
Patch{{{{ patch.number }}}}: {{{{ patch.file_name }}}}
{{% endfor %}}
{{% for patch in patches -%}}
Provides: {{{{ patch.capability }}}}
{{% endfor %}}
{prep}%changelog
{{{{ changelog(patches | map(attribute="subject") | list or ["no changes to the source"]) }}}}
"""
_PREP_TOLD = "%prep lines behind %setup, "
_PREP = """\
%prep
{% for patch in patches -%}
%patch -P{{ patch.number }} -p1
{% endfor %}
"""
_AUTOSETUP = """\
{# No %prep lines: the spec unpacks with %autosetup, which applies each PatchN by itself. -#}
"""

_RPMLINT = """\
# {license}
# What rpmlint need not say of {name}. All else that the vendor's own package has is counted, not hidden: the lint
# stage fails on what is new in ours alone.

Filters = [
  # A build has no key.
  "no-signature",
  # Most vendors set none, and neither does a local build.
  "no-packager-tag",
  # rpmlint 2.4 looks for "-P 1" and misses "-P1", which every rpm knows.
  "patch-not-applied",
]
"""


def series(name: str) -> str:
    """A series without a patch."""
    return _SERIES.format(license=_LICENSE, name=name)


def template(*, unpacks_by_itself: bool) -> str:
    """The spec template; rpm applies the patches of a spec with %autosetup, and no line of ours does."""
    told, prep = ("", _AUTOSETUP) if unpacks_by_itself else (_PREP_TOLD, _PREP)
    return _TEMPLATE.format(license=_LICENSE, prep_told=told, prep=prep)


def rpmlint(name: str) -> str:
    """rpmlint's configuration, with what every build of ours would be told of."""
    return _RPMLINT.format(license=_LICENSE, name=name)


def block(about: About, *, source: str, lists: Iterable[str], label: str, python: str) -> str:
    """The tables of pipeline.toml; `lists` are the names of source lists that get the source."""
    table = f"packages.{_key(about.name)}"
    lines = [
        f"# ---- the package {about.name} ".ljust(100, "-"),
        "",
        f"[{table}]",
        f"version = {_text(about.version)}",
        "# Our releases are the vendor's, then this word and a number.",
        f"label = {_text(label)}",
        *_python(python),
        *_dist(about),
        *_dist_tags(about),
        *_pins(f"{table}.sha256", about.sha256),
        *_pins(f"{table}.git_commits", about.git_commits),
        "",
        "# A target takes the list that its `sources` names, and a package without that list is not built for it. Each",
        "# list is tried in order until one can be had.",
        f"[{table}.sources]",
        *(f"{_key(name)} = [{_text(source)}]" for name in lists),
    ]
    return "\n".join(lines) + "\n"


def _python(python: str) -> Iterator[str]:
    if python:
        yield "# What the series adds must run on this Python."
        yield f"python = {_text(python)}"


def _dist(about: About) -> Iterator[str]:
    if about.dist:
        yield "# How the tarball of a git tag comes about: by upstream's `make dist`, or as git archives the tag."
        yield f"dist = {_text(about.dist)}"
    if about.dist == "make":
        yield f"dist_prepare = [{', '.join(map(_text, about.dist_prepare))}]"


def _dist_tags(about: About) -> Iterator[str]:
    if about.dist_tags:
        yield "# The dist tag that the source RPM was made with: its release and ours have it in place of the target's."
        yield disttag.setting(about.dist_tags)


def _pins(table: str, pins: Mapping[str, str]) -> Iterator[str]:
    if pins:
        yield ""
        yield "# As it was when the package was added: another of that name is refused."
        yield f"[{table}]"
        yield from (f"{_text(name)} = {_text(digest)}" for name, digest in pins.items())


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False)
