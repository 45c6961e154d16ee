# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages for people: each command in them is run, in order, on the demo, and prints what the page shows.

What stands for something that nobody has here is in SUBSTITUTIONS, and nothing else differs. Programs that only
a hypervisor, an engine or a network has are recorded, by fakes.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests import family
from tests.integration.checkout import ROOT
from tests.integration.pages import Block, blocks, inline_sessions
from tests.integration.site import Site, site

__all__ = ["site"]  # a fixture

DOCS = ROOT / "docs"
PAGES = ("developer.md", "packages.md", "ci.md", "publishing.md", "administrator.md")

# (what the page has, what the test runs, why). `{…}` are folders of the test.
SUBSTITUTIONS = (
    (r"https://git\.example\.org/vdsm-packaging\.git", "{origin}", "a clone of these very files"),
    (r"^cd vdsm-packaging$", "cd {root}", "where the demo was released already, which saves the time"),
    (r"--target el6-bullseye --source git:\S+", "--target demo", "no container, no vdsm"),
    (r'--target el6\b|(?<=@)el6\b|(?<=default_targets = \[)"el6"(?=\])', None, "CentOS 6 takes a container"),
    (r"\.\./(?=greet-protocol)", "{home}/", "beside what the test has"),
    (r"/etc/vdsm-pipeline|~/\.config/vdsm-pipeline", "{home}/keys", "no folder of this machine's is touched"),
    (r"publisher@mirror\.example\.org:/srv/yum", "{home}/first", "a directory in place of a host"),
    (r"rsync://second\.example\.org", "{home}/second", "a directory in place of a host"),
    (r"^url = .*\n?", "", "what is a directory has no address"),
    (r"ssh://git@git\.example\.org/", "{home}/", "the demo uses no remote"),
    (r"/var/log/vdsm/vdsm\.log", "{home}/vdsm.log", "a log with the patches' own texts"),
    (r"\b1795259002\b", "{revision}", "the revision that stood before"),
)
# Blocks that are files of other machines: why no test needs to run them.
NOT_RUN = {
    'command="rrsync /srv/yum"': "a line for sshd: test_publish_remote publishes through rrsync",
}
ENGINE_NAME = "UserDefinedVMProperties"
OTHERS = "hostusb=^0x[0-9a-fA-F]{4}:0x[0-9a-fA-F]{4}$;floppy=^.*$"


@dataclass
class Reader:
    """Somebody who does what a page says, one block after the other."""

    site: Site
    words: dict[str, str]
    cwd: Path
    output: str = ""
    ran: list[str] = field(default_factory=list)

    @property
    def calls_path(self) -> Path:
        return self.site.home / "calls"

    def calls(self, *programs: str) -> list[list[str]]:
        """How these programs of other machines were called, in order."""
        calls = [call.split("\0") for call in self.calls_path.read_text().split("\0END\0")[:-1]]
        return [words for words in calls if words[0] in programs]

    def read(self, block: Block) -> None:
        text = self.substituted(block.text)
        kind = block.kind.partition(" ")
        {
            "sh": self._run,
            "text": self._compare,
            "toml": self._settings,
            "ini": self._repo,
            "conf": self._reasoned,
            "yaml": self._workflow,
        }[kind[0]](block, text)
        self.ran.append(block.place)

    def substituted(self, text: str) -> str:
        for pattern, meant, _ in SUBSTITUTIONS:

            def replace(found: re.Match[str], meant: str | None = meant) -> str:
                return found[0].replace("el6", "demo") if meant is None else meant.format(**self.words)

            text = re.sub(pattern, replace, text, flags=re.MULTILINE)
        return text

    def _run(self, block: Block, text: str) -> None:
        where = block.kind.partition(" ")[2]
        path = ":".join(str(self.site.home / "bin" / name) for name in ("network", where) if name)
        end = self.site.home / "cwd"
        before = len(self.calls("yum", "rpm"))
        done = self.site.sh(f"PATH={path}:$PATH\n{text}\npwd >{end}", cwd=self.cwd)
        assert done.returncode == 0, f"{block.place}: {text}\n{done.stdout}"
        self.cwd = Path(end.read_text().strip())
        self.output = done.stdout
        if where == "host":
            # The page's own words, as a shell splits them.
            asked = [shlex.split(line) for line in text.splitlines()]
            assert self.calls("yum", "rpm")[before:] == [words for words in asked if words[0] != "grep"], block.place

    def _compare(self, block: Block, text: str) -> None:
        for line in text.splitlines():
            assert line in self.output, f"{block.place}: '{line}' is not in\n{self.output}"

    def _settings(self, block: Block, text: str) -> None:
        tomllib.loads(text)
        lay_settings(self.site.checkout.root / "pipeline.toml", text)

    def _repo(self, block: Block, text: str) -> None:
        parser = configparser.ConfigParser()
        parser.read_string(text)
        (name,) = parser.sections()
        assert {"mirrorlist", "gpgkey", "gpgcheck", "repo_gpgcheck", "name"} == set(parser[name])

    def _workflow(self, block: Block, text: str) -> None:
        """Jobs of a GitHub workflow, which is right with them in it."""
        example = yaml.safe_load((DOCS / "ci" / "github.yml").read_text())
        jobs = {**example["jobs"], **yaml.safe_load(text)}
        path = self.site.home / "workflow.yml"
        # To YAML 1.1, `on` is a truth.
        path.write_text(json.dumps({"on": example.pop(True), **example, "jobs": jobs}))
        argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.place}: {done.stdout}"

    def _reasoned(self, block: Block, text: str) -> None:
        assert any(block.text.startswith(begin) and why for begin, why in NOT_RUN.items()), block.place


def lay_settings(path: Path, text: str) -> None:
    """Lay tables and keys over those of a pipeline.toml."""
    head, *tables = re.split(r"(?m)^(?=\[)", text)
    content = path.read_text()
    for line in head.splitlines():
        if line.strip():
            content, count = re.subn(rf"(?m)^{line.partition(' ')[0]} = .*$", lambda _, line=line: line, content)
            assert count == 1, line
    for table in tables:
        name = table.partition("\n")[0]
        content = re.sub(rf"(?m)^{re.escape(name)}\n(?:(?!\[).*\n)*", "", content) + f"\n{table.rstrip()}\n"
    path.write_text(content)


def lay_fakes(home: Path) -> None:
    """Programs that record how they were called; engine-config keeps what it is told."""
    record = f"#!/bin/sh\nprintf '%s\\0' \"${{0##*/}}\" \"$@\" >>{home}/calls; printf 'END\\0' >>{home}/calls\n"
    engine = (
        f'if [ "$1" = -g ]; then for version in 3.0 3.1 3.2 3.3 3.4; do echo "$2:  version: $version"; done\n'
        f'echo "$2: $(cat {home}/properties) version: 3.5"; else printf %s "${{2#*=}}" >{home}/properties; fi\n'
    )
    for name, more in (("network/ssh-keyscan", ""), ("host/yum", ""), ("host/rpm", ""), ("engine/service", ""),
                       ("engine/engine-config", engine)):  # fmt: skip
        path = home / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record + more)
        path.chmod(0o755)
    (home / "properties").write_text(OTHERS)
    (home / "calls").write_text("")


@pytest.fixture
def reader(site: Site) -> Reader:
    lay_fakes(site.home)
    (site.home / "keys").mkdir(mode=0o700)
    words = {
        "root": str(site.checkout.root),
        "home": str(site.home),
        "origin": str(site.home / "origin" / "vdsm-packaging.git"),
    }
    return Reader(site, words, site.checkout.root)


def read_page(name: str, reader: Reader, before: Callable[[Block], None] = lambda block: None) -> None:
    found = blocks(DOCS / name)
    for block in found:
        before(block)
        reader.read(block)
    assert reader.ran == [block.place for block in found]


def test_developer(reader):
    origin = Path(reader.words["origin"])
    shutil.copytree(reader.site.checkout.root, origin, ignore=shutil.ignore_patterns("out", ".venv"))
    git = ["git", "-C", str(origin), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    reader.cwd = reader.site.home
    read_page("developer.md", reader)
    assert (reader.site.home / "vdsm-packaging" / "bootstrap").exists()


def test_packages(reader):
    family.lay_upstream(reader.site.home, family.PROTOCOL)
    family.lay_source(reader.site.checkout.root, family.PROTOCOL)
    read_page("packages.md", reader)


def test_ci(reader):
    root = reader.site.checkout.root
    before = {path.name for path in root.iterdir()}
    read_page("ci.md", reader)
    written = {path.name for path in root.iterdir()} - before - {".github", ".gitlab-ci.yml", "Jenkinsfile"}
    assert {"plan.json", "audit.json", "mirror-key"} <= written
    assert not_ignored(root, written) == set()
    assert reader.calls("ssh-keyscan") == [["ssh-keyscan", "mirror.example.org", "git.example.org"]]
    for copied in (".github/workflows/packages.yml", ".gitlab-ci.yml", "Jenkinsfile"):
        assert (reader.site.checkout.root / copied).is_file()


def not_ignored(root: Path, names: set[str]) -> set[str]:
    """Those that git would call untracked in a checkout of ours."""
    shutil.copy(ROOT / ".gitignore", root)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    told = subprocess.run(["git", "check-ignore", *names], cwd=root, capture_output=True, text=True)
    return names - set(told.stdout.split())


def test_publishing(reader):
    page = {block.place: block for block in blocks(DOCS / "publishing.md")}
    settings, each_time = (
        next(each for each in page.values() if word in each.text) for word in ("[mirrors", "promote")
    )
    for name in ("first", "second"):
        (reader.site.home / name).mkdir()

    def prepare(block: Block) -> None:
        # What the command printed belongs into pipeline.toml, the page says.
        printed = re.search(r"(?m)^    \[signing\]\n(?:    .+\n)+", reader.output)
        if printed:
            lay_settings(reader.site.checkout.root / "pipeline.toml", textwrap.dedent(printed[0]))
        if "--rotate" in block.text:  # going back takes a state of before
            for earlier in (settings, each_time):
                reader.read(earlier)
                reader.ran.pop()
            reader.words["revision"] = str(revisions(reader)[0])
            change_a_patch(reader)

    read_page("publishing.md", reader, prepare)
    stands, *_, first = revisions(reader)
    assert (len(revisions(reader)), str(first)) == (3, reader.words["revision"]), stands


def change_a_patch(reader: Reader) -> None:
    """As the developer's page does."""
    change = next(block for block in blocks(DOCS / "developer.md") if block.text.startswith("sed "))
    reader.read(change)
    reader.ran.pop()


def revisions(reader: Reader) -> list[int]:
    document = reader.site.checkout.run("snapshots", "--target", "demo", "--mirror", "stable").document
    return [each["revision"] for each in document["repositories"][0]["snapshots"]]


def test_the_mirrorlist_is_where_the_settings_of_the_page_put_it():
    found = {block.kind: block.text for block in blocks(DOCS / "publishing.md")}
    url = tomllib.loads(found["toml"])["mirrors"]["stable"]["url"][0]
    assert f"mirrorlist={url}/el6/mirrorlist\n" in found["ini"]
    assert f"gpgkey={url}/el6/keys.asc\n" in found["ini"]


def log_texts() -> list[str]:
    """The texts of the log lines that the patches add, as the code has them."""
    added = "".join(
        "\n".join(line[1:] for line in path.read_text().splitlines() if re.match(r"[+ ](?!\+\+)", line))
        for path in sorted((ROOT / "patches/vdsm").glob("0*.patch"))
    )
    calls = re.findall(r"self\.log\.\w+\(((?:\s*'[^']*')+)", added)
    return ["".join(re.findall("'([^']*)'", call)) for call in calls]


def test_administrator(reader):
    (reader.site.home / "vdsm.log").write_text("".join(f"Thread-1::INFO::{text}\n" for text in log_texts()))
    read_page("administrator.md", reader)
    assert "console disconnected, action:" in (reader.site.home / "vdsm.log").read_text()
    (asked, (_, flag, told, version), restarted) = reader.calls("engine-config", "service")
    assert asked == ["engine-config", "-g", ENGINE_NAME]
    assert (flag, version, restarted) == ("-s", "--cver=3.5", ["service", "ovirt-engine", "restart"])
    ours = tomllib.loads((ROOT / "pipeline.toml").read_text())["packages"]["vdsm"]["engine_properties"]
    assert told == ";".join([f"{ENGINE_NAME}={OTHERS}", *(f"{key}={regex}" for key, regex in ours.items())])


def test_the_log_lines_of_the_page_are_those_of_the_patches():
    known = [re.sub(r"%[rs]", ".+", re.escape(text).replace("%", "%")) for text in log_texts()]
    rows = re.findall(
        r"(?m)^\| `([^`]+)` \| ", (DOCS / "administrator.md").read_text().partition("See what happened")[2]
    )
    assert len(rows) >= 6
    for row in rows:
        assert any(re.fullmatch(pattern, row) for pattern in known), row


@pytest.mark.parametrize("name", PAGES)
def test_every_session_and_every_link_of_a_page_is_there(name):
    text = (DOCS / name).read_text()
    listed = subprocess.check_output([sys.executable, "-m", "nox", "--list"], cwd=ROOT, text=True)
    assert inline_sessions(text) <= set(re.findall(r"^[*-] (\w+)", listed, re.MULTILINE))
    assert dead_links(DOCS / name) == []


def dead_links(page: Path) -> Sequence[str]:
    """Relative links of a page that lead to no file, or to no heading of it."""
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    return [link for link in links if not link.startswith(("http://", "https://")) and not _leads(page, link)]


def _leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    path = page.parent / name if name else page
    headings = re.findall(r"(?m)^#+ (.*)$", path.read_text()) if anchor else []
    return path.exists() and (not anchor or anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-")
                                                        for each in headings})  # fmt: skip


@pytest.mark.parametrize(
    "text", ["    .venv/bin/nox -s plan\n", "```bash\nls\n```\n", "```sh\nls\n", "```\nls\n```\n", "~~~sh\nls\n~~~\n"]
)
def test_code_that_no_test_would_run_is_found(tmp_path, text):
    (tmp_path / "page.md").write_text(f"# Page\n\n{text}")
    with pytest.raises(AssertionError):
        blocks(tmp_path / "page.md")


def test_a_command_that_fails_or_prints_something_else_is_found(reader):
    with pytest.raises(AssertionError, match=r"^page:1: "):
        reader.read(Block(kind="sh", text="false", place="page:1"))
    reader.read(Block(kind="sh", text="echo one", place="page:2"))
    with pytest.raises(AssertionError, match=r"^page:3: 'two' is not in"):
        reader.read(Block(kind="text", text="two", place="page:3"))
    with pytest.raises(AssertionError):
        reader.read(Block(kind="conf", text="something", place="page:4"))
