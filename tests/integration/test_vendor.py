# SPDX-License-Identifier: GPL-2.0-or-later
"""The vendor's own packages: built here, or from repositories that the real createrepo_c made, good and bad."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipeline import files
from pipeline.context import JobContext
from pipeline.errors import NetworkError, SettingsError
from pipeline.ledger import Ledger
from pipeline.model import BuildResult, Srpm, VendorSet
from pipeline.stages import vendor
from tests.integration.packages import make, records

RELEASE = "0.el6"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make(tmp_path_factory.mktemp("vendor"), name="vdsm", version="4.16.30", release=RELEASE)


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """The stage with its records, and the repository that it is given."""

    context: JobContext
    srpm: Srpm
    baseline: BuildResult
    repository: Path

    def told_of(self, address: str, *, offline: bool = False, sha256: dict[str, str] | None = None) -> Vendor:
        target = self.context.target.model_copy(update={"vendor_packages": address})
        settings = self.context.settings.model_copy(update={"offline": offline})
        package = self.context.package.model_copy(update={"sha256": sha256 or {}})
        return replace(self, context=replace(self.context, target=target, settings=settings, package=package))

    def index(self, *flags: str) -> Vendor:
        flags = flags or ("--general-compress-type=gz",)
        subprocess.run(["createrepo_c", "--quiet", *flags, self.repository], check=True, capture_output=True)
        return self

    def run(self) -> VendorSet:
        return vendor.run(self.srpm, self.baseline, context=self.context)

    def inputs(self) -> dict[str, str]:
        return vendor.inputs(self.srpm, self.baseline, context=self.context)

    def refusal(self) -> NetworkError:
        with pytest.raises(NetworkError) as caught:
            self.run()
        assert "\n" not in caught.value.message
        assert caught.value.hint
        assert not (self.context.home_dir / "vendor").exists()
        assert list(self.context.scratch_dir.glob("*")) == []
        return caught.value


@pytest.fixture
def stage(
    make_context: Callable[..., JobContext], make_srpm: Callable[..., Srpm], packages: list[Path], tmp_path: Path
) -> Vendor:
    context = make_context(target="el6")
    built = records(packages, context, "baseline")
    srpm = replace(make_srpm(release=RELEASE), demo=False, file=built[0].file)
    repository = tmp_path / "vendor's repository"
    repository.mkdir()
    for path in packages:
        shutil.copy(path, repository)
    baseline = BuildResult(srpm=built[0], rpms=built[1:], spec=srpm.spec)
    return Vendor(context=context, srpm=srpm, baseline=baseline, repository=repository).told_of(str(repository))


def served(httpserver: HTTPServer, folder: Path) -> str:
    def handle(request: Request) -> Response:
        path = folder / request.path.removeprefix("/el6/")
        return Response(path.read_bytes()) if path.is_file() else Response(status=404)

    httpserver.expect_request(re.compile("/el6/.*")).respond_with_handler(handle)
    return httpserver.url_for("/el6/")


def test_without_a_repository_it_is_what_was_built_here(stage):
    found = stage.told_of("").run()
    assert found.rpms == stage.baseline.all_rpms
    name, sha256 = stage.srpm.file.path.name, stage.srpm.file.sha256
    assert found.origin == f"built from {name} (sha256 {sha256}) by this pipeline"
    assert name == "vdsm-4.16.30-0.el6.src.rpm"


def test_the_demo_has_no_vendor(stage):
    demo = replace(stage, srpm=replace(stage.srpm, demo=True))
    assert demo.run().rpms == stage.baseline.all_rpms
    assert demo.inputs() == {"vendor packages": "built here"}


@pytest.mark.parametrize("how", ["directory", "relative", "file", "http"])
def test_the_packages_of_the_source_rpm_and_no_others(stage, packages, tmp_path, httpserver, how):
    for other in (make(tmp_path / "newer", name="vdsm", version="4.16.31"), make(tmp_path / "other", name="mom")):
        for path in other:
            shutil.copy(path, stage.repository)
    stage.index()
    (stage.context.settings.root_dir / "theirs").symlink_to(stage.repository)
    address = {"directory": str(stage.repository), "relative": "theirs", "file": stage.repository.as_uri(),
               "http": served(httpserver, stage.repository)}[how]  # fmt: skip
    found = stage.told_of(address).run()
    assert [rpm.nevra for rpm in found.rpms] == [
        "vdsm-4.16.30-0.el6.src", "vdsm-4.16.30-0.el6.noarch", "vdsm-lib-4.16.30-0.el6.noarch",
    ]  # fmt: skip
    assert found.origin == f"from the repository {address}"
    folder = Path("el6/vdsm/vendor")
    assert [rpm.file.path.parent for rpm in found.rpms] == [folder / "SRPMS", folder / "noarch", folder / "noarch"]
    for rpm, path in zip(found.rpms, packages, strict=True):
        kept = stage.context.out_path / rpm.file.path
        assert rpm.file.sha256 == files.sha256_of(path) == files.sha256_of(kept)
    assert list(stage.context.scratch_dir.glob("*")) == []


def test_a_repository_without_the_source_rpm_will_do(stage, packages):
    (stage.repository / packages[0].name).unlink()
    assert [rpm.arch for rpm in stage.index().run().rpms] == ["noarch", "noarch"]


@pytest.mark.parametrize("flags", [("--general-compress-type=xz",), ("--checksum=sha512",), ("--checksum=sha1",)])
def test_metadata_that_hosts_could_not_read_is_read_here(stage, flags):
    """It is not published: ours is made anew."""
    assert len(stage.index(*flags).run().rpms) == 3


def test_nothing_is_done_again_until_the_repository_changes(stage, packages, httpserver):
    asked = stage.index().told_of(served(httpserver, stage.repository))
    ledger = Ledger(stage.context.home_dir, stage.context.out_path)
    ledger.keep("vendor", asked.run(), asked.inputs(), finished="now", seconds=0)

    def found(given: Vendor) -> str:
        return ledger.find("vendor", VendorSet, given.inputs()).reason

    address = asked.context.target.vendor_packages
    assert found(asked) == "nothing changed since now"
    count = len(httpserver.log)
    assert found(stage.told_of(address, offline=True)) == "nothing changed since now"
    assert len(httpserver.log) == count, "nobody is asked"
    with (stage.repository / "repodata/repomd.xml").open("a") as stream:
        stream.write("\n")
    assert found(asked) == "repository changed"
    httpserver.clear()
    httpserver.expect_request(re.compile(".*")).respond_with_data("no", status=503)
    assert found(asked) == "nothing changed since now", "one that cannot be asked is taken for unchanged"


def test_offline_the_network_is_left_alone(stage, httpserver):
    error = stage.index().told_of(served(httpserver, stage.repository), offline=True).refusal()
    assert "--offline forbids" in error.message
    assert httpserver.log == []
    assert len(stage.told_of(str(stage.repository), offline=True).run().rpms) == 3


def test_a_password_is_shown_nowhere(stage):
    given = stage.told_of("http://me:secret@127.0.0.1:9/el6", offline=True)
    assert "secret" not in given.refusal().message + str(given.inputs())


# ---- bad repositories ------------------------------------------------------------------------------


def test_one_that_is_absent(stage, tmp_path):
    assert "there is no such file" in stage.told_of(str(tmp_path / "nowhere")).refusal().message


def test_a_folder_that_is_none(stage, httpserver):
    assert "repodata/repomd.xml: there is no such file" in stage.refusal().message
    assert "answered 404" in stage.told_of(served(httpserver, stage.repository)).refusal().message


def test_an_address_that_is_none(stage):
    with pytest.raises(SettingsError, match="targets.el6.vendor_packages: rsync://host/el6 is no address"):
        stage.told_of("rsync://host/el6").run()


def test_a_page_instead_of_metadata(stage, httpserver):
    httpserver.expect_request(re.compile(".*")).respond_with_data("<html>Not here</html>", content_type="text/html")
    assert "repomd.xml" in stage.told_of(httpserver.url_for("/el6")).refusal().message


def test_a_page_instead_of_a_package(stage, packages):
    stage.index()
    (stage.repository / packages[1].name).write_text("<html>Not here</html>")
    size_bytes = packages[1].stat().st_size
    assert f"it has 21 bytes, and the repository's metadata has {size_bytes}" in stage.refusal().message


def test_a_changed_package(stage, packages):
    stage.index()
    data = packages[2].read_bytes()
    (stage.repository / packages[2].name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    error = stage.refusal()
    assert packages[2].name in error.message
    assert "its sha256 is" in error.message


def test_a_package_that_is_not_the_pinned_one(stage, packages):
    error = stage.index().told_of(str(stage.repository), sha256={packages[1].name: "0" * 64}).refusal()
    assert f"and {'0' * 64} is pinned in pipeline.toml" in error.message


def test_a_package_under_anothers_name(stage, packages):
    """Its digest holds, for the metadata was changed as well."""
    stage.index("--general-compress-type=gz", "--compatibility")
    rewrite_primary(stage.repository, "<name>vdsm-lib</name>", "<name>vdsm-libs</name>")
    baseline = replace(stage.baseline, rpms=stage.baseline.rpms[:1])
    error = replace(stage, baseline=baseline).refusal()
    assert "is named as vdsm-libs-4.16.30-0.el6.noarch: it is vdsm-lib-4.16.30-0.el6.noarch" in error.message


def test_a_name_that_would_lead_out_of_the_folder(stage, packages):
    stage.index("--general-compress-type=gz", "--compatibility")
    rewrite_primary(stage.repository, "<name>vdsm-lib</name>", "<name>../../vdsm-lib</name>")
    baseline = replace(stage.baseline, rpms=stage.baseline.rpms[:1])
    assert "no package may be called that" in replace(stage, baseline=baseline).refusal().message


def rewrite_primary(repository: Path, old: str, new: str) -> None:
    """Changes the metadata as somebody would who can write the digests too."""
    primary = next(repository.glob("repodata/*primary.xml.gz"))
    plain = primary.with_suffix("")
    subprocess.run(["gunzip", primary], check=True)
    text = plain.read_text()
    assert old in text
    plain.write_text(text.replace(old, new))
    subprocess.run(["gzip", plain], check=True)
    subprocess.run(["modifyrepo_c", "--mdtype=primary", "--compress-type=gz", primary, repository / "repodata"],
                   check=True, capture_output=True)  # fmt: skip


@pytest.mark.parametrize(("gone", "what"), [(2, "lacks vdsm-lib of vdsm-4.16.30-0.el6"), (1, "lacks vdsm of")])
def test_one_that_lacks_a_subpackage(stage, packages, gone, what):
    (stage.repository / packages[gone].name).unlink()
    error = stage.index().refusal()
    assert what in error.message
    assert "vendor_packages" in error.hint


def only(stage: Vendor, paths: Sequence[Path]) -> Vendor:
    for path in stage.repository.glob("*.rpm"):
        path.unlink()
    for path in paths:
        shutil.copy(path, stage.repository)
    return stage.index()


def test_one_that_has_another_version_alone(stage, tmp_path):
    error = only(stage, make(tmp_path / "newer", name="vdsm", version="4.16.31", release=RELEASE)).refusal()
    assert "has no packages built from vdsm-4.16.30-0.el6 (it has vdsm-4.16.31-0.el6)" in error.message


def test_one_that_is_empty(stage):
    assert "has no packages built from vdsm-4.16.30-0.el6: a host" in only(stage, []).refusal().message


def test_a_failure_leaves_the_former_set(stage, packages):
    before = stage.index().run()
    (stage.repository / packages[2].name).unlink()
    stage.index()
    with pytest.raises(NetworkError):
        stage.run()
    assert all(files.sha256_of(stage.context.out_path / rpm.file.path) == rpm.file.sha256 for rpm in before.rpms)
