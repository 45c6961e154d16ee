# SPDX-License-Identifier: GPL-2.0-or-later
"""The dist tag of a source RPM, told from its spec's text: where it can be told, and where it cannot."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from pipeline import disttag
from pipeline.rpmbuild import read_rpm
from tests.unit.source_packages import SPEC

MACROS = {"dist": ".el6", "rhel": "6"}
HEAD = "Name: small\nVersion: 1.0\n{more}Release: {release}\n%description\nRelease: none\n%package x\nRelease: 7\n"


@pytest.mark.parametrize(
    ("release", "made", "tag"),
    [
        ("1%{?dist}", "1.el6", ".el6"),
        ("1%{?dist}", "1.el6_6.3", ".el6_6.3"),
        ("1%{?dist}.3", "1.el6_6.3", ".el6_6"),
        ("2.448%{dist}%{?extra_release}", "2.448.el6.centos", ".el6.centos"),
        ("1%{?dist}", "1", ""),
        ("1.%{rhel}%dist", "1.6.el6_1", ".el6_1"),
        ("1", "1.el6", None),
        ("2%{?dist}", "1.el6", None),
        ("1%{?dist}.3", "1.3.el6", None),
        ("1%{?dist}", "1el6", None),
        ("%{rel}%{?dist}", "4.el6_6", None),
        ("1%{?dist}%(date)", "1.el6x", None),
    ],
)
def test_a_release_tells_the_dist_tag_of_its_spec(release, made, tag):
    assert disttag.of_source(HEAD.format(release=release, more=""), made, MACROS) == tag


@pytest.mark.parametrize("more", ["%global post .3\n", "%{!?dist: %define dist .el6}\n", "Release: 2%{?dist}\n"])
def test_what_the_spec_says_by_itself_is_not_guessed(more):
    assert disttag.of_source(HEAD.format(release="1%{?dist}%{?post}", more=more), "1.el6_6.3", MACROS) is None


@pytest.mark.parametrize("tag", [".el6_6", ""])
def test_rpmbuild_makes_the_same_release_of_it(tmp_path, make_context, tag):
    """By rpm itself, with the macros that a target has for such a package."""
    target = make_context().target.model_copy(update={"dist": tag})
    macros = {"_topdir": str(tmp_path), **target.rpm_macros()}
    spec = tmp_path / "small.spec"
    spec.write_text(SPEC.format(name="small", version="1.0", release="1%{?dist}.3", sources=""))
    words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(["rpmbuild", "-bs", "--quiet", *words, str(spec)], check=True, capture_output=True)
    (path,) = Path(tmp_path, "SRPMS").glob("*.src.rpm")
    release = read_rpm(path, tmp_path).evr.release
    assert release == f"1{tag}.3"
    assert disttag.of_source(spec.read_text(), release, MACROS) == tag


def test_the_setting_is_a_line_of_toml():
    tags = {"el6": ".el6_6", "el6.10 x": ""}
    assert tomllib.loads(disttag.setting(tags)) == {"dist_tags": tags}
