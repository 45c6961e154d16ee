# SPDX-License-Identifier: GPL-2.0-or-later
"""The host kit's commands and texts: exact lists, what nobody told, and names that would do something in a shell."""

from __future__ import annotations

import json
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from pipeline.hostkit import kit, playbook, repofile, runbook, sets, shell, trust, yamltext
from pipeline.hostkit.steps import Kit, Step
from pipeline.mirrors import handouts
from pipeline.mirrors.facts import Channel, RepositoryFacts
from pipeline.mirrors.places.local import Directory
from pipeline.mirrors.places.remote import Remote
from pipeline.mirrors.sets import Sets, left_out, sets_of
from pipeline.model import Evr, PublishedRpm
from pipeline.settings import read_settings
from pipeline.settingtables import SigningSettings

ROOT_DIR = Path(__file__).parents[2]
FINGERPRINTS = ("0123456789ABCDEF0123456789ABCDEF01234567", "89ABCDEF0123456789ABCDEF0123456789ABCDEF")
ARMORED = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"
HOSTILE = "a'b; touch {{ lookup('pipe', 'id') }} $(touch /x) `x` \" \\ %{NAME} # !unsafe"


class _Loader(yaml.SafeLoader):
    """`!unsafe` is a text."""


_Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def _rpm(name: str, release: str, source: str = "vdsm", arch: str = "noarch", epoch: int = 0) -> PublishedRpm:
    evr = Evr(epoch=epoch, version="4.16.30", release=release)
    return PublishedRpm(
        name=name, evr=evr, arch=arch, href=f"{arch}/{name}.rpm", size_bytes=1, sha256="0", source=source
    )


def _facts(*rpms: PublishedRpm, kind: str = "local") -> RepositoryFacts:
    """Of a folder of this machine (`local`), of a place that no reader has a url for (`ssh`), or of one by `web`."""
    address = "/srv/yum/el6" if kind == "local" else "host.example.org:/srv/yum/el6"
    url = "https://mirror.example.org/el6" if kind == "web" else ""
    place = (Directory if kind == "local" else Remote)(
        address=address, url=url, timeout_seconds=1, scratch_dir=Path("/tmp")
    )
    channel = Channel(settings=read_settings(ROOT_DIR, environ={}), target_name="el6", places=(place,))
    return RepositoryFacts(
        channel=channel, revision=7, packages=rpms, sets=sets_of(rpms, rpms), fingerprints=FINGERPRINTS, log=()
    )


def _state(source: str = "vdsm") -> tuple[PublishedRpm, ...]:
    releases = ("0.el6", "0.el6.label.904", "0.el6.label.905")
    return tuple(
        _rpm(name, release, source=source, arch=arch)
        for release in releases
        for name, arch in (("vdsm", "x86_64"), ("vdsm-cli", "noarch"), ("vdsm-debuginfo", "x86_64"), ("vdsm", "src"))
    )


def hostile_facts(kind: str = "local") -> RepositoryFacts:
    vendor = replace(_rpm(HOSTILE, "x"), evr=Evr(version=HOSTILE, release="0.el6"))
    ours = _rpm(HOSTILE, "0.el6.label.905")
    return replace(_facts(ours, vendor, kind=kind), sets=Sets(ours=(ours,), vendor=(vendor,)))


def _kit(facts: RepositoryFacts) -> Kit:
    made = kit.of(facts, ARMORED)
    assert made is not None
    return made


def _values(text: str) -> dict:
    values: dict = yaml.load(text, _Loader)[0]["vars"]
    return values


def test_the_exact_packages_of_the_state_and_none_that_hosts_do_not_have() -> None:
    made = _kit(_facts(*_state()))
    assert list(made.ways) == ["upgrade", "vendor", "previous"]
    assert made.ways["upgrade"].move.command == "yum -y upgrade 'vdsm*'"
    assert made.ways["vendor"].move.command == (
        "yum -y downgrade $(rpm -qa --qf '%{NAME}-4.16.30-0.el6.x86_64\\n' vdsm) \\\n"
        "  $(rpm -qa --qf '%{NAME}-4.16.30-0.el6.noarch\\n' vdsm-cli)"
    )
    assert [step.prints for step in made.ways["previous"].arrived] == [("4.16.30-0.el6.label.904",)]
    assert "debuginfo" not in playbook.text(made) + runbook.text(made)


def test_back_to_before_our_release_is_the_vendor_s_set_for_a_package_that_came_with_it() -> None:
    new = (_rpm("greet", "1.el6", source="greet"), _rpm("greet", "1.el6.label.1", source="greet"))
    made = _kit(_facts(*_state(), *new))
    back = made.ways["previous"]
    assert {(rpm.name, rpm.evr.release) for rpm in back.packages} == {
        ("vdsm", "0.el6.label.904"),
        ("vdsm-cli", "0.el6.label.904"),
        ("greet", "1.el6"),
    }
    assert back.first == (), "no package stays behind, and none is removed"
    assert "previous" not in _kit(_facts(*new)).ways, "without a release before, the vendor's set is all there was"


def test_playbook_and_page_have_the_same_commands() -> None:
    made = _kit(_facts(*_state()))
    page, values = runbook.text(made), _values(playbook.text(made))
    steps = [made.installed, *made.idle, *made.key, made.repository, made.fresh, made.off]
    for name, way in made.ways.items():
        steps += [*way.first, way.move, *way.newer, *way.arrived, *way.running]
        assert values["ways"][name]["move"]["command"] == way.move.command
    told = json.dumps(values)
    for step in steps:
        assert f"\n{step.command}\n" in page
        assert json.dumps(step.command) in told


@pytest.mark.parametrize("made", [playbook.text, runbook.text])
def test_a_package_of_which_nothing_is_told_has_the_general_steps_alone(made) -> None:
    facts = _facts(*(replace(rpm, source="other") for rpm in _state()))
    text = made(_kit(facts))
    assert "vdsmd" not in text
    assert "Engine" not in text


def test_several_sources_may_be_of_several_releases() -> None:
    other = [_rpm("mom", release, source="mom", epoch=1) for release in ("1.el6", "1.el6.label.3")]
    made = _kit(_facts(*_state(), *other))
    assert made.ways["upgrade"].move.command == "yum -y upgrade 'mom*' 'vdsm*'"
    assert [step.prints for step in made.ways["upgrade"].arrived] == [
        ("1:4.16.30-1.el6.label.3", ""),
        ("4.16.30-0.el6.label.905", ""),
    ]
    assert "mom; else" not in made.ways["vendor"].move.command
    assert "%{NAME}-1\\:4.16.30-1.el6.noarch" in made.ways["vendor"].move.command


def test_a_package_that_the_way_back_lacks_is_told_before() -> None:
    made = _kit(_facts(*_state(), _rpm("vdsm-new", "0.el6.label.905")))
    assert [step.command for step in made.ways["vendor"].first] == ["rpm -qa --qf '%{NAME}\\n' vdsm-new"]
    assert made.ways["upgrade"].first == ()


def test_a_state_without_a_way_back_has_none() -> None:
    made = _kit(_facts(_rpm("vdsm", "0.el6.label.905")))
    assert list(made.ways) == ["upgrade"]
    assert "==== 4" not in runbook.text(made)


def test_a_state_without_a_release_of_ours_says_so() -> None:
    texts = handouts.host_kit(_facts(_rpm("vdsm", "0.el6")), ARMORED.encode())
    assert {*texts} == {"hosts.repo", "hosts.txt", "hosts.yml"}
    assert b"no release of ours" in texts["hosts.txt"]
    assert "no release of ours" in str(yaml.safe_load(texts["hosts.yml"]))


def test_an_address_that_nobody_told_is_asked_for(tmp_path: Path) -> None:
    made = _kit(_facts(*_state(), kind="ssh"))
    assert made.base_url == ""
    page = runbook.text(made)
    assert "# Where hosts find the repository: write its address here" in page
    assert "Nobody told it." in page.replace("\n# ", " ")
    assert _values(playbook.text(made))["known_address"] == ""
    _given_address_wins(made.repository, tmp_path)


def _given_address_wins(step: Step, tmp_path: Path) -> None:
    """The file has the address of the shell's variable, is known again then, and no more once it is changed."""
    folder = tmp_path / "yum.repos.d"
    folder.mkdir()
    path = folder / "vdsm-patched.repo"
    there, write = (text.replace("/etc/yum.repos.d", str(folder)) for text in (step.unless, step.command))
    script = f"baseurl=https://mirror.example.org/el6\nif {there}; then echo early; fi\n{write}\n{there} && echo late\n"
    script += f"sed -i s/enabled=1/enabled=0/ {path}\n{there} || echo off"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "late\noff\n"
    assert "\nbaseurl=https://mirror.example.org/el6/\n" in path.read_text()
    assert "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-vdsm-patched\n" in path.read_text()


def test_a_folder_of_the_publishing_machine_is_told_and_another_address_wins(tmp_path: Path) -> None:
    made = _kit(_facts(*_state()))
    page = runbook.text(made)
    assert "This is a folder of the machine that published it." in page.replace("\n# ", " ")
    assert '\n: "${baseurl:=file:///srv/yum/el6}"\n' in page
    assert "file:///srv" not in made.repository.command
    _given_address_wins(made.repository, tmp_path)


def test_an_address_that_is_given_wins_over_a_mirrorlist(tmp_path: Path) -> None:
    made = _kit(_facts(*_state(), kind="web"))
    assert "mirrorlist=https://mirror.example.org/el6/mirrorlist" in made.repository.command
    assert "baseurl=" not in runbook.text(made)
    assert "mirrorlist" not in made.repository_elsewhere.command
    _given_address_wins(made.repository_elsewhere, tmp_path)


def test_whoever_reads_the_kit_of_a_stand_in_is_warned() -> None:
    facts = _facts(*_state())
    stand_in = replace(facts, channel=replace(facts.channel, target_name="el6-bullseye"))
    for text in (runbook.text(_kit(stand_in)), playbook.text(_kit(stand_in)), repofile.text(stand_in)):
        told = text.replace("\n# ", " ")
        assert "WARNING: These packages prove the patches and the packaging" in told
        assert "WARNING: The packages are signed with a key for trying" in told
    settings = facts.channel.settings.model_copy(update={"signing": SigningSettings(key_file="/k/key.asc")})
    known = _facts(*_state(), kind="web")
    assert "WARNING" not in runbook.text(_kit(replace(known, channel=replace(known.channel, settings=settings))))


def test_hosts_with_a_release_that_was_rolled_back_come_back_to_the_exact_packages() -> None:
    (newer,) = _kit(_facts(*_state())).ways["upgrade"].newer
    assert newer.command == (
        "yum -y downgrade $(rpm -qa --qf '%{NAME}-4.16.30-0.el6.label.905.x86_64\\n' vdsm) \\\n"
        "  $(rpm -qa --qf '%{NAME}-4.16.30-0.el6.label.905.noarch\\n' vdsm-cli)"
    )
    assert "in 4.16.30-0.el6.label.905) ;;" in newer.unless


def test_yum_takes_no_key_from_the_mirror() -> None:
    command = _kit(_facts(*_state())).repository.command
    assert "\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-vdsm-patched\n" in command
    assert "keys.asc" not in command


def test_names_that_would_do_something_do_nothing(tmp_path: Path) -> None:
    made = _kit(hostile_facts())
    program = tmp_path / "rpm"
    program.write_text('#!/bin/sh\nfor each; do printf "%s\\0" "$each"; done >>args\n')
    program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for step in (made.installed, *made.ways["upgrade"].arrived, *made.ways["vendor"].arrived):
        (tmp_path / "args").unlink(missing_ok=True)
        subprocess.run(["sh", "-c", step.command], cwd=tmp_path, env=env, check=False, capture_output=True)
        assert (tmp_path / "args").read_text().split("\0")[-2] == HOSTILE
    assert not Path("/x").exists()
    values = _values(playbook.text(made))
    assert values["installed"]["command"] == made.installed.command
    assert all(line[:1] == "#" for line in runbook.text(made).splitlines() if "====" in line)


@pytest.mark.parametrize(
    "odd",
    [
        _rpm("--pipe=touch /tmp/x", "0.el6"),
        _rpm("*", "0.el6"),
        _rpm("vdsm-cli", "0.demo --nogpgcheck"),
        _rpm("vdsm-cli", "9 --nogpgcheck.label.904"),
        _rpm("vdsm-cli", "0.el6", arch="x86_64 --nogpgcheck"),
        _rpm("vdsm-odd", "0.el6.label.905", source="--pipe=touch /tmp/x"),
        _rpm("--pipe=touch /tmp/x", "0.el6.label.905", source="*"),
    ],
    ids=lambda rpm: rpm.nevra,
)
def test_what_no_command_could_name_is_left_out_and_told(odd: PublishedRpm) -> None:
    facts = _facts(*_state(), odd)
    assert odd in facts.packages
    texts = handouts.host_kit(facts, ARMORED.encode())
    assert texts == handouts.host_kit(_facts(*_state()), ARMORED.encode())
    assert odd.nevra in left_out(facts.packages)
    assert left_out(_state()) == ""


def test_whatever_has_braces_is_no_template() -> None:
    facts = _facts(*_state())
    braces = {
        each.name: tuple(replace(rpm, name=f"{rpm.name}-{{{{ x }}}}") for rpm in getattr(facts.sets, each.name))
        for each in fields(Sets)
    }
    text = playbook.text(_kit(replace(facts, sets=Sets(**braces))))
    data = text[text.index("    known_address:") : text.index("  tasks:")]
    loaded = yaml.compose(f"vars:\n{data}")

    def scalars(node: yaml.Node):
        for part in node.value if isinstance(node.value, list) else ():
            for each in part if isinstance(part, tuple) else (part,):
                yield from scalars(each) if isinstance(each.value, list) else (each,)

    braced = [each for each in scalars(loaded) if "{" in each.value]
    assert len(braced) >= 10
    assert {each.tag for each in braced} == {"!unsafe"}


@pytest.mark.parametrize(
    "text",
    ["", " a", "a ", "a\nb", "a\n\n  b\n# c", "a\n", "\na", "\x85", "é\nb", "- a", "yes", "{{ a }}", "a " * 90 + "a",
     "a  " * 90 + "a", "\t", "a\n b\t", "'", '"', "\\", "a: b", "...", "---\n---", "\u2028", "a\r\nb",
     "a\U0001f4e6", "{\U0010ffff\\U"],
)  # fmt: skip
def test_every_text_comes_back_from_yaml(text: str) -> None:
    lines = yamltext.lines({"a": text, "b": [text, {"c": text, "d": [text]}], "e": {"f": text}, "g": True, "h": []})
    expected = {"a": text, "b": [text, {"c": text, "d": [text]}], "e": {"f": text}, "g": True, "h": []}
    assert yaml.load("\n".join(lines), _Loader) == expected


def test_a_file_is_written_whole_and_known_again(tmp_path: Path) -> None:
    path, content = str(tmp_path / "a b"), "x $HOME `y` \\\nEND\n"
    script = f"{shell.write(path, content)}\n{shell.holds(path, content)} && echo same"
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "same\n"
    assert Path(path).read_text() == content


def test_keys_are_believed_after_their_fingerprints_were_seen() -> None:
    put, compare, believe = trust.keys("ours", ARMORED, FINGERPRINTS)
    assert compare.prints == ("\n".join(FINGERPRINTS),)
    assert believe.command == "rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-ours"
    assert believe.unless == "rpm -q gpg-pubkey-01234567 gpg-pubkey-89abcdef >/dev/null"
    assert ARMORED in put.command


@pytest.mark.parametrize(("there", "code"), [("4.16.30-0.el6", 0), ("", 1), ("4.16.30-0.el6\n4.16.30-1.el6", 1)])
def test_whether_packages_are_there_is_asked_by_what_is_checked(there: str, code: int, tmp_path: Path) -> None:
    program = tmp_path / "rpm"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{there}'\n")
    program.chmod(0o755)
    asked = sets.have_arrived(sets.arrived((_rpm("vdsm", "0.el6"),)))
    done = subprocess.run(["sh", "-c", asked], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert done.returncode == code
