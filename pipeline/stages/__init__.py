# SPDX-License-Identifier: GPL-2.0-or-later
"""One module a stage; a stage never imports another, they share pipeline.model."""
