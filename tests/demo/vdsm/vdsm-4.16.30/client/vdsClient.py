# SPDX-License-Identifier: GPL-2.0-or-later
"""Stand-in of vdsm's command line client: it names the version, no more."""
import sys

from dsaversion import raw_version_revision


def main():
    sys.stdout.write('%s\n' % raw_version_revision)
    return 0


if __name__ == '__main__':
    sys.exit(main())
