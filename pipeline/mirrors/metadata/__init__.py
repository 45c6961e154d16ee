# SPDX-License-Identifier: GPL-2.0-or-later
"""The three files that describe a repository's packages: read, and made anew from the former ones."""
