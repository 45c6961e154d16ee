# SPDX-License-Identifier: GPL-2.0-or-later
"""The mails of an mbox: which of them are patches, and what git reads from these.

`git mailsplit` and `git mailinfo` know encodings, charsets and mboxes; the tag in the subject they drop is read here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import formataddr, parsedate_to_datetime
from pathlib import Path

from pipeline import localgit
from pipeline.errors import PatchError, UsageError
from pipeline.importing import diffs, parts

# What stands before a subject: [PATCH spice-gtk v2 07/22], or [PATCH v2 07/22] [spice-gtk].
_BRACKETS = re.compile(r"\s*\[([^\]]*)\]\s*")
_NUMBER = re.compile(r"(\d{1,6})/(\d{1,6})")
_VERSION = re.compile(r"[vV](\d{1,4})")
_PLAIN_WORDS = {"patch", "rfc", "resend"}
# [PATCHv2], [PATCH-v2] and [RFC/PATCH] are written as well.
_GLUED = re.compile(r"\b(?:(rfc)[/-])?(patch)(?:-?(v\d{1,4}))?\b", re.IGNORECASE)
_MAX_BYTES = 200_000_000
# A clock may be behind by this much; `reserve` grants the same.
_DAY_SECONDS = 24 * 60 * 60
# What git calls that which it read of a mail, and the header that it is in.
_HEADERS = {"Author": "From", "Email": "From", "Subject": "Subject", "Date": "Date"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A mail as its subject tells of it: `number` of `total` in the whole series; a patch sent alone is 1 of 1.

    `repositories` are the words of its tag that say where it belongs. What has no tag of a patch has the version 0.
    """

    path: Path
    subject: str
    number: int = 0
    total: int = 0
    version: int = 0
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchMail:
    """One mail that bears a patch. The `diff` begins with the line `---`; `sender` is author and address, encoded."""

    envelope: Envelope
    subject: str
    author: str
    sender: str
    date: str
    message_id: str
    message: str
    diff: bytes

    @property
    def place(self) -> str:
        """Where it is in the series, as people say it."""
        return f"{self.envelope.number}/{self.envelope.total}"


def envelopes(path: Path, scratch_dir: Path) -> tuple[Envelope, ...]:
    """The mails of an mbox, in no order. Raises: UsageError for what is no mbox."""
    _refuse_unreadable(path)
    mails_dir = scratch_dir / "mails"
    mails_dir.mkdir(parents=True)
    code, told = localgit.run(
        scratch_dir, "mailsplit", f"-o{mails_dir}", "-d6", "-b", "--mboxrd", "--", str(path.absolute())
    )
    if code != 0:
        raise _no_mbox(path, _complaint(told))
    return tuple(_envelope(each) for each in sorted(mails_dir.iterdir()))


def read(envelope: Envelope) -> PatchMail | None:
    """The patch that a mail bears; `None` for one without. Raises: PatchError for one that cannot be taken."""
    path = envelope.path
    message_path, diff_path = path.with_suffix(".msg"), path.with_suffix(".diff")
    code, told = localgit.run(path.parent, "mailinfo", str(message_path), str(diff_path), stdin_path=path)
    if code != 0:
        raise _untaken(envelope, f"git cannot read it: {_complaint(told)}")
    diff = diff_path.read_bytes()
    if not parts.has_diff(diff):
        return None
    mail, kept = _mail(path), diffs.without_signature(diff)
    _refuse_more(mail, diff[len(kept) :], envelope)
    info = dict(line.partition(": ")[::2] for line in told.splitlines() if ": " in line)
    _refuse_letters(info, envelope)
    return PatchMail(
        envelope=envelope,
        subject=info.get("Subject", ""),
        author=info.get("Author", "") or info.get("Email", ""),
        sender=_sender(info.get("Author", ""), info.get("Email", ""), envelope),
        date=_date(info.get("Date", ""), envelope),
        message_id=" ".join(_text(mail, "Message-Id").split()),
        message=_message(message_path, envelope),
        diff=kept,
    )


def _refuse_unreadable(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(5)
    except OSError as error:
        raise UsageError("no-mbox", f"{path} cannot be read: {error.strerror}", hint="name an mbox file") from None
    if size > _MAX_BYTES:
        raise UsageError(
            "mbox-size", f"{path} has {size / 1e6:.0f} MB: that is no patch series", hint="export one thread"
        )
    if start != b"From ":
        raise _no_mbox(path, "it does not begin with 'From '")


def _no_mbox(path: Path, why: str) -> UsageError:
    return UsageError(
        "no-mbox",
        f"{path} is no mbox: {why}",
        hint="export the thread as an mbox, or make one: `git format-patch --stdout BASE.. > FILE.mbox`",
    )


def _mail(path: Path) -> EmailMessage:
    return BytesParser(policy=policy.default).parsebytes(path.read_bytes().partition(b"\n")[2])


def _envelope(path: Path) -> Envelope:
    """What the brackets of a subject say. A patch that a reply quotes, or proposes, is not of the series."""
    subject = " ".join(_text(_mail(path), "Subject").split())
    words: list[str] = []
    rest = subject
    while match := _BRACKETS.match(rest):
        words += _GLUED.sub(lambda glued: " ".join(filter(None, glued.groups())), match[1]).split()
        rest = rest[match.end() :]
    if "patch" not in (word.lower() for word in words):
        return Envelope(path=path, subject=subject)
    found = Envelope(path=path, subject=subject, number=1, total=1, version=1)
    for word in words:
        if numbers := _NUMBER.fullmatch(word):
            found = replace(found, number=int(numbers[1]), total=int(numbers[2]))
        elif versioned := _VERSION.fullmatch(word):
            found = replace(found, version=int(versioned[1]))
        elif word.lower() not in _PLAIN_WORDS:
            found = replace(found, repositories=(*found.repositories, word))
    return found


def _refuse_more(mail: EmailMessage, rest: bytes, envelope: Envelope) -> None:
    """Raises: PatchError for a mail of which something would be left out; `rest` is behind its patch."""
    why = parts.fault(mail)
    if not why and parts.has_diff(rest):
        why = "it has a second patch behind its signature, the line '-- '"
    if why:
        raise _untaken(envelope, why, hint="nothing was written; a mail bears one patch: leave that alone in it")


def _refuse_letters(info: Mapping[str, str], envelope: Envelope) -> None:
    """Raises: PatchError for headers that git could not tell the letters of: nobody says what they are."""
    for key, header in _HEADERS.items():
        if "\ufffd" in info.get(key, ""):
            raise _not_utf8(f"its {header} line", envelope)


def _message(path: Path, envelope: Envelope) -> str:
    """What the patch is for. git has made UTF-8 of it where the mail names its charset. Raises: PatchError."""
    try:
        return path.read_bytes().decode("utf-8").strip("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _not_utf8(f"line {line} of its text", envelope) from None


def _not_utf8(place: str, envelope: Envelope) -> PatchError:
    return _untaken(
        envelope,
        f"{place} is not UTF-8, and nothing in the mail says what else it is",
        hint="nothing was written; write these letters in UTF-8 in the mbox, and leave the lines of the diff alone",
    )


def _sender(author: str, address: str, envelope: Envelope) -> str:
    """What a patch file's From line says. Raises: PatchError."""
    try:
        return formataddr((author, address))
    except UnicodeError:
        raise _untaken(envelope, f"its author's address '{address}' is none") from None


def _date(text: str, envelope: Envelope) -> str:
    """When it was written, which the release's date comes from. Raises: PatchError."""
    try:
        seconds = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        raise _untaken(envelope, f"its date '{text}' is none") from None
    if seconds > time.time() + _DAY_SECONDS:
        raise _untaken(
            envelope,
            f"its date '{text}' is still to come",
            hint="correct the Date line in the mbox, or set the clock: packages bear the time of the newest patch",
        )
    return text


def _text(mail: EmailMessage, name: str) -> str:
    """A header's text; broken encodings in it are shown, not fatal."""
    try:
        return str(mail[name] or "")
    except (ValueError, LookupError, IndexError, AttributeError):  # seen: email's own parser on broken headers
        return next(_raw(mail, name), "")


def _raw(mail: EmailMessage, name: str) -> Iterator[str]:
    return (str(value) for key, value in mail.raw_items() if key.lower() == name.lower())


def _complaint(told: str) -> str:
    """git's last complaint: what it had read until then stands before it."""
    found = re.findall(r"^(?:error|fatal): (.+)", told, re.MULTILINE)
    return found[-1] if found else " ".join(told.split()[:12]) or "it said nothing"


def _untaken(envelope: Envelope, why: str, *, hint: str = "") -> PatchError:
    return PatchError(
        "mail-untaken",
        f"the mail '{envelope.subject}' cannot be taken: {why}",
        hint=hint or "mend that mail in the mbox, or apply it by hand and export it with `git format-patch`",
    )
