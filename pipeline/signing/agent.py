# SPDX-License-Identifier: GPL-2.0-or-later
"""gpg's agent, for as long as a key is open and no longer; also when we are killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed, SigningError

_START_SECONDS = 30
_QUICK_SECONDS = 20
_ANY = range(256)
# A key file's passphrase is stretched once, when the key is taken in, and not at each of two signatures a package.
_PRIVATE = ("--disable-scdaemon", "--s2k-count", "65536")

# $0: the folder that the agent is needed for; $1: gpg's home; $2: our process; then the agent's options.
# The agent ends with the command that it was started with (gpg-agent(1), --daemon), and that ends with the folder or
# with us, even if we are killed; it then removes the folder, in which a key may be.
_WATCH = 'while kill -0 "$1" 2>/dev/null && [ -d "$0" ]; do sleep 0.5; done; rm -rf "$0"'
_START = f"""
work=$0 home=$1 us=$2; shift 2; shift
setsid gpg-agent --homedir "$home" --daemon --quiet "$@" sh -c '{_WATCH}' "$work" "$us" &
tries=0
until gpg-connect-agent --homedir "$home" --no-autostart 'GETINFO pid' /bye 2>/dev/null | grep -q '^OK'; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.05
done
"""


@contextmanager
def running(home_dir: Path, work_dir: Path, *, private: bool) -> Iterator[None]:
    """An agent for a gpg home. One that runs already is somebody's: it goes on running.

    `work_dir` is our own folder, gone when we are. Raises: SigningError.
    """
    if answers(home_dir):
        yield
        return
    argv = ["sh", "-c", _START, str(work_dir), str(home_dir), str(os.getpid()), "--", *(_PRIVATE if private else ())]
    try:
        command.run(argv, timeout_seconds=_START_SECONDS)
    except CommandFailed as error:
        raise SigningError(
            "no-agent",
            f"gpg-agent does not start for {home_dir}: {_last_line(error.output)}",
            hint=f"see what `gpg-agent --homedir '{home_dir}' --daemon true` says",
        ) from None
    try:
        yield
    finally:
        _gpgconf(home_dir, "--kill", "gpg-agent")
        if private:
            _gpgconf(home_dir, "--remove-socketdir")


def answers(home_dir: Path) -> bool:
    """Whether an agent runs for this home."""
    words = ["gpg-connect-agent", "--homedir", str(home_dir), "--no-autostart", "GETINFO pid", "/bye"]
    said = command.run(words, timeout_seconds=_QUICK_SECONDS, accept=_ANY)
    return any(line.startswith("OK") for line in said.stdout.splitlines())


def _gpgconf(home_dir: Path, *words: str) -> None:
    argv = ["gpgconf", "--homedir", str(home_dir), *words]
    command.run(argv, timeout_seconds=_QUICK_SECONDS, accept=_ANY, tidies=True)


def _last_line(output: str) -> str:
    return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
