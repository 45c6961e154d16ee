# SPDX-License-Identifier: GPL-2.0-or-later
"""What the patches of a package are tried on: a git repository of this machine, or the source as a run unpacked it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import localgit
from pipeline.errors import CommandFailed
from pipeline.ledger import Ledger
from pipeline.model import PatchedTree
from pipeline.settings import Settings
from pipeline.sources.history import History
from pipeline.sourcespec import parse_source

# The files as they are, whatever the source's own .gitattributes say. Source: gitattributes(5).
_AS_THEY_ARE = "* -text -ident -filter -working-tree-encoding\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """A revision of a repository; `shown` is what people call it."""

    history: History
    revision: str
    shown: str


def find(settings: Settings, package: str, scratch_dir: Path) -> Ground | None:
    """What the package's patches can be tried on; `None` where nothing of it is at hand. Raises: UsageError."""
    return _repository(settings, package) or _unpacked(settings, package, scratch_dir)


def _repository(settings: Settings, package: str) -> Ground | None:
    """A git repository of this machine that the package can be made from, at its tag."""
    chosen = settings.source_override
    listed = [parse_source(text) for texts in settings.packages[package].sources.values() for text in texts]
    for source in (chosen,) if chosen else listed:
        path = Path(source.location.removeprefix("file://"))
        path = path if chosen else settings.root_dir / path
        if source.kind == "git" and path.is_dir():
            history = History(str(path))
            history.tags(source.tag)
            return Ground(history=history, revision=source.tag, shown=f"{path}@{source.tag}")
    return None


def _unpacked(settings: Settings, package: str, scratch_dir: Path) -> Ground | None:
    """The vendor's source as the last run of a target left it, unless it is another version's, or was changed."""
    if settings.source_override is not None:
        return None
    targets = sorted(settings.targets, key=lambda name: name not in settings.default_targets)
    for target in (name for name in targets if settings.builds(package, name)):
        ledger = Ledger(settings.out_path / target / package, settings.out_path)
        tree: PatchedTree | None = ledger.last("patch", PatchedTree)
        if tree and tree.srpm.evr.version == settings.packages[package].version and ledger.has_files(tree.pristine):
            path = settings.out_path / tree.pristine.path
            revision = _taken_in(path, scratch_dir)
            return Ground(
                history=History(str(scratch_dir)),
                revision=revision,
                shown=f"{tree.srpm.nevra}, as it is unpacked in {path}",
            )
    return None


def _taken_in(tree_dir: Path, repository_dir: Path) -> str:
    """The name of a git tree with these very files, in a repository that is made for it."""
    repository_dir.mkdir(parents=True)
    _git(repository_dir, "init", "--quiet", "--bare", "--template=", ".")
    (repository_dir / "info").mkdir()
    (repository_dir / "info" / "attributes").write_text(_AS_THEY_ARE, encoding="utf-8")
    env = {"GIT_DIR": str(repository_dir), "GIT_WORK_TREE": str(tree_dir)}
    _git(tree_dir, "add", "--all", "--force", ".", env=env)
    return _git(tree_dir, "write-tree", env=env)


def _git(folder: Path, *words: str, env: dict[str, str] | None = None) -> str:
    code, told = localgit.run(folder, *words, env=env)
    if code != 0:
        raise CommandFailed(
            "git-failed", f"git could not take in {folder}: {told}", command_exit_code=code, hint="run it again"
        )
    return told
