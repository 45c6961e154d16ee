# SPDX-License-Identifier: GPL-2.0-or-later
"""A small checkout of its own for every test, and the records and contexts that stages are given."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from rich.console import Console

from pipeline.command import CommandResult
from pipeline.context import JobContext
from pipeline.engines.base import Engine, Workspace
from pipeline.files import file_record
from pipeline.model import Evr, Image, Job, Srpm
from pipeline.progress import Progress
from pipeline.settings import Settings, read_settings

# A shell that starts us in the background has us ignore ctrl-C, and all that the tests start with us.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a CI says of itself must not change what the tests see; those of its marks say it again.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "JENKINS_URL", "BUILD_TAG"):
    os.environ.pop(_name, None)

ROOT_DIR = Path(__file__).resolve().parent.parent

SETTINGS = """\
default_targets = ["demo"]
packager = "A Packager <packager@example.org>"

[packages.vdsm]
version = "4.16.30"
label = "label"
release_floor = 904
installed_dir = "usr/share"

[packages.vdsm.sources]
demo = ["demo:tests/demo/vdsm"]
el6 = ["srpm:vdsm.src.rpm", "git:https://example.org/vdsm.git@v4.16.30"]

[targets.demo]
sources = "demo"
engine = "host"
dist = ".demo"
python = "python3"
mirror = "local"

[targets.el6]
sources = "el6"
image = "el6"
dist = ".el6"
python = "python2.6"
mirror = "local"
macros = { rhel = "6" }

[images.el6]
recipe = "containers/el6"

[mirrors.local]
destination = "out/mirror"
"""

SPEC = """\
Name: vdsm
Version: 4.16.30
Release: 0%{?dist}%{?extra_release}
Summary: A daemon
License: GPLv2+
Source0: vdsm-4.16.30.tar.gz

%description
A daemon.

%prep
%setup -q

%changelog
* Sun Nov 22 2015 Vendor <vendor@example.org> - 4.16.30-0
- First
"""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a fake workspace was told to run; `workspace` still exists while the answer is made."""

    argv: tuple[str, ...]
    workspace: Workspace


@dataclass(kw_only=True)
class FakeWorkspace(Workspace):
    """Answers commands by a function instead of running them."""

    answer: Callable[[Call], str]

    def inside(self, path: Path) -> str:
        return str(path)

    def run(self, argv: Sequence[str], **told: object) -> CommandResult:
        stdout = self.answer(Call(argv=tuple(argv), workspace=self))
        return CommandResult(argv=tuple(argv), exit_code=0, stdout=stdout, seconds=0.0)


class FakeEngine(Engine):
    """An engine on real folders; `answer` does what a command would and returns its standard output."""

    name = "host"

    def __init__(self, answer: Callable[[Call], str] = lambda call: "") -> None:
        self.answer = answer

    def identify(self) -> Image:
        return Image(engine="host", reference="fake", digest="1")

    def _open(self, dir_path: Path, read_only: tuple[Path, ...]) -> Workspace:
        return FakeWorkspace(dir=dir_path, read_only=read_only, answer=self.answer)


@pytest.fixture
def root_dir() -> Path:
    """The checkout that the tests belong to."""
    return ROOT_DIR


@pytest.fixture
def validator_of() -> Callable[[str], Draft202012Validator]:
    """The validator of a document, by the name of its schema."""
    paths = {path.name.partition(".")[0]: path for path in (ROOT_DIR / "schema").glob("*.schema.json")}
    schemas = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    registry = Registry().with_resources((each["$id"], Resource.from_contents(each)) for each in schemas.values())
    return lambda name: Draft202012Validator(schemas[name], registry=registry)


@pytest.fixture
def settings_text() -> str:
    """A small, valid pipeline.toml."""
    return SETTINGS


@pytest.fixture
def checkout_dir(tmp_path: Path) -> Path:
    """A folder with a small pipeline.toml; patches/, specs/ and out/ are to be filled by the test."""
    folder = tmp_path / "checkout"
    for name in ("patches/vdsm", "specs/vdsm", "tests/patched/vdsm", "containers/el6"):
        (folder / name).mkdir(parents=True)
    (folder / "pipeline.toml").write_text(SETTINGS)
    (folder / "tests/patched/vdsm/test_it.py").write_text("# what a fake workspace is told to run\n")
    return folder


@pytest.fixture
def settings(checkout_dir: Path) -> Settings:
    return read_settings(checkout_dir, environ={})


@pytest.fixture
def told() -> io.StringIO:
    """What `progress` wrote, as plain lines."""
    return io.StringIO()


@pytest.fixture
def progress(told: io.StringIO) -> Progress:
    return Progress(console=Console(file=told, markup=False, highlight=False, emoji=False, soft_wrap=True))


@pytest.fixture
def make_context(settings: Settings, progress: Progress) -> Callable[..., JobContext]:
    """Makes the context of vdsm for a target, with an engine that does as `answer` says."""

    def make(answer: Callable[[Call], str] = lambda call: "", *, target: str = "demo") -> JobContext:
        home_dir = settings.out_path / target / "vdsm"
        return JobContext(
            settings=settings,
            target_name=target,
            target=settings.target(target),
            engine=FakeEngine(answer),
            progress=progress,
            home_dir=home_dir,
            log_path=home_dir / "logs" / "attempt" / "stage.log",
            job=Job(package="vdsm", target=target),
            package=settings.packages["vdsm"],
        )

    return make


@pytest.fixture
def image() -> Image:
    return Image(engine="host", reference="fake", digest="1")


@pytest.fixture
def make_srpm(settings: Settings) -> Callable[..., Srpm]:
    """Makes the record of a fetched source RPM whose spec has the given text."""

    def make(spec: str = SPEC, *, release: str = "0.demo") -> Srpm:
        payload_dir = settings.out_path / "demo" / "vdsm" / "srpm" / "payload"
        payload_dir.mkdir(parents=True, exist_ok=True)
        for name, text in (("vdsm.spec", spec), ("vdsm-4.16.30.tar.gz", "tar"), ("vdsm.src.rpm", "rpm")):
            (payload_dir / name).write_text(text)
        return Srpm(
            file=file_record(payload_dir / "vdsm.src.rpm", settings.out_path),
            name="vdsm",
            evr=Evr(version="4.16.30", release=release),
            spec=file_record(payload_dir / "vdsm.spec", settings.out_path),
            sources=(file_record(payload_dir / "vdsm-4.16.30.tar.gz", settings.out_path),),
            origin="demo",
            demo=True,
        )

    return make


@pytest.fixture
def format_patch(tmp_path: Path) -> Callable[..., bytes]:
    """Makes a git format-patch file from a tree before and a tree after, both {path: content}."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "An Author"), ("EMAIL", "author@example.org"))},
    }  # fmt: skip

    def make(before: Mapping[str, str], after: Mapping[str, str], subject: str = "vm: change it") -> bytes:
        folder = tmp_path / f"repository-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()

        def git(*words: str) -> bytes:
            return subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True).stdout

        def commit(tree: Mapping[str, str], message: str) -> None:
            for path in (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts):
                path.unlink()
            for name, content in tree.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content.encode())
            git("add", "--all")
            git("commit", "--quiet", "--allow-empty", "--message", message)

        git("init", "--quiet")
        commit(before, "before")
        commit(after, subject)
        return git("format-patch", "--stdout", "-1")

    return make
