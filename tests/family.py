# SPDX-License-Identifier: GPL-2.0-or-later
"""Three small packages of our own, each patched, each built on the one before: header, library, program.

A patch needs the patched package below it: without that, it does not compile. Their sources lie in `tests/family/NAME/`
as the demo's do, patch and tests in `tests/family/patched/NAME/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.newpackage import texts
from pipeline.newpackage.about import About

PROTOCOL, LIBRARY, PROGRAM = NAMES = ("greet-protocol", "libgreet", "greet")
VERSION = "1.0"
FAMILY_DIR = Path(__file__).with_name("family")


def lay(checkout_dir: Path, *, names: Sequence[str] = NAMES, only: bool = False) -> None:
    """Make packages of these in a copy of the checkout: sources, patches, tests, templates, settings.

    All targets build them. With `only`, they are all that it has: the settings of other packages are gone.
    """
    path = checkout_dir / "pipeline.toml"
    text = path.read_text(encoding="utf-8")
    if only:
        text = without_packages(text)
    for name in names:
        lay_source(checkout_dir, name)
        _write(checkout_dir / "specs" / name / f"{name}.spec.j2", texts.template(unpacks_by_itself=False))
        _write(checkout_dir / "specs" / name / "rpmlint.toml", texts.rpmlint(name))
        _write(checkout_dir / "patches" / name / "series", texts.series(name))
        lay_patches(checkout_dir, name)
        about = About(name=name, version=VERSION)
        source = f"demo:tests/family/{name}"
        text += "\n" + texts.block(about, source=source, lists=["demo", "el6"], label="family", python="")
    _write(path, text)


def lay_source(checkout_dir: Path, name: str) -> None:
    """The source of one of them, where a source `demo:tests/family/NAME` finds it."""
    shutil.copytree(FAMILY_DIR / name, checkout_dir / "tests" / "family" / name, dirs_exist_ok=True)


def lay_patches(checkout_dir: Path, name: str) -> None:
    """Its patch, listed in a series that is there, and the tests of the patch."""
    patched_dir, series_path = FAMILY_DIR / "patched" / name, checkout_dir / "patches" / name / "series"
    for path in sorted(patched_dir.glob("*.patch")):
        shutil.copy(path, series_path.parent)
        _write(series_path, f"{series_path.read_text(encoding='utf-8')}{path.name}\n")
    for path in sorted(patched_dir.glob("test_*.py")):
        _write(checkout_dir / "tests" / "patched" / name / path.name, path.read_text(encoding="utf-8"))


def without_packages(text: str) -> str:
    """The text of a pipeline.toml without its packages."""
    kept, leaving = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            leaving = line.startswith("[packages.")
        if not leaving:
            kept.append(line)
    return "".join(kept)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
