# SPDX-License-Identifier: GPL-2.0-or-later
"""Build, prove and publish patched vdsm packages."""
