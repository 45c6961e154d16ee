#!/usr/bin/env python
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of a folder on a package's tree: runner.py TREE TESTS_DIR

TREE is the source, patched or not, or what is installed of it; tests find it
in the variable PATCHED_TREE. Every test_*.py of TESTS_DIR runs, in order of
name; nothing is written into either folder. People read stderr. stdout gets one line of JSON and nothing else:

    {"python": "2.7.18", "tests": [{"name": "Class.test_x", "patch": "0001",
     "outcome": "passed|failed|error|absent", "seconds": 0.01,
     "detail": "AssertionError: ...", "trace": "  File ..., line 7, in ..."}]}

patch is the PATCH of the test's class or module: the first patch of a series
with which it must pass, after failing with every shorter part of the series.
It is "" for what must pass always, which is every Kept... class and whatever
says nothing. absent is what a test comes to that raises an exception with
ABSENT set: the tree does not have the code that it is about.

Exit status: 0 if the tests ran, whatever came out; 2 if they could not.
Python 2.6 to 3, standard library only.
"""
import json
import os
import platform
import sys
import time
import traceback
import unittest

DETAIL_LENGTH = 300
TRACE_FRAMES = 4
TRACE_LENGTH = 1500


class CannotRun(Exception):
    """The tests did not run; the text says why in one line."""


def read_text(value):
    """The value as text, whatever bytes are in it."""
    if isinstance(value, bytes):
        return value.decode('utf-8', 'replace')
    return value


def read_last_line(error):
    """The line of a traceback that says what was raised, cut to size."""
    try:
        lines = traceback.format_exception_only(error[0], error[1])
        line = read_text(lines[-1]).strip().split('\n')[0]
    except Exception:
        line = getattr(error[0], '__name__', 'unknown error')
    return line[:DETAIL_LENGTH]


def read_trace(error):
    """Where a test failed: its last calls, those of unittest left out."""
    try:
        calls = [call for call in traceback.extract_tb(error[2])
                 if 'unittest' not in call[0].split(os.sep)
                 and not call[0].endswith('unittest.py')]
        lines = traceback.format_list(calls[-TRACE_FRAMES:])
        return read_text(''.join(lines))[-TRACE_LENGTH:].rstrip('\n')
    except Exception:
        return ''


def read_import_error(error):
    """Why a test file did not import, with the place of what is no Python.

    That may be in a file that the test file imports.
    """
    if isinstance(error[1], SyntaxError):
        text = '%s: %s' % (error[0].__name__, error[1])
        return read_text(text)[:DETAIL_LENGTH]
    return read_last_line(error)


def read_name(test):
    """Class.test_x, or unittest's own words for what is no test."""
    method = getattr(test, '_testMethodName', None)
    if method is None:
        return str(test)
    return '%s.%s' % (test.__class__.__name__, method)


def read_patch(test):
    """The first patch with which a test must pass, '' if it always must."""
    kind = test.__class__
    if kind.__name__.startswith('Kept'):
        return ''
    module = sys.modules.get(kind.__module__)
    return getattr(kind, 'PATCH', getattr(module, 'PATCH', ''))


class Outcomes(unittest.TestResult):
    """One record a test, in the order in which they ran.

    A skipped test counts as an error: it proves nothing.
    """

    def __init__(self):
        unittest.TestResult.__init__(self)
        self.records = []
        self._started = None

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self._started = time.time()
        sys.stderr.write('begins %s\n' % read_name(test))
        sys.stderr.flush()

    def _record(self, test, outcome, detail, trace=''):
        seconds = 0.0
        if self._started is not None:
            seconds = max(0.0, time.time() - self._started)
        self.records.append({
            'name': read_name(test), 'patch': read_patch(test),
            'outcome': outcome, 'seconds': round(seconds, 4),
            'detail': detail, 'trace': trace})
        sys.stderr.write('%-6s %s\n' % (outcome, read_name(test)))
        if detail:
            sys.stderr.write('       %s\n' % ascii_text(detail))

    def addSuccess(self, test):
        self._record(test, 'passed', '')

    def addFailure(self, test, err):
        self._record(test, 'failed', read_last_line(err), read_trace(err))

    def addError(self, test, err):
        absent = getattr(err[0], 'ABSENT', False)
        self._record(test, absent and 'absent' or 'error',
                     read_last_line(err), not absent and read_trace(err) or '')

    def addSkip(self, test, reason):
        self._record(test, 'error', 'skipped: %s' % reason)

    def addExpectedFailure(self, test, err):
        self._record(test, 'failed', read_last_line(err))

    def addUnexpectedSuccess(self, test):
        self._record(test, 'failed', 'passed although marked to fail')

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._record(test, 'failed', read_last_line(err))


def ascii_text(text):
    return str(text.encode('ascii', 'backslashreplace').decode('ascii'))


def list_tests(suite):
    """All tests of a suite, and of the suites in it."""
    tests = []
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            tests.extend(list_tests(each))
        else:
            tests.append(each)
    return tests


def refuse_same_names(suite):
    """Raises CannotRun for two tests that nobody could tell apart."""
    kinds = {}
    for test in list_tests(suite):
        kind = kinds.setdefault(read_name(test), test.__class__)
        if kind is not test.__class__:
            raise CannotRun('%s is in %s.py and in %s.py: rename one' % (
                read_name(test), kind.__module__, test.__class__.__module__))


def import_tests(tests_dir):
    """The suite of all test files.

    Raises CannotRun if one does not import, or two have a test in common.
    """
    names = sorted(name[:-len('.py')] for name in os.listdir(tests_dir)
                   if name.startswith('test_') and name.endswith('.py'))
    if not names:
        raise CannotRun('no test_*.py in %s' % tests_dir)
    sys.path.insert(0, tests_dir)
    suite = unittest.TestSuite()
    for name in names:
        try:
            module = __import__(name)
        except Exception:
            raise CannotRun('%s.py does not import: %s' % (
                name, ascii_text(read_import_error(sys.exc_info()))))
        suite.addTest(unittest.defaultTestLoader.loadTestsFromModule(module))
    if not suite.countTestCases():
        raise CannotRun('no test in %s' % tests_dir)
    refuse_same_names(suite)
    return suite


def run_tests(tree, tests_dir):
    """The document to print. Raises CannotRun."""
    if not os.path.isdir(tree):
        raise CannotRun('no folder %s' % tree)
    if not os.path.isdir(tests_dir):
        raise CannotRun('no folder %s' % tests_dir)
    os.environ['PATCHED_TREE'] = tree
    outcomes = Outcomes()
    import_tests(tests_dir).run(outcomes)
    return {'python': platform.python_version(), 'tests': outcomes.records}


def take_stdout():
    """A file on the real stdout, after which all printing goes to stderr."""
    sys.stdout.flush()
    document_file = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    return document_file


def main(arguments):
    sys.dont_write_bytecode = True
    if len(arguments) != 2:
        sys.stderr.write('usage: runner.py TREE TESTS_DIR\n')
        return 2
    tree, tests_dir = [os.path.abspath(path) for path in arguments]
    document_file = take_stdout()
    try:
        document = run_tests(tree, tests_dir)
    except CannotRun:
        sys.stderr.write('%s\n' % sys.exc_info()[1])
        return 2
    counts = [(outcome, len([record for record in document['tests']
                             if record['outcome'] == outcome]))
              for outcome in ('passed', 'failed', 'error', 'absent')]
    sys.stderr.write('%s\n' % ', '.join(
        '%d %s' % (count, outcome) for outcome, count in counts))
    document_file.write(json.dumps(document, sort_keys=True) + '\n')
    document_file.close()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
