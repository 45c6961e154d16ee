# SPDX-License-Identifier: GPL-2.0-or-later
"""What one job made, in one file that travels between machines."""
