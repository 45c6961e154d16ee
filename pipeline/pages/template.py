# SPDX-License-Identifier: GPL-2.0-or-later
"""Fill a page's template: whatever comes from packages, logs and patches is shown as text and does nothing.

A page extends `page.html.j2`, which brings the style along: it needs no other file, no script and no other host.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.printable import printable

_COMMON_DIR = Path(__file__).parent


def fill(folder: Path, name: str, **facts: object) -> str:
    """The text of a template that lies in a folder; every fact that it asks for must be given."""
    import jinja2  # late: a command that makes no page need not load it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _COMMON_DIR]),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**facts)


def _shown(value: object) -> object:
    """HTML and XML have no place for control characters, not even escaped; line ends and tabs may stay."""
    if hasattr(value, "__html__") or not isinstance(value, str):
        return value  # markup of ours
    return printable(value, keep="\n\t")
