# SPDX-License-Identifier: GPL-2.0-or-later
"""Two builds of a package: what differs, what is noise, and how it is told."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest

from pipeline import changetext, rpmdiff
from pipeline.model import Evr
from pipeline.rpmdiff import BuildDiff, ChangedFile, PackageDiff, Relation
from pipeline.rpmheaders import RELATIONS, Dependency, Header, PackagedFile

VENDOR, OURS = "0.el6", "0.el6.label.905"


def file(contents: str = "a", **other: object) -> PackagedFile:
    wishes = {"mode": "100644", "owner": "root:root", "size_bytes": len(contents), **other}
    return PackagedFile(digest=f"digest of {contents}", **wishes)


def package(release: str = VENDOR, name: str = "vdsm", **other: object) -> Header:
    """A package that provides itself and requires a sibling, both by its own version and release."""
    own = f"4.16.30-{release}"
    wishes: dict[str, object] = {
        "name": name,
        "evr": Evr(version="4.16.30", release=release),
        "arch": "noarch",
        "is_source": False,
        "files": {"/f": file()},
        "relations": relations(provides=[Dependency(name=name, operator="=", evr=own)],
                               requires=[Dependency(name="vdsm-python", operator="=", evr=own)]),
        "scriptlets": {},
        "changelog": ("* 2015-11-22 V - 1\n- first",),
        "installed_bytes": 100,
        "package_bytes": 50,
    }  # fmt: skip
    return Header(**{**wishes, **other})


def relations(**found: list[Dependency]) -> dict[str, frozenset[Dependency]]:
    return {kind: frozenset(found.get(kind, ())) for kind in RELATIONS}


def with_files(**files: PackagedFile) -> dict[str, PackagedFile]:
    return {f"/usr/{name.replace('__', '.')}": found for name, found in files.items()}


def differ(before: Header, after: Header) -> PackageDiff:
    return rpmdiff.compare_packages(before, after)


def test_a_package_s_own_release_is_no_difference():
    diff = differ(package(), package(OURS))
    assert diff.is_same
    assert diff == PackageDiff(name="vdsm", sizes=(100, 100, 50, 50))


def test_an_own_release_with_an_epoch_is_none_either():
    def with_epoch(release: str) -> Header:
        evr = Evr(epoch=2, version="1.0", release=release)
        return package(evr=evr, relations=relations(provides=[Dependency(name="vdsm", operator="=", evr=str(evr))]))

    assert differ(with_epoch("1"), with_epoch("1.label.1")).is_same


@pytest.mark.parametrize("evr", ["4.16.30-0.el6.5", "4.16.30", "14.16.30-0.el6", "4.16.30-0.el60"])
def test_another_release_that_begins_or_ends_like_ours_is_told(evr):
    wanted = Dependency(name="other", operator="=", evr=evr)
    before, after = package(relations=relations()), package(OURS, relations=relations(requires=[wanted]))
    assert differ(before, after).relations == (("requires", Relation(added=(f"other = {evr}",), removed=())),)
    assert differ(package(relations=relations(requires=[wanted])), after).is_same


def test_an_own_release_in_paths_links_and_scriptlets_is_none():
    def of(release: str) -> Header:
        path = f"/usr/share/doc/vdsm-4.16.30-{release}"
        return package(
            release, files={f"{path}/README": file(), "/l": file("", link=path)}, scriptlets={"postin": f"cat {path}\n"}
        )

    assert differ(of(VENDOR), of(OURS)).is_same


@pytest.mark.parametrize("kind", RELATIONS)
def test_dependencies_that_come_and_go_are_told(kind):
    old = Dependency(name="libvirt", operator=">=", evr="0.9")
    new = Dependency(name="libvirt", operator=">=", evr="1.0")
    before, after = (package(relations=relations(**{kind: [each]})) for each in (old, new))
    assert differ(before, after).relations == (
        (kind, Relation(added=("libvirt >= 1.0",), removed=("libvirt >= 0.9",))),
    )
    assert not differ(before, after).is_same


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (file("b"), ("contents",)),
        (file("bb"), ("contents", "size 1 to 2")),
        (file(mode="100755"), ("mode 100644 to 100755",)),
        (file(owner="vdsm:kvm"), ("owner root:root to vdsm:kvm",)),
        (file(link="/else"), ("link none to /else",)),
        (file(kinds="config noreplace"), ("kinds none to config noreplace",)),
    ],
)
def test_what_changed_of_a_file_is_told(now, what):
    diff = differ(package(files={"/f": file()}), package(OURS, files={"/f": now}))
    assert diff.files_changed == (ChangedFile(path="/f", what=what),)
    assert not diff.is_same


def test_files_that_come_and_go_are_told_in_order():
    diff = differ(package(files={"/b": file(), "/a": file()}), package(files={"/d": file(), "/c": file()}))
    assert [each.path for each in diff.files_removed] == ["/a", "/b"]
    assert [each.path for each in diff.files_added] == ["/c", "/d"]


def test_compiled_python_is_told_with_its_source():
    before = with_files(vm__py=file("a"), vm__pyc=file("b"), vm__pyo=file("c"))
    after = with_files(vm__py=file("x"), vm__pyc=file("y"), vm__pyo=file("z"))
    (told,) = differ(package(files=before), package(files=after)).files_changed
    assert told == ChangedFile(path="/usr/vm.py", what=("contents",), compiled=(".pyc", ".pyo"))
    added = differ(package(files={}), package(files=after)).files_added
    assert added == (ChangedFile(path="/usr/vm.py", compiled=(".pyc", ".pyo")),)


def test_compiled_python_of_python_3_lies_in_a_folder_of_its_own():
    path = "/usr/__pycache__/vm.cpython-311.opt-1.pyc"
    before, after = ({"/usr/vm.py": file(text), path: file(text)} for text in "ab")
    (told,) = differ(package(files=before), package(files=after)).files_changed
    assert told == ChangedFile(path="/usr/vm.py", what=("contents",), compiled=(".pyc",))


def test_compiled_python_alone_is_no_difference_but_its_mode_is():
    before = with_files(vm__py=file("a"), vm__pyc=file("b"))
    diff = differ(package(files=before), package(files={**before, "/usr/vm.pyc": file("c")}))
    assert (diff.is_same, diff.compiled_only, diff.files_changed) == (True, ("/usr/vm.pyc",), ())
    diff = differ(package(files=before), package(files={**before, "/usr/vm.pyc": file("c", mode="104755")}))
    assert [each.path for each in diff.files_changed] == ["/usr/vm.pyc"]


@pytest.mark.parametrize("gone", ["/usr/vm.py", "/usr/other.py"])
def test_compiled_python_without_a_source_is_told(gone):
    before, after = ({"/usr/vm.pyc": file(text), "/usr/other.py": file()} for text in "ab")
    assert [each.path for each in differ(package(files=before), package(files=after)).files_changed] == ["/usr/vm.pyc"]
    only = {"/usr/vm.pyc": file()}
    assert [each.path for each in differ(package(files={}), package(files=only)).files_added] == ["/usr/vm.pyc"]


def compiled(stamp: int, code: bytes, magic: int = 62211) -> bytes:
    header_words = 1 if magic > 20000 else 3
    return struct.pack("<H", magic) + b"\r\n" + struct.pack(f"<{header_words}I", *[stamp] * header_words) + code


@pytest.mark.parametrize("magic", [62211, 3495])
def test_compiled_python_of_the_same_code_is_noise_and_of_other_code_is_not(magic):
    def settled(before: bytes, after: bytes) -> PackageDiff:
        old, new = (package(files={"/m.py": file(), "/m.pyc": replace(file(text), size_bytes=len(content))})
                    for text, content in (("a", before), ("b", after)))  # fmt: skip
        diff = differ(old, new)
        assert rpmdiff.unsettled(diff) == ("/m.pyc",)
        return rpmdiff.settle(diff, old, new, {"/m.pyc": before}, {"/m.pyc": after})

    noise = settled(compiled(1, b"code", magic), compiled(2, b"code", magic))
    assert (noise.is_same, noise.compiled_only) == (True, ("/m.pyc",))
    other = settled(compiled(1, b"code", magic), compiled(1, b"more", magic))
    assert (other.is_same, other.compiled_only) == (False, ())
    assert other.files_changed == (ChangedFile(path="/m.pyc", what=("other code of the same .py",)),)


def bearing(release: str, text: str = "version = '4.16.30-{}'", **other: object) -> tuple[Header, dict[str, bytes]]:
    contents = text.format(release)
    return package(release, files={"/f": file(contents, **other)}), {"/f": contents.encode()}


def test_a_file_that_bears_the_release_is_told_apart():
    (old, before), (new, after) = bearing(VENDOR), bearing(OURS)
    diff = rpmdiff.settle(differ(old, new), old, new, before, after)
    assert (diff.is_same, diff.bear_release) == (True, ("/f",))


@pytest.mark.parametrize("more", [{"text": "evil = '4.16.30-{}'"}, {"mode": "104755"}])
def test_a_file_that_bears_the_release_and_differs_otherwise_is_a_change(more):
    (old, before), (new, after) = bearing(VENDOR), bearing(OURS, **more)
    diff = rpmdiff.settle(differ(old, new), old, new, before, after)
    assert [each.path for each in diff.files_changed] == ["/f"]
    assert diff.bear_release == ()


def test_a_file_whose_contents_cannot_be_had_stays_a_change():
    (old, before), (new, _) = bearing(VENDOR), bearing(OURS)
    for contents in ({}, {"/f": b""}):
        diff = rpmdiff.settle(differ(old, new), old, new, before, contents)
        assert [each.path for each in diff.files_changed] == ["/f"]


def test_scriptlets_that_differ_are_told_line_by_line():
    before = package(scriptlets={"postin": "#!/bin/sh\nold\n", "preun": "#!/bin/sh\n"})
    after = package(OURS, scriptlets={"postin": "#!/bin/sh\nnew\n", "pretrans": "#!/bin/sh\nx\n"})
    told = dict(differ(before, after).scriptlets)
    assert sorted(told) == ["postin", "pretrans", "preun"]
    assert told["postin"].splitlines()[2:] == ["@@ -1,2 +1,2 @@", " #!/bin/sh", "-old", "+new"]
    assert "+x" in told["pretrans"]
    assert "-#!/bin/sh" in told["preun"]


def two_builds() -> BuildDiff:
    ours = ("* 2026-11-21 P - 2\n- one\n- two", "* 2015-11-22 V - 1\n- first")
    before = (
        package(is_source=True, files={"vdsm.spec": file("a")}),
        package(files={"/f": file("a"), "/gone": file()}),
        package(name="vdsm-cli"),
        package(name="vdsm-old"),
    )
    patch = Dependency(name="patch(vdsm-one)", operator="=", evr="abc")
    after = (
        package(OURS, is_source=True, files={"vdsm.spec": file("b"), "1.patch": file()}, changelog=ours),
        package(OURS, files={"/f": file("bb")}, relations=relations(provides=[patch]), changelog=ours,
                installed_bytes=1_000_100, scriptlets={"postin": "#!/bin/sh\ndo it\n"}, arch="x86_64"),
        package(OURS, name="vdsm-cli", changelog=ours),
        package(OURS, name="vdsm-new"),
    )  # fmt: skip
    return rpmdiff.compare(before, after)


def test_packages_belong_together_by_name_and_the_source_is_one_of_its_own():
    diff = two_builds()
    assert (diff.before, diff.after) == (f"4.16.30-{VENDOR}", f"4.16.30-{OURS}")
    assert (diff.added, diff.gone) == (("vdsm-new",), ("vdsm-old",))
    assert [each.name for each in diff.packages] == ["vdsm.src", "vdsm", "vdsm-cli"]
    assert diff.changelog == ("* 2026-11-21 P - 2\n- one\n- two",)


def test_one_line_counts_what_hosts_get():
    assert changetext.summary(two_builds()) == (
        "1 package added, 1 package gone, 1 file removed, 1 file changed, 1 provide added, 1 require removed, "
        "1 provide removed, 1 scriptlet changed, 1 architecture changed in 2 packages"
    )


def test_one_line_of_nothing():
    diff = rpmdiff.compare([package(), package(name="vdsm-cli")], [package(OURS), package(OURS, name="vdsm-cli")])
    assert changetext.summary(diff) == "nothing but the release differs in 2 packages"


def test_several_are_in_the_plural():
    files = {f"/{name}": file() for name in "abc"}
    diff = rpmdiff.compare([package()], [package(OURS, files={"/f": file(), **files})])
    assert changetext.summary(diff) == "3 files added in 1 package"


def test_the_text_is_the_golden_one(snapshot):
    assert changetext.text("vdsm 4.16.30", [("Against the vendor's", two_builds())]) == snapshot


def test_the_document_has_all_of_it_and_is_json():
    document = json.loads(json.dumps(changetext.document(two_builds())))
    assert document["packages_added"] == ["vdsm-new"]
    vdsm = next(each for each in document["packages"] if each["name"] == "vdsm")
    assert vdsm["files"]["removed"] == [{"path": "/gone", "what": [], "compiled": []}]
    assert vdsm["provides"]["added"] == ["patch(vdsm-one) = abc"]
    assert vdsm["obsoletes"] == {"added": [], "removed": []}
    assert vdsm["installed_bytes"] == {"before": 100, "after": 1_000_100}
    assert vdsm["arch"] == ["noarch", "x86_64"]
    assert [each["name"] for each in vdsm["scriptlets"]] == ["postin"]
