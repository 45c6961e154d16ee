# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys made, exported and followed by the next: what `nox -s key` does, and what it says of the key that there is."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import SigningError, UsageError
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import agent, choice, fitness, gpg, home, keyring, listing
from pipeline.signing.choice import Chosen
from pipeline.signing.listing import Listed

_BITS = 4096
_NAME = re.compile(r"(?P<name>[^<>\n]{5,}) <(?P<mail>[^<>\s@]+@[^<>\s@]+)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A key to make: without `key_path` it goes to gpg's keyring, without `passphrase_path` it is not protected."""

    name: str
    mail: str
    years: int = 5
    bits: int = _BITS
    key_path: Path | None = None
    passphrase_path: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A new key; `settings_text` are the lines for pipeline.toml."""

    listed: Listed
    where: str
    revocation_path: Path
    settings_text: str


def read_name(text: str) -> tuple[str, str]:
    """Name and mail. Raises: UsageError."""
    found = _NAME.fullmatch(text)
    if not found or found["name"][0].isdigit():
        raise UsageError(
            "key-name",
            f"'{text}' is no name for a key",
            hint="write 'Name <mail>', the name of at least five letters, the first no digit",
        )
    return found["name"], found["mail"]


def make(wish: Wish, settings: Settings) -> Made:
    """A key fit for rpm 4.8, and its revocation certificate beside it. Raises: SigningError, UsageError."""
    if wish.key_path and wish.key_path.exists():
        raise _in_the_way(wish.key_path)
    passphrase = _first_line(wish.passphrase_path) if wish.passphrase_path else ""
    with _home_for(wish) as home_dir:
        fingerprint = gpg.make(
            home_dir, name=wish.name, mail=wish.mail, bits=wish.bits, years=wish.years, passphrase=passphrase
        )
        certificate = home_dir / "openpgp-revocs.d" / f"{fingerprint}.rev"
        listed = listing.of_keyring(home_dir, fingerprint)[0]
        if wish.key_path:
            options = _loopback(wish.passphrase_path) if wish.passphrase_path else ()
            _write_secret(wish.key_path, gpg.secret_key(home_dir, fingerprint, options))
            kept = wish.key_path.with_name(f"{wish.key_path.name}.rev")
            _write_secret(kept, certificate.read_text(encoding="utf-8"))
        else:
            kept = home.default() / "openpgp-revocs.d" / certificate.name
    where = str(wish.key_path) if wish.key_path else f"gpg's keyring in {home.default()}"
    return Made(
        listed=listed, where=where, revocation_path=kept, settings_text=_settings_text(wish, fingerprint, settings, ())
    )


def rotate(wish: Wish, settings: Settings) -> Made:
    """The next key; the former's public one is kept below the checkout, to be published beside it.

    Raises: SigningError when there is no former one.
    """
    former = choice.configured(settings)
    if former is None or former.listed is None:
        raise SigningError("no-key", "there is no key in [signing] that another could follow", hint=fitness.MAKE)
    public_path = settings.root_dir / "keys" / f"{former.fingerprint}.asc"
    text = exported(former)
    made = make(wish, settings)
    files.write_whole(public_path, text)
    names = (f"keys/{public_path.name}", *settings.signing.former_keys)
    return Made(
        listed=made.listed,
        where=made.where,
        revocation_path=made.revocation_path,
        settings_text=_settings_text(wish, made.listed.fingerprint, settings, names),
    )


def wish_to_follow(settings: Settings, years: int, key_path: Path | None, passphrase_path: Path | None) -> Wish:
    """A key named as the configured one. Raises: SigningError, UsageError."""
    former = choice.configured(settings)
    if former is None or former.listed is None:
        raise SigningError("no-key", "there is no key in [signing] that another could follow", hint=fitness.MAKE)
    if former.kind == "file" and key_path is None:
        raise UsageError("key-file", "the key is in a file, so the next one needs another", hint="add --key-file FILE")
    name, mail = read_name(former.listed.uid)
    return Wish(name=name, mail=mail, years=years, key_path=key_path,
                passphrase_path=passphrase_path or former.passphrase_path)  # fmt: skip


def exported(chosen: Chosen) -> str:
    """The armored public key that hosts are given, the primary key alone. Raises: SigningError."""
    with home.private() as work_dir:
        if chosen.kind == "keyring":
            return gpg.public_key(chosen.path, chosen.fingerprint)
        home_dir = work_dir / "gnupg"
        home_dir.mkdir(mode=0o700)
        with agent.running(home_dir, work_dir, private=True):
            gpg.import_keys(home_dir, chosen.path.read_bytes())
            return gpg.public_key(home_dir, chosen.fingerprint)


def tell(chosen: Chosen, progress: Progress) -> None:
    """Fingerprint, kind, expiry, where it is, and whether rpm 4.8 can use it."""
    listed = chosen.listed
    if listed is None:
        progress.heading(f"no key yet; one for trying will be made: {chosen.path}")
        return
    progress.heading(f"{listed.fingerprint}  {listed.uid}")
    progress.note(f"{listed.kind}, expires: {listed.expiry}; {chosen.where}")
    against = _against(listed)
    progress.note(f"not fit: {'; '.join(against)}" if against else "fit for rpm 4.8")
    soon = "" if against else fitness.warning(listed, time.time())
    if soon and chosen.kind != "throwaway":
        progress.warning(soon)


def tell_made(made: Made, progress: Progress, *, protected: bool) -> None:
    progress.heading(f"made {made.listed.fingerprint}  {made.listed.kind}, expires: {made.listed.expiry}; {made.where}")
    progress.warning(
        f"store the revocation certificate elsewhere, and safely: {made.revocation_path}; whoever has it ends the key,"
        " and without it nobody can when the key is lost"
    )
    if not protected:
        progress.note("it has no passphrase: whoever reads it signs with it (--passphrase-file FILE protects it)")
    progress.heading("put this into pipeline.toml, in place of a [signing] that is there:")
    for line in made.settings_text.splitlines():
        progress.heading(f"    {line}")


def failure(chosen: Chosen) -> SigningError | None:
    """Why the key is none to sign with; None if it is."""
    try:
        if chosen.listed:
            fitness.refuse(chosen.listed, chosen.where, time.time())
    except SigningError as error:
        return error
    return None


def document(chosen: Chosen | None, made: Made | None = None) -> dict[str, Any]:
    """The document of `--json`; `error` is for the caller to fill, where the key is none to sign with."""
    listed = made.listed if made else chosen.listed if chosen else None
    where = made.where if made else chosen.where if chosen else ""
    against = _against(listed) if listed else []
    return {
        "status": "failed" if against else "ok",
        "key": {
            "fingerprint": listed.fingerprint,
            "name": listed.uid,
            "kind": listed.kind,
            "expires": listed.expires_seconds,
            "where": where,
            "throwaway": bool(chosen and chosen.kind == "throwaway"),
            "problems": against,
        }
        if listed
        else None,
        "settings": made.settings_text if made else "",
        "revocation": str(made.revocation_path) if made else "",
        "error": None,
    }


def _against(listed: Listed) -> list[str]:
    over = [f"it expired on {listed.expiry}"] if fitness.expired(listed, time.time()) else []
    return [*over, *fitness.problems(listed)]


@contextmanager
def _home_for(wish: Wish) -> Iterator[Path]:
    if wish.key_path:
        with keyring.new_home() as home_dir:
            yield home_dir
        return
    default_dir = home.default()
    default_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with home.private() as work_dir:
        home_dir = home.reachable(default_dir, work_dir)
        with agent.running(home_dir, work_dir, private=False):
            yield home_dir


def _loopback(passphrase_path: Path) -> tuple[str, ...]:
    return ("--pinentry-mode", "loopback", "--passphrase-file", str(passphrase_path.absolute()))


def _first_line(path: Path) -> str:
    """As gpg reads it. Raises: UsageError."""
    try:
        line = path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError as error:
        raise UsageError("passphrase-file", f"{path} cannot be read: {error.strerror}", hint="mend it") from None
    if not line:
        raise UsageError("passphrase-file", f"the first line of {path} is empty", hint="write the passphrase there")
    return line


def _write_secret(path: Path, text: str) -> None:
    """Raises: SigningError when something is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise _in_the_way(path) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _in_the_way(path: Path) -> SigningError:
    return SigningError("key-file-there", f"{path} is there already", hint="name another file: no key is overwritten")


def _settings_text(wish: Wish, fingerprint: str, settings: Settings, former: tuple[str, ...]) -> str:
    lines = ["[signing]"]
    if wish.key_path:
        lines.append(f"key_file = {_named(wish.key_path, settings)}")
    else:
        lines.append(f'key = "{fingerprint}"')
    if wish.passphrase_path:
        lines.append(f"passphrase_file = {_named(wish.passphrase_path, settings)}")
    if former:
        lines.append(f"former_keys = {json.dumps(list(former))}")
    return "\n".join(lines) + "\n"


def _named(path: Path, settings: Settings) -> str:
    """A path as TOML has it, which takes JSON's strings."""
    path = path.absolute()
    return json.dumps(str(path.relative_to(settings.root_dir) if path.is_relative_to(settings.root_dir) else path))
