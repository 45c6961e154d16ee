# SPDX-License-Identifier: GPL-2.0-or-later
"""in-toto statements about packages, with a SLSA provenance predicate: made, and read by the libraries' own rules.

There is no clock in them: the same build from the same commit has the same statement.
Source: in-toto Attestation Framework 1.0 (Statement v1), SLSA 1.0 (Provenance v1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.checkout import Checkout
from pipeline.model import File, Image, Installed, RenderedSpec
from pipeline.provides import Capability
from pipeline.sources.address import redacted

SUFFIX = ".intoto.json"
# An annotation of the subject: signing a package changes its sha256, and nothing behind its signatures.
CONTENT = "headerPayloadSha256"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
_HOME = "https://example.org/vdsm-packaging-pipeline"
_BUILD_TYPE = f"{_HOME}/rpmbuild/v1"
_PIPELINE = "vdsm-packaging-pipeline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """All that the statements of one build have in common."""

    package: str
    target: str
    label: str
    rendered: RenderedSpec
    image: Image
    macros: Mapping[str, str]
    nodeps: bool
    capabilities: Sequence[Capability]
    checkout: Checkout
    built_on: Sequence[Installed] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A patch as a statement names it."""

    name: str
    sha256: str
    capability: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a statement says of one file, as far as anything can be compared with it.

    `content_sha256` is that of header and payload, which a signed copy has too; empty in a statement that has none.
    """

    file_name: str
    sha256: str
    content_sha256: str
    package: str
    target: str
    number: int
    evr: str
    allocated_number: int
    source_date_epoch: int
    vendor_file_name: str
    vendor_origin: str
    vendor_sha256: str
    patches: tuple[Patch, ...]
    commit: str
    dirty: bool


def make(build: Build, file: File, content_sha256: str, versions: Mapping[str, str]) -> str:
    """The statement about one file, checked as `read` would. Raises: ValueError."""
    subject = {
        "name": file.path.name,
        "digest": {"sha256": file.sha256},
        "annotations": {CONTENT: content_sha256},
    }
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "package": build.package,
                    "target": build.target,
                    "label": build.label,
                    "number": build.rendered.reservation.number,
                },
                "internalParameters": _internal(build),
                "resolvedDependencies": _dependencies(build),
            },
            "runDetails": {"builder": {"id": _HOME, "version": dict(versions)}},
        },
    }
    text = json.dumps(statement, indent=1, sort_keys=True) + "\n"
    read(text)
    return text


def read(text: str) -> Claim:
    """What the statement says. Raises: ValueError with what is wrong with it."""
    try:
        document = json.loads(text)
        _validate(document)
        return _claim(document)
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, RecursionError) as error:
        raise ValueError(f"it lacks a part, or has it in another form ({error!r})") from None


def _internal(build: Build) -> dict[str, Any]:
    reservation = build.rendered.reservation
    return {
        "evr": str(reservation.evr),
        "series": [patch.file.path.name for patch in build.rendered.tree.patches],
        "macros": dict(build.macros),
        "nodeps": build.nodeps,
        "engine": build.image.engine,
        "sourceDateEpoch": build.rendered.source_date_epoch,
        "allocation": {
            "number": reservation.number,
            "inputSha256": reservation.input_sha256,
            "remote": redacted(reservation.remote),
            "tag": reservation.tag,
        },
    }


def _dependencies(build: Build) -> list[dict[str, Any]]:
    """The vendor's source package, each patch in order, the template, what it is built on, the image, the pipeline."""
    srpm = build.rendered.tree.srpm
    patches = zip(build.rendered.tree.patches, build.capabilities, strict=True)
    templates = [row for row in build.rendered.reservation.inputs if row[0].startswith("specs/")]
    return [
        {"name": f"{srpm.nevra}.rpm", "uri": srpm.origin, "digest": {"sha256": srpm.file.sha256}},
        *(
            {
                "name": f"patches/{build.package}/{patch.file.path.name}",
                "digest": {"sha256": patch.file.sha256},
                "annotations": {"subject": patch.subject, "provides": str(capability)},
            }
            for patch, capability in patches
        ),
        *({"name": name, "digest": {"sha256": sha256}} for name, sha256 in templates),
        *(
            {"name": each.file_name, "digest": {"sha256": each.sha256}, "annotations": {"builtOn": each.package}}
            for each in build.built_on
        ),
        _image(build.image),
        _pipeline(build.checkout),
    ]


def _image(image: Image) -> dict[str, Any]:
    """A container image by its digest; a host has none, and is known by the versions that matter."""
    if image.engine == "host":
        return {"name": image.reference, "annotations": {"host": image.digest}}
    return {"name": image.reference, "digest": {"sha256": image.digest}}


def _pipeline(checkout: Checkout) -> dict[str, Any]:
    if not checkout.commit:
        return {"name": _PIPELINE, "annotations": {"warning": "not a git checkout: there is no commit to name"}}
    digest = {"gitCommit": checkout.commit}
    return {"name": _PIPELINE, "digest": digest, "annotations": {"dirty": checkout.dirty}}


def _validate(document: Any) -> None:
    """By in-toto's own records and rules, and those of the predicate. Raises: ValueError."""
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    try:
        statement = Statement.copy_from_pb(ParseDict(document, statement_pb2.Statement()))
        statement.validate()
        provenance = ParseDict(document["predicate"], provenance_pb2.Provenance())
    except ParseError as error:
        raise ValueError(str(error)) from None
    if statement.pb.predicate_type != PREDICATE_TYPE:
        raise ValueError(f"its predicate is {statement.pb.predicate_type}, not {PREDICATE_TYPE}")
    if provenance.build_definition.build_type != _BUILD_TYPE or not provenance.run_details.builder.id:
        raise ValueError("its predicate does not tell of a build by this pipeline")
    for dependency in provenance.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()


def _claim(document: Any) -> Claim:
    definition = document["predicate"]["buildDefinition"]
    external, internal = definition["externalParameters"], definition["internalParameters"]
    dependencies = definition["resolvedDependencies"]
    (subject,) = document["subject"]
    vendor = dependencies[0]
    pipeline = next(row for row in dependencies if row["name"] == _PIPELINE)
    return Claim(
        file_name=subject["name"],
        sha256=subject["digest"]["sha256"],
        content_sha256=subject.get("annotations", {}).get(CONTENT, ""),
        package=external["package"],
        target=external["target"],
        number=external["number"],
        evr=internal["evr"],
        allocated_number=internal["allocation"]["number"],
        source_date_epoch=int(internal["sourceDateEpoch"]),
        vendor_file_name=vendor["name"],
        vendor_origin=vendor["uri"],
        vendor_sha256=vendor["digest"]["sha256"],
        patches=tuple(
            Patch(name=row["name"], sha256=row["digest"]["sha256"], capability=row["annotations"]["provides"])
            for row in dependencies
            if "provides" in row.get("annotations", {})
        ),
        commit=pipeline.get("digest", {}).get("gitCommit", ""),
        dirty=bool(pipeline["annotations"].get("dirty", False)),
    )
