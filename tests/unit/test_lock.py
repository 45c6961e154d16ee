# SPDX-License-Identifier: GPL-2.0-or-later
"""One run at a time in one out directory, between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import lock
from pipeline.errors import LockedError

HOLDER = """
import sys
from pathlib import Path
from pipeline import lock
from pipeline.progress import Progress
with lock.held(Path(sys.argv[1]), Progress(), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, root_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], cwd=root_dir, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_without_waiting_a_held_lock_is_an_error_that_names_the_holder(tmp_path, progress, holder):
    with pytest.raises(LockedError) as caught, lock.held(tmp_path, progress, wait=False):
        pytest.fail("two processes hold the lock")
    assert caught.value.message == f"process {holder.pid} works in {tmp_path}"
    assert caught.value.exit_code == 60


def test_with_waiting_the_holder_is_told_and_its_end_awaited(tmp_path, progress, told, holder):
    timer = threading.Timer(0.2, holder.stdin.close)
    timer.start()
    with lock.held(tmp_path, progress, wait=True):
        assert holder.wait(timeout=5) == 0
    assert told.getvalue() == f"warning: waiting for process {holder.pid}, which works in {tmp_path}\n"


def test_the_lock_of_a_killed_process_is_free(tmp_path, progress, holder):
    holder.kill()
    holder.wait()
    with lock.held(tmp_path, progress, wait=False):
        pass


def test_another_out_directory_has_a_lock_of_its_own(tmp_path, progress, holder):
    with lock.held(tmp_path / "other", progress, wait=False):
        pass


def test_the_lock_is_free_after_an_error(tmp_path, progress):
    with pytest.raises(ZeroDivisionError), lock.held(tmp_path / "new", progress, wait=False):
        raise ZeroDivisionError
    with lock.held(tmp_path / "new", progress, wait=False):
        assert lock._holder(tmp_path / "new" / ".lock.holder").isdigit()
    assert not (tmp_path / "new" / ".lock.holder").exists()
