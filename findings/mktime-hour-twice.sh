#!/bin/sh
# glibc 2.36 (Debian 12's libc6 2.36-9+deb12u14) with mawk 1.3.4-20200120 and Python 3.11.2.
#
# Guess: mktime() of a local time that comes twice, when clocks are set back, is always the same
#     one of the two, and Python's time.mktime() and datetime.timestamp() agree about it.
# Behaviour: the answer depends on what the process asked before. glibc begins its search at the
#     offset that the last call found: behind a call for a day in summer 02:30 is the first of the
#     two, behind one for a day in winter, or as the first call, it is the second. So a program that
#     turns a log's stamps into seconds one after another moves 02:30 by an hour as soon as a
#     stamp or a file of another season comes by, and two runs over the same night differ.
#     datetime.timestamp() does not ask mktime(): it takes the first, so one Python program may
#     hold both opinions at once.
# Cure: say which: 1 or 0 in the place of tm_isdst, awk's seventh number, datetime's fold.
#
# Seen (seconds; 1792888200 is the first 02:30 of 2026-10-25, 1792891800 the second):
#     mawk: 1792891800, after July 1792888200, after December 1792891800
#     python: 1792891800, after July 1792888200, after December 1792891800
#     datetime: 1792888200, after July 1792888200, after December 1792888200
#     said: 1792888200 1792891800
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
for package in libc6=2.36-9+deb12u14 mawk=1.3.4.20200120-3.1 python3.11-minimal=3.11.2-6+deb12u9 \
        libpython3.11-minimal=3.11.2-6+deb12u9 libexpat1=2.5.0-1+deb12u5 \
        zlib1g=1:1.2.13.dfsg-1; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LIB=$(echo "$T"/lib/*-linux-gnu*)
# run PROGRAM: with the libc of the package, not the system's
run() {
    TZ='CET-1CEST,M3.5.0,M10.5.0/3' PYTHONHOME=$T/usr \
        "$LIB"/ld-linux-*.so.* --library-path "$LIB:$T/usr/lib/${LIB##*/}" "$@"
}
{
    run usr/bin/mawk 'BEGIN {
        twice = "2026 10 25 02 30 00"
        first = mktime(twice)
        mktime("2026 07 01 00 00 00"); july = mktime(twice)
        mktime("2026 12 01 00 00 00"); december = mktime(twice)
        print "mawk: " first ", after July " july ", after December " december
    }'
    run usr/bin/python3.11 - <<'END'
import datetime, time
mktime = lambda month, day, hour, minute, dst=-1: int(
    time.mktime((2026, month, day, hour, minute, 0, 0, 0, dst)))
python, other = [], []
for ask in (None, 7, 12):
    if ask:
        mktime(ask, 1, 0, 0)
    python.append(mktime(10, 25, 2, 30))
    other.append(int(datetime.datetime(2026, 10, 25, 2, 30).timestamp()))
print("python: %d, after July %d, after December %d" % tuple(python))
print("datetime: %d, after July %d, after December %d" % tuple(other))
print("said:", mktime(10, 25, 2, 30, 1), mktime(10, 25, 2, 30, 0))
END
} | tee seen
sed -n 's/^#     \([a-z]*: [0-9].*\)/\1/p' "$ME" > expected
cmp -s expected seen || { echo "mktime() takes the hour that comes twice otherwise"; exit 1; }
