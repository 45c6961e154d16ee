# SPDX-License-Identifier: GPL-2.0-or-later
"""Every failure a user can meet, each with its exit code.

A message names the thing and why; the hint says what mends it. `commands.frame` is the only place that
turns one into text and an exit code.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

INTERRUPTED_EXIT_CODE = 130


class PipelineError(Exception):
    """A failure with all that a person needs: what, why, the mend, and where the log is."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        reference: str,
        message: str,
        *,
        hint: str = "",
        log_path: Path | None = None,
        reproduce: str = "",
    ) -> None:
        super().__init__(message)
        self.reference = reference
        self.message = message
        self.hint = hint
        self.log_path = log_path
        self.reproduce = reproduce


class UsageError(PipelineError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = 2


class SettingsError(PipelineError):
    """`pipeline.toml`, a spec template or a patch series cannot be used as it is written."""

    exit_code = 3


class BuildError(PipelineError):
    """rpmbuild failed, or made something other than what was asked for."""

    exit_code = 10


class OrderError(PipelineError):
    """The packages cannot be built one behind the other: a cycle, one that nobody has, or one that two make."""

    exit_code = 10


class CommandTimedOut(PipelineError):
    """A command ran past its time limit; its whole process group was ended."""

    exit_code = 11


class PatchError(PipelineError):
    """A patch of the series does not apply exactly."""

    exit_code = 12


class UnitError(PipelineError):
    """A test of the patch is not red on the pristine tree, or not green on the patched one."""

    exit_code = 13


class LintError(PipelineError):
    """rpmlint finds what the vendor's own package does not have and the configuration does not allow."""

    exit_code = 14


class ReleaseError(PipelineError):
    """No release number can be had, or hosts would not take the release for an upgrade."""

    exit_code = 15


class VerifyError(PipelineError):
    """A package is not what its provenance says, or a client cannot go the way that hosts will."""

    exit_code = 16


class SigningError(PipelineError):
    """There is no key to sign with, it has expired, or what it signed does not verify."""

    exit_code = 17


class GateError(PipelineError):
    """The target's own rpm and yum could not read a package, or it would break the set that it belongs to."""

    exit_code = 18


class AuditError(PipelineError):
    """A mirror is not what it should be, seen from outside."""

    exit_code = 19


class EngineError(PipelineError):
    """The place where commands run (this host or a container) cannot be used."""

    exit_code = 20


class CommandMissing(EngineError):
    """A program is not on PATH."""


class CommandFailed(EngineError):
    """A command ended with an exit code that was not expected; stages say what it means."""

    def __init__(
        self,
        reference: str,
        message: str,
        *,
        command_exit_code: int,
        output: str = "",
        hint: str = "",
        log_path: Path | None = None,
        reproduce: str = "",
    ) -> None:
        super().__init__(reference, message, hint=hint, log_path=log_path, reproduce=reproduce)
        self.command_exit_code = command_exit_code
        self.output = output


class FarmError(EngineError):
    """The farm cannot be used: its scheduler, its workers, or the store that files travel through."""


class NetworkError(PipelineError):
    """Something could not be downloaded whole and unchanged."""

    exit_code = 30


class PublishError(PipelineError):
    """The mirror could not be read or written, or would be broken by what was to be published."""

    exit_code = 31


class SrpmError(PipelineError):
    """A source RPM is not what it should be: format, package, version, spec or paths inside."""

    exit_code = 40


class ParcelError(PipelineError):
    """A parcel is damaged, or is not of a job and a pipeline that are known here."""

    exit_code = 41


class LockedError(PipelineError):
    """Another run holds the lock."""

    exit_code = 60


class Interrupted(PipelineError):
    """Somebody pressed ctrl-C, or the process was told to end."""

    exit_code = INTERRUPTED_EXIT_CODE


def interrupted() -> Interrupted:
    return Interrupted(
        "interrupted",
        "interrupted; what ran was ended, and nothing half-made was taken for done",
        hint="run the same again: it goes on from the last finished stage",
    )


def unwritable(error: OSError) -> PipelineError:
    """The error for a file that the pipeline's own book-keeping could not read or write."""
    return BuildError("input-output", words_of(error), hint="free space or mend the rights there, then run again")


def words_of(error: OSError) -> str:
    """What an input-output error says, and where; of the many that one copy of a folder met, the first."""
    if not error.strerror and error.args and isinstance(error.args[0], list):  # shutil.Error
        _, path, why = error.args[0][0]
        return f"{str(why).partition('] ')[2].partition(': ')[0] or why} at {path}"
    where = f" at {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"
