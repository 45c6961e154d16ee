# SPDX-License-Identifier: GPL-2.0-or-later
"""A staged snapshot: all of one state that lies in its `repodata/`, and the links that make it a whole repository."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from pipeline import files
from pipeline.errors import PublishError
from pipeline.gate import metadata as readable
from pipeline.mirrors import handouts, layout, publishlog, repodata
from pipeline.mirrors.facts import Channel, RepositoryFacts, facts_of
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.repodata import NewRpm
from pipeline.model import LogEntry, MirrorState, PublishedRpm
from pipeline.signing import bundle
from pipeline.signing import metadata as signature
from pipeline.signing.keyring import Key


@dataclass(frozen=True, kw_only=True, slots=True)
class Staging:
    """A folder laid out as the repository on the mirror, to be filled with one new snapshot of it."""

    dir: Path
    revision: int
    before: Metadata

    @property
    def snapshot_dir(self) -> Path:
        return self.dir / layout.snapshot(self.revision)

    @property
    def repodata_dir(self) -> Path:
        return self.dir / layout.link_to(self.revision)

    @property
    def repomd_sha256(self) -> str:
        return files.sha256_of(self.snapshot_dir / layout.REPOMD)

    def describe(self, new: Sequence[str], meant: Sequence[PublishedRpm], key: Key) -> None:
        """Write the metadata of all that was there and of the packages at `new`, checked and signed.

        Raises: PublishError unless it names exactly the packages that are `meant`; SigningError.
        """
        repodata.write(
            self.snapshot_dir,
            new=[NewRpm(path=self.dir / href, href=href) for href in new],
            dropped=(),
            before=self.before.index,
            before_dir=self.before.dir,
            revision=self.revision,
        )
        self._check(meant)
        signature.sign(self.repodata_dir / "repomd.xml", key)

    def describe_again(self, former: Metadata, key: Key) -> None:
        """Take the metadata of a former state for the new one, signed. Raises: SigningError."""
        for file in former.index.files if former.index else ():
            files.copy_whole(former.dir / file.href, self.snapshot_dir / file.href)
        files.write_whole(self.repodata_dir / "repomd.xml", repodata.renumbered(former.repomd, self.revision))
        self._check(former.state.packages)
        signature.sign(self.repodata_dir / "repomd.xml", key)

    def _check(self, meant: Sequence[PublishedRpm]) -> None:
        """createrepo_c leaves out a package with a cut header and says nothing: what is named must be what is meant."""
        place = str(self.snapshot_dir)
        index = repodata.read_index((self.snapshot_dir / layout.REPOMD).read_bytes(), place)
        readable.check((file.kind, file.href, file.digest_name) for file in index.files)
        for file in index.files:
            repodata.verify(file, self.snapshot_dir, place)
        named = repodata.read_packages(self.snapshot_dir / index.primary.href, place)
        if named == tuple(meant):
            return
        counted, wanted = Counter(named), Counter(meant)
        wrong = [*(wanted - counted), *(counted - wanted)] if counted != wanted else []
        if wrong:
            raise PublishError(
                "repodata-differs",
                f"the new repodata does not name {wrong[0].nevra} as it was meant ({len(wrong)} differences)",
                hint="the package may be damaged: remove out/ and build again",
            )

    def finish(
        self, entry: LogEntry, packages: Sequence[PublishedRpm], keys: Mapping[str, bytes], channel: Channel
    ) -> None:
        """Put beside the signed `repomd.xml` what belongs to the state: log, keys, mirrorlist, what people get, links.

        `keys` are fingerprint -> armored key, of all that hosts shall trust.
        """
        self._adopt()
        self._carry(channel.grace_seconds)
        log = publishlog.appended(self._log(), entry)
        self._write(layout.LOG, log)
        self._write(layout.KEYS, bundle.joined(keys))
        self._write(layout.MIRRORLIST, layout.mirrorlist(channel.urls, self.revision))
        self._hand_out(facts_of(channel, self.revision, packages, keys, publishlog.read(log, str(self.dir))))
        self._link(rpm.href for rpm in packages)

    def _hand_out(self, facts: RepositoryFacts) -> None:
        for name, content in handouts.make(facts, self.snapshot_dir).items():
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        files.write_whole(self.repodata_dir / name, content)

    def copy_standing(self, keys: Mapping[str, bytes], channel: Channel) -> None:
        """Stage what stands as it is: nothing is to be published, but it may be tried, and other places may lack it.

        What people get is made once more, which is sooner done than to read it: the same state gives the same.
        """
        before = self.before
        for file in before.index.files if before.index else ():
            files.copy_whole(before.dir / file.href, self.snapshot_dir / file.href)
        for name in before.carried:
            if (before.dir / layout.REPODATA / name).exists():
                files.copy_whole(before.dir / layout.REPODATA / name, self.repodata_dir / name)
        for name, content in before.books.items():
            files.write_whole(self.repodata_dir / name, content)
        self._hand_out(facts_of(channel, self.revision, before.state.packages, keys, before.state.log))
        self._link(rpm.href for rpm in before.state.packages)

    def _link(self, hrefs: Iterable[str]) -> None:
        _link_tops(self.snapshot_dir, hrefs)
        for name in layout.ADDRESSES:
            path = self.snapshot_dir / name
            if not path.is_symlink():  # packages may lie in a folder of that name
                path.symlink_to(f"{layout.REPODATA}/{layout.PAGE}")
        for name, file_name in layout.POINTERS.items():
            (self.dir / name).symlink_to(f"{layout.REPODATA}/{file_name}")
        (self.dir / layout.REPODATA).symlink_to(layout.link_to(self.revision))

    def _log(self) -> bytes:
        """The log so far; it begins with what stood there before us."""
        before = self.before
        if before.index is None or before.is_ours:
            return before.books.get(layout.LOG, b"")
        adopted = LogEntry(
            revision=before.state.revision,
            time=now(),
            action="adopt",
            repomd_sha256=before.state.repomd_sha256,
            detail=f"{len(before.state.packages)} packages that others published",
        )
        return publishlog.appended(b"", adopted)

    def _adopt(self) -> None:
        """Keep what others published before us as a snapshot, so that there is a way back to it."""
        before = self.before
        if before.index is None or before.is_ours:
            return
        home = replace(self, revision=before.state.revision)
        for file in before.index.files:
            files.copy_whole(before.dir / file.href, home.snapshot_dir / file.href)
        files.write_whole(home.snapshot_dir / layout.REPOMD, before.repomd)
        if signature := before.books.get("repomd.xml.asc"):
            files.write_whole(home.snapshot_dir / layout.SIGNATURE, signature)
        _link_tops(home.snapshot_dir, (rpm.href for rpm in before.state.packages))

    def _carry(self, grace_seconds: float) -> None:
        """Carry the metadata of former states along, for readers who have a former `repomd.xml` in hand."""
        before, instant = self.before, int(time.time())
        if before.index is None:
            return
        former = {name: since for name, since in before.carried.items() if since + grace_seconds > instant}
        former |= {Path(file.href).name: instant for file in before.index.files}
        carried = {}
        for name, since in former.items():
            source_path, path = before.dir / layout.REPODATA / name, self.repodata_dir / name
            if not path.exists() and source_path.exists():
                shutil.copy2(source_path, path)
                carried[name] = since
        files.write_whole(self.repodata_dir / layout.CARRIED, json.dumps(carried, sort_keys=True) + "\n")


def now() -> str:
    """This moment, as the log tells it."""
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def publisher() -> str:
    """Who publishes: the account and the machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def next_revision(state: MirrorState) -> int:
    """A revision above all that ever stood: yum keeps its cache over a `repomd.xml` of a lower one.

    Raises: PublishError when others gave the repository one that no log of ours can count on from.
    """
    former = max([state.revision, *(entry.revision for entry in state.log)])
    if former >= publishlog.LAST_REVISION:
        raise PublishError(
            "revision-too-high",
            f"{state.destination} has a repomd.xml of revision {former}, and none above it can be logged",
            hint="make its repodata anew with a lower one (`createrepo_c --revision`), or publish to an empty place",
        )
    return max(former + 1, int(time.time()))


def _link_tops(snapshot_dir: Path, hrefs: Iterable[str]) -> None:
    """Make the snapshot a repository of its own: packages are where they are from the root."""
    snapshot_dir.mkdir(parents=True, exist_ok=True)
    for top in layout.tops(hrefs):
        if top != layout.REPODATA:
            (snapshot_dir / top).symlink_to(f"../../{top}")
