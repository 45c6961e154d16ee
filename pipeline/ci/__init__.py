# SPDX-License-Identifier: GPL-2.0-or-later
"""What a CI understands: marks in the lines that it shows, and a page in Markdown."""
