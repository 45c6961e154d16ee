# SPDX-License-Identifier: GPL-2.0-or-later
"""What is promised of a mirror with 10,000 packages, measured: bytes sent, time when nothing changed, memory, rollback.

Packages by `manyrpms`, adopted by the first publish; each thing is a process of its own. An rsync before the real one
on PATH has each call log what it sent.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.signing import gpg, keyring
from tests.bench import onmirror
from tests.bench.manyrpms import make_rpms
from tests.bench.repodata import CREATEREPO

ROOT = Path(__file__).resolve().parents[2]
_SENT = re.compile(r"sent ([0-9,]+) bytes +received")
_BESIDE = {".intoto.json": 6000, ".cdx.json": 9000}
SENT = "bytes sent, of those that changed"
AGAIN = "nothing changed, seconds"
MEMORY = "memory of a publish, MB"
BACK = "rollback, seconds of work"
WHOLE = "rollback, seconds with Python's start"
LIMITS = {SENT: 1.1, AGAIN: 0.2, MEMORY: 150.0, BACK: 1.0, WHOLE: 1.0}
# Elsewhere each look is a call of rsync, and what it takes is the network's.
_OF_A_LOCAL_PLACE = (AGAIN, BACK, WHOLE)
LOCAL = "a local place"
Figures = dict[str, list[float]]


@dataclass
class Bench:
    """A checkout's settings, an out directory and a place; `served_dir` is where the place's files lie."""

    work_dir: Path
    place: str
    served_dir: Path
    figures: Figures = field(default_factory=dict)

    def publish(self, number: int) -> int:
        """Publish the package of that number; the revision. Its figures are kept, but of the one that adopts."""
        before = _inodes(self.served_dir)
        self._log_path.unlink(missing_ok=True)
        told = self._do("publish", number)
        changed = sum(size for inode, size in _inodes(self.served_dir).items() if inode not in before)
        if before:
            self._keep(SENT, self._sent() / changed)
            self._keep(MEMORY, told["peak_kib"] / 1000)
        return int(told["revision"])

    def again(self, number: int) -> None:
        self._keep(AGAIN, self._do("again", number)["seconds"])

    def roll_back(self, revision: int) -> int:
        """Both from when the program has its modules, and from its start."""
        started = time.perf_counter()
        told = self._do("rollback", revision)
        self._keep(WHOLE, time.perf_counter() - started)
        self._keep(BACK, told["seconds"])
        return int(told["revision"])

    @property
    def _log_path(self) -> Path:
        return self.work_dir / "rsync.log"

    def _keep(self, what: str, value: float) -> None:
        self.figures.setdefault(what, []).append(value)

    def _sent(self) -> int:
        return sum(int(number.replace(",", "")) for number in _SENT.findall(self._log_path.read_text()))

    def _do(self, what: str, number: int) -> dict[str, float]:
        argv = [sys.executable, "-m", "tests.bench.onmirror", self.work_dir / "root", self.work_dir / "out", self.place]
        path = f"{self.work_dir / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run([*map(str, argv), what, str(number)], cwd=ROOT, env={**os.environ, "PATH": path},
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"{what} {number} on {self.place} ended with {done.returncode}\n{done.stderr[-4000:]}")
        told: dict[str, float] = json.loads(done.stdout)
        return told


def measure(rounds: int, count: int = 10_000) -> dict[str, Figures]:
    """The figures of a local place, and of an rsync daemon."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work_dir = Path(name)
        _prepare(work_dir, count, rounds)
        local = Bench(work_dir, str(work_dir / "local"), work_dir / "local")
        _measure(local, rounds, count)
        shutil.rmtree(work_dir / "out" / onmirror.TARGET)
        with _daemon(work_dir) as url:
            remote = Bench(work_dir, url, work_dir / "served")
            _measure(remote, rounds, count)
    return {LOCAL: local.figures, "an rsync daemon": remote.figures}


def _measure(bench: Bench, rounds: int, count: int) -> None:
    first = last = bench.publish(count + 1)
    bench.figures.clear()  # it adopted what was there
    for number in range(count + 2, count + 2 + rounds):
        last = bench.publish(number)
        bench.again(number)
    for _ in range(rounds):
        bench.roll_back(first)
        bench.roll_back(last)


def _prepare(work_dir: Path, count: int, rounds: int) -> None:
    """Two places with the same packages as createrepo_c describes them, packages to come, a key, an rsync that logs."""
    out_path, root_dir = work_dir / "out", work_dir / "root"
    make_rpms(work_dir / "local" / onmirror.TARGET, work_dir, range(1, count + 1))
    subprocess.run([*CREATEREPO, str(work_dir / "local" / onmirror.TARGET)], check=True)
    subprocess.run(["cp", "--archive", "--link", work_dir / "local", work_dir / "served"], check=True)
    make_rpms(out_path, work_dir, range(count + 1, count + 2 + rounds))
    (out_path / "noarch").rename(out_path / "new")
    for path in [*(out_path / "new").iterdir()]:
        for ending, size_bytes in _BESIDE.items():
            path.with_name(path.name + ending).write_bytes(os.urandom(size_bytes))
    with keyring.new_home() as home_dir:
        fingerprint = gpg.make(home_dir, name="bench", mail="bench@example.org", bits=3072, years=1, passphrase="")
        (work_dir / "secret.asc").write_text(gpg.secret_key(home_dir, fingerprint, ()))
        (out_path / "public.asc").write_text(gpg.public_key(home_dir, fingerprint))
    root_dir.mkdir()
    text = (ROOT / "pipeline.toml").read_text()
    (root_dir / "pipeline.toml").write_text(f'{text}\n[signing]\nkey_file = "{work_dir / "secret.asc"}"\n')
    shim = work_dir / "bin" / "rsync"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nexec {shutil.which("rsync")} --log-file={work_dir}/rsync.log --log-file-format= "$@"\n'
    )
    shim.chmod(0o755)


@contextmanager
def _daemon(work_dir: Path) -> Iterator[str]:
    """The url of an rsync daemon over `served`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    owner = "uid = root\ngid = root\n" if os.getuid() == 0 else ""
    config = work_dir / "rsyncd.conf"
    config.write_text(f"port = {port}\naddress = 127.0.0.1\n{owner}[repo]\npath = {work_dir}/served\n"
                      "read only = no\nuse chroot = no\nmunge symlinks = no\n")  # fmt: skip
    daemon = subprocess.Popen(["rsync", "--daemon", "--no-detach", f"--config={config}"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield f"rsync://127.0.0.1:{port}/repo"
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)


def _inodes(folder: Path) -> dict[int, int]:
    """The sizes of all files, by their number on the disk."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[status.st_ino] = status.st_size
    return found


def rows(figures: dict[str, Figures]) -> list[dict[str, object]]:
    """The median of each figure, with its limit where it has one."""
    return [
        {
            "what": f"{what}, {where}",
            "median": round(statistics.median(values), 3),
            "limit": LIMITS[what] if where == LOCAL or what not in _OF_A_LOCAL_PLACE else None,
        }
        for where, each in figures.items()
        for what, values in each.items()
    ]
