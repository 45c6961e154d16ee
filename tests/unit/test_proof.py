# SPDX-License-Identifier: GPL-2.0-or-later
"""The pure parts of the proof: steps, requirements of the host, what is installed, and a client's reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.errors import VerifyError
from pipeline.model import Evr, PublishedRpm
from pipeline.proof import proof, reason, requirements, standin, state, steps
from pipeline.proof.client import config_text
from pipeline.proof.trial import Trial, path_of
from pipeline.rpmheaders import Dependency, Header, PackagedFile

VENDOR, OLD, OURS = "0.el6", "0.el6.label.904", "0.el6.label.905"


def rpm(name: str, release: str = OURS, *, arch: str = "noarch", source: str = "vdsm", epoch: int = 0) -> PublishedRpm:
    evr = Evr(epoch=epoch, version="4.16.30", release=release)
    href = f"{arch}/{name}-{release}.{arch}.rpm"
    return PublishedRpm(name=name, evr=evr, arch=arch, href=href, size_bytes=1, sha256="", source=source)


def rpms(release: str, *names: str, **more: str) -> tuple[PublishedRpm, ...]:
    return tuple(rpm(name, release, **more) for name in names)


def trial(**sets: tuple[PublishedRpm, ...]) -> Trial:
    whole = {"vendor": (), "ours": (), "previous": (), **sets}
    return Trial(repository_dir=Path("/nowhere"), key_paths=(), **whole)


def dependency(text: str) -> Dependency:
    name, operator, evr = (*text.split(" "), "", "")[:3]
    return Dependency(name=name, operator=operator, evr=evr)


def header(name: str = "vdsm", *, evr: Evr | None = None, files: Mapping[str, PackagedFile] | None = None,
           scriptlets: tuple[str, ...] = (), **relations: str) -> Header:  # fmt: skip
    """A header whose relations are comma-separated texts."""
    kept = {kind: relations.get(kind, "") for kind in ("requires", "provides", "conflicts", "obsoletes")}
    return Header(
        name=name,
        evr=evr or Evr(version="4.16.30", release=OURS),
        arch="noarch",
        is_source=False,
        files=dict(files or {}),
        relations={
            kind: frozenset(dependency(each.strip()) for each in text.split(",") if each) for kind, text in kept.items()
        },
        scriptlets=dict.fromkeys(scriptlets, ""),
        changelog=(),
        installed_bytes=0,
        package_bytes=0,
    )


def test_what_is_typed_is_what_people_type():
    given = trial(vendor=rpms(VENDOR, "vdsm", "vdsm-cli"), ours=rpms(OURS, "vdsm", "vdsm-cli"))
    assert [(step.verb, step.words) for step in steps.plan(given)] == [
        ("install", ("vdsm-4.16.30-0.el6.noarch", "vdsm-cli-4.16.30-0.el6.noarch")),
        ("upgrade", ("vdsm*",)),
        ("downgrade", ("vdsm-4.16.30-0.el6.noarch", "vdsm-cli-4.16.30-0.el6.noarch")),
        ("upgrade", ("vdsm*",)),
        ("upgrade", ("vdsm*",)),
    ]
    assert [step.idle for step in steps.plan(given)] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("names", "source", "words"),
    [
        (("vdsm", "vdsm-cli"), "vdsm", ("vdsm*",)),
        (("libvirt", "python-libvirt"), "libvirt", ("libvirt*", "python-libvirt")),
        (("libg++",), "gcc", ("libg++",)),
        (("alone",), "", ("alone",)),
    ],
)
def test_patterns_are_by_the_source_s_name_and_what_it_does_not_cover_by_its_own(names, source, words):
    assert steps.patterns(rpms(OURS, *names, source=source)) == words


def test_the_previous_release_is_gone_back_to_with_what_is_installed():
    given = trial(
        vendor=rpms(VENDOR, "vdsm"), ours=rpms(OURS, "vdsm", "vdsm-new"), previous=rpms(OLD, "vdsm", "vdsm-new")
    )
    planned = steps.plan(given)
    assert planned[4].sentence == "downgrade to our previous release"
    assert planned[4].words == ("vdsm-4.16.30-0.el6.label.904.noarch",)
    assert planned[6].words == ("vdsm-new-4.16.30-0.el6.label.905.noarch",)
    assert planned[-1].expected == given.ours


def test_an_epoch_stands_where_both_clients_take_it():
    (step, *_) = steps.plan(trial(ours=(rpm("vdsm", epoch=2),)))
    assert step.words == ("vdsm-2:4.16.30-0.el6.label.905.noarch",)


def test_a_host_meets_what_the_sets_do_not_provide_under_any_version():
    own = Evr(version="4.16.30", release=OURS)
    headers = [
        header(
            requires="libvirt >= 1.0, /bin/sh, vdsm-python = 9, rpmlib(FileDigests) <= 4.6.0-1, (a if b),"
            f" vdsm-gone = {own}, vdsm-other = 4, /usr/share/own",
            files={"/usr/share/own": PackagedFile(digest="", mode="100644", owner="root:root", size_bytes=0)},
        ),
        header("vdsm-python", provides="vdsm-python = 4.16.30-0.el6"),
    ]
    found = requirements.of_the_host(headers)
    assert [str(each) for each in found if each.name != "(a"] == ["/bin/sh", "libvirt >= 1.0", "vdsm-other = 4"]


@pytest.mark.parametrize(
    ("required", "conflicts", "provided"),
    [
        (["a"], "", ["a"]),
        (["a >= 1.0-2"], "", ["a = 1.0-2"]),
        (["a > 1.0-2"], "", ["a = 1.0-2.1"]),
        (["a > 1.0"], "", ["a = 1.0.1"]),
        (["a < 3.8.0", "a"], "", ["a = 0"]),
        (["a <= 2:1-1"], "", ["a = 2:1-1"]),
        (["a >= 1.3", "a >= 1.2.3-5"], "", ["a = 1.3"]),
        (["a >= 1", "a < 2"], "", ["a = 1"]),
        (["a = 1", "a = 2"], "", ["a = 1", "a = 2"]),
        (["a", "b >= 1"], "", ["a", "b = 1"]),
        (["a"], "a < 3", ["a"]),
        (["a"], "a", []),
        (["a >= 1"], "a < 3", ["a = 3"]),
        (["a >= 1"], "a <= 3-1", ["a = 3-1.1"]),
        (["python(abi) = 2.6"], "", ["python(abi) = 2.6"]),
    ],
)
def test_one_version_meets_all_and_hits_no_conflict(required, conflicts, provided):
    given = [dependency(each) for each in required]
    found = requirements.provided_for(given, [header(conflicts=conflicts)])
    if conflicts == "a":  # nothing helps: the client shall tell it
        assert [str(each) for each in found] == ["a"]
    else:
        assert [str(each) for each in found] == provided


def test_names_are_no_macros_in_the_stand_in_s_spec():
    assert "Provides: odd(%%{lua:x}) = 1\n" in standin.spec_text([dependency("odd(%{lua:x}) = 1")])


FILES = {
    "/etc/a": PackagedFile(digest="", mode="100644", owner="root:root", size_bytes=0),
    "/var/b": PackagedFile(digest="", mode="100644", owner="vdsm:kvm", size_bytes=0),
    "/var/c d": PackagedFile(digest="", mode="104755", owner="vdsm:kvm", size_bytes=0),
}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", []),
        (".....UG..    /var/b", []),
        (".M...UG..  c /var/c d", []),
        ("warning: something", []),
        (".M...UG..    /var/b", ["/var/b differs from its package: mode"]),
        (".....U...    /etc/a", ["/etc/a differs from its package: owner"]),
        ("S.5....T.  c /etc/a", ["/etc/a differs from its package: size, digest, time"]),
        ("..?......    /var/b", ["/var/b differs from its package: unreadable"]),
        ("S.5....T     /etc/a", ["/etc/a differs from its package: size, digest, time"]),
        ("missing     /etc/a", ["missing     /etc/a"]),
        ("Unsatisfied dependencies for vdsm-1:", ["Unsatisfied dependencies for vdsm-1:"]),
    ],
)
def test_only_what_a_clean_root_cannot_have_may_differ(line, told):
    complaints = state.wrong_files(f"{line}\n\n", {"vdsm": header(files=FILES)})
    assert [complaint.text for complaint in complaints] == told


def test_what_rpm_s_query_says():
    told = "vdsm\t0\t4.16.30\t0.el6\tnoarch\t17\nnonsense\ngpg-pubkey\t0\t1\t2\t(none)\t3\n"
    assert [(each.nevra, each.transaction) for each in state.read_query(told)] == [
        ("vdsm-4.16.30-0.el6.noarch", "17"),
        ("gpg-pubkey-1-2.(none)", "3"),
    ]


def test_packages_are_there_at_their_release_and_no_others_of_the_sets():
    installed = state.read_query(
        "a\t0\t4.16.30\t0.el6\tnoarch\t1\nb\t0\t4.16.30\t0.el6\tnoarch\t1\nhost\t0\t1\t1\tnoarch\t1\n"
    )
    expected = rpms(OURS, "a", "c")
    found = {each.package: each.text for each in state.wrong_packages(installed, expected, {"a", "b", "c"})}
    assert found["a"].endswith("(rpm's order is 4.16.30-0.el6 < 4.16.30-0.el6.label.905)")
    assert found["c"] == "c-4.16.30-0.el6.label.905.noarch is not installed"
    assert found["b"].startswith("b-4.16.30-0.el6.noarch stays installed")
    assert found.keys() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", "it said nothing"),
        ("$ dnf install a  (in /conflicts with)\nError: it broke\n", "it broke"),
        ("Error: \n Problem: a\n  - nothing provides b needed by a-2\n(try to)", "nothing provides b needed by a-2"),
        ("Error: Package: a-1 (ours0)\n      Requires: b\n You could try --x", "Package: a-1 (ours0); Requires: b"),
        ("one\ntwo\nthree\nfour\n", "two; three; four"),
    ],
)  # fmt: skip
def test_the_client_s_own_reason(output, told):
    assert reason.reason(output) == told


def test_the_longest_name_is_the_package_meant():
    sets = rpms(OURS, "vdsm", "vdsm-cli", "lib+c")
    assert reason.package_in("package vdsm-cli conflicts", sets) == "vdsm-cli"
    assert reason.package_in(f"vdsm-4.16.30-{OURS}.noarch is bad", sets) == "vdsm"
    assert reason.package_in("lib+c is bad", sets) == "lib+c"
    assert reason.package_in("libvdsm and vdsmd", sets) == ""


def test_every_scriptlet_is_named_as_a_spec_does():
    headers = [header(scriptlets=("prein", "postin", "preun", "posttrans", "triggerin libvirt >= 1, mom"))] * 2
    assert proof.left_out(headers) == tuple(
        ("vdsm", word) for word in ("%post", "%posttrans", "%pre", "%preun", "%triggerin -- libvirt >= 1, mom")
    )


def test_the_client_s_configuration_checks_ours_twice_and_nothing_is_the_host_s():
    text = config_text(["file:///r%20r"], keys=["file:///a", "file:///b"], others=["file:///stand-in"])
    main, ours, other = text.split("\n[")
    assert "gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///a file:///b\n" in ours
    assert "gpgcheck=0\nrepo_gpgcheck=0\n" in other
    assert "tsflags=noscripts notriggers\n" in main
    assert "reposdir=/nonexistent\n" in main


def test_a_package_that_does_not_lie_where_it_is_named(tmp_path):
    with pytest.raises(VerifyError, match="names vdsm-4.16.30-0.el6.label.905.noarch and has no noarch/vdsm"):
        path_of(Trial(repository_dir=tmp_path, vendor=(), ours=(), previous=(), key_paths=()), rpm("vdsm"))
