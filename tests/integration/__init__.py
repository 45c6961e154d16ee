# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of several parts together, with the real tools."""
