# SPDX-License-Identifier: GPL-2.0-or-later
"""`repomd.xml` as we write it: what it names, and nothing of the clock."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.mirrors.metadata.splice import Made

_LATEST_TIME = 2**31 - 1
# What `--unique-md-filenames` put before a name.
_OLD_DIGEST = re.compile(r"(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})-")


def stamp(revision: int) -> int:
    """The revision as a time; one given by hand may be any number."""
    return min(revision, _LATEST_TIME)


def repomd(made: Iterable[Made], others: Iterable[Any], revision: int) -> str:
    """The text that names the three files, and others by createrepo_c's records of them."""
    import createrepo_c

    written = createrepo_c.Repomd()
    written.set_revision(str(revision))
    for record in (*map(_record, made), *others):
        record.timestamp = stamp(revision)
        written.set_record(record)
    return str(written.xml_dump())


def _record(file: Made) -> Any:
    import createrepo_c

    record = createrepo_c.RepomdRecord(file.kind, None)
    record.location_href = f"repodata/{file.path.name}"
    record.checksum_type = record.checksum_open_type = "sha256"
    record.checksum, record.size = file.sha256, file.size_bytes
    record.checksum_open, record.size_open = file.open_sha256, file.open_size_bytes
    return record


def carry(kind: str, path: Path, folder: Path) -> Any:
    """Copy a file of another kind into the folder, as it is, under a unique name; the record of it.

    Raises: createrepo_c's own error for a file that it cannot read.
    """
    import createrepo_c

    copy = folder / _OLD_DIGEST.sub("", path.name)
    shutil.copyfile(path, copy)
    record = createrepo_c.RepomdRecord(kind, str(copy))
    record.fill(createrepo_c.SHA256)
    unique = copy.rename(folder / f"{record.checksum}-{copy.name}")
    record.location_href = f"repodata/{unique.name}"
    return record
