"""At home on a host: README's commands, install, allow list, letter, report, help, licence."""
import email
import email.utils
import glob
import gzip
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import tools
from test_cli import ATTACK, MAIL, NOW, TABLE, Host

MAKES = [name for name in ("make", "bmake") if shutil.which(name)]
SHELLS = [name for name in ("sh", "dash", "ksh", "mksh", "bash") if shutil.which(name)]
STAMP = b"Apr  8 12:00:00"
CRON = {"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/var/log"}
DAILY = "/bin:/usr/bin:/sbin:/usr/sbin:/usr/local/bin"  # what /etc/daily sets PATH to
SENDMAIL = """#!/bin/sh
# Stands in for sendmail(8): saves what it is given, or fails as it is told to.
PATH=/bin:/usr/bin
[ -z "$SENDMAIL_FAIL" ] || { echo "sendmail: fatal: $SENDMAIL_FAIL" >&2; exit 75; }
for word do printf '%s\\n' "$word"; done > "${0%/*}/argv.$$"
cat > "${0%/*}/letter.$$"
"""


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def contents(folder):
    """All that lies below a folder: {path below it: (mode, text or link's target)}."""
    found = {}
    for parent, folders, files in os.walk(str(folder)):
        for name in folders + files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            found[os.path.relpath(path, str(folder))] = mode, (
                os.readlink(path) if os.path.islink(path) else
                None if os.path.isdir(path) else read(path))
    return found


def call(command, **options):
    """Run a command without a terminal. Returns (exit code, out, err), the latter as str."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=os.setsid, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# README: every command in it is run here

COMMANDS, EXCERPTS = [], [
    # what only pf can read or check
    'table <bruteforce> persist file "/etc/bruteforce"', "block in quick from <bruteforce>",
    'table <bruteforce> persist file "/etc/bruteforce" file "/etc/bruteforce.mx2"',
    "set limit table-entries 400000", "pfctl -nf /etc/pf.conf"]


def runs(*lines):
    """Marks the test that runs these lines of README; it gets each as its argument line."""
    COMMANDS.extend(lines)
    return pytest.mark.parametrize("line", lines, ids=lambda line: line[:40])


def readme():
    return read(os.path.join(tools.TOP, "README")).decode("ascii")


def examples():
    """README's indented commands, without what stands behind three blanks."""
    text = re.sub("(?s)SYNOPSIS.*?To see it", "", readme().split("\nWHEN TO USE")[0])
    return [re.split(" {3,}", line.strip())[0] for line in text.splitlines()
            if re.match(" {4,12}[^ ]", line) and not line.startswith("      --")]


def test_every_command_in_the_readme_is_run():
    assert set(examples()) == set(COMMANDS + EXCERPTS)


def test_every_make_target_in_the_readme_and_in_its_help():
    makefile = read(os.path.join(tools.TOP, "Makefile")).decode()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split())
    assert targets == set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z0-9]+)\b", readme())) - {"a", "an", "of", "it"} <= targets
    for program in MAKES:
        code, out, err = call([program, "help"], cwd=tools.TOP)
        assert (code, err) == (0, "")
        assert set(re.findall(r"^make (\w+)", out, re.MULTILINE)) == targets - {"help"}


def test_readme_names_the_options_that_help_names():
    def options(text):
        return sorted(set(re.findall(r"(?m)^ +(?:-\w(?: [A-Z]+)?, |)(--[\w-]+(?: [A-Z]+)?)", text)))
    said = options(readme().split("\nOPTIONS")[1].split("\nCAREFUL MODE")[0].replace(
        "--version, -h, --help", "--version\n  -h, --help"))
    assert said == options(call([sys.executable, tools.SCRIPT, "-h"])[1].split("options")[1])
    assert len(said) == 19


def test_readme_fits_a_terminal():
    assert [line for line in readme().splitlines() if len(line) > 80 and line[:4] != "    "] == []
    assert readme().count("\n") < 400


def zone():
    """How many hours east it is afternoon, but not a month's first day: the default mode, as the
    shell, is blind on some nights.
    """
    for east in range(-24, 25):
        there = time.time() + east * 3600
        if 12 <= time.gmtime(there).tm_hour <= 22 and time.gmtime(there).tm_mday > 1:
            return east


class Site(Host):
    """A host with /root, /etc and /var/log moved below a folder, in the present, where an admin
    has edited the constants at the top of /root/logcheck.py accordingly.
    """

    PLACES = {"ETCFILE": "etc/bruteforce", "MAILLOG": "var/log/maillog",
              "AUTHLOG": "var/log/authlog"}

    def __init__(self, folder):
        Host.__init__(self, folder)
        for name in ("root", "etc", "var/log", "bin", "python", "mx2/etc"):
            os.makedirs(self.path(name))
        self.east = zone()
        self.zone, self.stamp = "HERE%+d" % -self.east, self.ago(1)
        for place, name in (("etc", "bruteforce"), ("var/log", "maillog"), ("var/log", "authlog")):
            self.write(os.path.join(place, name), self.read(name).replace(STAMP, self.stamp))
            os.remove(self.path(name))
        os.symlink(os.path.realpath(sys.executable), self.path("python/python3"))
        sendmail = self.path("bin/sendmail")
        self.write("bin/sendmail", SENDMAIL.encode())
        os.chmod(sendmail, 0o755)
        self.environment.update(TZ=self.zone, PATH=":".join((
            self.path("bin"), tools.STANDINS, self.path("python"), os.environ["PATH"])))
        shutil.copy(tools.SCRIPT, self.path("root"))
        self.edit("root/logcheck.py")

    def ago(self, hours):
        """The moment so many hours ago, as syslogd writes it there (bytes)."""
        there = time.gmtime(time.time() + (self.east - hours) * 3600)
        return time.strftime("%b %e %H:%M:%S", there).encode()

    def edit(self, name):
        """Edit the constants at the top of a copy of logcheck.py."""
        text = self.read(name).decode()
        for constant, place in self.PLACES.items():
            text, count = re.subn('(?m)^%s = "[^"]*"' % constant,
                                  '%s = "%s"' % (constant, self.path(place)), text)
            assert count == 1
        self.write(name, text.encode())

    def moved(self, line):
        """A line of README with its paths moved below the folder."""
        line = re.sub(r"(?<![\w.])/(root|etc|var/log)/", self.path(r"\1/"), line)
        return re.sub(r"^logcheck\.py(?= |$)", self.path("root/logcheck.py"), line)

    def shell(self, line, shell="sh", **environment):
        """Run a line of README. Returns (exit code, out, err)."""
        return call([shell, "-c", self.moved(line)], cwd=tools.TOP,
                    env=dict(self.environment, **environment))

    def daily(self, line, shell="sh"):
        """Source a daily.local of one line, as /etc/daily does that cron has called. Returns
        (exit code, out, err); "end" on out says that the rest of daily.local was run.
        """
        self.write("etc/daily.local", (self.moved(line) + "\necho end\n").encode())
        path = ":".join((DAILY, self.path("bin"), tools.STANDINS))
        script = next(word for word in line.split() if word[0] == "/")
        if self.read(script[1:]).startswith(b"#!/usr/bin/env python3\n"):
            path = self.path("python") + ":" + path  # else nothing on PATH may be needed
        return call([shutil.which(shell), "-c", "PATH=%s; umask 022; . %s" % (
            path, self.path("etc/daily.local"))], cwd="/",
            env=dict(CRON, TZ=self.zone, PF_TABLE=self.path("pf-table"),
                     PF_LOG=self.path("pf-log")))

    def letters(self):
        """The letters that sendmail was given: [(its arguments, bytes)]."""
        return [(read(path.replace("letter.", "argv.")).decode().split("\n")[:-1], read(path))
                for path in glob.glob(self.path("bin/letter.*"))]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def repr_of_20(value):
    """A short name for a test's argument."""
    return repr(value[:20])


RELOADED = ["-t bruteforce -T show", "-f /etc/pf.conf"]


def replaced(host, etcfile="bruteforce"):
    """pf's calls in careful mode."""
    return [RELOADED[0], "-t bruteforce -T replace -f %s.logcheck" % host.path(etcfile)]



def copy_of_the_tree(folder):
    """The project as somebody downloads it."""
    shutil.copytree(tools.TOP, folder, symlinks=True, ignore=shutil.ignore_patterns(
        ".git", ".venv", ".pytest_cache", ".benchmarks", "__pycache__", "real-*"))


@runs("make demo")
@pytest.mark.parametrize("program", MAKES)
def test_demo(tmp_path, line, program):
    tree, temporary = str(tmp_path / "tree"), tmp_path / "tmp"
    copy_of_the_tree(tree)
    shutil.copytree(tools.TOP + "/fixtures/real-stories", tree + "/fixtures/real-stories")
    temporary.mkdir()
    before = contents(tree)
    code, out, err = call([program] + line.split()[1:], cwd=tree,
                          env=dict(os.environ, TMPDIR=str(temporary)))
    assert (code, err) == (0, "")
    assert "\n    let off" in out and "\n< 198.51.100.85 " in out and " > 203.0.113.62" in out
    assert max(map(len, out.splitlines())) <= 100 and "\t" not in out
    assert contents(tree) == before and os.listdir(str(temporary)) == []


@runs("make test")
@pytest.mark.parametrize("program", MAKES)
def test_test(tmp_path, line, program):
    tree = str(tmp_path / "tree")
    copy_of_the_tree(tree)
    for path in glob.glob(os.path.join(tree, "tests", "test_*.py")):
        os.remove(path)  # or this test would be run by itself
    with open(os.path.join(tree, "tests", "test_one.py"), "w") as file:
        file.write("def test_good():\n    pass\n\ndef test_bad():\n    assert False\n")
    code, out, _ = call([program] + line.split()[1:] + ["PYTHON=" + sys.executable], cwd=tree)
    assert code != 0 and "1 failed, 1 passed" in out


@runs("/root/logcheck.py")
def test_drop_in(site, line):
    assert site.shell(line) == (0, "", "")
    assert site.read("etc/bruteforce") == TABLE
    assert site.pf_calls() == RELOADED


RECOMMENDED = ("echo 192.0.2.0/24 >> /etc/bruteforce.allow", "touch /etc/bruteforce",
               "pfctl -f /etc/pf.conf", "pfctl -t bruteforce -T show",
               "/root/logcheck.py -cnv -w /etc/bruteforce.allow --expire 90",
               "/root/logcheck.py -cv -w /etc/bruteforce.allow --expire 90")
COMMANDS.extend(RECOMMENDED)


def today():
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + zone() * 3600))


def keeps_tables(site, limit=200000):
    """Give the site's pf tables that stay, and a ruleset."""
    os.mkdir(site.path("pf"))
    site.write("pf/limit", b"%d\n" % limit)
    site.environment["PF_STATE"] = site.path("pf")
    site.write("etc/pf.conf", site.moved(EXCERPTS[0] + "\n" + EXCERPTS[1] + "\n").encode())


def test_install_steps(site):
    """From nothing to the first night, by INSTALL's commands in their order."""
    keeps_tables(site)
    os.remove(site.path("etc/bruteforce"))
    site.write("var/log/authlog", (ATTACK % b"192.0.2.1" + ATTACK % b"203.0.113.9").replace(
        STAMP, site.stamp))
    for line in RECOMMENDED[:4]:
        assert site.shell(line) == (0, "", "")
    table = "".join("%s # %s %s\n" % (address, today(), why) for address, why in (
        ("203.0.113.1", "postfix: unknown client, no login, no delivery"),
        ("203.0.113.9", "sshd: root failed")))
    code, out, err = site.shell(RECOMMENDED[4])
    assert (code, out) == (0, table) and ": 2 added, " in err and "dry run" in err
    assert site.read("etc/bruteforce") == b""
    code, out, err = site.shell(RECOMMENDED[5])
    assert (code, out) == (0, "") and err.startswith("logcheck on ") and "; pf has it\n" in err
    assert site.read("etc/bruteforce").decode() == table
    assert site.shell(RECOMMENDED[3])[1].split() == ["203.0.113.1", "203.0.113.9"]


def old_script(site):
    """The shell script's run of the same night."""
    environment = dict(site.environment, NOW=str(int(time.time())), TMPDIR=str(site.folder))
    for constant, place in site.PLACES.items():
        environment[constant] = site.path(place)
    assert call(["sh", tools.REFERENCE], env=environment) == (0, "", "")


BEFORE = ("cp /etc/bruteforce /root/before",
          "pfctl -t bruteforce -T show | awk '{ print $1 }' >> /root/before")
COMMANDS.extend(BEFORE + ("/root/logcheck.sh",))


@runs("/root/logcheck.py -n --no-pf -e /root/before | diff /etc/bruteforce -")
@pytest.mark.parametrize("planted", ["", "192.0.2.44", "192.0.2.1"])
def test_moving_over_step_1(site, line, planted):
    """It agrees with the old script, and shows an address that only one of them has found."""
    for before in BEFORE:
        assert site.shell(before) == (0, "", "")
    old_script(site)
    if planted == "192.0.2.44":
        site.write("etc/bruteforce", site.read("etc/bruteforce") + b"192.0.2.44\n")
    elif planted:
        site.write("etc/bruteforce", site.read("etc/bruteforce").replace(b"192.0.2.1\n", b""))
    kept = site.read("etc/bruteforce")
    code, out, err = site.shell(line)
    assert (code, err) == (int(bool(planted)), "")
    assert [row for row in out.splitlines() if row[0] in "<>"] == {
        "": [], "192.0.2.44": ["< 192.0.2.44"], "192.0.2.1": ["> 192.0.2.1"]}[planted]
    assert site.read("etc/bruteforce") == kept


@runs("/root/logcheck.py -cnv --no-pf -w /etc/bruteforce.allow -e /root/before "
      "| diff /etc/bruteforce -")
@pytest.mark.parametrize("planted", [False, True])
def test_moving_over_step_2(site, line, planted):
    site.write("etc/bruteforce.allow", b"")
    if planted:  # one whom only the default mode bans, and one whom only careful mode does
        log = (b" mail sshd[1]: Accepted publickey for root from 192.0.2.44 port 22 ssh2",
               b" mail sshd[1]: Invalid user a from 2001:db8::1 port 22",
               b" mail sshd[2]: Failed password for root from 192.0.2.1 port 22 ssh2")
        site.write("var/log/authlog", b"".join(site.stamp + text + b"\n" for text in log))
    for command in BEFORE + ("/root/logcheck.py",):
        assert site.shell(command) == (0, "", "")
    kept = site.read("etc/bruteforce")
    code, out, err = site.shell(line)
    assert code == int(planted) and err.startswith("logcheck on ")
    assert [row for row in out.splitlines() if row[0] in "<>"] == (
        ["< 192.0.2.44", "> 2001:db8::/64"] if planted else [])
    assert site.read("etc/bruteforce") == kept


@runs("sed -i 's/ # 20[0-9][0-9]-[0-9][0-9]-[0-9][0-9].*//' /etc/bruteforce")
def test_the_way_back(site, line):
    site.write("etc/bruteforce", b"192.0.2.7 # mine, 2026\n192.0.2.200\n")
    assert site.shell("/root/logcheck.py --expire 90") == (0, "", "")
    assert site.read("etc/bruteforce").count(b" # ") == 5
    assert site.shell(line) == (0, "", "")
    assert site.read("etc/bruteforce") == TABLE.replace(
        b"192.0.2.200", b"192.0.2.7 # mine, 2026\n192.0.2.200")
    assert site.shell("/root/logcheck.py") == (0, "", "")


@runs("/root/logcheck.py -cv -w /etc/bruteforce.allow --expire 90 --days 7")
def test_catching_up(site, line):
    site.write("etc/bruteforce.allow", b"")
    for days, address in ((3, b"192.0.2.3"), (6, b"192.0.2.6"), (8, b"192.0.2.8")):
        with gzip.open(site.path("var/log/authlog.%d.gz" % days), "wb") as file:
            file.write((ATTACK % address).replace(STAMP, site.ago(24 * days)))
    assert site.shell(line)[:2] == (0, "")
    assert [entry.split(b" #")[0] for entry in site.read("etc/bruteforce").splitlines()] == [
        b"192.0.2.1", b"192.0.2.3", b"192.0.2.6", b"192.0.2.200", b"198.51.100.1", b"203.0.113.1"]
    assert site.pf_calls() == replaced(site, "etc/bruteforce")


LINES = ("192.0.2.7 # 2026-11-24 sshd: unknown user", "192.0.2.9", "198.51.100.0/24",
         "192.0.2.8 # the office of example.org", r"grep '^192\.0\.2\.7 ' /etc/bruteforce")
COMMANDS.extend(LINES)


def test_lines_of_the_table(site):
    """What README, THE TABLE, says of each kind of line: today, and 91 days after its date."""
    for name in ("maillog", "authlog"):
        site.write("var/log/" + name, b"")
    for now, stays in (("2026-11-25 01:30", [0, 1, 2, 3]), ("2027-02-22 01:30", [0, 1, 2, 3]),
                       ("2027-02-23 01:30", [1, 2, 3])):
        site.write("etc/bruteforce", "\n".join(LINES[:4] + ("",)).encode())
        assert site.shell("/root/logcheck.py --no-pf -c --expire 90 --now '%s'" % now)[0] == 0
        text = site.read("etc/bruteforce").decode().splitlines()
        assert sorted(text) == sorted(
            LINES[n] + (" # %s in the table before" % now[:10]) * (n == 1) for n in stays)
        assert site.shell(LINES[4])[1] == (LINES[0] + "\n") * (0 in stays)


@runs("/root/logcheck.py --forgive 192.0.2.7")
def test_locked_out(site, line):
    site.write("etc/bruteforce", b"192.0.2.7 # 2026-11-24 sshd: unknown user\n192.0.2.200\n")
    keeps_tables(site)
    site.write("pf/bruteforce", b"   192.0.2.7\n   198.51.100.1\n")
    code, out, err = site.shell(line)
    assert (code, err) == (0, "") and out.count("192.0.2.7") == 2 and "allow list" in out
    assert site.read("etc/bruteforce") == b"192.0.2.200\n"
    assert site.read("pf/bruteforce") == b"   198.51.100.1\n"
    assert site.shell(line)[0] == 1


@runs("echo 192.0.2.7 >> /etc/bruteforce.allow")
def test_never_again(site, line):
    site.write("etc/bruteforce", b"192.0.2.7\n192.0.2.200\n")
    site.write("var/log/authlog", (ATTACK % b"192.0.2.7").replace(STAMP, site.stamp))
    assert site.shell(line) == (0, "", "")
    code, _, err = site.shell("/root/logcheck.py -cv -w /etc/bruteforce.allow")
    assert code == 0 and "allowed; it was in the table" in err
    assert site.read("etc/bruteforce") == b"192.0.2.200\n198.51.100.1\n203.0.113.1\n"


COMMANDS.extend((
    "logcheck on mail: 12 added, 3 expired, 1 let off, 1,204 in the table; pf has it",
    "*/10 * * * * -n /root/logcheck.py -c -w /etc/bruteforce.allow --expire 90"))
OFTEN = """
import contextlib, io, sys
sys.path.insert(0, %r)
import logcheck
for now in range(%d, %d + 1, %d):
    code = logcheck.main(["-c", "--no-pf", "--expire", "90", "-m", "maillog", "-a", "authlog", "-e",
                          sys.argv[1], "--now", str(now)])
    assert code == 0
"""


def test_every_ten_minutes(tmp_path):
    """Two days of attackers and users: who is banned at night is banned by runs every ten minutes,
    which say nothing; besides, these ban whoever was judged before his login.
    """
    begin, minutes = 1523237400, 2 * 1440  # 2018-04-09 01:30
    logs = {"maillog": [], "authlog": []}
    for n in range(0, minutes, 7):
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(begin + n * 60 + n % 60)).encode()
        ssh, peer = stamp + b" mail sshd[1]: ", b"203.0.113.%d" % (n // 7 % 250)
        kind = n // 7 % 4
        name = b"root" if kind == 0 else b"alice"
        logs["authlog"].append(ssh + b"Failed password for %s from %s port 22 ssh2\n"
                               % (name, peer))
        if kind == 2:  # typos, then the login
            logs["authlog"].append(ssh + b"Accepted password for alice from %s port 22 ssh2\n"
                                   % peer)
        if kind == 3:
            logs["maillog"].append(stamp + MAIL[len(STAMP):] % peer)
    late = time.strftime("%b %e %H:", time.gmtime(begin + 43200)).encode()
    logs["authlog"] += [late + b"01:00 mail sshd[1]: Invalid user bbo from 192.0.2.1 port 22\n",
                        late + b"25:00 mail sshd[1]: Accepted password for bob from 192.0.2.1 "
                        b"port 22 ssh2\n"]
    for name, lines in logs.items():
        (tmp_path / name).write_bytes(b"".join(lines))
    tables = {}
    for name, step in (("nightly", 86400), ("often", 600)):
        (tmp_path / name).write_bytes(b"")
        assert call([sys.executable, "-c", OFTEN % (tools.TOP, begin, begin + minutes * 60, step),
                     name], cwd=str(tmp_path), env=dict(os.environ, TZ="UTC")) == (0, "", "")
        tables[name] = {line.split(b" ")[0] for line in (tmp_path / name).read_bytes().splitlines()}
    assert len(tables["nightly"]) > 100
    assert tables["often"] == tables["nightly"] | {b"192.0.2.1"}


def test_report_to_root(site):
    code, out, err = site.shell("/root/logcheck.py -v")
    assert (code, out) == (0, "")
    assert err.startswith("logcheck on %s: 3 added, 0 expired, 0 let off, 4 in the table; pf has it"
                          "\nrange: " % os.uname().nodename)
    assert site.read("etc/bruteforce") == TABLE


def test_letter_to_the_postmaster(site):
    assert site.shell("/root/logcheck.py --mail postmaster") == (0, "", "")
    (arguments, text), = site.letters()
    assert arguments[-1] == "postmaster" and b"\n192.0.2.1 " in text


@runs("/root/logcheck.py -c -a /var/log/auth.log")
def test_freebsd(site, line):
    os.rename(site.path("var/log/authlog"), site.path("var/log/auth.log"))
    assert site.shell(line) == (0, "", "")
    assert site.read("etc/bruteforce") == TABLE
    assert site.pf_calls() == replaced(site, "etc/bruteforce")


@runs("/root/logcheck.py -c -m /var/log/mx1/maillog -m /var/log/mx2/maillog "
      "-a /var/log/mx1/authlog")
def test_loghost(site, line):
    for name in ("mx1", "mx2"):
        os.mkdir(site.path("var/log/" + name))
    for name, address in (("mx1/maillog", b"203.0.113.1"), ("mx2/maillog", b"203.0.113.2")):
        site.write("var/log/" + name, (MAIL % address).replace(STAMP, site.stamp))
    with gzip.open(site.path("var/log/mx2/maillog.0.gz"), "wb") as file:
        file.write((MAIL % b"203.0.113.3").replace(STAMP, site.stamp))
    os.rename(site.path("var/log/authlog"), site.path("var/log/mx1/authlog"))
    os.remove(site.path("var/log/maillog"))
    assert site.shell(line) == (0, "", "")
    assert site.read("etc/bruteforce") == TABLE + b"203.0.113.2\n203.0.113.3\n"


@runs("/root/logcheck.py -c --no-pf --expire 90 -m /var/log/mail.log -a /var/log/auth.log")
def test_linux(site, line):
    os.rename(site.path("var/log/authlog"), site.path("var/log/auth.log"))
    os.rename(site.path("var/log/maillog"), site.path("var/log/mail.log"))
    os.remove(site.path("etc/bruteforce"))  # nobody has made it yet
    code, out, err = site.shell(line)
    assert (code, out) == (0, "") and err.endswith(": was not there and has been made\n")
    assert re.sub(rb" # .*", b"", site.read("etc/bruteforce")) == b"192.0.2.1\n203.0.113.1\n"
    assert site.pf_calls() == []


def nft_namespace():
    """Why nft cannot be tried here, or None."""
    if os.getuid() or not shutil.which("nft") or not shutil.which("unshare"):
        return "needs root, nft and unshare"
    if call(["unshare", "-n", "nft", "list", "tables"])[0]:
        return "nft does not work in a network namespace here"


NFT = [line for line in examples() if line.startswith("nft ") or line.endswith("| nft -f -")]
COMMANDS.extend(NFT)


@pytest.mark.skipif(bool(nft_namespace()), reason=str(nft_namespace()))
def test_nftables(site):
    """From an empty ruleset, filled twice; comments do not get into it."""
    assert len(NFT) == 7
    site.write("etc/bruteforce", b"# by hand\n192.0.2.7 # 2026-11-24 sshd: root failed\n192.0.2.7\n"
               b"198.51.100.0/24\n198.51.100.9\n203.0.113.1 # office\n2001:db8::1\n!203.0.113.9\n"
               b"2001:db8:0:1::/64 # 2026-11-24 sshd: root failed\nmail.example.org\n")
    fill = site.moved(NFT.pop())
    site.write("commands", "\n".join(["set -e"] + NFT + [
        "nft add element inet bruteforce v4 '{ 192.0.2.99 }'", fill, fill,
        "nft list ruleset"]).encode())
    NFT.append(fill)
    code, out, err = call(["unshare", "-n", "sh", site.path("commands")])
    assert (code, err) == (0, "")
    listed = [found.replace(",", " ").split()
              for found in re.findall(r"elements = \{([^}]*)\}", out)]
    assert listed == [["192.0.2.7", "198.51.100.0/24", "203.0.113.1"],
                      ["2001:db8::1", "2001:db8:0:1::/64"]]
    assert "ip saddr @v4 drop" in out and "ip6 saddr @v6 drop" in out and "hook input" in out


DISTFILE = ("/etc/bruteforce -> ( mx2 )", "install /etc/bruteforce.mx1 ;")
COMMANDS.extend(DISTFILE)
KEY = ('restrict,command="cat > /etc/bruteforce.mx1.new && '
       'mv /etc/bruteforce.mx1.new /etc/bruteforce.mx1"')
COMMANDS.append(KEY)


def test_key_that_can_only_write_the_file(site):
    command = KEY.split('"')[1]
    assert call(["sh", "-c", site.moved(command)], stdin=open(site.path("etc/bruteforce"))) == (
        0, "", "")
    assert site.read("etc/bruteforce.mx1") == site.read("etc/bruteforce")


@runs("pfctl -t bruteforce-mx2 -T replace -f /etc/bruteforce.mx2")
def test_table_of_another_host(site, line):
    keeps_tables(site)
    site.write("etc/bruteforce.mx2", b"192.0.2.7 # 2026-11-24 sshd: unknown user\n2001:db8::/64\n")
    assert site.shell(line)[0] == 0
    assert site.read("pf/bruteforce-mx2") == b"   192.0.2.7\n   2001:db8::/64\n"


# Stands in for ssh: the other host is this one.
SSH = '#!/bin/sh\nshift\n[ "$1" != -l ] || shift 2\nexec sh -c "$*"\n'


@pytest.mark.skipif(not shutil.which("rdist") and not shutil.which("rsync"),
                    reason="needs rdist, or else rsync")
def test_distfile(site):
    """mx1's table arrives at mx2, whose folders are those below mx2/."""
    assert site.shell("/root/logcheck.py") == (0, "", "")
    site.write("mx2/etc/bruteforce.mx1", b"of last night\n")
    source, target = DISTFILE[0].split()[0], DISTFILE[1].split()[1]
    source, target = site.moved(source), site.path("mx2" + target)
    if shutil.which("rdist"):
        site.write("ssh", SSH.encode())
        os.chmod(site.path("ssh"), 0o755)
        site.write("etc/Distfile", ("%s -> ( mx2 )\n        install %s ;\n" % (
            source, target)).encode())
        command = ["rdist", "-P", site.path("ssh"), "-f", site.path("etc/Distfile")]
    else:
        command = ["rsync", "-a", source, target]
    code, out, err = call(command)
    assert code == 0, out + err
    assert site.read("mx2/etc/bruteforce.mx1") == TABLE
    assert sorted(os.listdir(site.path("mx2/etc"))) == ["bruteforce.mx1"]


# Install

def shim(folder):
    """A command that runs this Python, as pyenv's and others do."""
    path = os.path.join(str(folder), "shim")
    with open(path, "w") as file:
        file.write('#!/bin/sh\nexec "%s" "$@"\n' % sys.executable)
    os.chmod(path, 0o755)
    return path


def make(program, *arguments):
    """Run make in the project. Returns (exit code, out, err), without its warning."""
    code, out, err = call([program] + list(arguments), cwd=tools.TOP)
    return code, out, re.sub("warning: .*\n", "", err)


@runs("make install")
@pytest.mark.parametrize("program", MAKES)
@pytest.mark.parametrize("python", ["real", "shim", "link"])
def test_install(tmp_path, line, program, python):
    stage = str(tmp_path / "stage")
    real = sys.executable if python != "link" else str(tmp_path / "python3")
    chosen = sys.executable if python == "real" else shim(tmp_path)
    if python == "link":
        chosen = str(tmp_path / "python3")
        os.symlink(os.path.realpath(sys.executable), chosen)
    umask = os.umask(0o077)
    try:
        code, out, err = make(program, *line.split()[1:] + ["DESTDIR=" + stage,
                                                            "PYTHON=" + chosen])
    finally:
        os.umask(umask)
    assert (code, err) == (0, "")
    assert [row.strip() for row in out.splitlines() if row.startswith("    ")] == [
        "/root/logcheck.py", RECOMMENDED[-1]] and "/etc/daily.local" in out
    found = contents(stage)
    assert sorted(found) == ["root", "root/logcheck.py"]
    mode, text = found["root/logcheck.py"]
    assert mode == 0o100755
    lines, source = text.decode().split("\n"), read(tools.SCRIPT).decode().split("\n")
    assert lines[0] == "#!%s -IS" % real and "Python: %s\n" % real in out
    assert lines[1:] == source[1:]
    assert call([stage + "/root/logcheck.py", "--version"], env={"PATH": "/nowhere"})[0] == 0


@pytest.mark.parametrize("program", MAKES)
def test_install_prefers_the_systems_python(tmp_path, program):
    """The first of the stable names that is a Python of 3.6 or later; PYTHON= overrides."""
    (tmp_path / "old").write_text("#!/bin/sh\n")
    os.chmod(str(tmp_path / "old"), 0o755)
    names = [str(tmp_path / name) for name in ("missing", "old", "stable", "second")]
    for name in names[2:]:
        os.symlink(os.path.realpath(sys.executable), name)
    for more, chosen in (([], names[2]), (["PYTHON=" + names[3]], names[3])):
        code, out, _ = make(program, "install", "DESTDIR=%s" % tmp_path,
                            "SYSTEM=" + " ".join(names), *more)
        assert code == 0 and "Python: %s\n" % chosen in out
        assert read(str(tmp_path / "root/logcheck.py")).startswith(b"#!%s -IS\n" % chosen.encode())


def test_install_warns_of_a_python_that_is_not_the_systems(tmp_path):
    def warned(python):
        return call([MAKES[0], "install", "DESTDIR=%s" % tmp_path, "PYTHON=" + python],
                    cwd=tools.TOP)[2]
    if os.path.realpath(sys.executable).startswith(("/root/", "/home/")):
        assert "home folder" in warned(sys.executable)
    if os.path.exists("/usr/bin/python3"):
        assert warned("/usr/bin/python3") == ""


@pytest.mark.parametrize("version", tools.pythons())
def test_install_for_each_python(tmp_path, version):
    python = tools.pythons()[version]
    assert make(MAKES[0], "install", "DESTDIR=%s" % tmp_path, "PYTHON=" + python)[0] == 0
    installed = str(tmp_path / "root" / "logcheck.py")
    first = read(installed).split(b"\n")[0].decode()
    assert call([first[2:-4], "-V"])[1].startswith("Python %s." % version)
    assert call([installed, "--version"], env={"PATH": "/nowhere"})[0] == 0


@pytest.mark.parametrize("program", MAKES)
@pytest.mark.parametrize("how, where", [
    (["PREFIX=/usr/local/sbin"], "/usr/local/sbin/logcheck.py"),
    (["TARGET=/usr/local/sbin/logcheck"], "/usr/local/sbin/logcheck"),
    ([], "/root/logcheck.py")])
def test_install_elsewhere_over_another_and_uninstall(tmp_path, program, how, where):
    stage = str(tmp_path)
    how = how + ["DESTDIR=" + stage, "PYTHON=" + sys.executable]
    for before in (None, b"another", b"", b"reading"):
        if before is not None:
            os.remove(stage + where)
            with open(stage + where, "wb") as file:
                file.write(before)
        with open(stage + where if before else os.devnull, "rb") as running:
            code, out, err = make(program, "install", *how)
            assert running.read() == (before or b"")  # a run that has it open is not disturbed
        assert (code, err, "\n    %s\n" % where in out) == (0, "", True)
        files = {name: mode for name, (mode, text) in contents(stage).items() if text is not None}
        assert files == {where[1:]: 0o100755}
        assert call([stage + where, "--version"])[0] == 0
    assert make(program, "uninstall", *how)[0] == 0
    assert [text for _, text in contents(stage).values() if text is not None] == []
    assert make(program, "uninstall", *how)[0] == 0


@pytest.mark.parametrize("program", MAKES)
def test_install_with_a_python_that_is_not_there(tmp_path, program):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "logcheck.py").write_bytes(b"the old one")
    before = contents(tmp_path)
    code, out, err = make(program, "install", "DESTDIR=%s" % tmp_path, "PYTHON=/nowhere/python3")
    assert code != 0 and "/nowhere/python3" in err and "Installed" not in out
    assert contents(tmp_path) == before


@pytest.mark.parametrize("program", MAKES)
@pytest.mark.parametrize("shell", SHELLS)
def test_installed_in_daily_local(site, program, shell):
    out = make(program, "install", "DESTDIR=" + str(site.folder), "PYTHON=" + sys.executable)[1]
    site.edit("root/logcheck.py")
    shutil.rmtree(site.path("python"))
    assert site.daily(re.search("(?m)^    (.*)$", out).group(1), shell) == (0, "end\n", "")
    assert site.read("etc/bruteforce") == TABLE
    assert site.pf_calls() == RELOADED


@pytest.mark.parametrize("shell", SHELLS)
def test_copied_by_hand_in_daily_local(site, shell):
    shutil.copyfile(tools.SCRIPT, site.path("root/logcheck.py"))
    os.chmod(site.path("root/logcheck.py"), 0o755)
    site.edit("root/logcheck.py")
    assert site.daily("/root/logcheck.py", shell) == (0, "end\n", "")
    assert site.read("etc/bruteforce") == TABLE
    assert site.pf_calls() == RELOADED


def test_report_in_the_nightly_mail(site):
    code, out, err = site.daily("/root/logcheck.py -cv")
    assert (code, out) == (0, "end\n")
    assert err.startswith("logcheck on ") and "\r" not in err and "\x1b" not in err


@pytest.mark.parametrize("constant", ["PF_CONF", "TABLE"])
def test_edited_names_carry_over(site, constant):
    text = site.read("root/logcheck.py").decode()
    text, count = re.subn('(?m)^%s = "[^"]*"' % constant, '%s = "other"' % constant, text)
    site.write("root/logcheck.py", text.encode())
    assert count == 1 and site.shell("/root/logcheck.py") == (0, "", "")
    assert site.pf_calls() == (
        [RELOADED[0], "-f other"] if constant == "PF_CONF" else ["-t other -T show", RELOADED[1]])


# --allow

@pytest.mark.parametrize("allow, entry, stays", [
    ("192.0.2.7", "192.0.2.7", False),
    ("192.0.2.7", "192.0.2.70", True),
    ("192.0.2.7", "192.0.2.6", True),
    ("192.0.2.7/32", "192.0.2.7", False),
    ("192.0.2.7", "192.0.2.7/32", False),
    # the entry lies in an allowed network
    ("192.0.2.0/24", "192.0.2.0", False),
    ("192.0.2.0/24", "192.0.2.255", False),
    ("192.0.2.0/24", "192.0.3.0", True),
    ("192.0.2.0/24", "192.0.1.255", True),
    ("192.0.2.0/24", "192.0.2.64/26", False),
    ("192.0.2.77/24", "192.0.2.8", False),
    ("10.1", "10.1.200.3", False),
    ("10.1", "10.2.0.1", True),
    ("10", "10.200.0.1", False),
    ("10/8", "10.200.0.1", False),
    ("10.1/16", "10.1.0.1", False),
    ("0.0.0.0/0", "192.0.2.7", False),
    ("0/0", "192.0.2.7", False),
    ("0.0.0.0/0", "2001:db8::1", True),
    # the entry holds what is allowed
    ("192.0.2.7", "192.0.2.0/24", False),
    ("192.0.2.7", "192.0.3.0/24", True),
    ("192.0.2.0/28", "192.0.2.0/24", False),
    ("10.1.2.3", "10.1", False),
    ("10.1.2.3", "10", False),
    ("10.1.2.3", "10.2", True),
    ("10.1.2.3", "10.1/16", False),
    ("10.1.2.3", "10.1.2.255/24", False),
    ("192.0.2.7", "0.0.0.0/0", False),
    ("192.0.2.7", "0/0", False),
    ("192.0.2.7", "::/0", True),
    # IPv6, in any spelling
    ("2001:db8::1", "2001:db8::1", False),
    ("2001:DB8:0:0::0001", "2001:db8::1", False),
    ("2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001", False),
    ("2001:db8::1", "2001:db8::10", True),
    ("2001:db8::/32", "2001:db8:ffff::1", False),
    ("2001:db8::/32", "2001:db9::1", True),
    ("2001:db8::1", "2001:db8::/64", False),
    ("::/0", "2001:db8::1", False),
    ("::/0", "192.0.2.7", True),
    # leading zeros are decimal
    ("192.000.002.007", "192.0.2.7", False),
    ("192.0.2.7", "192.0.02.007", False),
    ("010.0.0.8", "8.0.0.8", True),
    ("10.0.0.15", "010.0.0.0015", False),
    ("10.0.0.0/08", "10.200.0.1", False),
    ("192.000.002.000/24", "192.0.2.7", False),
    ("10.01", "10.1.2.3", False),
    ("10.1.2.3", "010.01/16", False),
    # what is written around it
    ("192.0.2.7", "192.0.2.7 # the office", False),
    ("192.0.2.7", "  192.0.2.7", False),
    ("192.0.2.7", "192.0.2.7\t", False),
    ("192.0.2.7", "192.0.2.7\r", False),
    ("192.0.2.7", "198.51.100.1 # not 192.0.2.7", True),
    ("192.0.2.7", "198.51.100.1 192.0.2.7", False),
    # what is no address in the table
    ("192.0.2.7", "!192.0.2.7", True),
    ("192.0.2.0/24", "!192.0.2.7", True),
    ("192.0.2.7", "!192.0.2.0/24", True),
    ("192.0.2.7", "# 192.0.2.7", True),
    ("192.0.2.7", "#192.0.2.7", True),
    ("192.0.2.7", "mail.example.org", True),
    ("0.0.0.0/0", "self", True)])
def test_allowed(host, allow, entry, stays):
    for name in ("maillog", "authlog", "pf-table"):
        host.write(name, b"")
    host.write("allow", allow.encode() + b"\n")
    host.write("bruteforce", b"203.0.113.99\n" + entry.encode() + b"\n")
    for option in ("-c", "-t"):  # both modes
        code, out, err = host.run("-n", "-w", host.path("allow"), *(
            [option] if option == "-c" else ["-t", "bruteforce"]))
        assert (code, err) == (0, "")
        assert (entry.encode() in out.split(b"\n")) == stays
        assert (b"203.0.113.99" in out.split(b"\n")) == (allow not in ("0.0.0.0/0", "0/0"))


@pytest.mark.parametrize("mode", [[], ["-c"]])
@pytest.mark.parametrize("source, form", [
    ("bruteforce", b"%s\n"), ("pf-table", b"   %s\n"), ("maillog", MAIL), ("authlog", ATTACK)])
def test_allowed_whatever_its_source(host, mode, source, form):
    for name in ("maillog", "authlog", "pf-table", "bruteforce"):
        host.write(name, b"")
    host.write(source, form % b"192.0.2.7" + form % b"192.0.2.8")
    assert host.run("-n", *mode) == (0, b"192.0.2.7\n192.0.2.8\n", "")
    host.write("allow", b"192.0.2.7\n")
    assert host.run("-w", host.path("allow"), *mode) == (0, b"", "")
    assert host.read() == b"192.0.2.8\n"
    assert host.pf_calls()[-2:] == (replaced(host) if mode else RELOADED)


@pytest.mark.parametrize("source, form", [
    ("bruteforce", b"%s\n"), ("pf-table", b"   %s\n"), ("maillog", MAIL), ("authlog", ATTACK)])
def test_allowed_ipv6_whatever_its_source(host, source, form):
    for name in ("maillog", "authlog", "pf-table", "bruteforce"):
        host.write(name, b"")
    host.write(source, form % b"2001:db8::7" + form % b"2001:db8::8")
    host.write("allow", b"2001:DB8:0::7\n")
    assert host.run("-c", "--mask6", "128", "-w", host.path("allow")) == (0, b"", "")
    assert host.read() == b"2001:db8::8\n"


@pytest.mark.parametrize("text", [
    b"192.0.2.7", b"192.0.2.7\n", b"192.0.2.7\r\n", b"# mine\r\n\r\n192.0.2.7\r\n",
    b"\n\n  192.0.2.7  \n", b"\t192.0.2.7\t# the office\n", b"192.0.2.7#\n", b"#\n#x\n192.0.2.7",
    b"198.51.100.0/24\n192.0.2.7", b"192.0.2.0/24 # 198.51.100.0/33\n", b"# \xff\xc3\n192.0.2.7",
    b"192.0.2.7\n" * 1000])
def test_allow_file_forms(host, text):
    host.write("bruteforce", b"192.0.2.7\n")
    host.write("allow", text)
    assert host.run("-w", host.path("allow"))[0::2] == (0, "")
    assert b"192.0.2.7\n" not in host.read()


@pytest.mark.parametrize("text", [b"", b"\n", b"# nobody", b" \t\r\n\n#192.0.2.200\n"])
def test_allow_file_that_names_nobody(host, text):
    host.write("allow", text)
    assert host.run("-w", host.path("allow")) == (0, b"", "")
    assert host.read() == TABLE


@pytest.mark.parametrize("mode", [[], ["-c"], ["-n"]])
@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_allow_file_that_cannot_be_read(host, kind, mode):
    if kind == "directory":
        os.mkdir(host.path("allow"))
    assert host.run("-w", host.path("allow"), *mode) == (1, b"", "logcheck: %s: %s\n" % (
        host.path("allow"), "Is a directory" if kind == "directory" else
        "No such file or directory"))
    assert host.read() == b"192.0.2.200\n" and host.pf_calls() == []


@pytest.mark.parametrize("mode", [[], ["-c"], ["-n"]])
@pytest.mark.parametrize("bad, shown", [
    (b"192.0.2.256", "192.0.2.256"), (b"192.0.2.7.1", "192.0.2.7.1"), (b"192.0..7", "192.0..7"),
    (b"192.0.2.0/33", "192.0.2.0/33"), (b"192.0.2.7/", "192.0.2.7/"), (b"/24", "/24"),
    (b"192.0.2.", "192.0.2."), (b".7", ".7"),
    (b"192.0.2.7/24/8", "192.0.2.7/24/8"), (b"192.0.2.7-9", "192.0.2.7-9"),
    (b"!192.0.2.7", "!192.0.2.7"), (b"192.0.2.7 198.51.100.1", "192.0.2.7 198.51.100.1"),
    (b"192.0.2.7, ", "192.0.2.7,"), (b"2001:db8::g", "2001:db8::g"), (b"2001:db8", "2001:db8"),
    (b"2001:db8::/129", "2001:db8::/129"), (b"[2001:db8::1]", "[2001:db8::1]"),
    (b"mail.example.org", "mail.example.org"), (b"192.0.2.7\0", "192.0.2.7\\x00"),
    (b"\xef\xbb\xbf192.0.2.7", "\\xef\\xbb\\xbf192.0.2.7"), (b"\x1b[2J", "\\x1b[2J"),
    ("\u0661\u0669.0.2.7".encode(), "\\xd9\\xa1\\xd9\\xa9.0.2.7"), (b"a\rb", "a\\x0db")])
def test_allow_file_with_a_bad_line(host, bad, shown, mode):
    host.write("allow", b"192.0.2.1\r\n# 999\n" + bad + b" # x\n192.0.2.1\nalso bad\n")
    assert host.run("-w", host.path("allow"), *mode) == (
        1, b"", "logcheck: %s: line 3: neither address nor network: %s\n" % (
            host.path("allow"), shown))
    assert host.read() == b"192.0.2.200\n" and host.pf_calls() == []


# --mail

@pytest.fixture
def post(tmp_path):
    """A host with a sendmail, in April 2018 as test_cli's."""
    made = Host(tmp_path)
    os.mkdir(made.path("bin"))
    made.write("bin/sendmail", SENDMAIL.encode())
    os.chmod(made.path("bin/sendmail"), 0o755)
    made.environment["PATH"] = made.path("bin") + ":" + made.environment["PATH"]
    made.letters = lambda: Site.letters(made)
    return made


def parsed(letter):
    """A letter (bytes) as its headers (dict) and body (str)."""
    message = email.message_from_bytes(letter)
    assert not message.defects and not message.is_multipart()
    assert len(message.items()) == len(dict(message.items()))
    return dict(message.items()), message.get_payload()


@pytest.mark.parametrize("mode", [[], ["-c"]])
@pytest.mark.parametrize("address", ["postmaster", "root@example.org", "a+b.c=d@mx-1.example.org"])
def test_letter(post, mode, address):
    report = post.run("-v", "-n", *mode)[2]
    assert post.run("--mail", address, *mode) == (0, b"", "")
    (arguments, letter), = post.letters()
    assert arguments == ["-oi", address]
    headers, body = parsed(letter)
    assert sorted(headers) == ["Auto-Submitted", "Date", "From", "Subject", "To"]
    assert headers["From"] == "root" and headers["To"] == address
    assert headers["Subject"] == "logcheck on %s: 3 added to bruteforce" % os.uname().nodename
    assert headers["Auto-Submitted"] == "auto-generated"
    assert re.match(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\Z",
                    headers["Date"])
    sent = email.utils.parsedate_tz(headers["Date"])
    assert sent and abs(email.utils.mktime_tz(sent) - time.time()) < 100
    assert body == report.replace("dry run, nothing written", "pf has it")
    assert report.count("\n") > 8
    assert post.read() == TABLE


def test_letter_and_report(post):
    _, _, report = post.run("-v", "--mail", "root")
    (_, letter), = post.letters()
    assert parsed(letter)[1] == report


@pytest.mark.parametrize("zone, offset", [("UTC", "+0000"), ("HERE-5:30", "+0530"),
                                          ("THERE3", "-0300")])
def test_letter_is_dated_in_local_time(post, zone, offset):
    post.run("-c", "--days", "9", "--mail", "root", TZ=zone)
    assert parsed(post.letters()[0][1])[0]["Date"].endswith(offset)


def test_no_letter_when_nothing_was_added(post):
    assert post.run("-n", "--mail", "root")[0::2] == (0, "")
    assert post.letters() == []
    post.write("bruteforce", TABLE + b"999.1.1.1\n")
    post.write("allow", b"192.0.2.200\n")  # entries that go are none that come
    assert post.run("-w", post.path("allow"), "--mail", "root")[0] == 0
    assert post.letters() == []
    post.write("authlog", ATTACK % b"192.0.2.2")
    assert post.run("--mail", "root") == (0, b"", "")
    (_, letter), = post.letters()
    assert " 1 added " in parsed(letter)[0]["Subject"]
    assert post.run("--mail", "root") == (0, b"", "")
    assert len(post.letters()) == 1


def test_letter_about_pf_own_entries(post):
    post.write("maillog", b"")
    post.write("authlog", b"")
    assert post.run("--mail", "root") == (0, b"", "")
    (_, letter), = post.letters()
    assert re.search(r"(?m)^198\.51\.100\.1 +- +pf's own table$", parsed(letter)[1])


HOSTILE = {
    "control": bytes(range(10)) + bytes(range(11, 32)) + b"\x7f",
    "escape": b"\x1b]0;title\x07\x1b[2J\x1b[31m\x9b2J",
    "nul": b"\0" * 50,
    "carriage return": b"\r\n.\r\n".replace(b"\n", b""),
    "header": b"\rBcc: all@example.org\r\rSubject: you won\r",
    "mime": b"=?utf-8?q?you_won?= Content-Type: text/html <script>alert(1)</script>",
    "not ascii": "\u0160\u202e\u2028\U0001f600".encode() + b"\xff\xfe\xc0\xaf",
    "long": b"a" * 100000,
    "long and odd": b"\xff" * 100000,
    "escape at the cut": b"a" * 330 + b"\x1b" * 100,
}


@pytest.mark.parametrize("mode", [[], ["-c"]])
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_log_text_is_harmless_in_a_letter(post, kind, mode):
    text = HOSTILE[kind]
    head = STAMP + b" mail sshd[1]: "
    post.write("authlog", b"".join((
        head, b"Invalid user invalid ", text[:250], b" from 192.0.2.1 port 22\n",
        head, b"Unable to negotiate with 192.0.2.2 port 22: invalid ", text, b"\n",
        text, b"\n.\nFrom root\n")))
    assert post.run("-v", "--mail", "root", *mode)[0] == 0
    (_, letter), = post.letters()
    assert sorted(parsed(letter)[0]) == ["Auto-Submitted", "Date", "From", "Subject", "To"]
    assert re.search(rb"(?m)^192\.0\.2\.1 ", letter) and re.search(rb"(?m)^192\.0\.2\.2 ", letter)
    harmless(letter)


def harmless(letter):
    """No line of a letter (bytes) is more than text to any program on its way."""
    assert not re.search(rb"[^\n -~]", letter)
    assert letter.endswith(b"\n")
    for line in letter.split(b"\n"):
        assert len(line) <= 998
        assert not line.startswith((b".", b"From "))


@pytest.mark.parametrize("entry", [
    b".", b"..", b"..1.1", b".1" * 3000, b"From 192.0.2.7", b".example.org 192.0.2.7",
    b"192.0.2.7 " + b"x" * 3000, b"192.0.2.7 " + b"\x1b" * 3000], ids=repr_of_20)
def test_hostile_table_is_harmless_in_a_letter(post, entry):
    post.write("bruteforce", entry + b"\n")
    post.write("allow", b"192.0.2.7\n")
    assert post.run("-w", post.path("allow"), "--mail", "root")[0] == 0
    (_, letter), = post.letters()
    harmless(letter)
    assert b"\nleft out" in letter


@pytest.mark.parametrize("entry", [b"x" * 5000, b".", b".example.org", b"..1", b"From"],
                         ids=repr_of_20)
def test_hostile_pf_table_is_harmless_in_a_letter(post, entry):
    post.write("pf-table", b"   " + entry + b"\n")
    assert post.run("--mail", "root")[0] == 0
    (_, letter), = post.letters()
    harmless(letter)


@pytest.mark.parametrize("name", [".authlog", "From mx1", "a\nb", "a\x1b[2J", "\udcff", "x" * 200],
                         ids=repr_of_20)
def test_hostile_file_names_are_harmless_in_a_letter(post, monkeypatch, name):
    monkeypatch.chdir(str(post.folder))
    post.write(name, ATTACK % b"192.0.2.1")
    for option in ("-a", "-e"):
        assert post.run(option, name, "--mail", "root")[0] == 0
    assert len(post.letters()) == 2
    for _, letter in post.letters():
        harmless(letter)
        assert len(parsed(letter)[0]) == 5


@pytest.mark.parametrize("address", ["", " ", "a b", " a", "a ", "a\tb", "a\nb", "a\n", "\n",
                                     "a\nBcc: b", "a\r\nBcc: b", "-bi", "-", "--", "a\x01",
                                     "\u0161@example.org", "a,b", "|cat", "<a>"])
def test_wrong_address(post, address):
    code, out, err = post.run("--mail=" + address)
    assert (code, out) == (2, b"")
    assert err.startswith("logcheck: usage: ") and err.count("\n") == 1
    assert not re.search(r"[^\n -~]", err)
    assert post.letters() == [] and post.pf_calls() == [] and post.read() == b"192.0.2.200\n"


@pytest.mark.parametrize("words, said", [("queue file write error", None), (
    "\x1b[2J\x07" * 3, "\\x1b[2J\\x07" * 3)])
def test_sendmail_fails(post, words, said):
    code, out, err = post.run("--mail", "postmaster", SENDMAIL_FAIL=words)
    assert (code, out) == (1, b"")
    assert err == "logcheck: sendmail: -oi postmaster: sendmail: fatal: %s\n" % (said or words)
    assert post.read() == TABLE and post.pf_calls() == RELOADED


def test_sendmail_that_does_not_read_and_fails(post):
    post.write("bin/sendmail", b"#!/bin/sh\nexec 0<&-\nexit 3\n")
    post.write("authlog", (ATTACK % b"192.0.2.1" + b"".join(
        ATTACK % b"10.1.%d.%d" % (a, b) for a in range(30) for b in range(200))))
    code, out, err = post.run("--mail", "root")
    assert (code, out, err) == (1, b"", "logcheck: sendmail: -oi root: exit 3\n")
    assert len(post.read().splitlines()) == 6004 and post.pf_calls() == RELOADED


@pytest.mark.parametrize("on_path", [False, True])
@pytest.mark.parametrize("in_usr_sbin", [False, True])
def test_where_sendmail_is_found(post, on_path, in_usr_sbin):
    """On PATH, or else as /usr/sbin/sendmail, here moved so that the machine's stays unused."""
    os.mkdir(post.path("sbin"))
    text = read(tools.SCRIPT)
    assert text.count(b'"/usr/sbin/sendmail"') == 1
    post.write("logcheck.py", text.replace(b"/usr/sbin/sendmail",
                                           post.path("sbin/sendmail").encode()))
    if in_usr_sbin:
        shutil.copy(post.path("bin/sendmail"), post.path("sbin"))
    if not on_path:
        os.remove(post.path("bin/sendmail"))
    path = post.path("bin") + ":" + tools.STANDINS
    code, out, err = post.run("--mail", "root", script=post.path("logcheck.py"), PATH=path,
                              python=os.path.realpath(sys.executable))
    there = {place: len(glob.glob(post.path(place + "/letter.*"))) for place in ("bin", "sbin")}
    assert there == {"bin": int(on_path), "sbin": int(in_usr_sbin and not on_path)}
    if on_path or in_usr_sbin:
        assert (code, out, err) == (0, b"", "")
    else:
        assert (code, out, err) == (1, b"", "logcheck: sendmail: No such file or directory\n")
    assert post.read() == TABLE and post.pf_calls() == RELOADED


# -v

GOLDEN = """\
logcheck on HOST: 4 added, 0 expired, 0 let off, 5 in the table; pf has it
range: Apr  8 01:30:00 to Apr  9 01:30:00

log                                             lines   suspicious     in range
maillog                                             3            2            1
authlog                                             5            4            3

new                                 hits  why
192.0.2.1                              2  matches "root"
    Apr  8 12:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2
192.0.2.9                              1  matches "invalid"
    Apr  8 13:00:00 mail sshd[2]: Invalid user \\x1b[2Jinvalid\\x00 from 192.0.2.9 port 22
203.0.113.1                            1  matches "disconnect from unknown"
    Apr  8 12:00:00 mail postfix/smtpd[1]: disconnect from unknown[203.0.113.1] auth=0/1
198.51.100.1                           -  pf's own table

left out                          why
192.0.2.0/28                      allowed; it was in the table
192.0.2.2                         allowed
999.1.1.1                         pf could not load it; it was in the table

bruteforce: left out: 999.1.1.1, pf could not load it
"""
GOLDEN_CAREFUL = """\
logcheck on HOST: 8 added, 0 expired, 1 let off, 9 in the table; pf has it
range: 2018-04-07 23:30:00 to 2018-04-09 01:30:00

log                                             lines   suspicious     in range
maillog.0.gz                                        2            2            2
maillog                                             3            2            2
authlog.0                                           1            1            1
authlog                                             8            8            8

new                                 hits  why
192.0.2.1                              3  sshd: root failed
    Apr  8 02:00:00 mail sshd[1]: Failed password for root from 192.0.2.1 port 22 ssh2
203.0.113.1                            2  postfix: unknown client, no login, no delivery
    Apr  8 12:00:00 mail postfix/smtpd[1]: disconnect from unknown[203.0.113.1] auth=0/1
203.0.113.2                            2  postfix: unknown client, no login, no delivery
    Apr  8 02:00:00 mail postfix/smtpd[1]: disconnect from unknown[203.0.113.2] auth=0/1
203.0.113.7                            2  postfix: unknown client, no login, no delivery
    Apr  8 01:00:00 mail postfix/smtpd[1]: disconnect from unknown[203.0.113.7] auth=0/1
203.0.113.8                            2  postfix: unknown client, no login, no delivery
    Apr  8 01:00:00 mail postfix/smtpd[1]: disconnect from unknown[203.0.113.8] auth=0/1
192.0.2.3                              1  sshd: root failed
    Apr  8 01:00:00 mail sshd[1]: Failed password for root from 192.0.2.3 port 22 ssh2
192.0.2.9                              1  sshd: unknown user
    Apr  8 13:00:00 mail sshd[2]: Invalid user \\x1b[2Jinvalid\\x00 from 192.0.2.9 port 22
198.51.100.1                           -  pf's own table

let off                         failures  logins  deliveries
192.0.2.11                             1       1           0

near misses                     failures
192.0.2.2                              1
192.0.2.12                             1

left out                          why
192.0.2.0/28                      allowed; it was in the table
192.0.2.2                         allowed
999.1.1.1                         pf could not load it; it was in the table

bruteforce: left out: 999.1.1.1, pf could not load it
"""


@pytest.fixture
def small(host, monkeypatch):
    """A small night, its files named without a folder."""
    monkeypatch.chdir(str(host.folder))
    other, early = b"Apr  8 12:00:00 mail cron[1]: nothing\n", b"Apr  8 02:00:00"
    old = b"Apr  8 01:00:00"
    host.write("maillog", (MAIL % b"203.0.113.7").replace(STAMP, old) + MAIL % b"203.0.113.1"
               + other)
    host.write("authlog", (ATTACK % b"192.0.2.3").replace(STAMP, old) + (ATTACK % b"192.0.2.1") * 2
               + ATTACK.replace(b"root", b"bob") % b"192.0.2.2"
               + b"Apr  8 13:00:00 mail sshd[2]: Invalid user \x1b[2Jinvalid\0 from 192.0.2.9 port "
               b"22\n")
    with gzip.open("maillog.0.gz", "wb") as file:
        file.write((MAIL % b"203.0.113.8").replace(STAMP, old)
                   + (MAIL % b"203.0.113.2").replace(STAMP, early))
    host.write("authlog.0", (ATTACK % b"192.0.2.1").replace(STAMP, early))
    host.write("bruteforce", b"192.0.2.0/28\n\n192.0.2.200\n999.1.1.1\n")
    host.write("pf-table", b"   198.51.100.1\n   192.0.2.2\n")
    host.write("allow", b"192.0.2.2\n")

    def run(*options, **environment):
        done = subprocess.run(
            [sys.executable, tools.SCRIPT, "--now", NOW, "-m", "maillog", "-a", "authlog", "-e",
             "bruteforce", "-w", "allow"] + list(options), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(host.environment,
                                                                     **environment))
        assert done.returncode == 0 and (b"" == done.stdout or "n" in options[0])
        return done.stderr.decode("ascii").replace("logcheck on %s:" % os.uname().nodename,
                                                   "logcheck on HOST:")
    host.small = run
    return host


SAID = "logcheck: bruteforce: left out: 999.1.1.1, pf could not load it\n"


def test_report_in_full(small):
    assert small.small("-v") == SAID + GOLDEN
    assert small.read() == b"192.0.2.1\n192.0.2.9\n192.0.2.200\n198.51.100.1\n203.0.113.1\n"


def test_report_in_full_in_careful_mode(small):
    """Who logged in as often as he failed is let off; who failed less often than -k is near."""
    lines = (b"Failed password for root from 192.0.2.11 port 22 ssh2",
             b"Accepted password for root from 192.0.2.11 port 22 ssh2",
             b"Failed password for bob from 192.0.2.12 port 22 ssh2")
    small.write("authlog", small.read("authlog") + b"".join(
        STAMP + b" mail sshd[3]: " + line + b"\n" for line in lines))
    assert small.small("-cv") == SAID + GOLDEN_CAREFUL


def test_report_when_nothing_is_new(small):
    small.write("bruteforce", TABLE)
    for name in ("pf-table", "allow", "authlog"):
        small.write(name, b"")
    assert small.small("-v") == (
        GOLDEN.split("authlog")[0].replace("4 added", "0 added").replace("5 in the", "4 in the")
        + "authlog                                             0            0            0\n")


def test_report_of_what_expires(small):
    small.write("bruteforce", b"192.0.2.77 # 2018-03-01 sshd: x\n1.2.3.4\n")
    report = small.small("-v", "--expire", "30")
    assert report.startswith("logcheck on HOST: 4 added, 1 expired, 0 let off, 5 in the table; pf")
    assert "\n192.0.2.77 # 2018-03-01 sshd: x   expired\n" in report


@pytest.mark.parametrize("mode, deed", [("-v", "load"), ("-cv", "replace")])
def test_report_is_true_when_pf_refuses(host, mode, deed):
    code, _, err = host.run(mode, PF_FAIL=deed)
    first = err.splitlines()[1]
    assert code == 1 and "pf did NOT take it: " in first and "pf rules not loaded" in first
    assert (": 3 added" in first) == (deed == "load")
    assert host.read() == (TABLE if deed == "load" else b"192.0.2.200\n")


def test_report_names_50_entries(host):
    host.write("authlog", b"".join(ATTACK % b"192.0.2.%d" % n for n in range(60)) + ATTACK
               % b"192.0.2.59")
    rows = host.run("-v")[2].splitlines()
    named = [row.split()[0] for row in rows if re.match(r"[0-9.]+ +[0-9-]+  ", row)]
    assert len(named) == 50 and named[0] == "192.0.2.59" and "and 12 more" in rows


@pytest.mark.parametrize("mode", ["-vn", "-cvn"])
def test_report_is_the_same_twice(small, mode):
    small.write("authlog", b"".join(ATTACK % b"192.0.%d.%d" % (n % 3, n % 251)
                                    for n in range(2000, 0, -7)))
    small.write("bruteforce", b"".join(b"%d.1.1.1\n" % n for n in range(250, 400)))
    reports = {small.small(mode, PYTHONHASHSEED=seed) for seed in ("0", "1", "2", "3", "random")}
    assert len(reports) == 1 and reports.pop().count("could not load it") == 144 + 20 * 2


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_report_shows_no_raw_byte_of_a_log(small, mode):
    odd = bytes(range(10)) + bytes(range(11, 32)) + bytes(range(127, 256))
    small.write("authlog", b"".join(
        STAMP + b" mail sshd[1]: Invalid user invalid " + odd[n:n + 60] + b" from 192.0.2.%d port "
        b"22\n" % (n + 10) for n in range(0, len(odd), 60)))
    report = small.small(mode)
    assert report.count("    Apr  8 12:00:00 mail sshd[1]: Invalid user") == 3
    assert not re.search(r"[^\n -~]", report)


def test_report_fits_a_terminal_where_the_data_allow(small):
    for report in (GOLDEN, GOLDEN_CAREFUL):
        assert [line for line in report.splitlines() if len(line) > 90 and line[:4] != "    "] == []
    small.write("pf-table", b"   2001:db8:1111:2222:3333:4444:5555:6666/128\n   192.0.2.77\n")
    rows = re.findall(r"(?m)^.*(?:-  pf's own table|  hits  why)$", small.small("-v"))
    assert len(rows) >= 3 and max(map(len, rows)) < 80


# A terminal

def on_terminal(host, *options, piped=None):
    """Run logcheck.py with stderr on a terminal, and piped (bytes) or nothing on stdin. Returns
    its exit code and all that the terminal got (bytes).
    """
    controller, terminal = pty.openpty()
    command = [sys.executable, tools.SCRIPT, "--now", NOW, "-e", host.path("bruteforce")]
    child = subprocess.Popen(command + list(options), env=host.environment, stderr=terminal,
                             stdin=subprocess.DEVNULL if piped is None else subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
    os.close(terminal)
    if piped is not None:
        child.stdin.write(piped)
        child.stdin.close()
    seen = []
    while True:
        try:
            data = os.read(controller, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            data = b""
        if not data:
            break
        seen.append(data)
    os.close(controller)
    return child.wait(), b"".join(seen)


def screen(seen):
    """What stays on a terminal (str) that got so many bytes: it knows \\r, \\n and erase line."""
    lines, column = [""], 0
    for part in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+", seen.decode()):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif part != "\r":
            lines[-1] = lines[-1][:column] + part + lines[-1][column + len(part):]
        column = 0 if part in "\r\n" else column + (0 if part[0] == "\x1b" else len(part))
    return "\n".join(lines)


MEGABYTES = 200


@pytest.fixture(scope="module")
def big_log(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("big") / "authlog")
    block = (b"Mar  1 00:00:00 mail cron[1]: " + b"x" * 225 + b"\n") * 4096
    with open(path, "wb") as file:
        for _ in range(MEGABYTES):
            file.write(block)
        file.write(ATTACK % b"192.0.2.1")
    yield path
    os.remove(path)


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_progress_on_a_terminal(host, big_log, mode):
    code, seen = on_terminal(host, mode, "-m", "/dev/null", "-a", big_log)
    assert code == 0
    shown = re.findall(rb"\r\x1b\[K%s: (\d+) of 200 MB" % big_log.encode(), seen)
    steps = [int(step) for step in shown]
    assert len(steps) > 10 and steps == sorted(steps) and steps[0] <= 4
    assert max(b - a for a, b in zip(steps, steps[1:])) <= 20
    last = screen(seen)
    assert last.startswith("logcheck on ") and " of 200 MB" not in last
    assert host.read() == b"192.0.2.1\n192.0.2.200\n198.51.100.1\n"


def test_progress_of_a_packed_log(host):
    text = os.urandom(12 << 20)
    with gzip.open(host.path("authlog.gz"), "wb", 1) as file:
        file.write(ATTACK % b"192.0.2.1" + text)
    code, seen = on_terminal(host, "-v", "-m", "/dev/null", "-a", host.path("authlog.gz"))
    assert code == 0 and b" of 12 MB" in seen
    assert screen(seen).startswith("logcheck on ") and b"192.0.2.1\n" in host.read()


@pytest.mark.parametrize("options", [[], ["--mail", "root"], ["-c"]])
def test_no_progress_unasked(post, options):
    code, seen = on_terminal(post, "-m", post.path("maillog"), "-a", post.path("authlog"), *options)
    assert (code, seen) == (0, b"")


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_no_progress_in_a_mail(host, big_log, mode):
    code, _, err = host.run(mode, "-a", big_log)
    assert code == 0 and " MB" not in err and "\r" not in err and "\x1b" not in err


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_terminal_and_a_pipe_to_read_from(host, mode):
    code, seen = on_terminal(host, mode, "-m", "/dev/null", "-a", "-", piped=ATTACK % b"192.0.2.1")
    assert code == 0 and screen(seen).startswith("logcheck on ")
    assert b"192.0.2.1\n" in host.read()


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_progress_is_cleared_before_an_error(host, mode):
    with gzip.open(host.path("authlog.gz"), "wb") as file:
        file.write(os.urandom(100000))
    host.write("authlog.gz", host.read("authlog.gz")[:50000])
    code, seen = on_terminal(host, mode, "-m", "/dev/null", "-a", host.path("authlog.gz"))
    assert code == 1
    assert screen(seen).startswith("logcheck: %s: " % host.path("authlog.gz"))


def test_interrupted_on_a_terminal(host, big_log):
    """Whoever sees it take too long may press ^C: nothing is written, no traceback."""
    controller, terminal = pty.openpty()
    child = subprocess.Popen([sys.executable, tools.SCRIPT, "--now", NOW, "-v", "-e",
                              host.path("bruteforce"), "-m", big_log, "-a", big_log],
                             env=host.environment, stderr=terminal)
    os.close(terminal)
    seen = os.read(controller, 65536)
    child.send_signal(signal.SIGINT)
    code = child.wait()
    try:
        seen += os.read(controller, 65536)
    except OSError:
        pass
    os.close(controller)
    assert code in (-signal.SIGINT, 128 + signal.SIGINT) and b"Traceback" not in seen
    assert host.read() == b"192.0.2.200\n"


# Help, version, licence

OPTIONS = """-m --maillog -a --authlog -e --etcfile -f --pf-conf -t --table -n --dry-run
    -v --verbose -c --careful -d --days -k --count -w --allow -x --expire --forgive --mask6 --mail
    --no-pf --now --version -h --help""".split()


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(host, option):
    code, out, err = host.run(option)
    text = out.decode("ascii")
    usage, rest = text.split("\noptions:\n")
    assert (code, err) == (0, "") and text.startswith("usage: logcheck.py ")
    assert text.count("\n") <= 50 and max(map(len, text.split("\n"))) < 80
    for word in OPTIONS:
        assert re.search(r"(?m)^  (?:-\w(?: [A-Z]+)?, )?%s(?:,| |$)" % word, rest), word
    for default in ("/etc/bruteforce", "/var/log/maillog", "/var/log/authlog", "/etc/pf.conf"):
        assert default in text
    assert host.read() == b"192.0.2.200\n" and host.pf_calls() == []


def test_version(host):
    assert re.match(rb"logcheck\.py \d+(\.\d+)*\n\Z", host.run("--version")[1])


LICENCE = """Permission to use, copy, modify, and distribute this software for any purpose with or
without fee is hereby granted, provided that the above copyright notice and this permission notice
appear in all copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT
SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY
DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE."""


def test_licence_travels_with_the_file():
    top = read(tools.SCRIPT).decode().split("import ")[0]
    assert " ".join(LICENCE.split()) in " ".join(top.split())
    assert re.search(r"(?m)^Copyright \(c\) \d{4} the logcheck\.py authors$", top)
    assert top.count("\n") < 40
