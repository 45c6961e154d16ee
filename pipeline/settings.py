# SPDX-License-Identifier: GPL-2.0-or-later
"""`pipeline.toml` and the environment, read once into frozen settings; every error at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipeline.dangling import dangling_names
from pipeline.errors import SettingsError, UsageError
from pipeline.model import Job, RebuildOn, Source
from pipeline.settingtables import (
    CiSettings,
    FarmSettings,
    HostSettings,
    ImageSettings,
    MirrorSettings,
    PackageSettings,
    ReleaseSettings,
    RetentionSettings,
    Section,
    SigningSettings,
    TargetSettings,
    TimeLimits,
)
from pipeline.settingtypes import Name, PackageName
from pipeline.sourcespec import SOURCE_FORMS, parse_source

_UNKNOWN_KEY = "unknown key; remove it or correct its name"


class _Document(Section):
    default_targets: Annotated[tuple[str, ...], Field(min_length=1)]
    out_dir: str = "out"
    packager: Annotated[str, Field(pattern=r"^[^<>\n]+ <[^<>\s@]+@[^<>\s@]+>$")]
    rebuild_on: RebuildOn = "change"
    time_limits: TimeLimits = TimeLimits()
    releases: ReleaseSettings = ReleaseSettings()
    packages: Annotated[dict[PackageName, PackageSettings], Field(min_length=1)]
    targets: Annotated[dict[Name, TargetSettings], Field(min_length=1)]
    images: Annotated[dict[Name, ImageSettings], Field(default_factory=dict)]
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

    def target_of(self, job: Job) -> TargetSettings:
        """The target as a package of it sees it: with the dist tag of the package's own, if it has one.

        What the demo makes is marked as such whatever the package says.
        """
        target = self.target(job.target)
        tag = self.packages[job.package].dist_tags.get(job.target)
        return target if tag is None or target.dist == ".demo" else target.model_copy(update={"dist": tag})

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
