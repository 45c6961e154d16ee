# SPDX-License-Identifier: GPL-2.0-or-later
"""Real containers of the bullseye image: who builds in them, with what, and that none is left behind."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import Interrupted
from pipeline.images import image_reference
from pipeline.settings import read_settings
from tests.integration import farming
from tests.integration.checkout import Checkout, copy_checkout

DEMO = ("--target", "el6-bullseye", "--source", "demo")
SPEC = "tests/demo/vdsm/vdsm.spec"


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Made once, by the recipe of this checkout; later runs of the tests find it."""
    checkout = copy_checkout(tmp_path_factory.mktemp("image"))
    result = checkout.run("image", "--target", "el6-bullseye")
    assert result.code == 0, result.stderr


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No container, mount or process stays behind, however a test's run ended."""
    before, running = mounts(), processes()
    yield
    assert containers() == []
    assert mounts() == before
    deadline = time.monotonic() + 10
    while processes() - running and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes() - running == set()


def processes() -> set[str]:
    """What runs builds, or watches over containers; the dead that nobody collected are not counted."""
    listed = subprocess.check_output(["ps", "-eo", "pid=,stat=,comm="], text=True).splitlines()
    rows = (line.split(None, 2) for line in listed)
    return {pid for pid, state, name in rows if name in ("rpmbuild", "conmon") and not state.startswith("Z")}


def mounts() -> set[str]:
    """Where something is mounted; podman's own store may be."""
    return {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}


def containers() -> list[str]:
    words = ["podman", "ps", "--all", "--quiet", "--filter", "label=vdsm-pipeline"]
    return subprocess.check_output(words, text=True).split()


def wait_for_container() -> None:
    deadline = time.monotonic() + 60
    while not containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert containers()
    time.sleep(0.5)


def test_a_release_in_a_container_builds_as_an_ordinary_user_without_network(checkout: Checkout) -> None:
    checkout.edit(SPEC, "%install\n", '%install\ntest "$(id -u)" -ge 1000\ntest "$(ls /sys/class/net)" = lo\n')

    result = checkout.run("release", *DEMO)

    assert result.code == 0, result.stderr
    assert result.document["jobs"][0]["evr"].endswith("0.demo.spicedisconnectactionsbackport.904")
    assert "Python 2.7" in result.stderr
    built = list((checkout.out / "el6-bullseye/vdsm/RPMS").rglob("*.rpm"))
    assert len(built) == 7
    assert {path.stat().st_uid for path in built} == {os.getuid()}
    assert containers() == []
    again = checkout.run("release", *DEMO)
    assert set(again.stages.values()) == {"cached"}


def test_python_2_reads_the_metadata_as_we_do(checkout: Checkout) -> None:
    """yum 3 opens metadata by Python 2's gzip module, and by no other."""
    assert checkout.run("release", *DEMO).code == 0
    repodata_dir = (checkout.out / "mirror/el6-bullseye/repodata").resolve()
    code = "import glob, gzip, sys; [sys.stdout.write(gzip.open(p).read()) for p in sorted(glob.glob('/r/*.gz'))]"
    reference = image_reference(read_settings(checkout.root, environ={}), "bullseye")
    argv = ["podman", "run", "--rm", "--network=none", f"--volume={repodata_dir}:/r:ro", reference, "python2.7"]
    found = subprocess.run([*argv, "-c", code], check=True, capture_output=True)
    assert found.stdout == b"".join(gzip.decompress(path.read_bytes()) for path in sorted(repodata_dir.glob("*.gz")))
    assert found.stdout.count(b"</package>") == 3 * 16


def test_a_build_past_its_time_limit_leaves_no_container(checkout: Checkout) -> None:
    checkout.edit(SPEC, "%install\n", "%install\nsleep 100\n")
    checkout.edit("pipeline.toml", "build = 3600", "build = 4")
    started = time.monotonic()

    result = checkout.run("build", *DEMO)

    assert result.code == 11, result.stderr
    assert time.monotonic() - started < 40
    assert containers() == []


def test_ctrl_c_leaves_no_container(checkout: Checkout) -> None:
    checkout.edit(SPEC, "%install\n", "%install\nsleep 100\n")
    process = checkout.popen("build", *DEMO)
    _wait_for_build(checkout)

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=40)

    assert process.returncode == 130, stderr
    assert containers() == []


def test_the_container_of_a_killed_run_is_removed_by_the_next(checkout: Checkout) -> None:
    checkout.edit(SPEC, "%install\n", "%install\nsleep 100\n")
    process = checkout.popen("build", *DEMO)
    _wait_for_build(checkout)
    process.kill()
    process.communicate(timeout=40)
    assert containers()
    checkout.edit(SPEC, "%install\nsleep 100\n", "%install\n")

    assert checkout.run("build", *DEMO).code == 0
    assert containers() == []


def test_a_missing_image_is_told_when_it_may_not_be_made(checkout: Checkout) -> None:
    (checkout.root / "containers/bullseye/config.site").write_text("# another\n")
    result = checkout.run("build", *DEMO, "--offline")
    assert result.code == 20
    assert "has no image localhost/vdsm-pipeline/bullseye:" in result.stderr
    assert "nox -s image -- --target el6-bullseye" in result.stderr


def test_a_missing_engine_is_told(checkout: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("rpmbuild", "git", "rsync", "rpmkeys", "unshare", "true"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    result = checkout.run("build", *DEMO, env={"PATH": str(folder)})
    assert result.code == 20, result.stderr
    assert "podman and docker are not on PATH" in result.stderr


@pytest.fixture
def foreign(checkout: Checkout) -> Iterator[Checkout]:
    """A checkout whose recipe makes an image with a program for a machine that does not exist."""
    program = bytearray(Path("/usr/bin/true").read_bytes())
    program[18:20] = b"\x7f\x7f"  # e_machine: elf(5)
    recipe = checkout.root / "containers/bullseye"
    path = recipe / "root/usr/bin/rpmbuild"
    path.parent.mkdir(parents=True)
    path.write_bytes(program)
    path.chmod(0o755)
    (recipe / "build").write_text('#!/bin/sh\ntar --create --file "$1" --directory "$(dirname "$0")/root" .\n')
    name = image_reference(read_settings(checkout.root, environ={}), "bullseye")
    yield checkout
    subprocess.run(["podman", "rmi", name], check=True, capture_output=True)


def test_an_image_of_another_architecture_is_told(foreign: Checkout) -> None:
    result = foreign.run("patch", *DEMO)

    assert result.code == 20, result.stderr
    told = re.fullmatch(r"error: el6-bullseye: fetch: podman cannot run (\S+): exec /\S+: exec format error",
                        result.error_line)  # fmt: skip
    assert told, result.stderr
    assert f"mend: the image is for another architecture: `podman rmi {told[1]}`; the next run" in result.stderr
    assert "Traceback" not in result.stderr
    assert containers() == []
    assert not (foreign.out / ".work").exists()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("test_newer.py", 'NAME = "a"\nTEXT = f"{NAME}"\n', "invalid syntax (test_newer.py, line 2)"),
        ("newer.py", 'TEXT = f""\n', "invalid syntax (newer.py, line 1)"),
        (
            "test_newer.py",
            'TEXT = "\u00e9"\n',
            "see http://python.org/dev/peps/pep-0263/ for details (test_newer.py, line 1)",
        ),
        ("test_newer.py", "import pathlib\n", "ImportError: No module named pathlib"),
    ],
)
def test_a_test_file_that_python_2_cannot_import_is_named(name: str, text: str, told: str, checkout: Checkout) -> None:
    folder = checkout.root / "tests/patched/vdsm"
    (folder / "test_newer.py").write_text("import newer\n")
    (folder / name).write_text(text, encoding="utf-8")

    result = checkout.run("unit", *DEMO)

    assert result.code == 13, result.stderr
    assert "test_newer.py does not import: " in result.error_line
    assert told in result.error_line
    assert "Traceback" not in result.stderr
    assert not (checkout.out / ".work").exists()


def _wait_for_build(checkout: Checkout) -> None:
    """Until the long command of %install runs in the container."""
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", "^sleep 100"], capture_output=True).returncode and time.monotonic() < deadline:
        time.sleep(0.1)
    assert containers()


def test_a_container_that_is_killed_for_memory_is_told(checkout: Checkout) -> None:
    # What podman ends with when the kernel kills the container's first process.
    (checkout.root / "tests/patched/runner.py").write_text("import sys\nsys.exit(137)\n")
    result = checkout.run("unit", *DEMO)
    assert result.code == 20, result.stderr
    assert "exit code 137" in result.stderr and "memory" in result.stderr


def test_what_a_worker_s_job_left_in_a_container_is_removed(tmp_path: Path) -> None:
    """By the job's process when the worker is killed; by the next worker when both are."""
    srpm = farming.make_srpm(tmp_path / "srpm", "sleep 65.5")
    serve = ("one", "--target", "demo", "--target", "el6-bullseye")
    with farming.site_at(tmp_path / "site") as site:
        for kill_both in (False, True):
            site.start_worker(*serve)
            with site.farm(tmp_path / "out", workers=1) as farm, ThreadPoolExecutor(1) as threads:
                context = site.context(farm, tmp_path / "out", target="el6-bullseye", source=f"srpm:{srpm}")
                asked = threads.submit(farm.bring, context, farming.stages("image", "fetch", "patch"), "attempt")
                farming.wait_until(lambda: started_below(site.checkout.root), "no container", site.log_path)
                name, process_id = started_below(site.checkout.root)[0]
                if kill_both:
                    os.kill(process_id, signal.SIGKILL)
                site.kill("one")
                if kill_both:
                    assert name in running_names()
                    site.start_worker(*serve)
                farming.wait_until(lambda: name not in running_names(), "it is left", site.log_path)  # noqa: B023
                farm.stop()
                assert isinstance(asked.exception(timeout=60), Interrupted)


def running_names() -> list[str]:
    words = ["podman", "ps", "--all", "--format", "{{.Names}}", "--filter", "label=vdsm-pipeline"]
    return subprocess.check_output(words, text=True).split()


def started_below(folder: Path) -> list[tuple[str, int]]:
    """Containers that a process at work in this folder started."""
    found = []
    for name in running_names():
        process_id = int(name.split("-")[2])
        with contextlib.suppress(OSError):
            if Path(f"/proc/{process_id}/cwd").readlink() == folder:
                found.append((name, process_id))
    return found
