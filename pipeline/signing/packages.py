# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages signed as rpm 4.8 needs it, and seen to be: by rpm itself, with no key at hand but those to trust."""

from __future__ import annotations

import hashlib
import re
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import command
from pipeline.errors import CommandFailed, SigningError
from pipeline.signing import home, listing
from pipeline.signing.keyring import Key
from pipeline.signing.listing import Listed

_SECONDS = 1800
# Source: rpm's rpmts.h: all RPMVSF_NO… bits; the digests are rpmkeys' work.
_NO_CHECKS = -1
# Over the header alone, over header and payload; RSA in the first pair, DSA and EdDSA in the second.
_RSA_TAGS = ("RSAHEADER", "SIGPGP")
_OTHER_TAGS = ("DSAHEADER", "SIGGPG")
_SIGNATURE = re.compile(r"(?P<algorithm>\w+)/(?P<digest>\w+), .*, Key ID (?P<key_id>[0-9a-f]+)")
_LEAD_BYTES = 96
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
# How what `problems` says of a whole package begins.
NOT_SIGNED = "it is not signed"
BY_ANOTHER_KEY = "it is signed by another key"
_HINT = "take it out, or sign it anew from the package that was built: `.venv/bin/nox -s sign`"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trust:
    """The keys to trust, by the last 16 digits of their primary key, and those of subkeys."""

    keys: dict[str, Listed]
    subkeys: dict[str, Listed]


def sign(paths: Sequence[Path], key: Key, *, log_path: Path | None = None) -> None:
    """Sign packages in place: give it copies. Header, and header with payload. Raises: SigningError.

    Source: rpmsign(8), --rpmv3; without it a package of a later rpm gets no signature over the payload.
    """
    if not paths:
        return
    macros = {
        "__gpg": command.path_of("gpg"),
        "_gpg_path": str(key.home_dir),
        "_gpg_name": f"{key.fingerprint}!",  # this very key, and no subkey of it
        "_gpg_digest_algo": "sha256",
        "_tmppath": str(key.work_dir),
        "_gpg_sign_cmd_extra_args": " ".join(("--batch --no-tty --no-autostart", *key.options)),
    }
    try:
        command.run(
            ["rpmsign", "--addsign", "--rpmv3", *_defines(macros), *map(str, paths)],
            timeout_seconds=_SECONDS,
            log_path=log_path,
        )
    except CommandFailed as error:
        raise SigningError(
            "not-signed", f"rpmsign does not sign: {error.message}", hint="see the log", log_path=log_path
        ) from None


def verify(paths: Sequence[Path], public_key_paths: Sequence[Path], *, log_path: Path | None = None) -> None:
    """Raises: SigningError that names the first package that does not hold, and why."""
    wrong = problems(paths, public_key_paths, log_path=log_path)
    if wrong:
        path, problem = next(iter(wrong.items()))
        more = f", and {len(wrong) - 1} more do not hold" if len(wrong) > 1 else ""
        raise SigningError("package-not-verified", f"{path.name}: {problem}{more}", hint=_HINT, log_path=log_path)


def problems(
    paths: Sequence[Path], public_key_paths: Sequence[Path], *, log_path: Path | None = None
) -> dict[Path, str]:
    """What is wrong with each package that does not hold, in order; empty when all do."""
    trust = _trust(public_key_paths)
    failed = _refused_by_rpm(paths, public_key_paths, log_path)
    told = {path: _fault(path, trust, time.time()) or failed.get(path, "") for path in paths}
    return {path: problem for path, problem in told.items() if problem}


def content_digest(path: Path) -> str:
    """The sha256 of header and payload, all that is behind the signatures: signing leaves it as it is.

    Raises: SigningError when it is no RPM. Source: rpm's "Package format": lead, signature header to a multiple of 8.
    """
    with path.open("rb") as stream:
        start = stream.read(_LEAD_BYTES + 16)
        if len(start) < _LEAD_BYTES + 16 or start[_LEAD_BYTES : _LEAD_BYTES + 4] != _HEADER_MAGIC:
            raise SigningError("no-rpm", f"{path.name} is no RPM", hint=_HINT)
        entries, size_bytes = struct.unpack(">II", start[_LEAD_BYTES + 8 :])
        end = 16 + 16 * entries + size_bytes
        stream.seek(_LEAD_BYTES + end + -end % 8)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return digest


def _fault(path: Path, trust: _Trust, now_seconds: float) -> str:
    """What its signatures are not, before anything is computed; empty when they are as they should be."""
    try:
        header = _header(path)
    except (ValueError, OSError) as error:
        return f"it is no RPM, or cut short: {error}"
    rsa = [_SIGNATURE.search(header.format(f"%{{{tag}:pgpsig}}")) for tag in _RSA_TAGS]
    other = [_SIGNATURE.search(header.format(f"%{{{tag}:pgpsig}}")) for tag in _OTHER_TAGS]
    if not any((*rsa, *other)):
        return NOT_SIGNED
    for found in filter(None, (*rsa, *other)):
        problem = _of_signature(found, trust, now_seconds)
        if problem:
            return problem
    if rsa[1] is None:
        return "only its header is signed, and rpm 4.8 would take any payload with it"
    return "" if rsa[0] else "its header is not signed by itself"


def _of_signature(found: re.Match[str], trust: _Trust, now_seconds: float) -> str:
    key_id = found["key_id"]
    if key_id in trust.subkeys:
        return f"it is signed by {key_id}, a subkey of {trust.subkeys[key_id].fingerprint}: rpm 4.8 knows no subkeys"
    if key_id not in trust.keys:
        return f"{BY_ANOTHER_KEY}, {key_id} (to trust: {', '.join(trust.keys) or 'none'})"
    if found["algorithm"] != "RSA" or found["digest"] != "SHA256":
        return f"its signature is {found['algorithm']}/{found['digest']}, where rpm 4.8 needs RSA/SHA256"
    key = trust.keys[key_id]
    if key.validity == "r":
        return f"the key {key.fingerprint} that signed it is revoked"
    if 0 < key.expires_seconds <= now_seconds:
        return f"the key {key.fingerprint} that signed it expired on {key.expiry}"
    return ""


def _header(path: Path) -> Any:
    """The package's header with its signatures. Raises: ValueError."""
    import rpm  # loads the system's binding: late, it is slow

    transaction = rpm.TransactionSet()
    transaction.setVSFlags(_NO_CHECKS)
    with path.open("rb") as stream:
        try:
            return transaction.hdrFromFdno(stream)
        except rpm.error as error:
            raise ValueError(str(error)) from None


def _refused_by_rpm(paths: Sequence[Path], public_key_paths: Sequence[Path], log_path: Path | None) -> dict[Path, str]:
    """What rpm says of each package that it refuses, with a database that has these keys alone."""
    if not paths:
        return {}
    with home.private() as folder:
        macros = {"_dbpath": str(folder / "db"), "_pkgverify_level": "all", "_keyring": "rpmdb"}
        rpmkeys = ["rpmkeys", *_defines(macros)]
        if public_key_paths:
            command.run([*rpmkeys, "--import", *map(str, public_key_paths)], timeout_seconds=_SECONDS)
        check = [*rpmkeys, "--checksig", "--verbose", *(str(path.absolute()) for path in paths)]
        said = command.run(check, timeout_seconds=_SECONDS, log_path=log_path, accept=range(256))
    return dict(_refused(paths, said.stdout, said.stderr if said.exit_code else ""))


def _refused(paths: Sequence[Path], stdout: str, stderr: str) -> Iterator[tuple[Path, str]]:
    """Each package's lines follow the one with its name. A package that rpm says nothing of does not hold."""
    said: dict[str, list[str]] = {f"{path.absolute()}:": [] for path in paths}
    seen: set[str] = set()
    current: list[str] = []
    for line in stdout.splitlines():
        if line in said:
            seen.add(line)
            current = said[line]
        elif line.strip():
            current.append(line.strip())
    for path in paths:
        name = f"{path.absolute()}:"
        bad = [line for line in said[name] if not line.endswith(": OK")]
        if bad or name not in seen or not said[name]:
            errors = [line.strip() for line in stderr.splitlines() if str(path) in line]
            yield path, f"it was changed or cut short ({(bad or errors or ['rpm cannot read it'])[0]})"


def _trust(public_key_paths: Sequence[Path]) -> _Trust:
    keys = [key for path in public_key_paths for key in listing.of_file(path)]
    return _Trust(
        keys={key.key_id: key for key in keys},
        subkeys={subkey.key_id: key for key in keys for subkey in key.subkeys},
    )


def _defines(macros: dict[str, str]) -> Iterator[str]:
    for name, value in macros.items():
        yield from ("--define", f"{name} {value}")
