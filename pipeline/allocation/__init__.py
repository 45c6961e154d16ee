# SPDX-License-Identifier: GPL-2.0-or-later
"""Release numbers, given out once: in the out directory, and on a git remote for all the world."""
