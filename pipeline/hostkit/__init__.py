# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host is given to take the repository: its `.repo` file, and how to go forth and back."""
