# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM with more of vdsm's own code behind it: devices, power, its end.

The tree's own vdsm.utils, vdsm.define, virt.utils and vmpowerdown are used as
far as the tree has them. libvirt and the guest are fakes: a Domain that is
told what to do, and a guest that obeys or does not.
"""
import os
import sys
import threading
import unittest
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(
    os.path.dirname(os.path.dirname(HERE)), os.path.basename(HERE)))

from harness import SETTINGS, Host, Tree  # noqa: E402, F401

MODULES = (
    ('vdsm.define', 'lib/vdsm/define.py'),
    ('vdsm.utils', 'lib/vdsm/utils.py'),
    ('virt.utils', 'vdsm/virt/utils.py'),
    ('virt.vmpowerdown', 'vdsm/virt/vmpowerdown.py'))


class Absent(Exception):
    """The tree lacks the code that a test is about."""

    ABSENT = True


def prepare():
    """What the tree's own modules find around them."""
    modules = sys.modules
    modules['vmpowerdown'] = modules['virt.vmpowerdown']
    modules['caps'].Architecture = type(
        'Architecture', (), {'X86_64': 'x86_64', 'PPC64': 'ppc64'})
    modules['caps'].osversion = lambda: {}
    modules['hooks'].before_vm_start = lambda domxml, conf: domxml
    modules['vdsm.constants'].SMBIOS_OSNAME = 'oVirt Node'
    modules['vdsm.constants'].SMBIOS_MANUFACTURER = 'oVirt'
    modules['vdsm.utils'].getHostUUID = lambda: 'a-host'


Tree.more_modules = MODULES
Tree.prepare = staticmethod(prepare)


def require(module, *names):
    """Raises: Absent unless the tree's module has all that is named."""
    thing = getattr(Tree.get(), module, None) or sys.modules[module]
    if not getattr(thing, '__file__', ''):
        raise Absent('the tree has no %s' % module)
    for name in names:
        place = thing
        for part in name.split('.'):
            if part not in dir(place):
                raise Absent('%s has no %s' % (module, name))
            place = getattr(place, part)


class Started(Exception):
    """libvirt was handed the domain; nothing after that is of interest."""


class Connection(object):
    def __init__(self):
        self.xml = None

    def createXML(self, domain, flags):
        self.xml = domain
        raise Started()


class Domain(object):
    """libvirt's side of a VM: notes what it is told, and may stop."""

    def __init__(self, deeds):
        self._deeds = deeds
        self.events = []

    def reset(self, flags):
        self._deeds.append('reset')

    def reboot(self, flags):
        self._deeds.append('acpi reboot')

    def shutdownFlags(self, flags):
        self._deeds.append('acpi shutdown')

    def destroyFlags(self, flags):
        self._deeds.append('destroy')
        self.events.append('VIR_DOMAIN_EVENT_STOPPED_DESTROYED')


class PowerDownEvent(object):
    """What the ways to power down wait for: now it has come, or never."""

    def __init__(self, host):
        self._host = host
        self._set = False
        self.waits = []

    def clear(self):
        self._set = False

    def set(self):
        self._set = True

    def isSet(self):
        return self._set

    is_set = isSet

    def wait(self, timeout):
        self.waits.append(timeout)
        self._host.deliver()
        return self._set


class Machine(Host):
    """A host whose VM has its own shutdown, a domain, and a guest.

    deeds holds what the guest and libvirt were told; obeys names what of it
    makes the guest end by itself.
    """

    def __init__(self, obeys=(), agent=True, **conf):
        self.deeds = []
        self.obeys = obeys
        self._heard = 0
        self.agent = agent
        Host.__init__(self, **conf)

    def _make_vm(self, conf, recover=False):
        vm = Host._make_vm(self, conf, recover)
        del vm.shutdown
        vm.guestAgent.isResponsive = lambda: self.agent
        vm.guestAgent.desktopShutdown = self._tell_agent
        vm._dom = self.domain = Domain(self.deeds)
        vm._powerDownEvent = self.event_of_power = PowerDownEvent(self)
        vm._connection = Connection()
        return vm

    def _tell_agent(self, timeout, message, reboot):
        self.told = (timeout, message, reboot)
        self.deeds.append(reboot and 'agent reboot' or 'agent shutdown')

    def deliver(self):
        """What libvirt has to say by now."""
        new, self._heard = self.deeds[self._heard:], len(self.deeds)
        for deed in [deed for deed in new if deed in self.obeys]:
            if 'reboot' in deed:
                self.event(self.tree.libvirt.VIR_DOMAIN_EVENT_ID_REBOOT)
            else:
                self.domain.events.append('VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN')
        while self.domain.events:
            self.event(self.tree.libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                       self.tree.libvirt.VIR_DOMAIN_EVENT_STOPPED,
                       getattr(self.tree.libvirt, self.domain.events.pop(0)))

    def settle(self):
        """Wait for the threads that power down."""
        for thread in threading.enumerate():
            if thread.__class__.__name__ == 'CallbackChain':
                thread.join(10)
        self.deliver()

    def start(self):
        """The domain's XML, as libvirt gets it when the VM is created."""
        try:
            self.vm._run()
        except Started:
            pass
        return xml.dom.minidom.parseString(self.vm._connection.xml)

    def times_down(self):
        return len([text for text in self.messages('DEBUG')
                    if text.startswith('Changed state to Down')])


class ContractCase(unittest.TestCase):
    def find(self, document, tag, parent='devices'):
        """The attributes of each element of a name in one of another."""
        return [dict([(str(name), str(value)) for name, value
                      in element.attributes.items()])
                for element in document.getElementsByTagName(tag)
                if element.parentNode.tagName == parent]
