# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's clientIF: hands libvirt's events to the VMs."""
import logging

import libvirt

from virt.vm import Vm


class clientIF(object):
    """The VMs of a host."""

    def __init__(self, irs=None, log=None):
        self.irs = irs
        self.log = log or logging.getLogger('vds')
        self.vmContainer = {}

    def createVm(self, params):
        vm = Vm(self, params)
        self.vmContainer[vm.id] = vm
        return vm

    def dispatchLibvirtEvents(self, conn, dom, *args):
        """Called by libvirt: args are the event's own, then the event id."""
        try:
            eventid = args[-1]
            vmid = dom.UUIDString()
            v = self.vmContainer.get(vmid)
            if v is None:
                self.log.debug('unknown vm %s, event %s', vmid, eventid)
                return

            if eventid == libvirt.VIR_DOMAIN_EVENT_ID_REBOOT:
                v.onReboot()
            elif eventid == libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS:
                phase, localAddr, remoteAddr, authScheme, subject = args[:-1]
                v.log.debug('graphics event phase '
                            '%s localAddr %s remoteAddr %s'
                            'authScheme %s subject %s',
                            phase, localAddr, remoteAddr, authScheme, subject)
                if phase == libvirt.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE:
                    v.onConnect(remoteAddr['node'])
                elif phase == libvirt.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT:
                    v.onDisconnect()
            elif eventid == libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG:
                action, = args[:-1]
                v._onWatchdogEvent(action)
            else:
                v.log.warning('event %s is not handled', eventid)
        except Exception:
            self.log.error('an event of libvirt failed', exc_info=True)
