"""Random input for the differential tests: everything that has a quirk in the pipeline, mixed. The
pieces are in random.txt.
"""
import calendar
import os
import random
import time

from host import Host, entries, set_zone

ZONES, MAIL, AUTH, ODD, TABLE = map(entries, ("zones", "mail", "auth", "odd", "table"))


def case(seed, folder):
    """The case that belongs to a seed (int), always the same, as a Host in a new folder (str)."""
    rng = random.Random(seed)
    zone = rng.choice(ZONES).decode()
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
        return rng.choice(ODD)
    return bytes(rng.choice(b"0123456789....") for _ in range(rng.randrange(1, 40)))


def table_entry(rng):
    """A line (bytes) of a table."""
    return rng.choice(TABLE) if rng.random() < 0.5 else dotted(rng)


def lines(rng, entries):
    """The entries as lines (bytes), the last one perhaps unfinished."""
    rng.shuffle(entries)
    text = b"".join(entry + b"\n" for entry in entries)
    return text[:-1] if rng.random() < 0.25 else text
