# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of place can do, with real rsync: a directory, a daemon, ssh, and ssh that may do rsync alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.mirrors.places.base import Destination
from pipeline.mirrors.places.local import Directory
from pipeline.mirrors.places.remote import Remote
from tests.integration.conftest import RsyncDaemon, SshServer


@dataclass(frozen=True)
class Place:
    """A place, and the folder behind it on this machine."""

    there: Destination
    dir: Path


WAYS = ["local", "daemon", "chrooted", "ssh", "restricted"]


@pytest.fixture(params=WAYS)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, rsync_daemon: RsyncDaemon, ssh_server: SshServer
) -> Iterator[Place]:
    limits = {"timeout_seconds": 60, "scratch_dir": tmp_path / "scratch"}
    if request.param in ("daemon", "chrooted"):
        module = "repo" if request.param == "daemon" else "chrooted"
        yield Place(Remote(address=f"{rsync_daemon.url(module)}/el6", **limits), rsync_daemon.dir / "el6")
        return
    served = tmp_path / "served é x"
    served.mkdir()
    if request.param == "local":
        yield Place(Directory(address=str(served / "el6"), **limits), served / "el6")
        return
    root = str(served)
    if request.param == "restricted":
        ssh_server.authorized_keys.write_text(f'command="rrsync \\"{served}\\"",restrict {ssh_server.public_key}\n')
        root = ""
    there = Remote(address=f"127.0.0.1:{root}/el6", ssh_command=ssh_server.command, **limits)
    yield Place(there, served / "el6")
    ssh_server.authorized_keys.write_text(f"{ssh_server.public_key}\n")


def staged(folder: Path, revision: int, **contents: str) -> Path:
    """A folder with a snapshot whose `repodata/` has these files."""
    repodata_dir = folder / "snapshots" / str(revision) / "repodata"
    repodata_dir.mkdir(parents=True)
    for name, text in contents.items():
        (repodata_dir / name).write_text(text)
        os.utime(repodata_dir / name, (1_500_000_000, 1_500_000_000))
    return folder


def put(place: Place, folder: Path, revision: int, former: int = 0, *, anew: bool = False) -> None:
    (folder / "snapshots" / str(revision) / "noarch").symlink_to("../../noarch")
    place.there.send(folder, [f"snapshots/{revision}/noarch"], None, anew=anew)
    place.there.send_metadata(folder, revision, former, None)
    place.there.switch(revision, None)


def test_nothing_is_there_at_first(place: Place) -> None:
    assert place.there.read(("repomd.xml",), None) == {}
    assert place.there.names_in("snapshots", None) == ()


def test_a_snapshot_is_put_there_and_switched_to_and_from(place: Place, tmp_path: Path) -> None:
    put(place, staged(tmp_path / "1", 5, a="one", b="same"), 5, anew=True)
    assert place.there.read(("a", "b", "c"), None) == {"a": b"one", "b": b"same"}
    assert place.dir.stat().st_mode & 0o777 == 0o755
    put(place, staged(tmp_path / "2", 6, a="two", b="same"), 6, 5)
    assert place.there.read(("a",), None) == {"a": b"two"}
    assert (place.dir / "repodata").readlink() == Path("snapshots/6/repodata")
    assert (place.dir / "snapshots/6/noarch").readlink() == Path("../../noarch")
    assert set(place.there.names_in("snapshots", None)) == {"5", "6"}
    for path in (place.dir / "snapshots").rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_a_first_send_leads_nobody_to_what_is_not_whole_yet(place: Place, tmp_path: Path) -> None:
    folder = staged(tmp_path / "1", 5, a="one")
    (folder / "repodata").symlink_to("snapshots/5/repodata")
    (folder / "mirrorlist").symlink_to("repodata/mirrorlist")
    place.there.send(folder, ["mirrorlist"], None, anew=True)
    assert {path.name for path in place.dir.iterdir()} == {"mirrorlist", "snapshots"}


def test_what_the_former_snapshot_has_is_linked(place: Place, tmp_path: Path) -> None:
    put(place, staged(tmp_path / "1", 5, a="one", b="same"), 5, anew=True)
    put(place, staged(tmp_path / "2", 6, a="two", b="same"), 6, 5)
    former, new = (place.dir / f"snapshots/{number}/repodata/b" for number in (5, 6))
    assert former.samefile(new)


def test_a_folder_made_by_hand_gives_way(place: Place, tmp_path: Path) -> None:
    (place.dir / "repodata").mkdir(parents=True)
    (place.dir / "repodata" / "a").write_text("by hand")
    assert place.there.read(("a",), None) == {"a": b"by hand"}
    put(place, staged(tmp_path / "1", 5, a="one"), 5)
    assert place.there.read(("a",), None) == {"a": b"one"}
    assert {path.name for path in place.dir.iterdir()} == {"repodata", "snapshots"}


def test_what_is_removed_is_gone_and_nothing_else(place: Place, tmp_path: Path) -> None:
    for revision in (5, 6):
        put(place, staged(tmp_path / str(revision), revision, a="one"), revision, anew=True)
    place.there.remove(("snapshots/5", "snapshots/7", "none"), None)
    assert place.there.names_in("snapshots", None) == ("6",)
    assert place.there.read(("a",), None) == {"a": b"one"}


def test_of_many_who_make_a_link_one_succeeds(place: Place) -> None:
    if place.there.is_local:
        place.there.make_folder()
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda number: place.there.make_link(".lock", f"me;{number}", None), range(6)))
    assert made.count(True) == 1
    assert place.there.link_text(".lock", None) == f"me;{made.index(True)}"
    place.there.remove((".lock",), None)
    assert place.there.link_text(".lock", None) == ""
    assert place.there.make_link(".lock", "again", None)
