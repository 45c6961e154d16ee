# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching from yum source repositories that the real createrepo_c made, whole and damaged."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipeline import files
from pipeline.errors import NetworkError, SrpmError
from pipeline.ledger import Ledger
from pipeline.model import Srpm
from pipeline.stages import fetch
from tests.unit.fetching import IMAGE, make_context, refusal, told
from tests.unit.source_packages import make_srpm

RELEASES = ("2.el6", "10.el6", "9.el6")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("packages")
    made = [make_srpm(base / release, release=release) for release in RELEASES]
    made.append(make_srpm(base / "newer", version="4.16.31"))
    made.append(make_srpm(base / "other", name="vdsm-other"))
    made.append(make_srpm(base / "binary", step="-bb", release="99.el6"))
    return made


@pytest.fixture
def repository(packages: list[Path], tmp_path: Path) -> Path:
    return make_repository(packages, tmp_path / "source repo", "--general-compress-type=gz")


def make_repository(packages: list[Path], folder: Path, *flags: str) -> Path:
    (folder / "Packages").mkdir(parents=True)
    for package in packages:
        shutil.copy(package, folder / "Packages")
    subprocess.run(["createrepo_c", "--quiet", *flags, folder], check=True, capture_output=True)
    return folder


def served(httpserver: HTTPServer, folder: Path) -> str:
    def handle(request: Request) -> Response:
        path = folder / request.path.removeprefix("/repo/")
        return Response(path.read_bytes()) if path.is_file() else Response(status=404)

    httpserver.expect_request(re.compile("/repo/.*")).respond_with_handler(handle)
    return f"yum:{httpserver.url_for('/repo/')}"


def test_the_newest_by_rpms_own_order(root, repository, httpserver):
    context = make_context(root, served(httpserver, repository))
    made = fetch.run(IMAGE, context=context)
    assert made.nevra == "vdsm-4.16.30-10.el6.src", "10 is after 9, a binary package and other versions do not count"
    assert f'"vdsm-4.16.30-10.el6.src.rpm" = "{made.file.sha256}"' in told(context)


def test_the_epoch_goes_before_the_release(root, packages, tmp_path):
    early = make_srpm(tmp_path / "epoch", release="1.el6", tags="Epoch: 1\n")
    folder = make_repository([*packages, early], tmp_path / "repo")
    assert str(fetch.run(IMAGE, context=make_context(root, f"yum:{folder.as_uri()}")).evr) == "1:4.16.30-1.el6"


@pytest.mark.parametrize("flags", [["--checksum=sha"], ["--checksum=sha512"], ["--general-compress-type=xz"]])
def test_old_and_new_repositories_are_read_from_disk_as_well(root, packages, tmp_path, flags):
    folder = make_repository(packages, tmp_path / "repo", *flags)
    context = make_context(root, f"yum:{folder.as_uri()}", offline=True)
    assert fetch.run(IMAGE, context=context).evr.release == "10.el6"


def test_a_version_that_is_not_there(root, packages, tmp_path):
    folder = make_repository([packages[3]], tmp_path / "repo")
    context = make_context(root, f"yum:{folder.as_uri()}")
    assert "has no source package vdsm 4.16.30 (it has 4.16.31-0.el6)" in refusal(NetworkError, context)


def test_a_package_that_was_exchanged(root, repository, packages, httpserver):
    shutil.copy(packages[0], repository / "Packages/vdsm-4.16.30-10.el6.src.rpm")
    context = make_context(root, served(httpserver, repository))
    assert "and the repository's metadata has" in refusal(NetworkError, context)


def test_a_pin_must_match(root, repository):
    context = make_context(root, f"yum:{repository.as_uri()}", sha256=f'"vdsm-4.16.30-10.el6.src.rpm" = "{"0" * 64}"')
    assert f"and {'0' * 64} is wanted" in refusal(SrpmError, context)


def test_metadata_that_was_exchanged(root, repository):
    primary = next(repository.glob("repodata/*primary.xml.gz"))
    primary.write_bytes(primary.read_bytes() + b"x")
    message = refusal(NetworkError, make_context(root, f"yum:{repository.as_uri()}"))
    assert "primary.xml.gz: its sha256 is" in message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "<html>", "repomd.xml"),
        (lambda text: text[:300], "repomd.xml"),
        (lambda text: text.replace('type="primary"', 'type="other_one"'), "names 0 primary files"),
        (lambda text: re.sub(r'href="repodata/[^"]*primary', 'href="../../etc/primary', text), "not below it"),
        (lambda text: re.sub(r'href="repodata/[^"]*primary', 'href="http://evil/primary', text), "not below it"),
        (lambda text: text.replace('<checksum type="sha256"', '<checksum type="md5"'), "proves nothing"),
    ],
    ids=["page", "cut", "no primary", "up", "elsewhere", "weak checksum"],
)
def test_a_damaged_repomd(root, repository, change, why):
    repomd = repository / "repodata/repomd.xml"
    repomd.write_text(change(repomd.read_text()))
    assert why in refusal(NetworkError, make_context(root, f"yum:{repository.as_uri()}"))


def test_a_folder_that_is_no_repository(root, tmp_path, httpserver):
    context = make_context(root, served(httpserver, tmp_path))
    assert "repodata/repomd.xml: the server answered 404" in refusal(NetworkError, context)


def test_repomd_decides_and_its_last_state_stands_when_nobody_can_be_asked(root, repository, httpserver):
    source = served(httpserver, repository)
    context = make_context(root, source)
    ledger = Ledger(context.home_dir, context.out_path)
    decided = fetch.inputs(IMAGE, context=context)
    assert decided[source] == files.sha256_of(repository / "repodata/repomd.xml")
    ledger.keep("fetch", fetch.run(IMAGE, context=context), decided, finished="now", seconds=0)

    def found(**flags: object) -> str:
        return ledger.find("fetch", Srpm, fetch.inputs(IMAGE, context=make_context(root, source, **flags))).reason

    asked = len(httpserver.log)
    assert found(offline=True) == "nothing changed since now"
    assert len(httpserver.log) == asked
    httpserver.clear()
    httpserver.expect_request(re.compile(".*")).respond_with_data("no", status=503)
    assert found() == "nothing changed since now"

    httpserver.clear()
    with (repository / "repodata/repomd.xml").open("a") as stream:
        stream.write("\n")
    served(httpserver, repository)
    assert found() == f"{source} changed"


def test_an_unknown_repository_that_cannot_be_asked(root, httpserver):
    httpserver.expect_request(re.compile(".*")).respond_with_data("no", status=503)
    source = f"yum:{httpserver.url_for('/repo')}"
    context = make_context(root, source)
    assert fetch.inputs(IMAGE, context=context)[source] == "unknown"
    assert len(httpserver.log) == 1, "asked once, and shortly"
