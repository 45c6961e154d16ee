# SPDX-License-Identifier: GPL-2.0-or-later
"""The render stage: the template and its errors, the day of the entry, and what is written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.context import JobContext
from pipeline.errors import SettingsError
from pipeline.files import file_record, tree_record
from pipeline.model import AppliedPatch, Evr, PatchedTree, RenderedSpec, Reservation
from pipeline.stages import render
from tests.conftest import SPEC

TEMPLATE = """\
{# ours #}
Release: {{ vendor.release }}.{{ label }}.{{ number }}
{% for patch in patches -%}
Patch{{ patch.number }}: {{ patch.file_name }}
{% endfor %}
%prep
{% for patch in patches -%}
%patch -P{{ patch.number }} -p1
{% endfor %}
%changelog
{{ changelog(patches | map(attribute="subject")) }}
"""


def seconds(day: str) -> int:
    """Nearly the end of a day in UTC."""
    return int(datetime.fromisoformat(f"{day}T23:59:00+00:00").timestamp())


@pytest.fixture
def context(make_context) -> JobContext:
    return make_context()


@pytest.fixture
def reservation() -> Reservation:
    return Reservation(
        number=907, evr=Evr(version="4.16.30", release="0.demo.label.907"), input_sha256="0" * 64, inputs=()
    )


@pytest.fixture
def template_path(checkout_dir) -> Path:
    path = checkout_dir / "specs" / "vdsm" / "vdsm.spec.j2"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture
def tree(make_srpm, settings) -> PatchedTree:
    """A patched source with two patches."""
    srpm = make_srpm()
    for name in ("pristine/f", "patched/f", "steps/1/f", "series/1.patch", "series/2.patch"):
        path = settings.out_path / "demo/vdsm/tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    folder = settings.out_path / "demo/vdsm/tree"
    patches = tuple(
        AppliedPatch(file=file_record(folder / "series" / name, settings.out_path), subject=subject, author="A <a@b>",
                     state="clean", offset_lines=0, touched=("f",), date_seconds=seconds(day))
        for name, subject, day in (("1.patch", "vm: first", "2015-12-03"), ("2.patch", "vm: 100% second", "2015-12-02"))
    )  # fmt: skip
    return PatchedTree(
        srpm=srpm,
        pristine=tree_record(folder / "pristine", settings.out_path),
        patched=tree_record(folder / "patched", settings.out_path),
        steps=tree_record(folder / "steps", settings.out_path),
        patches=patches,
    )


@pytest.fixture
def run(tree, reservation, context, template_path) -> Callable[[], RenderedSpec]:
    return lambda: render.run(tree, reservation, context=context)


@pytest.fixture
def refusal(run) -> Callable[[], SettingsError]:
    def run_stage() -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            run()
        assert caught.value.exit_code == 3
        return caught.value

    return run_stage


def test_the_spec_has_release_patches_and_changelog_and_its_diff_shows_them(run, settings, reservation):
    rendered = run()
    assert str(rendered.evr) == "4.16.30-0.demo.label.907"
    assert rendered.reservation == reservation
    diff = (settings.out_path / rendered.diff.path).read_text()
    assert [line for line in diff.splitlines() if line[0] in "+-"] == [
        "--- vendor/vdsm.spec",
        "+++ ours/vdsm.spec",
        "-Release: 0%{?dist}%{?extra_release}",
        "+Release: 0%{?dist}%{?extra_release}.label.907",
        "+Patch0:  1.patch",
        "+Patch1:  2.patch",
        "+%patch -P0 -p1",
        "+%patch -P1 -p1",
        "+* Thu Dec 03 2015 A Packager <packager@example.org> - 4.16.30-0.demo.label.907",
        "+- vm: first",
        "+- vm: 100%% second",
        "+",
    ]
    assert rendered.spec.path == Path("demo/vdsm/releases/907/vdsm.spec")


def test_the_shipped_template_gives_the_same_and_says_which_patches_are_in(
    run, tree, template_path, root_dir, settings
):
    ours = (settings.out_path / run().spec.path).read_text()
    template_path.write_text((root_dir / "specs/vdsm/vdsm.spec.j2").read_text())
    shipped = (settings.out_path / run().spec.path).read_text().splitlines()
    provided = [line for line in shipped if line.startswith("Provides:")]
    first, second = (patch.file.sha256[:12] for patch in tree.patches)
    assert [line.split(maxsplit=1)[1] for line in provided] == [
        f"patch(vdsm-vm-first) = {first}", f"patch(vdsm-vm-100-second) = {second}"
    ]  # fmt: skip
    assert [line for line in shipped if line not in provided] == ours.splitlines()


def test_the_same_input_gives_the_same_record(run):
    assert run() == run()


@pytest.fixture(params=["UTC", "Pacific/Kiritimati", "Pacific/Midway"])
def _zone(request, monkeypatch) -> Iterator[None]:
    """A time zone of the machine, in some of which it is another day."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    ("vendors", "patches", "day"),
    [
        (["Sun Nov 22 2015"], ["2015-11-20", "2015-11-21"], "Sun Nov 22 2015"),
        (["Sun Nov 22 2015"], ["2015-12-25", "2015-11-21"], "Fri Dec 25 2015"),
        (["Mon Jan 05 2015", "Sun Nov 22 2015", "Sat Jan 31 2015"], ["2014-01-01"], "Sun Nov 22 2015"),
        (["Sun Nov 22 2015"], [], "Sun Nov 22 2015"),
        ([], ["2015-12-25"], "Fri Dec 25 2015"),
        ([], [], "Thu Jan 01 1970"),
        (["Xxx Yyy 77 2015"], ["2015-12-25"], "Fri Dec 25 2015"),
    ],
)
def test_the_day_is_the_newest_of_the_vendor_s_entries_and_of_the_patches_and_no_clock_is_asked(
    tree, reservation, context, template_path, make_srpm, settings, vendors, patches, day
):
    entries = "\n\n".join(f"* {stamp} Vendor <v@example.org> - 4.16.30-0\n- x" for stamp in vendors)
    make_srpm(SPEC.partition("* Sun Nov 22")[0] + entries)
    dated = tuple(replace(tree.patches[0], date_seconds=seconds(each)) for each in patches)
    rendered = render.run(replace(tree, patches=dated), reservation, context=context)
    text = (settings.out_path / rendered.spec.path).read_text()
    stamps = re.findall(r"^\* (\w+ \w+ \d+ \d+) A Packager", text, re.MULTILINE)
    assert stamps == [day]
    midnight = datetime.strptime(f"{day} +0000", "%a %b %d %Y %z")
    assert rendered.source_date_epoch == midnight.timestamp()


def test_the_epoch_of_a_reservation_is_in_the_changelog(tree, reservation, context, template_path, settings):
    second = replace(reservation, evr=replace(reservation.evr, epoch=2))
    text = (settings.out_path / render.run(tree, second, context=context).spec.path).read_text()
    assert " - 2:4.16.30-0.demo.label.907\n" in text


def test_patches_are_numbered_behind_the_vendor_s_own(tree, reservation, context, template_path, make_srpm, settings):
    spec = (settings.out_path / tree.srpm.spec.path).read_text()
    make_srpm(spec.replace("Source0:", "Patch7: vendor.patch\nSource0:"))
    text = (settings.out_path / render.run(tree, reservation, context=context).spec.path).read_text()
    assert "Patch8:  1.patch\nPatch9:  2.patch\n" in text
    assert "%patch -P8 -p1\n%patch -P9 -p1\n" in text


def test_a_name_that_the_template_does_not_know_is_told_with_its_line(refusal, template_path):
    template_path.write_text(TEMPLATE.replace("{{ label }}", "{{ lable }}"))
    assert refusal().message == (
        "vdsm.spec.j2, line 2: 'lable' is undefined: Release: {{ vendor.release }}.{{ lable }}.{{ number }}"
    )
    assert str(template_path) in refusal().hint


def test_an_attribute_that_does_not_exist_is_told_with_its_line(refusal, template_path):
    template_path.write_text(TEMPLATE.replace("patch.file_name", "patch.filename"))
    assert refusal().message.startswith("vdsm.spec.j2, line 4: ")
    assert refusal().message.endswith(": Patch{{ patch.number }}: {{ patch.filename }}")


@pytest.mark.parametrize("wrong", ["{{ number", "{% endfor %}", "{% for %}", "{{ number | nonsense }}"])
def test_a_syntax_error_is_told_with_its_line(refusal, template_path, wrong):
    template_path.write_text(f"{{# one #}}\n# two\n{wrong}\n")
    assert refusal().message.startswith("vdsm.spec.j2, line 3: ")
    assert refusal().message.endswith(f": {wrong}")


@pytest.mark.parametrize("wrong", ["{{ number / 0 }}", "{{ number + label }}", "{{ changelog(5) }}", "{{ number() }}"])
def test_what_fails_in_the_template_is_told_with_its_line(refusal, template_path, wrong):
    template_path.write_text(f"{{# one #}}\n{wrong}\n")
    assert refusal().message.startswith("vdsm.spec.j2, line 2: ")


def test_a_missing_template_is_named(refusal, template_path):
    template_path.unlink()
    assert refusal().message == f"{template_path} does not exist"


def test_a_template_that_is_not_utf_8_is_told(refusal, template_path):
    template_path.write_bytes(TEMPLATE.encode() + b"\xff")
    assert "vdsm.spec.j2" in refusal().message


def test_a_refused_template_leaves_nothing_behind(refusal, template_path, settings):
    template_path.write_text("{{ lable }}")
    refusal()
    assert not (settings.out_path / "demo/vdsm/releases").exists()


def test_the_inputs_are_template_and_settings_alone(tree, reservation, make_context, template_path, settings):
    def inputs(**change: str) -> dict[str, str]:
        context = make_context()
        package = context.package.model_copy(update=change)
        whole = settings.model_copy(update=change)
        return render.inputs(tree, reservation, context=replace(context, package=package, settings=whole))

    first = inputs()
    assert inputs(label="mabel") != first
    assert inputs(packager="B <b@example.org>") != first
    assert inputs(mirror_override="host:/srv") == first
    template_path.write_text(f"{TEMPLATE}\n")
    assert inputs() != first
    template_path.unlink()
    assert inputs()["specs/vdsm/vdsm.spec.j2"] == "missing"
