# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that packages and metadata are signed with, what is signed, and how a signature is seen to be ours."""
