# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate, on packages that the real rpmbuild made: good ones, and each kind that hosts must never see."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import command
from pipeline.context import JobContext
from pipeline.errors import CommandMissing, GateError, NetworkError
from pipeline.files import file_record
from pipeline.model import BuildResult, Dependency, SignedSet
from pipeline.rpmheaders import Encoding, read_header
from pipeline.stages import gate
from tests.integration.packages import make, pass_gate, records

OWN = "%{version}-%{release}"


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make(tmp_path_factory.mktemp("vendor"), release="0.el6")


@pytest.fixture
def context(make_context: Callable[..., JobContext]) -> JobContext:
    return make_context(target="el6")


def refused(context: JobContext, ours: Sequence[Path], vendor: Sequence[Path], **more: Sequence[Path]) -> GateError:
    with pytest.raises(GateError) as caught:
        pass_gate(context, ours, vendor, **more)
    error = caught.value
    assert "\n" not in error.message
    assert error.hint and error.exit_code == 18
    assert error.log_path == context.log_path
    return error


def log_of(context: JobContext) -> list[str]:
    lines = context.log_path.read_text().splitlines()
    return [line.removeprefix("refused: ") for line in lines if line.startswith("refused: ")]


def test_a_good_set_passes_and_tells_what_hosts_must_have(context, vendor, tmp_path):
    ours = make(tmp_path, release="0.el6.label.904", subpackages={"lib": f"Requires: small = {OWN}\nRequires: python"})
    report = pass_gate(context, ours, vendor)
    assert report.packages == 6
    assert report.external == ("python",)
    assert not any("more than the vendor" in check for check in report.checks)


@pytest.mark.parametrize(
    "macros",
    [{"_binary_payload": f"w1.{kind}"} for kind in ("xzdio", "bzdio", "lzdio")]
    + [{"_binary_filedigest_algorithm": "1", "_source_filedigest_algorithm": "1"}],
    ids=["xz", "bzip2", "lzma", "MD5"],
)
def test_what_rpm_4_8_reads_as_well_passes(context, vendor, tmp_path, macros):
    assert pass_gate(context, make(tmp_path, macros=macros), vendor).packages == 6


@pytest.mark.parametrize(
    ("wishes", "why", "mend"),
    [
        ({"macros": {"_binary_payload": "w3.zstdio"}}, "requires rpmlib(PayloadIsZstd)", "w9.gzdio"),
        ({"macros": {"_source_payload": "w3.zstdio"}}, "small-1.0-1.src requires rpmlib(PayloadIsZstd)", "w9.gzdio"),
        ({"version": "1.0~rc1"}, "its version has '~', which rpm 4.8 refuses", "letters, digits"),
        ({"release": "1^git"}, "its release has '^', which rpm 4.8 refuses", "letters, digits"),
        ({"lines": "Requires: other >= 2~rc1"}, "requires rpmlib(TildeInVersions)", "no ~"),
        ({"lines": "Requires: (this or that)"}, "requires rpmlib(RichDependencies)", "one of the choices"),
        ({"lines": "%post -e\necho %{name}\n"}, "requires rpmlib(ScriptletExpansion)", "-e"),
        ({"macros": {"_binary_filedigest_algorithm": "10"}}, "file digests of SHA-512", "algorithm"),
        ({"release": "1%{undefined_one}"}, "a macro is left in its release", "targets.<target>.macros"),
    ],
    ids=["zstd", "zstd source", "tilde", "caret", "tilde in a requirement", "rich", "expanded", "SHA-512", "macro"],
)
def test_what_rpm_4_8_cannot_read_is_named_with_its_mend(context, vendor, tmp_path, wishes, why, mend):
    if "%post" in wishes.get("lines", ""):
        wishes = {"lines": "", "subpackages": {"lib": "%post lib -e\necho %{name}\n"}}
    error = refused(context, make(tmp_path, **wishes), vendor)
    assert any(why in line for line in log_of(context)), log_of(context)
    assert error.message.split(" (")[0] in "\n".join(log_of(context))
    assert mend in context.log_path.read_text()


def test_all_problems_are_in_the_log_and_the_first_is_told_with_their_number(context, vendor, tmp_path):
    macros = {"_binary_payload": "w3.zstdio", "_binary_filedigest_algorithm": "10"}
    error = refused(context, make(tmp_path, macros=macros), vendor)
    told = log_of(context)
    assert len(told) == 6, "two packages: a feature, a compressor and a digest each"
    assert error.message == f"{told[0]} (5 other problems in the log)"


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-20], lambda data: data[:-20] + b"x" * 20, lambda data: data[:900]],
    ids=["cut payload", "changed payload", "cut header"],
)
def test_a_damaged_package_is_named(context, vendor, tmp_path, damage):
    ours = make(tmp_path)
    run = with_records(context, ours)
    ours[2].write_bytes(damage(ours[2].read_bytes()))
    with pytest.raises(GateError) as caught:
        run(ours, vendor)
    assert caught.value.message == (
        f"{ours[2].name}: the digests of its header and payload do not hold: it was cut short or changed"
    )


def with_records(context: JobContext, ours: Sequence[Path]) -> Callable[..., object]:
    """Passes the gate with packages that were changed after their records were made."""
    made = records(ours, context, "signed")

    def run(changed: Sequence[Path], vendor: Sequence[Path]) -> object:
        for path in changed:
            shutil.copy(path, context.home_dir / "signed" / path.name)
        signed = SignedSet(ours=made, vendor=records(vendor, context, "v"), vendor_origin="", keys=())
        return gate.run(signed, BuildResult(srpm=made[0], rpms=made[1:], spec=made[0].file), context=context)

    return run


# ---- the set is whole ------------------------------------------------------------------------------


def test_a_package_that_was_built_and_is_not_in_the_set(context, vendor, tmp_path):
    ours = make(tmp_path, subpackages={"lib": "", "more": ""})
    error = refused(context, ours[:-1], vendor, built=ours)
    assert error.message == "small-more-1.0-1.noarch is not in the signed set: the set is not the build"


def test_a_subpackage_that_the_vendor_has_and_ours_lacks(context, vendor, tmp_path):
    error = refused(context, make(tmp_path, subpackages={"more": ""}), vendor)
    assert error.message == "the vendor has small-lib, and our build does not"
    assert "macros" in error.hint


def test_what_debuggers_need_may_be_the_vendors_alone(context, tmp_path):
    vendor = make(tmp_path / "v", release="0.el6", subpackages={"lib": "", "debuginfo": ""})
    assert pass_gate(context, make(tmp_path / "o"), vendor).packages == 7


def test_more_than_the_vendor_has_is_told(context, vendor, tmp_path, told):
    report = pass_gate(context, make(tmp_path, subpackages={"lib": "", "more": ""}), vendor)
    assert "more than the vendor has: small-more" in report.checks
    assert "beside the vendor's packages there is small-more" in told.getvalue()


@pytest.mark.parametrize("line", ["Release: 2", "Version: 1.1", "Epoch: 1"])
def test_a_subpackage_with_a_release_of_its_own(context, vendor, tmp_path, line):
    error = refused(context, make(tmp_path, subpackages={"lib": line, "c": ""}, contents=None), vendor)
    assert "our others are 1.0-1: one build has one version and release" in error.message
    assert error.message.startswith("small-lib-")


def test_packages_of_two_source_rpms(context, vendor, tmp_path):
    ours = make(tmp_path / "o")
    foreign = make(tmp_path / "f", name="foreign", subpackages={})[1]
    error = refused(context, [*ours, foreign], vendor)
    assert error.message.startswith(
        "foreign-1.0-1.noarch is built from foreign-1.0-1.src.rpm, the others from small-1.0"
    )


def test_an_epoch_that_the_vendor_has_not(context, vendor, tmp_path):
    error = refused(context, make(tmp_path, lines="Epoch: 1", subpackages={"lib": "Epoch: 1"}), vendor)
    assert "has epoch 1, and the vendor's small has 0" in error.message


def test_ours_at_the_vendors_own_release(context, vendor):
    error = refused(context, vendor, vendor)
    assert error.message.startswith("small-1.0-0.el6.noarch is 2 times in the set")


# ---- files -----------------------------------------------------------------------------------------


SHARED = "/usr/share/small/text"


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("a", "b", f"both have {SHARED} with other contents"),
        ("a%attr(0644,root,root)", "a%attr(0755,root,root)", f"{SHARED} with modes 100644 and 100755"),
        ("a%attr(0644,root,root)", "a%attr(0644,root,kvm)", f"{SHARED} with owners root:root and root:kvm"),
    ],
    ids=["contents", "mode", "owner"],
)
def test_a_path_that_two_packages_have_in_two_ways(context, vendor, tmp_path, one, other, why):
    assert why in refused(context, make_shared(tmp_path, one, other), vendor).message


@pytest.mark.parametrize(
    ("one", "other"),
    [("a%attr(0644,root,root)", "a%attr(0644,root,root)"), ("a", "b%attr(0644,root,root) %ghost")],
    ids=["same", "ghost"],
)
def test_a_path_that_two_packages_may_have(context, vendor, tmp_path, one, other):
    assert pass_gate(context, make_shared(tmp_path, one, other), vendor).packages == 6


def make_shared(folder: Path, one: str, other: str) -> list[Path]:
    """A set whose two packages have one path: a build root has it once, so `lib` is of a second build."""
    first = make(folder / "1", contents={"": {SHARED: one}, "lib": {}})
    second = make(folder / "2", contents={"": {}, "lib": {SHARED: other}})
    return [*first[:2], second[2]]


# ---- requirements, conflicts, obsoletes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "lib", "why"),
    [
        ("Requires: small-lib = 2.0", "", "requires small-lib = 2.0, and our set has small-lib 1.0-1"),
        ("Requires: small-lib = 1.0-0.el6", "", "requires small-lib = 1.0-0.el6, and our set has small-lib 1.0-1"),
        ("Requires: thing >= 3", "Provides: thing = 2", "requires thing >= 3, and our set has thing 2"),
        ("Conflicts: thing < 3", "Provides: thing = 2", "conflicts with thing < 3, which is small-lib-1.0-1.noarch"),
        (
            "Obsoletes: small-lib <= 1.0-1",
            "",
            "obsoletes small-lib <= 1.0-1, so it would remove small-lib-1.0-1.noarch",
        ),
        ("Obsoletes: small-lib < 1.0-1", "", "so it would remove small-lib-1.0-0.el6.noarch"),
    ],
)
def test_what_a_set_cannot_meet_or_would_remove(context, vendor, tmp_path, lines, lib, why):
    assert why in refused(context, make(tmp_path, lines=lines, subpackages={"lib": lib}), vendor).message


@pytest.mark.parametrize(
    ("lines", "lib"),
    [
        (f"Requires: small-lib = {OWN}", ""),
        ("Requires: small-lib >= 0.9, small-lib < 2", ""),
        ("Requires: thing >= 3", "Provides: thing"),
        ("Requires: thing >= 2", "Provides: thing = 0:2.0-1"),
        ("Requires: /usr/share/small/lib", ""),
        ("Obsoletes: small-lib < 1.0-0.el6\nConflicts: small-lib < 1.0-1", ""),
        ("Provides: thing = 1\nConflicts: thing < 3\nObsoletes: small < 5", ""),
    ],
    ids=["own", "range", "any version", "epoch", "file", "older", "its own"],
)
def test_what_a_set_meets_itself(context, vendor, tmp_path, lines, lib):
    assert pass_gate(context, make(tmp_path, lines=lines, subpackages={"lib": lib}), vendor).external == ()


def test_a_requirement_for_a_subpackage_that_only_the_vendor_has(context, tmp_path):
    vendor = make(tmp_path / "v", release="0.el6", subpackages={"lib": "", "more": ""})
    ours = make(tmp_path / "o", subpackages={"lib": f"Requires: small-more = {OWN}"})
    error = refused(context, ours, vendor)
    assert error.message.startswith("the vendor has small-more")
    assert "small-lib-1.0-1.noarch requires small-more = 1.0-1, and our set has no small-more" in log_of(context)


# ---- the hosts' repositories -----------------------------------------------------------------------


@pytest.fixture
def host_repository(tmp_path: Path) -> Path:
    folder = tmp_path / "host's repository"
    made = make(tmp_path / "host", name="python", version="2.6", subpackages={})
    folder.mkdir()
    shutil.copy(made[1], folder)
    subprocess.run(["createrepo_c", "--quiet", "--general-compress-type=gz", folder], check=True)
    return folder


def with_hosts(context: JobContext, *repositories: str, offline: bool = False) -> JobContext:
    target = context.target.model_copy(update={"host_repositories": repositories})
    return replace(context, target=target, settings=context.settings.model_copy(update={"offline": offline}))


def test_dnf_says_whether_hosts_can_meet_the_rest(context, vendor, host_repository, tmp_path):
    context = with_hosts(context, str(host_repository), offline=True)
    good = make(tmp_path / "good", lines="Requires: python >= 2.6")
    report = pass_gate(context, good, vendor)
    assert report.external == ()
    assert f"requirements met by {host_repository}" in report.checks

    bad = make(tmp_path / "bad", lines="Requires: python >= 2.7, libvirt")
    error = refused(context, bad, vendor)
    assert error.message == (
        "small-1.0-1.noarch requires libvirt, which no repository of the hosts has (1 other problem in the log)"
    )
    assert "small-1.0-1.noarch requires python >= 2.7, which no repository of the hosts has" in log_of(context)


def test_what_another_package_of_the_target_may_have_is_left_to_verify(
    context, vendor, host_repository, tmp_path, told
):
    packages = context.settings.packages
    settings = context.settings.model_copy(update={"packages": {**packages, "other": packages["vdsm"]}})
    context = with_hosts(replace(context, settings=settings), str(host_repository), offline=True)
    ours = make(tmp_path / "ours", lines="Requires: python >= 2.6, libother.so.1")
    assert pass_gate(context, ours, vendor).packages == 6
    assert (
        "left to verify: small-1.0-1.noarch requires libother.so.1, which no repository of the hosts has; other, of the"
        " same target, may have it"
    ) in told.getvalue()


def test_what_the_package_is_built_on_meets_its_requirements(context, vendor, host_repository, tmp_path):
    made = make(tmp_path / "other", name="other", lines="Provides: libother.so.1", subpackages={})
    spec = context.home_dir / "other.spec"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text("Name: other\n")
    source, *rpms = records(made, context, "other")
    built = BuildResult(srpm=source, rpms=tuple(rpms), spec=file_record(spec, context.out_path))
    packages = context.settings.packages
    settings = context.settings.model_copy(update={"packages": {**packages, "other": packages["vdsm"]}})
    context = with_hosts(replace(context, settings=settings), str(host_repository), offline=True)
    context = replace(context, needs=(Dependency(package="other", build=built, baseline=built, key="1"),))
    ours = make(tmp_path / "ours", lines="Requires: libother.so.1")
    assert pass_gate(context, ours, vendor).checks
    bad = make(tmp_path / "bad", lines="Requires: libother.so.2")
    assert "requires libother.so.2, which no repository" in refused(context, bad, vendor).message


def test_a_host_repository_that_is_not_there(context, vendor, tmp_path):
    context = with_hosts(context, str(tmp_path / "nowhere"))
    with pytest.raises(NetworkError) as caught:
        pass_gate(context, make(tmp_path / "o"), vendor)
    assert f"dnf cannot read {tmp_path}/nowhere" in caught.value.message
    assert "host_repositories" in caught.value.hint


def test_a_host_repository_on_the_network_and_offline(context, vendor, tmp_path):
    context = with_hosts(context, "http://user:secret@127.0.0.1:9/el6", offline=True)
    with pytest.raises(NetworkError, match="--offline forbids") as caught:
        pass_gate(context, make(tmp_path / "o"), vendor)
    assert "secret" not in caught.value.message


def test_a_machine_without_repoclosure(context, vendor, host_repository, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "is_on_path", lambda program: program != "dnf")
    with pytest.raises(CommandMissing, match="repoclosure is not on this machine") as caught:
        pass_gate(with_hosts(context, str(host_repository)), make(tmp_path / "o"), vendor)
    assert "dnf-plugins-core" in caught.value.hint


def test_how_a_package_is_written_down_is_read(tmp_path):
    made = make(tmp_path, macros={"_binary_payload": "w1.xzdio", "_binary_filedigest_algorithm": "10"})
    assert read_header(made[1]).encoding == Encoding(payload_compressor="xz", file_digest=10)
    assert read_header(made[1]).source_rpm == "small-1.0-1.src.rpm"
    assert (read_header(made[0]).nevra, read_header(made[0]).source_rpm) == ("small-1.0-1.src", "")
