# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that is gone takes no action and leaves no timer running."""
import unittest

from cases import CLIENT, DisconnectCase, host

PATCH = '0003'
ACTIONS = ('lock', 'logoff', 'shutdown', 'reboot')


def destroy(a_host):
    a_host.destroy()


def go_down(a_host):
    a_host.go_down()


def migrate(a_host):
    a_host.start_migration()
    a_host.finish_migration()


ENDS = (destroy, go_down, migrate)


class TestGoneDuringTheWait(DisconnectCase):
    def test_no_timer_is_left(self):
        for end in ENDS:
            for action in ACTIONS:
                a_host = host(action, '30')
                self.leave(a_host)
                a_host.clock.advance(1)
                end(a_host)
                self.assert_idle(a_host)
                self.assertEqual(a_host.actions, [])

    def test_down_at_the_last_moment(self):
        for action in ACTIONS:
            a_host = host(action, '30')
            self.leave(a_host)
            late = a_host.clock.started[0]
            a_host.clock.advance(29.9)
            go_down(a_host)
            a_host.clock.fire(late)
            self.assert_idle(a_host)
            self.assertEqual(a_host.actions, [])


class TestGoneBefore(DisconnectCase):
    def test_disconnect_that_the_end_caused(self):
        for end in ENDS:
            for action in ACTIONS:
                a_host = host(action, '30')
                a_host.connect()
                vm = a_host.vm
                end(a_host)
                vm.onDisconnect(clientIp=CLIENT, clientPort='40001')
                self.assert_idle(a_host)
                self.assertEqual(a_host.actions, [])

    def test_statistics_know_that_the_client_left(self):
        # Not of the end: of the order in which the patch sees to things.
        a_host = host('shutdown')
        a_host.connect()
        go_down(a_host)
        a_host.disconnect()
        self.assertEqual(a_host.vm.conf['clientIp'], '')
        self.assertEqual(a_host.clock.pending, [])


class TestMigration(DisconnectCase):
    def test_action_is_held_back_while_it_lasts(self):
        for action in ACTIONS:
            a_host = host(action, '30')
            self.leave(a_host)
            a_host.start_migration()
            a_host.clock.advance(600)
            self.assertEqual(a_host.actions, [])

    def test_left_during_a_migration_that_succeeds(self):
        a_host = host('shutdown', '2')
        a_host.connect()
        a_host.start_migration()
        a_host.disconnect()
        a_host.clock.advance(60)
        a_host.finish_migration()
        self.assert_idle(a_host)
        self.assertEqual(a_host.actions, [])

    def test_left_during_a_migration_that_fails(self):
        for action in ACTIONS:
            a_host = host(action, '30')
            a_host.connect()
            a_host.start_migration()
            a_host.disconnect()
            a_host.clock.advance(60)
            self.assertEqual(a_host.actions, [])
            a_host.fail_migration()
            a_host.clock.advance(2)
            self.assertEqual(a_host.actions, [action])
            self.assert_idle(a_host)

    def test_back_before_the_migration_fails(self):
        a_host = host('shutdown', '2')
        self.leave(a_host)
        a_host.start_migration()
        a_host.clock.advance(60)
        a_host.connect()
        a_host.fail_migration()
        self.assert_idle(a_host)
        self.assertEqual(a_host.actions, [])

    def test_arriving_saved_and_restored_machines_wait_too(self):
        for name in ('MIGRATION_DESTINATION', 'SAVING_STATE',
                     'RESTORING_STATE'):
            a_host = host('logoff', '2')
            states = a_host.tree.vmstatus
            a_host.vm.lastStatus = getattr(states, name)
            self.leave(a_host)
            a_host.clock.advance(60)
            self.assertEqual(a_host.actions, [])
            a_host.vm.lastStatus = states.UP
            a_host.clock.advance(2)
            self.assertEqual(a_host.actions, ['logoff'])


class TestThreads(DisconnectCase):
    def test_timers_are_daemon_threads(self):
        a_host = host('shutdown', '30')
        self.leave(a_host)
        self.assertEqual([timer.daemon for timer in a_host.clock.pending],
                         [True])


if __name__ == '__main__':
    unittest.main()
