# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch series against many tags of upstream's repository, with no checkout and nothing written into it.

Each tag is read into an index of its own, and patches are applied to the index. Objects that this
makes go to a folder of ours; the repository lends its own.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline import localgit
from pipeline.errors import CommandFailed, UsageError
from pipeline.model import PatchVerdict
from pipeline.series import SeriesPatch

_OFFSET = re.compile(r"^Hunk #\d+ succeeded at \d+ \(offset (-?\d+) lines?\)", re.MULTILINE)
_REFUSED = re.compile(r"^error: patch failed: (?P<path>.+):(?P<line>\d+)$", re.MULTILINE)
_FUNCTION = re.compile(r"\bdef (\w+)")
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit of upstream's, as a person would look it up."""

    sha: str
    date: str
    subject: str


class Index:
    """One revision, to which patches can be applied one behind the other."""

    def __init__(self, folder: Path, environment: dict[str, str], revision: str) -> None:
        self._folder = folder
        self._environment = environment
        _must(self._run("read-tree", revision))

    def apply(self, patch: SeriesPatch, *, only: str = "") -> PatchVerdict:
        """Apply a patch, or what it changes in one file, if it applies, and say how it went."""
        name = patch.path.name
        part = [f"--include={only}"] if only else []
        code, told = self._run("apply", "--cached", "--verbose", "--whitespace=nowarn", *part, str(patch.path))
        if code == 0:
            offset = max((abs(int(number)) for number in _OFFSET.findall(told)), default=0)
            return PatchVerdict(patch=name, state="offset" if offset else "clean", offset_lines=offset)
        if self._run("apply", "--cached", "--check", "--reverse", str(patch.path))[0] == 0:
            return PatchVerdict(patch=name, state="upstream")
        refused = _REFUSED.search(told)
        if refused:
            return PatchVerdict(
                patch=name, state="conflict", path=refused["path"], detail=f"{refused['path']}, line {refused['line']}"
            )
        first = next((line for line in told.splitlines() if line.startswith("error: ")), "")
        if not first or code != 1:  # 1 is what git ends with where a patch does not fit
            raise CommandFailed(
                "git-failed",
                f"git could not try {name}: {first or told or 'it said nothing'}",
                command_exit_code=code,
                hint=f"try it by hand: git apply --check {patch.path}",
            )
        return PatchVerdict(patch=name, state="conflict", detail=first.removeprefix("error: "))

    def write_to(self, folder: Path) -> None:
        """The files of the index as they now are."""
        _must(self._run("checkout-index", "--all", "--force", f"--prefix={folder}/"))

    def changed_functions(self, revision: str) -> frozenset[str]:
        """The functions that the applied patches change, by name."""
        _, told = self._run("diff", "--cached", "-U0", revision)
        return functions_in(told)

    def _run(self, *words: str) -> tuple[int, str]:
        return localgit.run(self._folder, *words, env=self._environment)


class History:
    """Upstream's repository, to ask about tags and commits. Raises: UsageError when it is none, or shallow."""

    def __init__(self, repository: str) -> None:
        self._folder = Path(repository).absolute()
        words = ("rev-parse", "--absolute-git-dir", "--git-path", "objects", "--is-shallow-repository")
        code, told = self._run(*words) if self._folder.is_dir() else (1, "")
        if code != 0:
            raise UsageError(
                "no-repository",
                f"{repository} is no git repository on this machine",
                hint="clone upstream's repository and give its path: --source git:PATH",
            )
        git_dir, objects, shallow = told.splitlines()[:3]
        if shallow == "true":
            raise UsageError(
                "shallow-repository",
                f"{repository} is a shallow clone: it lacks the history that is asked for",
                hint=f"fetch the rest: git -C {repository} fetch --unshallow",
            )
        self._repository = repository
        self._git_dir = git_dir
        self._objects_dir = self._folder / objects

    def tags(self, pattern: str) -> tuple[str, ...]:
        """The tags that match a shell pattern, in the order of their numbers. Raises: UsageError for none."""
        told = _must(self._run("tag", "--list"))
        found = [tag for tag in told.split() if fnmatchcase(tag, pattern)]
        if not found:
            raise UsageError(
                "no-such-tag",
                f"{self._repository} has no tag '{pattern}'",
                hint="--tags takes a shell pattern such as 'v4.16.*'; `git tag --list` shows what there is",
            )
        return tuple(sorted(found, key=_by_number))

    def need_branch(self, name: str) -> None:
        """Raises: UsageError unless it is a branch, tag or commit of the repository."""
        if self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")[0] != 0:
            raise UsageError(
                "no-such-branch",
                f"{self._repository} has no branch '{name}'",
                hint="--watch takes a branch or tag of the repository; `git branch --all` shows what there is",
            )

    @contextmanager
    def index(self, revision: str) -> Iterator[Index]:
        """An index that holds `revision`, gone at the end with all that was made in it."""
        with tempfile.TemporaryDirectory(prefix="compat-") as name:
            folder = Path(name)
            (folder / "objects").mkdir()
            # Functions of Python are named in diffs only if git is told what Python is.
            (folder / "attributes").write_text("*.py diff=python\n", encoding="utf-8")
            environment = {
                "GIT_INDEX_FILE": str(folder / "index"),
                "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self._objects_dir),
                "GIT_WORK_TREE": str(folder),
                "GIT_DIR": self._git_dir,
                **_attributes(folder / "attributes"),
            }
            yield Index(self._folder, environment, revision)

    def commits_on(self, before: str, after: str, path: str) -> tuple[Commit, ...]:
        """The commits that touch a file and are in `after` but not in `before`, oldest first."""
        return self._log("--reverse", f"{before}..{after}", "--", path)

    def commits_touching(
        self, functions: frozenset[str], before: str, after: str, names: Sequence[str]
    ) -> list[Commit]:
        """The commits in `after` and not in `before` that change these functions, in files of these names."""
        with tempfile.TemporaryDirectory(prefix="compat-") as folder:
            attributes = Path(folder) / "attributes"
            attributes.write_text("*.py diff=python\n", encoding="utf-8")
            told = _must(
                self._run(
                    *("log", "-p", "-U0", "--no-merges", f"--format=%x00{_FORMAT}", f"{before}..{after}"),
                    *("--", *(f":(glob)**/{name}" for name in names)),
                    env=_attributes(attributes),
                )
            )
        entries = (entry.partition("\n") for entry in told.split("\0")[1:])
        return [_commit(head) for head, _, diff in entries if functions & functions_in(diff)]

    def _log(self, *words: str) -> tuple[Commit, ...]:
        told = _must(self._run("log", f"--format={_FORMAT}", *words))
        return tuple(_commit(line) for line in told.splitlines() if line)

    def _run(self, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        # A folder in somebody's repository is not that repository.
        alone = {"GIT_CEILING_DIRECTORIES": str(self._folder.resolve().parent)}
        return localgit.run(self._folder, *words, env={**alone, **(env or {})})


_FORMAT = "%h%x09%cs%x09%s"


def functions_in(diff: str) -> frozenset[str]:
    """The names of functions in a diff: those that its hunks stand in, and those that it defines or drops."""
    lines = (line for line in diff.splitlines() if line.startswith(("@@", "+", "-")))
    names = (match.group(1) for line in lines if (match := _FUNCTION.search(line)))
    # Every class has an __init__: it tells nothing.
    return frozenset(name for name in names if not name.startswith("__"))


def _attributes(path: Path) -> dict[str, str]:
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.attributesFile", "GIT_CONFIG_VALUE_0": str(path)}


def _commit(line: str) -> Commit:
    sha, date, subject = line.split("\t", 2)
    return Commit(sha=sha, date=date, subject=subject)


def _quoted(path: Path) -> str:
    """As git reads it in a list with ':' between. Source: git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _by_number(tag: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in _NUMBERS.split(tag)]


def _must(outcome: tuple[int, str]) -> str:
    code, told = outcome
    if code != 0:
        raise UsageError("git-failed", f"git cannot read the repository: {told.splitlines()[-1] if told else code}")
    return told
