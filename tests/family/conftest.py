# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep pytest out: these tests need a package's tree, which runner.py hands in."""

collect_ignore_glob = ["*"]
