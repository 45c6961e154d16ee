# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of a publish, told while a slow rsync sends them."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.errors import PublishError
from pipeline.progress import Progress
from tests.integration.conftest import Project, RsyncDaemon, RsyncShim

_TOLD = re.compile(r"    (\S.*): ([0-9.]+) of ([0-9.]+) MB \(([0-9]+) %\)")
_SLOW = 'exec $REAL --bwlimit=5m "$@"'


def publish(project: Project, destinations: tuple[str, ...], *, quiet: bool = False) -> list[tuple[str, int]]:
    """Place and percent of each line that a publish of several megabytes told."""
    file = io.StringIO()
    console = Console(file=file, markup=False, highlight=False, emoji=False, soft_wrap=True)
    context = project.context(destinations[0])
    mirror = context.settings.mirror("el6").model_copy(update={"destination": destinations})
    settings = context.settings.model_copy(update={"mirrors": {destinations[0]: mirror}})
    context = replace(context, settings=settings, progress=Progress(quiet=quiet, console=console))
    try:
        project.publish(context, project.build("large", size_bytes=8_000_000))
    finally:
        told = file.getvalue().splitlines()
    if quiet:
        assert told == []
    found = [_TOLD.fullmatch(line) for line in told]
    return [(match[1], int(match[4])) for match in found if match]


@pytest.fixture
def slow_rsync(rsync_shim: RsyncShim) -> RsyncShim:
    """Every call that sends has its rate limited."""
    path = rsync_shim.dir / "rsync"
    text = path.read_text()
    path.write_text(text.replace('exec $REAL "$@"', f'case "$*" in *progress2*) {_SLOW};; esac\nexec $REAL "$@"'))
    return rsync_shim


@pytest.mark.parametrize("kind", ["local", "daemon"])
def test_bytes_are_told_at_quarters_and_all_of_them_at_the_end(
    project: Project, tmp_path: Path, rsync_daemon: RsyncDaemon, slow_rsync: RsyncShim, kind: str
) -> None:
    place = str(tmp_path / "mirror") if kind == "local" else rsync_daemon.url()
    told = publish(project, (place,))
    percents = [percent for _, percent in told]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    assert len(percents) >= 3
    assert {name for name, _ in told} == {f"{place}/el6"}


def test_places_side_by_side_have_lines_of_their_own(
    project: Project, tmp_path: Path, rsync_daemon: RsyncDaemon, slow_rsync: RsyncShim
) -> None:
    places = (str(tmp_path / "mirror"), rsync_daemon.url())
    told = publish(project, places)
    for place in places:
        percents = [percent for name, percent in told if name == f"{place}/el6"]
        assert percents == sorted(set(percents))
        assert percents[-1] == 100


def test_nothing_is_told_when_quiet(project: Project, tmp_path: Path, slow_rsync: RsyncShim) -> None:
    assert publish(project, (str(tmp_path / "mirror"),), quiet=True) == []


def test_what_did_not_arrive_is_not_told_as_all(project: Project, tmp_path: Path, slow_rsync: RsyncShim) -> None:
    """The last call of rsync that sends ends well here and breaks there."""
    path = slow_rsync.dir / "rsync"
    path.write_text(path.read_text().replace(_SLOW, '$REAL --bwlimit=5m "$@"; exit 12'))
    file = io.StringIO()
    context = replace(
        project.context(str(tmp_path / "mirror")), progress=Progress(console=Console(file=file, soft_wrap=True))
    )
    with pytest.raises(PublishError, match="the connection broke"):
        project.publish(context, project.build("large", size_bytes=8_000_000))
    assert "(100 %)" not in file.getvalue()
    assert " MB (" in file.getvalue()
