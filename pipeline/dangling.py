# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in `pipeline.toml` that refer to a table that is not there, or to one that cannot be meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def dangling_names(document: Mapping[str, object]) -> list[str]:
    """Names that refer to a table that is not there; told also when other things are wrong."""
    targets, mirrors, images, packages = (
        _tables(document, key) for key in ("targets", "mirrors", "images", "packages")
    )
    defaults = document.get("default_targets")
    wrong = [
        f"default_targets: there is no [targets.{name}]"
        for name in (defaults if isinstance(defaults, list) else ())
        if _dangles(name, targets)
    ]
    wrong += [
        f"packages.{package}.sources.{name}: empty; name a source"
        for package in packages
        for name, listed in _lists(packages, package).items()
        if listed == []
    ]
    wrong += [
        f"packages.{package}.dist_tags.{name}: {told}"
        for package in packages
        for name in _tables(_tables(packages, package), "dist_tags")
        if (told := _no_dist_tag_for(name, targets))
    ]
    farm = _tables(document, "farm")
    wrong += [
        f"farm.resources: there is no [targets.{name}]" for name in _tables(farm, "resources") if name not in targets
    ]
    for name in targets:
        target = _tables(targets, name)
        if _dangles(target.get("mirror"), mirrors):
            wrong.append(f"targets.{name}.mirror: there is no [mirrors.{target['mirror']}]")
        if target.get("image") and _dangles(target["image"], images):
            wrong.append(f"targets.{name}.image: there is no [images.{target['image']}]")
        if not target.get("image") and target.get("engine", "auto") != "host":
            wrong.append(f"targets.{name}.image: missing; only a target with engine 'host' needs no image")
        # A package without that list is not built for the target.
        if _dangles(target.get("sources"), {each for package in packages for each in _lists(packages, package)}):
            wrong.append(f"targets.{name}.sources: no package has a list sources.{target['sources']}")
    return wrong


def _no_dist_tag_for(name: str, targets: Mapping[str, object]) -> str:
    """Why a package can have no dist tag of its own for a target; empty where it can."""
    if name not in targets:
        return f"there is no [targets.{name}]"
    return "what the demo makes is marked .demo; remove it" if _tables(targets, name).get("dist") == ".demo" else ""


def _lists(packages: Mapping[str, object], package: str) -> dict[str, Any]:
    """The lists of sources that a package has."""
    return _tables(_tables(packages, package), "sources")


def _dangles(name: object, tables: Collection[str]) -> bool:
    """Whether a name refers to nothing; what is no name is told with the type that it should have."""
    return isinstance(name, str) and name not in tables


def _tables(document: Mapping[str, object], key: str) -> dict[str, Any]:
    """The table of that name; an empty one where it is none."""
    table = document.get(key)
    return table if isinstance(table, dict) else {}
