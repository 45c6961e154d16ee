# SPDX-License-Identifier: GPL-2.0-or-later
"""Rebasing the series onto another tag: what goes over by itself, where a person decides, and that nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline import files
from pipeline.progress import Progress
from pipeline.refreshing.refresh import Refresh
from pipeline.settings import read_settings
from tests.integration.checkout import Checkout
from tests.integration.test_compat import LINES, Upstream


@pytest.fixture
def upstream(checkout: Checkout, tmp_path: Path) -> Upstream:
    # The series is made for the first tag: that is the version of the package.
    checkout.edit("pipeline.toml", 'version = "4.16.30"', 'version = "1.0.1"')
    return Upstream(tmp_path / "upstream", checkout)


def series(checkout: Checkout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (checkout.root / "patches/vdsm").iterdir()}


def refresh(checkout: Checkout, *words: str):
    return checkout.run("refresh", *words, json_too=False)


def everything_in(*folders: Path) -> dict[Path, bytes]:
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in paths if "__pycache__" not in path.parts}


def tree_git(checkout: Checkout, *words: str, check: bool = True) -> None:
    tree = checkout.out / "refresh/vdsm/tree"
    subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words], cwd=tree, check=check)


def conflict(checkout: Checkout, upstream: Upstream):
    """A refresh that stopped, since upstream changed the line that our first patch changes."""
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    stopped = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    assert stopped.code == 12, stopped.stderr
    return stopped


def resolve(checkout: Checkout, text: str = "    patched theirs\n") -> None:
    """Put a text in place of the conflict, and add it."""
    path = checkout.out / "refresh/vdsm/tree/service.py"
    head, _, rest = path.read_text().partition("<<<<<<<")
    path.write_text(head + text + rest.partition(">>>>>>>")[2].partition("\n")[2])
    tree_git(checkout, "add", "service.py")


@pytest.fixture
def two_patches(checkout: Checkout, upstream: Upstream) -> Upstream:
    """The series has a second patch, numbered 0004, which changes line 35, and words of ours."""
    upstream.git("checkout", "--quiet", "ours")
    upstream.lines[20], upstream.lines[35] = "patched 20", "patched 35"
    upstream.commit("Change line 35")
    folder = checkout.root / "patches/vdsm"
    upstream.git("format-patch", "--quiet", "--start-number=4", "--output-directory", str(folder), "HEAD~1")
    upstream.git("checkout", "--quiet", "main")
    upstream.lines = list(LINES)
    (folder / "series").write_text("# ours\n0001-Change-line-20.patch\n# the other\n0004-Change-line-35.patch  # why\n")
    return upstream


def test_a_series_goes_over_by_itself(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[:0] = ["added", "added"]
    upstream.commit("Add two lines", tag="v1.0.2")
    before = series(checkout)
    objects = upstream.objects()

    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    assert result.code == 0, result.stderr
    assert b"@@ -21,7 +21,7 @@" in series(checkout)["0001-Change-line-20.patch"]
    kept = {path.name: path.read_bytes() for path in (checkout.out / "refresh/vdsm-before-1").iterdir()}
    assert kept == before
    assert upstream.objects() == objects
    commit = upstream.git("rev-parse", "v1.0.2").strip()
    assert "vdsm: 1 patch is rebased onto v1.0.2" in result.stderr
    assert '[packages.vdsm]  version = "1.0.2"' in result.stderr
    assert f'[packages.vdsm.git_commits]  "v1.0.2" = "{commit}"' in result.stderr
    again = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.2")
    assert again.document["tags"][0]["patches"][0]["state"] == "clean"


def test_a_conflict_stops_is_resolved_and_goes_on(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    before = series(checkout)

    stopped = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    tree = checkout.out / "refresh/vdsm/tree"
    assert stopped.code == 12
    assert "patch 1 of 1, 0001-Change-line-20.patch, conflicts in service.py on v1.0.2" in stopped.stderr
    assert str(tree) in stopped.stderr
    assert series(checkout) == before
    assert refresh(checkout, "--continue").code == 12, "not resolved yet"
    resolve(checkout)

    done = refresh(checkout, "--continue")

    assert done.code == 0, done.stderr
    assert b"-    theirs\n+    patched theirs\n" in series(checkout)["0001-Change-line-20.patch"]
    assert not tree.exists()


def test_one_under_way_is_not_started_over_and_can_be_given_up(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    before = series(checkout)
    refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    note = checkout.out / "refresh/vdsm/tree/service.py"
    note.write_text("somebody's work")

    again = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    assert again.code == 2
    assert "not through" in again.stderr
    assert note.read_text() == "somebody's work"
    assert refresh(checkout, "--abort").code == 0
    assert series(checkout) == before
    assert not (checkout.out / "refresh/vdsm").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--source", "git:{upstream}@v9"], "it has no tag 'v9'"),
        (["--source", "git:/nowhere@v1"], "/nowhere cannot be taken"),
        ([], "needs a tag"),
        (["--continue"], "no refresh of vdsm is under way"),
        (["--abort"], "no refresh of vdsm is under way"),
        (["--skip"], "no refresh of vdsm is under way"),
        (["--source", "git:{upstream}"], "@TAG is missing"),
        (["--source", "git:{upstream}@v9", "--dry-run"], "has no tag 'v9'"),
        (["--continue", "--abort"], "takes one of"),
        (["--continue", "--skip"], "takes one of"),
        (["--continue", "--source", "git:{upstream}@v1.0.1"], "takes one of"),
    ],
)
def test_wrong_words_are_told(words: list[str], told: str, checkout: Checkout, upstream: Upstream) -> None:
    result = refresh(checkout, *(word.format(upstream=upstream.path) for word in words))
    assert result.code == 2, result.stderr
    assert told in result.stderr
    assert not (checkout.out / "refresh" / "vdsm").exists()


def test_a_series_that_does_not_fit_its_own_version_is_told(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines.append("more")
    upstream.commit("Go on", tag="v1.0.2")
    checkout.edit("patches/vdsm/0001-Change-line-20.patch", "     line 19", "     line nineteen")
    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    assert result.code == 12, result.stderr
    assert "does not apply to v1.0.1" in result.stderr
    assert not (checkout.out / "refresh" / "vdsm").exists()


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(checkout: Checkout, two_patches: Upstream) -> None:
    two_patches.lines[:0] = ["added", "added"]
    two_patches.lines[37] = "theirs"
    two_patches.commit("Change the same line", tag="v1.0.2")
    before = everything_in(checkout.root, two_patches.path)

    result = refresh(checkout, "--source", f"git:{two_patches.path}@v1.0.2", "--dry-run")

    assert result.code == 0, result.stderr
    assert "would rebase 2 patches onto v1.0.2" in result.stderr
    assert "0001-Change-line-20.patch: applies, 2 lines away" in result.stderr
    assert "0004-Change-line-35.patch: does not fit at service.py, line 34" in result.stderr
    assert everything_in(checkout.root, two_patches.path) == before


def test_programs_get_one_document(checkout: Checkout, upstream: Upstream, validator_of) -> None:
    told = checkout.run("refresh", "--source", f"git:{upstream.path}@v1.0.1", "--dry-run")
    validator_of("run").validate(told.document)
    assert told.document["status"] == "ok"


def test_a_dry_run_of_going_on_and_giving_up_does_nothing(checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    resolve(checkout)
    before = everything_in(checkout.root)
    for word in ("--continue", "--skip", "--abort"):
        result = refresh(checkout, word, "--dry-run")
        assert result.code == 0, result.stderr
        assert "nothing is done" in result.stderr
        assert everything_in(checkout.root) == before


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_still_marks_a_conflict_is_refused_with_file_and_line(
    by_hand: bool, checkout: Checkout, upstream: Upstream
) -> None:
    conflict(checkout, upstream)
    before = series(checkout)
    tree_git(checkout, "add", "service.py")
    if by_hand:
        tree_git(checkout, "am", "--continue")

    result = refresh(checkout, "--continue")

    assert result.code == 12
    assert f"{checkout.out}/refresh/vdsm/tree/service.py, line 22 still marks a conflict: <<<<<<< " in result.stderr
    assert series(checkout) == before


@pytest.mark.parametrize("left", ["=======", ">>>>>>> theirs"])
def test_one_line_that_marks_a_conflict_is_enough(left: str, checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    resolve(checkout, f"    patched theirs\n{left}\n")
    result = refresh(checkout, "--continue")
    assert result.code == 12
    assert f"service.py, line 23 still marks a conflict: {left}" in result.stderr


def test_a_line_that_the_patch_itself_adds_is_no_conflict(checkout: Checkout, upstream: Upstream) -> None:
    checkout.edit("patches/vdsm/0001-Change-line-20.patch", "+    patched 20", "+=======")
    conflict(checkout, upstream)
    resolve(checkout, "=======\n")
    assert refresh(checkout, "--continue").code == 0
    assert b"+=======\n" in series(checkout)["0001-Change-line-20.patch"]


def test_what_is_edited_and_not_added_is_told(checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    resolve(checkout)
    path = checkout.out / "refresh/vdsm/tree/service.py"
    path.write_text(path.read_text() + "# more\n")
    result = refresh(checkout, "--continue")
    assert result.code == 12
    assert f"service.py in {path.parent} is edited and not added" in result.stderr
    assert path.read_text().endswith("# more\n")


def test_every_former_series_is_kept_with_edits_that_nobody_committed(checkout: Checkout, upstream: Upstream) -> None:
    kept = []
    for number in (2, 3):
        checkout.edit("patches/vdsm/0001-Change-line-20.patch", "patched 20", f"edited {number}")
        kept.append(series(checkout))
        upstream.lines[:0] = ["added"]
        upstream.commit("Add a line", tag=f"v1.0.{number}")
        assert refresh(checkout, "--source", f"git:{upstream.path}@v1.0.{number}").code == 0
        checkout.edit("pipeline.toml", f'version = "1.0.{number - 1}"', f'version = "1.0.{number}"')
        checkout.edit("patches/vdsm/0001-Change-line-20.patch", f"edited {number}", "patched 20")
    for number, former in enumerate(kept, start=1):
        folder = checkout.out / f"refresh/vdsm-before-{number}"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == former


@pytest.mark.parametrize("name", ["0001-Change-line-20.patch", "series"])
def test_an_edit_of_the_series_while_it_is_under_way_is_refused(
    name: str, checkout: Checkout, upstream: Upstream
) -> None:
    conflict(checkout, upstream)
    resolve(checkout)
    path = checkout.root / "patches/vdsm" / name
    before = path.read_bytes()
    path.write_bytes(before + b"# edited\n")
    result = refresh(checkout, "--continue")
    assert result.code == 12
    assert f"{path} changed since the refresh began" in result.stderr
    assert path.read_bytes().endswith(b"# edited\n")
    path.write_bytes(before)
    assert refresh(checkout, "--continue").code == 0


def test_a_patch_that_is_added_while_it_is_under_way_is_refused(checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    resolve(checkout)
    added = checkout.root / "patches/vdsm/0002-more.patch"
    added.write_text("more")
    result = refresh(checkout, "--continue")
    assert result.code == 12
    assert f"{added} changed since the refresh began" in result.stderr


def test_what_lies_in_the_tree_and_in_no_commit_is_told_before_it_is_removed(
    checkout: Checkout, upstream: Upstream
) -> None:
    conflict(checkout, upstream)
    note = checkout.out / "refresh/vdsm/tree/service.py"
    note.write_text("somebody's work")
    tree_git(checkout, "checkout", "--quiet", "--theirs", "service.py")
    tree_git(checkout, "am", "--quit")
    tree_git(checkout, "reset", "--quiet", "--hard")
    note.write_text("somebody's work")
    tree_git(checkout, "stash", "--quiet")
    tree_git(checkout, "am", "--quiet", "--3way", str(checkout.out / "refresh/vdsm/series/0001-Change-line-20.patch"),
             check=False)  # fmt: skip
    resolve(checkout)
    (note.parent / "notes.txt").write_text("more of it")

    told = refresh(checkout, "--continue")

    assert told.code == 12
    assert "has changes that are in no commit: ?? notes.txt, stash@{0}: WIP on refresh" in told.stderr
    (note.parent / "notes.txt").unlink()
    tree_git(checkout, "stash", "drop", "--quiet")
    assert refresh(checkout, "--continue").code == 0


@pytest.mark.parametrize("where", [["checkout", "--quiet", "--detach"], ["checkout", "--quiet", "base"]])
def test_a_tree_that_is_elsewhere_is_refused(where: list[str], checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    before = series(checkout)
    tree_git(checkout, "am", "--abort")
    tree_git(checkout, *where)
    for word in ("--continue", "--skip"):
        result = refresh(checkout, word)
        assert result.code == 12
        assert "where it should be on refresh, behind v1.0.2" in result.stderr
    assert series(checkout) == before


def test_a_tag_that_is_moved_in_the_tree_misleads_nobody(checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    resolve(checkout)
    tree_git(checkout, "am", "--continue")
    tree_git(checkout, "tag", "--force", "v1.0.2")
    result = refresh(checkout, "--continue")
    assert result.code == 0, result.stderr
    assert f'"v1.0.2" = "{upstream.git("rev-parse", "v1.0.2").strip()}"' in result.stderr


@pytest.mark.parametrize("at", range(5))
def test_one_that_is_killed_while_it_replaces_the_series_goes_on(
    at: int, checkout: Checkout, two_patches: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_patches.lines[20] = "patched 20"
    two_patches.lines[:0] = ["added"]
    two_patches.commit("Take the first", tag="v1.0.2")
    before = series(checkout)
    left = iter(range(at))
    copy = files.copy_whole

    class Killed(BaseException):
        pass

    def copy_and_be_killed(*paths: Path) -> None:
        if next(left, None) is None:
            raise Killed
        copy(*paths)

    monkeypatch.setattr(files, "copy_whole", copy_and_be_killed)
    work = Refresh(read_settings(checkout.root), "vdsm", Progress(quiet=True))
    with suppress(Killed):
        work.start(str(two_patches.path), "v1.0.2")

    if at < 3:
        result = refresh(checkout, "--continue")
        assert result.code == 0, result.stderr
    assert sorted(series(checkout)) == ["0004-Change-line-35.patch", "series"]
    assert b" line 33" in series(checkout)["0004-Change-line-35.patch"]
    kept = list((checkout.out / "refresh").iterdir())
    assert [path.name for path in kept] == ["vdsm-before-1"]
    assert {path.name: path.read_bytes() for path in kept[0].iterdir()} == before


def git_that(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, does: str, *, when: str) -> None:
    """Put a git on PATH that does something of its own where one of its words is `when`."""
    folder = checkout.root.parent / "bin"
    folder.mkdir()
    real = shutil.which("git")
    (folder / "git").write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = {when} ] && {{ {does}; }}; done\nexec {real} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_full_disk_is_no_conflict_and_it_goes_on_when_there_is_room(
    checkout: Checkout, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lines[:0] = ["added"]
    upstream.commit("Add a line", tag="v1.0.2")
    full = checkout.root.parent / "full"
    full.touch()
    told = "fatal: unable to write new index file: No space left on device"
    git_that(checkout, monkeypatch, f"[ -e {full} ] && mkdir .git/rebase-apply && echo '{told}' >&2 && exit 128",
             when="--3way")  # fmt: skip

    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    assert result.code == 20
    assert "unable to write new index file: No space left on device" in result.error_line
    full.unlink()
    done = refresh(checkout, "--continue")
    assert done.code == 0, done.stderr
    assert b"@@ -20,7 +20,7 @@" in series(checkout)["0001-Change-line-20.patch"]


def test_a_git_that_fails_before_it_begins_is_no_conflict(
    checkout: Checkout, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lines[:0] = ["added"]
    upstream.commit("Add a line", tag="v1.0.2")
    git_that(checkout, monkeypatch, "exit 1", when="--3way")
    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    assert "git am did not begin with patch 1 of 1" in result.error_line
    assert refresh(checkout, "--skip").code != 0, "nobody was asked about it"
    monkeypatch.undo()
    assert refresh(checkout, "--continue").code == 0
    assert "0001-Change-line-20.patch" in series(checkout)


def test_what_an_interrupted_am_left_is_not_taken_for_a_decision(
    checkout: Checkout, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lines[:0] = ["added"]
    upstream.commit("Add a line", tag="v1.0.2")
    git_that(checkout, monkeypatch, "mkdir .git/rebase-apply; echo half >> service.py; kill -9 $$", when="--3way")
    assert refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2").code == 20
    monkeypatch.undo()

    told = refresh(checkout, "--continue")

    assert told.code == 12
    assert "`git am` was interrupted half-way" in told.stderr and "M service.py" in told.stderr
    tree_git(checkout, "reset", "--quiet", "--hard")
    assert refresh(checkout, "--continue").code == 0


@pytest.mark.parametrize(("when", "mend"), [("clone", "run the same again"), ("--3way", "go on: `")])
def test_an_interrupt_ends_git_and_the_mend_is_true(
    when: str, mend: str, checkout: Checkout, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.lines[:0] = ["added"]
    upstream.commit("Add a line", tag="v1.0.2")
    pid_path = checkout.root.parent / "pid"
    git_that(
        checkout, monkeypatch, f"echo $$ > {pid_path}.part; mv {pid_path}.part {pid_path}; exec sleep 300", when=when
    )
    words = ["refresh", "--source", f"git:{upstream.path}@v1.0.2"]
    process = checkout.popen(*words)
    deadline = time.monotonic() + 60
    while not pid_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    process.terminate()
    stderr = process.communicate(timeout=60)[1]

    assert process.returncode == 130
    assert f"mend: {mend}" in stderr
    assert not Path(f"/proc/{pid_path.read_text().strip()}").exists()
    monkeypatch.undo()
    again = checkout.run(*words, json_too=False) if when == "clone" else refresh(checkout, "--continue")
    assert again.code == 0, again.stderr


def test_a_repository_in_the_environment_is_left_alone(checkout: Checkout, upstream: Upstream, tmp_path: Path) -> None:
    """As a hook or `git rebase --exec` has it."""
    upstream.lines[:0] = ["added"]
    upstream.commit("Add a line", tag="v1.0.2")
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", upstream.path, other], check=True)
    before = everything_in(other)
    names = {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / ".git/index",
             "GIT_OBJECT_DIRECTORY": other / ".git/objects", "GIT_COMMON_DIR": other / ".git"}  # fmt: skip
    words = ["refresh", "--source", f"git:{upstream.path}@v1.0.2"]
    result = checkout.run(*words, env={name: str(path) for name, path in names.items()}, json_too=False)
    assert result.code == 0, result.stderr
    assert b"@@ -20,7 +20,7 @@" in series(checkout)["0001-Change-line-20.patch"]
    assert everything_in(other) == before


def test_numbers_and_comments_stay_where_nothing_goes(checkout: Checkout, two_patches: Upstream) -> None:
    two_patches.lines[:0] = ["added"]
    two_patches.commit("Add a line", tag="v1.0.2")
    before = series(checkout)
    assert refresh(checkout, "--source", f"git:{two_patches.path}@v1.0.2").code == 0
    after = series(checkout)
    assert after.keys() == before.keys()
    assert after["series"] == before["series"]
    assert b"Subject: [PATCH] Change line 35" in after["0004-Change-line-35.patch"]


def test_a_patch_that_upstream_took_goes_and_the_others_keep_their_numbers(
    checkout: Checkout, two_patches: Upstream
) -> None:
    two_patches.lines[20] = "patched 20"
    two_patches.commit("Take the first", tag="v1.0.2")

    result = refresh(checkout, "--source", f"git:{two_patches.path}@v1.0.2")

    assert result.code == 0, result.stderr
    assert sorted(series(checkout)) == ["0004-Change-line-35.patch", "series"]
    assert series(checkout)["series"] == b"# ours\n# the other\n0004-Change-line-35.patch  # why\n"
    assert "0001-Change-line-20.patch is no longer in the series: v1.0.2 has it already" in result.stderr
    assert "PATCH = '0001'" in result.stderr


def test_a_patch_that_is_empty_when_resolved_is_told_and_can_be_skipped(
    checkout: Checkout, two_patches: Upstream
) -> None:
    conflict(checkout, two_patches)
    resolve(checkout, "    theirs\n")

    told = refresh(checkout, "--continue")

    assert told.code == 12
    assert "the patch is empty here: patch 1 of 2, 0001-Change-line-20.patch, changes nothing" in told.stderr
    assert "`.venv/bin/nox -s refresh -- --skip`" in told.stderr
    skipped = refresh(checkout, "--skip")
    assert skipped.code == 0, skipped.stderr
    assert "0001-Change-line-20.patch is no longer in the series: it was skipped" in skipped.stderr
    assert sorted(series(checkout)) == ["0004-Change-line-35.patch", "series"]


def test_a_series_is_not_left_empty(checkout: Checkout, upstream: Upstream) -> None:
    conflict(checkout, upstream)
    before = series(checkout)
    result = refresh(checkout, "--skip")
    assert result.code == 12
    assert "no patch is left on v1.0.2" in result.stderr
    assert "0001-Change-line-20.patch: it was skipped" in result.stderr
    assert refresh(checkout, "--skip").code == 2, "there is no second one to skip"
    assert refresh(checkout, "--abort").code == 0
    assert series(checkout) == before


def test_a_patch_that_somebody_dropped_by_hand_is_asked_for(checkout: Checkout, two_patches: Upstream) -> None:
    conflict(checkout, two_patches)
    tree_git(checkout, "am", "--abort")
    before = series(checkout)
    result = refresh(checkout, "--continue")
    assert result.code == 12
    assert "0001-Change-line-20.patch, is in no commit of" in result.stderr
    assert series(checkout) == before
    assert refresh(checkout, "--skip").code == 0


def test_a_patch_that_somebody_made_two_commits_of_is_asked_for(checkout: Checkout, two_patches: Upstream) -> None:
    conflict(checkout, two_patches)
    resolve(checkout)
    tree_git(checkout, "am", "--continue")
    tree_git(checkout, "commit", "--quiet", "--allow-empty", "--message", "One more")
    told = refresh(checkout, "--continue")
    assert told.code == 12
    assert "has 2 commits behind v1.0.2, where there should be 1, one for each patch" in told.stderr
    tree_git(checkout, "reset", "--quiet", "--soft", "HEAD~1")
    done = refresh(checkout, "--continue")
    assert done.code == 0, done.stderr
    assert sorted(series(checkout)) == ["0001-Change-line-20.patch", "0004-Change-line-35.patch", "series"]


def test_the_mend_is_the_line_that_works(checkout: Checkout, upstream: Upstream, tmp_path: Path) -> None:
    text = (checkout.root / "pipeline.toml").read_text()
    package = text[text.index("[packages.vdsm]") : text.index("# ---- targets")]
    (checkout.root / "pipeline.toml").write_text(text + package.replace("packages.vdsm", "packages.other"))
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    out = tmp_path / "another out"

    words = ["--package", "vdsm", "--out", str(out)]
    stopped = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2", *words)

    assert f"`.venv/bin/nox -s refresh -- --continue --package vdsm --out '{out}'`" in stopped.stderr
    assert refresh(checkout, "--abort", *words).code == 0
    begin = refresh(checkout, "--abort", *words)
    assert f"begin: .venv/bin/nox -s refresh -- --source git:PATH@TAG --package vdsm --out '{out}'" in begin.stderr
