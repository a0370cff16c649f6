"""make bench: logcheck.py beside the shell pipeline, on logs that this file generates.

usage: bench.py [--scale F] [--runs N]
  --scale F   F times the lines and entries; 1 (about 600 MB of logs, in a temporary folder)
  --runs N    alternating runs of each tool (A B C A B C ...), whose medians are printed; 5

  full    authlog of 1.5 million lines over seven days, nine tenths of them an attacker's, from
          20,000 addresses; maillog of one million lines over the last day, 15% of them
          "disconnect from unknown[...]"
  sparse  the same, but 3% of the lines are an attacker's
  day     both logs over the last day, all in range; one attack line in 1,000
  50 MB   careful mode on a sixth of day, as every ten minutes
  table   a table of 200,000 addresses in random order, empty logs, no pf
  empty   empty logs, a table of 2,000 addresses

All on one core where Python can say so (Linux); logcheck.py as it is installed, by the Python that
runs this. Wall and CPU seconds are medians, peak memory the largest process's, in 10^6 bytes.
date(1) and pfctl(8) are stand-ins. Exit: 1 if logcheck.py and a pipeline made different tables.
"""
import argparse
import calendar
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import host

SEED = 6
NOW = calendar.timegm((2018, 4, 15, 14, 5, 0))  # in UTC; no zero for the shell's sed to cut
DAY = 86400
AUTH_LINES, MAIL_LINES, ENTRIES = 1500000, 1000000, 200000
ADDRESSES = 20000
OLD_ENTRIES = 2000
CRON_PATH = "/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin"
SORT = 'LC_ALL=C sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 "$1" | uniq > "$2"'

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
    (2, ("sshd[%(pid)d]: Did not receive identification string from %(ip)s port %(port)d",)),
    (2, ("sshd[%(pid)d]: Connection closed by %(ip)s port %(port)d [preauth]",)),
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
    attackers', or with pattern, how many are the one of theirs in the mail pattern.
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


def generate(data, scale):
    """Make the scenarios' files in the folder data (str)."""
    os.mkdir(data + "/empty")
    cron = SSH_LOGINS + CRON_OF_ROOT
    for name, part, days, others, auth_share, mail_share in (
            ("full", 1, 7, cron, 0.9, 0.15), ("sparse", 1, 7, SSH_LOGINS, 0.03, 0.03),
            ("day", 1, 1, SSH_LOGINS, 0.001, 0.001), ("50 MB", 6, 1, SSH_LOGINS, 0.001, 0.001)):
        os.mkdir(data + "/" + name)
        make_log("%s/%s/authlog" % (data, name), int(AUTH_LINES * scale) // part, days * DAY,
                 (SSH_ATTACKS, others), auth_share)
        make_log("%s/%s/maillog" % (data, name), int(MAIL_LINES * scale) // part, DAY,
                 (SMTP_UNKNOWN, MAIL_TRAFFIC), mail_share, "mail.example.org", pattern=True)
    rng = random.Random(SEED)
    for name, entries in (("table", int(ENTRIES * scale)), ("bruteforce", OLD_ENTRIES)):
        with open(data + "/" + name, "w") as file:
            file.writelines(address(number) + "\n"
                            for number in rng.sample(range(1 << 24, 127 << 24), entries))
    for path in ("empty/authlog", "empty/maillog", "pf-table"):
        open(data + "/" + path, "w").close()
    os.sync()  # or it would be written out while the first tools are measured


def jobs(work):
    """What is measured, [(scenario, tool, command (list), table it starts from, environment
    (dict), whether its table must be that of the scenario's other such tools)].
    """
    script = work + "/logcheck.py"
    with open(host.SCRIPT, "rb") as file:
        rest = file.read().split(b"\n", 1)[1]
    with open(script, "wb") as file:
        file.write(b"#!%s -IS\n" % os.fsencode(os.path.realpath(sys.executable)) + rest)
    os.chmod(script, 0o755)
    pairs = [pair for pair in host.pairs() if pair[1] == host.pairs()[0][1]
             and pair[0].endswith(("+mawk", "+original-awk"))]
    for name, _, awk in pairs:
        os.mkdir(work + "/" + name)
        os.symlink(awk, work + "/" + name + "/awk")
    found, table = [], work + "/bruteforce"
    for scenario in ("full", "sparse", "day", "50 MB", "empty"):
        logs = {name: "%s/data/%s/%s" % (work, scenario, name.lower())
                for name in ("MAILLOG", "AUTHLOG")}
        mine = [script, "--now", str(NOW), "-m", logs["MAILLOG"], "-a", logs["AUTHLOG"], "-e",
                table]
        old = work + "/data/bruteforce"
        if scenario != "50 MB":
            found.append((scenario, "logcheck.py", mine, old, {}, True))
            for name, shell, _ in pairs:
                path = ":".join((host.STANDINS, work + "/" + name, CRON_PATH))
                found.append((scenario, name, shell + [host.REFERENCE], old,
                              dict(logs, PATH=path, ETCFILE=table), True))
        if scenario != "empty":
            found.append((scenario, "logcheck.py -c", mine + ["-c"], old, {}, False))
    old = work + "/data/table"
    found.append(("table", "logcheck.py", mine + ["--no-pf"], old, {}, True))
    found.append(("table", "sort | uniq", ["sh", "-c", SORT, "sh", old, table], old, {}, True))
    return found


def run(work, command, old, env):
    """Run a job once. Returns (wall s, CPU s, peak MB) and the table (bytes) it leaves."""
    table = work + "/bruteforce"
    shutil.copyfile(old, table)
    environment = {"PATH": host.STANDINS + ":" + CRON_PATH, "TZ": "UTC", "NOW": str(NOW),
                   "DAYS": "1", "TMPDIR": work, "PF_TABLE": work + "/data/pf-table"}
    environment.update(env)
    # a bare Python in between: Linux counts what a process had before exec as its own
    done = subprocess.run([sys.executable, "-IS", "-c", MEASURE] + command, env=environment,
                          stdout=subprocess.PIPE, check=True)
    status, wall, cpu, peak = done.stdout.split()
    if int(status):
        sys.exit("bench: %s: wait status %s" % (command[0], status.decode()))
    with open(table, "rb") as file:
        return (float(wall), float(cpu), int(peak) * (1 if sys.platform == "darwin" else 1024)
                / 1e6), file.read()


def main():
    """Generate, measure, print. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("%s, %s %s %s, Python %s, scale %g" % (
        time.strftime("%Y-%m-%d"), platform.system(), platform.release(), platform.machine(),
        platform.python_version(), options.scale))
    work = tempfile.mkdtemp(prefix="bench.")
    try:
        os.mkdir(work + "/data")
        generate(work + "/data", options.scale)
        for name in ("full", "sparse", "day"):
            print("%-8s%8.1f MB" % (name, sum(
                os.path.getsize("%s/data/%s/%s" % (work, name, log))
                for log in ("authlog", "maillog")) / 1e6))
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
            print("all on one core")
        return measured(work, options.runs)
    finally:
        shutil.rmtree(work)


def measured(work, runs):
    """Measure all jobs and print their figures. Returns 1 if tables differ that must not, or 0."""
    form = "%-9s%-22s%9s%9s%9s"
    print("\n" + form % ("scenario", "tool", "wall s", "CPU s", "peak MB") + "  times the wall of")
    everything, code = jobs(work), 0
    for scenario in dict.fromkeys(job[0] for job in everything):
        here, taken, first = [job for job in everything if job[0] == scenario], {}, None
        for _ in range(runs):
            for _, tool, command, old, env, compared in here:
                figures, table = run(work, command, old, env)
                taken.setdefault(tool, []).append(figures)
                if compared and table != (first if first is not None else table):
                    print("%s: another table: %s" % (tool, host.first_difference(table, first)))
                    code = 1
                first = table if compared and first is None else first
        medians = {tool: [statistics.median(column) for column in zip(*figures)]
                   for tool, figures in taken.items()}
        for tool, (wall, cpu, _) in medians.items():
            peak = max(figures[2] for figures in taken[tool])
            shares = ", ".join("%.2f, CPU %.2f (%s)" % (
                wall / other[0], cpu / other[1], name.split("+")[-1])
                               for name, other in medians.items()
                               if tool.startswith("logcheck") and not name.startswith("logcheck"))
            print(form % (scenario, tool, "%.3f" % wall, "%.3f" % cpu, "%.1f" % peak)
                  + "  " + shares, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
