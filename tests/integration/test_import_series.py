# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s import_series` on a thread as people mail it: 22 patches over six repositories, shuffled, in two versions."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.series import read_series
from tests.integration.checkout import Checkout, Result
from tests.unit.source_packages import file_entry, make_srpm, make_tarball

# How SPICE power control was mailed: 22 patches, six repositories.
PATCHES = {"spice-protocol": 2, "spice-common": 3, "spice": 5, "spice-gtk": 4, "qemu": 6, "virt-viewer": 2}
TOTAL = sum(PATCHES.values())
AUTHOR = "Jürgen Größe <juergen@example.org>"
_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Jürgen Größe",
        "GIT_AUTHOR_EMAIL": "juergen@example.org", "GIT_COMMITTER_NAME": "c", "GIT_COMMITTER_EMAIL": "c@example.org",
        "GIT_AUTHOR_DATE": "2026-03-03T10:00:00+0100", "GIT_COMMITTER_DATE": "2026-03-03T10:00:00+0100"}  # fmt: skip


def git(folder: Path, *words: str) -> str:
    env = {**os.environ, **_GIT}
    return subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


@dataclass
class Mail:
    """One mail to be; `headers` and `body` can be spoiled."""

    number: int
    repository: str
    subject: str
    body: str
    version: int = 2
    headers: dict[str, str] = field(default_factory=dict)
    tag: str | None = None

    def text(self, total: int = TOTAL) -> bytes:
        version = f" v{self.version}" if self.version > 1 else ""
        tag = f"[PATCH {self.repository}{version} {self.number:02d}/{total}]" if self.tag is None else self.tag
        headers = {
            "From": "=?UTF-8?q?J=C3=BCrgen_Gr=C3=B6=C3=9Fe?= <juergen@example.org>",
            "Date": "Tue, 03 Mar 2026 10:00:00 +0100",
            "Subject": f"{tag} {self.subject}",
            "Message-Id": f"<v{self.version}-{self.number}@example.org>",
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=UTF-8",
            "Content-Transfer-Encoding": "8bit",
            **self.headers,
        }
        head = "".join(f"{name}: {value}\n" for name, value in headers.items() if value)
        return f"From mboxrd@z Thu Jan  1 00:00:00 1970\n{head}\n{self.body}\n".encode()


@dataclass
class Thread:
    """The repositories, each with a tag, and the mails of both versions."""

    repositories: Mapping[str, Path]
    mails: list[Mail]

    def of(self, version: int) -> list[Mail]:
        return [mail for mail in self.mails if mail.version == version]


def _repository(folder: Path, name: str, count: int) -> list[str]:
    """A repository with a tag, and the diffs of a series on it."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "file.c").write_text("".join(f"line {number} of {name}\n" for number in range(60)))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "start")
    git(folder, "tag", "v1")
    diffs = []
    for number in range(count):
        lines = (folder / "file.c").read_text().splitlines()
        lines[5 + 7 * number] += f" // {number} = ü"
        (folder / "file.c").write_text("\n".join(lines) + "\n")
        git(folder, "commit", "-qam", "x")
        diffs.append(git(folder, "diff", "--stat", "-p", "HEAD~", "HEAD"))
    git(folder, "reset", "-q", "--hard", "v1")
    return diffs


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Thread:
    home = tmp_path_factory.mktemp("repositories")
    diffs = [(name, diff) for name, count in PATCHES.items() for diff in _repository(home / name, name, count)]
    mails = []
    for version in (1, 2):
        for number, (name, diff) in enumerate(diffs, 1):
            # v1 is a patch that fits nowhere: only the newest may be tried and taken.
            told = diff if version == 2 else diff.replace("line", "former line")
            body = f"Reason {number} of v{version}, für alle.\n\nSigned-off-by: {AUTHOR}\n---\n{told}-- \n2.39\n"
            mails.append(Mail(number, name, f"{name}: power control, part {number}", body, version))
    return Thread({name: home / name for name in PATCHES}, mails)


def others(version: int) -> list[bytes]:
    """A cover letter, and three replies, of which one quotes a patch."""
    cover = Mail(0, "spice", "power control from the client", "What all of it is for.\n", version)
    replies = [
        Mail(3, "spice", "", body, version, {"Subject": f"Re: [PATCH spice v{version} 03/22] it", "Message-Id": ""})
        for body in ("Looks good.\n", "> diff --git a/x b/x\n> --- a/x\n> +++ b/x\nWhy?\n",
                     "Better:\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    ]  # fmt: skip
    return [mail.text() for mail in (cover, *replies)]


def mbox_of(path: Path, mails: Sequence[Mail], more: Sequence[bytes] = (), *, total: int = TOTAL) -> Path:
    texts = [*(mail.text(total) for mail in mails), *more]
    random.Random(7).shuffle(texts)
    path.write_bytes(b"".join(texts))
    return path


@pytest.fixture
def site(checkout: Checkout, thread: Thread) -> Checkout:
    """A checkout that carries the six packages, each made from its repository."""
    blocks = "".join(
        f'\n[packages.{name}]\nversion = "1"\nlabel = "powercontrol"\n[packages.{name}.sources]\n'
        f'demo = ["git:{path}@v1"]\nel6 = ["git:{path}@v1"]\n'
        for name, path in thread.repositories.items()
    )
    settings = checkout.root / "pipeline.toml"
    settings.write_text(settings.read_text() + blocks)
    return checkout


@pytest.fixture
def run(site: Checkout, validator_of: Callable[[str], Any]) -> Callable[..., Result]:
    def run(path: Path, *words: str) -> Result:
        result = site.run("import_series", str(path), *words)
        validator_of("import_series").validate(result.document)
        return result

    return run


def patches_in(site: Checkout) -> dict[str, list[str]]:
    """Package -> names in its series, of packages that have one."""
    return {
        path.parent.name: path.read_text().split()
        for path in sorted((site.root / "patches").glob("*/series"))
        if path.parent.name != "vdsm"
    }


def test_a_thread_is_taken_apart_and_each_series_applies_to_its_own_tree(site, run, thread, tmp_path) -> None:
    path = mbox_of(tmp_path / "thread.mbox", thread.mails, [*others(1), *others(2)])
    started = time.monotonic()
    result = run(path)
    seconds = time.monotonic() - started
    assert result.code == 0, result.stderr
    assert seconds < 2 * _slowness(), seconds
    assert {name: len(names) for name, names in patches_in(site).items()} == PATCHES
    document = result.document
    assert (document["version"], document["left_aside"], document["no_patches"]) == (2, [1], 8)
    states = [patch["state"] for each in document["packages"] for patch in each["patches"]]
    assert states == ["clean"] * TOTAL
    for name, repository in thread.repositories.items():
        tree = tmp_path / "trees" / name
        git(repository, "worktree", "add", "-q", "--detach", str(tree), "v1")
        series = read_series(site.root / "patches" / name)
        git(tree, "am", "-q", *(str(patch.path) for patch in series))
        told = git(tree, "log", "--reverse", "--format=%an|%ae|%aI|%s|%b", "v1..").strip()
        first = next(mail for mail in thread.of(2) if mail.repository == name)
        assert told.startswith(f"Jürgen Größe|juergen@example.org|2026-03-03T10:00:00+01:00|{first.subject}|Reason ")
        assert told.count("of v2, für alle.") == PATCHES[name]
        assert f"Message-Id: <v2-{first.number}@example.org>" in series[0].path.read_text()
        numbers = [int(patch.subject.rpartition(" ")[2]) for patch in series]
        assert numbers == sorted(numbers)
        git(repository, "worktree", "remove", "--force", str(tree))


def _slowness() -> float:
    """How much slower this machine is now than when it starts Python in 30 ms, one at least."""
    started = time.monotonic()
    subprocess.run(["python3", "-c", "import email, json"], check=True)
    return max(1.0, (time.monotonic() - started) / 0.1)


def test_a_dry_run_shows_the_table_and_writes_nothing(site, run, thread, tmp_path) -> None:
    result = run(mbox_of(tmp_path / "m", thread.of(2)), "--dry-run")
    assert result.code == 0 and patches_in(site) == {}
    assert len(result.document["packages"]) == 6
    assert "power-control-part-3" in result.stderr and "3/22" in result.stderr


def test_again_changes_nothing_and_one_that_was_killed_is_done_to_its_end(site, run, thread, tmp_path) -> None:
    path = mbox_of(tmp_path / "m", thread.of(2))
    assert run(path).code == 0
    before = {file: file.read_bytes() for file in (site.root / "patches").rglob("*") if file.is_file()}
    again = run(path)
    assert "qemu: 0 patches came, 6 were there already\n" in again.stderr and "not tried" not in again.stderr
    assert again.code == 0 and [each["had"] for each in again.document["packages"]] == list(PATCHES.values())
    # Killed behind the files of the last package: nothing lists them yet.
    (site.root / "patches" / "virt-viewer" / "series").unlink()
    assert run(path).code == 0
    assert before == {file: file.read_bytes() for file in (site.root / "patches").rglob("*") if file.is_file()}


def test_patches_come_behind_those_that_are_there(site, run, thread, tmp_path) -> None:
    assert run(mbox_of(tmp_path / "m", thread.of(2))).code == 0
    lone = Mail(1, "qemu", "one more", "Why.\n---\n" + _after(thread, "qemu"), headers={"Message-Id": "<later@e.org>"})
    assert run(mbox_of(tmp_path / "n", [lone], total=1)).code == 0
    assert patches_in(site)["qemu"][-1] == "0007-one-more.patch"


def _after(thread: Thread, name: str) -> str:
    """A diff that fits behind the series of a repository."""
    return (
        f"diff --git a/file.c b/file.c\n--- a/file.c\n+++ b/file.c\n@@ -57,4 +57,4 @@\n line 56 of {name}\n"
        f" line 57 of {name}\n line 58 of {name}\n-line 59 of {name}\n+the last\n"
    )


def _encoded(mail: Mail, how: str) -> Mail:
    body = mail.body.encode()
    coded = base64.encodebytes(body).decode() if how == "base64" else _quoted(body)
    return Mail(mail.number, mail.repository, mail.subject, coded, 2, {"Content-Transfer-Encoding": how})


def _quoted(body: bytes) -> str:
    import quopri

    return quopri.encodestring(body).decode()


@pytest.mark.parametrize("how", ["base64", "quoted-printable"])
def test_encodings(site, run, thread, tmp_path, how) -> None:
    plain, coded = tmp_path / "plain", [_encoded(mail, how) for mail in thread.of(2)]
    assert run(mbox_of(plain, coded)).code == 0
    series = read_series(site.root / "patches" / "spice")
    assert "für alle." in series[0].path.read_text() and "// 0 = ü" in series[0].path.read_text()


def test_no_charset_and_a_subject_of_two_lines(site, run, thread, tmp_path) -> None:
    mails = [Mail(m.number, m.repository, m.subject, m.body, 2, {"Content-Type": "", "MIME-Version": "",
             "Subject": f"[PATCH {m.repository} v2 {m.number:02d}/22] a long\n subject {m.number}"})
             for m in thread.of(2)]  # fmt: skip
    assert run(mbox_of(tmp_path / "m", mails)).code == 0
    series = read_series(site.root / "patches" / "qemu")
    assert series[0].subject.startswith("a long subject ") and "für alle." in series[0].path.read_text()


def _without_3(mails: list[Mail]) -> None:
    mails[:] = [mail for mail in mails if mail.number not in (3, 9)]


def _twice(mails: list[Mail]) -> None:
    mails.append(Mail(4, "spice-common", "another", mails[3].body, headers={"Message-Id": "<o@e>"}))


def _two(mails: list[Mail]) -> None:
    mails[4].tag = "[PATCH spice qemu v2 05/22]"


def _nobody(mails: list[Mail]) -> None:
    mails[4].tag = "[PATCH v2 05/22]"


def _stranger(mails: list[Mail]) -> None:
    mails[4].tag = "[PATCH spice-comon v2 05/22]"


def _outside(mails: list[Mail]) -> None:
    mails[4].body = mails[4].body.replace("a/file.c", "a/../../etc/file.c").replace("b/file.c", "b/../../etc/file.c")


def _attached(mails: list[Mail]) -> None:
    mail = mails[4]
    mail.headers = {"Content-Type": 'multipart/mixed; boundary="=b"'}
    mail.body = ("--=b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
                 f"{mail.body}\n--=b\n"
                 'Content-Type: image/png; name="shot.png"\nContent-Disposition: attachment; filename="shot.png"\n'
                 "Content-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--=b--\n")  # fmt: skip


def _part(mails: list[Mail], head: str, content: str) -> None:
    """The fifth mail with one part more, behind its patch."""
    mails[4].headers = {"Content-Type": 'multipart/mixed; boundary="=b"'}
    mails[4].body = ("--=b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
                     f"{mails[4].body}\n--=b\n{head}\n\n{content}\n--=b--\n")  # fmt: skip


def _two_patches(mails: list[Mail]) -> None:
    _part(mails, "Content-Type: text/x-patch\nContent-Disposition: attachment; filename=two.patch", _DIFF)


def _bytes_as_text(mails: list[Mail]) -> None:
    _part(mails, "Content-Type: text/plain; name=x.bin\nContent-Transfer-Encoding: base64", "AAECAwQ=")


def _behind_the_signature(mails: list[Mail]) -> None:
    mails[4].body += _DIFF


def _later(mails: list[Mail]) -> None:
    mails[4].headers = {"Date": "Tue, 03 Mar 2099 10:00:00 +0100"}


def _strange_charset(mails: list[Mail]) -> None:
    mails[4].headers = {"Content-Type": "text/plain; charset=x-strange"}


_DIFF = "diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"


def _bad_date(mails: list[Mail]) -> None:
    mails[4].headers = {"Date": "yesterday"}


def _unfitting(mails: list[Mail]) -> None:
    mails[4].body = mails[4].body.replace("line", "other line")


def _binary(mails: list[Mail]) -> None:
    mails[4].body = "Why.\n---\ndiff --git a/p.png b/p.png\nindex 1..2\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without_3, "the series of 22 patches lacks 3, 9"),
        (_twice, "two patches have the number 4"),
        (_two, "is tagged for spice and qemu: it cannot be for both"),
        (_nobody, "has no tag that says where it belongs"),
        (_stranger, "is for spice-comon, and there is no such package"),
        (_outside, "names a/../../etc/file.c, which is outside of its source"),
        (_attached, "it has an attachment that is no text (image/png, shot.png)"),
        (_two_patches, "it has a second patch as a part of its own (text/x-patch, two.patch)"),
        (_bytes_as_text, "it has an attachment besides the patch (text/plain, x.bin)"),
        (_behind_the_signature, "it has a second patch behind its signature"),
        (_bad_date, "its date 'yesterday' is none"),
        (_later, "its date 'Tue, 03 Mar 2099 10:00:00 +0100' is still to come"),
        (_strange_charset, "git cannot read it: cannot convert from x-strange to UTF-8"),
        (_unfitting, "does not fit spice-common at "),
        (_binary, "changes a binary file, which the pipeline does not take"),
    ],
)
def test_what_cannot_be_taken_is_told_and_nothing_is_written(site, run, thread, tmp_path, spoil, told) -> None:
    mails = [Mail(m.number, m.repository, m.subject, m.body) for m in thread.of(2)]
    spoil(mails)
    result = run(mbox_of(tmp_path / "m", mails))
    assert result.code == 12
    assert told in result.error_line
    assert "Author: " not in result.stderr, "what git had read before it failed"
    assert "mend: " in result.stderr
    assert patches_in(site) == {}


def test_what_a_tag_means_can_be_said(site, run, thread, tmp_path) -> None:
    mails = [Mail(m.number, m.repository, m.subject, m.body) for m in thread.of(2)]
    mails[4].tag = "[PATCH lib v2 05/22]"
    assert run(mbox_of(tmp_path / "m", mails), "--as", "lib=spice-common").code == 0
    assert len(patches_in(site)["spice-common"]) == 3


def test_an_earlier_version_can_be_asked_for(run, thread, tmp_path) -> None:
    path = mbox_of(tmp_path / "m", thread.mails)
    result = run(path, "--version", "1", "--dry-run")
    assert result.code == 12 and "does not fit spice-protocol" in result.error_line
    assert run(path, "--version", "3").code == 2


SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: A package that has no repository here
License: GPL-2.0-or-later
{sources}
%description
A package.
%prep
%setup -q
%files
"""


@pytest.fixture
def unpacked(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A checkout with a package whose source is a source RPM, which a run has unpacked."""
    # git would take $Id$ in without the number, if it did as the source's own .gitattributes say.
    lines = b"line 0 of qemu\nline 1 of qemu $Id: 7 $\n"
    entries = [file_entry("qemu-1/file.c", lines), file_entry("qemu-1/.gitattributes", b"* ident\n")]
    archive = make_tarball(tmp_path / "good.tar.gz", entries).read_bytes()
    package = make_srpm(tmp_path / "made", name="qemu", version="1", release="1", spec=SPEC,
                        sources={"qemu-1.tar.gz": archive})  # fmt: skip
    added = checkout.run("new_package", "qemu", "--source", f"srpm:{package}", "--target", "demo")
    assert added.code == 0, added.stderr
    patched = checkout.run("patch", "--package", "qemu")
    assert patched.code == 0, patched.stderr
    return checkout


def test_without_a_repository_patches_are_tried_on_what_a_run_unpacked(unpacked, tmp_path) -> None:
    fitting, other = _lone(), _lone()
    fitting.body = fitting.body.replace(" line 1 of qemu", " line 1 of qemu $Id: 7 $")
    path = mbox_of(tmp_path / "m", [fitting], total=1)
    result = unpacked.run("import_series", str(path))
    assert result.code == 0, result.stderr
    (told,) = result.document["packages"]
    assert told["tried_on"] == f"qemu-1-1.src, as it is unpacked in {unpacked.out}/demo/qemu/tree/pristine"
    assert [patch["state"] for patch in told["patches"]] == ["clean"]
    assert unpacked.run("patch", "--package", "qemu").code == 0, "as the import said"

    other.headers = {"Message-Id": "<other@example.org>"}
    refused = unpacked.run("import_series", str(mbox_of(tmp_path / "n", [other], total=1)))
    assert (refused.code, "does not fit qemu at qemu-1-1.src" in refused.error_line) == (12, True)


@pytest.mark.parametrize("spoil", ["version", "file"])
def test_what_is_of_another_version_or_was_changed_is_not_tried_on(unpacked, tmp_path, spoil) -> None:
    if spoil == "version":
        unpacked.edit("pipeline.toml", 'version = "1"', 'version = "2"')
    else:
        (unpacked.out / "demo/qemu/tree/pristine/file.c").write_text("other\n")
    result = unpacked.run("import_series", str(mbox_of(tmp_path / "m", [_lone()], total=1)), "--dry-run")
    assert result.code == 0, result.stderr
    assert result.document["packages"][0]["tried_on"] == ""
    assert "not tried: its source is not at hand; `nox -s patch` gets it and tries" in result.stderr


def _lone(**more: Any) -> Mail:
    body = (
        "Why.\n---\ndiff --git a/file.c b/file.c\n--- a/file.c\n+++ b/file.c\n@@ -1,2 +1,2 @@\n"
        "-line 0 of qemu\n+the first\n line 1 of qemu\n"
    )
    return Mail(1, "qemu", "the first line", body, 1, more)


def test_what_is_edited_by_hand_and_unlisted_is_named_and_stays(site, run, tmp_path) -> None:
    path = mbox_of(tmp_path / "m", [_lone()], total=1)
    assert run(path).code == 0
    folder = site.root / "patches" / "qemu"
    (name,) = (folder / "series").read_text().split()
    (folder / "series").unlink()
    edited = (folder / name).read_text().replace("+the first", "+the very first")
    (folder / name).write_text(edited)
    result = run(path)
    assert (result.code, name in result.error_line) == (12, True)
    assert (folder / name).read_text() == edited


def test_without_a_message_id_it_comes_once_all_the_same(site, run, tmp_path) -> None:
    path = mbox_of(tmp_path / "m", [_lone(**{"Message-Id": ""})], total=1)
    assert run(path).code == 0
    assert run(path).document["packages"][0]["had"] == 1
    assert len(patches_in(site)["qemu"]) == 1


def test_another_patch_under_a_known_id_is_refused(site, run, tmp_path) -> None:
    assert run(mbox_of(tmp_path / "m", [_lone()], total=1)).code == 0
    other = _lone()
    other.subject = "something else"
    result = run(mbox_of(tmp_path / "n", [other], total=1))
    assert (result.code, "bears the Message-Id of 'something else'" in result.error_line) == (12, True)


def test_behind_a_series_that_does_not_fit_nothing_comes(site, run, tmp_path) -> None:
    assert run(mbox_of(tmp_path / "m", [_lone()], total=1)).code == 0
    (patch,) = (site.root / "patches" / "qemu").glob("*.patch")
    patch.write_text(patch.read_text().replace("-line 0 of qemu", "-line 0 of somebody"))
    more = _lone(**{"Message-Id": "<more@example.org>"})
    more.body, more.subject = more.body.replace("line 0", "line 1").replace(" line 1 of qemu\n", " x\n"), "more"
    result = run(mbox_of(tmp_path / "n", [more], total=1))
    assert (result.code, "the series of qemu as it is does not fit" in result.error_line) == (12, True)
    assert patches_in(site)["qemu"] == [patch.name]


@pytest.mark.parametrize(
    "tag", ["[PATCHv2 qemu 1/1]", "[PATCH-v2 qemu 1/1]", "[RFC/PATCH qemu v2 1/1]", "[PATCH v2] [qemu]"]
)
def test_tags_as_people_write_them(site, run, tmp_path, tag) -> None:
    older, newer = _lone(**{"Message-Id": "<old@example.org>"}), _lone()
    older.subject, newer.tag = "old", tag
    result = run(mbox_of(tmp_path / "m", [older, newer], total=1))
    assert (result.code, result.document["version"]) == (0, 2), result.stderr
    assert patches_in(site)["qemu"] == ["0001-the-first-line.patch"]


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"From": "A <ä@example.org>"}, "its author's address"),
        ({"From": "=?utf-8?q?=C3=84?= <=?utf-8?q?=C3=A4?=@example.org>"}, ""),
    ],
)
def test_an_address_that_cannot_be_written(run, tmp_path, headers, told) -> None:
    result = run(mbox_of(tmp_path / "m", [_lone(**headers)], total=1))
    assert "Traceback" not in result.stderr and result.code in (0, 12)
    assert told in result.stderr


@pytest.mark.parametrize("content", [b"", b"no mbox\n", None, b"From a@b Thu Jan  1 00:00:00 1970\nSubject: x\n\nhi\n"])
def test_what_is_no_mbox(site, run, tmp_path, content) -> None:
    path = tmp_path / "m"
    if content is not None:
        path.write_bytes(content)
    result = run(path)
    assert result.code in (2, 12)
    assert len(result.error_line) < 300 and "Traceback" not in result.stderr


def _latin_1(path: Path, mail: Mail, *spoiled: bytes) -> Path:
    """An mbox of one mail; the words that are spoiled are in Latin-1, all others in UTF-8."""
    text = mail.text(1)
    for word in spoiled:
        assert word in text
        text = text.replace(word, word.decode().encode("latin-1"))
    path.write_bytes(text)
    return path


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("From: Jürgen", "its From line is not UTF-8"),
        ("grün", "its Subject line is not UTF-8"),
        ("für", "line 1 of its text is not UTF-8"),
    ],
)
@pytest.mark.parametrize("kind", ["", "text/plain; charset=UTF-8"])
def test_letters_that_nobody_says_the_charset_of(site, run, tmp_path, word, told, kind) -> None:
    mail = _lone(**{"Content-Type": kind, "From": "Jürgen <juergen@example.org>"})
    mail.subject, mail.body = "the first grün", mail.body.replace("Why.", "Darum, für alle.")
    result = run(_latin_1(tmp_path / "m", mail, word.encode()))
    assert (result.code, told in result.error_line) == (12, True), result.stderr
    assert "the first gr" in result.error_line and "mend: nothing was written; write these letters" in result.stderr
    assert patches_in(site) == {}
    assert run(_latin_1(tmp_path / "n", mail)).code == 0
    (patch,) = read_series(site.root / "patches" / "qemu")
    assert (patch.author, patch.subject) == ("Jürgen <juergen@example.org>", "the first grün")
    assert "Darum, für alle." in patch.path.read_text()


def test_a_charset_that_is_named_is_believed(site, run, tmp_path) -> None:
    mail = _lone(**{"Content-Type": "text/plain; charset=ISO-8859-1"})
    mail.body = mail.body.replace("Why.", "Darum, für alle.")
    assert run(_latin_1(tmp_path / "m", mail, "für".encode())).code == 0
    assert "Darum, für alle." in (site.root / "patches" / "qemu" / "0001-the-first-line.patch").read_text()


def test_a_patch_that_is_attached_to_its_words_and_what_a_list_adds(site, run, tmp_path) -> None:
    mail = _lone(**{"Content-Type": 'multipart/mixed; boundary="=b"'})
    words, _, diff = mail.body.partition("---\n")
    parts = [f"Content-Type: text/plain\n\n{words}",
             f"Content-Type: text/x-patch\nContent-Disposition: attachment; filename=a.patch\n\n---\n{diff}-- \n2.39\n",
             "Content-Type: text/plain\nContent-Disposition: inline\n\n_____\nThe list's own words\n"]  # fmt: skip
    mail.body = "".join(f"--=b\n{part}\n" for part in parts) + "--=b--\n"
    result = run(mbox_of(tmp_path / "m", [mail], total=1))
    assert result.code == 0, result.stderr
    assert [row["state"] for row in result.document["packages"][0]["patches"]] == ["clean"]


@pytest.fixture
def away(site, thread) -> Checkout:
    """The checkout, with the packages' sources on some other machine."""
    settings = site.root / "pipeline.toml"
    text = settings.read_text()
    for path in thread.repositories.values():
        text = text.replace(f"git:{path}@", f"git:https://example.org/{path.name}.git@")
    settings.write_text(text)
    return site


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("--- a/file.c", "new file mode 120000\n--- a/file.c", "makes, changes or removes a symbolic link"),
        (
            "@@ -1,2 +1,2 @@",
            "@@ -1,9 +1,9 @@",
            "'the first line' (1/1) is no patch that git can read: error: corrupt patch",
        ),
    ],
)
def test_what_the_patch_stage_refuses_is_refused_without_the_source_too(
    away, run, tmp_path, before, after, told
) -> None:
    mail = _lone()
    assert run(mbox_of(tmp_path / "m", [mail], total=1), "--dry-run").document["packages"][0]["tried_on"] == ""
    mail.body = mail.body.replace(before, after)
    result = run(mbox_of(tmp_path / "n", [mail], total=1))
    assert (result.code, told in result.error_line) == (12, True), result.stderr
    assert patches_in(away) == {}
