# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold before a package enters a repository: rpm 4.8 and yum can read it, and its set stays whole."""
