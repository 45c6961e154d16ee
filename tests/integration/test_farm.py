# SPDX-License-Identifier: GPL-2.0-or-later
"""A farm with TLS on the loopback interface: workers that die, jobs that fail, and what is refused before use."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.chain import Chain
from pipeline.context import JobContext
from pipeline.errors import BuildError, FarmError, Interrupted, PipelineError, SettingsError
from pipeline.farm.choice import open_farm
from pipeline.flow import JOB_STAGES, KEYLESS_STAGES
from pipeline.model import StageOutcome
from pipeline.progress import Progress
from tests.integration import farming
from tests.integration.farming import Site, processes_naming, stages, wait_until

JOBS = 30
KILLS = 5
WORKERS = ("one", "two", "three")
QUICK = stages("image", "fetch")
AT_ONCE = stages("image", "fetch", "patch")
WITH_ENGINE = ("render", "unit", "baseline", "build", "contracts")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("farm")
    with farming.site_at(folder) as site:
        for name in WORKERS:
            site.start_worker(name)
        yield site
    wait_until(lambda: not processes_naming(str(folder)), "a process is left", site.log_path)


class Told(Progress):
    """Remembers warnings."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def store_of(site: Site) -> list[Path]:
    return sorted(site.checkout.root.with_name("store").glob("*"))


def in_thread(work, *words) -> Future:
    future: Future = Future()

    def run() -> None:
        try:
            future.set_result(work(*words))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def test_thirty_jobs_end_once_each_while_workers_are_killed(site: Site, tmp_path: Path) -> None:
    """By what is done and not by a clock: a slow machine has a worker killed as often."""
    ended = threading.Semaphore(0)

    def bring(context: JobContext) -> tuple[StageOutcome, ...]:
        outcomes = farm.bring(context, QUICK, "attempt")
        ended.release()
        return outcomes

    with site.farm(tmp_path / "first", workers=3) as farm, ThreadPoolExecutor(JOBS) as threads:
        contexts = [site.context(farm, tmp_path / str(number)) for number in range(JOBS)]
        futures = [threads.submit(bring, context) for context in contexts]
        for kill in range(KILLS):
            for _ in range(JOBS // (KILLS + 1)):
                assert ended.acquire(timeout=100), site.log_path.read_text()[-4000:]
            name = WORKERS[kill % len(WORKERS)]
            site.kill(name)
            site.start_worker(name)
        brought = [future.result(timeout=100) for future in futures]
    for context, outcomes in zip(contexts, brought, strict=True):
        assert [(row.stage, row.result) for row in outcomes] == [(stage.name, "ok") for stage in QUICK]
        assert outcomes[0].where in WORKERS
        chain = Chain("here", context, QUICK)
        chain.run()
        assert [row.result for row in chain.outcomes] == ["cached"] * 2, chain.outcomes
    assert store_of(site) == []
    wait_until(lambda: not processes_naming("/jobs/"), "a job goes on", site.log_path, 10)


def test_what_workers_built_is_found_here_and_the_number_was_given_out_here(site: Site, tmp_path: Path) -> None:
    """One worker makes the source ready, any worker builds it; nothing of both is done here again."""
    out = tmp_path / "out"
    ready, rest = JOB_STAGES[:4], tuple(stage for stage in KEYLESS_STAGES[5:] if stage.name in WITH_ENGINE)
    with site.farm(out, workers=1) as farm:
        context = site.context(farm, out)
        farm.bring(context, ready, "attempt")
        first = Chain("here", context, JOB_STAGES[:5])
        first.run()
        assert [row.result for row in first.outcomes] == ["cached"] * 4 + ["ok"], first.outcomes
        outcomes = farm.bring(context, rest, "attempt")
        assert {row.result for row in outcomes} == {"ok"}, outcomes
        whole = Chain("here", context, KEYLESS_STAGES)
        whole.run()
    results = {row.stage: row.result for row in whole.outcomes}
    assert {results[stage.name] for stage in (*ready, *rest)} == {"cached"}
    assert whole.error is None
    assert (out / "demo/vdsm/junit/unit.xml").is_file()
    assert list((out / "demo/vdsm/RPMS").rglob("*.rpm"))
    assert (out / "demo/vdsm/logs/attempt/build.log").is_file()


def test_a_build_that_fails_comes_back_as_its_error_with_its_log_here(site: Site, tmp_path: Path) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "echo the reason is known; exit 3")
    with site.farm(tmp_path / "out", workers=1) as farm:
        context = site.context(farm, tmp_path / "out", source=f"srpm:{srpm}")
        with pytest.raises(BuildError) as caught:
            farm.bring(context, AT_ONCE, "attempt")
        brought = farm.ask(context, AT_ONCE, "attempt")
    error = caught.value
    assert error.log_path == tmp_path / "out/demo/vdsm/logs/attempt/patch.log"
    assert "the reason is known" in error.log_path.read_text()
    assert error.exit_code == BuildError.exit_code
    assert error.hint
    assert "/jobs/" not in f"{error.message}{error.hint}{error.reproduce}"
    assert [row.result for row in brought.outcomes] == ["cached", "cached", "failed"]


def test_what_is_given_up_ends_at_the_worker_at_once_and_the_worker_goes_on(site: Site, tmp_path: Path) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 61.5")
    with site.farm(tmp_path / "out", workers=1) as farm:
        brought = in_thread(farm.bring, site.context(farm, tmp_path / "out", source=f"srpm:{srpm}"), AT_ONCE, "attempt")
        wait_until(lambda: processes_naming("sleep 61.5"), "no build", site.log_path)
        started = time.monotonic()
        farm.stop()
        with pytest.raises(Interrupted):
            brought.result(timeout=10)
        wait_until(lambda: not processes_naming("sleep 61.5"), "it goes on", site.log_path, 5)
        assert time.monotonic() - started < 5
    with site.farm(tmp_path / "out", workers=1) as farm:
        assert farm.bring(site.context(farm, tmp_path / "next"), AT_ONCE, "attempt")


def test_a_worker_that_is_killed_leaves_no_build_and_another_does_the_job(site: Site, tmp_path: Path) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 62.5; exit 4")
    told = Told()
    with site.farm(tmp_path / "out", told, workers=3) as farm:
        brought = in_thread(farm.ask, site.context(farm, tmp_path / "out", source=f"srpm:{srpm}"), AT_ONCE, "attempt")
        wait_until(lambda: processes_naming("sleep 62.5"), "no build", site.log_path)
        first = processes_naming("sleep 62.5")
        at = busy_worker(site)
        site.kill(at)
        wait_until(lambda: not set(first) & set(processes_naming("sleep 62.5")), "it goes on", site.log_path, 5)
        wait_until(lambda: processes_naming("sleep 62.5"), "nobody took it", site.log_path)
        now_at = busy_worker(site)
        assert now_at != at
        wait_until(lambda: told.warnings, "nobody was told", site.log_path, 5)
        farm.stop()
        with pytest.raises(Interrupted):
            brought.result(timeout=10)
    assert told.warnings == [f"demo/vdsm is begun again at {now_at}: the worker {at} went away while it did it"]
    site.start_worker(at)


def busy_worker(site: Site) -> str:
    """The worker below whose folder a command works."""
    for name in WORKERS:
        if processes_naming(f"{site.checkout.root.with_name('work')}/{name}/jobs/"):
            return name
    raise AssertionError("no worker is busy")


def test_when_whoever_asked_is_gone_the_job_ends(site: Site, tmp_path: Path) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 63.5")
    asking = farming.ask(site, tmp_path, source=f"srpm:{srpm}", log_path=tmp_path / "log")
    wait_until(lambda: processes_naming("sleep 63.5"), "no build", site.log_path)
    asking.kill()
    asking.wait()
    wait_until(lambda: not processes_naming("sleep 63.5"), "it goes on", site.log_path, 10)


def test_a_worker_of_another_pipeline_or_another_image_is_named(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    copy = farming.copy_checkout(other)
    (copy.root / "pipeline.toml").write_text((site.checkout.root / "pipeline.toml").read_text())
    copy.edit("specs/vdsm/vdsm.spec.j2", "%", "%")
    (copy.root / "specs/vdsm/vdsm.spec.j2").write_text("{# another #}\n")
    site.start_worker("stranger", "--work", str(tmp_path / "work"), root=copy.root)
    try:
        with site.farm(tmp_path / "out", workers=4) as farm, pytest.raises(FarmError, match="stranger") as caught:
            farm.engine("demo")
    finally:
        site.kill("stranger", signal.SIGTERM)
    assert caught.value.message == "the worker stranger cannot be used: its specs/ differs from what is here"
    assert caught.value.reference == "other-version"
    assert caught.value.exit_code == 20


def test_a_worker_with_a_full_disk_is_named_and_the_job_goes_elsewhere(
    site: Site, small_disk: Path, tmp_path: Path
) -> None:
    (small_disk / "work").mkdir()
    for name in WORKERS[1:]:
        site.kill(name, signal.SIGTERM)
    told = Told()
    # The whole disk has less than [farm] least_free_mib: it is told before anything is sent.
    site.start_worker("full", "--work", str(small_disk / "work"))
    try:
        with site.farm(tmp_path / "out", told, workers=2) as farm:
            outcomes = farm.bring(site.context(farm, tmp_path / "out"), stages("image"), "attempt")
            assert outcomes[0].where == "one"
    finally:
        site.kill("full", signal.SIGTERM)
        for name in WORKERS[1:]:
            site.start_worker(name)
    assert len(told.warnings) == 1
    assert "full is left out" in told.warnings[0]


def test_a_disk_that_fills_up_during_a_job_is_told_and_the_job_goes_elsewhere(
    site: Site, small_disk: Path, tmp_path: Path
) -> None:
    careless = tmp_path / "careless"
    careless.mkdir()
    copy = farming.copy_checkout(careless)
    text = (site.checkout.root / "pipeline.toml").read_text()
    (copy.root / "pipeline.toml").write_text(text.replace("least_free_mib = 8", "least_free_mib = 0"))
    for name in WORKERS[1:]:
        site.kill(name, signal.SIGTERM)
    site.start_worker("small", "--work", str(small_disk / "work"), root=copy.root)
    told = Told()
    try:
        with site.farm(tmp_path / "out", told, workers=2) as farm, ThreadPoolExecutor(2) as threads:
            (small_disk / "large").write_bytes(b"x" * 700_000)
            contexts = [site.context(farm, tmp_path / name) for name in ("a", "b")]
            brought = list(threads.map(lambda context: farm.bring(context, AT_ONCE, "attempt"), contexts))
    finally:
        site.kill("small", signal.SIGTERM)
        for name in WORKERS[1:]:
            site.start_worker(name)
    assert {row.where for outcomes in brought for row in outcomes} == {"one"}
    assert told.warnings == [
        f"the worker small is left out: {small_disk}/work is full",
        f"demo/vdsm goes to another worker: at small {small_disk}/work is full",
    ]


def test_the_same_code_serves_any_executor(site: Site, tmp_path: Path) -> None:
    """In a process of its own, which the one that jobs are forked from belongs to."""
    asking = farming.ask(site, tmp_path, plain=True, log_path=tmp_path / "log")
    assert asking.wait(timeout=60) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text() == "image ok not done before at here\nfetch ok not done before at here\n"


def test_a_target_that_nobody_serves_and_workers_that_all_went_are_told(site: Site, tmp_path: Path) -> None:
    with site.farm(tmp_path / "out", workers=1) as farm, pytest.raises(FarmError, match="no worker serves the target"):
        farm.engine("el6")
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 64.5")
    with site.farm(tmp_path / "out", workers=1, wait_seconds=2) as farm:
        brought = in_thread(farm.bring, site.context(farm, tmp_path / "out", source=f"srpm:{srpm}"), AT_ONCE, "attempt")
        wait_until(lambda: processes_naming("sleep 64.5"), "no build", site.log_path)
        for name in tuple(site.workers):
            site.kill(name)
        with pytest.raises(FarmError, match="no worker with the resource demo was there for 2 seconds"):
            brought.result(timeout=20)
    wait_until(lambda: not processes_naming("sleep 64.5"), "it goes on", site.log_path, 10)
    for name in WORKERS:
        site.start_worker(name)


def refused(site: Site, tmp_path: Path, **changes: object) -> PipelineError:
    settings = site.settings(tmp_path / "out", **changes)
    started = time.monotonic()
    with pytest.raises(PipelineError) as caught, open_farm(settings, Progress(quiet=True)):
        raise AssertionError("it was opened")
    assert time.monotonic() - started < 15
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_scheduler_that_is_not_there(site: Site, tmp_path: Path) -> None:
    error = refused(site, tmp_path, address=f"tls://127.0.0.1:{farming.free_port()}", connect_seconds=2)
    assert error.message.endswith("Connection refused")
    error = refused(site, tmp_path, address="tls://no-such-host.invalid:1", connect_seconds=2)
    assert error.reference == "no-scheduler"


def test_a_scheduler_without_tls(site: Site, tmp_path: Path) -> None:
    port = farming.free_port()
    with farming.scheduler(site.checkout.root, port, tmp_path / "log", None):
        error = refused(site, tmp_path, address=f"tls://127.0.0.1:{port}", connect_seconds=3)
    assert error.message.endswith("it does not speak TLS")
    error = refused(site, tmp_path, address=f"tcp://127.0.0.1:{site.port}", insecure=True, connect_seconds=1)
    assert "does not speak as a scheduler does" in error.message


def test_a_scheduler_or_a_machine_of_another_ca(site: Site, tmp_path: Path) -> None:
    other = farming.make_certificates(tmp_path / "tls")
    ours = site.certificates
    error = refused(site, tmp_path, tls_ca_file=str(other / "ca.pem"))
    assert error.message.endswith("its certificate is not of our CA")
    pair = {"tls_cert_file": str(other / "machine.pem"), "tls_key_file": str(other / "machine-key.pem")}
    assert refused(site, tmp_path, **pair).message.endswith("it refuses our certificate")
    error = refused(site, tmp_path, tls_cert_file=str(other / "machine.pem"))
    assert isinstance(error, SettingsError)
    error = refused(site, tmp_path, tls_ca_file=str(ours / "none.pem"))
    assert error.message == f"farm: {ours / 'none.pem'} is not there"


def test_a_scheduler_with_another_dask(site: Site, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.version\n"
        "m.version = lambda name: '2021.1.0' if name == 'distributed' else real(name)\n"
    )
    port = farming.free_port()
    old = {"PYTHONPATH": str(tmp_path / "old")}
    with farming.scheduler(site.checkout.root, port, tmp_path / "log", site.certificates, env=old):
        error = refused(site, tmp_path, address=f"tls://127.0.0.1:{port}")
    assert error.message.startswith("the scheduler has distributed 2021.1.0, and this machine ")


def test_a_scheduler_that_cannot_read_what_it_is_sent(site: Site, tmp_path: Path) -> None:
    port = farming.free_port()
    with farming.scheduler(tmp_path, port, tmp_path / "log", site.certificates):
        error = refused(site, tmp_path, address=f"tls://127.0.0.1:{port}")
    assert error.message == f"the scheduler at tls://127.0.0.1:{port} cannot read what it is sent: " + (
        "No module named 'pipeline'"
    )
    other = tmp_path / "other"
    other.mkdir()
    copy = farming.copy_checkout(other)
    copy.edit("pipeline/farm/letters.py", "    ticket: str", "    number: str")
    port = farming.free_port()
    with farming.scheduler(copy.root, port, tmp_path / "log", site.certificates):
        error = refused(site, tmp_path, address=f"tls://127.0.0.1:{port}")
    assert error.message.endswith("was started with another version of the pipeline")


def test_a_scheduler_that_goes_away_is_told_once_and_nothing_of_its_own(site: Site, tmp_path: Path) -> None:
    """With a worker of its own: the others of the site go on."""
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 65.5")
    with farming.site_at(tmp_path / "own") as own:
        own.start_worker("wf")
        own.wait_for_workers(1)
        asking = own.checkout.popen("patch", "--executor", "dask", "--target", "demo", "--source", f"srpm:{srpm}")
        wait_until(lambda: processes_naming("sleep 65.5"), "no build", own.log_path)
        assert own.scheduler is not None
        own.scheduler.kill()
        _, told = asking.communicate(timeout=60)
        assert asking.returncode == FarmError.exit_code
        assert f"the scheduler at {own.address} is gone" in told
        assert not [word for word in ("Traceback", "distributed", "CommClosedError", "asyncio") if word in told], told
        wait_until(lambda: not processes_naming("sleep 65.5"), "it goes on", own.log_path, 20)
        said = own.log_path.read_text()
    assert re.search(r"^ +demo/vdsm: image to patch begun$", said, re.MULTILINE)
    assert re.search(r"image to patch ended in \d+\.\d s: ", said)


def test_a_worker_that_the_pipeline_did_not_start_is_told(site: Site, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "distributed.cli.dask_worker", site.address, "--no-nanny", "--name", "alien"]
    for word, name in (("--tls-ca-file", "ca"), ("--tls-cert", "machine"), ("--tls-key", "machine-key")):
        argv += [word, str(site.certificates / f"{name}.pem")]
    for folder, why in ((tmp_path, "it cannot read what it is sent: No module named 'pipeline'"),
                        (site.checkout.root, "it was not started by the pipeline")):  # fmt: skip
        argv_here = [*argv, "--local-directory", str(tmp_path / "dask")]
        with (tmp_path / "log").open("wb") as log:
            alien = subprocess.Popen(argv_here, cwd=folder, stdout=log, stderr=log)
        try:
            wait_until(lambda: "Registered to" in (tmp_path / "log").read_text(), "no worker", tmp_path / "log")
            with site.farm(tmp_path / "out") as farm, pytest.raises(FarmError) as caught:
                farm.engine("demo")
        finally:
            alien.terminate()
            alien.wait(timeout=30)
        assert caught.value.message.startswith(f"the worker alien cannot be used: {why}")
        assert "`.venv/bin/nox -s worker`" in caught.value.hint


def test_the_command_tells_what_it_can_serve_and_refuses_what_it_cannot(site: Site, tmp_path: Path) -> None:
    result = site.checkout.run("worker", "--target", "demo", "--dry-run", "--name", "w", json_too=False)
    assert result.code == 0, result.stderr
    assert result.stderr.startswith("worker w: demo, 1 at once")
    work = str(site.checkout.root.with_name("work") / "one")
    wait_until(lambda: "one" in site.workers, "no worker", site.log_path)
    result = site.checkout.run("worker", "--target", "demo", "--work", work, json_too=False)
    assert (result.code, result.error_line) == (20, f"error: another worker works in {work}")
    result = site.checkout.run("worker", "--target", "el6", json_too=False)
    assert result.code == 20
    assert "this machine can serve no target" in result.error_line


def test_without_a_farm_in_the_settings_it_is_told_where_to_write_one(checkout, tmp_path: Path) -> None:
    result = checkout.run("worker", json_too=False)
    assert (result.code, result.error_line) == (3, "error: pipeline.toml names no farm")
    path = checkout.root / "pipeline.toml"
    path.write_text(f'{path.read_text()}\n[farm]\naddress = "tcp://127.0.0.1:1"\nstore = "store"\n')
    result = checkout.run("worker")
    assert result.code == 3
    assert "whoever reaches a scheduler without TLS can run code" in json.loads(result.stdout)["error"]["message"]
