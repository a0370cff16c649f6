"""`make fuzz`: N random cases against the shell pipeline, each with every pair of shell and awk
and with every Python, all fixtures likewise and in both modes, and a thousand times as many lines
with typed text against the rules. usage: fuzz.py N [FIRST-SEED]
"""
import concurrent.futures
import functools
import itertools
import os
import sys
import time

import framing
from host import FIXTURES
from test_default import PAIRS, PYTHONS, VERSIONS, fixture, random_case


def main(count, first):
    """Run cases first .. first + count - 1 and the rest; returns how much is wrong."""
    print("%d cases from seed %d and %d fixtures, each with %d pairs of shell and awk and %d "
          "Pythons" % (count, first, len(FIXTURES), len(PAIRS), len(PYTHONS)), flush=True)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        failed = report(pool.map(functools.partial(random_case, all_of_them=True),
                                 range(first, first + count)))
        failed += report(pool.map(functools.partial(fixture, versions=VERSIONS, pairs=PAIRS),
                                  FIXTURES))
    print("%d lines with typed text from seed %d" % (1000 * count, first))
    failed += report([wrong] for wrong in framing.faults(first, 1000 * count))
    print("%d failed" % failed)
    return failed


def report(results):
    """Print what is wrong (iterable of lists of str); returns how much."""
    failed = 0
    for failed, what in enumerate(itertools.chain.from_iterable(results), 1):
        print(what, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])) else 0)
