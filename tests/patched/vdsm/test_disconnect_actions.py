# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to the guest when its console is left.

Classes whose name starts with Kept hold what vdsm does with or without the
patches. PATCH, of a class or else of its module, names the patch that makes
every other test pass: it fails on a tree with any shorter part of the series,
and passes from there on.
"""
import unittest

from cases import CLIENT, OTHER, DisconnectCase, host
from harness import SETTINGS, Host

PATCH = '0001'


class TestActions(DisconnectCase):
    def test_noop_does_nothing(self):
        a_host = host('noop')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, [])

    def test_noop_with_a_wait_does_nothing(self):
        a_host = host('noop', '30')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, [])

    def test_logoff_logs_off(self):
        a_host = host('logoff')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, ['logoff'])

    def test_logoff_is_forced(self):
        a_host = host('logoff')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.acted, [('logoff', {'force': True})])

    def test_shutdown_shuts_down(self):
        a_host = host('shutdown')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, ['shutdown'])

    def test_reboot_reboots(self):
        a_host = host('reboot')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, ['reboot'])

    def test_lock_locks_after_its_wait(self):
        self.assert_acts_after(host('lock', '30'), 30, ['lock'])


class TestSpelling(DisconnectCase):
    def check(self, value, actions):
        a_host = host(value, '5')
        self.assert_acts_after(a_host, 5, actions)

    def test_upper_case(self):
        self.check('NOOP', [])
        self.check('LOCK', ['lock'])
        self.check('LOGOFF', ['logoff'])
        self.check('SHUTDOWN', ['shutdown'])
        self.check('REBOOT', ['reboot'])

    def test_mixed_case(self):
        self.check('NoOp', [])
        self.check('Lock', ['lock'])
        self.check('LogOff', ['logoff'])
        self.check('shutDown', ['shutdown'])
        self.check('Reboot', ['reboot'])

    def test_surrounding_blanks(self):
        self.check(' noop', [])
        self.check('lock ', ['lock'])
        self.check('\tlogoff ', ['logoff'])
        self.check('  shutdown  ', ['shutdown'])
        self.check('reboot\n', ['reboot'])

    def test_blanks_around_the_wait(self):
        self.assert_acts_after(host('lock', ' 30 '), 30, ['lock'])

    def test_unicode_values(self):
        # JSON-RPC brings unicode, XML-RPC brings bytes where it can.
        action, wait = b'LogOff'.decode('ascii'), b'30'.decode('ascii')
        self.assert_acts_after(host(action, wait), 30, ['logoff'])

    def test_wait_that_came_as_a_number(self):
        self.assert_acts_after(host('lock', 30), 30, ['lock'])


class TestShutdownArguments(DisconnectCase):
    def arguments(self, action):
        a_host = host(action)
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, [action])
        return a_host.acted[0][1]

    def test_configured_delay(self):
        expected = int(SETTINGS['user_shutdown_timeout'])
        for action in ('shutdown', 'reboot'):
            self.assertEqual(int(self.arguments(action)['delay']), expected)

    def test_configured_timeout_is_a_number(self):
        expected = int(SETTINGS['sys_shutdown_timeout'])
        for action in ('shutdown', 'reboot'):
            self.assertEqual(self.arguments(action)['timeout'], expected)

    def test_force(self):
        for action in ('shutdown', 'reboot'):
            self.assertEqual(self.arguments(action)['force'], True)

    def test_reboot_flag(self):
        self.assertEqual(self.arguments('shutdown')['reboot'], False)
        self.assertEqual(self.arguments('reboot')['reboot'], True)

    def test_message_says_that_it_was_scheduled_on_disconnect(self):
        for action in ('shutdown', 'reboot'):
            message = self.arguments(action)['message'].lower()
            self.assertTrue(action in message, message)
            self.assertTrue('scheduled on disconnect' in message, message)


class TestWait(DisconnectCase):
    def test_two_seconds_unless_configured(self):
        self.assert_acts_after(host('logoff'), 2, ['logoff'])
        self.assert_acts_after(host('shutdown'), 2, ['shutdown'])
        self.assert_acts_after(host('reboot'), 2, ['reboot'])

    def test_configured_without_an_action(self):
        self.assert_acts_after(host(wait='7'), 7, ['lock'])

    def test_thirty_seconds(self):
        self.assert_acts_after(host('logoff', '30'), 30, ['logoff'])
        self.assert_acts_after(host('shutdown', '30'), 30, ['shutdown'])
        self.assert_acts_after(host('reboot', '30'), 30, ['reboot'])

    def test_no_whole_number_is_two_seconds(self):
        for wait in ('soon', '', '2.5', '10s', '0x10'):
            self.assert_acts_after(host('logoff', wait), 2, ['logoff'])

    def test_no_whole_number_is_an_error_that_names_it(self):
        for wait in ('soon', '2.5', '10s'):
            a_host = host('lock', wait)
            self.leave_for_long(a_host)
            self.assertEqual(a_host.actions, ['lock'])
            self.assert_logged(a_host, 'ERROR', wait)

    def test_whole_number_is_no_error(self):
        a_host = host('logoff', '30')
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, ['logoff'])
        self.assertEqual(a_host.messages('ERROR'), [])


class TestUnknownAction(DisconnectCase):
    def test_locks_after_the_configured_wait(self):
        for action in ('', 'hibernate', 'lock;reboot', 'None'):
            self.assert_acts_after(host(action, '30'), 30, ['lock'])


class TestOtherClients(DisconnectCase):
    def test_other_address_is_ignored(self):
        a_host = host('logoff')
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(OTHER, '40001')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])
        self.assertEqual(a_host.vm.getStats()['clientIp'], CLIENT)

    def test_other_port_is_ignored(self):
        a_host = host('logoff')
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(CLIENT, '40002')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])
        self.assertEqual(a_host.vm.getStats()['clientIp'], CLIENT)

    def test_other_clients_are_ignored_with_the_default_action(self):
        for node, service in ((OTHER, '40001'), (CLIENT, '40002')):
            a_host = host()
            a_host.connect(CLIENT, '40001')
            a_host.disconnect(node, service)
            a_host.clock.advance(600)
            self.assertEqual(a_host.actions, [])

    def test_debug_line_names_who_was_ignored(self):
        a_host = host()
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(OTHER, '40777')
        # vdsm notes every graphics event at debug level, ignored or not.
        said = [text for text in a_host.messages('DEBUG')
                if 'graphics event phase' not in text]
        self.assertEqual(
            len([text for text in said if 'ignor' in text.lower()
                 and OTHER in text and '40777' in text]), 1, said)

    def test_right_client_still_counts_after_an_ignored_one(self):
        a_host = host('logoff', '5')
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(OTHER, '40001')
        a_host.clock.advance(100)
        a_host.disconnect(CLIENT, '40001')
        a_host.clock.advance(4)
        self.assertEqual(a_host.actions, [])
        a_host.clock.advance(1)
        self.assertEqual(a_host.actions, ['logoff'])

    def test_plain_port_left_for_the_secure_one(self):
        a_host = host('shutdown', '5')
        a_host.connect(CLIENT, '40001')
        a_host.connect(CLIENT, '40002')
        a_host.disconnect(CLIENT, '40001')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])
        a_host.disconnect(CLIENT, '40002')
        a_host.clock.advance(5)
        self.assertEqual(a_host.actions, ['shutdown'])


class TestUnknownAddressOrPort(DisconnectCase):
    def test_connect_without_port_matches_any_port(self):
        a_host = host('logoff')
        a_host.vm.onConnect(CLIENT)
        a_host.disconnect(CLIENT, '40001')
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['logoff'])

    def test_connect_without_port_still_has_its_address(self):
        a_host = host('logoff')
        a_host.vm.onConnect(CLIENT)
        a_host.disconnect(OTHER, '40001')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])

    def test_disconnect_without_arguments(self):
        a_host = host('logoff')
        a_host.connect()
        a_host.vm.onDisconnect()
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['logoff'])

    def test_disconnect_with_a_detail_alone(self):
        a_host = host('logoff')
        a_host.connect()
        a_host.vm.onDisconnect('some detail')
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['logoff'])


class TestReconnect(DisconnectCase):
    def check(self, action, back_after):
        a_host = host(action, '30')
        self.leave(a_host)
        a_host.clock.advance(back_after)
        a_host.connect(CLIENT, '40002')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])
        a_host.disconnect(CLIENT, '40002')
        a_host.clock.advance(29)
        self.assertEqual(a_host.actions, [])
        a_host.clock.advance(1)
        self.assertEqual(a_host.actions, [action])

    def test_back_before_the_wait_is_over(self):
        for action in ('lock', 'logoff', 'shutdown', 'reboot'):
            self.check(action, 10)

    def test_back_at_the_last_moment(self):
        for action in ('lock', 'logoff', 'shutdown', 'reboot'):
            self.check(action, 29.9)

    def test_someone_else_came_instead(self):
        a_host = host('reboot', '30')
        self.leave(a_host)
        a_host.clock.advance(10)
        a_host.connect(OTHER, '50001')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])


class TestDestroyed(DisconnectCase):
    def test_destroyed_during_the_wait(self):
        for action in (None, 'lock', 'logoff', 'shutdown', 'reboot'):
            a_host = host(action)
            self.leave(a_host)
            a_host.clock.advance(1)
            a_host.vm.destroyed = True
            a_host.clock.advance(600)
            self.assertEqual(a_host.actions, [])


class KeptLock(DisconnectCase):
    def test_no_custom_properties(self):
        self.assert_acts_after(Host(custom={}), 2, ['lock'])

    def test_custom_missing(self):
        self.assert_acts_after(Host(), 2, ['lock'])

    def test_custom_none(self):
        self.assert_acts_after(Host(custom=None), 2, ['lock'])

    def test_other_custom_properties(self):
        self.assert_acts_after(Host(custom={'vhost': 'a:true'}), 2, ['lock'])

    def test_lock_asked_for(self):
        self.assert_acts_after(host('lock'), 2, ['lock'])
        self.assert_acts_after(host('LOCK '), 2, ['lock'])

    def test_unknown_action(self):
        for action in ('', 'hibernate', 7, b'\xc3\xa9'.decode('utf-8')):
            self.assert_acts_after(host(action), 2, ['lock'])

    def test_custom_missing_logs_no_error(self):
        a_host = Host()
        self.leave_for_long(a_host)
        self.assertEqual(a_host.messages('ERROR'), [])

    def test_each_disconnect_locks(self):
        a_host = host()
        self.leave_for_long(a_host)
        self.leave_for_long(a_host)
        self.assertEqual(a_host.actions, ['lock', 'lock'])


class KeptReconnect(DisconnectCase):
    def test_back_within_two_seconds(self):
        a_host = host()
        self.leave(a_host)
        a_host.clock.advance(1.5)
        a_host.connect(CLIENT, '40002')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])


class KeptCallers(DisconnectCase):
    def test_connect_and_disconnect_without_arguments(self):
        a_host = Host()
        a_host.vm.onConnect()
        a_host.vm.onDisconnect()
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['lock'])

    def test_connect_with_an_address_and_disconnect_without(self):
        a_host = Host()
        a_host.vm.onConnect(CLIENT)
        a_host.vm.onDisconnect()
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['lock'])

    def test_disconnect_with_a_detail(self):
        a_host = Host()
        a_host.vm.onConnect(clientIp=CLIENT)
        a_host.vm.onDisconnect(detail='some detail')
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['lock'])

    def test_client_that_vdsm_did_not_see_connect(self):
        a_host = Host()
        a_host.disconnect()
        a_host.clock.advance(2)
        self.assertEqual(a_host.actions, ['lock'])


class KeptReports(DisconnectCase):
    def test_client_address_in_the_statistics(self):
        a_host = host('logoff')
        self.assertEqual(a_host.vm.getStats()['clientIp'], '')
        a_host.connect(CLIENT, '40001')
        self.assertEqual(a_host.vm.getStats()['clientIp'], CLIENT)
        a_host.disconnect(CLIENT, '40001')
        self.assertEqual(a_host.vm.getStats()['clientIp'], '')

    def test_no_port_where_vdsm_lists_and_saves_a_vm(self):
        a_host = host('logoff')
        a_host.connect(CLIENT, '40001')
        status = a_host.vm.status()
        self.assertEqual(status['clientIp'], CLIENT)
        self.assertFalse('40001' in status.values(), status)
        self.assertFalse('clientPort' in status, status)


class KeptDispatch(DisconnectCase):
    def test_no_event_raises(self):
        a_host = host()
        self.leave_for_long(a_host)
        self.assertEqual(a_host.messages('ERROR'), [])

    def test_event_of_an_unknown_vm(self):
        a_host = host('shutdown')
        a_host.connect()
        del a_host.clientif.vmContainer[a_host.vm_id]
        a_host.disconnect()
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])
        self.assert_logged(a_host, 'DEBUG', 'unknown vm', a_host.vm_id)

    def test_graphics_phase_that_is_neither(self):
        a_host = host('shutdown')
        a_host.connect()
        a_host.graphics_event(
            a_host.tree.libvirt.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT,
            CLIENT, '40001')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])


if __name__ == '__main__':
    unittest.main()
