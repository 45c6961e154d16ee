# SPDX-License-Identifier: GPL-2.0-or-later
"""CONTRIBUTING.md shows the stages as flow.py has them; changelog fragments are of kinds that towncrier knows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.flow import JOB_STAGES, TARGET_STAGES, Stage

ROOT = Path(__file__).resolve().parents[2]
FRAGMENTS_DIR = ROOT / "docs" / "changelog.d"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def picture(job_stages: tuple[Stage, ...], target_stages: tuple[Stage, ...]) -> str:
    """The stages as a mermaid flowchart; an arrow that others imply is left out, a gate's is dotted."""
    stages = (*job_stages, *target_stages)
    before = {stage.name: {*stage.needs, *stage.gates} for stage in stages}
    lines = ["flowchart LR"]
    for title, group in (("each package of a target", job_stages), ("each target", target_stages)):
        lines += [f'  subgraph "{title}"', *(f"    {stage.name}" for stage in group), "  end"]
    for stage in stages:
        implied = set().union(*(all_before(name, before) for name in before[stage.name]))
        for name in (*stage.needs, *stage.gates):
            if name not in implied:
                lines.append(f"  {name} {'-->' if name in stage.needs else '-.->'} {stage.name}")
    return "\n".join(lines)


def all_before(name: str, before: dict[str, set[str]]) -> set[str]:
    return before[name].union(*(all_before(each, before) for each in before[name]))


def test_the_picture_of_the_stages_is_that_of_the_code():
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", TEXT, re.DOTALL)
    assert shown == picture(JOB_STAGES, TARGET_STAGES), "put the picture of the code into CONTRIBUTING.md"


def test_another_order_makes_another_picture():
    first = TARGET_STAGES[0]
    for other in (replace(first, name="other"), replace(first, gates=()), replace(first, needs=("gate",))):
        assert picture(JOB_STAGES, (other,)) != picture(JOB_STAGES, (first,))


def test_it_opens_with_the_goals_and_the_picture():
    headings = re.findall(r"(?m)^## (.*)$", TEXT)
    assert headings[:2] == ["Design goals", "The stages"]


def kinds() -> set[str]:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    assert configured["directory"] == "docs/changelog.d"
    return {kind["directory"] for kind in configured["type"]}


def test_every_fragment_is_of_a_known_kind():
    names = [path.name for path in FRAGMENTS_DIR.iterdir() if path.name != ".gitignore"]
    for name in names:
        assert re.fullmatch(r"(\d+|\+[a-z0-9-]+)\.(%s)\.md" % "|".join(kinds()), name), name  # noqa: UP031
        assert (FRAGMENTS_DIR / name).read_text().strip()


@pytest.fixture
def copied(tmp_path):
    for name in ("pyproject.toml", "noxfile.py", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(FRAGMENTS_DIR, tmp_path / "docs" / "changelog.d")
    return tmp_path


def changelog(folder, *words: str) -> str:
    argv = [sys.executable, "-m", "nox", "-s", "changelog", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_session_shows_what_the_next_version_brings_and_changes_nothing(copied):
    before = (copied / "CHANGELOG.md").read_text()
    (copied / "docs/changelog.d/7.fixed.md").write_text("A thing that was broken.")
    shown = changelog(copied)
    assert "- A thing that was broken. (#7)" in shown
    assert "## next" in shown
    assert (copied / "CHANGELOG.md").read_text() == before


def test_a_version_is_written_and_takes_its_fragments_along(copied):
    (copied / "docs/changelog.d/7.fixed.md").write_text("A thing that was broken.")
    changelog(copied, "--", "--version", "1.0", "--yes")
    written = (copied / "CHANGELOG.md").read_text()
    assert re.search(r"(?m)^## 1\.0 \(\d{4}-\d\d-\d\d\)$", written)
    assert "- A thing that was broken. (#7)" in written
    assert not list((copied / "docs/changelog.d").glob("*.md"))
