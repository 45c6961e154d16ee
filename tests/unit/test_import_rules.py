# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may import and use what in pipeline/, read from its code; each rule is also shown to fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT_DIR = Path(__file__).resolve().parent.parent.parent
MAX_NOXFILE_LINES = 120

# What is named here is imported by these modules alone.
ONLY_IN = {
    "plumbum": {"command"},
    "subprocess": {"command"},
    "gnupg": {"signing.gpg"},
    "jinja2": {"pages.template", "rendering"},
    "git": {"allocation.tags", "sources.upstream"},
    "gitdb": {"allocation.tags"},
    "requests": {"mirrors.web", "sources.download"},
    "urllib3": {"sources.download"},
    "specfile": {"overlay"},
    "rich": {"board", "progress"},
    "click": {
        "commands.audit",
        "commands.engine",
        "commands.farm",
        "commands.frame",
        "commands.keys",
        "commands.mirror",
        "commands.packages",
        "commands.parcels",
        "commands.series",
        "commands.upkeep",
    },
    "junitparser": {"junit"},
    "distributed": {"farm.pool", "farm.preload", "farm.worker"},
    "fsspec": {"farm.store"},
    "cyclonedx": {"attestation.sbom"},
    "packageurl": {"attestation.sbom"},
    "in_toto_attestation": {"attestation.statement"},
    "google": {"attestation.statement"},
}

# Names of the os module that start programs.
STARTERS = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}

# All of ours that these modules may import.
MAY_IMPORT = {
    "model": set(),
    "errors": set(),
    "release": {"errors", "model"},
    "changelog": {"errors", "model"},
    "hunks": {"errors", "model"},
    "provides": {"model"},
    "files": {"command", "model"},  # cp copies trees
    "sourcespec": {"model"},
    "dangling": set(),
    "settingtypes": {"engineproperties", "engineproperties.regex", "sourcespec"},
    "settingtables": {"settingtypes"},
    "settings": {"dangling", "errors", "model", "settingtables", "settingtypes", "sourcespec"},
    "engineproperties.regex": set(),
    "engineproperties.text": {"engineproperties.regex", "errors"},
    "engineproperties.printed": {"engineproperties.text", "errors"},
    "engineproperties.merge": {"engineproperties.text", "errors"},
    "engineproperties.telling": {"engineproperties.merge"},
    "printable": set(),
    "pages.template": {"printable"},
    "ci.marks": set(),
    "ci.markdown": {"printable"},
    "stepsummary": {"ci.markdown", "errors", "files", "progress", "run", "settings", "summary"},
    "judging": {"junit", "model", "series", "testrun"},
    "junit": {"errors", "files", "printable"},
    "ci.github": {"ci.marks"},
    "ci.gitlab": {"ci.marks"},
    "ci.choice": {"ci.github", "ci.gitlab", "ci.marks", "settingtables"},
    "board": set(),
    "floor": set(),
    "progress": {"board", "ci.marks", "errors", "floor", "model", "printable"},
    "attestation.patchmails": set(),
    "mirrors.lineage": {"model"},
    "frontpage.history": {"mirrors", "mirrors.facts", "mirrors.lineage", "model"},
    "frontpage.contents": {"mirrors", "mirrors.layout", "mirrors.repodata", "model", "provides"},
    "frontpage.series": {"attestation", "attestation.patchmails", "errors", "mirrors.places.base", "model"},
    "frontpage.feed": {
        "frontpage",
        "frontpage.history",
        "mirrors",
        "mirrors.facts",
        "mirrors.layout",
        "model",
        "pages",
        "pages.template",
    },
    "inputs": set(),
    "guard": {"errors", "memo", "model", "release"},
    "gitenv": set(),
    "ledger": {"canonical", "errors", "files", "inputs", "memo", "model"},
    "canonical": set(),
    "crew": {"errors"},
    "slots": set(),
    "parallel": {"command", "crew"},
    "command": {"crew", "errors", "gitenv", "model", "slots"},
    "memo": set(),
    "localgit": {"command", "errors", "gitenv"},
    "engines.base": {"command", "errors", "model"},
    "engines.layer": {"command", "errors"},
    "engines.derived": {"command", "engines", "engines.leash", "errors"},
    "order.graph": {"errors", "gate.relations", "model", "rpmheaders"},
    "order.keys": {"model", "provides", "rpmheaders"},
    "rpmquery": {"context", "files", "engines.base", "errors", "gate.relations", "model", "rpmbuild", "rpmheaders"},
    "engines.host": {
        "command",
        "engines",
        "engines.base",
        "engines.leash",
        "engines.layer",
        "errors",
        "hidden",
        "marks",
        "model",
    },
    "hidden": {"settings"},
    "signing.home": {"command", "errors", "hidden", "marks"},
    "signing.agent": {"command", "errors"},
    "signing.listing": {"command", "errors", "signing", "signing.home"},
    "signing.fitness": {"errors", "signing.listing"},
    "signing.gpg": {"command", "errors", "signing.listing"},
    "signing.packages": {"command", "errors", "signing", "signing.home", "signing.keyring", "signing.listing"},
    "signing.metadata": {"errors", "files", "signing", "signing.gpg", "signing.home", "signing.keyring"},
    "engines.container": {
        "command",
        "engines",
        "engines.base",
        "engines.derived",
        "engines.layer",
        "engines.leash",
        "errors",
        "model",
    },
    "engines.hostroot": {"command", "engines.base", "engines.leash", "errors", "model"},
    "engines.leash": set(),
    "farm.store": {"errors", "mirrors.rsync", "sources.address"},
    "farm.shelf": {"errors", "farm.store", "files"},
    "farm.version": {"files"},
    "farm.workplace": {"errors", "farm.version"},
    "farm.letters": {"farm.trouble", "farm.version", "model"},
    "farm.greeting": {"errors", "farm", "farm.facts", "farm.letters", "settingtables"},
    "farm.preload": {"errors", "farm", "farm.worker", "farm.workplace", "files", "progress", "settings"},
    "farm.trouble": {"errors", "model"},
    "farm.facts": {"engines.choice", "errors", "farm.version", "farm.workplace", "model", "settings"},
    "farm.agreement": {"errors", "farm.facts", "farm.version", "model"},
    "farm.turns": {"errors"},
    "farm.doorbell": {"errors", "settings", "settingtables"},
    "marks": set(),
    "rpmdiff": {"model", "rpmheaders"},
    "changetext": {"rpmdiff", "rpmheaders"},
    "gate.problem": {"errors"},
    "gate.single": {"errors", "gate", "gate.digests", "gate.problem", "gate.readable", "rpmheaders"},
    "gate.relations": {"rpmheaders"},
    "gate.readable": {"gate.problem", "gate.relations", "rpmheaders"},
    "gate.completeness": {"gate.problem", "rpmheaders"},
    "gate.conflicts": {"gate.problem", "gate.relations", "rpmheaders"},
    "gate.requirements": {"gate.problem", "gate.relations", "rpmheaders"},
    "gate.metadata": {"errors", "gate.problem"},
    "gate.digests": {"command", "gate.problem"},
    "gate.closure": {"command", "errors", "gate.problem", "sources.address", "sources.places"},
    "sources.places": {"errors", "sources.address"},
    "flow": {"errors", "model"},
    "newpackage.about": set(),
    "disttag": {"release"},
    "newpackage.texts": {"disttag", "newpackage.about"},
    "newpackage.looking": {
        "disttag",
        "errors",
        "files",
        "gitenv",
        "localgit",
        "model",
        "newpackage.about",
        "progress",
        "release",
        "settings",
        "sources",
        "sources.address",
        "sources.download",
        "sources.sourcerepo",
        "sources.srpm",
        "sources.upstream",
        "spectext",
    },
    "newpackage.adding": {
        "document",
        "errors",
        "files",
        "model",
        "newpackage",
        "newpackage.about",
        "newpackage.looking",
        "newpackage.texts",
        "progress",
        "settings",
        "settingtypes",
    },
    "proof.beside": {"model", "proof.trial", "release", "rpmheaders"},
    "sources.gitarchive": {"errors", "localgit", "sources", "sources.tarball"},
    "engines.given": {"engines.base", "errors", "model"},
    "parcels.collecting": {
        "errors",
        "files",
        "flow",
        "selection",
        "model",
        "parcels",
        "parcels.head",
        "parcels.unpacking",
        "settings",
    },
    "selection": {"errors", "model", "settings"},
    "parcels.head": {"files", "model"},
    "parcels.packing": {"errors", "files", "flow", "ledger", "model", "parcels", "parcels.head"},
    "parcels.unpacking": {
        "errors",
        "files",
        "flow",
        "ledger",
        "model",
        "parcels",
        "parcels.head",
        "parcels.packing",
    },
    "pictures.matrix": {"model", "pages", "pages.template"},
    "report.records": set(),
    "report.history": {"files", "report.records"},
    "report.timing": {"memo", "report.records"},
    "report.verdict": {"report.records"},
    "report.facts": {"report", "report.records", "report.timing", "report.verdict"},
    "report.page": {
        "errors",
        "files",
        "pages",
        "pages.template",
        "report",
        "report.facts",
        "report.history",
        "report.verdict",
    },
    "report.told": {"document", "errors", "report.page"},
    "allocation.note": {"inputs", "model", "release"},
    "allocation.book": {"allocation", "allocation.note", "files", "model"},
    "proof.trial": {"errors", "model"},
    "proof.steps": {"model", "proof.trial"},
    "proof.state": {"model", "release", "rpmheaders"},
    "proof.reason": {"model"},
    "proof.requirements": {"rpmheaders"},
    "proof.standin": {"engines.base", "errors", "files", "rpmheaders"},
    "proof.client": {"command", "engines.base", "engines.container", "engines.hostroot", "errors"},
    "proof.walk": {
        "command",
        "engines.base",
        "errors",
        "files",
        "proof.client",
        "proof.reason",
        "proof.state",
        "proof.steps",
        "proof.trial",
        "rpmheaders",
    },
    "hostkit.shell": set(),
    "hostkit.yamltext": set(),
    "hostkit.steps": {"model"},
    "hostkit.sets": {"hostkit", "hostkit.shell", "hostkit.steps", "model", "proof", "proof.steps"},
    "hostkit.trust": {"hostkit", "hostkit.repofile", "hostkit.shell", "hostkit.steps", "mirrors.facts"},
    "hostkit.comments": {"printable"},
    "hostkit.playbook": {"hostkit", "hostkit.comments", "hostkit.steps", "hostkit.yamltext"},
    "hostkit.runbook": {"hostkit.comments", "hostkit.steps", "printable"},
    "audit.findings": set(),
    "audit.listing": set(),
    "importing.diffs": set(),
    "importing.parts": set(),
    "importing.mails": {"errors", "importing", "importing.diffs", "importing.parts", "localgit"},
    "importing.choice": {"errors", "importing", "importing.diffs", "importing.mails"},
    "importing.ground": {"errors", "ledger", "localgit", "model", "settings", "sources.history", "sourcespec"},
    "refreshing.home": {"command", "settings"},
    "mirrors.metadata.faults": {"errors"},
    "mirrors.metadata.indexed": {"mirrors.metadata.faults"},
    "mirrors.metadata.streams": {"mirrors.metadata.faults"},
    "mirrors.metadata.elements": {"mirrors.metadata.faults"},
    "mirrors.metadata.canonical": {
        "mirrors.metadata",
        "mirrors.metadata.elements",
        "mirrors.metadata.faults",
        "mirrors.metadata.indexed",
    },
    "mirrors.metadata.records": {"mirrors.metadata.splice"},
    "refreshing.state": {"errors", "files", "refreshing.home"},
    "refreshing.clone": {"errors", "files", "localgit", "progress", "refreshing.home", "series"},
    "refreshing.checks": {"errors", "refreshing.clone", "refreshing.state"},
    "refreshing.takeover": {
        "errors",
        "files",
        "refreshing.checks",
        "refreshing.clone",
        "refreshing.home",
        "refreshing.state",
        "series",
    },
}


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module of pipeline/: `name` is relative to the package, as in `stages.fetch`."""

    name: str
    source: str

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        return _nodes(self.source)

    @property
    def imported(self) -> set[str]:
        """Everything that is imported anywhere in it, late imports as well, by its dotted name."""
        names: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = f"{'.' * node.level}{node.module or ''}"
                names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} - {""}
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                names |= {value.value for value in ast.walk(node) if isinstance(value, ast.Constant) and value.value}
        return names

    @property
    def imported_of_ours(self) -> set[str]:
        """The modules of pipeline/ among them, by their names in it."""
        ours = {name.removeprefix("pipeline.") for name in self.imported if name.startswith("pipeline.")}
        return {name for name in ours if f"pipeline.{name}" in MODULE_NAMES}

    @property
    def attributes(self) -> set[str]:
        """Every dotted use, such as `os.environ`."""
        return {ast.unparse(node) for node in self.nodes if isinstance(node, ast.Attribute)}


@cache
def _nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source)))


def read_modules() -> tuple[Module, ...]:
    paths = sorted((ROOT_DIR / "pipeline").rglob("*.py"))
    return tuple(
        Module(name=".".join(path.relative_to(ROOT_DIR / "pipeline").with_suffix("").parts), source=path.read_text())
        for path in paths
    )


MODULES = read_modules()
MODULE_NAMES = {f"pipeline.{module.name}" for module in MODULES}


def imports_only_where_they_belong(module: Module) -> Iterator[str]:
    for name, homes in ONLY_IN.items():
        if module.name not in homes and any(found.split(".")[0] == name for found in module.imported):
            yield f"{module.name} imports {name}, which belongs to {', '.join(sorted(homes))}"


def starts_programs_in_command_only(module: Module) -> Iterator[str]:
    started = {name for name in module.attributes if name.startswith("os.") and name[3:] in STARTERS}
    started |= {name for name in module.attributes if name.startswith(("os.exec", "os.spawn"))}
    if started and module.name != "command":
        yield f"{module.name} starts programs by {', '.join(sorted(started))}"


def reads_the_environment_in_settings_only(module: Module) -> Iterator[str]:
    read = module.attributes & {"os.environ", "os.getenv", "os.environb"} | module.imported & {
        "os.environ",
        "os.getenv",
    }
    if read and module.name != "settings":
        yield f"{module.name} reads {', '.join(sorted(read))}"


def prints_in_progress_only(module: Module) -> Iterator[str]:
    calls = {ast.unparse(node.func) for node in module.nodes if isinstance(node, ast.Call)}
    streams = {name for name in module.attributes if name.startswith(("sys.stdout", "sys.stderr"))}
    if module.name != "progress" and ("print" in calls or streams):
        yield f"{module.name} writes to standard output or error"


def exits_in_the_frame_only(module: Module) -> Iterator[str]:
    """The preload is dask's guest: nothing else would keep dask from starting the worker."""
    names = {node.id for node in module.nodes if isinstance(node, ast.Name)}
    may = module.name in ("commands.frame", "farm.preload")
    if not may and ("sys.exit" in module.attributes or "SystemExit" in names):
        yield f"{module.name} ends the process"


def imports_no_stage(module: Module) -> Iterator[str]:
    """Stages share records; only flow knows their modules, by name."""
    stages = {name for name in module.imported if name.startswith("pipeline.stages")}
    if module.name != "flow" and stages:
        yield f"{module.name} imports {', '.join(sorted(stages))}"


def imports_absolutely(module: Module) -> Iterator[str]:
    """So that the other rules see what is imported."""
    if any(name.startswith(".") for name in module.imported):
        yield f"{module.name} imports by a relative name"


def imports_only_the_standard_library_if_it_is_plain(module: Module) -> Iterator[str]:
    if module.name in ("model", "errors", "changelog", "hunks", "files", "guard", "inputs", "gitenv"):
        foreign = {name.split(".")[0] for name in module.imported} - {*sys.stdlib_module_names, "pipeline"}
        if foreign:
            yield f"{module.name} imports {', '.join(sorted(foreign))}"


def imports_no_more_of_ours_than_it_may(module: Module) -> Iterator[str]:
    more = module.imported_of_ours - MAY_IMPORT.get(module.name, module.imported_of_ours)
    if more:
        yield f"{module.name} imports {', '.join(sorted(more))}"


def keeps_main_to_itself(module: Module) -> Iterator[str]:
    entry = {name for name in module.imported if name.startswith(("pipeline.__main__", "pipeline.commands"))}
    if entry and not module.name.startswith(("__main__", "commands.")):
        yield f"{module.name} imports {', '.join(sorted(entry))}"


def has_header_and_docstring(module: Module) -> Iterator[str]:
    if not module.source.startswith("# SPDX-License-Identifier: GPL-2.0-or-later\n"):
        yield f"{module.name} has no SPDX header"
    if not ast.get_docstring(ast.parse(module.source)):
        yield f"{module.name} has no docstring"


RULES: tuple[Callable[[Module], Iterable[str]], ...] = (
    imports_only_where_they_belong,
    starts_programs_in_command_only,
    reads_the_environment_in_settings_only,
    prints_in_progress_only,
    exits_in_the_frame_only,
    imports_no_stage,
    imports_absolutely,
    imports_only_the_standard_library_if_it_is_plain,
    imports_no_more_of_ours_than_it_may,
    keeps_main_to_itself,
    has_header_and_docstring,
)


def broken(module: Module) -> dict[str, list[str]]:
    """The rules that a module breaks, with what is told of each."""
    told = {rule.__name__: list(rule(module)) for rule in RULES}
    return {name: sentences for name, sentences in told.items() if sentences}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_keeps_every_rule(module):
    assert broken(module) == {}


def test_the_modules_are_all_there():
    names = {module.name for module in MODULES}
    assert {"__main__", "command", "settings", "model", "stages.fetch", "stages.render"} <= names
    for module in set().union(*ONLY_IN.values(), MAY_IMPORT):
        assert module in names


HEADER = '# SPDX-License-Identifier: GPL-2.0-or-later\n"""What it is."""\n'


@pytest.mark.parametrize(
    ("name", "code", "rule"),
    [
        ("engines.base", "import plumbum", imports_only_where_they_belong),
        ("engines.base", "from plumbum.cmd import ls", imports_only_where_they_belong),
        ("stages.build", "def late():\n    import subprocess", imports_only_where_they_belong),
        ("overlay", "from jinja2 import Template", imports_only_where_they_belong),
        ("stages.fetch", "from git.cmd import Git", imports_only_where_they_belong),
        ("mirror", "import requests", imports_only_where_they_belong),
        ("mirror", "import importlib\nimportlib.import_module('requests')", imports_only_where_they_belong),
        ("stages.render", "from specfile.specfile import Specfile", imports_only_where_they_belong),
        ("summary", "from rich.table import Table", imports_only_where_they_belong),
        ("run", "import click", imports_only_where_they_belong),
        ("mirrors.rsync", "import os\nos.system('id')", starts_programs_in_command_only),
        ("mirrors.rsync", "import os\nos.execvp('id', ['id'])", starts_programs_in_command_only),
        ("engines.base", "import os\nos.environ['HOME']", reads_the_environment_in_settings_only),
        ("engines.base", "import os\nos.getenv('HOME')", reads_the_environment_in_settings_only),
        ("engines.base", "from os import environ", reads_the_environment_in_settings_only),
        ("summary", "print('hello')", prints_in_progress_only),
        ("summary", "import sys\nsys.stderr.write('hello')", prints_in_progress_only),
        ("chain", "import sys\nsys.exit(1)", exits_in_the_frame_only),
        ("chain", "raise SystemExit(1)", exits_in_the_frame_only),
        ("stages.build", "from pipeline.stages import fetch", imports_no_stage),
        ("stages.build", "from pipeline.stages.fetch import run", imports_no_stage),
        ("run", "import pipeline.stages.fetch", imports_no_stage),
        ("stages.build", "from .fetch import run", imports_absolutely),
        ("stages.build", "from . import fetch", imports_absolutely),
        ("stages.provenance", "def late():\n    import cyclonedx.model", imports_only_where_they_belong),
        ("attestation.verify", "from google.protobuf import json_format", imports_only_where_they_belong),
        ("provides", "from pipeline import files", imports_no_more_of_ours_than_it_may),
        ("stages.sign", "def late():\n    import gnupg", imports_only_where_they_belong),
        ("signing.keyring", "import click", imports_only_where_they_belong),
        ("signing.packages", "from pipeline.context import JobContext", imports_no_more_of_ours_than_it_may),
        ("model", "import pydantic", imports_only_the_standard_library_if_it_is_plain),
        ("model", "from pipeline.errors import PipelineError", imports_no_more_of_ours_than_it_may),
        ("model", "from pipeline import errors", imports_no_more_of_ours_than_it_may),
        ("release", "from pipeline.settings import Settings", imports_no_more_of_ours_than_it_may),
        ("changelog", "from pipeline import files", imports_no_more_of_ours_than_it_may),
        ("settings", "from pipeline.command import run", imports_no_more_of_ours_than_it_may),
        ("progress", "from pipeline.settings import Settings", imports_no_more_of_ours_than_it_may),
        ("ledger", "from pipeline.context import JobContext", imports_no_more_of_ours_than_it_may),
        ("guard", "from pipeline.mirrors import mirror", imports_no_more_of_ours_than_it_may),
        ("inputs", "from pipeline.context import JobContext", imports_no_more_of_ours_than_it_may),
        ("allocation.book", "from pipeline.context import JobContext", imports_no_more_of_ours_than_it_may),
        ("refreshing.clone", "from pipeline.refreshing import takeover", imports_no_more_of_ours_than_it_may),
        ("proof.steps", "from pipeline import command", imports_no_more_of_ours_than_it_may),
        ("proof.walk", "from pipeline.context import TargetContext", imports_no_more_of_ours_than_it_may),
        ("gate.readable", "from pipeline import command", imports_no_more_of_ours_than_it_may),
        ("gate.metadata", "from pipeline.mirrors import repodata", imports_no_more_of_ours_than_it_may),
        ("stages.reserve", "from git import Repo", imports_only_where_they_belong),
        ("mirrors.metadata.elements", "from pipeline.mirrors import repodata", imports_no_more_of_ours_than_it_may),
        ("command", "from pipeline.engines.base import Engine", imports_no_more_of_ours_than_it_may),
        ("farm.preload", "from pipeline.farm import child", imports_no_more_of_ours_than_it_may),
        ("farm.greeting", "from pipeline.farm import pool", imports_no_more_of_ours_than_it_may),
        ("farm.letters", "import distributed", imports_only_where_they_belong),
        ("flow", "import pipeline.chain", imports_no_more_of_ours_than_it_may),
        ("run", "from pipeline.__main__ import main", keeps_main_to_itself),
        ("run", "from pipeline.commands.frame import main", keeps_main_to_itself),
    ],
)
def test_a_module_that_breaks_a_rule_is_found_by_that_rule(name, code, rule):
    assert rule.__name__ in broken(Module(name=name, source=f"{HEADER}{code}\n"))
    assert broken(Module(name=name, source=HEADER)) == {}


@pytest.mark.parametrize(
    "source", ['"""What it is."""\n', "# SPDX-License-Identifier: GPL-2.0-or-later\nimport os\n", ""]
)
def test_a_module_without_header_or_docstring_is_found(source):
    assert broken(Module(name="x", source=source)).keys() == {"has_header_and_docstring"}


def test_what_belongs_somewhere_is_used_there():
    """So that no line of the table is about something that is gone."""
    for name, homes in ONLY_IN.items():
        users = {module.name for module in MODULES if any(found.split(".")[0] == name for found in module.imported)}
        assert users == homes, name


def noxfile_faults(source: str) -> list[str]:
    module = Module(name="noxfile", source=source)
    faults = [f"imports {name}" for name in sorted(module.imported) if name.split(".")[0] == "pipeline"]
    lines = source.count("\n")
    if lines > MAX_NOXFILE_LINES:
        faults.append(f"has {lines} lines, of which {MAX_NOXFILE_LINES} are allowed")
    return faults


def test_the_noxfile_starts_processes_and_imports_nothing_of_ours():
    assert noxfile_faults((ROOT_DIR / "noxfile.py").read_text()) == []


def test_a_noxfile_that_is_too_long_or_imports_ours_is_found():
    assert noxfile_faults("import pipeline.run\n") == ["imports pipeline.run"]
    assert noxfile_faults("from pipeline import flow\n") == ["imports pipeline", "imports pipeline.flow"]
    assert noxfile_faults("\n" * (MAX_NOXFILE_LINES + 1)) == [
        f"has {MAX_NOXFILE_LINES + 1} lines, of which {MAX_NOXFILE_LINES} are allowed"
    ]


def test_the_noxfile_has_a_session_for_every_command():
    listed = subprocess.check_output([sys.executable, "-m", "nox", "--list"], cwd=ROOT_DIR, text=True)
    sessions = set(re.findall(r"^[*-] (\w+)", listed, re.MULTILINE))
    stages = {module.name.removeprefix("stages.") for module in MODULES if module.name.startswith("stages.")}
    assert stages - sessions == {"__init__", "baseline"}  # made for others
    assert {"plan", "release", "compat", "doctor", "tests", "style", "bench"} <= sessions
    assert re.findall(r"^\* (\w+)", listed, re.MULTILINE) == ["plan"]  # the one that does nothing
