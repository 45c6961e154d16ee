# SPDX-License-Identifier: GPL-2.0-or-later
"""What the files of `out/history/` say, as records: one file a run, whole or not read at all.

`schema/history.schema.json` is the contract. Fields that only other programs need are not taken over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

FORMAT = 1
FOLDER = "history"
KEPT = 200
# The page needs the newest few: ten times of each stage, and the table of runs.
_READ = 60
_NAME = re.compile(r"\d{8}T\d{6}Z-\d+\.json")
_LARGEST_BYTES = 8_000_000

Result = Literal["ok", "cached", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRow:
    """How one stage ended; `log` is relative to the out directory where it lies in it."""

    stage: str
    result: Result
    seconds: float
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchRow:
    """A patch as git applied it."""

    file: str
    subject: str
    state: str
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """Tests that need one patch, and how many are green with 0, 1, 2 … patches."""

    patch: str
    tests: int
    green: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitCounts:
    """Of the run document: the matrix alone, since the names are in the details."""

    matrix: tuple[MatrixRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """One job of the run document."""

    target: str
    package: str
    nevra: str
    evr: str
    reason: str
    source: str
    patches: tuple[PatchRow, ...]
    stages: tuple[StageRow, ...]
    unit: UnitCounts | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A package that was built; its path is relative to the out directory."""

    path: str
    nevra: str
    arch: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A repository as it stood on a mirror behind the run; `changed` if this run wrote it."""

    target: str
    destination: str
    revision: int
    changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    repositories: tuple[Published, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunError:
    """The first failure."""

    reference: str
    message: str
    exit_code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The run document, as `--json` prints it."""

    status: Literal["ok", "failed"]
    jobs: tuple[JobRow, ...]
    artifacts: tuple[Artifact, ...]
    mirror: Mirror | None
    error: RunError | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Names of tests, by how they ended on one tree."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tests:
    """What the tests said without the series and with all of it."""

    python: str
    pristine: Names
    patched: Names


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingRow:
    """One finding of rpmlint; `allowed` if the configuration says why it is meant."""

    subject: str
    level: str
    check: str
    detail: str
    allowed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What differs from an earlier release in a line; `before` is its version and release."""

    before: str
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangesTold:
    """Against the vendor's package and against our last release; `path` is the text's in the out directory."""

    path: str
    text: str
    vendor: Difference | None
    last: Difference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The source RPM that a job worked on."""

    origin: str
    nevra: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTold:
    """What commands ran in."""

    engine: str
    reference: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What the run document has no room for, a job."""

    target: str
    package: str
    release: int | None
    authors: tuple[str, ...]
    tests: Tests | None
    findings: tuple[FindingRow, ...] | None
    changes: ChangesTold | None
    source: Origin | None
    image: ImageTold | None
    statements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """One stage that failed, told as the terminal told it; a target's own stage has no package."""

    target: str
    package: str
    stage: str
    message: str
    hint: str
    log: str
    lines: tuple[str, ...]
    reproduce: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutTold:
    """The commit that the pipeline itself was of; `state` says whether that says all."""

    commit: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """One run. `words` are those of the command, secrets in URLs replaced; `command` is the line to run it again."""

    format: Literal[1]
    attempt: str
    started: datetime
    finished: datetime
    last_stage: str
    words: tuple[str, ...]
    command: str
    checkout: CheckoutTold
    run: Document
    details: tuple[Details, ...]
    failures: tuple[Failure, ...]

    @property
    def pairs(self) -> tuple[tuple[JobRow, Details], ...]:
        """Each job with its details."""
        return tuple(zip(self.run.jobs, self.details, strict=True))

    @property
    def interrupted(self) -> bool:
        return self.run.error is not None and self.run.error.reference == "interrupted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The newest runs, newest first, and a sentence for each file among them that cannot be read."""

    runs: tuple[History, ...]
    unreadable: tuple[str, ...]


def paths(out_path: Path) -> tuple[Path, ...]:
    """The history files in the order of their runs; what has another kind of name is not ours."""
    found = (path for path in (out_path / FOLDER).glob("*.json") if _NAME.fullmatch(path.name))
    return tuple(sorted(found, key=lambda path: path.name))


def read_all(out_path: Path) -> Kept:
    """The newest runs; a file that is cut short or of another format is told and left alone."""
    runs, unreadable = [], []
    for path in paths(out_path)[-_READ:]:
        try:
            runs.append(read(path))
        except FileNotFoundError:
            continue  # another run took it away just now
        except (OSError, ValueError) as error:
            unreadable.append(f"{path.name}: {_why(error)}")
    runs.sort(key=lambda run: (run.finished, run.attempt), reverse=True)
    return Kept(runs=tuple(runs), unreadable=tuple(unreadable))


def read(path: Path) -> History:
    """The run that a file tells. Raises: OSError; ValueError for what is no history of this format."""
    if path.stat().st_size > _LARGEST_BYTES:
        raise ValueError("larger than any history")
    history = _READER.validate_json(path.read_bytes())
    jobs = [(job.target, job.package) for job in history.run.jobs]
    if jobs != [(each.target, each.package) for each in history.details]:
        raise ValueError("jobs and details do not match")
    return history


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        if where == "format":
            return f"not of format {FORMAT}, the only one that this pipeline knows"
        return f"{where}: {first['msg']}" if where else str(first["msg"])
    return getattr(error, "strerror", "") or str(error)


_READER: TypeAdapter[History] = TypeAdapter(History)
