# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases: the number is found again, the next one always rises, and rpm agrees on the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.model import Evr
from pipeline.release import compare, expand, next_number, number_in

LABEL = "spicedisconnectactionsbackport"
WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
NUMBERS = st.integers(min_value=0, max_value=10**9)


def evr(release: str, version: str = "4.16.30", epoch: int = 0) -> Evr:
    return Evr(epoch=epoch, version=version, release=release)


@given(number=NUMBERS, label=WORDS, dist=WORDS, extra=st.sampled_from(["", ".git1a2b", ".1.x"]),
       vendor=st.sampled_from(["0", "46", "2.479", "0.rc1"]), behind=st.sampled_from(["", "_7.1", ".2"]))  # fmt: skip
def test_the_number_that_was_written_is_found_whatever_the_label(number, label, dist, extra, vendor, behind):
    text = f"{vendor}%{{?dist}}{behind}%{{?extra_release}}.{label}.{number}"
    release = expand(text, {"dist": f".{dist}", "extra_release": extra})
    assert number_in(release) == number


@pytest.mark.parametrize(
    "release",
    [
        "0.el6",
        f"0.el6.{LABEL}",
        f"0.el6.{LABEL}.",
        f"0.el6.{LABEL}.x",
        f"0.el6.{LABEL}.904.1",
        f"0.el6.{LABEL}.904x",
        f"0.el6.{LABEL}.904\n",
        f"0.el6.{LABEL}.-4",
        f"0.el6.{LABEL}.٣",
        f"0.el6.{LABEL}_2.904",
        "0.el6.9label.904",
        "0.el6._label.904",
        f".{LABEL}.904",
        f"{LABEL}.904",
        "904",
        ".904",
        "",
    ],
)
def test_a_release_of_anybody_else_has_no_number(release):
    assert number_in(release) is None


@pytest.mark.parametrize(
    ("release", "number"),
    [
        (f"0.el6.{LABEL}.904", 904),
        ("0.el6.other.905", 905),
        ("0.el7.other.906", 906),
        ("0.l.0", 0),
        (f"0.el6.{LABEL}.904.other.7", 7),
    ],
)
def test_a_release_of_any_label_and_target_has_its_number(release, number):
    assert number_in(release) == number


@given(seen=st.lists(NUMBERS), floor=st.integers(min_value=1, max_value=10**9))
def test_the_next_number_is_above_all_seen_and_at_least_the_floor_and_no_higher(seen, floor):
    found = next_number(seen, floor=floor)
    assert found >= floor
    assert all(found > number for number in seen)
    assert found == floor or found - 1 in seen


def test_the_first_number_is_the_floor():
    assert next_number([], floor=904) == 904
    assert next_number([903], floor=904) == 904
    assert next_number([904], floor=904) == 905


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("0%{?dist}%{?extra_release}.label.904", "0.el6.label.904"),
        ("0%{dist}", "0.el6"),
        ("0%dist", "0.el6"),
        ("0%{?none}", "0"),
        ("0.rc1+git_2", "0.rc1+git_2"),
    ],
)
def test_macros_are_expanded_as_rpm_does(text, release):
    assert expand(text, {"dist": ".el6"}) == release


@pytest.mark.parametrize(
    "text", ["0%{none}", "0%none", "0%{?none:x}", "0%(id)", "0%%", "0-1", "0~rc", "0^1", "0 1", ""]
)
def test_what_no_rpm_can_order_is_an_error(text):
    with pytest.raises(SettingsError, match="letters, digits") as caught:
        expand(text, {})
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.el6", "0.el6.label.904"),
        ("0.el6.label.904", "0.el6.label.1000"),
        ("0.el6.foo.9", "0.el6.zoo.1"),
        ("0.el6.label.9", "0.el6.label.10"),
        ("0.demo", "0.demo.label.904"),
    ],
)
def test_rpm_orders_releases_as_we_need(older, newer):
    assert compare(evr(older), evr(newer)) == -1
    assert compare(evr(newer), evr(older)) == 1
    assert compare(evr(newer), evr(newer)) == 0


def test_epoch_weighs_more_than_version_and_version_more_than_release():
    assert compare(evr("9", version="9"), evr("1", version="1", epoch=1)) == -1
    assert compare(evr("9", version="4.16.9"), evr("1", version="4.16.30")) == -1


@given(numbers=st.tuples(NUMBERS, NUMBERS))
def test_rpm_orders_our_releases_by_their_numbers(numbers):
    first, second = (evr(f"0.el6.{LABEL}.{number}") for number in numbers)
    assert compare(first, second) == (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
