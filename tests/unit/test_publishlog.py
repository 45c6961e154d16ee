# SPDX-License-Identifier: GPL-2.0-or-later
"""The publish log: what it tells, and that nobody takes a line out unseen."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import PublishError
from pipeline.mirrors import publishlog, snapshot
from pipeline.model import LogEntry, MirrorState

ENTRIES = tuple(
    LogEntry(revision=revision, time="2026-11-21T10:00:00Z", action="publish", repomd_sha256="b" * 64, who="me@here",
             releases=(("vdsm", f"1-{revision}"),), statements=(("a.src.rpm.intoto.json", "c" * 64),), commit="d" * 40)
    for revision in (1, 2, 3)
)  # fmt: skip


def whole() -> bytes:
    content = b""
    for entry in ENTRIES:
        content = publishlog.appended(content, entry)
    return content


def test_what_was_appended_is_read_and_nothing_before_it_changes() -> None:
    assert publishlog.read(whole(), "M") == ENTRIES
    assert publishlog.read(b"", "M") == ()
    more = publishlog.appended(whole(), ENTRIES[0])
    assert more.startswith(whole())
    assert more.count(b"\n") == 4


def test_a_word_that_a_later_version_writes_is_left_alone() -> None:
    said = json.loads(publishlog.appended(b"", ENTRIES[0]))
    line = json.dumps({**said, "mood": "good"}).encode()
    assert publishlog.read(line, "M") == ENTRIES[:1]


def _without(lines: list[bytes], number: int) -> list[bytes]:
    return [line for place, line in enumerate(lines) if place != number]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: _without(lines, 0), "line 1 does not follow the line before it"),
        (lambda lines: _without(lines, 1), "line 2 does not follow the line before it"),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1 does not follow"),
        (lambda lines: [lines[0].replace(b"me@here", b"he@here"), *lines[1:]], "line 2 does not follow"),
        (lambda lines: [*lines, b"{}"], "line 4 cannot be read"),
        (lambda lines: [*lines, b"\xff"], "line 4 cannot be read"),
        (lambda lines: [*lines, b"[1]"], "line 4 cannot be read"),
        (lambda lines: [*lines, b"[" * 100_000], "line 4 cannot be read"),
        (lambda lines: [lines[0].replace(b'"revision":1', b'"revision":"1"')], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b'"revision":1', b'"revision":-1')], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b'"revision":1', b'"revision":true')], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b'"revision":1', b'"revision":9007199254740993')], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b"11-21T10:00:00Z", b"11-21T10:00:00")], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b"11-21T10:00:00Z", b"11-21T10:00:00+01:00")], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b"2026-11-21T", b"2026-02-30T")], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b"2026-11-21T10:00:00Z", b"yesterday")], "line 1 cannot be read"),
        (lambda lines: [lines[0].replace(b'"releases":[[', b'"releases":[["x","y","z"],[')], "line 1 cannot be read"),
    ],
)
def test_a_log_that_somebody_changed_is_told(spoil, words: str) -> None:
    content = b"\n".join(spoil(whole().splitlines())) + b"\n"
    with pytest.raises(PublishError, match=words) as raised:
        publishlog.read(content, "M")
    assert raised.value.reference == "publish-log-broken"
    assert raised.value.message.startswith("the publish log of M is not whole: ")
    assert "put it back" in raised.value.hint


def test_a_revision_that_could_not_be_logged_is_not_given_out() -> None:
    assert snapshot.next_revision(MirrorState(destination="M", revision=2**53 - 1)) == 2**53
    with pytest.raises(PublishError, match="none above it can be logged"):
        snapshot.next_revision(MirrorState(destination="M", revision=10**30))
