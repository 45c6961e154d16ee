# SPDX-License-Identifier: GPL-2.0-or-later
"""What the reports of two makings amount to, for people and for programs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from pipeline import reproduce
from pipeline.model import Job
from pipeline.reproduce import Report, Twin
from pipeline.rpmcompare import Difference

SCHEMA_DIR = Path(__file__).parents[2] / "schema"
SAME = Twin(nevra="a-1-1.noarch", verdict="identical")
CLOCK = Difference(where="header BUILDTIME", what="1 and 2", of_making=True)
LATER = Twin(nevra="b-1-1.noarch", verdict="same contents", differences=(CLOCK,))
OTHER = Twin(
    nevra="c-1-1.noarch",
    verdict="different",
    differences=tuple(Difference(where=f"/{number}", what="content") for number in range(4)),
)
REPORT = Report(
    job=Job(package="vdsm", target="demo"), evr="1-1", rpm_version="4.18.0", twins=(SAME, SAME), kept="/out/reproduced"
)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    run, own = (
        json.loads((SCHEMA_DIR / f"{name}.schema.json").read_text(encoding="utf-8")) for name in ("run", "reproduce")
    )
    Draft202012Validator.check_schema(own)
    return Draft202012Validator(own, registry=Registry().with_resource(run["$id"], Resource.from_contents(run)))


@pytest.mark.parametrize(
    ("rpm_version", "twins", "good"),
    [
        ("4.18.0", (SAME, SAME), True),
        ("4.16.1.2", (SAME, LATER), False),
        ("4.16", (SAME, LATER), False),
        ("4.15.9", (SAME, LATER), True),
        ("4.8.0", (SAME, LATER), True),
        ("4.8.0", (SAME, OTHER), False),
        ("6.0", (SAME, OTHER), False),
    ],
)
def test_the_same_bytes_are_asked_of_an_rpm_that_can_make_them(validator, rpm_version, twins, good):
    report = replace(REPORT, rpm_version=rpm_version, twins=twins)
    error = reproduce.failure([REPORT, report])
    assert (error is None) == good
    document = reproduce.json_document([REPORT, report])
    assert document["status"] == ("ok" if good else "failed")
    assert list(validator.iter_errors(document)) == []


def test_a_failure_names_package_and_file_and_the_rest_by_number():
    error = reproduce.failure([replace(REPORT, twins=(OTHER, SAME, LATER, OTHER))])
    assert error.message == (
        "built twice, c-1-1.noarch differs in /0: content; /1: content; /2: content and 1 more, and 2 more packages"
    )
    assert error.exit_code == 10
    assert "/out/reproduced" in error.hint


def test_a_failure_for_bytes_alone_says_why_it_is_one():
    error = reproduce.failure([replace(REPORT, twins=(SAME, LATER))])
    assert error.message == (
        "built twice, b-1-1.noarch differs in header BUILDTIME: 1 and 2; rpm 4.18.0 can make the same bytes"
    )


def _worse(document: dict) -> list[dict]:
    """The document with one thing wrong, in each way."""
    wrong = []
    for path, value in (
        (("status",), "ok"),
        (("error",), None),
        (("jobs", 0, "packages", 0, "verdict"), "different"),
        (("jobs", 0, "packages", 1, "differences"), []),
        (("jobs", 0, "packages", 1, "verdict"), "nearly"),
        (("jobs", 0, "more"), 1),
        (("jobs",), []),
    ):
        changed = copy.deepcopy(document)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        wrong.append(changed)
    return wrong


def test_the_schema_lets_nothing_else_through(validator):
    document = reproduce.json_document([replace(REPORT, twins=(SAME, OTHER))])
    assert validator.is_valid(document)
    assert [changed for changed in _worse(document) if validator.is_valid(changed)] == []
