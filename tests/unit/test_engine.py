# SPDX-License-Identifier: GPL-2.0-or-later
"""Where commands run: the container's command line, the host's folders, and the choice between them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import command
from pipeline.command import CommandResult
from pipeline.engines.choice import choose_engine
from pipeline.engines.container import ContainerEngine, plan_container
from pipeline.engines.host import HostEngine
from pipeline.engines.hostroot import RootEngine
from pipeline.errors import CommandFailed, CommandTimedOut, EngineError

GOLDEN_DIR = Path(__file__).parent.parent / "golden" / "plan_container"
USERS = {"root": 0, "user": 1234}


@pytest.fixture
def commands(monkeypatch) -> list[tuple[str, ...]]:
    """Every command line that would have been run; each is said to have ended well."""
    ran: list[tuple[str, ...]] = []

    def run(argv, **_: object) -> CommandResult:
        ran.append(tuple(argv))
        return CommandResult(argv=tuple(argv), exit_code=0, stdout="", seconds=0.0)

    monkeypatch.setattr(command, "run", run)
    return ran


@pytest.fixture
def on_path(monkeypatch) -> set[str]:
    """The programs that are on PATH; tests add to it."""
    names: set[str] = set()
    monkeypatch.setattr(command, "is_on_path", lambda program: program in names)
    return names


@pytest.mark.parametrize("program", ["podman", "docker"])
@pytest.mark.parametrize("user", USERS)
def test_the_container_s_command_line_is_the_golden_one(monkeypatch, program, user):
    monkeypatch.setattr(os, "getuid", lambda: USERS[user])
    monkeypatch.setattr(os, "getgid", lambda: USERS[user])
    argv = plan_container(
        ["rpmbuild", "-ba", "a file.spec"],
        program=program,
        image="localhost/vdsm-pipeline/el6:0123",
        name="vdsm-pipeline-1-2",
        workspace_dir=Path("/out/with space/.work/work-1"),
        read_only=[Path("/checkout/tests/patched"), Path("/out/tree")],
        env={"LANG": "C", "TZ": "CET"},
        cwd="/workspace/BUILD",
    )
    assert "\n".join(argv) + "\n" == (GOLDEN_DIR / f"{program}-{user}.txt").read_text()


@pytest.mark.parametrize("program", ["podman", "docker"])
def test_root_of_a_container_is_asked_for_and_gets_no_network_unless_it_is_too(program):
    words = {"program": program, "image": "image", "name": "n", "workspace_dir": Path("/w"), "read_only": [], "env": {}}
    usual, rooted, online = (
        plan_container(["id"], cwd="/workspace", **words, **more)
        for more in ({}, {"as_root": True}, {"as_root": True, "network": True})
    )
    assert "0:0" not in usual
    assert rooted[rooted.index("--user") + 1] == "0:0"
    assert ("--userns" in rooted, "--network" in rooted, "--network" in online) == (False, True, False)


def test_a_container_s_root_keeps_its_workspace(tmp_path, commands, monkeypatch):
    monkeypatch.setattr("pipeline.engines.container._give_to_builder", lambda _: pytest.fail("it is root's"))
    with ContainerEngine("podman", "image", as_root=True).workspace(tmp_path) as workspace:
        workspace.run(["id"], timeout_seconds=10)
    assert "0:0" in commands[-1]


def test_a_host_command_runs_in_the_workspace_with_plain_surroundings(tmp_path):
    with HostEngine().workspace(tmp_path) as workspace:
        told = workspace.run(["sh", "-c", "pwd; echo $HOME $LC_ALL $TZ $MORE"], timeout_seconds=10, capture=True,
                             env={"MORE": "more"}).stdout  # fmt: skip
        inside = workspace.inside(workspace.dir)
        assert told == f"{inside}\n{inside} C.UTF-8 UTC more\n"
        assert workspace.inside(workspace.dir / "a") == f"{inside}/a"
        assert workspace.inside(tmp_path / "b") == str(tmp_path / "b")


def test_host_commands_see_every_workspace_at_one_path_and_on_one_host_and_nobody_else_does(tmp_path):
    """Where the machine lets us, as it does here."""
    told = []
    for name in ("one", "another/and/deeper"):
        with HostEngine().workspace(tmp_path / name) as workspace:
            (workspace.dir / "file").write_text("x")
            ran = workspace.run(["sh", "-c", "pwd; ls; uname -n"], timeout_seconds=10, capture=True)
            told.append(ran.stdout)
            assert list(Path(workspace.inside(workspace.dir)).iterdir()) == []
    assert told == ["/tmp/vdsm-pipeline-work\nfile\nlocalhost\n"] * 2


def test_where_nothing_may_be_mounted_a_host_command_sees_the_workspace_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.engines.host._HOST_GUEST_DIR", tmp_path / "link")
    (tmp_path / "link").symlink_to("/")
    with HostEngine().workspace(tmp_path) as workspace:
        told = workspace.run(["pwd"], timeout_seconds=10, capture=True).stdout
        assert told == f"{workspace.dir}\n"
        assert workspace.inside(workspace.dir) == str(workspace.dir)


def test_a_host_command_has_no_network(tmp_path):
    """Checked where the machine lets us: the only interface there is the loop, or none."""
    with HostEngine().workspace(tmp_path) as workspace:
        told = workspace.run(["cat", "/proc/net/dev"], timeout_seconds=10, capture=True).stdout
    names = {line.partition(":")[0].strip() for line in told.splitlines()[2:]}
    assert names <= {"lo"}


def test_a_host_command_ends_with_whoever_started_it_also_when_that_is_killed(tmp_path):
    """With all that it started, where the machine lets us keep processes apart, as it does here."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.engines.host import HostEngine\n"
        "with HostEngine().workspace(Path(sys.argv[1])) as workspace:\n"
        "    workspace.run(['sh', '-c', 'sleep 71.5 & sleep 72.5'], timeout_seconds=100)\n"
    )
    started = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2])

    def asleep() -> list[str]:
        listed = subprocess.run(["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True).stdout
        return [
            line for line in listed.splitlines() if line[0] not in "ZX" and re.fullmatch(r"\S+\s+sleep 7[12]\.5", line)
        ]

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 10
        while len(asleep()) != count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(asleep()) == count

    wait_for(2)
    started.kill()
    started.wait()
    wait_for(0)


def test_without_a_way_to_cut_the_network_the_command_runs_as_it_is(tmp_path, on_path, commands):
    with HostEngine().workspace(tmp_path) as workspace:
        workspace.run(["true"], timeout_seconds=10)
    assert commands == [("true",)]


def test_a_workspace_is_empty_private_and_gone_at_the_end(tmp_path):
    with pytest.raises(ZeroDivisionError), HostEngine().workspace(tmp_path / "new") as workspace:
        assert list(workspace.dir.iterdir()) == []
        assert workspace.dir.stat().st_mode & 0o077 == 0
        (workspace.dir / "full").mkdir()
        raise ZeroDivisionError
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["with space", "mit-ä", "per%cent", "quo'te"])
def test_a_host_workspace_below_a_path_that_rpm_cannot_take_goes_to_the_temporary_folder(tmp_path, monkeypatch, name):
    safe_dir = tmp_path / "safe"
    safe_dir.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(safe_dir))
    with HostEngine().workspace(tmp_path / name) as workspace:
        assert workspace.dir.parent == safe_dir
    assert list(safe_dir.iterdir()) == []
    with HostEngine().workspace(tmp_path / "plain") as workspace:
        assert workspace.dir.parent == tmp_path / "plain"


def test_a_temporary_folder_that_rpm_cannot_take_either_is_told(tmp_path, monkeypatch):
    unsafe_dir = tmp_path / "also unsafe"
    unsafe_dir.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(unsafe_dir))
    with pytest.raises(EngineError) as caught, HostEngine().workspace(tmp_path / "with space"):
        pytest.fail("rpm cannot build there")
    assert caught.value.message == f"rpm cannot build below '{unsafe_dir}', whose name has spaces or unusual letters"
    assert "TMPDIR" in caught.value.hint


def test_a_container_workspace_stays_where_it_is_asked_for(tmp_path, commands):
    with ContainerEngine("podman", "image").workspace(tmp_path / "with space") as workspace:
        assert workspace.dir.parent == tmp_path / "with space"


def test_a_container_sees_its_workspace_and_the_folders_given_to_it(tmp_path, commands):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    folders = [tmp_path / "one", tmp_path / "two"]
    with ContainerEngine("podman", "image").workspace(tmp_path, read_only=folders) as workspace:
        assert workspace.inside(workspace.dir) == "/workspace"
        assert workspace.inside(workspace.dir / "BUILD" / "a") == "/workspace/BUILD/a"
        assert workspace.inside(tmp_path / "one") == "/mnt/0"
        assert workspace.inside(tmp_path / "two" / "b") == "/mnt/1/b"
        with pytest.raises(AssertionError, match="is neither in the workspace"):
            workspace.inside(tmp_path / "three")


def test_a_container_command_is_the_planned_one(tmp_path, commands):
    with ContainerEngine("podman", "image").workspace(tmp_path) as workspace:
        workspace.run(["true"], timeout_seconds=10, cwd=workspace.dir / "BUILD")
    listed, argv = commands
    assert listed[:2] == ("podman", "ps")
    assert argv[:3] == ("podman", "run", "--rm")
    assert argv[-4:] == ("--workdir", "/workspace/BUILD", "image", "true")


@pytest.mark.parametrize("failure", [CommandTimedOut("time-limit", "too long"), KeyboardInterrupt()])
def test_a_container_whose_client_is_ended_is_removed(tmp_path, monkeypatch, failure):
    ran: list[tuple[str, ...]] = []

    def run(argv, **_: object) -> CommandResult:
        ran.append(tuple(argv))
        if argv[1] == "run":
            raise failure
        return CommandResult(argv=tuple(argv), exit_code=0, stdout="", seconds=0.0)

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(type(failure)), ContainerEngine("docker", "image").workspace(tmp_path) as workspace:
        workspace.run(["sleep", "9"], timeout_seconds=1)
    _listed, started, *ended = ran
    name = started[started.index("--name") + 1]
    assert ended == [("docker", "kill", name), ("docker", "rm", "--force", name)]


def fail_with(exit_code: int, output: str, monkeypatch, tmp_path) -> EngineError:
    def run(argv, **_: object) -> CommandResult:
        if argv[1] == "ps":
            return CommandResult(argv=tuple(argv), exit_code=0, stdout="", seconds=0.0)
        raise CommandFailed("command-failed", "podman failed", command_exit_code=exit_code, output=output)

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(EngineError) as caught, ContainerEngine("podman", "image").workspace(tmp_path) as workspace:
        workspace.run(["true"], timeout_seconds=1)
    return caught.value


def add_to_container(tmp_path, nodeps: bool = True) -> None:
    (tmp_path / "a.rpm").write_text("an rpm")
    with ContainerEngine("podman", "image").with_packages([tmp_path / "a.rpm"], tmp_path / "w", nodeps=nodeps) as there:
        assert isinstance(there, ContainerEngine)
        assert there.image.startswith(f"localhost/vdsm-pipeline-built-on:{os.getpid()}-")


@pytest.mark.parametrize("nodeps", [True, False])
def test_packages_are_installed_by_root_without_network_into_an_image_that_does_not_stay(tmp_path, commands, nodeps):
    add_to_container(tmp_path, nodeps)
    words = [argv[1] for argv in commands]
    assert words == ["images", "ps", "run", "commit", "kill", "rm", "rmi"]
    _, _, started, committed, _, _, removed = commands
    assert "--rm" not in started
    assert (started[started.index("--user") + 1], started[started.index("--network") + 1]) == ("0:0", "none")
    assert ("--noscripts" in started, "--nodeps" in started) == (nodeps, nodeps)
    assert committed[2:] == (started[started.index("--name") + 1], removed[-1])
    assert list((tmp_path / "w").iterdir()) == []


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("run", "rpm did not install a.rpm to build on: b is needed by a-1-1.noarch"),
        ("commit", "podman did not make an image of the packages to build on: podman failed"),
    ],
)
def test_of_packages_that_are_not_installed_nothing_stays(tmp_path, monkeypatch, failing, told):
    ran: list[str] = []

    def run(argv, **_: object) -> CommandResult:
        ran.append(argv[1])
        if argv[1] == failing:
            said = "error: Failed dependencies:\n\tb is needed by a-1-1.noarch\n"
            raise CommandFailed("command-failed", "podman failed", command_exit_code=1, output=said)
        return CommandResult(argv=tuple(argv), exit_code=0, stdout="", seconds=0.0)

    monkeypatch.setattr(command, "run", run)
    with pytest.raises(EngineError) as caught:
        add_to_container(tmp_path)
    assert (type(caught.value), caught.value.message) == (EngineError, told)
    assert ran[-2:] == ["kill", "rm"]
    assert list((tmp_path / "w").iterdir()) == []


def test_an_image_that_a_living_run_made_stays_and_a_dead_one_s_goes(tmp_path, monkeypatch):
    removed: list[str] = []
    listed = "\n".join(f"localhost/vdsm-pipeline-built-on:{number}-1" for number in (os.getpid(), 2**22 + 1))

    def run(argv, **_: object) -> CommandResult:
        removed.extend(argv[3:] if argv[1] == "rmi" else ())
        return CommandResult(argv=tuple(argv), exit_code=0, seconds=0.0, stdout=listed if argv[1] == "images" else "")

    monkeypatch.setattr(command, "run", run)
    add_to_container(tmp_path)
    assert removed[0] == f"localhost/vdsm-pipeline-built-on:{2**22 + 1}-1"
    assert [
        name for name in removed[1:] if not name.startswith(f"localhost/vdsm-pipeline-built-on:{os.getpid()}-")
    ] == []
    assert f"localhost/vdsm-pipeline-built-on:{os.getpid()}-1" not in removed


def test_an_engine_that_takes_no_packages_says_so(tmp_path):
    with pytest.raises(EngineError, match=r"engine 'host' cannot be given a\.rpm to build on"):
        RootEngine().with_packages([tmp_path / "a.rpm"], tmp_path, nodeps=True)


@pytest.mark.parametrize("exit_code", [125, 126, 127])
def test_an_engine_that_cannot_run_the_image_is_told_with_its_last_words(monkeypatch, tmp_path, exit_code):
    error = fail_with(exit_code, "warning\nError: no such image\n\n", monkeypatch, tmp_path)
    assert type(error) is EngineError
    assert error.message == "podman cannot run image: Error: no such image"
    assert error.exit_code == 20


def test_an_engine_that_fails_without_a_word_is_told(monkeypatch, tmp_path):
    assert fail_with(125, "", monkeypatch, tmp_path).message == "podman cannot run image: it said nothing"


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("Error: crun: setrlimit `RLIMIT_NPROC`: Operation not permitted\n", ".ci/containers.conf"),
        ("warning\nError: set rlimits: rlimit\nmore\n", ".ci/containers.conf"),
        ("Error: cgroups in hybrid mode not supported\n", ".ci/containers.conf"),
        ("Error: no such image\n", "nox -s doctor"),
        ("", "nox -s doctor"),
    ],
)
def test_what_the_engine_says_of_this_machine_s_limits_is_mended(monkeypatch, tmp_path, said, mend):
    assert mend in fail_with(126, said, monkeypatch, tmp_path).hint


@pytest.mark.parametrize(
    "said",
    [
        "exec /usr/bin/rpmbuild: exec format error",
        "standard_init_linux.go:228: exec user process caused: exec format error",
        'standard_init_linux.go:211: exec user process caused "exec format error"',
        '{"msg":"exec container process `/usr/bin/rpmbuild`: Exec format error","level":"error"}',
    ],
)
def test_a_program_of_another_architecture_is_the_image_s_fault(monkeypatch, tmp_path, said):
    error = fail_with(1, f"warning\n{said}\n", monkeypatch, tmp_path)
    assert (type(error), error.message) == (EngineError, f"podman cannot run image: {said}")
    assert error.hint == "the image is for another architecture: `podman rmi image`; the next run makes it here"


@pytest.mark.parametrize(
    "said",
    [
        "exec /workspace/helper: exec format error\nerror: Bad exit status from /var/tmp/rpm-tmp.a (%build)\n",
        "/bin/sh: 1: ./helper: Exec format error\n",
    ],
)
def test_a_build_that_starts_a_program_of_another_architecture_has_failed_itself(monkeypatch, tmp_path, said):
    assert type(fail_with(1, said, monkeypatch, tmp_path)) is CommandFailed


def test_a_killed_command_in_an_old_image_names_the_kernel_s_part(monkeypatch, tmp_path):
    assert "vsyscall" in fail_with(139, "", monkeypatch, tmp_path).message


def test_a_command_that_fails_in_the_container_stays_a_failed_command(monkeypatch, tmp_path):
    error = fail_with(1, "its words", monkeypatch, tmp_path)
    assert isinstance(error, CommandFailed)
    assert error.command_exit_code == 1


@pytest.mark.parametrize(("answer", "digest"), [("sha256:0123\n", "0123"), ("0123\n", "0123"), ("\n", ""), ("", "")])
def test_an_image_is_known_by_its_digest_and_an_absent_one_has_none(monkeypatch, answer, digest):
    monkeypatch.setattr(
        command, "run", lambda argv, **_: CommandResult(argv=tuple(argv), exit_code=0, stdout=answer, seconds=0.0)
    )
    found = ContainerEngine("docker", "localhost/x:1").identify()
    assert (found.engine, found.reference, found.digest) == ("docker", "localhost/x:1", digest)


def test_the_host_is_known_by_its_system_and_its_rpm():
    found = HostEngine().identify()
    assert found.engine == "host"
    assert found.reference
    assert os.uname().machine in found.digest


@pytest.mark.parametrize(
    ("wish", "programs", "chosen"),
    [
        ("auto", {"podman", "docker"}, "podman"),
        ("auto", {"docker"}, "docker"),
        ("podman", {"podman", "docker"}, "podman"),
        ("docker", {"podman", "docker"}, "docker"),
        ("host", {"podman"}, "host"),
        ("host", set(), "host"),
    ],
)
def test_the_engine_is_the_one_wished_for_or_the_first_there_is(on_path, wish, programs, chosen):
    on_path |= programs
    assert choose_engine(wish, "image").name == chosen


def test_without_an_image_auto_is_the_host(on_path):
    on_path |= {"podman"}
    assert choose_engine("auto", "").name == "host"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("auto", "podman and docker are not on PATH"),
        ("podman", "podman is not on PATH"),
        ("docker", "docker is not on PATH"),
    ],
)
def test_a_missing_engine_is_told(on_path, wish, message):
    on_path |= {"docker"} if wish == "podman" else {"podman"} if wish == "docker" else set()
    with pytest.raises(EngineError) as caught:
        choose_engine(wish, "image")
    assert (caught.value.message, caught.value.exit_code) == (message, 20)
    assert "--engine host" in caught.value.hint


def test_a_container_without_an_image_is_told(on_path):
    on_path |= {"podman"}
    with pytest.raises(EngineError, match="engine 'podman' needs an image and the target names none"):
        choose_engine("podman", "")


def test_containers_of_runs_that_were_killed_are_removed_once_and_those_of_living_runs_stay(tmp_path, monkeypatch):
    ran: list[tuple[str, ...]] = []
    dead, living = "vdsm-pipeline-99999999-bbbb", f"vdsm-pipeline-{os.getpid()}-aaaa"

    def run(argv, **_: object) -> CommandResult:
        ran.append(tuple(argv))
        there = [living, dead][: 1 if ("podman", "rm", "--force", dead) in ran else 2]
        stdout = "\n".join(there) if argv[1] == "ps" else ""
        return CommandResult(argv=tuple(argv), exit_code=0, stdout=stdout, seconds=0.0)

    monkeypatch.setattr(command, "run", run)
    engine = ContainerEngine("podman", "image")
    for _ in range(2):
        with engine.workspace(tmp_path):
            pass
    assert ran[1:-1] == [("podman", "kill", dead), ("podman", "rm", "--force", dead)]
    assert ran[-1] == ran[0]  # to see that it is gone: one that is being made may not be removed just then
