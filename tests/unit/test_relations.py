# SPDX-License-Identifier: GPL-2.0-or-later
"""The relations stage on this host's rpm, and what a package that is built on others is kept under."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import command, reproduce
from pipeline.command import CommandResult
from pipeline.engines.host import HostEngine
from pipeline.errors import BuildError, SettingsError
from pipeline.files import file_record, tree_record
from pipeline.model import BuildResult, Dependency, Evr, PatchedTree, Rpm
from pipeline.order import keys
from pipeline.stages import baseline, relations
from tests.conftest import SPEC
from tests.reserving import Machine, new_machine

TEMPLATE = "Release: {{ vendor.release }}.{{ label }}.{{ number }}\n%changelog\n{{ changelog(['ours']) }}\n"
MORE = """\
BuildRequires: nothing-of-the-kind >= 2
Requires: another
%package devel
Summary: More
Requires: %{name} = %{version}-%{release}
%description devel
More.
%files
%files devel
%description"""


@pytest.fixture
def tree(make_srpm, settings) -> PatchedTree:
    srpm = make_srpm(SPEC.replace("%description", MORE, 1))
    folder = settings.out_path / "demo/vdsm/tree"
    folder.mkdir(parents=True)
    one = tree_record(folder, settings.out_path)
    return PatchedTree(srpm=srpm, pristine=one, patched=one, steps=one, patches=())


@pytest.fixture
def context(make_context, checkout_dir):
    (checkout_dir / "specs/vdsm/vdsm.spec.j2").write_text(TEMPLATE)
    made = make_context()
    return replace(made, engine=HostEngine(), package=made.package.model_copy(update={"provides": ("pkgconfig(v)",)}))


def test_rpm_says_what_the_rendered_spec_gives_and_asks_for(tree, context, image):
    told = relations.run(tree, image, context=context)
    number = "4.16.30-0.demo.label.999999999"
    assert told.makes == ("vdsm", "vdsm-devel")
    assert f"vdsm = {number}" in told.packages[0].provides
    assert (told.packages[0].requires, told.packages[1].requires) == (("another",), (f"vdsm = {number}",))
    assert told.build_requires == told.missing == ("nothing-of-the-kind >= 2",)
    assert told.provides == ("pkgconfig(v)",)
    assert list(context.scratch_dir.glob("work-*")) == []


def test_where_requirements_are_not_checked_nothing_is_missing(tree, context, image):
    context = replace(context, target=context.target.model_copy(update={"nodeps": True}))
    assert relations.run(tree, image, context=context).missing == ()


def test_a_template_that_fails_is_told_before_a_number_is_given_out(tree, context, image, checkout_dir):
    (checkout_dir / "specs/vdsm/vdsm.spec.j2").write_text("Release: {{ what }}\n")
    with pytest.raises(SettingsError, match=r"vdsm\.spec\.j2, line 1"):
        relations.run(tree, image, context=context)


def test_a_spec_that_rpm_does_not_read_is_told(make_srpm, tree, context, image):
    with pytest.raises(BuildError, match=r"rpmbuild -bs of vdsm\.spec failed"):
        relations.run(replace(tree, srpm=make_srpm("Name: vdsm\nRelease: 1\nSource0: a\n%prep\n%setup -q\n")), image,
                      context=context)  # fmt: skip


def test_what_is_installed_on_a_host_counts_where_requirements_do(tree, context, image, monkeypatch):
    told = ["a\nb\n"]
    result = CommandResult(argv=(), exit_code=0, stdout="", seconds=0.0)
    monkeypatch.setattr(command, "run", lambda argv, **_: replace(result, stdout=told[0]))

    def inputs(context=context, image=image):
        relations._installed.cache_clear()
        return relations.inputs(tree, image, context=context)

    before = inputs()
    told[0] = "b\na\n"
    assert inputs() == before
    told[0] = "b\na\nc\n"
    assert inputs() != before
    loose = replace(context, target=context.target.model_copy(update={"nodeps": True}))
    assert "packages of this host" not in inputs(loose).keys() | inputs(image=replace(image, engine="podman")).keys()
    relations._installed.cache_clear()


def test_the_settings_provides_are_an_input(tree, context, image, monkeypatch):
    monkeypatch.setattr(relations, "_installed", lambda: "1")
    other = replace(context, package=context.package.model_copy(update={"provides": ("pkgconfig(w)",)}))
    assert relations.inputs(tree, image, context=context)["provides"] == "pkgconfig(v)"
    assert relations.inputs(tree, image, context=other)["provides"] == "pkgconfig(w)"


def built(out_path: Path, text: str) -> BuildResult:
    """A build of one binary package that holds a text."""
    path = out_path / "el6/below" / f"{text}.rpm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    rpm = Rpm(file=file_record(path, out_path), name="below", evr=Evr(version="1", release="1"), arch="noarch")
    return BuildResult(srpm=replace(rpm, arch="src"), rpms=(rpm,), spec=rpm.file)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return new_machine(tmp_path / "machine")


def on(machine: Machine, key: str = "1" * 64, ours: str = "ours", vendors: str = "vendors") -> Machine:
    """The machine whose package is built on another one."""
    out_path = machine.context.out_path
    need = Dependency(package="below", build=built(out_path, ours), baseline=built(out_path, vendors), key=key)
    return replace(machine, context=replace(machine.context, needs=(need,)))


def test_another_key_of_what_it_is_built_on_is_another_release(machine):
    alone = machine.inputs()
    assert not [name for name in alone if name.startswith("built on")]
    first = on(machine)
    assert first.inputs() == {**alone, "built on below": "1" * 64}
    assert (machine.number(), first.number(), on(machine, "2" * 64).number(), first.number()) == (904, 905, 906, 905)
    assert on(machine, ours="other").number() == 905, "the key alone decides"


def test_the_vendor_s_is_built_again_on_other_packages_of_the_vendor_s(machine, image):
    def inputs(machine: Machine) -> dict[str, str]:
        return baseline.inputs(machine.tree.srpm, image, context=machine.context)

    assert inputs(on(machine)).keys() - inputs(machine).keys() == {"built on below"}
    assert inputs(on(machine)) == inputs(on(machine, key="2" * 64, ours="other"))
    assert inputs(on(machine)) != inputs(on(machine, vendors="other"))


def test_the_digest_of_packages_does_not_depend_on_their_order(tmp_path):
    one, two = built(tmp_path, "one"), built(tmp_path, "two")
    both = replace(one, rpms=one.rpms + two.rpms)
    assert keys.digest_of_rpms(both) == keys.digest_of_rpms(replace(both, rpms=both.rpms[::-1]))
    assert keys.digest_of_rpms(both) != keys.digest_of_rpms(one)


def test_a_second_making_is_handed_what_the_first_was_built_on(machine, tmp_path):
    needs = on(machine).context.needs
    reproduce._hand_over(needs, machine.context.out_path, tmp_path / "there")
    assert (tmp_path / "there" / needs[0].build.rpms[0].file.path).read_text() == "ours"
    assert (tmp_path / "there" / needs[0].baseline.rpms[0].file.path).read_text() == "vendors"
