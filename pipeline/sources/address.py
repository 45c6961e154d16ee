# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of sources, URLs and paths: what may be shown of them, and where they lead."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

# `git@` is how ssh is asked for, and no secret.
_CREDENTIALS = re.compile(r"(?<=://)(?!git@)[^/@\s]+@")


def redacted(text: str) -> str:
    """The text with user names and passwords in URLs replaced."""
    return _CREDENTIALS.sub("***@", text)


def file_name(url: str) -> str:
    """The last part of a URL's path, as the file is called."""
    path = re.split("[?#]", url, maxsplit=1)[0]
    return unquote(path).rstrip("/").rpartition("/")[2]


def local_path(location: str) -> Path | None:
    """The path that a location means, or `None` for one on the network."""
    if location.startswith("file://"):
        return Path(url2pathname(urlsplit(location).path))
    return None if "://" in location else Path(location).expanduser().absolute()
