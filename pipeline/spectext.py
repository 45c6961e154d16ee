# SPDX-License-Identifier: GPL-2.0-or-later
"""A spec as text, if rpm and the editing would keep every byte of it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import SrpmError


def read_spec(path: Path) -> str:
    """The text of a spec. Raises: SrpmError for bytes that rpm, or the editing, would not keep."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SrpmError(
            "spec-encoding",
            f"{path.name}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8",
            hint=f"rpm refuses such headers; convert the spec (iconv -f latin1 -t utf-8 {path.name}) and make the "
            "source RPM again with `rpmbuild -bs`",
        ) from None
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise SrpmError(
            "spec-crlf",
            f"{path.name}, line {line}: Windows line ends (CRLF)",
            hint=f"convert the spec (sed -i 's/\\r$//' {path.name}) and make the source RPM again with `rpmbuild -bs`",
        )
    return text
