# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree + template -> RenderedSpec: our few lines laid over the vendor's spec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from difflib import unified_diff
from pathlib import Path

import jinja2

from pipeline import files, overlay, release
from pipeline.changelog import entry
from pipeline.context import JobContext
from pipeline.errors import SettingsError
from pipeline.mirrors import mirror
from pipeline.mirrors.destination import find_destination
from pipeline.model import Evr, MirrorState, PatchedTree, RenderedSpec, Srpm
from pipeline.spectext import read_spec


@dataclass(frozen=True, kw_only=True, slots=True)
class _Patch:
    """A patch as the template sees it."""

    number: int
    file_name: str
    subject: str
    state: str


def inputs(tree: PatchedTree, *, context: JobContext) -> dict[str, str]:
    """Template and settings. Not the numbers that are taken: the same input keeps its number."""
    if tree.srpm.demo:
        mirror.refuse_demo(tree.srpm.nevra, find_destination(context.settings, context.target_name))
    state = _mirror_state(context)
    template_path = _template_path(context)
    return {
        f"specs/{context.job.package}/{template_path.name}": _digest(template_path),
        "label": context.package.label,
        "release_floor": str(context.package.release_floor),
        "packager": context.settings.packager,
        "dist": context.target.dist,
        "higher number on the mirror": _higher_on_mirror(state, context),
        "number taken by other contents": _taken_on_mirror(state, context),
    }


def foresee(srpm: Srpm, *, context: JobContext) -> Evr:
    """The release that `run` would make now. Raises: as `run`."""
    vendor = overlay.VendorSpec(read_spec(context.out_path / srpm.spec.path))
    return _evr(vendor.release, srpm, _next_number(context), context)


def run(tree: PatchedTree, *, context: JobContext) -> RenderedSpec:
    """The spec of the new release, under `releases/N/`, with its diff. Raises: SettingsError, SrpmError."""
    vendor_path = context.out_path / tree.srpm.spec.path
    vendor = read_spec(vendor_path)
    number = _next_number(context)
    evrs: list[Evr] = []

    def make_overlay(spec: overlay.VendorSpec) -> str:
        evrs.append(_evr(spec.release, tree.srpm, number, context))
        return _render(spec, tree, number, evrs[0], context)

    result = overlay.lay_over(vendor, make_overlay)
    spec_path = _releases_dir(context) / str(number) / vendor_path.name
    diff_path = spec_path.with_suffix(".diff")
    files.write_whole(spec_path, result)
    files.write_whole(diff_path, _diff(vendor, result, vendor_path.name))
    return RenderedSpec(
        tree=tree,
        spec=files.file_record(spec_path, context.out_path),
        diff=files.file_record(diff_path, context.out_path),
        evr=evrs[0],
        number=number,
    )


def _evr(vendor_release: str, srpm: Srpm, number: int, context: JobContext) -> Evr:
    ours = f"{vendor_release}.{context.package.label}.{number}"
    return Evr(
        epoch=srpm.evr.epoch,
        version=srpm.evr.version,
        release=release.expand(ours, context.target.rpm_macros()),
    )


def _render(spec: overlay.VendorSpec, tree: PatchedTree, number: int, evr: Evr, context: JobContext) -> str:
    """The template's text for this release. Raises: SettingsError with file and line."""
    path = _template_path(context)
    patches = [
        _Patch(number=index, file_name=patch.file.path.name, subject=patch.subject, state=patch.state)
        for index, patch in enumerate(tree.patches, start=spec.next_patch_number)
    ]

    def changelog(lines: Iterable[str]) -> str:
        return entry(datetime.now(timezone.utc).date(), context.settings.packager, evr, list(lines))

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(
            vendor={"release": spec.release, "version": tree.srpm.evr.version},
            label=context.package.label,
            number=number,
            patches=patches,
            changelog=changelog,
        )
    except FileNotFoundError:
        raise SettingsError(
            "template-missing", f"{path} does not exist", hint="every package needs a template of that name"
        ) from None
    except jinja2.TemplateSyntaxError as error:
        raise _template_error(path, error.lineno, str(error.message)) from None
    except UnicodeDecodeError as error:
        raise _template_error(path, error.object.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    except (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The line of a template fails as a line of Python would.
        raise _template_error(path, _line_of(error), str(error)) from None


def _template_error(path: Path, line_number: int, why: str) -> SettingsError:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    shown = lines[line_number - 1].strip() if 0 < line_number <= len(lines) else ""
    return SettingsError(
        "template-error",
        f"{path.name}, line {line_number}: {why}: {shown}",
        hint=f"mend that line of {path}; its first comment says which names are at hand",
    )


def _line_of(error: Exception) -> int:
    """The template's line in an error's traceback; jinja2 files its frames under `<template>`."""
    line = 0
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _next_number(context: JobContext) -> int:
    """One above every number that the mirror holds, or that was ever given out in this out directory."""
    seen = [*_numbers_in(_mirror_state(context)), *_numbers_here(context)]
    return release.next_number(seen, floor=context.package.release_floor)


def _higher_on_mirror(state: MirrorState, context: JobContext) -> str:
    """A number on the mirror above all that were given out here: our release would be older than that one."""
    highest = max(_numbers_in(state), default=0)
    return str(highest) if highest > max(_numbers_here(context), default=0) else "none"


def _taken_on_mirror(state: MirrorState, context: JobContext) -> str:
    """Our last number, if the mirror has it for another source package than the one that was built here."""
    last = max(_numbers_here(context), default=0)
    for package in state.packages:
        if (
            package.name == context.job.package
            and package.arch == "src"
            and release.number_in(package.evr.release) == last
        ):
            here = context.home_dir / "SRPMS" / Path(package.href).name
            if not here.exists() or files.sha256_of(here) != package.sha256:
                return str(last)
    return "none"


def _mirror_state(context: JobContext) -> MirrorState:
    return mirror.read_state(context.settings, context.target_name, log_path=context.log_path)


def _numbers_in(state: MirrorState) -> list[int]:
    numbers = (release.number_in(package.evr.release) for package in state.packages)
    return [number for number in numbers if number is not None]


def _numbers_here(context: JobContext) -> list[int]:
    return [int(path.name) for path in _releases_dir(context).glob("*") if path.name.isdigit()]


def _releases_dir(context: JobContext) -> Path:
    """One folder for each number that was given out, whether or not it came to be built."""
    return context.home_dir / "releases"


def _diff(before: str, after: str, name: str) -> str:
    lines = unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"vendor/{name}", f"ours/{name}"
    )
    return "".join(lines)


def _template_path(context: JobContext) -> Path:
    return context.specs_dir / f"{context.job.package}.spec.j2"


def _digest(path: Path) -> str:
    return files.sha256_of(path) if path.exists() else "missing"
