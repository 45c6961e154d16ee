# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's XML-RPC binding."""


class BindingXMLRPC(object):
    def __init__(self, cif):
        self._cif = cif

    def vmGetStats(self, vmId):
        return self._cif.vmContainer[vmId].getStats()
