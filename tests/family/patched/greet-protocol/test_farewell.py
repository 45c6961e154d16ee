# SPDX-License-Identifier: GPL-2.0-or-later
"""The header has a kind for a farewell. Python 2.6 to 3."""
import os
import re
import unittest

PATCH = '0001'


def read_kinds():
    """Kind -> number, as the header has them."""
    path = os.path.join(os.environ['PATCHED_TREE'], 'greet-protocol.h')
    with open(path) as header:
        return dict(re.findall(r'^ +(GREET_\w+) = (\d+)', header.read(), re.M))


class FarewellTest(unittest.TestCase):
    def test_there_is_a_kind_of_its_own(self):
        kinds = read_kinds()
        self.assertTrue('GREET_FAREWELL' in kinds)
        self.assertNotEqual(kinds['GREET_FAREWELL'], kinds['GREET_HELLO'])


class KeptGreetings(unittest.TestCase):
    def test_hello_keeps_its_number(self):
        self.assertEqual('1', read_kinds()['GREET_HELLO'])
