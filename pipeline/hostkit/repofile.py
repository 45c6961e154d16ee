# SPDX-License-Identifier: GPL-2.0-or-later
"""The `.repo` file of a repository, for `/etc/yum.repos.d/`. Pure."""

from __future__ import annotations

from pipeline.hostkit.comments import comment
from pipeline.mirrors import layout
from pipeline.mirrors.facts import RepositoryFacts
from pipeline.printable import printable

# In place of an address that nobody told.
UNKNOWN = "https://MIRROR/{target}"
_NOBODY_TOLD = (
    "Nobody told where hosts find this repository: write its address in place of https://MIRROR, or give the mirror"
    " its `url` in pipeline.toml."
)


def text(facts: RepositoryFacts) -> str:
    """The file's text: by the mirrorlist where places have urls, so that a reader stays within one state.

    Where nobody has told what hosts call the repository, it says so and has a place for the address.
    Source: yum.conf(5), [repository] options.
    """
    channel = facts.channel
    base_url = channel.base_url or UNKNOWN.format(target=channel.target_name)
    lines = [
        *([] if channel.base_url else [comment(_NOBODY_TOLD)]),
        *(comment(f"WARNING: {each}") for each in channel.warnings),
        f"[{channel.settings.hosts.repository}]",
        f"name={_name(facts)}",
        f"mirrorlist={base_url}/{layout.MIRRORLIST}" if channel.urls else f"baseurl={base_url}/",
        f"gpgkey={base_url}/{layout.KEYS}",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
    ]
    return "\n".join(lines) + "\n"


def _name(facts: RepositoryFacts) -> str:
    names = ", ".join(sorted({rpm.source for rpm in facts.sets.ours})) or "packages"
    return printable(f"{names} with our patches, for {facts.channel.target_name}", keep="")
