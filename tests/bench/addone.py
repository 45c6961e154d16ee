# SPDX-License-Identifier: GPL-2.0-or-later
"""What a publish does with the metadata, as a process: `BEFORE AFTER RPM` adds a package, `BEFORE` reads all.

Every file is verified by its digest before it is read. Its largest memory goes to standard output, in KiB.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.mirrors import repodata
from pipeline.mirrors.repodata import BASE_KINDS, Index, NewRpm


def main(before_dir: Path, after_dir: Path | None = None, rpm_path: Path | None = None) -> None:
    index = read_index(before_dir)
    before = set(repodata.read_packages(primary_path(index, before_dir), "before"))
    if after_dir is None or rpm_path is None:
        return
    new = [NewRpm(path=rpm_path, href=f"noarch/{rpm_path.name}")]
    repodata.write(after_dir, new=new, dropped=(), before=index, before_dir=before_dir, revision=2)
    after = repodata.read_packages(primary_path(read_index(after_dir), after_dir), "after")
    if len(after) != len(before) + 1 or not before.issubset(after):
        sys.exit("the new repodata does not name what was meant")


def read_index(folder: Path) -> Index:
    index = repodata.read_index((folder / "repodata" / "repomd.xml").read_bytes(), str(folder))
    for file in index.files:
        if file.kind in BASE_KINDS:
            repodata.verify(file, folder, str(folder))
    return index


def primary_path(index: Index, folder: Path) -> Path:
    return next(folder / file.href for file in index.files if file.kind == "primary")


def _peak_kib() -> str:
    """Of this program alone: what `getrusage` tells counts the one that started it."""
    status = Path("/proc/self/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
    sys.stdout.write(_peak_kib())
