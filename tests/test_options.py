"""The command line, option by option: what an admin gets, wrong usage, bad input and a pfctl that
fails included; the allow list, the letter, the report, progress on a terminal, help, the licence.

What words and lines can tell is in transcripts.txt, pf's limit in test_table.py, careful mode in
test_careful.py. A new case is a transcript, a row of a test's parameters or of allowed.txt, or a
test that runs a host (conftest.py).
"""
import bz2
import contextlib
import email
import email.utils
import gzip
import lzma
import os
import pty
import re
import shlex
import shutil
import threading
import time

import pytest

from framing import rows
from host import (ATTACK, HERE, LOADED, MAIL, SCRIPT, SHOWN, STAMP, STANDINS, TABLE, logcheck,
                  parts, pythons, raw)

PYTHONS = pythons()
RELOADED = [SHOWN, LOADED]
OLD = b"192.0.2.200\n"


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
    # zones, which Pythons read differently
    host.write("allow", b"fe80::1\n")
    host.write("bruteforce", OLD + b"fe80::1%em0\n")
    assert host.run("-n", "-w", host.path("allow"), python=version and PYTHONS[version]) == (
        0, TABLE, "")


BAD = (b"999.1.1.1", b"9.9.9.91.1.1.1", b"10..1.1", b".", b"1.2.3.256", b"1.2.3.4.", b"256",
       b"1.2.3.4.5", b"1.2.3.260", b"300.1.1.1", b"10.1", b"010.0.0.1", b"0", b"10.1.2",
       b"1.1.1.00", b"089.1.1.1")
GOOD = (b"10.1/16", b"0.0.0.0", b"255.255.255.255", b"249.1.1.1", b"99.100.109.0",
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


@pytest.mark.parametrize("odd", [b"", b"\0", b"\xff\xfe\xc3", b"\r", b"\x1b[2J"])
def test_odd_bytes_and_unfinished_lines_hide_nothing(host, odd):
    host.write("bruteforce", OLD.rstrip())
    host.write("authlog", odd + b"\n" + STAMP + b" mail cron[1]: x\n\0\0" + (
        ATTACK % b"192.0.2.1").rstrip().replace(b"root", b"root" + odd))
    host.write("maillog", b"\0" + host.read("maillog"))
    assert (host.run(), host.read()) == ((0, b"", ""), TABLE)


def test_long_lines_and_numbers(host):
    """A line that holds nothing but a word is read once, not once a word; numbers of any length."""
    huge = b"9" * 100000
    host.write("authlog", STAMP + b" m sshd[1]: " + b"x" * 5000 + b"root" * 5000000 + b"\n"
               + b"x" * 30000000 + b" root 192.0.2.9\n" + ATTACK % b"192.0.2.1")
    host.write("bruteforce", b"-" + huge + b"a\n" + huge + b"a\n1" + huge + b"a\n5a\n" + OLD)
    assert host.run() == (0, b"", "")
    assert host.read() == b"-" + huge + b"a\n5a\n" + TABLE + huge + b"a\n1" + huge + b"a\n"


@pytest.mark.parametrize("size, stamp, said", [
    (256, STAMP, True), (1024, STAMP, True), (9999, STAMP, False), (150, STAMP, False),
    (256, b"Apr  1 12:00:00", False)])
def test_log_whose_lines_are_cut_is_said(host, size, stamp, said):
    lines = [b"%s mail postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 "
             b"<%s>: Relay access denied; from=<b@example.org> to=<c@example.org> proto=ESMTP "
             b"helo=<%s>" % (stamp, b"x" * number, b"mail.example.net/" * number)
             for number in range(70)]
    host.write("maillog", b"\n".join(line[:size] for line in lines) + b"\n")
    err = host.run("-cn", "--no-pf").stderr
    assert err == ("logcheck: %s: lines are cut at %d bytes: what stood behind is lost\n"
                   % (host.path("maillog"), size)) * said


# Logs

@pytest.mark.parametrize("suffix, opener", [(".gz", gzip.open), (".bz2", bz2.open),
                                            (".xz", lzma.open)])
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


def test_standard_input_that_does_not_block(host, mode):
    source, sink = os.pipe()
    os.set_blocking(source, False)
    writer = threading.Timer(0.2, lambda: (os.write(sink, ATTACK % b"192.0.2.3"), os.close(sink)))
    writer.start()
    with open(source, "rb") as stdin:
        run = host.run("-n", "-m", "/dev/null", "-a", "-", *mode, stdin=stdin, process=True)
    writer.join()
    assert b"192.0.2.3\n" in run.stdout


# pf

@pytest.mark.parametrize("text, said", [
    (None, "No such file or directory"), (b"#!/bin/sh\n", "Permission denied"),
    (b"\0\0\0\0", "Exec format error"), (b"#!/bin/sh\nkill -9 $$\n", SHOWN + ": exit -9"),
    (b"#!/bin/sh\necho 198.51.100.1; exit 7\n", SHOWN + ": exit 7"),  # not to be trusted
    (b"#!/bin/sh\nprintf '\\200'\n", SHOWN + ": not the text of a table"),
    (b"#!/bin/sh\nyes 'no\033[2J such' | head -3 >&2; exit 1\n",
     SHOWN + ": " + "; ".join(["no\\x1b[2J such"] * 3))], ids=repr_of_20)
def test_pfctl_that_does_not_work(host, text, said, mode):
    os.mkdir(host.path("bin"))
    if text is not None:
        host.write("bin/pfctl", text, 0o644 if said == "Permission denied" else 0o755)
    code, out, err = host.run("-v", *mode, PATH=host.path("bin") + ":/usr/bin:/bin",
                              edit={"SBIN": "/nowhere"})
    errors, first = err.split("logcheck on ")
    assert (code, out) == (1, b"") and err.startswith("logcheck: pfctl: " + said)
    assert errors.count("\n") <= 2 and "\x1b" not in err
    # not there, it is not asked to load anything either
    assert text is not None or "; pf did NOT take it: pfctl: No such file or " in first
    # careful mode gives pf the table before the file: what pf refuses is not written
    refuses = mode and text and b"printf" not in text
    assert host.read() == (OLD if refuses else TABLE.replace(b"198.51.100.1\n", b""))


def test_pf_is_asked_under_the_lock_and_before_the_file_is_read(host, mode):
    os.mkdir(host.path("bin"))
    host.write("bin/pfctl", b"""#!/bin/sh
case $* in *show) [ -e "$D/bruteforce.logcheck" ] && echo 198.51.100.9 >> "$D/bruteforce" ;; esac
""", 0o755)
    assert host.run(*mode, D=host.folder, PATH=host.path("bin") + ":/bin:/usr/bin") == (0, b"", "")
    assert b"198.51.100.9\n" in host.read()


@pytest.mark.parametrize("count", (20, 21, 10000))
def test_many_unloadable_entries_are_few_lines(host, count):
    host.write("maillog", MAIL % b"203.0.113.1" + b"".join(
        MAIL % (b"999.%d.%d.1" % (number >> 8, number & 255)) for number in range(count)))
    run = host.run()
    assert (run.returncode, host.read(), run.stderr.count("\n")) == (0, TABLE, min(count, 21))
    assert ("%d more" % (count - 20) in run.stderr) == (count > 20)


# Wrong usage

@pytest.mark.parametrize("options, word", [
    (shlex.split(row[0].encode().decode("unicode_escape")), (row[0].split() + row[1:])[-1])
    for _, row in rows("usage.txt")])
def test_wrong_usage(host, options, word):
    code, out, err = host.run(*options)
    assert (code, out) == (2, b"") and is_untouched(host)
    assert err.startswith("logcheck: usage: ") and err.count("\n") == 1 and word in err
    assert not re.search(r"[^\n -~]", err) and (word != "stray" or "option" not in err)


# --allow

*ALLOW_LISTS, (_, BAD_LINES) = [(raw(heading), list(map(raw, rows)))
                                for heading, rows in parts("allowed.txt")]


@pytest.mark.parametrize("allow, rows", ALLOW_LISTS)
def test_allowed(empty, mode, allow, rows):
    empty.write("allow", allow)
    empty.write("bruteforce", b"".join(row.split(b" ", 1)[1] + b"\n" for row in rows))
    code, out, err = empty.run("-n", "-w", empty.path("allow"), *mode)
    assert (code, err) == (0, "")
    assert sorted(out.split(b"\n")[:-1]) == sorted(
        row[6:] for row in rows if row.startswith(b"stays "))


@pytest.mark.parametrize("mode", [[], ["-c"], ["-n"], ["--forgive", "192.0.2.200"]])
def test_allow_file_that_cannot_be_used(host, mode):
    for name, reason in (("missing", "No such file or directory"), (".", "Is a directory")):
        assert host.run("-w", host.path(name), *mode) == (
            1, b"", "logcheck: %s: %s\n" % (host.path(name), reason))
    host.write("good", b"192.0.2.1\n")
    for line in BAD_LINES:
        host.write("allow", b"192.0.2.1\r\n# 999\n" + line + b" # x\n192.0.2.1\nalso bad\n")
        assert host.run("-w", host.path("good"), "-w", host.path("allow"), *mode) == (
            1, b"", "logcheck: %s: line 3: neither address nor network: %s\n" % (
                host.path("allow"), logcheck.visible(line)))
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
        "bruteforce on %s: 3 added" % os.uname().nodename)
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


HOSTILE = [
    bytes(range(10)) + bytes(range(11, 256)), b"\x1b]0;title\x07\x1b[2J\x1b[31m\x9b2J", b"\r.\r",
    b"\rBcc: all@example.org\r\rSubject: you won\r",
    b"=?utf-8?q?you_won?= Content-Type: text/html <script>alert(1)</script>",
    "\u0160\u202e\u2028\U0001f600".encode() + b"\xff\xfe\xc0\xaf", b"a" * 100000, b"\xff" * 100000,
    b"a" * 330 + b"\x1b" * 100, b".", b"..1.1", b".1" * 3000, b"From", b"From 192.0.2.7",
    b".example.org 192.0.2.7", b"192.0.2.7 " + b"x" * 3000, b"192.0.2.7 " + b"\x1b" * 3000]


@pytest.mark.parametrize("text", HOSTILE, ids=repr_of_20)
def test_hostile_text_is_harmless_in_a_letter(host, mode, text):
    """In a log, in the table or pf's, and in the names of files and table, there with newlines for
    carriage returns, and without what no name can hold.
    """
    name = os.fsdecode(text.replace(b"\r", b"\n").translate(None, b"\0/")[:200] + b"~")
    head = STAMP + b" mail sshd[1]: "
    host.write(name, b"".join((
        head, b"Invalid user invalid ", text[:250], b" from 192.0.2.1 port 22\n",
        head, b"Unable to negotiate with 192.0.2.2 port 22: invalid ", text, b"\n",
        text, b"\n.\nFrom root\n")))
    in_pf = mode and not re.search(b"[^ -~]", text)
    host.write("pf-table" if in_pf else name + "table", text + b"\n999.1.1.1\n")
    host.write("allow", b"192.0.2.7\n")
    assert host.run("-a", name, "-e", name + "table", "-t", name, "-w", "allow", "--mail", "root",
                    *mode)[0] == 0
    body = letter_of(host)[2]
    for found in (r"^192\.0\.2\.1 ", r"^192\.0\.2\.2 ", r"^999\.1\.1\.1 +pf could not load it"):
        assert re.search("(?m)" + found, body)
    assert mode or text != b"a" * 100000 or max(map(len, body.splitlines())) == 404
    assert mode or text != b".1" * 3000 or "\n " + ".1" * 100 + "  pf could" in body


def test_sendmail_that_reads_no_letter(host):
    os.mkdir(host.path("bin"))
    host.write("bin/sendmail", b"#!/bin/sh\nexec 0<&-; exit 3", 0o755)
    host.write("bruteforce", OLD + b"".join(b"999.9.%d\n" % number for number in range(3000)))
    code, out, err = host.run("--mail", "postmaster",
                              PATH="%s:%s:/usr/bin:/bin" % (host.path("bin"), STANDINS))
    assert (code, out) == (1, b"")
    assert err.splitlines()[21:] == ["logcheck: sendmail: -oi postmaster: exit 3"]
    assert host.read() == TABLE and host.pf_calls() == RELOADED


@pytest.mark.parametrize("path", ["/usr/bin:/bin", "", None])
def test_programs_that_cron_has_not_on_its_path(host, mode, path):
    """pfctl and sendmail in /sbin and /usr/sbin; never in the current folder."""
    host.write("pfctl", b"#!/bin/sh\nexit 9\n", 0o755)
    assert host.run("--mail", "root", *mode, PATH=path, edit={"SBIN": "/x:" + STANDINS}) == (
        0, b"", "")
    assert (host.read(), len(host.pf_calls()), len(host.letters())) == (TABLE, 2, 1)


# -v

def test_report_of_a_table_that_cannot_be_read(host, mode):
    os.remove(host.path("bruteforce"))
    os.mkdir(host.path("bruteforce"))
    for fails in (None, "show"):  # pf was given nothing
        assert ": 0 added, 0 expired, 0 let off, ? in the table; NOT written\n" in host.run(
            "-v", *mode, PF_FAIL=fails).stderr


def test_report_names_50_entries_and_each_ones_first_line(host):
    host.write("authlog", b"".join(ATTACK % b"192.0.2.%d" % n for n in range(11, 60))
               + (ATTACK % b"192.0.2.59").replace(b"root", b"root SECOND"))
    said = host.run("-v").stderr
    named = re.findall(r"(?m)^([0-9.]+) +[0-9-]+  ", said)
    assert len(named) == 50 and named[0] == "192.0.2.59" and "\nand 1 more\n" in said
    assert "for root from 192.0.2.59" in said and "SECOND" not in said


def test_each_list_of_the_report_ends(host):
    for n in range(60):
        host.write("authlog.%d" % n, STAMP + b" mail sshd[1]: x\n")
    host.write("authlog", b"".join((ATTACK % b"203.0.113.%d" % n).replace(b"Failed", verb)
                                   for n in range(70) for verb in (b"Failed", b"Accepted")))
    host.write("bruteforce", b"".join(b"192.0.2.%d\n198.51.100.%d # 2018-01-01 x\n" % (n, n)
                                      for n in range(80)) + b"10.0.0.1 # 2018-04-08 x\n")
    host.write("allow", b"192.0.2.0/24\n")
    said = host.run("-cv", "-x", "9", "-w", host.path("allow")).stderr
    # of 62 logs, of 70 that are let off, of 80 that are allowed and 80 that expire
    assert re.findall(r"(?m)^and (\d+) more$", said) == ["12", "20", "110"]
    host.write("bruteforce", b"".join(b"%d\n" % n for n in range(80)))
    assert "\n\nbruteforce: left out: 0, pf" in host.run("-v", "-e", "bruteforce").stderr


def test_report_is_the_same_twice(host, mode):
    host.write("allow", b"192.0.2.2\n")
    host.write("pf-table", b"   192.0.2.2\n")
    host.write("authlog", b"".join(ATTACK % b"192.0.%d.%d" % (n % 3, n % 251)
                                    for n in range(2000, 0, -7)))
    host.write("bruteforce", b"".join(b"%d.1.1.1\n" % n for n in range(250, 400)))
    reports = {host.run("-nv", "-w", "allow", *mode, process=True, PYTHONHASHSEED=seed).stderr
               for seed in "012"}
    assert len(reports) == 1 and reports.pop().count("could not load it") == 49 + 20 * 2


# A terminal

def on_terminal(host, *options, **how):
    """Run logcheck.py with stderr on a terminal. Returns its exit code and what stood last in the
    terminal's lines (list of bytes).
    """
    controller, terminal = pty.openpty()
    code = host.run(*options, prepare=lambda: os.dup2(terminal, 2), **how).returncode
    os.close(terminal)
    seen = data = b"\r\x1b[K"
    with contextlib.suppress(OSError):  # so Linux says that the other side is closed
        while data:
            data = os.read(controller, 65536)
            seen += data
    os.close(controller)
    return code, seen.split(b"\r\x1b[K")[1:]


def test_progress_on_a_terminal(host, mode):
    with open(host.path("authlog"), "wb") as file:
        for _ in range(10):
            file.write((b"Mar  1 00:00:00 mail cron[1]: " + b"x" * 225 + b"\n") * 4096)
        file.write(ATTACK % b"192.0.2.1")
    code, (first, *steps, end) = on_terminal(host, "-v", *mode)
    name = os.fsencode(host.path("authlog"))
    assert first == b"" and [step for step in steps if step and name in step] == [
        b"%s: %d of 10 MB" % (name, megabytes) for megabytes in range(1, 11)]
    assert code == 0 and end.startswith(b"logcheck on ") and host.read() == TABLE
    # no terminal, or not asked
    assert not re.search(r" MB|[^\n -~]", host.run("-v", *mode).stderr)
    assert on_terminal(host, *mode) == (0, [b""])


def test_progress_of_packed_and_damaged_logs_and_none_of_a_pipe(host, mode):
    text = gzip.compress(ATTACK % b"192.0.2.7" + os.urandom(4 << 20), 1)
    name = os.fsencode(host.path("authlog.gz"))
    # it is wiped before an error is said
    for packed, code, size, end in ((text, 0, 4, b"logcheck on "),
                                    (text[:-9000], 1, 3, b"logcheck: %s: " % name)):
        host.write("authlog.gz", packed)
        done, shown = on_terminal(host, "-v", "-a", host.path("authlog.gz"), *mode)
        assert done == code and shown[-1].startswith(end) and b"192.0.2.7\n" in host.read()
        assert any(step.endswith(b" of %d MB" % size) for step in shown)
    code, shown = on_terminal(host, "-v", "-m", "/dev/null", "-a", "-", *mode,
                              stdin=ATTACK % b"192.0.2.8")
    assert code == 0 and len(shown) == 1 and b"192.0.2.8\n" in host.read()


# Help, licence

def test_help_and_version(host):
    code, out, err = host.run("-h")
    assert (code, err) == (0, "") and host.run("--help") == (code, out, err)
    assert out.startswith(b"usage: logcheck.py ")
    assert not re.search(rb"[^\n -~]", out)
    assert out.count(b"\n") <= 50 and max(map(len, out.splitlines())) < 80
    for default in (b"/etc/bruteforce", b"/var/log/maillog", b"/var/log/authlog", b"/etc/pf.conf"):
        assert default in out
    assert re.match(rb"logcheck\.py \d+(\.\d+)*\n\Z", host.run("--version").stdout)
    assert is_untouched(host)


def test_licence_travels_with_the_file():
    with open(SCRIPT) as script, open(os.path.join(HERE, "licence.txt")) as licence:
        top = script.read().split("import ")[0]
        assert " ".join(licence.read().split()) in " ".join(top.split())
    assert re.search(r"(?m)^Copyright \(c\) \d{4} the logcheck\.py authors$", top)
    assert top.count("\n") < 40
