# SPDX-License-Identifier: GPL-2.0-or-later
"""Our lines laid over a vendor's spec: what is added, where, and that every other byte stays."""

from __future__ import annotations

import subprocess
from difflib import ndiff
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError, SettingsError, SrpmError
from pipeline.overlay import lay_over

GOLDEN_DIR = Path(__file__).parent.parent / "golden" / "overlay"
SPEC = """\
Name: vdsm
Version: 4.16.30
Release: 0%{?dist}
Summary: A daemon
License: GPLv2+
Source0: vdsm-4.16.30.tar.gz

%description
A daemon.

%prep
%setup -q

%files

%changelog
* Sun Nov 22 2015 Vendor <vendor@example.org> - 4.16.30-0
- First
"""
OVERLAY = """\
Release: 0%{?dist}.label.904
Patch0: 0001-first.patch

%prep
%patch -P0 -p1

%changelog
* Mon Nov 23 2015 A Packager <packager@example.org> - 4.16.30-0.el6.label.904
- vm: first
"""


def lay(spec: str, overlay: str = OVERLAY) -> str:
    return lay_over(spec, lambda vendor: overlay)


def added_lines(before: str, after: str) -> list[str]:
    """Every line that is new or other, as ndiff has it."""
    return [line.rstrip("\n") for line in ndiff(before.splitlines(True), after.splitlines(True)) if line[0] in "+-"]


def refusal(spec: str, overlay: str = OVERLAY, error: type[PipelineError] = SrpmError) -> PipelineError:
    with pytest.raises(error) as caught:
        lay(spec, overlay)
    return caught.value


def test_a_spec_with_blocks_tabs_and_blanks_has_our_lines_and_no_other_change():
    vendor, overlay, ours = (
        (GOLDEN_DIR / f"{name}.spec").read_bytes().decode() for name in ("vendor", "overlay", "ours")
    )
    assert lay(vendor, overlay).encode() == ours.encode()
    assert not ours.endswith("\n")


def test_every_line_of_the_vendor_s_is_there_in_order_but_for_the_release():
    vendor, overlay = ((GOLDEN_DIR / f"{name}.spec").read_bytes().decode() for name in ("vendor", "overlay"))
    release = "Release:\t0%{?dist}%{?extra_release}\n"
    assert vendor.count(release) == 1
    left = iter(lay(vendor, overlay).splitlines(True))
    # `in` reads on in the iterator: it finds them in order, or not at all.
    assert [line for line in vendor.replace(release, "").splitlines(True) if line not in left] == []


def test_the_template_learns_the_release_and_the_number_that_is_free():
    seen = []

    def make(vendor) -> str:
        seen.append((vendor.release, vendor.next_patch_number))
        return OVERLAY

    lay_over((GOLDEN_DIR / "vendor.spec").read_text(), make)
    lay_over(SPEC, make)
    lay_over(SPEC.replace("Source0:", "Patch: a.patch\nSource0:"), make)
    lay_over(SPEC.replace("Source0:", "PATCH12: a.patch\npatch3: b.patch\nSource0:"), make)
    assert seen == [
        ("0%{?dist}%{?extra_release}", 4),
        ("0%{?dist}", 0),
        ("0%{?dist}", 1),
        ("0%{?dist}", 13),
    ]


def test_a_plain_spec_gets_exactly_our_lines():
    assert added_lines(SPEC, lay(SPEC)) == [
        "- Release: 0%{?dist}",
        "+ Release: 0%{?dist}.label.904",
        "+ Patch0:  0001-first.patch",
        "+ %patch -P0 -p1",
        "+ * Mon Nov 23 2015 A Packager <packager@example.org> - 4.16.30-0.el6.label.904",
        "+ - vm: first",
        "+ ",
    ]


FRAGMENTS = st.sampled_from(
    [
        *SPEC.splitlines(keepends=True),
        "\n", "  \n", "\t%if 1\n", "%endif\n", "%else\n", "%global a \\\n", "%define b() %{expand:\n", "}\n", "# %x\n",
        "%package -n a  \n", "%files -f %{name}.lang\n", "%description -l %(x)\n", "Requires:\t a >= %{b}  \n",
        "%{?a:Requires: b}\n", "Patch: %{c\n", "caf\u00e9\u2028\x0c\x85\n", "%Prep\n", "%changelog", "Name : %%(a)",
    ]
)  # fmt: skip


@given(spec=st.lists(FRAGMENTS, max_size=30).map("".join))
def test_an_overlay_of_nothing_changes_no_byte_of_any_spec(spec):
    assert lay(spec, "") == spec


def test_patches_stand_behind_the_last_source_in_order_and_aligned():
    spec = SPEC.replace("Source0: vdsm-4.16.30.tar.gz\n", "Source0:   a\nSource1:   b\nURL:       u\n")
    ours = lay(spec, "Patch0: x\nPatch10: y\n")
    assert "Source1:   b\nPatch0:    x\nPatch10:   y\nURL:       u\n" in ours


PROVIDES = "Provides: patch(vdsm-a) = 0123456789ab\nProvides: patch(vdsm-b) = ba9876543210\n"
SUBPACKAGES = """\
%package cli
Summary:        A client
%description cli
A client.

%if 0%{?rhel} == 6
%package -n python-vdsm
Requires: a
%if 1
Provides: own
%endif
%description -n python-vdsm
A library.
%else
%Package\tlast
%description last
Last.
%endif

%prep
"""


def test_provides_stand_behind_the_patches_and_behind_every_package_header():
    spec = SPEC.replace("%prep\n", SUBPACKAGES)
    ours = lay(spec, "Patch0: x\n" + PROVIDES)
    wide = PROVIDES.replace("Provides: ", "Provides:       ")
    assert "Patch0:  x\n" + PROVIDES in ours
    assert f"%package cli\n{wide}Summary:        A client\n" in ours
    assert f"%if 0%{{?rhel}} == 6\n%package -n python-vdsm\n{PROVIDES}Requires: a\n" in ours
    assert f"%else\n%Package\tlast\n{PROVIDES}%description last\n" in ours
    added = [line for line in added_lines(spec, ours) if "Patch0" not in line]
    assert len(added) == 8
    assert {line.split()[2] for line in added} == {"patch(vdsm-a)", "patch(vdsm-b)"}


@pytest.mark.parametrize(
    ("rhel", "names"), [("6", ["python-vdsm", "vdsm", "vdsm-cli"]), ("7", ["vdsm", "vdsm-cli", "vdsm-last"])]
)
def test_rpm_finds_the_provides_in_every_package_on_every_host(tmp_path, rhel, names):
    spec = SPEC.replace("%prep\n", SUBPACKAGES).replace("%files\n", "%files\n%files cli\n%if 0%{?rhel} == 6\n"
                        "%files -n python-vdsm\n%else\n%files last\n%endif\n")  # fmt: skip
    spec = spec.replace("%Package\tlast\n", "%Package\tlast\nSummary: l\n").replace("Requires: a", "Summary: p")
    (tmp_path / "ours.spec").write_text(lay(spec, PROVIDES))
    told = subprocess.run(
        ["rpmspec", "--query", "--define", f"rhel {rhel}", "--queryformat", "%{NAME}[ %{PROVIDES}=%{PROVIDEVERSION}]\n",
         "ours.spec"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    rows = {line.split()[0]: set(line.split()[1:]) for line in told.splitlines()}
    assert sorted(rows) == names
    for provided in rows.values():
        assert {"patch(vdsm-a)=0123456789ab", "patch(vdsm-b)=ba9876543210"} <= provided


def test_provides_stand_behind_the_patches_in_whatever_order_the_template_has_them():
    assert lay(SPEC, PROVIDES + "Patch0: x\n") == lay(SPEC, "Patch0: x\n" + PROVIDES)
    refusal(SPEC.replace("Source0: vdsm-4.16.30.tar.gz\n", ""), PROVIDES + "Patch0: x\n")


def test_provides_stand_in_no_condition_where_the_package_has_no_source():
    spec = SPEC.replace("Source0: vdsm-4.16.30.tar.gz\n", "").replace(
        "Release: 0%{?dist}\n", "Release: 0%{?dist}\n%if 1\nURL: u\n%endif\n"
    )
    assert f"Release: 0%{{?dist}}\n{PROVIDES}%if 1\n" in lay(spec, PROVIDES)


def test_what_only_looks_like_a_package_header_stays():
    """In the body of a macro, rpm would read our lines as part of it."""
    spec = SPEC.replace(
        "%prep\n", "%global more() \\\n%package x\\\n\\\n%description x\\\n\n# %package y\n %package z\n%prep\n"
    )
    assert len([line for line in added_lines(spec, lay(spec, PROVIDES)) if "Provides" in line]) == 2


def test_patches_stand_in_no_condition_even_where_the_last_source_does():
    spec = SPEC.replace(
        "Source0: vdsm-4.16.30.tar.gz\n",
        "Source0: a\n%if 0%{?rhel} == 6\n%if 1\nSource1: b\n%endif\nRequires: old\n%else\nRequires: new\n%endif\n"
        "URL: u\n",
    )
    ours = lay(spec, "Patch0: x\nPatch1: y\n")
    assert "Requires: new\n%endif\nPatch0:  x\nPatch1:  y\nURL: u\n" in ours
    assert [line for line in added_lines(spec, ours) if line[0] == "-"] == []


def test_patches_behind_a_condition_at_the_end_of_the_tags_stand_in_no_condition():
    spec = SPEC.replace("Source0: vdsm-4.16.30.tar.gz\n", "%if 1\nSource0: a\nSource1: b\n%endif\n")
    assert "Source1: b\n%endif\nPatch0:  x\n" in lay(spec, "Patch0: x\n")


def test_patches_are_applied_in_no_condition_even_where_setup_stands_in_one():
    spec = SPEC.replace("%setup -q\n", "%if 0%{?rhel} == 6\n%setup -q -n old\n%else\n%setup -q\n%endif\nsed -i x y\n")
    assert "%setup -q\n%endif\n%patch -P0 -p1\nsed -i x y\n" in lay(spec)


@pytest.mark.parametrize("rhel", ["6", "7"])
def test_rpm_reads_our_spec_on_every_host_with_all_patches(tmp_path, rhel):
    """rpm itself, on what golden files only look like."""
    (tmp_path / "ours.spec").write_bytes((GOLDEN_DIR / "ours.spec").read_bytes())
    told = subprocess.run(
        ["rpmspec", "--query", "--srpm", "--define", f"rhel {rhel}", "--define", "dist .el6",
         "--queryformat", "%{RELEASE} [%{PATCH} ]\n[%{CHANGELOGNAME}|]", "ours.spec"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    release, *patches = told.splitlines()[0].split()
    assert release == "0.el6.label.904"
    assert sorted(patches) == ["0001-first.patch", "0002-second.patch", "fix-build.patch"]
    assert told.splitlines()[1].startswith("A Packager <packager@example.org> - 4.16.30-0.el6.label.904|A Vendor ")


def test_the_demo_s_spec_gets_exactly_our_lines(root_dir):
    spec = (root_dir / "tests/demo/vdsm/vdsm.spec").read_text()
    added = added_lines(spec, lay(spec))
    assert [line for line in added if line[0] == "-"] == ["- Release:        0%{?dist}%{?extra_release}"]
    assert "+ Patch0:         0001-first.patch" in added
    assert len(added) == 7


def test_a_spec_without_changelog_gets_one():
    spec = SPEC.partition("\n%changelog")[0]
    ours = lay(spec)
    assert ours.endswith(
        "%changelog\n* Mon Nov 23 2015 A Packager <packager@example.org> - 4.16.30-0.el6.label.904\n- vm: first\n"
    )
    assert ours.replace("Release: 0%{?dist}.label.904", "Release: 0%{?dist}").startswith(
        SPEC.partition("%prep")[0][:60]
    )


def test_an_empty_changelog_gets_the_entry_alone():
    spec = SPEC.partition("* Sun Nov 22")[0]
    assert lay(spec).endswith("%changelog\n* Mon Nov 23 2015 A Packager <packager@example.org> - "
                              "4.16.30-0.el6.label.904\n- vm: first\n")  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Release: 0%{?dist}\n", "", "the spec has no Release line for the package; one is needed"),
        ("Release: 0%{?dist}\n", "%if 1\nRelease: 0\n%else\nRelease: 1\n%endif\n",
         "the spec has 2 Release lines for the package; one is needed"),
        ("%setup -q\n", "tar xf %{SOURCE0}\n", "the spec has no %setup line in %prep"),
        ("%prep\n%setup -q\n", "", "the spec has no %setup line in %prep"),
        ("%setup -q\n", "# %setup -q\n", "the spec has no %setup line in %prep"),
        ("%setup -q\n", "%autosetup -p1\n", "the spec unpacks with %autosetup, which applies every patch by itself"),
        ("Source0: vdsm-4.16.30.tar.gz\n", "", "the spec has no Source line"),
    ],
)  # fmt: skip
def test_a_spec_that_lacks_what_is_needed_is_told(old, new, message):
    assert old in SPEC
    error = refusal(SPEC.replace(old, new, 1))
    assert (error.message, error.exit_code) == (message, 40)
    assert error.hint


def test_a_spec_with_a_condition_that_does_not_end_is_told():
    error = refusal(SPEC.replace("Version: 4.16.30", "%if 1\nVersion: 4.16.30"))
    assert error.message == "an %if of the spec has no %endif"


def test_a_spec_with_the_control_character_of_the_mask_is_told():
    assert refusal(SPEC.replace("A daemon", "A\x01daemon")).message == "the spec has a control character (0x01)"


@pytest.mark.parametrize(
    ("overlay", "part"),
    [
        ("Version: 5\n", "tag Version"),
        ("Source9: evil\n", "tag Source9"),
        ("%build\nid\n", "%build"),
        ("Patch0: x\n\n%post\nid\n", "%post"),
        ("%description\nours\n", "%description"),
    ],
)
def test_an_overlay_with_other_parts_is_told(overlay, part):
    error = refusal(SPEC, overlay, SettingsError)
    assert error.message == f"the spec template has {part}, which cannot be laid over a spec"
    assert error.exit_code == 3


@pytest.mark.parametrize(
    "evil",
    [
        "%global evil %(touch {path})\n",
        "%define evil() %(touch {path})\n",
        "%{{lua:io.open('{path}', 'w'):close()}}\n",
        "%if %(touch {path}; echo 1)\nURL: x\n%endif\n",
        "%if 0%(touch {path})\n%endif\n",
        "%ifarch %(touch {path}; echo x86_64)\nURL: x\n%endif\n",
        "URL: %(touch {path}; echo x)\n",
        "%{{expand:%%(touch {path})}}\n",
        "%include %(touch {path}; echo /dev/null)\n",
        "%{{load:%(touch {path}; echo /dev/null)}}\n",
        "%dump %(touch {path})\n",
        "%{{!?none:%(touch {path})}}\n",
        "%files %(touch {path})\n",
        "%files %(touch$IFS{path})\n",
        "%files %{{lua:io.open('{path}','w'):close()}}\n",
        "%if lua:io.open('{path}', 'w'):close()\n%endif\n",
        "%global percent %%\n%{{expand:%{{percent}}(touch {path})}}\n",
        "Requires: %{{quote:%(touch {path})}}\n",
    ],
)
def test_a_spec_with_commands_in_it_runs_none_of_them(tmp_path, evil):
    path = tmp_path / "touched"
    text = evil.format(path=path)
    for before in ("Summary:", "Source0:", "%description", "%setup", "%changelog"):
        spec = SPEC.replace(before, f"{text}{before}", 1)
        try:
            ours = lay(spec)
        except SrpmError:
            ours = spec  # refused is safe as well
        assert not path.exists()
        assert text in ours


def test_an_overlay_with_commands_in_it_runs_none_of_them(tmp_path):
    path = tmp_path / "touched"
    ours = lay(SPEC, f"Release: 0%(touch {path})\n%prep\n%(touch {path})\n%changelog\n- %(touch {path})\n")
    assert not path.exists()
    assert ours.count(f"%(touch {path})") == 3


def test_the_commands_would_run_if_rpm_were_let(tmp_path):
    """That the test above can fail."""
    path = tmp_path / "touched"
    (tmp_path / "a.spec").write_text(SPEC.replace("Summary:", f"%global evil %(touch {path})\nSummary:"))
    subprocess.run(["rpmspec", "--parse", "a.spec"], cwd=tmp_path, check=True, capture_output=True)
    assert path.exists()
