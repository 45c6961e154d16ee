# SPDX-License-Identifier: GPL-2.0-or-later
"""rsync's command lines, and its failures in one line each.

Source: rsync(1), "EXIT VALUES".
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipeline import command
from pipeline.command import CommandResult
from pipeline.errors import CommandFailed, PublishError
from pipeline.mirrors import layout

HOST = r"([^-@/:\s][^@/:\s]*@)?(\[[0-9a-fA-F:.]+\]|[^-@/:\s\[][^@/:\s]*)"
DAEMON = re.compile(rf"rsync://{HOST}(:[0-9]+)?/[^/\s][^\n]*")

# No word from the other side for this long: give up. rsync's own default is to wait for ever.
_SILENCE_SECONDS = 60
_CONNECT_SECONDS = 20

# Between two tries while rrsync is busy: those who wait shall not come together again.
_BUSY_PAUSE_SECONDS = (0.1, 0.5)
# rsync's words are matched, so they must be English wherever this runs.
_ENGLISH = {"LC_ALL": "C.UTF-8"}

_AGAIN = "run the same again: it goes on from here, and what readers use was not touched"
_FREE_SPACE = "free space on the mirror, then run the same again: what readers use was not touched"
_RIGHTS = "give the publisher's account the right to it on the mirror"

# What the words on standard error mean; they are more exact than the exit code.
_BY_WORDS = (
    ("Failed to exec ", "this machine has no ssh, or what ssh_command names is not here",
     "install it: `apt-get install openssh-client` or `dnf install openssh-clients`; or correct ssh_command"),
    ("Another instance of rrsync", "another rsync of this account is at work there",
     "run the same again when it is done, or let the host's authorized_keys say `rrsync -no-lock`"),
    ("No space left on device", "its disk is full", _FREE_SPACE),
    ("Disk quota exceeded", "its disk quota is used up", _FREE_SPACE),
    ("Read-only file system", "its file system is read-only", "mount it writable, or look in its kernel log"),
    ("module is read only", "its rsync module is read-only", "set `read only = no` for the module in rsyncd.conf"),
    ("module is write only", "its rsync module is write-only", "set `write only = no` for the module in rsyncd.conf"),
    ("Unknown module", "the rsync daemon has no such module", "correct the module's name in the destination"),
    ("auth failed", "the rsync daemon refuses the account", "set RSYNC_PASSWORD, and the user in the destination"),
    ("Host key verification failed", "ssh does not know its host key, or the key changed",
     "compare the key with the host's, then put it into ~/.ssh/known_hosts"),
    (r"Permission denied \(publickey", "ssh refuses our key", "put the publisher's key into its authorized_keys"),
    ("Connection refused", "nothing listens there", "start the server, or correct the host and port"),
    ("Could not resolve hostname|Name or service not known|failure in name resolution|getaddrinfo",
     "its name cannot be resolved", "correct the host in the destination, or look at this machine's DNS"),
    ("No route to host|Network is unreachable", "there is no way to it", "look at this machine's network"),
    ("timed out|timeout (after|waiting|in data)", "it does not answer",
     "look whether the host is up, then run the same again"),
    (r"mkdir .* failed: No such file or directory|chdir failed", "the folder is not there",
     "make it on the mirror, or correct the path in the destination"),
    (r"mkdir .* failed: (File exists|Not a directory)|Not a directory", "a file lies where a folder belongs",
     "move that file away on the mirror, or correct the path in the destination"),
    (r"Permission denied \(13\)|Operation not permitted", "it lacks the rights", _RIGHTS),
    ("command not found|not found", "rsync or ssh is missing", "install rsync on the mirror, and ssh here"),
)  # fmt: skip
_BY_EXIT_CODE = {
    1: ("its rsync does not take our options", "install rsync 3.1 or later on the mirror"),
    2: ("its rsync speaks another protocol", "install rsync 3.1 or later on the mirror"),
    5: ("the rsync daemon refuses", "look in the log for its words, and at rsyncd.conf"),
    10: ("no connection", "look whether the host is up, and at host and port in the destination"),
    11: ("a file could not be written, perhaps its disk is full", "look in the log, and at the mirror's disk"),
    12: ("the connection broke", _AGAIN),
    23: ("some files could not be sent", _AGAIN),
    24: ("files vanished meanwhile", _AGAIN),
    30: ("it does not answer", "look whether the host is up, then run the same again"),
    35: ("it does not answer", "look whether the host is up, then run the same again"),
    255: ("ssh has no connection", "try `ssh HOST` by hand, and look in the log"),
}
# What is left out is what this side says when the other has spoken and gone.
_COMPLAINT = re.compile(r"rsync: (?!\[\w+\] (read|write) error: )|@ERROR|ssh: ")
_NOT_THERE = re.compile(r"rsync: .*: No such file or directory \(2\)")
# The link, or the folder for it; the last is rrsync's.
_EXISTS = re.compile(r"(symlink|mkdir) .* failed: File exists|\(race detected\)")
# How far it is, of all files in one number; the whole list is made first, so that the number only rises.
_TELLING = ("--info=progress2", "--no-inc-recursive", "--no-human-readable")
_SENT = re.compile(rb"[\r\n]\s*([0-9.,]+)\s+[0-9]+%")
_BUSY = re.compile(r"rrsync error: Another instance of rrsync is already accessing")
_NOT_THERE_FOR_RRSYNC = re.compile(r"^\S*rrsync error: .*No such file or directory$", re.MULTILINE)


def basis(address: str, name: str) -> str:
    """Where rsync on the other side finds a folder of the repository, from another such one two levels down.

    Empty where that cannot be said: rrsync takes no path with .. in it, but one from the root of what it serves.
    """
    ssh = re.match(rf"{HOST}:", address)
    if ssh is None or DAEMON.fullmatch(address):
        return f"../../{name.partition('/')[2]}"
    path = address.removeprefix(ssh[0])
    return f"{path}/{name}" if path.startswith("/") else ""


def listing_root(address: str) -> tuple[str, str]:
    """From where listed files are read, and what their names then begin with.

    Seen: rsync 3.5's daemon opens listed files from its module's root alone.
    """
    if not DAEMON.fullmatch(address):
        return address, ""
    host, module, *parts = address.removeprefix("rsync://").split("/")
    return f"rsync://{host}/{module}", "".join(f"{part}/" for part in parts)


def plan_send(
    source_dir: Path, destination: str, list_path: Path, *, ssh_command: str = "", compare_only: bool = False
) -> list[str]:
    """The command that makes the listed files on the mirror the same as here, by content, and removes none.

    Each file comes under a temporary name and is then renamed. With `compare_only` nothing is
    sent: the output names the files that differ.
    """
    # -O: times of folders are the business of their owner. --chmod: an umask locks no web server out.
    # What is there stays as it is: another publisher may have put it there, and readers may have it.
    mode = ["--dry-run", "--out-format=%n"] if compare_only else ["--ignore-existing", *_TELLING]
    # A listed "." brings all names beside it along: readers are led to the snapshot by the switch alone.
    return [
        *_common(destination, ssh_command), "-lptO", "--chmod=D755,F644", "--checksum", *mode,
        f"--exclude=/{layout.REPODATA}", "--from0", f"--files-from={list_path}", "--", f"{source_dir}/", destination,
    ]  # fmt: skip


def plan_metadata(
    source_dir: Path, destination: str, *, former: str, replace: bool, ssh_command: str = ""
) -> list[str]:
    """The command that puts a snapshot's metadata there; files that `former` has too become links to these.

    `former` is a folder of the mirror, relative to the destination. Without `replace` what is there stays as it is:
    another publisher may have taken the same number.
    """
    kept = [] if replace else ["--ignore-existing"]
    linked = [f"--link-dest={former}"] if former else []
    return [
        *_common(destination, ssh_command), "-rptO", "--chmod=D755,F644", "--checksum", *kept, *linked, *_TELLING, "--",
        f"{source_dir}/", destination,
    ]  # fmt: skip


def read_sent(output: bytes) -> int:
    """The bytes of files that were sent so far, by the end of what `--info=progress2` printed."""
    told = _SENT.findall(output)
    return int(re.sub(rb"[^0-9]", b"", told[-1])) if told else 0


def plan_switch(link_path: Path, destination: str, *, ssh_command: str = "") -> list[str]:
    """The command that puts a link in place of the one that is there, or of a folder that was made by hand."""
    return [*_common(destination, ssh_command), "--links", "--force", "--", str(link_path), destination]


def plan_seek(source: str, into_dir: Path, list_path: Path, *, ssh_command: str = "") -> list[str]:
    """The command that names those of the listed files that are there; with 23 it ends when some are not."""
    return [
        *_common(source, ssh_command), "--dry-run", "--ignore-times", "--out-format=%n", "--from0",
        f"--files-from={list_path}", "--", source, f"{into_dir}/",
    ]  # fmt: skip


def plan_new_link(link_path: Path, destination: str, *, ssh_command: str = "") -> list[str]:
    """The command that makes a link where nothing of its name is, and names it then; for a lock.

    The link is made by symlink(2) itself, which refuses when another one came in between.
    """
    return [
        *_common(destination, ssh_command), "--links", "--ignore-existing", "--out-format=%n", "--",
        str(link_path), destination,
    ]  # fmt: skip


def plan_list(source: str, *, ssh_command: str = "") -> list[str]:
    """The command that lists a folder (with a slash at its end), or one file; `read_list` reads it."""
    return [*_common(source, ssh_command), "--links", "--list-only", "--dirs", "--", source]


def plan_list_all(source: str, *, ssh_command: str = "") -> list[str]:
    """The command that lists all below a folder: sizes as plain numbers, names as they are."""
    return [
        *_common(source, ssh_command), "--recursive", "--links", "--list-only", "--no-human-readable",
        "--8-bit-output", "--", source,
    ]  # fmt: skip


def plan_gather(source: str, into_dir: Path, list_path: Path, *, ssh_command: str = "") -> list[str]:
    """The command that copies the listed files with the folders that they lie in; 23 where some are not given."""
    return [
        *_common(source, ssh_command), "-t", "--from0", f"--files-from={list_path}", "--", source, f"{into_dir}/"
    ]  # fmt: skip


def read_list(output: str) -> tuple[str, ...]:
    """The names in what `--list-only` printed of a folder. Source: rsync(1): mode, size, date, time, name."""
    rows = [line.split(maxsplit=4) for line in output.splitlines()]
    return tuple(row[4].partition(" -> ")[0] for row in rows if len(row) == 5 and row[4] != ".")


def plan_remove(empty_dir: Path, destination: str, list_path: Path, *, ssh_command: str = "") -> list[str]:
    """The command that removes the listed files and folders: they are missing in the empty folder that it sends."""
    return [
        *_common(destination, ssh_command), "--recursive", "--links", "--delete-missing-args", "--force", "--from0",
        f"--files-from={list_path}", "--", f"{empty_dir}/", destination,
    ]  # fmt: skip


def plan_read(folder: str, names: Iterable[str], into_dir: Path, *, ssh_command: str = "") -> list[str]:
    """The command that copies those of the named files that a folder of the mirror has."""
    wanted = [f"--include=/{name}" for name in names]
    return [
        *_common(folder, ssh_command), "-rt", "--checksum", *wanted, "--exclude=*", "--", folder, f"{into_dir}/"
    ]  # fmt: skip


def plan_fetch(sources: Sequence[str], into_dir: Path, *, ssh_command: str = "") -> list[str]:
    """The command that copies files of one mirror into a folder here."""
    return [*_common(sources[0], ssh_command), "-t", "--checksum", "--", *sources, f"{into_dir}/"]


def plan_copy(source: str, destination: str) -> list[str]:
    """The command that copies one file to a new name, here or there; it has that name when it is whole."""
    return [*_common(source if source.startswith("rsync://") else destination, ""), "--", source, destination]


def run(
    argv: Sequence[str],
    *,
    doing: str,
    timeout_seconds: float,
    log_path: Path | None,
    may_be_missing: bool = False,
    may_exist: bool = False,
    accept: Sequence[int] = (0,),
    watch: Callable[[int], None] | None = None,
) -> CommandResult | None:
    """Run rsync; `doing` begins the sentence that tells a failure, as in "the mirror X cannot be written".

    `watch` is told the bytes that were sent so far.

    With `may_be_missing`, a source file (or a folder above it) that does not exist gives `None`; with `may_exist`, a
    link that somebody else made in the same moment does.

    Raises: PublishError, CommandMissing, CommandTimedOut.
    """
    try:
        return _run_when_free(lambda: command.run(
            argv, timeout_seconds=timeout_seconds, env=_ENGLISH, log_path=log_path, accept=accept,
            watch=(lambda output: watch(read_sent(output))) if watch else None,
        ), timeout_seconds)  # fmt: skip
    except CommandFailed as error:
        if (may_be_missing and _is_not_there(error)) or (may_exist and _EXISTS.search(error.output)):
            return None
        why, hint = _meaning(error)
        raise PublishError(
            "mirror-failed",
            f"{doing}: {why} (rsync ended with {error.command_exit_code})",
            hint=hint,
            log_path=error.log_path,
            reproduce=error.reproduce,
        ) from None


def _run_when_free(run_once: Callable[[], CommandResult], timeout_seconds: float) -> CommandResult:
    """The result, once rrsync on the other side serves nobody else: it refuses at once, and then did nothing.

    Raises: CommandFailed.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return run_once()
        except CommandFailed as error:
            if not _BUSY.search(error.output) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(*_BUSY_PAUSE_SECONDS))


def _is_not_there(error: CommandFailed) -> bool:
    if error.command_exit_code == 12:
        return bool(_NOT_THERE_FOR_RRSYNC.search(error.output))
    complaints = [line for line in error.output.splitlines() if _COMPLAINT.match(line)]
    return error.command_exit_code == 23 and bool(complaints) and all(map(_NOT_THERE.match, complaints))


def _meaning(error: CommandFailed) -> tuple[str, str]:
    if error.command_exit_code < 0 or error.command_exit_code == 137:
        return "rsync was killed", _AGAIN
    for words, why, hint in _BY_WORDS:
        if re.search(words, error.output):
            return why, hint
    return _BY_EXIT_CODE.get(error.command_exit_code, ("rsync failed", "look in the log for its words"))


def _common(remote: str, ssh_command: str) -> list[str]:
    # Without NODELAY each call waits twice for 40 ms, until the other side acknowledges a few bytes.
    daemon = [f"--contimeout={_CONNECT_SECONDS}", "--sockopts=TCP_NODELAY"]
    connect = daemon if remote.startswith("rsync://") else []
    shell = [f"--rsh={ssh_command}"] if ssh_command else []
    return ["rsync", f"--timeout={_SILENCE_SECONDS}", *connect, *shell]
