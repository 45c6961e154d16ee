# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s key` and `-s sign` as users run them: keys made, told, followed by the next; runs that are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import signing
from tests.integration.checkout import Checkout, Result
from tests.signing import Keys


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    for home in signing.homes():
        yield Keys(home)


@pytest.fixture
def gnupg_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="gnupg-") as name:
        yield Path(name)


@pytest.fixture
def key(checkout: Checkout, gnupg_home: Path, validator_of):
    def run(*words: str) -> Result:
        told = checkout.run("key", *words, env={"GNUPGHOME": str(gnupg_home)})
        validator_of("key").validate(told.document)
        return told

    return run


def configure(checkout: Checkout, text: str) -> None:
    path = checkout.root / "pipeline.toml"
    path.write_text(path.read_text().partition("[signing]")[0] + f"\n{text}\n")


def printed(document: dict) -> dict:
    return tomllib.loads(document["settings"])["signing"]


def test_a_key_in_a_file_is_made_configured_told_and_exported(checkout, key, tmp_path):
    made = key("--make", "A Packager <packager@example.org>", "--key-file", str(tmp_path / "key.asc"), "--expires", "2")
    assert made.code == 0, made.stderr
    path = tmp_path / "key.asc"
    assert path.stat().st_mode & 0o777 == 0o600
    assert printed(made.document) == {"key_file": str(path)}
    fingerprint = made.document["key"]["fingerprint"]
    assert made.document["revocation"] == f"{path}.rev"
    assert "store the revocation certificate elsewhere" in made.stderr
    assert "BEGIN PGP PUBLIC KEY BLOCK" in Path(f"{path}.rev").read_text()
    rows = subprocess.check_output(
        ["gpg", "--no-autostart", "--show-keys", "--with-colons", str(path)], text=True
    ).splitlines()
    (primary,) = [row.split(":") for row in rows if row.startswith(("sec", "ssb"))]
    assert (primary[2], primary[3], primary[11][:2]) == ("4096", "1", "sc")

    configure(checkout, made.document["settings"])
    told = key()
    assert (told.code, told.document["key"]["fingerprint"], told.document["key"]["kind"]) == (
        0,
        fingerprint,
        "RSA-4096",
    )
    assert told.document["key"]["problems"] == []
    assert "fit for rpm 4.8" in told.stderr
    assert key("--export", str(tmp_path / "public.asc")).code == 0
    assert "PUBLIC KEY" in (tmp_path / "public.asc").read_text()
    again = key("--make", "A Packager <packager@example.org>", "--key-file", str(path))
    assert again.error_line == f"error: {path} is there already"
    assert again.code == 17


def test_a_key_in_gpg_s_keyring_signs_the_demo_and_is_followed_by_the_next(checkout, key, gnupg_home):
    made = key("--make", "A Packager <packager@example.org>")
    assert made.code == 0, made.stderr
    first = made.document["key"]["fingerprint"]
    assert printed(made.document) == {"key": first}
    assert Path(made.document["revocation"]).exists()
    assert signing.agents_left(gnupg_home) == []
    configure(checkout, made.document["settings"])
    environment = {"GNUPGHOME": str(gnupg_home)}
    signed = checkout.run("sign", env=environment)
    assert signed.code == 0, signed.stderr
    assert (checkout.job / "signed" / "keys" / f"{first}.asc").exists()

    rotated = key("--rotate")
    assert rotated.code == 0, rotated.stderr
    second = rotated.document["key"]["fingerprint"]
    assert second != first
    assert printed(rotated.document) == {"key": second, "former_keys": [f"keys/{first}.asc"]}
    configure(checkout, rotated.document["settings"])
    assert checkout.run("sign", env=environment).stages["sign"] == "ok"
    assert {path.stem for path in (checkout.job / "signed" / "keys").iterdir()} == {first, second}
    assert checkout.run("sign", env=environment).stages["sign"] == "cached"
    assert signing.agents_left(gnupg_home) == []


def test_a_passphrase_protects_a_new_key_and_opens_it(checkout, key, tmp_path):
    (tmp_path / "words").write_text("some words\n")
    words = ["--key-file", str(tmp_path / "key.asc"), "--passphrase-file", str(tmp_path / "words")]
    made = key("--make", "A Packager <packager@example.org>", *words)
    assert made.code == 0, made.stderr
    configure(checkout, made.document["settings"])
    assert checkout.run("sign").code == 0
    (tmp_path / "words").write_text("other words\n")
    (checkout.job / "ledger" / "sign.json").unlink()
    failed = checkout.run("sign")
    assert failed.code == 17
    assert "does not sign with the passphrase in" in failed.error_line
    for path in filter(Path.is_file, checkout.out.rglob("*")):
        assert b"some words" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--make", "nobody"], 2, "'nobody' is no name for a key"),
        (["--make", "A Packager <a@b>\n%echo x"], 2, "is no name for a key"),
        (["--make", "A Packager <a@b>", "--rotate"], 2, "key takes one of --make, --rotate and --export"),
        (["--rotate"], 17, "there is no key in [signing] that another could follow"),
        (["--target", "el6", "--mirror", "host:path"], 17, "there is no key to sign el6's packages with"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(key, words, code, said):
    told = key(*words)
    assert (told.code, told.document["status"]) == (code, "failed")
    assert said in told.document["error"]["message"]
    assert told.document["error"]["hint"]


def test_a_dry_run_makes_nothing(key, tmp_path, gnupg_home):
    told = key("--make", "A Packager <a@b>", "--key-file", str(tmp_path / "key.asc"), "--dry-run")
    assert told.code == 0
    assert "would make RSA-4096 for A Packager <a@b>, 5 years" in told.stderr
    assert not (tmp_path / "key.asc").exists()
    assert list(gnupg_home.iterdir()) == []


def test_an_expired_key_ends_a_run_before_it_begins_and_is_told(checkout, key, keys, tmp_path):
    path = keys.home.secret(tmp_path / "key.asc", keys.expired)
    configure(checkout, f'[signing]\nkey_file = "{path}"')
    failed = checkout.run("sign")
    assert failed.code == 17
    assert failed.error_line == f"error: the signing key {keys.expired} ({path}) expired on 2020-01-11"
    assert failed.document["jobs"] == []
    assert not checkout.out.exists() or not any(checkout.out.rglob("*.rpm"))
    told = key()
    assert told.code == 17
    assert told.document["key"]["problems"] == ["it expired on 2020-01-11"]


class TestKilled:
    """A signing run that ends in the middle: nothing half-signed has a final name, no agent is left, a rerun heals."""

    @pytest.fixture
    def slow(self, tmp_path: Path) -> dict[str, str]:
        """An rpmsign that signs and then waits, as if it were in the middle."""
        shim = tmp_path / "shim" / "rpmsign"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\n{shutil.which("rpmsign")} "$@"\ntouch {tmp_path}/signing\nsleep 20\n')
        shim.chmod(0o755)
        return {"PATH": f"{shim.parent}:{os.environ['PATH']}"}

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_it_heals(self, checkout: Checkout, slow: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
        process = checkout.popen("sign", env=slow)
        deadline = time.monotonic() + 60
        while not (tmp_path / "signing").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        homes = [
            path for path in Path(f"/tmp/vdsm-pipeline-keys-{os.getuid()}").iterdir() if _made_by(path, process.pid)
        ]
        assert len(signing.agents_of(*homes)) == 1
        process.send_signal(number)
        process.communicate(timeout=30)
        assert not list((checkout.job / "signed").rglob("*.rpm"))
        deadline = time.monotonic() + 15
        while signing.agents_of(*homes) or any(path.exists() for path in homes):
            assert time.monotonic() < deadline, "an agent, or a key, is left"
            time.sleep(0.1)
        healed = checkout.run("sign")
        assert healed.code == 0, healed.stderr
        assert len(list((checkout.job / "signed").rglob("*.rpm"))) == 16


def _made_by(folder: Path, process_id: int) -> bool:
    try:
        return json.loads((folder / ".vdsm-pipeline.json").read_text())["process"] == process_id
    except OSError:
        return False


def test_an_out_directory_with_spaces_and_deep_down(checkout: Checkout, tmp_path: Path) -> None:
    out = tmp_path / "with space" / ("deep/" * 30)
    signed = checkout.run("sign", "--out", str(out))
    assert signed.code == 0, signed.stderr
    assert len(list((out / "demo" / "vdsm" / "signed").rglob("*.rpm"))) == 16
    assert checkout.run("sign", "--out", str(out)).stages["sign"] == "cached"
