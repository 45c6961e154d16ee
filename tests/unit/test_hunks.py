# SPDX-License-Identifier: GPL-2.0-or-later
"""Hunks of a patch, and the lines shown when one does not fit."""

from __future__ import annotations

from pipeline.hunks import differing_lines, read_hunks

PATCH = """\
From 1 Mon Sep 17 00:00:00 2001
Subject: [PATCH] change

---
 a.py | 2 +-

diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -3,4 +3,4 @@ class A:
 one
-two
+TWO
 three

@@ -20 +20,2 @@
-- removed
+++ added
+more
\\ No newline at end of file
diff --git a/new.py b/new.py
--- /dev/null
+++ b/new.py
@@ -0,0 +1 @@
+first
--
2.39.5
"""


def test_every_hunk_has_its_file_its_line_and_its_old_side():
    first, second, third = read_hunks(PATCH)
    assert (first.path, first.start, first.header) == ("a.py", 3, "@@ -3,4 +3,4 @@ class A:")
    assert first.expected == ("one", "two", "three", "")
    assert (second.path, second.start, second.expected) == ("a.py", 20, ("- removed",))
    assert (third.path, third.start, third.expected) == ("/dev/null", 0, ())


def test_a_removed_line_that_looks_like_a_file_header_is_a_line():
    patch = "--- a/a\n+++ b/a\n@@ -1,2 +1 @@\n--- b/x\n y\n@@ -9 +8 @@\n z\n"
    first, second = read_hunks(patch)
    assert first.expected == ("-- b/x", "y")
    assert second.path == "a"


def test_a_patch_that_is_cut_short_gives_what_it_has():
    (hunk,) = read_hunks("--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n one\n")
    assert hunk.expected == ("one",)


def test_a_text_without_hunks_has_none():
    assert list(read_hunks("")) == []
    assert list(read_hunks("Subject: x\n\n---\n")) == []


def test_only_the_lines_that_differ_are_shown():
    assert differing_lines(["a", "b", "c"], ["a", "B", "c", "d"], 1) == ["(the file, from line 1)", "-b", "+B"]


def test_the_place_that_fits_best_is_compared_even_far_away():
    found = [f"line {number}" for number in range(50)] + ["a", "b", "X", "d"]
    assert differing_lines(["a", "b", "c", "d"], found, 3) == ["(the file, from line 51)", "-c", "+X"]


def test_of_equal_places_the_nearest_is_compared():
    found = ["a", "X", "c", "-", "-", "a", "Y", "c"]
    assert differing_lines(["a", "b", "c"], found, 6) == ["(the file, from line 6)", "-b", "+Y"]
    assert differing_lines(["a", "b", "c"], found, 1) == ["(the file, from line 1)", "-b", "+X"]


def test_a_file_that_is_shorter_than_the_hunk_or_empty_is_shown():
    assert differing_lines(["a", "b"], ["a"], 1) == ["(the file, from line 1)", "-b"]
    assert differing_lines(["a"], [], 1) == ["(the file, from line 1)", "-a"]


def test_no_more_than_a_dozen_lines_are_shown():
    assert len(differing_lines([f"a{n}" for n in range(90)], [f"b{n}" for n in range(90)], 1)) == 12
