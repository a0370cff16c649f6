#!/usr/bin/env python3
"""logcheck.py: feed attackers found in maillog and authlog to pf's bruteforce table.

Every night it reads the last day of both logs, picks out attackers' addresses, merges them with
pf's table and the file that table is loaded from, and has pf load the result. By default it writes
what the shell script /root/logcheck.sh (awk, grep, sort, uniq) wrote, byte for byte but for what pf
cannot load, and is called in its place from /etc/daily.local. The first part of this file is that
script, one function a stage; main() shows the whole program. `logcheck.py -h` lists the options,
README is the manual.

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
    # one line in place of a traceback, whatever happens from here on
    sys.excepthook = lambda kind, error, trace: sys.stderr.write(
        "logcheck: %s: %s\n" % (kind.__name__, " ".join(str(error).split())))
    if not sys.flags.isolated and sys.executable and sys.argv[0] != "-":
        # nobody else's modules in a root process: start again without PYTHONPATH, the current
        # folder and site-packages (what these make Python run at its start has run by now; make
        # install puts -IS into the first line)
        import os
        os.execv(sys.executable, [sys.executable, "-IS"] + sys.argv)

import contextlib
import errno
import fcntl
import functools
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
BLOCK = 64 * 1024  # bytes read at a time: more take a tenth longer
LONGEST = 1024 * 1024  # bytes of a line that are looked at

VERSION = "logcheck.py 2.0"


# ---- The shell script ----------------------------------------------------------------------------

def main(args):
    """The whole program. args: the command line (list of str). Returns the exit code, 0 or 1."""
    options = Options(args)
    night = Night()
    try:
        night.allowed = allow_list(options.allow)
    except OSError as error:
        return night.complain(error.filename or "allow list", error)
    if options.forgive:
        return forgive(options, night)

    # the attackers of the last day, from both logs
    found = (careful_attackers if options.careful else attackers)(options, night)

    try:  # they join pf's own table and the old file, and pf takes the result
        table = update(options, night, found)
    except OSError as error:
        night.complain(options.etcfile, error)
        table = None
        # the report tells of no change that was not made
        if not night.pf.startswith("pf did NOT"):
            night.pf = "NOT written, but pf has it" if night.pf == "pf has it" else "NOT written"
        night.expired, night.left_out = [], {}
        with contextlib.suppress(OSError):  # to count what is still there
            night.old = old_file(options.etcfile)[0]
    else:
        say_left_out(options, night)

    if options.verbose or options.mail:
        tell(options, night, table)
    if options.dry_run and table is not None:
        print_lines(night, table)
    return night.status


def attackers(options, night):
    """The pipeline's first half, from both logs to the addresses in their suspicious lines.

    Returns {address (bytes): the log's name (str)}. A log that cannot be read is reported.
    """
    start, end = time_range(options.now, options.days)
    night.range = start.decode(), end.decode()
    if start > end:
        night.say("range", "nothing found: %s sorts behind %s; careful mode (-c) knows dates"
                  % night.range)
    found, wanted = {}, options.verbose or options.mail  # whether somebody reads the report
    for path, suspects in ([(path, mail_suspects) for path in options.maillog]
                           + [(path, auth_suspects) for path in options.authlog]):
        name = visible(os.path.basename(path))
        block = b""
        for block, tally in read_log(options, night, path, SYSLOG_STAMP):
            lines = suspects(block, start, end)
            found.update(dict.fromkeys(addresses(lines), name))
            if wanted:
                tally.read += block.count(b"\n") + 1
                tally.suspicious += len(suspects(block, *ANY_LINE))  # in range or not
                tally.in_range += len(lines)
                explain(lines, night.findings)
        if end[4:5] == b" " and block[block.rfind(b"\n") + 1:][3:5] == b" 0":
            night.say(path, "nothing found: 0%s sorts behind %s; careful mode (-c) knows dates"
                      % (night.range[1][5], night.range[1]))
    return found


def time_range(now, days):
    """`date -r $(expr $(date +%s) - 86400) '+%b %d %H:%M:%S' | sed "s/ 0/  /"`, and for now.

    now: epoch seconds; days: of 86400 seconds. Returns the first and last stamp (bytes), local
    time. The first " 0" is that of a day up to the 9th, on later days that of an hour up to nine:
    sed takes it either way.
    """
    return tuple(
        time.strftime("%b %d %H:%M:%S", time.localtime(second)).replace(" 0", "  ", 1).encode()
        for second in (now - days * 86400, now))


MAIL_WORDS = rb"disconnect from unknown"  # one literal
AUTH_WORDS = rb"root|invalid|by [0-9]|identification"
ANY_LINE = b"", b"\xff" * LONGEST  # a range that holds every line


def mail_suspects(block, start, end):
    """`awk '$0>=from&&$0<=to' | grep "disconnect from unknown" | grep -v auth=1`: those of a
    block's lines (bytes; list of bytes). To split the block first takes up to five times as long.
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
    block's lines (bytes; list of bytes). Few are left after the range, so it comes first.
    """
    return grep(AUTH_WORDS, b"\n".join(in_range(block.split(b"\n"), start, end)))


def in_range(lines, start, end):
    """`awk '$0>=from&&$0<=to'`: the lines (list of bytes) from start to end, compared whole."""
    return [line for line in lines if start <= line <= end]


def grep(words, text):
    """`grep -E`: the lines of a text (bytes) that hold one of the words (a|b|c), in order. Where
    few do, looking for one word after another is three times as fast as for all at once.
    """
    ends = {}  # {where a line begins: where it ends}
    for word in words.split(b"|"):
        for hit in re.finditer(word + b".*", text):
            ends[text.rfind(b"\n", 0, hit.start()) + 1] = hit.end()
    return [text[start:ends[start]] for start in sorted(ends)]


# starts with a plain class: the search then leaps from digit to digit, and is faster
ADDRESS = re.compile(rb"[0-9][0-9]{0,2}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
SYSLOG_STAMP = re.compile(rb"[A-Z][a-z][a-z] [ 0-3][0-9] [ 0-2][0-9]:[0-9][0-9]:[0-9][0-9]")


def addresses(lines):
    """`grep -oE "([0-9]{1,3}\\.){3}[0-9]{1,3}"`: all in the lines (list of bytes), in order."""
    return ADDRESS.findall(b"\n".join(lines))


def open_log(path):
    """`cat LOG`: open a log (str; - is standard input), unpacked as its name tells.

    Returns a binary file. Raises OSError; ImportError where Python lacks the format.
    """
    # a FIFO that nobody writes to would hold up a plain open for ever, and standard input that does
    # not block would look empty
    fd = 0 if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    log = open(fd, "rb", buffering=0, closefd=fd > 0)
    if path.endswith(".gz"):
        import gzip
        return gzip.GzipFile(fileobj=log)
    if path.endswith(".bz2"):
        import bz2
        return bz2.BZ2File(log)
    if path.endswith(".xz"):
        import lzma
        return lzma.LZMAFile(log)
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
        about = os.fstat(log.fileno())
        progress = options.verbose and os.isatty(2) and stat.S_ISREG(about.st_mode)
        try:
            for number, block in enumerate(blocks(log), 1):
                if number == 1 and not any(map(stamp.match, block.split(b"\n", 100)[:100])):
                    night.say(path, "no line that a time stamp begins: is it the right log, and "
                              "as text?")
                yield block, tally
                if progress and number % 16 == 0:
                    to_stderr(b"\r\x1b[K%s: %d of %d MB" % (
                        visible(path).encode(), os.lseek(log.fileno(), 0, os.SEEK_CUR) >> 20,
                        about.st_size >> 20))
        finally:
            if progress:
                to_stderr(b"\r\x1b[K")
    # the last two are the unpackers' own, where open_log() has imported them
    except (OSError, EOFError, ImportError, getattr(sys.modules.get("zlib"), "error", OSError),
            getattr(sys.modules.get("lzma"), "LZMAError", OSError)) as error:
        night.complain(path, error)


def blocks(log):
    """Yield an open log's text in blocks (bytes) of whole lines, each without its last newline.
    Closes the log. Raises what its unpacker raises.

    NUL bytes at a line's beginning, left there by a power cut, are no part of it. Of a line over
    LONGEST only so much is looked at.
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
    found ({bytes: why (str)}) join pf's and the old entries, and pf takes the new table. From
    reading the file to its replacement other runs wait. --dry-run only reads. Returns the new
    table (list of bytes). Raises OSError if the old one stays.
    """
    target = os.path.realpath(options.etcfile)
    temporary = target + ".logcheck"
    # ExitStack() does nothing here; Python 3.6 has no nullcontext()
    with contextlib.ExitStack() if options.dry_run else locked(temporary) as new:
        known = pf_table(options, night)
        night.old, about = old_file(target)
        table = merge(options, night, known, found)
        table = within_limit(options, night, table, known)
        if options.dry_run:
            night.pf = "dry run, nothing written"
            return table
        fill(new, table, about)
        if options.careful and not options.no_pf:
            pf_replace(options, night, temporary)
        rename(options, night, temporary, target)
        if about is None:
            night.say(options.etcfile, "was not there and has been made")
    if not options.careful and not options.no_pf:
        pf_load(options, night)
    return table


def pf_table(options, night):
    """`pfctl -t TABLE -T show | awk '{print $1}'` (list of bytes). If it fails, that is said, and
    what pf alone holds is not known; if there is no pfctl, pf is not asked any more.
    """
    if options.no_pf:
        return []
    try:
        shown = pfctl("-t", options.table, "-T", "show")
        if re.search(rb"[^\t\n -~]", shown):
            raise OSError(errno.EIO, "-t %s -T show: not the text of a table" % options.table)
    except OSError as error:
        night.complain("pfctl", error)
        if error.errno == errno.ENOENT:
            night.pf = "pf did NOT take it: " + night.errors[-1]
            options.no_pf = True
        return []
    return re.findall(rb"^[ \t]*([^ \t\n]+)", shown, re.MULTILINE)


def pf_load(options, night):
    """`pfctl -f /etc/pf.conf`: pf takes the ruleset and so the table. A failure is reported."""
    try:
        pfctl("-f", options.pf_conf)
        night.pf = "pf has it"
    except OSError as error:
        night.complain("pfctl", error)
        night.pf = "pf did NOT take it: " + night.errors[-1]


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


# digits and dots that are not one to four numbers up to 255: pf would refuse the whole ruleset
UNLOADABLE = re.compile(rb"^(?!(?:%s\.){0,3}%s$)[0-9.]+$" % (
    (rb"0*(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",) * 2), re.MULTILINE)
NOT_LOADED, ALLOWED = "pf could not load it", "allowed"


def merge(options, night, known, found):
    """`grep -v "^$" | sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 | uniq` over the old file's lines,
    pf's (known) and the addresses found. Returns the table (sorted list of bytes).

    What is left out of it is noted in the night: what is allowed, and numbers and dots that are
    no address, for which pf would refuse the whole ruleset.
    """
    entries = set(night.old).union(known, found) - {b""}
    night.left_out = dict.fromkeys(UNLOADABLE.findall(b"\n".join(entries)), NOT_LOADED)
    if night.allowed:
        night.left_out.update((entry, ALLOWED) for entry in entries
                              if is_allowed(entry, night.allowed))
    entries -= night.left_out.keys()
    if options.expire:
        entries = dated(options, night, entries, found)
    return sorted(entries, key=sort_key)


def sort_key(entry):
    """What sort(1) orders an entry (bytes) by with -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4: the first
    four fields as numbers, then the whole line (tuple).
    """
    one, two, three, four = (entry + b"...").split(b".", 4)[:4]
    return field_number(one), field_number(two), field_number(three), field_number(four), entry


@functools.lru_cache(None)  # most fields come again
def field_number(field):
    """The number (int) that `sort -n` reads in a field (bytes): blanks, perhaps a minus, digits;
    zero if there are none. The digits are taken for hexadecimal ones: the order is the same, and
    there is no limit to how many they are.
    """
    minus, digits = re.match(rb"[ \t]*(-?)([0-9]*)", field).groups()
    return int(minus + (digits or b"0"), 16)


# ---- Careful mode --------------------------------------------------------------------------------

def careful_attackers(options, night):
    """The attackers of the last days, as a court finds them: every line that RULES know is
    evidence for or against its peer, and all of the range is heard before judgement.

    Returns {address or IPv6 network (bytes): why (str)}. A log that cannot be read is reported.
    """
    days = Range(options.now, options.days)
    night.range = days.ends
    court = Court(options, days)
    seen = set()
    for path in options.maillog + options.authlog:
        for name, log in generations(path, days.first, night, seen):
            court.before, court.unread = b"", None
            logged = read_log(options, night, name, ANY_STAMP, log)
            for block, tally in put_right(night, days, logged):
                court.hear(block, tally)
            if court.unread:
                night.say(name, "no rule can read what stands before this message: %s"
                          % visible(court.unread[:300]))
    return court.judge(night)


class Range:
    """The last days and two hours more, by the stamps on the lines. The two hours are for clocks
    set back and for runs that begin later than the night before: nothing is lost.

    first, last: epoch seconds; ends: both as local time (str); hours: {an hour of the range as
    syslogd writes it, "Apr  8 12" or "Apr 08 12" (bytes): "2018-04-08 12" (str)}; inner: those that
    need no look at the minutes; dates: the first and the last ISO date (bytes) that it may hold.
    """

    def __init__(self, now, days):
        at = time.localtime(now)
        self.last = now
        self.first = int(time.mktime((at.tm_year, at.tm_mon, at.tm_mday - days, at.tm_hour - 2,
                                      at.tm_min, at.tm_sec, 0, 0, -1)))
        self.ends = local_time(self.first), local_time(now)
        # an ISO date may be of another zone, up to a day away
        self.dates = [local_time(second)[:10].encode()
                      for second in (self.first - 86400, now + 86400)]
        self.hours = {time.strftime(form, time.localtime(second)).encode(): local_time(second)[:13]
                      for second in [*range(max(self.first, now - 366 * 86400), now, 1800), now]
                      for form in ("%b %e %H", "%b %d %H")}
        # in a year or more, the first and the last hour come again as hours from within, and
        # syslogd's stamps do not name the year
        edges = [end[:13] for end in self.ends] if days < 365 else []
        self.inner = {hour for hour, at in self.hours.items() if at not in edges}

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
            first, last = self.ends
            return first <= self.hours[hour] + line[9:15].decode("latin-1") <= last
        second = iso_second(line) if self.may_hold(line) else None
        return second is not None and self.first <= second <= self.last


def local_time(second):
    """An epoch second as "2018-04-08 12:00:00" (str)."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


ISO_STAMP = (rb"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
             rb"(?:[.,][0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?")
ANY_STAMP = re.compile(  # perhaps behind what LAYOUTS take away
    rb"(?:(?:\S{24,25} |)[a-z0-9]+\.[a-z]+: |(?:<\d+>|)(?:1 |)|[A-Z][a-z]{2} |)(?:"
    + SYSLOG_STAMP.pattern + b"|" + ISO_STAMP + b")")


def iso_second(line):
    """The epoch second of an ISO 8601 or RFC 3339 stamp that a line (bytes) begins with; local
    time if it names no offset; None if there is none, or no such time.
    """
    import datetime
    stamp = re.match(ISO_STAMP, line)
    try:
        *date, second = map(int, stamp.groups()[:6])
        zone = stamp.group(7)
        when = datetime.datetime(*date, min(second, 59))
        if not zone:
            return when.timestamp()
        if zone != b"Z":
            when -= datetime.timedelta(hours=int(zone[:3]), minutes=int(zone[:1] + zone[-2:]))
        return when.replace(tzinfo=datetime.timezone.utc).timestamp()
    except (AttributeError, ValueError, OverflowError, OSError):
        return None


def generations(path, since, night, seen):
    """Yield a log (str) and, before it, oldest first, the rotated ones that may hold a line since
    an epoch second: (name, open file). None stands for a file that could not be opened yet. All
    are opened before the first is read: what is rotated meanwhile is still read.

    seen: {(device, inode)} of the files that need not be read again, which it extends.
    """
    logs, older = [(path, *try_open(path))], []
    try:
        older = rotated(path, since)
    except OSError as error:
        if logs[0][1]:
            night.complain(os.path.dirname(path) or ".", error)
    for name in older:
        if name.endswith((".zst", ".Z")):
            night.complain(name, "cannot be unpacked: it is not read")
        else:
            logs.append((name, *try_open(name)))
    for name, log, inode in reversed(logs):
        if inode in seen:
            log.close()
            continue
        if inode:
            seen.add(inode)
        yield name, log


def rotated(path, since):
    """What newsyslog(8) or logrotate made of a log (str), where the mtime lets it hold a line since
    an epoch second: names, newest first. Raises OSError.
    """
    folder, base = os.path.split(path)
    ending = r"[.-]([0-9][0-9TZ-]*)(?:\.gz|\.bz2|\.xz|\.zst|\.Z)?"
    found = {}  # {number or date: (mtime, name)}
    # while maillog.0.gz is being written, maillog.0 is still there and sorts first
    for name in sorted(os.listdir(folder or ".")) if path != "-" else []:
        match = re.fullmatch(re.escape(base) + ending, name)
        if match and match.group(1) not in found:
            with contextlib.suppress(OSError):  # renamed just now
                name = os.path.join(folder, name)
                mtime = os.stat(name).st_mtime
                if mtime >= since - 3600:
                    found[match.group(1)] = mtime, name
    return [name for _, name in sorted(found.values(), reverse=True)]


def try_open(path):
    """open_log(path) and, of a regular file, its (device, inode): None and None if that fails."""
    try:
        log = open_log(path)
        about = os.fstat(log.fileno())
    except (OSError, ImportError):
        return None, None
    return log, (about.st_dev, about.st_ino) if stat.S_ISREG(about.st_mode) else None


# What the daemons write of their peers, a row a message: verdict, why, template, with two blanks
# between; indented lines go on (after a "|" without a blank). Rows are tried in this order, and the
# first that matches ends the search unless its verdict has a "+". tests/rules.txt has lines for
# each, with their sources.
#
# A template is the whole message: <NAME> stands for a pattern of FIELDS, {a|b} for either, <IP> for
# the peer. Nothing that a client types can move the place of <IP>: what stands before typed text is
# fixed, and behind it, up to the end, stand only the daemon's own words. (sshd cuts a message at
# 500 bytes, so <USER> is shorter than that.) <N> is a number of attempts that the line states.
# <SURE>: a peer that comes so (as root, or as an unknown user) makes the FAIL a SURE. A log is
# searched for a template's literal beginning, or, where other messages begin so, too, for all
# before the "~".
#
# A verdict is WHAT/DOOR/WITNESS, weighed by weigh(): what was told, where the peer knocked, and
# which of the lines that one attempt makes the daemon write tells it. Against the peer: SURE; FAIL;
# LEFT (an unknown client leaves Postfix without login and delivery); REJECT. For it: LOGIN;
# DELIVERED. One for one, PUTOFF (a 4xx of ours) takes back a LEFT, DOWN (our login service is) a
# FAIL, UNDONE (a message that is refused when its text comes) a DELIVERED. No evidence: NOTHING;
# PEER (the address of a session that later lines go by); END (of it). Postfix' rules hold for
# submission and smtps too, whose door is "submission", unless their door is "port 25".
RULES = r"""
sshd
SURE/ssh/user        unknown user  {Invalid|Illegal} user <NAME> from <PEER><PRE>
SURE/ssh/none        unknown user  Failed none for {{invalid|illegal} user <USER>|<invalid
    username>} from <PEER><SSH2><PRE>
SURE/ssh/failed      unknown user  Failed <WORD> for {{invalid|illegal} user <USER>|<invalid
    username>} from <PEER><SSH2><KEY>
SURE/ssh/postponed   unknown user  Postponed <WORD> for {invalid|illegal} user <USER> from
    <PEER><SSH2><KEY>
SURE/ssh/root        root failed  Failed <PASSWORD> for root from <PEER><SSH2>
FAIL/ssh/failed      failed password  Failed <PASSWORD> for <USER> from <PEER><SSH2>
# typed on both sides: no blank in the name
FAIL/ssh/failed      failed hostbased  Failed hostbased for {<SURE>invalid user |}<WORD> from
    <PEER><SSH2><CLIENTUSER>
LOGIN/ssh/accepted   login  Accepted <WORD> for <ACCOUNT> from <PEER><SSH2>{: <ANY>|}
FAIL/ssh/end         too many attempts  Disconnecting {<SURE>{invalid user <SHY>|authenticating user
    root} |authenticating user <SHY> |}<PEER>: Too many authentication failures<PRE>
FAIL/ssh/many        too many attempts  maximum authentication attempts exceeded for <TRIED> from
    <PEER><SSH2><PRE>
FAIL/ssh/end         changed the user  Disconnecting {<SURE>invalid|authenticating} user <WORD>
    <PEER>: Change of username or service not allowed: <WORD> -> <WORD><PRE>
SURE/ssh/end         broken protocol  Disconnecting <PEER>: {strict KEX violation|multiple
    KEXINIT|bad service request}<ANY>
FAIL/ssh/user        user not allowed  User <TRIED> from <IP> not allowed because <PLAIN>
FAIL/ssh/user        user not allowed  Denied connection for {<SURE>root|<WORD>} from <WORD>
    [<IP>].<PRE>
FAIL/ssh/access      user not allowed  pam_access(<SERVICE>): access denied for user `<TRIED>' from
    `<IP>'
FAIL/ssh/prohibited  prohibited  administratively prohibited connection for <TRIED> from <PEER>
FAIL/ssh/key         key not for this host  Authentication tried for <USER> with correct key but not
    from a permitted host (host=<WORD>, ip=<IP>{, required=<WORD>|}).
FAIL/ssh/key         key not for this host  Authentication tried for <USER> with valid certificate
    but not from a permitted {host|source address} ({ip=|}<IP>).
FAIL/ssh/end         no identification  {Did not receive identification string from|Could not write
    ident string to} <PEER><PRE>
FAIL/ssh/root        root refused  ROOT LOGIN REFUSED FROM <PEER>
FAIL/ssh/child       root refused  ROOT LOGIN REFUSED FROM <PEER> [preauth]
SURE/ssh/end         no ssh client  Bad protocol version identification '<BANNER>' from <PEER><PRE>
SURE/ssh/end         no ssh client  banner exchange: Connection from <PEER>: invalid format<PRE>
FAIL/ssh/end         no identification  banner exchange: Connection from <PEER>: <PLAIN><PRE>
# some of the connections of a single ssh-keyscan end so
NOTHING              ssh-keyscan  Unable to negotiate with <PEER>: no matching host key type found.
    Their offer: {sk-ssh-ed25519|sk-ecdsa-sha2-nistp256}@openssh.com<PRE>
FAIL/ssh/end         nothing in common  Unable to negotiate with <PEER>: <ANY>
FAIL/ssh/end         nothing in common  Protocol major versions differ for <PEER>: <ANY>
SURE/ssh/end         probed  {probed|scanned|Connection} from <PEER> with <ANY>
SURE/ssh/end         refused by hosts.deny  refused connect from {<WORD> (|}<IP>{)|}
# 13: cancelled; 14: no more methods
FAIL/ssh/disconnect  left before a login  Received disconnect from <PEER>:{ |}{13|14}:~ <ANY>
FAIL/ssh/disconnect  left before a login  Received disconnect from <PEER>:{ |}<CODE>:<NOTBYUSER>~
    <ANY>{ [preauth]|: Auth fail|: Auth cancel}
SURE/ssh/end         unknown user  {Connection closed by|Connection reset by|Disconnected from}
    invalid user <USER> <PEER><PRE>
FAIL/ssh/end         left before a login  {Connection closed by|Connection reset by|Disconnected
    from} authenticating{ |}user <USER> <PEER><PRE>
FAIL/ssh/end         left before a login  {Connection closed by|Connection reset by|Disconnected
    from} <IP>~{ port <DIGITS>|} [preauth]
# so ends a session that breaks off, too: then there was a login
FAIL/ssh/end         left before a login  Connection {closed|reset} by <IP> port <DIGITS>
SURE/ssh/end         broken protocol  Connection {from|to} {invalid user <USER> |authenticating user
    root |}<PEER>: <BROKEN> [preauth]
FAIL/ssh/end         left before a login  Connection {from|to} <PEER>: {Connection reset by peer|DH
    GEX group out of range}<PRE>
FAIL/ssh/end         timeout before a login  Timeout before authentication for {connection from
    |}<IP>{ port <DIGITS>| to <WORD>, pid = <ANY>|}
FAIL/ssh/penalty     penalty  srclimit_penalise: {ipv4: new |ipv6: new |}<IP>/{32|128}{:|} <PLAIN>
    for penalty: <PLAIN>
FAIL/ssh/penalty     penalty  drop connection #<DIGITS> from [<IP>]:<DIGITS> on [<WORD> penalty:
    <PLAIN>
SURE/ssh/rootPAM     root failed  PAM: <PLAIN> for root from <IP><VIA><PRE>
FAIL/ssh/PAM         failed password  PAM: <PLAIN> for <TRIED> from <IP><VIA><PRE>
FAIL/ssh/pam_unix    failed password  {(pam_unix) |}authentication failure; <PAM><WHOM>
FAIL/ssh/pam_unix    failed password  pam_unix(<SERVICE>): authentication failure;~ <PAM><WHOM>
FAIL/ssh/pam         failed password  pam_<SERVICE>): authentication failure;~ <PAM><WHOM>
FAIL/ssh/pam_unix    failed password  more authentication failure{s|}; <PAM><WHOM>

postfix
LEFT+/smtp/quit      unknown client, no login, no delivery  disconnect from unknown<CLIENT><IDLE>
PUTOFF+/submission/quit  put off  disconnect from unknown<CLIENT> ehlo=1 starttls=0/1<ANY>
PUTOFF/submission/quit  put off  warning: Wrapper-mode request dropped from <HOST> for <ANY>
LOGIN/smtp/auth      login  disconnect from <HOST><COMMANDS> auth=~<DONE>
FAIL/smtp/auth       failed login  disconnect from <HOST><COMMANDS> auth=~0/<N>{ <ANY>|}
LOGIN+/smtp/client   login  client=<HOST>, sasl_method=<WORD>, sasl_username=<ANY>
DELIVERED/smtp/client  delivery  client=<HOST>{, <ANY>|}
FAIL+/smtp/SASL      failed login  warning: <HOST>: SASL <ANY> authentication failed<ANY>
# Dovecot tells of it, too (below): another witness of the same
DOWN/auth/SASL       our login service  warning: <HOST>: SASL <MECH> authentication failed: <NOSASL>
FAIL/smtp/rate       too many logins  warning: AUTH command rate limit exceeded: <DIGITS> from
    <HOST> for service <WORD>
PUTOFF/smtp/limit    put off  warning: {Connection rate|Connection concurrency|Message delivery
    request rate|New TLS session rate} limit exceeded: <DIGITS> from <HOST> for service <WORD>
PUTOFF/smtp/limit    put off  warning: Refusing {STARTTLS|TLS service} request from <HOST> for
    service <WORD>
# a phone that is set to TLS from the start, where STARTTLS is expected
FAIL/submission/tls  TLS too early  {warning: non-SMTP command|improper command pipelining after
    CONNECT} from <HOST>: \026\003<ANY>
SURE/smtp/abuse      abuse of the protocol  warning: non-SMTP command from <HOST>{: <ANY>|}
SURE/smtp/abuse      abuse of the protocol  warning: <HOST> sent non-SMTP command: <ANY>
SURE/smtp/abuse      abuse of the protocol  improper command pipelining after <STAGE> from <HOST>{:
    <ANY>|}
SURE/smtp/errors     too many errors  too many errors after <STAGE> from <HOST>
REJECT/port 25/broke  unknown client broke off  {lost connection|timeout} after <EARLY> from
    unknown<CLIENT>
FAIL/smtp/broke      broke off after AUTH  {lost connection|timeout} after AUTH from <HOST>
PUTOFF/submission/tls  put off  SSL_accept error from <HOST>: <ANY>
NOTHING              our own user  {milter-|}reject: <STAGE> from <HOST>: <LOGGEDIN>
UNDONE+/smtp/reject  refused after all  {milter-|}reject: {DATA|BDAT|END-OF-MESSAGE} from <HOST>:
    <ANY>
REJECT/smtp/reject   rejected relaying or recipient  {milter-|}reject: <STAGE> from <HOST>:
    <REFUSED>
PUTOFF/smtp/reject   put off  {milter-|}reject: <STAGE> from <HOST>: 4<ANY>
REJECT/smtp/list     on block lists  DNSBL rank <DIGITS> for <CLIENT>
REJECT/smtp/list     on block lists  {BLACKLISTED|DENYLISTED} <CLIENT>
SURE/smtp/abuse      failed postscreen's tests  PREGREET <DIGITS> after <WORD> from <CLIENT>: <ANY>
SURE/smtp/abuse      failed postscreen's tests  HANGUP after <WORD> from <CLIENT> in tests before
    SMTP handshake
REJECT/port 25/broke  broke off  HANGUP after <WORD> from <CLIENT> in tests after SMTP handshake
REJECT/port 25/broke  too many or too slow commands  COMMAND {COUNT|TIME} LIMIT from <CLIENT>{ after
    <ANY>|}
SURE/smtp/abuse      failed postscreen's tests  {COMMAND LENGTH LIMIT|COMMAND PIPELINING|BARE
    NEWLINE|NON-SMTP COMMAND} from <CLIENT>{ <ANY>|}

cleanup
UNDONE+/smtp/reject  refused after all  milter-reject: END-OF-MESSAGE from <HOST>: {4|5}.<ANY>
PUTOFF/smtp/reject   put off  milter-reject: END-OF-MESSAGE from <HOST>: 4.<ANY>
REJECT/smtp/reject   rejected message  milter-reject: END-OF-MESSAGE from <HOST>: 5.<ANY>
UNDONE+/smtp/reject  refused after all  reject: {header|body} <TEXT> from <HOST>; from=<<LAST>
REJECT/smtp/reject   rejected message  reject: {header|body} <TEXT> from <HOST>; from=<<LAST>

dovecot
LOGIN/login/login    login  {Login|Logged in}: user=<<ACCOUNT>>, <RIP>
LOGIN/login/login    login  proxy(<PROXIED>{,<TOKEN>|}): {s|S}tarted proxying to <SERVER>:
    user=<<AGAIN>>, <RIP>
SURE+/login/login    abuse of the protocol  {Disconnected|Login aborted}{: Disconnected|}: Too many
    {invalid|bad} commands{.|}<NOTES>: <WHO>
FAIL/login/login     failed login  {Disconnected|Aborted login|Login aborted|Connection
    closed|Remote closed connection|Remote closed connection unexpectedly|Client has quit the
    connection|Authentication response too large}{ (|: | by logging
    out (}<NOTOUT>~<HOW><NOLOGIN><ATTEMPTS>)<NOTES>: <WHO>
DOWN/auth/process    our login service  {sql|ldap|dict|pam|passwd-file|passwd|
    shadow|static|lua}(<LOGNAME>,<IP><SESSION>): <OUTOFORDER>
DOWN/auth/process    our login service  {auth|auth-worker}(<LOGNAME>,<IP>~<SESSION>)<SESSIONS>:
    <OUTOFORDER>
# a recipient that LMTP asks for: without a session
NOTHING              recipient  {pam|passwd-file|sql|ldap|dict|passwd|shadow|static|
    lua}(<LOGNAME>,<IP>): unknown user{ |}
# databases may be asked in turn: each is a witness
FAIL/auth/pam        failed login  pam(<LOGNAME>,<IP><SESSION>): <DENIED>
FAIL/auth/file       failed login  passwd-file(<LOGNAME>,<IP><SESSION>): <DENIED>
FAIL/auth/process    failed login  {sql|ldap|shadow|passwd|bsdauth|checkpassword|static|lua|sia|
    vpopmail|policy|oauth2|dict|Authenticate|authenticate|cram-md5|digest-md5|apop|scram-sha-1|
    scram-sha-256}(<LOGNAME>,<IP><SESSION>): <DENIED>
# Dovecot 2.4; a recipient that LMTP asks for has no sasl or, of a worker, no session
FAIL/auth/process    failed login  auth(<LOGNAME>,<IP>~,sasl:<MECH>{,master|})<SESSIONS>: <DENIED>
FAIL/auth/worker     failed login  auth-worker(<LOGNAME>,<IP>~<SESSION>)<ASKED><SESSIONS>: <DENIED>
FAIL/auth/PAM        failed login  pam_<SERVICE>): authentication failure;~
    <PAM>{user=<WORD>|user=|}

opensmtpd
PEER                 session  smtp {event=|}connected address={[|}<IP>{]|} host=<ANY>
END                  session  smtp {event=|}{disconnected|closed}<ANY>
LOGIN/smtp/auth      login  smtp {event=|}authentication user=<TOKEN><AH> result=ok
FAIL/smtp/auth       failed login  smtp {event=|}authentication <ANY>result=permfail
DELIVERED/smtp/client  delivery  smtp {event=|}message <ANY>msgid=<ANY>
FAIL/smtp/command    failed login  smtp {event=|}failed-command <AH>command="<AUTHCMD> <ANY>"
    result="5<ANY>
REJECT/smtp/reject   rejected relaying or recipient  smtp {event=|}failed-command
    <AH>command="<RCPTCMD><ANY>" result="5<ANY>
SURE/smtp/abuse      abuse of the protocol  smtp {event=|}failed-command <AH>command="<NOSMTP><ANY>"
    result="500<ANY>
# by a filter, at any of its phases
REJECT/smtp/reject   rejected connection or message  smtp {event=|}failed-command
    <AH>command="<ANY>" result="<REFUSAL><ANY>
SURE/smtp/abuse      abuse of the protocol  smtp {event=|}bad-input <AH>result="500<ANY>Pipelining
    not supported<ANY>
# 5.x
PEER                 session  New session <ID> from host <WORD> [{IPv6:|}<IP>]
END                  session  Closing session <ID><ANY>
LOGIN/smtp/auth      login  Accepted authentication for user <TOKEN> on session <ID>
DELIVERED/smtp/client  delivery  Accepted message <TOKEN> on session <ID>: <ANY>
FAIL/smtp/auth       failed login  Authentication failed for user <ANY> on session <ID>
FAIL/smtp/command    failed login  Failed command on session <ID>: "<AUTHCMD> <ANY>" => 5<ANY>
REJECT/smtp/reject   rejected relaying or recipient  Failed command on session <ID>:
    "<RCPTCMD><ANY>" => 5<ANY>
SURE/smtp/abuse      abuse of the protocol  Failed command on session <ID>: "<NOSMTP><ANY>" =>
    500<ANY>
SURE/smtp/abuse      abuse of the protocol  Bad input on session <ID>: 500<ANY>Pipelining not
    supported<ANY>
"""

FIELDS = {  # (?:a|) in them is (?:a)?, but faster
    "<IP>": rb"(?P<ip>[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
            rb"|(?:IPv6:|)[\da-fA-F]{0,4}:[\da-fA-F:]{1,34}(?:[\d.]{7,15}|)(?:%[\w.-]{1,16}|))",
    "<ANY>": rb".*",  # typed by the client, or what does not matter
    "<NAME>": rb".{0,400}", "<USER>": rb".{0,300}",  # typed; sshd makes up to four bytes of one
    "<SHY>": rb"[^:]{0,300}", "<WORD>": rb"\S{1,100}", "<TOKEN>": rb"\S*", "<DIGITS>": rb"\d{1,6}",
    "<CODE>": rb"\d{1,10}", "<NOTBYUSER>": rb"(?! disconnected by user$)",
    "<PLAIN>": rb"[\w ,.:'/()-]{1,99}?",  # the daemon's own words, where none are typed
    "<N>": rb"(?P<n>\d{1,6})",
    "<ID>": rb"(?P<session>[0-9a-f]{16})",
    # sshd
    "<BANNER>": rb"(?!.{463}).*",  # typed; 463 bytes and its literal beginning make 500
    "<PEER>": rb"<IP>(?: port \d{1,5}|)",  # since OpenSSH 7
    "<PRE>": rb"(?: \[preauth\]|)",  # since OpenSSH 5.9
    "<SSH2>": rb"(?: ssh\d|)<VIA>", "<VIA>": rb"(?: via [\da-fA-F.:]{2,45}|) *",  # FreeBSD's own
    "<KEY>": rb"(?: \[preauth\]|: [A-Z\d-]{1,20} [\w:+/=]{1,60}|)",
    "<SURE>": rb"(?P<sure>)",
    "<TRIED>": rb"(?:<SURE>(?:i(?:nvalid|llegal) user <USER>|root)|<USER>)",
    "<CLIENTUSER>": rb"(?::(?!.* from ) .*|)",
    "<ACCOUNT>": rb"[^<>]{0,100}?",  # of a real user: not typed
    "<PASSWORD>": rb"(?:password|keyboard-interactive\S{0,30}|challenge-response)",
    "<SERVICE>": rb"[^\s)]{1,30}",
    "<BROKEN>": rb"(?:message authentication code incorrect|Connection corrupted|invalid format|"
                rb"incomplete message|unexpected [\w ]+|[\w ]+ is (?:too large|negative)|"
                rb"invalid elliptic curve[\w ]*|[Ii]nvalid argument|[Pp]rotocol error|"
                rb"unknown or unsupported key type|error in libcrypto|incorrect signature)",
    "<PAM>": rb"logname=\S* uid=\d+ euid=\d+ tty=\S* ruser=\S* rhost=<IP>\s*",
    "<WHOM>": rb"(?:<SURE>user=root|user=.*|)",
    # Postfix; it allows no other bytes in a host's name
    "<HOST>": rb"[\w.-]*<CLIENT>", "<CLIENT>": rb"\[<IP>\](?::\d{1,5}|)",
    "<IDLE>": rb"(?!.* (?:auth|data|bdat)=[1-9])(?: .*|)",
    "<COMMANDS>": rb"(?: (?:helo|ehlo|xclient|xforward|starttls)=\S+)*",
    "<DONE>": rb"[1-9]\S*(?: .*|)",
    "<STAGE>": rb"[A-Za-z][\w -]{1,30}(?: \(\d+ bytes\)|)",
    "<EARLY>": rb"(?:CONNECT|HELO|EHLO|STARTTLS|UNKNOWN|VRFY|HELP)",
    "<MECH>": rb"[\w-]{1,40}",
    "<NOSASL>": rb"(?:Connection lost|Can't connect|Authentication backend error|"
                rb"[Gg]eneric failure|Temporary|remote authentication server unavailable|"
                rb"no memory available|transient failure).*",
    # the client has logged in; a line that was cut short may end in typed text
    "<LOGGEDIN>": rb".{0,500} helo=<[^<> ]{0,100}> sasl_method=\S{1,40} sasl_username="
                  rb"(?!.* (?:helo=<|proto=)).{0,99}[^>]",
    "<REFUSED>": rb"(?:5(?!52)\d\d |bare .LF. |454 4\.7\.1 (?=.*: Relay access denied)|"
                 rb"450 (?:4\.1\.1 |).{0,300}?: Recipient address rejected: "
                 rb"(?:User unknown|undeliverable address)).*",
    # a message's, which is typed: heard only where one place alone can be the daemon's words
    "<TEXT>": rb"(?:(?!; from=<).)*?", "<LAST>": rb"(?!.*(?:; from=<|>: 4\.)).*",
    # Dovecot: the last rip= is its own, the name before it is typed
    "<WHO>": rb"(?:user=<.*>, |)<RIP>",
    "<RIP>": rb"(?:method=\S{0,64}, |)rip=<IP>(?:, (?:[lr]port|lip|mpid|pid)=[\w.:]+)*"
             rb"(?:, (?:secured|TLS|TSL)[^<>]*|)(?:, session=<[^<> ]*>|)",
    "<NOTOUT>": rb"(?!Logged out in=)",
    "<HOW>": rb"(?:[^<(]*(?:\([^()<]*\)[^<(]*){0,2}\(|)",  # "Connection closed ("
    "<NOLOGIN>": rb"(?:auth failed|authorization failed|user disabled|anonymous logins disabled|"
                 rb"sent invalid base64 in response|credentials contain control characters|"
                 rb"disconnected while authenticating, waited \d+ secs|tried to use [\w ]+|"
                 rb"proxy dest auth\w* fail\w+(?: to \S+?|)|"
                 rb"(?:client didn't finish SASL auth|auth aborted by client)"
                 rb"(?=, (?:[1-9]\d|[2-9])))",
    "<ATTEMPTS>": rb"(?:, (?:\d{1,6}/|)(?P<n>\d{1,6}) (?:attempts|successful auths)|)"
                  rb"(?: in \d+ secs|)(?:, last failure: [^<>]{0,300}|)",
    "<NOTES>": rb"(?: \([^()<]*\)){0,2}",
    "<LOGNAME>": rb"(?:(?!\): ).){0,80}",
    "<SESSION>": rb"(?:,sasl:[\w-]+|)(?:,master|)(?:,<[^<>()]*>|)",
    "<ASKED>": rb"(?!<\d+>: request \[\d+\]: (?:[\w-]+: |)unknown user$)",
    "<SESSIONS>": rb"(?:<[^<>()]*>){0,2}",
    "<PROXIED>": rb"(?P<user>[^<>]{0,100}?)", "<AGAIN>": rb"(?P=user)",
    "<SERVER>": rb"[\w ,.:<>()\[\]@/+-]{1,200}?",
    "<REQUEST>": rb"(?:request \[\d+\]: |)(?:(?:Info|Error): |)(?:[\w-]+: |)",
    "<OUTOFORDER>": rb"<REQUEST>(?:Password query failed|ldap_bind\(\) failed|Connection appears|"
                    rb"user not found from (?:any userdbs|userdb)|"
                    rb"ldap_search\(.{0,500}\) failed: (?:Can't contact|Server is |Timed out))"
                    rb"(?!.*\)(?:<[^<>]*>)*: ).*",
    "<DENIED>": rb"<REQUEST>(?:unknown user|[Pp]assword mismatch|[Ii]nvalid credentials|"
                rb"User found from deny passdb|Authentication failure due to policy|"
                rb"pam_authenticate\(\) failed: (?:[Aa]uthentication (?:failure|error)|"
                rb"User not known|Permission))"
                rb"[\w ]*(?: \([^()]*\)|)"
                rb"(?: \((?:SHA1 of |)given password: (?!.*\)(?:<[^<>]*>){0,2}: ).*\)|)",
    # OpenSMTPD
    "<AH>": rb"(?: ?address=\[?<IP>\]? host=\S+ ?|)",
    "<REFUSAL>": rb"55[0134] (?!5\.3\.4 )",
    "<AUTHCMD>": rb"(?i:auth)", "<RCPTCMD>": rb"(?i:rcpt to|mail from):",
    "<NOSMTP>": rb"(?:(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT) |Host:|User-Agent:|\\)",
}

# {daemon: (its program's name, what may stand between that and a message's beginning)}. Postfix
# for our own users' clients, at submission and smtps, counts as a daemon of its own; so does
# cleanup, which quotes messages: what smtpd may say would be typed there.
DAEMONS = {
    "sshd": (rb"sshd(?:[_-][\w.-]{1,40}|)(?:\(pam_unix\)|)",  # sshd-session, a second sshd's
             rb"(?:(?:error|fatal): |)(?:|[\w./@~+-]{1,200}(?::\d{1,6}|): )"),
    "postfix": (rb"(?:postfix/|(?!\S*(?:submission|smtps|/587|/465)[\w.-]*/)[\w./-]*/)"
                rb"(?:smtpd|postscreen)", rb"(?:\w{4,24}: |)"),
    "submission": (rb"[\w./-]*(?:submission|smtps|/587|/465)[\w.-]*/(?:[\w.-]+/)*"
                   rb"(?:smtpd|postscreen)", rb"(?:\w{4,24}: |)"),
    "cleanup": (rb"[\w./-]*/cleanup", rb"\w{4,24}: "),
    "dovecot": (
        rb"(?:dovecot(?:-[\w.-]{1,40}|)|auth(?:-worker|)(?:\(\d+\)|)|"
        rb"(?:imap|pop3|managesieve|submission)-login)",
        rb"(?:[\w-]+-login: |auth(?:-worker|)(?:\(\d+\)|): |)(?:(?:Info|Warning|Error): |)"
        rb"(?:conn unix:\S+ \(\S+\): auth-worker<\d+>: |)"),
    "opensmtpd": (rb"smtpd", rb"(?:smtp-in: |)"),
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
HOST = re.compile(STAMP_AND_HOST)
# syslog-ng quotes the first 20 bytes, and puts a number of its own behind the program
REPEATED = re.compile(
    STAMP_AND_HOST + rb"(?:(?:syslogd?(?:\[\d*\]|): |(?P<tag>\S{1,60}: |))last message repeated |"
    rb"(?P<program>[^\s\[]{1,60})\[\d+\]: Last message '(?P<quoted>.{0,20})' repeated )"
    rb"(?P<times>\d{1,6}) times?")
# a line of one of the daemons; one whose head is understood: those, and what cannot be one of them
OURS = STAMP_AND_HOST + rb"(?:%s)(?:\[\d*\]|)(?: <\w+>|): " % b"|".join(
    program for program, _ in DAEMONS.values())
HEADED = rb"%s|%s(?!\S*(?:ssh|\.service)|postfix\[)\S*[^\s:]: " % (
    OURS, STAMP_AND_HOST.replace(b"?P<host>", b"?:"))
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
GUESSED = 1000  # failures for each login from which on somebody has guessed a password
AGAINST = ("SURE", "FAIL", "LEFT", "REJECT")  # what speaks against a peer


class Rule:
    """A row of RULES. The verdict as what, door and witness; more: whether further rules are tried;
    counted: whether it has an <N>; sure: the rule that holds in its place where <SURE> is matched;
    fullmatch: its pattern's, once that has been tried (to compile all takes 30 ms).
    """

    def __init__(self, daemon, verdict, why, template):
        self.daemon, self.template, self.sure, self.fullmatch = daemon, template, None, None
        self.what, self.more, self.door, self.witness = re.match(
            r"(\w+)(\+?)/?([^/]*)/?(.*)", verdict).groups()
        program = "postfix" if daemon in ("submission", "cleanup") else daemon
        self.reason = "%s: %s" % (program, why)
        self.begins, self.follows = beginnings(template)
        self.pattern = expand(template) + rb"\r?"
        self.counted = b"(?P<n>" in self.pattern
        if b"(?P<sure>" in self.pattern and self.what != "SURE":
            self.sure = Rule(daemon, "SURE/%s/%s" % (self.door, self.witness),
                             why + " (root, or unknown)", template)

    def compiled(self):
        """Compile the pattern. Returns its fullmatch."""
        self.fullmatch = re.compile(self.pattern, re.DOTALL).fullmatch
        return self.fullmatch


def rules():
    """RULES as [Rule]. A row of Postfix makes two: one for port 25, and one for submission, where a
    SURE is a FAIL unless it is abuse of the protocol.
    """
    found = []
    text = re.sub(r"\n#.*|(?<=\|)\n +", "", RULES.strip()).replace("\n    ", " ")
    for paragraph in text.split("\n\n"):
        daemon, *rows = paragraph.split("\n")
        for verdict, why, template in (re.split("  +", row, maxsplit=2) for row in rows):
            if "/submission/" not in verdict:
                found.append(Rule(daemon, verdict.replace("port 25", "smtp"), why, template))
            if daemon == "postfix" and "port 25" not in verdict:
                verdict = re.sub("SURE/smtp/(?!abuse)", "FAIL/smtp/", verdict)
                found.append(Rule("submission", verdict.replace("smtp", "submission"), why,
                                  template))
    return found


def expand(template):
    """A template (str) as a pattern (bytes): <NAME> stands for FIELDS, {a|b} for either."""
    marks = {"{": b"(?:", "}": b")", "|": b"|", "~": b""}
    pattern = b"".join(
        piece.encode() if piece in FIELDS else marks.get(piece, re.escape(piece.encode()))
        for piece in re.split(r"(<[A-Z0-9]+>|[{|}~])", template))
    for _ in range(3):  # fields may hold fields
        pattern = re.sub(rb"<[A-Z0-9]+>", lambda field: FIELDS[field.group().decode()], pattern)
    return pattern


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
    """What to try where one of [Rule] may begin: {beginning of a message (bytes): [(matcher of all
    before it in a line of a daemon, [Rule] of that daemon)]}.
    """
    found = {begin: [] for rule in rows for begin in rule.begins}
    for daemon, (program, before) in DAEMONS.items():
        head = re.compile(rb"%s%s(?:\[\d*\]|)(?: <\w+>|): (?:%s|)(?:%s|)%s%s" % (
            STAMP_AND_HOST, program, SOLARIS, RSYSLOG, before, LEAD)).fullmatch
        its_own = [rule for rule in rows if rule.daemon == daemon]
        for begin in found:
            fitting = [rule for rule in its_own if begin.startswith(rule.begins)]
            if fitting:
                found[begin].append((head, fitting))
    return found


def any_beginning(rows):
    """A pattern (bytes) that finds where a message of one of [Rule] may begin; its group "begin"
    is that beginning.
    """
    # in reverse order a longer one comes before the shorter one that it begins with; grouped by
    # their first letters, they are found in two thirds of the time
    begins = sorted({(begin, rule.follows) for rule in rows for begin in rule.begins}, reverse=True)
    words = b"|".join(
        b"%s(?:%s)" % (re.escape(letter), b"|".join(
            re.escape(begin[1:]) + follows for begin, follows in group))
        for letter, group in itertools.groupby(begins, key=lambda pair: pair[0][:1]))
    pattern = b": (?:%s|%s|)%s(?P<begin>%s)" % (SOLARIS, RSYSLOG, LEAD, words)
    return re.sub(rb"\?P<(?!begin>)\w+>", b"?:", pattern)  # other names would come twice


def layouts(lines):
    """The rows of LAYOUTS that hold for lines (list of bytes) of a log: [(compiled pattern of a
    line's beginning, what is put in its place (bytes))].
    """
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


def put_right(night, days, logged):
    """Yield the blocks of a log, each with its Tally, as read_log() yields them (logged), with the
    line beginnings of LAYOUTS made usual ones. Then it is said if of 1,000 lines or more none is a
    daemon's that RULES know, or if lines in the range (days: Range) are cut at one length.
    """
    rows, known, names, ends, tally = {}, False, [], {}, None
    for number, (block, tally) in enumerate(logged):
        if number % 16 == 0:  # to look at all would take a tenth longer
            lines = block.split(b"\n")
            rows.update(layouts(lines[::8 if number else 1]))
            if days.may_hold(lines[0]) or days.may_hold(lines[-1]):
                longest = max(map(len, lines))
                ends.setdefault(longest, set()).update(
                    re.sub(rb"\d", b"0", line[-4:]) for line in lines if len(line) == longest)
        for begins, to in rows.items():
            block = begins.sub(to, block)
        yield block, tally
        known = known or re.search(b"(?m)^" + OURS, block)
        names = known or names or re.findall(PROGRAM, block)
    if tally and tally.read >= 1000 and names and not known:
        most = sorted(set(names), key=lambda name: (-names.count(name), name))[:3]
        night.say(tally.path, "%d lines, none of a daemon that the rules know, most of %s: is it "
                  "the right log?" % (tally.read, visible(b", ".join(most))))
    # lines that are whole end in few ways
    if ends and max(ends) >= 200 and len(ends[max(ends)]) >= 5:
        night.say(tally.path, "lines are cut at %d bytes: what stood behind is lost" % max(ends))


class Court:
    """Hears lines as evidence and judges their peers by it.

    evidence: {peer (bytes), an address or IPv6 network: its case, {rule: how often}}; peers:
    {address as logged: its peer, or None}; first: {(peer, rule): line}, kept only for a report;
    sessions: {(host, session): address as logged}; before: the end of the text before (bytes);
    unread: the first line (bytes) of the log that holds a rule's message behind an unknown head.
    """

    def __init__(self, options, days):
        self.options, self.days = options, days
        self.keep_lines = options.verbose or options.mail
        self.evidence, self.peers, self.first = {}, {}, {}
        self.sessions, self.before, self.unread = {}, b"", None
        rows = rules()
        self.rules, self.words = by_beginning(rows), any_beginning(rows)
        # to the end of the line: what a client types behind a beginning is none
        self.search = re.compile(self.words + b".*", re.MULTILINE).finditer

    def hear(self, block, tally):
        """Take the evidence in a block (bytes) of whole lines, and count it in the tally."""
        days = self.days
        tally.read += block.count(b"\n") + 1
        # its first line, or another
        if days.may_hold(block) or any(map(days.may_hold,
                                           {line[:10] for line in block.split(b"\n")})):
            search = self.search
            if b"ast message " in block:  # re keeps it: compiled once, in milliseconds
                search = re.compile(b"(?:%s|last message repeated |: Last message ').*"
                                    % self.words, re.MULTILINE).finditer
            for hit in search(block):
                start, end = block.rfind(b"\n", 0, hit.start()) + 1, hit.end()
                tally.suspicious += 1
                if days.holds(block[start:end]):
                    tally.in_range += (self.testify(block, start, end, hit) if hit["begin"]
                                       else self.repeat(block, start, end))
        self.before = (self.before + b"\n" + block[-NEAR:])[-NEAR:]

    def testify(self, text, start, end, hit, times=1):
        """Take what the line from start to end (int) of a text (bytes) says, so many times; hit is
        the match of search in it. Returns whether it says something of a peer.
        """
        begin = hit.start("begin")
        for is_head, rules in self.rules[hit["begin"]]:
            head = is_head(text, start, begin)
            if head:
                break
        else:
            if not (self.unread or re.match(HEADED, text[start:begin])) and any(
                    (rule.fullmatch or rule.compiled())(text, begin, end) for rule in rules):
                self.unread = text[start:end]
            return False
        if (text.endswith(b": File name too long", begin, end)
                and b" error: " in text[start:begin]):
            return False  # "error: PATH: File name too long": a user who has logged in types PATH
        if head["times"]:
            times, end = times * int(head["times"]), text.rfind(b"]", end - 1, end)
        heard = False
        for rule in rules:
            found = (rule.fullmatch or rule.compiled())(text, begin, end)
            if not found:
                continue
            logged = (self.in_session(rule, head, found.groupdict())
                      if rule.daemon == "opensmtpd" else found["ip"])
            if logged and rule.door:
                heard = True
                # a number stands at its <N>, or else before the message's beginning
                number = found["n"] if rule.counted else head["n"]
                attempts = min(int(number), BELIEVED) if number else 1
                told = rule.sure if rule.sure and found["sure"] is not None else rule
                self.record(told, logged, times * attempts,
                            text[start:end] if self.keep_lines else None)
            if not rule.more:
                break
        return heard

    def in_session(self, rule, head, found):
        """The address (bytes, or None) that a rule of OpenSMTPD speaks of, by the groups found
        ({name: bytes}): its line's own, or its session's, which PEER tells and END ends.
        """
        session = head["host"], found.get("session") or head["session"]
        if rule.what == "PEER":
            self.sessions[session] = found["ip"]
        if rule.what == "END":
            return self.sessions.pop(session, None)
        return found.get("ip") or self.sessions.get(session)

    def repeat(self, block, start, end):
        """Take the line from start to end (int) of a block (bytes) if it says "last message
        repeated N times": it speaks of the line before it of the same host, and of the same tag, or
        program and first words, if it has them. Returns whether that says something of a peer.
        """
        repeated = REPEATED.match(block, start, end)
        if not repeated:
            return False
        told = re.escape(repeated["tag"] or b"") if not repeated["program"] else (
            rb"%s(?:\[\d+\]|): %s" % tuple(map(re.escape, repeated.group("program", "quoted"))))
        text = b"\n" + self.before + b"\n" + block[max(0, start - NEAR):start]
        # the first piece is empty or the end of a line: typed text, perhaps
        for line in reversed(text[-NEAR:].split(b"\n")[1:]):
            head = HOST.match(line)
            if (head and repeated["host"] in (b"---", head["host"])  # macOS names no host there
                    and not REPEATED.match(line)):
                hit = next(self.search(line), None)
                return (bool(hit) and bool(re.compile(told).match(line, head.end()))
                        and self.testify(line, 0, len(line), hit, int(repeated["times"])))
        return False

    def record(self, rule, logged, times, line):
        """Note that a rule told so many times of an address as logged (bytes), and the first line
        (bytes, or None) that did.
        """
        if logged not in self.peers:
            self.peers[logged] = canonical(logged, self.options.mask6)
        peer = self.peers[logged]
        if peer:
            case = self.evidence.setdefault(peer, {})
            if line and rule not in case:
                self.first[peer, rule] = line
            case[rule] = case.get(rule, 0) + times

    def judge(self, night):
        """Judge every peer heard of. Returns {address or network (bytes): why (str)} of the
        attackers, and notes in the night what its report tells of them and of the others.
        """
        attackers = {}
        for peer, case in self.evidence.items():
            rule, remaining, logins, delivered = weigh(case, self.options.count)
            against = {each: times for each, times in case.items() if each.what in AGAINST}
            if rule:
                attackers[peer] = rule.reason
                if self.keep_lines:
                    night.findings[peer] = (
                        sum(against.values()),
                        rule.reason + ("; logins: %d" % logins if logins else ""),
                        self.first[peer, rule])
                continue
            accused, failures, _, _ = weigh(against, self.options.count)
            if accused:
                night.let_off.append((peer, failures, logins, delivered))
            elif remaining:
                night.near.append((peer, remaining))
        return attackers


def weigh(counts, threshold):
    """Judge a peer by what was heard of it ({rule: how often}). Returns the rule that makes it an
    attacker (or None), what speaks against it, its logins and its deliveries (int).
    """
    # one attempt is often logged more than once: at each door the witness who saw most is believed
    heard = {}  # {(what, door): {witness: how often}}
    for rule, times in counts.items():
        witnesses = heard.setdefault((rule.what, rule.door), {})
        witnesses[rule.witness] = witnesses.get(rule.witness, 0) + times
    # a connection that names an unknown user does so once, whatever passwords it tries; attempts as
    # root come on top
    ssh = heard.get(("SURE", "ssh"), {})
    if "user" in ssh:
        for witness in ("none", "failed", "postponed", "PAM"):
            ssh.pop(witness, None)
        ssh["user"] += max(ssh.get("root", 0), ssh.get("rootPAM", 0))
    heard = {key: max(witnesses.values()) for key, witnesses in heard.items()}

    def total(what, *doors):  # of all doors if none is named; different doors add up
        return sum(times for (said, door), times in heard.items()
                   if said == what and (not doors or door in doors))

    logins, down = total("LOGIN"), total("DOWN")
    delivered = max(0, total("DELIVERED") - total("UNDONE"))
    # deliveries outweigh SMTP's signs and rejects
    smtp_signs = total("SURE", "smtp", "submission")
    signs = total("SURE") - smtp_signs + max(0, smtp_signs - delivered)
    rejects = max(0, total("REJECT") - delivered)
    # a 4xx of ours takes back a leaving; our login service being down, that and a failed login
    left = total("LEFT", "smtp") - total("PUTOFF", "smtp") - down
    # who leaves submission without a login has failed there
    submission = max(total("FAIL", "submission"),
                     total("LEFT", "submission") - total("PUTOFF", "submission"))
    other_doors = total("FAIL") - total("FAIL", "ssh", "submission", "auth")
    # Dovecot's auth process hears of the attempts at all doors to mail
    mail = max(other_doors + submission, total("FAIL", "auth")) - down
    failures = total("FAIL", "ssh") + max(0, mail) + rejects
    decisive = ()
    if signs > logins:
        decisive = ("SURE",)
    elif left > 0 and not logins and not delivered:
        decisive = ("LEFT",)
    elif failures >= threshold and failures > GUESSED * logins:
        decisive = ("FAIL", "REJECT", "LEFT")
    rule = max((rule for rule in counts if rule.what in decisive), default=None,
               key=lambda rule: (counts[rule], rule.reason, rule.template))
    return rule, failures + signs + max(0, left), logins, delivered


def canonical(text, mask6):
    """An address as logged (bytes) as the table's entry: IPv4, or the IPv6 network of mask6 bits
    (int) that it lies in (but behind NAT64 each is an IPv4 address). None if invalid, loopback,
    multicast, link-local or unspecified.
    """
    import ipaddress
    try:
        address = ipaddress.ip_address(re.sub("^IPv6:|%.*", "", text.decode()))
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    if (address.is_loopback or address.is_unspecified or address.is_multicast
            or address.is_link_local or str(address).startswith("0.")):
        return None
    if address.version == 6 and mask6 < 128 and not str(address).startswith("64:ff9b::"):
        address = ipaddress.IPv6Network((int(address) >> 128 - mask6 << 128 - mask6, mask6))
    return str(address).encode()


# ---- Extras --------------------------------------------------------------------------------------

# What a run finds out

class Night:
    """One run: its exit code so far, its allow list, and what its report will tell."""

    def __init__(self):
        self.status, self.errors = 0, []  # exit code; what was said on stderr (list of str)
        self.allowed, self.range, self.tallies = None, ("", ""), []  # range: two stamps (str)
        self.findings = {}  # {address (bytes): (hits, why (str), the line that decided it)}
        # of careful mode: (peer, failures, logins, deliveries); (peer, failures)
        self.let_off, self.near = [], []
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
    """How many lines of a log (path: str) were read, suspicious, and of these in range."""

    def __init__(self, path):
        self.path, self.read, self.suspicious, self.in_range = path, 0, 0, 0


# The command line

class Options:
    """What the command line (list of str) can change: attributes named as the long options. Wrong
    usage is reported, and ends the program: exit 2.
    """

    def __init__(self, args):
        self.maillog, self.authlog = [MAILLOG], [AUTHLOG]
        self.etcfile, self.pf_conf, self.table = ETCFILE, PF_CONF, TABLE
        self.days, self.count, self.mask6 = DAYS, COUNT, MASK6
        self.now = int(time.time())
        self.dry_run = self.verbose = self.careful = self.no_pf = False
        self.allow = self.expire = self.forgive = self.mail = None
        if args:  # the bare nightly run needs no parser, which costs several milliseconds
            vars(self).update(parse(args))


def checked(what, valid, read=str):
    """What argparse takes for a type: a function that returns read(text) if valid(text), and
    otherwise says "not WHAT: TEXT" (str).
    """
    def value(text):
        with contextlib.suppress(ValueError, OverflowError):
            if valid(text):
                return read(text)
        import argparse
        raise argparse.ArgumentTypeError("not %s: %s" % (what, text))
    return value


def number(low, high):
    """A function that reads a number (int) from low to high in an option's text (str)."""
    return checked("a number from %d to %d" % (low, high),
                   lambda text: re.match(r"[0-9]{1,5}\Z", text) and low <= int(text) <= high, int)


def moment(text):
    """--now's TIME (str) in epoch seconds. Raises ValueError."""
    if re.match(r"[0-9]{1,11}\Z", text):
        return int(text)
    form = "%Y-%m-%d %H:%M:%S" if text.count(":") == 2 else "%Y-%m-%d %H:%M"
    return int(time.mktime(time.strptime(text, form)))


file_name = checked("a file name", bool)
# An option's names and value; what reads the value ([it], where the option may be repeated); help.
OPTIONS = (
    ("-m --maillog FILE", [file_name], "read FILE instead of %s; may be repeated" % MAILLOG),
    ("-a --authlog FILE", [file_name], "read FILE instead of %s; may be repeated; for both, - is "
     "standard input, and .gz, .bz2 and .xz are unpacked" % AUTHLOG),
    ("-e --etcfile FILE", file_name, "the file that holds the table; " + ETCFILE),
    ("-f --pf-conf FILE", file_name, "the ruleset for pf to load; " + PF_CONF),
    ("-t --table NAME", checked("a name", bool), "pf's table; " + TABLE),
    ("-d --days N", number(1, 99999), "look at the last N days; %d" % DAYS),
    ("-n --dry-run", None, "print the new table; write, load and mail nothing"),
    ("-v --verbose", None, "report on stderr what was read, found, let off and left out"),
    ("-c --careful", None, "real dates, rotated logs too, and a fair judgement of what the daemons "
     "themselves say of their peers, over IPv4 and IPv6"),
    ("-k --count N", number(1, 99999), "with -c: failures that may be a user's own count from N "
     "on; %d" % COUNT),
    ("-w --allow FILE", [file_name], "keep the addresses and networks in FILE (one a line, # "
     "comments) out of the table, whoever put them there; may be repeated"),
    ("-x --expire DAYS", number(1, 99999), "date the entries, and drop those last named more than "
     "DAYS days ago"),
    ("--forgive ADDRESS", [checked("an address or network", lambda text: network(
        os.fsencode(text)))], "take an address or network out of the file and of pf's table, and "
     "do nothing else; may be repeated"),
    ("--mask6 LEN", number(32, 128), "with -c: IPv6 peers are judged as networks of LEN bits; %d"
     % MASK6),
    ("--mail ADDRESS", checked("a mail address", lambda text: re.match(
        r"[\w.+=%!/@][\w.+=%!/@-]*\Z", text, re.ASCII)), "when addresses were added, send the "
     "report there"),
    ("--no-pf", None, "neither ask pf for its table nor load it"),
    ("--now TIME", checked("a time (YYYY-MM-DD HH:MM)", bool, moment),
     "run as if at TIME: epoch seconds, or local YYYY-MM-DD HH:MM[:SS]"),
)


def parse(args):
    """Read the command line (list of str). Returns {option's long name: value} of what it sets.
    Wrong usage is reported, and ends the program: exit 2.
    """
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
    if any(arg.endswith("=--") for arg in args):  # argparse would take it for no value
        parser.error("expected one argument")
    given = vars(parser.parse_args(args))
    for letter, name in (("-k", "count"), ("--mask6", "mask6")):
        if name in given and "careful" not in given:
            parser.error("%s has no effect without -c" % letter)
    return given


# Other programs, and what they and this one say

def pfctl(*args, text=b""):
    """Run pfctl(8) from PATH. Returns what it prints; OSError with its own words if it fails."""
    return command(("pfctl",) + args, text)


def command(args, text=b""):
    """Run a command (tuple of str) with text (bytes) as its input. Returns what it prints (bytes);
    raises OSError, with its own words if it fails, also if it takes longer than PATIENCE.
    """
    import subprocess
    try:
        done = subprocess.run(args, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=PATIENCE)
        if not done.returncode:
            return done.stdout
        words = (visible(done.stderr.replace(b"\n", b"; ").rstrip(b"; "))
                 or "exit %d" % done.returncode)
    except subprocess.TimeoutExpired:
        words = "no answer for %d seconds, ended" % PATIENCE
    raise OSError(errno.EIO, "%s: %s" % (" ".join(args[1:]), words))


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
def locked(path):
    """Make the temporary file (str) that is to become the table, and hold it locked: other runs
    wait. Yields its descriptor; removes it unless it has been renamed.

    Raises OSError, also when another run keeps the lock for longer than WAIT.
    """
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
    """Make path (str) and lock it. Returns its descriptor, or None: something was there, or another
    run took ours for a leftover. Raises OSError.
    """
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
        pass
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
        out.write(b"\n".join(lines + [b""]))


def fill(fd, lines, about):
    """Write a new table (list of bytes) to its file, open as fd, with the old one's owner and mode
    (about: os.stat_result, or None where there was none), and have it on disk. Raises OSError.
    """
    write(fd, lines)
    if about:
        try:
            os.fchown(fd, about.st_uid, about.st_gid)
        except PermissionError as error:
            raise OSError(error.errno, "cannot keep its owner and group: " + error.strerror)
        mode = stat.S_IMODE(about.st_mode)
    else:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o644 & ~umask
    os.fchmod(fd, mode)  # after fchown, which takes setuid bits away
    os.fsync(fd)


def rename(options, night, temporary, target):
    """Let the temporary file (str) take the table file's (str) place, and have that on disk; what
    cannot be synced is reported. Raises OSError if it cannot be renamed.
    """
    os.rename(temporary, target)
    try:
        folder = os.open(os.path.dirname(target), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        night.complain(options.etcfile, "written, but not synced to the disk: " + error.strerror)


# The allow list

def allow_list(paths):
    """The networks of --allow's files (list of str, or None) as two lists of addresses (4 or 6,
    int): their first ones, sorted; at i, the highest in the i lowest networks. None if there is no
    file. Raises OSError, which names the first line that is neither address nor network: a list
    read by halves would lock somebody out.
    """
    if not paths:
        return None
    allowed = []
    for path in paths:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = address_of(line)
                if text:
                    block = network(text)
                    if not block:
                        raise OSError(errno.EINVAL, "line %d: neither address nor network: %s"
                                      % (number, visible(text)), path)
                    allowed.append(block)
    allowed.sort()
    lasts = [(0, 0)] + [last for _, last in allowed]
    return [first for first, _ in allowed], list(itertools.accumulate(lasts, max))


def is_allowed(entry, allowed):
    """Whether an entry (bytes) of the table holds, or lies in, one of the allowed networks."""
    import bisect
    firsts, highest = allowed
    for word in address_of(entry).split():
        block = network(word)
        if block and highest[bisect.bisect(firsts, block[1])] >= block[0]:
            return True
    return False


def network(text):
    """An address or network (bytes), short forms as pf knows them (10.1 is 10.1.0.0/16).

    Returns its first and its last address, each as (4 or 6, int), or None.
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
        found = ipaddress.ip_network(host + "/" + bits if bits else host, strict=False)
        mapped = getattr(found.network_address, "ipv4_mapped", None)
        if mapped and found.prefixlen >= 96:
            found = ipaddress.ip_network((int(mapped), found.prefixlen - 96))
        return tuple((found.version, int(address))
                     for address in (found.network_address, found.broadcast_address))
    except ValueError:
        return None


# The table's life

DATED = re.compile(rb"([^#\s]+) # ([0-9]{4}-[01][0-9]-[0-3][0-9])(?: .*)?")
MANY = 25000  # entries, from which on pf is asked how many it can hold


def dated(options, night, entries, found):
    """--expire: give each plain address, or IPv6 network as long as --mask6, the day on which it
    was last named and why, and drop the dated ones whose day is too long ago.

    entries: set of bytes; found: {address: why}. Any other line is the admin's and stays as it is;
    an address that has such a line, or a dated one, gets no second one. Returns the new entries
    (set of bytes); those dropped are noted in the night.
    """
    import datetime
    day = datetime.date.fromtimestamp(options.now)
    today = str(day).encode()
    oldest = str(day - datetime.timedelta(options.expire)).encode()
    # kept: at first the admin's lines; dates: {network: (3, 2 or 1, day, line)}; in_pf: {network or
    # name: an entry that pf alone holds}
    kept, dates, old, in_pf = set(), {}, set(night.old), {}
    for entry in entries:
        match = DATED.fullmatch(entry)
        address = match.group(1) if match else entry.strip()
        block = network(address)
        ours = block and (block[0] == block[1] or block[0][0] == 6 and (
            match or address.endswith(b"/%d" % options.mask6)))
        if not ours or b"%" in address:
            if entry in old:
                kept.add(entry)
            else:
                in_pf[block or address] = entry
            continue
        # of several lines for one address the highest counts: 3 found now, 2 dated, 1 bare
        if match:
            row = 2, match.group(2), entry
        elif entry in found:
            row = 3, today, b"%s # %s %s" % (address, today, found[entry].encode())
        else:
            row = 1, today, b"%s # %s %s" % (
                address, today, b"in the table before" if entry in old else b"pf's own table")
        dates[block] = max(row, dates.get(block, row))
    by_hand = {network(word) or word for entry in kept for word in address_of(entry).split()}
    kept.update(entry for block, entry in in_pf.items()
                if block not in by_hand and block not in dates)
    for block, (_, date, line) in dates.items():
        if block in by_hand:
            continue
        if date < oldest:
            night.expired.append(line)
        else:
            kept.add(line)
    return kept


def address_of(entry):
    """The address, network or name (bytes) of a table's entry (bytes), without its comment."""
    return entry.split(b"#")[0].strip()


def within_limit(options, night, table, known):
    """The table (list of bytes) as far as pf could load it at boot, were it the only one: of the
    new entries, the last are left out and reported. Raises OSError if the old ones are too many.
    """
    if options.no_pf or max(len(table), len(known)) <= MANY:
        return table
    told = None
    try:
        told = re.search(rb"table-entries\s+hard limit\s+([0-9]+)", pfctl("-sm"))
    except OSError as error:
        night.complain("pfctl", error)
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


def pf_replace(options, night, path):
    """`pfctl -t TABLE -T replace -f FILE`: pf takes the new table (path: str) before it becomes
    the file, and no ruleset is loaded. Raises OSError if pf refuses it.
    """
    try:
        pfctl("-t", options.table, "-T", "replace", "-f", path)
        night.pf = "pf has it"
    except OSError as error:
        night.pf = "pf did NOT take it: " + visible(error.strerror)
        raise OSError(error.errno, "not written, pf refuses it: " + error.strerror)


def forgive(options, night):
    """--forgive: take what lies in its networks out of the file and of pf's table, and say what.
    Returns the exit code, 1 if nothing was there or something failed.
    """
    wanted = [network(os.fsencode(text)) for text in options.forgive]

    def lies_in(entry):
        found = list(map(network, address_of(entry).split()))
        return found and all(block and any(first <= block[0] and block[1] <= last
                                           for first, last in wanted) for block in found)

    def overlaps(entry):
        return any(block and block[0] <= last and first <= block[1] for first, last in wanted
                   for block in map(network, address_of(entry).split()))

    target = os.path.realpath(options.etcfile)
    temporary, dry, pfs_own = target + ".logcheck", options.dry_run, "pf's table " + options.table
    try:
        with contextlib.ExitStack() if dry else locked(temporary) as new:
            shown, (old, about) = pf_table(options, night), old_file(target)
            in_file, in_pf = list(filter(lies_in, old)), list(filter(lies_in, shown))
            for where, entries in ((options.etcfile, old), (pfs_own, shown)):
                for entry in entries:
                    if overlaps(entry) and not lies_in(entry):
                        night.complain(where, "cannot be taken out of the %s %s" % (
                            "line" if b" " in address_of(entry) else "network", visible(entry)))
            if not in_file and not in_pf:
                night.complain(options.etcfile, "nothing of it is there")
            if in_file and not dry:
                fill(new, [entry for entry in old if entry and not lies_in(entry)], about)
                rename(options, night, temporary, target)
            if in_pf and not dry:
                try:
                    pfctl("-t", options.table, "-T", "delete", "-f", "-",
                          text=b"".join(entry + b"\n" for entry in in_pf))
                except OSError as error:
                    in_pf = []
                    night.complain("pfctl", error)
    except OSError as error:
        return night.complain(options.etcfile, error)
    lines = [os.fsencode("%s out of %s: %s" % (
        "would be taken" if dry else "taken", where, visible(entry)))
             for where, taken in ((options.etcfile, in_file), (pfs_own, in_pf)) for entry in taken]
    if lines:
        print_lines(night, lines + [b"It can come back: what must never be in the table belongs in "
                                    b"the allow list (-w)."])
    return night.status


# The report and the letter

def explain(lines, findings):
    """For the report, note in findings what each suspicious line (list of bytes) names."""
    for line in lines:
        for address in addresses([line]):
            if address not in findings:
                words = re.search(MAIL_WORDS + b"|" + AUTH_WORDS, line)
                findings[address] = 0, 'matches "%s"' % words.group().decode(), line
            hits, why, first = findings[address]
            findings[address] = hits + 1, why, first


def say_left_out(options, night):
    """Name on stderr the entries that pf could not load, the first 20 of them."""
    bad = sorted(entry for entry in night.left_out if night.left_out[entry] == NOT_LOADED)
    for entry in bad[:20]:
        night.say(options.etcfile, "left out: %s, %s" % (visible(entry[:200]), NOT_LOADED))
    if bad[20:]:
        night.say(options.etcfile, "left out: %d more that pf could not load" % len(bad[20:]))


def tell(options, night, table):
    """Report on stderr (--verbose), and by mail (--mail) if there is something new. table: list
    of bytes, or None if it could not be written.
    """
    before = set(map(address_of, night.old or ()))
    added = [entry for entry in table or () if address_of(entry) not in before]
    text = report(night, added, night.old if table is None else table)
    if options.verbose:
        to_stderr(text.encode())
    if options.mail and added and not options.dry_run:
        subject = "logcheck on %s: %s%d added to %s" % (
            os.uname().nodename, "FAILED, " if night.status else "", len(added),
            visible(options.table))
        # all of it is ASCII, and no line begins with a dot or "From "
        letter = "\n".join((
            "From: root", "To: " + options.mail, "Subject: " + subject,
            "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S %z"),
            "Auto-Submitted: auto-generated", "", text))
        import shutil
        try:
            command((shutil.which("sendmail") or "/usr/sbin/sendmail", "-oi", options.mail),
                    letter.encode())
        except OSError as error:
            night.complain("sendmail", error)


def report(night, added, table):
    """The nightly report (str). added: the new entries (list of bytes); table: what it holds now
    (list of bytes, or None if not known).
    """
    def most_first(found):
        """Rows (entry (bytes), how often (int), ...), sorted."""
        return sorted(found, key=lambda row: (-row[1], sort_key(row[0])))

    def section(heading, lines):
        if lines:
            rows.extend(["", heading] + lines)

    held = set(map(address_of, table or ())) - {b""}
    rows = ["logcheck on %s: %d added, %d expired, %d let off, %s in the table; %s" % (
        os.uname().nodename, len(added), len(night.expired), len(night.let_off),
        "?" if table is None else "{:,}".format(len(held)), night.pf),
        "range: %s to %s" % night.range]
    section("%-40s%13s%13s%13s" % ("log", "lines", "suspicious", "in range"), [
        "%-40s%13d%13d%13d" % (visible(tally.path), tally.read, tally.suspicious, tally.in_range)
        for tally in night.tallies])
    new = []
    for entry, hits, why, line in most_first(
            (entry,) + night.findings.get(entry, (0, "pf's own table", b""))
            for entry in map(address_of, added))[:50]:
        new.append("%-32s%8s  %s" % (visible(entry[:200]), hits or "-", why))
        if line:
            new.append("    " + visible(line[:400]))
    if added[50:]:
        new.append("and %d more" % len(added[50:]))
    section("new" + " " * 29 + "%8s  why" % "hits", new)
    section("let off" + " " * 25 + "failures  logins  deliveries", [
        "%-32s%8d%8d%12d%s%s" % (address.decode(), failures, logins, delivered,
                                 "" if logins or delivered else "  we put it off",
                                 "  still in the table" if address in held else "")
        for address, failures, logins, delivered in most_first(night.let_off)])
    section("near misses" + " " * 21 + "failures", [
        "%-32s%8d" % (address.decode(), failures)
        for address, failures in most_first(night.near)[:10]])
    before = set(night.old or ())
    section("left out" + " " * 26 + "why", [
        "%-32s  %s%s" % (visible(entry[:200]), night.left_out[entry],
                         "; it was in the table" if entry in before else "")
        for entry in sorted(night.left_out, key=sort_key)] + [
        "%-32s  expired" % visible(entry[:200]) for entry in sorted(night.expired, key=sort_key)])
    if night.errors:
        rows += [""] + night.errors
    # no line that a mailer cuts, or takes for an end or a beginning
    return "\n".join(re.sub(r"^(?=\.|From )", " ", row[:990]) for row in rows + [""])


def run():
    """main() with nothing inherited that could hurt. Returns the exit code."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how pfctl ends
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:  # a closed stderr must not be the number of the next file opened
        fd = os.dup(fd)
    os.close(fd)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
