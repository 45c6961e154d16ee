# SPDX-License-Identifier: GPL-2.0-or-later
"""Inputs: the digest does not depend on their order, and a difference is told so that a person sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs import difference, digest

INPUTS = st.dictionaries(st.text(), st.text(), max_size=5)


@given(inputs=INPUTS)
def test_the_order_makes_no_difference(inputs):
    turned = dict(reversed(inputs.items()))
    assert digest(turned) == digest(inputs)
    assert difference(inputs, turned) == ""


@given(one=INPUTS, other=INPUTS)
def test_two_that_differ_have_two_digests_and_a_difference(one, other):
    assert (digest(one) == digest(other)) == (one == other) == (difference(one, other) == "")


def test_a_digest_is_the_same_on_every_machine():
    assert digest({"b": "ü", "a": ""}) == "6ea2eb855edecb8a79e3acad12e6a1807a4bb829d5e1627f8aeaa24a47b44a9d"


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": "1"}, {"a": "1"}, ""),
        ({"a": "1"}, {"a": "2"}, "a changed from 1 to 2"),
        ({"a": ""}, {"a": "2"}, "a changed from nothing to 2"),
        ({"a": "1"}, {"a": ""}, "a changed from 1 to nothing"),
        ({"a": "1" * 64}, {"a": "2" * 64}, "a changed"),
        ({"a": "missing"}, {"a": "2" * 64}, "a changed"),
        ({"a": "1"}, {}, "a is gone"),
        ({}, {"a": "1"}, "a is new"),
        ({"a": "1", "b": "1", "c": "1"}, {"d": "1", "c": "2", "a": "1"}, "c changed from 1 to 2, d is new, b is gone"),
    ],
)
def test_the_difference_in_words(before, now, told):
    assert difference(before, now) == told
