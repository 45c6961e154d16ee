# SPDX-License-Identifier: GPL-2.0-or-later
"""The render stage: the release's number, the template and its errors, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipeline.context import JobContext
from pipeline.errors import PublishError, SettingsError
from pipeline.files import file_record, tree_record
from pipeline.model import AppliedPatch, Evr, MirrorState, PatchedTree, PublishedRpm, RenderedSpec
from pipeline.stages import render

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


@pytest.fixture
def published(monkeypatch) -> list[str]:
    """The releases that the mirror holds; tests add to it."""
    releases: list[str] = []

    def read_state(*_: object, **__: object) -> MirrorState:
        packages = [
            PublishedRpm(name="vdsm", evr=Evr(version="4.16.30", release=release), arch="x86_64", href=f"{release}.rpm",
                         size_bytes=1, sha256="0" * 64)
            for release in releases
        ]  # fmt: skip
        return MirrorState(destination="mirror", packages=tuple(packages))

    monkeypatch.setattr("pipeline.stages.render.mirror.read_state", read_state)
    return releases


@pytest.fixture
def context(make_context, published) -> JobContext:
    return make_context()


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
                     state="clean", offset_lines=0, touched=("f",))
        for name, subject in (("1.patch", "vm: first"), ("2.patch", "vm: 100% second"))
    )  # fmt: skip
    return PatchedTree(
        srpm=srpm,
        pristine=tree_record(folder / "pristine", settings.out_path),
        patched=tree_record(folder / "patched", settings.out_path),
        steps=tree_record(folder / "steps", settings.out_path),
        patches=patches,
    )


@pytest.fixture
def run(tree, context, template_path) -> Callable[[], RenderedSpec]:
    return lambda: render.run(tree, context=context)


@pytest.fixture
def refusal(run) -> Callable[[], SettingsError]:
    def run_stage() -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            run()
        assert caught.value.exit_code == 3
        return caught.value

    return run_stage


def test_the_spec_has_release_patches_and_changelog_and_its_diff_shows_them(run, settings):
    rendered = run()
    today = datetime.now(timezone.utc)
    assert str(rendered.evr) == "4.16.30-0.demo.label.904"
    assert rendered.number == 904
    diff = (settings.out_path / rendered.diff.path).read_text()
    assert [line for line in diff.splitlines() if line[0] in "+-"] == [
        "--- vendor/vdsm.spec",
        "+++ ours/vdsm.spec",
        "-Release: 0%{?dist}%{?extra_release}",
        "+Release: 0%{?dist}%{?extra_release}.label.904",
        "+Patch0:  1.patch",
        "+Patch1:  2.patch",
        "+%patch -P0 -p1",
        "+%patch -P1 -p1",
        f"+* {today:%a %b %d %Y} A Packager <packager@example.org> - 4.16.30-0.demo.label.904",
        "+- vm: first",
        "+- vm: 100%% second",
        "+",
    ]
    assert rendered.spec.path == Path("demo/vdsm/releases/904/vdsm.spec")


def test_the_shipped_template_gives_the_same(run, template_path, root_dir, settings):
    ours = (settings.out_path / run().spec.path).read_text()
    template_path.write_text((root_dir / "specs/vdsm/vdsm.spec.j2").read_text())
    again = (settings.out_path / run().spec.path).read_text()
    assert again == ours.replace("label.904", "label.905")


@pytest.mark.parametrize(
    ("on_mirror", "number"),
    [
        ([], 904),
        (["0.demo.label.12"], 904),
        (["0.demo.label.904"], 905),
        (["0.demo.label.1999", "0.demo.label.999", "0.demo"], 2000),
        (["0.demo.other.5000"], 5001),
        (["0.el6.label.6000", "0.demo.label.904"], 6001),
        (["0.demo.label.5000.1", "0.demo.5000.el6", "0.demo"], 904),
    ],
)
def test_the_number_is_above_all_of_ours_on_the_mirror_whatever_their_label_and_at_least_the_floor(
    run, published, on_mirror, number
):
    published += on_mirror
    assert run().number == number


def test_the_number_is_above_all_that_were_given_out_here(run, published, settings):
    assert [run().number, run().number] == [904, 905]
    (settings.out_path / "demo/vdsm/releases/1500").mkdir()
    (settings.out_path / "demo/vdsm/releases/.vdsm.spec.tmp").mkdir()
    published.append("0.demo.label.1200")
    assert run().number == 1501


def test_patches_are_numbered_behind_the_vendor_s_own(tree, context, template_path, make_srpm, settings):
    spec = (settings.out_path / tree.srpm.spec.path).read_text()
    make_srpm(spec.replace("Source0:", "Patch7: vendor.patch\nSource0:"))
    text = (settings.out_path / render.run(tree, context=context).spec.path).read_text()
    assert "Patch8:  1.patch\nPatch9:  2.patch\n" in text
    assert "%patch -P8 -p1\n%patch -P9 -p1\n" in text


def test_a_number_on_the_mirror_above_all_of_ours_here_is_an_input_until_it_is_beaten(tree, context, run, published):
    def higher() -> str:
        return render.inputs(tree, context=context)["higher number on the mirror"]

    assert higher() == "none"
    published.append("0.demo.other.12")
    assert higher() == "12"
    assert run().number == 904
    assert higher() == "none"
    published += ["0.demo.label.904", "0.demo"]
    assert higher() == "none"
    published += ["0.demo.label.1200", "0.demo.label.1100"]
    assert higher() == "1200"
    assert run().number == 1201
    assert higher() == "none"


def test_the_release_that_is_foreseen_is_the_one_that_is_made_and_nothing_is_given_out(
    tree, context, run, published, settings
):
    published.append("0.demo.label.1200")
    first = [render.foresee(tree.srpm, context=context) for _ in range(2)]
    assert not (settings.out_path / "demo/vdsm/releases").exists()
    assert [run().evr, run().evr] == [first[0], Evr(version="4.16.30", release="0.demo.label.1202")]
    assert first[1] == Evr(version="4.16.30", release="0.demo.label.1201")


def test_a_foreseen_release_keeps_the_epoch_and_has_the_macros_of_its_target(tree, make_context, published):
    srpm = replace(tree.srpm, evr=replace(tree.srpm.evr, epoch=2))
    assert str(render.foresee(srpm, context=make_context(target="el6"))) == "2:4.16.30-0.el6.label.904"


def test_the_demo_is_refused_for_a_mirror_elsewhere_before_that_is_asked(
    tree, context, template_path, monkeypatch, settings
):
    def read_state(*_: object, **__: object) -> MirrorState:
        raise AssertionError("the mirror was asked")

    monkeypatch.setattr("pipeline.stages.render.mirror.read_state", read_state)
    remote = replace(context, settings=settings.model_copy(update={"mirror_override": "host:/srv"}))
    with pytest.raises(PublishError, match="^vdsm-4.16.30-0.demo.src is made from the demo, and host:/srv/demo is not"):
        render.inputs(tree, context=remote)


def test_what_is_no_demo_may_go_to_a_mirror_elsewhere(tree, context, template_path, settings):
    remote = replace(context, settings=settings.model_copy(update={"mirror_override": "host:/srv"}))
    real = replace(tree, srpm=replace(tree.srpm, demo=False))
    assert render.inputs(real, context=remote)["higher number on the mirror"] == "none"


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


def test_a_release_with_a_macro_that_no_rpm_would_expand_is_told(refusal, tree, make_srpm, settings):
    spec = (settings.out_path / tree.srpm.spec.path).read_text()
    make_srpm(spec.replace("0%{?dist}%{?extra_release}", "0%{?dist}%{their_macro}"))
    assert "their_macro" in refusal().message


def test_the_inputs_see_template_and_settings_but_not_the_numbers_taken(
    tree, make_context, template_path, published, run
):
    def inputs(target: str = "demo") -> dict[str, str]:
        return render.inputs(tree, context=make_context(target=target))

    first = inputs()
    run()
    published.append("0.demo.label.904")
    assert inputs() == first
    assert inputs("el6") != first
    template_path.write_text(f"{TEMPLATE}\n")
    assert inputs() != first
    template_path.unlink()
    assert inputs()["specs/vdsm/vdsm.spec.j2"] == "missing"
