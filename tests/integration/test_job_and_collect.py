# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs on machines of their own, each with a clone and an out directory, and one more that gathers and publishes."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from pipeline.flow import KEYLESS_STAGES
from pipeline.mirrors import layout
from tests import manypackages
from tests.integration.checkout import ROOT, Checkout, copy_checkout
from tests.integration.conftest import SigningKey
from tests.unit import parcelling

IDS = ("p000@demo", "p001@demo")
KEYLESS = [stage.name for stage in KEYLESS_STAGES]
_AS_SOMEBODY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")

_SITE = """
[targets.site]
sources = "site"
engine = "host"
dist = ".el6"
python = "python3"
nodeps = true
mirror = "local"
macros = {{ rhel = "6" }}

[releases]
remote = "{remote}"

[signing]
key_file = "key/secret.asc"
"""


@dataclass(frozen=True)
class Site:
    """A repository that machines clone, and the mirror that they know of."""

    dir: Path

    @property
    def mirror(self) -> Path:
        return self.dir / "mirror"

    def machine(self, name: str) -> Checkout:
        """A machine with a clone of its own."""
        subprocess.run(["git", "clone", "--quiet", self.dir / "origin", self.dir / name], check=True)
        return Checkout(self.dir / name)

    def packages(self) -> set[str]:
        return {path.name for path in self.mirror.rglob("*.rpm")}

    def states(self) -> int:
        """How many states the mirror ever had: each publish leaves a snapshot."""
        return len(list(self.mirror.glob(f"*/{layout.SNAPSHOTS}/*")))


def _new_site(folder: Path, settings: str = "") -> Site:
    origin = folder / "origin"
    origin.mkdir(parents=True)
    checkout = copy_checkout(origin)
    shutil.copy(ROOT / ".gitignore", origin)
    manypackages.lay(checkout.root, {"p000": (), "p001": ("p000",)}, only=True)
    path = origin / "pipeline.toml"
    path.write_text(path.read_text().replace('"out/mirror"', f'"{folder}/mirror"') + settings)
    return Site(folder)


def _commit(site: Site) -> None:
    git = ["git", "-C", str(site.dir / "origin"), *_AS_SOMEBODY]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "all"], check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = _new_site(tmp_path_factory.mktemp("site"))
    _commit(site)
    return site


@pytest.fixture(scope="module")
def runners(site: Site) -> tuple[Checkout, Checkout]:
    """Two machines that did a job each; the second was given the parcel of the first."""
    one, two = site.machine("one"), site.machine("two")
    first = one.run("job", "--only", IDS[0])
    assert first.code == 0, first.stderr
    second = two.run("job", "--only", IDS[1], "--with", str(one.out / "jobs"))
    assert second.code == 0, second.stderr
    for result, name in ((first, IDS[0]), (second, IDS[1])):
        assert [job["id"] for job in result.document["jobs"]] == [name]
        assert list(result.stages) == KEYLESS
    return one, two


@pytest.fixture
def collector(site: Site, tmp_path: Path) -> Checkout:
    """A machine that has nothing yet, and no mirror that anybody published to."""
    shutil.rmtree(site.mirror, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", site.dir / "origin", tmp_path / "collector"], check=True)
    return Checkout(tmp_path / "collector")


def _jobs_of(*machines: Checkout) -> list[str]:
    return [str(machine.out / "jobs") for machine in machines]


def test_a_plan_has_the_ids_that_only_takes(site, tmp_path):
    machine = site.machine("planner")
    document = machine.run("plan").document
    jsonschema.validate(document, json.loads((ROOT / "schema/run.schema.json").read_text()))
    assert tuple(job["id"] for job in document["jobs"]) == IDS
    assert [job["id"] for job in machine.run("plan", "--only", IDS[1]).document["jobs"]] == [IDS[1]]


def test_jobs_of_two_machines_are_published_once_by_a_third_and_then_nothing_is_left_to_do(site, runners, collector):
    assert not site.packages()  # runners publish nothing

    result = collector.run("collect", *_jobs_of(*runners))

    assert result.code == 0, result.stderr
    assert [job["id"] for job in result.document["jobs"]] == list(IDS)
    for job in result.document["jobs"]:
        done = {row["stage"]: row["result"] for row in job["stages"]}
        assert {done[name] for name in KEYLESS} == {"cached"}, result.stderr
        assert {done[name] for name in done if name not in KEYLESS} == {"ok"}
    assert {f"{name}-1.0-1.demo.ours.1.noarch.rpm" for name in ("p000", "p001")} <= site.packages()
    assert site.states() == 1
    assert result.document["mirror"]["changed"] is True

    again = collector.run("collect", *_jobs_of(*runners))

    assert again.code == 0, again.stderr
    assert {row["result"] for job in again.document["jobs"] for row in job["stages"]} == {"cached"}
    assert again.document["mirror"]["changed"] is False
    assert site.states() == 1


def test_a_dry_run_tells_which_parcels_there_are_and_leaves_none(site, runners, collector):
    result = collector.run("collect", "--dry-run", *_jobs_of(*runners))

    assert result.code == 0, result.stderr
    assert f"demo/p000: {runners[0].out}/jobs/p000@demo.tar" in result.stderr
    assert not collector.out.exists()
    assert not site.packages()


def test_a_job_that_fails_leaves_no_parcel_of_an_earlier_run(site):
    machine = site.machine("failing")
    parcel = machine.out / "jobs/p000@demo.tar"
    parcel.parent.mkdir(parents=True)
    parcel.write_text("of an earlier run")
    machine.edit("tests/patched/p000/test_text.py", "another word", "a third word")

    result = machine.run("job", "--only", IDS[0])

    assert result.code == 13
    assert not parcel.exists()


def _twice(folder: Path, machine: Checkout) -> None:
    """Another parcel of the same job: of a second attempt."""
    shutil.copytree(machine.out / "jobs", folder / "a")
    shutil.copytree(machine.out / "jobs", folder / "b")
    _altered(folder / "b/p000@demo.tar", "attempt", "20260101T000000Z-1")


def _altered(path: Path, name: str, value: str) -> None:
    """Give a parcel another head; its end fits again."""
    parcelling.with_head(path, **{name: value})


def _cut(folder: Path, machine: Checkout) -> None:
    content = (machine.out / "jobs/p000@demo.tar").read_bytes()
    (folder / "p000@demo.tar").write_bytes(content[: len(content) // 2])


def _of_another_version(folder: Path, machine: Checkout) -> None:
    shutil.copy(machine.out / "jobs/p000@demo.tar", folder)
    _altered(folder / "p000@demo.tar", "pipeline", "0" * 64)


def _of_another_package(folder: Path, machine: Checkout) -> None:
    shutil.copy(machine.out / "jobs/p000@demo.tar", folder)
    _altered(folder / "p000@demo.tar", "package", "p999")


BAD = {
    "none": (lambda folder, machine: None, "there is no parcel (*.tar) below"),
    "two of one job": (_twice, "are different parcels of p000@demo"),
    "another version": (_of_another_version, "was made by another version of the pipeline"),
    "another package": (_of_another_package, "is of p999@demo, which pipeline.toml does not have"),
    "damaged": (_cut, "is no parcel that can be taken"),
    "no tar": (lambda folder, machine: (folder / "x.tar").write_text("x"), "is no parcel that can be taken"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_parcel_is_refused_in_one_line_and_nothing_is_left(site, runners, collector, tmp_path, what):
    make, told = BAD[what]
    (tmp_path / "fetched").mkdir()
    make(tmp_path / "fetched", runners[0])

    others = [] if what == "none" else [str(runners[1].out / "jobs")]
    result = collector.run("collect", str(tmp_path / "fetched"), *others)

    assert result.code == 41
    assert not (collector.out / "demo").exists()
    assert told in result.error_line
    assert "Traceback" not in result.stderr


def test_a_parcel_that_does_not_hold_is_told_before_anything_is_signed(site, runners, collector):
    collector.edit("patches/p000/0001-text.patch", "another word", "a third word")

    result = collector.run("collect", *_jobs_of(*runners))

    assert result.code == 41
    assert "p000@demo.tar does not hold here, patch would be done again: patches/p000/0001-text.patch changed" in (
        result.error_line
    )
    assert not (collector.out / "demo/p000/signed").exists()
    assert not site.packages()


def test_a_parcel_without_that_of_what_it_is_built_on_does_not_hold(site, runners, collector):
    result = collector.run("collect", str(runners[1].out / "jobs"))

    assert result.code == 41
    assert "p001@demo is built on p000@demo, which has no parcel here, and was not built here" in result.error_line
    assert not site.packages()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["job"], "job does one job"),
        (["job", "--only", "p0@demo"], "there is no job 'p0@demo' in pipeline.toml"),
        (["plan", "--only", "p000@demo", "--target", "demo"], "--only names whole jobs"),
        (["collect", ".", "--package", "p000"], "collect publishes all that it is given"),
    ],
)
def test_a_wrong_use_is_told(site, collector, words, told):
    result = collector.run(*words)
    assert result.code == 2
    assert told in result.error_line


def test_machines_that_come_and_go_make_the_same_release_and_need_no_key(tmp_path, signing_key: SigningKey):
    """With a remote for the numbers: a second night finds nothing to publish, though all is built anew."""
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "releases.git"], check=True)
    site = _new_site(tmp_path / "site", _SITE.format(remote=tmp_path / "releases.git"))
    srpm = manypackages.source_package(site.dir / "origin", "p000")
    sources = f'site = ["srpm:{srpm}"]'
    text = (site.dir / "origin/pipeline.toml").read_text()
    demo = 'demo = ["demo:tests/demo/p000"]'
    (site.dir / "origin/pipeline.toml").write_text(text.replace(demo, f"{demo}\n{sources}"))
    _commit(site)
    collector = site.machine("collector")
    (collector.root / "key").mkdir()
    shutil.copy(signing_key.secret_path, collector.root / "key/secret.asc")

    for night in ("first", "second"):
        runner = site.machine(night)
        made = runner.run("job", "--only", "p000@site")
        assert made.code == 0, made.stderr
        assert made.document["jobs"][0]["evr"] == "1.0-1.el6.ours.1"
        result = collector.run("collect", *_jobs_of(runner))
        assert result.code == 0, result.stderr
        assert result.document["mirror"]["changed"] is (night == "first")

    assert site.states() == 1
    assert "p000-1.0-1.el6.ours.1.noarch.rpm" in site.packages()
