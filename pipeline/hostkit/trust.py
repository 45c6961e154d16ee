# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands by which a host comes to trust a repository: its keys, looked at first, and its `.repo` file. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote

from pipeline.hostkit import repofile, shell
from pipeline.hostkit.steps import Step
from pipeline.mirrors.facts import RepositoryFacts

_COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
_ADDRESS = re.compile(r"^(?:baseurl|mirrorlist)=.*\n", re.MULTILINE)
_GPGKEY = re.compile(r"^gpgkey=.*$", re.MULTILINE)


def key_path(name: str) -> str:
    return f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{name}"


def keys(name: str, armored: str, fingerprints: Sequence[str]) -> tuple[Step, ...]:
    """The public keys onto the host, looked at, and only then believed."""
    path = key_path(name)
    # rpm names a key by the last digits of its fingerprint.
    known = shell.line("rpm", "-q", *(f"gpg-pubkey-{each[-8:].lower()}" for each in fingerprints))
    held = f"{shell.holds(path, armored)} &&\n  {known} >/dev/null"
    look = f"gpg --quiet --with-colons --with-fingerprint {quote(path)} 2>/dev/null"
    return (
        Step(title="Put the public keys there", command=shell.write(path, armored), unless=held, mend=_WRITE),
        Step(
            title="Compare the fingerprints of the public keys",
            # A key is followed by its fingerprint; subkeys, which newer programs tell of too, are not asked for.
            command=f"{look} |\n  sed -n '/^pub:/{{n;s/^fpr:*\\([0-9A-F]*\\):.*/\\1/p}}'",
            prints=("\n".join(fingerprints),),
            mend=f"Others than those are in {path}: remove it, and take this kit anew from where you trust it.",
        ),
        Step(
            title="Have rpm trust the public keys",
            command=shell.line("rpm", "--import", path),
            unless=f"{known} >/dev/null",
            mend="rpm does not take the key: its message says why.",
        ),
    )


def repository(facts: RepositoryFacts) -> Step:
    """The `.repo` file onto the host. Its key is the one that was looked at, so yum takes none from the mirror."""
    path, text = _repository_file(facts)
    return _repository(shell.write(path, text), shell.holds(path, text))


def repository_elsewhere(facts: RepositoryFacts) -> Step:
    """The same, with the address that is in the shell's variable `baseurl`: what it is, the host alone knows."""
    path, text = _repository_file(facts)
    head, tail = _ADDRESS.split(text, 1)
    lines = [*map(quote, (head + tail).split("\n")[:-1]), '"baseurl=$baseurl/"']
    has_all = " ".join(f"-e {line}" for line in lines)
    return _repository(
        shell.write(path, f"{shell.unexpanded(head)}baseurl=$baseurl/\n{shell.unexpanded(tail)}", expanded=True),
        f"test \"$(grep -cxF {has_all} {path}) $(wc -l <{path})\" = '{len(lines)} {len(lines)}'",
    )


def _repository_file(facts: RepositoryFacts) -> tuple[str, str]:
    """Its path on the host, and its text."""
    name = facts.channel.settings.hosts.repository
    text = _GPGKEY.sub(lambda _: f"gpgkey=file://{key_path(name)}", _COMMENT.sub("", repofile.text(facts)))
    return f"/etc/yum.repos.d/{name}.repo", text


def off(name: str) -> Step:
    """The repository stays known and is not used: else the next `yum update` would bring what was just left."""
    path = f"/etc/yum.repos.d/{name}.repo"
    return Step(
        title="Switch the repository off",
        command=f"sed -i 's/^enabled=.*/enabled=0/' {path}",
        unless=f"test ! -e {path} || grep -qx enabled=0 {path}",
        mend=f"Set enabled=0 in {path}.",
    )


_WRITE = "The folder must be there and have room: `ls -ld`, `df`."


def _repository(command: str, unless: str) -> Step:
    return Step(title="Put the repository's file there", command=command, unless=unless, mend=_WRITE)
