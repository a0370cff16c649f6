"""The one harness of all tests: a Host is a folder with the logs, the table and pf's table of one
night, on which logcheck.py and the shell pipeline run.

run() forks the test's own process, in which logcheck is imported already: a run takes some
milliseconds. With python=, script= or process=True it starts a real one. Needs no pytest; the
fixtures `host` (one address from each source) and `empty` are in conftest.py.
"""
import argparse  # noqa: F401 - what logcheck imports late, so that no fork has to
import bz2  # noqa: F401
import calendar
import collections
import functools
import glob
import gzip  # noqa: F401
import ipaddress  # noqa: F401
import itertools
import lzma  # noqa: F401
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, TOP)
import logcheck  # noqa: E402
SCRIPT = os.path.join(TOP, "logcheck.py")
REFERENCE = os.path.join(HERE, "reference.sh")
STANDINS = os.path.join(HERE, "standins")  # date, pfctl and sendmail
FIXTURES = sorted(path for path in glob.glob(os.path.join(TOP, "fixtures", "*"))
                  if os.path.isdir(path))
PATIENCE = int(os.environ.get("PATIENCE", 120))  # seconds until a run counts as hanging

NOW = 1523237400  # 2018-04-09 01:30:00 UTC
STAMP = b"Apr  8 12:00:00"
ATTACK = STAMP + b" mail sshd[1]: Failed password for root from %s port 22 ssh2\n"
MAIL = STAMP + b" mail postfix/smtpd[1]: disconnect from unknown[%s] auth=0/1\n"
# one address from each source, and the table that either mode makes of them
NIGHT = {"maillog": MAIL % b"203.0.113.1", "authlog": ATTACK % b"192.0.2.1",
         "bruteforce": b"192.0.2.200\n", "pf_table": b"   198.51.100.1\n"}
TABLE = b"192.0.2.1\n192.0.2.200\n198.51.100.1\n203.0.113.1\n"


def repeated(line, times):
    """So many lines like one (bytes) of port 22, each from another port: no two are the same."""
    return b"".join(line.replace(b"port 22", b"port 22%d" % n) for n in range(times))


SHOWN, LOADED = "-t bruteforce -T show", "-f /etc/pf.conf"  # pf's calls in the default mode

# what a run has ended with: exit code (int; minus a signal's number), bytes, and str
Run = collections.namedtuple("Run", "returncode stdout stderr")


class Begun(collections.namedtuple("Begun", "pid out err")):
    """A forked run that nobody has waited for yet: its process, stdout (file), stderr (pipe)."""

    def end(self):
        """Wait for its end. Returns a Run."""
        with self.out, open(self.err, "rb") as err:
            said = text_of(err.read())
            status = os.waitpid(self.pid, 0)[1]
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self.out.seek(0)
            return Run(code, self.out.read(), said)


class Host:
    """One night in a folder (str). maillog, authlog, bruteforce, pf_table: what the files hold
    (bytes; None: the file is not there); now: epoch seconds or --now's text; env, options: what
    its runs get in their environment and on their command line besides its own.
    """

    def __init__(self, folder, maillog=b"", authlog=b"", bruteforce=b"", pf_table=b"", now=NOW,
                 tz="UTC", days=1):
        self.folder = str(folder)
        self.now, self.tz, self.days, self.env, self.options = now, tz, days, {}, ()
        for name, text in (("maillog", maillog), ("authlog", authlog), ("bruteforce", bruteforce),
                           ("pf-table", pf_table)):
            if text is not None:
                self.write(name, text)

    @classmethod
    def load(cls, fixture, folder):
        """A copy in a folder of the night in a fixture's folder."""
        *files, now = [contents(os.path.join(fixture, name)) for name in (
            "maillog", "authlog", "bruteforce", "pf-table", "now")]
        made = cls(folder, *files, calendar.timegm(
            time.strptime(now.decode(), "%Y-%m-%d %H:%M:%S\n")))
        for name in ("maillog", "authlog"):  # when their last lines were written
            os.utime(made.path(name), (made.now, made.now))
        return made

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=None):
        with open(self.path(name), "wb") as file:
            file.write(text)
        if mode is not None:
            os.chmod(self.path(name), mode)

    def read(self, name="bruteforce"):
        return contents(self.path(name))

    def names(self):
        """What is in the folder, but for the stand-ins' notes."""
        return sorted(set(os.listdir(self.folder)) - {"pf-log", "letters"})

    def pf_calls(self):
        """What pfctl was called with, one str each."""
        log = self.path("pf-log")
        return contents(log).decode().splitlines() if os.path.exists(log) else []

    def letters(self):
        """What sendmail was given, oldest first: [(its arguments, the letter (bytes))]."""
        return [(self.read(path.replace("letter.", "argv.")).decode().split("\n")[:-1],
                 self.read(path))
                for path in sorted(glob.glob(self.path("letters/letter.*")),
                                   key=lambda path: os.stat(path).st_mtime_ns)]

    def keep_tables(self, pf=()):
        """From now on pfctl's stand-in has tables that stay, and a ruleset, pf.conf, that loads
        one from the table's file. pf: its entries now (bytes).
        """
        os.mkdir(self.path("pf"))
        self.pf_holds(*pf)
        self.write("pf.conf", b'table <bruteforce> persist file "%s"\n'
                   % os.fsencode(self.path("bruteforce")))
        self.env["PF_STATE"] = self.path("pf")

    def pf(self):
        """The entries (set of bytes) of a pf that keep_tables() has set up."""
        return set(b"".join(line.split()) for line in self.read("pf/bruteforce").splitlines())

    def pf_holds(self, *entries):
        """Give that pf these entries (bytes)."""
        self.write("pf/bruteforce", b"".join(
            b"  %s%s\n" % (b" " * (entry[:1] != b"!"), entry) for entry in entries))

    def environment(self, **more):
        """The environment (dict) of a run, in which the stand-ins find what they need. None takes
        a variable away.
        """
        made = {"PATH": STANDINS + ":" + os.environ["PATH"], "TZ": self.tz, "NOW": str(self.now),
                "DAYS": str(self.days), "PF_TABLE": self.path("pf-table"),
                "PF_LOG": self.path("pf-log"), "LETTERS": self.path("letters"),
                "TMPDIR": self.folder}
        made.update(self.env, **more)
        return {name: text for name, text in made.items() if text is not None}

    def arguments(self, *options):
        """logcheck.py's command line: the host's files, where the options name no others, and the
        ruleset of keep_tables().
        """
        words, options = ["--now", str(self.now)], self.options + options
        if "PF_STATE" in self.env:
            words += ["-f", self.path("pf.conf")]
        if self.days != 1:
            words += ["--days", str(self.days)]
        for option, name in (("-m", "maillog"), ("-a", "authlog"), ("-e", "bruteforce")):
            if option not in options:
                words += [option, self.path(name)]
        return words + list(options)

    def run(self, *options, python=None, process=False, script=None, stdin=b"", cwd=None,
            prepare=None, edit=None, **env):
        """logcheck.py with further options. Returns a Run.

        stdin: bytes, or an open file; prepare: a function that is called before the start, in the
        new process; edit: constants of logcheck that an admin has set otherwise (dict; not for
        real processes); env: variables. From other threads than the main one, which must not
        fork, real processes start.
        """
        if python or process or script or threading.current_thread() != threading.main_thread():
            assert not edit
            given = {"stdin": stdin} if hasattr(stdin, "fileno") else {}
            child = self.start(*options, python=python, script=script, cwd=cwd, prepare=prepare,
                               **dict(env, **given))
            try:
                out, err = child.communicate(None if given else stdin, timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                raise AssertionError("hangs: %s" % (child.args,))
            return Run(child.returncode, out or b"", text_of(err or b""))
        return self.begin(*options, stdin=stdin, cwd=cwd, prepare=prepare, edit=edit, **env).end()

    def begin(self, *options, stdin=b"", cwd=None, prepare=None, edit=None, **env):
        """Begin a forked run(). Returns a Begun."""
        out, source, (err, sink) = tempfile.TemporaryFile(), open_stdin(stdin), os.pipe()
        pid = os.fork()
        if not pid:
            code = 98
            try:
                code = forked(self.arguments(*options), self.environment(**env),
                              (source, out.fileno(), sink), cwd or self.folder, prepare, edit or {})
            finally:
                os._exit(code)
        os.close(source)
        os.close(sink)
        return Begun(pid, out, err)

    def start(self, *options, python=None, script=None, flags=("-IS",), cwd=None, prepare=None,
              stdin=subprocess.PIPE, stdout=subprocess.PIPE, **env):
        """Start a real process of logcheck.py, which leads a process group. Returns a Popen."""
        return subprocess.Popen(
            [python or sys.executable] + list(flags) + [script or SCRIPT]
            + self.arguments(*options), env=self.environment(**env), cwd=cwd or self.folder,
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, preexec_fn=prepare,
            start_new_session=True)

    def reference(self, pair):
        """The table (bytes) that the pipeline makes with one of pairs(); the host's own stays."""
        _, shell, awk = pair
        text = self.read()
        if text and not text.endswith(b"\n"):
            text += b"\n"  # README, DIFFERENCES: logcheck.py does not glue the next entry to it
        with tempfile.TemporaryDirectory() as folder:
            made = Host(folder, None, None, text, None)
            os.symlink(awk, made.path("awk"))
            subprocess.run(shell + [REFERENCE], check=True, stdin=subprocess.DEVNULL,
                           env=self.environment(
                               PATH=":".join((STANDINS, folder, os.environ["PATH"])),
                               MAILLOG=self.path("maillog"), AUTHLOG=self.path("authlog"),
                               ETCFILE=made.path("bruteforce"), TMPDIR=folder, PF_LOG=""))
            return made.read()


def contents(path):
    """What a file holds (bytes)."""
    with open(path, "rb") as file:
        return file.read()


def parts(name):
    """The parts of a text file of cases: (what stands behind the "---- " that begins it, its lines
    but for comments and empty ones).
    """
    with open(os.path.join(HERE, name), encoding="latin-1", newline="\n") as file:
        for part in re.split("(?m)^---- ", file.read())[1:]:
            heading, *rows = part.split("\n")
            yield heading, [row for row in rows if row and not row.startswith("#")]


def raw(text):
    """A text (str) of such a file with its escapes undone (bytes)."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def entries(name):
    """The entries (list of bytes) in a part of random.txt."""
    return [raw(entry) for heading, rows in parts("random.txt") if heading.startswith(name + ":")
            for row in rows for entry in row[1:-1].split("|")]


def open_stdin(stdin):
    """A new descriptor to read stdin (bytes, or an open file) from."""
    if hasattr(stdin, "fileno"):
        return os.dup(stdin.fileno())
    if not stdin:
        return os.open(os.devnull, os.O_RDONLY)
    assert len(stdin) <= 65536, "does not fit into a pipe"
    source, end = os.pipe()
    os.write(end, stdin)
    os.close(end)
    return source


def text_of(said):
    """What was said on stderr (bytes) as str."""
    return said.decode("ascii", "backslashreplace")


def forked(args, environment, descriptors, cwd, prepare, edit):
    """In a forked process, do what a new one does that runs logcheck.py. Returns the exit code; 99
    if logcheck raised what a real process would say in one line.
    """
    signal.alarm(PATIENCE)
    for name in ("HUP", "TERM", "CHLD", "ALRM"):
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(cwd)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
    if prepare:
        prepare()
    vars(logcheck).update(edit)
    sys.argv = [SCRIPT] + args
    try:
        try:
            code = logcheck.run()
        except SystemExit as end:
            code = end.code or 0
        sys.stdout.flush()
        return code
    except BaseException:
        traceback.print_exc()
        return 99
    finally:
        sys.stderr.flush()


def set_zone(zone):
    """Make a time zone this process' own."""
    os.environ["TZ"] = zone
    time.tzset()


# What is on this machine

@functools.lru_cache(None)
def pythons():
    """Every Python 3.6 or later found, each minor version once: {version (str): path}; this one
    alone where the environment has ONE_PYTHON.
    """
    found = {"%d.%d" % sys.version_info[:2]: sys.executable}
    if "ONE_PYTHON" in os.environ:
        return found
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    places = sorted(glob.glob(root + "/versions/3.*/bin"))
    for place in places + os.environ.get("PATH", "").split(":") + ["/usr/bin", "/usr/local/bin"]:
        for path in glob.glob(place + "/python3.*"):
            version = os.path.basename(path)[6:]
            if re.match(r"3\.([6-9]|\d\d)\Z", version) and version not in found:
                # a shim of a Python that is not there answers with an error
                done = subprocess.run([path, "-IS", "-c", "import sys; print(sys.executable)"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                if done.returncode == 0:
                    found[version] = os.fsdecode(done.stdout.strip())
    return dict(sorted(found.items(), key=lambda item: int(item[0][2:])))


@functools.lru_cache(None)
def pairs():
    """Every pair of a shell and an awk found: [(name, shell's command (list), awk's path)]."""
    shells = [(name, command) for name, command in (
        ("dash", ["dash"]), ("bash", ["bash", "--posix"]), ("mksh", ["mksh"]), ("ksh93", ["ksh93"]),
        ("busybox", ["busybox", "sh"])) if shutil.which(command[0])]
    awks = [awk for awk in ("mawk", "gawk", "original-awk", "busybox") if shutil.which(awk)]
    return [("%s+%s" % (shell, awk), command, shutil.which(awk))
            for shell, command in shells or [("sh", ["sh"])] for awk in awks or ["awk"]]


# Tables

def without_unloadable(table):
    """What logcheck.py makes of the pipeline's table (bytes): it leaves out what is made of digits
    and dots alone and pf cannot load.
    """
    def loadable(entry):
        parts = entry.split(b".")
        return entry.strip(b"0123456789.") or len(parts) == 4 and all(
            part and len(part) <= 3 and int(part) <= 255 and str(int(part)).encode() == part
            for part in parts)
    return b"".join(line + b"\n" for line in table.split(b"\n")[:-1] if loadable(line))


def section(report, title):
    """The addresses in a section of a report (bytes), and how many more it says."""
    for part in report.decode().split("\n\n"):
        if part.startswith(title):
            rows = [row.split() for row in part.split("\n")[1:] if row[:1] not in ("", " ")]
            more = sum(int(row[1]) for row in rows if row[0] == "and")
            return [row[0] for row in rows if row[0] != "and"], more
    return [], 0


def first_difference(one, other):
    """The first line in which two tables (bytes) differ, or an empty str."""
    lines = itertools.zip_longest(one.split(b"\n"), other.split(b"\n"))
    return next(("line %d: %r, expected %r" % (number, *pair)
                 for number, pair in enumerate(lines, 1) if pair[0] != pair[1]), "")
