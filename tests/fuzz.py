"""`make fuzz`: more random cases than `make test` runs. usage: fuzz.py N [FIRST-SEED]"""
import concurrent.futures
import os
import sys
import time

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
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])) else 0)
