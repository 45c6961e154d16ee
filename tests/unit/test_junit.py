# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit XML of unit and contract tests, read back as a CI reads it."""

from __future__ import annotations

import json

import pytest
from junitparser import JUnitXml

from pipeline import judging, junit
from pipeline.errors import UnitError
from pipeline.junit import Case, Suite
from pipeline.stages import contracts
from pipeline.testrun import TestRun, read

TWO = ["0001-a.patch", "0002-b.patch"]
OUTCOMES = {"+": "passed", "-": "failed", "?": "absent"}


def run(words: str, detail: str = "") -> TestRun:
    """What the runner says for words like `A.a:0001-`."""
    tests = [
        {"name": name, "patch": patch, "outcome": OUTCOMES[word[-1]], "detail": detail}
        for word in words.split()
        for name, _, patch in [word[:-1].partition(":")]
    ]
    return read(json.loads(json.dumps({"python": "2.6", "tests": tests})))


def read_back(tmp_path, suites) -> JUnitXml:
    path = tmp_path / "junit" / "unit.xml"
    junit.write(path, suites)
    return JUnitXml.fromfile(str(path))


def failed(xml: JUnitXml) -> list[str]:
    return [f"{case.classname}.{case.name}" for suite in xml for case in suite if case.is_failure or case.is_error]


RIGHT = ["A.a:0001- B.b:0002- Kept.k+ X.x:0003-", "A.a:0001+ B.b:0002- Kept.k+ X.x:0003-",
         "A.a:0001+ B.b:0002+ Kept.k+ X.x:0003-"]  # fmt: skip


def test_red_tests_where_red_is_right_are_no_failures(tmp_path):
    xml = read_back(tmp_path, judging.suites([run(words) for words in RIGHT], TWO))
    assert [suite.name for suite in xml] == [
        "the tests themselves", "without the patches", "with 1 of 2 patches", "with 2 of 2 patches",
    ]  # fmt: skip
    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (13, 0, 0, 3)
    assert " time=" not in (tmp_path / "junit" / "unit.xml").read_text()
    last = list(xml)[-1]
    assert {prop.name: prop.value for prop in last.properties()} == {"python": "2.6", "patches": " ".join(TWO)}
    assert next((case.classname, case.name) for case in last) == ("with 2 of 2 patches.A", "a")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["A.a:0001+ B.b:0002- Kept.k+", *RIGHT[1:]], ["without the patches.A.a"]),  # green without: it proves nothing
        ([RIGHT[0], "A.a:0001- B.b:0002- Kept.k+", RIGHT[2]], ["with 1 of 2 patches.A.a"]),  # red too long
        ([RIGHT[0], RIGHT[1], "A.a:0001+ B.b:0002+ Kept.k-"], ["with 2 of 2 patches.Kept.k"]),
        ([RIGHT[0], RIGHT[1], "A.a:0001+ B.b:0002? Kept.k+"], ["with 2 of 2 patches.B.b"]),
        (["B.b:0002-", *RIGHT[1:]], ["without the patches.A.a", "without the patches.Kept.k"]),  # did not run
        (["A.a:0001-", "A.a:0001+", "A.a:0001+"], ["the tests themselves.Series.every patch has a test that needs it"]),
        (["", "", ""], ["the tests themselves.Series.every patch has a test that needs it"]),
    ],
)
def test_a_case_fails_exactly_where_the_stage_does(tmp_path, words, names):
    runs = [run(each) for each in words]
    assert judging.judge(runs, TWO)
    assert failed(read_back(tmp_path, judging.suites(runs, TWO))) == names


def test_a_failure_says_what_is_wrong_and_the_test_s_own_words(tmp_path):
    runs = [run(RIGHT[0]), run(RIGHT[1]), run("A.a:0001+ B.b:0002- Kept.k+", "AssertionError: 1 != 2")]
    xml = read_back(tmp_path, judging.suites(runs, TWO))
    (result,) = next(case for suite in xml for case in suite if case.is_failure).result
    assert result.message == "B.b failed"
    assert result.text == "B.b failed\nAssertionError: 1 != 2"


def test_contracts_fail_where_they_are_broken_or_not_packaged(tmp_path):
    source, packages = run("Rooms.a+ Rooms.b- Power.a+ Displays.a?"), run("Rooms.a+ Rooms.b+ Power.a? Displays.a?")
    xml = read_back(tmp_path, contracts.suites(source, packages))
    assert failed(xml) == ["the patched source.Rooms.b", "the built packages.Power.a"]
    assert (xml.tests, xml.skipped) == (8, 2)


def test_no_character_breaks_the_document(tmp_path):
    evil = "a\x00\x1b[2J\x0b]]><b>&\ud800\ufffe\x85é\n\tb"
    suite = Suite(name=evil, cases=(Case(name=evil, failure=evil, details=evil), Case(name="c.d", skipped=evil)),
                  properties=(("python", evil),))  # fmt: skip
    xml = read_back(tmp_path, [suite])
    (case, skipped) = next(iter(xml))
    assert "]]><b>&\\xd800\\xfffe\\x85é" in case.result[0].text
    assert "\x1b" not in case.result[0].text
    assert skipped.is_skipped


def test_tests_that_did_not_run_are_red(tmp_path):
    xml = read_back(tmp_path, [junit.not_run("unit", UnitError("unit-run", "no Python", hint="install it"))])
    assert (xml.tests, xml.failures) == (1, 1)
