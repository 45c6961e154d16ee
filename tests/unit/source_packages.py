# SPDX-License-Identifier: GPL-2.0-or-later
"""Source packages made by the real rpmbuild, good ones and broken ones, for tests."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: A package for tests
License: GPL-2.0-or-later
BuildArch: noarch
{sources}
%description
A package for tests.
%files
"""


def file_entry(name: str, content: bytes = b"text\n") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def special_entry(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member, b""


def make_tarball(path: Path, entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in entries:
            archive.addfile(member, io.BytesIO(content))
    return path


def make_srpm(
    folder: Path,
    *,
    name: str = "vdsm",
    version: str = "4.16.30",
    release: str = "0.el6",
    sources: Mapping[str, bytes] | None = None,
    tags: str = "",
    payload: str = "w9.gzdio",
    step: str = "-bs",
    dist: str = "",
    spec: str = SPEC,
) -> Path:
    """The RPM that rpmbuild makes; by default the source RPM of a package with one good tarball."""
    (folder / "SOURCES").mkdir(parents=True, exist_ok=True)
    if sources is None:
        archive = make_tarball(folder / "good.tar.gz", [file_entry(f"{name}-{version}/README")])
        sources = {f"{name}-{version}.tar.gz": archive.read_bytes()}
    for source, content in sources.items():
        (folder / "SOURCES" / source).write_bytes(content)
    lines = "".join(f"Source{number}: {source}\n" for number, source in enumerate(sources))
    path = folder / f"{name}.spec"
    path.write_text(spec.format(name=name, version=version, release=release, sources=lines + tags))
    macros = {"_topdir": folder, "_source_payload": payload, "dist": dist or "%{nil}"}
    defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
    subprocess.run(["rpmbuild", step, "--quiet", *defines, path], check=True, capture_output=True)
    pattern = "SRPMS/*.src.rpm" if step == "-bs" else "RPMS/*/*.rpm"
    return next(folder.glob(pattern))
