# SPDX-License-Identifier: GPL-2.0-or-later
"""What `report --json` prints; `schema/report.schema.json` is the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.document import error_document

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.report.page import Written


def document(written: Written) -> dict[str, Any]:
    return {
        "page": str(written.path),
        "runs": written.runs,
        "unreadable": list(written.unreadable),
        "error": None,
    }


def failed_document(error: PipelineError) -> dict[str, Any]:
    return {"page": "", "runs": 0, "unreadable": [], "error": error_document(error)}
