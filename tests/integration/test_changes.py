# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed, read from real packages: small ones with all that a header can have, and the demo's releases."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pipeline import rpmdiff, rpmheaders
from pipeline.errors import BuildError
from pipeline.rpmheaders import Dependency, Header
from tests.integration.checkout import Checkout

PATCH = "patches/vdsm/0006-vm-lock-at-most-when-a-client-was-not-seen-to-connec.patch"

SPEC = """\
Name: whole
Epoch: 1
Version: 2.0
Release: {release}
Summary: Has all that a header can have
License: GPL-2.0-or-later
BuildArch: noarch
Requires: needed >= 1.0, any
Conflicts: rival < 3
Obsoletes: former <= 0.9
Provides: other = 5
{more}
%description
It.
%install
mkdir -p %{{buildroot}}/etc %{{buildroot}}/usr/share/whole
echo '{text}' > %{{buildroot}}/usr/share/whole/text
echo '%{{version}}-%{{release}}' > %{{buildroot}}/usr/share/whole/release
echo conf > %{{buildroot}}/etc/whole.conf
ln -s {link} %{{buildroot}}/usr/share/whole/link
%files
%config(noreplace) /etc/whole.conf
%attr({mode}, root, {group}) /usr/share/whole/text
/usr/share/whole/release
/usr/share/whole/link
%dir /usr/share/whole
%pre
echo {script}
%post -p /sbin/ldconfig
%triggerin -- watched < 2
echo watched
%changelog
* Mon Jan 05 2015 A Packager <packager@example.org> - 1:2.0-{release}
- {entry}
"""
PLAIN = {"release": "1", "more": "", "text": "a", "link": "/a", "mode": "0644", "group": "root", "script": "a",
         "entry": "first"}  # fmt: skip


def build(folder: Path, **wishes: str) -> Path:
    folder.mkdir()
    spec = folder / "whole.spec"
    spec.write_text(SPEC.format(**{**PLAIN, **wishes}))
    argv = ["rpmbuild", "-ba", "--quiet", "--define", f"_topdir {folder}", "--define", "_binary_payload w1.gzdio", spec]
    subprocess.run(argv, check=True, capture_output=True)
    return next(folder.glob("RPMS/noarch/*.rpm"))


def test_a_header_has_all_that_a_host_would_notice(tmp_path: Path) -> None:
    path = build(tmp_path / "a")
    header = rpmheaders.read_header(path)
    assert (header.label, str(header.evr), header.arch, header.is_source) == ("whole", "1:2.0-1", "noarch", False)
    assert header.package_bytes == path.stat().st_size
    requires = {each for each in header.relations["requires"] if not each.name.startswith("rpmlib")}
    assert requires >= {Dependency(name="needed", operator=">=", evr="1.0"), Dependency(name="any")}
    assert header.relations["conflicts"] == {Dependency(name="rival", operator="<", evr="3")}
    assert header.relations["obsoletes"] == {Dependency(name="former", operator="<=", evr="0.9")}
    assert {str(each) for each in header.relations["provides"]} >= {"other = 5", "whole = 1:2.0-1"}
    assert header.files["/etc/whole.conf"].kinds == "config noreplace"
    assert (header.files["/usr/share/whole/link"].link, header.files["/usr/share/whole/link"].digest) == ("/a", "")
    assert header.files["/usr/share/whole"].size_bytes == 0  # of a folder, the build's file system decides
    text = header.files["/usr/share/whole/text"]
    assert (text.mode, text.owner, text.size_bytes, len(text.digest)) == ("100644", "root:root", 2, 64)
    assert header.scriptlets == {
        "prein": "#!/bin/sh\necho a\n",
        "postin": "#!/sbin/ldconfig\n",
        "triggerin watched < 2": "#!/bin/sh\necho watched\n",
    }
    assert header.changelog == ("* 2015-01-05 A Packager <packager@example.org> - 1:2.0-1\n- first",)
    source = rpmheaders.read_header(next((tmp_path / "a/SRPMS").glob("*.rpm")))
    assert (source.label, source.is_source) == ("whole.src", True)
    assert "whole.spec" in source.files


def diff(before: Path, after: Path) -> rpmdiff.PackageDiff:
    headers: list[Header] = [rpmheaders.read_header(path) for path in (before, after)]
    found = rpmdiff.compare_packages(*headers)
    names = rpmdiff.unsettled(found)
    return rpmdiff.settle(found, *headers, *(rpmheaders.read_contents(path, names) for path in (before, after)))


def test_two_releases_of_the_same_differ_in_nothing_but_a_file_that_bears_the_release(tmp_path: Path) -> None:
    found = diff(build(tmp_path / "a"), build(tmp_path / "b", release="1.label.2", entry="second"))
    assert found.is_same
    assert found.bear_release == ("/usr/share/whole/release",)


def test_every_kind_of_change_is_found_in_real_packages(tmp_path: Path) -> None:
    changed = {"release": "2", "more": "Requires: new", "text": "longer", "link": "/longer", "mode": "4755",
               "group": "kvm", "script": "b"}  # fmt: skip
    found = diff(build(tmp_path / "a"), build(tmp_path / "b", **changed))
    told = {each.path: each.what for each in found.files_changed}
    assert told["/usr/share/whole/text"] == (
        "contents", "mode 100644 to 104755", "owner root:root to root:kvm", "size 2 to 7"
    )  # fmt: skip
    assert told["/usr/share/whole/link"] == ("link /a to /longer",)
    assert set(told) == {"/usr/share/whole/text", "/usr/share/whole/link"}
    relations = dict(found.relations)
    assert "new" in relations["requires"].added
    ((name, lines),) = found.scriptlets
    assert (name, lines.splitlines()[-2:]) == ("prein", ["-echo a", "+echo b"])


@pytest.mark.parametrize("size_bytes", [0, 50, 200])
def test_a_package_that_was_cut_short_is_told(tmp_path: Path, size_bytes: int) -> None:
    path = build(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:size_bytes])
    with pytest.raises(BuildError, match=f"{path.name} cannot be read as a package"):
        rpmheaders.read_header(path)


def changes(checkout: Checkout, number: int) -> dict[str, dict[str, object]]:
    path = checkout.job / "releases" / str(number) / "changes.json"
    document: dict[str, dict[str, object]] = json.loads(path.read_text())
    return document


def changed(document: dict[str, object]) -> dict[str, list[str]]:
    """Package -> the files that changed, with their compiled files."""
    return {
        package["name"]: [f"{file['path']}{''.join(file['compiled'])}" for file in package["files"]["changed"]]
        for package in document["packages"]  # type: ignore[attr-defined]
        if package["files"]["changed"]
    }


def test_a_release_says_what_differs_from_the_vendor_and_the_next_one_from_it(released: Checkout) -> None:
    first = changes(released, 904)
    assert first["last"] is None
    assert changed(first["vendor"]) == {
        "vdsm": ["/usr/share/vdsm/clientIF.py", "/usr/share/vdsm/virt/vm.py"],
        "vdsm.src": ["vdsm.spec"],
    }
    assert len(first["vendor"]["changelog_added"]) == 1  # type: ignore[arg-type]
    released.edit(PATCH, "+    # Whether a client was seen", "+    # Whether any client was seen")

    result = released.run("release")

    assert result.code == 0, result.stderr
    assert "against 904: 1 file changed, " in result.stderr  # and the digest that each package provides
    told = result.document["jobs"][0]["changes"]
    assert told == {"document": "demo/vdsm/releases/905/changes.json", "text": "demo/vdsm/releases/905/changes.md",
                    "last": "904"}  # fmt: skip
    last = changes(released, 905)["last"]
    assert changed(last) == {"vdsm": ["/usr/share/vdsm/virt/vm.py"], "vdsm.src": [Path(PATCH).name, "vdsm.spec"]}
    text = (released.out / told["text"]).read_text()
    assert "- vm: act on console disconnect" in text
    assert set(released.run("release").stages.values()) == {"cached"}


def test_changes_is_a_session_of_its_own(checkout: Checkout) -> None:
    result = checkout.run("changes")
    assert result.code == 0, result.stderr
    assert list(result.stages)[-2:] == ["build", "changes"]
    assert "unit" not in result.stages
