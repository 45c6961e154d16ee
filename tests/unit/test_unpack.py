# SPDX-License-Identifier: GPL-2.0-or-later
"""Unpacking a built RPM below a folder: real packages from rpmbuild, and members that lead elsewhere."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import rpmbuild

SPEC = """\
Name: small
Version: 1
Release: 1
Summary: A package for tests
License: GPL-2.0-or-later
BuildArch: noarch
%description
A package for tests.
%install
mkdir -p %{buildroot}/usr/share/vdsm/virt %{buildroot}/usr/share/empty %{buildroot}/etc
printf 'x = 1\\n' > %{buildroot}/usr/share/vdsm/virt/vm.py
printf '\\000\\377' > "%{buildroot}/usr/share/vdsm/a file"
: > %{buildroot}/etc/nothing
ln -s /etc/passwd %{buildroot}/usr/share/vdsm/link
%post
touch @MARK@
%files
/usr/share/vdsm
/usr/share/empty
/etc/nothing
"""


@pytest.fixture
def make_rpm(tmp_path: Path):
    def make(payload: str) -> Path:
        spec_path = tmp_path / "small.spec"
        spec_path.write_text(SPEC.replace("@MARK@", str(tmp_path / "a-scriptlet-ran")))
        subprocess.run(
            ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}/top", "--define",
             f"_binary_payload {payload}", spec_path],
            check=True, capture_output=True,
        )  # fmt: skip
        (path,) = tmp_path.glob("top/RPMS/noarch/*.rpm")
        return path

    return make


@pytest.mark.parametrize("payload", ["w9.gzdio", "w2.xzdio"])
def test_the_regular_files_are_there_and_nothing_else(make_rpm, tmp_path, payload):
    root_dir = tmp_path / "root"
    rpmbuild.unpack(make_rpm(payload), root_dir)
    found = {str(path.relative_to(root_dir)): path.read_bytes() for path in root_dir.rglob("*") if path.is_file()}
    assert found == {
        "usr/share/vdsm/virt/vm.py": b"x = 1\n",
        "usr/share/vdsm/a file": b"\x00\xff",
        "etc/nothing": b"",
    }
    assert not (root_dir / "usr/share/vdsm/link").is_symlink()
    assert not (tmp_path / "a-scriptlet-ran").exists()


def test_packages_are_unpacked_over_each_other(make_rpm, tmp_path):
    (tmp_path / "root/usr/share/other").mkdir(parents=True)
    (tmp_path / "root/usr/share/other/a").write_text("kept")
    for _ in range(2):
        rpmbuild.unpack(make_rpm("w9.gzdio"), tmp_path / "root")
    assert (tmp_path / "root/usr/share/other/a").read_text() == "kept"
    assert (tmp_path / "root/usr/share/vdsm/virt/vm.py").is_file()


class Package:
    """A package with one member of any name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def getmembers(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=self._name, isdir=False, issymlink=False)]

    def extractfile(self, member: SimpleNamespace) -> io.BytesIO:
        return io.BytesIO(b"text")


@pytest.mark.parametrize("name", ["../outside", "./a/../../outside", "{top}/outside", "link/outside", ".", ""])
def test_a_member_that_leads_out_of_the_folder_is_left_out(tmp_path, monkeypatch, name):
    root_dir = tmp_path / "top" / "root"
    root_dir.mkdir(parents=True)
    (root_dir / "link").symlink_to(tmp_path / "top")
    monkeypatch.setattr("rpmfile.open", lambda path: Package(name.format(top=tmp_path / "top")))
    rpmbuild.unpack(Path("a.rpm"), root_dir)
    assert [path.name for path in (tmp_path / "top").rglob("*")] == ["root", "link"]


def test_a_plain_member_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("rpmfile.open", lambda path: Package("./a/b"))
    rpmbuild.unpack(Path("a.rpm"), tmp_path / "root")
    assert (tmp_path / "root/a/b").read_text() == "text"
