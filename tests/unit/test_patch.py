# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch stage with real git on small trees; only %prep is played, by copying a tree."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import command
from pipeline.errors import BuildError, PatchError
from pipeline.files import tree_fingerprint
from pipeline.model import PatchedTree
from pipeline.stages import patch

# Every line another one, so that a hunk fits in one place only.
LINES = [f"line {number}\n" for number in range(1, 41)]
BEFORE = {"vdsm/vm.py": "".join(LINES)}
AFTER = {"vdsm/vm.py": "".join(LINES).replace("line 20\n", "line twenty\n")}


def changed(tree: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    assert old in tree["vdsm/vm.py"]
    return {"vdsm/vm.py": tree["vdsm/vm.py"].replace(old, new, 1)}


@pytest.fixture
def apply(make_context, make_srpm, image, checkout_dir) -> Callable[..., PatchedTree]:
    """Runs the stage on a source tree with the patches of a series, numbered from 1."""

    def run_stage(source: Mapping[str, str], *patches: bytes, python: str = "") -> PatchedTree:
        folder = checkout_dir / "patches" / "vdsm"
        for number, content in enumerate(patches, start=1):
            (folder / f"000{number}-x.patch").write_bytes(content)
        (folder / "series").write_text("".join(f"000{number}-x.patch\n" for number in range(1, len(patches) + 1)))

        def prepare(call) -> str:
            assert call.argv[:2] == ("rpmbuild", "-bp")
            assert (call.workspace.dir / "SPECS" / "vdsm.spec").exists()
            assert (call.workspace.dir / "SOURCES" / "vdsm-4.16.30.tar.gz").exists()
            for name, content in source.items():
                path = call.workspace.dir / "BUILD" / "vdsm-4.16.30" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode())
            return ""

        context = make_context(prepare)
        package = context.package.model_copy(update={"python": python})
        return patch.run(make_srpm(), image, context=replace(context, package=package))

    return run_stage


@pytest.fixture
def refusal(apply) -> Callable[..., PatchError]:
    def run_stage(source: Mapping[str, str], *patches: bytes, python: str = "") -> PatchError:
        with pytest.raises(PatchError) as caught:
            apply(source, *patches, python=python)
        return caught.value

    return run_stage


@pytest.fixture
def content(settings) -> Callable[[str], str]:
    """The text of a file in the kept tree."""
    return lambda name: (settings.out_path / "demo/vdsm/tree" / name).read_bytes().decode()


def test_a_patch_that_fits_is_clean_and_both_trees_are_kept(apply, content, format_patch, settings, told):
    tree = apply(BEFORE, format_patch(BEFORE, AFTER))
    (applied,) = tree.patches
    assert (applied.state, applied.offset_lines, applied.touched) == ("clean", 0, ("vdsm/vm.py",))
    assert (applied.subject, applied.author) == ("vm: change it", "An Author <author@example.org>")
    assert content("pristine/vdsm/vm.py") == BEFORE["vdsm/vm.py"]
    assert content("patched/vdsm/vm.py") == AFTER["vdsm/vm.py"]
    assert tree.patched.fingerprint == tree_fingerprint(settings.out_path / tree.patched.path)
    assert (settings.out_path / applied.file.path).is_file()
    assert "0001-x.patch: clean" in told.getvalue()


@pytest.mark.parametrize("shift", [1, 7])
def test_a_patch_that_fits_further_down_has_its_offset(apply, content, format_patch, told, shift):
    source = {"vdsm/vm.py": "new at the top\n" * shift + BEFORE["vdsm/vm.py"]}
    (applied,) = apply(source, format_patch(BEFORE, AFTER)).patches
    assert (applied.state, applied.offset_lines) == ("offset", shift)
    assert "line twenty\n" in content("patched/vdsm/vm.py")
    assert f"0001-x.patch: offset {shift} line{'s' if shift > 1 else ''}" in told.getvalue()


def test_a_patch_that_fits_further_up_has_its_offset_and_the_largest_counts(apply, format_patch):
    after = changed(AFTER, "line 35\n", "line thirty-five\n")
    source = changed(changed(BEFORE, "line 1\nline 2\n", ""), "line 27\n", "")
    (applied,) = apply(source, format_patch(BEFORE, after)).patches
    assert (applied.state, applied.offset_lines) == ("offset", 3)


def test_later_patches_are_applied_to_what_the_earlier_made(apply, content, format_patch):
    third = changed(AFTER, "line twenty\n", "line 20 again\n")
    tree = apply(BEFORE, format_patch(BEFORE, AFTER), format_patch(AFTER, third, "vm: change it again"))
    assert [applied.subject for applied in tree.patches] == ["vm: change it", "vm: change it again"]
    assert "line 20 again\n" in content("patched/vdsm/vm.py")


def steps_in(settings) -> dict[str, str]:
    folder: Path = settings.out_path / "demo/vdsm/tree/steps"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_each_step_has_all_that_was_touched_so_far_as_it_is_there(apply, format_patch, settings):
    source = {**BEFORE, "other.py": "other\n", "untouched.py": "x\n"}
    first = {**source, "vdsm/vm.py": AFTER["vdsm/vm.py"]}
    second = {**first, "other.py": "another\n", "new.py": "new\n"}
    third = {**second, "vdsm/vm.py": second["vdsm/vm.py"].replace("line 3\n", "line three\n")}
    tree = apply(source, *(format_patch(a, b) for a, b in ((source, first), (first, second), (second, third))))
    more = {"other.py": "another\n", "new.py": "new\n"}
    assert steps_in(settings) == {
        "1/vdsm/vm.py": first["vdsm/vm.py"],
        "2/vdsm/vm.py": first["vdsm/vm.py"],
        **{f"2/{name}": text for name, text in more.items()},
        "3/vdsm/vm.py": third["vdsm/vm.py"],
        **{f"3/{name}": text for name, text in more.items()},
    }
    assert tree.steps.path == Path("demo/vdsm/tree/steps")
    assert tree.steps.fingerprint == tree_fingerprint(settings.out_path / tree.steps.path)


def test_the_steps_of_an_earlier_series_are_gone(apply, format_patch, settings):
    third = changed(AFTER, "line 35\n", "line thirty-five\n")
    apply(BEFORE, format_patch(BEFORE, AFTER), format_patch(AFTER, third))
    assert set(steps_in(settings)) == {"1/vdsm/vm.py", "2/vdsm/vm.py"}
    apply(BEFORE, format_patch(BEFORE, AFTER), format_patch(AFTER, BEFORE))
    assert steps_in(settings)["2/vdsm/vm.py"] == BEFORE["vdsm/vm.py"]


def test_new_removed_and_renamed_files_are_applied(apply, content, format_patch):
    before = {**BEFORE, "gone.py": "gone\n", "a name.py": "spaces\n"}
    after = {"vdsm/virt/vm.py": AFTER["vdsm/vm.py"], "new.py": "new\n", "a name.py": "Spaces\n"}
    apply(before, format_patch(before, after))
    assert content("patched/vdsm/virt/vm.py") == AFTER["vdsm/vm.py"]
    assert content("patched/new.py") == "new\n"
    assert content("patched/a name.py") == "Spaces\n"
    with pytest.raises(FileNotFoundError):
        content("patched/gone.py")
    with pytest.raises(FileNotFoundError):
        content("patched/vdsm/vm.py")


def test_an_empty_series_leaves_the_source_as_it_is(apply, content, settings):
    tree = apply(BEFORE)
    assert (tree.patches, content("patched/vdsm/vm.py")) == ((), BEFORE["vdsm/vm.py"])
    assert list((settings.out_path / tree.steps.path).iterdir()) == []


def test_a_patch_that_is_gone_from_the_series_is_told_and_leaves_the_former_trees(
    apply, refusal, format_patch, settings
):
    apply(BEFORE, format_patch(BEFORE, AFTER))
    before = tree_fingerprint(settings.out_path / "demo/vdsm/tree")
    assert refusal(BEFORE).reference == "patch-unlisted"
    assert tree_fingerprint(settings.out_path / "demo/vdsm/tree") == before


@pytest.mark.parametrize(("near", "nearby"), [("line 17\n", "line seventeen\n"), ("line 23\n", "line  23\n")])
def test_fuzz_is_refused_with_file_hunk_and_the_lines_that_differ(refusal, format_patch, near, nearby):
    error = refusal(changed(BEFORE, near, nearby), format_patch(BEFORE, AFTER))
    assert error.message == (
        "0001-x.patch does not fit vdsm/vm.py: hunk 1 of 1 (@@ -17,7 +17,7 @@ line 16)\n"
        f"  (the file, from line 17)\n  -{near}  +{nearby}".rstrip("\n")
    )
    assert error.hint == "rebase the patch onto this source; fuzz is not allowed"
    assert error.exit_code == 12
    assert error.reproduce.startswith("git apply --check ")


def test_the_hunk_that_does_not_fit_is_the_one_that_is_told(refusal, format_patch):
    after = changed(AFTER, "line 35\n", "line thirty-five\n")
    error = refusal(changed(BEFORE, "line 33\n", "line thirty-three\n"), format_patch(BEFORE, after))
    assert "vdsm/vm.py: hunk 2 of 2 (@@ -32,7 +32,7 @@" in error.message
    assert "-line 33\n  +line thirty-three" in error.message
    assert "line 20" not in error.message


def test_the_second_patch_is_named_when_it_is_the_one_that_does_not_fit(refusal, format_patch):
    other = changed(BEFORE, "line 20\n", "line XX\n")
    error = refusal(BEFORE, format_patch(BEFORE, AFTER), format_patch(BEFORE, other))
    assert error.message.startswith("0002-x.patch does not fit vdsm/vm.py: hunk 1 of 1 ")
    assert "-line 20\n  +line twenty" in error.message


def test_a_patch_that_is_reversed_or_there_already_is_told(refusal, format_patch):
    error = refusal(BEFORE, format_patch(AFTER, BEFORE))
    assert error.message == "0001-x.patch is in the source already, or is reversed"
    assert refusal(AFTER, format_patch(BEFORE, AFTER)).message == error.message


def test_a_patch_for_another_file_is_told_with_the_file(refusal, format_patch):
    error = refusal({"other.py": "x\n"}, format_patch(BEFORE, AFTER))
    assert error.message == "0001-x.patch is for vdsm/vm.py, which the source does not have"


def test_a_source_with_windows_line_ends_does_not_fit(refusal, format_patch):
    error = refusal({"vdsm/vm.py": BEFORE["vdsm/vm.py"].replace("\n", "\r\n")}, format_patch(BEFORE, AFTER))
    assert error.message.startswith("0001-x.patch does not fit vdsm/vm.py: hunk 1 of 1")


@pytest.mark.parametrize("name", ["../outside.py", "/tmp/outside.py"])
def test_a_patch_that_leads_out_of_the_source_is_refused(refusal, format_patch, settings, name):
    evil = format_patch(BEFORE, {**BEFORE, "inside.py": "x\n"}).replace(b"b/inside.py", f"b/{name}".encode())
    refusal(BEFORE, evil)
    assert not list(settings.out_path.rglob("outside.py"))


def test_a_patch_through_a_link_out_of_the_source_is_refused(refusal, format_patch, tmp_path):
    """One patch makes a link to a folder outside, the next writes through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = format_patch(BEFORE, {**BEFORE, "link": str(outside)})
    assert b"\nnew file mode 100644\n" in link
    link = link.replace(b"\nnew file mode 100644\n", b"\nnew file mode 120000\n")
    link = link.replace(f"+{outside}\n".encode(), f"+{outside}\n\\ No newline at end of file\n".encode())
    error = refusal(BEFORE, link, format_patch(BEFORE, {**BEFORE, "link/new.py": "x\n"}))
    assert error.message.startswith("0001-x.patch makes, changes or removes a symbolic link")
    assert list(outside.iterdir()) == []


def test_a_patch_that_was_cut_short_is_told_with_git_s_words(refusal, format_patch):
    content = format_patch(BEFORE, AFTER)
    error = refusal(BEFORE, content[: content.index(b"+line twenty")])
    assert "is no patch that git can read: error: corrupt patch at" in error.message


def test_a_refused_series_leaves_the_former_trees(apply, refusal, content, format_patch, settings):
    apply(BEFORE, format_patch(BEFORE, AFTER))
    before = tree_fingerprint(settings.out_path / "demo/vdsm/tree")
    refusal(changed(BEFORE, "line 19\n", "X\n"), format_patch(BEFORE, AFTER))
    assert tree_fingerprint(settings.out_path / "demo/vdsm/tree") == before


VENDOR = """\
class Vm(object):
    def names(self):
        return {name for name in self._names}

    def count(self):
        return len(self._names)
"""
SOURCE = {"vdsm/vm.py": VENDOR, "vdsm/notes.txt": "notes\n"}


def counting(expression: str) -> dict[str, str]:
    """The source with another `count`, which is on line 6."""
    return {**SOURCE, "vdsm/vm.py": VENDOR.replace("len(self._names)", expression)}


@pytest.mark.parametrize(
    ("expression", "needs"),
    [
        ("len({name for name in self._names})", "needs Python 2.7, and 2.6 is wanted"),
        ("'{}'.format(len(self._names))", "needs Python 2.7, and 2.6 is wanted"),
        ("f'{self._names}'", "runs on no Python 2, and 2.6 is wanted"),
    ],
)
def test_a_hunk_that_needs_a_newer_python_is_refused_and_the_former_trees_stay(
    apply, refusal, format_patch, settings, expression, needs
):
    apply(SOURCE, format_patch(SOURCE, counting("1 + 1")), python="2.6")
    before = tree_fingerprint(settings.out_path / "demo/vdsm/tree")

    error = refusal(SOURCE, format_patch(SOURCE, counting(expression)), python="2.6")

    assert error.message == f"0001-x.patch: vdsm/vm.py, line 5: {needs}"
    assert error.hint == "write it for Python 2.6, as the hosts have it"
    assert (error.reference, error.exit_code) == ("newer-python", 12)
    assert tree_fingerprint(settings.out_path / "demo/vdsm/tree") == before


def test_what_is_no_python_names_the_patch_the_line_and_why(refusal, format_patch):
    first = counting("1 + 1")
    second = {**first, "vdsm/new.py": "def a():\n    pass\n\n\ndef b()\n    pass\n"}
    error = refusal(SOURCE, format_patch(SOURCE, first), format_patch(first, second), python="2.6")
    assert error.message.startswith("0002-x.patch: vdsm/new.py, line 5: expected ':': def b(); ")


def test_a_later_patch_and_a_new_file_are_judged_too(refusal, format_patch):
    first = counting("1 + 1")
    second = {**first, "vdsm/new.py": "NAMES = {1, 2}\n"}
    error = refusal(SOURCE, format_patch(SOURCE, first), format_patch(first, second), python="2.6")
    assert error.message.startswith("0002-x.patch: vdsm/new.py, line 1: needs Python 2.7")


@pytest.mark.parametrize(
    ("after", "python"),
    [
        (counting("len(set(self._names))"), "2.6"),
        (counting("len({name for name in self._names})"), "2.7"),
        (counting("len({name for name in self._names})"), ""),
        # What the vendor wrote is not ours to judge, nor is what is no Python.
        ({**SOURCE, "vdsm/notes.txt": "{name for name in names}\n"}, "2.6"),
        ({"vdsm/vm.py": VENDOR}, "2.6"),
    ],
)
def test_a_hunk_that_the_hosts_python_knows_is_applied(apply, content, format_patch, after, python):
    (applied,) = apply(SOURCE, format_patch(SOURCE, after), python=python).patches
    assert applied.state == "clean"
    assert content("patched/vdsm/vm.py") == after["vdsm/vm.py"]


def test_inside_another_git_repository_it_still_applies(apply, content, format_patch, checkout_dir):
    subprocess.run(["git", "init", "--quiet", checkout_dir], check=True)
    apply(BEFORE, format_patch(BEFORE, AFTER))
    assert content("patched/vdsm/vm.py") == AFTER["vdsm/vm.py"]


def test_a_user_s_git_settings_bring_no_fuzz(refusal, format_patch, tmp_path):
    config_path = tmp_path / "gitconfig"
    config_path.write_text("[apply]\n\tignoreWhitespace = change\n")
    (tmp_path / ".gitconfig").write_text(config_path.read_text())
    make_patch = format_patch(BEFORE, AFTER)
    user = {"HOME": str(tmp_path), "GIT_CONFIG_SYSTEM": str(config_path), "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "apply.ignoreWhitespace", "GIT_CONFIG_VALUE_0": "change",
            "GIT_CONFIG_PARAMETERS": "'apply.ignoreWhitespace'='change'"}  # fmt: skip
    with command.local.env(**user):
        refusal(changed(BEFORE, "line 19\n", "line  19\n"), make_patch)


def test_a_git_directory_in_the_environment_does_not_matter(apply, content, format_patch, tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path / "other"], check=True)
    make_patch = format_patch(BEFORE, AFTER)
    other = {"GIT_DIR": str(tmp_path / "other" / ".git"), "GIT_WORK_TREE": str(tmp_path / "other")}
    with command.local.env(**other):
        apply(BEFORE, make_patch)
    assert content("patched/vdsm/vm.py") == AFTER["vdsm/vm.py"]


def test_several_folders_from_prep_are_an_error(make_context, make_srpm, image, checkout_dir):
    (checkout_dir / "patches" / "vdsm" / "series").write_text("0001-x.patch\n")

    def prepare(call) -> str:
        for name in ("one", "two"):
            (call.workspace.dir / "BUILD" / name).mkdir()
        return ""

    with pytest.raises(BuildError, match=r"%prep left 2 folders \(one, two\) where one is expected"):
        patch.run(make_srpm(), image, context=make_context(prepare))


def test_the_folder_that_newer_rpm_puts_between_is_looked_through(
    make_context, make_srpm, image, checkout_dir, content, format_patch
):
    folder = checkout_dir / "patches" / "vdsm"
    (folder / "series").write_text("0001-x.patch\n")
    (folder / "0001-x.patch").write_bytes(format_patch({"a": "a\n"}, {"a": "b\n"}))

    def prepare(call) -> str:
        for name in ("vdsm-4.16.30", "SPECPARTS"):
            (call.workspace.dir / "BUILD" / "vdsm-4.16.30-build" / name).mkdir(parents=True)
        (call.workspace.dir / "BUILD/vdsm-4.16.30-build/vdsm-4.16.30/a").write_text("a\n")
        return ""

    patch.run(make_srpm(), image, context=make_context(prepare))
    assert content("patched/a") == "b\n"


def test_the_inputs_see_every_patch_their_order_and_the_macros(
    make_context, make_srpm, image, checkout_dir, format_patch
):
    folder: Path = checkout_dir / "patches" / "vdsm"
    for name in ("0001-a", "0002-b"):
        (folder / f"{name}.patch").write_bytes(format_patch(BEFORE, AFTER))
    srpm = make_srpm()

    def inputs(series: str, target: str = "demo") -> dict[str, str]:
        (folder / "series").write_text(series)
        return patch.inputs(srpm, image, context=make_context(target=target))

    first = inputs("0001-a.patch\n0002-b.patch\n")
    assert first == inputs("# a comment\n0001-a.patch\n0002-b.patch\n")
    assert first != inputs("0002-b.patch\n0001-a.patch\n")
    assert first != inputs("0001-a.patch\n0002-b.patch\n", target="el6")
    (folder / "0002-b.patch").write_bytes(format_patch(BEFORE, AFTER, "another subject"))
    assert first != inputs("0001-a.patch\n0002-b.patch\n")
