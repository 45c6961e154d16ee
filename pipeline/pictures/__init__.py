# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as pictures that people look at; each is text, and the same for the same results."""
