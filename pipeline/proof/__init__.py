# SPDX-License-Identifier: GPL-2.0-or-later
"""Proof with a real client: hosts can install, upgrade and go back, before a publish becomes visible."""
