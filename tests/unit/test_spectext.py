# SPDX-License-Identifier: GPL-2.0-or-later
"""Specs are taken with bytes that rpm keeps, and refused with the line of the first that it would not."""

from __future__ import annotations

import pytest

from pipeline.errors import SrpmError
from pipeline.spectext import read_spec


def test_a_spec_is_read_byte_for_byte(tmp_path):
    path = tmp_path / "vdsm.spec"
    path.write_bytes("Name: vdsm  \n\tSummary: café\x0c\u2028\n\n# no newline at the end".encode())
    assert read_spec(path).encode() == path.read_bytes()


def test_latin_1_bytes_are_told_with_their_line(tmp_path):
    path = tmp_path / "vdsm.spec"
    path.write_bytes(b"Name: vdsm\n\nSummary: caf\xe9\nURL: \xff\n")
    with pytest.raises(SrpmError) as caught:
        read_spec(path)
    assert caught.value.message == "vdsm.spec, line 3: byte 0xe9 is not UTF-8"
    assert "iconv -f latin1 -t utf-8 vdsm.spec" in caught.value.hint
    assert caught.value.exit_code == 40


def test_windows_line_ends_are_told_with_their_line(tmp_path):
    path = tmp_path / "vdsm.spec"
    path.write_bytes(b"Name: vdsm\nSummary: x\r\n")
    with pytest.raises(SrpmError) as caught:
        read_spec(path)
    assert caught.value.message == "vdsm.spec, line 2: Windows line ends (CRLF)"
    assert caught.value.exit_code == 40
