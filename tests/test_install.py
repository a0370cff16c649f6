"""README followed: every command in it, the demo, make install, and life on a host.

A new command in README is fetched from it by commands() and run by a test here; a line that only pf
or cron can read belongs in EXCERPTS.
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

from host import (ATTACK, HERE, LOADED, MAIL, NIGHT, NOW, REFERENCE, SCRIPT, SHOWN, STAMP, STANDINS,
                  TABLE, TOP, Host, logcheck, pythons)

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
    r"block in |set limit |table .*mx1|/root/logcheck\.sh|\*/10 |logcheck(\.py: added| on) ", line)}
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
PF_TABLE, DEFAULT = commands("^table <bruteforce>", "^/root/logcheck.py$")
STEPS = commands("192.0.2.0/24", "touch /etc/bruteforce$", "pfctl -f", "-T show$", "-cnv -w",
                 "-cv .* 90$")
BEFORE = commands("^cp .*before$", "awk")
STEP_1, STEP_2, STEP_3, BACK = commands("-n --no-pf", "-cnv --no-pf", "--days 7", "dated &&")
LINES = commands("^192.0.2.7 #", "^192.0.2.9$", "^198.51.100.0/24$", "^192.0.2.8 #")
WHY, ASK, ALLOW, FORGIVE = commands("^grep -wF", "--why", "192.0.2.7 >> /etc/bruteforce.allow",
                                    "^/root/logcheck.py --forgive")
OF_OLD, FORGIVE_THEM = commands("^grep ' #", "xargs")
OTHER_NAMES = commands("-c -a", "-m .*mx1", "-c --no-pf -m /var")
BOOT, CRON, JOURNAL, UNBLOCK = commands("^@reboot", "^30 1 ", "^journalctl", "--no-pf --forgive")
MX1, SEND, KEY = commands("touch .*mx1$", "ssh -T", "^restrict,command=")


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
              "AUTHLOG": "var/log/authlog"}

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
            self.log(place, NIGHT[os.path.basename(place)])
        self.write("etc/bruteforce.allow", b"")
        os.symlink(os.path.realpath(sys.executable), self.path("bin/python3"))
        self.env["PATH"] = ":".join((self.path("bin"), STANDINS, os.environ["PATH"]))
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
        assert text.count(self.folder) == 3
        self.write("root/logcheck.py", text.encode())

    def moved(self, line):
        """A line of README with its paths moved below the folder."""
        return re.sub(r"(?<![\w.])/(root|etc|var/log)(?=/| &&)", self.path(r"\1"), line)

    def shell(self, line):
        """Run a line of README. Returns (exit code, out, err)."""
        return call(["sh", "-c", self.moved(line)], env=self.environment())

    def silent(self, *lines):
        for line in lines:
            assert self.shell(line) == (0, "", "")

    def table(self):
        return self.read("etc/bruteforce").decode()

    def addresses(self):
        """The table's entries without their comments."""
        return [line.split(" #")[0] for line in self.table().splitlines()]

    def replaced(self):
        """pf's calls in careful mode."""
        return [SHOWN, "-t bruteforce -T replace -f %s.logcheck" % self.path("etc/bruteforce")]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_install_steps(site):
    """From nothing to the first night, by INSTALL's commands in their order."""
    site.keep_tables()
    site.write("etc/pf.conf", site.moved(PF_TABLE).encode() + b"\n")
    for name in ("etc/bruteforce", "etc/bruteforce.allow", "pf/bruteforce"):
        os.remove(site.path(name))
    site.log("var/log/authlog", ATTACK % b"192.0.2.1" + ATTACK % b"203.0.113.9")
    site.silent(*STEPS[:4])
    day = site.clock("%Y-%m-%d")
    table = ("203.0.113.1 # %s postfix: unknown client, no login, no delivery\n"
             "203.0.113.9 # %s sshd: root failed\n" % (day, day))
    code, out, err = site.shell(STEPS[4])
    assert (code, out) == (0, table) and ": 2 added, " in err and "dry run" in err
    assert site.table() == ""
    code, out, err = site.shell(STEPS[5])
    assert (code, out) == (0, "") and err.startswith("logcheck on ") and "; pf has it\n" in err
    assert site.table() == table
    assert site.shell(STEPS[3])[1].split() == ["203.0.113.1", "203.0.113.9"]


def differences(site, line):
    """Run a line that ends in diff and changes nothing. Returns the rows that differ, and err."""
    before = site.table()
    code, out, err = site.shell(line)
    rows = [row for row in out.splitlines() if row[0] in "<>"]
    assert code == bool(rows) and site.table() == before
    return rows, err


def test_moving_over_steps_1_and_2(site):
    """They agree with the old script, and show an address that only one of them bans."""
    site.env.update((name, site.path(place)) for name, place in site.PLACES.items())
    site.silent(*BEFORE)
    assert call(["sh", REFERENCE], env=site.environment()) == (0, "", "")
    assert site.table() == TABLE.decode()
    assert differences(site, STEP_1) == ([], "") and differences(site, STEP_2)[0] == []
    site.write("etc/bruteforce", TABLE.replace(b"192.0.2.1\n", b"192.0.2.0\n"))
    assert differences(site, STEP_1) == (["< 192.0.2.0", "> 192.0.2.1"], "")
    user = STAMP + b" mail sshd[1]: Accepted publickey for root from 192.0.2.44 port 22\n"
    site.log("var/log/authlog", ATTACK % b"192.0.2.1" + ATTACK % b"2001:db8::1" + user)
    site.silent(*BEFORE + [DEFAULT])
    rows, report = differences(site, STEP_2)
    assert rows == ["< 192.0.2.44", "> 2001:db8::/64"] and report.startswith("logcheck on ")


def test_moving_over_step_3_and_back(site):
    for days, address in ((3, b"192.0.2.3"), (6, b"192.0.2.6"), (8, b"192.0.2.8")):
        site.log("var/log/authlog.%d.gz" % days, ATTACK % address, 24 * days)
    site.write("etc/bruteforce", b"192.0.2.7 # mine, 2026\n192.0.2.200\n")
    assert site.shell(STEP_3)[:2] == (0, "")
    expected = ["192.0.2.1", "192.0.2.3", "192.0.2.6", "192.0.2.7", "192.0.2.200",
                "198.51.100.1", "203.0.113.1"]
    assert site.addresses() == expected and site.table().count(" # ") == 7
    assert site.pf_calls() == site.replaced() + ["-sr"]
    for line in (BACK, DEFAULT):
        site.silent(line)
        assert site.addresses() == expected and site.table().count(" # ") == 1


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


def test_lines_of_the_table(site):
    """What README, THE TABLE, says of each kind of line: today, and 91 days after its date."""
    for now, stays in (("2026-11-25 01:30", [0, 1, 2, 3]), ("2027-02-22 01:30", [0, 1, 2, 3]),
                       ("2027-02-23 01:30", [1, 2, 3])):
        newer = "192.0.2.1 # %s x" % now[:10]  # without it, the clock may be wrong
        site.write("etc/bruteforce", "\n".join(LINES + [newer, ""]).encode())
        site.silent("/root/logcheck.py --no-pf -c -m /dev/null -a /dev/null -x 90 --now '%s'" % now)
        assert sorted(site.table().splitlines()) == sorted([newer] + [
            LINES[n] + (" # %s in the table before" % now[:10]) * (n == 1) for n in stays])
        assert site.shell(WHY)[1] == (LINES[0] + "\n") * (0 in stays)
    for line in ("192.0.2.7", "2001:db8::/64 # 2026-11-24 sshd: unknown user"):
        site.write("etc/bruteforce", b"192.0.2.70\n2001:db8:0:1::/64\n%s\n" % line.encode())
        assert site.shell(WHY) == (0, line + "\n", "")


def test_locked_out(site):
    site.write("etc/bruteforce", b"192.0.2.7 # 2026-11-24 sshd: unknown user\n192.0.2.200\n")
    site.log("var/log/authlog", ATTACK % b"192.0.2.7")
    site.keep_tables([b"192.0.2.7", b"198.51.100.1"])
    site.write("etc/bruteforce.allow", b"")
    code, out, err = site.shell(ASK)
    assert (code, err) == (0, "") and out.startswith("192.0.2.7: banned: sshd: root failed; 1 ")
    site.silent(ALLOW)
    code, out, err = site.shell(FORGIVE)
    assert (code, err) == (0, "") and out.count("192.0.2.7") == 2 and "allow list" in out
    assert (site.table(), site.pf()) == ("192.0.2.200\n", {b"198.51.100.1"})
    assert site.shell(FORGIVE)[0] == 1
    site.silent("/root/logcheck.py -c -w /etc/bruteforce.allow")
    assert site.addresses() == ["192.0.2.200", "198.51.100.1", "203.0.113.1"]


def test_what_the_old_script_had_banned_is_forgiven_by_one_command(site):
    """Whatever xargs splits it into."""
    site.keep_tables([b"192.0.2.1", b"192.0.2.200"])
    site.write("etc/bruteforce", b"192.0.2.1\n198.51.100.7 # mine, in the table before\n"
               + b"".join(b"2001:db8:%x::/64\n" % n for n in range(1500)))
    site.silent(STEPS[-1].replace("-cv", "-c -m /dev/null -a /dev/null"))
    assert site.shell(OF_OLD)[1].count("\n") == 1501
    code, out, err = site.shell(FORGIVE_THEM.replace("xargs", "xargs -n 333"))
    assert (code, err) == (0, "") and out.count("taken out of ") == 2 * 1501
    before = site.table()
    assert site.addresses() == ["192.0.2.200", "198.51.100.7"]
    assert site.pf() == {b"192.0.2.200", b"198.51.100.7"}
    assert site.shell(FORGIVE_THEM) == (0, "", "") and site.table() == before  # nobody is left


# Other homes

@pytest.mark.parametrize("line", OTHER_NAMES)
def test_logs_of_other_names(site, line):
    for name in re.findall("-[am] /([^ ]*)", line):
        site.log(name, NIGHT["maillog" if "mail" in name else "authlog"])
    if "mx2" in line:
        site.log("var/log/mx2/maillog", MAIL % b"203.0.113.2")
        site.log("var/log/mx2/maillog.0.gz", MAIL % b"203.0.113.3")
    site.silent(line)
    pf = "--no-pf" not in line
    assert site.addresses() == (["192.0.2.1", "192.0.2.200"] + ["198.51.100.1"] * pf + ["203.0.113.1"]
                                + ["203.0.113.2", "203.0.113.3"] * ("mx2" in line))
    assert site.pf_calls() == site.replaced() * pf


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


def test_table_of_another_host(site):
    """What mx1 sends arrives at mx2, which is the same host here; half of it does not, nor nothing,
    nor what pf refuses.
    """
    site.keep_tables()
    site.write("bin/ssh", b"#!/bin/sh\n%s\n" % site.moved(KEY.split('"')[1]).encode(), 0o755)
    site.write("etc/bruteforce", b"192.0.2.7 # 2026-11-24 sshd: unknown user\n2001:db8::/64\n")
    site.silent(MX1)
    sent = site.table() + "# end\n"
    for line, good in ((SEND, True), ("head -c 7 /etc/bruteforce | ssh mx2", False),
                       ("echo 999.1.1.1 > /etc/bruteforce; " + SEND, False),
                       ("rm /etc/bruteforce; " + SEND, False)):
        assert (site.shell(line)[0] == 0) == good
        assert site.read("etc/bruteforce.mx1").decode() == sent
        assert site.read("pf/bruteforce-mx1") == b"   192.0.2.7\n   2001:db8::/64\n"


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
        for line in ((BOOT, CRON) if system == "Linux" else (STEPS[-1], DEFAULT))]
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
    for line, report in ((DEFAULT, ""), (STEPS[-1], "logcheck on ")):
        site.write("etc/daily.local", (site.moved(line) + "\necho end\n").encode())
        code, out, err = call([shutil.which(shell), "-c", "PATH=%s; umask 022; . %s" % (
            path, site.path("etc/daily.local"))], cwd="/",
            env=site.environment(PATH="/bin:/sbin:/usr/bin:/usr/sbin", HOME="/var/log"))
        assert (code, out) == (0, "end\n")  # and what follows in daily.local is run
        assert err.startswith(report) if report else err == ""
        assert "\r" not in err and "\x1b" not in err and site.addresses() == TABLE.decode().split()
    assert site.pf_calls() == [SHOWN, LOADED] + site.replaced() + ["-sr"]
