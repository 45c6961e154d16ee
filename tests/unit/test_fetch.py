# SPDX-License-Identifier: GPL-2.0-or-later
"""The fetch stage: its sources in order, what it puts into the out directory, and what decides it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from pipeline import files
from pipeline.errors import NetworkError, SettingsError, SrpmError, UsageError
from pipeline.ledger import Ledger
from pipeline.model import Evr, Srpm
from pipeline.stages import fetch
from tests.unit.fetching import IMAGE, make_context, refusal, told
from tests.unit.source_packages import SPEC, file_entry, make_srpm, make_tarball


def make_demo(folder: Path) -> Path:
    top_dir = folder / "vdsm-4.16.30"
    top_dir.mkdir(parents=True)
    (top_dir / "README").write_text("stand-in\n")
    spec = SPEC.format(name="vdsm", version="4.16.30", release="0%{?dist}", sources="Source0: vdsm-4.16.30.tar.gz\n")
    (folder / "vdsm.spec").write_text(spec)
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_srpm(tmp_path_factory.mktemp("package"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a root é").mkdir()
    return tmp_path / "a root é"


# ---- a file -----------------------------------------------------------------------------------------


def test_a_local_file_is_checked_and_unpacked(root, package):
    context = make_context(root, f"srpm:{package}")
    made = fetch.run(IMAGE, context=context)

    assert made.nevra == "vdsm-4.16.30-0.el6.src"
    assert made.file.path == Path("demo/vdsm/srpm/vdsm-4.16.30-0.el6.src.rpm")
    assert made.file.sha256 == files.sha256_of(package)
    assert made.spec.path == Path("demo/vdsm/srpm/payload/vdsm.spec")
    assert [source.path.name for source in made.sources] == ["vdsm-4.16.30.tar.gz"]
    assert made.origin == f"srpm:{package}"
    assert not made.demo
    for part in (made.file, made.spec, *made.sources):
        assert files.sha256_of(context.out_path / part.path) == part.sha256
    assert list(context.scratch_dir.glob("*")) == []
    assert f'"{package.name}" = "{made.file.sha256}"' in told(context), "the line to pin it with"


def test_a_source_rpm_with_a_dist_tag_of_its_own_is_told_with_the_line_to_write(root, tmp_path):
    path = make_srpm(tmp_path / "made", release="1%{?dist}.3", dist=".el6_6")
    source = f"srpm:{path}"
    with pytest.raises(SrpmError) as caught:
        fetch.run(IMAGE, context=make_context(root, source, dist=".el6"))
    assert caught.value.message == (
        f"{source}: it is vdsm-4.16.30-1.el6_6.3, made with the dist tag .el6_6, and demo has .el6"
    )
    line = 'dist_tags = { demo = ".el6_6" }'
    assert caught.value.hint == f"write in pipeline.toml, under [packages.vdsm]: {line}"

    without, context = (make_context(root, source, dist=".el6", more=more) for more in ("", line))
    assert fetch.run(IMAGE, context=context).nevra == "vdsm-4.16.30-1.el6_6.3.src"
    decided = [fetch.inputs(IMAGE, context=each) for each in (without, context)]
    assert {name for name in decided[1] if decided[0].get(name) != decided[1][name]} == {"dist tag"}


def test_what_the_demo_builds_takes_no_source_rpm_of_a_vendor(root, tmp_path):
    path = make_srpm(tmp_path / "made", release="1%{?dist}", dist=".el6")
    with pytest.raises(SrpmError) as caught:
        fetch.run(IMAGE, context=make_context(root, f"srpm:{path}"))
    assert caught.value.message.endswith("it is vdsm-4.16.30-1.el6, made with the dist tag .el6, and demo has .demo")
    assert caught.value.hint.startswith("build it for another target; ")


def test_the_ledger_takes_it_until_the_file_changes(root, package, tmp_path):
    source = tmp_path / "mine.src.rpm"
    shutil.copy(package, source)
    context = make_context(root, f"srpm:{source}")
    ledger = Ledger(context.home_dir, context.out_path)
    decided = fetch.inputs(IMAGE, context=context)
    ledger.keep("fetch", fetch.run(IMAGE, context=context), decided, finished="now", seconds=0)
    assert ledger.find("fetch", Srpm, fetch.inputs(IMAGE, context=context)).record is not None

    source.write_bytes(source.read_bytes() + b"x")
    assert ledger.find("fetch", Srpm, fetch.inputs(IMAGE, context=context)).reason == f"srpm:{source} changed"


def test_a_second_fetch_leaves_nothing_of_the_first(root, package, tmp_path):
    first = make_srpm(tmp_path / "first", release="9.el6", sources={"old.patch": b"x"})
    fetch.run(IMAGE, context=make_context(root, f"srpm:{first}"))
    context = make_context(root, f"srpm:{package}")
    fetch.run(IMAGE, context=context)
    assert sorted(path.name for path in (context.home_dir / "srpm").rglob("*") if path.is_file()) == [
        "identity.json",
        "vdsm-4.16.30-0.el6.src.rpm",
        "vdsm-4.16.30.tar.gz",
        "vdsm.spec",
    ]


def test_a_path_is_relative_to_where_one_is_or_to_ones_home(root, package, tmp_path, monkeypatch):
    shutil.copy(package, tmp_path / "mine.rpm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("srpm:mine.rpm", "srpm:~/mine.rpm", f"srpm:{(tmp_path / 'mine.rpm').as_uri()}"):
        assert fetch.run(IMAGE, context=make_context(root, source)).name == "vdsm"


@pytest.mark.parametrize(("path", "why"), [("none.rpm", "does not exist"), (".", "is a folder")])
def test_a_file_that_is_not_there(root, tmp_path, path, why):
    context = make_context(root, f"srpm:{tmp_path / path}")
    assert refusal(UsageError, context) == f"{tmp_path / path} {why}"
    assert fetch.inputs(IMAGE, context=context)[f"srpm:{tmp_path / path}"] == "missing"


def test_a_pin_must_match_wherever_the_file_comes_from(root, package):
    digest = files.sha256_of(package)
    good = make_context(root, f"srpm:{package}", sha256=f'"{package.name}" = "{digest}"')
    fetch.run(IMAGE, context=good)
    assert told(good) == "", "nothing to warn of"

    bad = make_context(root, f"srpm:{package}", sha256=f'"{package.name}" = "{"0" * 64}"')
    assert f"its sha256 is {digest}, and {'0' * 64} is wanted" in refusal(SrpmError, bad)
    own = make_context(root, f"srpm:{package}#sha256={'1' * 64}")
    assert f"and {'1' * 64} is wanted" in refusal(SrpmError, own)


def test_a_bad_file_leaves_the_good_one_before_it(root, package, tmp_path):
    fetch.run(IMAGE, context=make_context(root, f"srpm:{package}"))
    cut = tmp_path / "cut.src.rpm"
    cut.write_bytes(package.read_bytes()[:-100])
    context = make_context(root, f"srpm:{cut}")
    assert f"srpm:{cut}: its digests do not hold" in refusal(SrpmError, context)
    assert told(context) == "", "nobody is told to pin a broken file"


def test_an_srpm_of_the_demo_stays_one(root, tmp_path):
    made = make_srpm(tmp_path / "made", release="0.demo")
    assert fetch.run(IMAGE, context=make_context(root, f"srpm:{made}")).demo


# ---- addresses, and several sources -----------------------------------------------------------------


def test_a_download(root, package, httpserver: HTTPServer):
    httpserver.expect_request("/x/vdsm.src.rpm").respond_with_data(package.read_bytes())
    context = make_context(root, f"srpm:{httpserver.url_for('/x/vdsm.src.rpm')}")
    made = fetch.run(IMAGE, context=context)
    assert made.file.path.name == "vdsm-4.16.30-0.el6.src.rpm", "called what it is, not what the address says"
    assert f'"vdsm.src.rpm" = "{made.file.sha256}"' in told(context)


def test_a_pinned_download(root, package, httpserver: HTTPServer):
    httpserver.expect_request("/a.rpm").respond_with_data(package.read_bytes())
    address = f"srpm:{httpserver.url_for('/a.rpm')}"
    context = make_context(root, address, sha256=f'"a.rpm" = "{files.sha256_of(package)}"')
    fetch.run(IMAGE, context=context)
    assert told(context) == ""
    refusal(NetworkError, make_context(root, address, sha256=f'"a.rpm" = "{"0" * 64}"'))


def test_a_web_page_with_status_200_is_a_bad_srpm(root, httpserver: HTTPServer):
    httpserver.expect_request("/a.rpm").respond_with_data("<html>parked</html>")
    context = make_context(root, f"srpm:{httpserver.url_for('/a.rpm')}")
    assert "it is not an RPM package: it begins with '<html>parked" in refusal(SrpmError, context)


def test_the_next_source_steps_in(root, package, httpserver: HTTPServer, tmp_path):
    httpserver.expect_request("/a.rpm").respond_with_data("no", status=404)
    address = f"srpm:{httpserver.url_for('/a.rpm')}"
    context = make_context(root, f"srpm:{tmp_path / 'none.rpm'}", address, f"srpm:{package}")
    assert fetch.run(IMAGE, context=context).origin == f"srpm:{package}"
    assert f"none.rpm does not exist; trying {address}" in told(context)
    assert f"the server answered 404 NOT FOUND; trying srpm:{package}" in told(context)


def test_a_bad_srpm_is_not_passed_over(root, package, tmp_path):
    (tmp_path / "bad.rpm").write_text("x")
    refusal(SrpmError, make_context(root, f"srpm:{tmp_path / 'bad.rpm'}", f"srpm:{package}"))


def test_when_no_source_can_be_had_each_is_named_with_its_reason(root, httpserver: HTTPServer, tmp_path):
    httpserver.expect_request("/a.rpm").respond_with_data("no", status=410)
    address = f"srpm:{httpserver.url_for('/a.rpm')}"
    message = refusal(NetworkError, make_context(root, address, f"git:{tmp_path / 'none'}@v1"))
    assert message.startswith("no source of vdsm 4.16.30 can be had: ")
    assert f"cannot download {address.removeprefix('srpm:')}: the server answered 410 GONE" in message
    assert f"git cannot read {tmp_path / 'none'}: " in message


REMOTE = [
    "srpm:http://127.0.0.1:1/a.rpm",
    "yum:https://127.0.0.1:1/",
    "git:ssh://git@127.0.0.1:1/x@v1",
    "git:me@127.0.0.1:x@v1",
]


@pytest.mark.parametrize("source", REMOTE)
def test_offline_no_network_is_used(root, source):
    context = make_context(root, source, offline=True)
    fetch.inputs(IMAGE, context=context)
    assert refusal(NetworkError, context) == f"{source} is on the network, and --offline forbids its use"


def test_offline_passes_to_what_is_here(root, package):
    made = fetch.run(IMAGE, context=make_context(root, REMOTE[0], f"srpm:{package}", offline=True))
    assert made.origin == f"srpm:{package}"


def test_sources_behind_the_first_are_not_asked(root, package):
    context = make_context(root, f"srpm:{package}", *REMOTE[1:])
    decided = fetch.inputs(IMAGE, context=context)
    assert [decided[source] for source in REMOTE[1:]] == ["not asked"] * 3
    assert told(context) == ""


def test_secrets_of_an_address_are_not_kept(root, package, httpserver: HTTPServer):
    httpserver.expect_request("/a.rpm").respond_with_data(package.read_bytes())
    address = httpserver.url_for("/a.rpm").replace("://", "://me:secret@")
    context = make_context(root, f"srpm:{address}")
    made = fetch.run(IMAGE, context=context)
    kept = f"{made} {fetch.inputs(IMAGE, context=context)} {told(context)}"
    assert "secret" not in kept + (context.home_dir / "srpm" / "identity.json").read_text()
    assert "***@" in made.origin


# ---- the demo ---------------------------------------------------------------------------------------


def test_the_demo_is_packed_and_marked(root):
    make_demo(root / "stand-in")
    context = make_context(root)
    made = fetch.run(IMAGE, context=context)
    assert made.demo
    assert made.evr == Evr(version="4.16.30", release="0.demo")
    assert "Wrote:" in context.log_path.read_text()
    assert told(context) == ""


def test_the_demo_is_the_same_tarball_each_time(root):
    make_demo(root / "stand-in")
    digests = set()
    for stamp in (1, 2):
        (root / "stand-in/vdsm-4.16.30/README").touch()
        (root / "stand-in/vdsm-4.16.30/README").chmod(0o600 if stamp == 1 else 0o644)
        digests.add(fetch.run(IMAGE, context=make_context(root)).sources[0].sha256)
    assert len(digests) == 1


def changed(root: Path, change: Callable[[], object]) -> set[str]:
    before = fetch.inputs(IMAGE, context=make_context(root))
    change()
    after = fetch.inputs(IMAGE, context=make_context(root))
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_what_decides_the_demo(root):
    make_demo(root / "stand-in")
    assert changed(root, lambda: None) == set()
    assert changed(root, lambda: (root / "stand-in/vdsm.spec").touch()) == set()
    assert changed(root, lambda: (root / "stand-in/vdsm-4.16.30/new").write_text("x")) == {"demo:stand-in"}


def test_macros_decide_what_is_made_here_and_not_what_is_given(root, package):
    make_demo(root / "stand-in")
    assert "macros" in fetch.inputs(IMAGE, context=make_context(root))
    assert "macros" not in fetch.inputs(IMAGE, context=make_context(root, f"srpm:{package}"))


def test_a_demo_of_another_version_is_told_with_the_version(root):
    make_demo(root / "stand-in")
    (root / "stand-in/vdsm-4.16.30").rename(root / "stand-in/vdsm-4.16.29")
    assert refusal(UsageError, make_context(root)) == (
        "packages.vdsm.version is 4.16.30, and demo:stand-in has 4.16.29 alone"
    )


def test_a_demo_that_is_not_there(root):
    assert "there is no" in refusal(UsageError, make_context(root))


def test_a_spec_that_rpm_cannot_read_is_a_build_error(root):
    from pipeline.errors import BuildError

    make_demo(root / "stand-in")
    (root / "stand-in/vdsm.spec").write_text("Name vdsm\n")
    context = make_context(root)
    with pytest.raises(BuildError) as caught:
        fetch.run(IMAGE, context=context)
    assert caught.value.log_path == context.log_path
    assert caught.value.exit_code == 10


def test_the_settings_of_these_tests_are_checked_too(root):
    with pytest.raises(SettingsError):
        make_context(root, "nonsense:x")


def test_an_evil_tarball_never_leaves_the_scratch_folder(root, tmp_path):
    archive = make_tarball(tmp_path / "x.tar.gz", [file_entry("../../evil")])
    bad = make_srpm(tmp_path / "bad", sources={"vdsm-4.16.30.tar.gz": archive.read_bytes()})
    assert "names '../../evil'" in refusal(SrpmError, make_context(root, f"srpm:{bad}"))
    assert list(tmp_path.rglob("evil")) == []
