# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of RPM files in seconds: one is built, the others are its bytes with other words of the same length.

Their headers' digests are wrong then. createrepo_c does not look at these, nor does dnf before it installs.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

_NAME = "bench00000"
_SUMMARY, _DESCRIPTION, _CHANGE, _FILE = ("S" * 40, "D" * 400, "C" * 120, "F" * 16)
_FILES = 12
_MONDAYS = (2024, 2018, 2007, 2001)  # years that began on one
_CHANGES = len(_MONDAYS)
_LETTERS = "aaabcdeeeefghiiijklmnooopqrsttuuvwxyz"


def make_rpms(folder: Path, work_dir: Path, numbers: range) -> None:
    """One package for each number, at `<folder>/noarch/bench<number>-1.0-1.noarch.rpm`; the same each time."""
    model = _model(work_dir)
    (folder / "noarch").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        name = f"bench{number:05}"
        (folder / "noarch" / f"{name}-1.0-1.noarch.rpm").write_bytes(_varied(model, name, random.Random(number)))


def _varied(model: bytes, name: str, chance: random.Random) -> bytes:
    made = model.replace(_NAME.encode(), name.encode())
    for sample in (_SUMMARY, _DESCRIPTION, *(_CHANGE[:-2] + f"{n:02}" for n in range(_CHANGES))):
        made = made.replace(sample.encode(), _words(chance, len(sample)))
    for number in range(_FILES):
        made = made.replace(f"{_FILE}{number:02}".encode(), _words(chance, len(_FILE) + 2).replace(b" ", b"_"))
    return made


def _words(chance: random.Random, length: int) -> bytes:
    text = " ".join("".join(chance.choices(_LETTERS, k=chance.randint(2, 11))) for _ in range(length // 3))
    return text[: length - 1].encode() + b"."


def _model(work_dir: Path) -> bytes:
    """The package that the others are made from."""
    spec_path = work_dir / "bench.spec"
    names = [f"%{{_datadir}}/{_NAME}/{_FILE}{number:02}" for number in range(_FILES)]
    install = "\n".join(f"echo {number} > %{{buildroot}}{name}" for number, name in enumerate(names))
    changes = "\n".join(
        f"* Mon Jan 01 {_MONDAYS[number]} A Packager <packager@example.org> - 1.0-1\n- {_CHANGE[:-2]}{number:02}\n"
        for number in range(_CHANGES)
    )
    spec_path.write_text(
        f"Name: {_NAME}\nVersion: 1.0\nRelease: 1\nSummary: {_SUMMARY}\nLicense: GPLv2+\nBuildArch: noarch\n"
        f"URL: https://example.org/{_NAME}\nRequires: python, {_NAME}-lib >= 1.0, /bin/sh\n"
        f"%description\n{_DESCRIPTION}\n%install\nmkdir -p %{{buildroot}}%{{_datadir}}/{_NAME}\n{install}\n"
        f"%files\n%dir %{{_datadir}}/{_NAME}\n" + "\n".join(names) + f"\n%changelog\n{changes}"
    )
    argv = ["rpmbuild", "-bb", "--define", f"_topdir {work_dir / 'top'}", str(spec_path)]
    subprocess.run(argv, check=True, capture_output=True)
    return next((work_dir / "top" / "RPMS").rglob("*.rpm")).read_bytes()
