# SPDX-License-Identifier: GPL-2.0-or-later
"""What repomd.xml says, and which of it is believed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.errors import PublishError
from pipeline.mirrors import repodata
from pipeline.model import Evr

_DIGEST = hashlib.sha256(b"content").hexdigest()


def repomd(
    *, kinds: tuple[str, ...] = ("primary",), href: str = "repodata/p.xml.gz", digest: str = _DIGEST,
    digest_name: str = "sha256", revision: str = "<revision>1700000000</revision>",
) -> bytes:  # fmt: skip
    data = "".join(
        f'<data type="{kind}"><checksum type="{digest_name}">{digest}</checksum><location href="{href}"/></data>'
        for kind in kinds
    )
    return f'<repomd xmlns="http://linux.duke.edu/metadata/repo">{revision}{data}</repomd>'.encode()


def test_index() -> None:
    index = repodata.read_index(repomd(kinds=("primary", "filelists", "group", "primary_db", "group_zck")), "M")
    assert index.revision == 1700000000
    assert [file.kind for file in index.carried_files] == ["primary", "filelists", "group"]
    assert index.file("primary") == repodata.MetadataFile(
        kind="primary", href="repodata/p.xml.gz", digest_name="sha256", digest=_DIGEST
    )
    assert index.file("other") is None


@pytest.mark.parametrize("revision", ["", "<revision/>", "<revision>v7</revision>", "<revision>-1</revision>"])
def test_a_revision_that_is_no_number_is_the_lowest(revision: str) -> None:
    assert repodata.read_index(repomd(revision=revision), "M").revision == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "repomd.xml cannot be read"),
        (b"<html>not found</html>", "repomd.xml names no primary metadata"),
        (repomd()[:-30], "repomd.xml cannot be read"),
        (repomd(kinds=()), "repomd.xml names no primary metadata"),
        (repomd(href="../../etc/passwd"), r"the location '../../etc/passwd' leads out of the repository"),
        (repomd(href="/etc/passwd"), r"the location '/etc/passwd' leads out of the repository"),
        (repomd(href=""), r"the location '' leads out of the repository"),
        (repomd(digest_name="md5"), "checksum type 'md5'"),
        (repomd().replace(b"<location", b"<elsewhere"), "an entry without checksum or location"),
    ],
)
def test_what_is_no_index(content: bytes, why: str) -> None:
    with pytest.raises(PublishError, match=f"the repository M is not whole: .*{why}") as raised:
        repodata.read_index(content, "M")
    assert "createrepo_c --checksum sha256" in raised.value.hint


@pytest.mark.parametrize("digest_name", ["sha", "sha1", "sha256", "sha512"])
def test_verify(tmp_path: Path, digest_name: str) -> None:
    digest = hashlib.new({"sha": "sha1"}.get(digest_name, digest_name), b"content").hexdigest()
    file = repodata.read_index(repomd(digest_name=digest_name, digest=digest, href="p"), "M").files[0]
    with pytest.raises(PublishError, match="p is named by repomd.xml and is not there"):
        repodata.verify(file, tmp_path, "M")
    (tmp_path / "p").write_bytes(b"content")
    repodata.verify(file, tmp_path, "M")
    assert repodata.is_verified(file, tmp_path)
    (tmp_path / "p").write_bytes(b"Content")
    with pytest.raises(PublishError, match="p has other contents than repomd.xml says"):
        repodata.verify(file, tmp_path, "M")
    assert not repodata.is_verified(file, tmp_path)


_PRIMARY = """\
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>vdsm</name><arch>x86_64</arch><version epoch="{epoch}" ver="4.16.30" rel="0.el6"/>
<checksum type="{digest_name}" pkgid="YES">{digest}</checksum><summary>s</summary><description>d</description>
<packager/><url/><time file="1" build="1"/><size package="12" installed="1" archive="1"/><location href="{href}"/>
<format><rpm:license>GPL</rpm:license></format></package>
</metadata>
"""


def primary(tmp_path: Path, **wishes: str) -> Path:
    path = tmp_path / "primary.xml"
    wishes = {"epoch": "0", "digest_name": "sha256", "digest": _DIGEST, "href": "x86_64/v.rpm", **wishes}
    path.write_text(_PRIMARY.format(**wishes))
    return path


def test_packages(tmp_path: Path) -> None:
    (found,) = repodata.read_packages(primary(tmp_path, epoch="3"), "M")
    assert found.evr == Evr(epoch=3, version="4.16.30", release="0.el6")
    assert found.nevra == "vdsm-3:4.16.30-0.el6.x86_64"
    assert (found.href, found.size_bytes, found.sha256) == ("x86_64/v.rpm", 12, _DIGEST)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"digest_name": "sha"}, "by its sha, not by its sha256"),
        ({"href": "../v.rpm"}, "leads out of the repository"),
    ],
)
def test_packages_that_are_not_taken(tmp_path: Path, wishes: dict[str, str], why: str) -> None:
    with pytest.raises(PublishError, match=why):
        repodata.read_packages(primary(tmp_path, **wishes), "M")


def test_a_primary_that_is_cut(tmp_path: Path) -> None:
    path = primary(tmp_path)
    path.write_text(path.read_text()[:300])
    with pytest.raises(PublishError, match="primary.xml cannot be read"):
        repodata.read_packages(path, "M")
