# SPDX-License-Identifier: GPL-2.0-or-later
"""The action is due when the last of several connections is gone."""
import unittest

from cases import CLIENT, OTHER, DisconnectCase, host

PATCH = '0004'
CHANNELS = ('40001', '40002', '40003', '40004')


def open_channels(a_host, node=CLIENT, ports=CHANNELS):
    for port in ports:
        a_host.connect(node, port)


class TestChannels(DisconnectCase):
    def test_channel_that_closes_is_no_disconnect(self):
        for port in CHANNELS[1:]:
            a_host = host('logoff')
            open_channels(a_host, ports=[other for other in CHANNELS
                                         if other != port] + [port])
            a_host.disconnect(CLIENT, port)
            self.assert_idle(a_host)
            self.assertEqual(a_host.vm.getStats()['clientIp'], CLIENT)

    def test_due_when_the_last_one_closes(self):
        a_host = host('logoff', '30')
        open_channels(a_host)
        for port in reversed(CHANNELS):
            self.assertEqual(a_host.clock.pending, [])
            a_host.disconnect(CLIENT, port)
            a_host.clock.advance(1)
        self.assert_due_in(a_host, 29, ['logoff'])

    def test_in_whatever_order_they_close(self):
        for turn in range(len(CHANNELS)):
            a_host = host('shutdown', '30')
            open_channels(a_host)
            for port in CHANNELS[turn:] + CHANNELS[:turn]:
                self.assertEqual(a_host.clock.pending, [])
                a_host.disconnect(CLIENT, port)
            self.assert_due_in(a_host, 30, ['shutdown'])

    def test_closed_and_opened_again(self):
        a_host = host('reboot')
        open_channels(a_host)
        for _ in range(5):
            a_host.disconnect(CLIENT, '40004')
            a_host.clock.advance(60)
            a_host.connect(CLIENT, '40004')
        self.assert_idle(a_host)
        self.assertEqual(a_host.actions, [])


class TestViewers(DisconnectCase):
    def test_one_of_two_leaves(self):
        a_host = host('logoff', '5')
        a_host.connect(CLIENT, '40001')
        a_host.connect(OTHER, '50001')
        a_host.disconnect(OTHER, '50001')
        self.assert_idle(a_host)
        self.assertEqual(a_host.vm.getStats()['clientIp'], CLIENT)
        a_host.disconnect(CLIENT, '40001')
        self.assertEqual(a_host.vm.getStats()['clientIp'], '')
        self.assert_due_in(a_host, 5, ['logoff'])

    def test_latest_of_those_who_stay_is_the_client(self):
        a_host = host('logoff')
        for number in range(4):
            a_host.connect('198.51.100.%d' % number, '40001')
        a_host.disconnect('198.51.100.3', '40001')
        self.assertEqual(a_host.vm.getStats()['clientIp'], '198.51.100.2')
        a_host.disconnect('198.51.100.0', '40001')
        self.assertEqual(a_host.vm.getStats()['clientIp'], '198.51.100.2')

    def test_administrator_who_looked_in_over_vnc(self):
        for action in ('lock', 'logoff', 'shutdown', 'reboot'):
            a_host = host(action, '30')
            open_channels(a_host)
            a_host.connect(OTHER, '50001', 'vnc')
            a_host.clock.advance(60)
            a_host.disconnect(OTHER, '50001', 'vnc')
            a_host.clock.advance(600)
            self.assertEqual(a_host.actions, [])
            for port in CHANNELS:
                a_host.disconnect(CLIENT, port)
            self.assert_due_in(a_host, 30, [action])

    def test_user_who_leaves_while_the_administrator_looks_on(self):
        a_host = host('shutdown', '30')
        a_host.connect(OTHER, '50001', 'vnc')
        open_channels(a_host)
        for port in CHANNELS:
            a_host.disconnect(CLIENT, port)
        self.assert_idle(a_host)
        self.assertEqual(a_host.vm.getStats()['clientIp'], OTHER)
        a_host.disconnect(OTHER, '50001', 'vnc')
        self.assert_due_in(a_host, 30, ['shutdown'])

    def test_sent_to_the_secure_port_beside_another_viewer(self):
        a_host = host('shutdown', '30')
        a_host.connect(CLIENT, '40001')
        a_host.connect(CLIENT, '40002')
        a_host.be_sent_to_the_secure_port(OTHER, '50001')
        a_host.connect(OTHER, '50002')
        a_host.disconnect(OTHER, '50002')
        self.assert_idle(a_host)
        self.assertEqual(a_host.actions, [])


class TestEventsTwice(DisconnectCase):
    def test_connect_that_came_twice_is_one_connection(self):
        a_host = host('logoff')
        a_host.connect(OTHER, '50001')
        for _ in range(3):
            a_host.connect(CLIENT, '40001')
        a_host.disconnect(CLIENT, '40001')
        self.assert_idle(a_host)
        a_host.disconnect(OTHER, '50001')
        self.assert_due_in(a_host, 2, ['logoff'])

    def test_disconnect_that_came_twice_is_one_connection(self):
        a_host = host('logoff')
        open_channels(a_host)
        for port in CHANNELS[1:]:
            a_host.disconnect(CLIENT, port)
            a_host.disconnect(CLIENT, port)
        self.assertEqual(a_host.clock.pending, [])
        a_host.disconnect(CLIENT, CHANNELS[0])
        self.assert_due_in(a_host, 2, ['logoff'])

    def test_port_whose_disconnect_was_lost_and_that_is_used_again(self):
        a_host = host('logoff')
        open_channels(a_host)
        open_channels(a_host, ports=CHANNELS[:2])
        for port in reversed(CHANNELS):
            self.assertEqual(a_host.clock.pending, [])
            a_host.disconnect(CLIENT, port)
        self.assert_due_in(a_host, 2, ['logoff'])


class TestAddressOrPortNotKnown(DisconnectCase):
    def test_disconnect_without_an_address_ends_all(self):
        a_host = host('logoff')
        open_channels(a_host)
        a_host.connect(OTHER, '50001')
        a_host.disconnect(OTHER, '50001')
        self.assertEqual(a_host.clock.pending, [])
        a_host.vm.onDisconnect()
        self.assertEqual(a_host.vm.getStats()['clientIp'], '')
        self.assert_due_in(a_host, 2, ['logoff'])

    def test_disconnect_without_a_port_ends_all_of_its_address(self):
        a_host = host('logoff')
        open_channels(a_host)
        open_channels(a_host, OTHER)
        a_host.vm.onDisconnect(clientIp=OTHER)
        self.assert_idle(a_host)
        a_host.vm.onDisconnect(clientIp=CLIENT)
        self.assert_due_in(a_host, 2, ['logoff'])

    def test_connection_without_a_port_ends_when_none_fits_better(self):
        a_host = host('logoff')
        a_host.vm.onConnect(CLIENT)
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(CLIENT, '40001')
        self.assert_idle(a_host)
        a_host.disconnect(CLIENT, '40002')
        self.assert_due_in(a_host, 2, ['logoff'])


class TestLeftAlone(DisconnectCase):
    PATCH = '0001'

    def test_plain_connection_that_ends_late(self):
        a_host = host('shutdown')
        a_host.connect(CLIENT, '40002')
        a_host.be_sent_to_the_secure_port(CLIENT, '40001')
        self.assert_idle(a_host)
        a_host.disconnect(CLIENT, '40002')
        self.assert_due_in(a_host, 2, ['shutdown'])

    def test_somebody_who_never_was_connected(self):
        a_host = host('shutdown')
        a_host.connect(CLIENT, '40001')
        a_host.disconnect(OTHER, '50001')
        self.assert_idle(a_host)
        a_host.disconnect(CLIENT, '40001')
        self.assert_due_in(a_host, 2, ['shutdown'])


class KeptSecurePort(DisconnectCase):
    def test_sent_to_the_secure_port(self):
        a_host = host()
        a_host.be_sent_to_the_secure_port(CLIENT, '40001')
        a_host.clock.advance(1)
        a_host.connect(CLIENT, '40002')
        a_host.clock.advance(600)
        self.assertEqual(a_host.actions, [])


if __name__ == '__main__':
    unittest.main()
