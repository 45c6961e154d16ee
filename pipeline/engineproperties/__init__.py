# SPDX-License-Identifier: GPL-2.0-or-later
"""oVirt Engine's custom VM properties: what others set, ours merged into it, and the lines that set and undo it."""
