# SPDX-License-Identifier: GPL-2.0-or-later
"""Where parcels lie between machines: a directory or anything fsspec knows, or a destination of rsync."""

from __future__ import annotations

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import FarmError, PublishError
from pipeline.mirrors import rsync
from pipeline.sources.address import redacted

_TRANSFER_SECONDS = 1800


class Store(ABC):
    """Files under flat names. Raises, everywhere: FarmError when it cannot be reached, read or written."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Lay a file there. Whoever reads it meanwhile may see a part of it."""

    @abstractmethod
    def get(self, name: str, path: Path) -> None: ...

    @abstractmethod
    def names(self) -> tuple[str, ...]: ...

    @abstractmethod
    def remove(self, names: Collection[str]) -> None:
        """Take these away; what is gone already is no fault."""


def open_store(written: str, root_dir: Path) -> Store:
    """The store that `[farm] store` names; a directory is seen from the checkout."""
    if re.match(rf"rsync://|{rsync.HOST}:(?!//)", written):
        return RsyncStore(written)
    # fsspec takes what stands behind file:// as it is.
    return FileStore(written if "://" in written else f"file://{(root_dir / Path(written).expanduser()).absolute()}")


class FileStore(Store):
    """A directory, or what fsspec has a file system for: S3 by s3fs, and others."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def modules(self) -> tuple[str, ...]:
        """What fsspec loads for it."""
        return ("fsspec.core", type(self._opened[0]).__module__)

    def put(self, path: Path, name: str) -> None:
        with _told(self._url):
            system, folder = self._opened
            system.makedirs(folder, exist_ok=True)
            system.put_file(str(path), f"{folder}/{name}")

    def get(self, name: str, path: Path) -> None:
        with _told(self._url):
            system, folder = self._opened
            system.get_file(f"{folder}/{name}", str(path))

    def names(self) -> tuple[str, ...]:
        with _told(self._url):
            system, folder = self._opened
            system.invalidate_cache()
            if not system.exists(folder):
                return ()
            return tuple(str(each).rpartition("/")[2] for each in system.ls(folder, detail=False))

    def remove(self, names: Collection[str]) -> None:
        system, folder = self._opened
        for name in names:
            with _told(self._url):
                try:
                    system.rm_file(f"{folder}/{name}")
                except FileNotFoundError:
                    continue

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs  # late: a run without a farm does not have it

        with _told(self._url):
            system, folder = url_to_fs(self._url)
            return system, str(folder).rstrip("/")


class RsyncStore(Store):
    """A folder that an rsync daemon serves, or one of another host over ssh."""

    def __init__(self, destination: str) -> None:
        self._folder = f"{destination.rstrip('/')}/"

    def put(self, path: Path, name: str) -> None:
        self._run(rsync.plan_copy(str(path), f"{self._folder}{name}"))

    def get(self, name: str, path: Path) -> None:
        self._run(rsync.plan_copy(f"{self._folder}{name}", str(path)))

    def names(self) -> tuple[str, ...]:
        return rsync.read_list(self._run(rsync.plan_list(self._folder)))

    def remove(self, names: Collection[str]) -> None:
        if not names:
            return
        with tempfile.TemporaryDirectory() as folder:
            empty_dir, list_path = Path(folder) / "empty", Path(folder) / "list"
            empty_dir.mkdir()
            list_path.write_text("".join(f"{name}\0" for name in names), encoding="utf-8")
            self._run(rsync.plan_remove(empty_dir, self._folder, list_path))

    def _run(self, argv: list[str]) -> str:
        with _told(self._folder):
            done = rsync.run(
                argv, doing=f"the store {redacted(self._folder)}", timeout_seconds=_TRANSFER_SECONDS, log_path=None
            )
            return done.stdout if done else ""


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What any file system may raise, as one sentence about the store."""
    try:
        yield
    except PublishError as error:
        raise FarmError("store-failed", error.message, hint=error.hint, reproduce=error.reproduce) from error
    except ImportError as error:
        raise FarmError(
            "store-unknown",
            f"farm.store: {redacted(where)} needs a package that is not there: {error}",
            hint="write a directory, a destination of rsync, or s3://…; for others install what is named into .venv",
        ) from error
    except Exception as error:  # each kind of store has its own
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FarmError(
            "store-failed",
            f"farm.store: {redacted(where)} cannot be used: {' '.join(why.split())}",
            hint="look whether it is there, has space, and lets this account read and write",
        ) from error
