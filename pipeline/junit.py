# SPDX-License-Identifier: GPL-2.0-or-later
"""Test results as JUnit XML, which every CI shows. A case is as it must be, or it failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import junitparser

from pipeline.errors import PipelineError
from pipeline.files import write_whole
from pipeline.printable import printable


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test, `Class.test`; `failure` and `skipped` say why in a sentence, `details` are the test's own words."""

    name: str
    failure: str = ""
    skipped: str = ""
    details: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """The cases of one run of the tests, and what is to be known of it."""

    name: str
    cases: tuple[Case, ...]
    properties: tuple[tuple[str, str], ...] = ()


def write(path: Path, suites: Iterable[Suite]) -> None:
    """Write the suites, whatever characters are in them."""
    document = junitparser.JUnitXml(path.stem)
    for suite in suites:
        document.add_testsuite(_suite(suite))
    document.update_statistics()  # type: ignore[no-untyped-call]
    for part in (document, *document, *(case for suite in document for case in suite)):
        # Nobody took the times, and 0 would be one.
        part._elem.attrib.pop("time", None)
    write_whole(path, document.tostring())  # type: ignore[no-untyped-call]


def not_run(name: str, error: PipelineError) -> Suite:
    """What is told of tests that did not run to their end: no CI shall take that for green."""
    return Suite(name=name, cases=(Case(name=f"{name}.tests ran", failure=error.message, details=error.hint),))


def _suite(suite: Suite) -> junitparser.TestSuite:
    made = junitparser.TestSuite(_text(suite.name))
    for key, value in suite.properties:
        made.add_property(key, _text(value))
    for case in suite.cases:
        made.add_testcase(_case(case, suite.name))
    return made


def _case(case: Case, suite_name: str) -> junitparser.TestCase:
    kind, _, test = case.name.rpartition(".")
    # One test runs in several suites: with the suite's name before it, a CI keeps them apart.
    made = junitparser.TestCase(_text(test), classname=_text(f"{suite_name}.{kind}" if kind else suite_name))
    if case.failure:
        failed = junitparser.Failure(_text(case.failure.partition("\n")[0]))
        failed.text = _text("\n".join(part for part in (case.failure, case.details) if part))
        made.result = [failed]
    elif case.skipped:
        made.result = [junitparser.Skipped(_text(case.skipped))]
    return made


def _text(text: str) -> str:
    # XML 1.0 has no way to write most control characters.
    return printable(text, keep="\t\n")
