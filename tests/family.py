# SPDX-License-Identifier: GPL-2.0-or-later
"""Three small packages of our own, each patched, each built on the one before: header, library, program.

A patch needs the patched package below it: without that, it does not compile. Their sources lie in `tests/family/NAME/`
as the demo's do, patch and tests in `tests/family/patched/NAME/`.
"""

from __future__ import annotations

import shutil
import subprocess
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


def lay_upstream(folder: Path, name: str) -> None:
    """Its upstream: a repository with the tag v1.0 and the patch behind it; and a source RPM for the demo's target."""
    repository = folder / name
    shutil.copytree(FAMILY_DIR / name / f"{name}-{VERSION}", repository)
    shutil.copy(FAMILY_DIR / name / f"{name}.spec", repository)
    _git(repository, "init", "--quiet")
    _git(repository, "add", ".")
    _git(repository, "commit", "--quiet", "--message", "first")
    _git(repository, "tag", f"v{VERSION}")
    (patch,) = (FAMILY_DIR / "patched" / name).glob("*.patch")
    _git(repository, "archive", f"--prefix={name}-{VERSION}/", "-o", f"{folder}/{name}-{VERSION}.tar.gz", "HEAD")
    macros = {"_sourcedir": folder, "_srcrpmdir": folder, "_source_payload": "w9.gzdio", "dist": ".demo"}
    defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
    subprocess.run(
        ["rpmbuild", "-bs", "--nodeps", *defines, f"{repository}/{name}.spec"], check=True, capture_output=True
    )
    (source_rpm,) = folder.glob(f"{name}-*.src.rpm")
    source_rpm.rename(folder / f"{name}-{VERSION}-1.el6.src.rpm")  # as a vendor would call it
    _git(repository, "am", "--quiet", str(patch))


def _git(repository: Path, *words: str) -> None:
    who = ["-c", "user.name=A Packager", "-c", "user.email=packager@example.org"]
    subprocess.run(["git", *who, *words], cwd=repository, check=True, capture_output=True)


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
