# SPDX-License-Identifier: GPL-2.0-or-later
"""A package's template over the vendor's spec, for a release number that it is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import changelog, files, provides, release
from pipeline.context import JobContext
from pipeline.errors import SettingsError
from pipeline.model import Evr, PatchedTree, Srpm
from pipeline.spectext import read_spec

if TYPE_CHECKING:
    from pipeline.overlay import VendorSpec

# For an entry without patches in a spec without a changelog.
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """The vendor's spec, ours, and the day that our changelog entry bears."""

    vendor: str
    ours: str
    day: date


@dataclass(frozen=True, kw_only=True, slots=True)
class _Patch:
    """A patch as the template sees it."""

    number: int
    file_name: str
    subject: str
    state: str
    capability: provides.Capability


def inputs(context: JobContext) -> dict[str, str]:
    """Template and settings; source, patches and number come with the records."""
    path = _template_path(context)
    return {
        f"specs/{context.job.package}/{path.name}": files.sha256_of(path) if path.exists() else "missing",
        "label": context.package.label,
        "packager": context.settings.packager,
    }


def lay_over(tree: PatchedTree, number: int, evr: Evr, context: JobContext) -> Rendering:
    """The spec of that release. Raises: SettingsError, SrpmError."""
    from pipeline import overlay  # late, as jinja2 is: most runs render nothing

    vendor = read_spec(context.out_path / tree.srpm.spec.path)
    day = _day(vendor, tree)

    def make_overlay(spec: VendorSpec) -> str:
        return _render(spec, tree, number, evr, day, context)

    with overlay.TURN:
        ours = overlay.lay_over(vendor, make_overlay)
    return Rendering(vendor=vendor, ours=ours, day=day)


def evr_of(srpm: Srpm, number: int, context: JobContext) -> Evr:
    """The version and release that a number gives. Raises: SettingsError, SrpmError."""
    from pipeline import overlay  # late: specfile loads rpm, and most runs need no new number

    with overlay.TURN:
        vendor = overlay.VendorSpec(read_spec(context.out_path / srpm.spec.path))
    ours = f"{vendor.release}.{context.package.label}.{number}"
    return Evr(
        epoch=srpm.evr.epoch,
        version=srpm.evr.version,
        release=release.expand(ours, context.target.rpm_macros()),
    )


def _day(vendor: str, tree: PatchedTree) -> date:
    """The day of our changelog entry: the newest of the vendor's entry and the patches, never a clock's.

    The same input gives the same packages, whenever it is built.
    """
    written = [datetime.fromtimestamp(patch.date_seconds, timezone.utc).date() for patch in tree.patches]
    vendors = changelog.newest(vendor)
    return max([*written, *([vendors] if vendors else [])], default=_FIRST_DAY)


def _render(spec: VendorSpec, tree: PatchedTree, number: int, evr: Evr, day: date, context: JobContext) -> str:
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
        return changelog.entry(day, context.settings.packager, evr, list(lines))

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(
            vendor={"release": spec.release, "version": tree.srpm.evr.version},
            label=context.package.label,
            number=number,
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


def _template_path(context: JobContext) -> Path:
    return context.specs_dir / f"{context.job.package}.spec.j2"
