# SPDX-License-Identifier: GPL-2.0-or-later
"""gpg on one home: keys in and out, signatures made and read. The only importer of python-gnupg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gnupg

from pipeline import command
from pipeline.errors import SigningError
from pipeline.signing.listing import DIGESTS

# What hosts are given has the primary key alone: rpm 4.8 verifies with no other, and newer ones shall not either.
_PLAIN_EXPORT = ("--export-options", "export-minimal", "--export-filter", "drop-subkey=key_algo > 0")
_OF_SIGNING = ("--digest-algo", "SHA256")
_OF_MAKING = ("--cert-digest-algo", "SHA256", "--digest-algo", "SHA256")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What gpg says of a signature; `status` is its word for it, `fingerprint` whose primary key it is."""

    status: str
    fingerprint: str = ""
    by: str = ""
    key_id: str = ""
    digest: str = ""


def import_keys(home_dir: Path, content: bytes) -> None:
    _open(home_dir).import_keys(content)


def public_key(home_dir: Path, fingerprint: str) -> str:
    """The armored public key, without subkeys. Raises: SigningError."""
    return _exported(_open(home_dir, _PLAIN_EXPORT).export_keys(fingerprint), fingerprint)


def secret_key(home_dir: Path, fingerprint: str, options: Sequence[str]) -> str:
    """The armored secret key, protected as it is in the home. Raises: SigningError."""
    exported = _open(home_dir, options).export_keys(fingerprint, secret=True, expect_passphrase=False)
    return _exported(exported, fingerprint)


def sign(home_dir: Path, fingerprint: str, content: bytes, options: Sequence[str]) -> bytes:
    """An armored, detached SHA-256 signature by the primary key. Raises: ValueError with gpg's last words."""
    gpg = _open(home_dir, (*options, *_OF_SIGNING))
    made: Any = gpg.sign(content, keyid=f"{fingerprint}!", detach=True)
    if not made.data:
        raise ValueError(_last_words(made.stderr))
    return bytes(made.data)


def check(home_dir: Path, signature_path: Path, content: bytes) -> Seen:
    """What the keys of the home say of a signature."""
    told: Any = _open(home_dir, ("--no-auto-check-trustdb",)).verify_data(str(signature_path), content)
    words = {line.split()[1]: line.split()[2:] for line in told.stderr.splitlines() if line.startswith("[GNUPG:] ")}
    valid = words.get("VALIDSIG", [])
    status = next((word for word in _VERDICTS if word in words), "")
    return Seen(
        status=status,
        fingerprint=valid[9] if len(valid) > 9 else "",
        by=valid[0] if valid else "",
        key_id=words[status][0].lower() if status else "",
        digest=DIGESTS.get(int(valid[7]), "an unknown digest") if len(valid) > 7 else "",
    )


# Source: GnuPG's doc/DETAILS, "Format of the --status-fd output".
_VERDICTS = ("BADSIG", "REVKEYSIG", "EXPKEYSIG", "EXPSIG", "ERRSIG", "GOODSIG")


def make(home_dir: Path, *, name: str, mail: str, bits: int, years: int, passphrase: str) -> str:
    """The fingerprint of a new RSA key that certifies and signs, and has no subkey. Raises: SigningError."""
    gpg = _open(home_dir, _OF_MAKING)
    wishes: dict[str, Any] = {
        "key_type": "RSA", "key_length": bits, "key_usage": "sign", "name_real": name, "name_email": mail,
        "expire_date": f"{years}y", "preferences": "SHA256 SHA512 SHA384 AES256 AES192 AES ZLIB ZIP Uncompressed",
    }  # fmt: skip
    if passphrase:
        wishes["passphrase"] = passphrase
    made: Any = gpg.gen_key(gpg.gen_key_input(no_protection=not passphrase, **wishes))
    if not made.fingerprint:
        raise SigningError("key-not-made", f"gpg made no key: {_last_words(made.stderr)}", hint="see that gpg works")
    return str(made.fingerprint)


def _open(home_dir: Path, options: Sequence[str] = ()) -> gnupg.GPG:
    command.need("gpg")
    # An agent that is not there yet would be one that nobody ends.
    gpg = gnupg.GPG(gnupghome=str(home_dir), options=["--no-autostart", *options])
    gpg.encoding = "utf-8"
    return gpg


def _exported(text: str, fingerprint: str) -> str:
    if not text:
        raise SigningError(
            "key-not-exported",
            f"gpg does not export the key {fingerprint}",
            hint=f"see what `gpg --armor --export {fingerprint}` says",
        )
    return text


def _last_words(stderr: str) -> str:
    lines = [line.removeprefix("gpg: ") for line in stderr.splitlines() if line.startswith("gpg: ")]
    telling = [line for line in lines if "failed" in line] or lines
    return telling[-1] if telling else "it said nothing"
