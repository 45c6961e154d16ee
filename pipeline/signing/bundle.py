# SPDX-License-Identifier: GPL-2.0-or-later
"""Several armored public keys in one file, as hosts get them beside a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.errors import SigningError
from pipeline.signing import home, listing

_BLOCK = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n?", re.DOTALL
)


def joined(contents: Iterable[bytes]) -> bytes:
    """The keys of all these files, each once, in their order; of a key that is there twice, what came first.

    Raises: SigningError.
    """
    blocks = dict.fromkeys(block.strip() + b"\n" for content in contents for block in _BLOCK.findall(content))
    if len(blocks) < 2:
        return b"".join(blocks)
    kept: dict[tuple[str, ...], bytes] = {}
    with home.private() as folder:
        for block in blocks:
            path = folder / "keys.asc"
            path.write_bytes(block)
            fingerprints = tuple(key.fingerprint for key in listing.of_file(path))
            if not fingerprints:
                raise SigningError(
                    "key-unreadable",
                    "keys.asc of the repository has a block that gpg finds no key in",
                    hint="put the file back from an earlier snapshot",
                )
            kept.setdefault(fingerprints, block)
    return b"".join(kept.values())
