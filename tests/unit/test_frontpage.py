# SPDX-License-Identifier: GPL-2.0-or-later
"""The page and the feed of a repository, from metadata that is made for the test; the patches as mails."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import createrepo_c
import feedparser
import pytest

from pipeline.attestation import patchmails, sbom, statement
from pipeline.frontpage import contents, feed, history, page, series
from pipeline.hostkit import repofile, sets
from pipeline.mirrors import layout, repodata
from pipeline.mirrors.destination import find_destinations
from pipeline.mirrors.facts import Channel, RepositoryFacts, facts_of
from pipeline.model import Evr, LogEntry, PublishedRpm
from pipeline.proof.trial import for_hosts
from pipeline.settings import read_settings
from pipeline.settingtables import MirrorSettings, SigningSettings

ROOT_DIR = Path(__file__).parents[2]
PATCHES = [path.read_bytes() for path in sorted((ROOT_DIR / "patches" / "vdsm").glob("*.patch"))]
NAMED = [hashlib.sha256(patch).hexdigest()[:12] for patch in PATCHES]
NASTY = "<script>alert(1)</script>&\"'\x1b[31m\x07\u202e"
OURS = "0.el6.ours.904"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def package(
    name: str = "vdsm",
    release: str = OURS,
    arch: str = "noarch",
    *,
    source: str = "vdsm",
    changes: Iterable[tuple[str, int, str]] = (),
    patches: Iterable[str] = (),
    built: int = 1448193600,
) -> createrepo_c.Package:
    made = createrepo_c.Package()
    made.pkgId = hashlib.sha256(f"{name} {release} {arch}".encode()).hexdigest()
    made.name, made.epoch, made.version, made.release, made.arch = name, "0", "4.16.30", release, arch
    made.checksum_type, made.summary, made.time_build, made.size_package = "sha256", "A part", built, 12_345
    folder = "SRPMS" if arch == "src" else arch
    made.location_href = f"{folder}/{name}-4.16.30-{release}.{arch}.rpm"
    if arch != "src":
        made.rpm_sourcerpm = f"{source}-4.16.30-{release}.src.rpm"
    made.provides = [(f"patch(vdsm-{number})", "EQ", "0", digest, None, False) for number, digest in enumerate(patches)]
    made.changelogs = list(changes)
    return made


def write_metadata(snapshot_dir: Path, packages: list[createrepo_c.Package]) -> None:
    folder = snapshot_dir / "repodata"
    folder.mkdir(parents=True)
    repomd = createrepo_c.Repomd()
    for kind, of in (("primary", createrepo_c.PrimaryXmlFile), ("filelists", createrepo_c.FilelistsXmlFile),
                     ("other", createrepo_c.OtherXmlFile)):  # fmt: skip
        path = folder / f"{kind}.xml.gz"
        file = of(str(path))
        file.set_num_of_pkgs(len(packages))
        for each in packages:
            file.add_pkg(each)
        file.close()
        record = createrepo_c.RepomdRecord(kind, str(path))
        record.fill(createrepo_c.SHA256)
        repomd.set_record(record)
    (folder / "repomd.xml").write_text(repomd.xml_dump())


def entry(revision: int = 7, **more: object) -> LogEntry:
    said = {"action": "publish", "repomd_sha256": "a" * 64, "who": "ci@builder", "releases": (("vdsm", "1-904"),)}
    return LogEntry(revision=revision, time=f"2026-01-01T00:00:{revision % 60:02}Z", **{**said, **more})


@pytest.fixture
def make(tmp_path: Path):
    """A function that makes the facts of a state, whose metadata then lies in `snapshots/7`."""

    def facts(
        packages: list[createrepo_c.Package], log: Iterable[LogEntry] = (entry(),), *, url: str = "", to: str = ""
    ) -> RepositoryFacts:
        write_metadata(tmp_path / "snapshots" / "7", packages)
        settings = read_settings(ROOT_DIR, out=str(tmp_path / "out"), environ={})
        places = (to or str(tmp_path / "mirror"),)
        mirror = MirrorSettings(destination=places, **({"url": (url,)} if url else {}))
        settings = settings.model_copy(update={"mirrors": {"local": mirror}})
        channel = Channel(settings=settings, target_name="el6", places=find_destinations(settings, "el6"))
        path = next((tmp_path / "snapshots" / "7" / "repodata").glob("*primary*"))
        return facts_of(channel, 7, repodata.read_packages(path, "here"), [FINGERPRINT], list(log))

    return facts


@pytest.fixture
def snapshot_dir(tmp_path: Path) -> Path:
    return tmp_path / "snapshots" / "7"


def release(*more: createrepo_c.Package, **wishes: object) -> list[createrepo_c.Package]:
    return [package(**wishes), package(arch="src", **wishes), *more]


class Tags(HTMLParser):
    """The tags of a page, its links, and its text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


class TestPage:
    def test_it_tells_what_hosts_get_how_and_whom_to_trust(self, make, snapshot_dir: Path) -> None:
        vendor = package(release="0.el6")
        facts = make([*release(), vendor], url="https://mirror.example.org/stable")
        words = Tags(page.make(facts, snapshot_dir)).words
        for text in (
            f"vdsm 4.16.30-{OURS}", "vdsm 4.16.30-0.el6.", "0123 4567 89AB", "yum upgrade vdsm\\*",
            "curl -o /etc/yum.repos.d/vdsm-patched.repo https://mirror.example.org/stable/el6/hosts.repo",
            "mirrorlist=https://mirror.example.org/stable/el6/mirrorlist", "2015-11-22", "12.3 kB", "by ci@builder",
        ):  # fmt: skip
            assert text in words

    def test_the_same_state_is_the_same_bytes(self, make, snapshot_dir: Path) -> None:
        facts = make(release())
        assert page.make(facts, snapshot_dir) == page.make(facts, snapshot_dir)
        assert feed.make(facts) == feed.make(facts)

    def test_links_stay_inside_and_nothing_runs(self, make, snapshot_dir: Path) -> None:
        odd = package(name="javascript:alert(1)//x y%#?")
        tags = Tags(page.make(make([*release(), odd]), snapshot_dir))
        assert "script" not in tags.tags
        assert [link for link in tags.links if ":" in link and link != "data:,"] == []
        assert any("y%25%23%3F" in link for link in tags.links)

    def test_markup_is_shown_as_text(self, make, snapshot_dir: Path) -> None:
        plain = NASTY.replace("\x1b", "").replace("\x07", "")  # which XML has no place for
        nasty = release(name=plain, source=plain, changes=[(plain, 1448193600, plain)])
        log = [entry(6), entry(detail=NASTY, who=NASTY, releases=((NASTY, NASTY),))]
        made = page.make(make(nasty, log), snapshot_dir)
        tags = Tags(made)
        assert "script" not in tags.tags
        assert "<script>alert(1)</script>&\"'" in tags.words
        assert "\\x1b[31m\\x07\\x202e" in tags.words
        assert not any(ord(char) < 32 and char not in "\n\t" for char in made.decode())
        assert "yum upgrade '<script>" not in tags.words  # no command names it

    def test_where_nobody_told_an_address_it_says_so(self, make, snapshot_dir: Path) -> None:
        words = Tags(page.make(make(release(), to="rsync://me@127.0.0.1:1/secret"), snapshot_dir)).words
        assert "Nobody told the pipeline where hosts find this" in words
        assert "baseurl=https://MIRROR/el6/" in words
        assert "127.0.0.1" not in words

    def test_a_state_of_others_alone_has_a_page(self, make, snapshot_dir: Path) -> None:
        many = [package(name=f"other{number}", release="1", source="other") for number in range(2100)]
        made = page.make(make(many, [entry(6, action="adopt", releases=()), entry(releases=())]), snapshot_dir)
        tags = Tags(made)
        assert "No release of ours" in tags.words
        assert "100 more packages not shown here" in tags.words
        assert tags.tags.count("tr") == 2000 + 1 + 1 + 2
        assert "yum downgrade" not in tags.words

    def test_a_long_log_is_cut_and_counted(self, make, snapshot_dir: Path) -> None:
        facts = make(release(), [entry(number) for number in range(1, 301)])
        words = Tags(page.make(facts, snapshot_dir)).words
        assert "250 more before these" in words
        assert "-s rollback -- --target el6 --mirror local --to 299" in words
        assert len(feedparser.parse(feed.make(facts)).entries) == 50

    def test_a_rollback_is_suggested_to_what_the_last_change_came_upon(self, make, snapshot_dir: Path) -> None:
        log = [entry(1, releases=(("vdsm", "1-903"),)), entry(2), entry(3, releases=(("vdsm", "1-905"),)),
               entry(4, action="rollback", detail="to 2", releases=())]  # fmt: skip
        words = Tags(page.make(make(release(), log), snapshot_dir)).words
        assert "To let vdsm 1-903 stand again" in words
        assert "--to 1\n" in words
        assert "rolled back to 2 (vdsm 1-904)" in words
        assert ".venv/bin/nox -s snapshots -- --target el6 --mirror local\n" in words

    def test_hosts_that_are_newer_get_the_command_of_the_kit(self, make, snapshot_dir: Path) -> None:
        facts = make([*release(), package(release="0.el6")])
        words = Tags(page.make(facts, snapshot_dir)).words
        for rpms in (facts.sets.ours, facts.sets.vendor):
            assert sets.downgrade(for_hosts(rpms)).command in words

    def test_a_stand_in_and_a_key_for_trying_are_warned_of(self, make, snapshot_dir: Path) -> None:
        facts = make(release(), url="https://mirror.example.org")
        signing = SigningSettings(key_file="/keys/key.asc")
        settings = facts.channel.settings.model_copy(update={"signing": signing})
        fit = replace(facts, channel=replace(facts.channel, settings=settings))
        assert "is what hosts get here" in Tags(page.make(fit, snapshot_dir)).words
        words = Tags(page.make(facts, snapshot_dir)).words
        assert "is what stands here" in words and "signed with a key for trying" in words
        stand_in = replace(fit, channel=replace(fit.channel, target_name="el6-bullseye"))
        assert "CentOS 6 hosts refuse them" in Tags(page.make(stand_in, snapshot_dir)).words

    def test_who_built_the_vendor_s_is_told(self, make, snapshot_dir: Path) -> None:
        detail = "the vendor's: built from vdsm-4.16.30-0.el6.src.rpm (sha256 00) by this pipeline"
        facts = make([*release(), package(release="0.el6")], [entry(6, detail=detail), entry()])
        assert (
            "The vendor's packages, rebuilt here from the vendor's source" in Tags(page.make(facts, snapshot_dir)).words
        )
        fetched = replace(facts, log=(entry(6, detail="the vendor's: from the repository X"), entry()))
        assert "rebuilt" not in Tags(page.make(fetched, snapshot_dir)).words

    def test_a_place_without_a_name_is_not_told(self, make, snapshot_dir: Path) -> None:
        facts = make(release(), [entry(6), entry()])
        settings = facts.channel.settings.model_copy(update={"mirror_override": "me@host:/secret"})
        facts = replace(facts, channel=replace(facts.channel, settings=settings))
        words = Tags(page.make(facts, snapshot_dir)).words
        assert "--mirror DEST --to 6" in words
        assert "me@host" not in words

    def test_changes_are_those_of_our_newest_source_newest_first(self, make, snapshot_dir: Path) -> None:
        old = package(release="0.el6.ours.903", arch="src", changes=[("Old", 86400, "- of before")])
        new = release(changes=[("First", 86400, "- first"), ("Second", 2 * 86400, "- second")])
        words = Tags(page.make(make([old, *new]), snapshot_dir)).words
        assert words.index("- second") < words.index("- first")
        assert "- of before" not in words

    def test_a_thousand_packages_are_quick_and_small(self, make, snapshot_dir: Path) -> None:
        names = [f"vdsm-hook-with-a-rather-long-name-{number}" for number in range(998)]
        facts = make([*release(), *(package(name=name) for name in names)], [entry(number) for number in range(1, 201)])
        started = time.perf_counter()
        made = page.make(facts, snapshot_dir)
        assert time.perf_counter() - started < 1
        assert 200_000 < len(made) < 1_000_000
        assert names[-1] in made.decode()

    def test_metadata_that_cannot_be_read_costs_dates_and_changes_alone(self, make, snapshot_dir: Path) -> None:
        facts = make(release(changes=[("A", 86400, "- text")]))
        for path in (snapshot_dir / "repodata").glob("*.gz"):
            path.write_bytes(path.read_bytes()[:200])
        assert f"vdsm-4.16.30-{OURS}.noarch" in Tags(page.make(facts, snapshot_dir)).words

    @pytest.mark.parametrize("seconds", [-5, 0, 2**62])
    def test_a_time_that_is_none_is_left_out(self, seconds: int) -> None:
        assert contents.day(seconds) == ""


class TestFeed:
    def test_a_reader_of_feeds_finds_no_fault(self, make) -> None:
        log = [entry(5, action="adopt"), entry(6), entry(7, action="rollback", detail="to 5", releases=()),
               entry(8, action="promote", detail="5 from testing")]  # fmt: skip
        read = feedparser.parse(feed.make(make(release(), log, url="https://mirror.example.org")))
        assert not read.bozo
        assert [each.title for each in read.entries] == [
            "promoted vdsm 1-904", "rolled back to 5", "published vdsm 1-904"]  # fmt: skip
        assert {each.link for each in read.entries} == {"https://mirror.example.org/el6/"}
        assert read.feed.updated == log[-1].time
        assert all(each.id.startswith("urn:uuid:") for each in read.entries)

    def test_an_entry_keeps_its_id(self, make) -> None:
        facts = make(release(), [entry(5), entry(6)])
        before = feedparser.parse(feed.make(facts))
        after = feedparser.parse(feed.make(replace(facts, log=(*facts.log, entry(7)))))
        assert [each.id for each in before.entries] == [each.id for each in after.entries][1:]
        assert before.feed.id == after.feed.id

    def test_markup_and_control_characters_are_text(self, make) -> None:
        made = feed.make(make(release(), [entry(detail=NASTY, who=NASTY, releases=((NASTY, "1"),), commit=NASTY)]))
        ElementTree.fromstring(made)
        (only,) = feedparser.parse(made).entries
        assert "\\x1b[31m" in only.title

    def test_the_commit_of_a_rollback_is_that_of_what_stands_again(self, make) -> None:
        log = [entry(5, commit="aaa"), entry(6, commit="bbb"),
               entry(7, action="rollback", detail="to 5", releases=(), commit="ccc")]  # fmt: skip
        newest = feedparser.parse(feed.make(make(release(), log))).entries[0]
        assert "Made from commit aaa." in newest.summary + newest.content[0].value

    def test_what_others_published_alone_is_no_news(self, make) -> None:
        read = feedparser.parse(feed.make(make(release(), [entry(action="adopt")])))
        assert not read.bozo and not read.entries


class TestRepofile:
    def test_by_a_folder_of_this_machine(self, make, tmp_path: Path) -> None:
        text = repofile.text(make(release()))
        assert f"baseurl={(tmp_path / 'mirror' / 'el6').as_uri()}/\n" in text
        assert "gpgcheck=1\nrepo_gpgcheck=1\n" in text
        assert "el6 is a folder of the machine that published it." in text.replace("\n# ", " ")

    def test_a_name_cannot_add_a_line(self, make) -> None:
        facts = make(release())
        rpm = replace(facts.sets.ours[0], source="x\ngpgcheck=0")
        text = repofile.text(replace(facts, sets=replace(facts.sets, ours=(rpm,))))
        assert "\ngpgcheck=0" not in text


class TestPatches:
    def test_git_takes_them_all(self, tmp_path: Path) -> None:
        (tmp_path / "all.patches").write_bytes(patchmails.joined(PATCHES))
        argv = ["git", "mailsplit", f"-o{tmp_path}", str(tmp_path / "all.patches")]
        assert subprocess.check_output(argv, text=True).strip() == str(len(PATCHES))

    def test_they_are_told_and_linked(self, make, snapshot_dir: Path, tmp_path: Path) -> None:
        facts = make(release(patches=NAMED))
        self.stage(facts, patchmails.joined(PATCHES), tmp_path)
        tags = Tags(page.make(facts, snapshot_dir))
        assert f"{len(PATCHES)} patches on the vendor" in tags.words
        assert "vm: act on console disconnect" in tags.words
        assert "damaged" not in tags.words and "not that of" not in tags.words
        assert f"SRPMS/vdsm-4.16.30-{OURS}.src.rpm.patches" in tags.links

    @staticmethod
    def stage(facts: RepositoryFacts, content: bytes, folder: Path) -> None:
        (href,) = (rpm.href for rpm in facts.packages if rpm.arch == "src")
        (folder / href).parent.mkdir(parents=True)
        (folder / f"{href}.patches").write_bytes(content)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "there is no mail in it"),
            (b"\xff\x00" * 4000, "there is no mail in it"),
            (patchmails.joined(PATCHES)[:-200], "1 of the 6 in the packages are not in it"),
            (patchmails.joined(PATCHES[:2]), "4 of the 6 in the packages are not in it"),
            (patchmails.joined([*PATCHES, PATCHES[0] + b"\n+more"]), "1 more are in it"),
            (patchmails.joined(PATCHES).replace(b"console", b"nothing"), "in the packages are not in it"),
        ],
    )
    def test_a_file_that_is_cut_or_changed_is_told(
        self, make, snapshot_dir: Path, tmp_path: Path, content: bytes, told: str
    ) -> None:
        facts = make(release(patches=NAMED))
        self.stage(facts, content, tmp_path)
        assert told in Tags(page.make(facts, snapshot_dir)).words

    def test_without_the_file_nothing_is_said(self, make, snapshot_dir: Path) -> None:
        assert "#patches" not in Tags(page.make(make(release(patches=NAMED)), snapshot_dir)).links

    def test_a_place_that_fails_costs_the_patches_alone(self, make, snapshot_dir: Path) -> None:
        facts = make(release(patches=NAMED), to="rsync://127.0.0.1:1/module")
        assert "The patches could not be read" in Tags(page.make(facts, snapshot_dir)).words

    def test_a_mail_may_say_anything(self, tmp_path: Path) -> None:
        first = b"From %s Mon Sep 17 00:00:00 2001\n" % (b"0" * 40)
        mails = (
            first + b"Subject: =?utf-8?q?a_=C3=A9?=\n =?utf-8?q?_b?=\nFrom: =?nowhere?q?x?=\nDate: never\n\nwhy\n---\n",
            first + b"Subject: \x1b[31m<b>\xff\nFrom: \xff\xfe\nDate: Fri, 99 Foo 99999 99:99:99 +9999\n\n",
            first + b"Content-Type: text/plain; charset=nonsense\nContent-Transfer-Encoding: base64\n\n\xff!!\n",
            first + b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ninside\n--x--\n",
            first,
        )
        read = patchmails.read(b"".join(mails))
        assert len(read) == len(mails)
        assert (read[0].subject, read[0].day, read[0].words) == ("a é b", "", "why")
        assert read[3].words == "inside"
        assert (read[4].subject, read[4].author) == ("(no subject)", "(nobody)")

    @pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", '"a\0b"', "unicode_escape", "rot13"])
    def test_a_mail_in_a_charset_that_is_none_is_read_all_the_same(self, charset: str) -> None:
        mail = PATCHES[0].replace(b"\n\n", f"\nContent-Type: text/plain; charset={charset}\n\n\xe9 ".encode(), 1)
        (read,) = patchmails.read(patchmails.joined([mail]))
        assert read.subject

    def test_mails_within_mails_without_end_are_no_mail(self) -> None:
        nested = b"Content-Type: message/rfc822\n\n" * 2000
        first, second = patchmails.read(patchmails.joined([nested, PATCHES[0]]))
        assert (first.subject, first.words) == ("(no subject)", "")
        assert hashlib.sha256(nested).hexdigest() in first.digests
        assert second.words

    def test_a_patch_without_the_first_line_is_a_mail_all_the_same(self) -> None:
        bare = PATCHES[0].partition(b"\n")[2].rstrip(b"\n")
        (mail,) = patchmails.read(patchmails.joined([bare]))
        assert hashlib.sha256(bare).hexdigest() in mail.digests

    def test_no_more_than_some_is_read(self, tmp_path: Path, make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(series, "_MAX_BYTES", 100)
        facts = make(release())
        self.stage(facts, patchmails.joined(PATCHES), tmp_path)
        (src,) = (rpm for rpm in facts.packages if rpm.arch == "src")
        found = series.find(src, NAMED, tmp_path, facts.channel.places[0])
        assert found is not None and "6 of the 6" in found.fault


def test_the_endings_are_those_that_are_written() -> None:
    assert layout.BESIDE == (statement.SUFFIX, sbom.SUFFIX, patchmails.SUFFIX)


def test_source_packages_name_their_own_version() -> None:
    def rpm(name: str, arch: str, release: str) -> PublishedRpm:
        return PublishedRpm(name=name, evr=Evr(version="1", release=release), arch=arch, href=name, size_bytes=1,
                            sha256="0" * 64, source="a")  # fmt: skip

    assert history.sources([rpm("a-sub", "noarch", "9"), rpm("a", "src", "1")]) == ("a 1-1",)
    assert history.sources([rpm("a-sub", "noarch", "9")]) == ("a 1-9",)
