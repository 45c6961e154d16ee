# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's JSON-RPC binding."""
from yajsonrpc import encode


class BindingJsonRpc(object):
    def __init__(self, cif):
        self._cif = cif

    def vmGetStats(self, vmId):
        return encode(self._cif.vmContainer[vmId].getStats())
