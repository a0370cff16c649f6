"""README followed: every command in it, the demo, make install, and life on a host.

A new command in README is a row in readme.txt, or is fetched from README by commands() and run by a
test here; a line that only pf or cron can read belongs in EXCERPTS.
"""
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

from host import (ATTACK, HERE, MAIL, NIGHT, NOW, REFERENCE, SCRIPT, SHOWN, STAMP, STANDINS,
                  TABLE, TOP, Host, contents, logcheck, parts, pythons)
from test_transcripts import like, steps

MAKES = [name for name in ("make", "bmake") if shutil.which(name)]
SHELLS = [name for name in ("sh", "dash", "ksh", "mksh", "bash") if shutil.which(name)]
README = pathlib.Path(TOP, "README").read_text(encoding="ascii")
# the files shown in LINUX
LOADER, SERVICE, TIMER = FILES = [re.search(
    r"(?m)(?<=\n)    %s.*\n(    .*\n)*" % re.escape(start), README).group()
    for start in ("PATH=", "[Service]", "[Timer]")]
# its indented commands, without what stands behind three blanks
EXAMPLES = {re.split(" {3,}", row.strip())[0]
            for row in re.sub("(?s)SYNOPSIS.*?(?=    make demo)|" + "|".join(map(
                re.escape, FILES)), "", README).splitlines()
            if re.match(" {4,12}[^ ]", row) and not row.startswith("      --")}
EXCERPTS = {line for line in EXAMPLES if re.match(
    r"block in |set limit |table .*mx1|\*/10 |logcheck(\.py: added| on) ", line)}
COMMANDS = set()


def commands(*patterns):
    """README's commands (list of str), the one that each pattern is found in, for a test to run."""
    found = []
    for pattern in patterns:
        line, = (line for line in EXAMPLES - EXCERPTS if re.search(pattern, line))
        found.append(line)
    COMMANDS.update(found)
    return found


DEMO, TEST, INSTALL = [line.split()[1] for line in commands("make demo", "make test", "make inst")]
# what comes of most of them is in readme.txt
PLAYED = list(parts("readme.txt"))
COMMANDS.update(EXAMPLES.intersection(
    re.sub(r"^(\$|etc/[\w.]+\|) ", "", row) for _, rows in PLAYED for row in rows))
DEFAULT, NIGHTLY = commands("^/root/logcheck.py$", "-cv .* 90$")
BOOT, CRON, JOURNAL, UNBLOCK = commands("^@reboot", "^30 1 ", "^journalctl", "--no-pf --forgive")
KEY, = commands("^restrict,command=")


def call(words, cwd=TOP, env=None):
    """Run a command without a terminal. Returns (exit code, out, err), the latter as str."""
    done = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def files(folder):
    """The files below a folder (Path): {path below it (str): (mode, text (bytes))}."""
    return {str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
            for path in folder.rglob("*") if path.is_file()}


# README itself

def test_every_command_in_the_readme_is_run():
    assert EXAMPLES == COMMANDS | EXCERPTS


def test_every_make_target_in_the_readme_and_in_its_help():
    makefile = pathlib.Path(TOP, "Makefile").read_text()
    targets = set(re.search(r"(?m)^\.PHONY: (.*)$", makefile).group(1).split())
    assert targets == set(re.findall(r"(?m)^([a-z0-9]+):", makefile))
    assert set(re.findall(r"\bmake ([a-z0-9]+)\b", README)) - {"an", "the", "old"} <= targets
    code, out, err = call([MAKES[-1], "help"])
    assert (code, err) == (0, "")
    assert set(re.findall(r"(?m)^make (\w+)", out)) == targets - {"help"}


def test_readme_names_the_options_that_help_names():
    def options(text):
        return sorted(re.findall(r"(?m)^ +(?:(-\w)(?: [A-Z]+)?, |)(--[\w-]+(?: [A-Z]+)?)", text))
    said = options(README.split("\nOPTIONS\n")[1].split("\nCAREFUL MODE\n")[0].replace(
        "--version, -h, --help", "--version\n  -h, --help"))
    assert said == options(call([sys.executable, SCRIPT, "-h"])[1].split("options")[1])
    assert len(said) == 21


def test_readme_fits_a_terminal():
    assert [row for row in README.splitlines() if len(row) > 80 and row[:4] != "    "] == []
    assert README.count("\n") <= 300


@pytest.mark.parametrize("program", MAKES)
def test_demo(tmp_path, program):
    code, out, err = call([program, DEMO, "PYTHON=" + sys.executable],
                          env=dict(os.environ, TMPDIR=str(tmp_path)))
    assert (code, err, files(tmp_path)) == (0, "", {})
    assert "\n    let off" in out and "\n< 198.51.100.85 " in out and " > 203.0.113.63" in out
    assert max(map(len, out.splitlines())) <= 100 and "\t" not in out


def test_test(tmp_path):
    (tmp_path / "tests").mkdir()
    for name in ("Makefile", "tests/pytest.sh"):
        shutil.copy(os.path.join(TOP, name), str(tmp_path / name))
    (tmp_path / "tests/test_one.py").write_text("def test_good(): pass\n"
                                                "def test_bad(): assert False\n")
    code, out, _ = call([MAKES[-1], TEST, "PYTHON=" + sys.executable], str(tmp_path))
    assert code != 0 and "1 failed, 1 passed" in out


# A host

class Site(Host):
    """A host with /root, /etc and /var/log moved below a folder, in the present, where an admin
    has edited the constants at the top of /root/logcheck.py accordingly.
    """

    PLACES = {"ETCFILE": "etc/bruteforce", "MAILLOG": "var/log/maillog",
              "AUTHLOG": "var/log/authlog", "PF_CONF": "etc/pf.conf"}

    def __init__(self, folder):
        # somewhere it is afternoon, but not a month's first day, after which the default mode is
        # blind for a night, as the shell is
        clocks = [(east, time.gmtime(time.time() + east * 3600)) for east in range(-24, 25)]
        self.east = next(east for east, at in clocks if 12 <= at.tm_hour <= 22 and at.tm_mday > 1)
        Host.__init__(self, folder, now=int(time.time()), tz="HERE%+d" % -self.east,
                      pf_table=NIGHT["pf_table"])
        for name in ("root", "etc", "var/log/mx1", "var/log/mx2", "bin"):
            os.makedirs(self.path(name))
        for place in self.PLACES.values():
            self.log(place, NIGHT.get(os.path.basename(place), b""))
        self.write("etc/bruteforce.allow", b"")
        self.write("bin/ssh", b"#!/bin/sh\n%s\n" % self.moved(KEY.split('"')[1]).encode(), 0o755)
        os.symlink(os.path.realpath(sys.executable), self.path("bin/python3"))
        self.env["PATH"] = ":".join((self.path("bin"), STANDINS, os.environ["PATH"]))
        self.write("root/logcheck.sh", self.moved(contents(REFERENCE).decode()).encode(), 0o755)
        shutil.copy(SCRIPT, self.path("root"))
        self.edit()

    def clock(self, form, hours=0):
        """The moment so many hours ago there (str)."""
        return time.strftime(form, time.gmtime(self.now + (self.east - hours) * 3600))

    def log(self, name, text, hours=1):
        """Write a log whose lines (bytes) are so many hours old."""
        with (gzip.open if name.endswith(".gz") else open)(self.path(name), "wb") as file:
            file.write(text.replace(STAMP, self.clock("%b %e %H:%M:%S", hours).encode()))
        os.utime(self.path(name), (self.now - hours * 3600,) * 2)

    def edit(self):
        """Edit the constants at the top of /root/logcheck.py."""
        text = self.read("root/logcheck.py").decode()
        for name, place in self.PLACES.items():
            text = re.sub('(?m)^%s = "[^"]*"' % name, '%s = "%s"' % (name, self.path(place)), text)
        assert text.count(self.folder) == 4
        self.write("root/logcheck.py", text.encode())

    def moved(self, line):
        """A line of README with its paths moved below the folder."""
        return re.sub(r"(?<![\w.])/(root|etc|var/log)(?=/| &&)", self.path(r"\1"), line)

    def shell(self, line):
        """Run a line of README. Returns (exit code, out, err)."""
        return call(["sh", "-c", self.moved(line)], self.folder, self.environment())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.mark.parametrize("rows", [pytest.param(rows, id=name) for name, rows in PLAYED])
def test_readme(site, rows):
    site.keep_tables([b"198.51.100.1"])
    for written, line, _, *due in steps(rows):
        for name, text in written.items():
            name, _, hours = name.partition("@")
            if name.startswith("var/log/"):
                site.log(name, text, int(hours or 1))
            else:
                site.write(name, site.moved(text.decode()).encode())
        code, *said = site.shell(line)
        assert [code, *[like(expected, text.replace(site.folder, "").replace(
            site.clock("%Y-%m-%d"), "DAY")) for expected, text in zip(due[1:], said)]] == due, line


def test_every_ten_minutes(tmp_path):
    """Who is banned at night is banned by runs every ten minutes, which say nothing; besides,
    these ban whoever was judged before his login.
    """
    start = NOW - 6 * 3600

    def line(minute, peer, text):
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(start + 60 * minute)).encode()
        return b"%s mail sshd[1]: %s from 203.0.113.%d port 22\n" % (stamp, text, peer)

    texts = b"Failed password for root", b"Invalid user x", b"Failed password for alice"
    log = b"".join([line(10 * peer, peer, texts[peer % 3]) for peer in range(1, 36)] + [
        line(120, 200, b"Invalid user bbo"), line(125, 200, b"Accepted password for bob")])
    options, tables = ("-c", "--no-pf", "--expire", "90"), []
    for runs in (), range(start, NOW, 600):
        host = Host(tmp_path, authlog=log)

        def earlier():
            for host.now in runs:
                assert logcheck.main(host.arguments(*options)) == 0
        assert host.run(*options, prepare=earlier) == (0, b"", "")
        tables.append({line.split(b" ")[0] for line in host.read().splitlines()})
    assert len(tables[0]) == 23 and tables[1] == tables[0] | {b"203.0.113.200"}


# Other homes

NO_NFT = os.getuid() or not all(map(shutil.which, ("nft", "ip", "unshare", "nsenter", "busybox"))
                                ) or call(["unshare", "-n", "nft", "list", "tables"])[0]


@pytest.mark.skipif(bool(NO_NFT), reason="needs root, ip, unshare, and nft in a network namespace")
def test_nftables(site):
    """From an empty ruleset to blocked packets and back, with cron's environment, while a peer in
    another network namespace knocks from all its addresses.
    """
    site.write("etc/bruteforce", b"# mine\n192.0.2.7\t# tab\n192.0.2.99 # us\n198.51.100.0/24\n"
               b"198.51.100.9\n!198.51.100.10\n2001:DB8::1 2001:db8::3 # two\n!2001:db8:1::9\n"
               b"2001:db8:1::/64 # 2026-11-24 sshd: root failed\nmail.example.org\n010.0.0.1/32\n")
    site.write("root/bruteforce.sh", site.moved(LOADER).encode())
    site.log("var/log/mail.log", MAIL % b"203.0.113.9")
    site.log("var/log/auth.log", ATTACK % b"2001:db8:2::5")
    site.write("bin/journalctl", b"#!/bin/sh\n[ \"$*\" = '-o short-iso --since -26h' ] && "
               b"echo '%s mail sshd[1]: Invalid user x from 203.0.113.7 port 1'"
               % site.clock("%Y-%m-%dT%H:%M:%S", 2).encode(), 0o755)
    lines = {name: site.moved(re.sub("^@reboot |^30 1 [* ]+", "", line)) for name, line in (
        ("BOOT", BOOT), ("CRON", CRON.replace("-cv", "-c")), ("JOURNAL", JOURNAL),
        ("UNBLOCK", UNBLOCK), ("UNBLOCK6", UNBLOCK.replace("192.0.2.7", "2001:db8:1::7")))}
    mine = ["192.0.2.7", "198.51.100.77", "2001:db8::1", "2001:db8::3", "2001:db8:1::5"]
    found, journals = ["203.0.113.9", "2001:db8:2::7"], ["203.0.113.7"]
    peer = mine + found + journals + ["192.0.2.8", "198.51.100.10", "2001:db8:1::9"]
    code, out, err = call(
        ["unshare", "-n", "sh", os.path.join(HERE, "nftables.sh"), *peer], cwd=site.folder,
        env=dict(os.environ, **lines, BIN=site.path("bin"), TZ=site.tz,
                 TABLE=site.path("etc/bruteforce")))
    assert code == 0 and set(err.splitlines()) == {
        "not loaded: mail.example.org", "not loaded: 010.0.0.1/32",
        "sed: can't read %s: No such file or directory" % site.path("etc/bruteforce")}
    parts = [part.split() for part in out.split("--\n")]
    all_three = mine + found + journals
    assert [[address for address in peer if address not in part] for part in parts[:-1]] == [
        [], mine, mine + found, all_three,
        [address for address in all_three if address not in ("192.0.2.7", "2001:db8:1::5")]]
    assert [set(part) - set(peer) for part in parts] == [
        set(), set(), {"3"}, {"failed"}, set(), set()]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_units(site):
    for name, text in (("service", SERVICE), ("timer", TIMER)):
        site.write("bruteforce." + name, site.moved(text).encode())
    run = re.search("ExecStart=(.*)", SERVICE).group(1)
    assert CRON == "30 1 * * * %s; %s" % (run, UNBLOCK.split("; ")[1])
    assert re.findall("ExecStopPost=/bin/(.*)|Pre=/bin/(.*)", SERVICE) == [
        ("", BOOT[8:]), (BOOT[8:], "")]
    assert call(["systemd-analyze", "verify", site.path("bruteforce.service"),
                 site.path("bruteforce.timer")]) == (0, "", "")


# make install

@pytest.mark.parametrize("version, program, more, where, system", [
    (version, MAKES[0], [], "root/logcheck.py", "OpenBSD") for version in pythons()] + [
    ("", program, more, where, system) for program in MAKES for more, where, system in (
        ([], "root/logcheck.py", "Linux"),
        (["PREFIX=/usr/sbin"], "usr/sbin/logcheck.py", "FreeBSD"),
        (["TARGET=/opt/logcheck"], "opt/logcheck", "Linux"))])
def test_install(tmp_path, version, program, more, where, system):
    """For each Python, and over another file; it names the Python behind a shim like pyenv's. What
    it recommends is what README has for the system.
    """
    real = pythons().get(version, sys.executable)
    Host(tmp_path).write("shim", b'#!/bin/sh\nexec "%s" "$@"\n' % os.fsencode(real), 0o755)
    Host(tmp_path).write("uname", b"#!/bin/sh\necho %s\n" % system.encode(), 0o755)
    more = more + ["DESTDIR=%s/stage" % tmp_path,
                   "PYTHON=" + (real if version else "%s/shim" % tmp_path)]
    path = tmp_path / "stage" / where
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another")
    with path.open("rb") as running:  # a run that has it open is not disturbed
        code, out, err = call(["sh", "-c", 'umask 077; exec "$@"', "", program, INSTALL] + more,
                              env=dict(os.environ, PATH="%s:%s" % (tmp_path, os.environ["PATH"])))
        assert running.read() == b"another"
    assert code == 0 and re.sub("warning: .*\n", "", err) == ""
    assert ("/etc/daily.local" in out) == (system != "Linux")
    assert re.findall("(?m)^    (.*)$", out) == [
        line.replace(DEFAULT, "/" + where)
        for line in ((BOOT, CRON) if system == "Linux" else (NIGHTLY, DEFAULT))]
    (name, (mode, text)), = files(tmp_path / "stage").items()
    assert (name, mode) == (where, 0o100755)
    first, rest = text.split(b"\n", 1)
    assert pathlib.Path(SCRIPT).read_bytes().split(b"\n", 1)[1] == rest
    assert first.decode() == "#!%s -IS" % real and "Python: %s\n" % real in out
    assert call([str(path), "--version"], env={"PATH": "/nowhere"})[0] == 0
    for _ in range(2):
        assert call([program, "uninstall"] + more)[0] == 0 and files(tmp_path / "stage") == {}


def test_which_python_install_takes(tmp_path):
    """The first of the stable names that is a Python of 3.6 or later, unless PYTHON= names one;
    if that is not there, all stays as it was. One in a home folder is warned of.
    """
    names = [str(tmp_path / name) for name in ("missing", "old", "stable", "second")]
    Host(tmp_path).write("old", b"#!/bin/sh\n", 0o755)
    for name in names[2:]:
        os.symlink(os.path.realpath(sys.executable), name)
    at_home = os.path.realpath(sys.executable).startswith(("/root/", "/home/"))
    for program, more, chosen in ((MAKES[0], [], names[2]), (MAKES[-1], [], names[2]),
                                  (MAKES[-1], ["PYTHON=" + names[3]], names[3])):
        code, out, err = call([program, INSTALL, "DESTDIR=%s" % tmp_path,
                               "SYSTEM=" + " ".join(names)] + more)
        assert code == 0 and "Python: %s\n" % chosen in out and ("home folder" in err) == at_home
        assert (tmp_path / "root/logcheck.py").read_text().startswith("#!%s -IS\n" % chosen)
    before = files(tmp_path / "root")
    code, out, err = call([MAKES[0], INSTALL, "DESTDIR=%s" % tmp_path, "PYTHON=/no/python"])
    assert code != 0 and "/no/python" in err and "Installed" not in out
    assert files(tmp_path / "root") == before


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("by_hand", [False, True])
def test_in_daily_local(site, by_hand, shell):
    """As /etc/daily sources it when cron has called; once installed, Python need not be on PATH."""
    if not by_hand:
        assert call([MAKES[0], INSTALL, "DESTDIR=" + site.folder,
                     "PYTHON=" + sys.executable])[0] == 0
        site.edit()
    path = site.path("bin:") * by_hand + "/bin:/usr/bin:/sbin:/usr/sbin:/usr/local/bin:" + STANDINS
    for line, report in ((DEFAULT, ""), (NIGHTLY, "logcheck on ")):
        site.write("etc/daily.local", (site.moved(line) + "\necho end\n").encode())
        code, out, err = call([shutil.which(shell), "-c", "PATH=%s; umask 022; . %s" % (
            path, site.path("etc/daily.local"))], cwd="/",
            env=site.environment(PATH="/bin:/sbin:/usr/bin:/usr/sbin", HOME="/var/log"))
        assert (code, out) == (0, "end\n")  # and what follows in daily.local is run
        assert err.startswith(report) if report else err == ""
        assert "\r" not in err and "\x1b" not in err
        assert re.sub(b" # .*", b"", site.read("etc/bruteforce")) == TABLE
    assert site.pf_calls() == [
        SHOWN, "-f " + site.path("etc/pf.conf"),
        SHOWN, "-t bruteforce -T replace -f %s.logcheck" % site.path("etc/bruteforce"), "-sr"]
