# SPDX-License-Identifier: GPL-2.0-or-later
"""A repository's page and feed for people: what is in it, how hosts take it, and how it came to be."""
