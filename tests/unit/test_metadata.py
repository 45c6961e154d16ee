# SPDX-License-Identifier: GPL-2.0-or-later
"""The three files of a repository: read by their text, and made anew from the former ones."""

from __future__ import annotations

import bz2
import ctypes
import gzip
import hashlib
import lzma
import shutil
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ctypes.util import find_library
from pathlib import Path

import createrepo_c
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PublishError
from pipeline.mirrors import repodata
from pipeline.mirrors.metadata import canonical, indexed, packages, splice, streams
from pipeline.mirrors.metadata.elements import END, FILELISTS, KINDS, OTHER, PRIMARY, Kind, unescape
from pipeline.mirrors.metadata.faults import Damaged, NotPlain
from pipeline.mirrors.metadata.newrpms import Described
from pipeline.model import PublishedRpm
from tests.bench.manyrpms import make_rpms

_FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def package(number: int, **wishes: str) -> createrepo_c.Package:
    """A package as createrepo_c holds one; the number decides its sha256."""
    made = createrepo_c.Package()
    made.name, made.arch, made.epoch, made.version, made.release = f"p{number % 7}", "noarch", "0", f"{number}", "1"
    made.checksum_type, made.pkgId = "sha256", hashlib.sha256(str(number).encode()).hexdigest()
    made.location_href, made.size_package = f"noarch/p-{number}.rpm", number
    made.summary, made.rpm_sourcerpm = "s", f"source-{number}-1.src.rpm"
    made.files = [("", "/usr/share/", f"file{number}")]
    for name, value in wishes.items():
        setattr(made, name, value)
    return made


def described(made: Iterable[createrepo_c.Package]) -> Described:
    found: Described = {kind: [] for kind in KINDS}
    dumps = {PRIMARY: "xml_dump_primary", FILELISTS: "xml_dump_filelists", OTHER: "xml_dump_other"}
    for each in made:
        for kind, dump in dumps.items():
            found[kind].append(getattr(createrepo_c, dump)(each).strip().removesuffix(END))
    return found


def text_of(kind: Kind, elements: Sequence[str], *, said: int | None = None) -> bytes:
    whole = "".join(f"{element}{END}\n" for element in elements).encode()
    return kind.header(len(elements) if said is None else said) + whole + kind.footer


def laid(folder: Path, made: Sequence[createrepo_c.Package], pack: Callable[[bytes], bytes] = gzip.compress) -> dict:
    """The three files, as another tool would write them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = described(made)
    for kind in KINDS:
        (folder / kind.name).write_bytes(pack(text_of(kind, found[kind])))
    return {kind: folder / kind.name for kind in KINDS}


Spliced = dict[Kind, Path]


def spliced(folder: Path, former: Spliced, new: Sequence[createrepo_c.Package] = (), dropped=()) -> Spliced:
    folder.mkdir(parents=True, exist_ok=True)
    made = splice.make_all(folder, former, described(new), dropped, "M")
    return {kind: file.path for kind, file in zip(KINDS, made, strict=True)}


def contents(files: Spliced) -> list[bytes]:
    return [path.read_bytes() for path in files.values()]


def name_of(made: createrepo_c.Package) -> tuple[str, str]:
    return f"{made.name}-{made.version}-{made.release}.{made.arch}", made.pkgId


def parsed(path: Path) -> list[PublishedRpm]:
    """The same by createrepo_c's reader."""
    return packages._read_parsed(path)


@_FEW
@given(steps=st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 400), max_size=60)), max_size=6), data=st.data())
def test_the_bytes_depend_on_the_packages_alone(tmp_path_factory, steps, data):
    folder = tmp_path_factory.mktemp("splice")
    there: set[int] = set(range(0, 400, 3))
    files = laid(folder / "start", [package(number) for number in there])
    for step, (adding, numbers) in enumerate(steps):
        new = data.draw(st.permutations(sorted(numbers - there))) if adding else []
        dropped = set() if adding else numbers & there
        names = {name_of(package(number)) for number in dropped}
        files = spliced(folder / str(step), files, [package(number) for number in new], names)
        there = there.union(new) - dropped
    files = spliced(folder / "end", files)
    assert contents(files) == contents(spliced(folder / "at once", {}, [package(number) for number in there]))
    assert Counter(packages.read_packages(files[PRIMARY], "M")) == Counter(parsed(files[PRIMARY]))
    assert {rpm.size_bytes for rpm in packages.read_packages(files[PRIMARY], "M")} == there


def test_a_package_more_changes_one_chunk(tmp_path):
    before = spliced(tmp_path / "1", {}, [package(number) for number in range(2000)])
    after = spliced(tmp_path / "2", before, [package(5000)])
    for kind in KINDS:
        was, now = (
            {bytes(part.body) for part in indexed.locate(files[kind].read_bytes())} for files in (before, after)
        )
        assert len(was) > 20
        assert len(now - was) == 2  # and the header, which tells the number


def test_what_a_chunk_has_of_other_readers(tmp_path):
    files = spliced(tmp_path, {}, [package(number) for number in range(300)])
    found = list(createrepo_c.PackageIterator(*(str(files[kind]) for kind in KINDS)))
    assert sorted(each.size_package for each in found) == list(range(300))
    assert all(each.files for each in found)
    for kind in KINDS:
        text = gzip.decompress(files[kind].read_bytes())
        assert b"".join(map(indexed.unpack, indexed.locate(files[kind].read_bytes()))) == text
        assert subprocess.check_output(["gzip", "-dc", files[kind]]) == text


_TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)
_WORD = st.text(st.sampled_from("abz019._+~&<>\"'é\u4e2d"), min_size=1, max_size=8)


@_FEW
@given(
    wishes=st.lists(
        st.fixed_dictionaries(
            {
                "name": _WORD, "version": _WORD, "release": _WORD, "arch": _WORD, "epoch": st.sampled_from("0123"),
                "location_href": _WORD.map(lambda word: f"x/{word}.rpm"), "summary": _TEXT, "description": _TEXT,
                "rpm_sourcerpm": st.one_of(st.just(""), _WORD.map(lambda word: f"{word}-1-1.src.rpm")),
                "location_base": st.sampled_from(["", "http://example.org/a&b"]),
            }
        ),
        max_size=5,
    )
)  # fmt: skip
def test_both_readers_read_the_same(tmp_path_factory, wishes):
    path = tmp_path_factory.mktemp("read") / "primary.xml"
    made = [package(number, **each) for number, each in enumerate(wishes)]
    path.write_bytes(text_of(PRIMARY, described(made)[PRIMARY]))
    assert list(packages._read_plain(path)) == parsed(path)
    assert [rpm.name for rpm in parsed(path)] == [each["name"] for each in wishes]


def test_entities():
    assert unescape("&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&amp;lt;") == "<>&\"'AB&lt;"
    for text in ("&nbsp;", "a & b", "&#x;", "&#12345678;"):
        with pytest.raises(NotPlain):
            unescape(text)
    with pytest.raises(Damaged):
        unescape("&#xD800;")


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_what_another_tool_wrote_is_taken_however_it_is_packed(tmp_path, pack):
    if pack is zstd and shutil.which("zstd") is None:
        pytest.skip("no zstd here")
    made = [package(number) for number in (3, 1, 2)]
    files = spliced(tmp_path / "new", laid(tmp_path / "old", made, pack))
    assert contents(files) == contents(spliced(tmp_path / "whole", {}, made))


def test_an_element_is_kept_as_it_was(tmp_path):
    element = (
        '<package type="rpm"><name>a</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/>'
        f'<checksum type="sha256" pkgid="YES">{"a" * 64}</checksum><summary>&#x41;  é</summary>\n\t<unknown x="y"/>'
        '<size package="1"/><location xml:base="http://example.org/" href="a.rpm"/><format/>'
    )
    brief = f'<package pkgid="{"a" * 64}" name="a" arch="noarch"><version epoch="0" ver="1" rel="1"/>  '
    former = {}
    for kind, text in ((PRIMARY, element), (FILELISTS, brief), (OTHER, brief)):
        former[kind] = tmp_path / kind.name
        former[kind].write_bytes(text_of(kind, [f"\n\n   {text}"]))
    files = spliced(tmp_path / "new", former, [package(1)])
    assert element + END in gzip.decompress(files[PRIMARY].read_bytes()).decode()
    assert brief + END in gzip.decompress(files[OTHER].read_bytes()).decode()
    assert [rpm.href for rpm in packages.read_packages(files[PRIMARY], "M")] == ["a.rpm", "noarch/p-1.rpm"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"<name>", b"<!-- </package> --><name>"),
        (b"<summary>s<", b"<summary><![CDATA[</package>]]><"),
        (b"\n", b"\r\n"),
        (b'type="rpm"', b"type='rpm'"),
        (b"xmlns:rpm", b'xmlns:more="http://example.org/" xmlns:rpm'),
    ],
)
def test_what_is_not_plain_is_parsed(tmp_path, was, now):
    former = laid(tmp_path / "old", [package(number) for number in range(9)], bytes)
    text = former[PRIMARY].read_bytes()
    assert was in text
    former[PRIMARY].write_bytes(text.replace(was, now))
    with pytest.raises(NotPlain):
        list(packages._read_plain(former[PRIMARY]))
    found = packages.read_packages(former[PRIMARY], "M")
    files = spliced(tmp_path / "new", former, [package(20)], {name_of(package(4))})
    sizes = [rpm.size_bytes for rpm in packages.read_packages(files[PRIMARY], "M")]
    assert [rpm.size_bytes for rpm in found] == list(range(9))
    assert sorted(sizes) == [0, 1, 2, 3, 5, 6, 7, 8, 20]
    assert list(packages._read_plain(files[PRIMARY])) == parsed(files[PRIMARY])


def test_a_package_that_is_there_twice(tmp_path):
    """At two places, say: the order does not depend on which came first."""
    numbers = range(200)
    last = max((package(number) for number in numbers), key=lambda made: (made.name, made.version))
    again = [package(last.size_package, location_href=f"noarch/{place}.rpm") for place in "za"]
    files = spliced(tmp_path / "0", {}, [package(number) for number in numbers])
    files = spliced(tmp_path / "1", files, [again[0]])
    files = spliced(tmp_path / "2", files, [again[1]])
    whole = spliced(tmp_path / "whole", {}, [*again, *(package(number) for number in numbers)])
    assert contents(files) == contents(whole)
    without = spliced(tmp_path / "3", files, (), {name_of(last)})
    assert contents(without) == contents(
        spliced(tmp_path / "4", {}, [package(n) for n in numbers if n != last.size_package])
    )


def shuffled(path: Path) -> bytes:
    """A file like ours with its chunks in another order."""
    first, *parts, last = indexed.locate(path.read_bytes())
    moved = [first, *reversed(parts), last]
    text = b"".join(map(indexed.unpack, moved))
    return b"".join(indexed.join(moved, zlib.crc32(text), len(text)))


def test_a_file_like_ours_in_another_order_is_made_anew(tmp_path):
    files = spliced(tmp_path / "1", {}, [package(number) for number in range(500)])
    wanted = contents(files)
    files[PRIMARY].write_bytes(shuffled(files[PRIMARY]))
    assert contents(spliced(tmp_path / "2", files)) == wanted


def nested(size: int) -> bytes:
    return PRIMARY.header(1) + b'<package type="rpm">' + b"<a>" * (size // 3)


_BOMB = b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<metadata>&b;</metadata>'
_BAD: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("cut gzip", lambda text: gzip.compress(text)[:-20], "ended before|Compressed file ended"),
    ("cut text", lambda text: gzip.compress(text[:-80]), "it ends too early|it is no XML"),
    ("damaged gzip", lambda text: gzip.compress(text)[:30] + b"\xff" * 30, "."),
    ("nothing", lambda text: b"", "no element found|ends too early"),
    ("fewer than it says", lambda text: text.replace(b'packages="5"', b'packages="7"'), "names 5 packages and says 7"),
    ("doctype", lambda text: gzip.compress(_BOMB), "it has a doctype"),
    ("doctype before ours", lambda text: text.replace(b"<metadata", b"<!DOCTYPE metadata>\n<metadata"), "a doctype"),
    ("latin 1", lambda text: text.replace(b"<summary>s", b"<summary>\xe9"), "it is not UTF-8|no XML in UTF-8"),
    ("nested", lambda text: gzip.compress(nested(200 << 20), 1), "takes more than 32 MiB|nested more than 32"),
    ("out of it", lambda text: text.replace(b'href="noarch', b'href="../noarch'), "leads out of the repository"),
    ("by sha1", lambda text: text.replace(b'type="sha256"', b'type="sha"'), "by its sha, not by its sha256"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "why"), [row[1:] for row in _BAD], ids=[row[0] for row in _BAD])
def test_a_bad_primary_is_told_in_one_line(tmp_path, spoil, why):
    former = laid(tmp_path / "old", [package(number) for number in range(5)], bytes)
    former[PRIMARY].write_bytes(spoil(former[PRIMARY].read_bytes()))
    with pytest.raises(PublishError, match=why) as raised:
        packages.read_packages(former[PRIMARY], "M")
    assert "\n" not in str(raised.value)
    if "sha" in why or "out of" in why:
        return  # what was read is never given on
    with pytest.raises(PublishError, match=f"the repository M is not whole: .*({why})") as raised:
        spliced(tmp_path / "new", former)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("where", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("spoil", [lambda data, at: data[:at], lambda data, at: data[:at] + b"\xff" + data[at + 1 :]])
def test_a_damaged_file_of_ours(tmp_path, spoil, where):
    files = spliced(tmp_path / "1", {}, [package(number) for number in range(500)])
    content = files[PRIMARY].read_bytes()
    files[PRIMARY].write_bytes(spoil(content, int(len(content) * where)))
    with pytest.raises(PublishError):
        packages.read_packages(files[PRIMARY], "M")
    with pytest.raises(PublishError):
        spliced(tmp_path / "2", files)


@pytest.mark.parametrize("pack", [bytes, "ours"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_files_that_name_different_packages(tmp_path, kind, pack):
    def lay(folder: Path, numbers: range) -> Spliced:
        made = [package(number) for number in numbers]
        return spliced(folder, {}, made) if pack == "ours" else laid(folder, made, bytes)

    files = lay(tmp_path / "1", range(200))
    for others in (range(1, 201), range(199)):
        mixed = {**files, kind: lay(tmp_path / str(others), others)[kind]}
        for dropped in (set(), {name_of(package(0))}):
            with pytest.raises(PublishError, match="name different packages"):
                spliced(tmp_path / "2", mixed, (), dropped)


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_text_without_end(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(streams, "_MAX_TEXT_BYTES", 1000)
    (tmp_path / "x").write_bytes(pack(b"<" * 2000))
    with pytest.raises(Damaged, match="holds more than"):
        list(streams.read_pieces(tmp_path / "x"))


def test_a_part_that_grows_too_large(monkeypatch):
    monkeypatch.setattr(indexed, "_MAX_TEXT_BYTES", 1000)
    assert indexed.unpack(indexed.pack(b"x" * 999)) == b"x" * 999
    with pytest.raises(Damaged, match="too large"):
        indexed.unpack(indexed.pack(b"x" * 500_000))
    part = indexed.pack(b"x")
    with pytest.raises(Damaged, match="CRC"):
        indexed.unpack(indexed.Part(body=part.body, crc=part.crc + 1))


def test_more_parts_than_a_header_holds(tmp_path, monkeypatch):
    made = [package(number) for number in range(500)]
    monkeypatch.setattr(indexed, "_MAX_FIELD_BYTES", 16)
    files = spliced(tmp_path / "1", {}, made[1:])
    assert contents(spliced(tmp_path / "2", files, made[:1])) == contents(spliced(tmp_path / "3", {}, made))
    assert packages.read_packages(files[PRIMARY], "M") == tuple(parsed(files[PRIMARY]))


@pytest.mark.skipif(find_library("xml2") is None, reason="no libxml2 here")
def test_libxml2_reads_it(tmp_path):
    """yum's parser on CentOS 6 lets libxml2 open the files."""
    library = ctypes.CDLL(find_library("xml2"))
    library.xmlReadFile.restype = library.xmlDocGetRootElement.restype = ctypes.c_void_p
    library.xmlChildElementCount.restype = ctypes.c_ulong
    files = spliced(tmp_path, {}, [package(number) for number in range(3000)])
    for path in files.values():
        document = library.xmlReadFile(str(path).encode(), None, 0)
        root = library.xmlDocGetRootElement(ctypes.c_void_p(document))
        assert library.xmlChildElementCount(ctypes.c_void_p(root)) == 3000
        library.xmlFreeDoc(ctypes.c_void_p(document))


def test_chunks_are_cut_by_content():
    made = described(package(number) for number in range(3000))[OTHER]
    chunks = list(canonical.splice((), [(OTHER.key(text), text) for text in made], frozenset()))
    assert 20 < len(chunks) < 100
    assert all(chunk.is_closed for chunk in chunks[:-1])


@pytest.fixture(scope="module")
def rpms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rpms")
    work = tmp_path_factory.mktemp("work")
    make_rpms(folder, work, range(1, 6))
    return folder


def write(folder: Path, rpms: Path, numbers: Iterable[int], before_dir: Path | None = None, dropped=(), revision=7):
    new = []
    for number in numbers:
        href = f"noarch/bench{number:05}-1.0-1.noarch.rpm"
        new.append(repodata.NewRpm(path=rpms / href, href=href))
    before = None
    if before_dir is not None:
        before = repodata.read_index((before_dir / "repodata/repomd.xml").read_bytes(), "M")
    repodata.write(folder, new=new, dropped=dropped, before=before, before_dir=before_dir or folder, revision=revision)
    return repodata.read_index((folder / "repodata/repomd.xml").read_bytes(), "M")


def test_write(tmp_path, rpms):
    write(tmp_path / "1", rpms, (1, 3))
    index = write(tmp_path / "2", rpms, (2,), tmp_path / "1")
    write(tmp_path / "3", rpms, (3, 2, 1))
    assert index.revision == 7
    files = sorted((tmp_path / "2" / "repodata").iterdir())
    assert [path.name for path in files] == sorted(path.name for path in (tmp_path / "3" / "repodata").iterdir())
    for path in files:
        assert path.read_bytes() == (tmp_path / "3" / "repodata" / path.name).read_bytes()
        assert (path.stat().st_mtime, path.stat().st_mode & 0o777) == (7, 0o644)
    record = createrepo_c.Repomd(str(tmp_path / "2/repodata/repomd.xml"))["primary"]
    text = gzip.decompress((tmp_path / "2" / record.location_href).read_bytes())
    assert (record.checksum_open, record.size_open) == (hashlib.sha256(text).hexdigest(), len(text))
    assert record.size == (tmp_path / "2" / record.location_href).stat().st_size
    assert Path(record.location_href).name == f"{record.checksum}-primary.xml.gz"
    for file in index.files:
        repodata.verify(file, tmp_path / "2", "M")


def test_what_is_new_is_described_as_createrepo_c_does(tmp_path, rpms):
    shutil.copytree(rpms, tmp_path / "1")
    subprocess.run(["createrepo_c", "-q", "--no-database", "--revision=7", str(tmp_path / "1")], check=True)
    write(tmp_path / "ours", rpms, range(1, 6))
    write(tmp_path / "adopted", rpms, (), tmp_path / "1")
    wanted = sorted(path.name for path in (tmp_path / "ours" / "repodata").iterdir())
    times = {path.name for path in (tmp_path / "adopted" / "repodata").iterdir()}
    assert len(wanted) == 4
    assert times >= {name for name in wanted if "primary" not in name}  # the copies' times are in primary


def test_dropped_and_other_records(tmp_path, rpms):
    first = write(tmp_path / "1", rpms, (1, 2, 3))
    comps = tmp_path / "comps.xml"
    comps.write_bytes(b"<comps/>")
    subprocess.run(
        ["modifyrepo_c", "--compress-type=gz", "--mdtype=group_gz", comps, tmp_path / "1/repodata"],
        check=True, capture_output=True,
    )  # fmt: skip
    primary = first.file("primary")
    gone = repodata.read_packages(tmp_path / "1" / primary.href, "M")[1]
    index = write(tmp_path / "2", rpms, (), tmp_path / "1", {(gone.nevra, gone.sha256), ("other-1-1.noarch", "x")})
    left = repodata.read_packages(tmp_path / "2" / index.file("primary").href, "M")
    assert [rpm.name for rpm in left] == ["bench00001", "bench00003"]
    group = index.file("group_gz")
    (former,) = (tmp_path / "1/repodata").glob("*comps.xml.gz")
    assert (tmp_path / "2" / group.href).read_bytes() == former.read_bytes()
    assert group.href == f"repodata/{group.digest}-comps.xml.gz"
    again = write(tmp_path / "3", rpms, (), tmp_path / "2")
    assert again == index
    assert (tmp_path / "3/repodata/repomd.xml").read_bytes() == (tmp_path / "2/repodata/repomd.xml").read_bytes()


def test_nothing_is_written_half(tmp_path, rpms):
    write(tmp_path / "1", rpms, (1, 2))
    other = next((tmp_path / "1/repodata").glob("*-other.xml.gz"))
    other.write_bytes(other.read_bytes()[:-30])
    with pytest.raises(PublishError, match="-other.xml.gz cannot be read"):
        write(tmp_path / "2", rpms, (3,), tmp_path / "1")
    assert list((tmp_path / "2").iterdir()) == []
    other.unlink()
    with pytest.raises(PublishError, match="No such file"):
        write(tmp_path / "2", rpms, (3,), tmp_path / "1")
    (tmp_path / "x.rpm").write_bytes(b"no package")
    with pytest.raises(PublishError, match="x.rpm cannot be read as a package"):
        repodata.write(
            tmp_path / "2", new=[repodata.NewRpm(path=tmp_path / "x.rpm", href="x.rpm")], dropped=(), before=None,
            before_dir=tmp_path, revision=7,
        )  # fmt: skip
    assert list((tmp_path / "2").iterdir()) == []


def test_a_full_disk(tmp_path, rpms, monkeypatch):
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.mirrors.metadata.records.repomd", full)
    with pytest.raises(PublishError, match="2/repodata could not be written: .*No space left") as raised:
        write(tmp_path / "2", rpms, (1,))
    assert raised.value.reference == "repodata-unwritten"
    assert list((tmp_path / "2").iterdir()) == []
