# SPDX-License-Identifier: GPL-2.0-or-later
"""Release numbers on real git remotes: many machines, races, hooks, tags by other hands, and no way there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import command
from pipeline.allocation import note
from pipeline.errors import NetworkError, PipelineError, ReleaseError
from pipeline.model import Reservation
from pipeline.stages import reserve
from tests.reserving import IMAGE, Machine, at_once, git, new_machine, tags_on

PREFIX = "release/vdsm/el6/"
TAG = f"{PREFIX}4.16.30-0.el6.label."


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return new_remote(tmp_path / "releases.git")


def new_remote(path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", path], check=True)
    return path


@pytest.fixture
def machine(tmp_path: Path, remote: Path) -> Callable[..., Machine]:
    """Makes a machine with an out directory of its own, which uses the remote."""

    def make(name: str = "one", **more: object) -> Machine:
        return new_machine(tmp_path / name, **{"remote": remote, **more})  # type: ignore[arg-type]

    return make


def hook(remote: Path, name: str, text: str) -> None:
    path = remote / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def tag_by_hand(remote: Path, *names: str, message: str = "") -> None:
    tree = git(remote, "hash-object", "-w", "-t", "tree", "/dev/null")
    commit = git(remote, "commit-tree", "-m", "somebody's", tree)
    for name in names:
        git(remote, "tag", *(["--annotate", "--message", message] if message else []), name, commit)


def message_of(remote: Path, tag: str) -> str:
    return git(remote, "for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")


def set_message(remote: Path, tag: str, message: str) -> None:
    git(remote, "tag", "--force", "--annotate", "--cleanup=verbatim", "--message", message, tag, f"{tag}^{{}}")


def refusal(kind: type[PipelineError], machine: Machine, exit_code: int) -> PipelineError:
    """The error of a machine that gives out no number; it is told in one line, with a mend."""
    before = reserve.book_of(machine.context).numbers()
    with pytest.raises(kind) as caught:
        machine.reserve()
    assert caught.value.exit_code == exit_code
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert reserve.book_of(machine.context).numbers() == before
    return caught.value


def test_a_reservation_is_an_annotated_tag_on_an_empty_commit_and_its_message_tells_it(machine, remote):
    reservation = machine().reserve()
    assert reservation.tag == f"{TAG}904"
    assert reservation.remote == str(remote)
    assert tags_on(remote) == [f"{TAG}904"]
    assert git(remote, "cat-file", "-t", f"{TAG}904") == "tag"
    assert git(remote, "log", "--format=%an %ad %T", "--date=unix", f"{TAG}904") == (
        "releases 946684800 4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    )
    assert git(remote, "for-each-ref", "--format=%(taggername) %(taggeremail) %(subject)") == (
        "A Packager <packager@example.org> 4.16.30-0.el6.label.904 is reserved"
    )
    assert note.read(message_of(remote, f"{TAG}904")) == reservation
    git(remote, "fsck", "--strict")


def test_another_machine_has_the_same_reservation_for_the_same_input_and_the_next_for_another(machine, remote):
    first, second = machine("one"), machine("two")
    ours = first.reserve()
    assert second.reserve() == ours
    assert json.loads((second.home_dir / "releases/904/reservation.json").read_text())["tag"] == ours.tag
    assert second.with_patch("other").number() == 905
    assert first.with_patch("third").number() == 906
    assert first.with_patch("other").number() == 905
    assert tags_on(remote) == [f"{TAG}{number}" for number in (904, 905, 906)]


def test_a_machine_that_lost_its_out_directory_has_its_reservation_again(machine, remote):
    ours = machine("one").with_patch("x").reserve()
    assert machine("two").with_patch("x").reserve() == ours
    assert len(tags_on(remote)) == 1


def test_every_package_and_target_counts_for_itself(machine, remote):
    tag_by_hand(remote, "release/vdsm/el7/4.16.30-0.el7.label.2000", "release/mom/el6/0.4-0.el6.label.3000",
                "release/vdsm/el6-x/4.16.30-0.el6.label.4000", "v5000", "4.16.30-0.el6.label.6000")  # fmt: skip
    assert machine().number() == 904


@pytest.mark.parametrize("message", ["", "by hand", '{"number": 2000}', "{" * 10_000])
def test_the_number_is_above_the_tags_of_other_hands(machine, remote, message):
    tag_by_hand(remote, f"{TAG}2000", f"{PREFIX}1:4.16.30-0.el6.label.2001".replace(":", "%"),
                f"{PREFIX}4.16.29-0.el6.mabel.1999", message=message)  # fmt: skip
    one = machine()
    assert one.number() == 2002
    assert one.said.getvalue() == ""


def test_the_number_is_above_local_folders_and_the_floor_as_well(machine, remote):
    one = machine()
    tag_by_hand(remote, f"{TAG}1000")
    (one.home_dir / "releases" / "1500").mkdir(parents=True)
    assert one.number() == 1501
    assert one.with_patch("x").set(release_floor=3000).number() == 3000
    assert machine("two").with_patch("y").number() == 3001


@pytest.mark.parametrize("name", ["latest", "4.16.30-0.el6.label.x", "4.16.30", "sub/folder", "4.16.30-1.el6.20150101"])
def test_a_tag_that_is_no_number_is_told_once_and_does_not_count(machine, remote, name):
    tag_by_hand(remote, PREFIX + name)
    one = machine()
    assert one.number() == 904
    assert one.said.getvalue() == (
        f"warning: the tag {PREFIX}{name} on {remote} ends in no number of ours: not counted\n"
    )


def test_tags_on_blobs_and_trees_do_not_matter(machine, remote):
    tree = git(remote, "hash-object", "-w", "-t", "tree", "/dev/null")
    blob = git(remote, "hash-object", "-w", "-t", "blob", "/dev/null")
    git(remote, "tag", f"{TAG}950", tree)
    git(remote, "tag", f"{TAG}951", blob)
    assert machine().number() == 952


def test_a_tag_on_a_long_history_brings_none_of_it(machine, remote, tmp_path, monkeypatch):
    work = tmp_path / "work"
    subprocess.run(["git", "init", "--quiet", work], check=True)
    for number in range(5):
        git(work, "commit", "--quiet", "--allow-empty", "--message", f"number {number}")
    git(work, "tag", f"{TAG}920")
    git(work, "push", "--quiet", str(remote), f"{TAG}920")
    seen: list[str] = []

    def look(tags: object, folder: Path) -> object:
        seen.append(git(folder, "rev-list", "--all", "--count"))
        return real(tags, folder)

    real = reserve.Tags._taken
    monkeypatch.setattr(reserve.Tags, "_taken", look)
    assert machine().number() == 921
    assert seen == ["1"]


def test_an_epoch_stands_in_the_tag_without_its_colon(machine, remote):
    reservation = machine(epoch=2).reserve()
    assert str(reservation.evr) == "2:4.16.30-0.el6.label.904"
    assert tags_on(remote) == [f"{PREFIX}2%4.16.30-0.el6.label.904"]
    assert machine("two", epoch=2).reserve() == reservation
    assert machine("three", epoch=2).with_patch("x").number() == 905


def test_a_tag_that_is_there_is_nobody_else_s(machine, remote):
    one, two = machine("one"), machine("two").with_patch("x")
    tags = reserve.tags_of(one.tree.srpm, one.context)
    ours = one.reserve()
    theirs = replace(ours, input_sha256="0" * 64)
    before = message_of(remote, ours.tag)
    assert tags.take(theirs) is None
    assert message_of(remote, ours.tag) == before
    assert two.number() == 905


def test_who_meets_another_between_reading_and_pushing_takes_the_next(machine, remote, monkeypatch):
    """The other takes the number that was free a moment ago, three times."""
    one, others = machine("one"), [machine(f"other{number}").with_patch(str(number)) for number in range(3)]
    real = reserve.Tags.read

    def read(tags: reserve.Tags) -> object:
        there = real(tags)
        if others:
            other = others.pop()
            monkeypatch.setattr(reserve.Tags, "read", real)
            other.number()
            monkeypatch.setattr(reserve.Tags, "read", read)
        return there

    monkeypatch.setattr(reserve.Tags, "read", read)
    assert one.number() == 907
    assert tags_on(remote) == [f"{TAG}{number}" for number in (904, 905, 906, 907)]


def test_who_meets_its_own_input_between_reading_and_pushing_takes_that_reservation(machine, remote, monkeypatch):
    one, other = machine("one"), machine("two")
    real, theirs = reserve.Tags.read, []

    def read(tags: reserve.Tags) -> object:
        there = real(tags)
        monkeypatch.setattr(reserve.Tags, "read", real)
        # Another second makes another tag.
        clock = SimpleNamespace(time=lambda: 1_000_000_000, sleep=time.sleep)
        monkeypatch.setattr("pipeline.allocation.tags.time", clock)
        theirs.append(other.reserve())
        monkeypatch.undo()
        return there

    monkeypatch.setattr(reserve.Tags, "read", read)
    assert one.reserve() == theirs[0]
    assert len(tags_on(remote)) == 1


def lossy_git(folder: Path, what: str) -> dict[str, str]:
    """A PATH with a git whose first push does its work and then `what`."""
    folder.mkdir()
    real = shutil.which("git")
    (folder / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *push*) if mkdir {folder}/once 2>/dev/null; then {what}; fi;; esac\n'
        f'exec {real} "$@"\n'.replace("REAL", f'{real} "$@"')
    )
    (folder / "git").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    "what", ["REAL >/dev/null 2>&1; echo 'fatal: the remote end hung up' >&2; exit 128", "kill -9 $$",
             "echo 'fatal: the remote end hung up' >&2; exit 128"],
    ids=["answer lost", "killed", "never there"],
)  # fmt: skip
def test_an_answer_that_is_lost_loses_no_number(machine, remote, tmp_path, what):
    with command.local.env(**lossy_git(tmp_path / "bin", what)):
        assert machine().number() == 904
    assert (tmp_path / "bin" / "once").exists()
    assert tags_on(remote) == [f"{TAG}904"]
    assert machine("two").number() == 904


def test_a_kill_between_the_push_and_the_book_loses_no_number(machine, remote, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    one = machine()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(reserve.Book, "keep", killed)
        one.reserve()
    assert reserve.book_of(one.context).numbers() == []
    assert tags_on(remote) == [f"{TAG}904"]
    assert one.number() == 904
    assert len(tags_on(remote)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pre-receive", "echo tags are for admins alone >&2; exit 1"),
        ("update", 'case "$1" in refs/tags/*) echo tags are for admins alone >&2; exit 1;; esac'),
        ("pre-receive", "echo; echo 'tags are for admins alone'; echo 'ask them'; exit 1"),
    ],
)
def test_a_server_that_refuses_tags_is_told_in_its_own_words(machine, remote, name, text):
    hook(remote, name, text)
    error = refusal(ReleaseError, machine(), 15)
    assert error.reference == "releases-refused"
    assert error.message == f"{remote} takes no tag below {PREFIX}: remote: tags are for admins alone"
    assert tags_on(remote) == []


def test_a_server_that_refuses_without_a_word_is_told_in_git_s(machine, remote):
    hook(remote, "pre-receive", "exit 1")
    message = refusal(ReleaseError, machine(), 15).message
    assert message.endswith("[remote rejected] (pre-receive hook declined)")


def test_a_server_that_refuses_is_asked_once(machine, remote, tmp_path):
    hook(remote, "pre-receive", f"echo x >> {tmp_path}/asked; exit 1")
    refusal(ReleaseError, machine(), 15)
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_lock_that_somebody_left_on_the_server_is_told_and_not_waited_for_for_ever(machine, remote, monkeypatch):
    monkeypatch.setattr("pipeline.allocation.tags.time", SimpleNamespace(time=time.time, sleep=lambda _: None))
    lock = remote / "refs/tags" / f"{TAG}904.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    one = machine()
    error = refusal(ReleaseError, one, 15)
    assert "takes no tag below" in error.message
    lock.unlink()
    assert one.number() == 904


def test_a_lock_that_goes_is_waited_for(machine, remote, monkeypatch):
    lock = remote / "refs/tags" / f"{TAG}904.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    clock = SimpleNamespace(time=time.time, sleep=lambda _: lock.unlink())
    monkeypatch.setattr("pipeline.allocation.tags.time", clock)
    assert machine().number() == 904
    assert not lock.exists()


def test_a_server_that_takes_nothing_gives_no_number(machine, remote):
    git(remote, "config", "receive.maxInputSize", "1")
    assert "takes no tag below" in refusal(ReleaseError, machine(), 15).message


@pytest.mark.parametrize(
    "address",
    [
        "{}/gone.git",
        "file://{}/gone.git",
        "https://127.0.0.1:1/r.git",
        "ssh://127.0.0.1:1/r.git",
        "git://127.0.0.1:1/r",
    ],
)
def test_a_remote_that_cannot_be_reached_gives_no_number(tmp_path, address):
    one = new_machine(tmp_path / "one", address.format(tmp_path))
    error = refusal(NetworkError, one, 30)
    assert error.message.startswith(f"release numbers cannot be had from {address.format(tmp_path)}: ")
    with pytest.raises(NetworkError):
        one.foreseen()
    assert not (one.home_dir / "releases" / "904").exists()


def test_a_remote_that_goes_between_reading_and_pushing_gives_no_number(machine, remote, monkeypatch):
    real = reserve.Tags.read

    def read(tags: reserve.Tags) -> object:
        there = real(tags)
        remote.rename(remote.with_name("away"))
        return there

    monkeypatch.setattr(reserve.Tags, "read", read)
    assert refusal(NetworkError, machine(), 30).reference == "releases-unreachable"


def test_a_folder_that_is_no_repository_gives_no_number(tmp_path):
    (tmp_path / "plain").mkdir()
    assert (
        "does not appear to be a git repository"
        in refusal(NetworkError, new_machine(tmp_path / "one", tmp_path / "plain"), 30).message
    )


def test_a_remote_helper_that_runs_commands_is_no_remote(tmp_path):
    refusal(NetworkError, new_machine(tmp_path / "one", f"ext::sh -c touch% {tmp_path}/evil"), 30)
    assert not (tmp_path / "evil").exists()


def test_a_password_is_not_told(tmp_path):
    one = new_machine(tmp_path / "one", "https://me:word@127.0.0.1:1/r.git")
    error = refusal(NetworkError, one, 30)
    assert "word" not in error.message + error.hint
    assert "https://***@127.0.0.1:1/r.git" in error.message


@pytest.mark.parametrize("address", ["https://127.0.0.1:1/r.git", "git@example.org:r.git", "ssh://example.org/r.git"])
def test_offline_a_remote_on_the_network_is_not_asked(tmp_path, address):
    error = refusal(NetworkError, new_machine(tmp_path / "one", address, offline=True), 30)
    assert error.reference == "offline"
    assert address in error.message


def test_offline_a_remote_on_this_machine_will_do(tmp_path, remote):
    assert new_machine(tmp_path / "one", remote, offline=True).number() == 904
    assert new_machine(tmp_path / "two", f"file://{remote}", offline=True).with_patch("x").number() == 905


def test_a_path_below_the_checkout_is_found_from_anywhere(tmp_path, remote, monkeypatch):
    monkeypatch.chdir("/")
    assert new_machine(tmp_path / "one", "../releases.git").number() == 904
    assert tags_on(remote) == [f"{TAG}904"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-30],
        lambda text: text.replace('"number": 904', '"number": 903'),
        lambda text: text.replace("4.16.30", "9.9.9"),
        lambda text: text.replace("first", "x").replace('"label"', '"mabel"'),
        lambda text: "nothing",
    ],
)
def test_a_message_that_was_cut_or_edited_is_no_reservation_and_its_number_is_gone(machine, remote, spoil):
    text = message_of(remote, machine("one").reserve().tag)
    assert spoil(text) != text
    set_message(remote, f"{TAG}904", spoil(text))
    assert machine("two").number() == 905
    assert machine("three").number() == 905


def test_a_reservation_under_another_tag_is_none(machine, remote):
    text = message_of(remote, machine("one").reserve().tag)
    tag_by_hand(remote, f"{TAG}950", message=text)
    git(remote, "tag", "--delete", f"{TAG}904")
    assert machine("two").number() == 951


def test_a_signature_does_not_hide_the_reservation(machine, remote):
    text = message_of(remote, machine("one").reserve().tag)
    signature = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
    set_message(remote, f"{TAG}904", f"{text}\n{signature}")
    assert machine("two").number() == 904


def test_nobody_s_own_git_settings_matter(machine, remote, tmp_path, monkeypatch):
    (tmp_path / "hooks").mkdir()
    hook(tmp_path, "pre-push", "exit 1")
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    hook(tmp_path / "template", "pre-push", "exit 1")
    (tmp_path / ".gitconfig").write_text(
        f"[tag]\ngpgSign = true\n[init]\ntemplateDir = {tmp_path}/template\n[user]\nuseConfigOnly = true\n"
        "[core]\ncommentChar = {\n[fetch]\nprune = true\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    with command.local.env(HOME=str(tmp_path)):
        assert machine().number() == 904


def test_a_git_directory_in_the_environment_does_not_matter(machine, remote, tmp_path, monkeypatch):
    """As a hook or an alias has it."""
    other = new_remote(tmp_path / "other.git")
    tag_by_hand(other, f"{TAG}5000")
    before = sorted(other.rglob("*"))
    ours = machine("one")
    monkeypatch.setenv("GIT_DIR", str(other))
    with command.local.env(GIT_DIR=str(other)):
        assert ours.number() == 904
    monkeypatch.undo()
    assert tags_on(remote) == [f"{TAG}904"]
    assert sorted(other.rglob("*")) == before


def test_what_was_reserved_before_there_was_a_remote_goes_there(tmp_path, machine, remote):
    alone = new_machine(tmp_path / "alone")
    assert alone.reserve().tag == ""
    releases = alone.context.settings.releases.model_copy(update={"remote": str(remote)})
    joined = alone.set(releases=releases)
    assert joined.inputs() != alone.inputs()
    assert joined.reserve().tag == f"{TAG}904"
    assert machine("other").number() == 904


def test_what_was_reserved_before_there_was_a_remote_gives_way_to_what_others_have_there(tmp_path, machine, remote):
    alone = new_machine(tmp_path / "alone")
    assert alone.number() == 904
    assert machine("other").with_patch("theirs").number() == 904
    releases = alone.context.settings.releases.model_copy(update={"remote": str(remote)})
    assert alone.set(releases=releases).number() == 905
    assert tags_on(remote) == [f"{TAG}904", f"{TAG}905"]


def test_a_book_that_claims_a_tag_is_not_believed(machine, remote):
    """The out directory was copied, or the tag was deleted and its number given out again."""
    one = machine("one")
    assert one.number() == 904
    git(remote, "tag", "--delete", f"{TAG}904")
    assert one.number() == 904
    assert tags_on(remote) == [f"{TAG}904"]
    git(remote, "tag", "--delete", f"{TAG}904")
    assert machine("two").with_patch("x").number() == 904
    assert one.with_patch("first").number() == 905


def test_numbers_that_others_gave_out_in_vain_are_told(machine):
    machine("one").number()
    machine("two").with_patch("x").number()
    foreseen = machine("three").with_patch("y").foreseen()
    assert [str(evr) for evr in foreseen.unpublished] == ["4.16.30-0.el6.label.904", "4.16.30-0.el6.label.905"]
    assert str(foreseen.next) == "4.16.30-0.el6.label.906"


def test_twenty_inputs_at_once_get_twenty_numbers_without_a_gap(machine, remote):
    got = at_once([machine(str(number)).with_patch(f"patch {number}") for number in range(20)])
    assert sorted(got, key=str) == list(range(904, 924))
    assert tags_on(remote) == [f"{TAG}{number}" for number in range(904, 924)]


def test_one_input_twenty_times_at_once_gets_one_number(machine, remote):
    assert at_once([machine(str(number)) for number in range(20)]) == [904] * 20
    assert tags_on(remote) == [f"{TAG}904"]


def test_twenty_inputs_at_once_in_one_out_directory_without_a_remote_get_twenty_numbers(tmp_path):
    one = new_machine(tmp_path / "one")
    many = []
    for number in range(20):
        file = replace(one.tree.patches[0].file, sha256=f"{number:064x}")
        patch = replace(one.tree.patches[0], file=file)
        many.append(replace(one, tree=replace(one.tree, patches=(patch,))))
    assert sorted(at_once(many), key=str) == list(range(904, 924))


def test_a_reservation_is_read_from_any_machine_as_it_was_made(machine):
    ours: Reservation = machine("one").reserve()
    assert reserve.run(machine("two").tree, IMAGE, context=machine("three").context) == ours
