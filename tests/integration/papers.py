# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements and SBOMs of packages without patches, as the stage `provenance` writes them."""

from __future__ import annotations

from pathlib import Path

from pipeline import files, release
from pipeline.attestation import header, sbom, statement
from pipeline.checkout import Checkout
from pipeline.model import BuildResult, File, Image, PatchedTree, RenderedSpec, Reservation, Rpm, Srpm, Tree
from pipeline.signing import packages

ALL = (statement.SUFFIX, sbom.SUFFIX)


def write(rpm: Rpm, build: BuildResult, out_path: Path, suffix: str) -> File:
    """The record of the statement, or of the SBOM, that is now beside the package."""
    path = out_path / rpm.file.path
    beside = path.with_name(path.name + statement.SUFFIX)
    if suffix == statement.SUFFIX:
        text = statement.make(_build(rpm, build), rpm.file, packages.content_digest(path), {"rpm": "4"})
        files.write_whole(beside, text)
        return files.file_record(beside, out_path)
    path_too = path.with_name(path.name + suffix)
    claim = statement.read(beside.read_text())
    files.write_whole(path_too, sbom.make(header.read(path), claim, files.sha256_of(beside)))
    return files.file_record(path_too, out_path)


def _build(rpm: Rpm, build: BuildResult) -> statement.Build:
    number = release.number_in(rpm.evr.release) or 0
    srpm = Srpm(file=build.srpm.file, name=rpm.source, evr=rpm.evr, spec=build.spec, sources=(), origin="demo:small",
                demo=False)  # fmt: skip
    tree = Tree(path=Path("tree"), fingerprint="1")
    rendered = RenderedSpec(
        tree=PatchedTree(srpm=srpm, pristine=tree, patched=tree, steps=tree, patches=()),
        reservation=Reservation(number=number, evr=rpm.evr, input_sha256="e" * 64, inputs=()),
        spec=build.spec,
        diff=build.spec,
        source_date_epoch=1448193600,
    )
    image = Image(engine="host", reference="a host", digest="rpm 4")
    return statement.Build(package=rpm.source, target="el6", label="ours", rendered=rendered, image=image, macros={},
                           nodeps=False, capabilities=(), checkout=Checkout(commit="1" * 40))  # fmt: skip
