# SPDX-License-Identifier: GPL-2.0-or-later
"""Which key signs: the configured one, or, where nothing leaves the out directory, one for trying.

No agent is needed to find out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import SigningError
from pipeline.hidden import absolute, throwaway_dir
from pipeline.model import Job
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import fitness, home, listing
from pipeline.signing.listing import Listed

_THROWAWAY = "secret.asc"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Where the key is; `listed` is None for a throwaway key that is still to be made."""

    kind: Literal["keyring", "file", "throwaway"]
    path: Path
    listed: Listed | None
    passphrase_path: Path | None = None

    @property
    def where(self) -> str:
        return f"gpg's keyring in {self.path}" if self.kind == "keyring" else str(self.path)

    @property
    def fingerprint(self) -> str:
        return self.listed.fingerprint if self.listed else ""


def of(settings: Settings, target_name: str) -> Chosen:
    """The key for a target. Raises: SigningError when there is none, or it is not one to sign with."""
    chosen = configured(settings) or _throwaway(settings, target_name)
    if chosen.listed:
        fitness.refuse(chosen.listed, chosen.where, time.time())
    return chosen


def configured(settings: Settings) -> Chosen | None:
    """The key of `[signing]`, fit or not. Raises: SigningError when it is not there."""
    signing = settings.signing
    passphrase_path = _passphrase(settings)
    if signing.key_file:
        path = absolute(settings, signing.key_file)
        return Chosen(kind="file", path=path, listed=_in_file(path, signing.key), passphrase_path=passphrase_path)
    if signing.key:
        path = home.default()
        return Chosen(kind="keyring", path=path, listed=_in_keyring(path, signing.key), passphrase_path=passphrase_path)
    return None


def refusal(settings: Settings, jobs: Iterable[Job], progress: Progress) -> SigningError | None:
    """Why nothing could be signed in the end, found before anything is built; warns of what will be soon."""
    seen: set[str] = set()
    for target in dict.fromkeys(job.target for job in jobs):
        try:
            chosen = of(settings, target)
            former(settings)
        except SigningError as error:
            return error
        soon = fitness.warning(chosen.listed, time.time()) if chosen.listed and chosen.kind != "throwaway" else ""
        if soon and soon not in seen:
            progress.warning(soon)
        seen.add(soon)
    return None


def former(settings: Settings) -> tuple[tuple[Path, Listed], ...]:
    """The keys that hosts shall go on trusting, with their files. Raises: SigningError for what is no such key."""
    return tuple(_former(absolute(settings, text)) for text in settings.signing.former_keys)


def _former(path: Path) -> tuple[Path, Listed]:
    keys = listing.of_file(path)
    if len(keys) != 1 or keys[0].has_secret:
        what = "a secret key" if any(key.has_secret for key in keys) else f"{len(keys) or 'no'} keys"
        raise SigningError(
            "former-key",
            f"{path}, of former_keys, has {what}, where one public key is wanted: it is published",
            hint="export it alone: `gpg --armor --export FINGERPRINT`",
        )
    return path, keys[0]


def _in_file(path: Path, fingerprint: str) -> Listed:
    keys = [key for key in listing.of_file(path) if not fingerprint or key.fingerprint == fingerprint.upper()]
    secret = [key for key in keys if key.has_secret]
    if len(secret) == 1:
        return secret[0]
    if secret:
        raise SigningError(
            "which-key",
            f"the key file {path} has {len(secret)} secret keys",
            hint=f'say which one in [signing]: key = "{secret[0].fingerprint}"',
        )
    what = "only public keys" if keys else f"no key {fingerprint}".rstrip()
    raise SigningError(
        "no-secret-key",
        f"the key file {path} has {what}, so nothing can be signed with it",
        hint="export the secret one: `gpg --armor --export-secret-keys FINGERPRINT`",
    )


def _in_keyring(home_dir: Path, fingerprint: str) -> Listed:
    keys = [key for key in listing.of_keyring(home_dir, fingerprint) if key.fingerprint == fingerprint.upper()]
    if keys and (home_dir / "private-keys-v1.d" / f"{keys[0].keygrip}.key").exists():
        return keys[0]
    lacks = "the secret part of the key" if keys else "no key"
    raise SigningError(
        "no-secret-key",
        f"gpg's keyring in {home_dir} has {'not ' if keys else ''}{lacks} {fingerprint}",
        hint="import it (`gpg --import FILE`), name a key_file under [signing], or correct the fingerprint",
    )


def _passphrase(settings: Settings) -> Path | None:
    if not settings.signing.passphrase_file:
        return None
    path = absolute(settings, settings.signing.passphrase_file)
    try:
        path.read_bytes()
    except OSError as error:
        raise SigningError(
            "passphrase-unreadable",
            f"the passphrase file {path} cannot be read: {error.strerror}",
            hint="correct passphrase_file in pipeline.toml under [signing], or its rights",
        ) from None
    return path


def _throwaway(settings: Settings, target_name: str) -> Chosen:
    if settings.target(target_name).dist != ".demo" and not _stays_here(settings, target_name):
        raise SigningError(
            "no-key",
            f"there is no key to sign {target_name}'s packages with, and its mirror is not below {settings.out_path}",
            hint="make one, `.venv/bin/nox -s key -- --make 'Name <mail>'`, or name yours in pipeline.toml: [signing]",
        )
    path = throwaway_dir(settings) / _THROWAWAY
    listed = _in_file(path, "") if path.exists() else None
    return Chosen(kind="throwaway", path=path, listed=listed)


def _stays_here(settings: Settings, target_name: str) -> bool:
    """Whether each place of the target's mirror is a folder below the out directory."""
    return all(_is_below_out(settings, text) for text in settings.mirror(target_name).destination)


def _is_below_out(settings: Settings, text: str) -> bool:
    if ":" in text.partition("/")[0]:
        return False
    path = Path(text).expanduser()
    if settings.mirror_override and settings.mirror_override not in settings.mirrors:
        path = Path.cwd() / path
    elif path.is_relative_to(settings.out_dir):
        path = settings.out_path / path.relative_to(settings.out_dir)
    return (settings.root_dir / path).resolve().is_relative_to(settings.out_path.resolve())
