# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with a mirror, how bad each is and what mends it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong: with which file or package, why, and what mends it."""

    kind: str
    severity: Severity
    subject: str
    why: str
    mend: str


# `FLAGS` and `REVISION` become those of the mirror that was looked at.
_ROLL_BACK = "let an earlier state stand again: `.venv/bin/nox -s rollback -- FLAGS --to REVISION` (see `-s snapshots`)"
_PUT_BACK = "put the published file back as it was: from another place of the channel, a backup, or out/"
_ROTATE = "make the next key: `.venv/bin/nox -s key -- --rotate`"
_PRUNE = "`.venv/bin/nox -s prune -- FLAGS --remove` removes it when its time has come"
_PUBLISH = "publish to it: `.venv/bin/nox -s publish -- FLAGS`"
_ONCE_MORE = "publish once more, which makes a new revision of the same packages: `.venv/bin/nox -s publish -- FLAGS`"
_BRING_UP = "publish again, which brings all places of the channel to one state: `.venv/bin/nox -s publish -- FLAGS`"
_PUT_PAPER_BACK = "put the published file back, from another place of the channel, a snapshot's backup, or out/"

# Kind -> how bad it is where nothing else is said, and what mends it.
KINDS: Mapping[str, tuple[Severity, str]] = {
    "unreachable": ("error", "see that the host is up and the way to it open"),
    "not-checked": ("error", "run the audit again; if it stays, look at the mirror's disk and rights"),
    "unreadable": ("error", "give whoever serves the mirror the right to read it, or look at the disk"),
    "repomd-missing": ("error", _PUBLISH),
    "repomd-broken": ("error", _ROLL_BACK),
    "repomd-unsigned": ("error", _ONCE_MORE),
    "repomd-signature": ("error", f"do not trust it until you know who changed it, then {_ONCE_MORE}"),
    "metadata-missing": ("error", _ROLL_BACK),
    "metadata-changed": ("error", _ROLL_BACK),
    "metadata-broken": ("error", _ROLL_BACK),
    "keys-missing": ("error", _ONCE_MORE),
    "key-secret": ("error", "take the file down, revoke the key, and rotate: `.venv/bin/nox -s key -- --rotate`"),
    "key-expired": ("error", _ROTATE),
    "key-expiring": ("warning", _ROTATE),
    "key-unfit": ("error", _ROTATE),
    "key-foreign": ("error", "find out who put it there; if it is yours, name it under [signing] former_keys"),
    "key-absent": ("error", f"correct [signing], or {_ONCE_MORE}"),
    "package-missing": ("error", _PUT_BACK),
    "package-changed": ("error", _PUT_BACK),
    "package-unsigned": ("error", "find out who put it there, roll back to a state without it, and publish it signed"),
    "package-signature": ("error", "find out who put it there, roll back to a state without it, and publish it signed"),
    "statement-missing": ("error", _PUT_PAPER_BACK),
    "statement-changed": ("error", f"find out who changed it, then {_PUT_PAPER_BACK}"),
    "statement-wrong": ("error", f"do not trust the package until you know why; {_PUT_PAPER_BACK}"),
    "demo-published": ("error", "roll back to a state without it: the demo belongs on no mirror but a directory"),
    "not-ours": ("error", f"{_PUBLISH}: what lies there is adopted and nothing of it is lost"),
    "repodata-link": ("error", _ROLL_BACK),
    "link-wrong": ("error", "publish or roll back again: each makes the links anew; remove what lies in their place"),
    "page-missing": ("warning", _ONCE_MORE),
    "page-changed": ("warning", f"see who changed it, remove it, then {_ONCE_MORE}"),
    "kit-changed": ("error", f"find out who changed it, let nobody run it, then {_ONCE_MORE}"),
    "page-hidden": ("warning", "move it away and publish again, if people shall see ours"),
    "mirrorlist": ("error", _ONCE_MORE),
    "log-missing": ("error", _ROLL_BACK),
    "log-broken": ("error", "put it back from another place of the channel or from an earlier snapshot"),
    "log-tail": ("error", "somebody published by hand, or changed the log: roll back to a revision that it tells of"),
    "log-rewritten": ("error", "find out who rewrote the log; the snapshot has it as it was"),
    "snapshot-unfinished": ("warning", _PRUNE),
    "snapshot-damaged": ("error", "remove the whole snapshot, so that nobody rolls back to it, or put the file back"),
    "snapshot-packages": ("error", _PUT_BACK),
    "snapshot-link": ("error", "make the link anew, and see that the server follows links"),
    "file-extra": ("warning", "see whose it is, then remove it; if a publish is under way, look again later"),
    "leftover": ("warning", "remove it, if nobody is just publishing: a transfer that was ended left it"),
    "revision-old": ("warning", "see whether releases are still made and published"),
    "not-published": ("warning", _PUBLISH),
    "newer-than-built": ("warning", "see who published it; if another machine did, there is nothing to mend"),
    "reserved-unpublished": ("warning", "see what became of that release, or publish it"),
    "never-reserved": ("warning", "see who published it: it did not come from the numbers that all share"),
    "place-behind": ("error", _BRING_UP),
    "url-differs": ("error", "see what the web server serves at `url`, and what stands between"),
}


def finding(kind: str, subject: str, why: str, *, severity: Severity | None = None) -> Finding:
    usual, mend = KINDS[kind]
    return Finding(kind=kind, severity=severity or usual, subject=subject, why=why, mend=mend)


def with_commands(found: Iterable[Finding], flags: str, revision: int | None) -> tuple[Finding, ...]:
    """The findings, whose mends are commands for this mirror; `revision` is one that can stand again."""
    aim = "REVISION" if revision is None else str(revision)
    return tuple(replace(each, mend=each.mend.replace("FLAGS", flags).replace("REVISION", aim)) for each in found)


# What a kind makes inevitable elsewhere in the same repository: one broken thing is told once.
_EXPLAINS: Mapping[str, frozenset[str]] = {
    "not-ours": frozenset(
        {"keys-missing", "log-missing", "link-wrong", "page-missing", "page-hidden", "repodata-link"}
    ),
    "repomd-signature": frozenset({"log-tail"}),
    "log-tail": frozenset({"place-behind"}),
    "metadata-changed": frozenset({"metadata-broken"}),
}


def without_consequences(found: Iterable[Finding], expired_keys: Collection[str] = ()) -> tuple[Finding, ...]:
    """The findings of one place without those that another one explains; `expired_keys` are ids that are told of."""
    told = tuple(dict.fromkeys(found))
    kinds = {each.kind for each in told}
    explained = frozenset().union(*(_EXPLAINS.get(kind, frozenset()) for kind in kinds))
    return tuple(each for each in told if each.kind not in explained and not _is_of_expired(each, expired_keys))


def _is_of_expired(each: Finding, expired_keys: Collection[str]) -> bool:
    if each.kind not in ("repomd-signature", "package-signature") or "expired" not in each.why:
        return False
    return any(key_id in each.why.lower() for key_id in expired_keys)
