# SPDX-License-Identifier: GPL-2.0-or-later
"""Which packages of a run are built before which others, and how one is built on another."""
