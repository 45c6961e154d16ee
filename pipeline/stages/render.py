# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree + Reservation + template -> RenderedSpec: our few lines laid over the vendor's spec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import changelog, files, provides
from pipeline.context import JobContext
from pipeline.errors import SettingsError
from pipeline.model import PatchedTree, RenderedSpec, Reservation
from pipeline.spectext import read_spec

if TYPE_CHECKING:
    from pipeline.overlay import VendorSpec

# For an entry without patches in a spec without a changelog.
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Patch:
    """A patch as the template sees it."""

    number: int
    file_name: str
    subject: str
    state: str
    capability: provides.Capability


def inputs(tree: PatchedTree, reservation: Reservation, *, context: JobContext) -> dict[str, str]:
    """Template and settings; source, patches and number come with the records."""
    template_path = _template_path(context)
    return {
        f"specs/{context.job.package}/{template_path.name}": _digest(template_path),
        "label": context.package.label,
        "packager": context.settings.packager,
    }


def run(tree: PatchedTree, reservation: Reservation, *, context: JobContext) -> RenderedSpec:
    """The spec of the release, under `releases/N/`, with its diff. Raises: SettingsError, SrpmError."""
    from pipeline import overlay  # late, as jinja2 is: most runs render nothing

    vendor_path = context.out_path / tree.srpm.spec.path
    vendor = read_spec(vendor_path)
    day = _day(vendor, tree)

    def make_overlay(spec: VendorSpec) -> str:
        return _render(spec, tree, reservation, day, context)

    result = overlay.lay_over(vendor, make_overlay)
    spec_path = context.home_dir / "releases" / str(reservation.number) / vendor_path.name
    diff_path = spec_path.with_suffix(".diff")
    files.write_whole(spec_path, result)
    files.write_whole(diff_path, _diff(vendor, result, vendor_path.name))
    return RenderedSpec(
        tree=tree,
        reservation=reservation,
        spec=files.file_record(spec_path, context.out_path),
        diff=files.file_record(diff_path, context.out_path),
        source_date_epoch=changelog.midnight(day),
    )


def _day(vendor: str, tree: PatchedTree) -> date:
    """The day of our changelog entry: the newest of the vendor's entry and the patches, never a clock's.

    The same input gives the same packages, whenever it is built.
    """
    written = [datetime.fromtimestamp(patch.date_seconds, timezone.utc).date() for patch in tree.patches]
    vendors = changelog.newest(vendor)
    return max([*written, *([vendors] if vendors else [])], default=_FIRST_DAY)


def _render(spec: VendorSpec, tree: PatchedTree, reservation: Reservation, day: date, context: JobContext) -> str:
    """The template's text for this release. Raises: SettingsError with file and line."""
    import jinja2

    path = _template_path(context)
    capabilities = provides.of_patches(context.job.package, tree.patches)
    patches = [
        _Patch(number=number, file_name=patch.file.path.name, subject=patch.subject, state=patch.state,
               capability=capability)
        for number, (patch, capability) in enumerate(
            zip(tree.patches, capabilities, strict=True), start=spec.next_patch_number)
    ]  # fmt: skip

    def entry(lines: Iterable[str]) -> str:
        return changelog.entry(day, context.settings.packager, reservation.evr, list(lines))

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(
            vendor={"release": spec.release, "version": tree.srpm.evr.version},
            label=context.package.label,
            number=reservation.number,
            patches=patches,
            changelog=entry,
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


def _diff(before: str, after: str, name: str) -> str:
    lines = unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"vendor/{name}", f"ours/{name}"
    )
    return "".join(lines)


def _template_path(context: JobContext) -> Path:
    return context.specs_dir / f"{context.job.package}.spec.j2"


def _digest(path: Path) -> str:
    return files.sha256_of(path) if path.exists() else "missing"
