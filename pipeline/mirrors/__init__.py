# SPDX-License-Identifier: GPL-2.0-or-later
"""Where repositories are published: destinations, rsync, and the metadata that stands there."""
