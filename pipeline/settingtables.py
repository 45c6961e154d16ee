# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of `pipeline.toml`, each a frozen record with what its keys may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.settingtypes import (
    Capability,
    Commit,
    DistPattern,
    DistTag,
    EngineRegex,
    FolderBelow,
    GitRemote,
    HostText,
    MacroName,
    Name,
    OneOrMore,
    OneOrNone,
    PinnedReference,
    PropertyKey,
    ReleaseWord,
    Seconds,
    Sha256,
    SourceText,
    Text,
)

# rpm refuses to define a macro as no text at all. Source: rpm's macros manual.
_NOTHING = "%{nil}"
# What every target needs so that rpm 4.8 can read the packages.
# Source: rpm macros file; EL6's rpm knows gzip payloads and SHA-256 file digests (algorithm 8).
_READABLE_BY_RPM_4_8 = {
    "_binary_payload": "w9.gzdio",
    "_source_payload": "w9.gzdio",
    "_binary_filedigest_algorithm": "8",
    "_source_filedigest_algorithm": "8",
    # rpm 4.8 never made these links; packages of two builds would fight over them.
    "_build_id_links": "none",
}

# What makes them the same whenever, wherever and by whomever they are built. Not the name, the clock,
# the processors or the user of a machine; what SOURCE_DATE_EPOCH says stands in for the clock.
# Source: rpm macros file. A macro that an rpm does not know does nothing.
_THE_SAME_EVERYWHERE = {
    "_buildhost": "localhost",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    # Specs ask for it, and newer rpms keep what they were told in the source RPM.
    "_smp_build_ncpus": "4",
    "_srcdefattr": "(0644,root,root)",
}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeLimits(Section):
    """How long each kind of work may take, in seconds."""

    build: Seconds = 3600
    unit: Seconds = 600
    lint: Seconds = 600
    image: Seconds = 3600
    download: Seconds = 1800
    publish: Seconds = 1800
    verify: Seconds = 600


class PackageHosts(Section):
    """What runs on the hosts of a package: its `service`, and commands for their shell.

    `running_vms` prints the VMs that run, or why nobody can tell; nothing where none does. `running_version` prints
    version-release of what runs. `before` and `after` are what a person does around it.
    """

    service: Annotated[str, Field(pattern=r"^(|[A-Za-z0-9][A-Za-z0-9._@-]*)$")] = ""
    running_vms: HostText = ""
    running_version: HostText = ""
    before: HostText = ""
    after: HostText = ""


class PackageSettings(Section):
    """One package that the pipeline patches; `python` is the oldest that what we add must run on.

    `provides` are what only its build can tell, such as `pkgconfig(x)`: others are built behind it for these.
    Where a tag of git is the source, `dist` says how its tarball comes about: by upstream's `make dist`, which the
    words of `dist_prepare` make possible, or as git archives the tag. `dist_tags` are by target, for a source RPM that
    was made with another dist tag than the target's. `installed_dir` is the folder of an installed
    package that contracts find the source's layout in.
    `engine_properties` are the custom properties that steer the patches, and the regexes of their values;
    `engine_versions` the clusters' versions that the package serves, lowest first. `hosts` is what runs where it is
    installed.
    """

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+]+$")]
    label: ReleaseWord
    release_floor: Annotated[int, Field(ge=1)] = 1
    python: Annotated[str, Field(pattern=r"^(|\d+\.\d+)$")] = ""
    sha256: dict[str, Sha256] = {}
    git_commits: dict[str, Commit] = {}
    dist: Literal["make", "archive"] = "make"
    dist_prepare: tuple[Text, ...] = ("./autogen.sh",)
    dist_left_out: dict[DistPattern, Text] = {}
    dist_tags: dict[Name, DistTag] = {}
    installed_dir: FolderBelow = ""
    sources: dict[str, tuple[SourceText, ...]]
    lint_allowed: dict[str, Text] = {}
    provides: tuple[Capability, ...] = ()
    engine_versions: tuple[Annotated[str, Field(pattern=r"^\d+\.\d+$")], ...] = ()
    engine_properties: dict[PropertyKey, EngineRegex] = {}
    hosts: PackageHosts = PackageHosts()


class TargetSettings(Section):
    """What packages are built for, and where.

    `vendor_packages` is the repository (URL or directory) with the vendor's own RPMs; without it they are built.
    `host_repositories` are those that hosts have besides ours: what our packages require must be in them. `note` warns
    whoever reads the repository's page or its host kit.
    """

    sources: str
    engine: Literal["host", "podman", "docker", "auto"] = "auto"
    image: str = ""
    dist: Annotated[str, Field(pattern=r"^\.[A-Za-z0-9_.]+$")]
    python: str
    nodeps: bool = False
    mirror: str
    vendor_packages: str = ""
    host_repositories: tuple[str, ...] = ()
    note: str = ""
    macros: dict[MacroName, str] = {}

    def rpm_macros(self) -> dict[str, str]:
        """All macros that rpmbuild is given for this target, in a stable order."""
        return {"dist": self.dist or _NOTHING, **_READABLE_BY_RPM_4_8, **_THE_SAME_EVERYWHERE, **self.macros}


class ImageSettings(Section):
    """A container image: the folder that it is made from, or a reference pinned by digest.

    `base` is what the folder's Containerfile starts from, pinned as well.
    """

    recipe: str = ""
    base: PinnedReference = ""
    reference: PinnedReference = ""


class ReleaseSettings(Section):
    """Where release numbers are given out: a git remote that all who publish can push tags to; empty: `out/` alone."""

    remote: GitRemote = ""


class MirrorSettings(Section):
    """A channel: one place to publish to, or several with the same content, of which the first is read.

    A place is a directory, rsync://host/module/path, or [user@]host:path over ssh. `url` is where readers have each
    place, in the same order. A place that is `write_only` (`rrsync -wo`) is read by its url.
    """

    destination: OneOrMore
    url: OneOrNone = ()
    ssh_command: str = ""
    write_only: bool = False

    @model_validator(mode="after")
    def _fits(self) -> MirrorSettings:
        if self.url and len(self.url) != len(self.destination):
            raise ValueError(f"{len(self.destination)} destinations and {len(self.url)} urls: write one url for each")
        if self.write_only and not self.url:
            raise ValueError("a mirror that is write_only is read by its url: add it")
        return self


class SigningSettings(Section):
    """The key that packages and metadata are signed with: one that gpg-agent has, by fingerprint, or a key file.

    `former_keys` are public key files that hosts shall go on trusting for a while.
    """

    key: Annotated[str, Field(pattern=r"^(|[0-9A-Fa-f]{40})$")] = ""
    key_file: str = ""
    passphrase_file: str = ""
    former_keys: tuple[str, ...] = ()


class RetentionSettings(Section):
    """What `prune` leaves on a mirror: the last snapshots, all that are younger, and what readers may be at."""

    keep_snapshots: Annotated[int, Field(ge=1)] = 10
    keep_days: Annotated[float, Field(ge=0)] = 30
    grace_hours: Annotated[float, Field(ge=0)] = 24


class CiSettings(Section):
    """The CI that runs us, if one does; `step_summary` is the file whose Markdown it shows."""

    name: Literal["", "github", "gitlab", "jenkins"] = ""
    step_summary: Path | None = None


class FarmSettings(Section):
    """Other machines that do what needs an engine: the scheduler, how it is reached, and where files travel.

    `store` is a directory that all have, a destination of rsync, or an address that fsspec knows. `resources` is what
    workers of a target have, by the target's name. `wait_seconds` is how long nobody may be there for a job.
    """

    address: Annotated[str, Field(pattern=r"^(|(tls|tcp)://[^/\s]+:[0-9]+)$")] = ""
    insecure: bool = False
    tls_ca_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    store: str = ""
    wait_seconds: Seconds = 300
    connect_seconds: Seconds = 10
    least_free_mib: Annotated[int, Field(ge=0)] = 1024
    resources: dict[Name, Name] = {}

    @model_validator(mode="after")
    def _fits(self) -> FarmSettings:
        if self.address and not self.store:
            raise ValueError("a farm needs a store that all its machines reach: add it")
        if self.address.startswith("tcp://") and not self.insecure:
            raise ValueError("whoever reaches a scheduler without TLS can run code: write tls://, or insecure = true")
        files = (self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        if self.address.startswith("tls://") and not all(files):
            raise ValueError("tls:// needs tls_ca_file, tls_cert_file and tls_key_file: add them")
        return self


class HostSettings(Section):
    """What hosts call our repository: its id in yum, and the name of its `.repo` file."""

    repository: Name = "patched"
