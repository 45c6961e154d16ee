# SPDX-License-Identifier: GPL-2.0-or-later
"""What every run leaves in `out/history/`, and the page `out/index.html` that is made of it."""
