# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs of the patches' tests must say on each part of a series: red before a patch, green from it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.junit import Case, Suite
from pipeline.model import MatrixRow
from pipeline.series import number_of
from pipeline.testrun import TestRun

# Tests in classes of this name guard what the vendor's code does already: green on every tree.
_KEPT = "Kept"
_SHOWN = 3  # of many names, and their reasons


def matrix(runs: Sequence[TestRun]) -> tuple[MatrixRow, ...]:
    """For each patch that tests name, how many of them are green on each part of the series."""
    first_patch = _first_patches(runs)
    return tuple(
        MatrixRow(
            patch=number,
            tests=sum(each == number for each in first_patch.values()),
            green=tuple(sum(first_patch[name] == number for name in run.outcome.passed) for run in runs),
        )
        for number in sorted(set(first_patch.values()))
    )


def judge(runs: Sequence[TestRun], patches: Sequence[str]) -> str:
    """What is wrong with the runs on 0, 1, 2 … patches, in one sentence and the tests' reasons; empty if nothing is.

    A test that names a patch must be red before it and green from it on; one whose patch is not in
    the series is left out.
    """
    return first_wrong(runs, patches)[1]


def first_wrong(runs: Sequence[TestRun], patches: Sequence[str]) -> tuple[int, str]:
    """What is wrong, and with how many patches it is; with all of them where that does not matter."""
    first_patch = _first_patches(runs)
    wrong = _wrong_tests(first_patch, patches)
    if wrong:
        return len(patches), wrong
    for count, run in enumerate(runs):
        names, words = _wrong_at(count, run, {name: _place(number, patches) for name, number in first_patch.items()})
        if names:
            reasons = [f"  {name}: {run.reasons[name]}" for name in names[:_SHOWN] if name in run.reasons]
            return count, "\n".join(
                [
                    f"{_where(count, patches)} {_counted([_named(name, first_patch) for name in names])} {words}",
                    *reasons,
                ]
            )
    return len(patches), ""


def left_out(runs: Sequence[TestRun], patches: Sequence[str]) -> str:
    """How many tests name patches that the series does not have, in one sentence; empty for none."""
    numbers = [number for number in _first_patches(runs).values() if _place(number, patches) is None]
    if not numbers:
        return ""
    tests = f"{len(numbers)} tests belong" if len(numbers) > 1 else "1 test belongs"
    return f"{tests} to patches that are not in the series ({', '.join(sorted(set(numbers)))})"


def suites(runs: Sequence[TestRun], patches: Sequence[str]) -> tuple[Suite, ...]:
    """Each part of the series as a suite whose tests pass when they are as they must be there, red ones too.

    What is wrong with the tests themselves is a failure of a suite of its own: so one fails if `judge` finds anything.
    """
    first_patch = _first_patches(runs)
    places = {name: _place(number, patches) for name, number in first_patch.items()}
    about = Case(name="Series.every patch has a test that needs it", failure=_wrong_tests(first_patch, patches))
    return (
        Suite(name="the tests themselves", cases=(about,)),
        *(_suite(count, run, places, patches) for count, run in enumerate(runs)),
    )


def _suite(count: int, run: TestRun, places: Mapping[str, int | None], patches: Sequence[str]) -> Suite:
    words = {name: told for names, told in _wrongs_at(count, run, places) for name in names}
    return Suite(
        name=_where(count, patches),
        cases=tuple(
            Case(
                name=name,
                failure=f"{name} {words[name]}" if name in words else "",
                details=run.reasons.get(name, ""),
                skipped="" if place is not None else "it belongs to a patch that is not in the series",
            )
            for name, place in sorted(places.items())
        ),
        properties=(("python", run.python), ("patches", " ".join(patches[:count]))),
    )


def _where(count: int, patches: Sequence[str]) -> str:
    return f"with {count} of {len(patches)} patches" if count else "without the patches"


def _wrong_tests(first_patch: Mapping[str, str], patches: Sequence[str]) -> str:
    """What is wrong with what the tests are for, whatever came out of them."""
    if not first_patch:
        return "there are no tests, so nothing shows that the patches do what they should"
    silent = [name for name, number in first_patch.items() if not number and not name.startswith(_KEPT)]
    if silent:
        return f"{_counted(silent)} name no patch: set PATCH in the class or module, or put them into a Kept… class"
    unknown = [_named(name, first_patch) for name in _unknown(first_patch, patches)]
    if unknown:
        return f"{_counted(unknown)} belong to no patch: the series ends with {max(map(number_of, patches))}"
    places = [_place(number, patches) for number in first_patch.values()]
    unproved = [name for place, name in enumerate(patches, start=1) if place not in places]
    if unproved:
        return f"no test needs {_counted(unproved)}: write one that fails without it, with PATCH set to its number"
    return ""


def _unknown(first_patch: Mapping[str, str], patches: Sequence[str]) -> list[str]:
    """Tests of numbers that do not even join on to the series, as those of patches dropped from its end do."""
    known = max(map(number_of, patches))
    for number in sorted({*first_patch.values()}):
        known = number if number.isdigit() and int(number) == int(known) + 1 else known
    return [name for name, number in first_patch.items() if number > known]


def _wrong_at(count: int, run: TestRun, places: Mapping[str, int | None]) -> tuple[list[str], str]:
    """The first tests that are not as they should be on the first `count` patches, and how."""
    wrong = [(names, words) for names, words in _wrongs_at(count, run, places) if names]
    return (sorted(wrong[0][0]), wrong[0][1]) if wrong else ([], "")


def _wrongs_at(count: int, run: TestRun, places: Mapping[str, int | None]) -> list[tuple[set[str], str]]:
    expected = {name for name, place in places.items() if place is not None and place <= count}
    waiting = {name for name, place in places.items() if place is not None and place > count}
    failed = set(run.outcome.failed)
    passed = set(run.outcome.passed) - failed
    return [
        (expected - passed, "failed"),
        (waiting & passed, "passed as well, so they prove nothing about the patch they name"),
        (waiting - failed - passed, "did not run, so nothing shows that they need the patch they name"),
    ]


def _first_patches(runs: Sequence[TestRun]) -> dict[str, str]:
    return {name: number for run in runs for name, number in run.first_patch.items()}


def _place(number: str, patches: Sequence[str]) -> int | None:
    """How many patches it takes to have this one; 0 for none, `None` for one that the series does not hold."""
    if not number:
        return 0
    return next((place for place, name in enumerate(patches, start=1) if number_of(name) == number), None)


def _named(name: str, first_patch: Mapping[str, str]) -> str:
    return f"{name} (PATCH = '{first_patch[name]}')" if first_patch[name] else name


def _counted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
