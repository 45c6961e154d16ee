# SPDX-License-Identifier: GPL-2.0-or-later
"""Rebasing the series onto another tag: what goes over by itself, where a person decides, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.checkout import Checkout
from tests.integration.test_compat import Upstream


@pytest.fixture
def upstream(checkout: Checkout, tmp_path: Path) -> Upstream:
    # The series is made for the first tag: that is the version of the package.
    checkout.edit("pipeline.toml", 'version = "4.16.30"', 'version = "1.0.1"')
    return Upstream(tmp_path / "upstream", checkout)


def series(checkout: Checkout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (checkout.root / "patches/vdsm").iterdir()}


def refresh(checkout: Checkout, *words: str):
    return checkout.run("refresh", *words, json_too=False)


def test_a_series_goes_over_by_itself(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[:0] = ["added", "added"]
    upstream.commit("Add two lines", tag="v1.0.2")
    before = series(checkout)
    objects = upstream.objects()

    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    assert result.code == 0, result.stderr
    assert b"@@ -21,7 +21,7 @@" in series(checkout)["0001-Change-line-20.patch"]
    kept = {path.name: path.read_bytes() for path in (checkout.out / "refresh/vdsm-before").iterdir()}
    assert kept == before
    assert upstream.objects() == objects
    again = checkout.run("compat", "--source", f"git:{upstream.path}", "--tags", "v1.0.2")
    assert again.document["tags"][0]["patches"][0]["state"] == "clean"


def test_a_conflict_stops_is_resolved_and_goes_on(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    before = series(checkout)

    stopped = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    tree = checkout.out / "refresh/vdsm/tree"
    assert stopped.code == 12
    assert "Change line 20 conflicts in service.py" in stopped.stderr
    assert str(tree) in stopped.stderr
    assert series(checkout) == before
    assert refresh(checkout, "--continue").code == 12, "not resolved yet"
    text = (tree / "service.py").read_text()
    head, _, rest = text.partition("<<<<<<<")
    (tree / "service.py").write_text(head + "    patched theirs\n" + rest.partition(">>>>>>>")[2].partition("\n")[2])
    upstream_git = Upstream.git.__get__(type("Tree", (), {"path": tree})())
    upstream_git("add", "service.py")

    done = refresh(checkout, "--continue")

    assert done.code == 0, done.stderr
    assert b"-    theirs\n+    patched theirs\n" in series(checkout)["0001-Change-line-20.patch"]
    assert not tree.exists()


def test_one_under_way_is_not_started_over_and_can_be_given_up(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines[20] = "theirs"
    upstream.commit("Change the same line", tag="v1.0.2")
    before = series(checkout)
    refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    note = checkout.out / "refresh/vdsm/tree/service.py"
    note.write_text("somebody's work")

    again = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")

    assert again.code == 2
    assert "not through" in again.stderr
    assert note.read_text() == "somebody's work"
    assert refresh(checkout, "--abort").code == 0
    assert series(checkout) == before
    assert not (checkout.out / "refresh/vdsm").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--source", "git:{upstream}@v9"], "it has no tag 'v9'"),
        (["--source", "git:/nowhere@v1"], "/nowhere cannot be taken"),
        ([], "needs a tag"),
        (["--continue"], "no refresh of vdsm is under way"),
        (["--abort"], "no refresh of vdsm is under way"),
    ],
)
def test_wrong_words_are_told(words: list[str], told: str, checkout: Checkout, upstream: Upstream) -> None:
    result = refresh(checkout, *(word.format(upstream=upstream.path) for word in words))
    assert result.code == 2, result.stderr
    assert told in result.stderr
    assert not (checkout.out / "refresh" / "vdsm").exists()


def test_a_series_that_does_not_fit_its_own_version_is_told(checkout: Checkout, upstream: Upstream) -> None:
    upstream.lines.append("more")
    upstream.commit("Go on", tag="v1.0.2")
    checkout.edit("patches/vdsm/0001-Change-line-20.patch", "     line 19", "     line nineteen")
    result = refresh(checkout, "--source", f"git:{upstream.path}@v1.0.2")
    assert result.code == 12, result.stderr
    assert "does not apply to v1.0.1" in result.stderr
    assert not (checkout.out / "refresh" / "vdsm").exists()
