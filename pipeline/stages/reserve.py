# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> Reservation: the release that this input has, or the next one that nobody has.

The same input keeps its release, and another never gets it: a host that has a release holds the
bytes that everybody else has under its name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from pipeline import guard, release, rendering, rpmbuild
from pipeline.allocation.book import Book
from pipeline.allocation.tags import Tags, Taken
from pipeline.context import JobContext
from pipeline.errors import NetworkError, ReleaseError
from pipeline.gitenv import located
from pipeline.inputs import difference, digest
from pipeline.ledger import Ledger
from pipeline.memo import by_identity
from pipeline.mirrors import mirror, published
from pipeline.mirrors.destination import find_destination
from pipeline.model import (
    BuildResult,
    Evr,
    Image,
    LogEntry,
    MirrorState,
    PatchedTree,
    PublishedRpm,
    Reservation,
    SignedSet,
    Srpm,
)
from pipeline.sources.address import redacted

# Rises when the pipeline makes other packages of the same input.
_MAKING = "1"
_ATTEMPTS = 200
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """The release of an input that has none yet, and those that are reserved and not on the mirror, by number."""

    next: Evr
    unpublished: tuple[Evr, ...]


def inputs(tree: PatchedTree, image: Image, *, context: JobContext) -> dict[str, str]:
    """All that decides what the packages hold, and what stands in the way of the release that this input has."""
    if tree.srpm.demo:
        mirror.refuse_demo(tree.srpm.nevra, find_destination(context.settings, context.target_name))
    wanted, state = release_inputs(tree, image, context), _mirror_state(context)
    ours = [each for each in book_of(context).reservations() if each.input_sha256 == digest(wanted)]
    tags = tags_of(tree.srpm, context)
    return {
        **wanted,
        "releases' remote": redacted(tags.remote) or "none",
        "the release on the remote": _kept_by(tags, ours[-1]) if ours and tags.remote else "none",
        "what stands in the way": (_obstacle(ours[-1], state, context) if ours else "") or "nothing",
    }


def run(tree: PatchedTree, image: Image, *, context: JobContext) -> Reservation:
    """The reservation of this input, in `releases/N/`.

    Raises: ReleaseError, NetworkError, SettingsError, SrpmError.
    """
    _refuse_future(tree)
    wanted = release_inputs(tree, image, context)
    state = _mirror_state(context)
    book, tags = book_of(context), tags_of(tree.srpm, context)
    last = book.last()
    changed = difference(dict(last.inputs), wanted) if last else ""
    if changed:
        context.progress.heading(f"rebuilding: {changed}")
    with book.lock():
        _mend(book, context)
        for _ in range(_ATTEMPTS):
            there = tags.read()
            same = _of_the_same_input(_known(book, there), tree.srpm, digest(wanted), state, context)
            number = same.number if same else _next_number(state, book, there, context)
            wish = same or Reservation(
                number=number,
                evr=rendering.evr_of(tree.srpm, number, context),
                input_sha256=digest(wanted),
                inputs=tuple(wanted.items()),
            )
            _warn_of_others(there, book, wanted, state, context)
            guard.refuse(wish.evr, guard.rivals(state.packages, context.job.package, but=wish.evr))
            taken = wish if wish in there.reservations else tags.take(wish)
            if taken is not None:
                book.keep(taken)
                for name in there.strange:
                    context.progress.warning(f"the tag {name} on {taken.remote} ends in no number of ours: not counted")
                return taken
    raise ReleaseError(
        "releases-race",
        f"{_ATTEMPTS} times somebody else was quicker to take the next number from {redacted(tags.remote)}",
        hint="run the same again; if it stays, see who pushes tags there all the time",
    )


def foresee(
    srpm: Srpm,
    tree: PatchedTree | None,
    image: Image | None,
    *,
    context: JobContext,
    held: Reservation | None = None,
) -> Foreseen:
    """What `run` would give, and what was given out in vain.

    `held` is the release that the input has, if that is known. Without the patched tree the input is not known yet,
    and taken for one that has no release.

    Raises: as `run`.
    """
    state, book, there = _mirror_state(context), book_of(context), tags_of(srpm, context).read()
    on_mirror = {rpm.evr for rpm in guard.rivals(state.packages, context.job.package)}
    given_out = {each.number: each.evr for each in (*there.reservations, *book.reservations())}
    same = held
    if same is None and tree is not None and image is not None:
        known = _known(book, there)
        same = _of_the_same_input(known, srpm, digest(release_inputs(tree, image, context)), state, context)
    next_evr = same.evr if same else rendering.evr_of(srpm, _next_number(state, book, there, context), context)
    if held is None:
        guard.refuse(next_evr, guard.rivals(state.packages, context.job.package, but=next_evr))
    return Foreseen(
        next=next_evr,
        unpublished=tuple(evr for _, evr in sorted(given_out.items()) if evr not in on_mirror),
    )


def _kept_by(tags: Tags, reservation: Reservation) -> str:
    """Whether the remote, which may have been put back to an earlier state, still has what it gave out."""
    try:
        return "there" if not tags.remote or reservation in tags.read().reservations else "gone"
    except NetworkError:
        return "there"  # it is away, and nothing new is asked of it


def _refuse_future(tree: PatchedTree) -> None:
    """Raises: ReleaseError: times after the newest patch are what makes builds of one input the same."""
    newest = max(tree.patches, key=lambda patch: patch.date_seconds, default=None)
    if newest is not None and newest.date_seconds > time.time() + _DAY_SECONDS:
        written = datetime.fromtimestamp(newest.date_seconds, timezone.utc)
        raise ReleaseError(
            "clock-behind",
            f"{newest.file.path.name} was written on {written:%Y-%m-%d}, and this machine's clock says"
            f" {datetime.now(timezone.utc):%Y-%m-%d}",
            hint="set the clock, or correct the Date line of the patch: packages bear the time of the newest patch",
        )


def release_inputs(tree: PatchedTree, image: Image, context: JobContext) -> dict[str, str]:
    """Name -> digest or value of all that decides what the packages of a release hold."""
    package = context.job.package
    return {
        "source RPM": tree.srpm.file.sha256,
        **{f"patches/{package}/{patch.file.path.name}": patch.file.sha256 for patch in tree.patches},
        "order of the series": ",".join(patch.file.path.name for patch in tree.patches),
        **rendering.inputs(context),
        **rpmbuild.macro_inputs(context.target),
        "engine": image.engine,
        "image": f"{image.reference} ({image.digest[:12] if image.engine != 'host' else image.digest})",
        **{f"built on {need.package}": need.key for need in context.needs},
        "making": _MAKING,
    }


def book_of(context: JobContext) -> Book:
    return Book(dir=context.home_dir / "releases")


def tags_of(srpm: Srpm, context: JobContext) -> Tags:
    """The remote's tags; the demo never leaves this machine, its numbers neither."""
    remote = context.settings.releases.remote
    return Tags(
        remote=located(remote, context.settings.root_dir) if remote and not srpm.demo else "",
        prefix=f"release/{context.job.package}/{context.target_name}/",
        tagger=context.settings.packager,
        offline=context.settings.offline,
    )


def _obstacle(reservation: Reservation, state: MirrorState, context: JobContext) -> str:
    """Why this release cannot be published any more; empty if it can."""
    floor = context.package.release_floor
    if reservation.number < floor:
        return f"release_floor is {floor}"
    higher = max(_numbers_on(state, context), default=0)
    if higher > reservation.number:
        return f"{higher} is published"
    if not _is_what_we_made(state.packages, reservation.evr, context):
        return f"{reservation.number} is published with other contents"
    return ""


def _is_what_we_made(there: tuple[PublishedRpm, ...], evr: Evr, context: JobContext) -> bool:
    """Whether what is published of a release is what was built here, perhaps signed elsewhere.

    By the records, not by the files: one that somebody edited is built again, under its number.
    """
    ledger = Ledger(context.home_dir, context.out_path)
    signed, built = ledger.last("sign", SignedSet), ledger.last("build", BuildResult)
    copies = {(rpm.nevra, rpm.file.sha256) for rpm in signed.ours} if signed else set()
    ours = [rpm for rpm in built.all_rpms if rpm.evr == evr] if built else []
    standing = _by_nevra(there)
    return all(
        (rpm.nevra, standing[rpm.nevra].sha256) in copies
        or published.is_same_content(context.out_path / rpm.file.path, standing[rpm.nevra], context)
        for rpm in ours
        if rpm.nevra in standing
    )


@by_identity(4)  # the packages of a mirror are asked for by each job
def _by_nevra(there: tuple[PublishedRpm, ...]) -> dict[str, PublishedRpm]:
    return {rpm.nevra: rpm for rpm in there}


def _mend(book: Book, context: JobContext) -> None:
    """Write the last reservation again where its file was cut short or edited: its input keeps the number."""
    last = Ledger(context.home_dir, context.out_path).last("reserve", Reservation)
    if last is not None and last.number in book.numbers() and last not in book.reservations():
        book.keep(last)


def _known(book: Book, there: Taken) -> list[Reservation]:
    """The remote has the say: what the book alone knows may be somebody else's there."""
    return [*there.reservations, *(each for each in book.reservations() if each.number not in there.numbers)]


def _of_the_same_input(
    known: Iterable[Reservation], srpm: Srpm, input_sha256: str, state: MirrorState, context: JobContext
) -> Reservation | None:
    """The highest reservation of an input that can still be published."""
    # The last one was held against the spec when it was given out, and its input says that this is the same spec.
    last = Ledger(context.home_dir, context.out_path).last("reserve", Reservation)
    same = [
        each
        for each in known
        if each.input_sha256 == input_sha256
        and not _obstacle(each, state, context)
        and (each == last or each.evr == rendering.evr_of(srpm, each.number, context))
    ]
    return max(same, key=lambda each: each.number, default=None)


def _next_number(state: MirrorState, book: Book, there: Taken, context: JobContext) -> int:
    seen = [*_numbers_on(state, context), *_numbers_built(context), *book.numbers(), *there.numbers]
    return release.next_number(seen, floor=context.package.release_floor)


def _warn_of_others(there: Taken, book: Book, wanted: dict[str, str], state: MirrorState, context: JobContext) -> None:
    """Tell when hosts have a release that was made elsewhere, of other input: this one would take that back."""
    highest = max(_numbers_on(state, context), default=0)
    if highest in book.numbers() or not highest:
        return
    elsewhere = next((each for each in there.reservations if each.number == highest), None)
    how = difference(wanted, dict(elsewhere.inputs)) if elsewhere else "nobody here knows of what input"
    if how:
        context.progress.warning(f"{highest} on the mirror was made elsewhere ({how}): this release takes its place")


def _numbers_on(state: MirrorState, context: JobContext) -> list[int]:
    """Those that the mirror has of this package; other packages count for themselves."""
    releases = [package.evr.release for package in guard.rivals(state.packages, context.job.package)]
    # A release that was rolled back is on hosts perhaps, and its files lie there still.
    releases += [evr.rpartition("-")[2] for evr in _logged(state.log).get(context.job.package, ())]
    return [number for number in map(release.number_in, releases) if number is not None]


@by_identity(4)
def _logged(log: tuple[LogEntry, ...]) -> dict[str, list[str]]:
    """Package -> every EVR of it that was published."""
    releases: dict[str, list[str]] = {}
    for entry in log:
        for name, evr in entry.releases:
            releases.setdefault(name, []).append(evr)
    return releases


def _numbers_built(context: JobContext) -> list[int]:
    """Those of the source packages that lie here, whatever became of the book."""
    names = (path.name.removesuffix(".src.rpm") for path in (context.home_dir / "SRPMS").glob("*.src.rpm"))
    numbers = (release.number_in(name.rpartition("-")[2]) for name in names)
    return [number for number in numbers if number is not None]


def _mirror_state(context: JobContext) -> MirrorState:
    return mirror.read_state(context.settings, context.target_name, log_path=context.log_path)
