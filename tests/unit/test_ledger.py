# SPDX-License-Identifier: GPL-2.0-or-later
"""A stage's record is taken again only while all that made it, and all that it made, is unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.files import file_record, tree_record
from pipeline.ledger import Ledger, digest_of, encode
from pipeline.model import AppliedPatch, Evr, File, PatchedTree, Srpm, UnitOutcome, UnitReport

INPUTS = {"image": "a" * 64, "release_floor": "904"}


@pytest.fixture
def out_path(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def record(out_path: Path) -> PatchedTree:
    """A record that names files and trees at several depths."""
    for name in ("a.src.rpm", "a.spec", "a.tar", "tree/pristine/f", "tree/patched/f", "tree/steps/1/f", "1.patch"):
        (out_path / name).parent.mkdir(parents=True, exist_ok=True)
        (out_path / name).write_text(f"content of {name}")

    def file(name: str) -> File:
        return file_record(out_path / name, out_path)

    patch = AppliedPatch(
        file=file("1.patch"), subject="s", author="a", state="offset", offset_lines=2, touched=("f", "g")
    )
    srpm = Srpm(file=file("a.src.rpm"), name="a", evr=Evr(version="1", release="2"), spec=file("a.spec"),
                sources=(file("a.tar"),), origin="demo", demo=True)  # fmt: skip
    return PatchedTree(
        srpm=srpm,
        pristine=tree_record(out_path / "tree/pristine", out_path),
        patched=tree_record(out_path / "tree/patched", out_path),
        steps=tree_record(out_path / "tree/steps", out_path),
        patches=(patch,),
    )


@pytest.fixture
def ledger(out_path: Path, record: PatchedTree) -> Ledger:
    """A ledger that holds the record of one stage."""
    book = Ledger(out_path / "demo" / "a", out_path)
    book.keep("patch", record, INPUTS, finished="2015-11-02 10:00:00 UTC", seconds=1.5)
    return book


@pytest.fixture
def entry_path(out_path: Path) -> Path:
    return out_path / "demo" / "a" / "ledger" / "patch.json"


def test_a_record_is_found_for_the_same_inputs(ledger, record):
    found = ledger.find("patch", PatchedTree, dict(INPUTS))
    assert found.record == record
    assert found.reason == "nothing changed since 2015-11-02 10:00:00 UTC"
    assert ledger.last("patch", PatchedTree) == record


def test_a_record_is_found_wherever_the_out_directory_lies(ledger, record, out_path):
    moved = out_path.rename(out_path.with_name("moved"))
    assert Ledger(moved / "demo" / "a", moved).find("patch", PatchedTree, INPUTS).record == record


def test_a_number_of_many_digits_is_kept_as_it_is(ledger, out_path):
    record = Evr(version="1", release="2", epoch=20261121221142123457)
    ledger.keep("render", record, INPUTS, finished="now", seconds=1)
    assert Ledger(out_path / "demo" / "a", out_path).find("render", Evr, INPUTS).record == record


def test_a_path_that_no_file_can_have_is_missing(ledger, out_path):
    record = File(path=Path("a\udce9\0b"), size_bytes=1, sha256="0" * 64)
    ledger.keep("render", record, INPUTS, finished="now", seconds=1)
    assert "is missing or was changed" in ledger.find("render", File, INPUTS).reason


def test_a_stage_that_never_ran_was_not_done_before(ledger):
    assert ledger.find("build", PatchedTree, INPUTS).reason == "not done before"
    assert ledger.last("build", PatchedTree) is None


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({**INPUTS, "release_floor": "905"}, "release_floor changed from 904 to 905"),
        ({**INPUTS, "release_floor": ""}, "release_floor changed from 904 to nothing"),
        ({**INPUTS, "image": "b" * 64}, "image changed"),
        ({**INPUTS, "more": "1"}, "more is new"),
        ({"image": "a" * 64}, "release_floor is gone"),
        ({"image": "b" * 64, "more": "1"}, "image changed, more is new, release_floor is gone"),
    ],
)
def test_a_changed_input_is_the_reason(ledger, inputs, reason):
    found = ledger.find("patch", PatchedTree, inputs)
    assert (found.record, found.reason) == (None, reason)


@pytest.mark.parametrize(
    "name", ["a.src.rpm", "a.spec", "a.tar", "1.patch", "tree/pristine/f", "tree/patched/f", "tree/steps/1/f"]
)
@pytest.mark.parametrize("change", ["missing", "edited", "same size"])
def test_a_missing_or_edited_file_is_the_reason(ledger, out_path, name, change):
    path = out_path / name
    text = path.read_text()
    path.unlink()
    if change != "missing":
        path.write_text(text.swapcase() if change == "same size" else f"{text} edited")
    found = ledger.find("patch", PatchedTree, INPUTS)
    part = "/".join(Path(name).parts[:2])
    assert (found.record, found.reason) == (None, f"{part} is missing or was changed")


def test_a_tree_that_is_gone_is_the_reason(ledger, out_path):
    (out_path / "tree").rename(out_path / "other")
    assert "is missing or was changed" in ledger.find("patch", PatchedTree, INPUTS).reason


def test_a_file_that_became_a_folder_is_the_reason(ledger, out_path):
    (out_path / "a.tar").unlink()
    (out_path / "a.tar").mkdir()
    assert ledger.find("patch", PatchedTree, INPUTS).reason == "a.tar is missing or was changed"


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_an_entry_that_was_cut_is_not_taken(ledger, entry_path, share):
    content = entry_path.read_bytes()
    entry_path.write_bytes(content[: int(len(content) * share)])
    found = ledger.find("patch", PatchedTree, INPUTS)
    assert (found.record, found.reason) == (None, "not done before")
    assert ledger.last("patch", PatchedTree) is None


@pytest.mark.parametrize("content", [b"[]", b"null", b'"patch"', b"{}", b'{"format": 1}', b"\xff\xfe", b"\0" * 64])
def test_an_entry_that_is_something_else_is_not_taken(ledger, entry_path, content):
    entry_path.write_bytes(content)
    assert ledger.find("patch", PatchedTree, INPUTS).record is None


def test_an_edited_record_is_not_taken(ledger, entry_path):
    entry = json.loads(entry_path.read_text())
    entry["record"]["srpm"]["evr"]["release"] = "3"
    entry_path.write_text(json.dumps(entry))
    found = ledger.find("patch", PatchedTree, INPUTS)
    assert (found.record, found.reason) == (None, "the ledger entry was edited or cut short")
    assert ledger.last("patch", PatchedTree) is None


@pytest.mark.parametrize("edit", [{"record": None}, {"record": {"srpm": 1}}, {"record_sha256": "0" * 64}])
def test_a_record_of_another_shape_is_not_taken(ledger, entry_path, edit):
    entry_path.write_text(json.dumps({**json.loads(entry_path.read_text()), **edit}))
    assert ledger.find("patch", PatchedTree, INPUTS).reason == "the ledger entry was edited or cut short"


@pytest.mark.parametrize("inputs", [None, [], "x", 5, {"image": 5}])
def test_an_entry_whose_inputs_are_no_table_is_not_taken(ledger, entry_path, inputs):
    entry_path.write_text(json.dumps({**json.loads(entry_path.read_text()), "inputs": inputs}))
    assert ledger.find("patch", PatchedTree, INPUTS).record is None


def test_an_entry_of_another_format_is_not_taken(ledger, entry_path):
    entry_path.write_text(json.dumps({**json.loads(entry_path.read_text()), "format": 0}))
    assert ledger.find("patch", PatchedTree, INPUTS).reason == "not done before"


def test_a_newer_record_takes_the_place_of_the_older(ledger, record):
    report = UnitReport(
        python="3", pristine=UnitOutcome(passed=(), failed=("A.b",)), patched=UnitOutcome(passed=("A.b",), failed=())
    )
    ledger.keep("patch", report, {}, finished="later", seconds=0)
    assert ledger.find("patch", UnitReport, {}).record == report
    assert ledger.find("patch", PatchedTree, {}).record is None


def test_a_record_s_digest_is_of_its_content(record):
    assert digest_of(record) == digest_of(record)
    assert digest_of(record.srpm.evr) != digest_of(Evr(version="1", release="3"))
    assert encode(record.srpm.evr) == {"epoch": 0, "version": "1", "release": "2"}


def test_a_tuple_of_records_has_a_digest_that_sees_each(record):
    first, second = record.srpm, record.patches[0]
    assert digest_of((first, second)) != digest_of((second, first))
