# SPDX-License-Identifier: GPL-2.0-or-later
"""The workers, seen through dask's scheduler: who is there with what, and an executor over them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.errors import FarmError
from pipeline.farm import facts, greeting
from pipeline.farm.doorbell import Papers, papers, ring
from pipeline.farm.facts import Facts
from pipeline.settings import Settings
from pipeline.settingtables import FarmSettings

# How old what is known of the workers may be.
_FRESH_SECONDS = 1.0


class Pool(ABC):
    """Who does jobs. Raises, everywhere: FarmError when nobody can be asked any more."""

    @abstractmethod
    def executor(self, resource: str, avoided: Collection[str]) -> Executor:
        """What runs functions where this resource is, but not at workers of these names."""

    @abstractmethod
    def slots(self, resource: str, avoided: Collection[str]) -> int:
        """How many jobs can be done there at once."""

    @abstractmethod
    def facts(self, engine: str) -> tuple[Facts, ...]:
        """What the workers say of themselves, for this wish of an engine."""

    def listen(self, topic: str, hear: Callable[[dict[str, str]], None]) -> None:
        """Have what workers say on the way told as they say it, where it can be."""
        return


@dataclass(frozen=True, kw_only=True, slots=True)
class _Member:
    name: str
    address: str
    resources: dict[str, float]


class DaskPool(Pool):
    def __init__(self, client: Any, farm: FarmSettings) -> None:
        self._client = client
        self._farm = farm
        self._lock = threading.Lock()
        self._seen_seconds = float("-inf")
        self._members: tuple[_Member, ...] = ()

    def executor(self, resource: str, avoided: Collection[str]) -> Executor:
        where = [each.address for each in self._with(resource, avoided)] if avoided else None
        found: Executor = self._client.get_executor(
            pure=False, resources={resource: 1}, **({"workers": where} if where else {})
        )
        return found

    def slots(self, resource: str, avoided: Collection[str]) -> int:
        return sum(int(each.resources[resource]) for each in self._with(resource, avoided))

    def facts(self, engine: str) -> tuple[Facts, ...]:
        told = self._asked(lambda: self._client.run(facts.tell, engine, on_error="return"))
        names = {each.address: each.name for each in self._read()}
        return tuple(greeting.read_facts(names.get(address, address), each) for address, each in told.items())

    def listen(self, topic: str, hear: Callable[[dict[str, str]], None]) -> None:
        self._client.subscribe_topic(topic, lambda event: hear(event[1]))

    def _with(self, resource: str, avoided: Collection[str]) -> list[_Member]:
        return [each for each in self._read() if each.resources.get(resource) and each.name not in avoided]

    def _read(self) -> tuple[_Member, ...]:
        with self._lock:
            if time.monotonic() - self._seen_seconds > _FRESH_SECONDS:
                workers = self._asked(self._client.scheduler_info)["workers"]
                self._members = tuple(
                    _Member(name=str(each["name"]), address=address, resources=dict(each["resources"]))
                    for address, each in workers.items()
                )
                self._seen_seconds = time.monotonic()
            return self._members

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            if self._client.status == "running":
                return ask()
        except (OSError, RuntimeError, TimeoutError, asyncio.CancelledError):
            pass  # told below
        raise lost(self._farm)


def lost(farm: FarmSettings) -> FarmError:
    """The error for a scheduler that was there and is gone."""
    return FarmError(
        "scheduler-lost",
        f"the scheduler at {farm.address} is gone",
        hint="start it again, then run the same again: what was done holds",
    )


@contextmanager
def connected(settings: Settings) -> Iterator[DaskPool]:
    """The workers of the scheduler that `[farm]` names. Raises: FarmError, SettingsError."""
    found = papers(settings)
    ring(settings.farm, found)
    client = _client(settings.farm, found)
    try:
        greeting.refuse_other_dask(client)
        greeting.refuse_other_scheduler(client, settings.farm)
        yield DaskPool(client, settings.farm)
    finally:
        client.close()


def security(found: Papers | None) -> Any:
    """Our TLS files in dask's words; each machine of a farm may be asked by each."""
    from distributed.security import Security  # late, as all of dask: most runs have no farm

    if found is None:
        return Security(require_encryption=False)
    words: dict[str, str] = {}
    for role in ("client", "worker", "scheduler"):
        words |= {f"tls_{role}_cert": str(found.cert_path), f"tls_{role}_key": str(found.key_path)}
    return Security(require_encryption=True, tls_ca_file=str(found.ca_path), **words)


def silence() -> None:
    """dask writes of itself to standard error; what people should know, they are told by us."""
    from distributed.versions import VersionMismatchWarning  # its import sets its loggers up

    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        # Of some of their parts they set up a writer of its own as well.
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logger = logging.getLogger(name)
            logger.handlers = [logging.NullHandler()]
            logger.propagate = False


def _client(farm: FarmSettings, found: Papers | None) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise FarmError(
            "farm-missing",
            f"dask is not installed here: {error}",
            hint="run `./bootstrap` with the words of this run: it takes requirements-farm.lock for --executor dask",
        ) from error
    silence()
    try:
        return Client(
            farm.address, security=security(found), timeout=farm.connect_seconds, set_as_default=False, name="pipeline"
        )
    except Exception as error:  # of another dask anything may come
        raise FarmError(
            "scheduler-other",
            f"the scheduler at {farm.address} does not understand us: {error}",
            hint=f"let it have the same dask: {_ours()}; requirements-farm.lock names it",
        ) from error


def _ours() -> str:
    from importlib.metadata import version

    return f"distributed {version('distributed')}"
