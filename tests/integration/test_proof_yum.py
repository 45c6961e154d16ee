# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof by yum in a container: every call of it, by an engine and a yum that record them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import plumbum
import pytest
from syrupy.assertion import SnapshotAssertion

from pipeline.engines.container import ContainerEngine
from pipeline.errors import VerifyError
from pipeline.progress import Progress
from pipeline.proof import proof
from pipeline.proof.client import choose_client
from pipeline.proof.trial import Trial
from tests.integration.proving import Key, build, end_agent, make_key, part, trial_of

_FAKEBIN = Path(__file__).parents[1] / "fakebin"
_RELEASES = {"vendor": "1.el6", "previous": "1.el6.label.904", "ours": "1.el6.label.905"}


@pytest.fixture
def key(tmp_path: Path) -> Iterator[Key]:
    made = make_key(tmp_path / "gpg")
    yield made
    end_agent(made)


@pytest.fixture
def trial(tmp_path: Path, key: Key) -> Trial:
    names = ("small", "small-cli")
    sets = {
        kind: build(tmp_path / kind, [part(name, lines=("Requires: tool",)) for name in names], release)
        for kind, release in _RELEASES.items()
    }
    return trial_of(tmp_path / "repository", key, **sets)


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, source in (("docker", "docker"), ("yum", "yum"), ("rpm", "yum")):
        shutil.copy(_FAKEBIN / source, folder / name)
    return folder


def prove(trial: Trial, tmp_path: Path, bin_dir: Path, available: list[str]) -> tuple[str, ...]:
    surroundings = {
        "PATH": f"{bin_dir}:{plumbum.local.env['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "AVAILABLE": json.dumps(available),
    }
    with plumbum.local.env(**surroundings):
        client = choose_client(ContainerEngine("docker", "localhost/vdsm-pipeline/el6:1"))
        report = proof.run(
            trial,
            client=client,
            scratch_dir=tmp_path / "scratch",
            log_path=tmp_path / "log",
            timeout_seconds=60,
            progress=Progress(quiet=True),
        )
    assert report.client == "yum 3.2.29 in localhost/vdsm-pipeline/el6:1"
    return report.steps


def calls(path: Path, tmp_path: Path, program: str) -> list[str]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    texts = [" ".join(row) for row in rows if row[0] == program]
    return [re.sub(r"work-\w+|vdsm-pipeline-\d+-\w+", "X", text.replace(str(tmp_path), "DIR")) for text in texts]


def available_in(trial: Trial) -> list[str]:
    return [rpm.nevra for rpm in (*trial.vendor, *trial.previous, *trial.ours)]


def test_what_yum_is_told_in_a_container(trial, tmp_path, bin_dir, snapshot: SnapshotAssertion) -> None:
    steps = prove(trial, tmp_path, bin_dir, available_in(trial))
    assert len(steps) == 7
    assert calls(tmp_path / "calls", tmp_path, "yum") == snapshot
    runs = [call for call in calls(tmp_path / "calls", tmp_path, "docker") if call.startswith("docker run")]
    assert runs[:3] == snapshot
    assert runs[-1] == snapshot
    assert all("--network none" in call and "--user 0:0" in call for call in runs)


def test_a_yum_that_does_nothing_and_says_that_all_is_well_is_found(trial, tmp_path, bin_dir) -> None:
    """As yum 3 does where a package cannot be had."""
    with pytest.raises(
        VerifyError, match="a host cannot upgrade to our release: small: small-1.0-1.el6.noarch is inst"
    ):
        prove(trial, tmp_path, bin_dir, [rpm.nevra for rpm in trial.vendor])


def test_an_image_without_yum_leaves_it_to_this_host(tmp_path, bin_dir) -> None:
    (bin_dir / "yum").unlink()
    with plumbum.local.env(PATH=f"{bin_dir}:{plumbum.local.env['PATH']}", CALLS=str(tmp_path / "calls")):
        client = choose_client(ContainerEngine("docker", "localhost/vdsm-pipeline/bullseye:1"))
    assert client.program == "dnf"
    assert client.label.endswith("on this host")
