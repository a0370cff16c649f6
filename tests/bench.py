"""make bench: logcheck.py beside what would be run in its place, on logs that this file generates.

usage: bench.py [--scale F] [--runs N] [--keep DIR] [--only SCENARIO]
  --scale F        F times the lines and entries; 1
  --runs N         alternating runs of each tool (A B C A B C ...), whose medians are printed; 5.
                   Of growth, whose logs are ten times as long, three fifths of them, at least 3;
                   on empty logs, five times as many
  --keep DIR       generate into DIR, leave it there, use what is there already; else everything
                   is made in a temporary directory (some 4 GB at full size) and removed
  --only SCENARIO  one of:
     full     authlog of 1.5 million lines over seven days, nine tenths of them an attacker's, from
              20,000 addresses; maillog of one million lines over the last day, 15% of them
              "disconnect from unknown[...]"
     week     careful mode on the same with --days 7: every line is in range and is judged, as
              sshg-parser, which knows no range, judges every line
     sparse   as long, over the last day: all in range; one attack line in 1,000
     growth   full, beside the same text ten times over
     table    a table of one million addresses in random order, empty logs, no pf
     sorted   the same table in the order in which logcheck.py itself leaves it
     empty    empty logs, a table of 2,000 addresses

Environment: PYTHON, the Python to measure (this one). logcheck.py is measured as it is installed:
a copy whose first line names that Python with -IS.

How exact it is: wall and CPU time (user and system, all processes of a pipeline, from wait4(2))
are medians; min and max tell how quiet the machine was. The logs are in the page cache. Peak
memory is the largest process's ru_maxrss, in 10^6 bytes; what forks a process lends it its own
pages until exec, so no figure can be below the one in the head. date(1) and pfctl(8) are the
stand-ins of the tests, shell scripts: `date -r` is slower than OpenBSD's own for that, which the
goal for empty logs takes off. logcheck.py flushes its table to the disk (fsync), sort does not.

Exit: 0 done, 1 if logcheck.py and a pipeline made different tables (a fast wrong answer is none),
2 wrong usage.
"""
import argparse
import calendar
import collections
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import tools

SEED = 6
NOW = calendar.timegm((2018, 4, 15, 14, 5, 0))  # in UTC; no zero for the shell's sed to cut
DAY = 86400
AUTH_LINES, MAIL_LINES, ENTRIES = 1500000, 1000000, 1000000
ADDRESSES = 20000
OLD_ENTRIES = 2000
CRON_PATH = "/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin"
SCENARIOS = ("full", "week", "sparse", "growth", "table", "sorted", "empty")
SORT = 'LC_ALL=C sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 "$1" | uniq > "$2"'
SSHGUARD = ("libexec", "lib", "local/libexec", "local/lib")  # under /usr, then sshguard/

# What one visitor makes the daemons write, a line an item: (weight, lines).
SSH_ATTACKS = (
    (5, ("sshd[%(pid)d]: Invalid user %(user)s from %(ip)s port %(port)d",
         "sshd[%(pid)d]: Failed password for invalid user %(user)s from %(ip)s port %(port)d ssh2",
         "sshd[%(pid)d]: Received disconnect from %(ip)s port %(port)d:11: Bye Bye [preauth]",
         "sshd[%(pid)d]: Disconnected from invalid user %(user)s %(ip)s port %(port)d [preauth]")),
    (3, ("sshd[%(pid)d]: Invalid user %(user)s from %(ip)s port %(port)d",
         "sshd[%(pid)d]: Connection closed by invalid user %(user)s %(ip)s port %(port)d "
         "[preauth]")),
    (4, ("sshd[%(pid)d]: Failed password for root from %(ip)s port %(port)d ssh2",
         "sshd[%(pid)d]: Received disconnect from %(ip)s port %(port)d:11:  [preauth]",
         "sshd[%(pid)d]: Disconnected from authenticating user root %(ip)s port %(port)d "
         "[preauth]")),
    (3, ("sshd[%(pid)d]: Failed password for %(account)s from %(ip)s port %(port)d ssh2",
         "sshd[%(pid)d]: Connection closed by authenticating user %(account)s %(ip)s port %(port)d "
         "[preauth]")),
    (1, ("sshd[%(pid)d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 "
         "tty=ssh ruser= rhost=%(ip)s  user=root",
         "sshd[%(pid)d]: Failed password for root from %(ip)s port %(port)d ssh2",
         "sshd[%(pid)d]: Connection reset by authenticating user root %(ip)s port %(port)d "
         "[preauth]")),
    (2, ("sshd[%(pid)d]: Did not receive identification string from %(ip)s port %(port)d",)),
    (2, ("sshd[%(pid)d]: Connection closed by %(ip)s port %(port)d [preauth]",)),
    (1, ("sshd[%(pid)d]: Unable to negotiate with %(ip)s port %(port)d: no matching key exchange "
         "method found. Their offer: diffie-hellman-group1-sha1 [preauth]",)),
)
SSH_LOGINS = (
    (3, ("sshd[%(pid)d]: Accepted publickey for %(account)s from %(friend)s port %(port)d ssh2: "
         "ED25519 SHA256:%(token)s%(token)sk",
         "sshd[%(pid)d]: pam_unix(sshd:session): session opened for user %(account)s(uid=1001) by "
         "(uid=0)",
         "sshd[%(pid)d]: Received disconnect from %(friend)s port %(port)d:11: disconnected by "
         "user",
         "sshd[%(pid)d]: Disconnected from user %(account)s %(friend)s port %(port)d",
         "sshd[%(pid)d]: pam_unix(sshd:session): session closed for user %(account)s")),
    (2, ("CRON[%(pid)d]: pam_unix(cron:session): session opened for user %(account)s by (uid=0)",
         "CRON[%(pid)d]: pam_unix(cron:session): session closed for user %(account)s")),
)
CRON_OF_ROOT = (  # "root" without an address: not in the sparse logs, where it would be a match
    (2, ("CRON[%(pid)d]: pam_unix(cron:session): session opened for user root by (uid=0)",
         "CRON[%(pid)d]: pam_unix(cron:session): session closed for user root")),
)
SMTP_UNKNOWN = (
    (8, ("postfix/smtpd[%(pid)d]: connect from unknown[%(ip)s]",
         "postfix/smtpd[%(pid)d]: disconnect from unknown[%(ip)s] ehlo=1 auth=0/1 quit=1 "
         "commands=2/3")),
    (4, ("postfix/smtpd[%(pid)d]: connect from unknown[%(ip)s]",
         "postfix/smtpd[%(pid)d]: warning: unknown[%(ip)s]: SASL LOGIN authentication failed: "
         "UGFzc3dvcmQ6, sasl_username=%(user)s@example.org",
         "postfix/smtpd[%(pid)d]: disconnect from unknown[%(ip)s] ehlo=1 auth=0/1 rset=1 quit=1 "
         "commands=3/4")),
    (2, ("postfix/smtpd[%(pid)d]: connect from unknown[%(ip)s]",
         "postfix/smtpd[%(pid)d]: lost connection after CONNECT from unknown[%(ip)s]",
         "postfix/smtpd[%(pid)d]: disconnect from unknown[%(ip)s] commands=0/0")),
    (1, ("postfix/submission/smtpd[%(pid)d]: connect from unknown[%(friend)s]",
         "postfix/submission/smtpd[%(pid)d]: disconnect from unknown[%(friend)s] ehlo=2 starttls=1 "
         "auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8")),
)
MAIL_TRAFFIC = (
    (3, ("postfix/smtpd[%(pid)d]: connect from mx%(n)d.example.net[%(friend)s]",
         "postfix/smtpd[%(pid)d]: %(queue)s: client=mx%(n)d.example.net[%(friend)s]",
         "postfix/cleanup[%(pid)d]: %(queue)s: message-id=<%(token)s.%(port)d@mx%(n)d.example.net>",
         "postfix/qmgr[1214]: %(queue)s: from=<%(user)s@example.net>, size=%(port)d, nrcpt=1 "
         "(queue active)",
         "postfix/smtpd[%(pid)d]: disconnect from mx%(n)d.example.net[%(friend)s] ehlo=2 "
         "starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
         "postfix/lmtp[%(pid)d]: %(queue)s: to=<%(account)s@example.org>, "
         "relay=mail.example.org[private/dovecot-lmtp], delay=0.31, delays=0.25/0.01/0.01/0.04, "
         "dsn=2.0.0, status=sent (250 2.0.0 <%(account)s@example.org> %(token)s Saved)",
         "postfix/qmgr[1214]: %(queue)s: removed")),
    (2, ("postfix/submission/smtpd[%(pid)d]: connect from dsl%(n)d.example.com[%(friend)s]",
         "postfix/submission/smtpd[%(pid)d]: %(queue)s: client=dsl%(n)d.example.com[%(friend)s], "
         "sasl_method=PLAIN, sasl_username=%(account)s@example.org",
         "postfix/cleanup[%(pid)d]: %(queue)s: message-id=<%(token)s@example.org>",
         "postfix/qmgr[1214]: %(queue)s: from=<%(account)s@example.org>, size=%(port)d, nrcpt=1 "
         "(queue active)",
         "postfix/submission/smtpd[%(pid)d]: disconnect from dsl%(n)d.example.com[%(friend)s] "
         "ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8",
         "postfix/smtp[%(pid)d]: %(queue)s: to=<%(user)s@example.net>, "
         "relay=mx%(n)d.example.net[%(friend)s]:25, delay=1.4, delays=0.12/0.02/0.83/0.45, "
         "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %(token)s)",
         "postfix/qmgr[1214]: %(queue)s: removed")),
    (4, ("dovecot: imap-login: Login: user=<%(account)s@example.org>, method=PLAIN, "
         "rip=%(friend)s, lip=192.0.2.25, mpid=%(pid)d, TLS, session=<%(token)s>",
         "dovecot: imap(%(account)s@example.org)<%(pid)d><%(token)s>: Disconnected: Logged out "
         "in=%(n)d out=%(port)d deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0")),
)
USERS = ("admin", "test", "oracle", "postgres", "ubuntu", "user", "git", "ftpuser", "nagios",
         "deploy", "guest", "support", "minecraft", "hadoop", "jenkins", "pi", "www", "info")
ACCOUNTS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")


def make_log(path, lines, seconds, kinds, share, host="mail", pattern=False):
    """Write a log (path: str) of so many lines whose stamps fill the seconds before NOW.

    kinds: two tuples of (weight, lines), attackers and others; share: of all lines, how many are
    attackers', or with pattern, how many are the one line of theirs that is in the mail pattern;
    host: the name (str) after the stamp, which brings the lines to their length.
    Stamps never go back; the lines of a session have one stamp.
    """
    rng = random.Random(SEED)
    pool = [address(number) for number in rng.sample(range(1 << 24, 223 << 24), ADDRESSES)]
    friends = ["198.51.100.%d" % number for number in range(1, 255)]
    attackers, others = [
        [("".join("%(t)s " + host + " " + line + "\n" for line in text), len(text))
         for weight, text in kind for _ in range(weight)] for kind in kinds]
    done = attacks = 0
    second = stamp = None
    pick = rng.random
    with open(path, "wb") as file:
        block = []
        while done < lines:
            if attacks <= share * done:
                text, length = attackers[int(pick() * len(attackers))]
                attacks += 1 if pattern else length
            else:
                text, length = others[int(pick() * len(others))]
            if NOW - seconds + done * seconds // lines != second:
                second = NOW - seconds + done * seconds // lines
                stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(second))
            token = "%015X" % rng.getrandbits(60)
            block.append(text % {
                "t": stamp, "ip": pool[int(pick() * ADDRESSES)],
                "friend": friends[int(pick() * 254)], "user": USERS[int(pick() * len(USERS))],
                "account": ACCOUNTS[int(pick() * len(ACCOUNTS))], "pid": 1000 + int(pick() * 90000),
                "port": 1024 + int(pick() * 64000), "n": 1 + int(pick() * 500),
                "token": token, "queue": "4" + token[:10]})
            done += length
            if len(block) == 4096:
                file.write("".join(block).encode("ascii"))
                block = []
        file.write("".join(block).encode("ascii"))


def address(number):
    """An IPv4 address (str) from its number; 127.x.x.x, which is no attacker's, becomes 126."""
    return "%d.%d.%d.%d" % (number >> 24 if number >> 24 != 127 else 126,
                            number >> 16 & 255, number >> 8 & 255, number & 255)


def make_full(folder, scale):
    """The logs of full: as the module's head describes them."""
    make_log(folder + "/authlog", int(AUTH_LINES * scale), 7 * DAY,
             (SSH_ATTACKS, SSH_LOGINS + CRON_OF_ROOT), 0.9)
    make_log(folder + "/maillog", int(MAIL_LINES * scale), DAY,
             (SMTP_UNKNOWN, MAIL_TRAFFIC), 0.15, "mail.example.org", pattern=True)


def make_sparse(folder, scale):
    """The logs of sparse: one attack line in 1,000, everything within the last day."""
    make_log(folder + "/authlog", int(AUTH_LINES * scale), DAY,
             (SSH_ATTACKS, SSH_LOGINS), 0.001)
    make_log(folder + "/maillog", int(MAIL_LINES * scale), DAY,
             (SMTP_UNKNOWN, MAIL_TRAFFIC), 0.001, "mail.example.org", pattern=True)


def make_growth(folder, scale):
    """The logs of full ten times over: the text repeated, so as many addresses as once."""
    for name in ("authlog", "maillog"):
        with open(folder + "/" + name, "wb") as out:
            for _ in range(10):
                with open(folder + "/../full/" + name, "rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)


def make_table(folder, scale):
    """The big table, in random order and in sort(1)'s."""
    rng = random.Random(SEED)
    numbers = rng.sample(range(1 << 24, 127 << 24), int(ENTRIES * scale))
    for name, order in (("shuffled", numbers), ("sorted", sorted(numbers))):
        with open(folder + "/" + name, "w") as file:
            file.writelines(address(number) + "\n" for number in order)


def make_empty(folder, scale):
    """Empty logs, and the small table that is the old one on all logs; pf has 100 entries more."""
    rng = random.Random(SEED + 1)
    numbers = sorted(rng.sample(range(1 << 24, 127 << 24), OLD_ENTRIES + 100))
    left_out = set(rng.sample(numbers, 100))
    for name in ("authlog", "maillog"):
        open(folder + "/" + name, "w").close()
    with open(folder + "/pf-table", "w") as file:
        file.writelines("   %s\n" % address(number) for number in numbers)
    with open(folder + "/bruteforce", "w") as file:
        file.writelines(address(number) + "\n" for number in numbers if number not in left_out)


def text_of(path):
    """The text (str) of a small file (str)."""
    with open(path) as file:
        return file.read()


def generate(data, scale, wanted):
    """Make in the directory data (str) what the wanted scenarios (list of str) read and is not
    there yet.
    """
    needs = {"full": make_full, "sparse": make_sparse, "growth": make_growth,
             "table": make_table, "empty": make_empty}
    wanted = {{"week": "full", "sorted": "table"}.get(name, name) for name in wanted} | {"empty"}
    if "growth" in wanted:
        wanted.add("full")
    for name in needs:
        made = "%s/%s/made" % (data, name)
        mark = "scale %g, seed %d\n" % (scale, SEED)
        if name not in wanted or os.path.exists(made) and text_of(made) == mark:
            continue
        progress("generating " + name)
        shutil.rmtree(os.path.dirname(made), ignore_errors=True)
        os.makedirs(os.path.dirname(made))
        needs[name](os.path.dirname(made), scale)
        with open(made, "w") as file:
            file.write(mark)
    os.sync()  # or it would be written out while the first tools are measured


Job = collections.namedtuple("Job", "tool command old env lines compared")
Job.__doc__ = """One tool to measure: its name (str), its command (list of str), the file (str) that
is copied to the table before each run, environment added (dict), lines it reads (int), and
whether the table it leaves must equal those of the scenario's other compared jobs.
"""

Figures = collections.namedtuple("Figures", "wall least most cpu peak lines")
Figures.__doc__ = """A tool's figures in one scenario: wall, the least and the most of it, and CPU
time in seconds (medians), peak memory in bytes (the largest), lines it reads (int).
"""


class Bench:
    """What the scenarios share: data (directory, str), work (one that is emptied at the end), and
    what was found: awks [(name, shell's command, awk's path)], parser (path or None).
    """

    def __init__(self, data, work):
        self.data, self.work = data, work
        self.awks = first_shell(tools.pairs())
        self.parser = find_parser()
        self.script = install(work)
        for name, _, path in self.awks:
            os.makedirs(work + "/" + name)
            os.symlink(path, work + "/" + name + "/awk")

    def logs(self, name):
        """Both logs (two str) of a folder of data, and how many lines they have. To count them
        brings the logs into the page cache.
        """
        logs = ["%s/%s/%s" % (self.data, name, log) for log in ("maillog", "authlog")]
        return logs, sum(count_lines(log) for log in logs)

    def table(self):
        """The path (str) of the table that tools change."""
        return self.work + "/bruteforce"

    def logcheck(self, name, *options, old=None):
        """The job of logcheck.py with options (str) on the logs of a folder of data."""
        (maillog, authlog), lines = self.logs(name)
        return Job(" ".join(("logcheck.py",) + options),
                   [self.script, "--now", str(NOW), "-m", maillog, "-a", authlog,
                    "-e", self.table()] + list(options),
                   old or self.data + "/empty/bruteforce", {}, lines, "-c" not in options)

    def pipelines(self, name):
        """The jobs of the reference pipeline on the logs of a folder of data, one for each awk."""
        (maillog, authlog), lines = self.logs(name)
        return [Job(tool, shell + [tools.REFERENCE], self.data + "/empty/bruteforce",
                    {"PATH": ":".join((tools.STANDINS, self.work + "/" + tool, CRON_PATH)),
                     "MAILLOG": maillog, "AUTHLOG": authlog, "ETCFILE": self.table()}, lines, True)
                for tool, shell, _ in self.awks]

    def limits(self, name):
        """The jobs of the tools that only read the logs of a folder of data."""
        logs, lines = self.logs(name)
        return [Job("wc -l", ["wc", "-l"] + logs, None, {}, lines, False),
                Job("cat", ["cat"] + logs, None, {}, lines, False)]

    def parsers(self, name):
        """The job of sshg-parser on the logs of a folder of data, or none."""
        logs, lines = self.logs(name)
        return [Job("sshg-parser", ["sh", "-c", '"$0" < "$1" && "$0" < "$2"', self.parser] + logs,
                    None, {}, lines, False)] if self.parser else []

    def sorting(self, name):
        """The jobs on the big table in one of its orders (str): sort, and logcheck.py."""
        path = self.data + "/table/" + name
        return [self.logcheck("empty", "--no-pf", old=path)._replace(lines=count_lines(path)),
                Job("sort | uniq", ["sh", "-c", SORT, "sh", path, self.table()], None, {},
                    count_lines(path), True)]

    def jobs(self, scenario):
        """The jobs of a scenario (str), in the order in which they alternate."""
        if scenario in ("full", "sparse"):
            return ([self.logcheck(scenario), self.logcheck(scenario, "-c")]
                    + self.pipelines(scenario) + self.limits(scenario)
                    + (self.parsers(scenario) if scenario == "full" else []))
        if scenario == "week":
            return [self.logcheck("full", "-c", "-d", "7")] + self.parsers("full")
        if scenario == "growth":
            jobs = [(self.logcheck(name, *options), times) for options in ((), ("-c",))
                    for name, times in (("full", "x 1"), ("growth", "x 10"))]
            return [job._replace(tool=job.tool + " " + times) for job, times in jobs]
        if scenario == "empty":
            date = Job("stand-in date -r", [tools.STANDINS + "/date", "-r", str(NOW), "+%b"], None,
                       {}, 0, False)
            return ([self.logcheck("empty")] + self.pipelines("empty")
                    + [date, date._replace(tool="date", command=[shutil.which("date"), "+%b"])])
        return self.sorting("shuffled" if scenario == "table" else "sorted")

    def run(self, job):
        """Run a job once. Returns (wall s, CPU s, peak bytes); ends the program if it fails."""
        if job.old:
            shutil.copyfile(job.old, self.table())
        environment = {"PATH": tools.STANDINS + ":" + CRON_PATH, "TZ": "UTC", "NOW": str(NOW),
                       "DAYS": "1", "TMPDIR": self.work,
                       "PF_TABLE": self.data + "/empty/pf-table"}
        environment.update(job.env)
        status, figures = measure(job.command, environment)
        if status:
            sys.exit("bench: %s: wait status %d" % (job.tool, status))
        return figures

    def scenario(self, scenario, runs):
        """Measure a scenario. Returns {tool: Figures}, and of the tables that had to be equal the
        entries (int) and the first difference (str, empty if there is none).
        """
        jobs = self.jobs(scenario)
        taken = {job.tool: [] for job in jobs}
        first, difference = b"", ""
        for number in range(runs):
            progress("%s: run %d of %d" % (scenario, number + 1, runs))
            for job in jobs:
                taken[job.tool].append(self.run(job))
                if job.compared:
                    with open(self.table(), "rb") as file:
                        table = file.read()
                    first = first or table
                    if table != first and not difference:
                        difference = "%s: %s" % (job.tool, tools.first_difference(table, first))
        progress("")
        figures = {job.tool: summary(taken[job.tool], job.lines) for job in jobs}
        return figures, first.count(b"\n"), difference


def first_shell(pairs):
    """Of tools.pairs(), those with the first shell, dash where it is found."""
    return [pair for pair in pairs if pair[1] == pairs[0][1]]


def find_parser():
    """The path (str) of sshguard's parser, which reads log lines and only parses, or None."""
    places = ["/usr/%s/sshguard/sshg-parser" % place for place in SSHGUARD]
    return shutil.which("sshg-parser") or next(filter(os.path.exists, places), None)


def measured_python():
    """The Python to measure: its real path and version (two str)."""
    with os.popen('"%s" -IS -c "import os, platform, sys; print(os.path.realpath(sys.executable), '
                  'platform.python_version())"' % os.environ.get("PYTHON", sys.executable)) as pipe:
        path, version = pipe.read().rsplit(None, 1)
    return path, version


def install(folder):
    """Copy logcheck.py into a folder (str), its first line naming the Python. Returns its path."""
    copy = folder + "/logcheck.py"
    with open(tools.SCRIPT, "rb") as file:
        rest = file.read().split(b"\n", 1)[1]
    with open(copy, "wb") as file:
        file.write(b"#!%s -IS\n" % os.fsencode(measured_python()[0]) + rest)
    os.chmod(copy, 0o755)
    return copy


def count_lines(path):
    """How many newlines a file (str) has; 1 MB at a time, so that this program stays small."""
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


MEASURE = """
import os, sys, time
begin = time.perf_counter()
child = os.fork()
if child == 0:
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.execvp(sys.argv[1], sys.argv[1:])
    finally:
        os._exit(127)
_, status, usage = os.wait4(child, 0)
print(status, time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def measure(command, environment):
    """Run a command (list of str) with an environment (dict), its output to /dev/null.

    Returns its wait status and (wall s, CPU s, peak bytes): CPU of it and of all children that it
    waited for, peak of the largest of them. A bare Python in between forks and times it: Linux
    counts the pages a process has before exec as its own, and this program has more.
    """
    done = subprocess.run([sys.executable, "-IS", "-c", MEASURE] + command, env=environment,
                          stdout=subprocess.PIPE, check=True)
    status, wall, cpu, peak = done.stdout.split()
    unit = 1 if sys.platform == "darwin" else 1024
    return int(status), (float(wall), float(cpu), int(peak) * unit)


def summary(taken, lines):
    """The Figures of a tool from its runs [(wall s, CPU s, peak bytes)] and its lines (int)."""
    walls, cpus, peaks = zip(*taken)
    return Figures(statistics.median(walls), min(walls), max(walls), statistics.median(cpus),
                   max(peaks), lines)


def progress(text):
    """Tell a terminal on stderr what is being done (str)."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + text)
        sys.stderr.flush()


def machine():
    """What runs the benchmark (str): CPU model, cores, kernel."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file
                          if line.startswith("model name")), "")
    else:
        with os.popen("sysctl -n hw.model 2>/dev/null") as pipe:
            model = pipe.read().strip()
    return "%s, %d cores, %s %s %s" % (model or platform.processor() or "unknown CPU",
                                       os.cpu_count(), platform.system(), platform.release(),
                                       platform.machine())


def head(bench, scale, floor):
    """The lines (list of str) above the tables. floor: the least peak that can be told, bytes."""
    rows = [time.strftime("%Y-%m-%d") + ", " + machine(), "Python " + measured_python()[1]]
    for name in ("full", "sparse", "growth"):
        for log in ("authlog", "maillog"):
            path = "%s/%s/%s" % (bench.data, name, log)
            if os.path.exists(path):
                rows.append("%-7s %s  %11d lines %8.1f MB"
                            % (name, log, count_lines(path), os.path.getsize(path) / 1e6))
    if scale != 1:
        rows.append("scale %g: a trial; the goals are for scale 1" % scale)
    missing = [tool for tool in ("dash", "mawk", "gawk", "original-awk", "busybox")
               if not shutil.which(tool)] + ([] if bench.parser else ["sshg-parser"])
    return rows + ["not found: " + (", ".join(missing) or "none"),
                   "peaks of less than %.1f MB cannot be told" % (floor / 1e6)]


FORM = "%-9s%-23s%9s%9s%9s%9s%9s%11s%8s"


def print_heading():
    """Print what stands above the figures."""
    print("\n" + FORM % ("", "", "", "", "", "", "", "x wall of", "lines"))
    print(FORM % ("scenario", "tool", "wall s", "min", "max", "CPU s", "peak MB", "first tool",
                  "per ms"))


def print_figures(scenario, results):
    """Print the figures {tool: Figures} of a scenario (str), as soon as they are there."""
    base = next(iter(results.values())).wall
    for tool, figures in results.items():
        speed = "%.0f" % (figures.lines / figures.wall / 1e3) if figures.lines else "-"
        print(FORM % ((scenario, tool) + tuple("%.3f" % value for value in figures[:4])
                      + ("%.1f" % (figures.peak / 1e6), "%.2f" % (figures.wall / base), speed)))
        scenario = ""
    sys.stdout.flush()


def goals(results, bench):
    """The goals: [(what, limit (float), what was measured (float or None))]; at most the limit is
    met, or for a negative limit at least its opposite.
    """
    def get(scenario, tool, field="wall"):
        figures = results.get(scenario, {}).get(tool)
        return getattr(figures, field) if figures else None

    def ratio(one, other):
        return one / other if one is not None and other else None

    def most(scenarios, tool):
        peaks = [get(scenario, tool, "peak") for scenario in scenarios]
        return max(filter(None, peaks), default=0) / 1e6 or None

    pipes = [name for name, _, _ in bench.awks]
    mawk = next((name for name in pipes if name.endswith("+mawk")), None)
    original = next((name for name in pipes if name.endswith("+original-awk")), None)
    mine, careful, week = "logcheck.py", "logcheck.py -c", "logcheck.py -c -d 7"
    fastest = min(filter(None, (get("full", name) for name in pipes)), default=None)
    rows = [
        ("full: wall, of the fastest pipeline's", 0.9, ratio(get("full", mine), fastest)),
        ("full: wall, of original-awk's", 0.35, ratio(get("full", mine), get("full", original))),
        ("full: CPU, of mawk's pipeline", 1, ratio(get("full", mine, "cpu"),
                                                   get("full", mawk, "cpu"))),
        ("sparse: wall, times wc -l", 10, ratio(get("sparse", mine), get("sparse", "wc -l"))),
        ("full: careful, times default", 1.5, ratio(get("full", careful), get("full", mine))),
        ("sparse: careful, times default", 1.5, ratio(get("sparse", careful),
                                                      get("sparse", mine))),
        ("full: careful, times sshg-parser's lines/s", -5, ratio(get("full", "sshg-parser"),
                                                                 get("full", careful))),
        ("week: the same, every line in range", -5, ratio(get("week", "sshg-parser"),
                                                          get("week", week))),
    ]
    for tool in (mine, careful):
        rows.append((tool + ": peak MB, logs", 32,
                     most(("full", "sparse"), tool)))
        rows.append((tool + ": peak MB, logs x 10", 32, most(("growth",), tool + " x 10")))
    for tool in (mine, careful):
        rows.append((tool + ": wall, ten times the log", 10.5,
                     ratio(get("growth", tool + " x 10"), get("growth", tool + " x 1"))))
    for scenario in ("table", "sorted"):
        tool = "logcheck.py --no-pf"
        peak, entries = get(scenario, tool, "peak"), get(scenario, tool, "lines")
        rows.append((scenario + ": wall, times sort | uniq", 2,
                     ratio(get(scenario, tool), get(scenario, "sort | uniq"))))
        rows.append((scenario + ": bytes an entry beyond 32 MB", 300,
                     max(peak - 32e6, 0) / entries if peak else None))
    shell = min(filter(None, (get("empty", name) for name in pipes)), default=None)
    if shell:  # its two calls of `date -r`
        shell -= 2 * max(get("empty", "stand-in date -r") - get("empty", "date"), 0)
    rows.append(("empty: wall, of the fastest pipeline's", 1, ratio(get("empty", mine), shell)))
    return rows


def print_goals(rows):
    """Print what goals() returns."""
    form = "%-50s %12s %12s   %s"
    print("\n" + form % ("goal", "limit", "measured", ""))
    for what, limit, measured in rows:
        if measured is None:
            verdict = "not measured"
        else:
            met = measured <= limit if limit > 0 else measured >= -limit
            verdict = "met" if met else "MISSED"
        print(form % (what, ("<= %g" if limit > 0 else ">= %g") % abs(limit),
                      "-" if measured is None else "%.2f" % measured, verdict))


def arguments():
    """The command line, as argparse leaves it."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--only", choices=SCENARIOS)
    options = parser.parse_args()
    if options.scale <= 0 or options.runs < 1:
        parser.error("--scale and --runs are more than 0")
    return options


def main():
    """Generate, measure, print. Returns the exit code."""
    options = arguments()
    wanted = [options.only] if options.only else list(SCENARIOS)
    times = {"growth": max(3, options.runs * 3 // 5), "empty": options.runs * 5}
    work = tempfile.mkdtemp(prefix="bench.")
    try:
        data = os.path.abspath(options.keep) if options.keep else work + "/data"
        generate(data, options.scale, wanted)
        bench = Bench(data, work)
        results, entries, wrong = {}, [], []
        print("\n".join(head(bench, options.scale, measure(["true"], {"PATH": CRON_PATH})[1][2])))
        print_heading()
        for scenario in wanted:
            results[scenario], count, difference = bench.scenario(
                scenario, times.get(scenario, options.runs))
            print_figures(scenario, results[scenario])
            entries += ["%s %d" % (scenario, count)] if count else []
            wrong += [scenario + ": " + difference] if difference else []
    finally:
        shutil.rmtree(work)
    print_goals(goals(results, bench))
    print("\ntables: " + ("\n  ".join(["DIFFERENT"] + wrong) if wrong else
                          "equal byte for byte in every run; entries: " + ", ".join(entries)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
