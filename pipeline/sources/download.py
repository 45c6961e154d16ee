# SPDX-License-Identifier: GPL-2.0-or-later
"""Download one file whole and unchanged, or say in one line why it cannot be had."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3

from pipeline import files
from pipeline.errors import NetworkError
from pipeline.progress import Progress
from pipeline.sources.address import file_name, local_path, redacted

_CHUNK_BYTES = 1 << 18
_MAX_REDIRECTS = 5
_MAX_WAIT_SECONDS = 30
_NOISE = re.compile(r"^.*object at 0x[0-9a-f]+>: |^HTTPS?Connection(Pool)?\(.*?\): |\[Errno -?\d+\] |Failed to .*?: ")
_TRY_LATER = "try again later, or give another source with --source"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a download may cost. `deadline_seconds` holds for all of it, tries and waits included."""

    deadline_seconds: float
    max_bytes: int = 1 << 30
    connect_seconds: float = 10.0
    silence_seconds: float = 20.0
    attempts: int = 3
    wait_seconds: float = 1.0


def download(url: str, destination: Path, *, limits: Limits, progress: Progress, sha256: str = "") -> str:
    """The sha256 of what now lies at `destination`; nothing lies there before all of it was received.

    A broken transfer, and an answer that says the server is at fault (5xx), is tried again, from
    where it broke off when the server vouches that the file is still the same one.

    Raises: NetworkError for any other answer, a wrong digest, a limit.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f"{destination.name}.part")
    transfer = _Transfer(url, part, limits, progress, sha256)
    work = transfer.copy if url.startswith("file://") else transfer.run
    try:
        digest = _within(limits.deadline_seconds, work, transfer)
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)
    return digest


class _Broken(Exception):
    """A failure that may be gone the next time."""


class _Session(requests.Session):
    """Follows redirects, but never off an encrypted connection."""

    def __init__(self) -> None:
        super().__init__()
        self.max_redirects = _MAX_REDIRECTS

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None and urlsplit(resp.url).scheme == "https":
            address = urljoin(resp.url, target)
            if urlsplit(address).scheme != "https":
                raise _error(
                    "insecure-redirect",
                    resp.url,
                    f"it redirects from https to {redacted(address)}, where anybody could change the file",
                    "give the new address yourself, with its sha256, if you trust it",
                )
        return target


class _Transfer:
    """One file on its way into `part`; knows how far it came and what the server called it."""

    def __init__(self, url: str, part: Path, limits: Limits, progress: Progress, sha256: str) -> None:
        self.url = url
        self.stopped = threading.Event()
        self._part = part
        self._limits = limits
        self._progress = progress
        self._sha256 = sha256
        self._validator = ""

    def run(self) -> str:
        """The sha256 of the file, after as many tries as the limits allow. Raises: NetworkError."""
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Broken),
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=tenacity.wait_exponential(multiplier=self._limits.wait_seconds, max=_MAX_WAIT_SECONDS),
            sleep=self._pause,
            reraise=True,
        )
        try:
            return tries(self._attempt)
        except _Broken as error:
            times = f" (tried {self._limits.attempts} times)" if self._limits.attempts > 1 else ""
            raise _error("download-failed", self.url, f"{error}{times}", _TRY_LATER) from None

    def copy(self) -> str:
        """The sha256 of a file on this machine. Raises: NetworkError."""
        source = local_path(self.url)
        if source is None or not source.is_file():
            raise _error("download-missing", self.url, "there is no such file", "correct the address")
        self._check_size(source.stat().st_size)
        shutil.copyfile(source, self._part)
        return self._checked(resumed=False)

    def _attempt(self) -> str:
        done_bytes = self._part.stat().st_size if self._validator and self._part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if done_bytes:
            headers |= {"Range": f"bytes={done_bytes}-", "If-Range": self._validator}
        with _translated(self.url, self._limits), _Session() as session, self._get(session, headers) as response:
            self._check_status(response)
            start_bytes, total_bytes = self._place(response, done_bytes)
            self._check_size(total_bytes or 0)
            self._receive(response, start_bytes, total_bytes)
        return self._checked(resumed=start_bytes > 0)

    def _get(self, session: requests.Session, headers: Mapping[str, str]) -> requests.Response:
        timeouts = (self._limits.connect_seconds, self._limits.silence_seconds)
        return session.get(self.url, headers=headers, timeout=timeouts, stream=True)

    def _check_status(self, response: requests.Response) -> None:
        status = f"the server answered {response.status_code} {response.reason or ''}".rstrip()
        if response.status_code >= 500:
            raise _Broken(status)
        if response.status_code == 416 and self._validator:
            self._validator = ""
            raise _Broken(status)
        if response.status_code not in (200, 206):
            hint = "correct the address in pipeline.toml, or give another source with --source"
            raise _error("download-refused", self.url, status, hint)

    def _place(self, response: requests.Response, done_bytes: int) -> tuple[int, int | None]:
        """Where in the file the answer starts, and how long the whole is, if the server says."""
        if response.status_code == 200:
            self._validator = self._validator_of(response)
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        same = response.headers.get("ETag", self._validator) == self._validator or not self._validator.startswith('"')
        if told is None or int(told[1]) != done_bytes or not same:
            self._validator = ""
            raise _Broken("the server sent another part of the file than it was asked for")
        return done_bytes, int(told[2])

    def _validator_of(self, response: requests.Response) -> str:
        """What names this very file, so that its rest can be asked for; empty when nothing does.

        A date has a grain of one second: it is trusted only where a digest has the last word.
        Source: RFC 9110, 13.1.5 (If-Range).
        """
        etag = response.headers.get("ETag", "")
        if etag.startswith('"'):
            return etag
        return response.headers.get("Last-Modified", "") if self._sha256 else ""

    def _receive(self, response: requests.Response, start_bytes: int, total_bytes: int | None) -> None:
        done_bytes = start_bytes
        with (
            self._part.open("ab" if start_bytes else "wb") as stream,
            self._progress.transfer(file_name(self.url), total_bytes) as show,
        ):
            # read1 gives what has come; read would wait for a full chunk, however slowly it drips.
            # Content-Encoding is not undone: the file is what the server keeps, not what it means.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
                done_bytes += len(chunk)
                self._check_size(done_bytes)
                self._check_stopped()
                stream.write(chunk)
                show(done_bytes)
        if total_bytes is not None and done_bytes != total_bytes:
            raise _Broken(f"the transfer ended after {done_bytes} of {total_bytes} bytes")

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limits.max_bytes:
            why = f"it is larger than {self._limits.max_bytes} bytes, the most that is taken"
            raise _error("download-too-large", self.url, why, "see that the address names the file you mean")

    def _checked(self, *, resumed: bool) -> str:
        digest = files.sha256_of(self._part)
        if not self._sha256 or digest == self._sha256:
            return digest
        if resumed:
            self._validator = ""
            raise _Broken("the parts that were received do not fit together")
        raise _error(
            "sha256-differs",
            self.url,
            f"its sha256 is {digest}, and {self._sha256} is wanted",
            "the file was damaged or replaced; if the new one is right, put its digest where the old one stands",
        )

    def _pause(self, seconds: float) -> None:
        self.stopped.wait(seconds)
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self.stopped.is_set():
            raise NetworkError("download-stopped", f"cannot download {redacted(self.url)}: it was stopped")


def _within(seconds: float, work: Callable[[], str], transfer: _Transfer) -> str:
    """The result of `work`, if it comes in time.

    It runs in a thread because nothing else bounds a name that resolves slowly, or headers that
    drip: the time limits of a socket are those of one read.
    """
    result: Future[str] = Future()

    def perform() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=perform, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        transfer.stopped.set()
    if not result.done():
        why = f"it was not done within {seconds:g} seconds"
        raise _error(
            "download-deadline", transfer.url, why, f"raise time_limits.download in pipeline.toml, {_TRY_LATER}"
        )
    return result.result()


@contextmanager
def _translated(url: str, limits: Limits) -> Iterator[None]:
    """The failures of requests and urllib3 as ours: worth another try, or final."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        hint = "correct the server's certificate, or name your own authorities in REQUESTS_CA_BUNDLE"
        raise _error("download-tls", url, f"its TLS connection cannot be trusted: {_words(error)}", hint) from None
    except requests.exceptions.ConnectTimeout:
        raise _Broken(f"no connection within {limits.connect_seconds:g} seconds") from None
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
        raise _Broken(f"the server was silent for {limits.silence_seconds:g} seconds") from None
    except (urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError) as error:
        raise _Broken(f"the transfer broke off: {_words(error)}") from None
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise _Broken(_words(error)) from None
    except (requests.exceptions.RequestException, ValueError) as error:
        raise _error("download-failed", url, _words(error), "correct the address in pipeline.toml") from None


def _words(error: BaseException) -> str:
    """What the innermost of wrapped errors says, without the names of objects around it."""
    inner: Any = error
    while isinstance(inner, BaseException):
        error = inner
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in error.args if isinstance(part, BaseException)), None)
    return redacted(_NOISE.sub("", str(error)) or type(error).__name__)


def _error(reference: str, url: str, why: str, hint: str) -> NetworkError:
    return NetworkError(reference, f"cannot download {redacted(url)}: {why}", hint=hint)
