# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands beside the metadata, which names none of it by a digest: is it as it would be made today, everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import PublishError, SigningError
from pipeline.mirrors import handouts, layout
from pipeline.mirrors.facts import Channel, facts_of
from pipeline.mirrors.mirror import Metadata
from pipeline.mirrors.places.base import Destination
from pipeline.signing import bundle
from pipeline.signing import metadata as signature

_SIGNATURE = "repomd.xml.asc"
# Soon read; of the page, which may be long and far away, it is seen that it is there.
BESIDE = (_SIGNATURE, layout.KEYS, layout.MIRRORLIST, layout.FEED, *layout.HOST_KIT)


def beside(place: Destination, repomd_sha256: str, log_path: Path | None) -> dict[str, bytes]:
    """What lies beside this `repomd.xml`, empty where it is gone; nothing at all of a place with another state.

    A place that does not answer is told when it is published to.
    """
    try:
        books = place.read(("repomd.xml", *BESIDE), log_path)
    except PublishError:
        return {}
    if hashlib.sha256(books.get("repomd.xml", b"")).hexdigest() != repomd_sha256:
        return {}
    return {name: books.get(name, b"") for name in BESIDE}


def has_page(place: Destination, revision: int, log_path: Path | None) -> bool:
    """Whether the page of a state is there; that a place does not answer is told when it is published to."""
    try:
        return not place.missing([f"{layout.link_to(revision)}/{layout.PAGE}"], log_path)
    except PublishError:
        return True


def is_whole(metadata: Metadata, keys: Mapping[str, bytes], channel: Channel, log_path: Path | None) -> bool:
    """Whether what stands was published by us, signed, with the keys and for the urls that are in use, everywhere.

    `keys` are fingerprint -> armored key, of all that hosts shall trust.
    """
    if not metadata.is_ours:
        return False
    state, signed = metadata.state, metadata.books.get(_SIGNATURE, b"")
    facts, armored = facts_of(channel, state.revision, state.packages, keys, state.log), bundle.joined(keys)
    wanted = {
        **handouts.soon_read(facts, armored),
        layout.KEYS: armored,
        layout.MIRRORLIST: layout.mirrorlist(channel.urls, state.revision),
        _SIGNATURE: signed,
    }
    others = [beside(place, state.repomd_sha256, log_path) for place in channel.places[1:]]
    return (
        all(books.get(name, content) == content for books in others for name, content in wanted.items())
        and all(metadata.books.get(name) == content for name, content in wanted.items())
        and _is_signed(metadata.repomd, signed, keys)
        and all(has_page(place, state.revision, log_path) for place in channel.places)
    )


def _is_signed(repomd: bytes, signed: bytes, keys: Mapping[str, bytes]) -> bool:
    """Whether the signature that stands holds with the keys that hosts are told to trust."""
    try:
        with bundle.as_files(keys) as key_paths:
            signature.verify(repomd, signed, key_paths)
    except SigningError:
        return False
    return True
