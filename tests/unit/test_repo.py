# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages the stage `repo` refuses before it stages anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import PublishError, ReleaseError
from pipeline.mirrors.mirror import Metadata
from pipeline.model import Evr, File, LogEntry, MirrorState, PublishedRpm, Rpm, SignedSet
from pipeline.stages import repo

NEW, FORMER = "0.el6.label.904", "0.el6.label.903"


def built(release: str, arch: str = "x86_64") -> Rpm:
    path = Path("el6/vdsm/signed") / f"vdsm-4.16.30-{release}.{arch}.rpm"
    return Rpm(file=File(path=path, size_bytes=7, sha256="a" * 64), name="vdsm", source="vdsm",
               evr=Evr(version="4.16.30", release=release), arch=arch)  # fmt: skip


def published(release: str, arch: str = "x86_64") -> PublishedRpm:
    rpm = built(release, arch)
    return PublishedRpm(name=rpm.name, evr=rpm.evr, arch=arch, href=f"{arch}/{rpm.file.path.name}", size_bytes=7,
                        sha256=rpm.file.sha256, source=rpm.source)  # fmt: skip


SIGNED = SignedSet(ours=(built(NEW, "src"), built(NEW)), vendor=(), vendor_origin="", keys=())


def entry(revision: int, action: str, *releases: str, detail: str = "") -> LogEntry:
    return LogEntry(revision=revision, time=f"2026-11-0{revision}T00:00:00Z", action=action, repomd_sha256="b" * 64,
                    releases=tuple(("vdsm", f"4.16.30-{each}") for each in releases), detail=detail)  # fmt: skip


@pytest.fixture
def refused(make_context, settings, monkeypatch):
    """The error of the stage for what a mirror holds; what was staged before is still there."""

    def run(state: MirrorState) -> Exception:
        monkeypatch.setattr("pipeline.stages.repo.mirror.read_metadata", lambda *_, **__: Metadata(state=state))
        monkeypatch.setattr("pipeline.stages.repo.trust.refuse_foreign", lambda *_: None)
        staged_path = settings.out_path / "demo" / "vdsm" / "repo" / "staged"
        staged_path.parent.mkdir(parents=True)
        staged_path.write_text("")
        with pytest.raises((PublishError, ReleaseError)) as raised:
            repo.run((SIGNED,), context=make_context())
        assert staged_path.exists()
        return raised.value

    return run


def state(*rpms: PublishedRpm, log: tuple[LogEntry, ...] = ()) -> MirrorState:
    return MirrorState(destination="M", repomd_sha256="b" * 64, revision=5, packages=rpms, log=log)


def test_what_is_older_is_refused(refused) -> None:
    error = refused(state(published("0.el6.label.905")))
    assert error.message.startswith(f"vdsm: 4.16.30-{NEW} does not beat 4.16.30-0.el6.label.905")


def test_a_release_that_was_rolled_back_does_not_come_back_by_itself(refused) -> None:
    log = (entry(1, "publish", FORMER), entry(2, "publish", NEW), entry(3, "rollback", detail="to 1"))
    error = refused(state(published(FORMER), log=log))
    assert error.exit_code == 15
    assert error.message == f"vdsm-4.16.30-{NEW} was rolled back on 2026-11-03T00:00:00Z (revision 3)"
    assert error.hint == (
        "`.venv/bin/nox -s rollback -- --target demo --mirror local --to 2` brings it back as it was;"
        " a change of its input gets a number of its own"
    )
