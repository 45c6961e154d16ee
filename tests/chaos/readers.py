# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers of a repository behind nginx, in loops until they are told to stop, and what they found wrong."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos.wholeness import named_in, packages_in, sha256
from tests.integration.conftest import free_port, running

_NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    sendfile on;
    server {{ listen 127.0.0.1:{port}; root "{root}"; limit_rate 2m; }}
}}
"""


@contextlib.contextmanager
def nginx(root_dir: Path, folder: Path, port: int) -> Iterator[None]:
    """A web server over a folder, at 2 MB/s for each request."""
    folder.mkdir()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, root=root_dir, port=port))
    with running(["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")], port, folder / "out"):
        yield


@dataclass
class Reader(threading.Thread):
    """Takes `repomd.xml`, its signature, all that it names and a package, again and again.

    By the mirrorlist it stays in the snapshot that is named there. `pairs` are the digests of `repomd.xml` and of the
    signature that came with it. `pause_seconds` goes before each request.
    """

    port: int
    by_mirrorlist: bool = False
    pause_seconds: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    reads: int = 0
    rounds: int = 0
    bad: list[str] = field(default_factory=list)
    pairs: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    seen_pairs: list[tuple[str, str]] = field(default_factory=list)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        self._chance = random.Random(self.port)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self._read_all()
            except Exception as error:  # whatever it is, a reader met it
                self.bad.append(f"{type(error).__name__}: {error}")
                self._connection.close()
            self.rounds += 1

    def _read_all(self) -> None:
        base = "/el6"
        if self.by_mirrorlist:
            base = urlsplit(self._get("/el6/mirrorlist").decode().splitlines()[0]).path.rstrip("/")
        repomd = self._get(f"{base}/repodata/repomd.xml")
        signature = self._get(f"{base}/repodata/repomd.xml.asc")
        pair = sha256(repomd), sha256(signature)
        self.pairs[pair] = repomd, signature
        self.seen_pairs.append(pair)
        for href, digest in named_in(repomd).items():
            content = self._get(f"{base}/{href}", digest)
            if "-primary.xml" in href and digest not in self.packages:
                self.packages[digest] = packages_in(content)
        packages = next(self.packages[digest] for digest in named_in(repomd).values() if digest in self.packages)
        href = self._chance.choice(sorted(packages))
        self._get(f"{base}/{href}", packages[href])

    def _get(self, path: str, digest: str = "") -> bytes:
        """The body, counted as a read. What is not there, ends early or differs is a bad one."""
        time.sleep(self.pause_seconds)
        self.reads += 1
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            self.bad.append(f"{answer.status} {path}")
        elif digest and sha256(content) != digest:
            self.bad.append(f"{path} differs")
        return content


@dataclass
class Dnf(threading.Thread):
    """A real client that has nothing at first, each time: `makecache` and `download` by the mirrorlist, all checked."""

    port: int
    key_path: Path
    work_dir: Path
    most: int
    stopped: threading.Event = field(default_factory=threading.Event)
    rounds: int = 0
    bad: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        repos_dir = self.work_dir / "repos"
        repos_dir.mkdir(parents=True)
        (repos_dir / "ours.repo").write_text(
            f"[ours]\nname=ours\nmirrorlist=http://127.0.0.1:{self.port}/el6/mirrorlist\nenabled=1\ngpgcheck=1\n"
            f"repo_gpgcheck=1\nretries=0\ngpgkey={self.key_path.as_uri()}\n"
        )

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while self.rounds < self.most and not self.stopped.is_set():
            root = self.work_dir / str(self.rounds)
            for words in (["makecache"], ["download", f"--destdir={root}/got", "small.noarch"]):
                done = subprocess.run([*self._dnf(root), *words], capture_output=True, text=True)
                if done.returncode != 0:
                    self.bad.append(f"{words[0]}: {done.stderr}")
            got = list((root / "got").glob("small-*.noarch.rpm"))
            if len(got) != 1:
                self.bad.append(f"downloaded: {got}")
            self.rounds += 1

    def _dnf(self, root: Path) -> list[str]:
        return ["dnf", "--quiet", "--assumeyes", f"--installroot={root}/root", "--releasever=6",
                f"--setopt=reposdir={self.work_dir}/repos", f"--setopt=cachedir={root}/cache"]  # fmt: skip


__all__ = ["Dnf", "Reader", "free_port", "nginx"]
