# SPDX-License-Identifier: GPL-2.0-or-later
"""A parcel holds all that the ledger asks for, to the nanosecond, and whatever is in one stays in the job's folder."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ParcelError
from pipeline.files import file_record, tree_record
from pipeline.ledger import Ledger
from pipeline.model import AppliedPatch, Evr, Image, Job, PatchedTree, Srpm
from pipeline.parcels import head, unpacking
from pipeline.parcels.packing import pack
from pipeline.parcels.unpacking import examine, read_head, unpack
from tests.unit import parcelling
from tests.unit.parcelling import Alter, Members

INPUTS = {"image": "a" * 64}
IMAGE = Image(engine="host", reference="Some OS", digest="RPM 4.18")


@pytest.fixture
def home_dir(tmp_path: Path) -> Path:
    """The folder of a job with trees of odd times, modes and links, and entries of three stages."""
    out_path, home_dir = tmp_path / "out", tmp_path / "out" / "el6" / "vdsm"
    for name in ("srpm/a.src.rpm", "srpm/payload/a.spec", "srpm/payload/a.tar", "tree/pristine/f", "tree/patched/d/f",
                 "tree/steps/1/f", "tree/series/1.patch", "srpm/identity.json", "releases/904/reservation.json",
                 "junit/unit.xml", "logs/20260101T000000Z-1/fetch.log", "logs/20260102T000000Z-1/patch.log",
                 "RPMS/other.rpm", "ledger/unit.xml"):  # fmt: skip
        (home_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (home_dir / name).write_text(f"content of {name}")
    (home_dir / "tree/patched/empty").mkdir(mode=0o700)
    (home_dir / "tree/patched/d/link").symlink_to("../d/f")
    (home_dir / "tree/patched/d/dangling").symlink_to("nothing")
    (home_dir / "tree/patched/d/f").chmod(0o755)
    os.utime(home_dir / "tree/patched/d/f", ns=(1, 1_400_000_000_123_456_789))
    os.utime(home_dir / "tree/patched/d/link", ns=(1, 7), follow_symlinks=False)
    ledger = Ledger(home_dir, out_path)
    ledger.keep("image", IMAGE, INPUTS, finished="then", seconds=1)
    ledger.keep("fetch", _srpm(home_dir, out_path), INPUTS, finished="then", seconds=1)
    ledger.keep("patch", _tree(home_dir, out_path), INPUTS, finished="then", seconds=1)
    return home_dir


def _srpm(home_dir: Path, out_path: Path) -> Srpm:
    return Srpm(
        file=file_record(home_dir / "srpm/a.src.rpm", out_path),
        name="a",
        evr=Evr(version="1", release="2"),
        spec=file_record(home_dir / "srpm/payload/a.spec", out_path),
        sources=(file_record(home_dir / "srpm/payload/a.tar", out_path),),
        origin="demo",
        demo=False,
    )


def _tree(home_dir: Path, out_path: Path) -> PatchedTree:
    patch = AppliedPatch(
        file=file_record(home_dir / "tree/series/1.patch", out_path),
        subject="s",
        author="a",
        state="clean",
        offset_lines=0,
        touched=("f",),
    )
    trees = {name: tree_record(home_dir / "tree" / name, out_path) for name in ("pristine", "patched", "steps")}
    return PatchedTree(srpm=_srpm(home_dir, out_path), patches=(patch,), **trees)


@pytest.fixture
def parcel_path(home_dir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / "vdsm@el6.tar"
    pack(home_dir, home_dir.parents[1], path)
    return path


@pytest.fixture
def altered(parcel_path: Path) -> Callable[[Alter], Path]:
    """A function that makes a parcel whose members were altered, and whose end fits them again."""

    def make(alter: Alter) -> Path:
        path = parcel_path.with_name("altered.tar")
        members = parcelling.read(parcel_path)
        alter(members)
        parcelling.write(path, members)
        return path

    return make


def _member(name: str, content: bytes = b"x", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.pax_headers = {"mtime": "1400000000.000000001"}
    for fact, value in facts.items():
        setattr(member, fact, value)
    return member, content if member.isreg() else b""


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_every_stage_holds_where_a_parcel_was_opened(parcel_path, tmp_path, home_dir):
    there = tmp_path / "there"

    assert unpack(parcel_path, there) == Job(package="vdsm", target="el6")

    before, after = Ledger(home_dir, home_dir.parents[1]), Ledger(there / "el6/vdsm", there)
    for stage, record in (("image", Image), ("fetch", Srpm), ("patch", PatchedTree)):
        assert after.find(stage, record, INPUTS).record == before.find(stage, record, INPUTS).record is not None


def test_a_parcel_has_what_people_look_for_and_nothing_that_no_record_names(parcel_path, tmp_path):
    unpack(parcel_path, tmp_path / "there")

    found = _files(tmp_path / "there/el6/vdsm")
    assert {"releases/904/reservation.json", "junit/unit.xml", "srpm/identity.json"} <= found
    assert "logs/20260102T000000Z-1/patch.log" in found
    assert not {"RPMS", "logs/20260101T000000Z-1", "ledger/unit.xml"} & found
    assert _files(tmp_path / "there/.work") == set()


def test_the_head_says_whose_it_is_and_of_which_pipeline(parcel_path):
    found = read_head(parcel_path)

    assert (found.job, found.image, found.attempt) == (Job(package="vdsm", target="el6"), IMAGE, "20260102T000000Z-1")
    assert found.pipeline == head.version()


def test_what_the_out_directory_has_beside_stays_and_what_the_parcel_has_is_replaced(parcel_path, tmp_path):
    home_dir = tmp_path / "there/el6/vdsm"
    for name in ("signed/ours.rpm", "ledger/sign.json", "releases/903/reservation.json", "tree/patched/stray"):
        (home_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (home_dir / name).write_text("before")

    unpack(parcel_path, tmp_path / "there")

    found = _files(home_dir)
    assert {"signed/ours.rpm", "ledger/sign.json", "releases/903/reservation.json"} <= found
    assert "tree/patched/stray" not in found


def test_an_entry_whose_files_are_gone_stays_behind(home_dir, tmp_path):
    (home_dir / "tree/series/1.patch").unlink()

    pack(home_dir, home_dir.parents[1], tmp_path / "parcel.tar")
    unpack(tmp_path / "parcel.tar", tmp_path / "there")

    assert {path.name for path in (tmp_path / "there/el6/vdsm/ledger").iterdir()} == {"image.json", "fetch.json"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../elsewhere", "by/../../../.."])
def test_a_link_out_of_the_folder_does_not_travel(home_dir, tmp_path, target):
    (home_dir / "tree/steps/by").symlink_to("1")
    (home_dir / "tree/steps/link").symlink_to(target)

    with pytest.raises(ParcelError, match=r"tree/steps/link is a link to .*cannot travel"):
        _pack_anew(home_dir, tmp_path / "parcel.tar")

    assert _files(tmp_path) & {"parcel.tar", ".parcel.tar"} == set()


def _pack_anew(home_dir: Path, destination: Path) -> None:
    out_path = home_dir.parents[1]
    Ledger(home_dir, out_path).keep("patch", _tree(home_dir, out_path), INPUTS, finished="then", seconds=1)
    pack(home_dir, out_path, destination)


def test_a_pipe_does_not_travel(home_dir, tmp_path):
    os.mkfifo(home_dir / "tree/steps/pipe")

    with pytest.raises(ParcelError, match="neither file, folder nor link"):
        _pack_anew(home_dir, tmp_path / "parcel.tar")


def _rename(name: str) -> Alter:
    def alter(members: Members) -> None:
        member = next(each for each, _ in members if each.name == "srpm/a.src.rpm")
        member.name = name

    return alter


def _head_with(**facts: object) -> Alter:
    return lambda members: parcelling.change_head(members, **facts)


def _entry_with(before: str, after: str) -> Alter:
    def alter(members: Members) -> None:
        for index, (member, content) in enumerate(members):
            if member.name == "ledger/fetch.json":
                members[index] = (member, content.replace(before.encode(), after.encode()))

    return alter


HOSTILE: dict[str, tuple[Alter, str]] = {
    "a name that goes up": (_rename("../../../evil"), "no parcel has"),
    "an absolute name": (_rename("/tmp/evil"), "no parcel has"),
    "a name that is not plain": (_rename("srpm/./a"), "no parcel has"),
    "a file without its folder": (_rename("nowhere/a"), "the folder of 'nowhere/a' is not in it"),
    "a file twice": (lambda members: members.append(_member("srpm/a.src.rpm")), "in it twice"),
    "a link that goes up": (
        lambda members: members.append(_member("srpm/x", type=tarfile.SYMTYPE, linkname="../../../..")),
        "leads out",
    ),
    "an absolute link": (
        lambda members: members.append(_member("srpm/x", type=tarfile.SYMTYPE, linkname="/etc")),
        "leads out",
    ),
    "links that lead out together": (
        lambda members: members.extend(
            [
                _member("tree/steps/up", type=tarfile.SYMTYPE, linkname="../.."),
                _member("srpm/x", type=tarfile.SYMTYPE, linkname="../tree/steps/up/../.."),
            ]
        ),
        "leads out",
    ),
    "a file through a link": (
        lambda members: members.extend([_member("x", type=tarfile.SYMTYPE, linkname="srpm"), _member("x/y")]),
        "the folder of 'x/y' is not in it",
    ),
    "a hard link": (
        lambda members: members.append(_member("srpm/x", type=tarfile.LNKTYPE, linkname="srpm/a.src.rpm")),
        "no parcel has",
    ),
    "a device": (lambda members: members.append(_member("srpm/x", type=tarfile.CHRTYPE)), "no parcel has"),
    "a pipe": (lambda members: members.append(_member("srpm/x", type=tarfile.FIFOTYPE)), "no parcel has"),
    "a file without a time": (lambda members: members.append(_member("srpm/x", pax_headers={})), "no time"),
    "no head": (lambda members: members.pop(0), "does not begin with the head"),
    "a head of another form": (_head_with(format=2), "format 2, and this pipeline reads 1"),
    "a head without an image": (_head_with(image="el6"), "head cannot be read"),
    "a package that is no name": (_head_with(package="../x"), "names that no job has"),
    "an attempt that is no name": (_head_with(attempt="../../x"), "names that no job has"),
    "an entry of another folder": (_entry_with("el6/vdsm/srpm/a.src.rpm", "../etc/passwd"), "cannot be read"),
    "an entry that is no JSON": (_entry_with("{", "["), "cannot be read"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_parcel_is_refused_and_nothing_is_written(altered, tmp_path, what):
    alter, told = HOSTILE[what]
    path = altered(alter)
    before = _files(tmp_path)

    with pytest.raises(ParcelError, match=rf"altered\.tar is no parcel that can be taken: .*{told}"):
        unpack(path, tmp_path / "there")

    assert _files(tmp_path) - before <= {"there", "there/.work"}


def test_an_entry_that_names_a_file_elsewhere_is_refused(home_dir, altered, tmp_path):
    """One whose digest fits: it was made so."""
    out_path = home_dir.parents[1]
    (out_path / "elsewhere").write_text("secret")
    srpm = _srpm(home_dir, out_path)
    forged = Ledger(out_path / "forged", out_path)
    forged.keep(
        "fetch",
        Srpm(file=file_record(out_path / "elsewhere", out_path), name="a", evr=srpm.evr, spec=srpm.spec, sources=(),
             origin="demo", demo=False),
        INPUTS, finished="then", seconds=1,
    )  # fmt: skip
    text = (out_path / "forged/ledger/fetch.json").read_bytes()

    def alter(members: Members) -> None:
        for index, (member, _) in enumerate(members):
            if member.name == "ledger/fetch.json":
                members[index] = (member, text)

    with pytest.raises(ParcelError, match="names elsewhere, which is not in it"):
        unpack(altered(alter), tmp_path / "there")


@pytest.mark.parametrize("kept_bytes", [0, 300, 512, 5_000, -10_240, -12_288])
def test_a_parcel_that_was_cut_short_is_refused(parcel_path, tmp_path, kept_bytes):
    content = parcel_path.read_bytes()
    parcel_path.write_bytes(content[:kept_bytes])

    for look in (lambda path: unpack(path, tmp_path / "there"), examine):
        with pytest.raises(ParcelError):
            look(parcel_path)


def test_a_parcel_with_one_bit_turned_is_refused(parcel_path, tmp_path):
    content = bytearray(parcel_path.read_bytes())
    content[content.index(b"content of tree/patched/d/f")] ^= 1
    parcel_path.write_bytes(content)

    for look in (lambda path: unpack(path, tmp_path / "there"), examine):
        with pytest.raises(ParcelError, match="its content is not what was packed"):
            look(parcel_path)


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\0" * 10_240])
def test_another_file_is_no_parcel(tmp_path, content):
    (tmp_path / "parcel.tar").write_bytes(content)
    for look in (lambda path: unpack(path, tmp_path / "there"), read_head, examine):
        with pytest.raises(ParcelError, match=r"parcel\.tar is no parcel"):
            look(tmp_path / "parcel.tar")


def test_whoever_is_killed_between_leaves_entries_that_do_not_hold(parcel_path, tmp_path, monkeypatch):
    there = tmp_path / "there"
    put = unpacking._put

    def put_until_the_ledger(source: Path, path: Path) -> None:
        if path.parent.name == "ledger":
            raise KeyboardInterrupt
        put(source, path)

    monkeypatch.setattr(unpacking, "_put", put_until_the_ledger)
    with pytest.raises(KeyboardInterrupt):
        unpack(parcel_path, there)
    monkeypatch.undo()
    assert Ledger(there / "el6/vdsm", there).find("fetch", Srpm, INPUTS).record is None

    unpack(parcel_path, there)

    assert Ledger(there / "el6/vdsm", there).find("patch", PatchedTree, INPUTS).record is not None
