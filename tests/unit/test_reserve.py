# SPDX-License-Identifier: GPL-2.0-or-later
"""The reserve stage in one out directory: which number, when it stays, and what gives a new one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import PublishError, ReleaseError, SettingsError
from pipeline.inputs import digest
from pipeline.ledger import Ledger
from pipeline.model import BuildResult, Evr, File, LogEntry, MirrorState, PublishedRpm, Rpm, SignedSet
from pipeline.stages import reserve
from tests.reserving import IMAGE, SPEC, Machine, git, new_machine


def rpm(release: str, *, arch: str = "x86_64", source: str = "vdsm", content: str = "", version: str = "4.16.30",
        name: str = "vdsm", epoch: int = 0) -> PublishedRpm:  # fmt: skip
    return PublishedRpm(name=name, evr=Evr(epoch=epoch, version=version, release=release), arch=arch, source=source,
                        href=f"{arch}/{name}-{version}-{release}.{arch}.rpm", size_bytes=1,
                        sha256=hashlib.sha256(content.encode()).hexdigest())  # fmt: skip


@pytest.fixture
def published(monkeypatch) -> list[PublishedRpm]:
    """What the mirror holds; tests add to it."""
    rpms: list[PublishedRpm] = []
    monkeypatch.setattr(
        "pipeline.mirrors.mirror.read_state",
        lambda *_, **__: MirrorState(destination="mirror", packages=tuple(rpms)),
    )
    return rpms


@pytest.fixture
def machine(tmp_path, published) -> Machine:
    return new_machine(tmp_path / "machine")


@pytest.fixture
def refusal(machine) -> Callable[..., ReleaseError]:
    """The error of a machine that gives out no number."""

    def run(asked: Machine = machine) -> ReleaseError:
        before = asked_numbers(asked)
        with pytest.raises(ReleaseError) as caught:
            asked.reserve()
        assert caught.value.exit_code == 15
        assert asked_numbers(asked) == before
        return caught.value

    return run


def asked_numbers(machine: Machine) -> list[int]:
    return reserve.book_of(machine.context).numbers()


def note_path(machine: Machine, number: int) -> Path:
    return machine.home_dir / "releases" / str(number) / "reservation.json"


@pytest.mark.parametrize(
    ("on_mirror", "number"),
    [
        ([], 904),
        (["0.el6.label.12"], 904),
        (["0.el6.label.904"], 905),
        (["0.el6.label.1999", "0.el6.label.999", "0.el6"], 2000),
        (["0.el6.abel.5000"], 5001),
        (["0.demo.label.6000", "0.el6.label.904"], 6001),
        (["0.el6.abel.5000.1", "0.el5.5000.el6", "0.el6"], 904),
    ],
)
def test_the_number_is_above_all_of_ours_on_the_mirror_whatever_their_label_and_at_least_the_floor(
    machine, published, on_mirror, number
):
    published += map(rpm, on_mirror)
    reservation = machine.reserve()
    assert (reservation.number, str(reservation.evr)) == (number, f"4.16.30-0.el6.label.{number}")
    assert (reservation.remote, reservation.tag) == ("", "")


def test_another_package_on_the_mirror_counts_for_itself(machine, published):
    published += [rpm("0.el6.label.5000", source="mom", name="mom"), rpm("0.el6.label.907", name="vdsm-cli")]
    assert machine.number() == 908
    published[0] = rpm("0.el6.label.6000", source="mom", name="mom")
    assert machine.number() == 908


def test_the_number_is_above_all_that_were_given_out_here(machine, published):
    assert machine.number() == 904
    for name in ("1500", ".1600", "1700.old", "²"):
        (machine.home_dir / "releases" / name).mkdir()
    published.append(rpm("0.el6.label.1200"))
    assert machine.number() == 1501


def test_the_number_is_above_those_of_the_packages_that_lie_here(machine):
    (machine.home_dir / "SRPMS").mkdir()
    for name in ("vdsm-4.16.30-0.el6.label.1400.src.rpm", "vdsm-4.16.30-0.el6.src.rpm", "vdsm.src.rpm"):
        (machine.home_dir / "SRPMS" / name).write_text("")
    assert machine.number() == 1401


def test_the_same_input_keeps_its_reservation_and_another_gets_the_next(machine):
    first = machine.reserve()
    assert first == machine.reserve()
    assert first.input_sha256 == digest(dict(first.inputs))
    assert machine.said.getvalue() == ""
    other = machine.with_patch("other")
    assert [other.number(), other.number()] == [905, 905]
    assert machine.said.getvalue() == "rebuilding: patches/vdsm/1.patch changed\n"


def other_order(machine: Machine) -> Machine:
    (patch,) = machine.tree.patches
    second = replace(patch, file=replace(patch.file, path=Path("2.patch")))
    machine.tree = replace(machine.tree, patches=(patch, second))
    machine.number()
    return replace(machine, tree=replace(machine.tree, patches=(second, patch)))


def other_source(machine: Machine) -> Machine:
    srpm = replace(machine.tree.srpm, file=replace(machine.tree.srpm.file, sha256="1" * 64))
    return replace(machine, tree=replace(machine.tree, srpm=srpm))


def other_template(machine: Machine) -> Machine:
    machine.context.specs_dir.mkdir(parents=True)
    (machine.context.specs_dir / "vdsm.spec.j2").write_text("{{ number }}")
    return machine


def other_macro(machine: Machine) -> Machine:
    target = machine.context.target.model_copy(update={"macros": {"rhel": "6"}})
    return replace(machine, context=replace(machine.context, target=target))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda machine: machine.with_patch("x"), "patches/vdsm/1.patch changed"),
        (other_order, "order of the series changed from 1.patch,2.patch to 2.patch,1.patch"),
        (other_source, "source RPM changed"),
        (other_template, "specs/vdsm/vdsm.spec.j2 changed"),
        (other_macro, "macros changed"),
        (lambda machine: machine.set(label="mabel"), "label changed from label to mabel"),
        (lambda machine: machine.set(packager="B <b@example.org>"), "packager changed from A Packager <packager@"),
    ],
)
def test_all_that_changes_the_packages_gives_a_new_number_and_is_told(machine, change, told):
    machine.number()
    changed = change(machine)
    before = asked_numbers(machine)[-1]
    assert changed.number() == before + 1
    assert told in machine.said.getvalue()


def test_another_image_gives_a_new_number(machine):
    number = machine.number()
    newer = reserve.run(machine.tree, replace(IMAGE, digest="2"), context=machine.context)
    assert newer.number == number + 1
    assert "image changed from here (1) to here (2)" in machine.said.getvalue()


def test_a_reservation_whose_file_was_cut_short_is_written_again_and_its_input_keeps_the_number(machine):
    first = machine.reserve()
    Ledger(machine.home_dir, machine.context.out_path).keep("reserve", first, {}, finished="now", seconds=1)
    (machine.home_dir / "releases/904/reservation.json").write_text("{")
    assert machine.with_patch("other").number() == 905
    assert machine.with_patch("first").reserve() == first


def test_a_former_input_has_its_former_number_until_a_higher_one_is_published(machine, published):
    first = machine
    assert first.number() == 904
    second = machine.with_patch("second")
    assert [second.number(), first.number(), second.number()] == [905, 904, 905]
    published.append(rpm("0.el6.label.905"))
    assert second.number() == 905
    assert first.number() == 906
    assert second.number() == 905  # hosts have 905, and its input has not changed


def note_build(machine: Machine, *rpms: PublishedRpm) -> None:
    """Put it into the ledger that these were built and signed here."""
    made = [Rpm(file=File(path=Path(each.href), size_bytes=1, sha256=each.sha256), name=each.name, evr=each.evr,
                arch=each.arch, source=each.source) for each in rpms]  # fmt: skip
    build = BuildResult(srpm=made[0], rpms=tuple(made[1:]), spec=made[0].file)
    signed = SignedSet(ours=build.all_rpms, vendor=(), vendor_origin="", keys=())
    for stage, record in (("build", build), ("sign", signed)):
        Ledger(machine.home_dir, machine.context.out_path).keep(stage, record, {}, finished="", seconds=0)


@pytest.mark.parametrize("arch", ["src", "x86_64", "noarch"])
def test_a_number_that_is_published_with_other_contents_than_we_built_is_given_up(machine, published, arch):
    def built(other: str) -> list[PublishedRpm]:
        return [rpm("0.el6.label.904", arch=each, content="other" if each == other else "")
                for each in ("src", "x86_64", "noarch")]  # fmt: skip

    assert machine.number() == 904
    published += built("")
    before = machine.inputs()
    note_build(machine, *built(""))
    assert machine.inputs() == before
    assert machine.number() == 904
    note_build(machine, *built(arch))
    assert machine.inputs()["what stands in the way"] == "904 is published with other contents"
    assert [machine.number(), machine.number()] == [905, 905]
    assert machine.inputs()["what stands in the way"] == "nothing"


def test_a_package_here_that_was_edited_gives_no_new_number(machine, published):
    """It is built again: what we recorded is what was published."""
    there = rpm("0.el6.label.904", content="ours")
    machine.number()
    published.append(there)
    note_build(machine, there)
    here = machine.home_dir / "RPMS/x86_64" / Path(there.href).name
    here.parent.mkdir(parents=True)
    here.write_text("edited")
    assert machine.number() == 904


def test_what_an_older_number_is_published_with_does_not_matter(machine, published):
    machine.number()
    note_build(machine, rpm("0.el6.label.904", content="ours"))
    published.append(rpm("0.el6.label.904", content="theirs"))
    second = machine.with_patch("second")
    assert [second.number(), second.number()] == [905, 905]


def test_a_number_that_was_rolled_back_is_given_to_nobody_else(machine, monkeypatch):
    """Its packages are on hosts perhaps, and lie on the mirror still."""
    taken = LogEntry(revision=2, time="", action="publish", repomd_sha256="", releases=(
        ("vdsm", "4.16.30-0.el6.label.907"), ("other", "4.16.30-0.el6.label.999")))  # fmt: skip
    back = LogEntry(revision=3, time="", action="rollback", repomd_sha256="", detail="to 1")
    monkeypatch.setattr(
        "pipeline.mirrors.mirror.read_state",
        lambda *_, **__: MirrorState(destination="mirror", log=(taken, back)),
    )
    assert machine.number() == 908


def test_a_floor_that_rises_above_a_number_gives_a_new_one(machine):
    assert machine.number() == 904
    raised = machine.set(release_floor=2000)
    assert raised.inputs()["what stands in the way"] == "release_floor is 2000"
    assert [raised.number(), raised.number()] == [2000, 2000]
    assert raised.inputs()["what stands in the way"] == "nothing"


def test_the_inputs_see_what_stands_in_the_way_until_it_is_beaten(machine, published):
    def way() -> str:
        return machine.inputs()["what stands in the way"]

    assert way() == "nothing"
    assert machine.number() == 904
    before = machine.inputs()
    published += [rpm("0.el6.label.904"), rpm("0.el6.label.12"), rpm("0.el6")]
    assert machine.inputs() == before  # our own publish is no reason to run again
    published += [rpm("0.el6.label.1200"), rpm("0.el6.label.1100")]
    assert way() == "1200 is published"
    assert machine.number() == 1201
    assert way() == "nothing"


def test_what_is_in_the_way_of_this_input_s_own_release_is_seen_behind_a_later_reservation(machine, published):
    """Another machine may publish what was reserved here for another input."""
    assert machine.number() == 904
    machine.with_patch("second").number()
    before = machine.inputs()
    published.append(rpm("0.el6.label.905"))
    assert machine.inputs()["what stands in the way"] == "905 is published"
    assert machine.inputs() != before


def test_the_release_that_is_foreseen_is_the_one_that_is_made_and_nothing_is_given_out(machine, published):
    published.append(rpm("0.el6.label.1200"))
    first = [machine.foreseen() for _ in range(2)]
    assert not (machine.home_dir / "releases").exists()
    assert [each.next for each in first] == [Evr(version="4.16.30", release="0.el6.label.1201")] * 2
    assert first[0].unpublished == ()
    assert machine.reserve().evr == first[0].next


def test_numbers_that_were_given_out_in_vain_are_told(machine, published):
    machine.number()
    machine.with_patch("second").number()
    machine.with_patch("third").number()
    published.append(rpm("0.el6.label.905"))
    assert [str(evr) for evr in machine.foreseen().unpublished] == [
        "4.16.30-0.el6.label.904",
        "4.16.30-0.el6.label.906",
    ]


def test_a_release_keeps_the_epoch(tmp_path, published):
    machine = new_machine(tmp_path / "epoch", epoch=2)
    assert str(machine.foreseen().next) == "2:4.16.30-0.el6.label.904" == str(machine.reserve().evr)


def test_a_changed_label_that_sorts_lower_is_refused_and_takes_no_number(machine, published, refusal):
    published.append(rpm("0.el6.mabel.904"))
    error = refusal()
    assert error.reference == "not-newer"
    assert error.message == (
        "vdsm: 4.16.30-0.el6.label.905 does not beat 4.16.30-0.el6.mabel.904, which the mirror has: hosts would keep"
        " that (rpm's order is 4.16.30-0.el6.label.905 < 4.16.30-0.el6.mabel.904)"
    )


@pytest.mark.parametrize("theirs", [rpm("1.el6"), rpm("0.el6", version="4.16.31"), rpm("0.el5", epoch=1)], ids=str)
def test_a_vendor_release_that_beats_ours_raises_an_alarm_that_names_it(published, refusal, theirs):
    published += [rpm("0.el6"), theirs, rpm("0.el6.label.904")]
    error = refusal()
    assert error.reference == "vendor-newer"
    assert f"the vendor's vdsm-{theirs.evr} is published and beats our 4.16.30-0.el6.label.905" in error.message


def test_the_alarm_comes_for_a_release_that_is_reserved_already(machine, published, refusal):
    published.append(rpm(f"0.el6.label.{machine.number()}"))
    assert machine.number() == 904
    published.append(rpm("1.el6"))
    assert refusal().reference == "vendor-newer"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "null",
        lambda text: "[" * 5000,
        lambda text: text.replace('"number": 904', '"number": 903'),
        lambda text: text.replace('"number": 904', '"number": 903').replace("label.904", "label.903"),
        lambda text: text.replace("label.904", "label.903"),
        lambda text: text.replace("4.16.30", "9.9.9"),
        lambda text: text.replace('"A Packager', '"B Packager'),
    ],
)
def test_a_reservation_that_was_cut_short_or_edited_is_not_taken_and_its_number_not_given_out_again(machine, spoil):
    machine.number()
    text = note_path(machine, 904).read_text()
    assert spoil(text) != text
    note_path(machine, 904).write_text(spoil(text))
    assert machine.number() == 905
    note_path(machine, 905).write_bytes(b"\xff\xfe")
    assert machine.with_patch("other").number() == 906


def test_a_reservation_under_another_number_is_not_taken(machine):
    machine.number()
    (machine.home_dir / "releases" / "904").rename(machine.home_dir / "releases" / "910")
    assert machine.number() == 911


def test_an_out_directory_that_was_copied_gives_the_other_machine_s_number_until_the_mirror_has_it(
    machine, tmp_path, published
):
    """Without a remote two copies know nothing of each other; what is published decides."""
    machine.number()
    copy = new_machine(tmp_path / "copy")
    for path in (machine.home_dir / "releases").rglob("*.json"):
        target = copy.home_dir / path.relative_to(machine.home_dir)
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())
    assert copy.number() == 904
    here, there = machine.with_patch("here"), copy.with_patch("there")
    assert (here.number(), there.number()) == (905, 905)
    published.append(rpm("0.el6.label.905", arch="src", content="here"))
    note_build(there, rpm("0.el6.label.905", arch="src", content="there"))
    assert (here.number(), there.number()) == (905, 906)


def test_a_release_with_a_macro_that_no_rpm_would_expand_is_told(machine):
    spec_path = machine.context.out_path / machine.tree.srpm.spec.path
    spec_path.write_text(SPEC.replace("%{?dist}", "%{?dist}%{their_macro}"))
    with pytest.raises(SettingsError, match="their_macro"):
        machine.reserve()
    assert asked_numbers(machine) == []


def test_no_input_has_a_password(machine):
    releases = machine.context.settings.releases.model_copy(update={"remote": "https://me:word@example.org/r.git"})
    secret = machine.set(releases=releases)
    assert "word" not in json.dumps(secret.inputs())
    assert secret.inputs()["releases' remote"] == "https://***@example.org/r.git"


def test_the_demo_is_refused_for_a_mirror_elsewhere_before_that_is_asked(machine, monkeypatch):
    def read_state(*_: object, **__: object) -> MirrorState:
        raise AssertionError("the mirror was asked")

    monkeypatch.setattr("pipeline.mirrors.mirror.read_state", read_state)
    demo = replace(machine.tree, srpm=replace(machine.tree.srpm, demo=True))
    elsewhere = replace(machine.set(mirror_override="host:/srv"), tree=demo)
    with pytest.raises(PublishError, match="^vdsm-4.16.30-0.el6.src is made from the demo, and host:/srv/el6 is not"):
        elsewhere.inputs()


def test_what_is_no_demo_may_go_to_a_mirror_elsewhere(machine):
    assert machine.set(mirror_override="host:/srv").inputs()["what stands in the way"] == "nothing"


def test_the_remote_is_a_path_below_the_checkout_or_an_address_and_none_for_the_demo(machine):
    def remote(text: str, *, demo: bool = False) -> str:
        releases = machine.context.settings.releases.model_copy(update={"remote": text})
        srpm = replace(machine.tree.srpm, demo=demo)
        return reserve.tags_of(srpm, machine.set(releases=releases).context).remote

    root_dir = machine.context.settings.root_dir
    assert remote("./releases.git") == str(root_dir / "releases.git")
    assert remote("/srv/releases.git") == "/srv/releases.git"
    for address in ("git@example.org:r.git", "https://example.org/r.git", "file:///srv/r.git"):
        assert remote(address) == address
    assert remote("./releases.git", demo=True) == remote("") == ""


def test_a_plan_refuses_what_a_release_would(machine, published):
    published.append(rpm("0.el6.mabel.904"))
    with pytest.raises(ReleaseError, match="does not beat"):
        machine.foreseen()


def test_a_release_that_takes_the_place_of_another_machine_s_says_so(tmp_path, published):
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "--quiet", "--bare")
    ours, theirs = (new_machine(tmp_path / name, remote) for name in ("ours", "theirs"))
    assert ours.number() == 904
    assert theirs.with_patch("newer").number() == 905
    published.append(rpm("0.el6.label.905"))
    assert ours.number() == 906
    assert "905 on the mirror was made elsewhere (patches/vdsm/1.patch changed)" in ours.said.getvalue()
    published.append(rpm("0.el6.label.906"))
    assert ours.with_patch("next").number() == 907
    assert "906 on the mirror was made elsewhere" not in ours.said.getvalue()


def test_a_release_on_the_mirror_that_nobody_here_knows_is_told(machine, published):
    published.append(rpm("0.el6.label.905"))
    assert machine.number() == 906
    assert "905 on the mirror was made elsewhere (nobody here knows of what input)" in machine.said.getvalue()


def test_a_release_that_the_remote_lost_is_given_to_it_again(tmp_path, published):
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "--quiet", "--bare")
    ours, theirs = (new_machine(tmp_path / name, remote) for name in ("ours", "theirs"))
    reserved = ours.reserve()
    assert ours.inputs()["the release on the remote"] == "there"
    git(remote, "tag", "-d", reserved.tag)
    assert ours.inputs()["the release on the remote"] == "gone"
    assert ours.reserve() == reserved
    assert theirs.with_patch("theirs").number() == 905


def test_a_remote_that_is_away_does_not_make_a_release_gone(tmp_path, published):
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "--quiet", "--bare")
    machine = new_machine(tmp_path / "machine", remote)
    machine.reserve()
    before = machine.inputs()
    remote.rename(tmp_path / "elsewhere.git")
    assert machine.inputs() == before


def test_the_release_of_the_same_input_is_foreseen(tmp_path, published):
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "--quiet", "--bare")
    assert new_machine(tmp_path / "theirs", remote).number() == 904
    assert str(new_machine(tmp_path / "ours", remote).foreseen().next) == "4.16.30-0.el6.label.904"
    other = new_machine(tmp_path / "other", remote).with_patch("other")
    assert str(other.foreseen().next) == "4.16.30-0.el6.label.905"


def test_a_patch_of_the_future_is_refused_and_takes_no_number(machine, refusal):
    late = replace(machine.tree.patches[0], date_seconds=int(time.time()) + 3 * 24 * 3600)
    error = refusal(replace(machine, tree=replace(machine.tree, patches=(late,))))
    assert error.reference == "clock-behind"
    assert error.message.startswith("1.patch was written on ")
    soon = replace(late, date_seconds=int(time.time()) + 12 * 3600)
    assert replace(machine, tree=replace(machine.tree, patches=(soon,))).number() == 904
