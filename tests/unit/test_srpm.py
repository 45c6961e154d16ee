# SPDX-License-Identifier: GPL-2.0-or-later
"""Source RPMs are refused for what is wrong with them, and nothing of a refused one is left outside."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import SrpmError
from pipeline.model import Evr
from pipeline.sources import payload, srpm, tarball
from tests.unit.source_packages import file_entry, make_srpm, make_tarball, special_entry

TOP = "vdsm-4.16.30"


def read(path: Path, tmp_path: Path) -> srpm.SourcePackage:
    return srpm.read_srpm(path, tmp_path / "payload", label="here.src.rpm", name="vdsm", version="4.16.30")


def refusal(path: Path, tmp_path: Path) -> SrpmError:
    with pytest.raises(SrpmError) as caught:
        read(path, tmp_path)
    error = caught.value
    assert error.message.startswith("here.src.rpm: ")
    assert "\n" not in error.message
    assert error.hint
    assert error.exit_code == 40
    return error


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_srpm(tmp_path_factory.mktemp("good"))


def test_a_good_one_is_unpacked(good, tmp_path):
    package = read(good, tmp_path)

    assert package == srpm.SourcePackage(
        name="vdsm",
        evr=Evr(version="4.16.30", release="0.el6"),
        spec="vdsm.spec",
        sources=("vdsm-4.16.30.tar.gz",),
    )
    assert package.file_name == good.name == "vdsm-4.16.30-0.el6.src.rpm"
    assert sorted(path.name for path in (tmp_path / "payload").iterdir()) == ["vdsm-4.16.30.tar.gz", "vdsm.spec"]
    assert (tmp_path / "payload/vdsm.spec").read_text() == (good.parents[1] / "vdsm.spec").read_text()


@pytest.mark.parametrize("compression", ["w9.gzdio", "w6.xzdio", "w9.bzdio", "w6.lzdio"])
def test_every_compression_of_old_rpm_is_read(tmp_path, compression):
    assert read(make_srpm(tmp_path / "made", payload=compression), tmp_path).spec == "vdsm.spec"


def test_the_epoch_is_read(tmp_path):
    assert read(make_srpm(tmp_path / "made", tags="Epoch: 7\n"), tmp_path).evr.epoch == 7


def test_newer_compression_names_the_mend(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", payload="w3.zstdio"), tmp_path)
    assert "compressed with zstd" in error.message
    assert "_source_payload" in error.hint


@pytest.mark.parametrize("keep", [0, 50, 200, 3000, -1])
def test_a_cut_one_is_refused(good, tmp_path, keep):
    content = good.read_bytes()
    (tmp_path / "cut.rpm").write_bytes(content[:keep])
    assert refusal(tmp_path / "cut.rpm", tmp_path).reference in ("srpm-damaged", "srpm-empty")
    assert not (tmp_path / "payload").exists()


def test_one_changed_byte_of_the_payload_is_found_before_it_is_unpacked(good, tmp_path):
    content = bytearray(good.read_bytes())
    content[-60] ^= 1
    (tmp_path / "changed.rpm").write_bytes(content)
    assert "digests do not hold" in refusal(tmp_path / "changed.rpm", tmp_path).message
    assert not (tmp_path / "payload").exists()


def test_a_web_page_is_no_rpm(tmp_path):
    (tmp_path / "page.rpm").write_text("<!DOCTYPE html><title>Not found</title>")
    assert "begins with '<!DOCTYPE html>" in refusal(tmp_path / "page.rpm", tmp_path).message


def test_another_package_is_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", name="other"), tmp_path)
    assert "it is other-4.16.30-0.el6, and vdsm 4.16.30 is wanted" in error.message


def test_another_version_is_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", version="4.16.31"), tmp_path)
    assert "packages.vdsm.version" in error.hint


def test_a_binary_rpm_is_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", step="-bb"), tmp_path)
    assert "binary package of vdsm, made from vdsm-4.16.30-0.el6.src.rpm" in error.message


def test_an_undefined_macro_in_the_release_is_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", release="0%{nobody_defined_this}"), tmp_path)
    assert "it calls itself vdsm-4.16.30-0%{nobody_defined_this}: a macro in it was not defined" in error.message


def test_left_out_sources_are_refused(tmp_path):
    folder = tmp_path / "made"
    with pytest.raises(StopIteration):  # rpmbuild calls it .nosrc.rpm
        make_srpm(folder, tags="NoSource: 0\n")
    assert "leaves sources out" in refusal(next(folder.glob("SRPMS/*.nosrc.rpm")), tmp_path).message


def test_two_specs_are_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", sources={"other.spec": b"Name: other\n"}), tmp_path)
    assert "holds 2 specs (other.spec, vdsm.spec)" in error.message


BAD_TARBALLS = {
    "up": ([file_entry("../evil")], "leads out"),
    "up in the middle": ([file_entry(f"{TOP}/../../evil")], "leads out"),
    "absolute": ([file_entry("/etc/evil")], "leads out"),
    "second folder": ([file_entry(f"{TOP}/a"), file_entry("other/b")], "one folder is expected"),
    "outside any folder": ([file_entry("a")], "outside of any folder"),
    "link to the root": ([special_entry(f"{TOP}/a", tarfile.SYMTYPE, "/etc/passwd")], "link"),
    "link out": ([special_entry(f"{TOP}/a", tarfile.SYMTYPE, "../evil")], "link"),
    "link out by a detour": ([special_entry(f"{TOP}/a", tarfile.SYMTYPE, "b/../../evil")], "link"),
    "top folder is a link": ([special_entry(TOP, tarfile.SYMTYPE, "..")], "outside of any folder"),
    "behind a link": (
        [special_entry(f"{TOP}/d/a", tarfile.SYMTYPE, ".."), special_entry(f"{TOP}/d/a/b", tarfile.SYMTYPE, "..")],
        "lies behind a link",
    ),
    "hard link out": ([special_entry(f"{TOP}/a", tarfile.LNKTYPE, "../evil")], "hard link"),
    "hard link to another folder": ([special_entry(f"{TOP}/a", tarfile.LNKTYPE, "etc/passwd")], "hard link"),
    "device": ([special_entry(f"{TOP}/a", tarfile.CHRTYPE)], "device"),
    "pipe": ([special_entry(f"{TOP}/a", tarfile.FIFOTYPE)], "pipe"),
    "empty": ([], "holds nothing"),
}


@pytest.mark.parametrize("name", BAD_TARBALLS)
def test_a_tarball_that_leaves_its_folder_is_refused(tmp_path, name):
    entries, why = BAD_TARBALLS[name]
    archive = make_tarball(tmp_path / "vdsm-4.16.30.tar.gz", entries)
    with pytest.raises(SrpmError, match=why):
        tarball.check(archive, max_bytes=1000)


def test_the_tarball_in_a_source_rpm_is_looked_into(tmp_path):
    archive = make_tarball(tmp_path / "evil.tar.gz", [file_entry("../evil")])
    # By its content: %setup does not ask for the name either.
    error = refusal(make_srpm(tmp_path / "made", sources={"vdsm.blob": archive.read_bytes()}), tmp_path)
    assert "vdsm.blob names '../evil'" in error.message
    assert not (tmp_path / "evil").exists()


def test_a_tarball_that_is_none_is_refused(tmp_path):
    error = refusal(make_srpm(tmp_path / "made", sources={"vdsm-4.16.30.tar.gz": b"<html>"}), tmp_path)
    assert "vdsm-4.16.30.tar.gz is no tar archive" in error.message


def test_other_sources_are_left_alone(tmp_path):
    sources = {"fix.patch": b"--- a\n+++ b\n", "data.gz": gzip.compress(b"no tar")}
    assert read(make_srpm(tmp_path / "made", sources=sources), tmp_path).sources == ("data.gz", "fix.patch")


def test_links_that_stay_inside_are_taken(tmp_path):
    entries = [
        file_entry(f"{TOP}/a/file"),
        special_entry(f"{TOP}/a/link", tarfile.SYMTYPE, "../b/file"),
        special_entry(f"{TOP}/hard", tarfile.LNKTYPE, f"{TOP}/a/file"),
        file_entry(f"./{TOP}/b/file"),
    ]
    assert tarball.check(make_tarball(tmp_path / "x.tar.gz", entries), max_bytes=1000) == TOP


def test_a_tarball_that_grows_too_large_is_refused(tmp_path):
    archive = make_tarball(
        tmp_path / "x.tar.gz", [file_entry(f"{TOP}/a", b"x" * 600), file_entry(f"{TOP}/b", b"x" * 600)]
    )
    with pytest.raises(SrpmError, match="larger than 1000 bytes"):
        tarball.check(archive, max_bytes=1000)


def test_a_huge_extended_header_is_not_read_into_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    header.size = 8 << 30
    (tmp_path / "x.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(SrpmError, match=f"it has a header of {8 << 30} bytes"):
        tarball.check(tmp_path / "x.tar", max_bytes=1000)


def test_a_cut_tarball_is_refused(tmp_path):
    archive = make_tarball(tmp_path / "x.tar.gz", [file_entry(f"{TOP}/a", bytes(range(256)) * 400)])
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(SrpmError, match="no tar archive that can be read"):
        tarball.check(archive, max_bytes=1 << 20)


# ---- cpio, which rpmbuild makes no bad ones of ------------------------------------------------------


def cpio(*entries: tuple[str, int, bytes], trailer: bool = True) -> bytes:
    made = b""
    for name, mode, content in [*entries, *([("TRAILER!!!", 0, b"")] if trailer else [])]:
        fields = [1, mode, 0, 0, 1, 1_400_000_000, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        made += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        made += b"\0" * (-len(made) % 4) + content
        made += b"\0" * (-len(made) % 4)
    return made


def test_plain_files_are_written_with_their_times(tmp_path):
    stream = io.BytesIO(cpio(("a.spec", 0o100666, b"12345"), ("b", 0o100755, b"")) + b"\0" * 512)
    assert payload.unpack(stream, tmp_path / "out", max_bytes=5) == ("a.spec", "b")
    written = tmp_path / "out/a.spec"
    assert written.read_bytes() == b"12345"
    assert (written.stat().st_mode & 0o777, written.stat().st_mtime) == (0o644, 1_400_000_000)


BAD_ARCHIVES = {
    "../evil": (cpio(("../evil", 0o100644, b"x")), "no plain file name"),
    "/tmp/evil": (cpio(("/tmp/evil", 0o100644, b"x")), "no plain file name"),
    "sub/evil": (cpio(("sub/evil", 0o100644, b"x")), "no plain file name"),
    "..": (cpio(("..", 0o100644, b"x")), "no plain file name"),
    "escape": (cpio(("a\x1b[2J", 0o100644, b"x")), "no plain file name"),
    "twice": (cpio(("a", 0o100644, b"x"), ("a", 0o100644, b"y")), "twice"),
    "link": (cpio(("a", 0o120777, b"/etc/passwd")), "no plain file"),
    "folder": (cpio(("a", 0o040755, b"")), "no plain file"),
    "device": (cpio(("a", 0o020666, b"")), "no plain file"),
    "large": (cpio(("a", 0o100644, b"x" * 101)), "larger than 100 bytes"),
    "no trailer": (cpio(("a", 0o100644, b"x"), trailer=False), "cut short"),
    "cut": (cpio(("a", 0o100644, b"x" * 50))[:130], "cut short"),
    "no cpio": (b"x" * 200, "no cpio archive"),
    "no numbers": (b"070701" + b"z" * 200, "damaged header"),
    "long name": (cpio(("a" * 300, 0o100644, b"x")), "name of 301 bytes"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_a_bad_payload_writes_nothing_outside(tmp_path, name):
    archive, why = BAD_ARCHIVES[name]
    with pytest.raises(SrpmError, match=why):
        payload.unpack(io.BytesIO(archive), tmp_path / "in/out", max_bytes=100)
    assert not (tmp_path / "in/evil").exists()
    assert not Path("/tmp/evil").exists()


def test_a_damaged_compression_is_one_kind_of_error(tmp_path):
    packed = bytearray(gzip.compress(cpio(("a", 0o100644, b"text"))))
    packed[-6] ^= 1  # the check sum
    with gzip.open(io.BytesIO(packed)) as stream, pytest.raises(SrpmError, match="cannot be decompressed"):
        payload.unpack(stream, tmp_path, max_bytes=100)


# ---- tarballs of our own ----------------------------------------------------------------------------


def test_a_packed_folder_is_the_same_each_time(tmp_path):
    made = []
    for turn in ("one", "two"):
        folder = tmp_path / turn
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__pycache__" / f"{turn}.pyc").touch()
        for name in ("b", "a") if turn == "one" else ("a", "b"):
            (folder / name).write_text(name)
        (folder / "a").chmod(0o700 if turn == "one" else 0o755)
        tarball.pack(folder, TOP, tmp_path / f"{turn}.tar.gz", mtime_seconds=1000)
        made.append((tmp_path / f"{turn}.tar.gz").read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert [(each.name, each.mode, each.uid, each.mtime) for each in archive] == [
            (TOP, 0o755, 0, 1000),
            (f"{TOP}/a", 0o755, 0, 1000),
            (f"{TOP}/b", 0o644, 0, 1000),
        ]
    assert tarball.read_member(tmp_path / "one.tar.gz", f"{TOP}/b") == b"b"
    with pytest.raises(SrpmError, match=r"has no vdsm\.spec"):
        tarball.read_member(tmp_path / "one.tar.gz", "vdsm.spec")


def test_a_large_member_is_read_whole(tmp_path):
    content = bytes(range(256)) * 8192
    archive = make_tarball(tmp_path / "x.tar.gz", [file_entry(f"{TOP}/vdsm.spec", content)])
    assert tarball.read_member(archive, f"{TOP}/vdsm.spec") == content
