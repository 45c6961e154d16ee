# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs done by other machines: what travels, through what, and who does it. The scheduler is dask's."""
