# SPDX-License-Identifier: GPL-2.0-or-later
"""All that was read of one repository at one place, and what it is held against."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.audit import keys
from pipeline.audit.findings import Finding, finding
from pipeline.audit.keys import Expected, Ring
from pipeline.audit.reading import Reader, State
from pipeline.audit.site import Site
from pipeline.errors import PublishError
from pipeline.mirrors import layout, publishlog
from pipeline.mirrors.places.base import Destination
from pipeline.model import LogEntry
from pipeline.settings import Settings

# What nobody else puts beside a repomd.xml.
_OURS = frozenset({layout.LOG, layout.CARRIED, layout.MIRRORLIST})


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the audit was asked: `urls` are the places that a mirrorlist should name, `None` where nobody knows them.

    `places` are all of the channel, as its publisher has them; none where the configuration does not tell them.
    """

    settings: Settings
    target_name: str
    package_names: tuple[str, ...]
    urls: tuple[str, ...] | None
    places: tuple[Destination, ...]
    expected: Expected
    scratch_dir: Path
    quick: bool = False
    max_age_days: float = 0
    channel: str = ""

    @property
    def channel_settings(self) -> Settings:
        """The settings as those who publish to the channel have them."""
        return self.settings.model_copy(update={"mirror_override": self.channel or self.settings.mirror_override})

    @property
    def flags(self) -> str:
        """What names the mirror that is looked at on another command's line; `channel` is what `--mirror` means."""
        words = ["--target", self.target_name]
        if self.settings.mirror_override:
            words += ["--mirror", self.channel or self.settings.mirror_override]
        if self.settings.out_path != self.settings.root_dir / self.settings.out_dir:
            words += ["--out", str(self.settings.out_path)]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """A place as it was seen: what stands, the snapshots, the log, the keys.

    `log` is empty where there is none or it is broken. `unfinished` are snapshots that nothing tells of.
    """

    site: Site
    standing: State
    snapshots: dict[int, State]
    unfinished: tuple[int, ...]
    log: tuple[LogEntry, ...]
    log_fault: str
    ring: Ring

    @property
    def revision(self) -> int:
        """The revision that stands: that of the snapshot that `repodata` leads to, or what repomd.xml says."""
        link = self.site.listing.links.get(layout.REPODATA, "") if self.site.listing else ""
        told = layout.revision_in(link)
        return told if told is not None else self.standing.index.revision if self.standing.index else 0

    @property
    def way_back(self) -> int | None:
        """The newest state besides the one that stands whose metadata is whole."""
        whole = (
            revision
            for revision, state in self.snapshots.items()
            if revision != self.revision
            and not state.found
            and state.packages is not None
            and state.repomd_sha256 != self.standing.repomd_sha256
        )
        return max(whole, default=None)

    @property
    def is_ours(self) -> bool:
        """Whether it is one that we published: others have neither a log nor snapshots."""
        return bool(self.snapshots) or not _OURS.isdisjoint(self.standing.books)

    @property
    def adopted(self) -> LogEntry | None:
        return next((entry for entry in self.log if entry.action == "adopt"), None)

    def found(self, wish: Wish) -> Iterator[Finding]:
        """What was wrong already while it was read."""
        yield from self.standing.found
        if self.site.listing:
            for name, why in self.site.listing.unreadable.items():
                yield finding("unreadable", name, f"the folder cannot be entered: {why}")
        if self.standing.index is not None:
            yield from keys.look(self.ring, wish.expected, is_there=layout.KEYS in self.standing.books)


def see(site: Site, wish: Wish) -> Sight:
    """Raises: PublishError when the place does not answer."""
    reader = Reader(site, wish.scratch_dir)
    standing = reader.read("", whole=True)
    log, log_fault = _log(standing, site.address)
    revisions, unfinished = _revisions(site, log)
    snapshots = {revision: reader.read(layout.snapshot(revision), whole=not wish.quick) for revision in revisions}
    if site.listing is None:  # no names are told: what is not there was pruned
        snapshots = {revision: state for revision, state in snapshots.items() if "repomd.xml" in state.books}
    return Sight(
        site=site,
        standing=standing,
        snapshots=snapshots,
        unfinished=unfinished,
        log=log,
        log_fault=log_fault,
        ring=keys.read(
            standing.books.get(layout.KEYS, b""), wish.expected, Path(tempfile.mkdtemp(dir=wish.scratch_dir))
        ),
    )


def _log(standing: State, place: str) -> tuple[tuple[LogEntry, ...], str]:
    try:
        return publishlog.read(standing.books.get(layout.LOG, b""), place), ""
    except PublishError as error:
        return (), error.message


def _revisions(site: Site, log: Sequence[LogEntry]) -> tuple[list[int], tuple[int, ...]]:
    """The snapshots to look at, and those folders that no log tells of; all of them are looked at without a log."""
    told = {entry.revision for entry in log}
    if site.listing is None:
        return sorted(told), ()
    prefix = f"{layout.SNAPSHOTS}/"
    names = {name.removeprefix(prefix) for name in site.listing.folders if name.startswith(prefix)}
    there = {int(name) for name in names if name.isascii() and name.isdecimal()}
    return sorted(there & told if told else there), tuple(sorted(there - told if told else ()))
