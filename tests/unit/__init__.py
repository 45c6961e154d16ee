# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of one module each; they use no network."""
