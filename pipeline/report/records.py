# SPDX-License-Identifier: GPL-2.0-or-later
"""What a file of `out/history/` says, as records, and the bounds of what is believed of it.

`schema/history.schema.json` is the contract. Fields that only other programs need are not taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

# Far more than any run has, and few enough for a page. Names of tests are the longest lists.
_MANY = Field(max_length=1_000)
_NAMES = Field(max_length=100_000)

Seconds = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=-(10**15), le=10**15)]
# Bounds that every time zone can show.
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=timezone.utc), lt=datetime(9000, 1, 1, tzinfo=timezone.utc)),
]
Result = Literal["ok", "cached", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRow:
    """How one stage ended; `log` is relative to the out directory where it lies in it."""

    stage: str
    result: Result
    seconds: Seconds
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchRow:
    """A patch as git applied it."""

    file: str
    subject: str
    state: str
    offset: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """Tests that need one patch, and how many are green with 0, 1, 2 … patches."""

    patch: str
    tests: Count
    green: Annotated[tuple[Count, ...], _MANY]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitCounts:
    """Of the run document: the matrix alone, since the names are in the details."""

    matrix: Annotated[tuple[MatrixRow, ...], _MANY]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """One job of the run document."""

    target: str
    package: str
    nevra: str
    evr: str
    reason: str
    source: str
    patches: Annotated[tuple[PatchRow, ...], _MANY]
    stages: Annotated[tuple[StageRow, ...], _MANY]
    unit: UnitCounts | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A package that was built; its path is relative to the out directory."""

    path: str
    nevra: str
    arch: str
    size_bytes: Count
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A repository as it stood on a mirror behind the run; `changed` if this run wrote it."""

    target: str
    destination: str
    revision: Count
    changed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    repositories: Annotated[tuple[Published, ...], _MANY]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunError:
    """The first failure."""

    reference: str
    message: str
    exit_code: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The run document, as `--json` prints it."""

    status: Literal["ok", "failed"]
    jobs: Annotated[tuple[JobRow, ...], _MANY]
    artifacts: Annotated[tuple[Artifact, ...], _NAMES]
    mirror: Mirror | None
    error: RunError | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Names of tests, by how they ended on one tree."""

    passed: Annotated[tuple[str, ...], _NAMES]
    failed: Annotated[tuple[str, ...], _NAMES]


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
    release: Count | None
    authors: Annotated[tuple[str, ...], _MANY]
    tests: Tests | None
    findings: Annotated[tuple[FindingRow, ...], _NAMES] | None
    changes: ChangesTold | None
    source: Origin | None
    image: ImageTold | None
    statements: Annotated[tuple[str, ...], _NAMES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """One stage that failed, told as the terminal told it; a target's own stage has no package."""

    target: str
    package: str
    stage: str
    message: str
    hint: str
    log: str
    lines: Annotated[tuple[str, ...], _MANY]
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
    started: Moment
    finished: Moment
    last_stage: str
    words: Annotated[tuple[str, ...], _MANY]
    command: str
    checkout: CheckoutTold
    run: Document
    details: Annotated[tuple[Details, ...], _MANY]
    failures: Annotated[tuple[Failure, ...], _MANY]

    @property
    def pairs(self) -> tuple[tuple[JobRow, Details], ...]:
        """Each job with its details."""
        return tuple(zip(self.run.jobs, self.details, strict=True))

    @property
    def interrupted(self) -> bool:
        return self.run.error is not None and self.run.error.reference == "interrupted"
