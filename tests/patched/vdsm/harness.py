# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM of the vdsm tree under test, its console events, and a fake clock.

The tree is the folder that holds vdsm/clientIF.py and vdsm/virt/vm.py: an
unpacked source, or usr/share of an installed package. PATCHED_TREE names it.
Both files are the tree's own; what they import is a stand-in, so that neither
libvirt nor the rest of vdsm is needed. Nothing is written into the tree.

Python 2.6 to 3: vdsm's vm.py loads in Python 2 only, the demo's in both.
"""
import copy
import glob
import logging
import os
import pickle
import sys
import threading
import time
import types

MODULES_UNDER_TEST = (
    ('virt.vm', 'vdsm/virt/vm.py'),
    ('clientIF', 'vdsm/clientIF.py'))

# Names only, no behaviour: the tree's own are better than a copy.
PURE_MODULES = (
    ('virt.vmstatus', 'vdsm/virt/vmstatus.py'),
    ('virt.vmexitreason', 'vdsm/virt/vmexitreason.py'))

STAND_INS = (
    'alignmentScan', 'blkid', 'caps', 'cpopen', 'hooks', 'ksm', 'libvirt',
    'logUtils', 'momIF', 'numaUtils', 'protocoldetector', 'storage',
    'storage.fileUtils', 'storage.outOfProcess', 'storage.sd', 'supervdsm',
    'vdsm', 'vdsm.cmdutils', 'vdsm.compat', 'vdsm.config', 'vdsm.constants',
    'vdsm.define', 'vdsm.libvirtconnection', 'vdsm.netinfo', 'vdsm.qemuimg',
    'vdsm.sslutils', 'vdsm.utils', 'virt', 'virt.guestagent',
    'virt.migration', 'virt.sampling', 'virt.utils', 'virt.vmchannels',
    'virt.vmexitreason', 'virt.vmpowerdown', 'virt.vmstatus', 'virt.vmtune',
    'vmpowerdown', 'zombiereaper')

SETTINGS = {
    'user_shutdown_timeout': '37',
    'sys_shutdown_timeout': '123'}

# Where the graphics servers listen, and how they say they authenticate.
CONSOLES = {
    'plain': ('5900', ''),
    'spice': ('5901', 'spice'),
    'vnc': ('5902', 'vnc')}


class _AnyMeta(type):
    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything


class _AnyBase(object):
    def __init__(self, *args, **kwargs):
        super(_AnyBase, self).__init__()

    def __call__(self, *args, **kwargs):
        return Anything()

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return Anything()

    def __getitem__(self, key):
        raise KeyError(key)


# A class with any attribute, itself fit as a base class; spelt as a call
# because the two Pythons write metaclasses differently.
Anything = _AnyMeta('Anything', (_AnyBase,), {})


class StandIn(types.ModuleType):
    """A module in which every name can be imported."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        value = self.make(name)
        setattr(self, name, value)
        return value

    def make(self, name):
        return _AnyMeta(name, (_AnyBase,), {})


class FakeLibvirt(StandIn):
    """libvirt's constants, each a number of its own."""

    # vdsm has a list of names for these.
    VIR_DOMAIN_EVENT_STOPPED = 5

    class libvirtError(Exception):
        pass

    def make(self, name):
        if name.startswith('VIR_'):
            return 1000 + len(self.__dict__)
        return StandIn.make(self, name)


class FakeConfig(object):
    def get(self, section, name):
        return SETTINGS.get(name, '10')

    def getint(self, section, name):
        return int(self.get(section, name))

    def getfloat(self, section, name):
        return float(self.get(section, name))

    def getboolean(self, section, name):
        return False


class FakeMigration(object):
    """The migration of a VM that does not migrate."""

    def __init__(self, *args, **kwargs):
        pass

    def isAlive(self):
        return False

    is_alive = isAlive


class FakeAnswers(dict):
    def __missing__(self, name):
        return {'status': {'code': 1, 'message': name}}


def _decorate_nothing(*args, **kwargs):
    return lambda function: function


def _plain_log(logger, extra):
    return logger


def _install_stand_ins():
    for name in STAND_INS:
        kind = name == 'libvirt' and FakeLibvirt or StandIn
        module = kind(name)
        module.__path__ = []
        sys.modules[name] = module
        if '.' in name:
            package, last = name.rsplit('.', 1)
            setattr(sys.modules[package], last, module)
    modules = sys.modules
    modules['logUtils'].SimpleLogAdapter = _plain_log
    modules['caps'].getTargetArch = lambda: 'x86_64'
    modules['vdsm.compat'].pickle = pickle
    modules['vdsm.config'].config = FakeConfig()
    modules['vdsm.constants'].P_VDSM_RUN = '/nonexistent/'
    modules['vdsm.constants'].P_LIBVIRT_VMCHANNELS = '/nonexistent/'
    modules['vdsm.define'].NORMAL = 0
    modules['vdsm.define'].ERROR = 1
    modules['vdsm.define'].doneCode = {'code': 0, 'message': 'Done'}
    modules['vdsm.define'].errCode = FakeAnswers()
    modules['vdsm.netinfo'].networks = lambda: {}
    modules['vdsm.utils'].convertToStr = str
    modules['vdsm.utils'].picklecopy = copy.deepcopy
    modules['vdsm.utils'].traceback = _decorate_nothing
    modules['virt.migration'].SourceThread = FakeMigration


def find_file(tree, path):
    """Where the tree has a file of vdsm's, '' if nowhere.

    What is lib/vdsm in a source is among Python's own in a package.
    """
    places = [os.path.join(tree, path)]
    if path.startswith('lib/'):
        places += glob.glob(os.path.join(
            tree, '..', 'lib*', 'python2*', '*-packages', path[len('lib/'):]))
    return ([place for place in places if os.path.isfile(place)] + [''])[0]


def _load(tree, name, path):
    """The module that the tree's file makes, with no bytecode written."""
    path = find_file(tree, path)
    source_file = open(path, 'rb')
    try:
        source = source_file.read()
    finally:
        source_file.close()
    module = types.ModuleType(name)
    module.__file__ = path
    if '.' in name:
        module.__package__ = name.rsplit('.', 1)[0]
    sys.modules[name] = module
    exec(compile(source, path, 'exec', 0, True), module.__dict__)
    if '.' in name:
        package, last = name.rsplit('.', 1)
        setattr(sys.modules[package], last, module)
    return module


class Tree(object):
    """The two modules under test, loaded once a process."""

    _loaded = None

    # More of the tree's own modules, in the order in which they are needed,
    # and what must be so before those under test are loaded.
    more_modules = ()
    prepare = staticmethod(lambda: None)

    @classmethod
    def get(cls):
        if cls._loaded is None:
            cls._loaded = cls(os.environ['PATCHED_TREE'])
        return cls._loaded

    def __init__(self, path):
        sys.dont_write_bytecode = True
        _install_stand_ins()
        for name, file_path in PURE_MODULES + self.more_modules:
            if find_file(path, file_path):
                _load(path, name, file_path)
        self.prepare()
        self.vm, self.clientif = [
            _load(path, name, file_path)
            for name, file_path in MODULES_UNDER_TEST]
        self.libvirt = sys.modules['libvirt']
        self.vmstatus = sys.modules['virt.vmstatus']
        self.vm.Vm.saveState = lambda self: None


class FakeTimer(object):
    """threading.Timer on a fake clock."""

    def __init__(self, clock, interval, function, args=None, kwargs=None):
        self.interval = interval
        self.function = function
        self.args = args or []
        self.kwargs = kwargs or {}
        self.daemon = False
        self.name = 'FakeTimer'
        self.due = None
        self._clock = clock

    def start(self):
        if self.due is not None:
            raise RuntimeError('threads can only be started once')
        self._clock.started.append(self)
        self.due = self._clock.now + max(0, self.interval)
        self._clock.pending.append(self)

    def cancel(self):
        if self in self._clock.pending:
            self._clock.pending.remove(self)

    def is_alive(self):
        return self in self._clock.pending

    isAlive = is_alive

    def setDaemon(self, daemon):
        self.daemon = daemon

    def isDaemon(self):
        return self.daemon


class Clock(object):
    """Seconds that pass only when a test says so, and the timers on them."""

    def __init__(self):
        self.now = 0
        self.pending = []
        self.started = []

    def advance(self, seconds):
        """Let seconds pass, and what falls due in them happen in order."""
        end = self.now + seconds
        while True:
            due = [timer for timer in self.pending if timer.due <= end]
            if not due:
                break
            timer = min(due, key=lambda timer: timer.due)
            self.now = timer.due
            self.pending.remove(timer)
            timer.function(*timer.args, **timer.kwargs)
        self.now = end

    def fire(self, timer):
        """What a timer does that was on its way when it was cancelled."""
        timer.function(*timer.args, **timer.kwargs)


class _Overlay(object):
    """A module with some of its names replaced."""

    def __init__(self, module, **replaced):
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name):
        return getattr(self._module, name)


class _LogRecords(logging.Handler):
    def __init__(self):
        logging.Handler.__init__(self, logging.NOTSET)
        self.records = []

    def emit(self, record):
        self.records.append((record.levelname, record.getMessage()))


class FakeGuestAgent(object):
    """An agent that notes what it is told to do."""

    guestDiskMapping = {}
    diskMappingHash = 0

    def __init__(self, act):
        self._act = act

    def stop(self):
        pass

    def desktopLock(self):
        self._act('lock', {})

    def desktopLogoff(self, force):
        self._act('logoff', {'force': force})

    def isResponsive(self):
        return True

    def getStatus(self):
        return 'Up'

    def getGuestInfo(self):
        return {'username': 'someone', 'memUsage': 0}


class _Domain(object):
    def __init__(self, vm_id):
        self._vm_id = vm_id

    def UUIDString(self):
        return self._vm_id


class Host(object):
    """A host that runs one VM, driven by libvirt's events alone.

    acted holds what was done to the guest, oldest first, as (action,
    arguments), and acted_at when; clock is the time; messages() is the log.
    """

    vm_id = '11111111-2222-3333-4444-555555555555'

    def __init__(self, **conf):
        self.tree = Tree.get()
        self.clock = Clock()
        self.acted = []
        self.acted_at = []
        self._watch_log()
        self._replace_time()
        self.clientif = self._make_clientif()
        self.vm = self._make_vm(conf)
        self.clientif.vmContainer[self.vm_id] = self.vm

    def _watch_log(self):
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
        self._log = _LogRecords()
        root.addHandler(self._log)
        root.setLevel(logging.DEBUG)

    def _replace_time(self):
        def make_timer(*args, **kwargs):
            return FakeTimer(self.clock, *args, **kwargs)

        self.tree.vm.threading = _Overlay(threading, Timer=make_timer)
        self.tree.vm.time = _Overlay(
            time, time=lambda: 1000000.0 + self.clock.now)

    def _make_clientif(self):
        clientif = self.tree.clientif.clientIF.__new__(
            self.tree.clientif.clientIF)
        clientif.log = logging.getLogger('vds')
        clientif.vmContainer = {}
        clientif.mom = clientif.irs = Anything()
        return clientif

    def _make_vm(self, conf, recover=False):
        params = {
            'vmId': self.vm_id, 'vmName': 'desk', 'vmType': 'kvm',
            'display': 'qxl', 'memSize': '1024'}
        params.update(conf)
        vm = self.tree.vm.Vm(self.clientif, params, recover=recover)
        vm.guestAgent = FakeGuestAgent(self._act)
        vm.shutdown = self._shutdown
        vm._guestCpuRunning = True
        vm.lastStatus = self.tree.vmstatus.UP
        return vm

    def _act(self, name, arguments):
        self.acted.append((name, arguments))
        self.acted_at.append(self.clock.now)

    def _shutdown(self, delay, message, reboot, timeout, force):
        self._act(reboot and 'reboot' or 'shutdown', {
            'delay': delay, 'message': message, 'reboot': reboot,
            'timeout': timeout, 'force': force})
        return {'status': {'code': 0, 'message': 'Done'}}

    @property
    def actions(self):
        """The names of what was done to the guest, oldest first."""
        return [name for name, _ in self.acted]

    def messages(self, level):
        """The messages that were logged at a level, oldest first."""
        return [text for name, text in self._log.records if name == level]

    def event(self, eventid, *args):
        """Hand an event of the VM's domain to vdsm, as libvirt does."""
        self.clientif.dispatchLibvirtEvents(
            None, _Domain(self.vm_id), *(args + (eventid,)))

    def graphics_event(self, phase, node, service, console='spice'):
        port, scheme = CONSOLES[console]
        local = {'family': 0, 'node': '192.0.2.1', 'service': port}
        remote = {'family': 0, 'node': node, 'service': service}
        self.event(self.tree.libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS,
                   phase, local, remote, scheme, [])

    def connect(self, node='198.51.100.7', service='40001', console='spice'):
        self.graphics_event(
            self.tree.libvirt.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE,
            node, service, console)

    def disconnect(self, node='198.51.100.7', service='40001',
                   console='spice'):
        self.graphics_event(
            self.tree.libvirt.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT,
            node, service, console)

    def be_sent_to_the_secure_port(self, node, service):
        """spice-gtk's first connection: accepted, refused, closed."""
        self.graphics_event(
            self.tree.libvirt.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT,
            node, service, 'plain')
        self.disconnect(node, service, 'plain')

    def destroy(self):
        self.vm.destroy()

    def go_down(self):
        """The VM ended, and vdsm noticed."""
        self.vm.setDownStatus(0, 1)

    def start_migration(self):
        self.vm.lastStatus = self.tree.vmstatus.MIGRATION_SOURCE

    def finish_migration(self):
        """The VM runs on another host, and is Down on this one."""
        self.vm.setDownStatus(0, 4)

    def fail_migration(self):
        self.vm.lastStatus = self.tree.vmstatus.UP

    def restart_vdsm(self):
        """vdsm ends with its threads and finds the VM, which ran on."""
        del self.clock.pending[:]
        self.vm = self._make_vm(self.vm.status(), recover=True)
        self.clientif.vmContainer[self.vm_id] = self.vm
