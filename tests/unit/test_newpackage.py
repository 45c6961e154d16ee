# SPDX-License-Identifier: GPL-2.0-or-later
"""A package that comes to the checkout: what its source says, what is written, and what is refused before that."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import NetworkError, PipelineError, SrpmError, UsageError
from pipeline.model import Job
from pipeline.newpackage import adding, looking, texts
from pipeline.newpackage.about import About
from pipeline.newpackage.adding import Addition, Wish
from pipeline.selection import choose_jobs
from pipeline.settings import read_settings
from pipeline.sourcespec import parse_source
from tests.unit.source_packages import make_srpm

SPEC = "Name: {name}\nVersion: {version}\nRelease: 1\n%prep\n{setup}\n"
_GIT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    return subprocess.run(argv, cwd=folder, env=_GIT, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def add(checkout_dir, progress) -> Callable[..., Addition]:
    """Adds a package to the small checkout."""

    def run(name: str, source: str, *, offline: bool = False, **wishes: object) -> Addition:
        settings = read_settings(checkout_dir, offline=offline, environ={})
        return adding.run(settings, Wish(name=name, source=parse_source(source), **wishes), progress)

    return run


@pytest.fixture
def refusal(add, checkout_dir) -> Callable[..., PipelineError]:
    """The error of an addition, which leaves the checkout as it was."""

    def run(*words: str, **wishes: object) -> PipelineError:
        shutil.rmtree(checkout_dir / "out", ignore_errors=True)
        before = files.content_digest(checkout_dir)
        with pytest.raises(PipelineError) as caught:
            add(*words, **wishes)
        shutil.rmtree(checkout_dir / "out", ignore_errors=True)
        assert files.content_digest(checkout_dir) == before
        assert "\n" not in caught.value.message
        assert caught.value.hint
        return caught.value

    return run


@pytest.fixture
def demo(checkout_dir) -> Callable[..., Path]:
    """Lays the source of a demo package into the checkout."""

    def lay(name: str = "small", version: str = "1.0", *, told: str | None = None, setup: str = "%setup -q") -> Path:
        folder = checkout_dir / "demo" / name
        (folder / f"{name}-{version}").mkdir(parents=True)
        spec = SPEC.format(name=name, version=version if told is None else told, setup=setup)
        (folder / f"{name}.spec").write_text(spec)
        return folder

    return lay


@pytest.fixture
def upstream(tmp_path) -> Callable[..., Path]:
    """Makes a repository with a tag and the named files."""

    def make(tag: str, *names: str, spec: str = "") -> Path:
        folder = tmp_path / "upstream"
        folder.mkdir()
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(spec if ".spec" in name else "x\n")
        git(folder, "init", "--quiet")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", "x")
        git(folder, "tag", tag)
        return folder

    return make


def settings_of(addition: Addition) -> dict[str, object]:
    (package,) = tomllib.loads(addition.block)["packages"].values()
    return package


def test_a_package_of_the_demo_works_at_once_and_all_that_was_there_stays(add, demo, checkout_dir, settings_text):
    demo()
    addition = add("small", "demo:demo/small", python="2.6", label="ours")
    assert addition.targets == ("demo",)
    text = (checkout_dir / "pipeline.toml").read_text()
    assert text.startswith(settings_text)
    settings = read_settings(checkout_dir, environ={})
    assert [str(job) for job in choose_jobs(settings, (), ())] == ["demo/vdsm", "demo/small"]
    package = settings.packages["small"]
    assert (package.version, package.label, package.python) == ("1.0", "ours", "2.6")
    assert package.sources == {"demo": ("demo:demo/small",)}
    assert {path for path, _ in addition.contents} == {
        "patches/small/series",
        "specs/small/small.spec.j2",
        "specs/small/rpmlint.toml",
        "pipeline.toml",
    }
    assert all((checkout_dir / path).read_text() == content for path, content in addition.contents)


def test_a_dry_run_says_the_same_and_writes_nothing(add, demo, checkout_dir):
    demo()
    before = files.content_digest(checkout_dir / "specs"), (checkout_dir / "pipeline.toml").read_text()
    foreseen = add("small", "demo:demo/small", dry_run=True)
    assert (files.content_digest(checkout_dir / "specs"), (checkout_dir / "pipeline.toml").read_text()) == before
    assert not (checkout_dir / "patches/small").exists()
    assert add("small", "demo:demo/small") == foreseen


def test_a_version_that_a_macro_says_is_that_of_the_folder(add, demo):
    demo(version="2.1", told="%{upstream}")
    assert add("small", "demo:demo/small").about.version == "2.1"


def test_a_spec_with_autosetup_gets_a_template_without_prep(add, demo):
    demo(setup="%autosetup -p1")
    template = dict(add("small", "demo:demo/small").contents)["specs/small/small.spec.j2"]
    assert "%patch" not in template
    assert "%patch" in texts.template(unpacks_by_itself=False)


def test_the_template_is_vdsm_s_but_for_a_release_without_patches(root_dir):
    ours = (root_dir / "specs/vdsm/vdsm.spec.j2").read_text()
    entry = 'patches | map(attribute="subject")'
    general = texts.template(unpacks_by_itself=False).replace(f'{entry} | list or ["no changes to the source"]', entry)
    assert general.split("-#}")[1] == ours.split("-#}")[1]


# ---- source RPMs and git ----------------------------------------------------------------------------


def test_a_source_rpm_tells_name_and_version_and_is_pinned(add, tmp_path):
    path = make_srpm(tmp_path / "made", name="small", version="3.2")
    addition = add("small", f"srpm:{path}")
    assert addition.targets == ("el6",)
    assert settings_of(addition) == {
        "version": "3.2",
        "label": "patched",
        "sha256": {path.name: files.sha256_of(path)},
        "sources": {"el6": [f"srpm:{path}"]},
    }


def test_a_source_rpm_for_the_demo_s_target_when_it_is_asked_for(add, tmp_path):
    path = make_srpm(tmp_path / "made", name="small", version="3.2")
    assert add("small", f"srpm:{path}", targets=("demo",)).targets == ("demo",)


def test_the_dist_tag_of_a_vendor_s_update_is_written_down(add, tmp_path, checkout_dir):
    path = make_srpm(tmp_path / "made", name="small", release="1%{?dist}.3", dist=".el6_6")
    assert settings_of(add("small", f"srpm:{path}"))["dist_tags"] == {"el6": ".el6_6"}
    settings = read_settings(checkout_dir, environ={})
    assert settings.target_of(Job(package="small", target="el6")).dist == ".el6_6"


def test_the_dist_tag_of_the_target_is_not_written_down(add, tmp_path):
    path = make_srpm(tmp_path / "made", name="small", release="1%{?dist}.3", dist=".el6")
    assert "dist_tags" not in settings_of(add("small", f"srpm:{path}"))


def test_the_demo_takes_no_source_rpm_of_a_vendor(refusal, tmp_path):
    path = make_srpm(tmp_path / "made", name="small", release="1%{?dist}", dist=".el6")
    error = refusal("small", f"srpm:{path}", targets=("demo",))
    assert error.message == f"srpm:{path} has the release 1.el6, and what demo builds is marked .demo"


def test_those_that_are_asked_for_come_first_and_others_with_the_same_list_are_told(
    add, tmp_path, checkout_dir, settings_text, progress, told
):
    second = settings_text.partition("[targets.el6]")[2].partition("[images")[0]
    text = settings_text.replace('["demo"]\npack', '["el6"]\npack')
    (checkout_dir / "pipeline.toml").write_text(f"{text}\n[targets.second]{second}")
    path = make_srpm(tmp_path / "made", name="small", release="1%{?dist}.3", dist=".el6_6")
    addition = add("small", f"srpm:{path}", targets=("second",))
    assert (addition.targets, addition.besides) == (("second", "el6"), ("el6",))
    assert settings_of(addition)["dist_tags"] == {"second": ".el6_6", "el6": ".el6_6"}
    adding.tell(addition, progress, dry_run=False, next_line="x")
    assert "built for el6 as well, by the same list of sources\n" in told.getvalue()


def test_a_pin_that_is_given_stays_where_it_was_given(add, tmp_path):
    path = make_srpm(tmp_path / "made", name="small")
    digest = files.sha256_of(path)
    told = settings_of(add("small", f"srpm:{path}#sha256={digest}"))
    assert told["sources"] == {"el6": [f"srpm:{path}#sha256={digest}"]}
    assert "sha256" not in told


@pytest.mark.parametrize(
    ("names", "dist", "prepare"),
    [
        (("autogen.sh", "small.spec.in"), "make", ["./autogen.sh"]),
        (("configure.ac", "small.spec.in"), "make", ["sh", "-c", "autoreconf --install && ./configure"]),
        (("setup.py", "packaging/small.spec"), "archive", None),
    ],
)
def test_a_tag_says_its_version_and_the_tree_how_a_tarball_is_made(add, upstream, names, dist, prepare):
    folder = upstream("v1.4.2", *names, spec=SPEC.format(name="small", version="%{v}", setup="%setup"))
    told = settings_of(add("small", f"git:{folder}@v1.4.2"))
    assert (told["version"], told["dist"], told.get("dist_prepare")) == ("1.4.2", dist, prepare)
    assert told["git_commits"] == {"v1.4.2": git(folder, "rev-parse", "v1.4.2")}


def test_the_spec_of_a_plain_tag_says_the_version_before_the_tag_does(add, upstream):
    folder = upstream("release-2", "small.spec", spec=SPEC.format(name="small", version="2.0.1", setup="%setup"))
    assert add("small", f"git:{folder}@release-2").about.version == "2.0.1"


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v4.16.30", "4.16.30"),
        ("spice-gtk-0.31", "0.31"),
        ("0.12.8", "0.12.8"),
        ("v7", "7"),
        ("qemu-2.1.0rc1", "2.1.0rc1"),
        ("el6-1.2", "1.2"),
    ],
)
def test_versions_of_tags(tag, version):
    assert looking._version_of_tag(tag) == version


# ---- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("vdsm", "package-there"),
        ("../small", "package-name"),
        ("-small", "package-name"),
        ("+small", "package-name"),
        ("a@b", "package-name"),
        ("", "package-name"),
        ("logs", "package-name"),
        ("contracts", "package-name"),
    ],
)
def test_a_name_that_cannot_be_is_refused(refusal, demo, name, reference):
    demo()
    error = refusal(name, "demo:demo/small")
    assert (error.reference, error.exit_code) == (reference, 2)


def test_a_name_that_cannot_be_is_told_which_letters_may_be(refusal, demo):
    demo()
    assert refusal("a@b", "demo:demo/small").message == (
        "'a@b' cannot be a package: write letters, digits, '.', '_', '+' and '-', a letter or a digit first"
    )


def test_a_name_with_letters_that_toml_quotes_is_added(add, demo, checkout_dir):
    demo("libsmall++")
    assert add("libsmall++", "demo:demo/libsmall++").about.name == "libsmall++"
    assert (checkout_dir / "specs/libsmall++/libsmall++.spec.j2").is_file()
    assert "libsmall++" in read_settings(checkout_dir, environ={}).packages


def test_a_package_that_another_one_added_meanwhile_is_there(demo, checkout_dir, progress):
    demo()
    settings, wish = read_settings(checkout_dir, environ={}), Wish(name="small", source=parse_source("demo:demo/small"))
    adding.run(settings, wish, progress)
    with pytest.raises(UsageError) as caught:
        adding.run(settings, wish, progress)
    assert caught.value.message == "pipeline.toml has a package small already"


def test_folders_with_something_of_somebody_s_are_refused(refusal, demo, checkout_dir):
    demo()
    (checkout_dir / "specs/small").mkdir()
    (checkout_dir / "specs/small/rpmlint.toml").write_text("Filters = []\n")
    assert refusal("small", "demo:demo/small").message.startswith("specs/small is there")
    (checkout_dir / "specs/small/rpmlint.toml").unlink()
    (checkout_dir / "patches/small").symlink_to("/etc")
    assert refusal("small", "demo:demo/small").message.startswith("patches/small is there")


def test_what_a_killed_run_left_is_no_hindrance(add, demo, checkout_dir, monkeypatch):
    demo()
    addition = add("small", "demo:demo/small")
    (checkout_dir / "pipeline.toml").write_text(addition.contents[-1][1].removesuffix(addition.block))
    (checkout_dir / "specs/small/rpmlint.toml").unlink()
    assert dict(add("small", "demo:demo/small").contents).keys() == dict(addition.contents).keys()


def test_a_write_that_fails_takes_back_what_was_written(refusal, demo, monkeypatch, add, checkout_dir):
    demo()
    write = files.write_whole

    def full(path: Path, content: str | bytes) -> None:
        if path == checkout_dir / "pipeline.toml":
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(files, "write_whole", full)
    before = sorted(checkout_dir.glob("*/small*"))
    with pytest.raises(OSError, match="No space left"):
        add("small", "demo:demo/small")
    assert sorted(checkout_dir.glob("*/small*")) == before


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"label": "my-label"}, "packages.small.label: 'my-label' cannot stand in a release"),
        ({"label": "el7"}, "packages.small.label: 'el7' reads as a dist tag"),
        ({"python": "three"}, "packages.small.python: "),
    ],
)
def test_settings_that_could_not_be_read_are_refused(refusal, demo, wishes, told):
    demo()
    error = refusal("small", "demo:demo/small", **wishes)
    assert f"with that package, pipeline.toml could not be read: {told}" in error.message
    assert error.exit_code == 2


def test_a_target_that_is_not_there(refusal, demo):
    demo()
    assert refusal("small", "demo:demo/small", targets=("el7",)).message == "there is no target 'el7' in pipeline.toml"


def test_sources_that_no_target_takes(refusal, checkout_dir, demo, settings_text):
    demo()
    (checkout_dir / "pipeline.toml").write_text(settings_text.replace("demo =", "x =").replace('"demo"\nen', '"x"\nen'))
    assert refusal("small", "demo:demo/small").message == "no target takes demo sources"


@pytest.mark.parametrize("source", ["demo", "demo:nowhere", "demo:demo"])
def test_a_demo_that_is_not_there(refusal, demo, source):
    demo()
    assert refusal("small", source).reference == "demo-missing"


def test_a_demo_without_the_folder_of_its_version(refusal, demo):
    demo(version="1.0", told="2.0")
    error = refusal("small", "demo:demo/small")
    assert (error.message, error.hint) == (
        "demo:demo/small has no folder small-2.0",
        "it has 1.0; say which: --version VERSION",
    )


def test_a_source_rpm_of_another_package(refusal, tmp_path):
    path = make_srpm(tmp_path / "made", name="other")
    error = refusal("small", f"srpm:{path}")
    assert (error.message, error.hint) == (
        f"srpm:{path} is the source of other, not of small",
        "call the package other, or give another source",
    )


def test_source_rpms_that_cannot_be_read(refusal, tmp_path):
    assert refusal("small", f"srpm:{tmp_path}/none.src.rpm").reference == "srpm-missing"
    (tmp_path / "text.src.rpm").write_text("text\n")
    error = refusal("small", f"srpm:{tmp_path}/text.src.rpm")
    assert isinstance(error, SrpmError)
    assert error.reference == "not-an-rpm"
    path = make_srpm(tmp_path / "made", name="small")
    path.write_bytes(path.read_bytes()[:-40])
    assert refusal("small", f"srpm:{path}").reference == "srpm-damaged"


def test_a_source_rpm_of_another_version_than_is_said(refusal, tmp_path):
    path = make_srpm(tmp_path / "made", name="small", version="1.0")
    assert isinstance(refusal("small", f"srpm:{path}", version="2.0"), SrpmError)


def test_tags_that_cannot_be_taken(refusal, upstream):
    folder = upstream("first", "small.spec.in", "autogen.sh")
    assert refusal("small", f"git:{folder}@v2").reference == "tag-missing"
    assert refusal("small", f"git:{folder}@first").message == "the tag first names no version"
    assert refusal("small", f"git:{folder}-not@first").reference == "git-missing"
    error = refusal("other", f"git:{folder}@first")
    assert isinstance(error, UsageError)
    assert error.message == f"git:{folder}@first has no other.spec, and no other.spec.in that it is made of"


@pytest.mark.parametrize(
    "source",
    ["git:https://example.org/small.git@v1", "srpm:https://example.org/small.src.rpm", "yum:https://example.org/"],
)
def test_the_network_is_left_alone_when_it_shall_be(refusal, source):
    assert isinstance(refusal("small", source, offline=True), NetworkError)


def test_names_and_places_with_odd_letters_are_written_as_toml_takes_them():
    about = About(name="lib.small", version="1", sha256={'a "b\\.src.rpm': "0" * 64})
    block = texts.block(about, source='srpm:/x "y"', lists=["el6.9"], label="ours", python="")
    package = tomllib.loads(block)["packages"]["lib.small"]
    assert package["sources"] == {"el6.9": ['srpm:/x "y"']}
    assert package["sha256"] == {'a "b\\.src.rpm': "0" * 64}


def test_what_programs_are_told_keeps_its_schema(add, demo, validator_of):
    demo()
    validator = validator_of("new_package")
    validator.validate(adding.document(add("small", "demo:demo/small", dry_run=True)))
    validator.validate(adding.failed_document(UsageError("x", "y", hint="z")))
