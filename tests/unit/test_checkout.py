# SPDX-License-Identifier: GPL-2.0-or-later
"""The checkout's commit and what it does not say; and which releases that stands in the way of."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import checkout
from pipeline.checkout import Checkout
from pipeline.model import Job
from pipeline.settings import read_settings

JOBS = (Job(package="vdsm", target="el6"),)
Git = Callable[..., str]


@pytest.fixture(autouse=True)
def anew():
    """Each test asks anew; a run asks once."""
    checkout.read.cache_clear()


@pytest.fixture
def git(checkout_dir, monkeypatch) -> Git:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def run(*words: str, cwd: Path = checkout_dir) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
        argv = ["git", *identity, *words]
        return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()

    return run


@pytest.fixture
def committed(git, checkout_dir) -> Path:
    """The checkout, with all in it committed."""
    (checkout_dir / "patches/vdsm/series").write_text("0001.patch\n")
    (checkout_dir / "README.md").write_text("read me\n")
    (checkout_dir / ".gitignore").write_text("out/\n__pycache__/\n")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "all")
    return checkout_dir


def test_a_checkout_with_all_committed_is_clean_and_has_its_commit(committed, git):
    found = checkout.read(committed)
    assert (found.commit, found.changed, found.state) == (git("rev-parse", "HEAD"), (), "clean")


@pytest.mark.parametrize(
    "path", ["patches/vdsm/0002 ü.patch", "pipeline/more.py", "specs/vdsm/other.j2", "containers/el6/Containerfile"]
)
def test_a_file_that_decides_and_is_not_committed_is_told(committed, path):
    (committed / path).parent.mkdir(exist_ok=True)
    (committed / path).write_text("x")
    found = checkout.read(committed)
    assert (found.changed, found.state) == ((path,), "uncommitted changes")
    assert found.commit


@pytest.mark.parametrize("path", ["pipeline.toml", "README.md", "patches/vdsm/series"])
def test_a_changed_file_is_told_wherever_it_is(committed, path):
    with (committed / path).open("a") as stream:
        stream.write("\n")
    assert checkout.read(committed).changed == (path,)


def test_a_removed_a_staged_and_a_renamed_file_are_told(committed, git):
    (committed / "README.md").unlink()
    git("mv", "patches/vdsm/series", "patches/vdsm/order")
    assert checkout.read(committed).changed == ("README.md", "patches/vdsm/order", "patches/vdsm/series")


def test_what_is_made_and_what_is_only_noted_counts_for_nothing(committed):
    for path in ("out/demo/a", "notes.txt", "pipeline/__pycache__/a.pyc", "patchesandmore/x"):
        (committed / path).parent.mkdir(parents=True, exist_ok=True)
        (committed / path).write_text("x")
    assert checkout.read(committed).state == "clean"


def test_a_user_s_own_ignore_file_hides_nothing(committed, git, tmp_path):
    (tmp_path / "ignore").write_text("*.patch\n")
    git("config", "core.excludesFile", str(tmp_path / "ignore"))
    (committed / "patches/vdsm/0002.patch").write_text("x")
    assert git("status", "--porcelain") == ""
    assert checkout.read(committed).dirty


def test_a_folder_without_git_and_a_repository_without_commit_are_unknown(checkout_dir, git):
    assert checkout.read(checkout_dir) == Checkout()
    checkout.read.cache_clear()
    git("init", "--quiet")
    assert checkout.read(checkout_dir).state == "unknown"


def test_a_copy_inside_another_repository_is_unknown_until_that_has_it(committed, git, tmp_path):
    copy = committed / "copies" / "one"
    copy.mkdir(parents=True)
    (copy / "pipeline.toml").write_text("")
    assert checkout.read(copy) == Checkout()
    git("add", "copies")
    git("commit", "--quiet", "--message", "a copy")
    (copy / "patches").mkdir()
    (copy / "patches/a").write_text("x")
    (committed / "README.md").write_text("not the copy's")
    checkout.read.cache_clear()
    assert checkout.read(copy).changed == ("patches/a",)


def test_looking_writes_nothing(committed):
    index = committed / ".git/index"
    before = index.stat().st_mtime_ns
    (committed / "README.md").touch()
    checkout.read(committed)
    assert index.stat().st_mtime_ns == before


def test_a_release_from_what_no_commit_says_is_refused(committed):
    for name in ("a", "b"):
        (committed / f"patches/{name}").write_text("x")
    error = checkout.refusal(read_settings(committed, environ={}), JOBS)
    assert error is not None
    assert (error.reference, error.exit_code) == ("checkout-dirty", 15)
    assert error.message == (
        "the checkout has uncommitted changes (patches/a and 1 more): nobody could make this release again"
    )
    assert "--allow-dirty" in error.hint


@pytest.mark.parametrize(
    ("flags", "target"), [({"allow_dirty": True}, "el6"), ({}, "demo"), ({"source": "demo"}, "el6")]
)
def test_the_demo_and_who_allows_it_are_not_refused(committed, flags, target):
    (committed / "patches/a").write_text("x")
    jobs = (Job(package="vdsm", target=target),)
    assert checkout.refusal(read_settings(committed, environ={}, **flags), jobs) is None


def test_one_real_job_among_demos_is_enough(committed):
    (committed / "patches/a").write_text("x")
    jobs = (Job(package="vdsm", target="demo"), *JOBS)
    assert checkout.refusal(read_settings(committed, environ={}), jobs) is not None


def test_a_clean_and_an_unknown_checkout_are_not_refused(committed, checkout_dir):
    assert checkout.refusal(read_settings(committed, environ={}), JOBS) is None
    (committed / ".git").rename(committed / "no git")
    checkout.read.cache_clear()
    assert checkout.refusal(read_settings(committed, environ={}), JOBS) is None


@pytest.mark.parametrize(
    "hide",
    [
        lambda git, folder: (folder / ".git/info/exclude").write_text("patches/\n"),
        lambda git, folder: git("update-index", "--assume-unchanged", "patches/vdsm/series"),
        lambda git, folder: git("update-index", "--skip-worktree", "patches/vdsm/series"),
    ],
    ids=["exclude", "assume-unchanged", "skip-worktree"],
)
def test_what_git_is_told_not_to_look_at_decides_all_the_same(committed, git, hide):
    hide(git, committed)
    (committed / "patches/vdsm/series").write_text("0001.patch\n0002.patch\n")
    (committed / "patches/vdsm/0002.patch").write_text("a patch\n")
    assert set(checkout.read(committed).changed) >= {"patches/vdsm/series", "patches/vdsm/0002.patch"}


def test_a_file_that_is_ignored_by_the_checkout_itself_decides_all_the_same(committed, git):
    (committed / ".gitignore").write_text("*.local.patch\n")
    git("commit", "--quiet", "--all", "--message", "ignore")
    (committed / "patches/vdsm/0002.local.patch").write_text("a patch\n")
    assert checkout.read(committed).changed == ("patches/vdsm/0002.local.patch",)


def test_a_link_that_is_committed_is_clean_and_one_that_moved_is_not(committed, git):
    link = committed / "patches/vdsm/link"
    link.symlink_to("series")
    git("add", "--all")
    git("commit", "--quiet", "--message", "a link")
    assert checkout.read(committed).changed == ()
    checkout.read.cache_clear()
    link.unlink()
    link.symlink_to("nowhere")
    assert checkout.read(committed).changed == ("patches/vdsm/link",)


def test_a_decisive_file_that_is_gone_is_told(committed):
    (committed / "patches/vdsm/series").unlink()
    assert checkout.read(committed).changed == ("patches/vdsm/series",)
