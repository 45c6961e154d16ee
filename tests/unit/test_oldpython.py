# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series adds must run on an old Python: that it is found, and that what was there before is not judged."""

from __future__ import annotations

import pytest

from pipeline.oldpython import faults

VENDOR = """\
import os


class Vm(object):
    limit = 5

    def plain(self):
        return self.limit

    def only_python_2(self):
        try:
            print 'x'
        except ValueError, e:
            return lambda(x): x
"""


def added(before: str, after: str, text: str = VENDOR) -> list[str]:
    assert before in text
    return list(faults(text, text.replace(before, after), (2, 6)))


@pytest.mark.parametrize(
    "line",
    [
        "return {key: 1 for key in self.limit}",
        "return {1, 2}",
        "return '{}'.format(self.limit)",
        "with self.a as a, self.b as b: return a, b",
        "import argparse",
        "from collections import OrderedDict",
    ],
)
def test_what_python_2_6_does_not_know_is_found_in_a_function(line: str) -> None:
    (fault,) = added("        return self.limit\n", f"        {line}\n")
    assert fault.startswith("line 7: needs Python 2.7, and 2.6 is wanted")


def test_it_is_found_in_a_statement_of_a_class() -> None:
    (fault,) = added("    limit = 5\n", "    limit = 5\n    names = {1, 2}\n")
    assert "needs Python 2.7" in fault


@pytest.mark.parametrize(
    "line",
    [
        "return dict((key, 1) for key in self.limit)",
        "return '%s' % (self.limit,)",
        "with self.a: return '{0}'.format(1)",
        "return b'' if self.limit else None",
    ],
)
def test_what_python_2_6_knows_is_well(line: str) -> None:
    assert added("        return self.limit\n", f"        {line}\n") == []


def test_what_runs_on_python_3_alone_is_found() -> None:
    (fault,) = added("        return self.limit\n", "        return f'{self.limit}'\n")
    assert "runs on no Python 2" in fault


def test_the_vendors_own_python_2_beside_it_is_not_judged() -> None:
    assert added("            print 'x'\n", "            self.limit = 6\n            print 'x'\n") == []


def test_a_line_that_only_python_2_reads_cannot_be_checked_and_is_told() -> None:
    (fault,) = added("            print 'x'\n", "            print 'y'\n            print 'x'\n")
    assert "no Python that can be checked" in fault


def test_an_added_function_is_judged_as_a_whole() -> None:
    function = "    def added(self):\n        one = 1\n\n        return {key: one for key in 'ab'}\n\n"
    (fault,) = added("    def only_python_2", f"{function}    def only_python_2")
    assert "needs Python 2.7" in fault


@pytest.mark.parametrize(
    "lines",
    [
        "    # A comment.\n    names = ('a',)\n\n    def added(self):\n        return {1, 2}\n\n",
        "    def first(self):\n        return 1\n\n    def second(self):\n        return {1, 2}\n\n",
        "    names = {\n        'a': 1,\n    }\n\n    @property\n    def added(self):\n        return {1, 2}\n\n",
    ],
)
def test_every_function_of_a_run_of_added_lines_is_judged(lines: str) -> None:
    (fault,) = added("    def only_python_2", f"{lines}    def only_python_2")
    assert "needs Python 2.7" in fault


def test_a_blank_line_behind_a_function_of_the_vendors_is_no_change_of_it() -> None:
    text = "def vendors():\n    return {1, 2}\n"
    assert list(faults(text, f"{text}\n\ndef added():\n    return 1\n", (2, 6))) == []


def test_a_statement_of_several_lines_is_read_as_one_where_the_run_ends_in_a_function() -> None:
    lines = "    names = {\n        'a': 1,\n    }\n\n    def other(self):\n"
    assert added("    def plain(self):\n", lines) == []


def test_added_branches_beside_the_vendors_own_python_2_are_read_together() -> None:
    lines = "            if self.limit:\n                pass\n            else:\n                self.limit = 1\n"
    assert added("            print 'x'\n", f"{lines}            print 'x'\n") == []


def test_nothing_added_is_nothing_wrong() -> None:
    assert list(faults(VENDOR, VENDOR, (2, 6))) == []
