# SPDX-License-Identifier: GPL-2.0-or-later
"""`pipeline.toml` and the environment, read once into frozen settings; every error at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.dangling import dangling_names
from pipeline.errors import SettingsError, UsageError
from pipeline.model import Job, RebuildOn, Source
from pipeline.settingtypes import (
    Capability,
    Commit,
    DistPattern,
    EngineRegex,
    FolderBelow,
    GitRemote,
    HostText,
    MacroName,
    Name,
    OneOrMore,
    OneOrNone,
    PackageName,
    PinnedReference,
    PropertyKey,
    ReleaseWord,
    Seconds,
    Sha256,
    SourceText,
    Text,
)
from pipeline.sourcespec import SOURCE_FORMS, parse_source

_UNKNOWN_KEY = "unknown key; remove it or correct its name"

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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeLimits(_Section):
    """How long each kind of work may take, in seconds."""

    build: Seconds = 3600
    unit: Seconds = 600
    lint: Seconds = 600
    image: Seconds = 3600
    download: Seconds = 1800
    publish: Seconds = 1800
    verify: Seconds = 600


class PackageHosts(_Section):
    """What runs on the hosts of a package: its `service`, and commands for their shell.

    `running_vms` prints the VMs that run, or why nobody can tell; nothing where none does. `running_version` prints
    version-release of what runs. `before` and `after` are what a person does around it.
    """

    service: Annotated[str, Field(pattern=r"^(|[A-Za-z0-9][A-Za-z0-9._@-]*)$")] = ""
    running_vms: HostText = ""
    running_version: HostText = ""
    before: HostText = ""
    after: HostText = ""


class PackageSettings(_Section):
    """One package that the pipeline patches; `python` is the oldest that what we add must run on.

    `provides` are what only its build can tell, such as `pkgconfig(x)`: others are built behind it for these.
    Where a tag of git is the source, `dist` says how its tarball comes about: by upstream's `make dist`, which the
    words of `dist_prepare` make possible, or as git archives the tag. `installed_dir` is the folder of an installed
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
    installed_dir: FolderBelow = ""
    sources: dict[str, tuple[SourceText, ...]]
    lint_allowed: dict[str, Text] = {}
    provides: tuple[Capability, ...] = ()
    engine_versions: tuple[Annotated[str, Field(pattern=r"^\d+\.\d+$")], ...] = ()
    engine_properties: dict[PropertyKey, EngineRegex] = {}
    hosts: PackageHosts = PackageHosts()


class TargetSettings(_Section):
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
        return {"dist": self.dist, **_READABLE_BY_RPM_4_8, **_THE_SAME_EVERYWHERE, **self.macros}


class ImageSettings(_Section):
    """A container image: the folder that it is made from, or a reference pinned by digest.

    `base` is what the folder's Containerfile starts from, pinned as well.
    """

    recipe: str = ""
    base: PinnedReference = ""
    reference: PinnedReference = ""


class ReleaseSettings(_Section):
    """Where release numbers are given out: a git remote that all who publish can push tags to; empty: `out/` alone."""

    remote: GitRemote = ""


class MirrorSettings(_Section):
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


class SigningSettings(_Section):
    """The key that packages and metadata are signed with: one that gpg-agent has, by fingerprint, or a key file.

    `former_keys` are public key files that hosts shall go on trusting for a while.
    """

    key: Annotated[str, Field(pattern=r"^(|[0-9A-Fa-f]{40})$")] = ""
    key_file: str = ""
    passphrase_file: str = ""
    former_keys: tuple[str, ...] = ()


class RetentionSettings(_Section):
    """What `prune` leaves on a mirror: the last snapshots, all that are younger, and what readers may be at."""

    keep_snapshots: Annotated[int, Field(ge=1)] = 10
    keep_days: Annotated[float, Field(ge=0)] = 30
    grace_hours: Annotated[float, Field(ge=0)] = 24


class CiSettings(_Section):
    """The CI that runs us, if one does; `step_summary` is the file whose Markdown it shows."""

    name: Literal["", "github", "gitlab", "jenkins"] = ""
    step_summary: Path | None = None


class FarmSettings(_Section):
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


class HostSettings(_Section):
    """What hosts call our repository: its id in yum, and the name of its `.repo` file."""

    repository: Name = "patched"


class _Document(_Section):
    default_targets: Annotated[tuple[str, ...], Field(min_length=1)]
    out_dir: str = "out"
    packager: Annotated[str, Field(pattern=r"^[^<>\n]+ <[^<>\s@]+@[^<>\s@]+>$")]
    rebuild_on: RebuildOn = "change"
    time_limits: TimeLimits = TimeLimits()
    releases: ReleaseSettings = ReleaseSettings()
    packages: Annotated[dict[PackageName, PackageSettings], Field(min_length=1)]
    targets: Annotated[dict[Name, TargetSettings], Field(min_length=1)]
    images: dict[Name, ImageSettings] = {}
    mirrors: dict[Name, MirrorSettings]
    signing: SigningSettings = SigningSettings()
    retention: RetentionSettings = RetentionSettings()
    hosts: HostSettings = HostSettings()
    farm: FarmSettings = FarmSettings()


class Settings(_Document):
    """All that a run is told before it starts; paths are absolute."""

    root_dir: Path
    out_path: Path
    engine_override: Literal["", "host", "podman", "docker", "auto"] = ""
    source_override: Source | None = None
    mirror_override: str = ""
    offline: bool = False
    allow_dirty: bool = False
    executor: Literal["local", "dask"] = "local"
    ci: CiSettings = CiSettings()

    def source_list(self, job: Job) -> tuple[Source, ...]:
        """The sources to try for a job, in order."""
        if self.source_override is not None and self.source_override.kind != "demo":
            return (self.source_override,)
        listed = self.packages[job.package].sources[self._source_list_name(job.target)]
        return tuple(parse_source(text) for text in listed)

    def builds(self, package: str, target: str) -> bool:
        """Whether the package is built for the target: it has the list of sources that the target takes."""
        if self.source_override is not None and self.source_override.kind != "demo":
            return True
        return self._source_list_name(target) in self.packages[package].sources

    def _source_list_name(self, target: str) -> str:
        return "demo" if self.source_override is not None else self.targets[target].sources

    def target(self, name: str) -> TargetSettings:
        """The target's settings; the demo source marks whatever it makes with the dist tag `.demo`."""
        target = self.targets[name]
        if self.source_override is not None and self.source_override.kind == "demo":
            return target.model_copy(update={"dist": ".demo"})
        return target

    def resource(self, target_name: str) -> str:
        """What a worker must have to serve a target: as `[farm.resources]` says, else its image's name or its own."""
        return self.farm.resources.get(target_name) or self.targets[target_name].image or target_name

    def mirror(self, target_name: str) -> MirrorSettings:
        """The mirror that a target publishes to: `--mirror` (a name or a destination), else its own."""
        chosen = self.mirror_override or self.targets[target_name].mirror
        return self.mirrors.get(chosen) or MirrorSettings(destination=(chosen,))


def read_settings(
    root_dir: Path,
    *,
    out: str | None = None,
    source: str | None = None,
    engine: str | None = None,
    mirror: str | None = None,
    rebuild_on: str | None = None,
    offline: bool = False,
    allow_dirty: bool = False,
    executor: str = "local",
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of `root_dir/pipeline.toml` with the command line's wishes laid over them.

    Raises: SettingsError that lists every wrong key; UsageError for a wrong flag.
    """
    path = root_dir / "pipeline.toml"
    document = {**_load(path), **({"rebuild_on": rebuild_on} if rebuild_on else {})}
    given_out = out or (os.environ if environ is None else environ).get("PIPELINE_OUT", "")
    _refuse_odd_out(given_out)
    overrides = {
        "root_dir": root_dir,
        "out_path": (Path.cwd() / given_out) if given_out else root_dir / str(document.get("out_dir", "out")),
        "engine_override": engine or "",
        "source_override": _source_flag(source),
        "mirror_override": mirror or "",
        "offline": offline,
        "allow_dirty": allow_dirty,
        "executor": executor,
        "ci": read_ci(environ),
    }
    stray = [f"{key}: {_UNKNOWN_KEY}" for key in overrides if key in document]
    try:
        settings = Settings.model_validate({**document, **overrides})
    except ValidationError as error:
        told = [_told(item) for item in error.errors()]
        raise _settings_error(path, [*stray, *told, *dangling_names(document)]) from None
    wrong = [*stray, *dangling_names(document)]
    if wrong:
        raise _settings_error(path, wrong)
    if mirror:
        refuse_unknown_mirror(mirror, settings.mirrors)
    return settings


def _refuse_odd_out(text: str) -> None:
    """Raises: UsageError for a folder whose name createrepo_c or dnf does not take as it is."""
    if text.isprintable() and not set(text) & set("\\#?"):
        return
    raise UsageError(
        "out-unusable",
        f"the out directory {text!r} has a character that createrepo_c or dnf does not take in a path",
        hint="give --out (or PIPELINE_OUT) a folder without \\, #, ?, line ends and bytes that are no UTF-8",
    )


def read_ci(environ: Mapping[str, str] | None = None) -> CiSettings:
    """The CI that the environment tells of. Jenkins knows its own address only if somebody told it."""
    told = os.environ if environ is None else environ
    if told.get("GITHUB_ACTIONS") == "true":
        summary = told.get("GITHUB_STEP_SUMMARY")
        return CiSettings(name="github", step_summary=Path(summary) if summary else None)
    if told.get("GITLAB_CI") == "true":
        return CiSettings(name="gitlab")
    is_jenkins = told.get("JENKINS_URL") or (told.get("BUILD_ID") and told.get("BUILD_TAG", "").startswith("jenkins-"))
    return CiSettings(name="jenkins" if is_jenkins else "")


def refuse_unknown_mirror(mirror: str, mirrors: Collection[str]) -> None:
    """Raises: UsageError for what is neither a mirror's name nor looks like a place: it may be mistyped."""
    if mirror in mirrors or re.search(r"[/:.]", mirror):
        return
    raise UsageError(
        "unknown-mirror",
        f"there is no mirror '{mirror}' in pipeline.toml",
        hint=f"known: {', '.join(mirrors)}; for a directory write ./{mirror}",
    )


def choose_jobs(settings: Settings, targets: tuple[str, ...], packages: tuple[str, ...]) -> tuple[Job, ...]:
    """The jobs that the flags select, targets first; a package is built for those targets whose sources it has.

    Raises: UsageError naming what does not exist, with the nearest name that does; for what is asked for and not built;
    for one source that is given to several packages.
    """
    _refuse_unknown("target", targets, settings.targets)
    chosen = choose_packages(settings, packages)
    jobs = tuple(
        Job(package=package, target=target)
        for target in dict.fromkeys(targets or settings.default_targets)
        for package in chosen
        if settings.builds(package, target)
    )
    _refuse_unbuilt(settings, jobs, targets or settings.default_targets, packages)
    _refuse_shared_source(settings, jobs)
    return jobs


def choose_packages(settings: Settings, packages: tuple[str, ...]) -> tuple[str, ...]:
    """The packages that the flags select, all where they name none. Raises: UsageError for one that does not exist."""
    _refuse_unknown("package", packages, settings.packages)
    return tuple(dict.fromkeys(packages or tuple(settings.packages)))


def choose_package(settings: Settings, packages: tuple[str, ...]) -> str:
    """The one package that the flags select. Raises: UsageError when it is not one."""
    names = choose_packages(settings, packages)
    if len(names) != 1:
        raise UsageError("which-package", f"there are {len(names)} packages", hint=f"name one: --package {names[0]}")
    return names[0]


def _refuse_unknown(kind: str, asked: tuple[str, ...], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                f"unknown-{kind}",
                f"there is no {kind} '{name}' in pipeline.toml",
                hint=f"{meant}known: {', '.join(known)}",
            )


def _refuse_unbuilt(
    settings: Settings, jobs: tuple[Job, ...], targets: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    """Raises: UsageError for a package that was asked for, or all of them, and is built for none of the targets."""
    unbuilt = [name for name in packages if name not in {job.package for job in jobs}]
    if jobs and not unbuilt:
        return
    told = f"{unbuilt[0]} is not" if unbuilt else "none of the packages is"
    wanted = unbuilt[:1] or tuple(settings.packages)
    fit = [target for target in settings.targets if any(settings.builds(name, target) for name in wanted)]
    raise UsageError(
        "not-built-for",
        f"{told} built for {' or '.join(dict.fromkeys(targets))}: it has no list of sources for that",
        hint=f"--target {fit[0]} builds it" if fit else "give it sources in pipeline.toml that a target takes",
    )


def _refuse_shared_source(settings: Settings, jobs: tuple[Job, ...]) -> None:
    source = settings.source_override
    names = tuple(dict.fromkeys(job.package for job in jobs))
    if source is not None and source.kind != "demo" and len(names) > 1:
        raise UsageError(
            "source-of-one",
            f"--source is one package's, and {len(names)} are asked for: {', '.join(names)}",
            hint=f"name the one that it is of: --package {names[0]}",
        )


def _load(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            "settings-missing", f"{path} does not exist", hint="run from a checkout of the pipeline"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            "settings-syntax", f"{path} is not TOML: {error}", hint="mend the line that is named"
        ) from None


def _source_flag(text: str | None) -> Source | None:
    if text is None:
        return None
    try:
        return parse_source(text)
    except ValueError as error:
        raise UsageError("unknown-source", str(error), hint=f"--source takes {SOURCE_FORMS}") from None


def _told(item: Mapping[str, object]) -> str:
    location = item["loc"]
    assert isinstance(location, tuple)
    key = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        return f"{key}: {_UNKNOWN_KEY}"
    if item["type"] == "missing":
        return f"{key}: missing; add it"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message[:1].lower()}{message[1:]} (it is {item['input']!r})"


def _settings_error(path: Path, wrong: list[str]) -> SettingsError:
    return SettingsError(
        "settings-invalid",
        f"{path.name}: {'; '.join(wrong)}",
        hint=f"mend {'the key' if len(wrong) == 1 else 'these keys'} in {path}",
    )
