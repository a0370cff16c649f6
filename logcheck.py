#!/bin/sh
''':' # sh reads up to exec: Python from PATH, and (-IS) nobody else's modules in a root process
exec python3 -IS "$0" "$@"

logcheck.py: feed attackers found in maillog and authlog to pf's bruteforce table.

Every night it reads the last day of both logs, picks out attackers' addresses, merges them with
pf's table and the file that table is loaded from, and has pf load the result. It does what the
shell script /root/logcheck.sh does (grep, awk, sort, uniq), byte for byte, and is called in its
place from /etc/daily.local. The functions stand in the order of that pipeline; main() shows it
whole. `logcheck.py -h` is the manual, README tells the rest.

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
'''
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    # called as "python3 logcheck.py": still nobody else's modules
    sys.path[:] = [path for path in sys.path if path.startswith(sys.base_prefix + "/lib")]

import contextlib
import errno
import fcntl
import os
import re
import signal
import stat
import time

# The shell script's own names: edits to it carry over.
ETCFILE = "/etc/bruteforce"  # from which bruteforcers are loaded into pf
MAILLOG = "/var/log/maillog"
AUTHLOG = "/var/log/authlog"
PF_CONF = "/etc/pf.conf"
TABLE = "bruteforce"

WAIT = 60  # seconds to wait for a rival's lock, or for somebody to write to a log that is a FIFO
BLOCK = 128 * 1024  # bytes read at a time
DAY = 86400  # seconds, whatever daylight saving does

USAGE = """\
usage: logcheck.py [-nv] [-a authlog] [-d days] [-e etcfile] [-f pf.conf]
                   [-m maillog] [-t table] [--no-pf] [--now time]
  -m, --maillog FILE  read FILE instead of /var/log/maillog; may be repeated
  -a, --authlog FILE  read FILE instead of /var/log/authlog; may be repeated;
                      - is standard input; .gz, .bz2 and .xz are unpacked
  -e, --etcfile FILE  the file that holds the table; /etc/bruteforce
  -f, --pf-conf FILE  the ruleset for pf to load; /etc/pf.conf
  -t, --table NAME    pf's table; bruteforce
  -d, --days N        look at the last N days; 1
  -n, --dry-run       print the new table; write and load nothing
  -v, --verbose       report on stderr what was read, found and left out
      --no-pf         neither ask pf for its table nor have it load one
      --now TIME      run as if at TIME: epoch seconds, or local
                      YYYY-MM-DD HH:MM[:SS]
      --version       print the version
  -h, --help          print this
Exit: 0 done, 1 something failed (stderr says what), 2 wrong usage.
"""
VERSION = "logcheck.py 1.0"

ADDRESS = re.compile(rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
BY_NUMBER = re.compile(rb"by [0-9]")


def main(args):
    """Run the pipeline; args: the command line (list of str). Returns the exit code, 0 or 1."""
    options = Options(args)
    status = 0

    # the last day, and who attacked in it
    start, end = time_range(options.now, options.days)
    if start > end:
        say("range", "nothing is both after %s and before %s; careful mode (-c) knows better"
            % (start.decode(), end.decode()))
    found, tallies = {}, []
    for path, suspects in options.logs():
        tally = Tally(path)
        tallies.append(tally)
        try:
            for block in blocks(path):
                lines = block.split(b"\n")
                near = in_range(lines, start, end)
                suspicious = suspects(near)
                tally.add(lines, near, suspicious)
                note(found, suspicious, options.verbose)
        except Exception as error:  # each unpacker has errors of its own
            status = complain(path, error)

    # pf's own table, which rules may have added to
    known = []
    if options.pf:
        try:
            known = pf_table(options.table)
        except OSError as error:
            status = complain("pfctl", error)
            options.pf = error.errno != errno.ENOENT

    # both join the old file; from here to the new one, other runs wait
    target = os.path.realpath(options.etcfile)
    try:
        if options.dry_run:
            old = old_file(target)[0]
            table, left_out = merge(old, known, found)
        else:
            temporary = target + ".logcheck"
            with locked(temporary) as new:
                old, face = old_file(target)
                table, left_out = merge(old, known, found)
                write(new, table)
                put_in_place(new, temporary, target, face)
    except OSError as error:
        return complain(options.etcfile, error)
    for entry in left_out:
        say(options.etcfile, "left out: %s, pf could not load it" % visible(entry))
    if options.verbose:
        os.write(2, report(options, (start, end), tallies, found, old, table, left_out).encode())
    if options.dry_run:
        try:
            write(1, table)
        except OSError as error:
            return complain("stdout", error)

    # pf takes it
    elif options.pf:
        try:
            pf_load(options.pf_conf)
        except OSError as error:
            status = complain("pfctl", error)
    return status


class Options:
    """The command line: attributes named as the long options. Ends the program if it is wrong."""

    careful = dry_run = verbose = False
    pf = True
    etcfile, pf_conf, table = ETCFILE, PF_CONF, TABLE
    days = 1

    def __init__(self, args):
        self.now = int(time.time())
        self.maillogs, self.authlogs = [], []
        if args:
            self.parse(args)

    def parse(self, args):
        import getopt
        try:
            pairs, rest = getopt.gnu_getopt(args, "m:a:e:f:t:d:nvh", [
                "maillog=", "authlog=", "etcfile=", "pf-conf=", "table=", "days=", "dry-run",
                "verbose", "no-pf", "now=", "version", "help"])
        except getopt.GetoptError as error:
            wrong_usage(error.msg)
        if rest:
            wrong_usage("%s: not an option" % rest[0])
        for option, value in pairs:
            if option in ("-m", "--maillog"):
                self.maillogs.append(value)
            elif option in ("-a", "--authlog"):
                self.authlogs.append(value)
            elif option in ("-e", "--etcfile"):
                self.etcfile = value
            elif option in ("-f", "--pf-conf"):
                self.pf_conf = value
            elif option in ("-t", "--table"):
                self.table = value
            elif option in ("-d", "--days"):
                self.days = number_of("days", value)
            elif option in ("-n", "--dry-run"):
                self.dry_run = True
            elif option in ("-v", "--verbose"):
                self.verbose = True
            elif option == "--no-pf":
                self.pf = False
            elif option == "--now":
                self.now = moment(value)
            else:
                print(USAGE if option in ("-h", "--help") else VERSION)
                sys.exit(0)
        try:
            time_range(self.now, self.days)
        except (OverflowError, ValueError, OSError):
            wrong_usage("no such time: %d days before %d" % (self.days, self.now))

    def logs(self):
        """The logs and their suspects: [(path, function of lines)], maillogs first."""
        return ([(path, mail_suspects) for path in self.maillogs or [MAILLOG]]
                + [(path, auth_suspects) for path in self.authlogs or [AUTHLOG]])


def number_of(what, text):
    """A number from the command line (str) as int, 1 to 99999."""
    if not re.match(r"[0-9]{1,5}\Z", text) or not int(text):
        wrong_usage("not a number of %s: %s" % (what, text))
    return int(text)


def moment(text):
    """--now's TIME (str): epoch seconds, or local YYYY-MM-DD HH:MM[:SS]. Returns epoch seconds."""
    if re.match(r"[0-9]{1,12}\Z", text):
        return int(text)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return int(time.mktime(time.strptime(text, form)))
        except (ValueError, OverflowError):
            pass
    wrong_usage("not a time: " + text)


def time_range(now, days):
    """`date -r $(expr $(date +%s) - 86400) '+%b %d %H:%M:%S' | sed "s/ 0/  /"`, and for now.

    now: epoch seconds; days: of 86400 seconds. Returns the first and last stamp (bytes), local
    time. The first " 0" is the zero of a day up to the 9th, or else of an hour up to nine: both
    are cut, as sed does (the page).
    """
    return tuple(
        time.strftime("%b %d %H:%M:%S", time.localtime(second)).replace(" 0", "  ", 1).encode()
        for second in (now - days * DAY, now))


def open_log(path):
    """Open a log (str; - is standard input) for reading; its name tells how it is packed.

    Returns a binary file. Raises OSError; ImportError where Python lacks the format.
    """
    if path == "-":
        return open(0, "rb", buffering=0, closefd=False)
    # a FIFO that nobody writes to would hold up a plain open for ever
    log = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    os.set_blocking(log.fileno(), True)
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


def blocks(path):
    """`cat LOG`: yield its text in blocks (bytes) of whole lines without the last newline.

    A last line that lacks its newline is a line. Raises what opening and unpacking may raise.
    """
    with open_log(path) as log:
        fifo = path != "-" and stat.S_ISFIFO(os.fstat(log.fileno()).st_mode)
        pieces = []  # of a line longer than a block: joined once, so the time stays linear
        while True:
            if fifo:
                await_writer(log)
            data = log.read(BLOCK)
            if not data:
                break
            end = data.rfind(b"\n")
            if end >= 0:
                yield b"".join(pieces) + data[:end]
                pieces = []
            pieces.append(data[end + 1:])
        if any(pieces):
            yield b"".join(pieces)


def await_writer(log):
    """Wait until a log that is a FIFO has something to read; TimeoutError after WAIT seconds."""
    import select
    if not select.select([log], [], [], WAIT)[0]:
        raise TimeoutError(errno.ETIMEDOUT, "nobody wrote to it for %d seconds" % WAIT)


def in_range(lines, start, end):
    """`awk '$0>=from&&$0<=to'`: the lines (list of bytes) from start to end, compared whole."""
    return [line for line in lines if start <= line <= end]


def mail_suspects(lines):
    """`grep "disconnect from unknown" | grep -v auth=1` (list of bytes)."""
    return [line for line in lines if b"disconnect from unknown" in line and b"auth=1" not in line]


def auth_suspects(lines):
    """`grep -E "root|invalid|by [0-9]|identification"` (list of bytes)."""
    return [line for line in lines
            if b"root" in line or b"invalid" in line or b"identification" in line
            or b"by " in line and BY_NUMBER.search(line)]


def addresses(lines):
    """`grep -oE "([0-9]{1,3}\\.){3}[0-9]{1,3}"` (list of bytes): all, in a line as across them."""
    return ADDRESS.findall(b"\n".join(lines))


def pf_table(table):
    """`pfctl -t TABLE -T show | awk '{print $1}'` (list of bytes). Raises OSError."""
    shown = pfctl("-t", table, "-T", "show")
    if re.search(rb"[^\t\n -~]", shown):
        raise OSError(errno.EIO, "-t %s -T show: not the text of a table" % table)
    return re.findall(rb"^[ \t]*([^ \t\n]+)", shown, re.MULTILINE)


def pf_load(conf):
    """`pfctl -f /etc/pf.conf`: pf takes the ruleset, and with it the table. Raises OSError."""
    pfctl("-f", conf)


def pfctl(*args):
    """Run pfctl(8) from PATH. Returns what it prints; OSError with pf's own words if it fails."""
    import subprocess
    done = subprocess.run(("pfctl",) + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        words = visible(b"; ".join(done.stderr.split(b"\n")).rstrip(b"; "))
        raise OSError(errno.EIO, "%s: %s" % (" ".join(args), words or "exit %d" % done.returncode))
    return done.stdout


def old_file(path):
    """`cat "$ETCFILE"`: its lines (list of bytes) and its os.stat(), or none of both yet.

    Raises OSError if it exists and cannot be read, or is not a regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return [], None
    with open(fd, "rb") as file:
        face = os.fstat(fd)
        if not stat.S_ISREG(face.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read().split(b"\n"), face


NUMERIC = re.compile(rb"[0-9.]+")
LOADABLE = re.compile(rb"(?:%s\.){0,3}%s" % ((rb"0*(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",) * 2))
FIELD = re.compile(rb"[ \t]*(-?)([0-9]*)")


def merge(*sources):
    """`grep -v "^$" | sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 | uniq` over all the sources.

    sources: iterables of entries (bytes). Returns the table (sorted list) and the entries left
    out of it (sorted list): numbers and dots that pf takes for no address, so that it would
    refuse the whole ruleset.
    """
    entries = set().union(*sources)
    entries.discard(b"")
    left_out = {entry for entry in entries
                if NUMERIC.fullmatch(entry) and not LOADABLE.fullmatch(entry)}
    return sorted(entries - left_out, key=sort_key), sorted(left_out)


def sort_key(line):
    """What sort(1) compares with -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4: four numbers, the line."""
    numbers = [0, 0, 0, 0]
    for place, field in enumerate(line.split(b".", 4)[:4]):
        sign, digits = FIELD.match(field).groups()
        # base 16 keeps the order of decimal numbers and has no limit on their length
        numbers[place] = int(sign + digits, 16) if digits else 0
    return numbers, line


@contextlib.contextmanager
def locked(path):
    """Make the temporary file (str) that is to become the table; while it stands there locked,
    other runs wait. Yields its descriptor; removes it unless it has been renamed.

    Raises OSError, also when a rival keeps the lock for longer than WAIT.
    """
    deadline = time.monotonic() + WAIT
    fd = make_locked(path)
    while fd is None:
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, "another run has had it locked for %d seconds" % WAIT)
        remove_leftover(path)
        fd = make_locked(path)
    try:
        yield fd
    finally:
        drop(fd, path)


def make_locked(path):
    """Create and lock path (str). Returns its descriptor, or None if something is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stands(fd, path):
            return fd
    except BlockingIOError:
        pass  # a rival takes it for a leftover
    except OSError:
        drop(fd, path)
        raise
    os.close(fd)
    return None


def remove_leftover(path):
    """Remove what stands at path (str) unlocked: a killed run has left it, or somebody has put
    it there for us to write to. If a living run holds it, give that a moment.
    """
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            os.unlink(path)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stands(fd, path):
                os.unlink(path)
        finally:
            os.close(fd)
    except BlockingIOError:
        time.sleep(0.05)
    except FileNotFoundError:
        pass  # a rival was faster


def stands(fd, path):
    """Whether path (str) is still the file open as fd."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def drop(fd, path):
    """Close fd, and remove its file if that still stands at path (str)."""
    try:
        if stands(fd, path):
            os.unlink(path)
    finally:
        os.close(fd)


def put_in_place(fd, path, target, face):
    """`> "$ETCFILE"`, whole or not at all: the file at path (str), open as fd, takes the place
    of target (str) with its mode and owner (face: os.stat_result, or None where none was).
    """
    if face:
        os.fchown(fd, face.st_uid, face.st_gid)
        os.fchmod(fd, stat.S_IMODE(face.st_mode))
    else:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(fd, 0o644 & ~umask)
    os.fsync(fd)
    os.rename(path, target)
    directory = os.open(os.path.dirname(target), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


class Tally:
    """How many lines of a log (path: str) were read, in range, and suspicious."""

    def __init__(self, path):
        self.path = path
        self.read = self.in_range = self.matched = 0

    def add(self, read, in_range, matched):
        self.read += len(read)
        self.in_range += len(in_range)
        self.matched += len(matched)


class Finding:
    """Why an address is in the table: the first line (bytes) that named it, and how often."""

    __slots__ = ("hits", "line")

    def __init__(self, line):
        self.hits, self.line = 0, line


def note(found, lines, explain):
    """Add the lines' addresses to found: {address (bytes): Finding, or None if not explain}."""
    if not explain:
        found.update(dict.fromkeys(addresses(lines)))
        return
    for line in lines:
        for address in addresses([line]):
            if address not in found:
                found[address] = Finding(line)
            found[address].hits += 1


def report(options, span, tallies, found, old, table, left_out):
    """The nightly report (str): what was read, which addresses are new and why."""
    text = ["range: %s to %s\n" % (span[0].decode(), span[1].decode())]
    for tally in tallies:
        text.append("%s: %d lines, %d in range, %d matched\n"
                    % (tally.path, tally.read, tally.in_range, tally.matched))
    before = set(old)
    for entry in table:
        if entry not in before:
            finding = found.get(entry)
            text.append("new: %-15s  %s\n" % (visible(entry), "pf's own table" if finding is None
                        else "%d hits, first: %s" % (finding.hits, visible(finding.line[:400]))))
    for entry in left_out:
        text.append("left out: %s\n" % visible(entry))
    text.append("%s: %d entries, %d before\n"
                % (options.etcfile, len(table), len(before - {b""})))
    return "".join(text)


def write(fd, lines):
    """Write lines (list of bytes) to a file descriptor."""
    with open(fd, "wb", closefd=False) as out:
        out.writelines(line + b"\n" for line in lines)


def visible(text):
    """Text from elsewhere (bytes) as str that no terminal or mail takes for a command."""
    return "".join(chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte for byte in text)


def say(name, reason):
    """One line on stderr: `logcheck: NAME: REASON` (str)."""
    os.write(2, ("logcheck: %s: %s\n" % (visible(os.fsencode(name)), reason)).encode())


def complain(name, error):
    """Say what failed (str, exception). Returns the exit code for it, 1."""
    say(name, getattr(error, "strerror", None) or str(error) or type(error).__name__)
    return 1


def wrong_usage(reason):
    """Say it and end with exit code 2."""
    say("usage", reason + " (logcheck.py -h tells)")
    sys.exit(2)


def run():
    """main() with nothing inherited that could hurt, and no traceback. Returns the exit code."""
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:  # a closed stderr must not be the number of the next file opened
        fd = os.dup(fd)
    os.close(fd)
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        return complain("internal error", error)


if __name__ == "__main__":
    sys.exit(run())
