# SPDX-License-Identifier: GPL-2.0-or-later
"""The records that stages hand to each other: frozen, no I/O, no third-party import.

A path in a record is relative to the out directory, so that a record means the same, and has the
same digest, wherever that directory lies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# "run" stands in plans only: what would be done.
StageResult = Literal["ok", "cached", "failed", "skipped", "run"]
SourceKind = Literal["srpm", "yum", "git", "demo"]
PatchState = Literal["clean", "offset"]
RebuildOn = Literal["change", "provides"]
EngineName = Literal["host", "podman", "docker"]


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file in the out directory; the ledger takes it for good only while the digest holds."""

    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A folder in the out directory, with a digest of names, sizes and times of all in it."""

    path: Path
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a source RPM comes from: `srpm:PATH-or-URL`, `yum:URL`, `git:REPO@TAG` or `demo`."""

    kind: SourceKind
    location: str = ""
    tag: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        tag = f"@{self.tag}" if self.tag else ""
        return f"{self.kind}:{self.location}{tag}" if self.location else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One package for one target."""

    package: str
    target: str

    def __str__(self) -> str:
        return f"{self.target}/{self.package}"

    @property
    def id(self) -> str:
        """Its name in plans, on command lines and in CIs; no package or target has an @ in its own."""
        return f"{self.package}@{self.target}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """What commands run in: a container image, or this host, with the versions that matter."""

    engine: EngineName
    reference: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evr:
    """Epoch, version and release of an RPM; `str()` leaves out an epoch of 0."""

    epoch: int = 0
    version: str
    release: str

    def __str__(self) -> str:
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{epoch}{self.version}-{self.release}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Srpm:
    """A source RPM that was checked, and its payload unpacked beside it."""

    file: File
    name: str
    evr: Evr
    spec: File
    sources: tuple[File, ...]
    origin: str
    demo: bool

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.src"


@dataclass(frozen=True, kw_only=True, slots=True)
class AppliedPatch:
    """One patch of the series as git applied it; `offset_lines` is the largest of its hunks.

    `date_seconds` is when its author wrote it, in seconds since the epoch.
    """

    file: File
    subject: str
    author: str
    state: PatchState
    offset_lines: int
    touched: tuple[str, ...]
    date_seconds: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchedTree:
    """The source as `%prep` leaves it, without and with the series.

    `steps` has, in a folder for each number of patches, the files that they touched.
    """

    srpm: Srpm
    pristine: Tree
    patched: Tree
    steps: Tree
    patches: tuple[AppliedPatch, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BinaryRelations:
    """What one binary package gives and asks for when it is installed."""

    name: str
    provides: tuple[str, ...]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Relations:
    """What a package asks for and gives, as rpm reads it from its spec; capabilities are as rpm prints them.

    `packages` are its binary packages, `provides` what any of them gives besides, by the settings. `missing` is what
    it needs to be built and the engine does not have; empty where build requirements are not looked at.
    """

    packages: tuple[BinaryRelations, ...]
    build_requires: tuple[str, ...]
    provides: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def makes(self) -> tuple[str, ...]:
        """The names of its binary packages."""
        return tuple(package.name for package in self.packages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """A release that was given out once: to this input, and to no other.

    `inputs` are (name, digest or value) of all that decides what the packages hold; `input_sha256` is their digest.
    `remote` and `tag` say where the world sees it; both are empty where the out directory alone keeps it.
    """

    number: int
    evr: Evr
    input_sha256: str
    inputs: tuple[tuple[str, str], ...]
    remote: str = ""
    tag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedSpec:
    """The vendor's spec with our release, patches and changelog entry, and the diff that shows it.

    `source_date_epoch`, in seconds, is the time that everything built from it bears: it comes from
    the input alone, never from a clock.
    """

    tree: PatchedTree
    reservation: Reservation
    spec: File
    diff: File
    source_date_epoch: int

    @property
    def evr(self) -> Evr:
        return self.reservation.evr


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitOutcome:
    """What the tests of the patch said about one tree; names are `Class.test`."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether some passed and none failed: none at all shows nothing."""
        return bool(self.passed) and not self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """The tests that need one patch (`0003`; empty for none), and how many are green with 0, 1, 2 … patches."""

    patch: str
    tests: int
    green: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitReport:
    """Red on the pristine tree, green on the patched one, and what each patch between them changes.

    `junit` has the same for a CI, test by test.
    """

    python: str
    pristine: UnitOutcome
    patched: UnitOutcome
    matrix: tuple[MatrixRow, ...] = ()
    junit: File | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractReport:
    """What goes on working beside the patches, in source and packages alike, and what the source has no code for."""

    kept: tuple[str, ...]
    absent: tuple[str, ...]
    junit: File | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rpm:
    """A built RPM; a source RPM has `arch` `src`. `source` is the name of the one that it is built from."""

    file: File
    name: str
    evr: Evr
    arch: str
    source: str = ""

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """All that one `rpmbuild -ba` made, binary RPMs sorted by name."""

    srpm: Rpm
    rpms: tuple[Rpm, ...]
    spec: File

    @property
    def all_rpms(self) -> tuple[Rpm, ...]:
        return (self.srpm, *self.rpms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """A package of ours that another one is built on: as we built it, and as its vendor has it, if that was built.

    `key` is what of it decides whether that one is built again: all of it, or what it provides.
    """

    package: str
    build: BuildResult
    key: str
    baseline: BuildResult | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """An RPM of this run that was there when another package was built; `package` is what it was made of."""

    package: str
    file_name: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of rpmlint, with our own version-release taken out of `detail`."""

    subject: str
    level: Literal["E", "W", "I"]
    check: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LintReport:
    """rpmlint on our package against rpmlint on the vendor's."""

    findings: tuple[Finding, ...]
    inherited_count: int
    allowed: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What differs between the vendor's packages and ours, and between our last release and this one.

    `document` is JSON, `text` the same for people; `last` is the release compared with, empty for the first.
    """

    document: File
    text: File
    last: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where the packages came from: an in-toto statement and a CycloneDX document beside each of them.

    `patches` are the mails of the series, in one file beside the source package; none where there is no series.
    """

    statements: tuple[File, ...]
    sboms: tuple[File, ...]
    patches: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorSet:
    """The vendor's own packages, source RPM first where there is one; `origin` says in words where they come from."""

    rpms: tuple[Rpm, ...]
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A key that hosts verify with: armored in `file`; `expires_seconds` since the epoch, 0 for never."""

    fingerprint: str
    file: File
    expires_seconds: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedSet:
    """Signed copies of what one job built, and of the vendor's set; each `Rpm.file` is the signed copy.

    `keys` are all that hosts shall trust, the one that signed first. `sidecars` are what lies beside them.
    """

    ours: tuple[Rpm, ...]
    vendor: tuple[Rpm, ...]
    vendor_origin: str
    keys: tuple[PublicKey, ...]
    sidecars: tuple[File, ...] = ()

    @property
    def all_rpms(self) -> tuple[Rpm, ...]:
        return (*self.ours, *self.vendor)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """What the gate saw in one job's packages and let pass; `external` are requirements that hosts must meet."""

    packages: int
    checks: tuple[str, ...]
    external: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ProofReport:
    """What a client did with the staged repository, step by step, and what had to be left out.

    `steps` are sentences in order; `left_out` are (package, scriptlet) that need a real host; `stood_in` are
    requirements of the host that a stand-in met.
    """

    client: str
    steps: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    stood_in: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRpm:
    """A package as a repository's metadata names it; `href` is relative to the repository.

    `source` is the name of the source package that it is built from, its own for a source package.
    """

    name: str
    evr: Evr
    arch: str
    href: str
    size_bytes: int
    sha256: str
    source: str = ""

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogEntry:
    """One publish, as the mirror's log tells it.

    `releases` are the (name, EVR) of the source packages that came with it, `statements` the (file name, sha256) of
    what says where they came from; `time` is UTC. An `adopt` is what others published there before us.
    """

    revision: int
    time: str
    action: Literal["adopt", "publish", "rollback", "promote"]
    repomd_sha256: str
    detail: str = ""
    releases: tuple[tuple[str, str], ...] = ()
    statements: tuple[tuple[str, str], ...] = ()
    commit: str = ""
    who: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorState:
    """What a repository on a mirror holds now, and its log; an absent repository has no digest and no packages."""

    destination: str
    repomd_sha256: str = ""
    revision: int = 0
    packages: tuple[PublishedRpm, ...] = ()
    log: tuple[LogEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A staged repository: a snapshot with all its metadata, and the RPMs that the mirror does not have yet.

    `base_repomd_sha256` is the state that it was made from; a publish on top of another one would lose something.
    `files` are the packages and what lies beside them, to be sent before the snapshot. `ours`, `vendor` and `previous`
    are the sets that a client tries: what these jobs built, the vendor's, and our releases before.
    """

    tree: Tree
    revision: int
    base_repomd_sha256: str
    repomd: File
    package_count: int
    files: tuple[str, ...]
    ours: tuple[PublishedRpm, ...]
    vendor: tuple[PublishedRpm, ...] = ()
    previous: tuple[PublishedRpm, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """A repository as it now stands on a mirror; `places` are all that have it, the one that is read first."""

    destination: str
    revision: int
    repomd_sha256: str
    changed: bool
    places: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchVerdict:
    """How one patch fares on one tag; `path` and `detail` say where a conflict is, `cause` the commit behind it."""

    patch: str
    state: Literal["clean", "offset", "upstream", "conflict", "untried"]
    offset_lines: int = 0
    path: str = ""
    detail: str = ""
    cause: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagVerdict:
    """How the series fares on one tag of upstream's; `unit` is what its tests said there, if they ran."""

    tag: str
    patches: tuple[PatchVerdict, ...]
    unit: UnitOutcome | None = None

    @property
    def applies(self) -> bool:
        return all(verdict.state in ("clean", "offset", "upstream") for verdict in self.patches)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageOutcome:
    """How one stage of one job ended; `reason` says why it ran, was cached or failed.

    `finished` is when a cached result was made, `hint` what mends a failure, `where` the worker of a farm that did it.
    """

    stage: str
    result: StageResult
    seconds: float = 0.0
    reason: str = ""
    log: str = ""
    finished: str = ""
    hint: str = ""
    where: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOutcome:
    """All that one job did, as `result.json` and `--json` tell it.

    `reason` is why in one sentence; `unpublished` are releases that were given out and are on no mirror. `needs` are
    the jobs that it is built on, `None` while nobody knows; `because` is the one whose failure stopped it.
    """

    job: Job
    needs: tuple[Job, ...] | None = None
    because: Job | None = None
    reason: str = ""
    unpublished: tuple[Evr, ...] = ()
    source: str = ""
    nevra: str = ""
    evr: str = ""
    stages: tuple[StageOutcome, ...] = ()
    unit: UnitReport | None = None
    contracts: ContractReport | None = None
    lint: LintReport | None = None
    build: BuildResult | None = None
    changes: Changes | None = None
    patches: tuple[AppliedPatch, ...] = field(default=())
    image: Image | None = None
    srpm: Srpm | None = None
    provenance: Provenance | None = None
