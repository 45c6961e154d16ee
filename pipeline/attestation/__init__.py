# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a package beside it: an in-toto statement and a CycloneDX document, written and verified."""
