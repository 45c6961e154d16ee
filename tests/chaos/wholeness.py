# SPDX-License-Identifier: GPL-2.0-or-later
"""What a careful reader finds in a repository's folder: one whole state, or the first thing that is wrong with it."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from pipeline.mirrors import publishlog

_XML = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"


class Broken(Exception):
    """What is wrong for a reader."""


@dataclass(frozen=True)
class State:
    """What stands; `packages` are file names. A state that others made by hand has no log and no signature."""

    repomd_sha256: str = ""
    revision: int = 0
    packages: frozenset[str] = frozenset()
    log_revisions: tuple[int, ...] = ()


@dataclass
class Signatures:
    """Asks gpg, with our key alone, about each pair of contents and signature once."""

    homedir: Path
    seen: dict[tuple[str, str], bool] = field(default_factory=dict)

    def hold(self, content: bytes, signature: bytes) -> bool:
        pair = sha256(content), sha256(signature)
        if pair not in self.seen:
            signature_path = self.homedir / f"{pair[1]}.asc"
            signature_path.write_bytes(signature)
            argv = ["gpg", "--homedir", str(self.homedir), "--batch", "--trust-model", "always", "--verify"]
            done = subprocess.run([*argv, str(signature_path), "-"], input=content, capture_output=True)
            self.seen[pair] = done.returncode == 0
        return self.seen[pair]


def read_state(repository_dir: Path, signatures: Signatures) -> State:
    """The state that readers see; an empty one where nothing was published. Raises: Broken.

    While others publish, it is that of one snapshot: the link is followed once.
    """
    try:
        home = (repository_dir / (repository_dir / "repodata").readlink()).parent
    except OSError:
        home = repository_dir  # a folder, as others make it
    if not (home / "repodata").exists():
        return State()
    content = _bytes(home / "repodata" / "repomd.xml")
    packages = frozenset(_check_named(home, content))
    revision = int(ElementTree.fromstring(content).findtext(f"{_XML}revision") or 0)
    if home == repository_dir:
        return State(sha256(content), revision, packages)
    if not signatures.hold(content, _bytes(home / "repodata" / "repomd.xml.asc")):
        raise Broken(f"the signature of revision {revision} does not hold")
    return State(sha256(content), revision, packages, _check_log(repository_dir, home, content, revision))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def named_in(repomd: bytes) -> dict[str, str]:
    """Location -> sha256 of each file that a `repomd.xml` names."""
    return {
        data.find(f"{_XML}location").get("href"): data.findtext(f"{_XML}checksum")
        for data in ElementTree.fromstring(repomd).findall(f"{_XML}data")
    }


def packages_in(primary: bytes) -> dict[str, str]:
    """Location -> sha256 of each package that a primary names."""
    return {
        package.find(f"{_COMMON}location").get("href"): package.findtext(f"{_COMMON}checksum")
        for package in ElementTree.fromstring(gzip.decompress(primary)).findall(f"{_COMMON}package")
    }


def _check_named(home: Path, repomd: bytes) -> list[str]:
    """The names of the packages, when all that is named is there as it was named."""
    found: list[str] = []
    for href, digest in named_in(repomd).items():
        content = _bytes(home / href)
        if sha256(content) != digest:
            raise Broken(f"{href} differs")
        if "-primary.xml" in href:
            for package, its_digest in packages_in(content).items():
                if sha256(_bytes(home / package)) != its_digest:
                    raise Broken(f"{package} differs")
                found.append(Path(package).name)
    return found


def _check_log(repository_dir: Path, home: Path, repomd: bytes, revision: int) -> tuple[int, ...]:
    """The revisions of the log, when its chain is whole and all that goes with the state tells of it."""
    log = publishlog.read(_bytes(home / "repodata" / "publish.log"), str(home))
    if log[-1].repomd_sha256 != sha256(repomd) or log[-1].revision != revision:
        raise Broken("the log's last line is not about what stands")
    mirrorlist = _bytes(home / "repodata" / "mirrorlist").decode()
    if any(not line.endswith(f"/snapshots/{revision}/") for line in mirrorlist.splitlines()):
        raise Broken(f"the mirrorlist of revision {revision} names another: {mirrorlist}")
    for name in ("mirrorlist", "publish.log", "keys.asc"):
        _bytes(repository_dir / name)
    return tuple(entry.revision for entry in log)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Broken(f"{path} cannot be read: {error.strerror}") from None
