# SPDX-License-Identifier: GPL-2.0-or-later
"""Parcels that were altered by somebody who knows how one ends."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from pipeline.files import prefix_sha256
from pipeline.parcels import packing

Members = list[tuple[tarfile.TarInfo, bytes]]
Alter = Callable[[Members], object]


def read(path: Path) -> Members:
    """The members of a parcel with their contents, without its end."""
    with tarfile.open(path) as tar:
        found = [(member, stream.read() if (stream := _stream(tar, member)) else b"") for member in tar]
    return found[:-1]


def write(path: Path, members: Members) -> None:
    """A parcel of these members, with an end that fits."""
    with path.open("w+b") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        stream.flush()
        end = tarfile.TarInfo(packing.END_NAME)
        end.size = 64
        tar.addfile(end, io.BytesIO(prefix_sha256(path, tar.offset).encode()))


def alter(path: Path, change: Alter) -> None:
    members = read(path)
    change(members)
    write(path, members)


def with_head(path: Path, **facts: object) -> None:
    """Change what a parcel says of itself."""
    alter(path, lambda members: change_head(members, **facts))


def change_head(members: Members, **facts: object) -> None:
    members[0] = (members[0][0], json.dumps({**json.loads(members[0][1]), **facts}).encode())


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedIOBase | None:
    return tar.extractfile(member) if member.isreg() else None  # type: ignore[return-value]
