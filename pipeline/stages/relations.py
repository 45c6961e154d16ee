# SPDX-License-Identifier: GPL-2.0-or-later
"""PatchedTree -> Relations: what the package asks for and gives, as rpm in the engine reads it from the rendered spec.

It is asked before the release has its number, since what a package is built on decides that: the spec is rendered for a
number above all that there will be. So `>=` with a release of ours fits, and `=` with one never does.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from pipeline import command, files, rendering, rpmbuild, rpmquery
from pipeline.context import JobContext
from pipeline.model import Image, PatchedTree, Relations

_ABOVE_ALL = 999_999_999
_QUERY_SECONDS = 120


def inputs(tree: PatchedTree, image: Image, *, context: JobContext) -> dict[str, str]:
    """What is rendered, the macros, and the capabilities of the settings; of a host, what is installed there."""
    looks_at_host = image.engine == "host" and not context.target.nodeps
    return {
        **rendering.inputs(context),
        **rpmbuild.macro_inputs(context.target),
        "provides": ", ".join(context.package.provides),
        **({"packages of this host": _installed()} if looks_at_host else {}),
    }


def run(tree: PatchedTree, image: Image, *, context: JobContext) -> Relations:
    """The relations; where the target has build requirements checked, with those that nobody here has.

    Raises: BuildError, CommandTimedOut, EngineError, SettingsError, SrpmError.
    """
    evr = rendering.evr_of(tree.srpm, _ABOVE_ALL, context)
    spec_path = context.scratch_dir / f"relations-{context.job.target}-{context.job.package}" / tree.srpm.spec.path.name
    files.write_whole(spec_path, rendering.lay_over(tree, _ABOVE_ALL, evr, context).ours)
    sources = [*tree.srpm.sources, *(patch.file for patch in tree.patches)]
    return rpmquery.relations_of(
        spec_path,
        [context.out_path / source.path for source in sources],
        context,
        provides=context.package.provides,
        look=not context.target.nodeps,
    )


@lru_cache(maxsize=1)
def _installed() -> str:
    """The digest of what rpm says is installed on this host; asked once a run."""
    listed = command.run(["rpm", "--query", "--all"], timeout_seconds=_QUERY_SECONDS).stdout
    return hashlib.sha256("\n".join(sorted(listed.splitlines())).encode()).hexdigest()
