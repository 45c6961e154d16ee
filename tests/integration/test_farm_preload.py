# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that dask's own deployers start, by what docs/farm.md has for them: they do jobs, and leave nothing."""

from __future__ import annotations

import ast
import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest
import yaml
from distributed.cli import dask_worker

from pipeline.errors import FarmError
from tests.integration import farming
from tests.integration.farming import Site, as_here, page_block, processes_naming, stages, wait_until

AT_ONCE = stages("image", "fetch", "patch")
DEPLOYERS = "dask's own deployers"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("farm")
    with farming.site_at(folder) as site:
        yield site
    wait_until(lambda: not processes_naming(str(folder)), "a process is left", site.log_path)


def by_ssh() -> ast.Module:
    return ast.parse(page_block(DEPLOYERS, "python"))


def call(name: str) -> ast.Call:
    """The call of this in the page's program."""
    calls = (node for node in ast.walk(by_ssh()) if isinstance(node, ast.Call))
    return next(node for node in calls if ast.unparse(node.func) == name)


def options(name: str) -> dict[str, object]:
    """An argument of SSHCluster that is a record."""
    value: dict[str, object] = ast.literal_eval(
        next(word.value for word in call("SSHCluster").keywords if word.arg == name)
    )
    return value


def config() -> dict[str, object]:
    """What the page sets for dask."""
    tls = ast.literal_eval(next(node.value for node in by_ssh().body if isinstance(node, ast.Assign)))
    written = ast.unparse(call("dask.config.set").args[0])
    found: dict[str, object] = eval(compile(written, "farm.md", "eval"), {"tls": tls})  # our own page
    return found


def container() -> dict:
    group = yaml.safe_load(page_block(DEPLOYERS, "yaml"))
    (found,) = group["spec"]["worker"]["spec"]["containers"]
    return found


def start(site: Site, name: str, argv: list[str], *, root: Path | None = None, env: dict | None = None) -> None:
    with site.log_path.open("ab") as log:
        site.workers[name] = subprocess.Popen(
            argv, cwd=root or site.checkout.root, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def start_by_ssh(site: Site, name: str, work: Path, **more) -> None:
    """As SSHCluster does on a host: dask's configuration in the environment, options as JSON."""
    opts = {**options("worker_options"), "name": name, "local_directory": str(work)}
    settings = json.loads(json.dumps(config()).replace("/etc/farm", str(site.certificates)))
    with dask.config.set(settings):
        env = {"DASK_INTERNAL_INHERIT_CONFIG": dask.config.serialize(dask.config.global_config)}
    spec = json.dumps({"0": {"cls": "distributed.Worker", "opts": opts}})
    argv = [sys.executable, "-m", "distributed.cli.dask_spec", site.address, "--spec", spec]
    start(site, name, argv, env=env, **more)


def test_a_worker_by_ssh_does_a_job_and_killed_leaves_nothing(site: Site, tmp_path: Path) -> None:
    start_by_ssh(site, "host", tmp_path / "work")
    with site.farm(tmp_path / "out", workers=2) as farm:
        outcomes = farm.bring(site.context(farm, tmp_path / "out"), stages("image", "fetch"), "attempt")
    assert [(row.result, row.where) for row in outcomes] == [("ok", "host")] * 2
    assert not list((tmp_path / "work/farm/host/jobs").iterdir())

    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 66.5")
    asking = farming.ask(site, tmp_path / "asked", source=f"srpm:{srpm}", log_path=tmp_path / "log")
    wait_until(lambda: processes_naming("sleep 66.5"), "no build", site.log_path)
    site.kill("host")
    wait_until(lambda: not processes_naming(str(tmp_path / "work")), "it goes on", site.log_path, 20)
    assert not processes_naming("sleep 66.5")
    asking.kill()
    asking.wait()


def test_a_worker_by_ssh_that_is_told_to_end_gives_its_job_up(site: Site, tmp_path: Path) -> None:
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 67.5")
    start_by_ssh(site, "told", tmp_path / "work")
    asking = farming.ask(site, tmp_path / "asked", source=f"srpm:{srpm}", log_path=tmp_path / "log")
    wait_until(lambda: processes_naming("sleep 67.5"), "no build", site.log_path)
    site.kill("told", signal.SIGTERM)
    assert not processes_naming("sleep 67.5")
    assert not list((tmp_path / "work/farm/told/jobs").iterdir())
    asking.kill()
    asking.wait()


def test_the_container_s_words_start_a_worker_that_does_a_job(site: Site, tmp_path: Path) -> None:
    here = {"$(DASK_WORKER_NAME)": "pod", "/work": str(tmp_path / "work")}
    argv = as_here([here.get(word, word) for word in container()["args"]], site.certificates)
    start(site, "pod", argv, env={"DASK_SCHEDULER_ADDRESS": site.address})
    with site.farm(tmp_path / "out", workers=2) as farm:
        outcomes = farm.bring(site.context(farm, tmp_path / "out"), stages("image"), "attempt")
    assert [row.where for row in outcomes] == ["pod"]
    site.kill("pod", signal.SIGTERM)


def test_a_worker_that_can_serve_nothing_does_not_start(site: Site, tmp_path: Path) -> None:
    """dask starts one whose preload fails: it would be none of ours, and runs would be refused for it."""
    other = tmp_path / "other"
    other.mkdir()
    copy = farming.copy_checkout(other)
    (copy.root / "pipeline.toml").write_text("wrong = 1\n")
    start_by_ssh(site, "useless", tmp_path / "work", root=copy.root)
    assert site.workers.pop("useless").wait(timeout=60) == 3, site.log_path.read_text()[-2000:]
    assert "error: " in site.log_path.read_text()
    with site.farm(tmp_path / "out") as farm, pytest.raises(FarmError, match="no worker serves"):
        farm.engine("demo")


def test_the_options_of_the_page_are_dask_s() -> None:
    assert set(options("worker_options")) <= set(inspect.signature(distributed.Worker.__init__).parameters)
    assert set(options("scheduler_options")) <= set(inspect.signature(distributed.Scheduler.__init__).parameters)
    words = {word.arg for word in call("SSHCluster").keywords}
    assert words <= set(inspect.signature(distributed.SSHCluster).parameters)
    known = {word for option in dask_worker.main.params for word in (*option.opts, *option.secondary_opts)}
    assert {word for word in container()["args"] if word.startswith("--")} <= known
    for name, value in config().items():
        ours, theirs = value, dask.config.get(name)
        if isinstance(ours, dict):
            assert set(ours) <= set(theirs)
            assert all(set(pair) <= set(theirs[role]) for role, pair in ours.items() if isinstance(pair, dict))
