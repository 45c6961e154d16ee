# SPDX-License-Identifier: GPL-2.0-or-later
"""The book of reservations in the out directory, and the text of one."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from pipeline.allocation import note
from pipeline.allocation.book import Book
from pipeline.inputs import digest
from pipeline.model import Evr, Reservation


def reservation(number: int, **inputs: str) -> Reservation:
    evr = Evr(epoch=1, version="4.16.30", release=f"0.el6.label.{number}")
    return Reservation(number=number, evr=evr, input_sha256=digest(inputs), inputs=tuple(inputs.items()),
                       remote="https://example.org/ü.git", tag="release/vdsm/el6/x")  # fmt: skip


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(dir=tmp_path / "releases")


def test_a_book_that_is_not_there_is_empty_and_reading_makes_none(book):
    assert (book.numbers(), book.reservations(), book.last()) == ([], [], None)
    assert not book.dir.exists()


def test_what_is_kept_is_read_again_in_order_of_the_numbers(book):
    kept = [reservation(number, label="x", image="") for number in (1000, 999, 2)]
    for each in kept:
        book.keep(each)
    assert book.numbers() == [2, 999, 1000]
    assert book.reservations() == kept[::-1]
    assert book.last() == kept[0]


def test_every_number_with_a_folder_counts_and_nothing_else(book):
    book.keep(reservation(904))
    for name in ("905", "0906", "907.old", ".908", "-909", "٩١٠", "²", "label"):
        (book.dir / name).mkdir()
    assert book.numbers() == [904, 905, 906]
    assert [each.number for each in book.reservations()] == [904]


def test_a_reservation_is_whole_or_not_there(book, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("disk full")

    book.keep(reservation(904, a="1"))
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        book.keep(reservation(904, a="2"))
    assert book.reservations() == [reservation(904, a="1")]
    assert [path.name for path in (book.dir / "904").iterdir()] == ["reservation.json"]


@pytest.mark.parametrize("name", ["904", "904/reservation.json"])
def test_a_file_for_a_folder_and_a_folder_for_a_file_are_no_reservation(book, name):
    (book.dir / name).parent.mkdir(parents=True)
    (book.dir / name).mkdir() if "/" in name else (book.dir / name).write_text("")
    assert (book.numbers(), book.reservations()) == ([904], [])


def test_one_at_a_time_and_the_lock_is_no_number(book):
    inside: list[str] = []

    def enter(name: str) -> None:
        with book.lock():
            inside.append(f"{name} in")
            time.sleep(0.05)
            inside.append(f"{name} out")

    threads = [threading.Thread(target=enter, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [word.split()[1] for word in inside] == ["in", "out"] * 3
    assert all(inside[place].split()[0] == inside[place + 1].split()[0] for place in (0, 2, 4))
    assert book.numbers() == []


def test_a_lock_file_that_a_killed_run_left_keeps_nobody_out(book):
    book.dir.mkdir()
    (book.dir / ".lock").write_text("1")
    with book.lock():
        pass


def test_every_part_of_the_text_must_be_there():
    text = note.write(reservation(904, label="x"))
    assert note.read(text) == reservation(904, label="x")
    for cut in range(len(text) - 2):
        assert note.read(text[:cut]) is None


def test_a_text_may_have_more_around_it():
    text = note.write(reservation(904, label="x"))
    signed = f"subject\n\n{text}-----BEGIN PGP SIGNATURE-----\n{{}}\n"
    assert note.read(signed) == reservation(904, label="x")


@pytest.mark.parametrize("text", ["", "hello", "{", "{}", "{" * 100_000, '{"number": 904}', "[1]", '{"a": NaN}'])
def test_any_other_text_is_none(text):
    assert note.read(text) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"number": 904', '"number": 905'),
        ("label.904", "label.905"),
        ('"number": 904', '"number": null'),
        ('"label"', '"mabel"'),
        ('"x"', '"y"'),
        ('"input_sha256": "', '"input_sha256": "0'),
        ('"inputs"', '"puts"'),
    ],
)
def test_a_text_that_was_edited_is_none(before, after):
    text = note.write(reservation(904, label="x"))
    assert before in text
    assert note.read(text.replace(before, after)) is None
