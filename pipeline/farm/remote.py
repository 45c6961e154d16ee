# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker is sent: `work`, which has a process of its own do the job, and ends it when nobody wants it any more.

That process comes from one that has the pipeline loaded (multiprocessing's forkserver): a new Python takes 0.4 s.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.farm import workplace
from pipeline.farm.letters import Answer, Asked
from pipeline.farm.version import named
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
    other = asked.version.differing(place.version)
    if other:
        return Answer(
            kind="other-version",
            worker=place.name,
            why=f"it was started with another {named(other)} than what is here",
            hint=f"bring the checkout of {place.name} to this one's state, then start its worker anew",
        )
    out_path = place.jobs_dir / uuid.uuid4().hex[:12]
    with _told(asked, place) as ended:
        try:
            answer = _in_a_child(place, asked, out_path)
            ended.append(_how(answer))
            return answer
        finally:
            shutil.rmtree(out_path, ignore_errors=True)


@contextmanager
def _told(asked: Asked, place: Workplace) -> Iterator[list[str]]:
    """A line at the beginning and one at the end, for who looks at this worker, and a word to whoever asked."""
    what = f"{asked.job}: {' to '.join(dict.fromkeys((asked.stages[0], asked.stages[-1])))}"
    workplace.note(f"{what} begun")
    _say_begun(asked, place)
    started = time.monotonic()
    ended: list[str] = []
    try:
        yield ended
    finally:
        how = ended[0] if ended else "broken off"
        workplace.note(f"{what} ended in {time.monotonic() - started:.1f} s: {how}")


def _say_begun(asked: Asked, place: Workplace) -> None:
    dask = sys.modules.get("distributed.worker")
    if dask is not None:
        with suppress(ValueError):  # another executor of the same process
            begun = {"job": str(asked.job), "ticket": asked.ticket, "name": place.name}  # dask adds `worker`
            dask.get_worker().log_event(asked.run, begun)


def _how(answer: Answer) -> str:
    if answer.kind != "done":
        return f"not done, {answer.why}"
    failed = ", ".join(row.stage for row in answer.outcomes if row.result == "failed")
    if failed:
        return f"{failed} failed"
    return f"failed ({answer.trouble.reference})" if answer.trouble else "ok"


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
    """Whether the worker ends, or the scheduler took the task back: by a cancel, or since whoever asked is gone.

    A worker whose scheduler is gone closes, and waits for its tasks.
    """
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
    return task is None or task.state == "cancelled" or worker.status.name in ("closing", "closed", "failed")
