# SPDX-License-Identifier: GPL-2.0-or-later
"""A publisher as a process of its own: `publish|rollback|promote ROOT OUT MIRROR [WORD]`.

What is published was signed before: its records lie in OUT, put there by `hand_over`. A client's trial is left out:
it takes seconds, changes nothing on the mirror, and has tests of its own.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from pipeline import lock
from pipeline.chain import Chain
from pipeline.errors import PipelineError
from pipeline.flow import TARGET_STAGES
from pipeline.mirrors import promote, rollback
from pipeline.model import SignedSet
from pipeline.progress import Progress
from pipeline.run import Run, empty_scratch, new_attempt
from pipeline.settings import Settings, read_settings

TARGET = "el6"
_STAGES = tuple(stage for stage in TARGET_STAGES if stage.name != "verify")
_RECORDS = "signed.pickle"


def hand_over(sets: tuple[SignedSet, ...], out_path: Path) -> None:
    """Leave the records for the process; their paths are relative, so the folder may be copied."""
    (out_path / _RECORDS).write_bytes(pickle.dumps(sets))


def argv(action: str, root_dir: Path, out_path: Path, mirror: str, word: object = "") -> list[str]:
    """The command that does it."""
    return [sys.executable, "-m", "tests.chaos.publisher", action, str(root_dir), str(out_path), mirror, str(word)]


def main(action: str, root_dir: str, out: str, mirror: str, word: str) -> None:
    try:
        settings = read_settings(Path(root_dir), out=out, mirror=mirror, engine="host", environ={})
        with lock.held(settings.out_path, Progress(quiet=True), wait=True):
            empty_scratch(settings.out_path)
            _ACTIONS[action](settings, word)
    except PipelineError as error:
        sys.stderr.write(f"{error.reference}: {error.message}; {error.hint}\n")
        sys.exit(error.exit_code)


def _publish(settings: Settings, _: str) -> None:
    """What the last stages of a release do, as the only publisher. Raises: PipelineError."""
    sets = pickle.loads((settings.out_path / _RECORDS).read_bytes())
    run = Run(settings=settings, progress=Progress(quiet=True), last_stage="publish", attempt=new_attempt())
    chain = Chain(TARGET, run._target_context(TARGET), _STAGES, sign=sets)
    error, _ = run._run_locked(TARGET, chain)
    if error is not None:
        raise error


def _rollback(settings: Settings, revision: str) -> None:
    rollback.run(settings, TARGET, int(revision), Progress(quiet=True), log_path=settings.out_path / "log")


def _promote(settings: Settings, source: str) -> None:
    promote.run(settings, TARGET, source, None, Progress(quiet=True), log_path=settings.out_path / "log")


_ACTIONS = {"publish": _publish, "rollback": _rollback, "promote": _promote}

if __name__ == "__main__":
    main(*sys.argv[1:])
