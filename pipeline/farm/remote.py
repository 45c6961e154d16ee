# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker is sent: `work`, which has a process of its own do the job, and ends it when nobody wants it any more.

That process comes from one that has the pipeline loaded (multiprocessing's forkserver): a new Python takes 0.4 s.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import threading
import uuid
from collections.abc import Sequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.farm import workplace
from pipeline.farm.letters import Answer, Asked
from pipeline.farm.workplace import Workplace

_LOOK_SECONDS = 0.25
# To end commands and remove containers, before the process is killed.
_LAST_SECONDS = 20.0
_processes = multiprocessing.get_context("forkserver")
_one_at_a_time = threading.Lock()


def warm_up(modules: Sequence[str] = ()) -> None:
    """Have the process that jobs are forked from load what they need, once."""
    from multiprocessing import forkserver  # late: on the machine that asks nothing is forked

    _processes.set_forkserver_preload(["pipeline.farm.warm", *modules])
    forkserver.ensure_running()


def work(asked: Asked) -> Answer:
    """The answer of this worker."""
    place = workplace.current()
    if asked.version != place.version:
        return Answer(
            kind="other-version",
            worker=place.name,
            why=f"it was started with another version of the pipeline ({place.version[:12]})",
            hint=f"bring the checkout of {place.name} to {asked.version[:12]}, then start its worker anew",
        )
    out_path = place.jobs_dir / uuid.uuid4().hex[:12]
    try:
        return _in_a_child(place, asked, out_path)
    finally:
        shutil.rmtree(out_path, ignore_errors=True)


def _in_a_child(place: Workplace, asked: Asked, out_path: Path) -> Answer:
    from pipeline.farm import child  # late: whoever asks does no stage

    receiver, sender = _processes.Pipe(duplex=False)
    with receiver:
        process = _processes.Process(target=child.main, args=(place, asked, out_path, sender), daemon=True)
        with sender, _one_at_a_time:
            process.start()
        try:
            return _answer(process, receiver, place)
        finally:
            _end(process)


def _answer(process: BaseProcess, receiver: connection.Connection, place: Workplace) -> Answer:
    while not connection.wait([receiver], timeout=_LOOK_SECONDS):
        if _is_unwanted():
            return Answer(kind="stopped", worker=place.name, why="nobody waits for it any more")
    try:
        answer = receiver.recv()
    except EOFError:
        process.join(_LAST_SECONDS)
        return Answer(
            kind="died",
            worker=place.name,
            why=f"the job's process ended with {process.exitcode}" + ("" if process.exitcode != -9 else ", killed"),
            hint=f"look at the kernel's log of {place.name}: memory may have run out",
        )
    assert isinstance(answer, Answer)
    return answer


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.join(0 if _is_unwanted() else 1)
        process.terminate()
        process.join(_LAST_SECONDS)
        process.kill()
    process.join()
    process.close()


def _is_unwanted() -> bool:
    """Whether the worker ends, or the scheduler took the task back: by a cancel, or since whoever asked is gone."""
    if workplace.is_ending():
        return True
    dask = sys.modules.get("distributed.worker")
    if dask is None:
        return False
    try:
        worker = dask.get_worker()
        task = worker.state.tasks.get(dask.thread_state.key)
    except (ValueError, AttributeError):
        return False  # another executor of the same process
    return task is None or task.state == "cancelled"
