"""Random input for the differential tests: everything that has a quirk in the pipeline, mixed."""
import calendar
import os
import random
import time

from host import Host, set_zone

ZONES = (  # both hemispheres, half hours, quarter hours, a change of half an hour, no change
    "UTC", "Europe/Prague", "America/New_York", "America/Los_Angeles", "America/St_Johns",
    "America/Santiago", "Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe",
    "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "Pacific/Auckland", "Pacific/Apia",
    "CET-1CEST,M3.5.0,M10.5.0/3", "NZST-12NZDT,M9.5.0,M4.1.0/3", "EST5EDT,M3.2.0,M11.1.0")
MAIL = (
    b"disconnect from unknown[%s]", b"disconnect from unknown[%s] ehlo=1 auth=0/1 commands=1/2",
    b"disconnect from unknown[%s] ehlo=1 auth=1 commands=2", b"auth=10 disconnect from unknown %s",
    b"disconnect from unknown[%s] auth=1/2", b"disconnect from unknown %s and %s auth=0/1",
    b"disconnect from host.example.org[%s]", b"Disconnect from unknown[%s]",
    b"disconnect  from unknown[%s]", b"connect from unknown[%s]", b"disconnect from unknown")
AUTH = (
    b"Failed password for root from %s port 22", b"Failed password for invalid user x from %s",
    b"Invalid user x from %s", b"Connection closed by %s [preauth]", b"by  %s", b"by %s",
    b"Did not receive identification string from %s", b"Did not receive identification from %s",
    b"Accepted password for bob from %s", b"chroot %s then %s", b"INVALID ROOT BY %s",
    b"root %s invalid %s by %s identification %s", b"session opened by (uid=0) %s", b"root")
TABLE = (
    b"# by hand", b"#", b"!192.0.2.1", b"!10.0.0.0/8", b"192.0.2.0/24", b"10/8", b"2001:db8::1",
    b"2001:db8::/32", b"host.example.org", b"self", b"<other>", b"", b"", b" ", b"\t", b" 10.1.1.1",
    b"\t9.9.9.9", b"  \t 8.8.8.8", b"-1.2.3.4", b"- 1.2.3.4", b"--1", b"-0.5", b"+1.2.3.4", b"-",
    b"1", b"1.2", b"1.2.3", b"1.2.3.", b".1.2.3", b"1..2.3", b"192.0.2.1 # why", b"1.2.3.4\r",
    b"99999999999999999999999.1", b"-99999999999999999999999.1", b"1.99999999999999999999.2.3",
    b"0x10.1.1.1", b"1e3.1.1.1", b"1,000.1.1.1", b"010.0.0.1", b"10.0.0.01", b"10.0.0.1x",
    b"10.0.0.1.5", b"10.0.0.1.10", b"10.0.0.1.-5", b"256.1.1.1", b"1.2.3.256", b"1.2.3.4.5",
    b"\xff\xfe", b"\xc3\xa9.1.1.1", b"~.1", b"10.-1.0.0", b"10. 2.0.0", b"10.\t3.0.0", b"...",
    b"0.0.0.0", b"-0.0.0.1", b"255.255.255.255", b"192.0.2.1/32", b"192.0.2.01", b"256.0.0.0/8",
    b"1.256/9", b"1.-1/9", b"1.2.3.-1/9", b"1.2.3.256/9", b"1.2.3.4.5/9")


def case(seed, folder):
    """The case that belongs to a seed (int), always the same, as a Host in a new folder (str)."""
    rng = random.Random(seed)
    zone = rng.choice(ZONES)
    set_zone(zone)
    days = rng.choice((1, 1, 1, 1, 1, 1, 2, 7, 31))
    now = moment(rng)
    maillog, authlog = (log(rng, now, days, messages) for messages in (MAIL, AUTH))
    bruteforce = lines(rng, [table_entry(rng) for _ in range(rng.randrange(25))])
    pf_table = lines(rng, [rng.choice((b"   ", b"", b"\t ")) + entry + rng.choice((b"", b" x"))
                           for entry in (table_entry(rng) for _ in range(rng.randrange(8)))
                           if not entry.strip(b"\t") or all(31 < c < 127 for c in entry)])
    os.mkdir(folder)
    return Host(folder, maillog, authlog, bruteforce, pf_table, now, zone, days)


def moment(rng):
    """A local time (epoch seconds) with a quirk near it, as often as not at the nightly hour."""
    year = rng.randrange(1999, 2037)
    kind = rng.randrange(6)
    if kind == 0:  # a month's end, New Year's among them
        month, day = rng.randrange(1, 13), 1
    elif kind == 1:  # day of one and of two digits, day of two and hour of one
        month, day = rng.randrange(1, 13), rng.choice((9, 10, 11))
    elif kind == 2:  # about Feb 29
        month, day = rng.choice(((2, 28), (2, 29), (3, 1), (3, 2)))
    elif kind == 3:  # about a change to or from daylight saving time
        month, day = rng.choice((3, 4, 9, 10, 11)), rng.choice((1, 8, 25)) + rng.randrange(7)
    else:
        month, day = rng.randrange(1, 13), rng.randrange(1, 29)
    hour, minute, second = rng.choice((
        (1, 30, 0), (1, 30, rng.randrange(60)), (0, 0, 0), (23, 59, 59), (9, 59, 59), (10, 0, 0),
        (rng.randrange(24), rng.randrange(60), rng.randrange(60))))
    utc = calendar.timegm((year, month, day, hour, minute, second))
    return 2 * utc - calendar.timegm(time.localtime(utc))


def log(rng, now, days, messages):
    """A log (bytes) with lines about both ends of the range and far from it."""
    start = now - 86400 * days
    found = []
    for _ in range(rng.randrange(40)):
        second = rng.choice((
            start, now, start + rng.randrange(-3, 4), now + rng.randrange(-3, 4),
            start + rng.randrange(-7300, 7300), now + rng.randrange(-7300, 7300),
            rng.randrange(start, now), rng.randrange(start, now),
            now - rng.randrange(400 * 86400)))
        stamp = stamp_of(rng, time.localtime(second))
        if rng.random() < 0.05:
            found.append(stamp)  # nothing after it: the upper end lets it in
            continue
        message = rng.choice(messages)
        if rng.random() < 0.1:
            message += b" " + rng.choice(messages)
        while b"%s" in message:
            message = message.replace(b"%s", dotted(rng), 1)
        found.append(b"%s mail sshd[%d]: %s" % (stamp, rng.randrange(1, 99999), message))
        if rng.random() < 0.05:
            found.append(rng.choice((b"", b"\xff\xfe 192.0.2.9 root", b"~root 192.0.2.8",
                                     b"Aug", b"\t" + message, message)))
    return lines(rng, found)


def stamp_of(rng, when):
    """A stamp (bytes): syslogd's, and now and then one that is not quite."""
    months = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    form = rng.choice((b"%s %2d %02d:%02d:%02d",) * 12 + (
        b"%s %02d %02d:%02d:%02d", b"%s %2d %2d:%02d:%02d", b"%s %d %d:%02d:%02d"))
    return form % (months[when.tm_mon - 1], when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec)


def dotted(rng):
    """Digits and dots (bytes), an address or something that could be taken for one."""
    kind = rng.randrange(8)
    if kind < 4:
        return b"%d.%d.%d.%d" % tuple(rng.randrange(256) for _ in range(4))
    if kind == 4:
        return b".".join(
            b"%0*d" % (rng.randrange(1, 5), rng.choice((0, 9, 99, 255, 256, 999, 1234)))
            for _ in range(rng.randrange(2, 10)))
    if kind == 5:
        return rng.choice((
            b"1234.5.6.789", b"1.2.3.4.5.6.7.8", b"1.2.3.4.5", b"..1.2.3.4..", b"1..2.3.4",
            b"1.2.3.4567", b"999.999.999.999", b"0.0.0.0", b"000.000.000.000", b"1.2.3.4-5.6.7.8",
            b"1.2.3,4", b"v1.2.3.4",
            b"[::ffff:1.2.3.4]", b"1.2.3.4/24", b"2001:db8::1", b"1.2.3.", b"1.2.3.x"))
    return bytes(rng.choice(b"0123456789....") for _ in range(rng.randrange(1, 40)))


def table_entry(rng):
    """A line (bytes) of a table."""
    return rng.choice(TABLE) if rng.random() < 0.5 else dotted(rng)


def lines(rng, entries):
    """The entries as lines (bytes), the last one perhaps unfinished."""
    rng.shuffle(entries)
    text = b"".join(entry + b"\n" for entry in entries)
    return text[:-1] if rng.random() < 0.25 else text
