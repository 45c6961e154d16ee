# SPDX-License-Identifier: GPL-2.0-or-later
"""What nothing needs in an out directory, what of it is meant, and what is never among it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import clean, marks, oldimages
from pipeline.clean import Wish
from pipeline.command import CommandResult
from pipeline.engines.host import HostEngine
from pipeline.errors import BuildError, CommandFailed, SettingsError, UsageError
from pipeline.model import Job
from pipeline.progress import Progress
from pipeline.settings import read_settings
from pipeline.unreachable import Item, Named, Search, item

DAY = 24 * 3600
HOME = "demo/vdsm"
NEVR = "vdsm-4.16.30-0.demo.label"


class Out:
    """An out directory as two releases and some accidents leave it; `put` adds a file of a size and an age."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for number in (903, 904, 905):
            self.put(f"{HOME}/RPMS/noarch/{NEVR}.{number}.noarch.rpm", 100)
            self.put(f"{HOME}/SRPMS/{NEVR}.{number}.src.rpm", 10)
            self.put(f"{HOME}/releases/{number}/reservation.json", 5)
            self.put(f"{HOME}/releases/{number}/vdsm.spec", 1)
            packages = [{"path": f"{HOME}/RPMS/noarch/{NEVR}.{number}.noarch.rpm"},
                        {"path": f"{HOME}/SRPMS/{NEVR}.{number}.src.rpm"}]  # fmt: skip
            self.write(f"{HOME}/releases/{number}/changes.json", {"packages": packages})
        self.put(f"{HOME}/SPECS/vdsm.spec")
        self.put(f"{HOME}/baseline/RPMS/noarch/vdsm-4.16.30-0.demo.noarch.rpm")
        self.put(f"{HOME}/baseline/rpmlint.json")
        self.put(f"{HOME}/srpm/identity.json")
        self.put(f"{HOME}/srpm/payload/vdsm.tar.gz")
        self.put(f"{HOME}/tree/patched/vm.py")
        self.put("demo/repo/repodata/repomd.xml")
        self.entry("build", [f"{HOME}/RPMS/noarch/{NEVR}.905.noarch.rpm", f"{HOME}/SRPMS/{NEVR}.905.src.rpm",
                             f"{HOME}/SPECS/vdsm.spec"])  # fmt: skip
        self.entry("render", [f"{HOME}/releases/905/vdsm.spec"])
        self.entry("changes", [f"{HOME}/releases/905/changes.json"], last="904")
        self.entry("baseline", [f"{HOME}/baseline/RPMS/noarch/vdsm-4.16.30-0.demo.noarch.rpm"])
        self.entry("fetch", [f"{HOME}/srpm/payload/vdsm.tar.gz"])
        self.entry("patch", [f"{HOME}/tree/patched"])
        self.entry("repo", ["demo/repo"], home="demo")

    def put(self, name: str, size_bytes: int = 1, *, days: float = 0) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size_bytes)
        stamp = time.time() - days * DAY
        os.utime(path, (stamp, stamp))
        return path

    def write(self, name: str, content: object) -> Path:
        path = self.put(name)
        path.write_text(json.dumps(content))
        return path

    def entry(self, stage: str, paths: list[str], *, home: str = HOME, **more: str) -> Path:
        files = [{"path": path, "sha256": "0", "size_bytes": 1} for path in paths]
        return self.write(f"{home}/ledger/{stage}.json", {"record": {"deep": [{"er": files}], **more}})

    def attempts(self, count: int, home: str = HOME) -> list[Path]:
        return [self.put(f"{home}/logs/202611{day:02d}T000000Z-7/state.log").parent for day in range(1, count + 1)]

    def files(self) -> set[str]:
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()}


@pytest.fixture
def out(settings) -> Out:
    return Out(settings.out_path)


Find = Callable[..., dict[str, list[str]]]


@pytest.fixture
def find(out) -> Find:
    """What is unreachable, by name: its paths in the out directory."""

    def run(**wishes: object) -> dict[str, list[str]]:
        search = Search(out_path=out.path, **wishes)
        found = [*search.find(search.homes(), search.named()), *search.find_shared(["vdsm"], frozenset({"used"}))]
        told: dict[str, list[str]] = {}
        for each in found:
            told.setdefault(each.what, []).extend(str(path.relative_to(out.path)) for path in each.paths)
        return told

    return run


OLD = {
    f"release 903 of {HOME}": [
        f"{HOME}/SRPMS/{NEVR}.903.src.rpm",
        f"{HOME}/RPMS/noarch/{NEVR}.903.noarch.rpm",
        f"{HOME}/releases/903/changes.json",
        f"{HOME}/releases/903/vdsm.spec",
    ],
    f"release 904 of {HOME}": [f"{HOME}/releases/904/vdsm.spec"],
}


def sorted_paths(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {what: sorted(paths) for what, paths in found.items()}


def test_a_release_that_no_entry_names_is_unreachable_but_its_reservation_and_what_the_newest_is_compared_with(find):
    assert sorted_paths(find()) == sorted_paths(OLD)


def test_signed_copies_go_with_their_release_and_those_that_the_entry_names_stay(out, find):
    for number in (904, 905):
        out.put(f"{HOME}/signed/noarch/{NEVR}.{number}.noarch.rpm")
    out.put(f"{HOME}/signed/noarch/vdsm-4.16.30-0.demo.noarch.rpm")
    out.entry("sign", [f"{HOME}/signed/noarch/{NEVR}.905.noarch.rpm",
                       f"{HOME}/signed/noarch/vdsm-4.16.30-0.demo.noarch.rpm"])  # fmt: skip
    found = find()
    assert f"{HOME}/signed/noarch/{NEVR}.904.noarch.rpm" in found[f"release 904 of {HOME}"]
    assert sum("signed" in path for paths in found.values() for path in paths) == 1


def test_an_entry_that_is_gone_or_cut_short_names_nothing(out, find):
    (out.path / HOME / "ledger" / "patch.json").unlink()
    fetch = out.path / HOME / "ledger" / "fetch.json"
    fetch.write_text(fetch.read_text()[:-5])
    found = find()
    assert found[f"source trees of {HOME}"] == [f"{HOME}/tree"]
    assert found[f"source RPM of {HOME}"] == [f"{HOME}/srpm"]


def test_a_lost_record_of_what_changed_lets_the_last_release_go(out, find):
    (out.path / HOME / "ledger" / "changes.json").unlink()
    assert sorted(find()[f"release 904 of {HOME}"]) == sorted(
        path.replace("903", "904") for path in OLD[f"release 903 of {HOME}"]
    )


def test_what_artifacts_json_names_is_needed(out, find):
    (out.path / HOME / "ledger" / "build.json").unlink()
    assert len(find()[f"release 905 of {HOME}"]) == 2
    out.write("artifacts.json", [{"path": f"{HOME}/{part}"} for part in
                                 (f"RPMS/noarch/{NEVR}.905.noarch.rpm", f"SRPMS/{NEVR}.905.src.rpm")])  # fmt: skip
    assert f"release 905 of {HOME}" not in find()
    assert find()[f"packages of {HOME}"] == [f"{HOME}/SPECS/vdsm.spec"]


def test_the_papers_of_a_package_go_and_stay_with_it(out, find):
    papers = [out.put(f"{HOME}/RPMS/noarch/{NEVR}.{number}.noarch.rpm.intoto.json") for number in (903, 904, 905)]
    gone = str(papers[0].relative_to(out.path))
    assert sorted_paths(find()) == sorted_paths(
        {**OLD, f"release 903 of {HOME}": [*OLD[f"release 903 of {HOME}"], gone]}
    )


def test_what_a_second_build_left_for_a_look_is_unreachable(out, find):
    out.put(f"{HOME}/reproduced/a.rpm")
    assert find()[f"what differed of a second build of {HOME}"] == [f"{HOME}/reproduced"]


def test_the_vendor_s_packages_go_with_what_rpmlint_said_of_them(out, find):
    (out.path / HOME / "ledger" / "baseline.json").unlink()
    assert find()[f"the vendor's packages of {HOME}"] == [
        f"{HOME}/baseline/RPMS/noarch/vdsm-4.16.30-0.demo.noarch.rpm",
        f"{HOME}/baseline/rpmlint.json",
    ]


def test_those_of_an_earlier_source_alone_leave_it(out, find):
    old = out.put(f"{HOME}/baseline/RPMS/noarch/vdsm-4.16.29-0.demo.noarch.rpm")
    assert find()[f"the vendor's packages of {HOME}"] == [str(old.relative_to(out.path))]


@pytest.mark.parametrize(("keep", "gone"), [(10, 0), (4, 0), (3, 0), (2, 1), (0, 3)])
def test_the_newest_logs_stay(out, find, keep, gone):
    attempts = out.attempts(3)
    found = find(keep_logs=keep).get(f"logs of {HOME}", [])
    assert found == [str(path.relative_to(out.path)) for path in attempts[:gone]]


def test_logs_of_job_and_target_are_counted_apart(out, find):
    out.attempts(2), out.attempts(1, home="demo")
    assert {what for what in find(keep_logs=1) if "logs" in what} == {f"logs of {HOME}"}


def test_what_killed_runs_left_is_unreachable(out, find):
    names = (".tree.old", "RPMS/noarch/.a.rpm.123", "ledger/.build.json.ab_cd012", "SRPMS/.vdsm.src.rpm.4711",
             "releases/905/.reservation.json.abcdefgh", "baseline/SRPMS/.v.src.rpm.1")  # fmt: skip
    left = {f"{HOME}/{name}" for name in names}
    for name in (*left - {f"{HOME}/.tree.old"}, f"{HOME}/.tree.old/f", ".work/work-1/f", ".artifacts.json.abcdefgh"):
        out.put(name)
    found = find()
    assert set(found.pop(f"half-made files of {HOME}")) == left
    assert found.pop("workspaces") == [".work/work-1"]
    assert found.pop("half-made files") == [".artifacts.json.abcdefgh"]
    assert sorted_paths(found) == sorted_paths(OLD)


def test_a_cache_of_no_mirror_of_today_is_unreachable(out, find):
    out.put(".cache/mirror/used/repodata/f"), out.put(".cache/mirror/other/repodata/f")
    assert find()["metadata of a mirror"] == [".cache/mirror/other"]


def test_a_refresh_under_way_stays_and_what_one_left_does_not(out, find):
    out.put("refresh/vdsm/tree/.git/HEAD"), out.put("refresh/vdsm-before/series")
    assert not any("clone" in what for what in find())
    (out.path / "refresh/vdsm/tree").rename(out.path / "refresh/vdsm/new")
    assert find()["former series and clone of vdsm"] == ["refresh/vdsm", "refresh/vdsm-before"]


@pytest.mark.parametrize(
    "name",
    [
        f"{HOME}/notes.txt", f"{HOME}/RPMS/README", f"{HOME}/history/1.json", f"{HOME}/logs/mine/f", "keys/secret.gpg",
        "mirror/demo/noarch/a.rpm", "mirror/demo/repodata/repomd.xml", "refresh/mine/f", ".lock", "artifacts.json",
        f"{HOME}/releases/.lock", f"{HOME}/releases/notes/f", f"{HOME}/result.json", f"{HOME}/RPMS/mine/repodata/f",
        f"{HOME}/RPMS/mine/a.rpm", f"{HOME}/.ssh/f", "other/vdsm/RPMS/a.rpm", f"{HOME}/releases/902/reservation.json",
    ],
)  # fmt: skip
def test_what_we_did_not_make_and_what_must_stay_is_never_among_it(out, find, name):
    if "RPMS/mine" in name:
        out.put(f"{HOME}/RPMS/mine/repodata/repomd.xml")
    out.put(name)
    assert sorted_paths(find()) == sorted_paths(OLD)


def test_a_mirror_stays_wherever_it_lies(out, find):
    out.put(f"{HOME}/RPMS/demo/{NEVR}.800.noarch.rpm"), out.put(".work/mirror/demo/f")
    assert f"release 800 of {HOME}" in find()
    found = find(kept_dirs=(out.path / HOME / "RPMS/demo", out.path / ".work/mirror/demo"))
    assert sorted_paths(found) == sorted_paths(OLD)


def test_links_are_not_followed(out, find, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for name in (f"RPMS/{NEVR}.800.noarch.rpm", "ledger/build.json", "logs/20261101T000000Z-7/state.log"):
        (elsewhere / name).parent.mkdir(parents=True)
        (elsewhere / name).write_text("{}")
    (out.path / "demo" / "linked").symlink_to(elsewhere)
    (out.path / HOME / "RPMS" / "linked").symlink_to(elsewhere / "RPMS")
    (out.path / HOME / "RPMS" / f"{NEVR}.801.noarch.rpm").symlink_to(elsewhere / "ledger/build.json")
    (out.path / ".work").symlink_to(elsewhere)
    assert sorted_paths(find(keep_logs=0)) == sorted_paths(OLD)


def test_a_folder_of_ours_that_is_a_link_is_left_alone(out, find, tmp_path):
    (out.path / HOME / "RPMS").rename(tmp_path / "RPMS")
    (out.path / HOME / "RPMS").symlink_to(tmp_path / "RPMS")
    assert not any("RPMS/noarch" in path for paths in find().values() for path in paths)


def test_what_lies_in_a_named_tree_is_named():
    named = Named(paths=frozenset({Path("a/RPMS")}), images=frozenset())
    assert [named.needs(Path(name)) for name in ("a/RPMS", "a/RPMS/x/y.rpm", "a", "a/SRPMS", "b")] == [True] * 3 + [
        False
    ] * 2


def test_sizes_and_times_are_those_of_all_files_in_it(out):
    old, new = out.put("d/a", 10, days=9), out.put("d/sub/b", 20, days=3)
    found = item("d", "", (out.path / "d",))
    assert found.size_bytes == 30
    assert found.modified == new.stat().st_mtime > old.stat().st_mtime


# ---- what of it is meant -----------------------------------------------------------------------------


def items(out_path: Path, *sizes_and_days: tuple[int, float], now: float) -> list[Item]:
    return [Item(what=str(days), why="", size_bytes=size, modified=now - days * DAY, paths=(out_path / str(days),))
            for size, days in sizes_and_days]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "chosen"),
    [
        (Wish(), ["40", "30", "1"]),
        (Wish(older_than_seconds=30 * DAY), ["40", "30"]),
        (Wish(older_than_seconds=31 * DAY), ["40"]),
        (Wish(keep_bytes=1000), []),
        (Wish(keep_bytes=999), ["40"]),
        (Wish(keep_bytes=990), ["40"]),
        (Wish(keep_bytes=989), ["40", "30"]),
        (Wish(keep_bytes=0), ["40", "30", "1"]),
        (Wish(keep_bytes=0, older_than_seconds=35 * DAY), ["40"]),
    ],
)
def test_age_and_size_choose(wish, chosen):
    now, out_path = 1e9, Path("/out")
    found = items(out_path, (10, 1), (10, 40), (10, 30), now=now)
    assert [each.what for each in clean.choose(found, wish, out_path=out_path, out_bytes=1000, now=now)] == chosen


def test_a_clock_that_was_set_back_hides_nothing():
    found = items(Path("/out"), (10, -5), now=1e9)
    assert clean.choose(found, Wish(), out_path=Path("/out"), out_bytes=10, now=1e9) == found
    assert clean.choose(found, Wish(older_than_seconds=1), out_path=Path("/out"), out_bytes=10, now=1e9) == []


def test_what_lies_elsewhere_does_not_make_out_smaller():
    image = Item(what="image", why="", size_bytes=500, modified=0, image="i", engine="podman")
    elsewhere = Item(what="elsewhere", why="", size_bytes=500, modified=0, paths=(Path("/tmp/work-1"),))
    both = [image, elsewhere]
    assert clean.choose(both, Wish(keep_bytes=0), out_path=Path("/out"), out_bytes=1000, now=1e9) == []
    assert clean.choose(both, Wish(), out_path=Path("/out"), out_bytes=1000, now=1e9) == both


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("7", 7), ("2K", 2048), ("500M", 500 << 20), ("2G", 2 << 30), ("1.5G", 3 << 29), ("1T", 1 << 40), ("2GB", 2 << 30),
     ("2GiB", 2 << 30), ("0", 0)],
)  # fmt: skip
def test_sizes_are_read(text, size_bytes):
    assert clean.read_wish("", text, 10, remove=False).keep_bytes == size_bytes


@pytest.mark.parametrize("text", ["-1", "2X", "G", "2 G", "2g", "nan", "", " ", "1e9", "٣M"])
def test_what_is_no_size_is_refused(text):
    if text:
        with pytest.raises(UsageError, match="is no size") as raised:
            clean.read_wish("", text, 10, remove=False)
        assert raised.value.exit_code == 2
    else:
        assert clean.read_wish("", text, 10, remove=False).keep_bytes is None


@pytest.mark.parametrize("text", ["-1", "-0.5", "nan", "inf", "ten", "1d"])
def test_what_is_no_number_of_days_is_refused(text):
    with pytest.raises(UsageError, match="is no number of days"):
        clean.read_wish(text, "", 10, remove=False)


def test_fewer_than_no_logs_cannot_be_kept():
    with pytest.raises(UsageError, match="-1 logs"):
        clean.read_wish("", "", -1, remove=False)


# ---- the whole ---------------------------------------------------------------------------------------


@pytest.fixture
def no_engine(monkeypatch) -> None:
    monkeypatch.setattr("pipeline.command.is_on_path", lambda program: False)


@pytest.fixture
def tidy(settings, progress, no_engine, monkeypatch, tmp_path) -> Callable[..., clean.Report]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run(*jobs: Job, everything: bool = True, **wishes: object) -> clean.Report:
        return clean.clean(settings, jobs, everything=everything, wish=Wish(**wishes), progress=progress)

    return run


def test_nothing_is_touched_before_it_is_told_to(out, tidy):
    before = out.files()
    report = tidy()
    assert (report.removed, out.files()) == (False, before)
    assert report.freed_bytes == sum(each.size_bytes for each in report.chosen) > 111


def test_all_that_was_told_is_removed_and_nothing_else(out, tidy):
    before = out.files()
    report = tidy(remove=True)
    assert before - out.files() == {path for paths in OLD.values() for path in paths}
    assert (report.removed, len(report.chosen)) == (True, 2)
    assert tidy(remove=True).chosen == ()
    for number in (903, 904, 905):
        assert (out.path / HOME / "releases" / str(number) / "reservation.json").exists()


def test_a_mirror_that_lies_in_a_job_s_folder_is_told_before_anything_goes(out, settings):
    mirror = settings.mirrors["local"].model_copy(update={"destination": (f"out/{HOME}/RPMS",)})
    out.put(f"{HOME}/RPMS/demo/{NEVR}.800.noarch.rpm")
    moved = settings.model_copy(update={"mirrors": {"local": mirror}})
    with pytest.raises(SettingsError, match="which is the pipeline's own folder"):
        clean.clean(moved, (), everything=True, wish=Wish(remove=True), progress=Progress(quiet=True))
    assert (out.path / HOME / "RPMS/demo" / f"{NEVR}.800.noarch.rpm").exists()


def test_one_job_alone_leaves_others_and_what_is_shared(out, tidy):
    out.put(".work/work-1/f"), out.put("el6/vdsm/tree/f"), out.write("el6/vdsm/ledger/unit.json", {})
    assert {each.what for each in tidy(Job(package="vdsm", target="el6"), everything=False).chosen} == {
        "source trees of el6/vdsm"
    }
    assert {"workspaces", "source trees of el6/vdsm", *OLD} == {each.what for each in tidy().chosen}


def test_what_cannot_be_removed_is_told_after_the_rest(out, tidy, monkeypatch):
    unlink = Path.unlink

    def refuse(path: Path, **wishes: bool) -> None:
        if path.name == "vdsm.spec" and "903" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, **wishes)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(BuildError, match="1 of what is not needed could not be removed: .*903/vdsm.spec: Permission"):
        tidy(remove=True)
    assert not (out.path / HOME / "releases/904/vdsm.spec").exists()


def test_the_table_has_what_size_age_and_why_and_the_line_to_type(out, tidy, told, progress):
    for path in out.attempts(12):
        os.utime(path / "state.log", (0, time.time() - 40 * DAY))
    clean.tell(tidy(older_than_seconds=30 * DAY), progress, command_line="nox -s clean -- --remove")
    lines = told.getvalue().splitlines()
    assert any(line.split("  ") == [f"logs of {HOME} (2)", "2 bytes", "40 days", "10 newer attempts have logs"]
               for line in lines)  # fmt: skip
    assert any("2 bytes would be freed" in line and "2 things more of " in line for line in lines)
    assert lines[-1] == "nothing was removed; to remove it: nox -s clean -- --remove"


def test_what_is_in_use_and_too_large_is_told(out, tidy, told, progress):
    clean.tell(tidy(keep_bytes=1), progress, command_line="")
    assert "stay, more than 1 bytes: all the rest is in use" in told.getvalue()


def test_nothing_to_remove_is_told(out, tidy, told, progress):
    tidy(remove=True)
    clean.tell(tidy(), progress, command_line="x")
    assert told.getvalue().splitlines() == [f"nothing to remove in {out.path}"]


@pytest.mark.parametrize(
    ("name", "reference"),
    [("missing", "out-missing"), (".", "out-unsafe"), ("..", "out-unsafe"), ("/", "out-unsafe"),
     ("patches", "out-foreign"), ("repository", "out-unsafe")],
)  # fmt: skip
def test_a_directory_without_our_marks_is_refused(checkout_dir, name, reference):
    (checkout_dir / "repository" / ".git").mkdir(parents=True)
    (checkout_dir / "repository" / "demo" / "ledger").mkdir(parents=True)
    (checkout_dir / "repository" / "demo" / "ledger" / "build.json").write_text("{}")
    settings = read_settings(checkout_dir, out=str(checkout_dir / name), environ={})
    with pytest.raises(UsageError) as raised:
        clean.refuse_foreign(settings)
    assert raised.value.reference == reference


@pytest.mark.parametrize(
    "name", ["a/ledger/accounts.json", "a/logs/state.log", "a/logs/mine/state.log", "ledger/build.json"]
)
def test_what_only_looks_like_a_mark_is_none(settings, name):
    (settings.out_path / name).parent.mkdir(parents=True)
    (settings.out_path / name).write_text("{}")
    with pytest.raises(UsageError, match="no ledger and no log"):
        clean.refuse_foreign(settings)


# ---- what killed runs left elsewhere -----------------------------------------------------------------


def test_a_workspace_is_left_behind_only_when_its_process_is_gone(tmp_path, root_dir):
    code = "from pathlib import Path; from pipeline import marks; import sys; marks.leave(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=root_dir)
    assert marks.is_left_behind(tmp_path)
    marks.leave(tmp_path)
    assert not marks.is_left_behind(tmp_path)


def test_a_process_of_the_same_number_is_another_one(tmp_path):
    marks.leave(tmp_path)
    path = tmp_path / ".vdsm-pipeline.json"
    mark = json.loads(path.read_text())
    path.write_text(json.dumps({**mark, "started": "1"}))
    assert marks.is_left_behind(tmp_path)
    path.write_text(json.dumps({**mark, "started": "1", "boot": "of another machine"}))
    assert not marks.is_left_behind(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"made by": "us", "boot": 1}', "nonsense", "{"])
def test_a_folder_without_a_right_mark_is_not_ours(tmp_path, text):
    if text:
        (tmp_path / ".vdsm-pipeline.json").write_text(text)
    assert not marks.is_left_behind(tmp_path)


def test_a_host_s_workspace_outside_of_out_bears_the_mark(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "safe"))
    (tmp_path / "safe").mkdir()
    with HostEngine().workspace(tmp_path / "not safe") as workspace:
        assert workspace.dir.parent == tmp_path / "safe"
        assert not marks.is_left_behind(workspace.dir)
        monkeypatch.setattr(marks, "_started", lambda process_id: "gone")
        assert marks.is_left_behind(workspace.dir)


def test_another_user_s_folder_is_not_ours(tmp_path, monkeypatch):
    marks.leave(tmp_path)
    monkeypatch.setattr(marks, "_started", lambda process_id: "gone")
    assert marks.is_left_behind(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert not marks.is_left_behind(tmp_path)


def test_left_workspaces_elsewhere_are_found_and_others_are_not(out, tidy, tmp_path, monkeypatch):
    for name in ("work-ours", "work-theirs", "other"):
        (tmp_path / name).mkdir()
    marks.leave(tmp_path / "work-ours")
    marks.leave(tmp_path / "other")
    monkeypatch.setattr(marks, "_started", lambda process_id: "gone")
    assert [each.paths for each in tidy(remove=True).chosen if "elsewhere" in each.what] == [(tmp_path / "work-ours",)]
    assert not (tmp_path / "work-ours").exists()
    assert (tmp_path / "work-theirs").exists() and (tmp_path / "other").exists()


# ---- images ------------------------------------------------------------------------------------------


@pytest.fixture
def podman(monkeypatch, settings) -> list[tuple[str, ...]]:
    """A podman with three images of ours, one of them what today's recipe makes; the calls that it got."""
    from pipeline.images import image_reference

    (settings.root_dir / "containers/el6/Containerfile").write_text("FROM x\n")
    ours = ["localhost/vdsm-pipeline/el6:old", image_reference(settings, "el6"), "localhost/vdsm-pipeline/el6:named",
            "localhost/vdsm-pipeline/<none>:<none>", "localhost/vdsm-pipelines/el6:1"]  # fmt: skip
    calls: list[tuple[str, ...]] = []

    def run(argv, **_: object) -> CommandResult:
        calls.append(tuple(argv))
        said = {"ls": "\n".join(ours), "inspect": '7 "2026-11-21T07:51:29.699274399Z"\n'}.get(argv[2], "")
        return CommandResult(argv=tuple(argv), exit_code=0, stdout=said, seconds=0.0)

    monkeypatch.setattr("pipeline.command.run", run)
    monkeypatch.setattr("pipeline.command.is_on_path", lambda program: program == "podman")
    return calls


def test_an_image_of_no_recipe_and_no_entry_is_unreachable(settings, progress, podman):
    (found,) = oldimages.find(settings, frozenset({"localhost/vdsm-pipeline/el6:named"}), progress)
    assert (found.image, found.engine, found.size_bytes) == ("localhost/vdsm-pipeline/el6:old", "podman", 7)
    assert time.gmtime(found.modified)[:5] == (2026, 11, 21, 7, 51)
    oldimages.remove(found)
    assert podman[-1] == ("podman", "image", "rm", "localhost/vdsm-pipeline/el6:old")


def test_an_image_that_an_entry_names_is_read_from_the_ledger(out):
    out.write(f"{HOME}/ledger/image.json", {"record": {"engine": "podman", "reference": "the image", "digest": "1"}})
    assert Search(out_path=out.path).named().images == frozenset({"the image"})


def test_without_the_recipe_all_images_of_its_name_stay(settings, progress, podman):
    import shutil

    shutil.rmtree(settings.root_dir / "containers/el6")
    assert list(oldimages.find(settings, frozenset(), progress)) == []


def test_an_engine_that_does_not_answer_is_no_failure(settings, progress, monkeypatch, told):
    def fail(argv, **_: object) -> CommandResult:
        raise CommandFailed("command-failed", "docker ended with exit code 1", command_exit_code=1)

    monkeypatch.setattr("pipeline.command.is_on_path", lambda program: True)
    monkeypatch.setattr("pipeline.command.run", fail)
    assert list(oldimages.find(settings, frozenset(), progress)) == []
    assert told.getvalue() == ""
    asked = settings.model_copy(update={"engine_override": "docker"})
    assert list(oldimages.find(asked, frozenset(), progress)) == []
    assert "docker was not looked through" in told.getvalue()


def test_no_engine_is_asked_when_the_host_is_meant(settings, progress, podman):
    meant = settings.model_copy(update={"engine_override": "host"})
    assert list(oldimages.find(meant, frozenset(), progress)) == []
    assert podman == []


def test_the_vendors_packages_go_when_no_entry_names_them(out):
    kept = out.put(f"{HOME}/vendor/noarch/vdsm-4.16.30-0.el6.noarch.rpm")
    entry = out.entry("vendor", [f"{HOME}/vendor/noarch/vdsm-4.16.30-0.el6.noarch.rpm"])

    def found() -> bool:
        search = Search(out_path=out.path)
        items = [*search.find(search.homes(), search.named())]
        return any(kept.parent.parent in item.paths for item in items)

    assert not found()
    entry.unlink()
    assert found()
