# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror while things happen to it: readers under way, kills at each step, two publishers at once."""
