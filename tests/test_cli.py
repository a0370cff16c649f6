"""The command line, README's differences from the shell, and bad input: what an admin gets."""
import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys

import pytest

import tools

PYTHONS = tools.pythons()
ATTACK = b"Apr  8 12:00:00 mail sshd[1]: Failed password for root from %s port 22 ssh2\n"
MAIL = b"Apr  8 12:00:00 mail postfix/smtpd[1]: disconnect from unknown[%s] auth=0/1\n"
NOW = "2018-04-09 01:30:00"


class Host:
    """A folder with the logs and the table, and stand-ins for date and pfctl on PATH."""

    def __init__(self, folder):
        self.folder = folder
        self.write("maillog", MAIL % b"203.0.113.1")
        self.write("authlog", ATTACK % b"192.0.2.1")
        self.write("bruteforce", b"192.0.2.200\n")
        self.write("pf-table", b"   198.51.100.1\n")
        self.environment = dict(os.environ, PATH=tools.STANDINS + ":" + os.environ["PATH"],
                                TZ="UTC", PF_TABLE=self.path("pf-table"),
                                PF_LOG=self.path("pf-log"))

    def path(self, name):
        return os.path.join(str(self.folder), name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def read(self, name="bruteforce"):
        with open(self.path(name), "rb") as file:
            return file.read()

    def pf_calls(self):
        if not os.path.exists(self.path("pf-log")):
            return []
        return self.read("pf-log").decode().splitlines()

    def run(self, *options, python=sys.executable, script=tools.SCRIPT, stdin=b"", **environment):
        """logcheck.py with the host's files and further options. Returns (exit code, out, err)."""
        command = [python, script, "--now", NOW] if python else [script, "--now", NOW]
        for option, name in (("-m", "maillog"), ("-a", "authlog"), ("-e", "bruteforce")):
            if option not in options:
                command += [option, self.path(name)]
        done = subprocess.run(command + list(options), env=dict(self.environment, **environment),
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120)  # so that what hangs fails
        return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


TABLE = b"192.0.2.1\n192.0.2.200\n198.51.100.1\n203.0.113.1\n"


@pytest.mark.parametrize("version", PYTHONS)
def test_success_is_silent(host, version):
    assert host.run(python=PYTHONS[version]) == (0, b"", "")
    assert host.read() == TABLE
    assert host.pf_calls() == ["-t bruteforce -T show", "-f /etc/pf.conf"]
    assert sorted(os.listdir(str(host.folder))) == sorted(
        ["maillog", "authlog", "bruteforce", "pf-table", "pf-log"])


# README, DIFFERENCES, in its order

@pytest.mark.parametrize("bad", [b"999.1.1.1", b"9.9.9.91.1.1.1", b"10..1.1", b".", b"1.2.3.256",
                                 b"1.2.3.4.", b"256", b"1.2.3.4.5", b"0000256.1"])
def test_entry_pf_cannot_load_is_left_out(host, bad):
    host.write("bruteforce", b"192.0.2.200\n" + bad + b"\n")
    host.write("pf-table", b"   198.51.100.1\n   " + bad + b"\n")
    code, out, err = host.run()
    assert (code, out, host.read()) == (0, b"", TABLE)
    assert err == "logcheck: %s: left out: %s, pf could not load it\n" % (
        host.path("bruteforce"), bad.decode())


@pytest.mark.parametrize("good", [b"10.1", b"010.0.0.0015", b"0", b"255", b"255.255.255.255",
                                  b"000000.1.1.1", b"10.0.0.0/8", b"!999.1.1.1", b"999.1.1.1 # x"])
def test_entry_pf_can_load_or_made_by_hand_stays(host, good):
    host.write("bruteforce", good + b"\n")
    assert host.run()[0] == 0
    assert good in host.read().splitlines()


def test_address_in_a_user_name_cannot_break_the_ruleset(host):
    host.write("authlog", ATTACK % b"192.0.2.1" + (ATTACK % b"192.0.2.1").replace(
        b"root", b"invalid user 999.999.999.999"))
    code, _, err = host.run()
    assert (code, host.read()) == (0, TABLE)
    assert "999.999.999.999" in err


def test_file_is_replaced_not_written_over(host):
    before = os.open(host.path("bruteforce"), os.O_RDONLY)
    host.run()
    assert os.read(before, 100) == b"192.0.2.200\n"
    assert host.read() == TABLE


def test_no_read_no_write(host):
    os.remove(host.path("bruteforce"))
    os.mkdir(host.path("bruteforce"))
    code, out, err = host.run()
    assert (code, out) == (1, b"")
    assert err == "logcheck: %s: Is a directory\n" % host.path("bruteforce")
    assert host.pf_calls() == ["-t bruteforce -T show"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("what, mode", [("bruteforce", 0o000), (".", 0o555)])
def test_unreadable_table_or_unwritable_directory(host, what, mode):
    os.chmod(host.path("."), 0o777)
    for name in os.listdir(str(host.folder)):
        os.chmod(host.path(name), 0o666)
    os.chmod(host.path(what), mode)
    parent = os.path.dirname(host.path("bruteforce"))
    while parent != "/":
        os.chmod(parent, os.stat(parent).st_mode | 0o055)
        parent = os.path.dirname(parent)
    script = host.path("logcheck.py")
    if what == "bruteforce":
        with open(tools.SCRIPT, "rb") as file:
            host.write("logcheck.py", file.read())
    else:
        script = "/dev/stdin"
    with open(tools.SCRIPT, "rb") as file:
        done = subprocess.run(
            ["/usr/bin/env", "python3", script, "--now", NOW, "--no-pf", "-m", "/dev/null",
             "-a", host.path("authlog"), "-e", host.path("bruteforce")], stdin=file,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: os.setuid(65534),
            env={"PATH": "/usr/bin:/bin"})
    if b"command" in done.stderr or b"env:" in done.stderr:
        pytest.skip("no python3 that another user can run")
    assert done.returncode == 1
    assert done.stderr.decode() == "logcheck: %s: Permission denied\n" % host.path("bruteforce")
    assert host.read() == b"192.0.2.200\n"


def test_last_line_without_newline(host):
    host.write("bruteforce", b"192.0.2.200")
    host.write("authlog", (ATTACK % b"192.0.2.1").rstrip(b"\n"))
    assert host.run()[0] == 0
    assert host.read() == TABLE


@pytest.mark.parametrize("odd", [b"\0", b"\xff\xfe\xc3", b"\r", b"\x1b[2J", b"\xe2\x80\xa8"])
def test_odd_bytes_hide_nothing(host, odd):
    host.write("authlog", odd + b"\n" + (ATTACK % b"192.0.2.1").replace(b"root", b"root" + odd))
    assert host.run()[0] == 0
    assert host.read() == TABLE


def test_range_whose_end_sorts_before_its_start_is_said(host):
    code, _, err = host.run("--now", "2018-04-01 01:30")
    assert code == 0
    assert err.startswith("logcheck: range: ") and err.count("\n") == 1
    assert "-c" in err and "Mar 31  1:30:00" in err and "Apr  1 01:30:00" in err


@pytest.mark.parametrize("make, reason", [
    (os.mkdir, "Is a directory"), (lambda path: None, "No such file or directory")])
def test_log_that_cannot_be_read(host, make, reason):
    os.remove(host.path("maillog"))
    make(host.path("maillog"))
    assert host.run() == (1, b"", "logcheck: %s: %s\n" % (host.path("maillog"), reason))
    assert host.read() == b"192.0.2.1\n192.0.2.200\n198.51.100.1\n"
    assert host.pf_calls()[-1] == "-f /etc/pf.conf"


def test_pfctl_missing(host):
    python = os.path.realpath(sys.executable)
    os.mkdir(host.path("empty"))
    code, _, err = host.run(python=python, PATH=host.path("empty"))
    assert (code, err) == (1, "logcheck: pfctl: No such file or directory\n")
    assert host.read() == b"192.0.2.1\n192.0.2.200\n203.0.113.1\n"


@pytest.mark.parametrize("deed, call", [
    ("show", "-t bruteforce -T show"), ("load", "-f /etc/pf.conf")])
def test_pfctl_fails(host, deed, call):
    code, _, err = host.run(PF_FAIL=deed)
    assert code == 1
    assert err == ("logcheck: pfctl: %s: pfctl: Syntax error in config file: pf rules not loaded\n"
                   % call)
    assert b"192.0.2.1\n" in host.read()
    assert len(host.pf_calls()) == 2


def test_pfctl_prints_garbage(host):
    host.write("pf-table", bytes(range(256)) * 10)
    code, _, err = host.run()
    assert code == 1
    assert err == "logcheck: pfctl: -t bruteforce -T show: not the text of a table\n"
    assert host.read() == b"192.0.2.1\n192.0.2.200\n203.0.113.1\n"


@pytest.mark.parametrize("options", [
    ["--frobnicate"], ["-x"], ["--days", "0"], ["--days", "-1"], ["--days", "one"], ["--days"],
    ["--days", "1e3"], ["--days", "99999999999999999999"], ["--days", "999999999"],
    ["--now", "yesterday"], ["--now", ""], ["--now", "2018-02-30 01:30"], ["--now", "-5"],
    ["--now", "99999999999999999999"], ["stray"], ["-m"], ["-m", ""], ["-e="],
    ["-k", "5"], ["--mask6", "64"], ["-c", "-k", "0"], ["-c", "--mask6", "31"],
    ["-c", "--mask6", "129"], ["--expire", "0"], ["--expire"], ["-x", "1.5"],
    ["--forgive", "nobody"], ["--forgive", ""], ["--forgive"], ["--care"], ["-cq"]])
def test_wrong_usage(host, options):
    code, out, err = host.run(*options)
    assert (code, out) == (2, b"")
    assert err.startswith("logcheck: usage: ") and err.count("\n") == 1
    assert not re.search(r"[^\n -~]", err)
    assert host.read() == b"192.0.2.200\n" and host.pf_calls() == []


def test_wrong_usage_says_what_is_wrong(host):
    assert "stray" in host.run("stray")[2] and "option" not in host.run("stray")[2]
    assert "-k" in host.run("-k", "3")[2] and "-c" in host.run("-k", "3")[2]
    assert "--frobnicate" in host.run("--frobnicate")[2]


@pytest.mark.parametrize("mode, text, said", [
    ([], ATTACK.decode().encode("utf-16"), True), (["-c"], ATTACK.decode().encode("utf-16"), True),
    ([], b"2018-04-08T12:00:00Z mail sshd[1]: x\n" * 200, True),
    (["-c"], b"2018-04-08T12:00:00Z mail sshd[1]: x\n" * 200, False),
    ([], b"x\n" * 99 + ATTACK % b"192.0.2.1", False), ([], b"x\n" * 100 + ATTACK, True),
    ([], b"", False), (["-c"], b"", False), ([], b"192.0.2.1 root", True)])
def test_log_in_which_no_line_begins_with_a_stamp_is_said(host, mode, text, said):
    host.write("authlog", text)
    assert host.run(*mode) == (0, b"", (
        "logcheck: %s: no line that a time stamp begins: is it the right log, and as text?\n"
        % host.path("authlog")) * said)


@pytest.mark.parametrize("options", [[], ["-c"], ["-c", "--expire", "9"]])
def test_table_file_that_is_made_is_said(host, options):
    host.write("pf-table", b"")
    made = (0, b"", "logcheck: %s: was not there and has been made\n" % host.path("new"))
    assert host.run("-n", "-e", host.path("new"), *options)[2] == ""
    assert host.run("-e", host.path("new"), *options) == made
    assert host.run("-e", host.path("new"), *options) == (0, b"", "")


@pytest.mark.parametrize("mode", [[], ["-c"]])
def test_pf_is_asked_under_the_lock_and_before_the_file_is_read(host, mode):
    os.mkdir(host.path("bin"))
    host.write("bin/pfctl", b'''#!/bin/sh
PATH=/bin:/usr/bin
case $* in *show) [ -e "$D/bruteforce.logcheck" ] && echo 198.51.100.9 >> "$D/bruteforce" ;; esac
''')
    os.chmod(host.path("bin/pfctl"), 0o755)
    assert host.run(*mode, D=host.path("."), PATH=host.path("bin") + ":" + os.environ["PATH"]) == (
        0, b"", "")
    assert b"198.51.100.9\n" in host.read()


def test_careful_mode_loads_the_table_alone(host):
    assert host.run("-c") == (0, b"", "")
    assert host.pf_calls() == ["-t bruteforce -T show",
                               "-t bruteforce -T replace -f %s.logcheck" % host.path("bruteforce")]


def test_forgive(host):
    host.write("bruteforce", TABLE + b"192.0.2.1 # 2018-04-08 sshd: root failed\n10.0.0.0/8\n")
    host.write("pf-table", b"   192.0.2.1\n   203.0.113.1\n")
    code, out, err = host.run("--forgive", "192.0.2.1", "--forgive", "203.0.113.0/24")
    assert (code, err) == (0, "") and b"allow list" in out
    assert host.read() == b"192.0.2.200\n198.51.100.1\n10.0.0.0/8\n"
    assert len(host.pf_calls()) == 2 and "-T delete" in host.pf_calls()[1]
    code, out, err = host.run("--forgive", "10.1.2.3")
    assert code == 1 and "10.0.0.0/8" in err
    assert host.read() == b"192.0.2.200\n198.51.100.1\n10.0.0.0/8\n"


def test_expire(host):
    host.write("bruteforce", b"192.0.2.9 # 2018-03-01 sshd: x\n192.0.2.8 # 2018-04-01 sshd: x\n"
               b"192.0.2.7\n192.0.2.6 # mine\n192.0.2.0/29\n")
    assert host.run("-c", "--expire", "30") == (0, b"", "")
    assert host.read() == (
        b"192.0.2.0/29\n192.0.2.1 # 2018-04-09 sshd: root failed\n192.0.2.6 # mine\n"
        b"192.0.2.7 # 2018-04-09 in the table before\n192.0.2.8 # 2018-04-01 sshd: x\n"
        b"198.51.100.1 # 2018-04-09 pf's own table\n"
        b"203.0.113.1 # 2018-04-09 postfix: unknown client, no login, no delivery\n")


def test_mask6(host):
    host.write("authlog", b"".join(ATTACK % address for address in (
        b"2001:db8:0:1::1", b"2001:db8:0:1::2", b"2001:db8:0:2::1")))
    for options, networks in (([], [b"2001:db8:0:1::/64", b"2001:db8:0:2::/64"]),
                              (["--mask6", "32"], [b"2001:db8::/32"]),
                              (["--mask6", "128"], [b"2001:db8:0:1::1", b"2001:db8:0:1::2",
                                                    b"2001:db8:0:2::1"])):
        code, out, _ = host.run("-cn", *options)
        assert code == 0 and [line for line in out.split(b"\n") if b":" in line] == networks


# The options

def test_dry_run_prints_and_touches_nothing(host):
    assert host.run("-n") == (0, TABLE, "")
    assert host.read() == b"192.0.2.200\n"
    assert host.pf_calls() == ["-t bruteforce -T show"]


def test_no_pf(host):
    assert host.run("--no-pf") == (0, b"", "")
    assert host.read() == b"192.0.2.1\n192.0.2.200\n203.0.113.1\n"
    assert host.pf_calls() == []


def test_table_and_ruleset_names(host):
    host.run("-t", "sshguard", "-f", "/etc/pf.other")
    assert host.pf_calls() == ["-t sshguard -T show", "-f /etc/pf.other"]


def test_days(host):
    host.write("authlog", (ATTACK % b"192.0.2.7").replace(b"Apr  8", b"Apr  3"))
    host.run()
    assert b"192.0.2.7" not in host.read()
    host.run("--days", "7")
    assert b"192.0.2.7" in host.read()


@pytest.mark.parametrize("now", ["1523237400", "2018-04-09 01:30", "2018-04-09 01:30:00"])
def test_now(host, now):
    host.run("--now", now)
    assert host.read() == TABLE


@pytest.mark.parametrize("suffix, opener", [
    (".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)])
def test_packed_logs(host, suffix, opener):
    with opener(host.path("authlog" + suffix), "wb") as file:
        file.write(ATTACK % b"192.0.2.1")
    host.write("maillog", b"")
    assert host.run("-a", host.path("authlog" + suffix)) == (0, b"", "")
    assert b"192.0.2.1\n" in host.read()


@pytest.mark.parametrize("suffix, opener", [
    (".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)])
@pytest.mark.parametrize("damage", ["cut", "nonsense"])
def test_damaged_packed_log(host, suffix, opener, damage):
    path = host.path("authlog" + suffix)
    with opener(path, "wb") as file:
        file.write(ATTACK % b"192.0.2.1" + os.urandom(300000))
    data = host.read("authlog" + suffix)
    host.write("authlog" + suffix, data[:-1000] if damage == "cut" else b"nonsense" + data[8:])
    code, out, err = host.run("-a", path)
    assert (code, out) == (1, b"")
    assert err.startswith("logcheck: %s: " % path) and err.count("\n") == 1
    assert b"203.0.113.1\n" in host.read()


def test_several_logs_and_standard_input(host):
    host.write("second", ATTACK % b"192.0.2.2")
    host.run("-a", host.path("second"), "-a", "-", "-m", "/dev/null",
             stdin=ATTACK % b"192.0.2.3")
    assert host.read() == b"192.0.2.2\n192.0.2.3\n192.0.2.200\n198.51.100.1\n"


def test_report(host):
    host.write("bruteforce", b"192.0.2.200\n999.1.1.1\n")
    host.write("authlog", (ATTACK % b"192.0.2.1") * 3 + b"Apr  1 00:00:00 other\n")
    code, out, err = host.run("-v")
    assert (code, out) == (0, b"")
    for words in ("Apr  8 01:30:00", "Apr  9 01:30:00", host.path("authlog"), "192.0.2.1", "3",
                  "Failed password for root from 192.0.2.1", "198.51.100.1", "pf", "999.1.1.1"):
        assert words in err


def test_report_shows_the_first_line_also_where_suspicious_lines_are_few(host):
    quiet = b"Apr  8 12:00:00 mail x[1]: quiet\n" * 200
    host.write("authlog", quiet + b"Apr  8 13:00:00 m sshd[1]: invalid FIRST from 192.0.2.5\n"
               + quiet + b"Apr  8 14:00:00 m sshd[1]: root SECOND from 192.0.2.5\n")
    err = host.run("-v")[2]
    assert "FIRST" in err and "SECOND" not in err


def test_line_of_root_root_root(host):
    """A long line that holds nothing but a word is read once, not once a word."""
    host.write("authlog", b"Apr  8 12:00:00 m sshd[1]: " + b"x" * 5000 + b"root" * 5000000 + b"\n"
               + ATTACK % b"192.0.2.1")
    assert host.run() == (0, b"", "")
    assert host.read() == TABLE


def test_line_of_50_megabytes(host):
    host.write("authlog", b"x" * 50000000 + b" root 192.0.2.9" + b"\n" + ATTACK % b"192.0.2.1")
    assert host.run() == (0, b"", "")
    assert host.read() == TABLE


def test_number_of_any_length_in_the_table(host):
    huge = b"9" * 100000
    host.write("bruteforce", b"-" + huge + b"a\n" + huge + b"a\n1" + huge + b"a\n5\n192.0.2.200\n")
    assert host.run() == (0, b"", "")
    assert host.read() == b"-" + huge + b"a\n5\n" + TABLE + huge + b"a\n1" + huge + b"a\n"


@pytest.mark.parametrize("now, start, end", [
    ("2018-04-09 01:30:00", "Apr  8 01:30:00", "Apr  9 01:30:00"),
    ("2018-04-10 01:30:00", "Apr  9 01:30:00", "Apr 10  1:30:00"),
    ("2018-04-11 01:30:00", "Apr 10  1:30:00", "Apr 11  1:30:00"),
    ("2018-04-15 14:05:00", "Apr 14 14:05:00", "Apr 15 14:05:00"),
    ("2018-04-01 01:30:00", "Mar 31  1:30:00", "Apr  1 01:30:00"),
    ("2018-03-01 01:30:00", "Feb 28  1:30:00", "Mar  1 01:30:00")])
def test_worked_ranges(host, now, start, end):
    assert "%s to %s" % (start, end) in host.run("-n", "-v", "--now", now)[2]


def test_the_file_runs_by_itself_and_isolated(host):
    """However it is started, nothing but the standard library is in its way."""
    host.write("argparse.py", b"raise SystemExit(9)\n")
    host.write("logcheck.py", host.read(tools.SCRIPT))
    os.chmod(host.path("logcheck.py"), 0o755)
    python = os.path.realpath(sys.executable)
    for command in (["./logcheck.py"], [python, "logcheck.py"], [python, "-IS", "logcheck.py"]):
        done = subprocess.run(
            command + ["--version"], cwd=host.path("."), stdout=subprocess.PIPE,
            env=dict(os.environ, PYTHONPATH=host.path(".") if command[0] == python else ""))
        assert done.returncode == 0 and done.stdout.startswith(b"logcheck.py ")
