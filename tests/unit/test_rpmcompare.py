# SPDX-License-Identifier: GPL-2.0-or-later
"""What two packages differ in, told from what their headers say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.rpmcompare import Package, differences, without_source_time

FILE = {"content": "aa", "size": 3, "mode": 0o100644, "owner": "root", "group": "root", "link": "", "kind": 0}
FIRST = Package(tags={"NAME": "a", "BUILDTIME": 1, "REQUIRES": ["x", "y"]}, files={"/a": FILE, "/m.pyc": FILE})


def with_file(name: str, **changes: object) -> Package:
    return replace(FIRST, files={**FIRST.files, name: {**FILE, **changes}})


def with_tag(**tags: object) -> Package:
    return replace(FIRST, tags={**FIRST.tags, **tags})


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (FIRST, []),
        (with_file("/a", content="bb"), ["/a: content"]),
        (with_file("/a", content="bb", size=4), ["/a: content"]),
        (with_file("/a", size=4), ["/a: size 3 and 4"]),
        (with_file("/a", mode=0o100755), ["/a: mode 0644 and 0755"]),
        (with_file("/a", owner="vdsm"), ["/a: owner root and vdsm"]),
        (with_file("/a", link="b"), ["/a: link  and b"]),
        (with_file("/b"), ["/b: in the second package only"]),
        (replace(FIRST, files={"/a": FILE}), ["/m.pyc: in the first package only"]),
        (with_tag(REQUIRES=["x", "z"]), ["header REQUIRES: value 1: y and z"]),
        (with_tag(REQUIRES=["x"]), ["header REQUIRES: ['x', 'y'] and ['x']"]),
        (with_tag(POSTIN="true"), ["header POSTIN: none and true"]),
        (with_tag(NAME="b" * 100), [f"header NAME: a and '{'b' * 60}'…"]),
    ],
)
def test_what_a_host_would_see_is_told(second, told):
    found = list(differences(FIRST, second))
    assert [str(each) for each in found] == told
    assert not any(each.of_making for each in found)


@pytest.mark.parametrize("tag", ["BUILDTIME", "BUILDHOST", "COOKIE", "SIGMD5", "FILEMTIMES", "PAYLOADDIGEST"])
def test_what_tells_of_the_making_is_told_as_such(tag):
    (found,) = differences(FIRST, with_tag(**{tag: 2}))
    assert found.of_making
    assert found.where == f"header {tag}"


@pytest.mark.parametrize(("same", "of_making"), [(True, True), (False, False)])
def test_a_compiled_module_counts_without_the_time_of_its_source(same, of_making):
    (found,) = differences(FIRST, with_file("/m.pyc", content="bb"), same_module=lambda name: same)
    assert found.of_making == of_making


def test_only_a_compiled_module_of_the_same_size_can_be_one():
    def never(name: str) -> bool:
        pytest.fail(f"{name} was looked into")

    assert list(differences(FIRST, with_file("/a", content="bb"), same_module=never))
    assert list(differences(FIRST, with_file("/m.pyc", content="bb", size=9), same_module=never))


def test_the_time_in_a_module_is_behind_the_magic_or_behind_the_flags():
    assert without_source_time(b"\x03\xf3\r\nTIMEcode") == b"\x03\xf3\r\ncode"
    assert without_source_time(b"\xa7\r\r\n\0\0\0\0TIMESIZEcode") == b"\xa7\r\r\n\0\0\0\0SIZEcode"
