# SPDX-License-Identifier: GPL-2.0-or-later
"""One client in one clean root: what it is told, a step, what is looked at after it, and what is told of a failure."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.command import CommandResult
from pipeline.engines.base import Workspace
from pipeline.errors import CommandFailed, CommandTimedOut, PipelineError, VerifyError
from pipeline.proof import client as clients
from pipeline.proof import reason, state
from pipeline.proof.client import Client
from pipeline.proof.state import Complaint, Installed
from pipeline.proof.steps import Step
from pipeline.proof.trial import Trial
from pipeline.rpmheaders import Header

_WIPE_SECONDS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """A trial under way in a workspace; `headers` are those of all its packages, by NEVRA."""

    trial: Trial
    client: Client
    workspace: Workspace
    headers: Mapping[str, Header]
    log_path: Path
    deadline: float

    @property
    def root_dir(self) -> Path:
        return self.workspace.dir / "root"

    @property
    def config_path(self) -> Path:
        return self.workspace.dir / "client.conf"

    def prepare(self, others: Sequence[str]) -> None:
        """Write what client and rpm are told; `others` are the URLs of what hosts have besides."""
        self.root_dir.mkdir()
        keys = []
        for number, path in enumerate(self.trial.key_paths):
            kept = self.workspace.dir / f"key{number}.asc"
            shutil.copyfile(path, kept)
            keys.append(self._url(kept))
        ours = self._url(self.trial.repository_dir.resolve())
        files.write_whole(self.config_path, clients.config_text([ours], keys=keys, others=others))
        files.write_whole(self.workspace.dir / ".rpmmacros", clients.RPM_MACROS)

    def perform(self, step: Step) -> None:
        """Do one step and look. Raises: VerifyError, CommandTimedOut."""
        try:
            before = self._installed() if step.idle else ()
            self._client(step)
            after = self._installed()
            complaint = next(self._complaints(step, before, after), None)
        except CommandFailed as error:
            raise self._failed(step, reason.reason(error.output)) from None
        except CommandTimedOut as error:
            raise _out_of_time(step, self.client, error) from None
        if complaint:
            raise self._failed(step, complaint.text, complaint.package)

    def wipe(self) -> None:
        """Remove the root, as root: parts of it may be out of the user's reach."""
        with suppress(PipelineError):
            self.workspace.run(["rm", "-rf", self._inside(self.root_dir)], timeout_seconds=_WIPE_SECONDS)

    def _complaints(
        self, step: Step, before: tuple[Installed, ...], after: tuple[Installed, ...]
    ) -> Iterator[Complaint]:
        names = {rpm.name for rpm in self.trial.all_for_hosts}
        yield from state.wrong_packages(after, step.expected, names)
        if step.idle and before != after:
            changed = sorted({package.nevra for package in {*before, *after} - ({*before} & {*after})})
            yield Complaint(package="", text=f"there was something to do: {', '.join(changed)}")
        headers = {rpm.nevra: self.headers[rpm.nevra] for rpm in step.expected}
        yield from state.wrong_files(self._verification(step), headers)

    def _client(self, step: Step) -> None:
        argv = self.client.plan(
            step.verb,
            step.words,
            config=self._inside(self.config_path),
            root=self._inside(self.root_dir),
            arch=self.trial.arch,
        )
        self._run(argv)

    def _installed(self) -> tuple[Installed, ...]:
        argv = ["rpm", "--root", self._inside(self.root_dir), "-qa", "--queryformat", state.QUERY]
        return tuple(sorted(state.read_query(self._run(argv, capture=True).stdout), key=lambda each: each.nevra))

    def _verification(self, step: Step) -> str:
        """What rpm finds wrong, which it tells by a failure as well. Its scripts need a real host."""
        names = [rpm.name for rpm in step.expected]
        argv = ["rpm", "--root", self._inside(self.root_dir), "-V", "--noscripts", *names]
        try:
            return self._run(argv, capture=True).stdout if names else ""
        except CommandFailed as error:
            return error.output

    def _run(self, argv: Sequence[str], *, capture: bool = False) -> CommandResult:
        home = self._inside(self.workspace.dir)
        # All by which a user could lead gpg, rpm or Python elsewhere.
        env = {"HOME": home, "GNUPGHOME": f"{home}/.gnupg", "PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "TMPDIR": "/tmp"}
        env |= {f"XDG_{name}_HOME": f"{home}/{name.lower()}" for name in ("CONFIG", "CACHE", "DATA", "STATE")}
        left_seconds = max(self.deadline - time.monotonic(), 0.01)
        return self.workspace.run(argv, timeout_seconds=left_seconds, log_path=self.log_path, env=env, capture=capture)

    def _failed(self, step: Step, why: str, package: str = "") -> VerifyError:
        package = package or reason.package_in(why, self.trial.all_for_hosts)
        return VerifyError(
            "proof-failed",
            f"a host cannot {step.sentence}: {f'{package}: ' if package else ''}{why}",
            hint=reason.mend(why),
            log_path=self.log_path,
        )

    def _inside(self, path: Path) -> str:
        return self.workspace.inside(path)

    def _url(self, path: Path) -> str:
        return Path(self._inside(path)).as_uri()


def _out_of_time(step: Step, client: Client, error: CommandTimedOut) -> CommandTimedOut:
    return CommandTimedOut(
        "time-limit",
        f"{client.label} did not end in time when it was to {step.sentence}",
        hint="look in the log for where it hung, or raise `verify` in pipeline.toml under [time_limits]",
        log_path=error.log_path,
        reproduce=error.reproduce,
    )
