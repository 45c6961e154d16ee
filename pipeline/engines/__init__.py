# SPDX-License-Identifier: GPL-2.0-or-later
"""Where commands run: this host, or a podman or docker container."""
