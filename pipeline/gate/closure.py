# SPDX-License-Identifier: GPL-2.0-or-later
"""What a set of packages requires of the repositories that hosts have, asked of dnf's own repoclosure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline import command
from pipeline.errors import CommandMissing, NetworkError
from pipeline.gate.problem import Problem
from pipeline.sources.address import redacted
from pipeline.sources.places import Place

# Source: dnf.conf(5). Nothing of this machine: neither its repositories, nor its packages, nor its plugins.
_MAIN = """\
[main]
reposdir={folder}/none
varsdir={folder}/none
cachedir={folder}/cache
persistdir={folder}/persist
logdir={folder}
gpgcheck=0
skip_if_unavailable=0
module_platform_id=platform:el6
"""
_REPOSITORY = "\n[{name}]\nname={name}\nbaseurl={url}\nenabled=1\n"
_SET = "set"
_BESIDE = "beside"
_UNRESOLVED = re.compile(r"^package: (?P<package>\S+) from \S+$|^ {4}(?P<wanted>\S.*)$", re.MULTILINE)
_ANY_ARCH = "noarch"
_HELP = ["dnf", "repoclosure", "--help"]
_HELP_SECONDS = 60


def usable() -> bool:
    """Whether this machine has dnf and its repoclosure."""
    if not command.is_on_path("dnf"):
        return False
    return command.run(_HELP, timeout_seconds=_HELP_SECONDS, accept=range(256)).exit_code == 0


def unresolved(
    packages: Sequence[Path],
    repositories: Mapping[str, Place],
    folder: Path,
    *,
    beside: Sequence[Path] = (),
    arches: frozenset[str],
    timeout_seconds: float,
    log_path: Path,
) -> Iterator[Problem]:
    """Each requirement of the packages that neither they nor the repositories, by a name for each, meet.

    `beside` are packages that come with them and are looked at elsewhere. `folder` is an empty one for dnf to work in;
    `arches` are those of the packages.

    Raises: CommandMissing without dnf or its plugin; NetworkError when a repository cannot be read.
    """
    if not usable():
        raise CommandMissing(
            "repoclosure-missing",
            "host_repositories are configured, and dnf with its repoclosure is not on this machine",
            hint="apt-get install dnf dnf-plugins-core, or dnf install dnf-plugins-core",
        )
    _write_repository(packages, folder / _SET)
    _write_repository(beside, folder / _BESIDE)
    config_path = folder / "dnf.conf"
    own = {name: (folder / name).as_uri() for name in (_SET, _BESIDE)}
    urls = {**own, **{name: place.url for name, place in repositories.items()}}
    told = "".join(_REPOSITORY.format(name=name, url=url) for name, url in urls.items())
    config_path.write_text(_MAIN.format(folder=folder) + told, encoding="utf-8")
    argv = plan(config_path, arches=arches)
    checked = command.run(
        argv, timeout_seconds=timeout_seconds, env={"LC_ALL": "C"}, log_path=log_path, accept=range(256)
    )
    found = tuple(read(checked.stdout))
    if checked.exit_code != 0 and not found:
        raise _unreadable(checked.stdout + checked.stderr, repositories, log_path)
    yield from found


def plan(config_path: Path, *, arches: frozenset[str]) -> list[str]:
    """repoclosure's command line. Source: dnf-repoclosure(8)."""
    own = sorted(arches - {_ANY_ARCH})
    force = [f"--forcearch={own[0]}"] if own else []
    return ["dnf", f"--config={config_path}", "--disableplugin=*", "--enableplugin=repoclosure", *force,
            "repoclosure", f"--check={_SET}"]  # fmt: skip


def read(output: str) -> Iterator[Problem]:
    """What repoclosure says is not met."""
    package = ""
    for match in _UNRESOLVED.finditer(output):
        if match["package"]:
            package = match["package"]
        elif package:
            yield Problem(
                reference="requirement-unresolved",
                message=f"{package} requires {match['wanted']}, which no repository of the hosts has",
                mend="name the repository that has it under targets.<target>.host_repositories, or mend the Requires",
            )


def _write_repository(packages: Sequence[Path], folder: Path) -> None:
    """Repodata that names the packages, without the packages: repoclosure reads no more."""
    import createrepo_c  # late: it loads a large library

    folder.mkdir(parents=True)
    writer = createrepo_c.RepositoryWriter(
        str(folder), num_packages=len(packages), compression=createrepo_c.GZ_COMPRESSION
    )
    for path in packages:
        writer.add_pkg(createrepo_c.package_from_rpm(str(path), location_href=path.name))
    writer.finish()


def _unreadable(output: str, repositories: Mapping[str, Place], log_path: Path) -> NetworkError:
    lines = [line.removeprefix("Error:").strip() for line in output.splitlines() if line.startswith("Error:")]
    named = [place.shown for name, place in repositories.items() if lines and f"'{name}'" in lines[0]]
    return NetworkError(
        "host-repository-unreadable",
        f"dnf cannot read {' and '.join(named) or 'a repository of the hosts'}"
        f" ({redacted(lines[0]) if lines else 'the log has its words'})",
        hint="correct targets.<target>.host_repositories in pipeline.toml, or try again later",
        log_path=log_path,
    )
