# SPDX-License-Identifier: GPL-2.0-or-later
"""When repo and publish run again, and the reasons that people read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.chain import Chain
from pipeline.flow import TARGET_STAGES
from pipeline.model import BuildResult
from tests.integration.conftest import Project

# A client's trial of each state takes a second; test_proof has it.
STAGES = tuple(stage for stage in TARGET_STAGES if stage.name != "verify")


def reasons(project: Project, *builds: BuildResult) -> dict[str, tuple[str, str]]:
    """Stage -> result and reason of a run of the two last stages."""
    chain = Chain("el6", project.context("local"), STAGES, sign=project.signed(*builds))
    chain.run()
    assert chain.error is None
    return {outcome.stage: (outcome.result, outcome.reason) for outcome in chain.outcomes}


def publish_elsewhere(project: Project, build: BuildResult) -> None:
    context = project.context(str(project.out_path / "mirror"))
    project.publish(replace(context, home_dir=project.out_path / "theirs"), build)


def mirror_dir(project: Project) -> Path:
    return project.out_path / "mirror" / "el6"


def stamps(project: Project) -> dict[Path, tuple[int, int]]:
    """What would change if anything on the mirror were written, with the same contents too."""
    return {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in mirror_dir(project).rglob("*")}


def test_a_second_run_does_nothing(project: Project) -> None:
    build = project.build()
    first = reasons(project, build)
    assert {result for result, _ in first.values()} == {"ok"}
    before = stamps(project)
    second = reasons(project, build)
    assert {result for result, _ in second.values()} == {"cached"}
    assert stamps(project) == before


def test_an_emptied_mirror_is_published_to_again(project: Project) -> None:
    build = project.build()
    reasons(project, build)
    shutil.rmtree(mirror_dir(project))
    again = reasons(project, build)
    assert again["repo"][0] == "cached"
    result, reason = again["publish"]
    assert result == "ok"
    assert reason.startswith(f"what stands on {mirror_dir(project)} changed from ")
    assert reason.endswith(" to nothing")
    assert {result for result, _ in reasons(project, build).values()} == {"cached"}


def test_what_others_publish_is_carried(project: Project) -> None:
    ours, theirs = project.build("small"), project.build("other")
    reasons(project, ours)
    publish_elsewhere(project, theirs)
    again = reasons(project, ours)
    assert again["repo"][0] == "ok"
    assert again["repo"][1].startswith("what stands on the mirror changed from what this was staged for to ")
    assert again["publish"][0] == "ok"
    assert {result for result, _ in reasons(project, ours).values()} == {"cached"}


def test_a_new_release_is_published(project: Project) -> None:
    reasons(project, project.build())
    again = reasons(project, project.build(release="2"))
    assert [result for result, _ in again.values()] == ["ok", "ok"]
    assert "sign changed" in again["repo"][1]
    assert {result for result, _ in reasons(project, project.build(release="2")).values()} == {"cached"}


def test_another_mirror_is_published_to(project: Project, tmp_path: Path) -> None:
    build = project.build()
    reasons(project, build)
    chain = Chain("el6", project.context(str(tmp_path / "other")), STAGES, sign=project.signed(build))
    chain.run()
    assert [outcome.result for outcome in chain.outcomes] == ["ok", "ok"]
    assert chain.outcomes[0].reason.startswith("mirror changed")
    assert (tmp_path / "other" / "el6" / "repodata" / "repomd.xml").exists()


def test_an_edited_staging_folder_is_made_anew(project: Project) -> None:
    build = project.build()
    reasons(project, build)
    (project.out_path / "el6" / "repo" / "noarch" / "small-1.0-1.noarch.rpm").write_bytes(b"")
    before = stamps(project)
    again = reasons(project, build)
    assert again["repo"] == ("ok", "el6/repo is missing or was changed")
    assert stamps(project) == before
    assert {result for result, _ in reasons(project, build).values()} == {"cached"}
