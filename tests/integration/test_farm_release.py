# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole release by a farm: packages that are built on each other, on two workers, signed and published here once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import family
from tests.family import LIBRARY, PROGRAM, PROTOCOL
from tests.integration.checkout import Result
from tests.integration.farming import Site, processes_naming, site_at

NAMES = (PROTOCOL, LIBRARY, PROGRAM)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_at(tmp_path_factory.mktemp("farm")) as made:
        family.lay(made.checkout.root, names=(PROGRAM, LIBRARY, PROTOCOL), only=True)
        for name in ("one", "two"):
            made.start_worker(name)
        made.wait_for_workers(2)
        yield made


def rows(run: Result, stage: str) -> dict[str, tuple[str, str]]:
    """Package -> result and reason of a stage."""
    return {
        job["package"]: next((row["result"], row["reason"]) for row in job["stages"] if row["stage"] == stage)
        for job in run.document["jobs"]
    }


def test_a_family_is_built_by_workers_and_published_here(site: Site) -> None:
    run = site.checkout.run("release", "--executor", "dask")
    assert run.code == 0, run.stderr
    for stage in ("fetch", "baseline", "build", "unit"):
        assert {result for result, _ in rows(run, stage).values()} == {"ok"}
        assert {why for _, why in rows(run, stage).values()} == {"not done before"}
    done_at = {row["stage"]: row["where"] for job in run.document["jobs"] for row in job["stages"]}
    assert {done_at[stage] for stage in ("fetch", "baseline", "build", "unit")} <= {"one", "two"}
    assert {done_at[stage] for stage in ("reserve", "sign", "gate", "publish")} == {""}
    assert re.search(r"fetch +ok .* not done before, at (one|two)$", run.stderr, re.MULTILINE)
    published = json.loads((site.checkout.out / "artifacts.json").read_text())
    names = Counter(row["nevra"] for row in published)
    assert set(names.values()) == {1}
    assert {nevra.rsplit("-", 2)[0] for nevra in names} >= {PROGRAM, LIBRARY, f"{LIBRARY}-devel"}
    assert run.document["mirror"]["changed"]
    assert not processes_naming("rpmbuild -ba")

    again = site.checkout.run("release", "--executor", "dask")
    assert again.code == 0, again.stderr
    assert {row["result"] for job in again.document["jobs"] for row in job["stages"]} == {"cached"}

    # What the workers made is what this machine would make: nothing is built again without them.
    here = site.checkout.run("release")
    assert here.code == 0, here.stderr
    assert rows(here, "build")[PROGRAM][0] == "cached"


def test_a_red_test_at_a_worker_is_a_failure_here_and_stops_what_needs_it(site: Site) -> None:
    test = site.checkout.root / "tests" / "patched" / LIBRARY / "test_red.py"
    test.write_text(
        "import unittest\n\nPATCH = '0001'\n\n\nclass Red(unittest.TestCase):\n"
        "    def test_red(self):\n        self.fail('always red')\n",
        encoding="utf-8",
    )
    for name in tuple(site.workers):
        site.kill(name)
        site.start_worker(name)
    site.wait_for_workers(4)
    run = site.checkout.run("release", "--executor", "dask", "--keep-going")
    assert run.code == 13, run.stderr
    assert rows(run, "unit")[LIBRARY][0] == "failed"
    assert rows(run, "gate")[PROTOCOL][0] in ("ok", "cached")
    assert rows(run, "build")[PROGRAM] == ("skipped", "it is built on demo/libgreet, which failed")
    assert "always red" in run.stderr
    error = run.document["error"]
    assert Path(error["log"]).is_relative_to(site.checkout.out)
    test.unlink()
