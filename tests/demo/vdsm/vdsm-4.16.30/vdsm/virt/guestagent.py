# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's channel to the agent in the guest."""
import logging


class GuestAgent(object):
    guestDiskMapping = {}

    def __init__(self, send):
        self.log = logging.getLogger('vm.GuestAgent')
        self._send = send

    def desktopLock(self):
        self._forward('lock-screen')

    def desktopLogoff(self, force):
        self._forward('log-off')

    def desktopShutdown(self, timeout, msg, reboot):
        self._forward('shutdown', timeout=timeout, message=msg,
                      reboot=str(reboot))

    def _forward(self, command, **arguments):
        self.log.debug('%s %s', command, arguments)
        self._send(command, arguments)
