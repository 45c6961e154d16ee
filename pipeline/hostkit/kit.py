# SPDX-License-Identifier: GPL-2.0-or-later
"""The host kit of one state: which steps there are for its packages, and for what runs on their hosts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.hostkit import sets, trust
from pipeline.hostkit.steps import Kit, Step, Way
from pipeline.mirrors.facts import RepositoryFacts
from pipeline.model import PublishedRpm
from pipeline.proof.trial import for_hosts
from pipeline.settingtables import PackageHosts

Packages = tuple[PublishedRpm, ...]


def of(facts: RepositoryFacts, armored: str) -> Kit | None:
    """The kit; nothing where the state has no release of ours. `armored` are the public keys that hosts shall trust."""
    channel, ours = facts.channel, for_hosts(facts.sets.ours)
    if not ours:
        return None
    name = channel.settings.hosts.repository
    hosts = _hosts(facts, ours)
    everything = (*ours, *for_hosts(facts.sets.vendor), *for_hosts(facts.sets.previous))
    return Kit(
        about=about(facts),
        sources=tuple(sorted({rpm.source for rpm in ours})),
        base_url=channel.base_url,
        warnings=channel.warnings,
        fingerprints=facts.fingerprints,
        before=tuple(dict.fromkeys(each.before for each in hosts.values() if each.before)),
        after=tuple(dict.fromkeys(each.after for each in hosts.values() if each.after)),
        installed=sets.installed(everything),
        idle=tuple(_idle(each) for each in hosts.values() if each.running_vms),
        key=trust.keys(name, armored, facts.fingerprints),
        repository=trust.repository(facts) if channel.urls else trust.repository_elsewhere(facts),
        repository_elsewhere=trust.repository_elsewhere(facts),
        fresh=_FRESH,
        ways=_ways(facts, hosts, everything),
        off=trust.off(name),
    )


def about(facts: RepositoryFacts) -> str:
    """Which state a kit is for."""
    return f"{facts.channel.target_name}, revision {facts.revision}"


_FRESH = Step(
    title="Have yum look anew",
    command="yum clean expire-cache",
    mend="yum does not work on this host: see what it printed.",
)


def _hosts(facts: RepositoryFacts, ours: Packages) -> dict[str, PackageHosts]:
    """What is told of the hosts of each package, by the name of its source package."""
    packages = facts.channel.settings.packages
    return {source: packages[source].hosts for source in sorted({rpm.source for rpm in ours}) if source in packages}


def _ways(facts: RepositoryFacts, hosts: dict[str, PackageHosts], everything: Packages) -> dict[str, Way]:
    ours, vendor, previous = map(for_hosts, (facts.sets.ours, facts.sets.vendor, facts.sets.before))
    ways = {"upgrade": _upgrade(ours, hosts)}
    for name, told, back in (("vendor", "the vendor's packages", vendor), ("previous", "our release before", previous)):
        if back:
            ways[name] = _way(told, back, sets.left_out(back, everything), sets.downgrade(back), hosts)
    return ways


def _upgrade(ours: Packages, hosts: dict[str, PackageHosts]) -> Way:
    """To our release, from below or, where it stands again after a rollback, from above."""
    way = _way("our release", ours, (), sets.upgrade(ours), hosts, otherwise="go back")
    newer = replace(sets.downgrade_newer(ours), unless=way.move.unless)
    return replace(way, newer=(newer,))


def _way(
    told: str,
    rpms: Packages,
    first: tuple[Step, ...],
    move: Step,
    hosts: dict[str, PackageHosts],
    *,
    otherwise: str = "with these either, no release of ours is why",
) -> Way:
    running = [step for source, each in hosts.items() for step in _running(each, _version(source, rpms), otherwise)]
    arrived = sets.arrived(rpms)
    return Way(
        told=told,
        packages=rpms,
        first=first,
        move=replace(move, unless=sets.have_arrived(arrived)),
        newer=(),
        arrived=arrived,
        running=tuple(running),
    )


def _version(source: str, rpms: Sequence[PublishedRpm]) -> str:
    """The version and release of what was built from a source package: of the package of its name, else of any."""
    own = sorted((rpm for rpm in rpms if rpm.source == source), key=lambda rpm: rpm.name != source)
    return f"{own[0].evr.version}-{own[0].evr.release}" if own else ""


def _idle(hosts: PackageHosts) -> Step:
    return Step(
        title="See that no VM runs",
        command=hosts.running_vms,
        prints=("",),
        mend="What is printed runs there, or is why nobody can tell: nothing is done to a host with VMs."
        " Move them away and do the same again.",
    )


def _running(hosts: PackageHosts, version: str, otherwise: str) -> tuple[Step, ...]:
    steps = []
    restart = f"`service {hosts.service} restart`" if hosts.service else "restart it"
    if hosts.service:
        steps.append(
            Step(
                title="Check that the service runs",
                command=f"service {hosts.service} status",
                mend=f"`service {hosts.service} start`, and see its log; where it does not stay up, {otherwise}.",
            )
        )
    if hosts.running_version and version:
        steps.append(
            Step(
                title="Check which version runs",
                command=hosts.running_version,
                prints=(version,),
                mend=f"The packages are in place and {version} is not what runs: {restart}, and check again.",
            )
        )
    return tuple(steps)
