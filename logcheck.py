#!/usr/bin/env python3
"""logcheck.py: feed attackers found in maillog and authlog to pf's bruteforce table.

Every night it reads the last day of both logs, picks out attackers' addresses, merges them with
pf's table and the file that table is loaded from, and has pf load the result. By default it writes
what the shell script /root/logcheck.sh (awk, grep, sort, uniq) wrote, byte for byte but for what pf
cannot load, and is called in its place from /etc/daily.local. The first part of this file is that
script, one function a stage. `logcheck.py -h` lists the options, README is the manual.

Where it can be wrong: the default mode believes any address in a suspicious line, even one that a
client has typed. Careful mode knows only the messages in RULES; whoever logs in or delivers mail
outweighs his own failures; many users behind one address are one peer; and a line that a syslogd
has cut in the middle of typed text may look whole.

Copyright (c) 2026 the logcheck.py authors

Permission to use, copy, modify, and distribute this software for any purpose with or without
fee is hereby granted, provided that the above copyright notice and this permission notice
appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE
OF THIS SOFTWARE.
"""
import sys

if __name__ == "__main__":
    def last_resort(kind, error, trace):
        """One line in place of a traceback, whatever happens from here on."""
        while trace.tb_next and trace.tb_next.tb_frame.f_globals is globals():
            trace = trace.tb_next
        sys.stderr.write("logcheck: line %d: %s: %s\n" % (
            trace.tb_lineno, kind.__name__, " ".join(str(error).split())))

    sys.excepthook = last_resort
    if not sys.flags.isolated and sys.executable and sys.argv[0] != "-":
        # nobody else's modules in a root process: start again without PYTHONPATH, the current
        # folder and site-packages (make install puts -IS into the first line)
        import os
        os.execv(sys.executable, [sys.executable, "-IS"] + sys.argv)

import collections
import contextlib
import errno
import fcntl
import functools
import gc
import itertools
import os
import re
import select
import signal
import stat
import time

# Named as in the shell script: what you changed there, change here.
ETCFILE = "/etc/bruteforce"  # from which bruteforcers are loaded into pf
MAILLOG = "/var/log/maillog"
AUTHLOG = "/var/log/authlog"
PF_CONF = "/etc/pf.conf"
TABLE = "bruteforce"

DAYS = 1  # of 86400 seconds, whatever daylight saving does
COUNT = 5  # careful mode: failures that make an attacker
MASK6 = 64  # careful mode: bits of an IPv6 network that is judged as one peer
WAIT = 60  # seconds to wait for another run, or for somebody to write to a log that is a FIFO
PATIENCE = 300  # seconds that pfctl or sendmail may take
SBIN = "/sbin:/usr/sbin"  # where they are found too: cron's PATH may lack it
BLOCK = 64 * 1024  # bytes read at a time: more take a tenth longer
LONGEST = 1024 * 1024  # bytes of a line that are looked at

VERSION = "logcheck.py 2.0"


# ---- The shell script ----------------------------------------------------------------------------

def main(args):
    """The whole program. args: the command line (list of str). Returns the exit code, 0 or 1."""
    options = Options(args)
    night = Night()
    try:
        if options.allow:
            night.allowed = reach_of(net for _, _, net in allow_lines(options.allow))
    except OSError as error:
        return night.complain(error.filename or "allow list", error)
    if options.forgive:
        return forgive(options, night)
    if options.why:
        return explain_why(options, night)

    # the attackers of the last day, from both logs
    find = careful_attackers if options.careful else attackers
    found = find(options, night)

    try:  # they join pf's own table and the old file, and pf takes the result
        table = update(options, night, found)
        say_left_out(options, night)
    except OSError as error:
        table = not_written(options, night, error)

    if options.reported:
        tell(options, night, found, table)
    if options.dry_run and table is not None:
        print_lines(night, table)
    return night.status


def attackers(options, night):
    """The pipeline's first half, from both logs to the addresses in their suspicious lines:
    {address (bytes): Verdict, its why the log's name}. Logs that cannot be read are said.
    """
    start, end = time_range(options.now, options.days)
    night.range = start.decode(), end.decode()
    if start > end:
        night.say("range", "nothing found: %s sorts behind %s; careful mode (-c) knows dates"
                  % night.range)
    found = {}
    for path, suspects in ([(path, mail_suspects) for path in options.maillog]
                           + [(path, auth_suspects) for path in options.authlog]):
        verdict, block = Verdict(visible(os.path.basename(path))), b""
        for block, tally in read_log(options, night, path, SYSLOG_STAMP):
            # the report counts those out of range, too
            lines = suspects(block, *ANY_LINE if options.reported else (start, end))
            if options.reported:
                tally.read += block.count(b"\n") + 1
                tally.suspicious += len(lines)
                lines = in_range(lines, start, end)
                tally.in_range += len(lines)
                explain(lines, night.findings)
            found.update(dict.fromkeys(ADDRESS.findall(b"\n".join(lines)), verdict))
        if end[4:5] == b" " and re.match(rb"... 0", block[block.rfind(b"\n") + 1:]):
            night.say(path, "nothing found: 0%s sorts behind %s; careful mode (-c) knows dates"
                      % (night.range[1][5], night.range[1]))
    return found


def time_range(now, days):
    """`date -r $(expr $(date +%s) - 86400) '+%b %d %H:%M:%S' | sed "s/ 0/  /"`, and the same for
    now: the first and last stamp (bytes) of so many days up to an epoch second, local time. The
    first " 0" is a day's up to the 9th, later an hour's up to nine: sed takes it either way.
    """
    return tuple(
        time.strftime("%b %d %H:%M:%S", time.localtime(second)).replace(" 0", "  ", 1).encode()
        for second in (now - days * 86400, now))


MAIL_WORDS = rb"disconnect from unknown"  # searched with find(): no "|"
AUTH_WORDS = rb"root|invalid|by [0-9]|identification"
ANY_LINE = b"", b"\xff" * LONGEST  # a range that holds every line


def mail_suspects(block, start, end):
    """`awk '$0>=from&&$0<=to' | grep "disconnect from unknown" | grep -v auth=1`: those of a
    block's lines (bytes; list of bytes). Few hold it: splitting the block takes five times as long.
    """
    block += b"\n"
    lines, at = [], block.find(MAIL_WORDS)
    while at >= 0:
        line_end = block.index(b"\n", at)
        lines.append(block[block.rfind(b"\n", 0, at) + 1:line_end])
        at = block.find(MAIL_WORDS, line_end)
    return in_range([line for line in lines if b"auth=1" not in line], start, end)


def auth_suspects(block, start, end):
    """`awk '$0>=from&&$0<=to' | grep -E "root|invalid|by [0-9]|identification"`: those of a
    block's lines (bytes; list of bytes). Few are left after the range, so it comes first; then few
    hold a word: looking for one after another is three times as fast as for all at once.
    """
    text, ends = b"\n".join(in_range(block.split(b"\n"), start, end)), {}
    for word in AUTH_WORDS.split(b"|"):
        for hit in re.finditer(word + b".*", text):
            ends[text.rfind(b"\n", 0, hit.start()) + 1] = hit.end()
    return [text[begin:ends[begin]] for begin in sorted(ends)]


def in_range(lines, start, end):
    """`awk '$0>=from&&$0<=to'`: the lines (list of bytes) from start to end, compared whole."""
    return [line for line in lines if start <= line <= end]


# `grep -oE "([0-9]{1,3}\.){3}[0-9]{1,3}"`; starts with a plain class: the search then leaps from
# digit to digit, and is faster
ADDRESS = re.compile(rb"[0-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
SYSLOG_STAMP = re.compile(rb"[A-Z][a-z][a-z] [ 0-3][0-9] [ 0-2][0-9]:[0-9][0-9]:[0-9][0-9]")


def open_log(path):
    """`cat LOG`: a log (str; - is standard input) as an open binary file, unpacked as its name
    tells. Raises OSError; ImportError where Python lacks the format.
    """
    # a FIFO that nobody writes to would hold up a plain open for ever, and standard input that does
    # not block would look empty
    fd = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    log = open(fd, "rb", buffering=0, closefd=fd > 0)
    for ending, module in ((".gz", "gzip"), (".bz2", "bz2"), (".xz", "lzma")):
        if path.endswith(ending):
            return __import__(module).open(log)
    return log


def read_log(options, night, path, stamp, log=None):
    """Yield the blocks of a log (path: str; open already if log is given), each with the log's
    Tally. A log that cannot be read is reported; so is one that is not empty and in which no stamp
    (compiled pattern) begins one of the first 100 lines: a run that sees nothing must not look
    like a quiet night. With -v, a terminal is told how far the reading has come.
    """
    tally = Tally(path)
    night.tallies.append(tally)
    try:
        log = log or open_log(path)
        about, block = os.fstat(log.fileno()), b""
        progress = options.verbose and os.isatty(2) and stat.S_ISREG(about.st_mode)
        try:
            for number, block in enumerate(blocks(log), 1):
                tally.first = tally.first or first_stamp(stamp, block.split(b"\n", 100)[:100])
                if number == 1 and not tally.first:
                    night.say(path, "no line that a time stamp begins: is it the right log, and as "
                              "text?")
                yield block, tally
                if progress and number % 16 == 0:
                    to_stderr(b"\r\x1b[K%s: %d of %d MB" % (
                        visible(path).encode(), os.lseek(log.fileno(), 0, os.SEEK_CUR) >> 20,
                        about.st_size >> 20))
        finally:
            tally.last = first_stamp(stamp, reversed(block.rsplit(b"\n", 100)))
            tally.changed = about.st_mtime if stat.S_ISREG(about.st_mode) else 0
            if progress:
                to_stderr(b"\r\x1b[K")
    # the last two are the unpackers' own, where open_log() has imported them
    except (OSError, EOFError, ImportError, getattr(sys.modules.get("zlib"), "error", OSError),
            getattr(sys.modules.get("lzma"), "LZMAError", OSError)) as error:
        night.complain(path, error)


def blocks(log):
    """Yield an open log's text in blocks (bytes) of whole lines, each without its last newline.
    Closes the log. Raises what its unpacker raises. NUL bytes at a line's beginning, left there by
    a power cut, are no part of it. Of a line over LONGEST only so much is looked at.
    """
    rest = b""
    read = getattr(log, "read1", log.read)  # read() loses what stands before damage
    with log:
        fifo = log.fileno() and stat.S_ISFIFO(os.fstat(log.fileno()).st_mode)
        while True:
            if fifo and not select.select([log], [], [], WAIT)[0]:
                raise OSError(errno.ETIMEDOUT, "nobody wrote to it for %d seconds" % WAIT)
            data = read(BLOCK)
            if not data:
                break
            if not rest:
                data = data.lstrip(b"\0")
            if b"\0" in data:
                data = re.sub(b"\n\0+", b"\n", data)
            head, last = data.find(b"\n"), data.rfind(b"\n")
            if last < 0:
                rest += data[:LONGEST - len(rest)]
                continue
            yield (rest + data[:head])[:LONGEST] + data[head:last]
            rest = data[last + 1:]
        if rest:
            yield rest


def update(options, night, found):
    """`pfctl -T show`, `cat "$ETCFILE"`, `sort | uniq > "$ETCFILE"` and `pfctl -f`: the addresses
    found ({bytes: Verdict}) join pf's and the old entries, and pf takes the new table. From
    reading the file to its replacement other runs wait. --dry-run only reads. Returns the new
    table (list of bytes). Raises OSError if the old one stays.
    """
    target = os.path.realpath(options.etcfile)
    temporary = target + ".logcheck"
    with locked(temporary, options.dry_run) as new:
        known = pf_table(options, night)
        night.old, about = old_file(target)
        table = merge(options, night, known or (), found)
        table = within_limit(options, night, table, known)
        if options.dry_run:
            night.pf = "dry run, nothing written"
            return table
        fill(new, table, about)
        if options.careful and known is not None:
            try:  # pf takes it before it becomes the file, and loads no ruleset
                command("pfctl", "-t", options.table, "-T", "replace", "-f", temporary)
                night.pf = "pf has it"
            except OSError as error:
                night.pf = "pf did NOT take it: " + visible(error.strerror)
                raise OSError(error.errno, "not written, pf refuses it: " + error.strerror)
        rename(options, night, new, temporary, target, about)
        if about is None:
            night.say(options.etcfile, "was not there and has been made")
    if not options.careful and known is not None:
        taken = try_command(night, "pfctl", "-f", options.pf_conf)
        night.pf = "pf did NOT take it: " + night.errors[-1] if taken is None else "pf has it"
    return table


def pf_table(options, night):
    """`pfctl -t TABLE -T show | awk '{print $1}'` (list of bytes). If it fails, that is said, and
    what pf alone holds is not known. None if there is no pf to ask: --no-pf, or no pfctl.
    """
    if options.no_pf:
        return None
    try:
        shown = command("pfctl", "-t", options.table, "-T", "show")
        if re.search(rb"[^\t\n -~]", shown):
            raise OSError(errno.EIO, "-t %s -T show: not the text of a table" % options.table)
    except OSError as error:
        night.complain("pfctl", error)
        if error.errno == errno.ENOENT:
            night.pf = "pf did NOT take it: " + night.errors[-1]
            return None
        return []
    return re.findall(rb"^[ \t]*([^ \t\n]+)", shown, re.MULTILINE)


def old_file(path):
    """`cat "$ETCFILE"`: its lines (list of bytes) and its os.stat(), or [] and None if not there.
    Raises OSError if it exists and cannot be read, or is not a regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return [], None
    with open(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read().split(b"\n"), about


# digits and dots that are not four numbers up to 255: pfctl asks DNS for them, and then refuses the
# whole ruleset; FreeBSD's reads leading zeros as octal
OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
UNLOADABLE = re.compile(rb"^(?!(?:%s\.){3}%s$)[0-9.]+$" % (OCTET, OCTET), re.MULTILINE)
NOT_LOADED = "pf could not load it"


def merge(options, night, known, found):
    """`grep -v "^$" | sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 | uniq` over the old file's lines,
    pf's (known) and the addresses found. Returns the table (sorted list of bytes). What is left out
    of it is noted in the night: what is allowed, and what pf could not load.
    """
    entries = set(night.old).union(known, found)
    entries.discard(b"")
    night.left_out = {entry: NOT_LOADED for text in in_chunks(list(entries))
                      for entry in UNLOADABLE.findall(text)}
    if night.allowed:
        night.left_out.update((entry, "allowed") for entry in entries
                              if is_allowed(entry, night.allowed))
    entries -= night.left_out.keys()
    if options.expire:
        entries = dated(options, night, entries, found)
    entries = list(entries)  # the set of a million takes as much memory as their sorting
    entries.sort(key=sort_key)
    return entries


def sort_key(entry):
    """The first four fields of an entry (bytes) as `sort -n` reads them, then all of it (tuple)."""
    return (*map(field_number, (entry + b"...").split(b".", 4)[:4]), entry)


@functools.lru_cache(1024)  # most fields come again
def field_number(field):
    """The number (int) that `sort -n` reads in a field (bytes): blanks, perhaps a minus, digits;
    zero if there are none. Read in base 16: same order, and no limit of 4,300 digits.
    """
    minus, digits = re.match(rb"[ \t]*(-?)([0-9]*)", field).groups()
    return int(minus + (digits or b"0"), 16)


# ---- Careful mode --------------------------------------------------------------------------------

def careful_attackers(options, night):
    """The attackers of the last days, {address or IPv6 network (bytes): Verdict}, as a court finds
    them: every line that RULES know is evidence for or against its peer, and all of the range is
    heard before judgement. A log that cannot be read is reported.
    """
    period = Range(options.now, options.days)
    night.range = period.ends
    try:
        court = Court(options, period)
    except ValueError as error:
        sys.exit(night.complain("RULES", error))
    seen = set()
    for path in options.maillog + options.authlog:
        done = len(night.tallies)
        for name, log in generations(path, period.first, night, seen):
            court.begin()
            logged = read_log(options, night, name, ANY_STAMP, log)
            for block, tally in usual_heads(night, period, logged):
                court.hear(block, tally)
            if court.unread:
                night.say(name, "no rule can read what stands before this message: %s"
                          % shown_line(court.unread)[:300])
        warn_of_stamps(night, path, period, night.tallies[done:])
    return court.judge(night)


class Range:
    """The last days and two hours more, by the stamps on the lines: nothing is lost where a clock
    was set back or this run begins later than the night before.

    first, last: epoch seconds; ends: both as local time (str); hours: {an hour of the range as
    syslogd writes it, "Apr  8 12" or "Apr 08 12" (bytes): "2018-04-08 12" (str)}; inner: those that
    need no look at the minutes; iso_hours: {(hour, offset) of an ISO stamp (bytes): whether it lies
    in the range, or None if a part does}; dates: the first and last ISO date (bytes) that may.
    """

    def __init__(self, now, days):
        year, month, day, hour, *clock = time.localtime(now)[:6]
        self.first = int(time.mktime((year, month, day - days, hour - 2, *clock, 0, 0, -1)))
        self.last = now
        self.ends = local_time(self.first), local_time(now)
        # an ISO date may be of another zone, up to a day away
        self.dates = [local_time(second)[:10].encode()
                      for second in (self.first - 86400, now + 86400)]
        self.hours = {time.strftime(form, time.localtime(second)).encode(): local_time(second)[:13]
                      for second in [*range(max(self.first, now - 366 * 86400), now, 1800), now]
                      for form in ("%b %e %H", "%b %d %H")}
        self.iso_hours = {}
        # from 365 days on, stamps without a year cannot tell the first hour from the last
        edges = [end[:13] for end in self.ends] if days < 365 else []
        self.inner = {stamp for stamp, hour in self.hours.items() if hour not in edges}

    def may_hold(self, line):
        """Whether a line (bytes) may lie in the range, by its hour or ISO date alone."""
        if line[4:5] == b"-":
            return self.dates[0] <= line[:10] <= self.dates[1]
        return line[:9] in self.hours

    def holds(self, line):
        """Whether a line (bytes) lies in the range."""
        hour = line[:9]
        if hour in self.inner:
            return True
        if hour in self.hours:
            second = self.hours[hour] + line[9:15].decode("latin-1")
            return self.ends[0] <= second <= self.ends[1]
        stamp = ISO_STAMP.match(line)
        if not stamp:
            return False
        iso_hour = line[:13], stamp[7] or b""
        if iso_hour not in self.iso_hours:  # all of its seconds are in the range, none, or some
            begins, ends = (self.holds_second(b"%s:%s%s" % (iso_hour[0], clock, iso_hour[1]))
                            for clock in (b"00:00", b"59:59"))
            self.iso_hours[iso_hour] = begins if begins == ends else None
        inside = self.iso_hours[iso_hour]
        return self.holds_second(line) if inside is None else inside

    def holds_second(self, line):
        """Whether the ISO stamp that a line (bytes) begins with lies in the range."""
        second = iso_second(line)
        return second is not None and self.first <= second <= self.last


def warn_of_stamps(night, path, period, tallies):
    """Say what the stamps of a log (path: str; tallies: its generations', oldest first) tell of it:
    that it does not reach back to the beginning of the range, that its clock is another zone's.
    """
    if not tallies or not tallies[-1].last:
        return
    log = tallies[-1]
    with contextlib.suppress(OSError):
        if period.holds(tallies[0].first) and not tallies[1:] and not rotated(path, 0):
            log.remark = "; no rotated log found: the hours before are not there"
    with contextlib.suppress(ValueError, OverflowError):
        apart = abs(log.changed - (iso_second(log.last) or time.mktime(time.strptime(
            local_time(log.changed)[:5] + log.last.decode("latin-1"), "%Y-%b %d %H:%M:%S"))))
        # a multiple of a quarter of an hour, give or take two minutes; zones end 14 hours from UTC
        if (1680 <= apart <= 50520 and (apart + 120) % 900 <= 240
                and not re.search(b"[Z+-]", log.last[19:])):  # an ISO stamp's own zone
            night.say(path, "its last stamp is %s, and it was changed at %s: are the stamps of "
                      "another time zone?" % (visible(log.last), local_time(log.changed)))


def local_time(second):
    """An epoch second as "2018-04-08 12:00:00" (str)."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


ISO_STAMP = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-5][0-9]):([0-6][0-9])"
    rb"(?:[.,][0-9]{1,9})?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?")
ANY_STAMP = re.compile(  # perhaps behind what LAYOUTS take away
    rb"(?:(?:\S{24,25} |)[a-z0-9]+\.[a-z]+: |(?:<\d+>|)(?:1 |)|[A-Z][a-z]{2} |)(?:"
    + SYSLOG_STAMP.pattern + b"|" + ISO_STAMP.pattern + b")")


def iso_second(line):
    """The epoch second of an ISO 8601 or RFC 3339 stamp that a line (bytes) begins with; local
    time if it names no offset; None if there is none, or no such time.
    """
    import datetime
    stamp = ISO_STAMP.match(line)
    try:
        *date, second = map(int, stamp.groups()[:6])
        zone = stamp.group(7)
        when = datetime.datetime(*date, min(second, 59))
        if not zone:
            return when.timestamp()
        if zone != b"Z":
            when -= datetime.timedelta(hours=int(zone[:3]), minutes=int(
                zone[:1] + (zone[3:].strip(b":") or b"0")))
        return when.replace(tzinfo=datetime.timezone.utc).timestamp()
    except (AttributeError, ValueError, OverflowError, OSError):
        return None


def generations(path, since, night, seen):
    """Yield a log (str) and, before it, oldest first, the rotated ones that may hold a line since
    an epoch second: (name, open file). None stands for a file that could not be opened yet. The
    youngest are opened before the first is read: what is rotated meanwhile is still read. seen:
    {(device, inode)} of the files that need not be read again, which it extends.
    """
    logs, older = [(path, try_open(path))], []
    try:
        older = rotated(path, since)
    except OSError as error:
        if logs[0][1][0]:
            night.complain(os.path.dirname(path) or ".", error)
    for name in older:
        if PACKED.search(name):
            night.complain(name, "cannot be unpacked: it is not read")
        else:
            logs.append((name, try_open(name) if len(logs) < HELD else None))
    for name, opened in reversed(logs):
        log, inode = opened or try_open(name)
        if inode in seen:
            log.close()
            continue
        if inode:
            seen.add(inode)
        yield name, log


HELD = 10  # files of one log that are open at a time
PACKED = re.compile(r"\.(?:zst|Z|lz4|lzo|lz|lzma|br|zip|7z)\Z")


def rotated(path, since):
    """What newsyslog(8), logrotate or the like made of a log (str), where the mtime lets it hold a
    line since an epoch second: names, newest first; of a link, beside its target, too:
    maillog.0.gz, maillog-20180409, mail.1.log (of mail.log). Raises OSError.
    """
    logs = {}  # {(folder, name, not packed): (mtime, path)}
    for place in [path] + [os.path.realpath(path)] * os.path.islink(path):
        folder, base = os.path.split(place)
        name, ending = map(re.escape, os.path.splitext(base))
        number = "[.-][0-9][0-9TZ:_+-]*"
        forms = [name + ending + number, name + number + ending]
        if base == "current":  # svlogd's, multilog's and s6-log's; metalog's
            forms += ["@[0-9a-f]{24}[.][su]", "log-[0-9:-]+"]
        names = re.compile("(%s)(?:[.](?:gz|bz2|xz)|%s)?" % ("|".join(forms), PACKED.pattern))
        # while maillog.0.gz is being written, maillog.0 is still there and sorts first
        for name in sorted(os.listdir(folder or ".")) if path != "-" else []:
            match = names.fullmatch(name)
            if match:
                with contextlib.suppress(OSError):  # renamed just now
                    name = os.path.join(folder, name)
                    mtime = os.stat(name).st_mtime
                    if mtime >= since - 3600:
                        logs.setdefault((folder, match.group(1)), (mtime, name))
    return [name for _, name in sorted(logs.values(), reverse=True)]


def try_open(path):
    """open_log(path) and, of a regular file, its (device, inode): None and None if that fails."""
    try:
        log = open_log(path)
        about = os.fstat(log.fileno())
    except (OSError, ImportError):
        return None, None
    return log, (about.st_dev, about.st_ino) if stat.S_ISREG(about.st_mode) else None


# What the daemons write of their peers: a row for each message, and before it the fields that it
# is the first to use. A line of a log and its row; two blanks separate verdict, why and template:
#
#   Apr  8 12:00:00 mail sshd[42]: Failed password for bob from 192.0.2.7 port 4711 ssh2
#   FAIL/ssh/failed  failed password  Failed <PASSWORD> for <USER> from <PEER><SSH2>
#
# FAIL      WHAT is said. Against the peer: SURE, FAIL, LEFT (a client without a name leaves Postfix
#           without login and delivery), REJECT. For it: LOGIN, DELIVERED. Our own side: PUTOFF (a
#           4xx of ours), DOWN (our login service), OURS (our doing ends this connection of sshd),
#           UNDONE (a delivery is refused after all). NOTHING. Of OpenSMTPD's sessions: PEER (its
#           address), END. With a "+", the rows that follow are tried, too.
# ssh       DOOR: where the peer knocked. Rows of Postfix hold for submission and smtps as well,
#           whose door is "submission", unless their door is "port 25". What our own side does at
#           the door "none" takes back failed logins, but no leaving.
# failed    WITNESS: which of the lines logged for one attempt this is. The highest count of any
#           witness is taken.
# template  The whole message. <NAME> is a field, a regular expression; {a|b} is a or b; <IP> is the
#           peer; <N> a number of attempts that the line states. If <SURE> takes part in the match,
#           the row counts as SURE. "~": the search for candidates compares the template so far, not
#           only its literal beginning.
#
# Nothing that a client types can move the place of <IP> in a whole line: what stands before typed
# text is fixed, and behind it, up to the end, stand only the daemon's own words. Rows are tried in
# order, and the first that matches ends the search. Long ones go on indented, after a "|" without a
# blank. Lines for each stand in tests/rules.txt, with their sources.
RULES = r"""
every daemon
<IP> = (?P<ip>[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|(?:IPv6:|
    )[\da-fA-F]{0,4}:[\da-fA-F:]{1,34}(?:[\d.]{7,15}|)(?:%[\w.-]{1,16}|))
<ANY> = .*
<WORD> = \S{1,100}
<TOKEN> = \S*
<DIGITS> = \d{1,10}
<SERVICE> = [^\s)]{1,30}
<PAM> = logname=\S* uid=\d+ euid=\d+ tty=\S* ruser=\S* rhost=<IP>\s*
<CLIENT> = \[<IP>\](?::\d{1,5}|)
<HOST> = (?:unknown|(?P<named>[\w.-]+)|)<CLIENT>
<HELLO> = (?:\\026\\003|\?\?(?![A-Z]{3,7} )).*
<MECH> = [\w-]{1,40}

sshd
# typed: sshd makes up to four bytes of one. Behind more than any account's name, a port must
# follow: where a syslogd has cut the line, the address may be typed, too
<NAME> = (?:.{65,400}(?= from \S{2,60} port \d)|.{0,64})
<PEER> = <IP>(?: port \d{1,5}|)
<PRE> = (?: \[preauth\]|)
SURE/ssh/user        unknown user  {Invalid|Illegal} user <NAME> from <PEER><PRE>
<METHOD> = (?!hostbased )\S{1,100}
<USER> = (?:.{65,300}(?=(?: from|) \S{2,60} port \d)|.{0,64})
# FreeBSD's own
<VIA> = (?: via [\da-fA-F.:]{2,45}|)[ ]{0,2}
<SSH2> = (?: ssh\d|)<VIA>
<KEY> = (?: \[preauth\]|: [A-Z\d-]{1,20} [\w:+/=]{1,60}|)
SURE/ssh/failed      unknown user  Failed <METHOD> for {{invalid|illegal} user <USER>|<invalid
    username>} from <PEER><SSH2><KEY>
SURE/ssh/postponed   unknown user  Postponed <WORD> for {invalid|illegal} user <USER> from
    <PEER><SSH2><KEY>
<PASSWORD> = (?:password|keyboard-interactive\S{0,30}|challenge-response)
SURE/ssh/root        root failed  Failed <PASSWORD> for root from <PEER><SSH2>
FAIL/ssh/failed      failed password  Failed <PASSWORD> for <USER> from <PEER><SSH2>
<SURE> = (?P<sure>)
<CLIENTUSER> = (?::(?!.* from ) [A-Z\d-]{1,20} [\w:+/=]{1,60}, client user ".{0,300}", client host
    ".{0,300}"|)
# typed on both sides: no blank in the name
FAIL/ssh/failed      failed hostbased  Failed hostbased for {<SURE>invalid user |}<WORD> from
    <PEER><SSH2><CLIENTUSER>
<ACCOUNT> = [^<>]{0,100}?
<PROOF> = (?!none )\S{1,100}
LOGIN/ssh/accepted   login  Accepted <PROOF> for <ACCOUNT> from <PEER><SSH2>{: <ANY>|}
<TRIED> = (?:<SURE>(?:i(?:nvalid|llegal) user <USER>|root)|<USER>)
FAIL/ssh/many        too many attempts  maximum authentication attempts exceeded for <TRIED> from
    <PEER><SSH2><PRE>
FAIL/ssh/end         changed the user  Disconnecting {<SURE>invalid|authenticating} user <WORD>
    <PEER>: Change of username or service not allowed: <WORD> -> <WORD><PRE>
FAIL/ssh/end         broken protocol  Disconnecting <PEER>: {strict KEX violation|multiple
    KEXINIT|bad service request}<ANY>
<PHRASE> = [\w ,.:'/()-]{1,99}?
<REASON> = (?!.* not allowed because )<PHRASE>
# names an account that exists, though later lines of its connection say "invalid user"
FAIL/ssh/user        user not allowed  User {<SURE>root|<ANY>} from <IP> not allowed because
    <REASON>
FAIL/ssh/user        user not allowed  Denied connection for {<SURE>root|<WORD>} from <WORD>
    [<IP>].<PRE>
FAIL/ssh/access      user not allowed  pam_access(<SERVICE>): access denied for user `<TRIED>' from
    `<IP>'
FAIL/ssh/prohibited  prohibited  administratively prohibited connection for <TRIED> from <PEER>
FAIL/ssh/key         key not for this host  Authentication tried for <USER> with {correct key|valid
    certificate} but not from a permitted {host|source address} ({{host=<WORD>, |}ip=|}<IP>{,
    required=<WORD>|}).
FAIL/ssh/end         no identification  {Did not receive identification string from|Could not write
    ident string to} <PEER><PRE>
FAIL/ssh/root        root refused  ROOT LOGIN REFUSED FROM <PEER>
# sshd cuts a message at 500 bytes: here, behind the banner
<BANNER> = (?!.{463}).*
SURE/ssh/end         no ssh client  Bad protocol version identification '<BANNER>' from <PEER><PRE>
SURE/ssh/end         no ssh client  banner exchange: Connection from <PEER>: invalid format<PRE>
FAIL/ssh/end         no identification  banner exchange: Connection from <PEER>: <PHRASE><PRE>
# some of the connections of a single ssh-keyscan end so
NOTHING              ssh-keyscan  Unable to negotiate with <PEER>: no matching host key type found.
    Their offer: {sk-ssh-ed25519|sk-ecdsa-sha2-nistp256}@openssh.com<PRE>
FAIL/ssh/end         nothing in common  Unable to negotiate with <PEER>: <ANY>
FAIL/ssh/end         nothing in common  Protocol major versions differ for <PEER>: <ANY>
SURE/ssh/end         probed  {probed|scanned|Connection} from <PEER> with <ANY>
SURE/ssh/end         refused by hosts.deny  refused connect from {<WORD> (|}<IP>{)|}
# 13: cancelled; 14: no more methods
FAIL/ssh/disconnect  left before a login  Received disconnect from <PEER>:{ |}{13|14}:~ <ANY>
<NOTBYUSER> = (?! disconnected by user$)
FAIL/ssh/disconnect  left before a login  Received disconnect from <PEER>:{ |}<DIGITS>:<NOTBYUSER>~
    <ANY>{ [preauth]|: Auth fail|: Auth cancel}
SURE/ssh/end         unknown user  {Connection closed by|Connection reset by|Disconnected from}
    invalid user <USER> <PEER> [preauth]
FAIL/ssh/end         left before a login  {Connection closed by|Connection reset by|Disconnected
    from} authenticating{ |}user <USER> <PEER><PRE>
FAIL/ssh/end         left before a login  {Connection closed by|Connection reset by|Disconnected
    from} <IP>~{ port <DIGITS>|} [preauth]
# so ends a session that breaks off, too: then there was a login
FAIL/ssh/end         left before a login  Connection {closed|reset} by <IP> port <DIGITS>
<BROKEN> = (?:message authentication code incorrect|Connection corrupted|invalid format|incomplete
    message|unexpected bytes [\w ]+|[\w ]+ is (?:too large|negative)|invalid elliptic curve[\w ]*|
    [Pp]rotocol error|unknown or unsupported key type|incorrect signature)
FAIL/ssh/end         broken protocol  Connection {from|to} {{invalid|authenticating} user <USER> |
    }<PEER>: <BROKEN> [preauth]
FAIL/ssh/end         left before a login  Connection {from|to} <PEER>: {Connection reset by peer|DH
    GEX group out of range}<PRE>
FAIL/ssh/end         timeout before a login  Timeout before authentication for {connection from
    |}<IP>{ port <DIGITS>| to <WORD>, pid = <ANY>|}
# our own doing: what ends this connection is no failure of its client
<NOTROOT> = (?!root )\S{1,100}
OURS/ssh/known       its account is there  User <NOTROOT> not allowed because <PHRASE>
OURS/ssh/key         our key command  AuthorizedKeysCommand <ANY> failed, status <DIGITS>
OURS/ssh/key         our key command  Unsafe AuthorizedKeysCommand <ANY>
OURS/ssh/key         our file modes  Authentication refused: bad ownership or modes for <ANY>
OURS/ssh/account     our account rules  Access denied for user <USER> by PAM account
    configuration<PRE>
SURE/ssh/rootmodule     root failed  PAM: <PHRASE> for root from <IP><VIA><PRE>
FAIL/ssh/module         failed password  PAM: <PHRASE> for <TRIED> from <IP><VIA><PRE>
<WHOM> = (?:<SURE>user=root|user=.*|)
FAIL/ssh/unix    failed password  {(pam_unix) |more |}authentication failure{s|}; <PAM><WHOM>
FAIL/ssh/unix    failed password  pam_unix(<SERVICE>): authentication failure;~ <PAM><WHOM>
FAIL/ssh/other         failed password  pam_<SERVICE>): authentication failure;~ <PAM><WHOM>

postfix
<IDLE> = (?!.* (?:auth|data|bdat)=[1-9])(?: .*|)
LEFT+/smtp/quit      unknown client, no login, no delivery  disconnect from unknown<CLIENT><IDLE>
PUTOFF+/smtp/quit    put off  disconnect from unknown<CLIENT> ehlo=1 starttls=0/1<ANY>
PUTOFF/submission/quit  put off  warning: Wrapper-mode request dropped from <HOST> for <ANY>
<COMMANDS> = (?: (?:helo|ehlo|xclient|xforward|starttls)=\S+)*
<N> = (?P<n>\d{1,6})
FAIL/smtp/auth       failed login  disconnect from <HOST><COMMANDS> auth=~0/<N>{ <ANY>|}
<DONE> = [1-9]\S*(?: .*|)
LOGIN/smtp/auth      login  disconnect from <HOST><COMMANDS> auth=~<DONE>
<PROVEN> = (?!ANONYMOUS)\S{1,100}
LOGIN+/smtp/client   login  client=<HOST>, sasl_method=<PROVEN>, sasl_username=<ANY>
DELIVERED/smtp/client  delivery  client=<HOST>{, <ANY>|}
FAIL+/smtp/SASL      failed login  warning: <HOST>: SASL <ANY> authentication failed<ANY>
# an empty name brings this about, too
DOWN/none/SASL       our login service  warning: <HOST>: SASL <MECH> authentication failed:
    {g|G}eneric failure, sasl_username={(unavailable)|}
<NOSASL> = (?:Connection lost|Can't connect|Authentication backend error|[Gg]eneric failure|
    Temporary|remote authentication server unavailable|no memory available|transient failure|no
    mechanism available|internal error|service not available).*
DOWN/smtp/SASL       our login service  warning: <HOST>: SASL <MECH> authentication failed: <NOSASL>
FAIL/smtp/rate       too many logins  warning: AUTH command rate limit exceeded: <DIGITS> from
    <HOST> for service <WORD>
PUTOFF/smtp/limit    put off  warning: {{Connection rate|Connection concurrency|Message delivery
    request rate|Recipient address rate|New TLS session rate} limit exceeded: <DIGITS>|Refusing
    {STARTTLS|TLS service} request} from <HOST> for service <WORD>
# a phone that is set to TLS from the start, or tries all ports
FAIL/smtp/tls        TLS where none is expected  {warning: non-SMTP command|improper command
    pipelining after CONNECT} from <HOST>: <HELLO>
FAIL/smtp/tls        TLS where none is expected  warning: <HOST> sent non-SMTP command: <HELLO>
SURE/smtp/command    no SMTP command  warning: non-SMTP command from <HOST>{: <ANY>|}
SURE/smtp/command    no SMTP command  warning: <HOST> sent non-SMTP command: <ANY>
<STAGE> = [A-Za-z][\w -]{1,30}(?: \(\d+ bytes\)|)
FAIL/smtp/pipelining  left at once  improper command pipelining after <STAGE> from <HOST>:
    QUIT{\r\n|}
SURE/smtp/pipelining  did not wait its turn  improper command pipelining after <STAGE> from
    <HOST>{:<ANY>|}
<BEFOREMAIL> = (?:CONNECT|HELO|EHLO|UNKNOWN|VRFY|HELP)
# from MAIL on, the errors are refusals, perhaps 4xx of ours, and each has a line of its own
SURE/port 25/errors     too many errors  too many errors after <BEFOREMAIL> from <HOST>
FAIL/submission/errors  too many errors  too many errors after <BEFOREMAIL> from <HOST>
REJECT/port 25/broke  unknown client broke off  {lost connection|timeout} after
    {STARTTLS|<BEFOREMAIL>} from unknown<CLIENT>
FAIL/smtp/broke      broke off after AUTH  {lost connection|timeout} after AUTH from <HOST>
PUTOFF/submission/tls  put off  SSL_accept error from <HOST>: <ANY>
# the client has logged in
<LOGGEDIN> = .{0,500} helo=<[^<> ]{0,100}> sasl_method=\S{1,40} sasl_username=(?!.* (?:helo=<|
    proto=)).{0,99}[^>]
NOTHING              our own user  {milter-|}reject: <STAGE> from <HOST>: <LOGGEDIN>
UNDONE+/smtp/reject  refused after all  {milter-|}reject: {DATA|BDAT|END-OF-MESSAGE} from <HOST>:
    <ANY>
# how each such line ends, unless it was cut short
<ENDED> = .*[; ]proto=E?SMTP(?:,? helo=<.{0,2100}>(?: sasl_.*|)|)
PUTOFF/smtp/reject   put off  milter-reject: <STAGE> from <HOST>: 550 5.5.0 Service
    unavailable;<ENDED>
# a block list that answers everybody; what stands in brackets is typed
<LISTSALL> = [45]\d\d [\d.]+ (?:<[^<>]{0,300}>: |)Service unavailable; (?:[Cc]lient (?:host |
    )\[[\da-fA-F.:]+\] blocked using (?=(?:(?!; from=<).)*?127\.255\.255\.)|
    [\w ]{1,40} \[[^]]{0,300}\] blocked using (?!.*\]
    blocked using )(?=(?:(?!; from=<).)*?(?:[Ee]rror:
    open resolver|
    [Qq]uery refused)))
PUTOFF/smtp/reject   put off  reject: <STAGE> from <HOST>: <LISTSALL><ENDED>
# callouts and bounces of forged mail
<REFUSED> = (?:5(?!52)\d\d |bare .LF. |454 4\.7\.1 (?:(?=.*: Relay access denied)|Service
    unavailable; )|450 (?:4\.1\.1 |).{0,300}?: Recipient address rejected: (?:User unknown|
    undeliverable address))
<BOUNCE> = (?:(?!; from=<).)*; from=<>(?:,? to=<[^<>]*>|),? proto=E?SMTP(?:,? helo=<[^<>]*>|)
NOTHING              a bounce  {milter-|}reject: {MAIL|RCPT|DATA|BDAT|END-OF-MESSAGE} from <HOST>:
    <REFUSED><BOUNCE>
REJECT/smtp/reject   rejected relaying or recipient  {milter-|}reject: <STAGE> from <HOST>:
    <REFUSED><ENDED>
PUTOFF/smtp/reject   put off  {milter-|}reject: <STAGE> from <HOST>: 4<ENDED>
REJECT/smtp/list     on block lists  DNSBL rank <DIGITS> for <CLIENT>
REJECT/smtp/list     on block lists  {BLACKLISTED|DENYLISTED} <CLIENT>
SURE/smtp/pregreet   failed postscreen's tests  PREGREET <DIGITS> after <WORD> from <CLIENT>: <ANY>
SURE/smtp/pregreet   failed postscreen's tests  HANGUP after <WORD> from <CLIENT> in tests before
    SMTP handshake
REJECT/port 25/broke  broke off  HANGUP after <WORD> from <CLIENT> in tests after SMTP handshake
REJECT/port 25/broke  too many or too slow commands  COMMAND {COUNT|TIME} LIMIT from <CLIENT>{ after
    <ANY>|}
SURE/smtp/screen     failed postscreen's tests  {COMMAND LENGTH LIMIT|COMMAND PIPELINING|BARE
    NEWLINE|NON-SMTP COMMAND} from <CLIENT>{ <ANY>|}

cleanup
UNDONE+/smtp/reject  refused after all  milter-reject: END-OF-MESSAGE from <HOST>: {4|5}.<ANY>
PUTOFF/smtp/reject   put off  milter-reject: END-OF-MESSAGE from <HOST>: {4.|5.5.0 Service
    unavailable; }<ANY>
NOTHING              a bounce  milter-reject: END-OF-MESSAGE from <HOST>: 5.<BOUNCE>
REJECT/smtp/reject   rejected message  milter-reject: END-OF-MESSAGE from <HOST>: 5.<ANY>
# quotes the letter: the peer is the one that client= named for the queue ID
UNDONE+/smtp/reject  refused after all  reject: {header|body|mime-header|nested-header} <ANY>
<NOT4> = (?!4\.)[^<>]*
<NOFROM> = (?!.*?; from=<).*
NOTHING              a bounce  reject: {header|body|mime-header|nested-header} <ANY>;
    from=<> <NOFROM>
<HELO> = [^<>]{0,2100}
REJECT/smtp/reject   rejected message  reject: {header|body|mime-header|nested-header} <ANY>
    helo=<<HELO>>: <NOT4>

dovecot
<PROVED> = (?!method=ANONYMOUS)
<RIP> = (?:method=\S{0,64}, |)rip=<IP>(?:, lip=(?P<own>[\da-fA-F.:]+)|, (?:[lr]port|
    m?pid)=\d+)*(?:, (?:secured|TLS|TSL)(?:[^<>]*?(?=, session=<)|)|)(?:, session=<[^<> ]*>|)
<BOX> = [^<>]{0,100}
LOGIN/login/login    login  {Login|Logged in}: user=<<BOX>>, <PROVED><RIP>
<PART> = [^\s)]{0,100}
<PROXIED> = (?P<user>[^<>]{0,100}?)
<SERVER> = [\w ,.:<>()\[\]@/+-]{1,200}?
<AGAIN> = (?P=user)
LOGIN/login/login    login  proxy(<PROXIED>{,<PART>|}): {s|S}tarted proxying to <SERVER>:
    user=<<AGAIN>>, <RIP>
<NOTES> = (?: \([^()<]*\)){0,2}
# the last rip= is Dovecot's own; the name before it is typed
<WHO> = (?:user=<(?:(?P<long>.{65,})|.*)>, |)<RIP>(?(long)(?<=>))
# so it tells TLS where none is expected, too
FAIL+/login/commands  no commands  {Disconnected|Login aborted}{: Disconnected|}: Too many
    {invalid|bad} commands{.|}<NOTES>: <WHO>
<NOTOUT> = (?!Logged out in=)
<HOW> = (?:[^<(]*(?:\([^()<]*\)[^<(]*){0,2}\(|)
<NOLOGIN> = (?:auth failed|authorization failed|user disabled|anonymous logins disabled|sent
    invalid base64 in response|credentials contain control characters|disconnected while
    authenticating, waited \d+ secs|tried to use [\w ]+|proxy dest auth\w* fail\w+(?: to \S+?|)|
    (?:client didn't finish SASL auth|auth aborted by client)(?=, (?:[1-9]\d|[2-9])))
<ATTEMPTS> = (?:, (?:\d{1,6}/|)(?P<n>\d{1,6}) (?:attempts|successful auths)|)(?: in \d+ secs|)(?:,
    last failure: [^<>]{0,300}|)
FAIL/login/login     failed login  {Disconnected|Aborted login|Login aborted|Connection
    closed|Remote closed connection|Remote closed connection unexpectedly|Client has quit the
    connection|Authentication response too large}{ (|: | by logging
    out (}<NOTOUT>~<HOW><NOLOGIN><ATTEMPTS>)<NOTES>: <WHO>
<LOGNAME> = (?:(?!\): ).){0,64}
<SESSION> = (?:,sasl:[\w-]+|)(?:,master|)(?:,(?:<[^<>()]*>|)|)
<REQUEST> = (?:request \[\d+\]: |)(?:(?:Info|Error): |)(?:[\w-]+: |)
<AWAY> = (?:[Nn]ot connected|[Cc]an't con(?:tact|nect)|[Cc]ould not connect|[Ll]ost connection|
    [Cc]onnection (?:refused|lost|timed)|[Tt]imed? ?out|[Bb]usy|[Uu]navailable|gone away|[Tt]oo
    many connections|is locked)
# nothing that a typed name or password can bring about
<OUTOFORDER> = <REQUEST>(?:(?:Password query|ldap_bind\(\)|ldap_search\(.{0,500}\)) failed: [\w
    .,:()-]{0,60}?<AWAY>|Connection appears|user not found from (?:any userdbs|userdb)|Unknown
    scheme |pam_start\(\) failed: |pam_authenticate\(\) failed: (?:Module is unknown|System error|
    Critical error|Error in service module)|(?:stat|open)\(.{0,300}\) failed: (?:No such file|
    Permission denied))(?!.*\)(?:<[^<>]*>)*: )[^,]*
DOWN/auth/process    our login service  {sql|ldap|dict|pam|passwd-file|passwd|
    shadow|static|lua}(<LOGNAME>,<IP><SESSION>): <OUTOFORDER>
<SESSIONS> = (?:<[^<>()]*>){0,2}
DOWN/auth/process    our login service  {auth|auth-worker}(<LOGNAME>,<IP>~<SESSION>)<SESSIONS>:
    <OUTOFORDER>
# a recipient that LMTP asks for: without a session
NOTHING              recipient  {pam|passwd-file|sql|ldap|dict|passwd|shadow|static|
    lua}(<LOGNAME>,<IP>): unknown user{ |}
<DENIED> = <REQUEST>(?:unknown user|[Pp]assword mismatch|[Ii]nvalid credentials|User found from
    deny passdb|Authentication failure due to policy|pam_authenticate\(\) failed:
    (?:[Aa]uthentication (?:failure|error)|User not known|Permission))[\w ]*(?: \([^()]*\)|)(?:
    \((?:SHA1 of |)given password: (?!.*\)(?:<[^<>]*>){0,2}: ).*\)|)
# databases may be asked in turn: each is a witness
FAIL/auth/pam        failed login  pam(<LOGNAME>,<IP><SESSION>): <DENIED>
FAIL/auth/file       failed login  passwd-file(<LOGNAME>,<IP><SESSION>): <DENIED>
FAIL/auth/process    failed login  {sql|ldap|shadow|passwd|bsdauth|checkpassword|static|lua|sia|
    vpopmail|policy|oauth2|dict|Authenticate|authenticate|cram-md5|digest-md5|apop|scram-sha-1|
    scram-sha-256}(<LOGNAME>,<IP><SESSION>): <DENIED>
# Dovecot 2.4; a recipient that LMTP asks for has no sasl or, of a worker, no session
FAIL/auth/process    failed login  auth(<LOGNAME>,<IP>~,sasl:<MECH>{,master|})<SESSIONS>: <DENIED>
<ASKED> = (?!<\d+>: request \[\d+\]: (?:[\w-]+: |)unknown user$)
FAIL/auth/worker     failed login  auth-worker(<LOGNAME>,<IP>~<SESSION>)<ASKED><SESSIONS>: <DENIED>
FAIL/auth/module        failed login  pam_<SERVICE>): authentication failure;~
    <PAM>{user=<WORD>|user=|}

opensmtpd
<CALLED> = (?:(?P<named>(?![\d.]+$)[\w.-]+)|.*)
PEER                 session  smtp {event=|}connected address={[|}<IP>{]|} host=<CALLED>
END                  session  smtp {event=|}{disconnected|closed}<ANY>
<AH> = (?: ?address=\[?<IP>\]? host=\S+ ?|)
LOGIN/smtp/auth      login  smtp {event=|}authentication user=<TOKEN><AH> result=ok
FAIL/smtp/auth       failed login  smtp {event=|}authentication <ANY>result=permfail
DELIVERED/smtp/client  delivery  smtp {event=|}message <ANY>msgid=<ANY>
<AUTHCMD> = (?i:auth)
FAIL/smtp/command    failed login  smtp {event=|}failed-command <AH>command="<AUTHCMD> <ANY>"
    result="5<ANY>
<RCPTCMD> = (?i:rcpt to|mail from):
REJECT/smtp/reject   rejected relaying or recipient  smtp {event=|}failed-command
    <AH>command="<RCPTCMD><ANY>" result="5<ANY>
FAIL/smtp/tls        TLS where none is expected  smtp {event=|}failed-command
    <AH>command="<HELLO>" result="500<ANY>
<NOSMTP> = (?:(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT) |Host:|User-Agent:|\\)
SURE/smtp/command    no SMTP command  smtp {event=|}failed-command <AH>command="<NOSMTP><ANY>"
    result="500<ANY>
<REFUSAL> = 55[0134] (?!5\.3\.4 )
# by a filter, at any of its phases
REJECT/smtp/reject   rejected connection or message  smtp {event=|}failed-command
    <AH>command="<ANY>" result="<REFUSAL><ANY>
# perhaps at submission
FAIL/smtp/pipelining  did not wait its turn  smtp {event=|}bad-input <AH>result="500<ANY>Pipelining
    not supported<ANY>
"""
# {piece of a template: pattern (bytes)}; rules() adds the fields of RULES
FIELDS = {"{": b"(?:", "}": b")", "|": b"|", "~": b""}

# Postfix' queue ID, in hexadecimal or (no vowels) in base 52; `smtpd -v` has other words there
QUEUE = rb"(?P<queue>NOQUEUE|[0-9A-F]{5,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{8,24})"
# {daemon: (its program's name, what may stand between that and a message's beginning)}. Postfix
# for our own users' clients, at submission and smtps, counts as a daemon of its own; so does
# cleanup, which quotes messages: what smtpd may say would be typed there.
DAEMONS = {
    "sshd": (rb"sshd(?:[_-][\w.-]{1,40}|)(?:\(pam_unix\)|)",  # sshd-session, a second sshd's
             rb"(?:(?:error|fatal): |)(?:|[\w./@~+-]{1,200}(?::\d{1,6}|): )"),
    "postfix": (rb"(?:postfix/|(?!\S*(?:submission|smtps|/587|/465)[\w.-]*/)[\w./-]*/)"
                rb"(?:smtpd|postscreen)", rb"(?:%s: |)" % QUEUE),
    "submission": (rb"[\w./-]*(?:submission|smtps|/587|/465)[\w.-]*/(?:[\w.-]+/)*"
                   rb"(?:smtpd|postscreen)", rb"(?:%s: |)" % QUEUE),
    "cleanup": (rb"[\w./-]*/cleanup", rb"%s: " % QUEUE),
    "dovecot": (
        rb"(?:dovecot(?:-[\w.-]{1,40}|)|auth(?:-worker|)(?:\(\d+\)|)|"
        rb"(?:imap|pop3|managesieve|submission)-login)",
        rb"(?:[\w-]+-login: |auth(?:-worker|)(?:\(\d+\)|): |)(?:(?:Info|Warning|Error): |)"
        rb"(?:conn unix:\S+ \(\S+\): auth-worker<\d+>: |)"),
    "opensmtpd": (rb"smtpd", rb""),
}
# "Apr  8 12:00:00 mail ", with RFC 3339's stamp too, or facility.priority about the host: <so>, or
# as busybox or AIX (auth|security:info) do it; Dovecot's own file names no host
STAMP_AND_HOST = (rb"(?:[A-Z].{14}(?:\.\d{1,6}|:|)|[\d-]{10}[T ]\S+) {1,2}(?:<[\w.]+> |)"
                  rb"(?:(?P<host>\S*[^\s:]) |)(?:<[\w.]+> |[a-z0-9|]+[.:][a-z]+ |)")
# behind the program: Solaris' [ID ...], and what rsyslog puts around a message that came N times
SOLARIS = rb"\[ID \d{1,9} [\w.]{1,30}\] "
RSYSLOG = rb"message repeated (?P<times>\d{1,6}) times: \[ ?"
# what stands before a beginning and matters: OpenSMTPD's session, a number of attempts
LEAD = rb"(?:(?P<session>[0-9a-f]{16}) |(?:PAM |)(?P<n>\d{1,6}) |)"
# syslog-ng quotes the first 20 bytes, and puts a number of its own behind the program
REPEATED = re.compile(
    STAMP_AND_HOST + rb"(?:(?:syslogd?(?:\[\d*\]|): |(?P<tag>\S{1,60}: |))last message repeated |"
    rb"(?P<program>[^\s\[]{1,60})\[\d+\]: Last message '(?P<quoted>.{0,20})' repeated )"
    rb"(?P<times>\d{1,6}) times?")
# a line of one of the daemons; one whose head is understood: those, and what cannot be one of them
DAEMONS_LINE = STAMP_AND_HOST + rb"(?:%s)(?:\[\d*\]|)(?: <\w+>|): " % b"|".join(
    program for program, _ in DAEMONS.values())
HEADED = rb"%s|%s(?!\S*(?:ssh|\.service)|postfix\[)\S*[^\s:]: " % (
    DAEMONS_LINE, STAMP_AND_HOST.replace(b"?P<host>", b"?:"))
# the program, whatever the form: behind the stamp, and a host that a tag follows
PROGRAM = (rb"(?m)^(?:[A-Z].{14}|[\d-]{10}[T ]\S+) (?:\S*[^\s:\]] (?=\S*[\]:])|)"
           rb"(\S{1,40}?)(?:\[\d*\]|):?(?: |$)")
# How else a line may begin, and what is put in the place of that, for the daemons' heads to read. A
# row holds for a log if more than that share of the lines looked at begin so, and of four others.
LAYOUTS = (
    # socklog, perhaps behind svlogd -t, -tt or -ttt; any that leaves the priority where it was
    (0, rb"(?:(?:@[\da-f]{24} |[\d-]{10}[T_][\d:.]{14} |)[a-z0-9]+\.[a-z]+: |<\d{1,3}>)(?=STAMP )",
     rb""),
    # RFC 5424, by FreeBSD's syslogd -O or rsyslog; by rsyslog in its default form: no colon
    (0, rb"(?:<\d{1,3}>|)1 (STAMP HOST PROG) (?:-|(\d+)) \S{1,32} "
     rb'(?:-|(?:\[[^]\s"=]{1,32}(?: [^]\s"=]{1,32}="(?:[^"\\\n]|\\.)*")*\])+) {1,2}BOM',
     rb"\1[\2]: "),
    (0, rb"(STAMP HOST (?:PROG\[\d+\]|dovecot)) {1,2}BOM(?=[^ ])", rb"\1: "),
    # a loghost's rsyslog cuts a tag at 32 bytes
    (0, rb"(STAMP HOST (?=\S{32} )PROG\[\d+) ", rb"\1]: "),
    # journalctl -o short-full
    (0, rb"[A-Z][a-z]{2} ([\d-]{10} [\d:]{8}) UTC ", rb"\1Z "),
    (0, rb"[A-Z][a-z]{2} ([\d-]{10} [\d:]{8}) [A-Z+-][\w+-]* ", rb"\1 "),
    # metalog; Dovecot 2.4's own file
    (0, rb"(STAMP) \[(PROG)\](?:\[[a-z]+\]|) ", rb"\1 \2: "),
    (0, rb"(STAMP) (?=auth(?:-worker|)\()", rb"\1 dovecot: "),
    # a relay's stamp and host, or host alone, before its sender's; AIX
    (0, rb"(STAMP) HOST STAMP (?=HOST )", rb"\1 "),
    (.5, rb"(STAMP) HOST (?=HOST (?:PROG\[\d+\]|dovecot): )", rb"\1 "),
    (0, rb"(STAMP) HOST (?:[a-z0-9|]+[.:][a-z]+ |)Message forwarded from (HOST): ", rb"\1 \2 "),
    # a template with two blanks behind the tag, or none
    (.5, rb"(STAMP HOST (?:PROG\[\d+\]|dovecot)):(?:  |(?=[^ :]))", rb"\1: "),
)
PARTS = (
    (b"STAMP", rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6}|)|"
               rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,]{0,10}(?:Z|[+-][\d:]{4,5}|))"),
    (b"HOST", rb"[\w.:-]*[\w-]"), (b"PROG", rb"[\w./@-]{1,60}(?:\([\w-]+\)|)"),
    (b"BOM", rb"(?:\xef\xbb\xbf|)"))
NEAR = 4096  # bytes before it in which the line is looked for that syslogd repeats
BELIEVED = 10  # attempts that one line may state: Dovecot can be made to log a typed line
PROVOKED = 10  # of our 4xx, that take back a leaving each: a client can provoke them
GUESSED = 1000  # failures for each login from which on somebody has guessed a password
AGAINST = ("SURE", "FAIL", "LEFT", "REJECT", "NAMED")  # what speaks against a peer
KEPT = 4096  # lines just heard, and sessions, that are remembered
LINES = 50000  # lines kept for a report
NAMELESS = 50  # clients of Postfix, from which on it is odd that none has a name
NETWORKS = 16  # attackers' IPv6 networks in one /48 that make it one
WITH_NAME = re.compile(rb"smtpd\[\d+\]: connect from (?!unknown\[)[\w.-]+\[")
MAPPED, NAT64 = bytes(10) + b"\xff\xff", b"\0\x64\xff\x9b" + bytes(8)
# an IPv4 address that a peer can have: not 0.x, loopback, link-local, multicast
IPV4 = re.compile(rb"(?!0|127\.|169\.254\.|22[4-9]|2[3-5][0-9])%s(?:\.%s){3}" % (OCTET, OCTET))
VERDICTS = (r"NOTHING|PEER|END|(?:SURE|FAIL|LEFT|REJECT|LOGIN|DELIVERED|PUTOFF|DOWN|UNDONE|OURS)"
            r"\+?/[a-z0-9 ]+/\w+")


class Rule:
    """A row of RULES. The verdict as what, door and witness; more: whether further rules are tried;
    groups: the names of its pattern's groups; simple: whether a match names the peer and no more;
    other: the rule that counts in its place where <SURE> takes part in the match, or the client has
    a name; mild: in place of a SURE of ssh for an account that is there; number: its place.
    """

    def __init__(self, number, daemon, verdict, why, template):
        self.number, self.daemon, self.template = number, daemon, template
        self.fullmatch = self.first_match
        self.what, self.more, self.door, self.witness = re.match(
            r"(\w+)(\+?)/?([^/]*)/?(.*)", verdict).groups()
        program = "postfix" if daemon in ("submission", "cleanup") else daemon
        self.reason = "%s: %s" % (program, why)
        self.begins, self.follows = beginnings(template)
        self.pattern = expand(template) + rb"\r?"
        self.groups = re.findall(r"\(\?P<(\w+)>", self.pattern.decode("latin-1"))
        self.other = self.mild = None
        self.simple = "ip" in self.groups and not (
            "sure" in self.groups or "own" in self.groups or daemon == "opensmtpd"
            or self.what in ("REJECT", "DELIVERED") or self.witness == "user")
        if self.what == "SURE" and "invalid" in template:
            self.mild = self.twin("FAIL", program + ": user not allowed")
        elif "sure" in self.groups:
            self.other = self.twin("SURE", self.reason + " (root, or unknown)")
        elif self.what == "REJECT":
            self.other = self.twin("NAMED", self.reason)

    def twin(self, what, reason):
        """A rule (Rule) like this one, but for what it tells and its reason (str)."""
        twin = object.__new__(Rule)
        vars(twin).update(vars(self), what=what, reason=reason)
        return twin

    def first_match(self, *text):
        """The pattern's fullmatch, compiled when it is first tried: to compile all takes 30 ms."""
        self.fullmatch = re.compile(self.pattern, re.DOTALL).fullmatch
        return self.fullmatch(*text)


def rules():
    """RULES as [Rule], in order; fills FIELDS. A row of Postfix makes two: one for port 25, and one
    for submission. Raises ValueError, which names a row that cannot be used.
    """
    made = []
    text = re.sub(r"\n#.*|(?<=\|)\n +", "", RULES.strip()).replace("\n    ", " ")
    for paragraph in text.split("\n\n"):
        daemon, *rows = paragraph.split("\n")
        for row in rows:
            name, equals, pattern = row.partition(" = ")
            is_field = equals and re.fullmatch("<[A-Z0-9]+>", name)
            unknown = [field for field in re.findall("<[A-Z0-9]+>", pattern if is_field else row)
                       if field not in FIELDS]
            if unknown:
                raise ValueError("no such field: %s: %s" % (unknown[0], row))
            if is_field:
                FIELDS[name] = re.sub(b"<[A-Z0-9]+>", lambda field: FIELDS[field.group().decode()],
                                      pattern.encode("latin-1"))
                continue
            verdict, *rest = check(daemon, row)
            if "/submission/" not in verdict:
                made.append(Rule(len(made), daemon, verdict.replace("port 25", "smtp"), *rest))
            if daemon == "postfix" and "port 25" not in verdict:
                made.append(Rule(len(made), "submission", verdict.replace("smtp", "submission"),
                                 *rest))
    return made


def check(daemon, row):
    """A row of RULES as verdict, why and template (str). Raises ValueError if it cannot be used."""
    verdict, why, template = (re.split("  +", row, maxsplit=2) + ["", ""])[:3]
    wrong = ("no such daemon: " + daemon if daemon not in DAEMONS
             else "no such verdict" if not re.fullmatch(VERDICTS, verdict)
             else "two blanks belong between verdict, why and template" if not template
             else "no <IP>" if b"?P<ip>" not in expand(template) and not (
                 verdict.startswith(("OURS", "NOTHING")) or daemon in ("opensmtpd", "cleanup"))
             else "")
    if wrong:
        raise ValueError("%s: %s" % (wrong, row))
    return verdict, why, template


@functools.lru_cache(None)  # each row is checked first, and Postfix' make two rules
def expand(template):
    """A template (str) as a pattern (bytes): <NAME> stands for FIELDS, {a|b} for either."""
    return b"".join(
        FIELDS[piece] if piece in FIELDS else re.escape(piece.encode())
        for piece in re.split(r"(<[A-Z0-9]+>|[{|}~])", template))


def beginnings(template):
    """How a message of a template (str) may begin, "{a|b} c<X>" with "a c" or "b c" (tuple of
    bytes), and a pattern (bytes) of what must follow for it to be looked at: all up to a "~".
    """
    literal = re.match(r"(?:[^<{|}~]|\{[^<{}]*\})*", template).group()
    pieces = [piece.strip("{}").split("|") for piece in re.findall(r"\{.*?\}|[^{]+", literal)]
    follows, tilde, _ = template[len(literal):].partition("~")
    return (tuple("".join(choice).encode() for choice in itertools.product(*pieces)),
            b"(?=%s)" % expand(follows) if tilde else b"")


def by_beginning(rows):
    """{beginning (bytes): [(matcher of what is before it in a daemon's line, [Rule] to try)]}."""
    tries = {begin: [] for rule in rows for begin in rule.begins}
    for daemon, (program, before) in DAEMONS.items():
        head = re.compile(rb"%s%s(?:\[(?P<pid>\d*)\]|)(?: <\w+>|): (?:%s|)(?:%s|)%s%s" % (
            STAMP_AND_HOST, program, SOLARIS, RSYSLOG, before, LEAD)).fullmatch
        its_own = [rule for rule in rows if rule.daemon == daemon]
        for begin in tries:
            fitting = [rule for rule in its_own if begin.startswith(rule.begins)]
            if fitting:
                tries[begin].append((head, fitting))
    return tries


def any_beginning(rows):
    """A pattern (bytes) whose group "begin" is where a message of one of [Rule] may begin."""
    # a longer one before one that it begins with
    begins = sorted({(begin, rule.follows) for rule in rows for begin in rule.begins}, reverse=True)
    pattern = b": (?:%s|%s|)%s(?P<begin>%s)" % (SOLARIS, RSYSLOG, LEAD, tree(begins))
    return re.sub(rb"\?P<(?!begin>)\w+>", b"?:", pattern)  # other names would come twice


def tree(begins):
    """A pattern (bytes) of beginnings [(words, what follows)] (bytes), sorted, in which the letters
    that several share stand once: re tries one after another, and this takes half the time.
    """
    branches = []
    for letter, group in itertools.groupby(begins, key=lambda pair: pair[0][:1]):
        group = list(group)
        shared = os.path.commonprefix([words for words, _ in group])
        branches += [re.escape(shared) + tree([(words[len(shared):], follows)
                                               for words, follows in group])
                     ] if letter else [follows for _, follows in group]
    return b"(?:%s)" % b"|".join(branches)


def layouts(lines):
    """The rows of LAYOUTS that hold for lines (list of bytes): [(compiled pattern, bytes)]."""
    def compiled(text):
        for name, part in PARTS:
            text = text.replace(name, part)
        return re.compile(b"^(?:%s)" % text, re.MULTILINE)

    usual = compiled(rb"STAMP (?:HOST |)(?:last message |(?:[a-z0-9|]+[.:][a-z]+ |)"
                     rb"PROG(?:\[\d+\]|): (?!STAMP)[^ ])").match
    others = [line for line in lines if not usual(line)]
    rows = [(share, compiled(begins), to) for share, begins, to in LAYOUTS] if others else ()
    return [(begins, to) for share, begins, to in rows
            if sum(map(bool, map(begins.match, others))) > share * (len(lines) + 4)]


def usual_heads(night, period, logged):
    """Yield the blocks of a log, each with its Tally, as read_log() yields them (logged), with the
    line beginnings of LAYOUTS made usual ones. Then it is said if of 1,000 lines or more none is a
    daemon's that RULES know, or if lines in the range (period: Range) are cut at one length.
    """
    rows, daemon_seen, names, ends, tally = {}, False, [], {}, None
    for number, (block, tally) in enumerate(logged):
        if number % 16 == 0:  # to look at all would take a tenth longer
            lines = block.split(b"\n")
            rows.update(layouts(lines[::8 if number else 1]))
            if period.may_hold(lines[0]) or period.may_hold(lines[-1]):
                longest = max(map(len, lines))
                ends.setdefault(longest, set()).update(
                    re.sub(rb"\d", b"0", line[-4:]) for line in lines if len(line) == longest)
        for begins, to in rows.items():
            block = begins.sub(to, block)
        yield block, tally
        daemon_seen = daemon_seen or re.search(b"(?m)^" + DAEMONS_LINE, block)
        names = daemon_seen or names or re.findall(PROGRAM, block)
    if tally and tally.read >= 1000 and names and not daemon_seen:
        most = sorted(set(names), key=lambda name: (-names.count(name), name))[:3]
        night.say(tally.path, "%d lines, none of a daemon that the rules know, most of %s: is it "
                  "the right log?" % (tally.read, visible(b", ".join(most))))
    # lines that are whole end in few ways
    if ends and max(ends) >= 200 and len(ends[max(ends)]) >= 5:
        night.say(tally.path, "lines are cut at %d bytes: what stood behind is lost" % max(ends))


class Court:
    """Hears lines as evidence and judges their peers by it.

    cases: {address as logged (bytes): its case}, a tuple of (rule, how often) that is shared by all
    with the same, or a dict of its own for many attempts; lines: {(address, rule): the line that
    told it}, kept only for a report; sessions: {(host, session or queue ID): (address as logged,
    its name)}; marked: {(host, pid): what sshd has said of that connection}; recent: hashes of the
    lines just heard; older, older_sessions: those before them; own: our own addresses as logged;
    has_names: whether a client of Postfix had a name; before: the end of the text before (bytes);
    unread: the first line (bytes) of the log that holds a rule's message behind an unknown head.
    """

    def __init__(self, options, period):
        self.options, self.period = options, period
        self.asked = {canonical(address, options.mask6): {} for address in options.why or ()}
        self.cases, self.lines, self.has_names = {}, {}, False
        self.sessions, self.older_sessions, self.marked, self.own = {}, {}, {}, set()
        rows = rules()
        self.rules, self.words = by_beginning(rows), any_beginning(rows)
        # ".*": what a client types behind a beginning is not searched for another
        self.search = re.compile(self.words + b".*", re.MULTILINE).finditer
        self.begin()

    def begin(self):
        """Begin another log."""
        self.before, self.recent, self.older, self.unread = b"", set(), set(), None

    def hear(self, block, tally):
        """Take the evidence in a block (bytes) of whole lines, and count it in the tally."""
        period = self.period
        tally.read += block.count(b"\n") + 1
        # its first line, or another
        if period.may_hold(block) or any(map(period.may_hold,
                                           {line[:10] for line in block.split(b"\n")})):
            # at the first "[" of its line: what stands behind that may be typed
            self.has_names = self.has_names or any(
                b"[" not in block[block.rfind(b"\n", 0, hit.start()) + 1:hit.start()]
                for hit in WITH_NAME.finditer(block))
            search, recent, older, inner = self.search, self.recent, self.older, period.inner
            if b"ast message " in block:  # re keeps it: compiled once, in milliseconds
                search = re.compile(b"(?:%s|last message repeated |: Last message ').*"
                                    % self.words, re.MULTILINE).finditer
            for hit in search(block):
                start, end = block.rfind(b"\n", 0, hit.start()) + 1, hit.end()
                line = block[start:end]
                tally.suspicious += 1
                # the same line twice is one event, which two rules of a syslogd have written
                same = hash(line)
                if line[:9] not in inner and not period.holds(line):
                    continue
                if not hit["begin"]:
                    tally.in_range += self.repeat(block, start, end)
                elif same not in recent and same not in older:
                    recent.add(same)
                    tally.in_range += self.testify(block, start, end, hit)
        self.before = (self.before + b"\n" + block[-NEAR:])[-NEAR:]
        if len(self.recent) > KEPT:
            self.recent, self.older = set(), self.recent
        if len(self.sessions) > KEPT:
            self.sessions, self.older_sessions = {}, self.sessions
        if len(self.marked) > KEPT:
            self.marked.clear()

    def testify(self, text, start, end, hit, times=1):
        """Take what the line from start to end (int) of a text (bytes) says, so many times; hit is
        the match of search in it. Returns whether it says something of a peer.
        """
        begin = hit.start("begin")
        for is_head, fitting in self.rules[hit["begin"]]:
            head = is_head(text, start, begin)
            if head:
                break
        else:
            if not (self.unread or re.match(HEADED, text[start:begin])) and any(
                    rule.fullmatch(text, begin, end)
                    for _, fitting in self.rules[hit["begin"]] for rule in fitting):
                self.unread = text[start:end]
            return False
        if (text.endswith(b": File name too long", begin, end)
                and b" error: " in text[start:begin]):
            return False  # "error: PATH: File name too long": a user who has logged in types PATH
        if head["times"]:
            times, end = times * int(head["times"]), text.rfind(b"]", end - 1, end)
        heard, cases = False, self.cases
        for rule in fitting:
            match = rule.fullmatch(text, begin, end)
            if not match:
                continue
            if rule.simple and not self.marked:
                meant, logged = rule, match["ip"]
            else:
                meant, logged = self.resolve(rule, head, match)
            if logged and rule.door:
                heard = True
                # a number stands at its <N>, or else before the message's beginning
                number = match["n"] if "n" in rule.groups else head["n"]
                count = times * min(int(number), BELIEVED) if number else times
                case = cases.get(logged, ())
                if self.options.reported:
                    self.keep_line(meant, logged, case, text[start:end])
                if case.__class__ is tuple:
                    cases[logged] = case = grown(case, meant, count) or dict(case)
                if case.__class__ is dict:
                    case[meant] = case.get(meant, 0) + count
            if rule.witness == "account" and head["pid"]:
                self.take_back(text, start, b"[%s]: " % head["pid"])
            if not rule.more:
                break
        return heard

    def resolve(self, rule, head, match):
        """A rule's match behind a head: the Rule that counts, the address as logged (or None)."""
        logged = match["ip"] if "ip" in rule.groups else None
        if rule.daemon == "sshd":
            return self.resolve_sshd(rule, (head["host"], head["pid"]), logged, match)
        if rule.daemon == "dovecot":
            if rule.what == "LOGIN" and match["own"]:
                self.own.add(match["own"])
            return rule, None if "own" in rule.groups and logged == match["own"] else logged
        named = match["named"] if "named" in rule.groups else None
        # OpenSMTPD's session, which PEER tells and END ends; Postfix' queue ID
        session = head["host"], head["session" if rule.daemon == "opensmtpd" else "queue"]
        if rule.what in ("PEER", "DELIVERED") and logged:
            self.sessions[session] = logged, named
        elif not logged:
            logged, named = (self.sessions.get(session) or self.older_sessions.get(session)
                             or (None, None))
        if rule.what == "END":
            self.sessions[session] = None, None
        return (rule.other if rule.other and named else rule), logged

    def resolve_sshd(self, rule, connection, logged, match):
        """resolve() for sshd's connection (host and pid), of which earlier lines may have told that
        the account is there, or that our own doing ends it.
        """
        mark = self.marked.get(connection)
        meant = rule.other if rule.other and match["sure"] is not None else rule
        if rule.what == "OURS" or rule.witness == "user":
            new = rule.witness if rule.what == "OURS" else (
                "known" if meant.what == "FAIL" else None)
            if connection[1] and (new or mark):
                self.marked[connection] = new
        elif mark == "known" and meant.what == "SURE":
            meant = rule.mild or rule
        elif mark in ("key", "account") and rule.witness in ("end", "disconnect"):
            logged = None
        if mark and rule.witness == "end":
            del self.marked[connection]
        return meant, logged

    def take_back(self, text, start, pid):
        """Take back the failed password that the same sshd has told before a place (int) in a text:
        it was right, and PAM's account rules refuse. pid: "[N]: " (bytes).
        """
        for line in self.lines_before(text, start):
            hit = next(self.search(line), None)
            if hit and line[:hit.start("begin")].endswith(pid) and hit["begin"] == b"Failed ":
                self.testify(line, 0, len(line), hit, -1)
                break

    def lines_before(self, block, start):
        """The lines (bytes) before a place (int) in a block, the last first, in NEAR bytes."""
        text = b"\n" + self.before + b"\n" + block[max(0, start - NEAR):start]
        # the first piece is empty or the end of a line: typed text, perhaps
        return reversed(text[-NEAR:].split(b"\n")[1:])

    def repeat(self, block, start, end):
        """Take the line from start to end (int) of a block (bytes) if it says "last message
        repeated N times": it speaks of the line before it of the same host, and of the same tag, or
        program and first words, if it has them. Returns whether that says something of a peer.
        """
        repeated = REPEATED.match(block, start, end)
        if not repeated:
            return False
        begins = re.escape(repeated["tag"] or b"") if not repeated["program"] else (
            rb"%s(?:\[\d+\]|): %s" % tuple(map(re.escape, repeated.group("program", "quoted"))))
        for line in self.lines_before(block, start):
            head = re.match(STAMP_AND_HOST, line)
            if (head and repeated["host"] in (b"---", head["host"])  # macOS names no host there
                    and not REPEATED.match(line)):
                hit = next(self.search(line), None)
                same = hash(line + block[start:end])
                if not hit or not re.compile(begins).match(line, head.end()) or (
                        same in self.recent or same in self.older):
                    break
                self.recent.add(same)
                return self.testify(line, 0, len(line), hit, int(repeated["times"]))
        return False

    def keep_line(self, rule, logged, case, line):
        """Keep for the report a line (bytes) in which a rule tells of an address as logged (bytes)
        while it may be the one that reaches the verdict. case: what was known before.
        """
        if len(self.lines) < LINES or (logged, rule) in self.lines:
            enough = 1 if rule.what in ("SURE", "LEFT") else self.options.count
            if dict(case).get(rule, 0) < enough:
                self.lines[logged, rule] = line[:4096]
        if self.asked:
            asked = self.asked.get(canonical(logged, self.options.mask6))
            if asked is not None:
                asked[rule] = asked.get(rule, [line])[:1] + [line]

    def judge(self, night):
        """Judge every peer heard of. Returns {address or network (bytes): its Verdict} of the
        attackers, and notes in the night what its report tells of them and of the others.
        """
        cases, threshold = self.join_peers(), self.options.count
        night.asked = {peer: (as_tuple(cases.get(peer, ())), lines)
                       for peer, lines in self.asked.items()}
        clients = 0 if self.has_names else sum(
            times for case, times in collections.Counter(map(as_tuple, cases.values())).items()
            if any(rule.daemon == "postfix" for rule, _ in case))
        if clients >= NAMELESS:
            night.say("Postfix", "none of %d clients has a name (smtpd_peername_lookup = no?): "
                      "leaving convicts nobody" % clients)
        for peer in list(cases):
            case = as_tuple(cases[peer])
            cases[peer] = verdict = weigh(case, threshold, clients < NAMELESS)
            if not verdict.why and (verdict.logins or verdict.delivered or verdict.excused):
                accused = weigh(against(case), threshold)
                if accused.why:
                    night.let_off.append((peer, accused.attempts, verdict))
        self.join_allotments(cases, night.allowed)
        if self.options.reported:
            import heapq
            let_off = {row[0] for row in night.let_off}
            night.near = heapq.nlargest(
                10, ((peer, verdict.attempts, verdict) for peer, verdict in cases.items()
                     if verdict.attempts and not verdict.why and peer not in let_off),
                key=lambda row: row[1])
            night.lines = self.lines
        return {peer: verdict for peer, verdict in cases.items() if verdict.why}

    def join_peers(self):
        """One case for each peer: {address or network (bytes): case}, without our own addresses."""
        cases, lines, mask6 = self.cases, self.lines, self.options.mask6
        ours = {canonical(own, mask6) for own in self.own}
        others = [logged for logged in cases if logged in ours or not IPV4.fullmatch(logged)]
        others.reverse()
        while others:  # a list that keeps them all would take as much memory again
            logged = others.pop()
            case, peer = cases.pop(logged), canonical(logged, mask6)
            if peer and peer not in ours:
                joined = dict(cases.get(peer, ()))
                for rule, times in dict(case).items():
                    joined[rule] = joined.get(rule, 0) + times
                    if (logged, rule) in lines:
                        lines[peer, rule] = lines[logged, rule]
                cases[peer] = joined if peer in cases else case
        return cases

    def join_allotments(self, verdicts, allowed):
        """Let an IPv6 /48 take the place of its networks in {peer: Verdict} if many of them are
        attackers', or near misses in it add up, and nobody of it has logged in or delivered.
        """
        allotments = {}  # {the /48: its peers}
        if 48 < self.options.mask6 <= 64:
            for peer in verdicts:
                if peer.endswith(b"/%d" % self.options.mask6):
                    allotments.setdefault(canonical(peer[:-3], 48), []).append(peer)
        ours = {canonical(own, 48) for own in self.own} | {None}
        for allotment, peers in allotments.items():
            of_it = [verdicts[peer] for peer in peers]
            convicted = [verdict for verdict in of_it if verdict.why]
            near = sum(verdict.attempts for verdict in of_it if not verdict.why)
            if ((len(convicted) >= NETWORKS or near >= 20 * self.options.count)
                    and not any(verdict.logins or verdict.delivered for verdict in of_it)
                    and allotment not in ours
                    and not (allowed and is_allowed(allotment, allowed))):
                worst = max(of_it, key=lambda verdict: (bool(verdict.why), verdict.attempts))
                for peer in peers:
                    del verdicts[peer]
                verdicts[allotment] = worst._replace(
                    why=worst.rule.reason, attempts=sum(verdict.attempts for verdict in of_it))


@functools.lru_cache(2048)
def grown(case, rule, times):
    """A case (tuple) with a rule so many times more; None if long: a dict then takes less time."""
    counts = dict(case)
    counts[rule] = counts.get(rule, 0) + times
    return tuple(counts.items()) if sum(counts.values()) < 8 else None


def as_tuple(case):
    """A case (tuple, or dict) as a tuple."""
    return case if case.__class__ is tuple else tuple(case.items())


@functools.lru_cache(2048)
def against(case):
    """What of a case (tuple) speaks against its peer (tuple)."""
    return tuple(pair for pair in case if pair[0].what in AGAINST)


@functools.lru_cache(2048)
def weigh(case, threshold, leaving=True):
    """The Verdict on a case (tuple of (rule, how often)). threshold: --count; leaving: whether
    leaving port 25 convicts a client without a name.
    """
    most, sums = attempts_of(case)

    def refused(door):  # in excess of the deliveries; of a client with a name, one in four counts
        nameless, named = most["REJECT", door], most["NAMED", door]
        return (max(0, nameless - delivered)
                + max(0, named - max(0, delivered - nameless)) // 4)

    logins, down = sums["LOGIN"], most["DOWN", "auth"]
    delivered = max(0, sums["DELIVERED"] - sums["UNDONE"])
    # our own login service being out of order takes back failed logins, one for one, and a 4xx of
    # ours a leaving
    out_of_order = max(down, sums["DOWN"] - down)
    at_smtp = max(most["FAIL", "smtp"], refused("smtp"))
    left = most["LEFT", "smtp"] - min(PROVOKED, most["PUTOFF", "smtp"])
    if most["FAIL", "smtp"] <= out_of_order:
        left -= max(down, most["DOWN", "smtp"])
    # who leaves submission without a login has failed there
    at_submission = max(most["FAIL", "submission"], refused("submission"), most[
        "LEFT", "submission"] - min(PROVOKED, most["PUTOFF", "submission"]))
    # Dovecot's auth process hears of the attempts at all doors to mail
    mail = max(at_smtp + at_submission + most["FAIL", "login"] - out_of_order,
               most["FAIL", "auth"] - down, refused("smtp") + refused("submission"))
    ssh_failures, ssh_signs = most["FAIL", "ssh"], most["SURE", "ssh"]
    # deliveries outweigh SMTP's signs; a login one of them, or three of ssh, which asks three times
    smtp_signs = max(0, sums["SURE"] - ssh_signs - delivered)
    accused = [key for key in most if key[0] in AGAINST]
    decisive = []  # of these, what convicts: not what deliveries or our own side outweigh
    if ssh_signs + 3 * smtp_signs > 3 * logins:
        decisive = [(what, door) for what, door in accused
                    if what == "SURE" and (door == "ssh" or smtp_signs)]
    elif leaving and left > 0 and not logins and not delivered:
        decisive = [("LEFT", "smtp")]
    elif ssh_failures + mail >= max(threshold, GUESSED * logins + 1):
        decisive = [(what, door) for what, door in accused if (door == "ssh" or mail) and (
            what == "FAIL" or what in ("REJECT", "NAMED") and refused(door)
            or (what, door) == ("LEFT", "submission"))]
    rule = telling(case, decisive or accused)
    return Verdict(rule.reason if decisive else "", max(ssh_signs, ssh_failures) + max(
        mail, smtp_signs, 0 if delivered or logins else left), logins, delivered,
                   sums["PUTOFF"] or out_of_order, rule)


def attempts_of(case):
    """The attempts that a case (tuple) tells of: {(what, door): how many}, {what: how many}. One is
    often logged more than once: at each door the highest count of any one witness is taken.
    """
    def counts():
        return collections.defaultdict(int)

    most, sums = counts(), counts()
    heard = collections.defaultdict(counts)  # {(what, door): {witness: how often}}
    for rule, times in case:
        heard[rule.what, rule.door][rule.witness] += times
    # a connection that names an unknown user does so once, whatever passwords it tries; attempts as
    # root come on top
    ssh = heard.get(("SURE", "ssh"), ())
    if "user" in ssh:
        for witness in ("failed", "postponed", "module"):
            ssh.pop(witness, None)
        ssh["user"] += max(ssh["root"], ssh["rootmodule"])
    for (what, door), witnesses in heard.items():
        most[what, door] = max(0, *witnesses.values())
        sums[what] += most[what, door]
    return most, sums


def telling(case, decisive):
    """The rule of a case (tuple) that tells its reason: of those of which (what, door) is decisive,
    one of the kind with the most attempts; of two such kinds, the one that stands first in RULES.
    """
    kinds = collections.Counter()
    for rule, times in case:
        kinds[rule.reason, rule.witness] += times
    return max((rule for rule, _ in case if (rule.what, rule.door) in decisive), default=None,
               key=lambda rule: (kinds[rule.reason, rule.witness], -rule.number))


def canonical(text, mask6):
    """An address as logged (bytes) as the table's entry: IPv4, or the IPv6 network of mask6 bits
    (int) that it lies in (but behind NAT64 each is an IPv4 address). None if it is no address that
    a peer can have, or the network holds one that none can.
    """
    text = re.sub(b"^IPv6:|%.*", b"", text)
    if b":" in text:
        import socket  # ipaddress takes ten times as long
        try:
            packed = socket.inet_pton(socket.AF_INET6, text.decode("ascii"))
        except (OSError, ValueError):
            return None
        if not packed.startswith(MAPPED):
            single = mask6 == 128 or packed.startswith(NAT64)
            if not single:
                first = int.from_bytes(packed, "big") >> 128 - mask6 << 128 - mask6
                packed = first.to_bytes(16, "big")
            # multicast, link-local; the networks of ::1 and of NAT64's addresses
            if (packed[0] == 0xff or b"\xfe\x80" <= packed[:2] < b"\xfe\xc0"
                    or packed.startswith(bytes(15)) or not single and packed.startswith(NAT64)):
                return None
            entry = socket.inet_ntop(socket.AF_INET6, packed).encode()
            return entry if single else b"%s/%d" % (entry, mask6)
        text = b"%d.%d.%d.%d" % tuple(packed[12:])
    return text if IPV4.fullmatch(text) else None


# ---- Extras --------------------------------------------------------------------------------------

# What a run finds out

# What is held against an address. why: the reason (str) that puts it into the table, or "". Of
# careful mode: attempts, as they are compared with --count; logins; delivered: mails; excused:
# failures of our own side; rule: the Rule that tells why, or would.
Verdict = collections.namedtuple("Verdict", "why attempts logins delivered excused rule")
Verdict.__new__.__defaults__ = 0, 0, 0, 0, None  # those but why


class Night:
    """One run: its exit code so far, its allow list, and what its report will tell."""

    def __init__(self):
        self.status, self.errors = 0, []  # exit code; what was said on stderr (list of str)
        self.allowed, self.range, self.tallies = None, ("", ""), []  # range: two stamps (str)
        self.findings = {}  # of the default mode: {address (bytes): (hits, why (str), first line)}
        # of careful mode: {(peer, rule): line}; (peer, attempts, Verdict); the highest near misses
        self.lines, self.let_off, self.near = {}, [], []
        self.asked = {}  # --why: {peer: (its case, {rule: [first line, last line]})}
        # the file's lines before, or None if not known; {entry: why it is not in the table}
        self.old, self.left_out = None, {}
        # dated entries that were dropped; how pf took the table
        self.expired, self.pf = [], "pf was not asked"

    def say(self, name, reason):
        """One line on stderr: `logcheck: NAME: REASON` (str)."""
        self.errors.append(visible("%s: %s" % (name, reason)))
        to_stderr(b"logcheck: %s\n" % self.errors[-1].encode())

    def complain(self, name, error):
        """Say what failed (name: str; error: exception or str). Returns the exit code for it, 1."""
        self.say(name, getattr(error, "strerror", None) or str(error) or type(error).__name__)
        self.status = 1
        return self.status


class Tally:
    """How many lines of a log (path: str) were read, suspicious, and of these in range. first,
    last: its stamps (bytes); changed: its mtime; remark: what the report says of it (str).
    """

    def __init__(self, path):
        self.path, self.read, self.suspicious, self.in_range = path, 0, 0, 0
        self.first, self.last, self.changed, self.remark = b"", b"", 0, ""

    def row(self):
        """What the report tells of the log (str)."""
        stamps = "\n    %s to %s" % (visible(self.first), visible(self.last)) if self.first else ""
        return "%-40s%13d%13d%13d%s%s" % (visible(self.path), self.read, self.suspicious,
                                          self.in_range, stamps, self.remark)


def first_stamp(stamp, lines):
    """The first stamp (compiled pattern) that one of the lines (iterable) begins with, or b""."""
    return next((match.group() for match in map(stamp.match, lines) if match), b"")


# The command line

class Options:
    """What the command line (list of str) can change: attributes named as the long options."""

    def __init__(self, args):
        self.maillog, self.authlog = [MAILLOG], [AUTHLOG]
        self.etcfile, self.pf_conf, self.table = ETCFILE, PF_CONF, TABLE
        self.days, self.count, self.mask6 = DAYS, COUNT, MASK6
        self.now = int(time.time())
        self.dry_run = self.verbose = self.syslog = self.careful = self.no_pf = False
        self.allow = self.expire = self.forgive = self.why = self.mail = None
        if args:  # the bare nightly run needs no parser, which costs several milliseconds
            vars(self).update(parse(args))
        self.reported = self.verbose or self.syslog or self.mail or self.why


def checked(what, read):
    """A type for argparse: read(text (str)), but "not WHAT: TEXT" if that fails or is None."""
    def checked_read(text):
        with contextlib.suppress(ValueError, OverflowError, TypeError):
            value = read(text)
            if value is not None:
                return value
        import argparse
        raise argparse.ArgumentTypeError("not %s: %s" % (what, text))
    return checked_read


def between(low, high):
    """A function that reads a number (int) from low to high in an option's text (str)."""
    return checked("a number from %d to %d" % (low, high), lambda text: int(text) if re.match(
        r"[0-9]{1,5}\Z", text) and low <= int(text) <= high else None)


def peer_address(text):
    """The address (bytes) that a text (str) is, or an IPv6 network's; None or TypeError if none."""
    first, last = network(os.fsencode(text))
    return os.fsencode(text.partition("/")[0]) if first == last or first[0] == 6 else None


def moment(text):
    """--now's TIME (str) in epoch seconds. Raises ValueError."""
    if re.match(r"[0-9]{1,11}\Z", text):
        return int(text)
    form = "%Y-%m-%d %H:%M:%S" if text.count(":") == 2 else "%Y-%m-%d %H:%M"
    return int(time.mktime(time.strptime(text, form)))


file_name = checked("a file name", lambda text: text or None)
# An option's names and value; what reads the value ([it], where the option may be repeated); help.
OPTIONS = (
    ("-m --maillog FILE", [file_name], "read FILE instead of %s; may be repeated" % MAILLOG),
    ("-a --authlog FILE", [file_name], "read FILE instead of %s; may be repeated; - is standard "
     "input; .gz, .bz2, .xz are unpacked" % AUTHLOG),
    ("-e --etcfile FILE", file_name, "the file that holds the table; " + ETCFILE),
    ("-f --pf-conf FILE", file_name, "the ruleset for pf to load; " + PF_CONF),
    ("-t --table NAME", checked("a name", lambda text: text or None), "pf's table; " + TABLE),
    ("-d --days N", between(1, 99999), "look at the last N days; %d" % DAYS),
    ("-n --dry-run", None, "print the new table; write, load and mail nothing"),
    ("-v --verbose", None, "report on stderr what was read, found and let off"),
    ("-c --careful", None, "real dates, rotated logs too, and a fair judgement of what the daemons "
     "themselves say of their peers, over IPv4 and IPv6"),
    ("-k --count N", between(1, 99999), "with -c: failures that may be a user's own count from N "
     "on; %d" % COUNT),
    ("-w --allow FILE", [file_name], "keep the addresses and networks in FILE (one a line, # "
     "comments) out of the table, whoever put them there; may be repeated"),
    ("-x --expire DAYS", between(1, 99999), "date the entries, and drop those last named more than "
     "DAYS days ago"),
    ("--forgive ADDRESS", [checked("an address or network", lambda text: network(
        os.fsencode(text)))], "take an address or network out of the file and of pf's table, and "
     "do nothing else; may be repeated"),
    ("--why ADDRESS", [checked("an address", peer_address)], "with -c: tell how the logs have an "
     "address judged; change nothing; may be repeated"),
    ("--mask6 LEN", between(32, 128), "with -c: IPv6 peers are judged as networks of LEN bits; %d"
     % MASK6),
    ("--syslog", None, "tell the system's log (daemon.notice) of each address"),
    ("--mail ADDRESS", checked("a mail address", lambda text: text if re.match(
        r"[\w.+=%!/@][\w.+=%!/@-]*\Z", text, re.ASCII) else None), "when addresses were added, "
     "send the report there"),
    ("--no-pf", None, "neither ask pf for its table nor load it"),
    ("--now TIME", checked("a time (YYYY-MM-DD HH:MM)", moment),
     "run as if at TIME: epoch seconds, or local YYYY-MM-DD HH:MM[:SS]"),
)


def parse(args):
    """What the command line (list of str) sets: {long name: value}. Wrong usage is said: exit 2."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message):
            to_stderr(b"logcheck: usage: %s (logcheck.py -h tells)\n" % visible(message).encode())
            sys.exit(2)

        def _get_option_tuples(self, text):  # allow_abbrev=False, before Python 3.8 not for -cv
            return [] if text.startswith("--") else super()._get_option_tuples(text)

    parser = Parser(
        prog="logcheck.py", add_help=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, 2, 22, 79),
        description="Put the attackers that maillog and authlog name into pf's table.",
        epilog="Exit: 0 done, 1 something failed (stderr says what), 2 wrong usage. "
               "logcheck.py -cnv shows what careful mode would do, and changes nothing.")
    parser.color = False
    for names, read, text in OPTIONS:
        *names, last = names.split()
        if not read:
            parser.add_argument(*names, last, help=text, action="store_true")
        elif isinstance(read, list):
            parser.add_argument(*names, metavar=last, help=text, type=read[0], action="append")
        else:
            parser.add_argument(*names, metavar=last, help=text, type=read)
    parser.add_argument("--version", action="version", version=VERSION, help="print the version")
    parser.add_argument("-h", "--help", action="help", help="print this")
    for arg in args:
        if arg.endswith("=--"):  # argparse would take it for no value
            parser.error("argument %s: expected one argument" % arg[:-3])
    given = vars(parser.parse_args(args))
    for letter, name in (("-k", "count"), ("--mask6", "mask6"), ("--why", "why")):
        if name in given and "careful" not in given:
            parser.error("%s has no effect without -c" % letter)
    return given


# Other programs, and what they and this one say

def command(*args, text=b""):
    """Run a command (str) with text (bytes) as its input. Returns what it prints (bytes); raises
    OSError, with its own words if it fails, also if it takes longer than PATIENCE.
    """
    import subprocess
    path = (os.environ.get("PATH") or "/usr/bin:/bin") + ":" + SBIN
    try:
        done = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE, env=dict(os.environ, PATH=path))
        if not done.returncode:
            return done.stdout
        words = (visible(done.stderr.replace(b"\n", b"; ").rstrip(b"; "))
                 or "exit %d" % done.returncode)
    except subprocess.TimeoutExpired:
        words = "no answer for %d seconds, ended" % PATIENCE
    raise OSError(errno.EIO, "%s: %s" % (" ".join(args[1:]), words))


def try_command(night, name, *args, text=b""):
    """command(), but if it fails, that is reported, and None returned."""
    try:
        return command(name, *args, text=text)
    except OSError as error:
        night.complain(name, error)
        return None


def visible(text):
    """Text from elsewhere (bytes or str) as str that no terminal or mail takes for a command."""
    return "".join(chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte
                   for byte in os.fsencode(text))


def to_stderr(text):
    """Put text (bytes) on stderr. Write errors are ignored: there is nobody to tell."""
    with contextlib.suppress(OSError):
        os.write(2, text)


def print_lines(night, lines):
    """Put lines (list of bytes) on stdout. A failure is reported."""
    try:
        write(1, lines)
    except OSError as error:
        night.complain("stdout", error)


# Replacing the table file

@contextlib.contextmanager
def locked(path, dry_run):
    """Make the temporary file (str) that is to become the table, and hold it locked: other runs
    wait. Yields its descriptor; removes it unless it has been renamed. A dry run does without.
    Raises OSError, also when another run keeps the lock for longer than WAIT.
    """
    if dry_run:
        yield None
        return
    ending = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    deadline = time.monotonic() + WAIT
    fd = None
    # signals may end the wait; but once the file is there, they wait until it is dealt with
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        while fd is None:
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, "another run has locked it for %d seconds" % WAIT)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, ending)
            fd = made_and_locked(path)
        yield fd
    finally:
        try:
            if fd is not None:
                if stands(fd, path):
                    os.unlink(path)
                os.close(fd)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def made_and_locked(path):
    """Make path (str) and lock it. Returns its descriptor, or None: try again. Raises OSError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        remove_leftover(path)
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stands(fd, path):
            return fd
    except BlockingIOError:
        pass  # another run takes ours for a leftover
    except OSError:
        if stands(fd, path):
            os.unlink(path)
        raise
    os.close(fd)
    return None


def remove_leftover(path):
    """Remove what stands at path (str): a killed run has left it, or somebody set a trap for us to
    write into. If another run holds it locked, wait a moment. Raises OSError.
    """
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            os.unlink(path)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stands(file.fileno(), path):
                os.unlink(path)
    except BlockingIOError:
        time.sleep(0.05)
    except FileNotFoundError:
        pass  # it was a link, or another run was faster
    except OSError as error:
        raise OSError(error.errno, "%s is in the way: %s" % (path, error.strerror))


def stands(fd, path):
    """Whether path (str) is still the file open as fd."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def write(fd, lines):
    """Write lines (list of bytes) to a file descriptor. Raises OSError."""
    with open(fd, "wb", closefd=False) as out:
        for text in in_chunks(lines):
            out.write(text)


def in_chunks(lines):
    """Yield lines (list of bytes) as texts of 8,192: to join all of a million takes 80 MB."""
    for start in range(0, len(lines), 8192):
        yield b"\n".join(lines[start:start + 8192] + [b""])


def fill(fd, lines, about):
    """Write a new table (list of bytes) to its file, open as fd, with the old one's owner (about:
    os.stat_result, or None where there was none), and have it on disk. Raises OSError.
    """
    write(fd, lines)
    if about:
        try:
            os.fchown(fd, about.st_uid, about.st_gid)
        except PermissionError as error:
            raise OSError(error.errno, "cannot keep its owner and group: " + error.strerror)
    os.fsync(fd)


def rename(options, night, fd, temporary, target, about):
    """Let the temporary file (str), open as fd, take the table file's (str) place and mode (about:
    as for fill()), and have that on disk; what of the latter fails is reported. Raises OSError if
    it cannot be renamed.
    """
    umask = os.umask(0)
    os.umask(umask)
    os.rename(temporary, target)
    try:
        # not before: until here the file is the lock, and whoever can open it can hold it
        os.fchmod(fd, stat.S_IMODE(about.st_mode) if about else 0o644 & ~umask)
        os.fsync(fd)
        folder = os.open(os.path.dirname(target), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        night.complain(options.etcfile, "written, but mode or sync failed: " + error.strerror)


# The allow list

def allow_lines(paths):
    """Yield each entry of --allow's files (list of str): (file, number of its line, network).
    Raises OSError, which names the first line that is neither address nor network: a list read by
    halves would lock somebody out.
    """
    for path in paths:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = address_of(line)
                if text:
                    net = network(text)
                    if not net:
                        raise OSError(errno.EINVAL, "line %d: neither address nor network: %s"
                                      % (number, visible(text)), path)
                    yield path, number, net


def reach_of(networks):
    """For quick comparison with networks as network() returns them: a function that returns the
    highest last address of those that begin at an address (4 or 6, int) or before it. So if
    reach(B) >= A, one of them holds some of the addresses from A to B.
    """
    import bisect
    networks = sorted(networks)
    firsts = [first for first, _ in networks]
    highest = list(itertools.accumulate([(0, 0)] + [last for _, last in networks], max))
    return lambda address: highest[bisect.bisect(firsts, address)]


def is_allowed(entry, reach):
    """Whether an entry (bytes) of the table holds, or lies in, one of reach_of()'s networks."""
    return any(net and reach(net[1]) >= net[0]
               for net in map(network, address_of(entry).split()))


def network(text):
    """The first and the last address, each as (4 or 6, int), of an address or network (bytes),
    short forms too (10.1 is 10.1.0.0/16); None if it is neither.
    """
    try:
        if text.count(b".") == 3 and not text.strip(b"0123456789."):
            address = int.from_bytes(bytes(map(int, text.split(b"."))), "big")
            return (4, address), (4, address)
        import ipaddress
        # leading zeros are decimal to pf; Pythons differ about them, and about zones (%em0)
        text = re.sub(rb"%[\w.-]+", b"", text) if b":" in text else text
        host, slash, bits = re.sub(rb"\b0+(?=[0-9])", b"", text).decode("ascii").partition("/")
        if slash and not bits:
            return None
        if ":" not in host:
            bits = bits or str(8 + 8 * host.count("."))
            host += ".0" * (3 - host.count("."))
        net = ipaddress.ip_network(host + "/" + bits if bits else host, strict=False)
        mapped = getattr(net.network_address, "ipv4_mapped", None)
        if mapped and net.prefixlen >= 96:
            net = ipaddress.ip_network((int(mapped), net.prefixlen - 96))
        return tuple((net.version, int(address))
                     for address in (net.network_address, net.broadcast_address))
    except ValueError:
        return None


# The table's life

DATED = re.compile(rb"([^#\s]+) # ([0-9]{4}-[01][0-9]-[0-3][0-9])(?: .*)?")
MANY = 25000  # entries, from which on pf is asked how many it can hold


def dated(options, night, entries, found):
    """--expire: give each plain address, or IPv6 network as long as --mask6, the day on which it
    was last named and why, and drop the dated ones whose day is too long ago; none, and say so, if
    even the newest is, for the clock may be wrong. A day to come counts as today. Any other line is
    the admin's and stays as it is; an address that has such a line, or a dated one, gets no second
    one. entries: set of bytes; found: {address: Verdict}. Returns the new entries (set of bytes);
    those dropped are noted in the night.
    """
    import datetime
    day = datetime.date.fromtimestamp(options.now)
    today, oldest = [str(day - datetime.timedelta(days)).encode() for days in (0, options.expire)]
    # kept: at first the admin's lines; dates: {network: (3, 2 or 1, day, line)}; in_pf: {network or
    # name: an entry that pf alone holds}
    kept, dates, old, in_pf, newest = set(), {}, set(night.old), {}, b""
    for entry in entries:
        match = DATED.fullmatch(entry)
        address = match.group(1) if match else entry.strip()
        net = network(address)
        ours = net and (net[0] == net[1] or net[0][0] == 6 and (
            match or entry in found or address.endswith(b"/%d" % options.mask6)))
        if not ours or b"%" in address:
            if entry in old:
                kept.add(entry)
            else:
                in_pf[net or address] = entry
            continue
        # of several lines for one address the highest counts: 3 found now, 2 dated, 1 bare
        if match:
            date = min(match.group(2), today)
            row, newest = (2, date, entry.replace(match.group(2), date, 1)), max(newest, date)
        elif entry in found:
            row = 3, today, b"%s # %s %s" % (address, today, found[entry].why.encode())
        else:
            row = 1, today, b"%s # %s %s" % (
                address, today, b"in the table before" if entry in old else b"pf's own table")
        dates[net] = max(row, dates.get(net, row))
    by_hand = {network(word) or word for entry in kept for word in address_of(entry).split()}
    kept.update(entry for net, entry in in_pf.items()
                if net not in by_hand and net not in dates)
    if b"" < newest < oldest:
        night.complain(options.etcfile, "nothing expires, for the newest date in it is %s: is the "
                       "clock wrong?" % newest.decode())
        oldest = b""
    for net, (_, date, line) in dates.items():
        if net not in by_hand:
            (night.expired.append if date < oldest else kept.add)(line)
    return kept


def address_of(entry):
    """The address, network or name (bytes) of a table's entry (bytes), without its comment."""
    return entry.split(b"#")[0].strip()


def within_limit(options, night, table, known):
    """The table (list of bytes) as far as pf could load it at boot, were it the only one: of the
    new entries, the last are left out and reported. Raises OSError if the old ones are too many.
    """
    if known is None or max(len(table), len(known)) <= MANY:
        return table
    told = re.search(rb"table-entries\s+hard limit\s+([0-9]+)",
                     try_command(night, "pfctl", "-sm") or b"")
    if not told:
        return table
    limit = int(told.group(1))
    entries = set(map(address_of, table)) - {b""}
    size, both = len(entries), len(entries.union(known))
    cure = "set limit table-entries %d in pf.conf, or use --expire" % (
        (4 * both // 100000 + 1) * 100000)  # room for a reload, and as much to grow
    # while it replaces a table, pf holds what goes as well as what comes
    excess = (both if options.careful else size) - limit
    if excess > 0:
        old = set(map(address_of, night.old)).union(known)
        new = [entry for entry in table if address_of(entry) not in old]
        if excess > len(new):
            raise OSError(errno.ENOSPC, "%d entries, and pf can hold %d: nothing written; %s"
                          % (limit + excess, limit, cure))
        left = set(new[-excess:])
        night.left_out.update(dict.fromkeys(left, "pf is full"))
        night.complain(options.etcfile, "pf can hold %d entries: %d of the new ones are left out;"
                       " %s" % (limit, excess, cure))
        table = [entry for entry in table if entry not in left]
    elif not options.careful and size + len(known) > limit:
        night.say("pfctl", "a reload needs room for %d entries and pf has %d: %s"
                  % (size + len(known), limit, cure))
    return table


def forgive(options, night):
    """--forgive: take what lies in its networks out of the file and of pf's table, with the IPv6
    networks that logcheck.py wrote for hosts in them, and say what. Returns the exit code, 1 if
    nothing was there, another entry still holds some of it, or something failed.
    """
    reach = reach_of(options.forgive)
    target = os.path.realpath(options.etcfile)
    temporary, dry, pfs_own = target + ".logcheck", options.dry_run, "pf's table " + options.table
    try:
        with locked(temporary, dry) as new:
            known, (old, about) = pf_table(options, night), old_file(target)
            in_file = forgiven(options, night, options.etcfile, old, reach)
            # pf shows no comments: the file's line tells whose an entry of its table is
            written = {network(address_of(entry)) or entry: entry for entry in old}
            in_pf = list(map(address_of, forgiven(
                options, night, pfs_own,
                [written.get(network(entry), entry) for entry in known or ()], reach)))
            if not in_file and not in_pf and not night.status:
                night.complain(options.etcfile, "nothing of it is there")
            if in_file and not dry:
                gone = set(in_file)
                fill(new, [entry for entry in old if entry and entry not in gone], about)
                rename(options, night, new, temporary, target, about)
            if in_pf and not dry and try_command(
                    night, "pfctl", "-t", options.table, "-T", "delete", "-f", "-",
                    text=b"".join(entry + b"\n" for entry in in_pf)) is None:
                in_pf = []
    except OSError as error:
        return night.complain(options.etcfile, error)
    lines = [os.fsencode("%s out of %s: %s" % (
        "would be taken" if dry else "taken", where, visible(entry)))
             for where, taken in ((options.etcfile, in_file), (pfs_own, in_pf)) for entry in taken]
    if lines:
        print_lines(night, lines + [
            b"pf was not asked: have your packet filter load the file anew (README, LINUX)."
        ] * (known is None) + [b"It can come back: what must never be in the table belongs in the "
                             b"allow list (-w)."])
    alone = set(in_pf).difference(map(address_of, in_file))  # in pf's table
    to_syslog(options, [b"forgiven " + entry for entry in in_file + sorted(alone)])
    return night.status


def forgiven(options, night, where, entries, reach):
    """Those of a table's entries (list of bytes) that --forgive takes out. reach: reach_of() its
    networks. Others that hold some of these are reported as in the table named where (str).
    """
    taken = []
    for entry in entries:
        if is_allowed(entry, reach):
            word, *more = address_of(entry).split()
            bare = entry.strip() == word and word.endswith(b"/%d" % options.mask6)
            if (not more and b":" in word and (bare or DATED.fullmatch(entry))  # as in dated()
                    or all(part and reach(part[0]) >= part[1]
                           for part in map(network, [word] + more))):
                taken.append(entry)
            else:
                night.complain(where, "cannot be taken out of the %s %s%s" % (
                    "line" if more else "network", visible(entry),
                    "" if more else "; --forgive %s takes out all of it" % visible(word)))
    return taken


def explain_why(options, night):
    """--why: tell how each address is judged, where it stands, and what the logs hold for and
    against it. Changes nothing. Returns the exit code, 0 if all are banned or in the table.
    """
    found, lines, code = careful_attackers(options, night), [], 0
    shown = pf_table(options, night) or ()
    try:
        old = old_file(options.etcfile)[0]
    except OSError as error:
        old = []
        night.complain(options.etcfile, error)
    for address in options.why:
        peer = canonical(address, options.mask6)
        case, told = night.asked[peer]
        banned = found.get(peer) or found.get(canonical(address, 48))
        net = network(address)
        reach = reach_of([net])
        held = ["    in %s: %s" % (where, visible(entry)) for where, entries in (
            (options.etcfile, old), ("pf's table " + options.table, shown))
                for entry in entries if is_allowed(entry, reach)]
        allowed = ["allowed by line %d of %s" % (number, visible(path))
                   for path, number, (first, last) in allow_lines(options.allow or ())
                   if first <= net[0] <= last]
        lines.append("%s: %s" % (visible(peer or address), allowed[0] if allowed else judged(
            banned, case, options.count)))
        lines += held
        if not held and (allowed or not banned):
            code = 1
        for rule, times in sorted(case, key=lambda pair: (pair[0].what not in AGAINST,
                                                          pair[0].door, -pair[1])):
            lines.append("    %-8s%-12s%5d  %s (%s)" % (
                "against" if rule.what in AGAINST else "for", rule.door, times, rule.reason,
                rule.witness))
            lines += ["        " + shown_line(line) for line in dict.fromkeys(told.get(rule, ()))]
    print_lines(night, [line.encode() for line in lines])
    return code


def judged(banned, case, threshold):
    """--why: what the judgement (str) on a case (tuple) is. banned: the Verdict, or None."""
    verdict, accused = weigh(case, threshold), weigh(against(case), threshold)
    if banned:
        text = "banned: %s; %d attempts" % (banned.why, banned.attempts)
    elif accused.why:
        text = "let off: %s; %d attempts, %d logins, %d deliveries" % (
            accused.why, accused.attempts, verdict.logins, verdict.delivered)
    elif verdict.attempts:
        text = "near: %s; %d attempts" % (verdict.rule.reason, verdict.attempts)
    else:
        text = "nothing known against it"
    return "%s (failures count from %d on)" % (text, threshold)


# The report and the letter

# passwords that a line may hold: behind an AUTH command, or what Dovecot was asked to log
PASSWORD = re.compile(
    rb"(?i)(after AUTH(?: from \S+|):|(?:\b|(?<=\\[nrt]))AUTH(?: |\\t)+(?!from |command )[\w-]+"
    rb"(?: |\\)|given password:)(?:.*(?=\" result=)|.*)")


def shown_line(line):
    """A line of a log (bytes) as it may be shown (str): without passwords, and not too long."""
    return visible(PASSWORD.sub(rb"\1(...)", line)[:400])


def explain(lines, findings):
    """For the report, note in findings what each suspicious line (list of bytes) names."""
    for line in lines:
        for address in ADDRESS.findall(line):
            if address not in findings:
                words = re.search(MAIL_WORDS + b"|" + AUTH_WORDS, line)
                findings[address] = 0, 'matches "%s"' % words.group().decode(), line
            hits, why, first = findings[address]
            findings[address] = hits + 1, why, first


def not_written(options, night, error):
    """Report that the table could not be written (error: OSError): what the night says of pf and of
    entries is then only what is still so. Returns None, which stands for the table.
    """
    night.complain(options.etcfile, error)
    if not night.pf.startswith("pf did NOT"):
        night.pf = "NOT written, but pf has it" if night.pf == "pf has it" else "NOT written"
    night.expired, night.left_out = [], {}
    with contextlib.suppress(OSError):  # to count what is still there
        night.old = old_file(options.etcfile)[0]


def say_left_out(options, night):
    """Name on stderr the entries that pf could not load, the first 20 of them."""
    bad = sorted(entry for entry in night.left_out if night.left_out[entry] == NOT_LOADED)
    for entry in bad[:20]:
        night.say(options.etcfile, "left out: %s, %s" % (visible(entry[:200]), NOT_LOADED))
    if bad[20:]:
        night.say(options.etcfile, "left out: %d more that pf could not load" % len(bad[20:]))


def tell(options, night, found, table):
    """Report on stderr (--verbose), to the system's log (--syslog), and by mail (--mail) if there
    is something new. found: {address: Verdict}; table: list of bytes, or None if it could not be
    written.
    """
    if options.verbose and night.pf == "pf has it":
        shown = try_command(night, "pfctl", "-sr")
        if shown is not None and b"<%s>" % os.fsencode(options.table) not in shown:
            night.pf += ", but no rule that pfctl -sr shows names the table: who is blocked?"
    before = set(map(address_of, night.old or ()))
    added = [address for address in map(address_of, table or ()) if address not in before]
    to_syslog(options, itertools.chain(
        (b"added %s # %s%s" % (address, why.encode(), b", %d %s" % (
            attempts, b"attempts" if options.careful else b"lines") if attempts else b"")
         for address, attempts, why, _ in (finding(night, found, address) for address in added)),
        (b"expired " + entry for entry in night.expired),
        (b"let off %s # %d attempts, %d logins, %d deliveries" % (
            address, attempts, verdict.logins, verdict.delivered)
         for address, attempts, verdict in night.let_off)))
    # what is dated the range's first day and not found now is of the night before
    since = local_time(options.now - options.days * 86400)[:10].encode()
    others = [match.group() for match in map(DATED.fullmatch, night.old or ()) if match and (
        match.group(2) > since or match.group(2) == since and match.group(1) in found)]
    text = report(night, found, added, others, night.old if table is None else table)
    if options.verbose:
        to_stderr(text.encode())
    if options.mail and added and not options.dry_run:
        mail(options, night, len(added), text)


def mail(options, night, added, text):
    """--mail: send the report (text: str) of so many new entries. A failure is reported."""
    # all of it is ASCII, and no line begins with a dot or "From "
    letter = "\n".join((
        "From: root", "To: " + options.mail, "Subject: %s on %s: %s%d added" % (
            visible(options.table), os.uname().nodename, "FAILED, " if night.status else "", added),
        "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S %z"),
        "Auto-Submitted: auto-generated", "", text))
    try_command(night, "sendmail", "-oi", options.mail, text=letter.encode())


def to_syslog(options, lines):
    """--syslog: put lines (bytes) into the system's log, as daemon: auth and mail are read back."""
    if options.syslog and not options.dry_run:
        import syslog
        syslog.openlog("logcheck.py", 0, syslog.LOG_DAEMON)
        for line in lines:
            syslog.syslog(syslog.LOG_NOTICE, visible(line[:400]).replace(" # ", ": ", 1))


def finding(night, found, address):
    """What a run has found of a new address (bytes): (it, its attempts or, in the default mode,
    lines (int), why (str), the line that tells it (bytes)). found: {address: Verdict}.
    """
    if address in night.findings:
        return (address,) + night.findings[address]
    if address not in found:
        return address, 0, "pf's own table", b""
    verdict = found[address]
    good = "".join("; %s: %d" % pair for pair in (
        ("logins", verdict.logins), ("deliveries", verdict.delivered)) if pair[1])
    return (address, verdict.attempts, verdict.why + good,
            night.lines.get((address, verdict.rule), b""))


def report(night, found, added, others, table):
    """The nightly report (str). found: {address: Verdict}; added: the new addresses; others: what
    the day's other runs added; table: what it holds now, or None if not known (lists of bytes).
    """
    def most_first(rows):
        """The first 50 of rows (entry (bytes), how often (int), ...), sorted."""
        import heapq
        return heapq.nsmallest(50, rows, key=lambda row: (-row[1], sort_key(row[0])))

    def section(heading, lines, total=0):
        """Up to 50 lines, of so many (int) if not all are given."""
        if lines:
            rows.extend([""] + [heading] * bool(heading) + lines[:50])
        if max(total, len(lines)) > 50:
            rows.append("and %d more" % (max(total, len(lines)) - 50))

    held = set(map(address_of, table or ())) - {b""}
    rows = ["logcheck on %s: %d added, %d expired, %d let off, %s in the table; %s" % (
        os.uname().nodename, len(added), len(night.expired), len(night.let_off),
        "?" if table is None else "{:,}".format(len(held)), night.pf),
        "range: %s to %s" % night.range]
    section("%-40s%13s%13s%13s" % ("log", "lines", "suspicious", "in range"), [
        tally.row() for tally in night.tallies])
    section("new" + " " * 29 + "%8s  why" % ("hits" if night.findings else "attempts"), [
        "%-32s%8s  %s%s" % (visible(entry[:200]), attempts or "-", why,
                            "\n    " * bool(line) + shown_line(line))
        for entry, attempts, why, line in most_first(
            finding(night, found, address) for address in added)], len(added))
    section("added by the day's other runs", [
        visible(entry[:200]) for entry in sorted(others, key=sort_key)])
    section("let off" + " " * 25 + "attempts  logins  deliveries", [
        "%-32s%8d%8d%12d%s%s" % (address.decode(), attempts, verdict.logins, verdict.delivered,
                                 "" if verdict.logins or verdict.delivered else "  we put it off",
                                 "  still in the table" if address in held else "")
        for address, attempts, verdict in most_first(night.let_off)], len(night.let_off))
    section("near misses" + " " * 21 + "attempts  why", [
        "%-32s%8d  %s" % (address.decode(), attempts, verdict.rule.reason)
        for address, attempts, verdict in most_first(night.near)])
    before = set(night.old or ())
    section("left out" + " " * 26 + "why", [
        "%-32s  %s%s" % (visible(entry[:200]), night.left_out[entry],
                         "; it was in the table" if entry in before else "")
        for entry in sorted(night.left_out, key=sort_key)] + [
        "%-32s  expired" % visible(entry[:200]) for entry in sorted(night.expired, key=sort_key)])
    section("", night.errors)
    # no line that a mailer cuts, or takes for an end or a beginning
    return "\n".join(re.sub(r"^(?=\.|From )", " ", row[:990])
                     for row in "\n".join(rows + [""]).split("\n"))


def run():
    """main() with nothing inherited that could hurt. Returns the exit code."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how pfctl ends
    gc.disable()  # nothing here needs it, and on a night of many attackers it takes a fifth more
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:  # a closed stderr must not be the number of the next file opened
        fd = os.dup(fd)
    os.close(fd)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
