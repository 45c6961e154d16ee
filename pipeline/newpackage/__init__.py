# SPDX-License-Identifier: GPL-2.0-or-later
"""A package that comes to the checkout: what its source says of it, and the files and settings that it needs."""
