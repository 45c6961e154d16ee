# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: one module a kind of command; `frame` has what all share."""
