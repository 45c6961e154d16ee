# SPDX-License-Identifier: GPL-2.0-or-later
"""A series as it was mailed, over several repositories, taken apart into the series of our packages."""
