# SPDX-License-Identifier: GPL-2.0-or-later
"""What a farm's coordinator does with what workers say, without any: tries elsewhere, waits, gives up, tells."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.context import JobContext
from pipeline.crew import Crew, working_in
from pipeline.engines.host import HostEngine
from pipeline.errors import BuildError, CommandFailed, FarmError, Interrupted, PipelineError
from pipeline.farm import agreement, trouble, workplace
from pipeline.farm.choice import open_farm
from pipeline.farm.facts import Facts
from pipeline.farm.farm import Farm
from pipeline.farm.letters import Answer, Asked
from pipeline.farm.pool import Pool
from pipeline.farm.shelf import Shelf, outdated
from pipeline.farm.store import open_store
from pipeline.farm.trouble import Places
from pipeline.farm.turns import Patience, Turns
from pipeline.farm.version import Version, version_of
from pipeline.flow import STAGES
from pipeline.model import Image, Job, StageOutcome
from pipeline.progress import Progress
from pipeline.settings import read_settings

ROOT_DIR = Path(__file__).resolve().parents[2]
IMAGE = Image(engine="podman", reference="localhost/x:1", digest="abc")
RUN = "20260102T030405Z-0123456789ab"


class Saying(Executor):
    """Gives what is next of what it was told to say, be it an answer or an error; at the end nothing."""

    def __init__(self, said: list) -> None:
        self.said = said

    def submit(self, work, /, *words, **more) -> Future:
        future: Future = Future()
        if self.said:
            answer = self.said.pop(0)
            if answer is CancelledError:
                future.cancel()
            elif isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        return future


class Workers(Pool):
    """Three workers with one slot each."""

    def __init__(self, *said: object, names: tuple[str, ...] = ("one", "two", "three")) -> None:
        self.said = list(said)
        self.names = names
        self.avoided: list[tuple[str, ...]] = []

    def executor(self, resource, avoided) -> Executor:
        self.avoided.append(tuple(sorted(avoided)))
        return Saying(self.said)

    def slots(self, resource, avoided) -> int:
        return len(set(self.names) - set(avoided))

    def facts(self, engine) -> tuple[Facts, ...]:
        return tuple(fact(name) for name in self.names)


def fact(worker: str, **changes) -> Facts:
    facts = {"version": version_of(ROOT_DIR), "changed": (), "images": (("demo", IMAGE),), "no_disk": ""}
    return Facts(worker=worker, **{**facts, **changes})


class Told(Progress):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def farm_of(workers: Pool, tmp_path: Path, progress: Progress | None = None, **changes) -> tuple[Farm, JobContext]:
    settings = read_settings(ROOT_DIR, out=str(tmp_path / "out"), environ={})
    own = {"wait_seconds": 1, **changes}
    settings = settings.model_copy(update={"farm": settings.farm.model_copy(update=own)})
    shelf = Shelf(open_store(str(tmp_path / "store"), tmp_path), RUN)
    farm = Farm(workers, settings, shelf, progress or Progress(quiet=True), run=RUN)
    home_dir = settings.out_path / "demo" / "vdsm"
    context = JobContext(
        settings=settings,
        target_name="demo",
        target=settings.target("demo"),
        engine=HostEngine(),
        progress=Progress(quiet=True),
        home_dir=home_dir,
        log_path=home_dir / "logs" / "a" / "stage.log",
        job=Job(package="vdsm", target="demo"),
        package=settings.packages["vdsm"],
    )
    return farm, context


def bring(farm: Farm, context: JobContext) -> tuple[StageOutcome, ...]:
    return farm.bring(context, (STAGES["image"],), "a")


DONE = Answer(kind="done", worker="two", outcomes=(StageOutcome(stage="image", result="ok", reason="why"),))
FULL = Answer(kind="no-disk", worker="one", why="/work is full", hint="free space on one")
DIED = Answer(kind="died", worker="two", why="the job's process ended with -9, killed", hint="look at its memory")


def test_a_worker_without_disk_is_named_left_out_for_the_run_and_another_does_it(tmp_path) -> None:
    told, workers = Told(), Workers(FULL, DONE, DONE)
    farm, context = farm_of(workers, tmp_path, told)
    (outcome,) = bring(farm, context)
    assert (outcome.reason, outcome.where) == ("why", "two")
    assert workers.avoided == [(), ("one",)]
    assert told.warnings == [
        "the worker one is left out: /work is full",
        "demo/vdsm goes to another worker: at one /work is full",
    ]
    bring(farm, context)
    assert workers.avoided[-1] == ("one",)


@pytest.mark.parametrize("said", [FULL, DIED])
def test_when_no_other_worker_is_left_the_last_is_told(tmp_path, said) -> None:
    farm, context = farm_of(Workers(said, said, said, said, names=(said.worker,)), tmp_path)
    with pytest.raises(FarmError) as caught:
        bring(farm, context)
    assert caught.value.message == (
        f"demo/vdsm: the worker {said.worker} could not do it, and no other is left: {said.why}"
    )
    assert caught.value.hint == said.hint


def test_where_there_is_nobody_else_a_process_that_was_killed_is_begun_once_more(tmp_path) -> None:
    told, workers = Told(), Workers(DIED, DONE, names=("two",))
    farm, context = farm_of(workers, tmp_path, told)
    (outcome,) = bring(farm, context)
    assert outcome.result == "ok"
    assert workers.avoided == [(), ()]
    assert told.warnings == ["demo/vdsm is done once more: at two the job's process ended with -9, killed"]


def test_after_the_first_worker_three_more_are_asked(tmp_path) -> None:
    names = tuple("abcdef")
    workers = Workers(*(Answer(kind="died", worker=name, why="x") for name in names), names=names)
    farm, context = farm_of(workers, tmp_path)
    with pytest.raises(FarmError, match="the worker d could not do it"):
        bring(farm, context)
    assert workers.avoided == [(), ("a",), ("a", "b"), ("a", "b", "c")]


def test_a_job_that_dask_gives_up_and_a_scheduler_that_is_gone_are_told(tmp_path) -> None:
    class KilledWorker(Exception):
        pass

    farm, context = farm_of(Workers(KilledWorker("4 workers died")), tmp_path)
    with pytest.raises(FarmError, match="KilledWorker: 4 workers died") as caught:
        bring(farm, context)
    assert caught.value.reference == "job-lost"
    farm, context = farm_of(Workers(CancelledError), tmp_path)
    with pytest.raises(FarmError, match="is gone"):
        bring(farm, context)


def test_a_run_that_is_stopped_ends_what_waits(tmp_path) -> None:
    farm, context = farm_of(Workers(), tmp_path, wait_seconds=60)
    threading.Timer(0.2, farm.stop).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        bring(farm, context)
    assert time.monotonic() - started < 5


def test_when_commands_are_ended_here_the_farm_s_are_given_up_too(tmp_path) -> None:
    farm, context = farm_of(Workers(), tmp_path, wait_seconds=60)
    crew = Crew()
    with crew.none_running(lambda ending: None), working_in(crew), pytest.raises(Interrupted):
        bring(farm, context)


def test_a_wish_that_nobody_can_serve_ends_after_its_time(tmp_path) -> None:
    workers, told = Workers(), Told()
    farm, context = farm_of(workers, tmp_path, told)
    farm.engine("demo")
    workers.names = ()
    with pytest.raises(FarmError, match="no worker with the resource demo was there for 1 seconds"):
        bring(farm, context)
    waits = "no worker with the resource demo is there: one is waited for, up to 1 seconds"
    assert told.warnings == [waits]
    workers.names, workers.said[:] = ("one",), [DONE]
    bring(farm, context)
    workers.names = ()
    with pytest.raises(FarmError):
        bring(farm, context)
    assert told.warnings == [waits, waits]


def test_patience_begins_anew_when_somebody_comes(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pipeline.farm.turns.time.monotonic", lambda: now[0])
    patience = Patience(10, "el6")
    for now[0], slots in ((0, 0), (9, 0), (10, 1), (11, 0), (20, 0)):
        patience.look(slots)
    now[0] = 21
    with pytest.raises(FarmError):
        patience.look(0)


def test_no_more_jobs_are_under_way_than_there_are_slots() -> None:
    turns, under_way, most = Turns(), [], []

    def job() -> None:
        with turns.turn("el6", lambda: 2, lambda slots: None):
            under_way.append(1)
            most.append(len(under_way))
            time.sleep(0.02)
            under_way.pop()

    threads = [threading.Thread(target=job) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 2


def test_workers_that_differ_are_named() -> None:
    here = version_of(ROOT_DIR)

    def refused(*workers: Facts) -> FarmError:
        with pytest.raises(FarmError) as caught:
            agreement.image_of("demo", "demo", workers, here)
        assert caught.value.hint
        return caught.value

    assert agreement.image_of("demo", "demo", [fact("one"), fact("two", images=())], here) == IMAGE
    older = replace(here, parts=tuple((name, "0" if name == "patches/" else own) for name, own in here.parts))
    other = refused(fact("one", version=older))
    assert other.message == "the worker one cannot be used: its patches/ differs from what is here"
    assert other.hint == "bring the checkout of one to this one's state, then start the worker one anew"
    other = refused(fact("one", version=Version(parts=())))
    assert "its pipeline/, patches/, specs/, tests/patched/, containers/ and pipeline.toml differ from" in other.message
    changed = refused(fact("one"), fact("two", changed=("patches/", "specs/")))
    assert changed.message == "the worker two cannot be used: its patches/ and specs/ were changed since it was started"
    assert changed.hint == "start the worker two anew"
    changed = refused(fact("one", changed=("specs/",), version=older))
    assert changed.message == "the worker one cannot be used: its specs/ was changed since it was started"
    assert changed.hint == other.hint
    both = refused(fact("one", changed=("specs/",)), fact("two", changed=("specs/",)), fact("three", version=older))
    assert both.message == (
        "the workers one and two cannot be used: their specs/ was changed since they were started;"
        " nor can the worker three"
    )
    assert both.hint.startswith("bring the checkout of one, two and three to this one's state, then start the workers")
    other = Image(engine="podman", reference="localhost/x:1", digest="def")
    message = refused(fact("one"), fact("two", images=(("demo", other),))).message
    assert message == "demo: commands run in localhost/x:1 abc at one, and in localhost/x:1 def at two"
    assert refused().message == "no worker serves the target demo (resource demo); workers: none"
    assert refused(fact("one", no_disk="full")).reference == "no-disk"


def test_errors_come_back_as_they_were_with_the_folders_of_here() -> None:
    there = Places(root_dir=Path("/there/checkout"), out_path=Path("/there/checkout/out/worker/jobs/1"))
    here = Places(root_dir=Path("/here"), out_path=Path("/else/out"))
    log_path = there.out_path / "demo/vdsm/logs/a/build.log"
    sent = BuildError("bad", f"in {there.out_path}/x", hint=f"see {there.root_dir}/y", log_path=log_path)
    got = trouble.error_of(pickle.loads(pickle.dumps(trouble.told(sent, there))), here)
    assert (type(got), got.reference, got.message, got.hint) == (BuildError, "bad", "in /else/out/x", "see /here/y")
    assert got.log_path == Path("/else/out/demo/vdsm/logs/a/build.log")
    failed = CommandFailed("command-failed", "m", command_exit_code=3, output="the end")
    back = trouble.error_of(trouble.told(failed, there), here)
    assert isinstance(back, CommandFailed)
    assert (back.command_exit_code, back.output) == (3, "the end")


def test_every_error_of_ours_can_travel() -> None:
    there = Places(root_dir=Path("/a"), out_path=Path("/b"))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)]
    assert len(kinds) > 15
    for kind in kinds:
        more = {"command_exit_code": 1} if issubclass(kind, CommandFailed) else {}
        got = trouble.error_of(trouble.told(kind("reference", "message", **more), there), there)
        assert (type(got), got.message) == (kind, "message")


def test_the_version_is_of_all_that_decides_packages_and_of_nothing_else(tmp_path) -> None:
    for name in ("pipeline/a.py", "patches/p/series", "specs/p/s", "tests/patched/t.py", "containers/c/build"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    settings = tmp_path / "pipeline.toml"
    settings.write_text('packager = "a"\n[farm]\nstore = "x"\n[signing]\nkey_file = "k"\n')
    first = version_of(tmp_path)
    settings.write_text('# more\npackager = "a"\n[farm]\nstore = "y"\n')
    (tmp_path / "pipeline/__pycache__").mkdir()
    (tmp_path / "pipeline/__pycache__/a.pyc").write_text("x")
    assert version_of(tmp_path) == first
    settings.write_text('packager = "b"\n')
    second = version_of(tmp_path)
    (tmp_path / "specs/p/s").write_text("2")
    third = version_of(tmp_path)
    assert (first.differing(second), second.differing(third)) == (("pipeline.toml",), ("specs/",))
    assert third.differing(first) == ("specs/", "pipeline.toml")


def test_only_this_run_s_parcels_and_those_of_another_day_are_removed() -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
    mine, other = f"{RUN}-{'a' * 64}.parcel", f"20260102T000000Z-{'1' * 12}-{'a' * 64}.parcel"
    old, odd = f"20251231T000000Z-{'1' * 12}-{'a' * 64}.parcel", f"20269999T000000Z-{'1' * 12}-{'a' * 64}.parcel"
    assert outdated([mine, other, old, odd, "README", f"x{mine}"], RUN, now) == (mine, old)


def test_what_travels_can_be_pickled() -> None:
    asked = Asked(
        job=Job(package="p", target="t"),
        stages=("image",),
        attempt="a",
        run=RUN,
        version=Version(parts=(("a/", "b"),)),
        image=IMAGE,
    )
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert pickle.loads(pickle.dumps(DONE)) == DONE


def test_a_process_that_is_no_worker_of_ours_says_so(monkeypatch) -> None:
    monkeypatch.setattr(workplace._Office, "place", None)
    with pytest.raises(FarmError, match="was not started by the pipeline"):
        workplace.current()


def test_without_the_wish_there_is_no_farm(tmp_path) -> None:
    settings = read_settings(ROOT_DIR, out=str(tmp_path), environ={})
    with open_farm(settings, Progress(quiet=True)) as farm:
        assert farm is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('address = "tcp://h:1"\nstore = "s"', "write tls://, or insecure = true"),
        ('address = "tls://h:1"\nstore = "s"', "tls:// needs tls_ca_file"),
        ('address = "http://h:1"\nstore = "s"', "farm.address"),
        ('address = "tcp://h:1"\ninsecure = true', "needs a store"),
        ('[farm.resources]\nnone = "x"', "farm.resources: there is no [targets.none]"),
        ("wait_seconds = 0", "farm.wait_seconds"),
    ],
)
def test_wrong_settings_of_a_farm_are_told(tmp_path, lines, told) -> None:
    text = (ROOT_DIR / "pipeline.toml").read_text()
    (tmp_path / "pipeline.toml").write_text(f"{text}\n[farm]\n{lines}\n")
    with pytest.raises(errors.SettingsError) as caught:
        read_settings(tmp_path, environ={})
    assert told in caught.value.message


def test_a_target_s_resource_is_its_image_or_what_the_settings_say(tmp_path) -> None:
    text = (ROOT_DIR / "pipeline.toml").read_text()
    (tmp_path / "pipeline.toml").write_text(f'{text}\n[farm.resources]\nel6 = "centos"\n')
    settings = read_settings(tmp_path, environ={})
    assert [settings.resource(name) for name in ("demo", "el6", "el6-bullseye")] == ["demo", "centos", "bullseye"]
