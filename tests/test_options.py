"""The command line, option by option: what an admin gets, wrong usage, bad input and a pfctl that
fails included; the allow list, the letter, the report, progress on a terminal, help, the licence.

The table's life (--expire, --forgive) is in test_table.py, careful mode in test_careful.py. A new
case is a row of a test's parameters, or a test that runs a host (conftest.py) with its option.
"""
import bz2
import email
import email.utils
import gzip
import lzma
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from host import (ATTACK, HERE, LOADED, MAIL, SCRIPT, SHOWN, STAMP, STANDINS, TABLE,
                  pythons)

PYTHONS = pythons()
MODES = pytest.mark.parametrize("mode", ((), ("-c",)), ids=("default", "careful"))
RELOADED = [SHOWN, LOADED]
REPLACED = [SHOWN, "-t bruteforce -T replace -f %s.logcheck"]  # in careful mode
OLD = b"192.0.2.200\n"
OPENERS = [(".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)]


def repr_of_20(value):
    """A short name for a test's argument."""
    return repr(value and value[:20])


def is_untouched(host):
    return host.read() == OLD and host.pf_calls() == [] and host.letters() == []


# Nothing asked, and what stands in README, DIFFERENCES

@pytest.mark.parametrize("version", [None] + list(PYTHONS))
def test_success_is_silent(host, version):
    assert host.run(python=version and PYTHONS[version]) == (0, b"", "")
    assert host.read() == TABLE
    assert host.pf_calls() == RELOADED
    assert host.names() == ["authlog", "bruteforce", "maillog", "pf-table"]
    # letters in one word, as README's -cv, and no names cut short
    assert host.run("-cn", python=version and PYTHONS[version]) == (0, TABLE, "")
    assert host.run("--care", python=version and PYTHONS[version]).returncode == 2


BAD = (b"999.1.1.1", b"9.9.9.91.1.1.1", b"10..1.1", b".", b"1.2.3.256", b"1.2.3.4.", b"256",
       b"1.2.3.4.5", b"0000256.1", b"1.2.3.260", b"300.1.1.1")
GOOD = (b"10.1", b"010.0.0.0015", b"0", b"255", b"255.255.255.255", b"249.1.1.1", b"000000.1.1.1",
        b"10.0.0.0/8", b"!999.1.1.1", b"999.1.1.1 # x")


def test_entries_pf_cannot_load_are_left_out(host):
    host.write("bruteforce", OLD + b"\n".join(BAD + GOOD) + b"\n")
    host.write("pf-table", b"   198.51.100.1\n" + b"".join(b"   %s\n" % bad for bad in BAD))
    host.write("authlog", ATTACK % b"192.0.2.1" + (ATTACK % b"192.0.2.1").replace(
        b"root", b"invalid user 999.999.999.999"))  # which anybody can type
    code, out, err = host.run()
    assert (code, out) == (0, b"")
    assert set(host.read().splitlines()) == set(TABLE.splitlines()) | set(GOOD)
    assert err == "".join("logcheck: %s: left out: %s, pf could not load it\n" % (
        host.path("bruteforce"), bad.decode()) for bad in sorted(BAD + (b"999.999.999.999",)))


def test_file_is_replaced_or_stays(host):
    with open(host.path("bruteforce"), "rb") as before:
        assert (host.run(), before.read(), host.read()) == ((0, b"", ""), OLD, TABLE)
    os.remove(host.path("bruteforce"))
    os.mkdir(host.path("bruteforce"))
    assert host.run() == (1, b"", "logcheck: %s: Is a directory\n" % host.path("bruteforce"))
    assert host.pf_calls() == RELOADED + [SHOWN]


@pytest.mark.parametrize("odd", [b"", b"\0", b"\xff\xfe\xc3", b"\r", b"\x1b[2J", b"\xe2\x80\xa8"])
def test_odd_bytes_and_unfinished_lines_hide_nothing(host, odd):
    host.write("bruteforce", OLD.rstrip())
    host.write("authlog", odd + b"\n" + STAMP + b" mail cron[1]: x\n" + (
        ATTACK % b"192.0.2.1").rstrip().replace(b"root", b"root" + odd))
    assert (host.run(), host.read()) == ((0, b"", ""), TABLE)


def test_long_lines_and_numbers(host):
    """A line that holds nothing but a word is read once, not once a word; numbers of any length."""
    huge = b"9" * 100000
    host.write("authlog", STAMP + b" m sshd[1]: " + b"x" * 5000 + b"root" * 5000000 + b"\n"
               + b"x" * 30000000 + b" root 192.0.2.9\n" + ATTACK % b"192.0.2.1")
    host.write("bruteforce", b"-" + huge + b"a\n" + huge + b"a\n1" + huge + b"a\n5\n" + OLD)
    assert host.run() == (0, b"", "")
    assert host.read() == b"-" + huge + b"a\n5\n" + TABLE + huge + b"a\n1" + huge + b"a\n"


@pytest.mark.parametrize("now, start, end", [
    ("2018-04-09 01:30:00", "Apr  8 01:30:00", "Apr  9 01:30:00"),
    ("2018-04-10 01:30", "Apr  9 01:30:00", "Apr 10  1:30:00"),
    ("1523410200", "Apr 10  1:30:00", "Apr 11  1:30:00"),
    ("2018-04-15 14:05:00", "Apr 14 14:05:00", "Apr 15 14:05:00"),
    ("2018-04-01 01:30:00", "Mar 31  1:30:00", "Apr  1 01:30:00"),
    ("2018-03-01 01:30:00", "Feb 28  1:30:00", "Mar  1 01:30:00")])
def test_worked_ranges(host, now, start, end):
    err = host.run("-n", "-v", "--now", now).stderr
    assert "\nrange: %s to %s\n" % (start, end) in "\n" + err
    # a range whose end sorts before its start is said
    assert err.startswith("logcheck: range: nothing found: %s sorts behind %s; careful mode (-c)"
                          % (start, end)) == (start > end)


@pytest.mark.parametrize("mode, text, said", [
    ((), ATTACK.decode().encode("utf-16"), True), (("-c",), ATTACK.decode().encode("utf-16"), True),
    ((), b"2018-04-08T12:00:00Z mail sshd[1]: x\n" * 200, True),
    (("-c",), b"2018-04-08T12:00:00Z mail sshd[1]: x\n" * 200, False),
    ((), b"x\n" * 99 + ATTACK % b"192.0.2.1", False), ((), b"x\n" * 100 + ATTACK, True),
    ((), b"", False), (("-c",), b"", False), ((), b"192.0.2.1 root", True)])
def test_log_in_which_no_line_begins_with_a_stamp_is_said(host, mode, text, said):
    host.write("authlog", text)
    assert host.run(*mode) == (0, b"", (
        "logcheck: %s: no line that a time stamp begins: is it the right log, and as text?\n"
        % host.path("authlog")) * said)


@MODES
@pytest.mark.parametrize("more", [(), ("--expire", "9")])
def test_table_file_that_is_made_is_said(host, mode, more):
    host.write("pf-table", b"")
    new = ("-e", host.path("new")) + mode + more
    assert host.run("-n", *new).stderr == ""
    assert host.run(*new) == (0, b"", "logcheck: %s: was not there and has been made\n"
                              % host.path("new"))
    assert host.run(*new) == (0, b"", "")


# Logs

def test_log_that_cannot_be_read(host):
    os.mkdir(host.path("folder"))
    for name, reason in (("folder", "Is a directory"), ("missing", "No such file or directory")):
        host.write("bruteforce", OLD)
        assert host.run("-m", host.path(name)) == (1, b"", "logcheck: %s: %s\n" % (
            host.path(name), reason))
        assert host.read() == TABLE.replace(b"203.0.113.1\n", b"")
        assert host.pf_calls()[-2:] == RELOADED


@MODES
@pytest.mark.parametrize("suffix, opener", OPENERS)
def test_packed_logs(host, suffix, opener, mode):
    path = host.path("log" + suffix)
    with opener(path, "wb") as file:
        file.write(ATTACK % b"192.0.2.7" + os.urandom(100000))
    whole = host.read("log" + suffix)
    assert host.run("-n", "-a", path, *mode) == (0, TABLE.replace(b".2.1\n", b".2.7\n"), "")
    for damaged in (whole[:-1000], b"nonsense" + whole[8:], whole + b"junk"):
        host.write("log" + suffix, damaged)
        code, out, err = host.run("-n", "-a", path, *mode)
        assert b"\n203.0.113.1\n" in out
        if suffix == ".gz" or not damaged.endswith(b"junk"):  # the others' tools pass over junk
            assert code == 1 and err.startswith("logcheck: %s: " % path) and err.count("\n") == 1
            # what stands before the damage counts
            assert suffix != ".gz" or (b"192.0.2.7\n" in out) == (damaged[:8] == whole[:8])


def test_several_logs_standard_input_and_days(host):
    host.write("second", ATTACK % b"192.0.2.2" + (ATTACK % b"192.0.2.5").replace(b"  8", b"  3"))
    for days, more in (("5", b""), ("6", b"192.0.2.5\n")):
        host.run("-a", host.path("second"), "-a", "-", "-m", "/dev/null", "--days", days,
                 stdin=ATTACK % b"192.0.2.3")
        assert host.read() == b"192.0.2.2\n192.0.2.3\n" + more + b"192.0.2.200\n198.51.100.1\n"


# pf

@MODES
@pytest.mark.parametrize("deed, call", [("show", SHOWN), ("load", LOADED)])
def test_pfctl_fails(host, deed, call, mode):
    if mode and deed == "load":
        deed, call = "replace", REPLACED[1][3:] % host.path("bruteforce")
    code, out, err = host.run("-v", "--mail", "root", *mode, PF_FAIL=deed)
    said = "pfctl: Syntax error in config file: pf rules not loaded"
    written = deed != "replace"
    assert (code, out) == (1, b"")
    assert err.startswith("logcheck: pfctl: %s: %s\n" % (call, said) if written else
                          "logcheck: %s: not written, pf refuses it: " % host.path("bruteforce"))
    # what a failed pfctl has printed is not to be trusted; the rest of the work is done
    table = TABLE if deed == "load" else TABLE.replace(b"198.51.100.1\n", b"")
    assert host.read() == (table if written else OLD)
    assert len(host.pf_calls()) == 2
    first = err.splitlines()[1]
    assert ": %d added" % (len(table.splitlines()) - 1 if written else 0) in first
    assert ("; pf did NOT take it: " in first and said in first) == (deed != "show")
    assert not written or ": FAILED, " in letter_of(host)[1]["Subject"]


@MODES
@pytest.mark.parametrize("text, said", [
    (None, "No such file or directory"), (b"#!/bin/sh\n", "Permission denied"),
    (b"\0\0\0\0", "Exec format error"), (b"#!/bin/sh\nkill -9 $$\n", SHOWN + ": exit -9"),
    (b"#!/bin/sh\nexit 7\n", SHOWN + ": exit 7"),
    (b"#!/bin/sh\nprintf '\\200'\n", SHOWN + ": not the text of a table"),
    (b"#!/bin/sh\nyes 'no\033[2J such' | head -3 >&2; exit 1\n",
     SHOWN + ": " + "; ".join(["no\\x1b[2J such"] * 3))], ids=repr_of_20)
def test_pfctl_that_does_not_work(host, text, said, mode):
    os.mkdir(host.path("bin"))
    if text is not None:
        host.write("bin/pfctl", text, 0o644 if said == "Permission denied" else 0o755)
    code, out, err = host.run(*mode, PATH=host.path("bin") + ":/usr/bin:/bin")
    assert (code, out) == (1, b"") and err.startswith("logcheck: pfctl: " + said)
    assert len(err.splitlines()) <= 2 and "\x1b" not in err
    # careful mode gives pf the table before the file: what pf refuses is not written
    refuses = mode and text and b"printf" not in text
    assert host.read() == (OLD if refuses else TABLE.replace(b"198.51.100.1\n", b""))


@MODES
def test_pf_is_asked_under_the_lock_and_before_the_file_is_read(host, mode):
    os.mkdir(host.path("bin"))
    host.write("bin/pfctl", b"""#!/bin/sh
case $* in *show) [ -e "$D/bruteforce.logcheck" ] && echo 198.51.100.9 >> "$D/bruteforce" ;; esac
""", 0o755)
    assert host.run(*mode, D=host.folder, PATH=host.path("bin") + ":/bin:/usr/bin") == (0, b"", "")
    assert b"198.51.100.9\n" in host.read()


def test_dry_run_no_pf_and_names(host):
    assert (host.run("-n"), host.read()) == ((0, TABLE, ""), OLD)
    assert host.pf_calls() == [SHOWN]
    assert host.run("--no-pf") == (0, b"", "")
    assert host.read() == TABLE.replace(b"198.51.100.1\n", b"") and host.pf_calls() == [SHOWN]
    host.run("-t", "sshguard", "-f", "/etc/pf.other")
    assert host.pf_calls()[1:] == ["-t sshguard -T show", "-f /etc/pf.other"]


def test_mask6(host):
    host.write("authlog", b"".join(ATTACK % address for address in (
        b"2001:db8:0:1::1", b"2001:db8:0:1::2", b"2001:db8:0:2::1")))
    for options, networks in (([], [b"2001:db8:0:1::/64", b"2001:db8:0:2::/64"]),
                              (["--mask6", "32"], [b"2001:db8::/32"]),
                              (["--mask6", "128"], [b"2001:db8:0:1::1", b"2001:db8:0:1::2",
                                                    b"2001:db8:0:2::1"])):
        code, out, _ = host.run("-cn", *options)
        assert code == 0 and [line for line in out.split(b"\n") if b":" in line] == networks


@pytest.mark.parametrize("count", (20, 21, 10000))
def test_many_unloadable_entries_are_few_lines(host, count):
    host.write("maillog", MAIL % b"203.0.113.1" + b"".join(
        MAIL % (b"999.%d.%d.1" % (number >> 8, number & 255)) for number in range(count)))
    run = host.run()
    assert (run.returncode, host.read(), run.stderr.count("\n")) == (0, TABLE, min(count, 21))
    assert ("%d more" % (count - 20) in run.stderr) == (count > 20)


# noon of the day before is within the last day nearly everywhere; 14 hours east of Greenwich the
# last day began at 15:30
@pytest.mark.parametrize("zone", ("UTC", "", ":nonsense", "/etc/passwd", "XYZ-14"))
def test_time_zone_changes_only_the_range(host, zone):
    assert host.run(TZ=zone) == (0, b"", "")
    assert (host.read() == TABLE) == (zone != "XYZ-14")


# Wrong usage

WRONG = [  # the words, and what is said about them
    ("--frobnicate", "--frobnicate"), ("-x", "-x"), ("--days 0", "0"), ("--days -1", ""),
    ("--days one", "one"), ("--days", "--days"), ("--days 1e3", "1e3"), ("--days " + "9" * 20, "9"),
    ("--days 999999999", "999999999"), ("--now yesterday", "yesterday"), ("--now=", "--now"),
    ("--now 2018-02-30", "2018-02-30"), ("--now -5", ""), ("--now " + "9" * 20, "9"),
    ("stray", "stray"), ("-m", "-m"), ("-m=", ""), ("-e=", ""), ("-k 5", "-c"),
    ("--mask6 64", "-c"), ("-c -k 0", "0"), ("-c --mask6 31", "31"), ("-c --mask6 129", "129"),
    ("--expire 0", "0"), ("--expire", "--expire"), ("-x 1.5", "1.5"), ("--forgive nobody", ""),
    ("--forgive=", "--forgive"), ("--forgive", "--forgive"), ("--care", "--care"), ("-cq", "q")]
NO_ADDRESS = ["", " ", "a b", " a", "a ", "a\tb", "a\nb", "a\n", "\n", "a\nBcc: b", "a\r\nBcc: b",
              "-bi", "-", "--", "a\x01", "\u0161@example.org", "a,b", "|cat", "<a>"]


@pytest.mark.parametrize("options, word", [(words.split(), word) for words, word in WRONG] + [
    (["--mail=" + address], "") for address in NO_ADDRESS] + [(["-e", ""], "not a file name")])
def test_wrong_usage(host, options, word):
    code, out, err = host.run(*options)
    assert (code, out) == (2, b"") and is_untouched(host)
    assert err.startswith("logcheck: usage: ") and err.count("\n") == 1 and word in err
    assert not re.search(r"[^\n -~]", err) and (word != "stray" or "option" not in err)


# --allow

def allow_lists():
    """The parts of allowed.txt: (lines of a list, [(entry, whether it stays)])."""
    with open(os.path.join(HERE, "allowed.txt")) as file:
        text = file.read().replace("\\t", "\t").replace("\\r", "\r")
    for part in re.split("(?m)^---- ", text)[1:]:
        allow, *rows = part.split("\n")[:-1]
        yield allow, [(row.split(" ", 1)[1], row.startswith("stays")) for row in rows]


@pytest.mark.parametrize("allow, entries", list(allow_lists()))
def test_allowed(empty, allow, entries):
    empty.write("allow", allow.replace(" ", "\n").encode())
    empty.write("bruteforce", "".join(entry + "\n" for entry, _ in entries).encode())
    for options in (("-n",), ("-cn",)):
        code, out, err = empty.run("-w", empty.path("allow"), *options)
        assert (code, err) == (0, "")
        assert sorted(out.decode().split("\n")[:-1]) == sorted(
            entry for entry, stays in entries if stays)


@MODES
@pytest.mark.parametrize("source, form", [
    ("bruteforce", b"%s\n"), ("pf-table", b"   %s\n"), ("maillog", MAIL), ("authlog", ATTACK)])
def test_allowed_whatever_its_source(empty, mode, source, form):
    empty.write("allow", b"192.0.2.7\n2001:DB8:0::7\n")
    allow = ("-w", empty.path("allow")) + mode
    empty.write(source, form % b"192.0.2.7" + form % b"192.0.2.8")
    assert empty.run("-n", *mode) == (0, b"192.0.2.7\n192.0.2.8\n", "")
    assert (empty.run(*allow), empty.read()) == ((0, b"", ""), b"192.0.2.8\n")
    assert empty.pf_calls()[-1] == (REPLACED[1] % empty.path("bruteforce") if mode else LOADED)
    if mode:
        empty.write("bruteforce", b"")
        empty.write(source, form % b"2001:db8::7" + form % b"2001:db8::8")
        assert empty.run("-n", "--mask6", "128", *allow) == (0, b"2001:db8::8\n", "")


@pytest.mark.parametrize("text", [
    b"192.0.2.200", b"192.0.2.200\n", b"192.0.2.200\r\n", b"# mine\r\n\r\n192.0.2.200\r\n",
    b"\n\n  192.0.2.200  \n", b"\t192.0.2.200\t# the office\n", b"192.0.2.200#\n",
    b"#\n#x\n192.0.2.200", b"203.0.113.0/28\n192.0.2.200", b"192.0.2.128/25 # 192.0.2.0/33\n",
    b"# \xff\xc3\n192.0.2.200", b"192.0.2.200\n" * 1000,
    b"", b"\n", b"# nobody", b" \t\r\n\n#192.0.2.200\n"], ids=repr_of_20)
def test_allow_file_forms(host, text):
    host.write("allow", text)
    gone = [OLD] * (b"#192" not in text and b"192" in text) + [b"203.0.113.1\n"] * (b"203" in text)
    code, out, err = host.run("-n", "-w", host.path("allow"))
    assert (code, err) == (0, "")
    assert out == b"".join(line for line in TABLE.splitlines(True) if line not in gone)


BAD_LINES = [(line, line.decode().rstrip()) for line in (
    b"192.0.2.256", b"192.0.2.7.1", b"192.0..7", b"192.0.2.0/33", b"192.0.2.7/", b"/24",
    b"192.0.2.", b".7", b"192.0.2.7/24/8", b"192.0.2.7-9", b"!192.0.2.7", b"192.0.2.7 198.51.100.1",
    b"192.0.2.7, ", b"2001:db8::g", b"2001:db8", b"2001:db8::/129", b"[2001:db8::1]",
    b"mail.example.org")]
BAD_LINES += [(b"192.0.2.7\0", r"192.0.2.7\x00"), (b"\xef\xbb\xbf10.0", r"\xef\xbb\xbf10.0"),
              ("\u0661.0.2.7".encode(), r"\xd9\xa1.0.2.7"), (b"\x1b[2J", r"\x1b[2J"),
              (b"a\rb", r"a\x0db")]


@pytest.mark.parametrize("mode", [[], ["-c"], ["-n"], ["--forgive", "192.0.2.200"]])
def test_allow_file_that_cannot_be_used(host, mode):
    for name, reason in (("missing", "No such file or directory"), (".", "Is a directory")):
        assert host.run("-w", host.path(name), *mode) == (
            1, b"", "logcheck: %s: %s\n" % (host.path(name), reason))
    for bad, shown in BAD_LINES:
        host.write("allow", b"192.0.2.1\r\n# 999\n" + bad + b" # x\n192.0.2.1\nalso bad\n")
        assert host.run("-w", host.path("allow"), *mode) == (
            1, b"", "logcheck: %s: line 3: neither address nor network: %s\n" % (
                host.path("allow"), shown))
    assert is_untouched(host)


# --mail

def letter_of(host):
    """The one letter sent: its arguments, headers (dict) and body (str). No line of it is more than
    text to any program on its way.
    """
    (arguments, letter), = host.letters()
    shutil.rmtree(host.path("letters"))
    assert not re.search(rb"[^\n -~]", letter) and letter.endswith(b"\n")
    for line in letter.split(b"\n"):
        assert len(line) <= 998 and not line.startswith((b".", b"From "))
    message = email.message_from_bytes(letter)
    assert not message.defects and not message.is_multipart()
    assert sorted(message.keys()) == ["Auto-Submitted", "Date", "From", "Subject", "To"]
    return arguments, dict(message.items()), message.get_payload()


@MODES
@pytest.mark.parametrize("address, zone, offset", [
    ("postmaster", "UTC", "+0000"), ("root@example.org", "HERE-5:30", "+0530"),
    ("a+b.c=d@mx-1.example.org", "THERE3", "-0300")])
def test_letter(host, mode, address, zone, offset):
    host.tz = zone
    dry = host.run("-vn", "--mail", "root", *mode).stderr
    assert host.letters() == []
    code, out, report = host.run("-v", "--mail", address, *mode)
    assert (code, out, host.read()) == (0, b"", TABLE)
    arguments, headers, body = letter_of(host)
    assert arguments == ["-oi", address]
    assert (headers["From"], headers["To"], headers["Auto-Submitted"], headers["Subject"]) == (
        "root", address, "auto-generated",
        "logcheck on %s: 3 added to bruteforce" % os.uname().nodename)
    assert re.match(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\Z",
                    headers["Date"]) and headers["Date"].endswith(offset)
    sent = email.utils.mktime_tz(email.utils.parsedate_tz(headers["Date"]))
    assert abs(sent - time.time()) < 100
    assert body == report == dry.replace("dry run, nothing written", "pf has it")
    assert re.search(r"(?m)^198\.51\.100\.1 +- +pf's own table$", body)
    # nothing new, no letter; entries that go are none that come
    host.write("bruteforce", TABLE + b"999.1.1.1\n")
    host.write("allow", b"192.0.2.200\n")
    assert host.run("-w", host.path("allow"), "--mail", address, *mode).returncode == 0
    assert host.letters() == []


HOSTILE = {
    "control": bytes(range(10)) + bytes(range(11, 32)) + b"\x7f",
    "escape": b"\x1b]0;title\x07\x1b[2J\x1b[31m\x9b2J",
    "nul": b"\0" * 50,
    "carriage return": b"\r.\r",
    "header": b"\rBcc: all@example.org\r\rSubject: you won\r",
    "mime": b"=?utf-8?q?you_won?= Content-Type: text/html <script>alert(1)</script>",
    "not ascii": "\u0160\u202e\u2028\U0001f600".encode() + b"\xff\xfe\xc0\xaf",
    "long": b"a" * 100000,
    "long and odd": b"\xff" * 100000,
    "escape at the cut": b"a" * 330 + b"\x1b" * 100,
}


@MODES
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_log_text_is_harmless_in_a_letter(host, kind, mode):
    text, head = HOSTILE[kind], STAMP + b" mail sshd[1]: "
    host.write("authlog", b"".join((
        head, b"Invalid user invalid ", text[:250], b" from 192.0.2.1 port 22\n",
        head, b"Unable to negotiate with 192.0.2.2 port 22: invalid ", text, b"\n",
        text, b"\n.\nFrom root\n")))
    assert host.run("--mail", "root", *mode)[0] == 0
    body = letter_of(host)[2]
    assert re.search(r"(?m)^192\.0\.2\.1 ", body) and re.search(r"(?m)^192\.0\.2\.2 ", body)
    assert mode or kind != "long" or max(map(len, body.splitlines())) == 404


@pytest.mark.parametrize("entry", [
    b".", b"..", b"..1.1", b".1" * 3000, b"From 192.0.2.7", b".example.org 192.0.2.7",
    b"192.0.2.7 " + b"x" * 3000, b"192.0.2.7 " + b"\x1b" * 3000, b"From", b"x" * 5000],
                         ids=repr_of_20)
def test_hostile_entries_are_harmless_in_a_letter(host, entry):
    host.write("allow", b"192.0.2.7\n")
    host.write("bruteforce", entry + b"\n")
    assert host.run("-w", host.path("allow"), "--mail", "root")[0] == 0
    body = letter_of(host)[2]
    assert ("\nleft out" in body) == (entry[:1] != b"x" and entry != b"From")
    assert entry != b".1" * 3000 or "\n " + ".1" * 100 + "  pf could" in body
    if b"\x1b" not in entry:
        host.write("bruteforce", b"")
        host.write("pf-table", b"   " + entry + b"\n")
        assert host.run("--mail", "root")[0] == 0
        letter_of(host)


@pytest.mark.parametrize("name", [".authlog", "From mx1", "a\nb", "a\x1b[2J", "\udcff", "x" * 200],
                         ids=repr_of_20)
def test_hostile_file_names_are_harmless_in_a_letter(host, name):
    host.write(name, ATTACK % b"192.0.2.1")
    for option in ("-a", "-e"):
        assert host.run(option, name, "--mail", "root")[0] == 0
        letter_of(host)


@pytest.mark.parametrize("words, said", [("queue file write error", None), (
    "\x1b[2J\x07" * 3, "\\x1b[2J\\x07" * 3)])
def test_sendmail_fails(host, words, said):
    assert host.run("--mail", "postmaster", SENDMAIL_FAIL=words) == (
        1, b"", "logcheck: sendmail: -oi postmaster: sendmail: fatal: %s\n" % (said or words))
    assert host.read() == TABLE and host.pf_calls() == RELOADED


@pytest.mark.parametrize("on_path, in_usr_sbin", [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_where_sendmail_is_found(host, on_path, in_usr_sbin):
    """On PATH, or else as /usr/sbin/sendmail, here moved so that the machine's stays unused. One
    that does not read its letter is no harm.
    """
    for place, there in (("bin", on_path), ("sbin", in_usr_sbin)):
        os.mkdir(host.path(place))
        if there:
            host.write(place + "/sendmail", b"#!/bin/sh\nexec 0<&-\nexit %d\n" % len(place), 0o755)
    os.symlink(os.path.join(STANDINS, "pfctl"), host.path("bin/pfctl"))
    text = host.read(SCRIPT)
    assert text.count(b'"/usr/sbin/sendmail"') == 1
    host.write("logcheck.py", text.replace(b"/usr/sbin/sendmail", os.fsencode(
        host.path("sbin/sendmail"))))
    host.write("authlog", ATTACK % b"192.0.2.1" + b"".join(
        ATTACK % b"10.1.%d.%d" % (a, b) for a in range(10) for b in range(200)))
    code, out, err = host.run("--mail", "root", script=host.path("logcheck.py"),
                              PATH=host.path("bin"))
    assert (code, out, err.count("\n")) == (1, b"", 1) and err.startswith("logcheck: sendmail: " + (
        "-oi root: exit 3" if on_path else "-oi root: exit 4" if in_usr_sbin else
        "No such file or directory"))  # old Pythons add its name
    assert len(host.read().splitlines()) == 2004 and host.pf_calls() == RELOADED


# -v

def golden(mode):
    """The report of a mode in reports.txt (str)."""
    with open(os.path.join(HERE, "reports.txt")) as file:
        part = file.read().split("---- %s\n" % mode)[1].split("---- ")[0]
    return "".join(re.findall(r"(?m)^\|(.*\n)", part))


@pytest.fixture
def small(host):
    """A small night, its files named without a folder; small.report() runs it."""
    other, early, old = STAMP + b" mail cron[1]: nothing\n", b"Apr  8 02:00:00", b"Apr  8 01:00:00"
    host.write("maillog", (MAIL % b"203.0.113.7").replace(STAMP, old) + MAIL % b"203.0.113.1"
               + other)
    host.write("authlog", (ATTACK % b"192.0.2.3").replace(STAMP, old) + (ATTACK % b"192.0.2.1") * 2
               + ATTACK.replace(b"root", b"bob") % b"192.0.2.2"
               + b"Apr  8 13:00:00 mail sshd[2]: Invalid user \x1b[2Jinvalid\0 from 192.0.2.9 port "
               b"22\n")
    host.write("maillog.0.gz", gzip.compress((MAIL % b"203.0.113.8").replace(STAMP, old)
                                             + (MAIL % b"203.0.113.2").replace(STAMP, early)))
    host.write("authlog.0", (ATTACK % b"192.0.2.1").replace(STAMP, early))
    host.write("bruteforce", b"192.0.2.0/28\n\n192.0.2.200\n999.1.1.1\n")
    host.write("pf-table", b"   198.51.100.1\n   192.0.2.2\n")
    host.write("allow", b"192.0.2.2\n")

    def report(*options, **how):
        done = host.run("-m", "maillog", "-a", "authlog", "-e", "bruteforce", "-w", "allow",
                        *options, **how)
        assert done.returncode == 0 and not re.search(r"[^\n -~]", done.stderr)
        return done.stderr.replace("logcheck on %s:" % os.uname().nodename, "logcheck on HOST:")
    host.report = report
    return host


SAID = "logcheck: bruteforce: left out: 999.1.1.1, pf could not load it\n"


def test_report_in_full(small):
    assert small.report("-v") == SAID + golden("default")
    assert small.read() == b"192.0.2.1\n192.0.2.9\n192.0.2.200\n198.51.100.1\n203.0.113.1\n"
    # when nothing is new
    for name in ("pf-table", "allow", "authlog"):
        small.write(name, b"")
    report = golden("default").split("authlog")[0]
    assert small.report("-v") == (
        report.replace("4 added", "0 added") + "authlog" + " " * 33 + 3 * "%13d" % (0, 0, 0) + "\n")
    small.write("bruteforce", b"192.0.2.77 # 2018-03-01 sshd: x\n1.2.3.4\n")
    report = small.report("-v", "--expire", "30")
    assert report.startswith("logcheck on HOST: 1 added, 1 expired, 0 let off, 2 in the table; pf")
    assert "\n192.0.2.77 # 2018-03-01 sshd: x   expired\n" in report


def test_report_in_full_in_careful_mode(small):
    """Who logged in as often as he failed is let off; who failed less often than -k is near."""
    small.write("authlog", small.read("authlog") + b"".join(
        STAMP + b" mail sshd[3]: %s from 192.0.2.%d port 22 ssh2\n" % line for line in (
            (b"Failed password for root", 11), (b"Accepted password for root", 11),
            (b"Failed password for bob", 12))))
    assert small.report("-cv") == SAID + golden("careful")


def test_report_names_the_ten_nearest_misses(host):
    bob = ATTACK.replace(b"root", b"bob")
    host.write("authlog", b"".join(bob % (b"192.0.2.%d" % n) * (n % 4 + 1)
                                   for n in range(24, 36)))
    rows = host.run("-cv").stderr.split("near misses")[1].split("\n\n")[0].splitlines()[1:]
    assert [tuple(row.split()) for row in rows] == [
        ("192.0.2.%d" % n, str(n % 4 + 1)) for n in (27, 31, 35, 26, 30, 34, 25, 29, 33, 24)]


def test_report_names_50_entries_and_each_ones_first_line(host):
    quiet = STAMP + b" mail x[1]: quiet\n" * 200
    host.write("authlog", b"".join(ATTACK % b"192.0.2.%d" % n for n in range(60)) + quiet
               + (ATTACK % b"192.0.2.59").replace(b"root", b"root SECOND"))
    err = host.run("-v").stderr
    rows = err.splitlines()
    named = [row.split()[0] for row in rows if re.match(r"[0-9.]+ +[0-9-]+  ", row)]
    assert len(named) == 50 and named[0] == "192.0.2.59" and "and 12 more" in rows
    assert "for root from 192.0.2.59" in err and "SECOND" not in err


@pytest.mark.parametrize("mode", ["-vn", "-cvn"])
def test_report_is_the_same_twice(small, mode):
    small.write("authlog", b"".join(ATTACK % b"192.0.%d.%d" % (n % 3, n % 251)
                                    for n in range(2000, 0, -7)))
    small.write("bruteforce", b"".join(b"%d.1.1.1\n" % n for n in range(250, 400)))
    reports = {small.report(mode, process=True, PYTHONHASHSEED=seed) for seed in "012"}
    assert len(reports) == 1 and reports.pop().count("could not load it") == 144 + 20 * 2


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_report_shows_no_raw_byte_of_a_log(small, mode):
    odd = bytes(range(10)) + bytes(range(11, 32)) + bytes(range(127, 256))
    small.write("authlog", b"".join(
        STAMP + b" mail sshd[1]: Invalid user invalid " + odd[n:n + 60] + b" from 192.0.2.%d port "
        b"22\n" % (n + 10) for n in range(0, len(odd), 60)))
    assert small.report(mode).count("    Apr  8 12:00:00 mail sshd[1]: Invalid user") == 3


def test_report_fits_a_terminal_where_the_data_allow(small):
    for report in (golden("default"), golden("careful")):
        assert [line for line in report.splitlines() if len(line) > 90 and line[:4] != "    "] == []
    small.write("pf-table", b"   2001:db8:1111:2222:3333:4444:5555:6666/128\n   192.0.2.77\n")
    rows = re.findall(r"(?m)^.*(?:-  pf's own table|  hits  why)$", small.report("-v"))
    assert len(rows) >= 3 and max(map(len, rows)) < 80


# A terminal

CLEAR = b"\r\x1b[K"


def on_terminal(host, *options, stdin=subprocess.DEVNULL, interrupt=None):
    """Run logcheck.py with stderr on a terminal. Returns its exit code and what the terminal got
    (bytes). When it gets the words to interrupt at (bytes), ^C is pressed.
    """
    controller, terminal = pty.openpty()
    child = host.start(*options, stdin=stdin, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    seen = b""
    while True:
        try:
            data = os.read(controller, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            data = b""
        if not data:
            break
        seen += data
        if interrupt and interrupt in seen:
            child.send_signal(signal.SIGINT)
            interrupt = None
    os.close(controller)
    return child.wait(), seen


@pytest.fixture(scope="module")
def big_log(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("big") / "authlog")
    with open(path, "wb") as file:
        file.write((b"Mar  1 00:00:00 mail cron[1]: " + b"x" * 225 + b"\n") * 4096 * 40
                   + ATTACK % b"192.0.2.1")
    return path


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_progress_on_a_terminal(host, big_log, mode):
    code, seen = on_terminal(host, mode, "-a", big_log)
    *shown, end = seen.split(CLEAR)
    assert code == 0 and host.read() == TABLE
    steps = re.findall(os.fsencode(big_log) + rb": (\d+) of 40 MB", seen)
    assert sorted(set(map(int, steps))) == [*range(4, 41, 4)]
    assert end.startswith(b"logcheck on ") and not any(b"\n" in step for step in shown)
    # no terminal, or not asked
    err = host.run(mode, "-a", big_log).stderr
    assert " MB" not in err and "\r" not in err and "\x1b" not in err
    assert on_terminal(host, "-a", big_log, *["-c"] * (mode == "-cv")) == (0, b"")


@pytest.mark.parametrize("mode", ["-v", "-cv"])
def test_progress_of_packed_and_damaged_logs_and_none_of_a_pipe(host, mode):
    text = gzip.compress(ATTACK % b"192.0.2.7" + os.urandom(12 << 20), 1)
    host.write("authlog.gz", text)
    code, seen = on_terminal(host, mode, "-a", host.path("authlog.gz"))
    assert code == 0 and b" of 12 MB" in seen and b"192.0.2.7\n" in host.read()
    assert seen.split(CLEAR)[-1].startswith(b"logcheck on ")
    # it is wiped before an error is said
    host.write("authlog.gz", text[:-9000])
    code, seen = on_terminal(host, mode, "-a", host.path("authlog.gz"))
    assert code == 1 and b" of 11 MB" in seen
    assert seen.split(CLEAR)[-1].startswith(b"logcheck: %s: " % os.fsencode(
        host.path("authlog.gz")))
    with subprocess.Popen(["echo", (ATTACK % b"192.0.2.8").decode()],
                          stdout=subprocess.PIPE) as pipe:
        code, seen = on_terminal(host, mode, "-m", "/dev/null", "-a", "-", stdin=pipe.stdout)
    assert code == 0 and seen.startswith(b"logcheck on ") and b"192.0.2.8\n" in host.read()


def test_interrupted_on_a_terminal(host, big_log):
    """Whoever sees it take too long may press ^C: nothing is written, no traceback."""
    source, end = os.pipe()  # which says nothing
    code, seen = on_terminal(host, "-v", "-m", big_log, "-a", "-", stdin=source, interrupt=b"4 of")
    os.close(source)
    os.close(end)
    assert code == -signal.SIGINT and b"Traceback" not in seen and is_untouched(host)


# Help, licence

OPTIONS = """-m --maillog -a --authlog -e --etcfile -f --pf-conf -t --table -n --dry-run
    -v --verbose -c --careful -d --days -k --count -w --allow -x --expire --forgive --mask6 --mail
    --no-pf --now --version -h --help""".split()


def test_help_and_version(host):
    code, out, err = host.run("-h")
    assert host.run("--help") == (code, out, err)
    assert re.match(rb"logcheck\.py \d+(\.\d+)*\n\Z", host.run("--version").stdout)
    text = out.decode("ascii")
    _, rest = re.split("\n(?:options|optional arguments):\n", text)
    assert (code, err) == (0, "") and text.startswith("usage: logcheck.py ")
    assert text.count("\n") <= 50 and max(map(len, text.split("\n"))) < 80
    for word in OPTIONS:
        assert re.search(r"(?m)^  (?:-\w(?: [A-Z]+)?, )?%s(?:,| |$)" % word, rest), word
    for default in ("/etc/bruteforce", "/var/log/maillog", "/var/log/authlog", "/etc/pf.conf"):
        assert default in text
    assert is_untouched(host)


LICENCE = """Permission to use, copy, modify, and distribute this software for any purpose with or
without fee is hereby granted, provided that the above copyright notice and this permission notice
appear in all copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT
SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY
DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE."""


def test_licence_travels_with_the_file():
    with open(SCRIPT) as file:
        top = file.read().split("import ")[0]
    assert " ".join(LICENCE.split()) in " ".join(top.split())
    assert re.search(r"(?m)^Copyright \(c\) \d{4} the logcheck\.py authors$", top)
    assert top.count("\n") < 40
