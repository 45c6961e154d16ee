# SPDX-License-Identifier: GPL-2.0-or-later
"""Small signed repositories for a client to try: packages by rpmbuild, signed with a key made for the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.files import sha256_of
from pipeline.model import PublishedRpm
from pipeline.proof.trial import Trial
from pipeline.rpmbuild import read_rpm

_HEAD = """\
Name: {name}
{epoch}Version: 1.0
Release: {release}
Summary: A small package
License: GPL-2.0-or-later
BuildArch: {arch}
AutoReqProv: no
%global debug_package %{{nil}}
%description
A small package.
"""
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}


@dataclass(frozen=True)
class Part:
    """A package of a spec: `lines` go into its head, `files` are path -> text, `scripts` follow as they are."""

    name: str
    lines: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    attributes: str = ""
    scripts: str = ""


def part(name: str, text: str = "a", **more: object) -> Part:
    return Part(name=name, files={f"/usr/share/{name}/text": text}, **more)  # type: ignore[arg-type]


def build(folder: Path, parts: Sequence[Part], release: str, *, epoch: str = "", arch: str = "noarch") -> list[Path]:
    """The RPMs of a spec whose source package bears the name of the first part."""
    folder.mkdir(parents=True)
    sections, install, files = [], ["%install"], []
    for number, each in enumerate(parts):
        if number:
            sections.append(f"%package -n {each.name}\nSummary: A small package")
        sections += each.lines
        sections.append(
            f"%description -n {each.name}\nA small package." if number else "%description\nA small package."
        )
        for path, text in each.files.items():
            install += [
                f"mkdir -p '%{{buildroot}}{Path(path).parent}'",
                f"printf '%%s' '{text}' > '%{{buildroot}}{path}'",
            ]
        listed = "\n".join(f"{each.attributes} {path}".strip() for path in each.files)
        files.append(
            f"{each.scripts}\n%files -n {each.name}\n{listed}" if number else f"{each.scripts}\n%files\n{listed}"
        )
    head = _HEAD.format(name=parts[0].name, release=release, epoch=f"Epoch: {epoch}\n" if epoch else "", arch=arch)
    head = head.replace("%description\nA small package.\n", "")
    spec = folder / "a.spec"
    spec.write_text("\n".join([head, *sections, *install, *files, ""]))
    macros = {"_topdir": folder, "_binary_payload": "w1.gzdio", "_build_id_links": "none"}
    defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *defines, str(spec)], check=True, capture_output=True)
    return sorted(folder.glob("RPMS/*/*.rpm"))


@dataclass(frozen=True)
class Key:
    """A signing key in a keyring of its own."""

    home_dir: Path
    public_path: Path

    def sign(self, paths: Sequence[Path]) -> None:
        argv = ["rpmsign", "--addsign", "--rpmv3", "--define", "_gpg_digest_algo sha256",
                "--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name Test", *map(str, paths)]  # fmt: skip
        subprocess.run(argv, env=self._env, **_QUIET)  # type: ignore[call-overload]

    def sign_metadata(self, repository_dir: Path) -> None:
        path = repository_dir / "repodata" / "repomd.xml"
        argv = ["gpg", "--batch", "--yes", "--quiet", "--digest-algo", "sha256", "--detach-sign", "--armor", str(path)]
        subprocess.run(argv, env=self._env, **_QUIET)  # type: ignore[call-overload]

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home_dir)}


def make_key(home_dir: Path) -> Key:
    home_dir.mkdir(mode=0o700)
    env = {**os.environ, "GNUPGHOME": str(home_dir)}
    argv = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "rsa2048", "sign", "0"]
    subprocess.run(argv, env=env, **_QUIET)  # type: ignore[call-overload]
    public_path = home_dir / "public.asc"
    public_path.write_bytes(subprocess.check_output(["gpg", "--armor", "--export"], env=env))
    return Key(home_dir, public_path)


def end_agent(key: Key) -> None:
    subprocess.run(["gpgconf", "--homedir", str(key.home_dir), "--kill", "all"], **_QUIET)  # type: ignore[call-overload]


def index(repository_dir: Path) -> None:
    """Make the repodata anew."""
    argv = ["createrepo_c", "--quiet", "--general-compress-type=gz", "--checksum", "sha256", str(repository_dir)]
    subprocess.run(argv, **_QUIET)  # type: ignore[call-overload]


def published(repository_dir: Path, paths: Sequence[Path]) -> tuple[PublishedRpm, ...]:
    rpms = [read_rpm(path, repository_dir) for path in paths]
    return tuple(
        PublishedRpm(
            name=rpm.name,
            evr=rpm.evr,
            arch=rpm.arch,
            href=str(rpm.file.path),
            size_bytes=rpm.file.size_bytes,
            sha256=sha256_of(repository_dir / rpm.file.path),
            source=rpm.source,
        )
        for rpm in rpms
    )


def trial_of(
    repository_dir: Path,
    key: Key,
    *,
    vendor: Sequence[Path] = (),
    ours: Sequence[Path] = (),
    previous: Sequence[Path] = (),
) -> Trial:
    """Copies of these packages in a signed repository, and the trial of it."""
    sets = []
    for name, paths in (("vendor", vendor), ("ours", ours), ("previous", previous)):
        folder = repository_dir / name
        folder.mkdir(parents=True)
        copies = [folder / path.name for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            copy.write_bytes(path.read_bytes())
        if copies:
            key.sign(copies)
        sets.append(published(repository_dir, copies))
    index(repository_dir)
    key.sign_metadata(repository_dir)
    return Trial(
        repository_dir=repository_dir, vendor=sets[0], ours=sets[1], previous=sets[2], key_paths=(key.public_path,)
    )
