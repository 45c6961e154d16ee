# SPDX-License-Identifier: GPL-2.0-or-later
"""Damage, audit, do what the mend says, and the audit is well again: on a released demo, by the commands themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.integration.checkout import Checkout, copy_checkout

WORDS = ("--target", "demo", "--mirror", "testing")


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose demo was released to a channel with a url; each test leaves it well."""
    checkout = copy_checkout(tmp_path_factory.mktemp("checkout"))
    folder = checkout.out / "testing"
    folder.mkdir(parents=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with (checkout.root / "pipeline.toml").open("a", encoding="utf-8") as stream:
        stream.write(f'\n[mirrors.testing]\ndestination = "out/testing"\nurl = "{url}"\n')
    result = checkout.run("release", *WORDS)
    assert result.code == 0, result.stderr
    assert audit(checkout) == []
    assert checkout.run("publish", *WORDS).document["mirror"]["changed"] is False
    yield checkout
    server.shutdown()
    server.server_close()


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "repomd-unsigned": lambda folder: (folder / "repomd.xml.asc").unlink(),
    "repomd-signature": lambda folder: _flip(folder / "repomd.xml.asc"),
    "keys-missing": lambda folder: (folder / "keys.asc").unlink(),
    "kit-changed": lambda folder: (folder / "hosts.yml").write_text("- hosts: all\n"),
    "kit-changed hosts.txt": lambda folder: _flip(folder / "hosts.txt"),
    "kit-changed hosts.repo": lambda folder: _flip(folder / "hosts.repo"),
    "page-changed": lambda folder: _flip(folder / "feed.atom"),
    "page-changed page": lambda folder: _flip(folder / "repository.html"),
    "page-missing": lambda folder: (folder / "hosts.yml").unlink(),
    "page-missing page": lambda folder: (folder / "repository.html").unlink(),
    "mirrorlist": lambda folder: (folder / "mirrorlist").write_text("http://example.org/\n"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_the_mend_says_mends_it(channel: Checkout, kind: str) -> None:
    DAMAGES[kind]((channel.out / "testing/demo/repodata").resolve())
    (wrong,) = audit(channel)
    assert wrong["kind"] == kind.partition(" ")[0]
    if "remove it" in wrong["mend"]:
        (channel.out / "testing/demo" / wrong["subject"]).unlink()
    (command,) = re.findall(r"`\.venv/bin/nox -s ([^`]*)`", wrong["mend"])
    session, _, flags = command.partition(" -- ")
    assert (session, flags) == ("publish", "--target demo --mirror testing")
    mended = channel.run(session, *shlex.split(flags))
    assert mended.code == 0, mended.stderr
    assert mended.document["mirror"]["changed"] is True

    assert audit(channel) == []
    again = channel.run(session, *shlex.split(flags))
    assert again.document["mirror"]["changed"] is False


def audit(checkout: Checkout) -> list[dict[str, str]]:
    (place,) = checkout.run("audit", *WORDS).document["places"]
    return list(place["findings"])
