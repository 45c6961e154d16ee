# SPDX-License-Identifier: GPL-2.0-or-later
"""The tarball and the spec of a tag whose upstream has no `make dist`: the files as git has them."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path, PurePosixPath

from pipeline import localgit
from pipeline.errors import SrpmError
from pipeline.sources import tarball


def make(checkout_dir: Path, folder: Path, *, name: str, version: str, mtime_seconds: int) -> Path:
    """NAME-VERSION.tar.gz in a folder: what the commit has, the same bytes each time. Raises: SrpmError.

    Source: git-archive(1); of a commit, each file bears the commit's time.
    """
    plain, packed = folder / f"{name}-{version}.tar", folder / f"{name}-{version}.tar.gz"
    _git(checkout_dir, "archive", "--format=tar", f"--prefix={name}-{version}/", f"--output={plain}", "HEAD")
    with (
        plain.open("rb") as read,
        packed.open("wb") as written,
        gzip.GzipFile(filename="", mode="wb", fileobj=written, mtime=0) as stream,
    ):
        shutil.copyfileobj(read, stream)
    plain.unlink()
    os.utime(packed, (mtime_seconds, mtime_seconds))
    return packed


def extract_spec(checkout_dir: Path, archive: Path, destination: Path, *, name: str, version: str) -> None:
    """Write the one NAME.spec of the commit, wherever it lies, to a file. Raises: SrpmError."""
    path = spec_path(checkout_dir, name)
    destination.write_bytes(tarball.read_member(archive, f"{name}-{version}/{path}"))


def spec_path(checkout_dir: Path, name: str) -> str:
    """Where the spec of that name lies in the commit; the one at the top before all others. Raises: SrpmError."""
    listed = _git(checkout_dir, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")
    found = [path for path in listed if PurePosixPath(path).name == f"{name}.spec"]
    if f"{name}.spec" in found:
        return f"{name}.spec"
    if len(found) != 1:
        told = f"{len(found)} files {name}.spec ({', '.join(found[:3])})" if found else f"no {name}.spec"
        raise SrpmError(
            "spec-missing",
            f"the commit has {told}, where one is expected",
            hint=f"where upstream's `make dist` writes it, set packages.{name}.dist to 'make'; else take a source RPM",
        )
    return found[0]


def _git(checkout_dir: Path, *words: str) -> str:
    code, told = localgit.run(checkout_dir, *words)
    if code:
        raise SrpmError("git-archive", f"git cannot take the tag's files: {told}", hint="get the repository again")
    return told
