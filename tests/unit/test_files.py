# SPDX-License-Identifier: GPL-2.0-or-later
"""Files are written whole or not at all, and an edit of a tree shows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pipeline import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_record_has_the_path_below_out_the_size_and_the_digest(tmp_path):
    path = tmp_path / "demo" / "a"
    path.parent.mkdir()
    path.write_bytes(b"content")
    record = files.file_record(path, tmp_path)
    assert (record.path, record.size_bytes) == (Path("demo/a"), 7)
    assert record.sha256 == hashlib.sha256(b"content").hexdigest()


def test_a_write_makes_folders_and_leaves_one_readable_file(tmp_path):
    path = tmp_path / "new" / "a"
    files.write_whole(path, "café\n")
    assert path.read_bytes() == "café\n".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["a"]


def test_bytes_that_came_through_text_are_written_as_they_came(tmp_path):
    files.write_whole(tmp_path / "a", b"\xff\n".decode(errors="surrogateescape"))
    assert (tmp_path / "a").read_bytes() == b"\xff\n"


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, step, fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_write_that_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_write_that_fails_names_the_file_and_not_the_temporary_one(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        files.write_whole(tmp_path / "a", "new")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), None)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="not a regular file"):
        files.read_regular(path, 10)


def test_no_file_is_read_that_is_larger_than_it_may_be(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    assert files.read_regular(tmp_path / "a", 11) == b"x" * 11
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        files.read_regular(tmp_path / "a", 10)


def test_a_write_on_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")
    # Every byte written to it fails as on a full disk.
    monkeypatch.setattr(files.tempfile, "mkstemp", lambda **_: (os.open("/dev/full", os.O_WRONLY), str(tmp_path / "t")))
    with pytest.raises(OSError, match="No space left on device"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_copy_has_content_and_time_and_replaces_what_was_there(tmp_path):
    source, path = tmp_path / "source", tmp_path / "to" / "a"
    source.write_text("new")
    source.chmod(0o600)
    os.utime(source, (1000, 1000))
    files.write_whole(path, "old")
    files.copy_whole(source, path)
    assert (path.read_text(), path.stat().st_mtime, path.stat().st_mode & 0o777) == ("new", 1000, 0o644)
    assert names(path.parent) == ["a"]


def test_a_copy_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        files.copy_whole(tmp_path / "none", path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_tree_takes_the_place_of_the_older_one(tmp_path):
    for name in ("new", "to/tree"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / Path(name).name).write_text("")
    files.replace_tree(tmp_path / "new", tmp_path / "to" / "tree")
    assert names(tmp_path / "to") == ["tree"]
    assert names(tmp_path / "to" / "tree") == ["new"]


def test_a_tree_that_was_left_half_replaced_is_no_hindrance(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / ".tree.old" / "deep").mkdir(parents=True)
    files.replace_tree(tmp_path / "new", tmp_path / "tree")
    assert names(tmp_path) == ["tree"]


def test_a_tree_is_copied_as_it_is_links_times_and_modes_too(tmp_path):
    source_dir = tmp_path / "from, mit ä"
    (source_dir / "sub").mkdir(parents=True)
    (source_dir / "sub" / "a").write_text("a")
    (source_dir / "sub" / "a").chmod(0o755)
    os.utime(source_dir / "sub" / "a", ns=(1, 1_000_000_123))
    (source_dir / "link").symlink_to("/etc/passwd")
    files.copy_tree(source_dir, tmp_path / "to" / "tree")
    assert (tmp_path / "to/tree/sub/a").stat().st_mtime_ns == 1_000_000_123
    assert (tmp_path / "to/tree/sub/a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "to/tree/link").readlink() == Path("/etc/passwd")
    assert files.content_digest(tmp_path / "to" / "tree") == files.content_digest(source_dir)


def test_files_are_laid_over_those_of_another_folder_and_the_rest_stays(tmp_path):
    source_dir, path = tmp_path / "from", tmp_path / "to"
    for name, text in (("from/sub/a", "new"), ("from/sub/deep/b", "b"), ("to/sub/a", "old"), ("to/sub/c", "c")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (source_dir / "link").symlink_to("/nowhere")
    os.utime(source_dir / "sub" / "a", (1000, 1000))
    files.lay_files(source_dir, path)
    found = {str(each.relative_to(path)): each.read_text() for each in path.rglob("*") if each.is_file()}
    assert found == {"sub/a": "new", "sub/deep/b": "b", "sub/c": "c"}
    assert (path / "sub" / "a").stat().st_mtime == 1000
    assert (source_dir / "sub" / "a").read_text() == "new"


def test_files_are_joined_in_order_behind_what_is_there_and_are_gone_then(tmp_path):
    (tmp_path / "whole").write_text("0")
    (tmp_path / "b").write_bytes(b"\xff")
    (tmp_path / "a").write_text("2")
    files.join_files([tmp_path / name for name in ("b", "none", "a")], tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"0\xff2"
    assert names(tmp_path) == ["whole"]


def test_a_tree_that_is_taken_is_no_longer_where_it_was_and_is_ours(tmp_path):
    source_dir = tmp_path / "from"
    (source_dir / "sub").mkdir(parents=True)
    (source_dir / "sub" / "a").write_text("a")
    (source_dir / "link").symlink_to("/nowhere")
    if os.getuid() == 0:
        for path in (source_dir, *source_dir.rglob("*")):
            os.chown(path, 1000, 1000, follow_symlinks=False)
    files.take_tree(source_dir, tmp_path / "to" / "tree")
    assert not source_dir.exists()
    assert (tmp_path / "to/tree/sub/a").read_text() == "a"
    for path in (tmp_path / "to/tree", *(tmp_path / "to/tree").rglob("*")):
        assert path.lstat().st_uid == os.getuid()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("one")
    (folder / "b").write_text("two")
    (folder / "link").symlink_to("b")
    return folder


def edit(tree: Path) -> None:
    (tree / "sub" / "a").write_text("ONE")


def add(tree: Path) -> None:
    (tree / "sub" / "new").write_text("")


def remove(tree: Path) -> None:
    (tree / "b").unlink()


def rename(tree: Path) -> None:
    (tree / "b").rename(tree / "c")


def turn_into_folder(tree: Path) -> None:
    (tree / "b").unlink()
    (tree / "b").mkdir()


def make_executable(tree: Path) -> None:
    (tree / "b").chmod(0o755)


def point_elsewhere(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("sub/a")


@pytest.mark.parametrize(
    "change",
    [edit, add, remove, rename, turn_into_folder, make_executable, point_elsewhere],
    ids=lambda item: item.__name__,
)
def test_a_fingerprint_sees_every_edit(tree, change):
    before = files.tree_fingerprint(tree)
    assert files.tree_fingerprint(tree) == before
    change(tree)
    assert files.tree_fingerprint(tree) != before


def test_reading_a_tree_does_not_change_its_fingerprint(tree):
    before = files.tree_fingerprint(tree)
    (tree / "b").read_text()
    os.utime(tree)
    assert files.tree_fingerprint(tree) == before


@pytest.mark.parametrize("change", [edit, add, remove, rename], ids=lambda item: item.__name__)
def test_a_content_digest_sees_names_and_contents(tree, change):
    before = files.content_digest(tree)
    change(tree)
    assert files.content_digest(tree) != before


def test_a_content_digest_does_not_depend_on_times(tree):
    before = files.content_digest(tree)
    os.utime(tree / "b", (1, 1))
    assert files.content_digest(tree) == before


def test_names_that_are_not_utf_8_are_digested(tree):
    (tree / os.fsdecode(b"\xff")).write_text("")
    assert files.tree_fingerprint(tree)
    assert files.content_digest(tree)


def test_a_content_digest_sees_what_links_lead_to(tmp_path):
    tree, elsewhere = tmp_path / "tree", tmp_path / "elsewhere"
    tree.mkdir()
    elsewhere.write_text("one")
    found = [files.content_digest(tree)]
    (tree / "link").symlink_to(elsewhere)
    found.append(files.content_digest(tree))
    elsewhere.write_text("two")
    found.append(files.content_digest(tree))
    elsewhere.unlink()
    found.append(files.content_digest(tree))
    (tree / "link").unlink()
    (tree / "link").symlink_to(tmp_path)
    found.append(files.content_digest(tree))
    assert len({*found}) == len(found)
