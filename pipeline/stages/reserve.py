# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> Reservation: the release that this input has, or the next one that nobody has.

The same input keeps its release, and another never gets it: a host that has a release holds the
bytes that everybody else has under its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline import files, guard, release, rpmbuild
from pipeline.allocation.book import Book
from pipeline.allocation.tags import Tags, Taken
from pipeline.context import JobContext
from pipeline.errors import ReleaseError
from pipeline.inputs import difference, digest
from pipeline.mirrors import mirror
from pipeline.mirrors.destination import find_destination
from pipeline.model import Evr, Image, MirrorState, PatchedTree, Reservation, Srpm
from pipeline.sources.address import redacted
from pipeline.spectext import read_spec

# Rises when the pipeline makes other packages of the same input.
_MAKING = "1"
_ATTEMPTS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """The release of an input that has none yet, and those that are reserved and not on the mirror, by number."""

    next: Evr
    unpublished: tuple[Evr, ...]


def inputs(tree: PatchedTree, image: Image, *, context: JobContext) -> dict[str, str]:
    """All that decides what the packages hold, and what on the mirror stands in the way of the last release."""
    if tree.srpm.demo:
        mirror.refuse_demo(tree.srpm.nevra, find_destination(context.settings, context.target_name))
    last, state = book_of(context).last(), _mirror_state(context)
    return {
        **release_inputs(tree, image, context),
        "release_floor": str(context.package.release_floor),
        "releases": context.settings.releases.remote,
        "in the way on the mirror": (_obstacle(last, state, context) if last else "") or "nothing",
    }


def run(tree: PatchedTree, image: Image, *, context: JobContext) -> Reservation:
    """The reservation of this input, in `releases/N/`.

    Raises: ReleaseError, NetworkError, SettingsError, SrpmError.
    """
    wanted = release_inputs(tree, image, context)
    state = _mirror_state(context)
    book, tags = book_of(context), tags_of(tree.srpm, context)
    last = book.last()
    changed = difference(dict(last.inputs), wanted) if last else ""
    if changed:
        context.progress.heading(f"rebuilding: {changed}")
    with book.lock():
        for _ in range(_ATTEMPTS):
            there = tags.read()
            same = _of_the_same_input([*book.reservations(), *there.reservations], digest(wanted), state, context)
            number = same.number if same else _next_number(state, book, there, context)
            wish = same or Reservation(
                number=number,
                evr=_evr(tree.srpm, number, context),
                input_sha256=digest(wanted),
                inputs=tuple(wanted.items()),
            )
            guard.refuse(wish.evr, guard.rivals(state.packages, context.job.package, but=wish.evr))
            taken = same if same and same.tag else tags.take(wish)
            if taken is not None:
                book.keep(taken)
                return taken
    raise ReleaseError(
        "releases-race",
        f"{_ATTEMPTS} times somebody else was quicker to take the next number from {redacted(tags.remote)}",
        hint="run the same again; if it stays, see who pushes tags there all the time",
    )


def foresee(srpm: Srpm, *, context: JobContext) -> Foreseen:
    """What `run` would give an input that has no release, and what was given out in vain. Raises: as `run`."""
    state, book, there = _mirror_state(context), book_of(context), tags_of(srpm, context).read()
    published = {rpm.evr for rpm in guard.rivals(state.packages, context.job.package)}
    given_out = {each.number: each.evr for each in (*there.reservations, *book.reservations())}
    return Foreseen(
        next=_evr(srpm, _next_number(state, book, there, context), context),
        unpublished=tuple(evr for _, evr in sorted(given_out.items()) if evr not in published),
    )


def release_inputs(tree: PatchedTree, image: Image, context: JobContext) -> dict[str, str]:
    """Name -> digest or value of all that decides what the packages of a release hold."""
    package = context.job.package
    template_path = context.specs_dir / f"{package}.spec.j2"
    return {
        "source RPM": tree.srpm.file.sha256,
        **{f"patches/{package}/{patch.file.path.name}": patch.file.sha256 for patch in tree.patches},
        "order of the series": ",".join(patch.file.path.name for patch in tree.patches),
        f"specs/{package}/{template_path.name}": files.sha256_of(template_path)
        if template_path.exists()
        else "missing",
        "label": context.package.label,
        "packager": context.settings.packager,
        **rpmbuild.macro_inputs(context.target),
        "engine": image.engine,
        "image": f"{image.reference} ({image.digest[:12] if image.engine != 'host' else image.digest})",
        "making": _MAKING,
    }


def book_of(context: JobContext) -> Book:
    return Book(dir=context.home_dir / "releases")


def tags_of(srpm: Srpm, context: JobContext) -> Tags:
    """The remote's tags; the demo never leaves this machine, its numbers neither."""
    return Tags(
        remote="" if srpm.demo else context.settings.releases.remote,
        prefix=f"release/{context.job.package}/{context.target_name}/",
        tagger=context.settings.packager,
        offline=context.settings.offline,
        progress=context.progress,
    )


def _evr(srpm: Srpm, number: int, context: JobContext) -> Evr:
    from pipeline import overlay  # late: specfile loads rpm, and most runs need no new number

    vendor = overlay.VendorSpec(read_spec(context.out_path / srpm.spec.path))
    ours = f"{vendor.release}.{context.package.label}.{number}"
    return Evr(
        epoch=srpm.evr.epoch,
        version=srpm.evr.version,
        release=release.expand(ours, context.target.rpm_macros()),
    )


def _obstacle(reservation: Reservation, state: MirrorState, context: JobContext) -> str:
    """Why the mirror cannot take this release any more; empty if it can."""
    higher = max(_numbers_in(state), default=0)
    if higher > reservation.number:
        return f"{higher} is published"
    for package in state.packages:
        if package.source == context.job.package and package.evr == reservation.evr:
            folder = "SRPMS" if package.arch == "src" else f"RPMS/{package.arch}"
            here = context.home_dir / folder / Path(package.href).name
            if here.exists() and files.sha256_of(here) != package.sha256:
                return f"{reservation.number} is published with other contents"
    return ""


def _of_the_same_input(
    known: Iterable[Reservation], input_sha256: str, state: MirrorState, context: JobContext
) -> Reservation | None:
    """The highest reservation of an input that the mirror can still take."""
    same = [each for each in known if each.input_sha256 == input_sha256 and not _obstacle(each, state, context)]
    return max(same, key=lambda each: (each.number, bool(each.tag)), default=None)


def _next_number(state: MirrorState, book: Book, there: Taken, context: JobContext) -> int:
    seen = [*_numbers_in(state), *book.numbers(), *there.numbers]
    return release.next_number(seen, floor=context.package.release_floor)


def _mirror_state(context: JobContext) -> MirrorState:
    return mirror.read_state(context.settings, context.target_name, log_path=context.log_path)


def _numbers_in(state: MirrorState) -> list[int]:
    numbers = (release.number_in(package.evr.release) for package in state.packages)
    return [number for number in numbers if number is not None]
