# SPDX-License-Identifier: GPL-2.0-or-later
"""RPMs installed into a folder, and that folder laid over this machine's own for one command: nothing of it changes.

The folder is made once, by rpm as root or as root of a user namespace, with no scriptlet: what a package's scripts
would do to a host is not for a build. Each command mounts it, read-only, in the namespace that ends with it.
Source: rpm(8), mount(8), ldconfig(8), and the kernel's overlayfs: two lower layers without an upper one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandFailed, EngineError

_INSTALL_SECONDS = 600
_INSTALL = ("--upgrade", "--oldpackage", "--replacepkgs", "--noscripts", "--notriggers")

# $1: the folder, $2: whether to take the host's packages into account. Links such as /lib64 are as on the host, so that
# what is installed comes through where it does there.
_MAKE = """
cd "$1" && with=$2 && shift 2 && mkdir usr db || exit
for each in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "/$each" ] || ln -s "$(readlink "/$each")" "$each" || exit
done
there=$(rpm --eval %_dbpath)
[ "$with" = no ] || [ ! -d "$there" ] || cp -a "$there/." db/ || exit
exec rpm --root "$PWD" --dbpath /db "$@"
"""
# $layer: the folder, or nothing. rpm's database is where rpm of the build looks for it; the linker's cache is made
# anew, since the folder's libraries are in none; where rpm is a guest, the linker does not look in rpm's folder.
LAY_OVER = """
lay_over() {
    for each in usr etc opt srv var/lib bin sbin lib lib32 lib64 libx32; do
        if [ -d "$each" ] && [ ! -L "$each" ]; then
            mount -t overlay -o "ro,lowerdir=$each:/$each" packages "/$each" || return
        fi
    done
    there=$(rpm --eval %_dbpath) || return
    case $there in "$HOME"/*) mkdir -p "$there" ;; esac
    [ ! -d "$there" ] || mount --bind db "$there" || return
    [ ! -f /etc/ld.so.cache ] || {
        PATH=$PATH:/usr/sbin:/sbin ldconfig -X -i -C "$PWD/ld.so.cache" "$(rpm --eval %_libdir)" &&
            mount --bind ld.so.cache /etc/ld.so.cache
    }
}
[ -z "$layer" ] || (cd "$layer" && lay_over) || exit 125
"""


def make(
    folder: Path, rpms: Sequence[Path], room: Sequence[str], *, nodeps: bool, log_path: Path | None = None
) -> None:
    """Install RPMs into an empty folder, from within a `room` where the command is root.

    Without `nodeps` what they require must be among them or on this host. Raises: CommandTimedOut, EngineError.
    """
    words = ["sh", "-c", _MAKE, "make", str(folder), "no" if nodeps else "yes"]
    try:
        command.run(
            [*room, *words, *_INSTALL, *(["--nodeps"] if nodeps else []), *map(str, rpms)],
            timeout_seconds=_INSTALL_SECONDS,
            env={"LC_ALL": "C.UTF-8", "HOME": str(folder)},
            log_path=log_path,
            capture=False,
        )
    except CommandFailed as error:
        raise refused(rpms, error) from None


# What rpm, its database and cpio say of a full disk.
_FULL = ("No space left on device", "database or disk is full")


def refused(rpms: Sequence[Path], error: CommandFailed) -> EngineError:
    """The error for packages of this run that rpm did not install, with its reason."""
    told = [line.strip() for line in error.output.splitlines() if "is needed by" in line or line.startswith("error:")]
    said = next((line for line in told if "is needed by" in line), told[-1] if told else error.message)
    full = next((words for words in _FULL if words in error.output), "")
    return EngineError(
        "packages-not-installed",
        f"rpm did not install {', '.join(path.name for path in rpms)} to build on:"
        f" {full or said.removeprefix('error: ')}",
        hint="free space, then run the same again"
        if full
        else "have what they require in the image (containers/) or on this host, or set nodeps for the target",
        log_path=error.log_path,
        reproduce=error.reproduce,
    )
