# SPDX-License-Identifier: GPL-2.0-or-later
"""The series file and its patches: what is read from them, and every way to be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import PatchError
from pipeline.series import read_patches, read_series, without

PATCH = """\
From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: An Author <author@example.org>
Date: Mon, 2 Nov 2015 10:00:00 +0000
Subject: [PATCH 1/2] vm: act on
 console disconnect

---
diff --git a/vdsm/vm.py b/vdsm/vm.py
--- a/vdsm/vm.py
+++ b/vdsm/vm.py
@@ -1 +1 @@
-old
+new
"""


UNREADABLE_DATES = ("", "yesterday", "Mon, 31 Feb 2015 10:00:00 +0000", "Mon, 2 Nov 2015 99:00:00 +0000",
                    "Mon, 2 Nov 99999 10:00:00 +0000", "Mon, 2 Nov 2015 10:00:00 +9999")  # fmt: skip


@pytest.fixture
def patches_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "patches"
    folder.mkdir()
    return folder


@pytest.fixture
def write(patches_dir: Path) -> Callable[..., None]:
    """Writes the series file and the patches by name."""

    def write_all(series: str, **patches: str | bytes) -> None:
        (patches_dir / "series").write_text(series)
        for name, content in patches.items():
            data = content if isinstance(content, bytes) else content.encode()
            (patches_dir / f"000{'abc'.index(name) + 1}-{name}.patch").write_bytes(data)

    return write_all


@pytest.fixture
def refusal(patches_dir: Path) -> Callable[[], PatchError]:
    """The error of reading the series."""

    def read() -> PatchError:
        with pytest.raises(PatchError) as caught:
            read_series(patches_dir)
        assert caught.value.exit_code == 12
        assert caught.value.hint
        return caught.value

    return read


def test_patches_come_in_the_order_of_the_series_without_comments_and_empty_lines(patches_dir, write):
    write("# ours\n\n0002-b.patch\n0001-a.patch -p1 # the other\n   \n", a=PATCH, b=PATCH)
    assert [patch.path.name for patch in read_series(patches_dir)] == ["0002-b.patch", "0001-a.patch"]


def test_a_patch_has_subject_author_files_and_digest(patches_dir, write):
    write("0001-a.patch\n", a=PATCH)
    (patch,) = read_series(patches_dir)
    assert patch.subject == "vm: act on console disconnect"
    assert patch.author == "An Author <author@example.org>"
    assert patch.touched == ("vdsm/vm.py",)
    assert len(patch.sha256) == 64


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Mon, 2 Nov 2015 10:00:00 +0000", 1446458400),
        ("Mon, 2 Nov 2015 10:00:00 -0500", 1446476400),
        ("Mon, 2 Nov 2015 10:00:00 -0000", 1446458400),
        ("Mon, 2 Nov 2015 10:00:00", 1446458400),
    ],
)
def test_a_patch_has_the_time_that_it_was_written(patches_dir, write, date, seconds):
    write("0001-a.patch\n", a=re.sub("Date: .*", f"Date: {date}", PATCH))
    assert read_series(patches_dir)[0].date_seconds == seconds


def test_encoded_words_of_the_header_are_read(patches_dir, write):
    write("0001-a.patch\n", a=PATCH.replace("An Author", "=?UTF-8?q?J=C3=BCrgen?="))
    assert read_series(patches_dir)[0].author == "Jürgen <author@example.org>"


def test_files_that_are_new_or_have_spaces_are_touched(patches_dir, write, format_patch):
    tree = {"a file.py": "old\n", "gone.py": "old\n"}
    write("0001-a.patch\n", a=format_patch(tree, {"a file.py": "new\n", "new dir/new.py": "new\n"}))
    assert set(read_series(patches_dir)[0].touched) == {"a file.py", "gone.py", "new dir/new.py"}


def test_an_empty_series_has_no_patch_and_is_refused_only_where_some_are_needed(patches_dir, write):
    write("# nothing yet\n")
    assert read_series(patches_dir) == ()
    with pytest.raises(PatchError) as caught:
        read_patches(patches_dir)
    assert caught.value.message == f"{patches_dir / 'series'} names no patch, so there is nothing to try or to move"


def test_two_patches_of_one_number_are_refused(patches_dir, write, refusal):
    write("0001-a.patch\n0001-x.patch\n", a=PATCH)
    (patches_dir / "0001-x.patch").write_text(PATCH)
    assert refusal().message == (
        f"0001-a.patch and 0001-x.patch in {patches_dir} have the same number, so no test can name one of them"
    )


def test_lines_of_patches_that_go_are_taken_out_and_nothing_else():
    text = "# ours\n0001-a.patch\n\n0002-b.patch -p1 # why\n# 0001-a.patch was first\n"
    assert without(text, {"0002-b.patch"}) == text.replace("0002-b.patch -p1 # why\n", "")
    assert without(text, {}) == text


def test_a_missing_series_is_named(patches_dir, refusal):
    assert refusal().message == f"{patches_dir / 'series'} does not exist"


def test_a_listed_file_that_is_missing_is_named(patches_dir, write, refusal):
    write("0001-a.patch\n0002-b.patch\n", a=PATCH)
    assert refusal().message == f"{patches_dir / 'series'} names 0002-b.patch, which is not there"


def test_a_file_that_is_not_listed_is_named(patches_dir, write, refusal):
    write("0001-a.patch\n# 0002-b.patch\n", a=PATCH, b=PATCH)
    assert refusal().message == f"0002-b.patch in {patches_dir} is not in its series file"


def test_a_file_that_is_listed_twice_is_named(patches_dir, write, refusal):
    write("0001-a.patch\n0001-a.patch\n", a=PATCH)
    assert refusal().message == f"{patches_dir / 'series'} names 0001-a.patch twice"


@pytest.mark.parametrize("option", ["-p0", "-p2", "-R", "-p1 -R"])
def test_an_option_other_than_p1_is_refused(write, refusal, option):
    write(f"0001-a.patch {option}\n", a=PATCH)
    assert refusal().reference == "series-option"
    assert f"asks for {option}; patches are applied with -p1" in refusal().message


@pytest.mark.parametrize(
    "name",
    ["0001-a$(touch X).patch", "0001-a$(id).patch", "0001-a`id`.patch", "%{lua:x}.patch", "0001-a;id.patch",
     "../a.patch", "/etc/a.patch", "sub/0001-a.patch", ".a.patch", "-a.patch", "0001-a.diff", "0001-a.patch.gz",
     "0001-ä.patch", ".patch", "0001-a\\b.patch", "a.patch", "1-a.patch", "00001-a.patch", "0001.patch",
     "0001-.patch", "²²²²-a.patch"],
)  # fmt: skip
def test_a_name_that_rpm_or_a_shell_could_run_is_refused_before_anything_reads_it(
    patches_dir, write, refusal, name, monkeypatch
):
    monkeypatch.chdir(patches_dir)
    write(f"{name}\n")
    assert refusal().reference in ("patch-name", "series-option")
    assert [path.name for path in patches_dir.iterdir()] == ["series"]


def test_windows_line_ends_are_told_with_the_mend(patches_dir, write, refusal):
    write("0001-a.patch\n", a=PATCH.replace("\n", "\r\n"))
    assert refusal().message.startswith("0001-a.patch has Windows line ends (CRLF)")
    assert refusal().hint == f"convert it: sed -i 's/\\r$//' {patches_dir / '0001-a.patch'}"


@pytest.mark.parametrize(
    ("content", "lacking"),
    [
        ("", "Subject line"),
        (PATCH.partition("---\n")[2], "Subject line"),
        (PATCH.replace("From: An Author <author@example.org>\n", ""), "From line"),
        (re.sub("Date: .*\n", "", PATCH), "Date line"),
        *((re.sub("Date: .*", f"Date: {date}", PATCH), "Date line") for date in UNREADABLE_DATES),
        (PATCH.partition("---\n")[0], "changed file"),
        (b"\xff\xfe\x00" * 50, "Subject line"),
    ],
    ids=["empty", "plain diff", "no author", "no date", *UNREADABLE_DATES, "no change", "binary"],
)
def test_what_is_no_format_patch_file_is_told_with_what_it_lacks(write, refusal, content, lacking):
    write("0001-a.patch\n", a=content)
    assert refusal().message == f"0001-a.patch is not a git format-patch file: it has no {lacking}"


def test_a_file_name_that_is_not_utf_8_is_no_traceback(patches_dir, write):
    write("0001-a.patch\n", a=PATCH.encode().replace(b"vdsm/vm.py", b"vdsm/\xff.py"))
    assert read_series(patches_dir)[0].touched == ("vdsm/\ufffd.py",)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a.py": "text\n" * 9}, {"b.py": "text\n" * 9}, "only renames or copies a file"),
        ({"a.bin": "\0a"}, {"a.bin": "\0b"}, "changes a binary file"),
        ({}, {"\u00e9.py": "text\n"}, "has a file name that is not plain ASCII"),
        ({}, {"__init__.py": ""}, "makes or removes an empty file"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"other.py": "text\n"}])
def test_a_change_that_is_none_of_text_is_told_for_what_it_is(write, refusal, format_patch, before, after, told, more):
    write("0001-a.patch\n", a=format_patch({"keep": "", **before}, {"keep": "", **after, **more}))
    assert refusal().message.startswith(f"0001-a.patch {told}, which the pipeline does not take: diff --git ")


def test_a_patch_that_only_changes_a_mode_is_told(write, refusal):
    head, _, _ = PATCH.partition("--- a/")
    write("0001-a.patch\n", a=f"{head}old mode 100644\nnew mode 100755\n")
    assert "only changes the mode of a file" in refusal().message


@pytest.mark.parametrize(
    "line",
    ["new file mode 120000", "deleted file mode 120000", "index 1234567..89abcde 120000", "new file mode 0120777",
     "new file mode  120000 x", "new file mode 160000"],
)  # fmt: skip
def test_a_patch_that_makes_or_changes_a_link_or_a_submodule_is_told(write, refusal, line):
    write("0001-a.patch\n", a=PATCH.replace("--- a/", f"{line}\n--- a/"))
    assert refusal().message.startswith("0001-a.patch makes, changes or removes a symbolic link or a submodule, which")


def test_words_of_a_message_and_lines_of_a_file_are_no_change_of_another_kind(patches_dir, write):
    words = "\nrename from here\nGIT binary patch\nnew file mode 120000\n---\n"
    text = PATCH.replace("\n---\n", words).replace("+new", "+GIT binary patch")
    write("0001-a.patch\n", a=text)
    assert read_series(patches_dir)[0].touched == ("vdsm/vm.py",)
