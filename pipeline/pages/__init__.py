# SPDX-License-Identifier: GPL-2.0-or-later
"""What all our HTML pages and feeds have in common: one look, and one way to fill a template."""
