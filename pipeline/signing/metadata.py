# SPDX-License-Identifier: GPL-2.0-or-later
"""Signatures beside a file, as yum and dnf read `repomd.xml.asc`: detached, armored, SHA-256."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.errors import SigningError
from pipeline.signing import gpg, home
from pipeline.signing.keyring import Key

SUFFIX = ".asc"


def sign(path: Path, key: Key) -> Path:
    """Write the file's signature beside it, read back; returns where. Raises: SigningError."""
    content = path.read_bytes()
    try:
        signature = gpg.sign(key.home_dir, key.fingerprint, content, key.options)
    except ValueError as error:
        raise SigningError("not-signed", f"{path.name} is not signed: {error}", hint="see that the key signs") from None
    with home.private() as folder:
        public_path = folder / "public.asc"
        public_path.write_text(key.public_key, encoding="ascii")
        verify(content, signature, [public_path])
    signature_path = path.with_name(path.name + SUFFIX)
    files.write_whole(signature_path, signature)
    return signature_path


def verify(content: bytes, signature: bytes, public_key_paths: Sequence[Path]) -> str:
    """The fingerprint of the key that signed this content, one of these keys. Raises: SigningError."""
    seen = _seen(content, signature, public_key_paths)
    problem = _problem(seen, public_key_paths)
    if problem:
        raise SigningError(
            "bad-signature",
            f"the signature does not hold: {problem}",
            hint="do not trust what it is about: take it from where it was published, with its signature and the key",
        )
    return seen.fingerprint


def fault(content: bytes, signature: bytes | None, public_key_paths: Sequence[Path]) -> str:
    """Why a signature that was made some time ago is by none of these keys; empty where it is by one.

    The key may have expired since: what it signed stays ours, and can be published anew by the next key alone.
    """
    if signature is None:
        return "it has no signature"
    seen = _seen(content, signature, public_key_paths)
    return _problem(replace(seen, status="GOODSIG") if seen.status == "EXPKEYSIG" else seen, public_key_paths)


def _seen(content: bytes, signature: bytes, public_key_paths: Sequence[Path]) -> gpg.Seen:
    with home.private() as folder:
        home_dir = folder / "gnupg"
        home_dir.mkdir(mode=0o700)
        for path in public_key_paths:
            gpg.import_keys(home_dir, path.read_bytes())
        signature_path = folder / "signature"
        signature_path.write_bytes(signature)
        return gpg.check(home_dir, signature_path, content)


def _problem(seen: gpg.Seen, public_key_paths: Sequence[Path]) -> str:
    if seen.status == "GOODSIG" and seen.by != seen.fingerprint:
        return f"it is by the subkey {seen.by} of {seen.fingerprint}, which rpm 4.8 and old yum do not know"
    if seen.status == "GOODSIG":
        return "" if seen.digest == "SHA-256" else f"it is made with {seen.digest}, not SHA-256"
    by = f"the key {seen.key_id}"
    names = ", ".join(path.name for path in public_key_paths) or "no key"
    return {
        "BADSIG": f"{by} signed other contents",
        "ERRSIG": f"{by} signed it, which is none of those to trust ({names})",
        "EXPKEYSIG": f"{by} that signed it has expired",
        "EXPSIG": "it has expired",
        "REVKEYSIG": f"{by} that signed it is revoked",
    }.get(seen.status, "it is no signature")
