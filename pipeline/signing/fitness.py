# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a key is one that rpm 4.8 can verify with, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import SigningError
from pipeline.signing.listing import Listed, day

_SMALLEST_BITS = 2048
_WARN_SECONDS = 60 * 24 * 3600
_OLD_DIGESTS = ("MD5", "SHA-1", "RIPEMD-160")
MAKE = "make one that is fit: `.venv/bin/nox -s key -- --make 'Name <mail>'`"


def problems(key: Listed) -> Iterator[str]:
    """What is against it, whatever the time. Source: seen with rpm 4.8 of CentOS 6."""
    if key.algorithm != "RSA":
        yield f"it is {key.kind}, and rpm 4.8 knows RSA alone"
        return
    if key.bits < _SMALLEST_BITS:
        yield f"it has {key.bits} bits, and fewer than {_SMALLEST_BITS} are no protection"
    if key.validity in ("r", "d"):
        yield "it is revoked" if key.validity == "r" else "it is disabled"
    elif "s" not in key.may:
        signing = next((subkey for subkey in key.subkeys if "s" in subkey.may), None)
        by = f"a subkey signs ({signing.key_id})" if signing else "it does not sign"
        yield f"{by}, and rpm 4.8 verifies with the primary key alone"
    if key.own_digest in _OLD_DIGESTS:
        yield f"its own signature is made with {key.own_digest}"


def expired(key: Listed, now_seconds: float) -> bool:
    return key.validity == "e" or 0 < key.expires_seconds <= now_seconds


def warning(key: Listed, now_seconds: float) -> str:
    """What is to be told of a key that is fit; empty for nothing."""
    if not key.expires_seconds or key.expires_seconds - now_seconds > _WARN_SECONDS:
        return ""
    days = int((key.expires_seconds - now_seconds) // 86400)
    return (
        f"the signing key {key.fingerprint} expires on {day(key.expires_seconds)}, in {days} days:"
        " `.venv/bin/nox -s key -- --rotate` makes the next"
    )


def refuse(key: Listed, where: str, now_seconds: float) -> None:
    """Raises: SigningError when nothing should be signed with it."""
    if expired(key, now_seconds):
        raise SigningError(
            "key-expired",
            f"the signing key {key.fingerprint} ({where}) expired on {key.expiry}",
            hint="make the next one: `.venv/bin/nox -s key -- --rotate`",
        )
    for problem in problems(key):
        raise SigningError("key-unfit", f"the signing key {key.fingerprint} ({where}) is not fit: {problem}", hint=MAKE)
