# SPDX-License-Identifier: GPL-2.0-or-later
"""The changes stage: which release is the last one, and what is written and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import rpmheaders
from pipeline.errors import PublishError
from pipeline.files import file_record
from pipeline.ledger import Ledger
from pipeline.model import BuildResult, Changes, Evr, MirrorState, PublishedRpm, Rpm
from pipeline.rpmheaders import RELATIONS, Header
from pipeline.stages import changes

LABEL = "0.demo.label"


def read_header(path: Path) -> Header:
    """A package whose only file has what the package file has."""
    name, version, release = path.name.removesuffix(".rpm").rpartition(".")[0].rsplit("-", 2)
    text = path.read_text().strip()
    contents = rpmheaders.PackagedFile(digest=text, mode="100644", owner="root:root", size_bytes=len(text))
    return Header(name=name, evr=Evr(version=version, release=release), arch="noarch", is_source=".src." in path.name,
                  files={"/f": contents}, relations=dict.fromkeys(RELATIONS, frozenset()), scriptlets={}, changelog=(),
                  installed_bytes=1, package_bytes=1)  # fmt: skip


@pytest.fixture
def context(make_context, monkeypatch):
    monkeypatch.setattr(rpmheaders, "read_header", read_header)
    monkeypatch.setattr(rpmheaders, "read_contents", lambda path, names: {})
    return make_context()


Make = Callable[..., BuildResult]


@pytest.fixture
def make(context) -> Make:
    """Makes the packages of a release of that number, whose one file has that text, and the record of its build."""

    def build(number: int | None, text: str = "a", *, label: str = LABEL) -> BuildResult:
        release = f"{label}.{number}" if number else "0.demo"
        home_dir = context.home_dir if number else context.home_dir / "baseline"
        rpms = []
        for folder, arch in (("SRPMS", "src"), ("RPMS/noarch", "noarch")):
            path = home_dir / folder / f"vdsm-4.16.30-{release}.{arch}.rpm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            rpms.append(Rpm(file=file_record(path, context.out_path), name="vdsm", arch=arch,
                            evr=Evr(version="4.16.30", release=release)))  # fmt: skip
        if number:
            (context.home_dir / "releases" / str(number)).mkdir(parents=True, exist_ok=True)
        return BuildResult(srpm=rpms[0], rpms=tuple(rpms[1:]), spec=rpms[0].file)

    return build


def path_of(number: int, context, folder: str = "RPMS/noarch", arch: str = "noarch") -> Path:
    return context.home_dir / folder / f"vdsm-4.16.30-{LABEL}.{number}.{arch}.rpm"


@pytest.fixture
def release(make, context) -> Callable[..., Changes]:
    """Makes a release and runs the stage on it."""

    def run(number: int, text: str = "a", **wishes: str) -> Changes:
        return changes.run(make(number, text, **wishes), make(None, "vendor"), context=context)

    return run


def test_the_first_release_is_compared_with_the_vendor_alone(release, context, told):
    made = release(904)
    assert made.last == ""
    document = json.loads((context.out_path / made.document.path).read_text())
    assert (document["last"], document["vendor"]["summary"]) == (None, "1 file changed in 1 package")
    assert document["release"] == f"4.16.30-{LABEL}.904"
    assert told.getvalue().splitlines() == ["    against the vendor: 1 file changed in 1 package"]
    assert made.text.path == Path("demo/vdsm/releases/904/changes.md")
    assert (context.out_path / made.text.path).read_text().startswith(f"# vdsm 4.16.30-{LABEL}.904\n")


def test_a_later_one_is_compared_with_the_highest_below_it(release, context, told):
    for number in (904, 905, 907):
        release(number, str(number))
    assert release(906, "905").last == "905"
    assert told.getvalue().splitlines()[-1] == "    against 905: nothing but the release differs in 1 package"
    assert release(908, "x").last == "907"
    document = json.loads((context.home_dir / "releases/908/changes.json").read_text())
    assert (document["last"]["before"], document["last"]["after"]) == (f"4.16.30-{LABEL}.907", f"4.16.30-{LABEL}.908")
    assert "## Against our last release, 4.16.30" in (context.home_dir / "releases/908/changes.md").read_text()


def test_numbers_are_no_text(release):
    release(9)
    release(99)
    assert release(100).last == "99"


def test_a_build_that_broke_off_is_no_release(make, release):
    release(904)
    make(905)
    assert release(906).last == "904"


@pytest.mark.parametrize("folder_and_arch", [("SRPMS", "src"), ("RPMS/noarch", "noarch")])
def test_a_release_of_which_something_is_gone_or_edited_is_none(release, context, folder_and_arch):
    release(904), release(905)
    path = path_of(905, context, *folder_and_arch)
    path.write_text("b")
    assert release(906).last == "904"
    path.unlink()
    assert release(906).last == "904"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"packages": []}', '{"packages": [1]}', '{"packages": [{}]}', "null"]
)
def test_a_document_that_cannot_be_read_is_none(release, context, text):
    release(904)
    (context.home_dir / "releases/904/changes.json").write_text(text)
    assert release(905).last == ""


def test_the_demo_is_not_compared_with_the_real_thing(release):
    release(904)
    assert release(905, label="0.el6.label").last == ""
    assert release(906).last == "904"


def test_inputs_see_the_last_release_and_its_bytes(make, release, context):
    def inputs(build: BuildResult) -> str:
        return changes.inputs(build, make(None), context=context)["last release"]

    assert inputs(make(905)) == "none"
    release(904)
    first = inputs(make(905))
    assert first.startswith("904 (")
    assert inputs(make(904)) == "none"
    release(904, "b")
    assert inputs(make(905)) != first
    path_of(904, context).unlink()
    assert inputs(make(905)) == "none"


def test_the_same_again_writes_the_same(release, context):
    release(904)
    once = release(905, "b")
    assert release(905, "b") == once


def test_the_ledger_takes_the_record_until_the_text_is_edited(release, context):
    made = release(904)
    ledger = Ledger(context.home_dir, context.out_path)
    ledger.keep("changes", made, {}, finished="now", seconds=0)
    assert ledger.find("changes", Changes, {}).record == made
    (context.out_path / made.text.path).write_text("other")
    assert ledger.find("changes", Changes, {}).record is None


def test_contents_are_read_of_what_headers_leave_open(make, release, context, monkeypatch):
    asked: list[tuple[str, tuple[str, ...]]] = []

    def read_contents(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
        asked.append((path.name, tuple(names)))
        return {"/f": path.read_bytes()}

    monkeypatch.setattr(rpmheaders, "read_contents", read_contents)
    make(None)
    release(904, "vendor")
    assert {names for _, names in asked} == {()}
    assert release(905, "other").last == "904"
    assert ("vdsm-4.16.30-0.demo.noarch.rpm", ("/f",)) in asked


@pytest.fixture
def published(monkeypatch) -> list[PublishedRpm]:
    """What the mirror holds; tests add to it."""
    rpms: list[PublishedRpm] = []
    monkeypatch.setattr(
        "pipeline.mirrors.mirror.read_state", lambda *_, **__: MirrorState(destination="", packages=tuple(rpms))
    )
    return rpms


def on_the_mirror(build: BuildResult, context, *, here: bool) -> list[PublishedRpm]:
    """The packages of a build, moved to the local mirror or copied there."""
    placed = []
    for made in build.all_rpms:
        path = context.out_path / made.file.path
        href = f"{made.arch}/{path.name}"
        there = context.out_path / "mirror" / "demo" / href
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
        if not here:
            path.unlink()
        placed.append(PublishedRpm(name="vdsm", evr=made.evr, arch=made.arch, href=href, source="vdsm",
                                   size_bytes=made.file.size_bytes, sha256=made.file.sha256))  # fmt: skip
    return placed


@pytest.mark.parametrize("here", [True, False])
def test_a_release_is_compared_with_what_hosts_have(make, release, context, published, told, here):
    published += on_the_mirror(make(905, "theirs"), context, here=here)
    release(904, "ours"), release(906, "never published")
    made = release(907, "theirs")
    assert made.last == "905"
    assert told.getvalue().splitlines()[-1] == "    against 905: nothing but the release differs in 1 package"


def test_the_demo_on_the_mirror_is_not_what_the_real_thing_is_compared_with(make, release, context, published):
    published += on_the_mirror(make(905, "theirs"), context, here=True)
    release(904, "ours", label="0.el6.label")
    assert release(907, "x", label="0.el6.label").last == "904"


def test_a_published_package_that_is_damaged_is_told(make, release, context, published):
    published += on_the_mirror(make(905, "theirs"), context, here=False)
    (context.out_path / "mirror/demo" / published[0].href).write_text("damaged")
    with pytest.raises(PublishError, match="is not what its metadata says"):
        release(907)
