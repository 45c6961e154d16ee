# SPDX-License-Identifier: GPL-2.0-or-later
"""The program, linked with a library of this test's. Python 2.6 to 3."""
import os
import shutil
import subprocess
import tempfile
import unittest

PATCH = '0001'
LIBRARY = '''
enum greet_kind { GREET_HELLO = 1 };
static const char *greet_words(enum greet_kind kind) { (void)kind; return "hello"; }
static const char *greet_farewell(void) { return "goodbye"; }
'''


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(self.folder, 'greet.h'), 'w') as header:
            header.write(LIBRARY)
        self.program = os.path.join(self.folder, 'greet')
        source = os.path.join(os.environ['PATCHED_TREE'], 'main.c')
        subprocess.check_call(['gcc', '-I', self.folder, '-o', self.program, source])

    def says(self, *words):
        process = subprocess.Popen([self.program] + list(words), stdout=subprocess.PIPE)
        return process.communicate()[0]


class FarewellTest(ProgramTest):
    def test_it_says_farewell_when_asked(self):
        self.assertEqual(b'goodbye, world\n', self.says('--farewell'))


class KeptGreetings(ProgramTest):
    def test_it_says_hello(self):
        self.assertEqual(b'hello, world\n', self.says())
