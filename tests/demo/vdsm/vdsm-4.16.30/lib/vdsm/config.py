# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of vdsm and what they are unless /etc/vdsm/vdsm.conf says."""
try:
    from ConfigParser import ConfigParser
except ImportError:
    from configparser import ConfigParser

DEFAULTS = {
    'user_shutdown_timeout': '30',
    'sys_shutdown_timeout': '120'}

config = ConfigParser()
config.add_section('vars')
for _name, _value in DEFAULTS.items():
    config.set('vars', _name, _value)
config.read('/etc/vdsm/vdsm.conf')
