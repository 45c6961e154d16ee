# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a mail: git reads them as one text, so that what stands behind the patch would be lost. Pure."""

from __future__ import annotations

import re
from email.message import EmailMessage

_DIFF = re.compile(rb"^(diff --git |--- [^\n]+\n\+\+\+ )", re.MULTILINE)
# Signatures of a mail: they say nothing of the patch.
_SIGNATURES = {"application/pgp-signature", "application/pkcs7-signature"}


def has_diff(text: bytes) -> bool:
    """Whether lines of it begin a diff."""
    return bool(_DIFF.search(text))


def fault(mail: EmailMessage) -> str:
    """Why the mail is more than one patch and the words around it; empty where it is not."""
    try:
        return _fault([part for part in mail.walk() if part.get_content_maintype() != "multipart"])
    except (ValueError, LookupError, AttributeError):  # seen: email's own parser on broken headers
        return "the headers of its parts cannot be read"


def _fault(parts: list[EmailMessage]) -> str:
    patch = next((part for part in parts if has_diff(_content(part))), None)
    for part in parts:
        kind, name = part.get_content_type(), part.get_filename()
        shown = f"({kind}, {name or 'no name'})"
        if kind in _SIGNATURES:
            continue
        if part.get_content_maintype() != "text":
            return f"it has an attachment that is no text {shown}"
        if part is patch:
            continue
        if has_diff(_content(part)):
            return f"it has a second patch as a part of its own {shown}"
        if name or part.is_attachment():
            return f"it has an attachment besides the patch {shown}"
    return ""


def _content(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content.replace(b"\r\n", b"\n") if isinstance(content, bytes) else b""
