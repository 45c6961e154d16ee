# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of the compat matrix: every verdict in it in words and sign, every text as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pipeline.model import PatchVerdict, TagVerdict, UnitOutcome
from pipeline.pictures import matrix

SVG = "{http://www.w3.org/2000/svg}"
A, B = "0001-a.patch", "0002-b.patch"
CLEAN = PatchVerdict(patch=A, state="clean")
OFFSET = PatchVerdict(patch=B, state="offset", offset_lines=7)
CONFLICT = PatchVerdict(patch=A, state="conflict", detail="vm.py, line 19", cause="abc123 (Break it)")
UNTRIED = PatchVerdict(patch=B, state="untried")
UPSTREAM = PatchVerdict(patch=A, state="upstream")


def draw(*tags: TagVerdict, package: str = "vdsm", summary: str = "so it is") -> ElementTree.Element:
    return ElementTree.fromstring(matrix.draw(package, summary, tags))


def tag(*verdicts: PatchVerdict, name: str = "v1", unit: UnitOutcome | None = None) -> TagVerdict:
    return TagVerdict(tag=name, patches=verdicts, unit=unit)


def table(picture: ElementTree.Element) -> list[list[str]]:
    """The texts of each row: its tag, then sign and words of each field."""
    rows = [group for group in picture.findall(f"{SVG}g")]
    return [[row.findtext(f"{SVG}text"), *map(field_text, row.findall(f"{SVG}g"))] for row in rows]


def field_text(field: ElementTree.Element) -> str:
    return " ".join(text.text for text in field.findall(f"{SVG}text"))


def titles(picture: ElementTree.Element) -> list[str]:
    return [field.findtext(f"{SVG}title") for field in picture.findall(f"{SVG}g/{SVG}g")]


def columns(picture: ElementTree.Element) -> list[str]:
    return [text.text for text in picture.findall(f"{SVG}text[@class='column']")]


def test_a_row_has_its_tag_and_each_patch_in_sign_and_words() -> None:
    picture = draw(tag(CLEAN, OFFSET), tag(CONFLICT, UNTRIED, name="v2"), tag(UPSTREAM, OFFSET, name="v3"))
    assert columns(picture) == ["0001", "0002"]
    assert table(picture) == [
        ["v1", "✓ clean", "↕ offset 7"],
        ["v2", "✗ conflict", "○ untried"],
        ["v3", "= upstream", "↕ offset 7"],
    ]


def test_a_title_says_all_that_is_known() -> None:
    assert titles(draw(tag(CLEAN, OFFSET), tag(CONFLICT, UNTRIED, name="v2"))) == [
        "v1, 0001-a.patch: clean: fits as it is",
        "v1, 0002-b.patch: fits, 7 lines away",
        "v2, 0001-a.patch: conflict at vm.py, line 19, because of abc123 (Break it)",
        "v2, 0002-b.patch: untried: comes behind a conflict",
    ]


def test_tests_have_a_column_if_they_ran_anywhere() -> None:
    green = UnitOutcome(passed=("A.a", "A.b"), failed=())
    red = UnitOutcome(passed=("A.a",), failed=("A.b",))
    picture = draw(tag(CLEAN, unit=green), tag(CLEAN, unit=red), tag(CONFLICT))
    assert columns(picture) == ["0001", "tests"]
    assert [row[-1] for row in table(picture)] == ["✓ 2 green", "✗ 1 red", "○ not run"]
    assert titles(picture)[1::2] == [
        "v1: 2 tests green, 0 red",
        "v1: 1 tests green, 1 red: A.b",
        "v1: no tests, since the series does not apply",
    ]


def test_the_picture_is_told_by_its_title_and_the_key_has_patches_and_signs() -> None:
    picture = draw(tag(CLEAN, OFFSET), summary="applies to 1 of 1 tags")
    assert picture.get("role") == "img"
    title = picture.find(f"{SVG}title")
    assert title.get("id") == picture.get("aria-labelledby")
    assert title.text == "vdsm: the patch series on upstream's tags: applies to 1 of 1 tags"
    assert [text.text or "" for text in picture.findall(f"{SVG}text[@class='key']")] == [
        A, B, "", "✓ clean: fits as it is", "↕ offset: fits, that many lines away",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["clean", "offset", "upstream", "conflict", "untried"])
def test_every_kind_has_its_colours_on_light_and_on_dark(kind: str) -> None:
    light, dark = matrix.draw("vdsm", "", [tag(CLEAN)]).split("@media (prefers-color-scheme: dark)")
    for part in (light, dark):
        assert f".compat-matrix .{kind} text {{ fill: #" in part
        assert ".compat-matrix .page { fill: #" in part


def test_in_a_page_its_style_reaches_nothing_else_and_it_runs_nothing() -> None:
    text = matrix.draw("vdsm", "so", [tag(CLEAN)])
    style = re.search(r"<style>\n(.*)</style>", text, re.DOTALL)[1]
    selectors = [line.partition("{")[0].strip() for line in style.splitlines() if "{" in line]
    assert all(each.startswith((".compat-matrix", "@media")) for each in selectors)
    assert text.startswith("<svg ")
    assert not re.search(r"<script|\son\w+=|href|url\(|@import|\{[{%#]", text)


def test_texts_stay_texts() -> None:
    evil = "<script>alert('1')</script>&amp; \x1b[31m \ud800\x00"
    verdict = PatchVerdict(patch=A, state="conflict", detail="a", cause=evil)
    text = matrix.draw('a"<b', evil, [tag(verdict, name="<v1>")])
    text.encode("utf-8")
    picture = ElementTree.fromstring(text)
    assert "<script" not in text
    shown = "<script>alert('1')</script>&amp; \\x1b[31m \\xd800\\x00"
    assert titles(picture) == [f"<v1>, 0001-a.patch: conflict at a, because of {shown}"]
    assert picture.get("aria-labelledby") == 'compat-a"<b'
    assert table(picture) == [["<v1>", "✗ conflict"]]


def test_everything_is_inside_the_picture() -> None:
    names = [f"000{number}-{'long-' * 20}.patch" for number in range(1, 9)]
    verdicts = [PatchVerdict(patch=name, state="offset", offset_lines=123456) for name in names]
    picture = draw(*(tag(*verdicts, name=f"v4.16.{number}") for number in range(40)))
    width, height = int(picture.get("width")), int(picture.get("height"))
    assert picture.get("viewBox") == f"0 0 {width} {height}"
    for row in picture.findall(f"{SVG}g"):
        for field in row.findall(f"{SVG}g"):
            box = field.find(f"{SVG}rect")
            left, top = shift(field)[0], shift(row)[1]
            assert left + int(box.get("width")) <= width and top + int(box.get("height")) <= height
    key = picture.findall(f"{SVG}text[@class='key']")
    assert max(int(text.get("y")) for text in key) < height


def test_one_narrow_column_leaves_room_for_a_long_name() -> None:
    name = f"0001-{'long-' * 20}.patch"
    assert int(draw(tag(PatchVerdict(patch=name, state="clean"))).get("width")) > 7 * len(name)


def shift(group: ElementTree.Element) -> tuple[int, int]:
    x, y = re.fullmatch(r"translate\((\d+) (\d+)\)", group.get("transform")).groups()
    return int(x), int(y)


def test_a_series_without_patches_is_a_picture_too() -> None:
    assert table(draw(tag())) == [["v1"]]


def test_the_same_verdicts_give_the_same_picture() -> None:
    assert matrix.draw("vdsm", "so", [tag(CLEAN, OFFSET)]) == matrix.draw("vdsm", "so", [tag(CLEAN, OFFSET)])


def test_a_tag_on_which_no_test_ran_is_not_green() -> None:
    picture = draw(tag(CLEAN, unit=UnitOutcome(passed=(), failed=())))
    assert table(picture) == [["v1", "✓ clean", "✗ none ran"]]
