# SPDX-License-Identifier: GPL-2.0-or-later
"""CycloneDX documents about packages: what each is, and which source and patches it descends from.

All of it comes from the package and its statement, whose digest it names, so that either can be held against the
other. Source: CycloneDX 1.6; purl's type `rpm`.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pipeline.attestation.header import Header
from pipeline.attestation.statement import SUFFIX as STATEMENT_SUFFIX
from pipeline.attestation.statement import Claim
from pipeline.model import Evr

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component, Pedigree
    from packageurl import PackageURL

SUFFIX = ".cdx.json"
_CONTENT = "sha256 of header and payload"


def make(header: Header, claim: Claim, statement_sha256: str) -> str:
    """The document about the package that the claim is about."""
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.output.json import JsonV1Dot6

    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{claim.sha256}"),
        metadata=BomMetaData(
            component=_component(header, claim, statement_sha256),
            timestamp=datetime.fromtimestamp(claim.source_date_epoch, timezone.utc),
        ),
    )
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def validate(text: str) -> None:
    """Raises: ValueError with what is wrong with the document."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    try:
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except RecursionError as caught:
        raise ValueError(str(caught)) from None
    if error is not None:
        raise ValueError(str(error.data.message if hasattr(error.data, "message") else error.data))


def facts(text: str) -> dict[str, str]:
    """What a valid document says, as far as it can be held against anything else; what it leaves out is empty."""
    document = json.loads(text)
    component = _at(document, "metadata", "component") or {}
    ancestor = (_at(component, "pedigree", "ancestors") or [{}])[0]
    properties = [(row.get("name"), row.get("value")) for row in component.get("properties", [])]
    return {
        "serial number": document.get("serialNumber", ""),
        "time": _at(document, "metadata", "timestamp") or "",
        "package": component.get("purl", ""),
        "sha256": _sha256(component),
        _CONTENT: _shown([value for name, value in properties if name == _CONTENT]),
        "licence": _shown([row.get("license", row) for row in component.get("licenses", [])]),
        "statement": _shown([(row.get("url"), _sha256(row)) for row in component.get("externalReferences", [])]),
        "source package": ancestor.get("purl", ""),
        "sha256 of the source package": _sha256(ancestor),
        "origin of the source package": _shown([row.get("url") for row in ancestor.get("externalReferences", [])]),
        "patches": _shown([_at(row, "diff", "url") for row in _at(component, "pedigree", "patches") or []]),
        "digests of the patches": _shown([row for row in properties if row[0] != _CONTENT]),
    }


def _component(header: Header, claim: Claim, statement_sha256: str) -> Component:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense

    purl = _purl(header.name, header.evr, header.arch)
    return Component(
        type=ComponentType.APPLICATION,
        name=header.name,
        version=str(header.evr),
        purl=purl,
        bom_ref=purl.to_string(),
        hashes=[_hash(claim.sha256)],
        licenses=[DisjunctiveLicense(name=header.licence)],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.ATTESTATION,
                url=XsUri(f"{claim.file_name}{STATEMENT_SUFFIX}"),
                hashes=[_hash(statement_sha256)],
            )
        ],
        pedigree=_pedigree(claim),
        properties=[
            *([Property(name=_CONTENT, value=claim.content_sha256)] if claim.content_sha256 else ()),
            *(Property(name=f"sha256:{patch.name}", value=patch.sha256) for patch in claim.patches),
        ],
    )


def _pedigree(claim: Claim) -> Pedigree:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
    from cyclonedx.model.component import Component, ComponentType, Diff, Patch, PatchClassification, Pedigree

    name, evr = _split(claim.vendor_file_name)
    purl = _purl(name, evr, "src")
    vendor = Component(
        type=ComponentType.APPLICATION,
        name=name,
        version=str(evr),
        purl=purl,
        bom_ref=f"{purl.to_string()}#ancestor",
        hashes=[_hash(claim.vendor_sha256)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(claim.vendor_origin))
        ],
    )
    patches = [Patch(type=PatchClassification.UNOFFICIAL, diff=Diff(url=XsUri(patch.name))) for patch in claim.patches]
    return Pedigree(ancestors=[vendor], patches=patches)


def _purl(name: str, evr: Evr, arch: str) -> PackageURL:
    """Source: purl's type `rpm`: the epoch is a qualifier, the version is `version-release`."""
    from packageurl import PackageURL

    qualifiers = {"arch": arch, **({"epoch": str(evr.epoch)} if evr.epoch else {})}
    return PackageURL(type="rpm", name=name, version=f"{evr.version}-{evr.release}", qualifiers=qualifiers)


def _split(file_name: str) -> tuple[str, Evr]:
    """Name and EVR in a statement's `name-[epoch:]version-release.src.rpm`."""
    name, version, release = file_name.removesuffix(".src.rpm").rsplit("-", 2)
    epoch, _, version = version.rpartition(":")
    return name, Evr(epoch=int(epoch or 0), version=version, release=release)


def _hash(sha256: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=sha256)


def _sha256(row: dict[str, Any]) -> str:
    return next((str(each["content"]) for each in row.get("hashes", []) if each.get("alg") == "SHA-256"), "")


def _at(row: dict[str, Any], *names: str) -> Any:
    for name in names:
        row = row.get(name) or {}
    return row or None


def _shown(values: list[Any]) -> str:
    """The values in one string, in an order of their own: the library sorts them."""
    return ", ".join(sorted(json.dumps(value, sort_keys=True) for value in values))
