# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of every kind, made by gpg itself, and packages signed with them by rpmsign itself."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

LONG_AGO = "20200101T000000"


def agents_left(*folders: Path) -> list[str]:
    """Those of them that do not end: each looks twice a second whether it is still needed."""
    deadline = time.monotonic() + 10
    while agents_of(*folders) and time.monotonic() < deadline:
        time.sleep(0.05)
    return agents_of(*folders)


@dataclass(frozen=True)
class Home:
    """A gpg home at a short path; its agent ends with the block."""

    dir: Path

    def gpg(self, *words: str, stdin: str = "", passphrase: str = "") -> str:
        argv = ["gpg", "--homedir", str(self.dir), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback",
                "--passphrase", passphrase, *words]  # fmt: skip
        return subprocess.run(argv, check=True, capture_output=True, text=True, input=stdin).stdout

    def make(self, kind: str, usage: str = "sign", *words: str, expires: str = "2y", passphrase: str = "") -> str:
        """The fingerprint of a new key."""
        name = f"Test {kind} {len(self.fingerprints())} <test@example.org>"
        self.gpg(*words, "--quick-gen-key", name, kind, usage, expires, passphrase=passphrase)
        return self.fingerprints()[-1]

    def fingerprints(self) -> list[str]:
        rows = [line.split(":") for line in self.gpg("--list-keys", "--with-colons").splitlines()]
        return [row[9] for before, row in pairwise(rows) if before[0] == "pub" and row[0] == "fpr"]

    def public(self, path: Path, *fingerprints: str) -> Path:
        path.write_text(self.gpg("--armor", "--export", *fingerprints))
        return path

    def secret(self, path: Path, *fingerprints: str, passphrase: str = "") -> Path:
        path.write_text(self.gpg("--armor", "--export-secret-keys", *fingerprints, passphrase=passphrase))
        path.chmod(0o600)
        return path

    def rpmsign(self, path: Path, name: str, *words: str, digest: str = "sha256", extra: str = "") -> Path:
        macros = {"__gpg": shutil.which("gpg"), "_gpg_path": self.dir, "_gpg_name": name, "_gpg_digest_algo": digest,
                  "_gpg_sign_cmd_extra_args": f"--batch --pinentry-mode loopback {extra}"}  # fmt: skip
        defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
        subprocess.run(["rpmsign", "--addsign", *words, *defines, str(path)], check=True, capture_output=True)
        return path


def homes() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="keys-"))
    try:
        yield Home(folder)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "all"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def agents_of(*folders: Path) -> list[str]:
    """The command lines of the agents that run for homes below these folders."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        text = " ".join(word.decode(errors="replace") for word in words)
        if words[0].endswith(b"gpg-agent") and any(f"{folder}" in text for folder in folders):
            found.append(text)
    return found


@dataclass(frozen=True)
class Keys:
    """One key of each kind, made when it is first asked for."""

    home: Home

    @cached_property
    def good(self) -> str:
        return self.home.make("rsa2048")

    @cached_property
    def other(self) -> str:
        return self.home.make("rsa2048")

    @cached_property
    def small(self) -> str:
        return self.home.make("rsa1024")

    @cached_property
    def dsa(self) -> str:
        return self.home.make("dsa2048")

    @cached_property
    def ed25519(self) -> str:
        return self.home.make("ed25519")

    @cached_property
    def sha1(self) -> str:
        return self.home.make("rsa2048", "sign", "--cert-digest-algo", "SHA1")

    @cached_property
    def expired(self) -> str:
        return self.home.make("rsa2048", "sign", "--faked-system-time", LONG_AGO, expires="10d")

    @cached_property
    def with_subkey(self) -> str:
        """Its primary key certifies alone; a subkey signs."""
        fingerprint = self.home.make("rsa2048", "cert")
        self.home.gpg("--quick-add-key", fingerprint, "rsa2048", "sign", "2y")
        return fingerprint

    @cached_property
    def protected(self) -> str:
        return self.home.make("rsa2048", passphrase="right words")
