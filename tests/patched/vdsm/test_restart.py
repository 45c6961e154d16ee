# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that vdsm did not see connect locks at most when it leaves."""
import unittest

from cases import CLIENT, OTHER, DisconnectCase, host

DRASTIC = ('logoff', 'shutdown', 'reboot')


class TestRestart(DisconnectCase):
    PATCH = '0006'

    def test_first_disconnect_locks_at_most(self):
        for action in DRASTIC:
            a_host = host(action, '30')
            a_host.connect()
            a_host.restart_vdsm()
            a_host.disconnect()
            self.assert_due_in(a_host, 30, ['lock'])

    def test_each_channel_that_was_open_before(self):
        a_host = host('shutdown', '30')
        a_host.restart_vdsm()
        for port in ('40001', '40002', '40003'):
            a_host.disconnect(CLIENT, port)
            self.assert_due_in(a_host, 30, ['lock'])

    def test_client_seen_since_then_counts_in_full(self):
        for action in DRASTIC:
            a_host = host(action, '30')
            a_host.connect()
            a_host.restart_vdsm()
            a_host.disconnect()
            a_host.clock.advance(60)
            self.assertEqual(a_host.actions, ['lock'])
            self.assert_acts_after(a_host, 30, [action])

    def test_pending_action_ends_with_vdsm(self):
        a_host = host('shutdown', '30')
        self.leave(a_host)
        a_host.restart_vdsm()
        a_host.disconnect(OTHER, '50001')
        self.assert_due_in(a_host, 30, ['lock'])

    def test_log_tells_what_was_asked_for(self):
        a_host = host('reboot')
        a_host.restart_vdsm()
        a_host.disconnect()
        a_host.clock.advance(2)
        self.assert_logged(a_host, 'INFO', 'lock', 'reboot', 'not seen')


class TestStrangers(DisconnectCase):
    PATCH = '0006'

    def test_whoever_reaches_the_port_and_hangs_up(self):
        for action in DRASTIC:
            a_host = host(action, '30')
            a_host.be_sent_to_the_secure_port(OTHER, '50001')
            self.assert_due_in(a_host, 30, ['lock'])

    def test_disconnect_that_comes_again_repeats_nothing(self):
        for action in DRASTIC:
            a_host = host(action)
            self.leave(a_host)
            a_host.clock.advance(60)
            a_host.disconnect()
            a_host.clock.advance(60)
            self.assertEqual(a_host.actions, [action, 'lock'])


class TestNoop(DisconnectCase):
    PATCH = '0001'

    def test_noop_stays_noop(self):
        a_host = host('noop')
        a_host.connect()
        a_host.restart_vdsm()
        a_host.disconnect()
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])


class TestSeen(DisconnectCase):
    PATCH = '0001'

    def test_seen_after_a_restart_is_seen(self):
        for action in DRASTIC:
            a_host = host(action)
            a_host.restart_vdsm()
            self.assert_acts_after(a_host, 2, [action])

    def test_every_leave_of_a_seen_client_acts(self):
        a_host = host('reboot')
        for _ in range(3):
            self.leave(a_host)
            a_host.clock.advance(60)
        self.assertEqual(a_host.actions, ['reboot'] * 3)


class KeptLockAfterRestart(DisconnectCase):
    def test_locks(self):
        a_host = host()
        a_host.connect()
        a_host.restart_vdsm()
        a_host.disconnect()
        self.assert_due_in(a_host, 2, ['lock'])

    def test_client_address_is_not_known(self):
        a_host = host()
        a_host.connect()
        a_host.restart_vdsm()
        self.assertEqual(a_host.vm.getStats()['clientIp'], '')


if __name__ == '__main__':
    unittest.main()
