# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's Vm: its console, its power and what it reports.

No libvirt and no guest is behind it. The text around onReboot, onConnect and
onDisconnect is what our patches for vdsm apply to.
"""
import copy
import logging
import threading
import time

from vdsm.config import config

from . import vmstatus
from .vmpowerdown import VmReboot, VmShutdown

long = int  # as Python 2 calls it
doneCode = {'code': 0, 'message': 'Done'}


class DoubleDownError(Exception):
    """A VM that is down went down again: never here, where setting is free."""


class Vm(object):
    """One virtual machine."""
    log = logging.getLogger('vm.Vm')

    def __init__(self, cif, params, recover=False):
        self.cif = cif
        self.conf = dict(params)
        self.conf['clientIp'] = ''
        self.id = self.conf['vmId']
        self.destroyed = False
        self.guestAgent = None
        self.lastStatus = vmstatus.WAIT_FOR_LAUNCH
        self._initTimeRTC = long(self.conf.get('timeOffset', 0))
        self._vmStats = None
        self._guestCpuRunning = False
        self._guestCpuLock = threading.Lock()
        self._startTime = time.time() - \
            float(self.conf.pop('elapsedTimeOffset', 0))

        self._releaseLock = threading.Lock()
        self._released = False
        self._incomingMigrationFinished = threading.Event()
        self._powerDownEvent = threading.Event()
        self._watchdogEvent = {}
        self.saveState()

    def saveState(self):
        """Nothing to recover: no VM outlives this program."""

    def status(self):
        """What a list of the VMs says about this one."""
        listed = dict((key, value) for key, value in self.conf.items()
                      if not key.startswith('_'))
        listed['status'] = self.lastStatus
        return copy.deepcopy(listed)

    def getStats(self):
        """What the engine polls."""
        return {
            'status': self.lastStatus,
            'elapsedTime': str(int(time.time() - self._startTime)),
            'clientIp': self.conf.get('clientIp', '')}

    def getShutdownTimeouts(self):
        """The grace of the user and the patience with the guest, seconds."""
        return (config.getint('vars', 'user_shutdown_timeout'),
                config.getint('vars', 'sys_shutdown_timeout'))

    def destroy(self):
        self.destroyed = True
        response = self.releaseVm()
        self.cif.vmContainer.pop(self.id, None)
        return response

    def shutdown(self, delay, message, reboot, timeout, force):
        if self.lastStatus == vmstatus.DOWN:
            return {'status': {'code': 1, 'message': 'VM is down'}}
        kind = VmReboot if reboot else VmShutdown
        return kind(self, int(delay), message, timeout, force,
                    self._powerDownEvent).start()

    def _onWatchdogEvent(self, action):
        self._watchdogEvent = {'time': time.time(), 'action': action}

    def onReboot(self):
        try:
            self._startTime = time.time()
            self._powerDownEvent.set()
            self.saveState()
        except Exception:
            self.log.error("Reboot event failed", exc_info=True)

    def onConnect(self, clientIp=''):
        if clientIp:
            self.conf['clientIp'] = clientIp

    def _timedDesktopLock(self):
        if not self.conf.get('clientIp', ''):
            self.guestAgent.desktopLock()

    def onDisconnect(self, detail=None):
        self.conf['clientIp'] = ''
        # This is a hack to mitigate the issue of spice-gtk not respecting the
        # configured secure channels. Spice-gtk is always connecting first to
        # a non-secure channel and the server tells the client then to connect
        # to a secure one: a disconnect that is none. So wait before locking
        # the desktop of the
        # guest. And only lock it, if it there was no new connect.
        # This is detected by the clientIp being set or not.
        #
        # Multiple desktopLock calls won't matter if we're really disconnected
        # It is not harmful. And the threads will exit after 2 seconds anyway.
        _DESKTOP_LOCK_TIMEOUT = 2
        timer = threading.Timer(_DESKTOP_LOCK_TIMEOUT, self._timedDesktopLock)
        timer.start()

    def _rtcUpdate(self, timeOffset):
        newTimeOffset = str(self._initTimeRTC + long(timeOffset))
        self.conf['timeOffset'] = newTimeOffset

    def setDownStatus(self, code, exitReasonCode, exitMessage=''):
        try:
            self.lastStatus = vmstatus.DOWN
            self.conf.update(exitCode=code, exitMessage=exitMessage)
            self.log.debug('down: %s (code=%i)',
                           exitMessage, exitReasonCode)
        except DoubleDownError:
            pass
        try:
            self.guestAgent.stop()
        except Exception:
            pass
        self.saveState()

    def releaseVm(self):
        with self._releaseLock:
            if self._released:
                return {'status': doneCode}

            self.log.info('Release VM resources')
            self.lastStatus = vmstatus.POWERING_DOWN
            # Terminate the VM's creation thread.
            self._incomingMigrationFinished.set()
            self._powerDownEvent.set()
            self._released = True
        return {'status': doneCode}
