# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's ways to end a VM: the guest is asked, no more."""


class VmShutdown(object):
    reboot = False
    answer = 'Machine shutting down'

    def __init__(self, vm, delay, message, timeout, force, event):
        self.vm = vm
        self.delay = delay
        self.message = message
        self.timeout = timeout
        self.force = force
        self.event = event

    def start(self):
        self.event.clear()
        self.vm.guestAgent.desktopShutdown(
            self.delay, self.message, self.reboot)
        return {'status': {'code': 0, 'message': self.answer}}


class VmReboot(VmShutdown):
    reboot = True
    answer = 'Machine rebooting'
