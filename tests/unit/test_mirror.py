# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a mirror is, and which packages stay on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import PublishError, SettingsError
from pipeline.mirrors import mirror
from pipeline.mirrors.destination import find_destination
from pipeline.mirrors.places.local import Directory
from pipeline.mirrors.places.remote import Remote
from pipeline.model import Evr, MirrorState, PublishedRpm
from pipeline.settings import Settings, read_settings

ROOT_DIR = Path(__file__).parents[2]


def settings_with(destination: str, *, out: Path = Path("/o/out"), offline: bool = False) -> Settings:
    return read_settings(ROOT_DIR, out=str(out), mirror=destination, offline=offline, environ={})


def configured_with(destination: str, *, out: Path = Path("/o/out"), ssh_command: str = "") -> Settings:
    settings = read_settings(ROOT_DIR, out=str(out), environ={})
    changed = settings.mirrors["local"].model_copy(update={"destination": (destination,), "ssh_command": ssh_command})
    return settings.model_copy(update={"mirrors": {"local": changed}})


@pytest.mark.parametrize(
    ("destination", "kind", "address"),
    [
        ("rsync://mirror.example.org/module", Remote, "rsync://mirror.example.org/module/el6"),
        ("rsync://me@mirror.example.org:8730/m/path/", Remote, "rsync://me@mirror.example.org:8730/m/path/el6"),
        ("rsync://[::1]:8730/m", Remote, "rsync://[::1]:8730/m/el6"),
        ("mirror.example.org:/srv/www", Remote, "mirror.example.org:/srv/www/el6"),
        ("me@mirror.example.org:www with space", Remote, "me@mirror.example.org:www with space/el6"),
        ("me@[2001:db8::1]:/srv", Remote, "me@[2001:db8::1]:/srv/el6"),
        ("host:/", Remote, "host:/el6"),
        ("/srv/a:b", Directory, "/srv/a:b/el6"),
        ("/srv/mirror/", Directory, "/srv/mirror/el6"),
    ],
)
def test_destinations(destination: str, kind: type, address: str) -> None:
    found = find_destination(settings_with(destination), "el6")
    assert (type(found), found.address) == (kind, address)


@pytest.mark.parametrize(
    "destination",
    [
        "http://mirror.example.org/repo",
        "ssh://mirror.example.org/srv",
        "file:///srv",
        "mirror.example.org::module",
        "rsync://mirror.example.org",
        "rsync://mirror.example.org/",
        "rsync:///module",
        "rsync://me:secret@mirror.example.org/module",
        "rsync://-oProxyCommand=touch x/module",
        "-oProxyCommand=touch x:/srv",
        "me@-oProxyCommand:/srv",
        "host:",
        "/srv/a\nb",
    ],
)
def test_what_is_no_destination(destination: str) -> None:
    with pytest.raises(SettingsError, match="is no destination for a mirror") as raised:
        find_destination(settings_with(destination), "el6")
    assert "rsync://[user@]host[:port]/module/path" in raised.value.hint


def test_a_flags_path_is_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_destination(settings_with("./x"), "el6").address == str(tmp_path / "x" / "el6")
    assert find_destination(settings_with("out/x"), "el6").address == str(tmp_path / "out" / "x" / "el6")


def test_a_configured_path_below_out_follows_the_out_directory() -> None:
    assert find_destination(configured_with("out/mirror"), "el6").address == "/o/out/mirror/el6"
    assert find_destination(configured_with("outer/mirror"), "el6").address == str(ROOT_DIR / "outer/mirror/el6")


@pytest.mark.parametrize("name", [".work/m", ".cache", ".key/m", "demo/repo", "el6", "../out/demo"])
def test_a_mirror_in_a_folder_of_our_own_is_refused(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = name.removeprefix("../out/").partition("/")[0]
    for settings in (configured_with(f"out/{name}", out=out), settings_with(str(out / name), out=out)):
        with pytest.raises(SettingsError, match=f"/out/{name}/el6 is inside .*/out/{own}, ") as raised:
            find_destination(settings, "el6")
        assert raised.value.hint == f"name another folder as destination, as {out}/mirror"


def test_the_out_directory_itself_is_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is inside .*/out/el6"):
        find_destination(configured_with("out", out=tmp_path / "out"), "el6")
    (tmp_path / "way").symlink_to("out")
    with pytest.raises(SettingsError, match="is inside .*/out/el6"):
        find_destination(settings_with(str(tmp_path / "way"), out=tmp_path / "out"), "el6")


def test_ssh_command_is_for_ssh_only() -> None:
    assert find_destination(configured_with("host:/srv", ssh_command="ssh -p 1"), "el6").ssh_command == "ssh -p 1"
    assert find_destination(configured_with("rsync://h/m", ssh_command="ssh -p 1"), "el6").ssh_command == ""


@pytest.mark.parametrize("destination", ["rsync://mirror.example.org/module", "host:/srv"])
def test_offline_refuses_what_is_elsewhere(destination: str) -> None:
    with pytest.raises(PublishError, match=f"{destination} is not on this machine, and --offline was given"):
        mirror.read_state(settings_with(destination, offline=True), "el6")


def test_offline_takes_a_directory(tmp_path: Path) -> None:
    state = mirror.read_state(settings_with(str(tmp_path), offline=True), "el6")
    assert state == MirrorState(destination=str(tmp_path / "el6"))


@pytest.mark.parametrize(
    ("release", "is_demo"),
    [
        ("0.demo.ours.904", True),
        ("0.demo", True),
        ("0.el6.ours.904", False),
        ("0.demolition.1", False),
    ],
)
def test_demo(release: str, is_demo: bool) -> None:
    rpm = published(release=release)
    assert mirror.is_demo(rpm) == is_demo


def test_demo_stays_on_this_machine() -> None:
    mirror.refuse_demo("a-1-0.demo.noarch", find_destination(settings_with("/srv"), "demo"))
    with pytest.raises(PublishError, match="a-1-0.demo.noarch is made from the demo, and host:/srv/demo is not a dir"):
        mirror.refuse_demo("a-1-0.demo.noarch", find_destination(settings_with("host:/srv"), "demo"))


def published(*, release: str = "1") -> PublishedRpm:
    evr = Evr(version="1.0", release=release)
    return PublishedRpm(name="a", evr=evr, arch="noarch", href="noarch/a.rpm", size_bytes=1, sha256="0" * 64)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"7", b"\xff", b"[" * 100_000, b'{"a": "b"}', b'{"../a": 1}', b'{"..": 1}']
)
def test_hints_for_readers_under_way_that_nobody_can_read_are_none(content: bytes) -> None:
    assert mirror.read_carried(content) == {}
    assert mirror.read_carried(b'{"a.xml.gz": 7}') == {"a.xml.gz": 7}


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_told_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mirror" / "el6" / "repodata" / "repomd.xml"
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    settings = settings_with(str(tmp_path / "mirror"), out=tmp_path / "out")
    with pytest.raises(PublishError, match="cannot be read: .*/repodata/repomd.xml is no file"):
        mirror.read_state(settings, "el6")
