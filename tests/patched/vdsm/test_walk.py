# SPDX-License-Identifier: GPL-2.0-or-later
"""Random walks: with each patch, over what it and those before cope with.

WALKS and WALK_SEED of the environment ask for more walks, and for others.
"""
import unittest

from cases import host
from walk import read_environment, walk

WALKS = 50
WALKS_OVER_ALL = 300


class WalkCase(unittest.TestCase):
    def check(self, walks=WALKS):
        walks, seed = read_environment(walks)
        walk(host, walks, seed, int(self.PATCH))


class TestWalkOnActions(WalkCase):
    PATCH = '0001'

    def test_walk(self):
        self.check()


class TestWalkOnStaleTimers(WalkCase):
    PATCH = '0002'

    def test_walk(self):
        self.check()


class TestWalkOnGone(WalkCase):
    PATCH = '0003'

    def test_walk(self):
        self.check()


class TestWalkOnConnections(WalkCase):
    PATCH = '0004'

    def test_walk(self):
        self.check()


class TestWalkOnWaits(WalkCase):
    PATCH = '0005'

    def test_walk(self):
        self.check()


class TestWalkOnRestart(WalkCase):
    PATCH = '0006'

    def test_walk(self):
        self.check(WALKS_OVER_ALL)


if __name__ == '__main__':
    unittest.main()
