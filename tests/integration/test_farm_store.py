# SPDX-License-Identifier: GPL-2.0-or-later
"""The stores that parcels travel through: a directory, an rsync daemon, S3. Each keeps files whole, or tells why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FarmError
from pipeline.farm.shelf import Shelf, new_run
from pipeline.farm.store import Store, open_store
from tests.integration import farming
from tests.integration.conftest import RsyncDaemon, free_port


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One for all: fsspec keeps what it opened."""
    with farming.s3(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture(params=["directory", "rsync", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3"), tmp_path)
    if request.param == "rsync":
        return open_store(request.getfixturevalue("rsync_daemon").url(), tmp_path)
    return open_store("a store/é", tmp_path)


def test_a_parcel_comes_out_as_it_went_in_and_the_end_leaves_what_is_not_ours(store: Store, tmp_path: Path) -> None:
    parcel = tmp_path / "parcel"
    parcel.write_bytes(b"\0content" * 1000)
    store.put(parcel, "somebody's")
    old = f"20200101T000000Z-{'0' * 12}-{'1' * 64}.parcel"
    store.put(parcel, old)
    other = Shelf(store, new_run())
    others = other.put(parcel)
    shelf = Shelf(store, new_run())

    name = shelf.put(parcel)
    shelf.get(name, tmp_path / "in" / "back")

    assert (tmp_path / "in" / "back").read_bytes() == parcel.read_bytes()
    assert set(store.names()) == {"somebody's", old, others, name}
    dropped = shelf.put(_file(tmp_path, "another"))
    shelf.drop(dropped, dropped.replace("parcel", "gone"))
    assert dropped not in store.names()
    shelf.clear()
    assert set(store.names()) == {"somebody's", others}


def test_a_parcel_that_is_damaged_or_gone_is_told(store: Store, tmp_path: Path) -> None:
    shelf = Shelf(store, new_run())
    name = shelf.put(_file(tmp_path, "content"))
    store.put(_file(tmp_path, "half"), name)
    with pytest.raises(FarmError, match="came out of the store as something else"):
        shelf.get(name, tmp_path / "back")
    shelf.drop(name)
    with pytest.raises(FarmError) as caught:
        shelf.get(name, tmp_path / "back")
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_store_that_cannot_be_reached_is_told(tmp_path: Path, rsync_daemon: RsyncDaemon) -> None:
    parcel = _file(tmp_path, "content")
    (tmp_path / "file").write_text("")
    for written in (
        str(tmp_path / "file" / "below"),
        rsync_daemon.url("none"),
        f"rsync://127.0.0.1:{free_port()}/repo",
        "host.invalid:store",
        "nothing-knows-this://place",
    ):
        with pytest.raises(FarmError) as caught:
            Shelf(open_store(written, tmp_path), new_run()).put(parcel)
        assert caught.value.hint
        assert "\n" not in caught.value.message, written


def test_a_store_on_a_full_disk_is_told_and_nothing_half_is_taken(small_disk: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 2_000_000)
    with pytest.raises(FarmError, match="No space left on device"):
        Shelf(open_store(str(small_disk), tmp_path), new_run()).put(large)


def test_a_job_travels_through_s3(s3: str, tmp_path: Path) -> None:
    before = set(open_store(s3, tmp_path).names())
    with farming.site_at(tmp_path / "site", store=s3) as site:
        site.start_worker("one")
        with site.farm(tmp_path / "out", workers=1) as farm:
            context = site.context(farm, tmp_path / "out")
            farm.bring(context, farming.stages("image", "fetch"), "attempt")
            outcomes = farm.bring(context, farming.stages("image", "fetch"), "attempt")
    assert [row.result for row in outcomes] == ["cached", "cached"]
    assert set(open_store(s3, tmp_path).names()) == before


def _file(folder: Path, text: str) -> Path:
    path = folder / "file-to-put"
    path.write_text(text)
    return path
