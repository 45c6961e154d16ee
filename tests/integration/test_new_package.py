# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s new_package`, and several packages of one target on one mirror, by the pipeline as people run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import family
from tests.integration.checkout import Checkout, Result, copy_checkout
from tests.unit.source_packages import file_entry, make_srpm, make_tarball

ADDED = "top++"  # its letters come to paths, tags, patterns and addresses
# Of no series, and with something of another package that no build tells: its name.
SPEC = f"""\
Name: {ADDED}
Version: 1.0
Release: 1%{{?dist}}
Summary: A package that requires another one
License: GPL-2.0-or-later
Source0: %{{name}}-%{{version}}.tar.gz
BuildArch: noarch
Requires: greet-protocol-devel >= 1.0
%description
A package that requires another one.
%prep
%setup -q
%install
mkdir -p %{{buildroot}}/usr/share/{ADDED}
cp text %{{buildroot}}/usr/share/{ADDED}/text
%files
/usr/share/{ADDED}
%changelog
* Mon Jan 05 2015 A Packager <packager@example.org> - 1.0-1
- first
"""


def add(checkout: Checkout, name: str) -> Result:
    result = checkout.run("new_package", name, "--source", f"demo:tests/family/{name}")
    assert result.code == 0, result.stderr
    return result


def change(checkout: Checkout, name: str) -> None:
    """Another release of the same source."""
    path = checkout.root / "specs" / name / f"{name}.spec.j2"
    path.write_text(path.read_text() + "{# changed #}\n")


def installed(result: Result) -> str:
    """How the client's walk went, from what people are told."""
    return next(line.strip() for line in result.stderr.splitlines() if "files and packages were right" in line)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout with the first of the family, added by the command, patched and released."""
    checkout = copy_checkout(tmp_path_factory.mktemp("family"))
    family.lay_source(checkout.root, family.PROTOCOL)
    assert add(checkout, family.PROTOCOL).document["targets"] == ["demo"]
    family.lay_patches(checkout.root, family.PROTOCOL)
    result = checkout.run("release", "--package", family.PROTOCOL)
    assert result.code == 0, result.stderr
    return checkout


def test_a_package_that_was_added_is_released_with_its_patch(first):
    packages = {path.name for path in (first.mirror / "noarch").glob("*.rpm")}
    assert packages == {
        "greet-protocol-devel-1.0-1.demo.noarch.rpm",
        "greet-protocol-devel-1.0-1.demo.patched.1.noarch.rpm",
    }
    document = first.run("plan", "--package", family.PROTOCOL).document
    assert {row["result"] for row in document["jobs"][0]["stages"]} == {"cached"}


def test_a_second_package_comes_to_a_mirror_that_has_the_first_and_each_goes_its_own_way(first):
    folder = first.root / "tests" / "family" / ADDED
    (folder / f"{ADDED}-1.0").mkdir(parents=True)
    (folder / f"{ADDED}-1.0" / "text").write_text("text\n")
    (folder / f"{ADDED}.spec").write_text(SPEC)
    add(first, ADDED)
    change(first, family.PROTOCOL)
    both = first.run("release", "--package", family.PROTOCOL, "--package", ADDED)
    assert both.code == 0, both.stderr
    assert "7 steps" in installed(both), "vendor's set, ours, back and again, the release before, back and again"
    playbook = (first.mirror / "hosts.txt").read_text()
    assert "greet-protocol, top++ on hosts" in playbook
    assert "==== 5. Back to our release before, " in playbook

    # What the other one built is in the repository, and nobody stands in for it.
    change(first, ADDED)
    alone = first.run("release", "--package", ADDED, "--verbose")
    assert alone.code == 0, alone.stderr
    stood_in = alone.stderr.partition("met by a stand-in\n")[2].partition("\n")[0]
    assert stood_in.strip() == "/usr/bin/pkg-config", "which the other package requires of a host"


def test_what_the_vendor_has_and_no_patch_changes_is_released_as_ours(first):
    release = next((first.out / "demo" / ADDED / "releases").glob("1/*.spec"), None)
    if release is None:
        pytest.fail("the second package was not released")
    assert "- no changes to the source" in release.read_text()


@pytest.mark.parametrize("name", [family.LIBRARY, family.PROGRAM])
def test_the_others_of_the_family_are_added_and_proved(checkout, name):
    family.lay_source(checkout.root, name)
    add(checkout, name)
    family.lay_patches(checkout.root, name)
    result = checkout.run("unit", "--package", name)
    assert result.code == 0, result.stderr
    assert result.document["jobs"][0]["unit"]["patched"] == {"passed": 2, "failed": 0}
    assert checkout.run("render", "--package", name).code == 0


def test_the_family_is_laid_into_a_checkout_with_or_without_others(checkout):
    family.lay(checkout.root, only=True)
    planned = checkout.run("plan").document
    assert [job["package"] for job in planned["jobs"]] == [*family.NAMES]


ERRATA = """
[targets.errata]
sources = "el6"
engine = "host"
dist = ".el6"
python = "python3"
nodeps = true
mirror = "local"
"""


def test_a_vendor_s_update_keeps_its_dist_tag_and_ours_comes_above_it(checkout, tmp_path):
    settings_path = checkout.root / "pipeline.toml"
    settings_path.write_text(settings_path.read_text() + ERRATA)
    archive = make_tarball(tmp_path / "good.tar.gz", [file_entry(f"{ADDED}-1.0/text")])
    spec = SPEC.replace("1%{?dist}", "1%{?dist}.3").replace("{", "{{").replace("}", "}}")
    path = make_srpm(tmp_path, name=ADDED, version="1.0", spec=spec, dist=".el6_6",
                     sources={f"{ADDED}-1.0.tar.gz": archive.read_bytes()})  # fmt: skip
    added = checkout.run("new_package", ADDED, "--source", f"srpm:{path}", "--target", "errata")
    assert added.code == 0, added.stderr
    assert f"next: .venv/bin/nox -s build -- --package {ADDED} --target errata\n" in added.stderr
    built = checkout.run("lint", "--package", ADDED, "--target", "errata")
    assert built.code == 0, built.stderr
    folder = checkout.out / "errata" / ADDED
    assert {path.name for path in folder.rglob("*.noarch.rpm")} == {
        f"{ADDED}-1.0-1.el6_6.3.patched.1.noarch.rpm",
        f"{ADDED}-1.0-1.el6_6.3.noarch.rpm",
    }


def test_a_refusal_is_one_line_and_a_document(checkout, validator_of):
    result = checkout.run("new_package", "small")
    assert result.code == 2
    assert result.error_line == "error: a new package needs to know where its source is"
    validator_of("new_package").validate(result.document)
    missing = checkout.run("new_package", "small", "--source", f"srpm:{Path('/nowhere/x.src.rpm')}")
    assert (missing.code, missing.error_line) == (2, "error: /nowhere/x.src.rpm is no file")


def test_of_several_that_add_one_package_at_once_one_does_and_the_others_are_told(checkout):
    family.lay_source(checkout.root, family.PROTOCOL)
    words = ("new_package", family.PROTOCOL, "--source", f"demo:tests/family/{family.PROTOCOL}")
    running = [checkout.popen(*words) for _ in range(3)]
    told = [each.communicate(timeout=120)[1] for each in running]
    assert sorted(each.returncode for each in running) == [0, 2, 2], told
    lost = [text for each, text in zip(running, told, strict=True) if each.returncode]
    assert all(f"error: pipeline.toml has a package {family.PROTOCOL} already" in text for text in lost), lost
    assert (checkout.root / "pipeline.toml").read_text().count(f"[packages.{family.PROTOCOL}]") == 1
