# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON of records is the same text for the same values, and is read back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import canonical

# Names of files may be no text: then each such byte is half of a character.
TEXTS = st.text() | st.binary(max_size=9).map(lambda content: content.decode(errors="surrogateescape"))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@given(VALUES)
def test_what_is_written_is_read_back(value):
    assert canonical.read(canonical.text_of(value)) == value


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_the_order_of_keys_says_nothing(value):
    assert canonical.text_of(dict(reversed(value.items()))) == canonical.text_of(value)


@given(VALUES)
def test_what_python_s_own_json_wrote_is_read_as_it_would_read_it(value):
    assert canonical.read(json.dumps(value, indent=1).encode()) == value


def test_plain_text_is_what_digests_of_entries_were_always_made_of():
    value = {"b": [1, 2.5, None, True], "a": "word \u00e9 \udce9 \u20ac"}
    assert canonical.text_of(value) == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_whole_numbers_of_any_length_are_read_exactly():
    value = {"number": 20261121221142123457}
    assert canonical.read_exactly(canonical.text_of(value)) == value


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\xff"', b"[1,]", b"{} {}"])
def test_what_is_no_json_is_refused(content):
    with pytest.raises(ValueError):
        canonical.read(content)
