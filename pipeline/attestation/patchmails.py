# SPDX-License-Identifier: GPL-2.0-or-later
"""The patches of a source package as one file of mails beside it, which `git am` takes; and what each mail says.

What is read may come from a mirror: it may be cut, changed, or anything at all. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timezone
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from itertools import pairwise

SUFFIX = ".patches"
# Source: git-format-patch(1): the line is the same in every mail, so that file(1) knows it; the digits are a commit's.
_FIRST_LINE = re.compile(rb"^From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\r?\n", re.MULTILINE)
_NO_COMMIT = b"From %s Mon Sep 17 00:00:00 2001\n" % (b"0" * 40)
_TAG = re.compile(r"^\[[^\]]*PATCH[^\]]*\]\s*")
# Where the words end: git's separator, or the diff of a mail without one.
_WORDS_END = re.compile(r"^(---|diff --git .*|--- \S.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """One patch as its mail tells it; `words` say why it is. `day` is `2015-01-31`, empty where no date can be read.

    `digests` are those that its file may have had before it was put with others.
    """

    subject: str
    author: str
    day: str
    words: str
    digests: frozenset[str]


def joined(patches: Iterable[bytes]) -> bytes:
    """All patches as one mailbox; each keeps its bytes, but for a first line or a last line end that it lacks."""
    return b"".join(map(_mail, patches))


def read(mailbox: bytes) -> tuple[Mail, ...]:
    """The mails in it, in order; none for what is no mailbox. What is no mail tells nothing but its digests."""
    starts = [found.start() for found in _FIRST_LINE.finditer(mailbox)]
    return tuple(_read(mailbox[start:end]) for start, end in pairwise([*starts, len(mailbox)]))


def _mail(patch: bytes) -> bytes:
    first = b"" if _FIRST_LINE.match(patch) else _NO_COMMIT
    return first + patch + (b"" if patch.endswith(b"\n") else b"\n")


def _read(mail: bytes) -> Mail:
    try:
        message = message_from_bytes(mail)
        text = _text(message)
    except (ValueError, LookupError, RecursionError):  # mails within mails, two thousand deep
        message, text = Message(), ""
    words = _WORDS_END.split(text.replace("\r\n", "\n"), maxsplit=1)[0]
    name, address = parseaddr(_header(message, "From"))
    return Mail(
        subject=_TAG.sub("", _header(message, "Subject")) or "(no subject)",
        author=name or address or "(nobody)",
        day=_day(_header(message, "Date")),
        words=words.strip(),
        digests=frozenset(_digests(mail)),
    )


def _digests(mail: bytes) -> Iterable[str]:
    for each in (mail, _FIRST_LINE.sub(b"", mail, count=1)):
        yield hashlib.sha256(each).hexdigest()
        yield hashlib.sha256(each.removesuffix(b"\n")).hexdigest()


def _header(message: Message, name: str) -> str:
    """The header's words on one line; as they stand where they are encoded in no way that there is."""
    value = str(message.get(name, ""))
    with suppress(MessageError, ValueError, LookupError):
        value = str(make_header(decode_header(value)))
    return " ".join(value.split())


def _text(message: Message) -> str:
    """The mail's text, or that of its first part."""
    part = next((each for each in message.walk() if not each.is_multipart()), message)
    body = part.get_payload(decode=True)
    if not isinstance(body, bytes):
        return ""
    try:
        return body.decode(part.get_content_charset("utf-8"), errors="replace")
    except (ValueError, LookupError):  # some know no errors="replace"
        return body.decode(errors="replace")


def _day(date: str) -> str:
    try:
        return f"{parsedate_to_datetime(date).astimezone(timezone.utc):%Y-%m-%d}"
    except (ValueError, TypeError, OverflowError):
        return ""
