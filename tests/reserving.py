# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines that reserve releases: each with a checkout and an out directory of its own, and nothing of the demo."""

from __future__ import annotations

import io
import multiprocessing
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from pipeline.context import JobContext
from pipeline.engines.host import HostEngine
from pipeline.errors import PipelineError
from pipeline.files import file_record
from pipeline.model import AppliedPatch, Evr, Image, Job, PatchedTree, Reservation, Srpm, Tree
from pipeline.progress import Progress
from pipeline.settings import read_settings
from pipeline.stages import reserve
from pipeline.stages.reserve import Foreseen

SETTINGS = """\
default_targets = ["el6"]
packager = "A Packager <packager@example.org>"
[releases]
remote = "{remote}"
[packages.vdsm]
version = "4.16.30"
label = "label"
release_floor = 904
[packages.vdsm.sources]
el6 = ["srpm:vdsm.src.rpm"]
[targets.el6]
sources = "el6"
engine = "host"
dist = ".el6"
python = "python3"
mirror = "local"
[mirrors.local]
destination = "out/mirror"
"""
SPEC = "Name: vdsm\nVersion: 4.16.30\nRelease: 0%{?dist}\n"
IMAGE = Image(engine="host", reference="here", digest="1")


@dataclass(kw_only=True)
class Machine:
    """What the reserve stage is given on one machine; `said` is what people there were told."""

    context: JobContext
    tree: PatchedTree
    said: io.StringIO

    def reserve(self) -> Reservation:
        return reserve.run(self.tree, IMAGE, context=self.context)

    def number(self) -> int:
        return self.reserve().number

    def inputs(self) -> dict[str, str]:
        return reserve.inputs(self.tree, IMAGE, context=self.context)

    def foreseen(self) -> Foreseen:
        return reserve.foresee(self.tree.srpm, self.tree, IMAGE, context=self.context)

    def with_patch(self, text: str) -> Machine:
        """The same machine with another patch."""
        path = self.context.out_path / "el6/vdsm/tree/1.patch"
        path.write_text(text)
        patch = replace(self.tree.patches[0], file=file_record(path, self.context.out_path))
        return replace(self, tree=replace(self.tree, patches=(patch,)))

    def set(self, **settings: object) -> Machine:
        """The same machine with other settings of the package, or of the whole."""
        package, whole = self.context.package, self.context.settings
        own = {name: value for name, value in settings.items() if name in type(package).model_fields}
        rest = {name: value for name, value in settings.items() if name not in own}
        return replace(self, context=replace(self.context, settings=whole.model_copy(update=rest),
                                             package=package.model_copy(update=own)))  # fmt: skip

    @property
    def home_dir(self) -> Path:
        return self.context.home_dir


def new_machine(folder: Path, remote: str | Path = "", *, epoch: int = 0, offline: bool = False) -> Machine:
    folder.mkdir(parents=True)
    (folder / "pipeline.toml").write_text(SETTINGS.format(remote=remote))
    settings = read_settings(folder, environ={}, offline=offline)
    home_dir = settings.out_path / "el6" / "vdsm"
    said = io.StringIO()
    for name, text in (("srpm/vdsm.spec", SPEC), ("srpm/vdsm.src.rpm", "rpm"), ("tree/1.patch", "first")):
        (home_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (home_dir / name).write_text(text)
    nothing = Tree(path=Path("tree"), fingerprint="0")
    files = {name: file_record(home_dir / name, settings.out_path)
             for name in ("srpm/vdsm.spec", "srpm/vdsm.src.rpm", "tree/1.patch")}  # fmt: skip
    tree = PatchedTree(
        srpm=Srpm(file=files["srpm/vdsm.src.rpm"], name="vdsm", spec=files["srpm/vdsm.spec"], sources=(), origin="",
                  evr=Evr(epoch=epoch, version="4.16.30", release="0.el6"), demo=False),
        pristine=nothing, patched=nothing, steps=nothing,
        patches=(AppliedPatch(file=files["tree/1.patch"], subject="vm: first", author="A <a@b>", state="clean",
                              offset_lines=0, touched=("f",)),),
    )  # fmt: skip
    context = JobContext(
        settings=settings, target_name="el6", target=settings.target("el6"), engine=HostEngine(), home_dir=home_dir,
        progress=Progress(console=Console(file=said, soft_wrap=True)), log_path=home_dir / "logs" / "reserve.log",
        job=Job(package="vdsm", target="el6"), package=settings.packages["vdsm"],
    )  # fmt: skip
    return Machine(context=context, tree=tree, said=said)


def git(repository: Path, *words: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    done = subprocess.run(["git", "-C", repository, *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def tags_on(remote: Path) -> list[str]:
    return git(remote, "tag", "--list").split()


def at_once(machines: Sequence[Machine]) -> list[int | str]:
    """What they get when all begin at the same moment, each in a process of its own: a number, or an error's name."""
    forks = multiprocessing.get_context("fork")
    start, got = forks.Barrier(len(machines)), forks.Queue()

    def begin(machine: Machine) -> None:
        start.wait()
        try:
            got.put(machine.number())
        except PipelineError as error:
            got.put(f"{error.reference}: {error.message}")

    processes = [forks.Process(target=begin, args=(machine,)) for machine in machines]
    for process in processes:
        process.start()
    found = [got.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return found
