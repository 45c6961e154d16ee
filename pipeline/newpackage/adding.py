# SPDX-License-Identifier: GPL-2.0-or-later
"""Add a package to the checkout: all is looked at and checked before the first file is written."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline import files
from pipeline.errors import PipelineError, SettingsError, UsageError
from pipeline.model import Source
from pipeline.newpackage import looking, texts
from pipeline.newpackage.about import About
from pipeline.newpackage.looking import Question
from pipeline.progress import Progress
from pipeline.settings import Settings, read_settings
from pipeline.settingtypes import PackageName

SETTINGS = "pipeline.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for; without `targets`, the source goes into the lists of all targets that are of its kind."""

    name: str
    source: Source
    targets: tuple[str, ...] = ()
    version: str = ""
    label: str = "patched"
    python: str = ""
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Addition:
    """What comes, or would come: contents by path in the checkout, the settings last; `targets` are built then.

    `besides` are those of them that nobody asked for: they take the same list of sources as one that somebody did.
    """

    about: About
    contents: tuple[tuple[str, str], ...]
    targets: tuple[str, ...]
    block: str
    besides: tuple[str, ...] = ()


def run(settings: Settings, wish: Wish, progress: Progress) -> Addition:
    """The addition, done unless it is a dry run.

    Raises: UsageError, SettingsError, NetworkError, SrpmError; nothing is written then.
    """
    _refuse_name(settings, wish.name)
    lists = _lists(settings, wish)
    targets = _targets(settings, wish, lists)
    work_dir = settings.out_path / ".work"
    work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_dir, prefix="new-package-") as scratch:
        about = looking.look(
            Question(name=wish.name, source=wish.source, version=wish.version, settings=settings, progress=progress,
                     scratch_dir=Path(scratch), targets=targets)
        )  # fmt: skip
        addition = _plan(settings, wish, about, lists, targets, Path(scratch))
    _refuse_folders(settings.root_dir, addition)
    if not wish.dry_run:
        _write(settings.root_dir, addition)
    return addition


def _refuse_name(settings: Settings, name: str) -> None:
    """Raises: UsageError for a name that is there, or that can be none; SettingsError."""
    # Read again: another one may have added it while this one waited for the lock.
    if name in settings.packages or name in read_settings(settings.root_dir, environ={}).packages:
        raise UsageError("package-there", f"{SETTINGS} has a package {name} already", hint="change its settings there")
    try:
        TypeAdapter(PackageName).validate_python(name)
    except ValidationError as error:
        raise UsageError(
            "package-name",
            str(error.errors()[0]["msg"]).removeprefix("Value error, "),
            hint="call it as its source RPM is called; the spec's line Name says it",
        ) from None


def _lists(settings: Settings, wish: Wish) -> tuple[str, ...]:
    """The names of the source lists that get the source. Raises: UsageError where no target takes from any."""
    for target in wish.targets:
        if target not in settings.targets:
            raise UsageError(
                "unknown-target",
                f"there is no target '{target}' in {SETTINGS}",
                hint=f"known: {', '.join(settings.targets)}",
            )
    named = [settings.targets[target].sources for target in wish.targets or tuple(settings.targets)]
    if not wish.targets:  # the demo's targets make no real packages, and others nothing of the demo's
        named = [name for name in named if (name == "demo") == (wish.source.kind == "demo")]
    if not named:
        raise UsageError(
            "no-target",
            f"no target takes {'demo' if wish.source.kind == 'demo' else 'real'} sources",
            hint=f"say which shall take it: --target NAME, of {', '.join(settings.targets)}",
        )
    return tuple(dict.fromkeys(named))


def _plan(
    settings: Settings, wish: Wish, about: About, lists: tuple[str, ...], targets: tuple[str, ...], scratch_dir: Path
) -> Addition:
    name = wish.name
    block = texts.block(about, source=str(wish.source) + _pin(wish), lists=lists, label=wish.label, python=wish.python)
    before = (settings.root_dir / SETTINGS).read_text(encoding="utf-8")
    text = f"{before.rstrip()}\n\n{block}"
    _refuse_unreadable(text, scratch_dir)
    return Addition(
        about=about,
        contents=(
            (f"patches/{name}/series", texts.series(name)),
            (f"specs/{name}/{name}.spec.j2", texts.template(unpacks_by_itself=about.unpacks_by_itself)),
            (f"specs/{name}/rpmlint.toml", texts.rpmlint(name)),
            (SETTINGS, text),
        ),
        targets=targets,
        block=block,
        besides=tuple(each for each in targets if wish.targets and each not in wish.targets),
    )


def _pin(wish: Wish) -> str:
    return f"#sha256={wish.source.sha256}" if wish.source.sha256 else ""


def _targets(settings: Settings, wish: Wish, lists: tuple[str, ...]) -> tuple[str, ...]:
    """All that take from these lists: those that are asked for, the default ones, the others."""
    taking = (name for name, target in settings.targets.items() if target.sources in lists)
    return tuple(sorted(taking, key=lambda name: (name not in wish.targets, name not in settings.default_targets)))


def _refuse_unreadable(text: str, scratch_dir: Path) -> None:
    """Raises: UsageError when the settings would not be read any more: a version, label or Python that is none."""
    files.write_whole(scratch_dir / SETTINGS, text)
    try:
        read_settings(scratch_dir, environ={})
    except SettingsError as error:
        told = error.message.removeprefix(f"{SETTINGS}: ").replace(f"{scratch_dir}/", "")
        raise UsageError(
            "new-package-unfit",
            f"with that package, {SETTINGS} could not be read: {told}",
            hint="nothing was written; say it otherwise: --version, --label, --python",
        ) from None


def _refuse_folders(root_dir: Path, addition: Addition) -> None:
    """Raises: UsageError for folders with anything but what a run that was killed here has written."""
    ours = {root_dir / path: content.encode() for path, content in addition.contents}
    for part in ("patches", "specs"):
        folder = root_dir / part / addition.about.name
        there = [path for path in (folder, *folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
        strange = [path for path in there if path.exists() or path.is_symlink()]
        if any(path.is_symlink() or ours.get(path) != path.read_bytes() for path in strange):
            raise UsageError(
                "folder-there",
                f"{part}/{addition.about.name} is there, with something of its own",
                hint="move it away and take from it what is needed; nothing was written",
            )


def _write(root_dir: Path, addition: Addition) -> None:
    """Write all, the settings last: what is not in them counts for nothing, and can be written again.

    Raises: OSError; what was written is gone then.
    """
    written: list[Path] = []
    try:
        for path, content in addition.contents:
            if path != SETTINGS:
                written.append(root_dir / path)
            files.write_whole(root_dir / path, content)
    except BaseException:
        for each in written:
            each.unlink(missing_ok=True)
        for folder in {path.parent for path in written if path.parent.is_dir()}:
            folder.rmdir()
        raise


def tell(addition: Addition, progress: Progress, *, dry_run: bool, next_line: str) -> None:
    """What was found and written, and what to do now."""
    about, how = addition.about, "would be" if dry_run else "is"
    progress.heading(f"{about.name} {about.version} {how} built for {', '.join(addition.targets)}")
    if addition.besides:
        progress.note(f"built for {', '.join(addition.besides)} as well, by the same list of sources")
    for path, _ in addition.contents:
        progress.note(
            f"{'would be' if dry_run else ''} {'added to' if path == SETTINGS else 'written'}: {path}".strip()
        )
    for name, digest in (*about.sha256.items(), *about.git_commits.items()):
        progress.note(f"pinned: {name} is {digest}")
    if dry_run:
        progress.table(SETTINGS, ("this would be added",), [[line] for line in addition.block.splitlines()])
    else:
        progress.note(f"next: {next_line}")


def document(addition: Addition) -> dict[str, Any]:
    """What `--json` tells; its contract is schema/new_package.schema.json."""
    about = addition.about
    return {
        "package": about.name,
        "version": about.version,
        "targets": list(addition.targets),
        "files": [path for path, _ in addition.contents],
        "settings": addition.block,
        "error": None,
    }


def failed_document(error: PipelineError) -> dict[str, Any]:
    """What `--json` tells when no package was added."""
    from pipeline.document import error_document

    return {"package": "", "version": "", "targets": [], "files": [], "settings": "", "error": error_document(error)}
