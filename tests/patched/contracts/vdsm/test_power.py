# SPDX-License-Identifier: GPL-2.0-or-later
"""Shutting down and rebooting, from the gentle ways to the hard ones."""
import unittest

from parts import SETTINGS, ContractCase, Machine, require

DELAY = int(SETTINGS['user_shutdown_timeout'])
TIMEOUT = int(SETTINGS['sys_shutdown_timeout'])


class PowerCase(ContractCase):
    def power_down(self, reboot, force=True, **machine):
        require('virt.vmpowerdown', 'VmShutdown.forceCallback',
                'VmReboot.forceCallback')
        self.machine = Machine(**machine)
        answer = self.machine.vm.shutdown(
            str(DELAY), 'bye', reboot, TIMEOUT, force)
        self.machine.settle()
        return answer


class KeptHardWays(PowerCase):
    def test_shutdown_ends_in_destroying(self):
        answer = self.power_down(False)
        self.assertEqual(answer['status']['code'], 0)
        self.assertEqual(self.machine.deeds,
                         ['agent shutdown', 'acpi shutdown', 'destroy'])
        self.assertEqual(self.machine.vm.lastStatus, 'Down')

    def test_reboot_ends_in_a_reset(self):
        answer = self.power_down(True)
        self.assertEqual(answer['status']['code'], 0)
        self.assertEqual(self.machine.deeds,
                         ['agent reboot', 'acpi reboot', 'reset'])
        self.assertEqual(self.machine.vm.lastStatus, 'Up')

    def test_without_an_agent(self):
        self.power_down(False, agent=False)
        self.assertEqual(self.machine.deeds, ['acpi shutdown', 'destroy'])
        self.power_down(True, agent=False)
        self.assertEqual(self.machine.deeds, ['acpi reboot', 'reset'])

    def test_without_agent_and_acpi(self):
        self.power_down(False, agent=False, acpiEnable='false')
        self.assertEqual(self.machine.deeds, ['destroy'])
        self.power_down(True, agent=False, acpiEnable='false')
        self.assertEqual(self.machine.deeds, ['reset'])

    def test_not_unless_forced(self):
        self.power_down(False, force=False)
        self.assertEqual(self.machine.deeds,
                         ['agent shutdown', 'acpi shutdown'])
        self.assertEqual(self.machine.times_down(), 0)

    def test_how_long_each_way_is_given(self):
        self.power_down(True)
        self.assertEqual(self.machine.event_of_power.waits,
                         [DELAY + TIMEOUT, TIMEOUT, TIMEOUT])


class KeptGentleWays(PowerCase):
    def test_agent_is_enough(self):
        self.power_down(False, obeys=['agent shutdown'])
        self.assertEqual(self.machine.deeds[0], 'agent shutdown')
        self.assertFalse('acpi shutdown' in self.machine.deeds)
        self.assertEqual(self.machine.times_down(), 1)

    def test_acpi_is_enough(self):
        self.power_down(True, obeys=['acpi reboot'])
        self.assertEqual(self.machine.deeds, ['agent reboot', 'acpi reboot'])
        self.assertEqual(self.machine.vm.lastStatus, 'Up')


class KeptAgent(ContractCase):
    def test_agent_is_told_first(self):
        machine = Machine()
        machine.vm.shutdown(str(DELAY), 'bye', False, TIMEOUT, False)
        machine.settle()
        self.assertEqual(machine.told, (DELAY, 'bye', False))
        self.assertEqual(machine.deeds[0], 'agent shutdown')

    def test_vm_that_is_down(self):
        machine = Machine()
        machine.go_down()
        answer = machine.vm.shutdown(str(DELAY), 'bye', False, TIMEOUT, True)
        machine.settle()
        self.assertNotEqual(answer['status']['code'], 0)
        self.assertEqual(machine.deeds, [])


if __name__ == '__main__':
    unittest.main()
