# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to a repository, from a state that is prepared once and copied for each try."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.mirrors import mirror
from tests.chaos import publisher
from tests.chaos.wholeness import State, named_in
from tests.integration.conftest import Project, RsyncDaemon

ROOT_DIR = Path(__file__).parents[2]
_CHANNELS = """
[mirrors.stable]
destination = "out/stable"
"""


@dataclass(frozen=True)
class Scenario:
    """An action on the repository of the channel `mirror`, in a folder with a checkout and an out directory."""

    dir: Path
    action: str
    mirror: str = "local"
    word: object = ""

    @property
    def out_path(self) -> Path:
        return self.dir / "out dir é"

    @property
    def repository_dir(self) -> Path:
        return self.out_path / {"local": "mirror"}.get(self.mirror, self.mirror) / publisher.TARGET

    @property
    def argv(self) -> list[str]:
        return publisher.argv(self.action, self.dir / "checkout", self.out_path, self.mirror, self.word)

    def copied(self, folder: Path) -> Scenario:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "--archive", str(self.dir), str(folder)], check=True)
        return replace(self, dir=folder)

    def former_files(self) -> tuple[str, ...]:
        """What a reader still asks for who took the `repomd.xml` that stands in this folder."""
        path = self.repository_dir / "repodata" / "repomd.xml"
        return tuple(named_in(path.read_bytes())) if path.exists() else ()


@dataclass(frozen=True)
class OverDaemon(Scenario):
    """A repository behind an rsync daemon; each copy has a folder of its own there."""

    daemon: RsyncDaemon | None = None
    name: str = "base"

    @property
    def served_dir(self) -> Path:
        return self.daemon.dir / self.name

    @property
    def repository_dir(self) -> Path:
        return self.served_dir / publisher.TARGET

    @property
    def argv(self) -> list[str]:
        url = f"{self.daemon.url()}/{self.name}"
        return publisher.argv(self.action, self.dir / "checkout", self.out_path, url, self.word)

    def copied(self, folder: Path) -> Scenario:
        copy = replace(self, name=folder.name, dir=super().copied(folder).dir)
        subprocess.run(["cp", "--archive", str(self.served_dir), str(copy.served_dir)], check=True)
        return copy


@dataclass(frozen=True)
class Case:
    """A scenario with the packages before and after it."""

    scenario: Scenario
    former: State
    new: State


def first(project: Project) -> Scenario:
    return _about_to_publish(project, "1")


def second(project: Project) -> Scenario:
    _published(project, "1")
    return _about_to_publish(project, "2")


def adoption(project: Project) -> Scenario:
    """What lies there was made by createrepo_c: `repodata` is a folder."""
    folder = project.out_path / "mirror" / publisher.TARGET
    (folder / "noarch").mkdir(parents=True)
    for path in project.make_packages("small", "1"):
        shutil.copy(path, folder / "noarch")
    subprocess.run(["createrepo_c", "-q", "--general-compress-type=gz", str(folder)], check=True)
    return _about_to_publish(project, "2")


def rollback(project: Project) -> Scenario:
    revision = _published(project, "1")
    _published(project, "2")
    return Scenario(project.root_dir.parent, "rollback", word=revision)


def promote(project: Project) -> Scenario:
    path = project.root_dir / "pipeline.toml"
    path.write_text(path.read_text() + _CHANNELS)
    _published(project, "1", channel="stable")
    _published(project, "2")
    return Scenario(project.root_dir.parent, "promote", mirror="stable", word="local")


def second_over_daemon(project: Project, daemon: RsyncDaemon) -> OverDaemon:
    (daemon.dir / "base").mkdir()
    _published(project, "1", channel=f"{daemon.url()}/base")
    _about_to_publish(project, "2")
    return OverDaemon(project.root_dir.parent, "publish", daemon=daemon)


SCENARIOS: tuple[Callable[[Project], Scenario], ...] = (first, second, adoption, rollback, promote)


def _published(project: Project, release: str, channel: str = "local") -> int:
    """The revision that a release was published as."""
    context = project.context(channel)
    project.publish(context, project.build(release=release))
    return mirror.read_state(context.settings, publisher.TARGET).revision


def _about_to_publish(project: Project, release: str) -> Scenario:
    sets = project.signed(project.build(release=release))
    publisher.hand_over(sets, project.out_path)
    return Scenario(project.root_dir.parent, "publish")
