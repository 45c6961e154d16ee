# SPDX-License-Identifier: GPL-2.0-or-later
"""rsync's command lines as text, and what its failures mean."""

from __future__ import annotations

from pathlib import Path

import plumbum
import pytest

from pipeline.errors import CommandTimedOut, PublishError
from pipeline.mirrors import rsync

TELLING = ("--info=progress2", "--no-inc-recursive", "--no-human-readable")


def test_send_removes_and_replaces_nothing() -> None:
    argv = rsync.plan_send(Path("/o/repo"), "rsync://h/m/el6/", Path("/l"), ssh_command="")
    assert argv == [
        "rsync", "--timeout=60", "--contimeout=20", "--sockopts=TCP_NODELAY", "-lptO", "--chmod=D755,F644",
        "--checksum", "--ignore-existing", *TELLING, "--exclude=/repodata", "--from0", "--files-from=/l", "--",
        "/o/repo/", "rsync://h/m/el6/",
    ]  # fmt: skip


def test_comparing_sends_nothing() -> None:
    argv = rsync.plan_send(Path("/o/repo"), "h:/el6/", Path("/l"), ssh_command="ssh -p 1", compare_only=True)
    assert argv == [
        "rsync", "--timeout=60", "--rsh=ssh -p 1", "-lptO", "--chmod=D755,F644", "--checksum", "--dry-run",
        "--out-format=%n", "--exclude=/repodata", "--from0", "--files-from=/l", "--", "/o/repo/", "h:/el6/",
    ]  # fmt: skip


def test_metadata_is_linked_and_compared_by_content_and_replaces_nothing() -> None:
    argv = rsync.plan_metadata(Path("/o/repodata"), "h:/el6/s/6/repodata/", former="/el6/s/5/repodata", replace=False)
    assert argv == [
        "rsync", "--timeout=60", "-rptO", "--chmod=D755,F644", "--checksum", "--ignore-existing",
        "--link-dest=/el6/s/5/repodata", *TELLING, "--", "/o/repodata/", "h:/el6/s/6/repodata/",
    ]  # fmt: skip
    first = rsync.plan_metadata(Path("/o/repodata"), "h:/el6/s/6/repodata/", former="", replace=True)
    assert [word for word in first if word.startswith(("--link-dest", "--ignore"))] == []


def test_the_switch_sends_one_link_and_a_folder_gives_way() -> None:
    argv = rsync.plan_switch(Path("/o/repodata"), "rsync://h/m/el6/")
    assert argv == [
        "rsync", "--timeout=60", "--contimeout=20", "--sockopts=TCP_NODELAY", "--links", "--force", "--",
        "/o/repodata", "rsync://h/m/el6/",
    ]  # fmt: skip


def test_a_link_is_made_only_where_none_is() -> None:
    argv = rsync.plan_new_link(Path("/o/.lock"), "h:/el6/")
    assert argv == [
        "rsync", "--timeout=60", "--links", "--ignore-existing", "--out-format=%n", "--", "/o/.lock", "h:/el6/",
    ]  # fmt: skip


def test_what_is_removed_is_named_and_nothing_else_is_looked_at() -> None:
    argv = rsync.plan_remove(Path("/o/empty"), "h:/el6/", Path("/l"))
    assert argv == [
        "rsync", "--timeout=60", "--recursive", "--links", "--delete-missing-args", "--force", "--from0",
        "--files-from=/l", "--", "/o/empty/", "h:/el6/",
    ]  # fmt: skip


def test_the_names_of_a_listing() -> None:
    listing = (
        "drwxr-xr-x          4,096 2026/11/21 10:00:00 .\n"
        "-rw-r--r--              5 2026/11/21 10:00:00 a b\n"
        "lrwxrwxrwx             11 2026/11/21 10:00:00 link -> elsewhere\n"
    )
    assert rsync.read_list(listing) == ("a b", "link")


def test_fetch() -> None:
    argv = rsync.plan_fetch(["h:/el6/repodata/a", "h:/el6/repodata/b"], Path("/c"))
    assert argv == ["rsync", "--timeout=60", "-t", "--checksum", "--", "h:/el6/repodata/a", "h:/el6/repodata/b", "/c/"]


@pytest.fixture
def fake_rsync(tmp_path: Path):  # the real ones need a server each
    """A function that makes an rsync which says some words and ends with a code."""
    words, program = tmp_path / "words", tmp_path / "rsync"

    def make(exit_code: int, said: str) -> None:
        words.write_text(said)
        program.write_text(f"#!/bin/sh\ncat '{words}' >&2\nexit {exit_code}\n")
        program.chmod(0o755)

    make(0, "")
    with plumbum.local.env(PATH=f"{tmp_path}:{plumbum.local.env['PATH']}"):
        yield make


@pytest.mark.parametrize(
    ("exit_code", "said", "why"),
    [
        (1, "rsync: --contimeout: unknown option", "its rsync does not take our options"),
        (1, "@ERROR: module is read only", "its rsync module is read-only"),
        (2, "", "its rsync speaks another protocol"),
        (5, "@ERROR: Unknown module 'x'", "the rsync daemon has no such module"),
        (5, "@ERROR: auth failed on module x", "the rsync daemon refuses the account"),
        (5, "@ERROR: chdir failed", "the folder is not there"),
        (5, "@ERROR: max connections (1) reached", "the rsync daemon refuses"),
        (10, "rsync: failed to connect to h (1.2.3.4): Connection refused (111)", "nothing listens there"),
        (10, "rsync: getaddrinfo: h 873: Name or service not known", "its name cannot be resolved"),
        (11, 'rsync: write failed on "/m/a": No space left on device (28)', "its disk is full"),
        (11, 'rsync: [Receiver] mkdir "/m/a" failed: No such file or directory (2)', "the folder is not there"),
        (11, 'rsync: mkdir "/m/a" failed: Permission denied (13)', "it lacks the rights"),
        (11, "", "a file could not be written, perhaps its disk is full"),
        (12, "rsync: connection unexpectedly closed", "the connection broke"),
        (23, 'rsync: mkstemp "/m/.a" failed: Read-only file system (30)', "its file system is read-only"),
        (23, "", "some files could not be sent"),
        (24, "", "files vanished meanwhile"),
        (30, "rsync error: timeout in data send/receive", "it does not answer"),
        (35, "", "it does not answer"),
        (127, "sh: rsync: command not found", "rsync or ssh is missing"),
        (137, "", "rsync was killed"),
        (255, "Host key verification failed.", "ssh does not know its host key, or the key changed"),
        (255, "me@h: Permission denied (publickey,password).", "ssh refuses our key"),
        (255, "", "ssh has no connection"),
        (
            14,
            "rsync: Failed to exec ssh: No such file or directory (2)",
            "this machine has no ssh, or what ssh_command names is not here",
        ),
        (14, "", "rsync failed"),
    ],
)
def test_each_failure_is_one_line_with_its_mend(fake_rsync, exit_code: int, said: str, why: str) -> None:
    fake_rsync(exit_code, said)
    with pytest.raises(PublishError) as raised:
        rsync.run(["rsync"], doing="the mirror M cannot be written", timeout_seconds=5, log_path=None)
    assert raised.value.message == f"the mirror M cannot be written: {why} (rsync ended with {exit_code})"
    assert raised.value.hint


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (23, 'rsync: [sender] link_stat "/repomd.xml" (in m) failed: No such file or directory (2)'),
        (
            23,
            'rsync: [sender] change_dir "/el6" failed: No such file or directory (2)\n'
            "rsync error: some files/attrs were not transferred (see previous errors) (code 23)\n"
            "rsync: [Receiver] write error: Broken pipe (32)",
        ),
        (
            12,
            "/usr/bin/rrsync error: post-realpath open failed (race detected): /a b/r.xml No such file or directory\n"
            "rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]",
        ),
    ],
)
def test_a_file_that_is_not_there(fake_rsync, exit_code: int, said: str) -> None:
    fake_rsync(exit_code, said)
    found = rsync.run(["rsync"], doing="d", timeout_seconds=5, log_path=None, may_be_missing=True)
    assert found is None
    with pytest.raises(PublishError):
        rsync.run(["rsync"], doing="d", timeout_seconds=5, log_path=None)


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (23, 'rsync: [sender] change_dir "/el6" failed: Permission denied (13)'),
        (
            23,
            'rsync: link_stat "/a" failed: No such file or directory (2)\n'
            'rsync: mkstemp "/c/.b" failed: No space left on device (28)',
        ),
        (23, ""),
        (5, "@ERROR: Unknown module 'x'"),
        (12, "rsync: connection unexpectedly closed"),
        (255, "ssh: Could not resolve hostname h"),
        (11, 'rsync: mkdir "/x" failed: No such file or directory (2)'),
    ],
)
def test_another_failure_is_not_taken_for_an_absent_file(fake_rsync, exit_code: int, said: str) -> None:
    fake_rsync(exit_code, said)
    with pytest.raises(PublishError):
        rsync.run(["rsync"], doing="d", timeout_seconds=5, log_path=None, may_be_missing=True)


def test_time_limit(tmp_path: Path) -> None:
    with pytest.raises(CommandTimedOut):
        rsync.run(["sleep", "30"], doing="d", timeout_seconds=0.1, log_path=None)
