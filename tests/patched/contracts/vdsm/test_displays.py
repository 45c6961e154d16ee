# SPDX-License-Identifier: GPL-2.0-or-later
"""Several consoles, and what SPICE needs besides."""
import unittest

from parts import ContractCase, Machine, require

PORTS = '''<domain><devices>
<graphics type="spice" port="5900" tlsPort="5901"/>
<graphics type="vnc" port="5902"/>
</devices></domain>'''


def graphics(device, **spec):
    return {'type': 'graphics', 'device': device, 'specParams': spec}


class DisplayCase(ContractCase):
    def setUp(self):
        require('vm', 'GraphicsDevice.getXML', 'Vm._run',
                'Vm._getUnderlyingGraphicsDeviceInfo')

    def start(self, **conf):
        conf.setdefault('bridge', '')
        self.machine = Machine(**conf)
        return self.machine.start()

    def types(self, document):
        return [each['type'] for each in self.find(document, 'graphics')]

    def stats(self, ports=PORTS):
        """The statistics once libvirt has given the consoles their ports."""
        self.machine.vm._lastXMLDesc = ports
        self.machine.vm._getUnderlyingGraphicsDeviceInfo()
        return self.machine.vm.getStats()


class KeptSeveralConsoles(DisplayCase):
    DEVICES = [graphics('spice'), graphics('vnc')]

    def test_both_are_in_the_domain(self):
        document = self.start(devices=self.DEVICES)
        spice, vnc = self.find(document, 'graphics')
        self.assertEqual((spice['type'], vnc['type']), ('spice', 'vnc'))
        self.assertEqual((spice['port'], spice['tlsPort']), ('-1', '-1'))
        self.assertEqual(vnc['port'], '-1')
        self.assertFalse('tlsPort' in vnc)
        self.assertEqual(spice['autoport'], 'yes')

    def test_statistics_have_the_ports_of_both(self):
        self.start(devices=self.DEVICES)
        info = self.stats()['displayInfo']
        self.assertEqual(
            [(each['type'], each['port'], each['tlsPort']) for each in info],
            [('spice', '5900', '5901'), ('vnc', '5902', '-1')])

    def test_first_one_is_the_display_of_old_engines(self):
        self.start(devices=self.DEVICES)
        stats = self.stats()
        self.assertEqual(stats['displayType'], 'qxl')
        self.assertEqual(stats['displayPort'], '5900')
        self.assertEqual(stats['displaySecurePort'], '5901')

    def test_vnc_first(self):
        self.start(devices=list(reversed(self.DEVICES)), display='vnc')
        stats = self.stats()
        self.assertEqual([each['type'] for each in stats['displayInfo']],
                         ['vnc', 'spice'])
        self.assertEqual(stats['displayType'], 'vnc')
        self.assertEqual(stats['displayPort'], '5902')
        self.assertEqual(stats['displaySecurePort'], '-1')

    def test_two_of_a_kind_are_refused(self):
        self.assertRaises(ValueError, self.start,
                          devices=[graphics('vnc'), graphics('vnc')])

    def test_agent_channel_of_spice(self):
        document = self.start(devices=self.DEVICES)
        kinds = [each['type'] for each in self.find(document, 'channel')]
        self.assertEqual(kinds.count('spicevmc'), 1)


class KeptLegacyDisplay(DisplayCase):
    def test_spice(self):
        for display in ('qxl', 'qxlnc'):
            document = self.start(display=display, devices=[])
            self.assertEqual(self.types(document), ['spice'])

    def test_vnc(self):
        self.assertEqual(self.types(self.start(display='vnc', devices=[])),
                         ['vnc'])

    def test_engine_that_sends_no_devices_at_all(self):
        document = self.start(display='qxl')
        self.assertEqual(self.types(document), ['spice'])
        self.assertEqual([each['type'] for each in self.find(document, 'model',
                                                             'video')],
                         ['qxl'])

    def test_ports_in_the_statistics(self):
        self.start(display='qxl')
        stats = self.stats()
        self.assertEqual(stats['displayPort'], '5900')
        self.assertEqual(stats['displaySecurePort'], '5901')
        self.assertEqual([(each['type'], each['port'], each['tlsPort'])
                          for each in stats['displayInfo']],
                         [('spice', '5900', '5901')])

    def test_fields_of_old_engines_reach_the_element(self):
        document = self.start(
            display='qxl', spiceSecureChannels='smain,sinputs',
            keyboardLayout='de', copyPasteEnable='false')
        element, = self.find(document, 'graphics')
        self.assertEqual(element['keymap'], 'de')
        self.assertEqual(
            [(each['name'], each['mode'])
             for each in self.find(document, 'channel', 'graphics')],
            [('main', 'secure'), ('inputs', 'secure')])
        self.assertEqual(self.find(document, 'clipboard', 'graphics'),
                         [{'copypaste': 'no'}])


class KeptUsb(DisplayCase):
    def test_redirected_devices(self):
        document = self.start(devices=[graphics('spice')] + [
            {'type': 'redir', 'device': 'spicevmc', 'bus': 'usb'}
            for _ in range(4)])
        # libvirt takes usb for the bus if none is named.
        self.assertEqual([(each['type'], each.get('bus', 'usb'))
                          for each in self.find(document, 'redirdev')],
                         [('spicevmc', 'usb')] * 4)

    def test_controllers(self):
        devices = [{'type': 'controller', 'device': 'usb', 'index': '0',
                    'model': 'ich9-ehci1'}]
        for number in (1, 2, 3):
            devices.append({
                'type': 'controller', 'device': 'usb', 'index': '0',
                'model': 'ich9-uhci%d' % number,
                'master': {'startport': str(2 * number - 2)}})
        document = self.start(devices=devices)
        self.assertEqual(
            [(each['type'], each['index'], each['model'])
             for each in self.find(document, 'controller')],
            [('usb', '0', model) for model in (
                'ich9-ehci1', 'ich9-uhci1', 'ich9-uhci2', 'ich9-uhci3')])
        self.assertEqual([each['startport'] for each
                          in self.find(document, 'master', 'controller')],
                         ['0', '2', '4'])


class KeptHeads(DisplayCase):
    def test_one_card_with_several_heads(self):
        document = self.start(devices=[graphics('spice'), {
            'type': 'video', 'device': 'qxl',
            'specParams': {'heads': '4', 'vram': '65536', 'ram': '131072'}}])
        self.assertEqual(self.find(document, 'model', 'video'), [
            {'type': 'qxl', 'heads': '4', 'vram': '65536', 'ram': '131072'}])

    def test_several_cards(self):
        document = self.start(devices=[graphics('spice')] + [
            {'type': 'video', 'device': 'qxl',
             'specParams': {'vram': '32768'}} for _ in range(4)])
        self.assertEqual(self.find(document, 'model', 'video'),
                         [{'type': 'qxl', 'heads': '1', 'vram': '32768'}] * 4)

    def test_monitors_of_an_engine_that_sends_no_devices(self):
        document = self.start(display='qxl', spiceMonitors='4')
        self.assertEqual(len(self.find(document, 'video')), 4)


if __name__ == '__main__':
    unittest.main()
