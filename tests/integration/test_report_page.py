# SPDX-License-Identifier: GPL-2.0-or-later
"""The report in a real browser: a release, one that failed, and one made of all that is bad.

Screenshots are left in `tests/.screenshots/` for people to look at.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape
from playwright.sync_api import Browser

from pipeline.errors import BuildError
from pipeline.report import conclusion, page, record
from pipeline.settings import read_settings
from tests import runs
from tests.browser import SCHEMES, SCREENSHOTS_DIR, WIDTHS, look, top_of
from tests.integration.checkout import Checkout

PATCH = "patches/vdsm/0006-vm-lock-at-most-when-a-client-was-not-seen-to-connec.patch"
EVIL = "<script>alert(1)</script>\x1b[31m'\"><img src='http://example.org/x' onerror=y>"
ALL_VIEWS = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
EACH_WIDTH = [(360, "dark"), (768, "light"), (1440, "dark")]


@pytest.fixture
def looked(browser: Browser) -> Callable[..., dict[tuple[int, str], list[str]]]:
    """All that is wrong with a page, by width and colours; empty for a good one."""

    def looked(path: Path, name: str, views: list[tuple[int, str]]) -> dict[tuple[int, str], list[str]]:
        shots = {view: SCREENSHOTS_DIR / f"report-{name}-{view[0]}-{view[1]}.png" for view in views}
        found = {
            (width, scheme): look(browser, path, width=width, scheme=scheme, screenshot_path=shots[width, scheme]).all
            for width, scheme in views
        }
        assert all(shot.stat().st_size > 10_000 for shot in shots.values())
        return {view: wrong for view, wrong in found.items() if wrong}

    return looked


def test_the_page_of_a_release_is_good_at_every_width_and_made_again_without_a_stage(released, looked, validator_of):
    path = released.out / "index.html"
    before = path.read_text(encoding="utf-8")
    assert "Release 904 of demo published" in before
    (history,) = (released.out / "history").iterdir()
    validator_of("history").validate(json.loads(history.read_text()))
    assert looked(path, "released", ALL_VIEWS) == {}

    path.unlink()
    result = released.run("report")

    assert result.code == 0, result.stderr
    assert "✓ Release 904 of demo published" in result.stderr.splitlines()
    validator_of("report").validate(result.document)
    assert result.document == {"page": str(path), "runs": 1, "unreadable": [], "error": None}
    assert path.read_text(encoding="utf-8") == before


def test_a_failure_is_above_the_fold_with_all_that_leads_on(released: Checkout, browser, looked):
    released.edit(PATCH, "+        self._sawConnect = False\n", "+        self._sawConnect = True\n")
    result = released.run("release")
    assert result.code == 13
    assert f"report: {released.out}/index.html" in result.stderr

    path = released.out / "index.html"
    text = path.read_text(encoding="utf-8")
    sentence = result.error_line.removeprefix("error: demo: unit: ")
    assert re.search(r"test_\w+\.py\", line \d+, in test_", result.stderr), "where it failed is what the log ends with"
    for width, height in WIDTHS.items():
        assert top_of(browser, path, sentence, width=width) <= height
    assert looked(path, "failed", EACH_WIDTH) == {}
    # What the terminal says, the page says: the command, the log, its last line.
    reproduce = next(line for line in result.stderr.splitlines() if "reproduce: " in line).partition("reproduce: ")[2]
    assert f"Reproduce: <code>{reproduce}</code>" in text
    (log,) = (row["log"] for row in result.document["jobs"][0]["stages"] if row["result"] == "failed")
    assert f'href="{Path(log).relative_to(released.out)}"' in text
    assert str(escape(Path(log).read_text().splitlines()[-1])) in text


def test_a_page_of_bad_text_and_several_targets_is_good_too(tmp_path: Path, looked):
    settings = read_settings(Path(__file__).parents[2], out=str(tmp_path / "out"), environ={})
    log_path = settings.out_path / "el6" / "a b#?" / f"{'x' * 60}.log"
    log_path.parent.mkdir(parents=True)
    log_path.write_bytes(f"{EVIL}\n{'y' * 5000}\n".encode() + b"\xff\xfe\n")
    error = BuildError("bad", f"{'word' * 60} {EVIL}\n  {EVIL}", hint=EVIL)
    patches = tuple(
        replace(runs.good_job().patches[0], file=runs.file(f"{number:04}-a.patch"), subject=f"{EVIL} {'z' * 300}")
        for number in range(1, 13)
    )
    matrix = tuple(
        runs.MatrixRow(patch=f"{number:04}", tests=2, green=(0, 0, 1, 2) * 3 + (2,)) for number in range(1, 13)
    )
    job = runs.good_job(
        patches=patches, reason=EVIL * 3, unit=replace(runs.good_job().unit, matrix=matrix), package="x" * 80
    )
    outcomes = (runs.published(job), runs.failed(error, target="el6", log=str(log_path)))
    for number in range(3):
        record.write(runs.told(number, "release", "--source", "w" * 200), outcomes, settings)
    cut_short = record.write(runs.told(4), outcomes, settings)
    cut_short.write_text(cut_short.read_text()[:700])
    assert looked(page.write(settings.out_path).path, "bad-text", EACH_WIDTH) == {}


def test_neither_a_cut_history_nor_a_page_that_cannot_be_written_changes_how_a_run_ends(released: Checkout):
    (history,) = (released.out / "history").iterdir()
    history.write_bytes(history.read_bytes()[:1000])
    cut = history.read_bytes()

    result = released.run("release")

    assert (result.code, result.document["status"]) == (0, "ok")
    assert f"warning: the report leaves out {history.name}: " in result.stderr
    assert history.name in (released.out / "index.html").read_text(encoding="utf-8")
    assert history.read_bytes() == cut

    (released.out / "index.html").unlink()
    (released.out / "index.html").mkdir()
    result = released.run("release")
    assert (result.code, result.document["status"]) == (0, "ok")
    assert f"warning: no report of this run: {released.out}/index.html is a directory" in result.stderr
    result = released.run("report")
    assert (result.code, result.error_line) == (
        2,
        f"error: {released.out}/index.html is a directory, and the page has that name",
    )
    assert "free space" not in result.stderr


@pytest.mark.parametrize("code", [0, 13])
def test_what_cannot_be_left_behind_at_the_end_changes_nothing_of_how_the_run_ended(released: Checkout, code: int):
    edited = "+        self._sawConnect = True\n" if code else "+        self._sawConnect = False  # as before\n"
    released.edit(PATCH, "+        self._sawConnect = False\n", edited)
    shutil.rmtree(released.out / "history")
    (released.out / "history").touch()
    names = ["artifacts.json", "demo/vdsm/result.json", "index.html", "summary.md"]
    for name in names:
        (released.out / name).unlink()
        (released.out / name).mkdir()

    result = released.run("release")

    assert (result.code, result.document["status"]) == (code, "failed" if code else "ok"), result.stderr
    if code:
        assert result.error_line.startswith("error: demo: unit: ")
        assert "reproduce: " in result.stderr
    else:
        assert result.document["mirror"]["changed"]
        assert "warning: artifacts.json is not written: IsADirectoryError" in result.stderr
    for words in ("demo/vdsm/result.json is not written", "no history of this run", "no report of this run"):
        assert f"warning: {words}: " in result.stderr


def test_on_a_full_disk_each_part_of_what_is_left_behind_is_a_warning(small_disk: Path, progress, told):
    settings = read_settings(Path(__file__).parents[2], out=str(small_disk), environ={})
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    outcomes = (runs.published(runs.good_job()),)
    assert conclusion.conclude(runs.told(), outcomes, settings, progress) is None
    warnings = [line for line in told.getvalue().splitlines() if line.startswith("warning: ")]
    assert [line.partition(": ")[2].partition(":")[0] for line in warnings] == [
        "artifacts.json is not written",
        "demo/vdsm/result.json is not written",
        "no history of this run",
        "no report of this run",
    ]
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["filler"]


def test_without_history_report_names_the_mend_and_a_dry_run_leaves_none(checkout: Checkout, validator_of):
    assert checkout.run("release", "--dry-run").code == 0
    assert not (checkout.out / "history").exists()

    result = checkout.run("report")

    assert result.code == 2
    assert result.error_line.startswith("error: there is no history of a run in ")
    assert "nox -s release" in result.stderr
    validator_of("report").validate(result.document)


def test_clean_makes_the_page_again_so_that_no_link_leads_to_a_log_that_went(released: Checkout, browser):
    path = released.out / "index.html"
    assert "logs/" in path.read_text(encoding="utf-8")
    part = released.out / "history" / ".20260101T000000Z-1.json.abcd1234"
    part.write_text("{")

    result = released.run("clean", "--keep-logs", "0", "--remove")

    assert result.code == 0, result.stderr
    assert not part.exists()
    assert look(browser, path, width=1440, axe=False).dead_links == []
