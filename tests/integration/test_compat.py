# SPDX-License-Identifier: GPL-2.0-or-later
"""The series on the tags of a small upstream of our own: what applies, what does not, and because of which commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.integration.checkout import Checkout, Result

_GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
LINES = [f"line {number}" for number in range(40)]


class Upstream:
    """A git repository with one file, and the series of a checkout made against its first tag."""

    def __init__(self, path: Path, checkout: Checkout) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.lines = list(LINES)
        self.commit("begin", tag="v1.0.1")
        self._write_series(checkout)

    def git(self, *words: str) -> str:
        return subprocess.check_output([*_GIT, *words], cwd=self.path, text=True)

    def commit(self, subject: str, *, tag: str = "") -> str:
        (self.path / "service.py").write_text("def serve():\n" + "".join(f"    {line}\n" for line in self.lines))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "--short", "HEAD").strip()

    def _write_series(self, checkout: Checkout) -> None:
        self.git("checkout", "--quiet", "-b", "ours")
        self.lines[20] = "patched 20"
        self.commit("Change line 20")
        folder = checkout.root / "patches" / "vdsm"
        for path in folder.glob("*.patch"):
            path.unlink()
        self.git("format-patch", "--quiet", "--output-directory", str(folder), "v1.0.1")
        (folder / "series").write_text("".join(f"{path.name}\n" for path in sorted(folder.glob("*.patch"))))
        self.git("checkout", "--quiet", "main")
        self.lines = list(LINES)

    def objects(self) -> set[Path]:
        return {path for path in (self.path / ".git").rglob("*") if path.is_file() and path.name != "index"}


@pytest.fixture
def upstream(checkout: Checkout, tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream", checkout)


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch, validator_of) -> None:
    """Whatever compat tells programs in these tests is what its schema says."""
    run = Checkout.run

    def checked(self: Checkout, *words: str, **wishes: object) -> Result:
        result = run(self, *words, **wishes)  # type: ignore[arg-type]
        if result.stdout:
            validator_of("compat").validate(result.document)
        return result

    monkeypatch.setattr(Checkout, "run", checked)


def states(document: dict) -> dict[str, str]:
    return {tag["tag"]: tag["patches"][0]["state"] for tag in document["tags"]}


def test_each_tag_is_clean_offset_upstream_or_in_conflict(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[:0] = ["added", "added"]
    upstream.commit("Add two lines", tag="v1.0.2")
    upstream.lines[22] = "patched 20"
    upstream.commit("Take the patch", tag="v1.0.10")
    before = upstream.objects()

    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.*")

    assert result.code == 0, result.stderr
    assert list(states(result.document).items()) == [("v1.0.1", "clean"), ("v1.0.2", "offset"), ("v1.0.10", "upstream")]
    assert result.document["tags"][1]["patches"][0]["offset_lines"] == 2
    assert upstream.objects() == before, "something was written into upstream's repository"


def test_a_conflict_names_the_hunk_and_the_commit_behind_it(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[2] = "elsewhere"
    upstream.commit("Change something else")
    upstream.lines[21] = "moved"
    guilty = upstream.commit("Break the context")
    upstream.lines[39] = "elsewhere too"
    upstream.commit("Change the end", tag="v1.0.2")

    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.*")

    assert result.code == 12
    verdict = result.document["tags"][1]["patches"][0]
    assert verdict["state"] == "conflict"
    assert verdict["cause"] == f"{guilty} (Break the context)"
    assert "service.py, line 19" in result.stderr
    assert "does not apply to 1 of 2 tags: v1.0.2" in result.stderr


def test_every_run_leaves_its_document_and_a_picture(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[21] = "moved"
    upstream.commit("Break <it> & go", tag="v1.0.2")
    folder = checkout.out / "compat"

    good = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.1", json_too=False)

    assert good.code == 0, good.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["vdsm.json", "vdsm.svg"]
    assert f"drawn: {folder}/vdsm.svg" in good.stderr
    before = (folder / "vdsm.svg").read_text()
    assert "v1.0.1, 0001-Change-line-20.patch: clean" in before and "v1.0.2" not in before

    bad = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.*")

    assert bad.code == 12
    assert json.loads((folder / "vdsm.json").read_text()) == bad.document
    after = (folder / "vdsm.svg").read_text()
    assert "(Break &lt;it&gt; &amp; go)" in after
    assert "applies to 1 of 2 tags" in after
    ElementTree.fromstring(after)


def test_an_out_directory_that_cannot_be_written_is_told_behind_the_table(
    checkout: Checkout, upstream: Upstream
) -> None:
    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.*", "--out", "/proc/out")
    assert result.code == result.document["error"]["exit_code"] != 0
    assert "v1.0.1  clean" in result.stderr and "/proc/out" in result.error_line


def test_an_older_tag_lacks_a_commit(checkout: Checkout, tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    upstream = Upstream(path, checkout)
    # History before the tag that the series is made for.
    upstream.git("checkout", "--quiet", "--orphan", "older")
    upstream.lines[21] = "before"
    upstream.commit("Older", tag="v1.0.0")
    upstream.lines = list(LINES)
    needed = upstream.commit("Bring the context", tag="v1.0.3")

    result = checkout.run("compat", "--source", f"git:{path}", "--tags", "v1.0.[03]")

    assert result.document["tags"][0]["patches"][0]["cause"] == f"the lack of {needed} (Bring the context)"


def test_the_watch_list_has_later_commits_to_the_same_function(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[5] = "later"
    later = upstream.commit("Change serve again")
    (upstream.path / "other.py").write_text("def other():\n    pass\n")
    upstream.commit("Change another file")

    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.1", "--watch", "main")

    assert [commit["sha"] for commit in result.document["watch"]] == [later]
    assert "commits of main behind v1.0.1 that touch the same functions" in result.stderr


def test_what_is_later_begins_at_the_packaged_version_or_else_at_the_highest_good_tag(
    checkout: Checkout, upstream: Upstream
) -> None:
    checkout.edit("pipeline.toml", 'version = "4.16.30"', 'version = "1.0.1"')
    upstream.lines[5] = "later"
    later = upstream.commit("Change serve again", tag="v1.0.2")
    words = ["compat", "--source", f"git:{upstream.path}", "--watch", "main"]

    ours = checkout.run(*words, "--tags", "v1.0.*").document
    without = checkout.run(*words, "--tags", "v1.0.2")

    assert (ours["watch_since"], [commit["sha"] for commit in ours["watch"]]) == ("v1.0.1", [later])
    assert (without.document["watch_since"], without.document["watch"]) == ("v1.0.2", [])
    assert "no commit of main behind v1.0.2 touches the same functions" in without.stderr


def test_nothing_to_watch_is_told_where_no_tag_is_good(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change it", tag="v1.0.2")
    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.2", "--watch", "main")
    assert result.code == 12
    assert "nothing to watch on main: the series applies to none of the tags" in result.stderr


def test_without_a_pattern_it_is_the_tags_of_the_version_s_line(checkout: Checkout, upstream: Upstream) -> None:
    checkout.edit("pipeline.toml", 'version = "4.16.30"', 'version = "1.0.7"')
    for tag in ("v1.0.2", "v1.1.0", "other"):
        upstream.git("tag", tag)
    result = checkout.run("compat", "--source", f"git:{upstream.path}")
    assert list(states(result.document)) == ["v1.0.1", "v1.0.2"]


def test_many_tags_are_cut_and_the_cut_is_shown(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change it")
    for number in range(2, 8):
        upstream.git("tag", f"v1.0.{number}")
    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.*")
    assert "does not apply to 6 of 7 tags: v1.0.2, v1.0.3, v1.0.4, v1.0.5, v1.0.6, …" in result.error_line
    five = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.[2-6]")
    assert five.error_line.endswith("v1.0.5, v1.0.6")


def test_a_dry_run_tells_and_writes_nothing(checkout: Checkout, upstream: Upstream) -> None:
    words = ["compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.1", "--unit", "--dry-run"]
    result = checkout.run(*words, "--target", "el6-bullseye")
    assert result.code == 0, result.stderr
    assert states(result.document) == {"v1.0.1": "clean"}
    assert "nothing is written" in result.stderr and "the tests would run" in result.stderr
    assert not checkout.out.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--source", "git:{upstream}", "--tags", "v9*"], "has no tag 'v9*'"),
        (["--source", "git:/nowhere", "--tags", "v1*"], "/nowhere is no git repository"),
        (["--source", "git:{empty}"], "is no git repository"),
        (["--source", "git:{shallow}"], "is a shallow clone"),
        (["--source", "git:{upstream}", "--watch", "nobranch"], "has no branch 'nobranch'"),
        (["--source", "git:{upstream}", "--tags", "v9*", "--watch", "nobranch"], "has no branch 'nobranch'"),
        (["--source", "git:{upstream}@v1.0.1"], "it takes the path without @v1.0.1"),
        ([], "--source git:PATH"),
        (["--source", "git:{upstream}", "--tags", "v1*", "--unit"], "--target el6-bullseye"),
    ],
)
def test_wrong_words_are_told(
    words: list[str], told: str, checkout: Checkout, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.lines.append("more")
    upstream.commit("Go on")
    shallow, empty = tmp_path / "shallow", tmp_path / "empty"
    empty.mkdir()
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{upstream.path}", shallow], check=True)
    given = [word.format(upstream=upstream.path, shallow=shallow, empty=empty) for word in words]

    result = checkout.run("compat", *given)

    assert result.code == 2, result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_repository_in_the_environment_is_not_the_one_that_is_asked(
    checkout: Checkout, upstream: Upstream, tmp_path: Path
) -> None:
    """As a hook or `git rebase --exec` has it: its tag of the same name would be green."""
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", upstream.path, other], check=True)
    subprocess.run(["git", "tag", "v1.0.2"], cwd=other, check=True)
    upstream.lines[20] = "theirs"
    upstream.commit("Change it", tag="v1.0.2")
    names = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git/index",
             "GIT_OBJECT_DIRECTORY": other / ".git/objects", "GIT_COMMON_DIR": other / ".git"}  # fmt: skip
    env = {name: str(path) for name, path in names.items()}
    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.2", env=env)
    assert states(result.document) == {"v1.0.2": "conflict"}


def test_a_linked_work_tree_and_a_path_with_a_colon_are_repositories_too(
    checkout: Checkout, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    odd = tmp_path / 'o:d"d \\'
    subprocess.run(["git", "clone", "--quiet", upstream.path, odd], check=True)
    for path in (tmp_path / "linked", odd, odd / ".git"):
        result = checkout.run("compat", "--source", f"git:{path}", "--tags", "v1.0.1")
        assert result.code == 0, result.stderr
        assert states(result.document) == {"v1.0.1": "clean"}


def test_a_folder_in_a_repository_is_none(checkout: Checkout, upstream: Upstream) -> None:
    folder = upstream.path / "folder"
    folder.mkdir()
    result = checkout.run("compat", "--source", f"git:{folder}", "--tags", "v1.0.1")
    assert result.code == 2
    assert f"{folder} is no git repository" in result.stderr


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("echo 'fatal: unable to write loose object file: No space left on device' >&2; exit 128", "No space left"),
        ("echo 'error: unable to write file: No space left on device' >&2; exit 1", "No space left"),
        ("exit 1", "could not try 0001-Change-line-20.patch: it said nothing"),
        ("kill -9 $$", "was killed by signal 9"),
    ],
)
def test_a_git_that_fails_for_other_reasons_is_no_verdict(
    does: str, told: str, checkout: Checkout, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    git = tmp_path / "bin/git"
    git.write_text(f'#!/bin/sh\nif [ "$1" = apply ]; then {does}; fi\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    env = {"PATH": f"{git.parent}:{os.environ['PATH']}"}
    result = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.1", env=env)
    assert result.code == 20
    assert told in result.error_line
    assert result.document["tags"] == []
