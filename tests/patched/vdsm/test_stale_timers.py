# SPDX-License-Identifier: GPL-2.0-or-later
"""A timer of an earlier disconnect never acts for a later one."""
import threading
import unittest

from cases import CLIENT, DisconnectCase, host

PATCH = '0002'
ACTIONS = ('lock', 'logoff', 'shutdown', 'reboot')


class TestStaleTimers(DisconnectCase):
    def test_back_and_gone_again_starts_the_wait_anew(self):
        for action in ACTIONS:
            a_host = host(action, '30')
            self.leave(a_host)
            a_host.clock.advance(10)
            a_host.connect()
            a_host.clock.advance(10)
            a_host.disconnect()
            self.assert_due_in(a_host, 30, [action])

    def test_with_the_default_action_and_wait(self):
        a_host = host()
        self.leave(a_host)
        a_host.clock.advance(1)
        self.leave(a_host)
        self.assert_due_in(a_host, 2, ['lock'])

    def test_many_short_visits_end_in_one_action(self):
        a_host = host('reboot', '30')
        for _ in range(20):
            self.leave(a_host)
            a_host.clock.advance(7)
        self.assert_due_in(a_host, 23, ['reboot'])

    def test_client_that_is_back_leaves_no_timer(self):
        a_host = host('shutdown', '30')
        self.leave(a_host)
        a_host.connect()
        self.assertEqual(a_host.clock.pending, [])

    def test_timer_that_was_cancelled_too_late_does_nothing(self):
        for action in ACTIONS:
            a_host = host(action, '30')
            self.leave(a_host)
            late = a_host.clock.started[0]
            a_host.connect()
            a_host.disconnect()
            a_host.clock.fire(late)
            self.assertEqual(a_host.actions, [])
            self.assert_due_in(a_host, 30, [action])

    def test_timer_of_an_action_that_was_taken_does_nothing(self):
        a_host = host('shutdown', '30')
        self.assert_acts_after(a_host, 30, ['shutdown'])
        a_host.clock.fire(a_host.clock.started[0])
        self.assertEqual(a_host.actions, ['shutdown'])


class TestRepeatedDisconnects(DisconnectCase):
    def test_one_timer_however_often(self):
        a_host = host('shutdown', '30')
        self.leave(a_host)
        for port in range(50001, 50010):
            a_host.disconnect(CLIENT, str(port))
        self.assertEqual(len(a_host.clock.pending), 1)
        self.assert_due_in(a_host, 30, ['shutdown'])

    def test_failed_attempts_to_connect_put_nothing_off(self):
        a_host = host('logoff', '30')
        self.leave(a_host)
        for port in ('50001', '50002', '50003'):
            a_host.clock.advance(8)
            a_host.be_sent_to_the_secure_port(CLIENT, port)
        self.assert_due_in(a_host, 6, ['logoff'])

    def test_left_twice_within_the_wait_is_one_action(self):
        a_host = host('reboot')
        self.leave(a_host)
        a_host.clock.advance(1)
        a_host.disconnect()
        self.assert_due_in(a_host, 1, ['reboot'])


class TestRace(unittest.TestCase):
    def test_client_cannot_come_back_while_its_leaving_is_acted_on(self):
        a_host = host('shutdown', '30')
        seen = []

        def shutdown(**arguments):
            visitor = threading.Thread(target=a_host.connect)
            visitor.start()
            visitor.join(0.2)
            seen.append((visitor, a_host.vm.conf['clientIp']))

        a_host.connect()
        a_host.disconnect()
        a_host.vm.shutdown = shutdown
        a_host.clock.advance(30)
        (visitor, client), = seen
        visitor.join(10)
        self.assertEqual(client, '')
        self.assertEqual(a_host.vm.conf['clientIp'], CLIENT)


if __name__ == '__main__':
    unittest.main()
