# SPDX-License-Identifier: GPL-2.0-or-later
"""Look at every place of a mirror, one thing after the other; what is broken does not stop the rest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from pipeline.audit import against, handed, keys, packages, papers, sight, strays, structure
from pipeline.audit.findings import Finding, finding, with_commands, without_consequences
from pipeline.audit.sight import Sight, Wish
from pipeline.audit.site import Site, Web, open_site
from pipeline.errors import PipelineError, PublishError
from pipeline.mirrors import layout, web
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.places.base import Destination
from pipeline.settings import Settings

Check = Callable[[Sight, Wish], Iterable[Finding]]

# Name -> what is looked at, in the order of the report.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("what was read", lambda seen, wish: seen.found(wish)),
    ("the signature of repomd.xml", structure.signed),
    ("the packages", packages.look),
    ("packages of the demo", packages.demo),
    ("the statements of the log", papers.logged),
    ("the links", structure.links),
    ("what hosts and people are given", handed.look),
    ("the mirrorlist", structure.mirrorlist),
    ("the publish log", structure.log),
    ("the snapshots", structure.snapshots),
    ("the links of the snapshots", structure.snapshot_links),
    ("extra files", strays.look),
    ("the url", structure.url),
    ("the age", against.clock),
    ("the ledger", against.ledger),
    ("the releases' remote", against.remote),
)
_WEB = ("http://", "https://")
# What anything that was read may make Python raise; a broken mirror must not end the audit.
_BROKEN = (PipelineError, OSError, ValueError, RecursionError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One place: what is wrong there, and in `unseen` what could not be looked at and is no fault of it."""

    target: str
    place: str
    found: tuple[Finding, ...]
    unseen: tuple[str, ...] = ()
    revision: int = 0
    repomd_sha256: str = ""
    packages: int = 0
    snapshots: int = 0
    age_days: float | None = None


def run(
    settings: Settings, package_names: Mapping[str, tuple[str, ...]], *, quick: bool, max_age_days: float
) -> tuple[Report, ...]:
    """A report of each place of each target's mirror; `package_names` are by target.

    Raises: PublishError when no place answers; SettingsError.
    """
    reports: list[Report] = []
    errors: list[PublishError] = []
    with tempfile.TemporaryDirectory(prefix="audit-") as name:
        for target_name, names in package_names.items():
            channel = _channel(settings, target_name)
            openers, own = _places(settings, target_name, channel, Path(name))
            wish = Wish(
                settings=settings,
                target_name=target_name,
                package_names=names,
                urls=None if own is None else tuple(place.url for place in own if place.url),
                places=own or (),
                expected=keys.expected(settings),
                scratch_dir=Path(name),
                quick=quick,
                max_age_days=max_age_days,
                channel=channel,
            )
            reports.extend(_reports(openers, wish, errors))
    if errors and len(errors) == len(reports):
        raise errors[0]
    return tuple(reports)


def _reports(
    openers: Sequence[tuple[str, Callable[[], Site]]], wish: Wish, errors: list[PublishError]
) -> Iterator[Report]:
    """A report of each place; what kept one from answering is added to `errors`."""
    leader: Sight | None = None
    for address, opener in openers:
        try:
            seen, found = _look(opener, wish)
        except PublishError as error:
            errors.append(error)
            unreachable = finding("unreachable", address, error.message)
            yield Report(target=wish.target_name, place=address, found=with_commands((unreachable,), wish.flags, None))
            continue
        behind = tuple(against.first(seen, leader)) if leader else ()
        leader = leader or seen
        yield _report(seen, without_consequences((*found, *behind), seen.ring.expired), wish)


def _look(opener: Callable[[], Site], wish: Wish) -> tuple[Sight, tuple[Finding, ...]]:
    """A place and what is wrong with it, looked at once more when somebody published meanwhile.

    Raises: PublishError when it does not answer.
    """
    for _ in range(2):
        site = opener()
        seen = sight.see(site, wish)
        found = tuple(_checked(seen, wish))
        if _stands(site, wish) in ("", seen.standing.repomd_sha256):
            break
    return seen, found


def _stands(site: Site, wish: Wish) -> str:
    """The digest of the `repomd.xml` that is there now; empty where it cannot be read any more."""
    try:
        contents, _ = site.read((layout.REPOMD,), wish.scratch_dir)
    except PublishError:
        return ""
    return hashlib.sha256(contents[layout.REPOMD]).hexdigest() if layout.REPOMD in contents else ""


def _checked(seen: Sight, wish: Wish) -> Iterator[Finding]:
    for name, check in CHECKS:
        try:
            yield from check(seen, wish)
        except _BROKEN as error:
            why = error.message if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
            yield finding("not-checked", name, why)


def _report(seen: Sight, found: tuple[Finding, ...], wish: Wish) -> Report:
    return Report(
        target=wish.target_name,
        place=seen.site.address,
        found=with_commands(found, wish.flags, seen.way_back),
        unseen=tuple(_unseen(seen, wish)),
        revision=seen.revision,
        repomd_sha256=seen.standing.repomd_sha256,
        packages=len(seen.standing.packages or ()),
        snapshots=len(seen.snapshots),
        age_days=against.age_days(seen),
    )


def _unseen(seen: Sight, wish: Wish) -> Iterator[str]:
    if seen.site.listing is None:
        yield "extra files, leftovers and unfinished snapshots: a web server tells no names"
    if wish.quick:
        yield "digests, signatures and statements of packages: --quick leaves them out"
    elif not seen.ring.paths and seen.standing.packages:
        yield "signatures: there is no key to verify them with"
    if wish.expected.unknown:
        yield f"which keys should be there: {wish.expected.unknown}"
    if seen.standing.packages is None:
        yield "packages and extra files: what the metadata names cannot be read"
    if handed.is_of_another_address(seen, wish):
        yield "host kit, feed and page: they were made for another address of the repository than the settings have"
    if seen.is_ours and not wish.urls and not seen.standing.books.get(layout.MIRRORLIST):
        yield "the mirrorlist: no url is configured: hosts read by baseurl"


def _channel(settings: Settings, target_name: str) -> str:
    """The name of the configured mirror whose readers have the url that `--mirror` gives; empty for none."""
    given = settings.mirror_override.rstrip("/")
    if not given.startswith(_WEB):
        return ""
    names = (given, given.removesuffix(f"/{quote(target_name)}"))
    return next((name for name, each in settings.mirrors.items() if not {*names}.isdisjoint(each.url)), "")


def _web_url(settings: Settings, target_name: str, channel: str) -> str:
    """Where the target's repository is: below the url that was given, or there where that has the target's name."""
    given, ending = settings.mirror_override.rstrip("/"), f"/{quote(target_name)}"
    if not given.endswith(ending):
        return f"{given}{ending}"
    if channel:
        is_root = given in settings.mirrors[channel].url
    else:
        is_root = web.size_of(f"{given}{ending}/{layout.REPOMD}") is not None
    return f"{given}{ending}" if is_root else given


def _places(
    settings: Settings, target_name: str, channel: str, scratch_dir: Path
) -> tuple[list[tuple[str, Callable[[], Site]]], tuple[Destination, ...] | None]:
    """How to open each place, and all places of the channel where the configuration tells them."""
    given = settings.mirror_override
    is_configured = not given or given in settings.mirrors
    if not is_configured and given.startswith(_WEB):
        if settings.offline:
            raise PublishError("mirror-offline", f"{given} is not on this machine", hint="leave out --offline")
        url = _web_url(settings, target_name, channel)
        own_settings = settings.model_copy(update={"mirror_override": channel})
        own = find_destinations(own_settings, target_name) if channel else ()
        is_local = any(place.is_local and place.url == url for place in own)
        opener = partial(Web, url, settings.time_limits.publish, is_local=is_local)
        return [(url, opener)], own or None
    places = find_destinations(settings, target_name)
    openers: list[tuple[str, Callable[[], Site]]] = [
        (place.address, partial(open_site, place, scratch_dir)) for place in places
    ]
    return openers, places if is_configured else None
