# SPDX-License-Identifier: GPL-2.0-or-later
"""The key, open: an agent has it while the block lasts, and nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.errors import SigningError
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.signing import agent, choice, gpg, home
from pipeline.signing.choice import Chosen

_THROWAWAY_NAME = "THROWAWAY key for trying, trust it nowhere"
_THROWAWAY_BITS = 3072
_THROWAWAY_YEARS = 5
_TRIAL = b"whether this key signs\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An open key; `public_key` is armored. `work_dir` is a short, private folder for what signing needs."""

    fingerprint: str
    home_dir: Path
    work_dir: Path
    public_key: str
    expires_seconds: int
    options: tuple[str, ...]


@contextmanager
def opened(settings: Settings, progress: Progress, *, target_name: str) -> Iterator[Key]:
    """The key that signs what goes to this target's mirror. Raises: SigningError."""
    chosen = choice.of(settings, target_name)
    if chosen.kind == "throwaway":
        if chosen.listed is None:
            _make_throwaway(chosen.path)
            chosen = choice.of(settings, target_name)
        progress.note_once(
            f"signed with a key for trying, {chosen.path}: hosts should trust none but a key of your own"
        )
    with open_key(chosen) as key:
        yield key


@contextmanager
def open_key(chosen: Chosen) -> Iterator[Key]:
    """A chosen key, seen to sign. Raises: SigningError."""
    assert chosen.listed is not None
    fingerprint = chosen.listed.fingerprint
    private = chosen.kind != "keyring"
    with home.private() as work_dir:
        home_dir = _empty_home(work_dir) if private else home.reachable(chosen.path, work_dir)
        options = _options(chosen, work_dir)
        with agent.running(home_dir, work_dir, private=private):
            if private:
                gpg.import_keys(home_dir, chosen.path.read_bytes())
            _try(chosen, home_dir, options)
            yield Key(
                fingerprint=fingerprint,
                home_dir=home_dir,
                work_dir=work_dir,
                public_key=gpg.public_key(home_dir, fingerprint),
                expires_seconds=chosen.listed.expires_seconds,
                options=options,
            )


@contextmanager
def new_home() -> Iterator[Path]:
    """An empty gpg home with an agent, for a key that is made."""
    with home.private() as work_dir:
        home_dir = _empty_home(work_dir)
        with agent.running(home_dir, work_dir, private=True):
            yield home_dir


def _empty_home(work_dir: Path) -> Path:
    home_dir = work_dir / "gnupg"
    home_dir.mkdir(mode=0o700)
    return home_dir


def _options(chosen: Chosen, work_dir: Path) -> tuple[str, ...]:
    """gpg's words for where the passphrase comes from: nobody can be asked for one of a key file."""
    if chosen.passphrase_path:
        link = work_dir / "passphrase"  # a path without spaces, for rpm takes the words apart
        link.symlink_to(chosen.passphrase_path.absolute())
        return ("--pinentry-mode", "loopback", "--passphrase-file", str(link))
    return () if chosen.kind == "keyring" else ("--pinentry-mode", "error")


def _try(chosen: Chosen, home_dir: Path, options: tuple[str, ...]) -> None:
    try:
        gpg.sign(home_dir, chosen.fingerprint, _TRIAL, options)
    except ValueError as error:
        name = f"the signing key {chosen.fingerprint} ({chosen.where})"
        if chosen.passphrase_path:
            raise SigningError(
                "passphrase",
                f"{name} does not sign with the passphrase in {chosen.passphrase_path}: {error}",
                hint="correct what is in that file: the passphrase in its first line, and nothing else",
            ) from None
        raise SigningError(
            "key-closed",
            f"{name} does not sign: {error}",
            hint="if it has a passphrase, name a file with it in pipeline.toml: [signing] passphrase_file",
        ) from None


def _make_throwaway(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    with new_home() as home_dir:
        fingerprint = gpg.make(home_dir, name=_THROWAWAY_NAME, mail="throwaway@localhost", bits=_THROWAWAY_BITS,
                               years=_THROWAWAY_YEARS, passphrase="")  # fmt: skip
        files.write_whole(path, gpg.secret_key(home_dir, fingerprint, ()))
    path.chmod(0o600)
