# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that dask's own deployers start, by what docs/farm.md has for them: they do jobs, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.errors import FarmError
from tests.integration import farming
from tests.integration.checkout import ROOT
from tests.integration.conftest import SshServer
from tests.integration.farming import Site, as_here, page_block, processes_naming, stages, wait_until

DEPLOYERS = "dask's own deployers"
HOSTS, THREADS = 2, 2
SPEC = "distributed.cli.dask_spec"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A checkout whose settings name a scheduler that somebody else starts."""
    with farming.site_at(tmp_path / "farm", scheduled=False) as site:
        yield site
    wait_until(lambda: not processes_naming(str(tmp_path)), "a process is left", site.log_path)


@contextlib.contextmanager
def deployed(site: Site, server: SshServer, root: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The page's own program at work: each of its hosts is this machine, by ssh."""
    process = start(site, server, root)
    try:
        wait_until(
            lambda: process.poll() is not None or "the farm is up" in site.log_path.read_text(),
            "it does not come up",
            site.log_path,
        )
        yield process
    finally:
        # dask waits half a minute for each worker that was killed; one test ends it as people do.
        process.kill()
        process.wait()
        for process_id in processes(site):
            os.kill(process_id, signal.SIGKILL)


def start(site: Site, server: SshServer, root: Path | None = None) -> subprocess.Popen[bytes]:
    here = {
        '["one", "one", "two", "three"]': repr(["127.0.0.1"] * (HOSTS + 1)),
        '"connect_timeout": 20': f'**{server.options}, "connect_timeout": 20',
        '"/srv/vdsm-packaging"': repr(str(root or site.checkout.root)),
        ".venv/bin/python": sys.executable,
        "/etc/farm": str(site.certificates),
        "8786": str(site.port),
        "/var/tmp/farm": str(site.log_path.with_name("work")),
    }
    program = (ROOT / "docs" / "farm" / "ssh.py").read_text()
    for there, ours in here.items():
        assert there in program
        program = program.replace(there, ours)
    with site.log_path.open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", program], cwd=site.checkout.root, stdout=log, stderr=log)


def processes(site: Site, words: str = SPEC) -> list[int]:
    """Those that dask started by ssh, and that these words lead: one a worker, and the scheduler's."""
    return [int(line.split()[0]) for line in processes_naming(words) if str(site.port) in line]


def jobs(site: Site) -> list[Path]:
    return list(site.log_path.with_name("work").glob("farm/*/jobs/*"))


def test_the_page_s_program_makes_a_farm_that_does_jobs_and_ends_with_it(
    site: Site, ssh_server: SshServer, tmp_path: Path
) -> None:
    with deployed(site, ssh_server) as program:
        with site.farm(tmp_path / "out", workers=HOSTS * THREADS) as farm:
            outcomes = farm.bring(site.context(farm, tmp_path / "out"), stages("image", "fetch", "patch"), "attempt")
        assert [row.result for row in outcomes] == ["ok"] * 3
        assert all(row.where.startswith("tls://") for row in outcomes)
        assert not jobs(site)
        wait_until(lambda: "patch ended in" in site.log_path.read_text(), "it does not tell", site.log_path, 20)
        program.send_signal(signal.SIGHUP)
        assert program.wait(timeout=farming.UP_SECONDS) == 0
        wait_until(lambda: not processes(site), "they go on", site.log_path, 20)


@pytest.mark.parametrize("seconds", [0.8, 1.6])
def test_who_ends_it_while_it_begins_leaves_nothing(site: Site, ssh_server: SshServer, seconds: float) -> None:
    program = start(site, ssh_server)
    time.sleep(seconds)  # Python, dask, and the scheduler take about two
    program.send_signal(signal.SIGINT)
    assert program.wait(timeout=farming.UP_SECONDS) in (0, -signal.SIGINT)
    wait_until(lambda: not processes(site), "they go on", site.log_path, 20)


def test_folders_of_workers_that_are_gone_are_removed(site: Site, ssh_server: SshServer) -> None:
    folders = [site.log_path.with_name("work") / "farm" / name for name in ("gone", "begun")]
    for folder in folders:
        (folder / "jobs" / "1").mkdir(parents=True)
        (folder / ".lock").touch()
    os.utime(folders[0] / ".lock", (0, 0))
    with deployed(site, ssh_server):
        assert [folder.exists() for folder in folders] == [False, True]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
def test_a_worker_that_ends_leaves_no_build(
    site: Site, ssh_server: SshServer, tmp_path: Path, how: signal.Signals
) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 66.5")
    with deployed(site, ssh_server):
        with site.farm(tmp_path / "out", workers=HOSTS * THREADS):
            pass
        asking = farming.ask(site, tmp_path / "asked", source=f"srpm:{srpm}", log_path=tmp_path / "log")
        wait_until(lambda: processes_naming("sleep 66.5"), "no build", site.log_path)
        for process_id in processes(site, f"{SPEC} tls:"):
            os.kill(process_id, how)
        wait_until(lambda: not processes_naming("sleep 66.5"), "it goes on", site.log_path, 20)
        asking.kill()
        asking.wait()
        if how == signal.SIGTERM:
            wait_until(lambda: not jobs(site), "its folder is left", site.log_path, 20)


def test_a_worker_that_can_serve_nothing_does_not_start(site: Site, ssh_server: SshServer, tmp_path: Path) -> None:
    """dask starts one whose preload fails: it would be none of ours, and runs would be refused for it."""
    other = tmp_path / "other"
    shutil.copytree(site.checkout.root, other)
    (other / "pipeline.toml").write_text("wrong = 1\n")
    with deployed(site, ssh_server, other) as program:
        assert program.wait(timeout=farming.UP_SECONDS) != 0
    assert "wrong: unknown key" in site.log_path.read_text()


def test_the_container_s_words_start_a_worker_that_does_a_job(site: Site, tmp_path: Path) -> None:
    (container,) = yaml.safe_load(page_block(DEPLOYERS, "yaml"))["spec"]["worker"]["spec"]["containers"]
    here = {"$(DASK_WORKER_NAME)": "pod", "/work": str(tmp_path / "work")}
    argv = as_here([here.get(word, word) for word in container["args"]], site.certificates)
    environment = {**os.environ, "DASK_SCHEDULER_ADDRESS": site.address}
    with farming.scheduler(site.checkout.root, site.port, site.log_path, site.certificates):
        with site.farm(tmp_path / "nobody") as farm, pytest.raises(FarmError, match="no worker serves"):
            farm.engine("demo")
        with site.log_path.open("ab") as log:
            site.workers["pod"] = subprocess.Popen(
                argv, cwd=site.checkout.root, env=environment, stdout=log, stderr=log
            )
        with site.farm(tmp_path / "out", workers=2) as farm:
            outcomes = farm.bring(site.context(farm, tmp_path / "out"), stages("image"), "attempt")
        assert [row.where for row in outcomes] == ["pod"]
        site.kill("pod", signal.SIGTERM)
