# SPDX-License-Identifier: GPL-2.0-or-later
"""A package built on others of the run, on this host and in a container, and that nothing of it stays.

A header, a library that includes it, and a program that is linked with that: each has a word in it, of the vendor's or
of ours, that comes from the lowest.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline import rpmbuild, rpmquery
from pipeline.context import JobContext
from pipeline.engines.base import Engine
from pipeline.engines.choice import engine_of
from pipeline.engines.host import HostEngine
from pipeline.errors import BuildError, EngineError, OrderError
from pipeline.hidden import Hidden
from pipeline.model import BuildResult, Evr, Job, Reservation
from pipeline.order import basis, graph, keys
from pipeline.progress import Progress
from pipeline.settings import read_settings
from tests.integration.checkout import Checkout, copy_checkout

VERSION = "1.0"
HEAD = """\
Name: {name}
Version: 1.0
Release: 1%{{?dist}}.{word}
Summary: A small package
License: GPL-2.0-or-later
{more}
%global debug_package %{{nil}}
{tags}
%description
A small package.
"""
PROTOCOL = """\
%package devel
Summary: Its header
%description devel
Its header.
%install
mkdir -p %{buildroot}/usr/include %{buildroot}/etc %{buildroot}/usr/share/shut
echo '#define WORD "{word}"' > %{buildroot}/usr/include/protocol.h
echo {word} > %{buildroot}/etc/protocol.conf
touch %{buildroot}/usr/share/shut/in
%files devel
%attr(0555,root,root) %dir /usr/share/shut
/usr/share/shut/in
/etc/protocol.conf
/usr/include/protocol.h
"""
LIBRARY = """\
%package devel
Summary: What a program needs to be linked with it
Requires: word = %{version}-%{release}, protocol-devel
%description devel
Its link.
%package unasked
Summary: What nobody asks for, and nobody can install
Requires: nothing-of-the-kind
%description unasked
Nothing.
%build
echo '#include <protocol.h>' > word.c
echo 'const char *word(void) { return WORD; }' >> word.c
gcc -shared -fPIC -Wl,-soname,libword.so.1 -o libword.so.1 word.c
%install
mkdir -p %{buildroot}%{_libdir}
cp libword.so.1 %{buildroot}%{_libdir}
ln -s libword.so.1 %{buildroot}%{_libdir}/libword.so
%files
%{_libdir}/libword.so.1
%files devel
%{_libdir}/libword.so
%files unasked
%post -p /bin/false
%pre
touch /tmp/a-scriptlet-ran
"""
PROGRAM = """\
%build
echo '#include <protocol.h>' > tell.c
echo 'extern int puts(const char *); extern const char *word(void);' >> tell.c
echo 'int main(void) { puts(word()); return 0; }' >> tell.c
gcc -o tell tell.c -lword
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/tell
cp tell %{buildroot}/usr/bin
%check
./tell > told
test "$(cat told)" = {word}
%files
/usr/bin/tell
"""
TAGS = {"protocol": "BuildArch: noarch", "word": "BuildRequires: protocol-devel", "tell": "BuildRequires: word-devel"}
BODIES = {"protocol": PROTOCOL, "word": LIBRARY, "tell": PROGRAM}
NEEDS = {"protocol": (), "word": ("protocol",), "tell": ("protocol", "word")}


@dataclass(frozen=True)
class Builder:
    """Builds the small packages in one engine, in an out directory of its own."""

    dir: Path
    context: JobContext

    def spec(self, name: str, word: str = "ours", more: str = "") -> Path:
        path = self.dir / "specs" / word / f"{name}.spec"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = HEAD.format(name=name, word=word, more=more, tags=TAGS[name]) + BODIES[name].replace("{word}", word)
        path.write_text(text)
        return path

    def build(self, name: str, built_on: list[BuildResult], word: str = "ours", more: str = "") -> BuildResult:
        home_dir = self.context.out_path / "target" / name / word
        return basis.build_on(
            built_on,
            self.spec(name, word, more),
            [],
            home_dir,
            expected=Evr(version=VERSION, release=f"1.el6.{word}"),
            source_date_epoch=1448193600,
            context=replace(self.context, job=Job(package=name, target="target"), home_dir=home_dir),
        )

    def build_all(self, word: str = "ours") -> dict[str, BuildResult]:
        made: dict[str, BuildResult] = {}
        for name, needs in NEEDS.items():
            made[name] = self.build(name, [made[need] for need in needs], word)
        return made

    def path(self, build: BuildResult, name: str) -> Path:
        return next(self.context.out_path / rpm.file.path for rpm in build.rpms if rpm.name == name)


def builder(folder: Path, engine: Engine, progress: Progress, *, nodeps: bool = True) -> Builder:
    settings = read_settings(Path(__file__).parents[2], out=str(folder / "out"), environ={})
    target = settings.targets["el6-bullseye"].model_copy(update={"nodeps": nodeps})
    home_dir = settings.out_path / "target" / "x"
    context = JobContext(settings=settings, target_name="el6-bullseye", target=target, engine=engine, progress=progress,
                         home_dir=home_dir, log_path=home_dir / "stage.log", job=Job(package="x", target="target"),
                         package=settings.packages["vdsm"])  # fmt: skip
    return Builder(folder, context)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine with the image of the container tests, which is made if it is not there."""
    checkout: Checkout = copy_checkout(tmp_path_factory.mktemp("image"))
    result = checkout.run("image", "--target", "el6-bullseye")
    assert result.code == 0, result.stderr
    return engine_of(read_settings(checkout.root, environ={}), "el6-bullseye")


@pytest.fixture(params=["host", "container"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return HostEngine() if request.param == "host" else request.getfixturevalue("container")


def left_over() -> list[str]:
    """Images and containers that this process made and that are there still: others may be testing here."""
    argv = (
        ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"],
        ["podman", "ps", "--all", "--format", "{{.Names}}"],
    )
    listed = [name for words in argv for name in subprocess.check_output(words, text=True).split()]
    return [name for name in listed if re.search(rf"vdsm-pipeline(-built-on:|-){os.getpid()}-", name)]


def this_host() -> tuple[dict[str, bool], str, list[str], int]:
    """What a package that was installed here would have changed."""
    names = (
        "usr/include/protocol.h",
        "etc/protocol.conf",
        "usr/lib64/libword.so",
        "usr/share/shut",
        "tmp/a-scriptlet-ran",
    )
    database = subprocess.check_output(["rpm", "--query", "--all"], text=True)
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if line.startswith("packages ")]
    there = {name: Path("/", name).exists() for name in names}
    return there, database, mounts, Path("/etc/ld.so.cache").stat().st_mtime_ns


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    before = this_host()
    yield
    assert this_host() == before
    assert not any(before[0].values())
    assert left_over() == []
    assert list(tmp_path.glob("out/.work/*")) == []


def test_each_package_is_built_on_those_before_it_ours_on_ours_and_the_vendor_s_on_the_vendor_s(
    tmp_path: Path, engine: Engine, progress: Progress
) -> None:
    here = builder(tmp_path, engine, progress)
    made = {word: here.build_all(word) for word in ("ours", "vendors")}
    for word, builds in made.items():
        rpmbuild.unpack(here.path(builds["tell"], "tell"), tmp_path / word)
        rpmbuild.unpack(here.path(builds["word"], "word"), tmp_path / word)
        assert word.encode() in next((tmp_path / word).rglob("libword.so.1")).read_bytes()
    noted = basis.noted(made["ours"]["tell"], here.context.out_path / "target/tell/ours")
    assert [(each.package, each.file_name.rpartition("-1.0-")[0]) for each in noted] == [
        ("protocol", "protocol-devel"), ("word", "word"), ("word", "word-devel")
    ]  # fmt: skip
    assert {each.sha256 for each in noted} <= {
        rpm.file.sha256 for name in ("protocol", "word") for rpm in made["ours"][name].rpms
    }
    assert basis.noted(made["vendors"]["tell"], here.context.out_path / "target/tell/ours") == ()
    assert basis.noted(made["ours"]["protocol"], here.context.out_path / "target/protocol/ours") == ()


def test_without_what_it_is_built_on_the_build_fails(tmp_path: Path, engine: Engine, progress: Progress) -> None:
    """So that the test above shows something."""
    with pytest.raises(BuildError, match="rpmbuild -ba of word.spec failed"):
        builder(tmp_path, engine, progress).build("word", [])


def test_what_a_package_is_built_on_decides_its_bytes(tmp_path: Path, progress: Progress) -> None:
    here = builder(tmp_path, HostEngine(), progress)
    below = {word: here.build("protocol", [], word) for word in ("ours", "vendors")}
    first, other, again = (here.build("word", [below[word]]) for word in ("ours", "vendors", "ours"))
    shown = {"word": keys.capabilities_of(first, here.context.out_path)}
    assert {"/usr/lib64/libword.so", "libword.so.1()(64bit)", "word-devel = 1.0-1.el6.ours"} <= set(shown["word"])
    asked = rpmquery.relations_of(here.spec("tell", more="BuildRequires: libword.so.1()(64bit)"), [], here.context)
    said = rpmquery.relations_of(here.spec("word"), [], here.context)
    with pytest.raises(
        OrderError, match=r"tell requires libword\.so\.1\(\)\(64bit\) to be built, which word turned out"
    ):
        graph.refuse_unsaid({"tell": asked, "word": said}, shown)
    graph.refuse_unsaid({"tell": asked, "word": replace(said, provides=("libword.so.1()(64bit)",))}, shown)
    assert keys.digest_of_rpms(first) == keys.digest_of_rpms(again) != keys.digest_of_rpms(other)
    reservation = Reservation(number=1, evr=Evr(version="1", release="1"), input_sha256="f" * 64, inputs=())
    assert keys.key_of(first, reservation, tmp_path, "change") == "f" * 64


def test_what_it_provides_is_the_same_for_another_release_and_another_for_another_version(
    tmp_path: Path, progress: Progress
) -> None:
    here = builder(tmp_path, HostEngine(), progress)
    below = here.build("protocol", [])
    reservation = Reservation(number=1, evr=Evr(version="1", release="1"), input_sha256="f" * 64, inputs=())

    def key(word: str, more: str = "") -> str:
        built = here.build("word", [below], word, more)
        return keys.key_of(built, reservation, here.context.out_path, "provides")

    plain = key("ours")
    assert key("more", "Provides: patch(word-a-change) = 0123456789ab") == plain
    assert key("ours", "Requires: another") == plain
    assert key("ours", "Provides: another") != plain
    assert key("ours", "Provides: word-of(%{name}) = %{version}-%{release}") != plain
    assert len({plain, key("ours", "Provides: a = 1"), key("ours", "Provides: a = 2")}) == 3


def test_rpm_of_the_engine_says_what_the_specs_ask_for_and_give(
    tmp_path: Path, engine: Engine, progress: Progress
) -> None:
    here = builder(tmp_path, engine, progress)
    found = {
        name: rpmquery.relations_of(
            here.spec(name, more="BuildRequires: make >= 3, /usr/bin/nothing"), [], here.context
        )
        for name in BODIES
    }
    order = graph.order_among(found)
    assert (order.needs, order.faults) == (NEEDS, {})
    assert found["word"].makes == ("word", "word-devel", "word-unasked")
    assert found["word"].build_requires == ("/usr/bin/nothing", "make >= 3", "protocol-devel")
    devel = found["word"].packages[1]
    assert devel.requires == ("protocol-devel", "word = 1.0-1.el6.ours")
    assert "word-devel = 1.0-1.el6.ours" in devel.provides
    assert found["word"].missing == ()


def test_what_nobody_has_is_told_where_requirements_count(tmp_path: Path, engine: Engine, progress: Progress) -> None:
    here = builder(tmp_path, engine, progress)
    here.build("protocol", [])
    protocol = here.path(here.build("protocol", []), "protocol-devel")
    with engine.with_packages([protocol], tmp_path, nodeps=True) as with_it:
        there = replace(here, context=replace(here.context, engine=with_it))
        spec = there.spec("word", more="BuildRequires: protocol-devel >= 2, /etc/protocol.conf, (a or b)")
        looked = rpmquery.relations_of(spec, [], there.context, look=True)
    if engine.name == "host":  # a container's user of the image has a database of his own
        assert looked.missing == ("protocol-devel >= 2",)
    assert rpmquery.relations_of(here.spec("word"), [], here.context, look=True).missing == ("protocol-devel",)


def test_where_requirements_count_what_is_installed_must_have_its_own(tmp_path: Path, progress: Progress) -> None:
    here = builder(tmp_path, HostEngine(), progress, nodeps=False)
    below = here.build("protocol", [])
    assert below.rpms
    # This host's rpm knows no gcc's libc: what requires it cannot be installed.
    loose = builder(tmp_path, HostEngine(), progress)
    word = loose.build("word", [below])
    with pytest.raises(EngineError, match=r"rpm did not install .*word-1.0.*is needed by word-1.0") as caught:
        here.build("tell", [below, word])
    assert (caught.value.exit_code, "nodeps" in caught.value.hint) == (20, True)


def test_a_build_that_checks_its_requirements_finds_them_installed(tmp_path: Path, progress: Progress) -> None:
    here = builder(tmp_path, HostEngine(), progress, nodeps=False)
    below = here.build("protocol", [])
    with pytest.raises(BuildError, match="Failed build dependencies"):
        here.build("word", [])
    assert here.build("word", [below]).rpms


def test_in_a_container_they_are_not_installed_without_what_they_require(
    tmp_path: Path, container: Engine, progress: Progress
) -> None:
    here = builder(tmp_path, container, progress)
    made = here.build("word", [here.build("protocol", [])])
    unasked = here.path(made, "word-unasked")
    with (
        pytest.raises(EngineError, match="nothing-of-the-kind is needed by word-unasked"),
        container.with_packages([unasked], tmp_path / "scratch", nodeps=False),
    ):
        pytest.fail("it cannot be installed")


def test_the_image_of_a_killed_run_is_removed_by_the_next(
    tmp_path: Path, container: Engine, progress: Progress
) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left, living = (f"localhost/vdsm-pipeline-built-on:{number}-0" for number in (dead.pid, os.getpid()))
    for name in (left, living):
        subprocess.run(["podman", "tag", container.identify().digest, name], check=True)
    here = builder(tmp_path, container, progress)
    here.build("word", [here.build("protocol", [])])
    names = subprocess.check_output(["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"], text=True).split()
    subprocess.run(["podman", "rmi", living], check=True, capture_output=True)
    assert (left in names, living in names) == (False, True)


LOOK = """\
cat /usr/include/protocol.h /etc/protocol.conf; ls /usr/lib64/libword.so.1; cat {key} || :
sed -n '3,$s/:.*//p' /proc/net/dev; id -u; rpm --query --all
touch /usr/include/x || echo refused; umount /usr || echo stays
"""


def look(folder: Path, rpms: list[Path], user_id: int, key: Path) -> tuple[str, bool]:
    """What a command sees where packages are laid over the host, and whether all that was made for it is gone."""
    engine = HostEngine(Hidden(paths=(key,), must=True))
    with engine.with_packages(rpms, folder / "scratch", nodeps=True) as there, there.workspace(folder) as workspace:
        told = workspace.run(["sh", "-c", LOOK.format(key=key)], timeout_seconds=60, capture=True, env={"LC_ALL": "C"})
    return told.stdout, not list((folder / "scratch").iterdir())


def as_user(user_id: int, connection: Connection, *given: object) -> None:
    os.setgroups([])
    os.setgid(user_id)
    os.setuid(user_id)
    os.environ["HOME"] = str(given[0])
    try:
        connection.send(look(*given))  # type: ignore[arg-type]
    except Exception as error:
        connection.send((repr(error), False))


@pytest.mark.parametrize("user_id", [0, 65534])
def test_root_and_an_ordinary_user_see_the_packages_and_still_no_key_and_no_network(
    tmp_path: Path, progress: Progress, user_id: int
) -> None:
    here = builder(tmp_path, HostEngine(), progress)
    below = here.build("protocol", [])
    made = [here.path(below, "protocol-devel"), here.path(here.build("word", [below]), "word")]
    folder = Path(tempfile.mkdtemp(prefix="order-"))
    try:
        shutil.chown(folder, user_id, user_id)
        key = folder / "key"
        key.write_text("the key\n")
        rpms = [Path(shutil.copy(path, folder)) for path in made]
        ours, theirs = multiprocessing.Pipe()
        forked = multiprocessing.get_context("fork")
        child = forked.Process(target=as_user, args=(user_id, theirs, folder, rpms, user_id, key))
        child.start()
        told, clean = ours.recv()
        child.join()
    finally:
        shutil.rmtree(folder)
    first, last = told.split(f"{user_id}\n", 1)
    assert first.split() == ["#define", "WORD", '"ours"', "ours", "/usr/lib64/libword.so.1", "lo"], told
    assert sorted(last.split()) == sorted([*(path.name.removesuffix(".rpm") for path in made), "refused", "stays"]), (
        told
    )
    assert clean


def test_where_no_walls_can_be_built_it_is_told(
    tmp_path: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = builder(tmp_path, HostEngine(), progress)
    below = here.build("protocol", [])
    monkeypatch.setattr("pipeline.engines.host._without_network", lambda: ())
    with pytest.raises(EngineError, match="packages of this run cannot be built on here") as caught:
        here.build("word", [below])
    assert "--engine podman" in caught.value.hint


def test_where_no_folder_can_be_laid_over_another_it_is_told(
    tmp_path: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = builder(tmp_path, HostEngine(), progress)
    below = here.build("protocol", [])
    moved_in = __import__("pipeline.engines.host", fromlist=["_"])._MOVE_IN
    monkeypatch.setattr("pipeline.engines.host._MOVE_IN", moved_in.replace("mount -t overlay", "mount -t unheard-of"))
    with pytest.raises(EngineError, match="does not let us make one folder over another"):
        here.build("word", [below])
