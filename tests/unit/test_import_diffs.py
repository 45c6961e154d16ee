# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of a diff that look like something else."""

from __future__ import annotations

import pytest

from pipeline.importing import diffs

HEAD = b"---\n a.lua | 2 +-\n\ndiff --git a/a.lua b/a.lua\n--- a/a.lua\n+++ b/a.lua\n"


def test_a_removed_comment_is_no_header() -> None:
    diff = HEAD + b"@@ -1,2 +1,2 @@\n--- /usr/share/lua\n+++ /etc\n x\n"
    assert [line for line in diffs.headers(diff) if line.startswith((b"---", b"+++"))] == [
        b"---",
        b"--- a/a.lua",
        b"+++ b/a.lua",
    ]


@pytest.mark.parametrize(
    "hunk",
    [
        b"@@ -1,3 +1,2 @@\n x\n-- \n y\n",
        b"@@ -1 +1 @@\n-- \n+z\n",
        b"@@ -1,2 +0,0 @@\n-- \n-- \n",
        b"@@ -1,2 +1 @@\n \n-- \n\\ No newline at end of file\n",
    ],
)
def test_the_signature_goes_and_a_removed_dash_stays(hunk: bytes) -> None:
    assert diffs.without_signature(HEAD + hunk) == HEAD + hunk
    assert diffs.without_signature(HEAD + hunk + b"-- \n2.39\n\n") == HEAD + hunk
