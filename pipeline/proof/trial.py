# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client is given to try, and the packages in it that hosts install."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import VerifyError
from pipeline.model import PublishedRpm

# Debuginfo is made with each build and installed by those who look for it.
_NOT_FOR_HOSTS = ("-debuginfo", "-debugsource")

Packages = tuple[PublishedRpm, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A whole repository and the sets in it: `ours` is new, `vendor` and `previous` are what hosts come from.

    `repository_dir` holds signed repodata and the packages of all three sets at their hrefs, and those `beside` them
    that they require. `key_paths` are armored
    public keys, all that the client trusts. `host_repositories` (URLs or directories) have what hosts have besides;
    without any, a stand-in meets it.
    """

    repository_dir: Path
    vendor: Packages
    ours: Packages
    previous: Packages
    key_paths: tuple[Path, ...]
    host_repositories: tuple[str, ...] = ()
    beside: Packages = ()

    @property
    def all_for_hosts(self) -> Packages:
        return for_hosts((*self.vendor, *self.ours, *self.previous))

    @property
    def arch(self) -> str:
        """The architecture of the hosts; of packages that fit all, that of most of them."""
        return next((rpm.arch for rpm in self.all_for_hosts if rpm.arch != "noarch"), "x86_64")

    @property
    def needs_network(self) -> bool:
        return any(map(is_remote, self.host_repositories))


def is_remote(place: str) -> bool:
    return "://" in place and not place.startswith("file://")


def for_hosts(rpms: Iterable[PublishedRpm]) -> Packages:
    """Those that hosts install: no source packages, no debuginfo; each once, by name."""
    kept = {rpm.nevra: rpm for rpm in rpms if rpm.arch != "src" and not rpm.name.endswith(_NOT_FOR_HOSTS)}
    return tuple(sorted(kept.values(), key=lambda rpm: rpm.nevra))


def path_of(trial: Trial, rpm: PublishedRpm) -> Path:
    """Where a package lies. Raises: VerifyError when it does not."""
    path = trial.repository_dir / rpm.href
    if not path.is_file():
        raise VerifyError(
            "package-gone",
            f"the repository names {rpm.nevra} and has no {rpm.href}: hosts could not install it",
            hint="bring the package back under that name from where it was built, or from another mirror",
        )
    return path
