# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs as they end, well and badly, for tests of what is told of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, interrupted
from pipeline.model import (
    AppliedPatch,
    BuildResult,
    Evr,
    File,
    Finding,
    Image,
    Job,
    JobOutcome,
    LintReport,
    MatrixRow,
    Provenance,
    Publication,
    Rpm,
    Srpm,
    StageOutcome,
    UnitOutcome,
    UnitReport,
)
from pipeline.report.record import Told
from pipeline.run import TargetOutcome

# In the past, wherever tests run: a run of the future is told otherwise.
BEGIN = datetime(2025, 11, 21, 3, 0, tzinfo=timezone.utc)
EVR = Evr(version="4.16.30", release="0.demo.label.905")
RED = ("TestA.test_one", "TestA.test_two")
INFORMS = Finding(subject="vdsm", level="I", check="informs", detail="of something")
MEANT = Finding(subject="vdsm-cli", level="W", check="meant", detail="")


def file(name: str) -> File:
    return File(path=Path(name), size_bytes=12_345, sha256="ab" * 32)


def told(number: int = 0, *words: str, last_stage: str = "publish") -> Told:
    """What else is said of the run of that number: each is an hour behind the one before."""
    started = BEGIN + timedelta(hours=number)
    return Told(
        attempt=f"{started:%Y%m%dT%H%M%SZ}-7",
        started=started,
        finished=started + timedelta(seconds=75),
        last_stage=last_stage,
        words=words or ("release",),
        command=" ".join([".venv/bin/nox -s", *(words or ("release",))]),
        reproduce=lambda stage: f".venv/bin/nox -s {stage} -- --target demo",
    )


def rows(*results: str, seconds: float = 2.0, **more: Any) -> tuple[StageOutcome, ...]:
    """Stages that ended so, as in `"build ok"`; `more` is for those that failed."""
    made = []
    for each in results:
        stage, _, result = each.partition(" ")
        extra = more if result == "failed" else {}
        made.append(StageOutcome(stage=stage, result=result, seconds=seconds, **{"reason": "why", **extra}))
    return tuple(made)


def good_job(*results: str, target: str = "demo", package: str = "vdsm", **changes: Any) -> JobOutcome:
    """A job that was built and published."""
    home = f"{target}/{package}"
    rpms = tuple(
        Rpm(file=file(f"{home}/RPMS/{name}.noarch.rpm"), name=name, evr=EVR, arch="noarch") for name in (package, "cli")
    )
    patch = AppliedPatch(
        file=file(f"{home}/tree/series/0001-act.patch"),
        subject="vm: act",
        author="A <a@example.org>",
        state="offset",
        offset_lines=3,
        touched=("vm.py",),
    )
    facts: dict[str, Any] = {
        "job": Job(package=package, target=target),
        "reason": "rebuilding: patches/vdsm/0001-act.patch changed",
        "source": "demo",
        "nevra": f"{package}-{EVR}.src",
        "evr": str(EVR),
        "stages": rows(*(results or ("image cached", "fetch cached", "unit ok", "build ok", "publish ok"))),
        "unit": UnitReport(
            python="3.11",
            pristine=UnitOutcome(passed=("KeptB.test_three",), failed=RED),
            patched=UnitOutcome(passed=("KeptB.test_three", *RED), failed=()),
            matrix=(MatrixRow(patch="0001", tests=2, green=(0, 2)),),
        ),
        "lint": LintReport(findings=(INFORMS, MEANT), inherited_count=40, allowed=(MEANT,)),
        "build": BuildResult(srpm=rpms[0], rpms=rpms[1:], spec=file("s")),
        "patches": (patch,),
        "image": Image(engine="host", reference="Debian GNU/Linux 12", digest="RPM 4.18"),
        "srpm": Srpm(
            file=file("vdsm.src.rpm"),
            name=package,
            evr=Evr(version="4.16.30", release="0.demo"),
            spec=file("vdsm.spec"),
            sources=(),
            origin="demo:tests/demo/vdsm",
            demo=True,
        ),
        "provenance": Provenance(statements=(file(f"{home}/RPMS/vdsm.rpm.intoto.json"),), sboms=()),
    }
    return JobOutcome(**{**facts, **changes})


def published(*jobs: JobOutcome, changed: bool = True) -> TargetOutcome:
    target = jobs[0].job.target
    there = Publication(destination=f"/mirror/{target}", revision=5, repomd_sha256="ab" * 32, changed=changed)
    return TargetOutcome(target=target, jobs=jobs, publication=there)


def failed(
    error: PipelineError, stage: str = "build", *, target: str = "demo", package: str = "vdsm", log: str = ""
) -> TargetOutcome:
    """A target whose one job failed there, with nothing known but its stages."""
    ends = rows("fetch cached", f"{stage} failed", "publish skipped", reason=error.message, hint=error.hint, log=log)
    job = JobOutcome(job=Job(package=package, target=target), stages=ends)
    return TargetOutcome(target=target, jobs=(job,), error=error, failed_stage=stage)


def stopped(stage: str = "build") -> TargetOutcome:
    return failed(interrupted(), stage)
