"""`make fuzz`: N random cases against the shell pipeline, each with every pair of shell and awk
and with every Python, all fixtures likewise and in both modes, and a thousand times as many lines
with typed text against the rules. usage: fuzz.py N [FIRST-SEED]
"""
import concurrent.futures
import os
import sys
import tempfile
import time

import framing
import random_cases
from host import FIXTURES, Host, first_difference, pairs, pythons, without_unloadable
from test_default import expected


def main(count, first):
    """Run cases first .. first + count - 1 and the rest; returns how many failed."""
    print("%d cases from seed %d and %d fixtures, each with %d pairs of shell and awk and %d "
          "Pythons" % (count, first, len(FIXTURES), len(pairs()), len(pythons())), flush=True)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        failed = report(pool.map(case, range(first, first + count)))
        failed += report(pool.map(fixture, FIXTURES))
    print("%d lines with typed text from seed %d" % (1000 * count, first))
    failed += report(framing.faults(first, 1000 * count))
    print("%d failed" % failed)
    return failed


def report(results):
    """Print the results (iterable of str) that are not empty; returns how many."""
    failed = 0
    for wrong in filter(None, results):
        print(wrong, flush=True)
        failed += 1
    return failed


def case(seed):
    with tempfile.TemporaryDirectory() as folder:
        host = random_cases.case(seed, os.path.join(folder, "host"))
        return difference(host, "seed %d" % seed, host.run("-n").stdout)


def fixture(path):
    with tempfile.TemporaryDirectory() as folder:
        host = Host.load(path, folder)
        return (difference(host, path, expected(path)) or difference(
            host, path + ", careful", expected(path, "expected-careful"), "-c"))


def difference(host, name, table, *mode):
    """What any Python and, in the default mode, any pair makes of a host that is not this table
    (bytes): a str that says so, or "".
    """
    for version, python in pythons().items():
        done = host.run("-n", *mode, python=python)
        if done.returncode or first_difference(done.stdout, table):
            return "%s, Python %s: exit %d, %s %s" % (
                name, version, done.returncode, first_difference(done.stdout, table), done.stderr)
    for pair in [] if mode else pairs():
        differs = first_difference(table, without_unloadable(host.reference(pair)))
        if differs:
            return "%s, %s: %s" % (name, pair[0], differs)
    return ""


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])) else 0)
