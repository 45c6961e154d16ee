# SPDX-License-Identifier: GPL-2.0-or-later
"""The three kinds of place that a repository is published to: a folder here, another machine, one that is only written.

The rest of the mirrors' code knows `base.Destination` alone; `mirrors.destination` chooses the kind.
"""
