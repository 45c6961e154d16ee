# SPDX-License-Identifier: GPL-2.0-or-later
"""The version that vdsm tells the engine; the build fills it in."""

software_version = "unknown"
software_revision = "unknown"
raw_version_revision = "unknown"
