# SPDX-License-Identifier: GPL-2.0-or-later
"""What the integration tests are given, and gpg with the key that all is signed with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.signing import home
from tests.chaos.wholeness import Signatures
from tests.integration import conftest as parts
from tests.integration.conftest import PackageMaker, Project, SigningKey

signing_key = parts.signing_key
make_packages = parts.make_packages
rsync_daemon = parts.rsync_daemon
rsync_shim = parts.rsync_shim
ssh_server = parts.ssh_server


@pytest.fixture
def project(tmp_path: Path, make_packages: PackageMaker, signing_key: SigningKey) -> Project:
    """As for the integration tests; a run looks at its target's image as well."""
    root_dir = tmp_path / "checkout"
    root_dir.mkdir()
    (root_dir / "containers").symlink_to(parts.ROOT_DIR / "containers")
    text = (parts.ROOT_DIR / "pipeline.toml").read_text()
    (root_dir / "pipeline.toml").write_text(f'{text}\n[signing]\nkey_file = "{signing_key.secret_path}"\n')
    return Project(root_dir, tmp_path / "out dir é", make_packages, signing_key)


@pytest.fixture(scope="session")
def signatures(signing_key: SigningKey) -> Iterator[Signatures]:
    with home.private() as homedir:
        homedir.chmod(0o700)
        subprocess.run(
            ["gpg", "--homedir", str(homedir), "--batch", "--quiet", "--import", str(signing_key.public_path)],
            check=True,
            capture_output=True,
        )
        yield Signatures(homedir)
