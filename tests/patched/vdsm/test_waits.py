# SPDX-License-Identifier: GPL-2.0-or-later
"""Waits that cannot be meant, and waits that are short."""
import unittest

from cases import WAIT, DisconnectCase, host

DAY = 24 * 60 * 60


class TestOutOfRange(DisconnectCase):
    PATCH = '0005'

    def check(self, *waits):
        for wait in waits:
            a_host = host('logoff', wait)
            self.assert_acts_after(a_host, 2, ['logoff'])
            self.assert_logged(a_host, 'ERROR', str(wait).strip())

    def test_negative(self):
        self.check('-1', '-30', '-99999999999999999999', -5)

    def test_over_a_day(self):
        self.check(str(DAY + 1), '9999999999', '9' * 400, DAY * 365)


class TestShort(DisconnectCase):
    PATCH = '0005'

    def check(self, wait, seconds):
        a_host = host('logoff', wait)
        self.leave(a_host)
        a_host.clock.advance(seconds)
        self.assertEqual(a_host.actions, ['logoff'])
        self.assertEqual(a_host.messages('ERROR'), [])
        self.assert_logged(a_host, 'WARNING', WAIT, str(wait).strip())

    def test_zero_is_honoured_with_a_warning(self):
        self.check('0', 0)
        self.check(0, 0)

    def test_one_is_honoured_with_a_warning(self):
        self.check('1', 1)
        self.check(' 1 ', 1)


class TestInRange(DisconnectCase):
    PATCH = '0001'

    def test_no_word_of_two_seconds_and_more(self):
        for wait in ('2', '3', '30', str(DAY)):
            a_host = host('logoff', wait)
            self.assert_acts_after(a_host, int(wait), ['logoff'])
            self.assertEqual(a_host.messages('ERROR'), [])
            self.assertEqual(a_host.messages('WARNING'), [])

    def test_one_second_is_not_less(self):
        a_host = host('logoff', '1')
        self.assert_acts_after(a_host, 1, ['logoff'])


if __name__ == '__main__':
    unittest.main()
