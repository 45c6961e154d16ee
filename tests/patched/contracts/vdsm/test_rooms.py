# SPDX-License-Identifier: GPL-2.0-or-later
"""Stateless and snapshot rooms: VMs that are left, end, and begin anew."""
import unittest

from parts import SETTINGS, ContractCase, Machine, require

PATCH = '0001'
ACTIONS = ('lock', 'logoff', 'shutdown', 'reboot')


def leave(action, wait='30', **machine):
    """A machine whose user has left, and whose action is due or was taken."""
    machine = Machine(custom={
        'spice_disconnect_action': action,
        'spice_disconnect_waittime_seconds': wait}, **machine)
    machine.connect()
    machine.disconnect()
    machine.clock.advance(int(wait) - 1)
    return machine


class RoomCase(ContractCase):
    def require_power(self):
        require('virt.vmpowerdown', 'VmShutdown.forceCallback')
        require('vm', 'Vm._onLibvirtLifecycleEvent')

    def end(self, machine):
        machine.clock.advance(1)
        machine.settle()
        machine.clock.advance(600)
        machine.settle()


class TestShutdown(RoomCase):
    def test_guest_that_obeys_is_down_once(self):
        self.require_power()
        machine = leave('shutdown', obeys=['agent shutdown'])
        self.end(machine)
        self.assertEqual(machine.deeds[0], 'agent shutdown')
        self.assertFalse('acpi shutdown' in machine.deeds, machine.deeds)
        self.assertEqual(machine.vm.lastStatus, 'Down')
        self.assertEqual(machine.times_down(), 1)
        # The engine looks at the code to tell an end from a crash.
        self.assertEqual(machine.vm.getStats()['exitCode'], 0)

    def test_guest_that_does_not_is_down_once(self):
        self.require_power()
        machine = leave('shutdown')
        self.end(machine)
        self.assertEqual(machine.deeds,
                         ['agent shutdown', 'acpi shutdown', 'destroy'])
        self.assertEqual(machine.vm.lastStatus, 'Down')
        self.assertEqual(machine.times_down(), 1)
        self.assertEqual(machine.vm.getStats()['exitCode'], 0)

    def test_client_whose_connection_ends_with_the_vm(self):
        self.require_power()
        machine = leave('shutdown', obeys=['agent shutdown'])
        machine.clock.advance(1)
        machine.disconnect()
        machine.settle()
        machine.disconnect()
        self.end(machine)
        self.assertEqual(machine.times_down(), 1)
        self.assertEqual(machine.deeds.count('agent shutdown'), 1)

    def test_agent_has_the_delay_and_the_reason(self):
        machine = leave('shutdown')
        machine.clock.advance(1)
        machine.settle()
        delay, message, reboot = machine.told
        self.assertEqual(delay, int(SETTINGS['user_shutdown_timeout']))
        self.assertTrue('scheduled on disconnect' in message)
        self.assertFalse(reboot)


class TestReboot(RoomCase):
    def test_guest_that_does_not_obey_is_reset(self):
        self.require_power()
        machine = leave('reboot')
        self.end(machine)
        self.assertEqual(machine.deeds,
                         ['agent reboot', 'acpi reboot', 'reset'])
        self.assertEqual(machine.times_down(), 0)


class TestReset(RoomCase):
    """A nightly reset destroys the VM and starts it anew."""

    def test_destroyed_vm_takes_no_action(self):
        for action in ACTIONS:
            machine = leave(action)
            machine.destroy()
            before = list(machine.deeds)
            self.end(machine)
            self.assertEqual((machine.actions, machine.deeds), ([], before))

    def test_vm_of_the_same_name_is_not_touched(self):
        machine = leave('shutdown')
        machine.destroy()
        machine.vm = machine._make_vm({'custom': machine.vm.conf['custom']})
        machine.clientif.vmContainer[machine.vm_id] = machine.vm
        del machine.deeds[:]
        self.end(machine)
        self.assertEqual((machine.actions, machine.deeds), ([], []))


class TestFound(RoomCase):
    """A reset that finds the VM stopped leaves it so."""

    PATCH = '0003'

    def test_no_timer_outlives_the_vm(self):
        self.require_power()
        machine = leave('shutdown', obeys=['agent shutdown'])
        machine.clock.advance(1)
        machine.settle()
        machine.disconnect()
        self.assertEqual(machine.clock.pending, [])
        self.assertEqual(machine.times_down(), 1)


if __name__ == '__main__':
    unittest.main()
