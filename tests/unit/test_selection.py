# SPDX-License-Identifier: GPL-2.0-or-later
"""A job's id names it on every machine, and only what is named is done."""

from __future__ import annotations

import pytest

from pipeline import selection
from pipeline.errors import UsageError
from pipeline.model import Job
from pipeline.settings import Settings
from pipeline.sourcespec import parse_source

IDS = ("vdsm@demo", "other@demo", "vdsm@el6", "other@el6")


@pytest.fixture
def several(settings: Settings) -> Settings:
    """Two packages for two targets, of which one is done by default."""
    return settings.model_copy(update={"packages": {**settings.packages, "other": settings.packages["vdsm"]}})


def test_every_target_of_the_settings_has_jobs(several):
    assert tuple(job.id for job in selection.known(several)) == IDS


def test_a_job_without_sources_for_a_target_is_none(several):
    vdsm = several.packages["vdsm"]
    other = vdsm.model_copy(update={"sources": {"demo": vdsm.sources["demo"]}})
    known = selection.known(several.model_copy(update={"packages": {"vdsm": vdsm, "other": other}}))
    assert [job.id for job in known] == ["vdsm@demo", "other@demo", "vdsm@el6"]


def test_ids_choose_jobs_once_each_in_the_order_of_the_settings(several):
    chosen = selection.choose(several, (), (), ("other@el6", "vdsm@demo", "other@el6"))
    assert chosen == (Job(package="vdsm", target="demo"), Job(package="other", target="el6"))


def test_without_ids_the_other_flags_choose(several):
    assert [job.id for job in selection.choose(several, (), ("vdsm",), ())] == ["vdsm@demo"]


@pytest.mark.parametrize(
    ("only", "hint"),
    [("vdsm@el7", "did you mean 'vdsm@el6'?"), ("vdsm", "an id is PACKAGE@TARGET"), ("", "an id is PACKAGE@TARGET")],
)
def test_an_unknown_id_is_refused_with_the_nearest(several, only, hint):
    with pytest.raises(UsageError, match=f"there is no job '{only}'") as caught:
        selection.choose(several, (), (), ("vdsm@demo", only))
    assert hint in caught.value.hint


@pytest.mark.parametrize("others", [{"targets": ("demo",)}, {"packages": ("vdsm",)}])
def test_ids_and_other_flags_do_not_go_together(several, others):
    with pytest.raises(UsageError, match="--only names whole jobs"):
        selection.choose(several, others.get("targets", ()), others.get("packages", ()), ("vdsm@demo",))


def test_a_source_is_one_package_s_here_too(several):
    given = several.model_copy(update={"source_override": parse_source("srpm:vdsm.src.rpm")})
    assert len(selection.choose(given, (), (), ("vdsm@demo", "vdsm@el6"))) == 2
    with pytest.raises(UsageError, match="--source is one package's"):
        selection.choose(given, (), (), ("vdsm@demo", "other@demo"))
