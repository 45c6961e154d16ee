# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements and SBOMs: what is in them, that the libraries take them, and that they take nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pipeline import provides
from pipeline.attestation import sbom, statement
from pipeline.attestation.header import Header
from pipeline.checkout import Checkout
from pipeline.model import AppliedPatch, Evr, File, Image, Installed, PatchedTree, RenderedSpec, Reservation, Srpm, Tree

VENDOR, PATCH, TEMPLATE, RPM, CONTENT = ("a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64)
EVR = Evr(version="4.16.30", release="0.el6.label.904")
VERSIONS = {"git": "2.39.5", "rpm": "4.16.1.2"}


def file(name: str, sha256: str) -> File:
    return File(path=Path("el6/vdsm") / name, size_bytes=1, sha256=sha256)


PACKAGE = file("RPMS/noarch/vdsm-cli-4.16.30-0.el6.label.904.noarch.rpm", RPM)
HEADER = Header(name="vdsm-cli", evr=EVR, arch="noarch", source="vdsm", licence="GPLv2+ and a ü",
                rpm_version="4.16.1.2", capabilities=())  # fmt: skip


@pytest.fixture
def build() -> statement.Build:
    patches = tuple(
        AppliedPatch(file=file(f"tree/series/{name}", PATCH), subject=subject, author="A <a@b>", state="clean",
                     offset_lines=0, touched=())
        for name, subject in (("0001-a.patch", "vm: a"), ("0002-b.patch", "vm: b"))
    )  # fmt: skip
    srpm = Srpm(file=file("srpm/package.src.rpm", VENDOR), name="vdsm", evr=Evr(version="4.16.30", release="0.el6"),
                spec=file("srpm/vdsm.spec", VENDOR), sources=(), origin="git:https://example.org/vdsm.git@v4.16.30",
                demo=False)  # fmt: skip
    tree = Tree(path=Path("el6/vdsm/tree"), fingerprint="1")
    return statement.Build(
        package="vdsm",
        target="el6",
        label="label",
        rendered=RenderedSpec(
            tree=PatchedTree(srpm=srpm, pristine=tree, patched=tree, steps=tree, patches=patches),
            reservation=Reservation(
                number=904, evr=EVR, input_sha256="e" * 64, tag="release/vdsm/el6/x",
                inputs=(("label", "label"), ("specs/vdsm/vdsm.spec.j2", TEMPLATE)),
                remote="https://somebody:secret@example.org/releases.git",
            ),
            spec=file("releases/904/vdsm.spec", VENDOR),
            diff=file("releases/904/vdsm.diff", VENDOR),
            source_date_epoch=1448193600,
        ),
        image=Image(engine="podman", reference="localhost/image:1", digest="f" * 64),
        macros={"dist": ".el6"},
        nodeps=False,
        capabilities=provides.of_patches("vdsm", patches),
        checkout=Checkout(commit="1" * 40),
    )  # fmt: skip


@pytest.fixture
def document(build) -> dict[str, Any]:
    return json.loads(statement.make(build, PACKAGE, CONTENT, VERSIONS))


@pytest.fixture
def claim(build) -> statement.Claim:
    return statement.read(statement.make(build, PACKAGE, CONTENT, VERSIONS))


def test_a_statement_is_about_its_file_and_has_all_that_made_it(document):
    assert document["subject"] == [
        {
            "name": PACKAGE.path.name,
            "digest": {"sha256": RPM},
            "annotations": {"headerPayloadSha256": CONTENT},
        }
    ]
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = document["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"package": "vdsm", "target": "el6", "label": "label", "number": 904}
    dependencies = {row["name"]: row for row in definition["resolvedDependencies"]}
    assert list(dependencies) == [
        "vdsm-4.16.30-0.el6.src.rpm", "patches/vdsm/0001-a.patch", "patches/vdsm/0002-b.patch",
        "specs/vdsm/vdsm.spec.j2", "localhost/image:1", "vdsm-packaging-pipeline",
    ]  # fmt: skip
    vendor = dependencies["vdsm-4.16.30-0.el6.src.rpm"]
    assert vendor["uri"] == "git:https://example.org/vdsm.git@v4.16.30"
    assert [row["digest"] for row in dependencies.values()] == [
        {"sha256": VENDOR}, {"sha256": PATCH}, {"sha256": PATCH}, {"sha256": TEMPLATE}, {"sha256": "f" * 64},
        {"gitCommit": "1" * 40},
    ]  # fmt: skip
    annotations = dependencies["patches/vdsm/0002-b.patch"]["annotations"]
    assert annotations == {"subject": "vm: b", "provides": "patch(vdsm-vm-b) = bbbbbbbbbbbb"}
    assert document["predicate"]["runDetails"]["builder"]["version"] == VERSIONS


def test_the_allocation_is_told_and_no_password(document):
    assert document["predicate"]["buildDefinition"]["internalParameters"]["allocation"] == {
        "number": 904,
        "inputSha256": "e" * 64,
        "remote": "https://***@example.org/releases.git",
        "tag": "release/vdsm/el6/x",
    }


def test_the_series_is_told_in_its_order(document):
    internal = document["predicate"]["buildDefinition"]["internalParameters"]
    assert internal["series"] == ["0001-a.patch", "0002-b.patch"]


@pytest.mark.parametrize(
    ("checkout", "told"),
    [
        (Checkout(commit="1" * 40), {"digest": {"gitCommit": "1" * 40}, "annotations": {"dirty": False}}),
        (
            Checkout(commit="1" * 40, changed=("a",)),
            {"digest": {"gitCommit": "1" * 40}, "annotations": {"dirty": True}},
        ),
        (Checkout(), {"annotations": {"warning": "not a git checkout: there is no commit to name"}}),
    ],
)
def test_the_checkout_s_state_is_told(build, checkout, told):
    text = statement.make(replace(build, checkout=checkout), PACKAGE, CONTENT, VERSIONS)
    pipeline = json.loads(text)["predicate"]["buildDefinition"]["resolvedDependencies"][-1]
    assert pipeline == {"name": "vdsm-packaging-pipeline", **told}
    claim = statement.read(text)
    assert (claim.commit, claim.dirty) == (checkout.commit, checkout.dirty)


def test_what_it_is_built_on_is_told_by_file_and_package(build):
    below = Installed(package="below", file_name="below-devel-1-1.noarch.rpm", sha256="9" * 64)
    text = statement.make(replace(build, built_on=(below,)), PACKAGE, CONTENT, VERSIONS)
    alone, told = (
        json.loads(each)["predicate"]["buildDefinition"]["resolvedDependencies"]
        for each in (statement.make(build, PACKAGE, CONTENT, VERSIONS), text)
    )
    (row,) = [row for row in told if row not in alone]
    assert row == {
        "name": "below-devel-1-1.noarch.rpm",
        "digest": {"sha256": "9" * 64},
        "annotations": {"builtOn": "below"},
    }
    assert statement.read(text) == statement.read(statement.make(build, PACKAGE, CONTENT, VERSIONS))


def test_a_host_is_told_by_its_versions(build):
    image = Image(engine="host", reference="Debian 12", digest="RPM version 4.18.0, x86_64")
    text = statement.make(replace(build, image=image), PACKAGE, CONTENT, VERSIONS)
    told = json.loads(text)["predicate"]["buildDefinition"]["resolvedDependencies"][-2]
    assert told == {"name": "Debian 12", "annotations": {"host": "RPM version 4.18.0, x86_64"}}


def test_a_statement_is_read_as_it_was_written(claim, build):
    assert claim == statement.Claim(
        file_name=PACKAGE.path.name, sha256=RPM, content_sha256=CONTENT, package="vdsm", target="el6",
        number=904, evr=str(EVR),
        allocated_number=904, source_date_epoch=1448193600, vendor_file_name="vdsm-4.16.30-0.el6.src.rpm",
        vendor_origin="git:https://example.org/vdsm.git@v4.16.30", vendor_sha256=VENDOR,
        patches=(
            statement.Patch(name="patches/vdsm/0001-a.patch", sha256=PATCH, capability=str(build.capabilities[0])),
            statement.Patch(name="patches/vdsm/0002-b.patch", sha256=PATCH, capability=str(build.capabilities[1])),
        ),
        commit="1" * 40, dirty=False,
    )  # fmt: skip


def _remove(*names: Any) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        for name in names[:-1]:
            document = document[name]
        del document[names[-1]]

    return edit


def _set(value: Any, *names: Any) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        for name in names[:-1]:
            document = document[name]
        document[names[-1]] = value

    return edit


DEFINITION = ("predicate", "buildDefinition")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_set("https://in-toto.io/Statement/v0.1", "_type"), "Wrong statement type"),
        (_set([], "subject"), "At least one subject required"),
        (_remove("subject", 0, "digest"), "At least one digest required"),
        (_set({}, "predicate"), "Predicate object required"),
        (_set("", "predicateType"), "Predicate type required"),
        (
            _set("https://slsa.dev/provenance/v0.2", "predicateType"),
            "its predicate is https://slsa.dev/provenance/v0.2",
        ),
        (_set(1, "predicate", "more"), "more"),
        (_set("https://example.org/other", *DEFINITION, "buildType"), "a build by this pipeline"),
        (_set("", "predicate", "runDetails", "builder", "id"), "a build by this pipeline"),
        (_set([{}], *DEFINITION, "resolvedDependencies"), "At least one of name, URI, or digest"),
        (_remove(*DEFINITION, "externalParameters", "number"), "it lacks a part"),
        (_remove(*DEFINITION, "internalParameters", "allocation"), "it lacks a part"),
        (_set([{"name": "x"}], *DEFINITION, "resolvedDependencies"), "it lacks a part"),
        (_set({}, "subject"), "subject"),
    ],
)
def test_a_statement_that_is_not_as_it_should_be_is_refused(document, edit, told):
    statement.read(json.dumps(document))
    edit(document)
    with pytest.raises(ValueError, match=told):
        statement.read(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "[" * 5000, '{"_type": 1}'])
def test_what_is_no_statement_at_all_is_refused(text):
    with pytest.raises(ValueError):
        statement.read(text)


def test_an_sbom_is_one_by_the_library_s_strict_rules_and_has_the_package(claim):
    text = sbom.make(HEADER, claim, "9" * 64)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["specVersion"] == "1.6"
    assert document["metadata"]["timestamp"] == "2015-11-22T12:00:00+00:00"
    component = document["metadata"]["component"]
    assert component["purl"] == "pkg:rpm/vdsm-cli@4.16.30-0.el6.label.904?arch=noarch"
    assert component["hashes"] == [{"alg": "SHA-256", "content": RPM}]
    assert component["licenses"] == [{"license": {"name": "GPLv2+ and a ü"}}]
    (ancestor,) = component["pedigree"]["ancestors"]
    assert ancestor["purl"] == "pkg:rpm/vdsm@4.16.30-0.el6?arch=src"
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": VENDOR}]
    assert [row["diff"]["url"] for row in component["pedigree"]["patches"]] == [
        "patches/vdsm/0001-a.patch",
        "patches/vdsm/0002-b.patch",
    ]
    sbom.validate(text)


def test_an_sbom_is_the_same_whenever_it_is_made_and_another_for_another_package(claim):
    text = sbom.make(HEADER, claim, "9" * 64)
    assert sbom.make(HEADER, claim, "9" * 64) == text
    other = sbom.make(HEADER, replace(claim, sha256="8" * 64), "9" * 64)
    assert json.loads(other)["serialNumber"] != json.loads(text)["serialNumber"]


def test_an_epoch_is_a_qualifier(claim):
    header = replace(HEADER, evr=replace(EVR, epoch=2))
    text = sbom.make(header, replace(claim, vendor_file_name="vdsm-1:4.16.30-0.el6.src.rpm"), "9" * 64)
    component = json.loads(text)["metadata"]["component"]
    assert component["purl"] == "pkg:rpm/vdsm-cli@4.16.30-0.el6.label.904?arch=noarch&epoch=2"
    assert component["pedigree"]["ancestors"][0]["purl"] == "pkg:rpm/vdsm@4.16.30-0.el6?arch=src&epoch=1"


@pytest.mark.parametrize("origin", ["srpm:/a folder/ü [1].src.rpm", "demo:tests/demo/vdsm", "yum:https://e.org/x/"])
def test_an_sbom_takes_every_origin(claim, origin):
    sbom.validate(sbom.make(HEADER, replace(claim, vendor_origin=origin), "9" * 64))


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "8" * 64}, {"content_sha256": "8" * 64},
        {"source_date_epoch": 0}, {"vendor_file_name": "vdsm-4.16.31-0.el6.src.rpm"},
        {"vendor_origin": "demo"}, {"vendor_sha256": "8" * 64}, {"patches": ()}, {"file_name": "other.rpm"},
    ],
)  # fmt: skip
def test_the_facts_of_an_sbom_show_each_difference(claim, change):
    facts = sbom.facts(sbom.make(HEADER, claim, "9" * 64))
    assert facts != sbom.facts(sbom.make(HEADER, replace(claim, **change), "9" * 64))
    assert facts != sbom.facts(sbom.make(HEADER, claim, "8" * 64))
    assert all(facts.values())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"bomFormat": "CycloneDX", "specVersion": "1.6", "x": 1}'])
def test_what_is_no_sbom_is_refused(text):
    with pytest.raises(ValueError):
        sbom.validate(text)


def test_the_facts_of_a_valid_document_that_says_nothing_are_empty():
    text = '{"bomFormat": "CycloneDX", "specVersion": "1.6"}'
    sbom.validate(text)
    assert set(sbom.facts(text).values()) == {""}
