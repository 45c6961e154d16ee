# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository with one package, `host-stand-in`, that provides what hosts have and an empty root has not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline import files
from pipeline.engines.base import Engine
from pipeline.errors import CommandFailed, VerifyError
from pipeline.rpmheaders import Dependency

NAME = "host-stand-in"
_BUILD_SECONDS = 120
# What the oldest client reads as well, and nothing that depends on this machine.
_MACROS = {
    "_topdir": "{topdir}",
    "_binary_payload": "w9.gzdio",
    "_binary_filedigest_algorithm": "8",
    "_build_id_links": "none",
    "_rpmfilename": f"{NAME}.rpm",
}
_SPEC = """\
Name: {name}
Version: 1
Release: 1
Summary: Stands in for what hosts have
License: GPL-2.0-or-later
BuildArch: noarch
AutoReqProv: no
{provides}
%description
Stands in for what hosts have. It is made for a trial and is in no repository that hosts see.
%files
"""


def spec_text(provided: Sequence[Dependency]) -> str:
    """The spec of the stand-in; names come from packages, so that nothing in them may be a macro."""
    lines = [f"Provides: {each}".replace("%", "%%") for each in provided]
    return _SPEC.format(name=NAME, provides="\n".join(lines))


def make(provided: Sequence[Dependency], folder: Path, *, engine: Engine, log_path: Path) -> None:
    """Make the repository in `folder`, by the host's rpmbuild. Raises: VerifyError."""
    folder.mkdir(parents=True)
    with engine.workspace(folder.parent) as workspace:
        files.write_whole(workspace.dir / "spec", spec_text(provided))
        macros = {name: value.format(topdir=workspace.inside(workspace.dir)) for name, value in _MACROS.items()}
        defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        argv = ["rpmbuild", "-bb", "--quiet", *defines, workspace.inside(workspace.dir / "spec")]
        try:
            workspace.run(argv, timeout_seconds=_BUILD_SECONDS, log_path=log_path)
        except CommandFailed as error:
            raise VerifyError(
                "stand-in-failed",
                f"rpmbuild cannot make the package that stands in for the host: {error.message}",
                hint="one of the requirements that it should meet is not plain: the log names it",
                log_path=log_path,
            ) from None
        files.copy_whole(workspace.dir / "RPMS" / f"{NAME}.rpm", folder / f"{NAME}.rpm")
    _write_repodata(folder, f"{NAME}.rpm")


def _write_repodata(folder: Path, href: str) -> None:
    """Metadata of one package, in what all clients read. Source: createrepo_c's Python documentation."""
    import createrepo_c

    repodata_dir = folder / "repodata"
    repodata_dir.mkdir()
    package = createrepo_c.package_from_rpm(str(folder / href), checksum_type=createrepo_c.SHA256, location_href=href)
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(int(time.time())))
    kinds = {
        "primary": createrepo_c.PrimaryXmlFile,
        "filelists": createrepo_c.FilelistsXmlFile,
        "other": createrepo_c.OtherXmlFile,
    }
    for kind, make_file in kinds.items():
        path = repodata_dir / f"{kind}.xml.gz"
        written = make_file(str(path), createrepo_c.GZ_COMPRESSION)
        written.set_num_of_pkgs(1)
        written.add_pkg(package)
        written.close()
        record = createrepo_c.RepomdRecord(kind, str(path))
        record.fill(createrepo_c.SHA256)
        repomd.set_record(record)
    (repodata_dir / "repomd.xml").write_text(repomd.xml_dump(), encoding="utf-8")
