"""Two years of nightly runs at 01:30: which lines the shell's range sees and which careful mode's.

Run by itself it prints the README's figures.
"""
import calendar
import os
import sys
import time

import tools

sys.path.insert(0, tools.TOP)
import logcheck  # noqa: E402

YEARS = (2018, 2019)
ZONE = "Europe/Prague"
STEP = 600  # seconds from line to line
NIGHT = 5400  # 01:30


def in_zone(zone):
    """Make a zone the process's own; returns the one before."""
    before = os.environ.get("TZ", "")
    os.environ["TZ"] = zone
    time.tzset()
    return before


def stamp(second):
    return time.strftime("%b %e %H:%M:%S", time.localtime(second)).encode()


def runs(year):
    """The epoch seconds of the runs of a year, 01:30 local time each."""
    return [int(time.mktime((year, 1, day, 1, 30, 0, 0, 0, -1)))
            for day in range(1, 366 + calendar.isleap(year))]


def careful_misses(years):
    """The lines of whole years that careful mode judges in another run than the one that follows
    them, or in none: [(stamp, runs it is in)]. A line each ten minutes, and none on the hour of a
    run, which belongs to two.
    """
    before = in_zone(ZONE)
    try:
        wrong = []
        nights = [night for year in years for night in runs(year)]
        for first, last in zip(nights, nights[1:]):
            days = logcheck.Days(last, 1)
            near = range(first - 3 * 86400 + 1, last + 86400, STEP)
            for second in near:
                seen = bool(days.in_range([stamp(second) + b" x"]))
                # by the clock on the line: an hour that comes twice is both times in the range
                if seen != (first < second < last):
                    wrong.append((stamp(second), stamp(last), seen))
        return wrong
    finally:
        in_zone(before)


def shell_blind_nights(year):
    """The nights of a year on which the shell's range ends before it begins, and the hours of the
    year that no run of the shell sees.
    """
    before = in_zone("UTC")
    try:
        blind = []
        seen = set()
        start = runs(year)[0] - 86400
        for night in runs(year):
            first, last = logcheck.time_range(night, 1)
            if first > last:
                blind.append(time.strftime("%b %e", time.localtime(night)))
            for second in range(night - 86400 * 2, night, 60):
                if first <= stamp(second) + b" x" <= last:
                    seen.add(second)
        end = runs(year)[-1]
        # the morning hours of a run's own day may be left to the next run
        unseen = sum(1 for second in range(start, end - 86400, 60) if second not in seen)
        return blind, round(unseen / 60)
    finally:
        in_zone(before)


def shell_share(year, hour):
    """The percentage of lines that the shell sees of a log rotated every day at an hour."""
    before = in_zone("UTC")
    try:
        seen, lines = set(), 0
        for night in runs(year):
            first, last = logcheck.time_range(night, 1)
            rotated = night - (night - hour * 3600) % 86400
            for second in range(night - 86400, night, 60):
                lines += 1
                if second >= rotated and first <= stamp(second) + b" x" <= last:
                    seen.add(second)
        return 100 * len(seen) / lines
    finally:
        in_zone(before)


if __name__ == "__main__":
    blind, hours = shell_blind_nights(2018)
    print("the shell's range is empty on %d nights a year (%s); %d hours unseen"
          % (len(blind), ", ".join(blind), hours))
    for hour in range(24):
        print("rotated at %02d:00, the shell sees %.1f%% of the lines" % (hour, shell_share(2018, hour)))
    print("careful mode: lines of two years in the wrong run, or in none: %d" % len(careful_misses(YEARS)))
