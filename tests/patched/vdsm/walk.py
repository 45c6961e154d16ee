#!/usr/bin/env python
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random walks over a VM's console: walk.py TREE [--walks N] [--seed N]

Viewers with several channels come and go, over SPICE and VNC; events come
twice, connections fail, the VM migrates, ends or is destroyed, vdsm restarts.
After every step these must hold, of the walk's own count of who is there:

- no action while somebody is connected;
- one action, the right one and at its time, for each time that the last one
  leaves and stays away; a lock if the properties are unusable;
- no action on a VM that is gone, and no timer of it;
- a lock at most for a client that vdsm did not see connect.

--patches 0003 leaves out what only later patches cope with. A walk follows
from its number alone, on any Python: the number that a failure names is a
--seed that repeats it. Python 2.6 to 3.
"""
import optparse
import os
import random
import sys
import time

# What can happen, from which patch on it must be coped with, and how often.
STEPS = (
    ('wait', 1, 4),
    ('arrive', 1, 3),
    ('leave', 1, 4),
    ('fail_to_connect', 2, 2),
    ('migrate', 3, 1),
    ('end', 3, 0.25),
    ('open_channel', 4, 3),
    ('close_channel', 4, 3),
    ('repeat_connect', 4, 1),
    ('stray_disconnect', 4, 1),
    ('repeat_disconnect', 6, 1),
    ('restart', 6, 0.75))
LATEST = 6

ACTIONS = (
    (None, 'lock'), ('lock', 'lock'), ('noop', 'noop'), ('logoff', 'logoff'),
    ('shutdown', 'shutdown'), (' ReBoot ', 'reboot'), ('hibernate', 'lock'),
    ('', 'lock'))
WAITS = ((None, 2), ('2', 2), ('5', 5), ('30', 30), (7, 7), ('soon', 2))
ODD_WAITS = (('-5', 2), ('0', 0), ('1', 1), ('86401', 2), ('9' * 30, 2))

VIEWERS = ('198.51.100.7', '203.0.113.9', '2001:db8::7')
STEPS_A_WALK = 40
HELD_BACK = 2  # seconds between looks at a VM that migrates


class WalkFailed(AssertionError):
    """Something that must hold did not; the text has the way there."""


class Choice(object):
    """Random choices, the same on every Python for the same number."""

    def __init__(self, number):
        self._random = random.Random(number)
        # What close numbers have in common is gone after a few.
        for _ in range(3):
            self._random.random()

    def below(self, count):
        return int(self._random.random() * count)

    def often(self, share):
        return self._random.random() < share

    def of(self, things):
        return things[self.below(len(things))]

    def weighted(self, pairs):
        point = self._random.random() * sum([pair[1] for pair in pairs])
        for thing, weight in pairs:
            point -= weight
            if point < 0:
                return thing
        return pairs[-1][0]


class Walk(object):
    """One walk: the host, and what is known of it without asking vdsm."""

    def __init__(self, make_host, number, level=LATEST):
        self.choice = Choice(number)
        self.level = level
        self.way = []
        action, self.action = self.choice.of(ACTIONS)
        waits = WAITS
        if level >= 5:
            waits = WAITS + ODD_WAITS
        wait, self.seconds = self.choice.of(waits)
        self.note('action %r, wait %r' % (action, wait))
        self.host = make_host(action, wait)
        self.connected = []  # as (address, port, console), oldest first
        self.unseen = []  # connected since before vdsm was restarted
        self.left = []  # have disconnected
        self.pending = None  # (when, action)
        self.migrating = False
        self.gone = False
        self.checked = 0
        self.port = 40000

    def note(self, text):
        self.way.append(text)

    def run(self):
        possible = [(name, weight) for name, level, weight in STEPS
                    if level <= self.level]
        for _ in range(STEPS_A_WALK):
            if self.gone:
                break
            getattr(self, self.choice.weighted(possible))()
        self.advance(100)

    # What must hold.

    def fail(self, text):
        raise WalkFailed('%s\n    %s' % (text, '\n    '.join(self.way)))

    def advance(self, seconds):
        """Let time pass, and see that what is due happens, and only that."""
        expected = []
        end = self.host.clock.now + seconds
        if self.pending and self.pending[0] <= end and not self.migrating:
            when, action = self.pending
            self.pending = None
            if action != 'noop':
                expected.append((when, action))
        if seconds:
            self.note('%s s' % seconds)
        self.host.clock.advance(seconds)
        done = list(zip(self.host.acted_at, self.host.actions))
        new, self.checked = done[self.checked:], len(done)
        if new != expected:
            self.fail('%s: %r in place of %r at %s s' % (
                self.name_the_fault(new, expected), new, expected, end))
        self.check_the_rest()

    def name_the_fault(self, new, expected):
        if new and self.gone:
            return 'an action on a VM that is gone'
        if new and self.connected:
            return 'an action while somebody is connected'
        if not new:
            return 'no action'
        if len(new) > len(expected):
            return 'an action too many'
        return 'another action, or another time'

    def check_the_rest(self):
        timers = len(self.host.clock.pending)
        if timers and self.gone:
            self.fail('a timer of a VM that is gone')
        if timers and self.connected:
            self.fail('a timer while somebody is connected')
        if timers > 1:
            self.fail('%d timers' % timers)
        client = self.host.vm.conf['clientIp']
        there = [who[0] for who in self.connected] or ['']
        if client not in there and not self.gone:
            self.fail('client %r is none of %r' % (client, self.connected))

    # What happens, and what is to be expected then.

    def connect(self, who):
        self.note('connect %s %s %s' % who)
        self.pending = None
        if who not in self.connected:
            self.connected.append(who)
        self.host.connect(*who)
        self.advance(0)

    def disconnect(self, who):
        self.note('disconnect %s %s %s' % who)
        seen = who in self.connected
        if seen:
            self.connected.remove(who)
        if not (self.connected or self.pending or self.gone):
            action = self.action
            if not seen and action != 'noop':
                action = 'lock'
            self.pending = (self.host.clock.now + self.seconds, action)
        self.left.append(who)
        self.host.disconnect(*who)
        self.advance(0)

    def new_port(self):
        self.port += 1
        return str(self.port)

    def viewers(self):
        """(address, console) of those who are there."""
        return sorted(set([(who[0], who[2]) for who in self.connected]))

    def wait(self):
        self.advance(self.choice.of((0.25, 1, 1.75, 3, 12, 29.5, 40)))

    def arrive(self):
        if self.level < 4 and self.connected:
            return
        if self.level < 2 and self.pending:
            return
        address = self.choice.of(VIEWERS)
        console = self.choice.of(('spice', 'spice', 'vnc'))
        if console == 'spice' and self.level >= 6 and self.choice.often(0.5):
            self.disconnect((address, self.new_port(), 'plain'))
        self.connect((address, self.new_port(), console))
        if console == 'spice' and self.level >= 4:
            for _ in range(self.choice.below(4)):
                self.connect((address, self.new_port(), console))

    def leave(self):
        if not self.viewers():
            return
        viewer = self.choice.of(self.viewers())
        channels = [who for who in self.connected
                    if (who[0], who[2]) == viewer]
        while channels:
            who = self.choice.of(channels)
            channels.remove(who)
            self.disconnect(who)
            if channels and self.choice.often(0.3):
                self.advance(0.25)

    def fail_to_connect(self):
        if self.pending:
            self.disconnect((self.choice.of(VIEWERS), self.new_port(),
                             'plain'))

    def open_channel(self):
        if self.connected:
            address, _, console = self.choice.of(self.connected)
            self.connect((address, self.new_port(), console))

    def close_channel(self):
        if len(self.connected) > 1:
            self.disconnect(self.choice.of(self.connected))

    def repeat_connect(self):
        if self.connected:
            self.connect(self.choice.of(self.connected))

    def stray_disconnect(self):
        """One that never connected, or long ago."""
        if not self.connected and self.level < 6:
            return
        if self.unseen and self.choice.often(0.5):
            who = self.choice.of(self.unseen)
            self.unseen.remove(who)
        else:
            who = (self.choice.of(VIEWERS), self.new_port(), 'plain')
        self.disconnect(who)

    def repeat_disconnect(self):
        if self.left:
            self.disconnect(self.choice.of(self.left[-3:]))

    def restart(self):
        if self.migrating:
            return
        self.note('vdsm restarts')
        self.pending = None
        self.unseen = self.unseen + self.connected
        self.connected = []
        self.host.restart_vdsm()
        self.advance(0)

    def migrate(self):
        """Start a migration, or end the one that there is."""
        if not self.migrating:
            self.note('migration starts')
            self.migrating = True
            self.host.start_migration()
        elif self.choice.often(0.3):
            self.note('migration succeeds')
            self.finish(self.host.finish_migration)
        else:
            self.note('migration fails')
            self.migrating = False
            self.host.fail_migration()
            self.act_late()

    def act_late(self):
        """What was due during a migration comes when it is looked at next."""
        due = self.pending
        if due and due[0] <= self.host.clock.now:
            timers = [timer.due for timer in self.host.clock.pending]
            look = self.host.clock.now + HELD_BACK
            if timers:
                look = min(timers + [look])
            self.pending = (look, due[1])
            self.advance(HELD_BACK)

    def end(self):
        self.note('the VM ends')
        self.finish(self.choice.of((self.host.destroy, self.host.go_down)))

    def finish(self, how):
        self.gone = True
        self.migrating = False
        self.pending = None
        before = self.connected
        how()
        self.advance(0)
        while self.connected:
            self.disconnect(self.choice.of(before))


def walk(make_host, walks, seed, level=LATEST):
    """Take so many walks. Raises: WalkFailed, with the number of the walk."""
    for number in range(seed, seed + walks):
        try:
            Walk(make_host, number, level).run()
        except WalkFailed:
            raise WalkFailed('walk %d with --patches %04d: %s' % (
                number, level, sys.exc_info()[1]))


def read_environment(walks):
    """(walks, seed) as WALKS and WALK_SEED say, a number and 1 by default."""
    return (int(os.environ.get('WALKS') or walks),
            int(os.environ.get('WALK_SEED') or 1))


def main(arguments):
    parser = optparse.OptionParser('%prog TREE [options]')
    parser.add_option('--walks', type='int', default=10000)
    parser.add_option('--seed', type='int', default=1)
    parser.add_option('--patches', default='%04d' % LATEST)
    options, folders = parser.parse_args(arguments)
    if len(folders) != 1 or not os.path.isfile(
            os.path.join(folders[0], 'vdsm', 'virt', 'vm.py')):
        parser.error('one folder that holds vdsm/virt/vm.py')
    os.environ['PATCHED_TREE'] = os.path.abspath(folders[0])
    from cases import host
    started = time.time()
    try:
        walk(host, options.walks, options.seed, int(options.patches))
    except WalkFailed:
        sys.stdout.write('%s\n' % sys.exc_info()[1])
        return 1
    sys.stdout.write('%d walks in %.1f s\n' % (
        options.walks, time.time() - started))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
