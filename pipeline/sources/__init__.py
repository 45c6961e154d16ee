# SPDX-License-Identifier: GPL-2.0-or-later
"""Where source RPMs come from (file, URL, yum repository, git, demo), and the checks before one is used."""
