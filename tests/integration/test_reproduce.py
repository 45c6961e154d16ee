# SPDX-License-Identifier: GPL-2.0-or-later
"""The same release is the same bytes, wherever and whenever it is made; and what is not is told."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import rpmcompare
from tests.integration.checkout import Checkout, copy_checkout

SPEC = "tests/demo/vdsm/vdsm.spec"
INSTALLED = "    sysconfdir=%{_sysconfdir} pythondir=%{python_sitelib}\n"
CONTAINER = ("--target", "el6-bullseye", "--source", "demo")
VM_PY = "/usr/share/vdsm/virt/vm.py"


def digests(out: Path, target: str = "demo") -> dict[str, str]:
    """Digest by name of all packages made, the vendor's own source RPM too."""
    home = out / target / "vdsm"
    found = [path for folder in ("SRPMS", "RPMS", "srpm", "baseline") for path in (home / folder).rglob("*.rpm")]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def in_another_place(tmp_path: Path) -> Checkout:
    """A checkout with a path of another length, whose files bear other times, as a clone of today."""
    root = tmp_path / "somewhere" / "else" / "and" / "deeper"
    root.mkdir(parents=True)
    checkout = copy_checkout(root)
    for path in root.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return checkout


def test_two_checkouts_release_the_same_bytes(released: Checkout, tmp_path: Path) -> None:
    other = in_another_place(tmp_path)
    time.sleep(1.1)

    # A user of another time zone, language and umask.
    result = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$0" -m pipeline release', sys.executable],
        cwd=other.root, capture_output=True, text=True, timeout=300,
        env={**os.environ, "TZ": "Pacific/Kiritimati", "LANG": "de_DE.UTF-8"},
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    made = digests(released.out)
    assert len(made) == 17  # 8 of ours, 8 of the vendor's, and the source RPM that both are made of
    assert digests(other.out) == made


def test_a_release_that_is_the_same_is_told_so(checkout: Checkout) -> None:
    result = checkout.run("reproduce")

    assert result.code == 0, result.stderr
    (job,) = result.document["jobs"]
    assert {package["verdict"] for package in job["packages"]} == {"identical"}
    assert len(job["packages"]) == 8
    assert "8 of 8 packages are bit-identical" in result.stderr
    assert not (checkout.job / "reproduced").exists()
    assert not (checkout.out / ".work").exists()
    # It was built for that; a release after it takes it as it is.
    assert checkout.run("build").stages["build"] == "cached"


@pytest.mark.parametrize("chance", ["date +%%s%%N", "cat /proc/sys/kernel/random/uuid"])
def test_what_differs_is_told_with_file_and_package(checkout: Checkout, chance: str) -> None:
    checkout.edit(SPEC, INSTALLED, f"{INSTALLED}{chance} >> %{{buildroot}}%{{_datadir}}/vdsm/dsaversion.py\n")

    result = checkout.run("reproduce")

    assert result.code == 10, result.stderr
    assert "vdsm-4.16.30-0.demo.spicedisconnectactionsbackport.904.x86_64 differs in" in result.error_line
    assert "/usr/share/vdsm/dsaversion.py: content" in result.error_line
    (job,) = result.document["jobs"]
    verdicts = {package["nevra"].rpartition(".")[2]: package["verdict"] for package in job["packages"]}
    assert verdicts == {"src": "identical", "x86_64": "different", "noarch": "identical"}
    kept = [path.name for path in (checkout.job / "reproduced").iterdir()]
    assert kept == ["vdsm-4.16.30-0.demo.spicedisconnectactionsbackport.904.x86_64.rpm"]
    # Mended, nothing of it stays.
    checkout.edit(SPEC, f"{chance} >> %{{buildroot}}%{{_datadir}}/vdsm/dsaversion.py\n", "")
    assert checkout.run("reproduce").code == 0
    assert not (checkout.job / "reproduced").exists()


def test_diffoscope_tells_more_where_it_is_installed(checkout: Checkout, tmp_path: Path) -> None:
    checkout.edit(SPEC, INSTALLED, f"{INSTALLED}date +%%s%%N >> %{{buildroot}}%{{_datadir}}/vdsm/dsaversion.py\n")
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "diffoscope"
    tool.write_text('#!/bin/sh\ncmp "$3" "$4" > "$2"\n')
    tool.chmod(0o755)

    result = checkout.run("reproduce", env={"PATH": f"{tool.parent}:{os.environ['PATH']}"})

    assert result.code == 10, result.stderr
    told = (checkout.job / "reproduced" / "diffoscope.txt").read_text()
    assert "904.x86_64.rpm differ: " in told
    assert "diffoscope.txt" in result.stderr


def test_a_stage_that_fails_before_is_told_as_ever(checkout: Checkout) -> None:
    checkout.edit(SPEC, INSTALLED, f"{INSTALLED}false\n")
    result = checkout.run("reproduce")
    assert result.code == 10
    assert "rpmbuild -ba of vdsm.spec" in result.error_line
    assert result.document["jobs"] == []


def test_the_path_of_the_workspace_is_nobody_s_business(checkout: Checkout) -> None:
    """Told by the build itself: what it is given and what it would write into packages."""
    told = "pwd; echo %{_topdir} $HOME; uname -n"
    checkout.edit(SPEC, INSTALLED, f"{INSTALLED}{{ {told}; }} >> %{{buildroot}}%{{_datadir}}/vdsm/dsaversion.py\n")
    assert checkout.run("reproduce").code == 0


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A package, the same made at another time by an rpm that was not told which, and one with other contents."""
    made = []
    for number, text in enumerate(("a", "a", "b")):
        topdir = tmp_path_factory.mktemp("rpmbuild")
        spec = topdir / "small.spec"
        spec.write_text(
            "Name: small\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\ns\n"
            "%install\nmkdir -p %{buildroot}/x\n"
            f"echo {text} > %{{buildroot}}/x/text\n"
            f"printf '\\003\\363\\r\\n{number}{number}{number}{number}code' > %{{buildroot}}/x/m.pyc\n"
            "%files\n/x\n"
        )
        time.sleep(1.1)
        subprocess.run(
            ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {topdir}", str(spec)], check=True, capture_output=True
        )
        made.append(next(topdir.glob("RPMS/*/*.rpm")))
    return made[0], made[1], made[2]


def test_an_old_rpm_makes_the_same_contents(twins: tuple[Path, Path, Path]) -> None:
    first, second, _ = twins
    verdict, found = rpmcompare.compare(first, second)
    assert verdict == "same contents"
    told = [str(each) for each in found]
    assert "/x/m.pyc: time of the source in a compiled module" in told
    assert any(each.startswith("header BUILDTIME: ") for each in told)
    assert all(each.of_making for each in found)


def test_other_contents_are_found_and_come_first(twins: tuple[Path, Path, Path]) -> None:
    first, _, third = twins
    verdict, found = rpmcompare.compare(first, third)
    assert verdict == "different"
    assert str(found[0]) == "/x/text: content"
    assert [each for each in found if not each.of_making] == [found[0]]


def test_a_package_is_identical_to_itself(twins: tuple[Path, Path, Path], tmp_path: Path) -> None:
    shutil.copy(twins[0], tmp_path / "copy.rpm")
    assert rpmcompare.compare(twins[0], tmp_path / "copy.rpm") == ("identical", ())


def test_a_signature_is_no_content(twins: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """The lead, which no rpm reads any more, stands in for one: the header says the same of both."""
    content = bytearray(twins[0].read_bytes())
    content[70] ^= 1
    (tmp_path / "copy.rpm").write_bytes(bytes(content))
    verdict, found = rpmcompare.compare(twins[0], tmp_path / "copy.rpm")
    assert (verdict, [each.where for each in found]) == ("same contents", ["package"])


def test_compiled_modules_in_a_container_are_the_same_and_never_stale(checkout: Checkout) -> None:
    """What python2.7 compiles while it installs, as automake has it done."""
    compiled = "python2.7 -m compileall -q -d %{_datadir}/vdsm/virt %{buildroot}%{_datadir}/vdsm/virt\n"
    checkout.edit(SPEC, INSTALLED, f"{INSTALLED}{compiled}")
    checkout.edit(SPEC, "%{_datadir}/%{vdsm_name}/virt/*.py\n", "%{_datadir}/%{vdsm_name}/virt/*.py*\n")

    result = checkout.run("reproduce", *CONTAINER)

    assert result.code == 0, result.stderr
    (job,) = result.document["jobs"]
    assert (job["rpm"], job["must_be_identical"]) == ("4.16.1.2", True)
    root = checkout.root / "unpacked"
    root.mkdir()
    (package,) = (checkout.out / "el6-bullseye/vdsm/RPMS/x86_64").glob("*.rpm")
    subprocess.run(f"rpm2cpio '{package}' | cpio -idm --quiet", shell=True, cwd=root, check=True)
    modules = list(root.rglob("*.pyc"))
    assert f"{root}{VM_PY}c" in [str(path) for path in modules]
    for module in modules:
        (seconds,) = struct.unpack("<I", module.read_bytes()[4:8])
        assert seconds == int(module.with_suffix(".py").stat().st_mtime)
