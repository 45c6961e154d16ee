# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples for CIs: they are what the vendors' schemas ask for, and each of their shell steps runs on the demo."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

from tests.integration.checkout import ROOT
from tests.integration.site import Site, site

__all__ = ["site"]  # a fixture

CI_DIR = ROOT / "docs" / "ci"
GITHUB = yaml.safe_load((CI_DIR / "github.yml").read_text())
GITLAB = yaml.safe_load((CI_DIR / "gitlab-ci.yml").read_text())
PACKAGES = yaml.safe_load((CI_DIR / "gitlab-packages.yml").read_text())
JENKINS = (CI_DIR / "Jenkinsfile").read_text()
FIRST_PARTY = {"actions/checkout", "actions/cache", "actions/upload-artifact"}
TRIED = "check"


def sh(site: Site, script: str, **env: str) -> None:
    done = site.sh(script, env=env)
    assert done.returncode == 0, f"{script}\n{done.stdout}"


def valid(schema: str, *paths: Path) -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def jenkins_steps() -> list[str]:
    """Every `sh` step, in order; all are on one line."""
    steps = re.findall(r"\bsh '([^'\n]*)'", JENKINS)
    assert len(steps) == len(re.findall(r"\bsh\b(?!')", re.sub(r"//.*|'[^'\n]*'", "", JENKINS)))
    return steps


def test_the_vendors_schemas_hold(tmp_path):
    valid("vendor.github-workflows", CI_DIR / "github.yml")
    valid("vendor.gitlab-ci", CI_DIR / "gitlab-ci.yml", CI_DIR / "gitlab-packages.yml")
    broken = tmp_path / "broken.yml"
    broken.write_text((CI_DIR / "github.yml").read_text().replace("runs-on:", "runs_on:"))
    with pytest.raises(AssertionError):
        valid("vendor.github-workflows", broken)


def test_actions_are_github_s_own_and_have_a_version():
    used = [step["uses"] for job in GITHUB["jobs"].values() for step in job["steps"] if "uses" in step]
    assert {name.partition("@")[0] for name in used} == FIRST_PARTY
    assert all(re.fullmatch(r"[a-z/-]+@v\d+", name) for name in used)


def test_on_github(site, tmp_path):
    output, summary = tmp_path / "output", tmp_path / "summary"
    env = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    jobs = GITHUB["jobs"]
    for step in jobs["plan"]["steps"]:
        if "run" in step:
            sh(site, step["run"], **env)
    name, _, value = output.read_text().rstrip("\n").partition("=")
    assert jobs["plan"]["outputs"]["targets"] == f"${{{{ steps.matrix.outputs.{name} }}}}"
    assert json.loads(value) == ["demo"]
    assert jobs["packages"]["strategy"]["matrix"]["target"] == f"${{{{ fromJSON(needs.plan.outputs.{name}) }}}}"
    assert jobs["packages"]["env"]["SESSION"] == (
        f"${{{{ github.event_name == 'pull_request' && '{TRIED}' || 'release' }}}}"
    )
    for session, secret in ((TRIED, ""), ("release", "a key\nof two lines")):
        secrets = {"SIGNING_KEY": secret, "MIRROR_KEY": secret, "MIRROR_HOSTS": ""}
        for step in jobs["packages"]["steps"]:
            if "run" in step:
                sh(site, step["run"], **env, **secrets, TARGET="demo", SESSION=session)
    key_path = site.home / ".config/vdsm-pipeline/key.asc"
    assert key_path.read_text() == "a key\nof two lines\n"
    assert key_path.stat().st_mode & 0o777 == 0o600
    assert summary.read_text().count("## Well: demo") == 2
    upload = next(step for step in jobs["packages"]["steps"] if "upload-artifact" in step.get("uses", ""))
    assert upload["if"] == "always()"
    there(site, upload["with"]["path"].split())


def test_on_gitlab(site, tmp_path):
    for line in GITLAB["plan"]["script"]:
        sh(site, line, GITLAB_CI="true")
    path = site.checkout.root / GITLAB["plan"]["artifacts"]["paths"][0]
    valid("vendor.gitlab-ci", path)
    child = yaml.safe_load(path.read_text())
    assert (ROOT / child["include"]["local"]).is_file()
    assert child["packages"]["parallel"]["matrix"] == [{"TARGET": ["demo"]}]
    job = PACKAGES[child["packages"]["extends"]]
    key = tmp_path / "key"
    key.write_text("a key\n")
    tried = next(rule for rule in job["rules"] if "variables" in rule)["variables"]
    assert tried == {"SESSION": TRIED}
    for variables, secrets in ((tried, {}), (job["variables"], dict.fromkeys(("SIGNING_KEY", "MIRROR_KEY"), str(key)))):
        for line in job["script"]:
            sh(site, line, GITLAB_CI="true", TARGET="demo", **variables, **secrets)
    assert (site.home / ".ssh/id_ed25519").stat().st_mode & 0o777 == 0o600
    there(site, [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]])


def test_on_jenkins(site, tmp_path):
    key = tmp_path / "key"
    key.write_text("a key\n")
    for line in jenkins_steps():
        sh(site, line, JENKINS_URL="https://ci.example.org/", TARGET="demo", SIGNING_KEY=str(key))
    planned = json.loads((site.checkout.root / "plan.json").read_text())
    assert "readJSON(file: 'plan.json').jobs.collect { it.target }.unique()" in JENKINS
    assert {job["target"] for job in planned["jobs"]} == {"demo"}
    assert not (site.home / ".config/vdsm-pipeline").exists()
    results, artifacts = re.findall(r"(?:testResults|artifacts): '([^']*)'", JENKINS)
    there(site, [results, *artifacts.split(", ")])
    for suite in site.checkout.root.glob(results):
        assert JUnitXml.fromfile(str(suite)).failures == 0


def test_the_jenkinsfile_is_balanced():
    code = re.sub(r"//.*|'[^'\n]*'|\"[^\"\n]*\"", "", JENKINS)
    open_ones = []
    for char in code:
        if char in "([{":
            open_ones.append(char)
        elif char in ")]}":
            assert open_ones.pop() + char in ("()", "[]", "{}")
    assert open_ones == []
    assert not re.search("['\"]", code)


def test_every_session_that_is_named_exists():
    listed = subprocess.check_output([sys.executable, "-m", "nox", "--list"], cwd=ROOT, text=True)
    sessions = set(re.findall(r"^[*-] (\w+)", listed, re.MULTILINE))
    text = "".join(path.read_text() for path in sorted(CI_DIR.iterdir()))
    named = {name for words in re.findall(r"\./bootstrap -x -s ([a-z ]+?) --", text) for name in words.split()}
    assert named == {TRIED, "release"} <= sessions
    # One run writes all that is kept, so a second session would hide a failure of the first; -x is for who adds one.
    assert text.count("./bootstrap") == text.count("./bootstrap -x -s ")
    assert not re.search(r"bootstrap -x -s \S+ \w", text)


def there(site: Site, patterns: list[str]) -> None:
    """What is kept of a run is made by it."""
    for pattern in patterns:
        assert any(site.checkout.root.glob(pattern.removesuffix("/**").rstrip("/"))), pattern
