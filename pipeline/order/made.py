# SPDX-License-Identifier: GPL-2.0-or-later
"""What an out directory holds of packages that others are built on, whichever run made it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import OrderError
from pipeline.files import write_whole
from pipeline.flow import STAGES
from pipeline.ledger import Ledger, digest_of
from pipeline.model import BuildResult, Dependency, Job, Relations
from pipeline.order import graph, keys
from pipeline.settings import Settings

_OF_EACH = ("reserve", "build")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The ledgers of all jobs in the out directory of these settings."""

    settings: Settings

    def relations(self, target: str, *, but: Collection[str]) -> dict[str, Relations]:
        """Package -> what was read of its spec the last time, for all packages but these."""
        jobs = (Job(package=name, target=target) for name in self.settings.packages if name not in but)
        found = ((job.package, self._ledger(job).last("relations", Relations)) for job in jobs)
        return {package: relations for package, relations in found if relations is not None}

    def dependency(
        self, job: Job, need: Job, records: Mapping[str, Any] | None = None, *, with_baseline: bool = False
    ) -> Dependency:
        """What `job` is built on, from the records of `need` in this run, else from what an earlier one left.

        Raises: OrderError where that is not all there.
        """
        wanted = {*_OF_EACH, *(["baseline"] if with_baseline else [])}
        found = dict(self._kept(need)) if records is None else records
        if not wanted <= found.keys():
            raise OrderError(
                "not-built",
                f"{job} is built on {need}, which is not built here",
                hint=f"build both in one run: `.venv/bin/nox -s build -- --target {job.target} --package {need.package}"
                f" --package {job.package}`; on another machine's, give its parcel: job -- --with DIR",
            )
        build = found["build"]
        return Dependency(
            package=need.package,
            build=build,
            baseline=found.get("baseline"),
            key=keys.key_of(build, found["reserve"], self.settings.out_path, self.settings.rebuild_on),
        )

    def refuse_unsaid(self, target: str, relations: Mapping[str, Relations], built: Mapping[str, BuildResult]) -> None:
        """Refuse builds which show that their order was made without knowing all. What passed once is not read again.

        Raises: OrderError with the line that the settings lack.
        """
        path = self.settings.out_path / target / "ledger" / "order"
        told = [*((name, digest_of(each)) for name, each in sorted(relations.items())),
                *((name, digest_of(each)) for name, each in sorted(built.items()))]  # fmt: skip
        seen = hashlib.sha256(repr(told).encode()).hexdigest()
        if path.is_file() and path.read_bytes() == seen.encode():
            return
        out_path = self.settings.out_path
        graph.refuse_unsaid(relations, {name: keys.capabilities_of(build, out_path) for name, build in built.items()})
        write_whole(path, seen)

    def _kept(self, job: Job) -> Iterator[tuple[str, Any]]:
        """The records of which all packages are still there."""
        ledger = self._ledger(job)
        for name in (*_OF_EACH, "baseline"):
            record = ledger.last(name, STAGES[name].record)
            if record is not None and ledger.has_files(record):
                yield name, record

    def _ledger(self, job: Job) -> Ledger:
        return Ledger(self.settings.out_path / job.target / job.package, self.settings.out_path)
