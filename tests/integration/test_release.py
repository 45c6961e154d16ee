# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole job on the demo, as users run it: real rpmbuild, rpmlint, rsync, and dnf as the client."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema

from tests.integration.checkout import ROOT, Checkout

STAGES = ["image", "fetch", "patch", "relations", "reserve", "render", "unit", "baseline", "build", "contracts", "lint",
          "changes", "provenance", "vendor", "sign", "gate", "repo", "verify", "publish"]  # fmt: skip
NAMES = {
    "vdsm",
    "vdsm-cli",
    "vdsm-jsonrpc",
    "vdsm-python",
    "vdsm-python-zombiereaper",
    "vdsm-xmlrpc",
    "vdsm-yajsonrpc",
}
PATCH = "patches/vdsm/0006-vm-lock-at-most-when-a-client-was-not-seen-to-connec.patch"
LABEL = "spicedisconnectactionsbackport"


def test_a_release_ends_on_the_mirror_and_its_document_keeps_the_contract(checkout: Checkout) -> None:
    result = checkout.run("release")

    assert result.code == 0, result.stderr
    document = result.document
    jsonschema.validate(document, json.loads((ROOT / "schema/run.schema.json").read_text()))
    assert document["status"] == "ok"
    job = document["jobs"][0]
    assert [row["stage"] for row in job["stages"]] == STAGES
    assert {row["result"] for row in job["stages"]} == {"ok"}
    assert job["evr"] == f"4.16.30-0.demo.{LABEL}.904"
    assert job["unit"]["pristine"]["failed"] > 30
    assert job["unit"]["patched"]["failed"] == 0
    binaries = {row["nevra"].rpartition("-4.16.30")[0] for row in document["artifacts"] if row["arch"] != "src"}
    assert binaries == NAMES
    for artifact in document["artifacts"]:
        path = checkout.out / artifact["path"]
        assert path.stat().st_size == artifact["size_bytes"]
        assert subprocess.check_output(["sha256sum", path], text=True).split()[0] == artifact["sha256"]
    assert document["mirror"]["destination"] == str(checkout.mirror)
    assert document["mirror"]["changed"] is True
    assert json.loads((checkout.out / "artifacts.json").read_text()) == document["artifacts"]
    assert json.loads((checkout.job / "result.json").read_text())["evr"] == job["evr"]


def test_a_second_release_does_no_stage_again_and_says_why(released: Checkout) -> None:
    repomd = (released.mirror / "repodata/repomd.xml").read_bytes()

    result = released.run("release")

    assert result.code == 0, result.stderr
    assert set(result.stages.values()) == {"cached"}
    assert all("nothing changed since" in row["reason"] for row in result.document["jobs"][0]["stages"])
    assert result.document["mirror"]["changed"] is False
    assert (released.mirror / "repodata/repomd.xml").read_bytes() == repomd


def test_a_changed_patch_makes_the_next_release_and_the_former_one_stays(released: Checkout) -> None:
    released.edit(PATCH, "+    # Whether a client was seen", "+    # Whether any client was seen")

    result = released.run("release")

    assert result.code == 0, result.stderr
    stages = {row["stage"]: row for row in result.document["jobs"][0]["stages"]}
    assert stages["baseline"]["result"] == "cached"
    assert f"{PATCH} changed" in stages["patch"]["reason"]
    assert result.document["jobs"][0]["evr"].endswith(f"{LABEL}.905")
    assert any(f"{LABEL}.904" in name for name in released.published())
    assert len(released.published()) == 24


def test_the_number_rises_above_the_mirror_even_from_an_empty_out_directory(released: Checkout, tmp_path: Path) -> None:
    shutil.copytree(released.out / ".key", tmp_path / "other" / ".key")  # hosts trust one key

    result = released.run("release", "--out", str(tmp_path / "other"), "--mirror", str(released.out / "mirror"))

    assert result.code == 0, result.stderr
    assert result.document["jobs"][0]["evr"].endswith(f"{LABEL}.905")
    assert len(released.published()) == 24


def test_a_plan_tells_what_would_run_and_does_nothing(checkout: Checkout) -> None:
    result = checkout.run("plan")

    assert result.code == 0, result.stderr
    assert set(result.stages.values()) == {"run"}
    assert list(result.stages) == STAGES
    assert not checkout.out.exists()


def test_a_session_does_what_it_needs_and_no_more(checkout: Checkout) -> None:
    assert list(checkout.run("render").stages) == STAGES[:6]
    assert list(checkout.run("lint").stages) == [*STAGES[:6], "baseline", "build", "lint"]


def test_an_edited_result_is_made_again(released: Checkout) -> None:
    rpm = next((released.job / "RPMS/noarch").glob("vdsm-cli-*.rpm"))
    content = bytearray(rpm.read_bytes())
    content[-1] ^= 1
    rpm.write_bytes(content)

    stages = {row["stage"]: row for row in released.run("build").document["jobs"][0]["stages"]}

    assert stages["build"]["result"] == "ok"
    assert rpm.name in stages["build"]["reason"]


def test_only_what_the_patch_touches_differs_from_the_vendors_packages(released: Checkout, tmp_path: Path) -> None:
    trees = {}
    for kind, folder in (("vendor", released.job / "baseline/RPMS"), ("ours", released.job / "RPMS")):
        trees[kind] = tmp_path / kind
        trees[kind].mkdir()
        for rpm in folder.rglob("*.rpm"):
            subprocess.run(f"rpm2cpio '{rpm}' | cpio -idm --quiet", shell=True, cwd=trees[kind], check=True)
    done = subprocess.run(["diff", "-rq", trees["vendor"], trees["ours"]], capture_output=True, text=True)
    # dsaversion.py has the release in it: that is how a host tells what it runs.
    differing = {line.split()[1].rpartition("/vdsm/")[2] for line in done.stdout.splitlines()}
    assert differing == {"clientIF.py", "virt/vm.py", "dsaversion.py"}


def test_dnf_installs_the_vendors_set_and_upgrades_to_ours(released: Checkout, tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    for rpm in (released.job / "baseline/RPMS").rglob("*.rpm"):
        (vendor / rpm.name).write_bytes(rpm.read_bytes())
    subprocess.run(["createrepo_c", "--quiet", "--general-compress-type=gz", vendor], check=True)
    root = tmp_path / "installroot"

    def dnf(repository: Path, *words: str) -> str:
        return subprocess.run(
            [
                *("dnf", "-y", f"--installroot={root}", "--releasever=6", "--setopt=reposdir=/nonexistent"),
                *("--setopt=cachedir=/cache", "--nogpgcheck", f"--repofrompath=only,file://{repository}", *words),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def installed() -> set[str]:
        query = ["rpm", f"--root={root}", "-qa", "--queryformat", "%{name} %{release}\n"]
        return set(subprocess.check_output(query, text=True).splitlines())

    dnf(vendor, "install", "vdsm", "vdsm-cli", "vdsm-yajsonrpc")
    assert installed() == {f"{name} 0.demo" for name in NAMES}
    dnf(released.mirror, "upgrade", "vdsm*")
    assert installed() == {f"{name} 0.demo.{LABEL}.904" for name in NAMES}
    assert "onDisconnect(self, detail=None, clientIp=''" in (root / "usr/share/vdsm/virt/vm.py").read_text()
