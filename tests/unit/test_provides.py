# SPDX-License-Identifier: GPL-2.0-or-later
"""What packages say of their patches: names that every rpm takes, and no two the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import provides
from pipeline.model import AppliedPatch, File


def patch(subject: str, file_name: str = "0001-x.patch", sha256: str = "0123456789abcdef" * 4) -> AppliedPatch:
    file = File(path=Path("demo/vdsm/tree/series") / file_name, size_bytes=1, sha256=sha256)
    return AppliedPatch(file=file, subject=subject, author="A <a@b>", state="clean", offset_lines=0, touched=())


def names(*subjects: str) -> list[str]:
    return [capability.name for capability in provides.of_patches("vdsm", map(patch, subjects))]


def test_a_capability_has_the_subject_and_the_short_digest():
    (capability,) = provides.of_patches("vdsm", [patch("vm: act on console disconnect")])
    assert str(capability) == "patch(vdsm-vm-act-on-console-disconnect) = 0123456789ab"


@pytest.mark.parametrize(
    ("subject", "slug"),
    [
        ("vm: No 2nd action, on a VM (100%)!", "vm-no-2nd-action-on-a-vm-100"),
        ("%{lua:os.exit()} `id` $(id) ~^", "lua-os-exit-id-id"),
        ("Größe: ändern", "groe-andern"),
        ("日本語", "0001-x"),
        ("--- ", "0001-x"),
        ("a" * 70, "a" * 60),
        ("word " * 20, "word-" * 11 + "word"),
        ("b" * 59 + " cd", "b" * 59),
        ("b" * 60 + " cd", "b" * 60),
    ],
)
def test_a_slug_is_plain_short_and_cut_between_words(subject, slug):
    assert names(subject) == [f"patch(vdsm-{slug})"]


def test_a_patch_with_no_letter_anywhere_has_a_name_too():
    (capability,) = provides.of_patches("vdsm", [patch("日本語", "語.patch")])
    assert capability.name == "patch(vdsm-unnamed)"


def test_subjects_that_are_the_same_get_numbers_that_nobody_has():
    assert names("a", "A!", "a 2", "a") == [f"patch(vdsm-{slug})" for slug in ("a", "a-2", "a-2-2", "a-3")]


@given(subjects=st.lists(st.text(max_size=90), max_size=6))
def test_whatever_the_subjects_are_rpm_can_read_the_names_and_tell_them_apart(subjects):
    found = names(*subjects)
    assert len(set(found)) == len(subjects)
    for name in found:
        assert re.fullmatch(r"patch\(vdsm-[a-z0-9]+(-[a-z0-9]+)*\)", name)
        assert len(name) <= 80
        assert provides.is_of_patch(name)


@pytest.mark.parametrize("name", ["patch", "dispatch(a)", "patch(a", "vdsm", "config(patch)"])
def test_other_provides_are_none_of_patches(name):
    assert not provides.is_of_patch(name)


@pytest.mark.parametrize(
    ("name", "arch", "may"),
    [("vdsm", "src", True), ("vdsm-debuginfo", "x86_64", True), ("vdsm-cli-debugsource", "x86_64", True),
     ("vdsm", "x86_64", False), ("vdsm-debug-plugin", "noarch", False), ("vdsm-debuginfo-tools", "noarch", False)],
)  # fmt: skip
def test_only_what_has_no_section_in_the_spec_may_say_nothing(name, arch, may):
    assert provides.may_lack(name, arch) is may
