# SPDX-License-Identifier: GPL-2.0-or-later
"""A farm on the loopback interface: certificates, a scheduler, workers that can be killed, and what they leave."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.context import JobContext
from pipeline.farm.choice import open_farm
from pipeline.farm.farm import Farm
from pipeline.farm.pool import DaskPool
from pipeline.flow import STAGES, Stage
from pipeline.model import Job
from pipeline.progress import Progress
from pipeline.settings import Settings, read_settings
from tests.integration.checkout import Checkout, copy_checkout
from tests.integration.conftest import free_port, running

UP_SECONDS = 60


def stages(*names: str) -> tuple[Stage, ...]:
    return tuple(STAGES[name] for name in names)


def make_certificates(folder: Path) -> Path:
    """A CA, and pairs for `scheduler` and `machine`, made by the very commands that docs/farm.md has."""
    folder.mkdir(parents=True, exist_ok=True)
    script = page_block("Certificates", "sh")
    subprocess.run(["sh", "-e", "-c", script], check=True, capture_output=True, cwd=folder)
    return folder


@dataclass
class Site:
    """One checkout that all machines of the farm use, and the processes that stand for machines."""

    checkout: Checkout
    certificates: Path
    port: int
    log_path: Path
    env: dict[str, str] = field(default_factory=dict)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    scheduler: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def start_worker(self, name: str, *words: str, root: Path | None = None, env: dict[str, str] | None = None) -> None:
        work = [] if "--work" in words else ["--work", str(self.checkout.root.with_name("work") / name)]
        argv = [sys.executable, "-m", "pipeline", "worker", "--name", name, *work, *words]
        with self.log_path.open("ab") as log:
            self.workers[name] = subprocess.Popen(
                argv,
                cwd=root or self.checkout.root,
                env={**os.environ, **self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_for_workers(self, count: int) -> None:
        """Until so many, of all that were ever started, were taken by the scheduler: a run refuses a farm without."""
        wait_until(lambda: self.log_path.read_text().count("at work for") >= count, "no workers", self.log_path)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.workers[name].send_signal(number)
        self.workers.pop(name).wait(timeout=UP_SECONDS)

    def close(self) -> None:
        for name in tuple(self.workers):
            self.workers[name].terminate()
        for name in tuple(self.workers):
            try:
                self.workers.pop(name).wait(timeout=UP_SECONDS)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{name} does not end: {self.log_path.read_text()}") from None

    def settings(self, out: Path, *, source: str | None = None, **changes: object) -> Settings:
        settings = read_settings(self.checkout.root, out=str(out), source=source, executor="dask", environ={})
        return settings.model_copy(update={"farm": settings.farm.model_copy(update=changes)})

    @contextlib.contextmanager
    def farm(
        self, out: Path, progress: Progress | None = None, *, workers: int = 0, **changes: object
    ) -> Iterator[Farm]:
        """The farm as a run opens it, once so many workers are there."""
        with open_farm(self.settings(out, **changes), progress or Progress(quiet=True)) as farm:
            assert farm is not None
            wait_until(lambda: self.slots(farm) >= workers, "workers did not come", self.log_path)
            yield farm

    def slots(self, farm: Farm, resource: str = "demo") -> int:
        pool = farm._pool
        assert isinstance(pool, DaskPool)
        pool._seen_seconds = float("-inf")  # as if nobody had asked before
        return pool.slots(resource, ())

    def context(self, farm: Farm, out: Path, *, target: str = "demo", source: str | None = None) -> JobContext:
        settings = self.settings(out, source=source)
        home_dir = out / target / "vdsm"
        return JobContext(
            settings=settings,
            target_name=target,
            target=settings.target(target),
            engine=farm.engine(target),
            progress=Progress(quiet=True),
            home_dir=home_dir,
            log_path=home_dir / "logs" / "attempt" / "stage.log",
            job=Job(package="vdsm", target=target),
            package=settings.packages["vdsm"],
        )


def wait_until(holds, what: str, log_path: Path, seconds: float = UP_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: {log_path.read_text()[-4000:]}")
        time.sleep(0.05)


def page_block(section: str, kind: str) -> str:
    """The first block of this kind in a section of docs/farm.md."""
    page = (Path(__file__).parents[2] / "docs" / "farm.md").read_text()
    return page.partition(f"# {section}\n")[2].partition(f"```{kind}\n")[2].partition("```")[0]


def as_here(words: Sequence[str], certificates: Path) -> list[str]:
    """A command of the page, with what is elsewhere in the test."""
    here = {".venv/bin/python": sys.executable}
    return [here.get(word, word.replace("/etc/farm", str(certificates))) for word in words]


@contextlib.contextmanager
def scheduler(
    root: Path, port: int, log_path: Path, certificates: Path | None, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Started in a folder by the very command that docs/farm.md has, or without its words about TLS."""
    words = shlex.split(page_block("The scheduler", "sh").replace("\\\n", " "))
    tls = words.index("--tls-ca-file")
    argv = as_here(words if certificates else words[:tls], certificates or root)
    argv[argv.index("--port") + 1] = str(port)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*argv, "--host", "127.0.0.1"], cwd=root, env={**os.environ, **(env or {})}, stdout=log, stderr=log
        )

    def listens() -> bool:
        assert process.poll() is None, log_path.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    try:
        wait_until(listens, "the scheduler did not come up", log_path)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=UP_SECONDS)


@contextlib.contextmanager
def site_at(folder: Path, *, store: str = "", scheduled: bool = True) -> Iterator[Site]:
    """A site with a scheduler, or none yet, and no worker."""
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "checkout"
    root.mkdir()
    checkout = copy_checkout(root)
    certificates = make_certificates(folder / "tls")
    port = free_port()
    add_farm(checkout, certificates, port, store or str(folder / "store"))
    site = Site(checkout, certificates, port, folder / "log")
    with contextlib.ExitStack() as stack:
        if scheduled:
            site.scheduler = stack.enter_context(scheduler(root, port, site.log_path, certificates))
        stack.callback(site.close)
        yield site


def add_farm(checkout: Checkout, certificates: Path, port: int, store: str) -> None:
    path = checkout.root / "pipeline.toml"
    path.write_text(
        f"{path.read_text()}\n[farm]\n"
        f'address = "tls://127.0.0.1:{port}"\n'
        f'tls_ca_file = "{certificates}/ca.pem"\n'
        f'tls_cert_file = "{certificates}/machine.pem"\n'
        f'tls_key_file = "{certificates}/machine-key.pem"\n'
        f'store = "{store}"\nwait_seconds = 20\nconnect_seconds = 10\nleast_free_mib = 8\n'
    )


def processes_naming(text: str) -> list[str]:
    """Every process that is alive and whose command line or folder has this text in it, but ourselves."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            cwd = str((entry / "cwd").readlink())
            if state not in "ZX" and (text in words or text in cwd):
                found.append(f"{entry.name} {words}")
    return found


@contextlib.contextmanager
def s3(log_path: Path) -> Iterator[str]:
    """A place in an S3 that this process, and all that it starts, has the keys of."""
    port = free_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with running([sys.executable, "-m", "moto.server", "-p", str(port)], port, log_path):
            yield "s3://bucket/parcels"


def ask(site: Site, folder: Path, *, log_path: Path, source: str = "", plain: bool = False) -> subprocess.Popen[bytes]:
    """A process that asks for the first stages of a job, of the farm or a thread of its own; it says how they end."""
    words = [str(site.checkout.root), str(site.log_path), str(folder / "out"), source, "plain" if plain else ""]
    root = str(Path(__file__).parents[2])
    with log_path.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("asking.py")), *words],
            env={**os.environ, "PYTHONPATH": root},
            cwd=site.checkout.root,
            stdout=log,
            stderr=log,
        )


def make_srpm(folder: Path, prep: str) -> Path:
    """A source RPM of the demo's package whose `%prep` does this."""
    spec = folder / "vdsm.spec"
    folder.mkdir(parents=True, exist_ok=True)
    spec.write_text(
        "Name: vdsm\nVersion: 4.16.30\nRelease: 1\nSummary: s\nLicense: GPL\nBuildArch: noarch\n"
        f"%description\nd\n%prep\n{prep}\n%install\n%files\n%changelog\n"
        "* Mon Jan 05 2015 A Packager <packager@example.org> - 4.16.30-1\n- first\n"
    )
    subprocess.run(
        ["rpmbuild", "-bs", "--quiet", "--define", f"_topdir {folder}", str(spec)], check=True, capture_output=True
    )
    return next((folder / "SRPMS").glob("*.src.rpm"))
