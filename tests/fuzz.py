"""`make fuzz`: more than `make test` runs, N random cases against the shell pipeline and a thousand
times as many lines with typed text against the rules. usage: fuzz.py N [FIRST-SEED]
"""
import concurrent.futures
import os
import sys
import time

import framing
import test_careful
import test_pipeline


def main(count, first):
    """Compare cases first .. first + count - 1; returns how many differ."""
    print("%d cases from seed %d, each with %d pairs of shell and awk"
          % (count, first, len(test_pipeline.PAIRS)))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for differs in pool.map(test_pipeline.difference, range(first, first + count)):
            if differs:
                print(differs)
                failed += 1
    print("%d passed, %d failed" % (count - failed, failed))
    return failed + frame(1000 * count, first)


def frame(count, seed):
    """Judge count lines with typed text; returns how many name another than the peer."""
    print("%d lines with typed text from seed %d" % (count, seed))
    judge = test_careful.logcheck.Judge({})
    framed = caught = 0
    for _, line in framing.lines(seed, count):
        got = test_careful.judged(judge, line)
        caught += got != "-"
        if got != "-" and not got.startswith(framing.PEER + " "):
            framed += 1
            print("%s: %r" % (got, line))
    print("%d judged, %d of them framed" % (caught, framed))
    return framed


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])) else 0)
