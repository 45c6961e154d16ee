# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a repository as its readers do: over http."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PublishError

if TYPE_CHECKING:  # it takes long to load, and most mirrors are not read over http
    import requests

_CONNECT_SECONDS = 20
_SILENCE_SECONDS = 60
_CHUNK_BYTES = 1 << 18
# What stands between must not answer for the server.
_HEADERS = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}


def fetch(url: str, path: Path, timeout_seconds: float) -> None:
    """Copy a file from the web server. Raises: PublishError."""
    if not fetch_if_there(url, path, timeout_seconds):
        raise failed(url, "it is not there", "see whether the web server serves that folder, and follows links")


def fetch_if_there(url: str, path: Path, timeout_seconds: float) -> bool:
    """Whether the server has the file, which then lies at `path`. Raises: PublishError."""
    import requests

    try:
        with requests.get(url, headers=_HEADERS, stream=True, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS)) as answer:
            if answer.status_code in (404, 410):
                return False
            if answer.status_code != 200:
                raise failed(url, f"the server answered {answer.status_code} {answer.reason}", "look in its log")
            _receive(answer, path, url, time.monotonic() + timeout_seconds)
    except requests.RequestException as error:
        raise failed(url, _why(error), "see whether the web server is up, and at `url` in pipeline.toml") from None
    return True


def is_there(url: str) -> bool:
    """Whether the server has the file. Raises: PublishError."""
    import requests

    try:
        answer = requests.head(
            url, headers=_HEADERS, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS), allow_redirects=True
        )
    except requests.RequestException as error:
        raise failed(url, _why(error), "see whether the web server is up, and at `url` in pipeline.toml") from None
    return answer.status_code == 200


def size_of(url: str) -> int | None:
    """The file's size as the server tells it, -1 where it does not; `None` for no such file. Raises: PublishError."""
    import requests

    try:
        answer = requests.head(
            url, headers=_HEADERS, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS), allow_redirects=True
        )
    except requests.RequestException as error:
        raise failed(url, _why(error), "see whether the web server is up, and at its address") from None
    if answer.status_code in (404, 410):
        return None
    told = answer.headers.get("Content-Length", "")
    return int(told) if answer.status_code == 200 and told.isdecimal() else -1


def failed(url: str, why: str, hint: str) -> PublishError:
    return PublishError("mirror-web", f"{url} cannot be read: {why}", hint=hint)


def _receive(answer: requests.Response, path: Path, url: str, deadline: float) -> None:
    """Raises: PublishError for a body that ends early or drips on; requests would say nothing."""
    told = answer.headers.get("Content-Length", "")
    size_bytes = 0
    with path.open("wb") as stream:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            stream.write(chunk)
            size_bytes += len(chunk)
            if time.monotonic() > deadline:
                raise failed(url, "it does not come to an end", "raise time_limits.publish, or look at the web server")
    if told.isdecimal() and int(told) != size_bytes:
        path.unlink()
        raise failed(url, f"it ended after {size_bytes} of {told} bytes", "run the same again")


def _why(error: requests.RequestException) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
