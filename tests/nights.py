"""Years of nightly runs at 01:30: which lines the shell's range sees, and how the table grows. Run
by itself it prints the README's figures. That careful mode sees every line is in test_careful.py.
"""
import bisect
import calendar
import concurrent.futures
import errno
import functools
import os
import tempfile
import time

from host import logcheck, set_zone


@functools.lru_cache(3000)  # the minutes of two days: each night sees the last one's again
def stamp(second):
    return time.strftime("%b %e %H:%M:%S", time.localtime(second)).encode()


def runs(year):
    """The epoch seconds of the runs of a year, 01:30 local time each."""
    return [int(time.mktime((year, 1, day, 1, 30, 0, 0, 0, -1)))
            for day in range(1, 366 + calendar.isleap(year))]


def shell_sees(year):
    """What the shell sees of a year: the nights on which its range ends before it begins (list of
    str), the hours that no run sees, and the percentage of lines that it sees of a log rotated
    every day at an hour (24 floats).
    """
    set_zone("UTC")
    blind, seen, shares = [], set(), [0] * 24
    nights = runs(year)
    for night in nights:
        first, last = logcheck.time_range(night, 1)
        if first > last:
            blind.append(time.strftime("%b %e", time.localtime(night)))
        minutes = [second for second in range(night - 86400 * 2, night, 60)
                   if first <= stamp(second) + b" x" <= last]
        seen.update(minutes)
        for hour in range(24):
            rotated = night - (night - hour * 3600) % 86400
            shares[hour] += len(minutes) - bisect.bisect_left(minutes, rotated)
    # the morning hours of a run's own day may be left to the next run
    unseen = set(range(nights[0] - 86400, nights[-1] - 86400, 60)) - seen
    return blind, round(len(unseen) / 60), [share / len(nights) / 14.4 for share in shares]


class Pf:
    """In place of logcheck.command: pf's table, with the room that tests/standins/pfctl gives."""

    def __init__(self, etcfile, limit):
        self.etcfile, self.limit, self.table, self.refused = etcfile, limit, set(), []

    def __call__(self, pfctl, *args, text=b""):
        if args == ("-sm",):
            return b"table-entries hard limit %8d\n" % self.limit
        if args[-1] == "show":
            return b"".join(b"   %s\n" % entry for entry in self.table)
        with open(self.etcfile if args[0] == "-f" else args[-1], "rb") as file:
            new = {line.split(b" ")[0].strip() for line in file}
        room = len(self.table) + len(new) if args[0] == "-f" else len(self.table | new)
        if room > self.limit:
            self.refused.append(args)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        self.table = new
        return b""


def year(options, limit=200000, nights=365, new=600):
    """A year of nights, each with so many addresses that were not there before: what became of
    it, [(night, entries in the file, in pf's table, runs that pf refused, that exited with 1)].
    """
    set_zone("UTC")
    with tempfile.TemporaryDirectory() as folder:
        log, etcfile = os.path.join(folder, "authlog"), os.path.join(folder, "bruteforce")
        pf = logcheck.command = Pf(etcfile, limit)
        logcheck.to_stderr = lambda text: None
        open(etcfile, "wb").close()
        rows, failed = [], 0
        for night in range(1, nights + 1):
            now = 1514770200 + night * 86400  # 2018-01-01 01:30:00
            with open(log, "wb") as file:
                for number in range((night - 1) * new, night * new):
                    file.write(stamp(now - 40000) + b" mx sshd[2]: Failed password for root from "
                               b"10.%d.%d.%d port 9 ssh2\n"
                               % (number >> 16, number >> 8 & 255, number & 255))
            failed += logcheck.main(["-m", os.devnull, "-a", log, "-e", etcfile, "--now", str(now)]
                                    + options)
            with open(etcfile, "rb") as file:
                rows.append((night, file.read().count(b"\n"), len(pf.table), len(pf.refused),
                             failed))
    return rows


if __name__ == "__main__":
    blind, hours, shares = shell_sees(2018)
    print("the shell's range is empty on %d nights a year (%s); %d hours unseen"
          % (len(blind), ", ".join(blind), hours))
    for hour, share in enumerate(shares):
        print("rotated at %02d:00, the shell sees %.1f%% of the lines" % (hour, share))
    ways = [[], ["-x", "90"], ["-c"], ["-c", "-x", "90"]]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for way, rows in zip(ways, pool.map(year, ways)):
            print("365 nights of 600 new addresses, pf's limit 200000, %s:\n"
                  "night  in the file  in pf  refused by pf  exit 1"
                  % (" ".join(way) or "no option"))
            shown = {1, 91, 180, 270, 365} | {
                next((row[0] for row in rows if row[column]), 365) for column in (3, 4)}
            for row in rows:
                if row[0] in shown:
                    print("%5d%13d%7d%15d%8d" % row)
