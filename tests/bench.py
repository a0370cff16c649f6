"""make bench: logcheck.py beside the shell pipeline, on logs made of the lines in bench.txt.

usage: bench.py [--scale F] [--runs N] [--beside FILE]
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
  many    careful mode on a night of 300,000 attackers, and of 1,000,000: each one failed password,
          or one unknown user; and of 200,000 IPv6 /64s. --beside FILE runs another logcheck.py too

All on one core where Python can say so (Linux); logcheck.py as it is installed, by the Python that
runs this. Wall and CPU seconds are medians, peak memory the largest process's, in 10^6 bytes.
date(1) and pfctl(8) are stand-ins. Exit: 1 if logcheck.py and a pipeline made different tables.
"""
import argparse
import calendar
import os
import platform
import random
import re
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
FAILED = "%s mail sshd[%d]: Failed password for bob from %s port %d ssh2\n"
UNKNOWN = "%s mail sshd[%d]: Invalid user admin from %s port %d\n"
MANY = (("many 300k failed", 300000, FAILED, False), ("many 1M failed", 1000000, FAILED, False),
        ("many 300k unknown", 300000, UNKNOWN, False), ("many 1M unknown", 1000000, UNKNOWN, False),
        ("many IPv6", 200000, UNKNOWN, True))
CRON_PATH = "/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin"
SORT = 'LC_ALL=C sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 "$1" | uniq > "$2"'

USERS = ("admin", "test", "oracle", "postgres", "ubuntu", "user", "git", "ftpuser", "nagios",
         "deploy", "guest", "support", "minecraft", "hadoop", "jenkins", "pi", "www", "info")
ACCOUNTS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")


def visits():
    """The visitors of bench.txt, which says how it is written: {kind: [what one leaves (list of
    lines to format with %), as many times as its number says]}.
    """
    kinds = {}
    for kind, rows in host.parts("bench.txt"):
        found = kinds[kind] = []
        for row in rows:
            if row.isdigit():
                left = []
                found += int(row) * [left]
            else:
                left.append("%(t)s " + re.sub(r"\{(\w+)\}", r"%(\1)s", row) + "\n")
    return kinds


def make_log(path, lines, seconds, attackers, others, share, pattern=False):
    """Write a log (path: str) of so many lines whose stamps fill the seconds before NOW.

    attackers, others: their visits; share: of all lines, how many are attackers', or with pattern,
    how many are the one of theirs in the mail pattern.
    """
    rng = random.Random(SEED)
    pool = [address(number) for number in rng.sample(range(1 << 24, 223 << 24), ADDRESSES)]
    friends = ["198.51.100.%d" % number for number in range(1, 255)]
    attackers, others = [[("".join(left), len(left)) for left in kind]
                         for kind in (attackers, others)]
    done = attacks = 0
    second = stamp = None
    pick = rng.random
    with open(path, "w", encoding="ascii") as file:
        while done < lines:
            attacking = attacks <= share * done
            kind = attackers if attacking else others
            text, length = kind[int(pick() * len(kind))]
            if attacking:
                attacks += 1 if pattern else length
            if NOW - seconds + done * seconds // lines != second:
                second = NOW - seconds + done * seconds // lines
                stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(second))
            token = "%015X" % rng.getrandbits(60)
            file.write(text % {
                "t": stamp, "ip": pool[int(pick() * ADDRESSES)],
                "friend": friends[int(pick() * 254)], "user": USERS[int(pick() * len(USERS))],
                "account": ACCOUNTS[int(pick() * len(ACCOUNTS))], "pid": 1000 + int(pick() * 90000),
                "port": 1024 + int(pick() * 64000), "n": 1 + int(pick() * 500),
                "token": token, "queue": "4" + token[:10]})
            done += length


def address(number):
    """An IPv4 address (str) from its number; 127.x.x.x, which is no attacker's, becomes 126."""
    return "%d.%d.%d.%d" % (number >> 24 if number >> 24 != 127 else 126,
                            number >> 16 & 255, number >> 8 & 255, number & 255)


# A bare Python in between: Linux counts what a process had before exec as its own.
MEASURE = """
import os, resource, sys, time
begin = time.perf_counter()
code = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])
wall, usage = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def generate(data, scale):
    """Make the scenarios' files in the folder data (str)."""
    os.mkdir(data + "/empty")
    kinds = visits()
    users = kinds["ssh users"]
    for name, part, days, others, auth_share, mail_share in (
            ("full", 1, 7, users + kinds["cron of root"], 0.9, 0.15),
            ("sparse", 1, 7, users, 0.03, 0.03), ("day", 1, 1, users, 0.001, 0.001),
            ("50 MB", 6, 1, users, 0.001, 0.001)):
        os.mkdir(data + "/" + name)
        make_log("%s/%s/authlog" % (data, name), int(AUTH_LINES * scale) // part, days * DAY,
                 kinds["ssh attackers"], others, auth_share)
        make_log("%s/%s/maillog" % (data, name), int(MAIL_LINES * scale) // part, DAY,
                 kinds["smtp unknown"], kinds["mail traffic"], mail_share, pattern=True)
    for name, lines, form, six in MANY:
        with open("%s/%s" % (data, name), "w") as file:
            for number in range(int(lines * scale)):
                stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(
                    NOW - DAY + number * DAY // int(lines * scale)))
                peer = ("2001:db8:%x:%x::1" % divmod(number, 8) if six
                        else address((1 << 24) + number * 211))
                file.write(form % (stamp, 1000 + number % 90000, peer, 1024 + number % 60000))
    rng = random.Random(SEED)
    for name, entries in (("table", int(ENTRIES * scale)), ("bruteforce", OLD_ENTRIES)):
        with open(data + "/" + name, "w") as file:
            file.writelines(address(number) + "\n"
                            for number in rng.sample(range(1 << 24, 127 << 24), entries))
    for path in ("empty/authlog", "empty/maillog"):
        open(data + "/" + path, "w").close()
    os.sync()  # or it would be written out while the first tools are measured


def jobs(night, beside):
    """What is measured on a Host: [(scenario, tool, command (list), more environment (dict))].
    beside: another logcheck.py (str), or None.
    """
    script, table = night.path("logcheck.py"), night.path("bruteforce")
    subprocess.run(["make", "-s", "-C", host.TOP, "install", "TARGET=" + script,
                    "PYTHON=" + os.path.realpath(sys.executable)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found, pairs = [], [pair for pair in host.pairs() if pair[1] == host.pairs()[0][1]
                        and pair[0].endswith(("+mawk", "+original-awk"))]
    for name, _, awk in pairs:
        os.mkdir(night.path(name))
        os.symlink(awk, night.path(name) + "/awk")
    for scenario in ("full", "sparse", "day", "50 MB", "empty"):
        maillog, authlog = [night.path("data/%s/%s" % (scenario, name))
                            for name in ("maillog", "authlog")]
        mine = [script] + night.arguments("-m", maillog, "-a", authlog)
        if scenario != "50 MB":
            found.append((scenario, "logcheck.py", mine, {}))
            for name, shell, _ in pairs:
                found.append((scenario, name, shell + [host.REFERENCE], {
                    "PATH": ":".join((host.STANDINS, night.path(name), CRON_PATH)),
                    "MAILLOG": maillog, "AUTHLOG": authlog, "ETCFILE": table}))
        if scenario != "empty":
            found.append((scenario, "logcheck.py -c", mine + ["-c"], {}))
    for name, *_ in MANY:
        many = night.arguments("-c", "--no-pf", "-m", "/dev/null", "-a", night.path("data/" + name))
        found.append((name, "logcheck.py -c", [script] + many, {}))
        if beside:
            found.append((name, "beside", [sys.executable, "-IS", beside] + many, {}))
    return found + [
        ("table", "logcheck.py", mine + ["--no-pf"], {}),
        ("table", "sort | uniq", ["sh", "-c", SORT, "sh", night.path("data/table"), table], {})]


def run(night, scenario, command, env):
    """Run a job once. Returns (wall s, CPU s, peak MB) and the table (bytes) it leaves."""
    shutil.copyfile(night.path("data/table" if scenario == "table" else "data/bruteforce"),
                    night.path("bruteforce"))
    more = dict({"PATH": host.STANDINS + ":" + CRON_PATH, "PF_LOG": None}, **env)
    done = subprocess.run([sys.executable, "-IS", "-c", MEASURE] + command, check=True,
                          env=night.environment(**more), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    code, wall, cpu, peak = done.stdout.split()
    if int(code):
        sys.exit("bench: %s: exit code %s" % (command[0], code.decode()))
    unit = 1 if sys.platform == "darwin" else 1024
    return (float(wall), float(cpu), int(peak) * unit / 1e6), night.read()


def measured(night, runs, beside):
    """Measure all jobs and print their figures. Returns 1 if tables differ that must not, or 0."""
    form = "%-18s%-22s%9s%9s%9s"
    print("\n" + form % ("scenario", "tool", "wall s", "CPU s", "peak MB") + "  times the wall of")
    everything, code = jobs(night, beside), 0
    for scenario in dict.fromkeys(job[0] for job in everything):
        taken, tables = {}, {}  # {tool: its figures}, {table: a tool that made it}
        for _ in range(runs):
            for name, tool, command, env in everything:
                if name == scenario:
                    figures, table = run(night, scenario, command, env)
                    taken.setdefault(tool, []).append(figures)
                    if not tool.endswith(" -c") and tool != "beside":
                        tables.setdefault(table, tool)
        if len(tables) > 1:
            print("%s: different tables: %s" % (
                " and ".join(tables.values()), host.first_difference(*list(tables)[:2])))
            code = 1
        medians = {tool: [statistics.median(column) for column in zip(*figures)]
                   for tool, figures in taken.items()}
        for tool, (wall, cpu, peak) in medians.items():
            shares = ", ".join("%.2f, CPU %.2f, memory %.2f (%s)" % (
                wall / other[0], cpu / other[1], peak / other[2], name.split("+")[-1])
                               for name, other in medians.items()
                               if tool.startswith("logcheck") and not name.startswith("logcheck"))
            print(form % (scenario, tool, "%.3f" % wall, "%.3f" % cpu, "%.1f" % peak)
                  + "  " + shares, flush=True)
    return code


def main():
    """Generate, measure, print. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside")
    options = parser.parse_args()
    print("%s, %s %s %s, Python %s, scale %g" % (
        time.strftime("%Y-%m-%d"), platform.system(), platform.release(), platform.machine(),
        platform.python_version(), options.scale))
    with tempfile.TemporaryDirectory(prefix="bench.") as work:
        os.mkdir(work + "/data")
        generate(work + "/data", options.scale)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
            print("all on one core")
        return measured(host.Host(work, now=NOW), options.runs, options.beside)


if __name__ == "__main__":
    sys.exit(main())
