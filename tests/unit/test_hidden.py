# SPDX-License-Identifier: GPL-2.0-or-later
"""No build step reaches the key: on this host it is out of sight, and a container has its workspace alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import plumbum
import pytest

from pipeline import hidden
from pipeline.engines import host
from pipeline.engines.container import plan_container
from pipeline.engines.host import HostEngine
from pipeline.errors import EngineError
from pipeline.hidden import Hidden

ROOT_DIR = Path(__file__).parents[2]
SECRET = "the secret key"

SPEC = """\
Name: nosy
Version: 1.0
Release: 1
Summary: Reads what it can
License: GPL-2.0-or-later
BuildArch: noarch
%description
It reads what it can.
%build
{reads}
env | grep -E '^(GNUPG|GPG)' && echo 'NAMED' || :
%files
"""


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    """Files with a secret, at each place where there may be one; spaces too."""
    paths = {
        "home": tmp_path / "home" / ".gnupg" / "private-keys-v1.d" / "grip.key",
        "variable": tmp_path / "gnupg home" / "private-keys-v1.d" / "grip.key",
        "key file": tmp_path / "a key.asc",
        "passphrase": tmp_path / "passphrase",
        "throwaway": tmp_path / "out" / ".key" / "secret.asc",
    }
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    return paths


@pytest.fixture
def settings_of_secrets(settings, secrets, tmp_path, monkeypatch) -> Iterator[Hidden]:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    signing = settings.signing.model_copy(
        update={"key_file": str(secrets["key file"]), "passphrase_file": str(secrets["passphrase"])}
    )
    with plumbum.local.env(GNUPGHOME=str(tmp_path / "gnupg home"), GPG_TTY="/dev/tty1"):
        yield hidden.of(settings.model_copy(update={"signing": signing, "out_path": tmp_path / "out"}))


def attempts(paths: dict[str, Path]) -> str:
    """Lines of sh that try to read each, also behind an unmount and by the way of another process."""
    lines = [f"cat '{path}' 2>/dev/null || :" for path in paths.values()]
    lines += [f"cat '/proc/{os.getpid()}/root{path}' 2>/dev/null || :" for path in paths.values()]
    for path in paths.values():
        for place in (path, path.parent, path.parent.parent):
            lines += [f"umount '{place}' 2>/dev/null || :", f"umount --lazy '{place}' 2>/dev/null || :"]
        lines += [f"cat '{path}' 2>/dev/null || :"]
        lines += [f"unshare --user --map-root-user --mount sh -c \"umount '{path.parent}'; umount '{path}'; "
                  f"cat '{path}'\" 2>/dev/null || :"]  # fmt: skip
    return "\n".join(lines)


def test_a_spec_that_reads_all_it_can_finds_no_secret(settings_of_secrets, secrets, tmp_path):
    with HostEngine(settings_of_secrets).workspace(tmp_path / "out" / ".work") as workspace:
        spec = workspace.dir / "nosy.spec"
        spec.write_text(SPEC.format(reads=attempts(secrets)))
        log_path = tmp_path / "log"
        defines = ["--define", f"_topdir {workspace.inside(workspace.dir)}"]
        argv = ["rpmbuild", "-bb", *defines, workspace.inside(spec)]
        workspace.run(argv, timeout_seconds=60, log_path=log_path)
        said = log_path.read_text()
    assert "nosy-1.0-1.noarch.rpm" in said
    assert SECRET not in said
    assert "NAMED" not in said.replace("echo NAMED", "")
    assert all(path.read_text() == SECRET for path in secrets.values())


def test_the_places_are_hidden_each_time_a_command_starts(settings_of_secrets, tmp_path):
    late = tmp_path / "out" / ".key"
    shutil.rmtree(late)
    with HostEngine(settings_of_secrets).workspace(tmp_path) as workspace:
        late.mkdir()
        (late / "secret.asc").write_text(SECRET)
        told = workspace.run(["ls", "-A", str(late)], timeout_seconds=10, capture=True).stdout
    assert told == ""


def test_rpmlint_which_has_rpm_parse_a_spec_sees_none_either(settings_of_secrets, secrets):
    for path in secrets.values():
        argv = [*host.without_rights(settings_of_secrets), "cat", str(path)]
        told = subprocess.run(argv, capture_output=True, text=True, check=False,
                              env={**os.environ, "GNUPGHOME": str(secrets["variable"].parents[1])})  # fmt: skip
        assert SECRET not in told.stdout


def test_what_is_hidden_by_itself(settings):
    always = {str(path) for path in hidden.of(settings).paths}
    assert {str(Path.home() / ".gnupg"), f"/run/user/{os.getuid()}/gnupg", str(hidden.KEYS_DIR)} <= always
    assert str(settings.out_path / ".key") in always
    assert not hidden.of(settings).must
    assert HostEngine()._hidden == hidden.always()


def test_where_nothing_can_be_hidden_no_build_runs_beside_a_real_key(settings_of_secrets, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/")
    monkeypatch.setattr("pipeline.engines.host._HOST_GUEST_DIR", tmp_path / "link")
    with pytest.raises(EngineError) as caught, HostEngine(settings_of_secrets).workspace(tmp_path):
        pytest.fail("a build could read the key")
    assert caught.value.message.startswith("a build on this host could read the signing key")
    assert "--engine podman" in caught.value.hint
    with HostEngine(Hidden(paths=settings_of_secrets.paths)).workspace(tmp_path) as workspace:
        workspace.run(["true"], timeout_seconds=10)


def test_a_container_is_given_its_workspace_and_no_place_of_a_key(settings_of_secrets):
    argv = plan_container(["rpmbuild"], program="podman", image="image", name="name", workspace_dir=Path("/w"),
                          read_only=[Path("/checkout/tests/patched")], env={}, cwd="/workspace")  # fmt: skip
    mounts = [word for before, word in pairwise(argv) if before == "--mount"]
    assert mounts == [
        "type=bind,source=/w,target=/workspace",
        "type=bind,source=/checkout/tests/patched,target=/mnt/0,readonly",
    ]
    assert not {"--volume", "-v", "--privileged", "--env-host"} & set(argv)
    assert not any(str(path) in word for path in settings_of_secrets.paths for word in argv)
    assert not any("GNUPG" in word or "GPG" in word for word in argv)


@pytest.mark.skipif(os.getuid() != 0, reason="becomes an ordinary user, which root alone can")
def test_an_ordinary_user_s_builds_see_none_either():
    """Where ordinary users may make namespaces: the same walls, built with fewer rights."""
    as_user = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--inh-caps=-all"]
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="user-") as name:
        folder = Path(name)
        (folder / "secret").mkdir()
        (folder / "secret" / "key").write_text(SECRET)
        shutil.copytree(ROOT_DIR / "pipeline", folder / "pipeline")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 1234, 1234)
        if subprocess.run(
            [*as_user, "unshare", "--user", "--map-root-user", "--mount", "true"], check=False
        ).returncode:
            pytest.skip("ordinary users may make no namespaces here")
        script = (
            "import sys; from pathlib import Path; from pipeline.engines.host import HostEngine\n"
            "from pipeline.hidden import Hidden\n"
            "folder = Path(sys.argv[1])\n"
            "with HostEngine(Hidden(paths=(folder / 'secret',), must=True)).workspace(folder / 'work') as workspace:\n"
            "    lines = f'id -u; ls -A {folder}/secret; umount {folder}/secret; cat {folder}/secret/key; '\n"
            "    lines += f'cat /proc/{sys.argv[2]}/root{folder}/secret/key; true'\n"
            "    print(workspace.run(['sh', '-c', lines], timeout_seconds=20, capture=True).stdout)\n"
        )
        argv = [*as_user, "env", f"HOME={folder}", "PYTHONDONTWRITEBYTECODE=1", sys.executable, "-c", script]
        done = subprocess.run([*argv, str(folder), str(os.getpid())], cwd=folder, capture_output=True, text=True,
                              check=False)  # fmt: skip
    if "Permission denied" in done.stderr and "python" in done.stderr:
        pytest.skip("the environment is out of that user's reach")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1234"]
