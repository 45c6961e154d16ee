# SPDX-License-Identifier: GPL-2.0-or-later
"""BuildResult -> LintReport: what rpmlint finds in our package and not in the vendor's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline import command, files, hidden, rpmlint
from pipeline.context import JobContext
from pipeline.errors import LintError
from pipeline.ledger import digest_of
from pipeline.model import BuildResult, Finding, LintReport

_VERSION_SECONDS = 60


def inputs(build: BuildResult, baseline: BuildResult, *, context: JobContext) -> dict[str, str]:
    """rpmlint's configuration and what is allowed."""
    return {
        f"specs/{context.job.package}/rpmlint.toml": files.sha256_of(_config_path(context)),
        "lint_allowed": json.dumps(context.package.lint_allowed, sort_keys=True),
    }


def run(build: BuildResult, baseline: BuildResult, *, context: JobContext) -> LintReport:
    """The comparison, with nothing new that is not allowed. Raises: LintError naming what is."""
    found = _check(build, context)
    new, inherited = compare(found, _baseline_findings(baseline, context))
    allowed = tuple(finding for finding in new if is_allowed(finding, context.package.lint_allowed))
    refused = [finding for finding in new if finding not in allowed and finding.level != "I"]
    context.progress.note(
        f"{len(refused)} new, {len(allowed)} allowed, {inherited} that the vendor's package has as well"
    )
    if refused:
        raise LintError("new-findings", _told(refused), hint=_hint(refused[0], context), log_path=context.log_path)
    return LintReport(findings=tuple(new), inherited_count=inherited, allowed=allowed)


def compare(found: Iterable[Finding], baseline: Iterable[Finding]) -> tuple[list[Finding], int]:
    """Findings that the baseline does not have (as often), and how many it has as well."""
    left = Counter(baseline)
    new = []
    inherited = 0
    for finding in found:
        if left[finding]:
            left[finding] -= 1
            inherited += 1
        else:
            new.append(finding)
    return new, inherited


def is_allowed(finding: Finding, allowed: Mapping[str, str]) -> bool:
    """Whether `lint_allowed` has the check, or the check of this package."""
    return finding.check in allowed or f"{finding.check} {finding.subject}" in allowed


def _config_path(context: JobContext) -> Path:
    """What rpmlint need not say of the package. Raises: LintError where nobody wrote it."""
    path = context.specs_dir / "rpmlint.toml"
    if not path.is_file():
        raise LintError(
            "rpmlint-config",
            f"{path} does not exist",
            hint="every package has one, if only with `Filters = []`; `nox -s new_package` writes it",
        )
    return path


def _check(build: BuildResult, context: JobContext) -> tuple[Finding, ...]:
    return rpmlint.check(
        build,
        _config_path(context),
        secrets=hidden.of(context.settings),
        out_path=context.out_path,
        timeout_seconds=context.settings.time_limits.lint,
        log_path=context.log_path,
    )


def _baseline_findings(baseline: BuildResult, context: JobContext) -> list[Finding]:
    """rpmlint on the vendor's package, kept: it is the same until package, configuration or rpmlint changes."""
    key = {
        "baseline": digest_of(baseline),
        "config": files.sha256_of(_config_path(context)),
        "rpmlint": command.run(["rpmlint", "--version"], timeout_seconds=_VERSION_SECONDS).stdout.strip(),
    }
    kept_path = context.home_dir / "baseline" / "rpmlint.json"
    try:
        kept = json.loads(kept_path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return [Finding(**finding) for finding in kept["findings"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # not there, or cut short: made again
    findings = list(_check(baseline, context))
    rows = [{"subject": row.subject, "level": row.level, "check": row.check, "detail": row.detail} for row in findings]
    files.write_whole(kept_path, json.dumps({"key": key, "findings": rows}, indent=1) + "\n")
    return findings


def _told(refused: list[Finding]) -> str:
    shown = "; ".join(f"{row.subject}: {row.level}: {row.check} {row.detail}".strip() for row in refused[:3])
    more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
    return f"rpmlint finds {len(refused)} that the vendor's package does not have: {shown}{more}"


def _hint(first: Finding, context: JobContext) -> str:
    return (
        f"mend the spec template or the patch, or allow it with a reason in pipeline.toml: "
        f'[packages.{context.job.package}.lint_allowed] "{first.check} {first.subject}" = "why"'
    )
