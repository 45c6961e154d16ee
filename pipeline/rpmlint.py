# SPDX-License-Identifier: GPL-2.0-or-later
"""rpmlint: its command line and its lines of output as records."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline import command, files, parallel, slots
from pipeline.engines import host
from pipeline.errors import LintError, PipelineError
from pipeline.hidden import Hidden
from pipeline.model import BuildResult, Finding

# Source: rpmlint(1); 64 and 66 say that there are findings.
_FINDINGS_EXIT_CODES = (0, 64, 66)
_LINE = re.compile(r"^(?P<subject>\S+?)(?::(?P<line>\d+))?: (?P<level>[EWI]): (?P<check>\S+)(?: (?P<detail>.*))?$")
_SUMMARY = re.compile(r"packages? and \d+ specfiles? checked", re.IGNORECASE)


def plan(config_path: Path, paths: Iterable[Path]) -> list[str]:
    """rpmlint's command line. As few calls as there are cores: starting it costs more than a package does."""
    return ["rpmlint", "--config", str(config_path), *map(str, paths)]


def check(
    build: BuildResult, config_path: Path, *, secrets: Hidden, out_path: Path, timeout_seconds: float, log_path: Path
) -> tuple[Finding, ...]:
    """What rpmlint finds in spec, source RPM and RPMs. Raises: LintError when it does not come to an end."""
    parts = [out_path / part.path for part in (build.spec, *(rpm.file for rpm in build.all_rpms))]
    with tempfile.TemporaryDirectory(prefix="lint-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for path in (config_path, *parts):
            files.copy_whole(path, folder / path.name)
        walls = host.without_rights(secrets)
        shares = shared_out([folder / path.name for path in parts], slots.width())
        logs = [log_path.with_name(f"{log_path.stem}-{number}.log") for number in range(len(shares))]

        def look_at(number: int) -> str:
            argv = [*walls, *plan(folder / config_path.name, shares[number])]
            return _output(argv, folder, timeout_seconds=timeout_seconds, log_path=logs[number])

        last: Path | None = None
        try:
            outputs = parallel.run_all(look_at, range(len(shares)))
        except PipelineError as error:
            last, error.log_path = error.log_path, log_path
            raise
        finally:  # the end of a log is what people are shown
            files.join_files(sorted(logs, key=lambda path: path == last), log_path)
    evrs = [str(build.srpm.evr), build.srpm.evr.release]
    return tuple(finding for output in outputs for finding in read(output, evrs))


def shared_out(paths: Sequence[Path], width: int) -> list[list[Path]]:
    """The files in at most `width` shares, each about as large as the others, in the order that they had."""
    shares: list[list[Path]] = [[] for _ in range(min(width, len(paths)))]
    sizes = [0] * len(shares)
    for path in sorted(paths, key=lambda path: (-path.stat().st_size, path)):
        least = sizes.index(min(sizes))
        shares[least].append(path)
        sizes[least] += path.stat().st_size
    return [sorted(share, key=paths.index) for share in shares]


def _output(argv: Sequence[str], folder: Path, *, timeout_seconds: float, log_path: Path) -> str:
    result = command.run(
        argv,
        timeout_seconds=timeout_seconds,
        cwd=folder,  # nobody may not enter ours
        log_path=log_path,
        env={"HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
        accept=_FINDINGS_EXIT_CODES,
        heavy=True,
    )
    with log_path.open("a", encoding="utf-8") as log:
        log.write(result.stdout)
    if not _SUMMARY.search(result.stdout):
        raise LintError(
            "rpmlint-output",
            "rpmlint ended without its summary line, so it did not check everything",
            hint="look in the log; its configuration may be wrong",
            log_path=log_path,
        )
    return result.stdout


def read(output: str, evrs: Sequence[str]) -> tuple[Finding, ...]:
    """The findings in rpmlint's output; what is the same but for our release compares equal.

    The line of a spec is left out of the subject, and each of `evrs` in a detail becomes `<evr>`.
    """
    # Not inside a longer number: a bare release may be as short as "1".
    ours = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, evrs))})(?![\w]|\.\d)")
    findings = []
    for line in output.splitlines():
        match = _LINE.match(line)
        if match:
            detail = ours.sub("<evr>", match["detail"] or "")
            findings.append(
                Finding(
                    subject=Path(match["subject"]).name,
                    level=match["level"],  # type: ignore[arg-type]  # the pattern lets only E, W and I through
                    check=match["check"],
                    detail=" ".join(detail.split()),
                )
            )
    return tuple(findings)
