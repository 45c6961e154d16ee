# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetching from a git tag, with a small upstream whose autogen and make dist are real commands."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from pipeline import command
from pipeline.context import JobContext
from pipeline.errors import BuildError, NetworkError, SrpmError, UsageError
from pipeline.gitenv import is_remote
from pipeline.sources import upstream
from pipeline.stages import fetch
from tests.unit import fetching
from tests.unit.fetching import IMAGE, refusal, told
from tests.unit.source_packages import SPEC

AUTOGEN = """\
#!/bin/sh -e
test "$1" = --quick
echo '4.16.30' > version
"""
MAKEFILE = """\
dist:
\tmkdir vdsm-$$(cat version)
\tcp vdsm.spec README vdsm-$$(cat version)
\tgit log --format=%s > vdsm-$$(cat version)/ChangeLog
\ttar chof - vdsm-$$(cat version) | gzip -cn > vdsm-$$(cat version).tar.gz
"""


def make_context(root: Path, *sources: str, more: str = "", **flags: object) -> JobContext:
    """With what this upstream's checkout needs before `make dist`."""
    return fetching.make_context(root, *sources, more=more or 'dist_prepare = ["./autogen.sh", "--quick"]', **flags)


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", "-C", str(folder), *identity, *words]
    environ = {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": "1400000000 +0000"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("up stream")
    git(folder, "init", "--quiet", "--initial-branch=main")
    spec = SPEC.format(name="vdsm", version="4.16.30", release="0%{?dist}", sources="Source0: vdsm-4.16.30.tar.gz\n")
    files = {"autogen.sh": AUTOGEN, "Makefile": MAKEFILE, "vdsm.spec": spec, "README": "x\n"}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "autogen.sh").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    (folder / "README").write_text("y\n")
    git(folder, "commit", "--quiet", "--all", "--message", "second")
    git(folder, "tag", "v4.16.30")
    git(folder, "tag", "--annotate", "--message", "annotated", "annotated")
    (folder / "autogen.sh").write_text(AUTOGEN.replace("4.16.30", "4.17.0"))
    git(folder, "commit", "--quiet", "--all", "--message", "next")
    git(folder, "tag", "v4.17.0")
    (folder / "autogen.sh").write_text("#!/bin/sh\necho no autoconf here; exit 3\n")
    git(folder, "commit", "--quiet", "--all", "--message", "broken")
    git(folder, "tag", "broken")
    return folder


def commit_of(repository: Path, tag: str) -> str:
    return git(repository, "rev-parse", f"{tag}^{{commit}}")


@pytest.mark.parametrize("tag", ["v4.16.30", "annotated"])
def test_a_tag_becomes_a_source_rpm(root, repository, tag):
    commit = commit_of(repository, tag)
    context = make_context(root, f"git:{repository}@{tag}", commits=f'"{tag}" = "{commit}"')
    before = sorted((path, path.stat().st_mtime_ns, path.stat().st_nlink) for path in repository.rglob("*"))
    made = fetch.run(IMAGE, context=context)

    assert made.nevra == "vdsm-4.16.30-0.demo.src"
    assert not made.origin.startswith("demo")
    with tarfile.open(context.out_path / made.sources[0].path) as archive:
        assert archive.extractfile("vdsm-4.16.30/README").read() == b"y\n"
        assert archive.extractfile("vdsm-4.16.30/ChangeLog").read() == b"second\nfirst\n"
        assert {(each.uid, each.mtime) for each in archive.getmembers()} == {(0, 1_400_000_000)}
    assert told(context) == "", "a pinned commit is no cause for a warning"
    assert sorted((path, path.stat().st_mtime_ns, path.stat().st_nlink) for path in repository.rglob("*")) == before


def test_a_tag_without_make_dist_is_taken_as_git_has_it(root, repository, tmp_path):
    folder = tmp_path / "plain"
    git(repository, "clone", "--quiet", ".", str(folder))
    (folder / "packaging").mkdir()
    git(folder, "mv", "vdsm.spec", "packaging/vdsm.spec")
    git(folder, "rm", "--quiet", "autogen.sh", "Makefile")
    git(folder, "commit", "--quiet", "--message", "plain")
    git(folder, "tag", "plain")
    context = make_context(root, f"git:{folder}@plain", more='dist = "archive"')
    made = [fetch.run(IMAGE, context=context) for _ in range(2)]
    assert made[0].file.sha256 == made[1].file.sha256
    with tarfile.open(context.out_path / made[0].sources[0].path) as archive:
        names = {each.name for each in archive.getmembers() if each.isfile()}
        assert names == {"vdsm-4.16.30/README", "vdsm-4.16.30/packaging/vdsm.spec"}
        assert {(each.uid, each.mtime) for each in archive.getmembers()} == {(0, 1_400_000_000)}


@pytest.mark.parametrize("names", [(), ("a/vdsm.spec", "b/vdsm.spec")])
def test_a_tag_without_a_spec_or_with_two_is_refused(root, tmp_path, names):
    folder = tmp_path / "up"
    for name in (*names, "README"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "x")
    git(folder, "tag", "v1")
    message = refusal(SrpmError, make_context(root, f"git:{folder}@v1", more='dist = "archive"'))
    assert message.startswith("the commit has no vdsm.spec" if not names else "the commit has 2 files vdsm.spec (a/")


def test_a_change_of_how_the_tarball_is_made_is_a_reason_to_fetch_again(root, repository):
    contexts = [make_context(root, f"git:{repository}@v4.16.30", more=more) for more in ("", 'dist = "archive"')]
    first, second = (fetch.inputs(IMAGE, context=context) for context in contexts)
    assert {name for name in first if first[name] != second[name]} == {"tarball"}


def test_the_same_tag_makes_the_same_tarball(root, repository):
    made = [fetch.run(IMAGE, context=make_context(root, f"git:{repository}@v4.16.30")) for _ in range(2)]
    assert made[0].sources[0].sha256 == made[1].sources[0].sha256


def test_a_bare_repository_will_do_and_so_will_a_relative_path(root, repository, tmp_path, monkeypatch):
    git(repository, "clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    monkeypatch.chdir(tmp_path)
    assert fetch.run(IMAGE, context=make_context(root, "git:bare.git@v4.16.30")).name == "vdsm"


def test_an_unpinned_commit_is_shown(root, repository):
    context = make_context(root, f"git:{repository}@v4.16.30")
    fetch.run(IMAGE, context=context)
    assert f'"v4.16.30" = "{commit_of(repository, "v4.16.30")}"' in told(context)


def test_a_tag_that_moved_is_refused(root, repository):
    context = make_context(root, f"git:{repository}@v4.16.30", commits=f'"v4.16.30" = "{"0" * 40}"')
    message = refusal(SrpmError, context)
    assert f"the tag is {commit_of(repository, 'v4.16.30')}, and {'0' * 40} is wanted" in message


def test_a_tag_that_is_not_there_names_its_neighbours(root, repository):
    with pytest.raises(UsageError) as caught:
        fetch.run(IMAGE, context=make_context(root, f"git:{repository}@v4.16.3"))
    assert caught.value.message == f"{repository} has no tag 'v4.16.3'"
    assert "v4.16.30" in caught.value.hint


@pytest.mark.parametrize("tag", ["nothing-like-it", "v3.6", "4"])
def test_a_tag_with_no_neighbour_names_the_newest_by_their_numbers(tmp_path, tag):
    folder = tmp_path / "up"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")
    for name in ("v4.9.1", "v4.16.30", "v4.100.2", "v4.17.0", "v4.16.4"):
        git(folder, "tag", name)
    with pytest.raises(UsageError) as caught:
        upstream.tag_commit(str(folder), tag, timeout_seconds=30)
    told = re.findall(r"v4[.0-9]*\d", caught.value.hint)
    assert sorted(told) == ["v4.100.2", "v4.16.30", "v4.17.0"]
    assert caught.value.exit_code == 2


def test_a_missing_tag_of_a_repository_without_tags(tmp_path):
    git(tmp_path, "init", "--quiet")
    with pytest.raises(UsageError, match="has no tag 'v1'"):
        upstream.tag_commit(str(tmp_path), "v1", timeout_seconds=30)


def test_a_branch_is_no_tag(root, repository):
    assert "has no tag 'main'" in refusal(UsageError, make_context(root, f"git:{repository}@main"))


def test_a_folder_that_is_no_repository(root, tmp_path):
    (tmp_path / "plain").mkdir()
    message = refusal(UsageError, make_context(root, f"git:{tmp_path / 'plain'}@v1"))
    assert message.startswith(f"git cannot read {tmp_path / 'plain'}: ")


def test_a_shallow_clone_is_refused(root, repository, tmp_path):
    shallow = tmp_path / "shallow"
    git(repository, "clone", "--quiet", "--depth=1", "--branch=v4.16.30", repository.as_uri(), str(shallow))
    assert "is a shallow clone" in refusal(UsageError, make_context(root, f"git:{shallow}@v4.16.30"))


def test_a_tag_of_another_version_is_refused(root, repository):
    message = refusal_with_log(root, f"git:{repository}@v4.17.0")
    assert "made vdsm-4.17.0.tar.gz, and vdsm-4.16.30.tar.gz is wanted" in message


def test_a_failing_autogen_names_the_log(root, repository):
    message = refusal_with_log(root, f"git:{repository}@broken")
    assert message == "upstream's `./autogen.sh --quick` ended with exit code 3"
    assert "no autoconf here" in (root / "out/demo/vdsm/logs/fetch.log").read_text()


@pytest.mark.parametrize(
    ("there", "setting"),
    [
        ((), 'dist = "archive"'),
        (("configure.ac",), 'dist_prepare = ["sh", "-c", "autoreconf --install && ./configure"]'),
    ],
)
def test_an_upstream_without_autogen_is_told_with_the_line_to_write(root, repository, tmp_path, there, setting):
    folder = tmp_path / "plain"
    git(repository, "clone", "--quiet", ".", str(folder))
    git(folder, "rm", "--quiet", "autogen.sh")
    for name in there:
        (folder / name).write_text("x\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "plain")
    git(folder, "tag", "plain")
    with pytest.raises(BuildError) as caught:
        fetch.run(IMAGE, context=fetching.make_context(root, f"git:{folder}@plain"))
    commit = commit_of(folder, "plain")[:12]
    assert caught.value.message == f"upstream has no autogen.sh at {commit}, which should come before `make dist`"
    assert caught.value.hint.startswith(f"write in pipeline.toml, under [packages.vdsm]: {setting}")


def refusal_with_log(folder: Path, source: str) -> str:
    context = make_context(folder, source)
    with pytest.raises(BuildError) as caught:
        fetch.run(IMAGE, context=context)
    assert caught.value.log_path == context.log_path
    assert not (context.home_dir / "srpm").exists()
    return str(caught.value.message)


def test_the_commit_decides(root, repository, tmp_path):
    source = f"git:{repository}@v4.16.30"
    commit = commit_of(repository, "v4.16.30")
    assert fetch.inputs(IMAGE, context=make_context(root, source))[source] == commit
    pinned = make_context(root, source, commits=f'"v4.16.30" = "{"0" * 40}"')
    assert fetch.inputs(IMAGE, context=pinned)[source] == "0" * 40, "a pin needs no look"
    gone = f"git:{tmp_path / 'gone'}@v1"
    assert fetch.inputs(IMAGE, context=make_context(root, gone))[gone] == "missing"


def test_a_server_that_is_not_there_is_a_network_error(root):
    source = "git:http://127.0.0.1:1/vdsm.git@v4.16.30"
    assert "git cannot read http://127.0.0.1:1/vdsm.git: " in refusal(NetworkError, make_context(root, source))


def test_commands_are_no_protocol(root, tmp_path):
    evil = tmp_path / "evil"
    refusal(NetworkError, make_context(root, f"git:ext::sh -c touch% {evil}@v1"))
    assert not evil.exists()


def test_a_tag_is_never_an_option(repository, tmp_path):
    with pytest.raises(UsageError):
        upstream.tag_commit(str(repository), "--upload-pack=touch x", timeout_seconds=10)


def test_an_address_is_never_an_option(repository, tmp_path, monkeypatch):
    git(repository, "clone", "--quiet", ".", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")  # where git has an address of its own to use
    with pytest.raises(NetworkError):
        upstream.tag_commit(f"--upload-pack=touch {tmp_path}/evil;://x", "v1", timeout_seconds=10)
    assert not (tmp_path / "evil").exists()


def test_a_clone_shares_no_file_with_the_original(repository, tmp_path):
    """The engine gives all files of a workspace to the container's user."""
    commit = commit_of(repository, "v4.16.30")
    upstream.clone(str(repository), "v4.16.30", commit, tmp_path / "clone", timeout_seconds=10)
    assert {path.stat().st_nlink for path in (tmp_path / "clone").rglob("*") if path.is_file()} == {1}


def test_a_tag_that_moves_while_it_is_read(repository, tmp_path):
    with pytest.raises(SrpmError, match="the tag v4.16.30 gave"):
        upstream.clone(str(repository), "v4.16.30", "0" * 40, tmp_path / "clone", timeout_seconds=10)


def test_a_clone_that_hangs_is_ended(tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "git").chmod(0o755)
    path = command.local.env(PATH=f"{tmp_path}:/usr/bin:/bin")
    with path, pytest.raises(NetworkError, match=r"not done with .* within 0\.5 seconds"):
        upstream.tag_commit(str(tmp_path), "v1", timeout_seconds=0.5)


@pytest.mark.parametrize(
    ("location", "remote"),
    [
        ("https://host/x.git", True),
        ("ssh://git@host/x.git", True),
        ("me@host:x.git", True),
        ("host:x.git", True),
        ("file:///x.git", False),
        ("/x:y/z.git", False),
        ("./x", False),
        ("x", False),
    ],
)
def test_what_git_goes_over_the_network_for(location, remote):
    assert is_remote(location) == remote


def test_the_plan():
    assert upstream.plan_dist()[:2] == ["make", "dist"]
    assert "GZIP_ENV=-9n" in upstream.plan_dist()
    assert upstream.plan_environment(7)["SOURCE_DATE_EPOCH"] == "7"


def archive_of(folder: Path, *left_out: str) -> list[str]:
    """The names in the archive that the planned pipeline makes, as make would run it."""
    (line,) = [word for word in upstream.plan_dist(left_out) if word.startswith("am__tar=")]
    script = f"tardir={folder.name}; {line.removeprefix('am__tar=').replace('$$', '$')}"
    packed = subprocess.run(["sh", "-c", script], cwd=folder.parent, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return archive.getnames()


def test_the_tarball_is_in_the_order_of_the_names_and_lacks_what_is_left_out(tmp_path):
    top = tmp_path / "x-1"
    names = ["x-1", "x-1/A", "x-1/b", "x-1/tests", "x-1/tests/a b.py", "x-1/tests/made.crt", "x-1/tests/made.key"]
    for name in reversed(names[1:]):  # so that the disk has another order
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != "x-1/tests":
            path.write_text(name)
    (top / "deep" / "tests").mkdir(parents=True)
    (top / "deep" / "tests" / "made.crt").write_text("another's")
    deep = ["x-1/deep", "x-1/deep/tests", "x-1/deep/tests/made.crt"]
    assert archive_of(top) == [*names[:3], *deep, *names[3:]]
    assert archive_of(top, "tests/made.*") == [*names[:3], *deep, *names[3:5]]


def test_a_missing_git_is_told(root, repository, tmp_path):
    from pipeline.errors import CommandMissing

    with command.local.env(PATH=str(tmp_path)), pytest.raises(CommandMissing, match="git is not on PATH"):
        upstream.tag_commit(str(repository), "v4.16.30", timeout_seconds=10)
