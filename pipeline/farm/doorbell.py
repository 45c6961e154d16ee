# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a scheduler answers at an address and speaks as the settings say, told in one sentence."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import FarmError, SettingsError
from pipeline.settings import Settings
from pipeline.settingtables import FarmSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Papers:
    """The files by which the machines of a farm know each other."""

    ca_path: Path
    cert_path: Path
    key_path: Path


def papers(settings: Settings) -> Papers | None:
    """The TLS files, seen from the checkout; `None` without TLS. Raises: SettingsError for what cannot be read."""
    farm = settings.farm
    if not farm.address:
        raise SettingsError(
            "farm-unset", "pipeline.toml names no farm", hint="write [farm] with address, TLS files and store"
        )
    if farm.address.startswith("tcp://"):
        return None
    named = (farm.tls_ca_file, farm.tls_cert_file, farm.tls_key_file)
    ca_path, cert_path, key_path = (settings.root_dir / Path(text).expanduser() for text in named)
    found = Papers(ca_path=ca_path, cert_path=cert_path, key_path=key_path)
    _context(found)
    return found


def ring(farm: FarmSettings, found: Papers | None) -> None:
    """Raises: FarmError when no scheduler answers there, or none that these files are for."""
    place = urlsplit(farm.address)
    try:
        with socket.create_connection((place.hostname, place.port or 0), timeout=farm.connect_seconds) as plain:
            if found is None:
                _hear(plain, farm)
                return
            with _context(found).wrap_socket(plain, server_hostname=place.hostname) as secure:
                _hear(secure, farm)
    except ssl.SSLError as error:
        raise _tls_error(error, farm) from error
    except OSError as error:
        why = "it does not answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise FarmError(
            "no-scheduler",
            f"no scheduler can be reached at {farm.address}: {why}",
            hint="start it as docs/farm.md says, correct [farm] address, or leave out --executor dask",
        ) from error


def _hear(stream: socket.socket, farm: FarmSettings) -> None:
    """A scheduler speaks first; in TLS 1.3 a refusal of our certificate comes here as well."""
    try:
        heard = stream.recv(1)
    except TimeoutError:
        heard = b""
    if not heard:
        raise FarmError(
            "no-scheduler",
            f"what listens at {farm.address} does not speak as a scheduler does",
            hint="it may want TLS: write tls:// and its files, or correct [farm] address",
        )


def _context(found: Papers) -> ssl.SSLContext:
    """As dask makes it: any name will do, of the farm's CA. Raises: SettingsError."""
    try:
        context = ssl.create_default_context(cafile=str(found.ca_path))
        context.check_hostname = False
        context.load_cert_chain(found.cert_path, found.key_path)
    except (OSError, ssl.SSLError) as error:
        wrong = next((path for path in (found.ca_path, found.cert_path, found.key_path) if not path.is_file()), None)
        raise SettingsError(
            "farm-tls",
            f"farm: {wrong} is not there" if wrong else f"farm: the TLS files do not fit together: {error}",
            hint="correct tls_ca_file, tls_cert_file and tls_key_file in pipeline.toml; docs/farm.md says how",
        ) from error
    return context


def _tls_error(error: ssl.SSLError, farm: FarmSettings) -> FarmError:
    if isinstance(error, ssl.SSLCertVerificationError):
        why, hint = "its certificate is not of our CA", "give all machines of the farm certificates of one CA"
    elif "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error):
        why, hint = "it does not speak TLS", "start it with TLS, as docs/farm.md says: without, anybody can run code"
    else:
        why, hint = (
            "it refuses our certificate",
            "give this machine a certificate of the farm's CA, and look at its dates",
        )
    return FarmError(
        "farm-tls", f"the scheduler at {farm.address} cannot be trusted: {why}", hint=f"{hint} ({error.reason})"
    )
