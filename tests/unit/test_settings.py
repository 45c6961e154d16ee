# SPDX-License-Identifier: GPL-2.0-or-later
"""pipeline.toml and the flags: what is read, and how every wrong key is told."""

from __future__ import annotations

import pytest

from pipeline.errors import SettingsError, UsageError
from pipeline.model import Job, Source
from pipeline.selection import choose_jobs, choose_package, choose_packages
from pipeline.settings import read_settings
from pipeline.sourcespec import parse_source

DIGEST = "0123456789abcdef" * 4
JOB = Job(package="vdsm", target="demo")


@pytest.fixture
def read(checkout_dir, settings_text):
    """Reads the small pipeline.toml with some of its text replaced, each old text by its new one."""

    def read_changed(*changes: tuple[str, str], **flags: object):
        text = settings_text
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (checkout_dir / "pipeline.toml").write_text(text)
        return read_settings(checkout_dir, **{"environ": {}, **flags})

    return read_changed


@pytest.fixture
def wrong_keys(read):
    """The sentences of the error that the changed file gives."""

    def read_wrong(*changes: tuple[str, str]) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            read(*changes)
        assert caught.value.exit_code == 3
        name, _, told = caught.value.message.partition(": ")
        assert name == "pipeline.toml"
        return told.split("; ")

    return read_wrong


def test_the_shipped_file_reads_and_every_package_has_sources_for_every_target(root_dir):
    settings = read_settings(root_dir, environ={})
    assert settings.default_targets == ("demo",)
    assert {"demo", "el6", "el6-bullseye"} <= settings.targets.keys()
    assert settings.packages["vdsm"].release_floor == 904
    for target in settings.targets:
        for package in settings.packages:
            assert settings.source_list(Job(package=package, target=target))


def test_the_shipped_demo_stays_on_a_local_mirror(root_dir):
    settings = read_settings(root_dir, environ={})
    assert settings.targets["demo"].dist == ".demo"
    assert settings.mirror("demo").destination == ("out/mirror",)


def test_what_is_left_out_has_its_default(read):
    settings = read()
    assert settings.time_limits.build == 3600
    assert settings.targets["el6"].engine == "auto"
    assert settings.targets["el6"].nodeps is False
    assert settings.out_path == settings.root_dir / "out"
    assert settings.offline is False


def test_settings_cannot_be_changed(read):
    settings = read()
    with pytest.raises(ValueError, match="frozen"):
        settings.out_dir = "elsewhere"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("release_floor = 904", "release_flor = 904"), "packages.vdsm.release_flor: unknown key; remove it or correct "
                                                        "its name"),
        (('python = "python3"\n', ""), "targets.demo.python: missing; add it"),
        (("release_floor = 904", "release_floor = 0"), "packages.vdsm.release_floor: input should be greater than or "
                                                       "equal to 1 (it is 0)"),
        (('engine = "host"', 'engine = "vm"'), "targets.demo.engine: input should be 'host', 'podman', 'docker' or "
                                               "'auto' (it is 'vm'); targets.demo.image: missing; only "
                                               "a target with engine 'host' needs no image"),
        (('label = "label"', 'label = "my-label"'), "packages.vdsm.label: 'my-label' cannot stand in a release: "
                                                    "write letters and digits only, a letter first (it is 'my-label')"),
        (('dist = ".demo"', 'dist = "demo"'), "targets.demo.dist: string should match pattern '^\\.[A-Za-z0-9_.]+$' "
                                              "(it is 'demo')"),
        (("[packages.vdsm.sources]", "[time_limits]\nbuild = 0\n\n[packages.vdsm.sources]"),
         "time_limits.build: input should be greater than 0 (it is 0)"),
        (('packager = "A Packager <packager@example.org>"', 'packager = "A Packager"'),
         "packager: string should match pattern '^[^<>\\n]+ <[^<>\\s@]+@[^<>\\s@]+>$' (it is 'A Packager')"),
        (('rhel = "6"', '"rh-el" = "6"'), "targets.el6.macros.rh-el.[key]: 'rh-el' is no macro name: letters, digits "
                                          "and _ only (it is 'rh-el')"),
        (('demo = ["demo:tests', 'demo = ["cvs:tests'), "packages.vdsm.sources.demo.0: 'cvs:tests/demo/vdsm' is no "
                                                        "source; write srpm:PATH-or-URL, yum:URL, git:REPO@TAG or demo "
                                                        "(it is 'cvs:tests/demo/vdsm')"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_with_its_mend(wrong_keys, change, told):
    assert "; ".join(wrong_keys(change)) == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('default_targets = ["demo"]', 'default_targets = ["el7"]'), "default_targets: there is no [targets.el7]"),
        (('mirror = "local"', 'mirror = "far"'), "targets.demo.mirror: there is no [mirrors.far]"),
        (('image = "el6"', 'image = "el7"'), "targets.el6.image: there is no [images.el7]"),
        (('image = "el6"\n', ""), "targets.el6.image: missing; only a target with engine 'host' needs no image"),
        (('sources = "demo"', 'sources = "el7"'), "targets.demo.sources: no package has a list sources.el7"),
        (("release_floor", 'dist_tags = { el7 = ".el7_1" }\nrelease_floor'), "packages.vdsm.dist_tags.el7: there is no "
                                                                             "[targets.el7]"),
        (("release_floor", 'dist_tags = { demo = ".el6" }\nrelease_floor'),
         "packages.vdsm.dist_tags.demo: what the demo makes is marked .demo; remove it"),
    ],
)  # fmt: skip
def test_a_name_that_refers_to_nothing_is_told(wrong_keys, change, told):
    assert "; ".join(wrong_keys(change)) == told


@pytest.mark.parametrize(("tag", "dist"), [(".el6_6", ".el6_6"), ("", "%{nil}")])
def test_a_package_has_a_dist_tag_of_its_own_for_a_target(read, tag, dist):
    settings = read(('label = "label"', f'label = "label"\ndist_tags = {{ el6 = "{tag}" }}'))
    target = settings.target_of(Job(package="vdsm", target="el6"))
    assert target.rpm_macros()["dist"] == dist
    assert target.model_copy(update={"dist": ".el6"}) == settings.target("el6")
    assert settings.target_of(JOB) == settings.target("demo")


def test_what_is_made_of_the_demo_s_source_is_marked_whatever_the_package_says(read):
    settings = read(('label = "label"', 'label = "label"\ndist_tags = { el6 = ".el6_6" }'), source="demo")
    assert settings.target_of(Job(package="vdsm", target="el6")).dist == ".demo"


def test_all_errors_are_told_at_once(wrong_keys):
    told = wrong_keys(
        ("release_floor = 904", "release_flor = 904"),
        ('python = "python3"\n', ""),
        ('engine = "host"', 'engine = "vm"'),
        ('destination = "out/mirror"', 'destination = ""'),
    )
    text = "; ".join(told)
    for key in (
        "packages.vdsm.release_flor",
        "targets.demo.python",
        "targets.demo.engine",
        "mirrors.local.destination",
    ):
        assert f"{key}: " in text


def test_all_dangling_names_are_told_at_once(wrong_keys):
    told = wrong_keys(
        ('default_targets = ["demo"]', 'default_targets = ["el7", "el8"]'), ('image = "el6"', 'image = "el7"')
    )
    assert len(told) == 3


def test_dangling_names_are_told_together_with_other_errors(wrong_keys):
    told = wrong_keys(
        ("release_floor = 904", "release_flor = 904"),
        ('sources = "demo"', 'sources = "el7"'),
        ('mirror = "local"', 'mirror = "far"'),
        ('image = "el6"\n', ""),
    )
    assert "packages.vdsm.release_flor: unknown key; remove it or correct its name" in "; ".join(told)
    for dangling in (
        "targets.demo.mirror: there is no [mirrors.far]",
        "targets.demo.sources: no package has a list sources.el7",
        "only a target with engine 'host' needs no image",
    ):
        assert dangling in told


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('default_targets = ["demo"]', 'default_targets = "demo"'), "default_targets"),
        (('default_targets = ["demo"]', 'default_targets = [["demo"]]'), "default_targets.0"),
        (("[targets.demo]", "[targets]\nother = 5\n\n[targets.demo]"), "targets.other"),
        (('mirror = "local"', 'mirror = ["local"]'), "targets.demo.mirror"),
        (('image = "el6"', 'image = ["el6"]'), "targets.el6.image"),
        (('sources = "demo"', "sources = {}"), "targets.demo.sources"),
        (("[mirrors.local]", "[mirrors]\nlocal = 5\n\n[unknown]"), "mirrors.local"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_where_a_name_or_table_is_meant(wrong_keys, change, key):
    assert wrong_keys(change)[0].startswith(f"{key}: input should be a valid ")


@pytest.mark.parametrize("label", ["my-label", "9label", "", "a.b", "ä", "label\\n", "a_b", "a~"])
def test_a_label_has_letters_and_digits_only(wrong_keys, label):
    (told,) = wrong_keys(('label = "label"', f'label = "{label}"'))
    assert " cannot stand in a release: write letters and digits only, a letter first (it is " in told


@pytest.mark.parametrize("label", ["el6", "fc21"])
def test_a_label_is_no_dist_tag(wrong_keys, label):
    (told,) = wrong_keys(('label = "label"', f'label = "{label}"'))
    assert f"'{label}' reads as a dist tag, so our releases would be taken for a vendor's: choose a word" in told


def test_a_file_that_is_no_toml_is_named_with_the_line(checkout_dir):
    (checkout_dir / "pipeline.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(SettingsError, match=r"pipeline\.toml is not TOML: .*line 2"):
        read_settings(checkout_dir, environ={})


def test_a_file_that_is_not_utf_8_is_told(checkout_dir):
    (checkout_dir / "pipeline.toml").write_bytes(b"# \xff\n")
    with pytest.raises(SettingsError, match=r"pipeline\.toml is not TOML"):
        read_settings(checkout_dir, environ={})


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"pipeline\.toml does not exist"):
        read_settings(tmp_path, environ={})


def test_an_out_dir_of_the_wrong_type_is_an_error_of_its_key(wrong_keys):
    (told,) = wrong_keys(("default_targets", "out_dir = 5\ndefault_targets"))
    assert told == "out_dir: input should be a valid string (it is 5)"


def test_a_setting_of_the_command_line_is_no_key_of_the_file(wrong_keys):
    told = wrong_keys(("default_targets", "offline = true\ndefault_targets"), ('engine = "host"', 'engine = "vm"'))
    assert "; ".join(told).startswith("offline: unknown key; remove it or correct its name; targets.demo.engine: ")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("srpm:a.src.rpm", Source(kind="srpm", location="a.src.rpm")),
        ("srpm:/a dir/a.src.rpm", Source(kind="srpm", location="/a dir/a.src.rpm")),
        ("srpm:https://h/a.src.rpm", Source(kind="srpm", location="https://h/a.src.rpm")),
        (f"srpm:https://h/a#sha256={DIGEST}", Source(kind="srpm", location="https://h/a", sha256=DIGEST)),
        ("yum:https://h/SRPMS/", Source(kind="yum", location="https://h/SRPMS/")),
        ("git:https://u@h/vdsm.git@v4.16.30", Source(kind="git", location="https://u@h/vdsm.git", tag="v4.16.30")),
        ("git:/a dir/vdsm@v1", Source(kind="git", location="/a dir/vdsm", tag="v1")),
        ("demo", Source(kind="demo")),
        ("demo:tests/demo/vdsm", Source(kind="demo", location="tests/demo/vdsm")),
    ],
)
def test_every_form_of_source_is_read(text, source):
    assert parse_source(text) == source
    assert str(source) == text.partition("#")[0]


@pytest.mark.parametrize(
    "text",
    ["", "vdsm", "srpm:", "srpm", "yum:", "yum:/a/dir", "git:", "git:@v1", "git:/a/dir@", "git:/a@-x",
     "demonstration", "SRPM:a", f"srpm:#sha256={DIGEST}"],
)  # fmt: skip
def test_what_is_no_source_is_told_with_the_forms(text):
    with pytest.raises(ValueError, match=r"is no source; write srpm:PATH-or-URL, yum:URL, git:REPO@TAG or demo$"):
        parse_source(text)


def test_a_repository_without_a_tag_is_told():
    with pytest.raises(ValueError, match=r"^'git:/a/dir' is no source: @TAG is missing; write git:/a/dir@TAG$"):
        parse_source("git:/a/dir")


@pytest.mark.parametrize("digest", [DIGEST[:-1], DIGEST + "0", DIGEST.upper(), "z" * 64, DIGEST + "\n"])
def test_a_digest_has_64_lower_case_digits(digest, wrong_keys):
    with pytest.raises(ValueError, match="is no sha256: write 64 lower-case hexadecimal digits"):
        parse_source(f"srpm:a#sha256={digest}")
    quoted = digest.replace("\n", "\\n")
    change = ("[targets.demo]", f'[packages.vdsm.sha256]\n"a.src.rpm" = "{quoted}"\n\n[targets.demo]')
    assert wrong_keys(change)[0].startswith("packages.vdsm.sha256.a.src.rpm: '")


def test_a_right_digest_and_a_right_commit_are_taken(read):
    pins = f'[packages.vdsm.sha256]\n"a" = "{DIGEST}"\n\n[packages.vdsm.git_commits]\n"v1" = "{"a" * 40}"\n\n'
    package = read(("[targets.demo]", f"{pins}[targets.demo]")).packages["vdsm"]
    assert package.sha256 == {"a": DIGEST}
    assert package.git_commits == {"v1": "a" * 40}


def test_a_short_commit_is_refused(wrong_keys):
    pins = '[packages.vdsm.git_commits]\n"v1" = "bd2722a"\n\n'
    assert "is no commit" in wrong_keys(("[targets.demo]", f"{pins}[targets.demo]"))[0]


@pytest.mark.parametrize("pattern", ["a b", "a'b", 'a\\"b', "$(id)", "-name", "../x;id", "/etc", "a`id`"])
def test_a_pattern_of_what_is_left_out_needs_no_quotes(wrong_keys, pattern):
    table = f'[packages.vdsm.dist_left_out]\n"{pattern}" = "why"\n\n'
    assert wrong_keys(("[targets.demo]", f"{table}[targets.demo]"))[0].startswith("packages.vdsm.dist_left_out.")


@pytest.mark.parametrize("reference", ["el6", "centos:6.10", f"centos@sha256:{DIGEST[:-1]}", f"a b@sha256:{DIGEST}"])
def test_an_image_reference_is_pinned_by_digest(wrong_keys, reference):
    assert wrong_keys(('recipe = "containers/el6"', f'reference = "{reference}"'))[0].startswith(
        "images.el6.reference:"
    )


def test_the_out_flag_is_below_the_working_folder_and_wins_over_the_environment(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read(out="here").out_path == tmp_path / "here"
    assert read(out="/there").out_path.as_posix() == "/there"
    assert read(environ={"PIPELINE_OUT": "env"}).out_path == tmp_path / "env"
    assert read(out="flag", environ={"PIPELINE_OUT": "env"}).out_path == tmp_path / "flag"


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a#b", "a?b", "a\udcff"])
def test_an_out_directory_that_createrepo_c_or_dnf_would_not_take_is_refused(read, name):
    for given in ({"out": name}, {"environ": {"PIPELINE_OUT": name}}):
        with pytest.raises(UsageError, match="createrepo_c or dnf") as caught:
            read(**given)
        caught.value.message.encode()


def test_the_environment_is_read_when_none_is_given(read, monkeypatch, tmp_path):
    monkeypatch.setenv("PIPELINE_OUT", str(tmp_path / "of the environment"))
    assert read(environ=None).out_path == tmp_path / "of the environment"


def test_the_mirror_flag_is_a_name_or_a_destination(read):
    assert read().mirror("demo").destination == ("out/mirror",)
    assert read(mirror="local").mirror("demo").destination == ("out/mirror",)
    assert read(mirror="host:/srv/yum").mirror("demo").destination == ("host:/srv/yum",)


@pytest.mark.parametrize("word", ["locall", "far", "a b", "host-2"])
def test_a_bare_word_that_is_no_mirror_is_a_usage_error(read, word):
    with pytest.raises(UsageError) as caught:
        read(mirror=word)
    assert caught.value.message == f"there is no mirror '{word}' in pipeline.toml"
    assert caught.value.hint == f"known: local; for a directory write ./{word}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("place", ["./far", "far/", "/far", "host:far", "rsync://far/module", ".", ".."])
def test_what_is_more_than_a_bare_word_is_a_destination(read, place):
    assert read(mirror=place).mirror("demo").destination == (place,)


def test_the_source_flag_stands_for_the_whole_list(read):
    assert len(read().source_list(Job(package="vdsm", target="el6"))) == 2
    assert read(source="srpm:mine.src.rpm").source_list(JOB) == (Source(kind="srpm", location="mine.src.rpm"),)


def test_the_demo_source_takes_the_configured_demo_and_marks_any_target(read):
    settings = read(source="demo")
    assert settings.source_list(Job(package="vdsm", target="el6")) == (parse_source("demo:tests/demo/vdsm"),)
    assert settings.target("el6").dist == ".demo"
    assert settings.target("el6").rpm_macros()["dist"] == ".demo"
    assert read().target("el6").dist == ".el6"
    assert read(source="srpm:a").target("el6").dist == ".el6"


def test_a_wrong_source_flag_is_a_usage_error(read):
    with pytest.raises(UsageError, match="'cvs:x' is no source") as caught:
        read(source="cvs:x")
    assert caught.value.exit_code == 2


def test_the_target_s_macros_win_and_rpm_4_8_can_read_what_is_built(read):
    macros = read(('rhel = "6"', 'rhel = "6", _buildhost = "mine"')).targets["el6"].rpm_macros()
    assert macros["rhel"] == "6"
    assert macros["_buildhost"] == "mine"
    assert macros["_binary_payload"] == "w9.gzdio"


def test_jobs_are_the_default_targets_or_those_asked_for_each_once(settings):
    assert choose_jobs(settings, (), ()) == (JOB,)
    asked = choose_jobs(settings, ("el6", "demo", "el6"), ("vdsm", "vdsm"))
    assert [str(job) for job in asked] == ["el6/vdsm", "demo/vdsm"]


@pytest.mark.parametrize(
    ("targets", "packages", "message", "hint"),
    [
        (("dmeo",), (), "there is no target 'dmeo' in pipeline.toml", "did you mean 'demo'? known: demo, el6"),
        (("xyz",), (), "there is no target 'xyz' in pipeline.toml", "known: demo, el6"),
        (("demo",), ("vdms",), "there is no package 'vdms' in pipeline.toml", "did you mean 'vdsm'? known: vdsm"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(settings, targets, packages, message, hint):
    with pytest.raises(UsageError) as caught:
        choose_jobs(settings, targets, packages)
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (message, hint, 2)


SECOND = """
[packages.small]
version = "1.0"
label = "label"

[packages.small.sources]
el6 = ["srpm:small.src.rpm"]
"""


@pytest.fixture
def two(read):
    """Reads the settings with a second package, which only el6 takes."""
    return lambda **flags: read(("[targets.demo]", f"{SECOND}\n[targets.demo]"), **flags)


def names(jobs) -> list[str]:
    return [str(job) for job in jobs]


def test_a_package_is_built_for_the_targets_whose_sources_it_has(two):
    settings = two()
    assert names(choose_jobs(settings, (), ())) == ["demo/vdsm"]
    assert names(choose_jobs(settings, ("demo", "el6"), ())) == ["demo/vdsm", "el6/vdsm", "el6/small"]
    assert names(choose_jobs(settings, ("demo", "el6"), ("small",))) == ["el6/small"]
    assert names(choose_jobs(two(source="demo"), ("el6",), ())) == ["el6/vdsm"]


def test_what_is_asked_for_and_not_built_is_told_with_the_target_that_builds_it(two):
    for packages in (("small",), ("vdsm", "small")):
        with pytest.raises(UsageError) as caught:
            choose_jobs(two(), (), packages)
        assert caught.value.message == "small is not built for demo: it has no list of sources for that"
        assert caught.value.hint == "--target el6 builds it"


def test_one_source_is_of_one_package(two):
    settings = two(source="git:/somewhere@v1")
    with pytest.raises(UsageError) as caught:
        choose_jobs(settings, (), ())
    assert caught.value.message == "--source is one package's, and 2 are asked for: vdsm, small"
    assert caught.value.hint == "name the one that it is of: --package vdsm"
    assert names(choose_jobs(settings, (), ("small",))) == ["demo/small"], (
        "the source is given, whatever the target has"
    )


def test_packages_are_chosen_whatever_targets_build_them(two):
    assert choose_packages(two(), ("small",)) == ("small",)
    assert choose_package(two(), ("small",)) == "small"
    with pytest.raises(UsageError, match="there are 2 packages"):
        choose_package(two(), ())
    with pytest.raises(UsageError, match="there is no package 'smal'"):
        choose_packages(two(), ("smal",))


def test_a_list_that_only_another_package_has_is_enough_for_a_target(two, wrong_keys):
    assert two().targets["el6"].sources == "el6"
    assert wrong_keys(('sources = "el6"', 'sources = "el9"')) == [
        "targets.el6.sources: no package has a list sources.el9"
    ]


@pytest.mark.parametrize("name", ["logs", "repo", "ledger", "contracts"])
def test_a_package_of_the_name_of_a_folder_of_ours(wrong_keys, name):
    (told,) = wrong_keys(("[targets.demo]", f"{SECOND.replace('small', name)}\n[targets.demo]"))
    assert f"no package can be called '{name}': the pipeline has a folder of that name" in told


@pytest.mark.parametrize("folder", ["/usr", "../up", "a//b", "a/", "."])
def test_a_folder_below_a_tree_leads_nowhere_else(wrong_keys, folder):
    (told,) = wrong_keys(('installed_dir = "usr/share"', f'installed_dir = "{folder}"'))
    assert told.startswith("packages.vdsm.installed_dir: string should match pattern")


def test_what_rebuilds_others_is_any_change_if_nothing_else_is_said(read):
    assert read().rebuild_on == "change"
    top = 'packager = "A Packager <packager@example.org>"\n'
    assert read((top, f'{top}rebuild_on = "provides"\n')).rebuild_on == "provides"
    assert read((top, f'{top}rebuild_on = "provides"\n'), rebuild_on="change").rebuild_on == "change"


def test_another_word_for_what_rebuilds_others_is_refused(wrong_keys):
    top = 'packager = "A Packager <packager@example.org>"\n'
    (told,) = wrong_keys((top, f'{top}rebuild_on = "whim"\n'))
    assert told.startswith("rebuild_on: ")
    assert "'change' or 'provides'" in told


@pytest.mark.parametrize("text", ["pkgconfig(x)", "libx.so.1()(64bit)", "pkgconfig(x) = 1:2.0-3", "/usr/bin/x"])
def test_a_package_may_say_what_only_its_build_can_tell(read, text):
    assert read(('label = "label"\n', f'label = "label"\nprovides = ["{text}"]\n')).packages["vdsm"].provides == (text,)


@pytest.mark.parametrize("text", ["", "a b", "a >= 1", "a = ", "a, b", "a=1"])
def test_what_rpm_would_not_take_for_one_capability_is_refused(wrong_keys, text):
    (told,) = wrong_keys(('label = "label"\n', f'label = "label"\nprovides = ["{text}"]\n'))
    assert told.startswith(f"packages.vdsm.provides.0: '{text}' is no capability as rpm writes them")
