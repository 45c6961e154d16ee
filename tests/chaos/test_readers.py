# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers against nginx at 2 MB/s while one release after the other is published."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.manyrpms import make_rpms
from tests.chaos import publisher
from tests.chaos.figures import size, tell
from tests.chaos.readers import Dnf, Reader, free_port, nginx
from tests.chaos.wholeness import Signatures, named_in, sha256
from tests.integration.conftest import Project

PUBLISHES = size(6, 50)
READS = size(300, 10_000)
SLOW_ROUNDS = size(3, 100)
DNF_ROUNDS = size(2, 40)
_PERIOD_SECONDS = size(0, 22) / 10
_PAUSE_SECONDS = 0.005  # all run on one machine, and the publisher too
_SLOW_SECONDS = 0.08


def test_readers_while_releases_are_published(project: Project, signatures: Signatures, tmp_path: Path) -> None:
    port, mirror_dir = free_port(), project.out_path / "mirror"
    _be_at(project, port)
    _adopt(mirror_dir / publisher.TARGET, tmp_path)
    for number in range(2, PUBLISHES + 2):
        project.build(release=str(number))
    plain = [Reader(port, pause_seconds=_PAUSE_SECONDS) for _ in range(2)]
    listed = [Reader(port, by_mirrorlist=True, pause_seconds=_PAUSE_SECONDS) for _ in range(2)]
    slow = [Reader(port, by_mirrorlist=which, pause_seconds=_SLOW_SECONDS) for which in (False, True)]
    clients = [Dnf(port, project.key.public_path, tmp_path / f"dnf{each}", DNF_ROUNDS // 2) for each in range(2)]
    everybody: list[Reader | Dnf] = [*plain, *listed, *slow, *clients]
    with nginx(mirror_dir, tmp_path / "nginx", port):
        _publish(project, 1)  # is read back by its url
        for reader in everybody:
            reader.start()
        for number in range(2, PUBLISHES + 2):
            _publish(project, number)
        _wait_for(plain, listed, slow, clients)
        for reader in everybody:
            reader.stopped.set()
        for reader in everybody:
            reader.join(timeout=60)
    told = _figures(plain, listed, slow, clients, mirror_dir / publisher.TARGET)
    tell(**told)
    assert [reader.bad for reader in everybody if reader.bad] == []
    assert told["signature mismatches by mirrorlist"].startswith("0 ")
    _see_that_signatures_hold(listed, signatures)
    _see_that_former_states_can_be_read(mirror_dir / publisher.TARGET)


def _be_at(project: Project, port: int) -> None:
    """The channel has a url."""
    path = project.root_dir / "pipeline.toml"
    text = path.read_text()
    place = '[mirrors.local]\ndestination = "out/mirror"\n'
    assert place in text
    path.write_text(text.replace(place, f'{place}url = "http://127.0.0.1:{port}"\n'))


def _adopt(folder: Path, tmp_path: Path) -> None:
    """Packages enough for metadata that take a while at 2 MB/s."""
    make_rpms(folder, tmp_path, range(1, size(50, 300)))
    subprocess.run(["createrepo_c", "-q", "--no-database", "--general-compress-type=gz", str(folder)], check=True)


def _publish(project: Project, number: int) -> None:
    started = time.monotonic()
    publisher.hand_over(project.signed(project.build(release=str(number))), project.out_path)
    argv = publisher.argv("publish", project.root_dir, project.out_path, "local")
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    time.sleep(max(0.0, _PERIOD_SECONDS - (time.monotonic() - started)))


def _wait_for(
    plain: Sequence[Reader], listed: Sequence[Reader], slow: Sequence[Reader], clients: Sequence[Dnf]
) -> None:
    """Until they have read enough, should the publishes have been quicker."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        enough = all(sum(reader.reads for reader in kind) >= READS for kind in (plain, listed))
        if enough and sum(r.rounds for r in slow) >= SLOW_ROUNDS and all(c.rounds >= c.most for c in clients):
            return
        time.sleep(0.1)
    raise AssertionError("the readers did not come to read enough")


def _figures(
    plain: Sequence[Reader], listed: Sequence[Reader], slow: Sequence[Reader], clients: Sequence[Dnf], folder: Path
) -> dict[str, str]:
    """Bad ones of all, for each kind of reader; and how often a signature was of another state than `repomd.xml`."""
    true_pairs = _published_pairs(folder)
    return {
        "publishes": str(PUBLISHES),
        "bad reads by baseurl": _bad(plain),
        "bad reads by mirrorlist": _bad(listed),
        "bad rounds of slow readers": f"{sum(len(r.bad) for r in slow)} of {sum(r.rounds for r in slow)}",
        "signature of another state by baseurl (it may be)": _mismatches(plain, true_pairs),
        "signature mismatches by mirrorlist": _mismatches([*listed, slow[1]], true_pairs),
        "failed loops of dnf makecache and download": f"{sum(len(c.bad) for c in clients)} of "
        f"{sum(c.rounds for c in clients)}",
        "states that they saw": str(len({pair[0] for r in (*plain, *listed) for pair in r.seen_pairs})),
    }


def _bad(readers: Sequence[Reader]) -> str:
    return f"{sum(len(reader.bad) for reader in readers)} of {sum(reader.reads for reader in readers)}"


def _mismatches(readers: Sequence[Reader], true_pairs: set[tuple[str, str]]) -> str:
    pairs = [pair for reader in readers for pair in reader.seen_pairs]
    return f"{sum(pair not in true_pairs for pair in pairs)} of {len(pairs)}"


def _published_pairs(folder: Path) -> set[tuple[str, str]]:
    """What belongs together, by the snapshots themselves."""
    return {
        (sha256(path.read_bytes()), sha256(path.with_name("repomd.xml.asc").read_bytes()))
        for path in folder.glob("snapshots/*/repodata/repomd.xml")
        if path.with_name("repomd.xml.asc").exists()
    }


def _see_that_signatures_hold(readers: Sequence[Reader], signatures: Signatures) -> None:
    """By gpg, for each pair that came."""
    for reader in readers:
        assert all(signatures.hold(*contents) for contents in reader.pairs.values())


def _see_that_former_states_can_be_read(folder: Path) -> None:
    """Who holds any former `repomd.xml`, even of before we came, finds what it names at the baseurl."""
    for path in folder.glob("snapshots/*/repodata/repomd.xml"):
        for href, digest in named_in(path.read_bytes()).items():
            assert sha256((folder / href).read_bytes()) == digest
