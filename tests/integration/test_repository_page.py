# SPDX-License-Identifier: GPL-2.0-or-later
"""The page, the feed and the patches of a repository as they lie on a mirror, and as a browser shows them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import feedparser
import pytest
from playwright.sync_api import Browser

from pipeline import files
from pipeline.attestation import patchmails
from pipeline.audit import audit
from pipeline.context import TargetContext
from pipeline.mirrors import layout, promote, retention, rollback
from pipeline.model import Publication
from pipeline.progress import Progress
from pipeline.settingtables import MirrorSettings, RetentionSettings
from pipeline.stages import publish, repo
from tests.bench.manyrpms import make_rpms
from tests.browser import SCREENSHOTS_DIR, WIDTHS, look
from tests.integration.conftest import ROOT_DIR, Project, RsyncDaemon
from tests.integration.places import channel, web_server

FIRST, SECOND = ("1.el6.ours.1", "1.el6.ours.2")
PATCHES = patchmails.joined(path.read_bytes() for path in sorted((ROOT_DIR / "patches" / "vdsm").glob("*.patch")))
SOURCE = "SRPMS/small-1.0-{}.src.rpm"


def release(project: Project, context: TargetContext, number: str = FIRST, mails: bytes = PATCHES) -> Publication:
    """Publish a release, with a file of mails beside its source package."""
    (signed,) = project.signed(project.build(release=number))
    path = project.out_path / f"{Path(SOURCE.format(number)).name}.patches"
    files.write_whole(path, mails)
    sets = (replace(signed, sidecars=(files.file_record(path, project.out_path),)),)
    return publish.run(repo.run(sets, context=context), context=context)


def again(project: Project, context: TargetContext, number: str = FIRST) -> Publication:
    """Publish what is there already."""
    return publish.run(repo.run(project.signed(project.build(release=number)), context=context), context=context)


def back(context: TargetContext, revision: int) -> Publication:
    return rollback.run(context.settings, "el6", revision, Progress(quiet=True), log_path=context.log_path)


def findings(context: TargetContext) -> list[tuple[str, str]]:
    (report,) = audit.run(context.settings, {"el6": ("small",)}, quick=True, max_age_days=0)
    return [
        (each.kind, each.subject) for each in report.found if each.kind != "statement-missing"
    ]  # none are made here


def as_before_pages(root: Path) -> None:
    """Make of a published repository what one was that was published before there were pages."""
    for name in layout.PAGES:
        (root / name).unlink()
    for name in (*layout.ADDRESSES, "repodata/repository.html", "repodata/feed.atom"):
        for path in root.glob(f"snapshots/*/{name}"):
            path.unlink()


def test_a_browser_finds_no_fault_at_the_root_and_in_snapshots(
    project: Project, tmp_path: Path, nginx: Callable[[Path], str], browser: Browser
) -> None:
    url = nginx(tmp_path / "served")
    context = channel(project, tmp_path / "served", url=(url,))
    first = release(project, context)
    release(project, context, SECOND)
    last = back(context, first.revision)
    host = url.removeprefix("http://")
    root = f"{url}/el6/"
    looks = [
        (root, width, scheme) for width in WIDTHS for scheme in (("light", "dark") if width != 768 else ("light",))
    ]
    looks += [(f"{root}snapshots/{first.revision}/", 1440, "light"), (f"{root}snapshots/{last.revision}/", 360, "dark")]
    for address, width, scheme in looks:
        where = address.removeprefix(root).replace("/", "-").partition("-")[0] or "root"
        found = look(browser, address, width=width, scheme=scheme, host=host, axe=where == "root",
                     screenshot_path=SCREENSHOTS_DIR / f"repository-{where}-{width}-{scheme}.png")  # fmt: skip
        assert found.all == [], (address, width, scheme)


def test_page_feed_and_patches_are_what_stands_and_the_audit_is_silent(project: Project, tmp_path: Path) -> None:
    context = channel(project, tmp_path / "mirror")
    release(project, context)
    root = tmp_path / "mirror" / "el6"
    text = (root / "index.html").read_text()
    assert "6 patches on the vendor" in text and "small-1.0-1.el6.ours.1.noarch" in text
    assert (root / f"{SOURCE.format(FIRST)}.patches").read_bytes() == PATCHES
    assert findings(context) == []
    assert not again(project, context).changed
    release(project, context, SECOND)
    assert [each.title for each in feedparser.parse((root / "feed.atom").read_bytes()).entries] == [
        f"published small 1.0-{SECOND}", f"published small 1.0-{FIRST}"]  # fmt: skip


def test_the_audit_finds_a_page_that_is_not_that_of_the_state(project: Project, tmp_path: Path) -> None:
    context = channel(project, tmp_path / "mirror")
    release(project, context)
    root = tmp_path / "mirror" / "el6"
    with web_server(tmp_path / "mirror") as server:
        by_web = project.context(f"{server.url}/el6")
        assert findings(by_web) == []
        (root / "index.html").unlink()
        assert findings(context) == findings(by_web) == [("link-wrong", "index.html")]
        (root / "index.html").write_text("mine")
        assert findings(context) == findings(by_web) == [("page-hidden", "index.html")]
        assert (root / "repository.html").read_bytes() == (root / "repodata/repository.html").read_bytes()
        (root / "snapshots" / str(again(project, context).revision) / "index.html").unlink()
        as_before = root / "repodata" / "feed.atom"
        as_before.unlink()
        assert ("page-missing", "repodata/feed.atom") in findings(context)


def test_a_release_with_nothing_new_brings_the_pages_to_a_mirror_without(project: Project, tmp_path: Path) -> None:
    context = channel(project, tmp_path / "mirror")
    first = release(project, context)
    root = tmp_path / "mirror" / "el6"
    as_before_pages(root)
    assert findings(context) == [("page-missing", "repodata/repository.html")]
    second = again(project, context)
    assert second.revision > first.revision
    assert findings(context) == []
    back(context, first.revision)  # which had no page
    assert f"rolled back to {first.revision}" in (root / "index.html").read_text()
    assert findings(context) == []


@pytest.mark.parametrize("mails", [b"", PATCHES[:3000], b"\0\xff" * 5000])
def test_a_bad_file_of_patches_is_told_and_stops_nothing(project: Project, tmp_path: Path, mails: bytes) -> None:
    context = channel(project, tmp_path / "mirror")
    first = release(project, context, mails=mails)
    release(project, context, SECOND)
    assert back(context, first.revision).changed


def test_others_page_stays_and_is_told(project: Project, tmp_path: Path, make_packages, rsync_daemon) -> None:
    for number, place in enumerate((str(tmp_path / "mirror"), rsync_daemon.url("repo/mirror"))):
        root = (tmp_path / "mirror" if not number else rsync_daemon.dir / "mirror") / "el6"
        root.mkdir(parents=True)
        (root / "index.html").write_text("mine")
        (root / "feed.atom").write_text("mine")
        context = channel(project, place)
        home_dir = context.home_dir.with_name(f"el6-{number}")
        notes: list[str] = []
        progress = Progress(quiet=True)
        progress.note = notes.append  # type: ignore[method-assign]
        release(project, replace(context, home_dir=home_dir, progress=progress))
        assert any("index.html on" in note and "stays" in note for note in notes), notes
        assert (root / "index.html").read_text() == "mine"
        assert (root / "feed.atom").read_text() == "mine"
        assert "small-1.0" in (root / "repository.html").read_text()
        assert any("ours is repository.html" in note for note in notes), notes
        assert ("page-hidden", "index.html") in findings(replace(context, progress=Progress(quiet=True)))


def test_a_repository_of_others_with_two_thousand_packages(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "mirror" / "el6"
    make_rpms(root, tmp_path, range(2000))
    subprocess.run(["createrepo_c", "--quiet", str(root)], check=True)
    context = channel(project, tmp_path / "mirror")
    release(project, context)
    text = (root / "index.html").read_text()
    assert "2002 packages in all" in text and "2 more packages not shown here" in text
    assert len(text) < 2_000_000


def test_a_place_that_was_away_gets_the_same_page_and_the_patches(
    project: Project, tmp_path: Path, rsync_daemon: RsyncDaemon
) -> None:
    (rsync_daemon.dir / "second").mkdir()
    both = channel(project, tmp_path / "first", rsync_daemon.url("repo/second"))
    release(project, channel(project, tmp_path / "first"))
    assert again(project, both).changed  # nothing new, and the second has nothing
    roots = tmp_path / "first" / "el6", rsync_daemon.dir / "second" / "el6"
    for name in ("index.html", "feed.atom", f"{SOURCE.format(FIRST)}.patches"):
        assert (roots[0] / name).read_bytes() == (roots[1] / name).read_bytes()
    assert "6 patches on" in (roots[1] / "index.html").read_text()


def test_promote_carries_the_patches_and_prune_takes_them_away(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.proof.staged.prove", lambda *_: None)
    (project.root_dir / "containers").symlink_to(ROOT_DIR / "containers")
    testing = channel(project, tmp_path / "testing")
    release(project, testing)
    mirrors = {"local": MirrorSettings(destination=(str(tmp_path / "stable"),)), **{
        "testing": MirrorSettings(destination=(str(tmp_path / "testing"),))}}  # fmt: skip
    settings = testing.settings.model_copy(update={"mirrors": mirrors, "engine_override": "host"})
    stable = replace(testing, settings=settings, home_dir=testing.home_dir.with_name("stable"))
    promote.run(settings, "el6", "testing", None, Progress(quiet=True), log_path=stable.log_path)
    root = tmp_path / "stable" / "el6"
    assert (root / f"{SOURCE.format(FIRST)}.patches").read_bytes() == PATCHES
    text = (root / "index.html").read_text()
    assert f"promoted small 1.0-{FIRST}" in text and "6 patches on" in text
    assert findings(stable) == []
    first = repo.mirror.read_state(settings, "el6").revision
    release(project, stable, SECOND)
    back(stable, first)
    kept = settings.model_copy(update={"retention": RetentionSettings(keep_snapshots=1, keep_days=0, grace_hours=0)})
    (done,) = retention.run(kept, "el6", Progress(quiet=True), remove=True, log_path=stable.log_path)
    assert done.removed and not (root / f"{SOURCE.format(SECOND)}.patches").exists()
    assert findings(stable) == []


def test_what_was_begun_and_never_seen_is_pruned_with_its_link(project: Project, tmp_path: Path) -> None:
    context = channel(project, tmp_path / "mirror")
    release(project, context)
    unfinished = tmp_path / "mirror" / "el6" / "snapshots" / "1500000000"
    (unfinished / "repodata").mkdir(parents=True)
    for name in ("index.html", "repository.html"):
        (unfinished / name).symlink_to("repodata/repository.html")
    (done,) = retention.run(context.settings, "el6", Progress(quiet=True), remove=True, log_path=context.log_path)
    assert done.unfinished == (1500000000,) and not unfinished.exists()
