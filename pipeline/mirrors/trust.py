# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what lies on a mirror is what we signed: who can write there can change metadata, and its keys too."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import PublishError
from pipeline.mirrors.mirror import Metadata
from pipeline.signing import bundle
from pipeline.signing import metadata as signature


def refuse_foreign(found: Metadata, keys: Mapping[str, bytes]) -> None:
    """Raises: PublishError unless the state's `repomd.xml` is signed by one of these keys, which are armored."""
    with bundle.as_files(keys) as paths:
        why = signature.fault(found.repomd, found.books.get("repomd.xml.asc"), paths)
    if why:
        raise PublishError(
            "repomd-foreign",
            f"repomd.xml of {found.state.destination} is not signed by a key that is configured here: {why}",
            hint="if the key was changed, name the former one under [signing] former_keys; else somebody changed the"
            " mirror: look with `audit`, and let an earlier state stand with `rollback`",
        )
