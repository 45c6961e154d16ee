# SPDX-License-Identifier: GPL-2.0-or-later
"""One session a stage or command. The work is done by `python -m pipeline`, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.3"
nox.options.default_venv_backend = "none"  # ./bootstrap made the one environment that all use
nox.options.sessions = ["plan"]  # the one that does nothing

# For machines like CI's, which limit containers; users have their own.
LOCAL_CONTAINERS_CONF = Path(__file__).parent / ".ci" / "containers.conf"

LIKE_DEV, FARM = ["--constraint", "requirements-dev.lock"], ["--extra", "farm"]  # one version of everything

COMMANDS = {
    "plan": "What a release would do, and why.",
    "image": "Make the target's container image, if it is not there.",
    "fetch": "Get the source RPM and check it.",
    "patch": "Apply the series, with no fuzz.",
    "relations": "What each package requires and provides: which is built on which.",
    "reserve": "The release number of this input: the one that it has, or the next.",
    "render": "Lay our lines over the vendor's spec.",
    "unit": "The patch's tests: red without it, green with it.",
    "build": "Source RPM and RPMs.",
    "contracts": "What must go on working beside the patches, in source and packages.",
    "lint": "rpmlint, against the vendor's own package.",
    "provenance": "What each package was made from, beside it.",
    "vendor": "The vendor's own packages, which hosts can go back to.",
    "gate": "What rpm and yum of the target could not read, or what would break a set, is refused.",
    "changes": "What differs from the vendor's packages, and from our last release.",
    "clean": "What is no longer needed in out/; with --remove, remove it.",
    "sign": "Signed copies of all packages, verified.",
    "key": "The signing key: what it is; --make, --export, --rotate.",
    "repo": "Stage the yum repository.",
    "publish": "Put the repository on the mirror.",
    "release": "Everything, from the source RPM to the mirror.",
    "snapshots": "The states that a mirror had.",
    "rollback": "An earlier content stands again: -- --to REVISION.",
    "promote": "A snapshot to another channel, without a build: -- --from MIRROR --to MIRROR.",
    "prune": "Snapshots and packages that nothing keeps; with --remove, remove them.",
    "check": "All that a release does but the publish, for a proposal: no key, mirror or remote is touched.",
    "audit": "A mirror seen from outside: what is missing, changed, unsigned or out of date.",
    "reproduce": "The release built a second time elsewhere: is it the same.",
    "verify": "What hosts will do, by a real client; with -- FILE.rpm ..., packages against their provenance.",
    "compat": "The series on upstream's tags: does it apply, do its tests pass.",
    "refresh": "Rebase the series onto another tag of upstream's.",
    "new_package": "Add a package, ready to be built: -- NAME --source SPEC.",
    "import_series": "A mailed series, taken apart into the packages' own: -- FILE.mbox.",
    "job": "One job of a matrix: all but signing; leaves a parcel.",
    "collect": "Many runners' parcels: signed, gathered and published once: -- DIR ...",
    "worker": "A worker of the farm: takes jobs until it is told to stop.",
    "engine_properties": "The engine-config line that adds our VM properties: -- --current TEXT.",
    "report": "The page of the last runs, made anew: out/index.html.",
    "doctor": "What this machine can do, and what mends what it cannot.",
}


def add_command(name: str, what: str) -> None:
    """A session that is one command of the pipeline."""

    def run(session: nox.Session) -> None:
        python(session, "-m", "pipeline", name, *session.posargs)

    run.__doc__ = what
    nox.session(name=name)(run)


def python(session: nox.Session, *words: str, env: dict[str, str] | None = None) -> None:
    # nox would mix the two streams, and kill what ctrl-C gave a moment to tidy up.
    session.run(
        sys.executable, *words, external=True, env=env, stderr=sys.stderr, interrupt_timeout=30, terminate_timeout=10
    )


for command, description in COMMANDS.items():
    add_command(command, description)


@nox.session
def tests(session: nox.Session) -> None:
    """Unit and integration tests."""
    words = ["-n", "auto", "--dist", "loadfile", *session.posargs]
    python(session, "-m", "pytest", *words, env={"CONTAINERS_CONF": str(LOCAL_CONTAINERS_CONF)})


@nox.session
def style(session: nox.Session) -> None:
    """Formatting, lint, types and import rules."""
    python(session, "-m", "ruff", "format", "--check", ".")
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "mypy")
    session.run(str(Path(sys.executable).with_name("lint-imports")), external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """The pipeline against a shell script of bare tools."""
    python(session, "-m", "tests.bench", *session.posargs)


@nox.session
def changelog(session: nox.Session) -> None:
    """What the next version brings; -- --version X writes it down."""
    python(session, "-m", "towncrier", "build", *(session.posargs or ["--draft", "--version", "next"]))


@nox.session
def lock(session: nox.Session) -> None:
    """Write the locks anew from pyproject.toml: what a release needs, what a farm needs, what contributors need."""
    words = ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"]
    command = ["--custom-compile-command", "./bootstrap -s lock"]
    for name, more in (("-dev", ["--group", "dev", *FARM]), ("", LIKE_DEV), ("-farm", [*LIKE_DEV, *FARM])):
        asked = [*words, *command, *more, "--output-file", f"requirements{name}.lock", *session.posargs]
        python(session, "-m", "uv", "pip", "compile", "pyproject.toml", *asked)
