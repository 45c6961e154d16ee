# SPDX-License-Identifier: GPL-2.0-or-later
"""Where built packages go in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import PublishError, ReleaseError
from pipeline.mirrors.mirror import Metadata
from pipeline.model import BuildResult, Evr, File, MirrorState, PublishedRpm, Rpm
from pipeline.stages import repo


def built(name: str = "vdsm", arch: str = "x86_64", sha256: str = "a" * 64, epoch: int = 0, release: str = "1") -> Rpm:
    path = Path("el6/vdsm/RPMS") / f"{name}-4.16.30-{release}.{arch}.rpm"
    return Rpm(file=File(path=path, size_bytes=7, sha256=sha256), name=name,
               evr=Evr(epoch=epoch, version="4.16.30", release=release), arch=arch)  # fmt: skip


def state(*rpms: PublishedRpm) -> MirrorState:
    return MirrorState(destination="M", repomd_sha256="b" * 64, revision=5, packages=rpms)


def test_packages_lie_by_architecture_and_sources_apart() -> None:
    rpms = (built(arch="src"), built(), built("vdsm-cli", "noarch"))
    assert [rpm.href for rpm in repo.plan_new(rpms, state())] == [
        "SRPMS/vdsm-4.16.30-1.src.rpm",
        "x86_64/vdsm-4.16.30-1.x86_64.rpm",
        "noarch/vdsm-cli-4.16.30-1.noarch.rpm",
    ]


def test_a_published_package_stays_where_it_is() -> None:
    (placed,) = repo.plan_new((built(),), state())
    elsewhere = PublishedRpm(name=placed.name, evr=placed.evr, arch=placed.arch, href="old/v.rpm", size_bytes=7,
                             sha256=placed.sha256)  # fmt: skip
    assert repo.plan_new((built(),), state(elsewhere)) == (elsewhere,)


def test_a_published_package_never_changes() -> None:
    (placed,) = repo.plan_new((built(sha256="c" * 64),), state())
    with pytest.raises(PublishError) as raised:
        repo.plan_new((built(),), state(placed))
    assert raised.value.message == (
        "vdsm-4.16.30-1.x86_64 is published already with other contents (sha256 cccccccccccc, ours aaaaaaaaaaaa)"
    )
    assert "bump the release" in raised.value.hint


def test_another_epoch_is_another_package() -> None:
    (placed,) = repo.plan_new((built(epoch=1),), state())
    assert repo.plan_new((built(),), state(placed))[0].nevra == "vdsm-4.16.30-1.x86_64"


def placed(*rpms: Rpm) -> tuple[PublishedRpm, ...]:
    return repo.plan_new(rpms, state())


NEW = "0.el6.label.904"


def test_the_stage_refuses_what_is_older_and_leaves_the_staged_repository(make_context, settings, monkeypatch) -> None:
    newer = state(*placed(built(release="0.el6.label.905")))
    monkeypatch.setattr("pipeline.stages.repo.mirror.read_metadata", lambda *_, **__: Metadata(state=newer))
    staged_path = settings.out_path / "demo" / "vdsm" / "repo" / "staged"
    staged_path.parent.mkdir(parents=True)
    staged_path.write_text("")
    source = built(arch="src", release=NEW)
    build = BuildResult(srpm=source, rpms=(built(release=NEW),), spec=source.file)
    with pytest.raises(ReleaseError, match=f"vdsm: 4.16.30-{NEW} does not beat 4.16.30-0.el6.label.905"):
        repo.run((build,), context=make_context())
    assert staged_path.exists()
