# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof with a real dnf: small sets that hosts can walk through, and each kind that they cannot."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import files
from pipeline.engines.host import HostEngine
from pipeline.errors import CommandMissing, CommandTimedOut, VerifyError
from pipeline.model import ProofReport, Repository
from pipeline.progress import Progress
from pipeline.proof import proof
from pipeline.proof.client import Client, choose_client
from pipeline.proof.trial import Trial
from pipeline.stages import verify
from tests.integration.proving import Key, Part, build, end_agent, index, make_key, part, trial_of

ROOT_DIR = Path(__file__).parents[2]
VENDOR, PREVIOUS, OURS = "1.el6", "1.el6.label.904", "1.el6.label.905"
_SCRIPTS = "%post\nexit 1\n%triggerin -- libvirt\nexit 1"


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    made = make_key(tmp_path_factory.mktemp("key") / "gpg")
    yield made
    end_agent(made)


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    made = make_key(tmp_path_factory.mktemp("other") / "gpg")
    yield made
    end_agent(made)


Maker = Callable[..., Trial]


@pytest.fixture
def make_trial(tmp_path: Path, key: Key) -> Maker:
    """Makes the trial of sets, each a list of parts; a folder with spaces and é, as all paths here."""

    def make(vendor: Sequence[Part] = (), ours: Sequence[Part] = (), previous: Sequence[Part] = (),
             releases: Sequence[str] = (VENDOR, OURS, PREVIOUS), **more: str) -> Trial:  # fmt: skip
        sets = {}
        for name, parts, release in zip(
            ("vendor", "ours", "previous"), (vendor, ours, previous), releases, strict=True
        ):
            sets[name] = build(tmp_path / "build" / name, parts, release, **more) if parts else ()
        return trial_of(tmp_path / "a repository é", key, **sets)

    return make


Prover = Callable[[Trial], ProofReport]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "verify.log"


@pytest.fixture
def prove(tmp_path: Path, log_path: Path) -> Iterator[Prover]:
    scratch_dir = tmp_path / "scratch é"

    def run(trial: Trial, *, client: Client | None = None, timeout_seconds: float = 60) -> ProofReport:
        return proof.run(
            trial,
            client=client or choose_client(HostEngine()),
            scratch_dir=scratch_dir,
            log_path=log_path,
            timeout_seconds=timeout_seconds,
            progress=Progress(quiet=True),
        )

    yield run
    assert list(scratch_dir.glob("*")) == []
    assert processes_in(scratch_dir) == []


def processes_in(folder: Path) -> list[str]:
    """Command lines that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def both(*names: str, **more: object) -> list[Part]:
    return [part(name, **more) for name in names]


def test_a_host_installs_upgrades_and_goes_back(make_trial: Maker, prove: Prover, log_path: Path) -> None:
    requires = (
        "Requires: libvirt >= 1.2-3",
        "Requires: /usr/bin/python",
        "Requires: tool < 3",
        "Requires: small-python",
    )
    ours = [part("small", "b", lines=requires, scripts=_SCRIPTS), part("small-python", "b"), part("small-new")]
    report = prove(make_trial(both("small", "small-python"), ours, both("small", "small-python")))
    assert report.client.startswith("dnf 4.")
    assert report.steps == (
        "install the vendor's set: 2 packages",
        "upgrade to our release: 2 packages",
        "downgrade to the vendor's set: 2 packages",
        "upgrade again from the vendor's set: 2 packages",
        "downgrade to our previous release: 2 packages",
        "upgrade again from our previous release: 2 packages",
        "install what our release has besides: 3 packages",
        "upgrade once more, with nothing to do: 3 packages",
    )
    assert report.stood_in == ("/bin/sh", "/usr/bin/python", "libvirt >= 1.2-3", "tool < 3")
    assert report.left_out == (("small", "%post"), ("small", "%triggerin -- libvirt"))
    assert "upgrade 'small*'" in log_path.read_text()


def test_without_a_vendor_s_set_a_host_starts_from_our_previous_release_or_ours(make_trial, prove) -> None:
    trial = make_trial((), both("small"), both("small"))
    assert prove(trial).steps[0] == "install our previous release: 1 packages"
    alone = dataclasses.replace(trial, previous=())
    assert prove(alone).steps == (
        "install our release: 1 packages",
        "upgrade once more, with nothing to do: 1 packages",
    )


def test_names_that_are_patterns_elsewhere_and_an_epoch(make_trial: Maker, prove: Prover) -> None:
    names = ("lib.small+c++", "g++_x", "other")
    report = prove(make_trial(both(*names), both(*names), both(*names), epoch="2"))
    assert len(report.steps) == 7


def test_source_packages_and_debuginfo_are_not_installed(make_trial: Maker, prove: Prover) -> None:
    trial = make_trial(both("small"), both("small", "small-debuginfo"))
    assert prove(trial).steps[-1] == "upgrade once more, with nothing to do: 1 packages"


def test_files_of_other_users_and_their_modes_are_as_a_clean_root_can_have_them(make_trial, prove) -> None:
    parts = [part("small", attributes="%attr(6750, vdsm, kvm)")]
    assert prove(make_trial(parts, parts)).steps


def test_repositories_of_the_host_take_the_stand_in_s_place(make_trial, prove, tmp_path) -> None:
    (path,) = build(tmp_path / "host-build", [part("tool")], "7")
    host_dir = tmp_path / "the host's"
    host_dir.mkdir()
    shutil.copy(path, host_dir)
    index(host_dir)
    trial = make_trial((), [part("small", lines=("Requires: tool = 1.0-7",))])
    report = prove(dataclasses.replace(trial, host_repositories=(str(host_dir),)))
    assert report.stood_in == ()
    with pytest.raises(VerifyError, match=r"a host cannot install our release: small: nothing provides tool = 1.0-7"):
        empty_dir = tmp_path / "empty"
        empty_dir.mkdir()
        index(empty_dir)
        prove(dataclasses.replace(trial, host_repositories=(str(empty_dir),)))


def refused(prove: Prover, trial: Trial, **more: object) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        prove(trial, **more)
    assert caught.value.exit_code == 16
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_release_that_is_older_than_the_vendor_s(make_trial: Maker, prove: Prover) -> None:
    error = refused(prove, make_trial(both("small"), both("small"), releases=("2.el6", OURS, "")))
    assert error.message == (
        "a host cannot upgrade to our release: small: small-1.0-2.el6.noarch is installed, not"
        " small-1.0-1.el6.label.905.noarch (rpm's order is 1.0-2.el6 > 1.0-1.el6.label.905)"
    )


def test_a_subpackage_that_ours_lacks(make_trial: Maker, prove: Prover) -> None:
    error = refused(prove, make_trial(both("small", "small-cli"), both("small")))
    assert error.message == (
        "a host cannot upgrade to our release: small-cli: small-cli-1.0-1.el6.noarch stays installed, for which the"
        " set has no package: a host would have a mixed set"
    )


def test_a_subpackage_that_ours_lacks_and_that_wants_its_own_release(make_trial: Maker, prove: Prover) -> None:
    vendor = [part("small"), part("small-cli", lines=(f"Requires: small = 1.0-{VENDOR}",))]
    error = refused(prove, make_trial(vendor, both("small")))
    assert error.message.startswith("a host cannot upgrade to our release: small-cli: ")


def test_a_file_conflict(prove: Prover, tmp_path: Path, key: Key) -> None:
    ours = [Part("small", files={"/usr/share/x": "a"}), Part("small-cli", files={"/usr/share/x": "b"})]
    built = [build(tmp_path / each.name, [each], OURS) for each in ours]
    vendor = build(tmp_path / "vendor", both("small", "small-cli"), VENDOR)
    error = refused(prove, trial_of(tmp_path / "repository", key, vendor=vendor, ours=[*built[0], *built[1]]))
    assert "file /usr/share/x conflicts between attempted installs of small-" in error.message
    assert "leave it to one of them" in error.hint


def test_a_requirement_of_the_set_that_nothing_in_it_meets(make_trial: Maker, prove: Prover) -> None:
    error = refused(prove, make_trial(both("small"), [part("small", lines=("Requires: small-gone = 1.0-%{release}",))]))
    assert "small: " in error.message
    assert (
        "nothing provides small-gone = 1.0-1.el6.label.905 needed by small-1.0-1.el6.label.905.noarch" in error.message
    )


def test_a_package_that_conflicts_with_another(make_trial: Maker, prove: Prover) -> None:
    ours = [part("small", lines=("Conflicts: small-cli >= 1.0",)), part("small-cli")]
    assert "small" in refused(prove, make_trial(both("small", "small-cli"), ours)).message


def reindexed(trial: Trial, key: Key) -> Trial:
    index(trial.repository_dir)
    key.sign_metadata(trial.repository_dir)
    return trial


def test_a_package_signed_by_another_key(make_trial, prove, key, other_key) -> None:
    trial = make_trial(both("small"), both("small"))
    path = trial.repository_dir / trial.ours[0].href
    subprocess.run(["rpmsign", "--delsign", str(path)], check=True, capture_output=True)
    other_key.sign([path])
    error = refused(prove, reindexed(trial, key))
    assert error.message.startswith("a host cannot upgrade to our release: small: The GPG keys listed for the")
    assert error.hint == "sign it with the key that hosts have, or give hosts the key that signed it"


def test_a_package_that_is_not_signed(make_trial, prove, key) -> None:
    trial = make_trial(both("small"), both("small"))
    path = trial.repository_dir / trial.ours[0].href
    subprocess.run(["rpmsign", "--delsign", str(path)], check=True, capture_output=True)
    error = refused(prove, reindexed(trial, key))
    assert "small-1.0-1.el6.label.905.noarch.rpm is not signed" in error.message


def test_a_signature_of_other_metadata(make_trial, prove, key, other_key) -> None:
    trial = make_trial(both("small"), both("small"))
    other_key.sign_metadata(trial.repository_dir)
    error = refused(prove, trial)
    assert error.message.endswith("repomd.xml GPG signature verification error: Bad GPG signature")
    (trial.repository_dir / "repodata/repomd.xml.asc").unlink()
    refused(prove, trial)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_payload_that_was_changed(make_trial, prove, key, indexed: bool) -> None:
    trial = make_trial(both("small"), both("small"))
    path = trial.repository_dir / trial.ours[0].href
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)
    error = refused(prove, reindexed(trial, key) if indexed else trial)
    assert error.message.startswith("a host cannot upgrade to our release: small: ")


def test_a_previous_release_that_is_gone(make_trial: Maker, prove: Prover) -> None:
    trial = make_trial(both("small"), both("small"), both("small"))
    (trial.repository_dir / trial.previous[0].href).unlink()
    error = refused(prove, trial)
    assert error.message.startswith(f"the repository names {trial.previous[0].nevra} and has no previous/small-")


def test_a_previous_release_that_the_metadata_does_not_name(make_trial, prove, key) -> None:
    trial = make_trial(both("small"), both("small"), both("small"))
    path = trial.repository_dir / trial.previous[0].href
    aside = trial.repository_dir.parent / "aside.rpm"
    path.rename(aside)
    reindexed(trial, key)
    aside.rename(path)
    assert (
        "a host cannot downgrade to our previous release: small: No package small-1.0-1.el6.label.904"
        in refused(prove, trial).message
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("size", ["2m", "300k", "20k"])
def test_a_full_disk_in_the_root(make_trial, tmp_path, log_path, size) -> None:
    small_dir = tmp_path / "small disk"
    small_dir.mkdir()
    trial = make_trial((), [part("small", "a" * 3_000_000)])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small_dir)], check=True)
    try:
        with pytest.raises(VerifyError) as caught:
            proof.run(trial, client=choose_client(HostEngine()), scratch_dir=small_dir, log_path=log_path,
                      timeout_seconds=60, progress=Progress(quiet=True))  # fmt: skip
        assert caught.value.hint.startswith("free space")
        assert list(small_dir.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small_dir)], check=True)


def test_a_machine_without_dnf(monkeypatch) -> None:
    monkeypatch.setattr("pipeline.command.is_on_path", lambda name: name != "dnf")
    with pytest.raises(CommandMissing) as caught:
        choose_client(HostEngine())
    assert "dnf is not on PATH" in caught.value.message
    assert caught.value.hint.startswith("apt-get install dnf")


def test_a_dnf_that_hangs_is_ended(make_trial, prove, tmp_path) -> None:
    hanging = tmp_path / "bin" / "dnf"
    hanging.parent.mkdir()
    hanging.write_text(f"#!/bin/sh\n: {tmp_path / 'scratch é'}\nsetsid sleep 99 & sleep 99\n")
    hanging.chmod(0o755)
    trial = make_trial((), both("small"))
    client = choose_client(HostEngine())
    with pytest.raises(CommandTimedOut) as caught:
        prove(trial, client=Hanging(program=client.program, engine=client.engine, label="dnf 4", path=str(hanging)),
              timeout_seconds=2)  # fmt: skip
    assert caught.value.message == "dnf 4 did not end in time when it was to install our release"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hanging(Client):
    path: str

    def plan(self, verb: str, words: Sequence[str], **more: str) -> list[str]:
        return [self.path, *Client.plan(self, verb, words, **more)[1:]]


def test_an_ordinary_user_proves_it_as_well(make_trial: Maker, opened) -> None:
    """By what a user namespace has of root; where these are forbidden, that is told."""
    if os.getuid() != 0:
        pytest.skip("all other tests are that one then")
    trial = make_trial([part("small", attributes="%attr(6750, vdsm, kvm)")], both("small"))
    code = "import pickle, sys; from tests.integration.test_proof import *; prove_alone(pickle.load(sys.stdin.buffer))"
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    ran = subprocess.run([*nobody, sys.executable, "-B", "-c", code], input=pickle.dumps(opened(trial)),
                         cwd=ROOT_DIR, capture_output=True)  # fmt: skip
    assert ran.stderr.decode() == ""
    assert ran.stdout.decode() == "5\n"


@pytest.fixture
def opened() -> Iterator[Callable[[Trial], Trial]]:
    """A function that copies a trial to where everybody can read it."""
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        folder.chmod(0o755)

        def copied(trial: Trial) -> Trial:
            shutil.copytree(trial.repository_dir, folder / "repository")
            key_path = folder / "key.asc"
            shutil.copy(trial.key_paths[0], key_path)
            key_path.chmod(0o644)
            return dataclasses.replace(trial, repository_dir=folder / "repository", key_paths=(key_path,))

        yield copied


def prove_alone(trial: Trial) -> None:
    """In a process of its own: prove, and tell how many steps there were."""
    with tempfile.TemporaryDirectory() as folder:
        report = proof.run(
            trial,
            client=choose_client(HostEngine()),
            scratch_dir=Path(folder) / "scratch",
            log_path=Path(folder) / "log",
            timeout_seconds=60,
            progress=Progress(quiet=True),
        )
        assert list((Path(folder) / "scratch").iterdir()) == []
    sys.stdout.write(f"{len(report.steps)}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.3, 0.9, 1.4])
def test_whenever_it_is_ended_no_process_and_no_mount_is_left(make_trial, opened, number: int, seconds: float) -> None:
    trial = opened(make_trial(both("small"), both("small")))
    code = (
        "import pickle, signal, sys; from tests.integration import test_proof\n"
        "def interrupt(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGTERM, interrupt)\n"
        "test_proof.prove_in(pickle.load(sys.stdin.buffer))"
    )
    process = subprocess.Popen([sys.executable, "-B", "-c", code], cwd=ROOT_DIR, stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    assert process.stdin
    process.stdin.write(pickle.dumps(trial))
    process.stdin.close()
    scratch_dir = trial.repository_dir.parent / "scratch"
    wait_until(lambda: any(scratch_dir.glob("*/root")))
    time.sleep(seconds)
    process.send_signal(number)
    process.wait(timeout=10)
    wait_until(lambda: processes_in(trial.repository_dir.parent) == [])
    assert str(trial.repository_dir.parent) not in Path("/proc/self/mounts").read_text()
    if number != signal.SIGKILL:
        assert list(scratch_dir.iterdir()) == []


def prove_in(trial: Trial) -> None:
    folder = trial.repository_dir.parent
    for _ in range(20):
        proof.run(trial, client=choose_client(HostEngine()), scratch_dir=folder / "scratch", log_path=folder / "log",
                  timeout_seconds=60, progress=Progress(quiet=True))  # fmt: skip


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_stage_gathers_what_is_staged_and_tells_what_was_left_out(make_trial, tmp_path, project, key, told) -> None:
    trial = make_trial(both("small"), [part("small", lines=("Requires: tool",), scripts=_SCRIPTS)], both("small"))
    context = project.context(str(tmp_path / "mirror"))
    context = dataclasses.replace(
        context,
        progress=Progress(console=Console(file=told, markup=False, highlight=False, emoji=False, soft_wrap=True)),
    )
    staged_dir = context.home_dir / "repo"
    shutil.copytree(trial.repository_dir, staged_dir)
    repository = Repository(
        tree=files.tree_record(staged_dir, context.out_path),
        revision=1,
        base_repomd_sha256="",
        repomd=files.file_record(staged_dir / "repodata" / "repomd.xml", context.out_path),
        package_count=1,
        files=(),
        ours=trial.ours,
        vendor=trial.vendor,
        previous=trial.previous,
    )
    with pytest.raises(VerifyError, match="the staged repository is not signed"):
        verify.run(repository, context=context)
    shutil.copy(key.public_path, staged_dir / "repodata" / "keys.asc")
    assert verify.inputs(repository, context=context)["host_repositories"] == "none: a stand-in"
    assert len(verify.run(repository, context=context).steps) == 7
    assert "left out, since they need a real host: small %post, small %triggerin -- libvirt\n" in told.getvalue()
    assert "2 requirements of the host were met by a stand-in\n" in told.getvalue()
