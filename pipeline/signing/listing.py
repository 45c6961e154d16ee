# SPDX-License-Identifier: GPL-2.0-or-later
"""What gpg says of keys, without an agent: algorithm, size, expiry, what each part of a key may do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed, SigningError
from pipeline.signing import home

_SECONDS = 60
# Source: RFC 4880, 9.1 and 9.4; RFC 9580, 9.1.
ALGORITHMS = {1: "RSA", 2: "RSA", 3: "RSA", 16: "Elgamal", 17: "DSA", 18: "ECDH", 19: "ECDSA", 22: "EdDSA",
              25: "X25519", 27: "Ed25519"}  # fmt: skip
DIGESTS = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512", 11: "SHA-224"}

# Source: RFC 4880, 5.2.1: certifications of a user id.
_ON_NAMES = ("10", "11", "12", "13")


@dataclass(kw_only=True)
class Listed:
    """A key as gpg lists it; `may` has a letter for what its primary key does: s signs, c certifies.

    `keygrip` is the name that the agent keeps the secret part under; `has_secret`: the file itself has it.
    """

    fingerprint: str = ""
    algorithm: str
    bits: int
    expires_seconds: int
    may: str
    validity: str
    has_secret: bool
    uid: str = ""
    keygrip: str = ""
    subkeys: list[Subkey] = field(default_factory=list)
    own_digest: str = ""

    @property
    def key_id(self) -> str:
        return self.fingerprint[-16:].lower()

    @property
    def kind(self) -> str:
        return f"{self.algorithm}-{self.bits}"

    @property
    def expiry(self) -> str:
        """The day it expires on, in words."""
        return day(self.expires_seconds) if self.expires_seconds else "never"


@dataclass(kw_only=True)
class Subkey:
    fingerprint: str = ""
    may: str

    @property
    def key_id(self) -> str:
        return self.fingerprint[-16:].lower()


def day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"


def of_file(path: Path) -> tuple[Listed, ...]:
    """The keys in a file, none where it has none. Raises: SigningError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            content = stream.read()
    except OSError as error:
        raise SigningError(
            "key-unreadable",
            f"the key file {path} cannot be read: {error.strerror}",
            hint="name an armored key in pipeline.toml under [signing], one that you may read",
        ) from None
    return _shown(path.absolute(), hashlib.sha256(content).digest())


@lru_cache(maxsize=8)  # every job asks for the key that signs
def _shown(path: Path, digest: bytes) -> tuple[Listed, ...]:
    with home.private() as folder:
        words = ["--no-keyring", "--show-keys", str(path)]
        return _read(_gpg(folder, words))


def of_keyring(home_dir: Path, name: str = "") -> tuple[Listed, ...]:
    """The public keys in gpg's keyring, or those of that name."""
    if not home_dir.is_dir():  # gpg would make it
        return ()
    return _read(_gpg(home_dir, ["--list-keys", *([name] if name else [])]))


def _gpg(home_dir: Path, words: list[str]) -> str:
    options = ["--batch", "--no-tty", "--no-autostart", "--no-auto-check-trustdb", "--fixed-list-mode", "--with-colons",
               "--with-keygrip", "--with-sig-list"]  # fmt: skip
    argv = ["gpg", "--homedir", str(home_dir), *options, *words]
    try:
        return command.run(argv, timeout_seconds=_SECONDS, accept=(0, 2)).stdout
    except CommandFailed as error:
        raise SigningError("gpg-failed", error.message, hint="see that gpg works: `gpg --list-keys`") from None


def _read(colons: str) -> tuple[Listed, ...]:
    """Source: GnuPG's doc/DETAILS, "Format of the colon listings"."""
    blocks: list[list[list[str]]] = []
    for row in (line.split(":") for line in colons.splitlines()):
        if row[0] in ("pub", "sec"):
            blocks.append([row])
        elif blocks:
            blocks[-1].append(row)
    return tuple(_key(rows) for rows in blocks)


def _key(rows: list[list[str]]) -> Listed:
    first = rows[0]
    key = Listed(
        algorithm=ALGORITHMS.get(int(first[3]), f"algorithm {first[3]}"),
        bits=int(first[2]),
        expires_seconds=int(first[6] or 0),
        validity=first[1],
        has_secret=first[0] == "sec",
        may="".join(filter(str.islower, first[11])),
    )
    part: Listed | Subkey = key
    for row in rows:
        if row[0] in ("sub", "ssb"):
            part = Subkey(may="" if row[1] in ("r", "e") else row[11])
            key.subkeys.append(part)
        elif row[0] == "fpr":
            part.fingerprint = row[9]
        elif row[0] == "grp" and part is key:
            key.keygrip = row[9]
    key.uid = next((row[9].replace("\\x3a", ":") for row in rows if row[0] == "uid"), "")
    key.own_digest = _own_digest(rows, key)
    return key


def _own_digest(rows: list[list[str]], key: Listed) -> str:
    """What the key's newest signature on one of its own names is made with; empty where there is none."""
    own = [row for row in rows if row[0] == "sig" and row[4].lower() == key.key_id and row[10][:2] in _ON_NAMES]
    newest = max(own, key=lambda row: int(row[5] or 0), default=None)
    return DIGESTS.get(int(newest[15] or 0), "") if newest and len(newest) > 15 else ""
