# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the fetch stage share: settings of their own, and how a refusal is looked at."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import files
from pipeline.context import JobContext
from pipeline.engines.host import HostEngine
from pipeline.errors import PipelineError
from pipeline.model import Image, Job
from pipeline.progress import Progress
from pipeline.settings import read_settings
from pipeline.stages import fetch

IMAGE = Image(engine="host", reference="here", digest="1")
SETTINGS = """\
default_targets = ["demo"]
packager = "me <me@example.org>"
[packages.vdsm]
version = "4.16.30"
label = "ours"
{more}
[packages.vdsm.sha256]
{sha256}
[packages.vdsm.git_commits]
{commits}
[packages.vdsm.sources]
demo = {sources}
[targets.demo]
sources = "demo"
engine = "host"
dist = "{dist}"
python = "python3"
nodeps = true
mirror = "local"
[mirrors.local]
destination = "out/mirror"
"""


class Words(io.StringIO):
    """What a person was told."""

    def __str__(self) -> str:
        return self.getvalue()


def make_context(
    root: Path,
    *sources: str,
    sha256: str = "",
    commits: str = "",
    more: str = "",
    dist: str = ".demo",
    **flags: object,
) -> JobContext:
    (root / "pipeline.toml").write_text(
        SETTINGS.format(
            sources=list(sources) or ["demo:stand-in"], sha256=sha256, commits=commits, more=more, dist=dist
        )
    )
    settings = read_settings(root, environ={}, **flags)  # type: ignore[arg-type]
    home_dir = settings.out_path / "demo" / "vdsm"
    job = Job(package="vdsm", target="demo")
    return JobContext(
        settings=settings,
        target_name="demo",
        target=settings.target_of(job),
        engine=HostEngine(),
        progress=Progress(console=Console(file=Words(), width=1000)),
        home_dir=home_dir,
        log_path=home_dir / "logs" / "fetch.log",
        job=job,
        package=settings.packages["vdsm"],
    )


def told(context: JobContext) -> str:
    return str(context.progress._console.file)


def refusal(kind: type[PipelineError], context: JobContext) -> str:
    """The one line of an error, from a fetch that leaves what was there before as it was."""
    before = files.content_digest(context.home_dir) if context.home_dir.exists() else ""
    with pytest.raises(kind) as caught:
        fetch.run(IMAGE, context=context)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert (files.content_digest(context.home_dir) if context.home_dir.exists() else "") == before
    assert list(context.scratch_dir.glob("*")) == []
    return str(caught.value.message)
