# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository's page: what stands in it, for people. The same state gives the same bytes.

Its links are relative, so that it holds at the root and in each snapshot: it is seen there as `index.html`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.frontpage import contents, history, series
from pipeline.frontpage.contents import Change, Contents
from pipeline.frontpage.series import Series
from pipeline.hostkit import repofile, sets
from pipeline.mirrors import layout
from pipeline.mirrors.facts import RepositoryFacts
from pipeline.model import PublishedRpm
from pipeline.pages import template
from pipeline.proof.trial import for_hosts

_MAX_ROWS = 2000
_UNNAMED = "DEST"
_HOST_KIT = {
    layout.HOSTS_REPO: "the repository, for /etc/yum.repos.d/",
    layout.HOSTS_PLAYBOOK: "an Ansible playbook that upgrades hosts, checks them, and takes them back",
    layout.HOSTS_TEXT: "the same as commands",
}
_PLAIN = re.compile(r"[A-Za-z0-9._+-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    rpm: PublishedRpm
    href: str
    size: str
    day: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """Packages that belong together; `left_out` are not shown."""

    title: str
    rows: tuple[_Row, ...]
    left_out: int


def make(facts: RepositoryFacts, snapshot_dir: Path) -> bytes:
    """The page, in UTF-8; the metadata lies in the snapshot's folder, and beside that what is staged with it."""
    told = contents.read(snapshot_dir, facts.sets.ours)
    former = history.former(facts.log)
    text = template.fill(
        Path(__file__).parent,
        "repository.html.j2",
        facts=facts,
        names=history.names(facts),
        ours=history.sources(facts.sets.ours),
        vendor=history.sources(facts.sets.vendor),
        stands=history.newest(facts.log)[0],
        events=history.newest(facts.log),
        older=max(0, len(facts.log) - history.MAX_SHOWN),
        warnings=facts.channel.warnings,
        former=former,
        rollback=_command("rollback", facts, f"--to {former[0]}") if former else "",
        snapshots=_command("snapshots", facts),
        is_named=_mirror(facts) != _UNNAMED,
        repository=facts.channel.settings.hosts.repository,
        repo_text=repofile.text(facts),
        take=_take(facts),
        upgrade=_yum("upgrade", facts),
        downgrade=_downgrade(facts.sets.ours),
        to_vendor=_downgrade(facts.sets.vendor) if facts.sets.ours else "",
        fingerprints=[_in_fours(each) for each in facts.fingerprints],
        tables=list(_tables(facts, told)),
        series=list(_series(facts, told, snapshot_dir)),
        changes=list(_changes(facts, told)),
        home=layout.REPODATA,
        host_kit=_HOST_KIT,
    )
    return text.encode(errors="replace")


def _mirror(facts: RepositoryFacts) -> str:
    """What `--mirror` calls the channel; a place that has no name is nobody's business."""
    settings = facts.channel.settings
    name = settings.mirror_override or settings.targets[facts.channel.target_name].mirror
    return shlex.quote(name) if name in settings.mirrors else _UNNAMED


def _command(session: str, facts: RepositoryFacts, *more: str) -> str:
    """What is typed in the pipeline's checkout."""
    target = shlex.quote(facts.channel.target_name)
    return " ".join([".venv/bin/nox -s", session, "-- --target", target, "--mirror", _mirror(facts), *more])


def _take(facts: RepositoryFacts) -> str:
    """The command by which a host takes the `.repo` file; empty where nobody told where it is."""
    if not facts.channel.base_url:
        return ""
    path = f"/etc/yum.repos.d/{facts.channel.settings.hosts.repository}.repo"
    return f"curl -o {path} {shlex.quote(f'{facts.channel.base_url}/{layout.HOSTS_REPO}')}"


def _yum(verb: str, facts: RepositoryFacts) -> str:
    return " ".join(["yum", verb, *map(_pattern, history.names(facts))])


def _downgrade(rpms: tuple[PublishedRpm, ...]) -> str:
    """The command by which hosts go down to these, as the host kit has it; empty where there are none."""
    there = for_hosts(rpms)
    return sets.downgrade(there).command if there else ""


def _pattern(name: str) -> str:
    return f"{name}\\*" if _PLAIN.fullmatch(name) else shlex.quote(f"{name}*")


def _in_fours(fingerprint: str) -> str:
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))


def _tables(facts: RepositoryFacts, told: Contents) -> Iterator[_Table]:
    """All packages: what hosts go between first, and not more rows than a reader can look through."""
    free = _MAX_ROWS
    rebuilt = ", rebuilt here from the vendor's source" if history.rebuilt(facts) else ""
    known = {*facts.sets.ours, *facts.sets.previous, *facts.sets.vendor}
    others = [rpm for rpm in facts.packages if rpm not in known]
    for title, rpms in (
        ("Our release", facts.sets.ours),
        ("Our release before", facts.sets.previous),
        (f"The vendor's packages{rebuilt}", facts.sets.vendor),
        ("Others", others) if known else ("All packages", others),
    ):
        shown = sorted(rpms, key=lambda rpm: (rpm.arch == "src", rpm.name, rpm.href))[:free]
        free -= len(shown)
        if rpms:
            yield _Table(title=title, rows=tuple(_row(rpm, told) for rpm in shown), left_out=len(rpms) - len(shown))


def _row(rpm: PublishedRpm, told: Contents) -> _Row:
    return _Row(rpm=rpm, href=quote(rpm.href, errors="replace"), size=_size(rpm.size_bytes),
                day=told.days.get(rpm.sha256, ""))  # fmt: skip


def _size(size_bytes: int) -> str:
    """The size as people say it, in powers of 1000."""
    for unit, divisor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= divisor:
            return f"{size_bytes / divisor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _series(facts: RepositoryFacts, told: Contents, snapshot_dir: Path) -> Iterator[Series]:
    staging_dir = snapshot_dir.parents[1]
    for source in _newest_sources(facts):
        named = frozenset().union(
            *(told.patches.get(rpm.sha256, frozenset()) for rpm in facts.sets.ours if rpm.source == source.source)
        )
        found = series.find(source, named, staging_dir, facts.channel.places[0])
        if found:
            yield found


def _changes(facts: RepositoryFacts, told: Contents) -> Iterator[tuple[PublishedRpm, tuple[Change, ...]]]:
    for source in _newest_sources(facts):
        if changes := told.changes.get(source.sha256):
            yield source, changes


def _newest_sources(facts: RepositoryFacts) -> Iterable[PublishedRpm]:
    return [rpm for rpm in facts.sets.ours if rpm.arch == "src"]
