# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResult and VendorSet -> SignedSet: signed copies of all packages, and the keys that hosts verify them with.

What was built stays as it is. A copy that is signed by this key already, of the same contents, stays byte for byte: a
signature has its time in it, and a package that is published never changes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.context import JobContext
from pipeline.errors import SigningError
from pipeline.model import BuildResult, Provenance, PublicKey, Rpm, SignedSet, VendorSet

if TYPE_CHECKING:
    from pipeline.signing.keyring import Key


def inputs(build: BuildResult, vendor: VendorSet, provenance: Provenance, *, context: JobContext) -> dict[str, str]:
    """The key that signs, and those that are published beside it."""
    from pipeline.signing import choice

    try:
        key = choice.of(context.settings, context.target_name).fingerprint or "a new one for trying"
        former = " ".join(files.sha256_of(path) for path, _ in choice.former(context.settings))
    except SigningError:
        return {"key": "none", "former keys": ""}  # what is wrong is told by `run`
    return {"key": key, "former keys": former}


def run(build: BuildResult, vendor: VendorSet, provenance: Provenance, *, context: JobContext) -> SignedSet:
    """The signed copies, under `signed/`. Raises: SigningError."""
    from pipeline.signing import keyring

    with keyring.opened(context.settings, context.progress, target_name=context.target_name) as key:
        keys = _publish_keys(key, context)
        rpms = (*build.all_rpms, *vendor.rpms)
        signed = _sign_all(rpms, key, context.out_path / keys[0].file.path, context)
    ours = len(build.all_rpms)
    return SignedSet(
        ours=signed[:ours],
        vendor=signed[ours:],
        vendor_origin=vendor.origin,
        keys=keys,
        sidecars=(*provenance.statements, *provenance.sboms, *provenance.patches),
    )


def _sign_all(rpms: Sequence[Rpm], key: Key, key_path: Path, context: JobContext) -> tuple[Rpm, ...]:
    """The packages with their signed copies for files."""
    places = _places(rpms, context.home_dir / "signed")
    there = _kept(rpms, places, key_path, context)
    todo = [(context.out_path / rpm.file.path, place) for rpm, place in zip(rpms, places, strict=True)
            if place not in there]  # fmt: skip
    _sign(todo, key, key_path, context)
    context.progress.detail(f"{len(todo)} packages signed, {len(there)} were signed already")
    return tuple(
        Rpm(file=files.file_record(place, context.out_path), name=rpm.name, evr=rpm.evr, arch=rpm.arch,
            source=rpm.source)
        for rpm, place in zip(rpms, places, strict=True)
    )  # fmt: skip


def _places(rpms: Sequence[Rpm], signed_dir: Path) -> list[Path]:
    """Where each copy lies. Raises: SigningError when two would lie in one place."""
    places = [signed_dir / ("SRPMS" if rpm.arch == "src" else rpm.arch) / rpm.file.path.name for rpm in rpms]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise SigningError(
                "place-taken",
                f"{place.name} is both ours and the vendor's, or built twice",
                hint="give ours another release: ours and the vendor's packages are in one repository",
            )
    return places


def _kept(rpms: Sequence[Rpm], places: Sequence[Path], key_path: Path, context: JobContext) -> set[Path]:
    """The copies that are there, of the same contents, and hold with this key."""
    from pipeline.signing import packages

    same = [
        place
        for rpm, place in zip(rpms, places, strict=True)
        if place.is_file() and _same_content(place, context.out_path / rpm.file.path)
    ]
    wrong = packages.problems(same, [key_path], log_path=context.log_path)
    return set(same) - wrong.keys()


def _same_content(place: Path, built: Path) -> bool:
    from pipeline.signing import packages

    try:
        return packages.content_digest(place) == packages.content_digest(built)
    except SigningError:
        return False


def _sign(todo: Sequence[tuple[Path, Path]], key: Key, key_path: Path, context: JobContext) -> None:
    """Sign copies, have rpm verify them, and only then give them their names: a kill leaves none half-signed."""
    from pipeline.signing import packages

    context.scratch_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch_dir, prefix="sign-") as name:
        copies = [Path(name) / str(index) / place.name for index, (_, place) in enumerate(todo)]
        for (built, _), copy in zip(todo, copies, strict=True):
            files.copy_whole(built, copy)
        packages.sign(copies, key, log_path=context.log_path)
        packages.verify(copies, [key_path], log_path=context.log_path)
        for (built, place), copy in zip(todo, copies, strict=True):
            if packages.content_digest(copy) != packages.content_digest(built):
                raise SigningError("content-changed", f"signing {place.name} changed its contents", hint="build again")
            status = built.stat()
            os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
            place.parent.mkdir(parents=True, exist_ok=True)
            copy.replace(place)


def _publish_keys(key: Key, context: JobContext) -> tuple[PublicKey, ...]:
    """The public keys under `signed/keys/`, the one that signs first. Raises: SigningError."""
    from pipeline.signing import choice

    folder = context.home_dir / "signed" / "keys"
    rows = [(key.fingerprint, key.public_key.encode(), key.expires_seconds)]
    rows += [
        (listed.fingerprint, path.read_bytes(), listed.expires_seconds)
        for path, listed in choice.former(context.settings)
        if listed.fingerprint != key.fingerprint
    ]
    for fingerprint, content, _ in rows:
        files.write_whole(folder / f"{fingerprint}.asc", content)
    return tuple(
        PublicKey(
            fingerprint=fingerprint,
            file=files.file_record(folder / f"{fingerprint}.asc", context.out_path),
            expires_seconds=expires_seconds,
        )
        for fingerprint, _, expires_seconds in rows
    )
