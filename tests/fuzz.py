"""`make fuzz`: N random cases against the shell pipeline, each with every pair of shell and awk
and with every Python, all fixtures with every Python, and a thousand times as many lines with
typed text against the rules. usage: fuzz.py N [FIRST-SEED]
"""
import concurrent.futures
import os
import sys
import time

import framing
import test_default
import tools


def main(count, first):
    """Run cases first .. first + count - 1 and the rest; returns how many failed."""
    print("%d cases from seed %d, each with %d pairs of shell and awk and %d Pythons"
          % (count, first, len(test_default.PAIRS), len(test_default.PYTHONS)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = report(pool.map(every_one, range(first, first + count)))
        print("%d fixtures with each Python" % len(tools.FIXTURES))
        failed += report(pool.map(fixture, [(folder, version) for folder in tools.FIXTURES
                                            for version in test_default.PYTHONS]))
    print("%d lines with typed text from seed %d" % (1000 * count, first))
    failed += report(framing.faults(first, 1000 * count))
    print("%d failed" % failed)
    return failed


def report(results):
    """Print the results (iterable of str) that are not empty; returns how many."""
    failed = 0
    for wrong in filter(None, results):
        print(wrong)
        failed += 1
    return failed


def every_one(seed):
    return test_default.difference(seed, test_default.PYTHONS, test_default.PAIRS)


def fixture(run):
    folder, version = run
    try:
        test_default.test_fixture(folder, version)
        test_default.test_fixture_in_careful_mode(folder, version)
    except AssertionError:
        return "%s, Python %s: not as expected" % (folder, version)
    return ""


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])) else 0)
