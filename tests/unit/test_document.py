# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON documents are what the schema says, and the schema lets nothing else through."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pipeline import document, errors, flow
from pipeline.model import (
    AppliedPatch,
    BuildResult,
    ContractReport,
    Evr,
    File,
    Finding,
    Job,
    JobOutcome,
    LintReport,
    MatrixRow,
    Publication,
    Rpm,
    StageOutcome,
    UnitOutcome,
    UnitReport,
)
from pipeline.run import TargetOutcome

EVR = Evr(version="4.16.30", release="0.demo.label.904")


def file(name: str) -> File:
    return File(path=Path(name), size_bytes=7, sha256="ab" * 32)


def rpm(name: str, arch: str) -> Rpm:
    return Rpm(file=file(f"demo/vdsm/RPMS/{name}.{arch}.rpm"), name=name, evr=EVR, arch=arch)


JOB = JobOutcome(
    job=Job(package="vdsm", target="demo"),
    source="demo:tests/demo/vdsm",
    nevra="vdsm-4.16.30-0.demo.label.904.src",
    evr=str(EVR),
    stages=tuple(
        StageOutcome(stage=name, result="ok", seconds=0.12345, reason="not done before", log=f"/out/logs/{name}.log")
        for name in flow.STAGES
    ),
    unit=UnitReport(
        python="3.11", pristine=UnitOutcome(passed=("KeptA.b",), failed=("C.d", "C.e")),
        patched=UnitOutcome(passed=("KeptA.b", "C.d", "C.e"), failed=()),
        matrix=(MatrixRow(patch="", tests=1, green=(1, 1, 1)), MatrixRow(patch="0001", tests=2, green=(0, 1, 2))),
    ),
    contracts=ContractReport(kept=("Rooms.a", "Rooms.b", "Rooms.c"), absent=("Displays.a",)),
    lint=LintReport(
        findings=(Finding(subject="vdsm.spec", level="I", check="x", detail=""),), inherited_count=40, allowed=()
    ),
    build=BuildResult(srpm=rpm("vdsm", "src"), rpms=(rpm("vdsm", "x86_64"), rpm("vdsm-cli", "noarch")), spec=file("s")),
    patches=(
        AppliedPatch(file=file("demo/vdsm/tree/series/0001-a.patch"), subject="vm: act", author="A <a@b>",
                     state="offset", offset_lines=3, touched=("vm.py",)),
    ),
)  # fmt: skip
PUBLICATION = Publication(destination="/out/mirror/demo", revision=5, repomd_sha256="ab" * 32, changed=True)
OK = TargetOutcome(target="demo", jobs=(JOB,), publication=PUBLICATION)
ERROR = errors.BuildError("rpmbuild-failed", "it broke", hint="mend it", log_path=Path("/out/logs/build.log"))
FAILED = TargetOutcome(
    target="demo",
    jobs=(
        JobOutcome(
            job=JOB.job,
            stages=(
                StageOutcome(stage="fetch", result="cached"),
                StageOutcome(stage="patch", result="failed", reason="it broke"),
                StageOutcome(stage="render", result="skipped", reason="patch failed"),
            ),
        ),
    ),
    error=ERROR,
    failed_stage="patch",
)
PLANNED = replace(JOB, stages=(StageOutcome(stage="image", result="run", reason="not done before"),))


@pytest.fixture
def schema(root_dir) -> dict:
    return json.loads((root_dir / "schema" / "run.schema.json").read_text())


@pytest.fixture
def validator(schema) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture
def ok_document(settings) -> dict:
    return document.run_document([OK], settings)


def every_object(part: object):
    """Every schema of an object, at any depth."""
    if isinstance(part, dict):
        if part.get("type") == "object" and "properties" in part:
            yield part
        for value in part.values():
            yield from every_object(value)
    elif isinstance(part, list):
        for value in part:
            yield from every_object(value)


def test_a_document_of_a_good_run_is_valid(validator, ok_document):
    validator.validate(ok_document)
    assert ok_document["status"] == "ok"
    assert ok_document["error"] is None
    (job,) = ok_document["jobs"]
    assert job["unit"] == {
        "pristine": {"passed": 1, "failed": 2},
        "patched": {"passed": 3, "failed": 0},
        "matrix": [
            {"patch": "", "tests": 1, "green": [1, 1, 1]},
            {"patch": "0001", "tests": 2, "green": [0, 1, 2]},
        ],
    }
    assert job["contracts"] == {"kept": 3, "absent": 1}
    assert job["lint"] == {"new": 1, "inherited": 40}
    assert job["patches"] == [{"file": "0001-a.patch", "subject": "vm: act", "state": "offset", "offset": 3}]
    assert job["stages"][0] == {
        "stage": "image", "result": "ok", "seconds": 0.123, "reason": "not done before", "where": "",
        "log": "/out/logs/image.log",
    }  # fmt: skip
    assert [artifact["nevra"] for artifact in ok_document["artifacts"]] == [
        f"vdsm-{EVR}.src", f"vdsm-{EVR}.x86_64", f"vdsm-cli-{EVR}.noarch"
    ]  # fmt: skip
    assert ok_document["mirror"]["repositories"] == [
        {"target": "demo", "destination": "/out/mirror/demo", "revision": 5, "changed": True}
    ]


def test_a_document_of_a_failed_run_is_valid_and_has_the_first_error(validator, settings):
    second = replace(OK, target="el6")
    failed = document.run_document([FAILED, second], settings)
    validator.validate(failed)
    assert failed["status"] == "failed"
    assert failed["error"] == {
        "reference": "rpmbuild-failed", "message": "it broke", "hint": "mend it", "log": "/out/logs/build.log",
        "exit_code": 10,
    }  # fmt: skip
    assert failed["mirror"]["repositories"][0]["target"] == "el6"
    assert (failed["jobs"][0]["unit"], failed["jobs"][0]["contracts"], failed["jobs"][0]["lint"]) == (None, None, None)


def test_a_document_of_a_plan_is_valid(validator):
    plan = document.plan_document([PLANNED])
    validator.validate(plan)
    assert (plan["status"], plan["artifacts"], plan["mirror"], plan["error"]) == ("ok", [], None, None)


def error_classes(base: type[errors.PipelineError] = errors.PipelineError) -> list[type[errors.PipelineError]]:
    """Every kind of error, whatever modules are loaded: a room may have one of a kind that tells it more."""
    kinds = (child for child in base.__subclasses__() if child.__module__ == errors.__name__)
    return [base, *(found for child in kinds for found in error_classes(child))]


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda error_class: error_class.__name__)
def test_a_document_of_every_kind_of_error_is_valid(validator, error_class):
    more = {"command_exit_code": 1} if error_class is errors.CommandFailed else {}
    error = error_class("a-reference", "what", hint="mend", **more)
    failed = document.failed_document(error)
    validator.validate(failed)
    assert failed["error"]["exit_code"] == error_class.exit_code


def test_every_exit_code_of_the_schema_is_an_error_s_own(schema):
    codes = {error_class.exit_code for error_class in error_classes()}
    assert set(schema["$defs"]["error"]["properties"]["exit_code"]["enum"]) == codes


def test_the_schema_knows_exactly_the_stages_of_the_flow(schema):
    assert schema["$defs"]["stage"]["properties"]["stage"]["enum"] == list(flow.STAGES)


def test_the_schema_is_strict_everywhere(schema):
    found = list(every_object(schema))
    assert len(found) >= 10
    for part in found:
        assert part["additionalProperties"] is False
        assert sorted(part["required"]) == sorted(part["properties"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.update(more=1),
        lambda text: text.pop("mirror"),
        lambda text: text.update(status="failed"),
        lambda text: text.update(error={"reference": "a", "message": "b", "hint": "", "log": "", "exit_code": 10}),
        lambda text: text["jobs"][0].update(more=1),
        lambda text: text["jobs"][0].pop("evr"),
        lambda text: text["jobs"][0]["stages"][0].update(result="done"),
        lambda text: text["jobs"][0]["stages"][0].update(stage="bake"),
        lambda text: text["jobs"][0]["stages"][0].update(seconds=-1),
        lambda text: text["jobs"][0]["unit"]["pristine"].update(passed=-1),
        lambda text: text["jobs"][0]["unit"].pop("patched"),
        lambda text: text["jobs"][0]["unit"].pop("matrix"),
        lambda text: text["jobs"][0]["unit"].update(matrix=None),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].pop("patch"),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].update(patch=None),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].update(tests=-1),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].update(green=[0]),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].update(green=[0, "1"]),
        lambda text: text["jobs"][0]["unit"]["matrix"][0].update(red=[1, 0]),
        lambda text: text["jobs"][0].pop("contracts"),
        lambda text: text["jobs"][0]["contracts"].update(kept=-1),
        lambda text: text["jobs"][0]["contracts"].pop("absent"),
        lambda text: text["jobs"][0]["contracts"].update(broken=0),
        lambda text: text["jobs"][0]["lint"].update(new="1"),
        lambda text: text["jobs"][0]["patches"][0].update(state="fuzz"),
        lambda text: text["artifacts"][0].update(sha256="ab"),
        lambda text: text["artifacts"][0].update(path="/absolute.rpm"),
        lambda text: text["mirror"].update(changed=None),
        lambda text: text["mirror"].update(repositories=[]),
    ],
)
def test_the_schema_refuses_what_is_no_such_document(validator, ok_document, spoil):
    spoilt = copy.deepcopy(ok_document)
    spoil(spoilt)
    assert not validator.is_valid(spoilt)


def test_an_error_with_an_unknown_exit_code_is_refused(validator):
    failed = document.failed_document(ERROR)
    assert validator.is_valid(failed)
    failed["error"]["exit_code"] = 99
    assert not validator.is_valid(failed)


def test_a_publication_that_was_there_already_is_not_changed(settings):
    cached = replace(JOB, stages=(StageOutcome(stage="publish", result="cached"),))
    told = document.run_document([replace(OK, jobs=(cached,))], settings)
    assert told["mirror"]["changed"] is False


def test_the_results_are_written_beside_the_packages(settings):
    document.write_results([OK], settings)
    result = json.loads((settings.out_path / "demo/vdsm/result.json").read_text())
    assert result["evr"] == str(EVR)
    assert result["error"] is None
    assert result["artifacts"] == json.loads((settings.out_path / "artifacts.json").read_text())


def read_artifacts(settings) -> list[str]:
    return [Path(row["path"]).name for row in json.loads((settings.out_path / "artifacts.json").read_text())]


def other_target() -> TargetOutcome:
    """A run for el6 that built one package."""
    el6_rpm = replace(rpm("vdsm", "src"), file=file("el6/vdsm/SRPMS/el6.src.rpm"))
    build = BuildResult(srpm=el6_rpm, rpms=(), spec=file("s"))
    return TargetOutcome(target="el6", jobs=(replace(JOB, job=Job(package="vdsm", target="el6"), build=build),))


OURS = ["vdsm.src.rpm", "vdsm.x86_64.rpm", "vdsm-cli.noarch.rpm"]


def test_the_artifacts_of_other_jobs_stay_and_the_job_s_own_are_replaced(settings):
    document.write_results([OK], settings)
    document.write_results([other_target()], settings)
    assert read_artifacts(settings) == [*OURS, "el6.src.rpm"]
    smaller = replace(JOB, build=replace(JOB.build, rpms=()))
    document.write_results([replace(OK, jobs=(smaller,))], settings)
    assert read_artifacts(settings) == ["el6.src.rpm", OURS[0]]


def test_a_package_whose_name_begins_alike_keeps_its_artifacts(settings):
    jsonrpc = replace(
        JOB,
        job=Job(package="vdsm-more", target="demo"),
        build=BuildResult(
            srpm=replace(rpm("vdsm", "src"), file=file("demo/vdsm-more/SRPMS/m.src.rpm")), rpms=(), spec=file("s")
        ),
    )
    document.write_results([replace(OK, jobs=(jsonrpc,))], settings)
    document.write_results([OK], settings)
    assert read_artifacts(settings) == ["m.src.rpm", *OURS]


def test_a_run_that_built_nothing_leaves_the_artifacts_as_they_are(settings):
    document.write_results([FAILED], settings)
    assert not (settings.out_path / "artifacts.json").exists()
    document.write_results([OK], settings)
    document.write_results([FAILED], settings)
    assert read_artifacts(settings) == OURS


@pytest.mark.parametrize("content", ["", "{", "{}", "null", "5", '[1, null, "x"]', b"\xff\xfe"])
def test_artifacts_that_nobody_can_read_are_written_anew(settings, content):
    settings.out_path.mkdir(parents=True)
    data = content if isinstance(content, bytes) else content.encode()
    (settings.out_path / "artifacts.json").write_bytes(data)
    document.write_results([OK], settings)
    assert read_artifacts(settings) == OURS


def test_the_result_of_a_failed_job_has_the_error_and_its_exit_code(settings):
    document.write_results([FAILED], settings)
    assert json.loads((settings.out_path / "demo/vdsm/result.json").read_text())["error"]["exit_code"] == 10
