# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's own code, built against a header of this test's. Python 2.6 to 3."""
import ctypes
import os
import shutil
import subprocess
import tempfile
import unittest

PATCH = '0001'
HEADER = 'enum greet_kind { GREET_HELLO = 1, GREET_FAREWELL = 2 };\n'


class LibraryTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(self.folder, 'greet-protocol.h'), 'w') as header:
            header.write(HEADER)
        made = os.path.join(self.folder, 'libgreet.so')
        source = os.path.join(os.environ['PATCHED_TREE'], 'greet.c')
        subprocess.check_call(['gcc', '-fPIC', '-shared', '-I', self.folder, '-o', made, source])
        self.library = ctypes.CDLL(made)

    def words(self, name, *arguments):
        function = getattr(self.library, name)
        function.restype = ctypes.c_char_p
        return function(*arguments)


class FarewellTest(LibraryTest):
    def test_there_are_words_for_a_farewell(self):
        self.assertEqual(b'goodbye', self.words('greet_words', 2))
        self.assertEqual(b'goodbye', self.words('greet_farewell'))


class KeptWords(LibraryTest):
    def test_hello_and_what_nobody_knows(self):
        self.assertEqual(b'hello', self.words('greet_words', 1))
        self.assertEqual(None, self.words('greet_words', 7))
