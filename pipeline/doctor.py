# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine can do, target by target, and the exact line that mends what it cannot."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import command
from pipeline.engines.base import Engine
from pipeline.engines.choice import engine_of
from pipeline.engines.container import ContainerEngine
from pipeline.errors import PipelineError
from pipeline.gate import closure
from pipeline.progress import Progress, print_document
from pipeline.selection import choose_jobs
from pipeline.settings import Settings

# Program -> (what it is for, Debian's package, Fedora's and CentOS Stream's package)
_PROGRAMS = {
    "rpmbuild": ("builds the demo, checks packages", "rpm", "rpm-build"),
    "make": ("builds the demo", "make", "make"),
    "patch": ("rpmbuild applies patches with it", "patch", "patch"),
    "rpmlint": ("lint", "rpmlint", "rpmlint"),
    "rsync": ("publish", "rsync", "rsync"),
    "dnf": ("verify, where no image has yum", "dnf", "dnf"),
    "git": ("fetch and patch", "git", "git"),
    "gpg": ("signs packages and metadata", "gnupg", "gnupg2"),
    "rpmsign": ("signs packages", "rpm", "rpm-sign"),
    "unshare": ("keeps builds on this host off the network", "util-linux", "util-linux"),
}
_WANTED_FREE_BYTES = 2 * 1024**3
_TRIAL_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing looked at; `mend` is a line to type, empty where nothing is wrong."""

    what: str
    ok: bool
    found: str
    mend: str = ""
    counts: bool = True


def examine(settings: Settings, targets: Sequence[str]) -> list[Check]:
    """The checks for all targets, or for the ones named. Raises: UsageError for an unknown target."""
    names = dict.fromkeys(job.target for job in choose_jobs(settings, tuple(targets) or tuple(settings.targets), ()))
    counting = tuple(targets) or settings.default_targets
    return [
        *(_program(name) for name in _PROGRAMS),
        _binding(),
        _free_space(settings.out_path),
        *_repoclosure(settings, names, counting),
        *_ssh(settings, names, counting),
        *(replace(_target(settings, name), counts=name in counting) for name in names),
    ]


def tell(checks: Sequence[Check], progress: Progress, *, as_json: bool) -> int:
    """Show the checks; 0 if all that is asked for is well, else the exit code of an unusable engine.

    Targets that nobody asked for, and that are no default, are shown and do not count.
    """
    rows = [[check.what, "ok" if check.ok else "failed", check.found] for check in checks]
    progress.table("", ("what", "is", "found"), rows)
    for check in checks:
        if check.mend and check.ok:
            progress.note(f"{check.what}: {check.mend}")
        elif check.mend:
            progress.warning(f"{check.what}: {check.found}")
            progress.heading(f"    {check.mend}")
    if as_json:
        print_document(json.dumps(document(checks), indent=1))
    return 0 if all(check.ok for check in checks if check.counts) else 20


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks for programs."""
    return {"checks": [asdict(check) for check in checks], "error": None}


def failed_document(error: PipelineError) -> dict[str, Any]:
    """The document of a failure before anything was looked at."""
    from pipeline.document import error_document  # late: all of a run comes with it, and may lack what is looked for

    return {"checks": [], "error": error_document(error)}


def _program(name: str) -> Check:
    purpose, debian, fedora = _PROGRAMS[name]
    if command.is_on_path(name):
        return Check(what=name, ok=True, found=command.path_of(name))
    return Check(what=name, ok=False, found=f"not on PATH ({purpose})", mend=_install(debian, fedora))


def _binding() -> Check:
    try:
        import rpm
    except ImportError as error:
        return Check(what="rpm for Python", ok=False, found=str(error), mend=_install("python3-rpm", "python3-rpm"))
    return Check(what="rpm for Python", ok=True, found=str(rpm.__version__))


def _free_space(out_path: Path) -> Check:
    place = next(path for path in (out_path, *out_path.parents) if path.exists())
    free_bytes = shutil.disk_usage(place).free
    return Check(
        what=f"space at {place}",
        ok=free_bytes >= _WANTED_FREE_BYTES,
        found=f"{free_bytes / 1024**3:.1f} GiB free",
        mend="" if free_bytes >= _WANTED_FREE_BYTES else "free space there, or build elsewhere with --out DIR",
    )


def _repoclosure(settings: Settings, names: Iterable[str], counting: Sequence[str]) -> Iterator[Check]:
    """Only for targets whose hosts' repositories are configured: nothing else needs it."""
    wanting = [name for name in names if settings.targets[name].host_repositories]
    if wanting:
        usable = closure.usable()
        found = f"for {', '.join(wanting)}" if usable else "dnf or its repoclosure is not here (gate)"
        mend = "" if usable else _install("dnf dnf-plugins-core", "dnf-plugins-core")
        counts = any(name in counting for name in wanting)
        yield Check(what="dnf repoclosure", ok=usable, found=found, mend=mend, counts=counts)


def _ssh(settings: Settings, names: Iterable[str], counting: Sequence[str]) -> Iterator[Check]:
    """Only for targets whose mirror is behind ssh, and where release numbers are: nothing else needs it."""
    wanting = [name for name in names if any(map(_is_behind_ssh, settings.mirror(name).destination))]
    users = [*wanting, *(["release numbers"] if _is_behind_ssh(settings.releases.remote) else [])]
    if users:
        usable = command.is_on_path("ssh")
        found = f"for {', '.join(users)}" if usable else f"ssh is not on PATH ({', '.join(users)})"
        mend = "" if usable else _install("openssh-client", "openssh-clients")
        counts = users != wanting or any(name in counting for name in wanting)
        yield Check(what="ssh", ok=usable, found=found, mend=mend, counts=counts)


def _is_behind_ssh(place: str) -> bool:
    if "://" in place:
        return place.startswith(("ssh://", "git+ssh://"))
    return ":" in place.partition("/")[0]


def _target(settings: Settings, name: str) -> Check:
    """Try the target's engine with the shortest command there is."""
    what = f"target {name}"
    try:
        engine = engine_of(settings, name)
        image = engine.identify()
        if not image.digest:
            return _absent_image(settings, name, engine)
        _try(engine)
    except PipelineError as error:
        return Check(what=what, ok=False, found=error.message, mend=error.hint)
    return Check(what=what, ok=True, found=f"{image.engine}: {image.reference}")


def _try(engine: Engine) -> None:
    with engine.workspace(Path(tempfile.gettempdir())) as workspace:
        workspace.run(["true"], timeout_seconds=_TRIAL_SECONDS)


def _absent_image(settings: Settings, name: str, engine: Engine) -> Check:
    assert isinstance(engine, ContainerEngine)
    recipe = settings.root_dir / settings.images[settings.targets[name].image].recipe
    base = settings.images[settings.targets[name].image].base or _base_of(recipe / "Containerfile")
    pulled = f", which pulls {base}" if base else ""
    maker = recipe / "build" if (recipe / "build").exists() else recipe / "Containerfile"
    made_by = f"{maker.relative_to(settings.root_dir)}{pulled}"
    return Check(
        what=f"target {name}",
        ok=True,
        found=f"{engine.name} is here; a release would make the image first, by {made_by}",
        mend=f".venv/bin/nox -s image -- --target {name}",
    )


def _base_of(containerfile: Path) -> str:
    """The image that a Containerfile starts from, as its ARG IMAGE says; empty where there is none."""
    lines = containerfile.read_text(encoding="utf-8").splitlines() if containerfile.exists() else []
    return next((line.removeprefix("ARG IMAGE=") for line in lines if line.startswith("ARG IMAGE=")), "")


def _install(debian: str, fedora: str) -> str:
    return f"apt-get install {debian}" if command.is_on_path("apt-get") else f"dnf install {fedora}"
