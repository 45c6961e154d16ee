# SPDX-License-Identifier: GPL-2.0-or-later
"""A mirror seen from outside: what is there, and what of it is not as it should be."""
