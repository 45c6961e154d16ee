# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's JSON-RPC library."""
import json


def encode(result):
    return json.dumps({'jsonrpc': '2.0', 'result': result})
