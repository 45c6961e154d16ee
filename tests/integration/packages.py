# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages with subpackages, as rpmbuild makes them, and the gate held against them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import files
from pipeline.context import JobContext
from pipeline.model import BuildResult, GateReport, Rpm, SignedSet
from pipeline.rpmbuild import read_rpm
from pipeline.stages import gate

_SPEC = """\
%global debug_package %{{nil}}
Name: {name}
Version: {version}
Release: {release}
Summary: A package
License: GPL-2.0-or-later
BuildArch: noarch
{lines}
%description
A package.
{subpackages}
%install
{install}
%files
{files}
%changelog
* Mon Jan 05 2015 A Packager <packager@example.org> - 1.0-1
- first
"""
_MACROS = {"_binary_payload": "w1.gzdio", "_source_payload": "w1.gzdio", "_build_id_links": "none",
           "_binary_filedigest_algorithm": "8", "_source_filedigest_algorithm": "8"}  # fmt: skip
_LIB = {"lib": ""}


def make(
    folder: Path,
    *,
    name: str = "small",
    version: str = "1.0",
    release: str = "1",
    lines: str = "",
    subpackages: Mapping[str, str] = _LIB,
    contents: Mapping[str, Mapping[str, str]] | None = None,
    macros: Mapping[str, str] | None = None,
) -> list[Path]:
    """The source RPM, then the binary ones. `subpackages` are their names and lines; `contents` the files of each.

    The main package is called "" in `contents`; a file's text may end in `%attr(…)`, for its mode.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = contents or {each: {f"/usr/share/{name}/{each or 'main'}": each} for each in ("", *subpackages)}
    install = [
        f"mkdir -p %{{buildroot}}$(dirname {path}); printf '%s' '{text.partition('%attr')[0]}' > %{{buildroot}}{path}"
        for held in contents.values() for path, text in held.items()
    ]  # fmt: skip
    sections = [f"%package {sub}\nSummary: A part\n{more}\n%description {sub}\nA part."
                for sub, more in subpackages.items()]  # fmt: skip
    listed = {each: "\n".join(f"{''.join(text.partition('%attr')[1:])} {path}" for path, text in held.items())
              for each, held in contents.items()}  # fmt: skip
    held = [listed.get("", ""), *(f"%files {sub}\n{listed.get(sub, '')}" for sub in subpackages)]
    spec = folder / f"{name}.spec"
    spec.write_text(_SPEC.format(name=name, version=version, release=release, lines=lines, install="\n".join(install),
                                 subpackages="\n".join(sections), files="\n".join(held)))  # fmt: skip
    defines = {"_topdir": str(folder), **_MACROS, **(macros or {})}
    words = [word for macro, value in defines.items() for word in ("--define", f"{macro} {value}")]
    subprocess.run(["rpmbuild", "-ba", "--quiet", *words, str(spec)], check=True, capture_output=True, text=True)
    return [*sorted(folder.glob("SRPMS/*.rpm")), *sorted(folder.glob("RPMS/*/*.rpm"))]


def records(paths: Sequence[Path], context: JobContext, folder: str) -> tuple[Rpm, ...]:
    """The records of packages that now lie in the out directory as well."""
    kept = [context.home_dir / folder / path.name for path in paths]
    for path, copy in zip(paths, kept, strict=True):
        files.copy_whole(path, copy)
    return tuple(read_rpm(copy, context.out_path) for copy in kept)


def pass_gate(
    context: JobContext, ours: Sequence[Path], vendor: Sequence[Path], *, built: Sequence[Path] | None = None
) -> GateReport:
    """The report of the stage for a signed set of these; `built` is what the build made, where that differs."""
    signed = SignedSet(
        ours=records(ours, context, "signed"), vendor=records(vendor, context, "signed-vendor"), vendor_origin="here",
        keys=(),
    )  # fmt: skip
    made = signed.ours if built is None else records(built, context, "RPMS")
    spec = context.home_dir / "small.spec"
    files.write_whole(spec, "Name: small\n")
    build = BuildResult(
        srpm=next(rpm for rpm in made if rpm.arch == "src"),
        rpms=tuple(rpm for rpm in made if rpm.arch != "src"),
        spec=files.file_record(spec, context.out_path),
    )
    return gate.run(signed, build, context=context)
