# SPDX-License-Identifier: GPL-2.0-or-later
"""What %install wrote gets the time of the release, and compiled modules stay fresh."""

from __future__ import annotations

import os
import py_compile
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "pipeline" / "settle-times.sh"
EPOCH = 1_700_000_123
# What Python 2.6 and 2.7 begin a compiled module with; they write no flags and no size.
MAGIC_2 = {"2.6": b"\xd1\xf2\r\n", "2.7": b"\x03\xf3\r\n"}


def settle(root: Path, epoch: int = EPOCH) -> None:
    env = {"PATH": os.environ["PATH"], "RPM_BUILD_ROOT": str(root), "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(["sh", str(SCRIPT)], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def mtime(path: Path) -> int:
    return int(path.lstat().st_mtime)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "root" / "a dir").mkdir(parents=True)
    return tmp_path / "root"


def test_what_is_newer_gets_the_time_and_what_is_older_keeps_its_own(root):
    (root / "a dir" / "new").write_text("x")
    (root / "link").symlink_to("nowhere")
    (root / "old").write_text("x")
    os.utime(root / "old", (EPOCH - 5, EPOCH - 5))
    settle(root)
    assert mtime(root / "old") == EPOCH - 5
    assert {mtime(path) for path in (root, root / "a dir", root / "a dir" / "new", root / "link")} == {EPOCH}
    assert str((root / "link").readlink()) == "nowhere"


@pytest.mark.parametrize("version", MAGIC_2)
@pytest.mark.parametrize("suffix", ["c", "o"])
def test_a_module_of_python_2_holds_the_time_of_its_source(root, version, suffix):
    source, compiled = root / "a dir" / "it's.py", root / "a dir" / f"it's.py{suffix}"
    source.write_text("x = 1\n")
    code = bytes(range(256))
    compiled.write_bytes(MAGIC_2[version] + struct.pack("<I", mtime(source)) + code)
    settle(root)
    assert mtime(source) == EPOCH
    assert compiled.read_bytes() == MAGIC_2[version] + struct.pack("<I", EPOCH) + code
    assert mtime(compiled) == EPOCH


@pytest.mark.parametrize("epoch", [EPOCH, 1_700_000_000 & ~0xFF, 1_700_000_000 | 0xFF, 0x0A0D0025])
def test_every_byte_of_the_time_arrives(root, epoch):
    (root / "m.py").write_text("")
    (root / "m.pyc").write_bytes(MAGIC_2["2.7"] + struct.pack("<I", int(time.time())) + b"code")
    settle(root, epoch)
    assert struct.unpack("<I", (root / "m.pyc").read_bytes()[4:8]) == (epoch,)


@pytest.mark.parametrize("name", ["__pycache__/m.cpython-{}{}.pyc", "m.pyc"])
def test_a_module_of_this_python_is_taken_as_it_is(root, name):
    """Python would compile a stale one anew, and see that its source is no Python any more."""
    source = root / "m.py"
    compiled = root / name.format(*sys.version_info[:2])
    source.write_text("told = 'compiled'\n")
    py_compile.compile(str(source), str(compiled), doraise=True)
    size = source.stat().st_size
    source.write_text("?" * size)
    settle(root)
    if name == "m.pyc":
        source.unlink()  # beside its source it is read only where that is not
    told = subprocess.check_output([sys.executable, "-B", "-c", "import m; print(m.told)"], cwd=root, text=True)
    assert told == "compiled\n"
    assert struct.unpack("<I", compiled.read_bytes()[8:12]) == (EPOCH,)


def test_a_module_whose_source_keeps_its_time_is_left_alone(root):
    (root / "m.py").write_text("")
    os.utime(root / "m.py", (5, 5))
    content = MAGIC_2["2.7"] + struct.pack("<I", 5) + b"code"
    (root / "m.pyc").write_bytes(content)
    settle(root)
    assert (mtime(root / "m.py"), (root / "m.pyc").read_bytes()) == (5, content)


@pytest.mark.parametrize("missing", ["RPM_BUILD_ROOT", "SOURCE_DATE_EPOCH"])
def test_without_its_surroundings_it_fails(tmp_path, missing):
    env = {"PATH": os.environ["PATH"], "RPM_BUILD_ROOT": str(tmp_path), "SOURCE_DATE_EPOCH": "7"}
    del env[missing]
    assert subprocess.run(["sh", str(SCRIPT)], env=env, capture_output=True).returncode != 0
