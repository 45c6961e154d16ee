# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gate says of headers and of metadata, without a package."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import release
from pipeline.errors import GateError
from pipeline.gate import closure, completeness, conflicts, metadata, readable, requirements
from pipeline.gate.problem import Problem, refusal, told
from pipeline.gate.relations import overlap
from pipeline.model import Evr
from pipeline.rpmheaders import RELATIONS, Dependency, Encoding, Header, PackagedFile

SAFE = "ABCZabcz0189._+"
REFUSED = "~^%{}:;-/\\ \t\n\"'é()<>=!,"


def header(name: str = "vdsm", *, release: str = "1", version: str = "1.0", epoch: int = 0, **more: Any) -> Header:
    relations = {kind: frozenset(more.pop(kind, ())) for kind in RELATIONS}
    wishes: dict[str, object] = {
        "arch": "noarch", "is_source": False, "files": {}, "scriptlets": {}, "changelog": (), "installed_bytes": 0,
        "package_bytes": 0, "source_rpm": f"vdsm-{version}-{release}.src.rpm", **more,
    }  # fmt: skip
    evr = Evr(epoch=epoch, version=version, release=release)
    return Header(name=name, evr=evr, relations=relations, **wishes)  # type: ignore[arg-type]


def wants(text: str) -> Dependency:
    name, operator, evr = (*text.split(), "", "")[:3]
    return Dependency(name=name, operator=operator, evr=evr)


def file(digest: str = "a", *, mode: str = "100644", **more: object) -> PackagedFile:
    return PackagedFile(digest=digest, mode=mode, owner="root:root", size_bytes=1, **more)  # type: ignore[arg-type]


# ---- what rpm 4.8 reads ----------------------------------------------------------------------------


@given(version=st.text(SAFE, min_size=1, max_size=12), rel=st.text(SAFE, min_size=1, max_size=12))
def test_every_name_that_rpm_4_8_takes_passes(version, rel):
    assert list(readable.problems(header(version=version, release=rel))) == []


@given(
    before=st.text(SAFE, max_size=5), sign=st.sampled_from(REFUSED) | st.characters(min_codepoint=128),
    behind=st.text(SAFE, max_size=5), where=st.sampled_from(["version", "release"]),
)  # fmt: skip
def test_every_other_sign_is_refused_and_named(before, sign, behind, where):
    (problem,) = readable.problems(header(**{where: f"{before}{sign}{behind}"}))
    assert problem.reference == ("macro-left" if sign == "%" else "name-refused")
    assert where in problem.message


def test_a_name_may_have_a_hyphen_and_a_version_not():
    assert list(readable.problems(header("vdsm-python-zombiereaper"))) == []
    assert [each.reference for each in readable.problems(header(version="1-0"))] == ["name-refused"]


@pytest.mark.parametrize("feature", readable.RPMLIB)
def test_what_rpm_4_8_has_passes_up_to_the_version_that_it_has(feature):
    known = readable.RPMLIB[feature]
    needs = header(requires=[wants(f"rpmlib({feature}) <= {known}")])
    assert list(readable.problems(needs)) == []
    (problem,) = readable.problems(header(requires=[wants(f"rpmlib({feature}) = 99")]))
    assert problem.message.endswith(f"requires rpmlib({feature}) = 99, and rpm 4.8 has that of {known}")


@pytest.mark.parametrize(
    "feature",
    ["ScriptletExpansion", "TildeInVersions", "CaretInVersions", "LargeFiles", "RichDependencies",
     "DynamicBuildRequires", "PayloadIsZstd", "NobodyHeardOf"],
)  # fmt: skip
def test_what_came_later_is_refused_with_how_to_do_without(feature):
    (problem,) = readable.problems(header(requires=[wants(f"rpmlib({feature}) <= 4.99-1")]))
    assert problem.message == f"vdsm-1.0-1.noarch requires rpmlib({feature}) <= 4.99-1, which rpm 4.8 does not have"
    assert problem.mend


@pytest.mark.parametrize(
    ("encoding", "what"),
    [
        (Encoding(package_format=6), "package format 6"),
        (Encoding(payload_format="drpm"), "a payload of drpm"),
        (Encoding(payload_compressor="zstd"), "compressed with zstd, and rpm 4.8 reads gzip, bzip2, xz, lzma"),
        (Encoding(file_digest=10), "file digests of SHA-512"),
        (Encoding(file_digest=99), "file digests of algorithm 99"),
    ],
)
def test_how_a_package_is_written_down(encoding, what):
    (problem,) = readable.problems(header(files={"/f": file()}, encoding=encoding))
    assert what in problem.message


def test_a_package_without_files_has_no_file_digests():
    assert list(readable.problems(header(encoding=Encoding(file_digest=10)))) == []


# ---- versions --------------------------------------------------------------------------------------

EVRS = st.builds(
    lambda *parts: parts, st.integers(0, 2), st.sampled_from(["1", "1.0", "1.10", "1.9", "2"]),
    st.sampled_from(["0.el6", "0.el6.a.904", "1"]),
)  # fmt: skip


@given(provided=EVRS, wanted=EVRS, operator=st.sampled_from(["<", "<=", "=", ">=", ">"]))
def test_a_version_meets_what_rpms_order_says(provided, wanted, operator):
    order = release.compare(
        *(Evr(epoch=epoch, version=version, release=rel) for epoch, version, rel in (provided, wanted))
    )
    texts = [f"{epoch}:{version}-{rel}" for epoch, version, rel in (provided, wanted)]
    met = {"<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">": order > 0}[operator]
    assert overlap(wants(f"a = {texts[0]}"), wants(f"a {operator} {texts[1]}")) is met


@pytest.mark.parametrize(
    ("provided", "wanted", "met"),
    [("a", "a >= 3", True), ("a = 1", "a", True), ("a = 1", "b", False), ("a = 1-2", "a = 1", True),
     ("a = 1", "a = 1-2", True), ("a < 5", "a > 3", True), ("a < 3", "a > 5", False)],
)  # fmt: skip
def test_what_has_no_version_or_release_has_any(provided, wanted, met):
    assert overlap(wants(provided), wants(wanted)) is met


# ---- the set ---------------------------------------------------------------------------------------


def test_packages_for_debuggers_are_not_missed():
    assert completeness.missing(["a", "b", "a-debuginfo", "a-debugsource"], ["a"]) == ("b",)
    assert completeness.listed(list("abcdefg")) == "a, b, c, d, e and 2 more"


@given(st.permutations([header("a"), header("b"), header("c"), header("d", release="2")]))
def test_the_one_that_differs_is_named_whatever_the_order(headers):
    found = list(completeness.one_build("our", headers))
    assert {each.message.split(" ")[0].rstrip(":") for each in found} == {"d-1.0-2.noarch"}


def test_a_source_package_of_another_build():
    source = header("vdsm", release="1", is_source=True, arch="x86_64", source_rpm="")
    assert list(completeness.one_build("our", [source, header("a")])) == []
    (problem,) = completeness.one_build("our", [source, header("a", source_rpm="vdsm-1.0-2.src.rpm")])
    assert problem.message == "vdsm-1.0-1.src is another source package, the others from vdsm-1.0-2.src.rpm"
    assert list(completeness.one_build("our", [])) == []


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        (file("a"), file("a"), ""),
        (file("a"), file("b"), "other contents"),
        (file("a"), file("a", mode="100755"), "modes 100644 and 100755"),
        (file("a"), file("b", kinds="config ghost"), ""),
        (file("", mode="040755"), file("", mode="040700"), ""),
        (file("", mode="040755"), file("", mode="120777", link="x"), "modes 040755 and 120777"),
        (file("", mode="120777", link="x"), file("", mode="120777", link="x"), ""),
        (file("", mode="120777", link="x"), file("", mode="120777", link="y"), "links to x and y"),
        (file("a", colour=1), file("b", colour=2), ""),
        (file("a", colour=2), file("b", colour=2), "other contents"),
        (file("a", colour=0), file("b", colour=2), "other contents"),
    ],
)
def test_when_a_path_in_two_packages_is_a_conflict(one, other, conflict):
    for first, second in ((one, other), (other, one)):
        found = list(conflicts.over_files([header("a", files={"/p": first}), header("b", files={"/p": second})]))
        assert len(found) == bool(conflict)
    if conflict:
        (problem,) = conflicts.over_files([header("a", files={"/p": one}), header("b", files={"/p": other})])
        assert f"a-1.0-1.noarch and b-1.0-1.noarch both have /p with {conflict}: " in problem.message


def test_a_pair_with_many_conflicts_is_told_once():
    files = {f"/p{number}": file("a") for number in range(5)}
    others = {path: file("b") for path in files}
    (problem,) = conflicts.over_files([header("a", files=files), header("b", files=others)])
    assert "both have /p0 with other contents (and 4 more files)" in problem.message


def test_source_packages_are_in_nobodys_way():
    source = header(is_source=True, files={"vdsm.spec": file("a")}, requires=[wants("gcc")], obsoletes=[wants("b")])
    both = [source, header("b", files={"vdsm.spec": file("b")})]
    assert (
        list(itertools.chain(conflicts.over_files(both), conflicts.by_word(both), conflicts.by_obsoleting(both))) == []
    )
    assert requirements.external(both) == ()


def test_a_capability_is_not_obsoleted_and_a_package_not_by_itself():
    both = [header("a", obsoletes=[wants("a < 9"), wants("thing < 9")]), header("b", provides=[wants("thing = 1")])]
    assert list(conflicts.by_obsoleting(both)) == []


def test_requirements_of_the_host_are_all_that_no_package_meets():
    needs = [wants(text) for text in ("/bin/sh", "/f", "b", "python >= 2.6", "rpmlib(FileDigests) <= 4.6.0-1")]
    both = [header("a", requires=needs), header("b", files={"/f": file()})]
    assert requirements.external(both) == ("/bin/sh", "python >= 2.6")
    assert list(requirements.unmet("our", both)) == []


def test_what_the_packages_that_it_is_built_on_provide_is_not_the_host_s_to_meet():
    ours = [header("a", requires=[wants("libb.so.1"), wants("/usr/share/b"), wants("c >= 1")])]
    beside = [header("b", provides=[wants("libb.so.1")], files={"/usr/share/b": file()})]
    assert requirements.external(ours, beside) == ("c >= 1",)


# ---- metadata --------------------------------------------------------------------------------------

GOOD = [(kind, f"repodata/0123-{kind}.xml.gz", "sha256") for kind in metadata.BASE_KINDS]


@pytest.mark.parametrize(
    "more",
    [[], [("group", "repodata/1-comps.xml", "sha256")], [("group_gz", "repodata/1-comps.xml.gz", "sha256")],
     [("primary_db", "repodata/1-primary.sqlite.bz2", "sha256")]],
)  # fmt: skip
def test_metadata_that_yum_reads(more):
    metadata.check([*GOOD, *more])


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (GOOD[1:], "names no primary"),
        ([], "names no primary"),
        ([(f"{kind}_db", href.replace("xml", "sqlite"), digest) for kind, href, digest in GOOD],
         "names no primary, but a database of it"),
        ([("primary", "repodata/primary.xml.xz", "sha256"), *GOOD[1:]], "it reads .xml.gz"),
        ([("primary", "repodata/primary.xml.zst", "sha256"), *GOOD[1:]], "it reads .xml.gz"),
        ([("primary", "repodata/primary.xml", "sha256"), *GOOD[1:]], "it reads .xml.gz"),
        ([("primary", "repodata/primary.xml.gz", "sha1"), *GOOD[1:]], "named by its sha1, and sha256 is wanted"),
        ([("primary", "repodata/primary.xml.gz", "sha512"), *GOOD[1:]], "named by its sha512"),
        ([*GOOD, ("primary_zck", "repodata/primary.xml.zck", "sha256")], "compressed as yum 3.2.29 cannot read it"),
        ([*GOOD, ("updateinfo", "repodata/updateinfo.xml.xz", "sha256")], "updateinfo.xml.xz (updateinfo)"),
    ],
)  # fmt: skip
def test_metadata_that_yum_cannot_read(named, why):
    with pytest.raises(GateError) as caught:
        metadata.check(named)
    assert why in caught.value.message
    assert "--general-compress-type gz" in caught.value.hint


# ---- what is told ----------------------------------------------------------------------------------


def test_the_first_of_many_is_told():
    problems = [Problem(reference="a", message=f"number {number}", mend="mend it") for number in range(3)]
    assert refusal(problems[:1]).message == "number 0"
    assert refusal(problems[:2]).message == "number 0 (1 other problem in the log)"
    assert refusal(problems).message == "number 0 (2 other problems in the log)"
    assert refusal(problems).hint == "mend it"
    assert told(problems).count("refused: number") == 3


def test_repoclosures_words():
    output = """\
Last metadata expiration check: 0:00:01 ago.
package: vdsm-1.0-1.x86_64 from set
  unresolved deps:
    libvirt >= 0.10
    mom
package: vdsm-cli-1.0-1.noarch from set
  unresolved deps:
    vdsm-other
"""
    assert [each.message.partition(", which")[0] for each in closure.read(output)] == [
        "vdsm-1.0-1.x86_64 requires libvirt >= 0.10",
        "vdsm-1.0-1.x86_64 requires mom",
        "vdsm-cli-1.0-1.noarch requires vdsm-other",
    ]
    assert list(closure.read("    stray\n")) == []


def test_repoclosure_is_asked_as_a_host_of_that_machine(tmp_path):
    words = closure.plan(tmp_path / "dnf.conf", arches=frozenset({"noarch", "x86_64"}))
    assert words[-3:] == ["--forcearch=x86_64", "repoclosure", "--check=set"]
    assert "--disableplugin=*" in words
    assert not any("forcearch" in word for word in closure.plan(tmp_path, arches=frozenset({"noarch"})))


def test_a_header_is_told_by_its_nevra():
    assert replace(header(epoch=2), is_source=True).nevra == "vdsm-2:1.0-1.src"
