# SPDX-License-Identifier: GPL-2.0-or-later
"""`check`, for what nobody agreed to yet: it asks nothing of the world, and a release goes on behind it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.integration.checkout import Checkout
from tests.integration.test_bad_input import make_srpm
from tests.reserving import git, tags_on
from tests.signing import homes

PATCH = "patches/vdsm/0006-vm-lock-at-most-when-a-client-was-not-seen-to-connec.patch"
COMMENT = "+    # Whether a client was seen"
FIRST = "vdsm/demo/4.16.30-0.el6.spicedisconnectactionsbackport.904"


def with_world(checkout: Checkout, remote: str, key_file: str, mirror: str) -> Checkout:
    """A checkout whose settings name a world: release numbers, a key, and a mirror elsewhere."""
    path = checkout.root / "pipeline.toml"
    text = path.read_text().replace('dist = ".demo"', 'dist = ".el6"')
    text = text.replace('destination = "out/mirror"', f'destination = "{mirror}"')
    path.write_text(f'{text}\n[releases]\nremote = "{remote}"\n[signing]\nkey_file = "{key_file}"\n')
    return checkout


def real(checkout: Checkout) -> list[str]:
    """What makes the demo's source one that counts as no demo."""
    source = checkout.root / "vdsm.src.rpm"
    if not source.exists():
        shutil.copy(make_srpm(checkout, lambda spec: spec, "dist .el6", "_source_payload w9.gzdio"), source)
    return ["--source", f"srpm:{source}", "--allow-dirty"]


@pytest.fixture
def world(checkout: Checkout, tmp_path: Path) -> Checkout:
    remote, key_path = tmp_path / "releases.git", tmp_path / "key.asc"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    for home in homes():
        home.secret(key_path, home.make("rsa2048"))
    return with_world(checkout, str(remote), str(key_path), str(tmp_path / "mirror"))


def number(result) -> str:
    assert result.code == 0, result.stderr
    return result.document["jobs"][0]["evr"].rpartition(".")[2]


def test_nothing_of_the_world_is_asked(checkout):
    words = real(checkout)
    with_world(checkout, "ssh://nobody@127.0.0.1:1/x.git", "/nowhere/key.asc", "nobody@127.0.0.1:/nowhere")
    assert checkout.run("release", *words).code == 17
    result = checkout.run("check", *words)
    assert number(result) == "904"
    assert (list(result.stages)[-1], set(result.stages.values())) == ("verify", {"ok"})
    assert result.document["mirror"] is None
    again = checkout.run("check", *words)
    assert set(again.stages.values()) == {"cached"}
    planned = checkout.run("check", "--dry-run", *words)
    assert set(planned.stages.values()) == {"cached"} and "would be refused" not in planned.stderr
    assert "nothing to remove" in checkout.run("clean", json_too=False).stderr


def test_a_mirror_is_refused(checkout):
    result = checkout.run("check", "--mirror", "local")
    assert (result.code, result.error_line) == (2, "error: check publishes nothing, so it takes no --mirror")


def test_a_release_goes_on_behind_it(world, tmp_path):
    words, remote, mirror = real(world), tmp_path / "releases.git", tmp_path / "mirror" / "demo"
    assert number(world.run("check", *words)) == "904"
    assert tags_on(remote) == [] and not mirror.exists()

    released = world.run("release", *words)
    assert number(released) == "904"
    assert tags_on(remote) == [f"release/{FIRST}"]
    stands = (mirror / "repodata/repomd.xml").read_bytes()

    checked = world.run("check", *words)
    assert number(checked) == "904"
    assert set(world.run("check", *words).stages.values()) == {"cached"}
    again = world.run("release", *words)
    assert number(again) == "904"
    assert again.document["mirror"]["changed"] is False
    assert (mirror / "repodata/repomd.xml").read_bytes() == stands

    world.edit(PATCH, COMMENT, COMMENT.replace("a client", "any client"))
    assert number(world.run("check", *words)) == "905"
    assert tags_on(remote) == [f"release/{FIRST}"]
    assert number(world.run("release", *words)) == "905"


def test_a_number_that_somebody_else_has_meanwhile_is_no_obstacle(world, tmp_path):
    words, remote = real(world), tmp_path / "releases.git"
    assert number(world.run("check", *words)) == "904"
    tree = git(remote, "hash-object", "-w", "-t", "tree", "/dev/null")
    git(remote, "tag", f"release/{FIRST}", git(remote, "commit-tree", "-m", "somebody's", tree))
    released = world.run("release", *words)
    assert number(released) == "905"
    assert released.document["mirror"]["changed"] is True
    assert number(world.run("check", *words)) == "905"


def cases(checkout: Checkout) -> dict[str, str]:
    """For each file of results its first failure, as a CI would show it."""
    found = {}
    for path in sorted((checkout.job / "junit").glob("*")):
        failures = [case.result[0].message for suite in JUnitXml.fromfile(str(path)) for case in suite if case.result]
        found[path.name] = next((words for words in failures if words), "")
    return found


def test_no_result_of_an_earlier_run_is_shown_behind_a_failure(released):
    green = {path.name: path.read_bytes() for path in (released.job / "junit").iterdir()}
    assert set(green) == {"unit.xml", "contracts.xml"}
    path = released.root / PATCH
    whole = path.read_text()
    released.edit(PATCH, "\n ", "\n x")
    failed = released.run("check", json_too=False)
    assert failed.code == 12
    assert cases(released) == {"contracts.xml": "not run: patch failed", "unit.xml": "not run: patch failed"}
    log = re.search(r"last \d+ lines of (\S+/patch\.log):", failed.stderr)
    assert log and Path(log[1]).is_file()

    assert released.run("check").code == 12  # twice: what lies aside is still that of the release
    path.write_text(whole)
    planned = released.run("plan")
    assert set(planned.stages.values()) == {"cached"}, planned.stdout
    assert cases(released)["unit.xml"] == "not run: patch failed"  # a plan moves nothing
    mended = released.run("check")
    assert (mended.stages["unit"], mended.stages["contracts"]) == ("cached", "cached")
    assert {path.name: path.read_bytes() for path in (released.job / "junit").iterdir()} == green


def test_a_failed_test_leaves_no_green_contracts(released):
    path = released.root / "tests/patched/vdsm/test_more.py"
    path.write_text("import unittest\n\nclass KeptX(unittest.TestCase):\n    def test_it(self):\n        self.fail()\n")
    failed = released.run("check", "--jobs", "1", json_too=False)
    assert failed.code == 13
    shown = cases(released)
    assert "KeptX.test_it failed" in shown["unit.xml"]
    assert shown["contracts.xml"] == "not run: unit failed"
    assert "reproduce: .venv/bin/nox -s unit" in failed.stderr


def test_a_run_that_is_refused_shows_none_either(released):
    text = (released.root / "pipeline.toml").read_text()
    (released.root / "pipeline.toml").write_text(f'{text}\n[signing]\nkey_file = "/nowhere/key.asc"\n')
    assert released.run("release").code == 17
    assert all(words.startswith("not run: ") for words in cases(released).values())
    assert len(cases(released)) == 2
    assert released.run("check").stages["unit"] == "cached"


def test_what_fails_is_reproduced_by_check_where_more_would_ask_the_world(released):
    released.edit("specs/vdsm/vdsm.spec.j2", "Release:", "Relaese:")
    failed = released.run("check", json_too=False)
    assert failed.code != 0
    assert re.search(r"reproduce: \.venv/bin/nox -s check$", failed.stderr, re.MULTILINE)
