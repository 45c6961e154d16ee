# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys that a repository tells its readers to trust, and those that it should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.audit.findings import Finding, finding
from pipeline.errors import SigningError
from pipeline.hidden import absolute
from pipeline.mirrors import layout
from pipeline.settings import Settings
from pipeline.signing import choice, fitness, listing
from pipeline.signing.listing import Listed

_BEGIN = b"-----BEGIN PGP "
_PRIVATE = _BEGIN + b"PRIVATE"
_SUBJECT = f"{layout.REPODATA}/{layout.KEYS}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The fingerprints of `[signing]`: the key that signs, empty for none, and all that hosts shall trust.

    The key itself need not be here: who looks at a mirror does not sign. `unknown` says what could not be found out.
    """

    fingerprint: str = ""
    trusted: frozenset[str] = frozenset()
    unknown: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """The keys of a `keys.asc`, a file of its own for each; `paths` are those of the keys to verify with."""

    keys: tuple[Listed, ...] = ()
    paths: tuple[Path, ...] = ()
    has_secret: bool = False

    @property
    def expired(self) -> frozenset[str]:
        return frozenset(key.key_id for key in self.keys if fitness.expired(key, time.time()))


def expected(settings: Settings) -> Expected:
    """What the configuration says, as far as it can be read here."""
    try:
        fingerprint = _configured(settings)
        former = {listed.fingerprint for _, listed in choice.former(settings)}
    except SigningError as error:
        return Expected(unknown=error.message)
    return Expected(fingerprint=fingerprint, trusted=frozenset({fingerprint, *former} if fingerprint else ()))


def _configured(settings: Settings) -> str:
    if settings.signing.key or not settings.signing.key_file:
        return settings.signing.key.upper()
    listed = listing.of_file(absolute(settings, settings.signing.key_file))
    return listed[0].fingerprint if listed else ""


def read(content: bytes, wanted: Expected, into_dir: Path) -> Ring:
    """The keys in a `keys.asc`; what is no key is left out."""
    blocks = [_BEGIN + block for block in content.split(_BEGIN)[1:]]
    into_dir.mkdir(parents=True, exist_ok=True)
    keys: list[Listed] = []
    paths: list[Path] = []
    for number, block in enumerate(block for block in blocks if not block.startswith(_PRIVATE)):
        path = into_dir / f"{number}.asc"
        path.write_bytes(block)
        listed = listing.of_file(path)
        keys.extend(listed)
        if listed and (not wanted.fingerprint or all(key.fingerprint in wanted.trusted for key in listed)):
            paths.append(path)
    return Ring(keys=tuple(keys), paths=tuple(paths), has_secret=any(block.startswith(_PRIVATE) for block in blocks))


def look(ring: Ring, wanted: Expected, *, is_there: bool) -> Iterator[Finding]:
    """What is wrong with the keys that readers are given."""
    if ring.has_secret:
        yield finding("key-secret", _SUBJECT, "it has a secret key, with which anybody can now sign")
    if not ring.keys:
        why = "it has no key" if is_there else "it is not there"
        yield finding("keys-missing", _SUBJECT, f"{why}, so readers have nothing to verify with")
        return
    for key in ring.keys:
        yield from _of_key(key, wanted)
    if wanted.fingerprint and wanted.fingerprint not in {key.fingerprint for key in ring.keys}:
        yield finding(
            "key-absent", wanted.fingerprint, f"{_SUBJECT} lacks the configured key: hosts could not verify with it"
        )


def _of_key(key: Listed, wanted: Expected) -> Iterator[Finding]:
    now_seconds = time.time()
    if wanted.fingerprint and key.fingerprint not in wanted.trusted:
        yield finding("key-foreign", key.fingerprint, f"{_SUBJECT} has it, and it is none of the configured keys")
        return
    for problem in fitness.problems(key):
        yield finding("key-unfit", key.fingerprint, f"the key, of {_SUBJECT}, is not fit for rpm 4.8: {problem}")
    if fitness.expired(key, now_seconds):
        yield finding("key-expired", key.fingerprint, f"the key, of {_SUBJECT}, expired on {key.expiry}")
    elif fitness.warning(key, now_seconds):
        days = int((key.expires_seconds - now_seconds) // 86400)
        yield finding(
            "key-expiring", key.fingerprint, f"the key, of {_SUBJECT}, expires on {key.expiry}, in {days} days"
        )
