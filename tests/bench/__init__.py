# SPDX-License-Identifier: GPL-2.0-or-later
"""The pipeline against a shell script of bare tools."""
