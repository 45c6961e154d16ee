# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the disconnect actions share."""
import unittest

from harness import Host

ACTION = 'spice_disconnect_action'
WAIT = 'spice_disconnect_waittime_seconds'
CLIENT = '198.51.100.7'
OTHER = '203.0.113.9'


def host(action=None, wait=None):
    """A host whose VM has these custom properties, and no others."""
    custom = {}
    if action is not None:
        custom[ACTION] = action
    if wait is not None:
        custom[WAIT] = wait
    return Host(custom=custom)


class DisconnectCase(unittest.TestCase):
    def leave(self, a_host):
        a_host.connect()
        a_host.disconnect()

    def leave_for_long(self, a_host):
        self.leave(a_host)
        a_host.clock.advance(600)
        self.assertEqual(a_host.clock.pending, [])

    def assert_due_in(self, a_host, seconds, actions):
        """Nothing more happens before, these actions then, none after."""
        before = a_host.actions
        a_host.clock.advance(seconds - 0.5)
        self.assertEqual(a_host.actions, before)
        a_host.clock.advance(0.5)
        self.assertEqual(a_host.actions, before + actions)
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, before + actions)

    def assert_acts_after(self, a_host, seconds, actions):
        self.leave(a_host)
        self.assert_due_in(a_host, seconds, actions)

    def assert_idle(self, a_host):
        """Nothing is pending, and nothing more happens."""
        before = a_host.actions
        self.assertEqual(a_host.clock.pending, [])
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, before)

    def assert_logged(self, a_host, level, *words):
        for message in a_host.messages(level):
            if not [word for word in words if word not in message]:
                return
        self.fail('no %s message with %r in %r'
                  % (level, words, a_host.messages(level)))
