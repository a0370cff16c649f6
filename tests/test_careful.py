"""Careful mode: rules, ranges, rotated logs, honest users, and nobody framed."""
import bz2
import gzip
import lzma
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import framing
import nights
import tools
from test_cli import Host

sys.path.insert(0, tools.TOP)
import logcheck  # noqa: E402

SEED, FRAMING_LINES = 20180228, 100000


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    for name in ("maillog", "authlog", "bruteforce", "pf-table"):
        made.write(name, b"")
    return made


def careful(host, *options, mail=(), auth=(), **kwargs):
    """Run logcheck.py -c on messages (str) logged at noon; returns the table as list of str."""
    stamp = "Apr  8 12:00:00 mail "
    if mail:
        host.write("maillog", "".join(stamp + line + "\n" for line in mail).encode())
    if auth:
        host.write("authlog", "".join(stamp + line + "\n" for line in auth).encode())
    code, out, err = host.run("-c", "-n", *options, **kwargs)
    assert (code, err) == (0, "")
    return out.decode().splitlines()


BEGINNINGS = logcheck.compile_beginnings()
OTHERS = b"Apr  8 12:00:00 mail cron[1]: (root) CMD (/usr/libexec/atrun)\n" * 3


def judged(judge, line, alone=True):
    """What the rules make of a line (bytes), as rules.txt writes it: 'ADDRESS count 2' and such.
    If it is not alone, it is first to be found among others.
    """
    judge.why.clear()
    judge.findings.clear()
    judge.lines([line] if alone else logcheck.messages(OTHERS + line + b"\n" + OTHERS, BEGINNINGS))
    for address, finding in judge.why.items():
        if finding.sure or logcheck.LEFT in (finding.counts or ()):
            return "%s sure" % address.decode()
        for times in (finding.counts or {}).values():
            return "%s count %d" % (address.decode(), times)
    return "-"


def rule_cases():
    with open(os.path.join(tools.HERE, "rules.txt"), "rb") as file:
        for number, line in enumerate(file, 1):
            expected, tag, message = line.rstrip(b"\n").split(b"\t", 2)
            yield number, expected.decode(), b"Apr  8 12:00:00 mail %s: %s" % (tag, message)


@pytest.mark.parametrize("alone", (True, False))
def test_rules(alone):
    judge = logcheck.Judge({})
    wrong = [(number, expected, judged(judge, line, alone), line[:200])
             for number, expected, line in rule_cases() if judged(judge, line, alone) != expected]
    assert wrong == []


def test_every_rule_has_a_line():
    match, _ = logcheck.compile_rules()
    decided = {found.lastgroup for found in (match(line) for _, _, line in rule_cases()) if found}
    assert {int(group.split("_")[1]) for group in decided} == set(range(len(logcheck.RULES)))


def test_rules_take_linear_time():
    """Every rule's own words, a megabyte of them, are judged in a second or so all together: what
    is not linear in the length would take minutes, and ends here as hanging.
    """
    def hangs(*_):
        raise AssertionError("a megabyte line takes more than a minute")

    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(60)
    try:
        judge_hostile_lines()
    finally:
        signal.alarm(0)


def judge_hostile_lines():
    judge = logcheck.Judge({})
    for _, _, line in rule_cases():
        head, _, message = line.partition(b": ")
        for text in (message * (1000000 // (len(message) or 1)), message + b" " * 1000000,
                     message[:-1] + message[-20:] * 50000):
            judge.lines([head + b": " + text])
    repeated = b"Apr  8 12:00:00 mail %s[1]: message repeated 2 times: [ %s"
    for line in (
            repeated % (b"smtpd", b'0123456789abcdef smtp failed-command command="AUTH '
                        + b'" result="5' * 100000),
            repeated % (b"dovecot", b"imap-login: Disconnected (auth failed, 1 attempts): user=<"
                        + b">, rip=1.2.3.4, " * 100000),
            b"Apr  8 12:00:00" + b"a/" * 500000, b"Apr  8 12:00:00 mail " + b"a/" * 500000,
            b"2018-04-08T12:00:00." + b"1" * 1000000, b"Apr  8 12:00:00 " + b"a " * 500000,
            b"1:00:00" * 150000, b"Apr  8 12:00:00" + b" ab" * 300000):
        judge.lines([line])


def test_nobody_can_be_framed():
    judge = logcheck.Judge({})
    for program, line in framing.lines(SEED, FRAMING_LINES):
        got = judged(judge, line)
        assert got == "-" or got.startswith(framing.PEER + " "), "seed %d: %r" % (SEED, line)
        assert judged(judge, line, alone=False) == got, "seed %d: %r" % (SEED, line)


def test_nobody_can_hide_by_typing():
    """For each thing that attackers do, one of the daemon's lines about it is judged, whatever
    they type into it.
    """
    judge = logcheck.Judge({})
    attacks = [line for line in framing.LINES if line[1].startswith((
        "Invalid user", "Bad protocol version", "Unable to negotiate",
        "Received disconnect from %s port 40022:11: %%s [preauth]" % framing.PEER,
        "NOQUEUE: reject: RCPT from unknown", "warning: unknown[%s]: SASL LOGIN" % framing.PEER,
        "improper", "PREGREET", "imap-login: Disconnected (auth failed"))]
    assert len(attacks) >= 10
    rng = random.Random(SEED)
    for _ in range(20000):
        program, text, lengths = rng.choice(attacks)
        if program == "sshd":
            lengths = [min(length, 90) for length in lengths]
        message = framing.message(rng, program, text, lengths)
        if program == "sshd" and len(message) == framing.SSHD_LINE:
            continue  # cut; the other lines of the same attempt tell of it
        line = ("Apr  8 12:00:00 mail %s[1]: %s" % (program, message)).encode("latin-1")
        assert judged(judge, line).startswith(framing.PEER), line


# honest users, and attackers who try what they do

PAM = "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
HONEST = {
    "mistyped four times, then in": [
        [PAM + "rhost=198.51.100.9  user=bob"]
        + ["sshd[1]: Failed password for bob from 198.51.100.9 port 40022 ssh2"] * 3
        + ["sshd[1]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= "
           "rhost=198.51.100.9  user=bob",
           "sshd[1]: Connection closed by authenticating user bob 198.51.100.9 port 40022 [preauth]",
           PAM + "rhost=198.51.100.9  user=bob",
           "sshd[1]: Failed password for bob from 198.51.100.9 port 40023 ssh2",
           "sshd[1]: Accepted password for bob from 198.51.100.9 port 40023 ssh2",
           "sshd[1]: Disconnected from user bob 198.51.100.9 port 40023",
           "sshd[1]: Received disconnect from 198.51.100.9 port 40023:11: disconnected by user"]],
    "keys tried, then one accepted, also as root": [
        ["sshd[1]: Failed publickey for bob from 198.51.100.9 port 40022 ssh2: RSA SHA256:abc"] * 6
        + ["sshd[1]: Accepted publickey for root from 198.51.100.9 port 40022 ssh2: RSA SHA256:abc",
           "sshd[1]: pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)",
           "sshd[1]: Disconnected from user root 198.51.100.9 port 40022"]],
    "sessions that break off, at LogLevel VERBOSE": [[
        "sshd[1]: Accepted publickey for root from 198.51.100.9 port 37008 ssh2: RSA SHA256:abc",
        "sshd[1]: Starting session: command for root from 198.51.100.9 port 37008 id 0",
        "sshd[1]: Connection closed by 198.51.100.9 port 37008",
        "sshd[1]: Close session: user root from 198.51.100.9 port 37008 id 0"]] * 4,
    "mistyped four times at IMAP": [
        ["dovecot: auth: passwd-file(bob,198.51.100.9,<a%d>): Password mismatch" % number,
         "dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<bob>, "
         "method=PLAIN, rip=198.51.100.9, lip=192.0.2.25, TLS, session=<a%d>" % number]
        for number in range(4)],
    "mistyped four times at SMTP": [
        ["postfix/smtpd[1]: warning: h.example.net[198.51.100.9]: SASL PLAIN authentication failed:",
         "postfix/smtpd[1]: disconnect from h.example.net[198.51.100.9] ehlo=1 auth=0/1 commands=1/2"]
        ] * 4,
    "no PTR, delivers": [[
        "postfix/smtpd[1]: connect from unknown[198.51.100.9]",
        "postfix/smtpd[1]: 4F1A2B3C4D: client=unknown[198.51.100.9]",
        "postfix/smtpd[1]: disconnect from unknown[198.51.100.9] ehlo=1 mail=1 rcpt=1 data=1 quit=1 "
        "commands=5"] * 9],
    "no PTR, delivers to Postfix 2": [[
        "postfix/smtpd[1]: connect from unknown[198.51.100.9]",
        "postfix/smtpd[1]: 4F1A2B3C4D: client=unknown[198.51.100.9]",
        "postfix/smtpd[1]: disconnect from unknown[198.51.100.9]"] * 9],
    "no PTR, logs in": [[
        "postfix/smtpd[1]: disconnect from unknown[198.51.100.9] ehlo=2 starttls=1 auth=1/3 mail=1 "
        "rcpt=1 data=1 quit=1 commands=8/10"] * 9],
}


@pytest.mark.parametrize("who", HONEST)
def test_honest_users_stay_out(host, who):
    assert careful(host, auth=[line for lines in HONEST[who] for line in lines]) == []


def test_countable_failures_make_an_attacker_from_the_fifth_on(host):
    line = "sshd[1]: Failed password for bob from 198.51.100.9 port 40022 ssh2"
    assert careful(host, auth=[line] * 4) == []
    assert careful(host, auth=[line] * 5) == ["198.51.100.9"]
    assert careful(host, "-k", "4", auth=[line] * 4) == ["198.51.100.9"]
    assert careful(host, "--count", "6", auth=[line] * 5) == []


@pytest.mark.parametrize("processes", (1, 2))
def test_failures_add_up_over_both_logs_and_kinds(host, processes):
    script = tools.SCRIPT if processes == 1 else tools.in_two_processes(str(host.folder))
    mail = ["dovecot: imap-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<bob>, "
            "method=PLAIN, rip=198.51.100.9, lip=192.0.2.25, session=<a>"]
    auth = ["sshd[1]: Failed password for bob from 198.51.100.9 port 40022 ssh2"] * 2
    assert careful(host, mail=mail, auth=auth, script=script) == ["198.51.100.9"]
    assert careful(host, "-k", "6", mail=mail, auth=auth, script=script) == []


def test_a_login_does_not_wash_off_a_sure_sign(host):
    assert careful(host, auth=[
        "sshd[1]: Invalid user admin from 198.51.100.9 port 40022",
        "sshd[1]: Accepted password for bob from 198.51.100.9 port 40023 ssh2"]) == ["198.51.100.9"]


def test_repeated_messages_count(host):
    line = "sshd[1]: message repeated %d times: [ Failed password for bob from 198.51.100.9 port 1 ssh2]"
    assert careful(host, auth=[line % 4]) == []
    assert careful(host, auth=[line % 5]) == ["198.51.100.9"]


def test_syslogd_repeats_count(host):
    line = "sshd[1]: Failed password for bob from 198.51.100.9 port 1 ssh2"
    assert careful(host, auth=[line, "last message repeated 3 times"]) == []
    assert careful(host, auth=[line, "last message repeated 4 times"]) == ["198.51.100.9"]
    assert careful(host, auth=[line, "cron[2]: x", "last message repeated 4 times"]) == []


@pytest.mark.parametrize("options", ((), ("-v",)))
@pytest.mark.parametrize("between", (0, 1, 40000))
@pytest.mark.parametrize("before", range(4020, 4036))
def test_syslogd_repeats_count_from_block_to_block(host, before, between, options):
    """The border of a block comes before, in and behind the lines; a sparse log, so that few of its
    lines are looked at.
    """
    stamp = b"Apr  8 12:00:00 mail "
    other = stamp + b"cron[2]: " + b"x" * 34 + b"\n"
    assert len(other) * 4030 < logcheck.BLOCK < len(other) * 4100
    failed = stamp + b"sshd[1]: Failed password for bob from 192.0.2.7 port 1 ssh2\n"
    repeated = stamp + b"last message repeated 4 times\n"
    host.write("authlog", other * before + failed + other * between + repeated + other * 4000)
    code, out, err = host.run("-c", "-n", *options)
    assert (code, out.split()) == (0, [] if between else [b"192.0.2.7"])


def test_opensmtpd_session_names_the_peer(host):
    assert careful(host, "-k", "2", mail=[
        "smtpd[25]: 0123456789abcdef smtp connected address=198.51.100.9 host=h.example.net",
        "smtpd[25]: fedcba9876543210 smtp connected address=198.51.100.8 host=g.example.net",
        'smtpd[25]: 0123456789abcdef smtp failed-command command="AUTH PLAIN (...)" result="535 x"',
        'smtpd[25]: 0123456789abcdef smtp failed-command command="AUTH PLAIN (...)" result="535 x"',
        'smtpd[25]: fedcba9876543210 smtp failed-command command="AUTH PLAIN (...)" result="535 x"',
    ]) == ["198.51.100.9"]


@pytest.mark.parametrize("logged, found", [
    ("2001:DB8:0:0::1", ["2001:db8::1"]), ("2001:db8::0:1", ["2001:db8::1"]),
    ("::ffff:198.51.100.9", ["198.51.100.9"]), ("127.0.0.1", []), ("::1", []), ("0.0.0.0", []),
    ("::", []), ("224.0.0.1", []), ("ff02::1", []), ("169.254.1.1", []), ("fe80::1", []),
    ("999.1.1.1", []), ("1.2.3", []), ("10.1.1.1", ["10.1.1.1"])])
def test_one_spelling_and_only_addresses_that_attack(host, logged, found):
    assert careful(host, auth=["sshd[1]: Invalid user x from %s port 22" % logged]) == found


# the range

def test_every_line_is_in_exactly_the_runs_it_should_be():
    """Two years of nights with daylight saving time: nothing is lost, nothing is seen twice but
    what lies on the very end of a range.
    """
    assert nights.careful_misses(nights.YEARS) == []


def test_what_the_shell_misses_is_what_the_README_says():
    with open(os.path.join(tools.TOP, "README")) as file:
        readme = file.read()
    blind, hours = nights.shell_blind_nights(2018)
    assert "%d nights a year" % len(blind) in readme and "%d hours" % hours in readme
    for hour in (0, 12, 18):
        assert "%.1f%%" % nights.shell_share(2018, hour) in readme


@pytest.mark.parametrize("hour", range(24))
def test_rotated_logs_are_read(host, hour):
    """newsyslog rotates at any hour of the day: the run at 01:30 finds every line of its day."""
    lines = []
    for minutes in range(0, 3 * 1440, 10):  # Apr 6 01:30 to Apr 9 01:30, one address a line
        second = 1522978200 + minutes * 60
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(second))
        lines.append((second, "%s mail sshd[1]: Invalid user x from 10.0.%d.%d port 22\n" % (
            stamp, minutes // 10 // 250, minutes // 10 % 250 + 1)))
    midnights = [1522972800 + day * 86400 + hour * 3600 for day in range(4)]
    files, last = [], 0
    for rotation in [second for second in midnights if second < 1523237400] + [10**10]:
        files.insert(0, (min(rotation, 1523237400), [line for second, line in lines
                                                      if last <= second < rotation]))
        last = rotation
    for number, (mtime, part) in enumerate(files):
        name = "authlog" if number == 0 else "authlog.%d" % (number - 1) + (".gz" if number > 1 else "")
        with (gzip.open if number > 1 else open)(host.path(name), "wb") as file:
            file.write("".join(part).encode())
        os.utime(host.path(name), (mtime, mtime))
    expected = [line.split(" from ")[1].split()[0] for second, line in lines
                if second >= 1523237400 - 86400]
    assert careful(host) == expected


@pytest.mark.parametrize("suffix", [".0", ".1", ".0.gz", ".3.bz2", ".1.xz", "-20180408",
                                    "-20180408.gz", ".20180408T000000.gz"])
def test_names_of_rotated_logs(host, suffix):
    text = b"Apr  8 12:00:00 mail sshd[1]: Invalid user x from 192.0.2.7 port 22\n"
    opener = (gzip.open if suffix.endswith(".gz") else bz2.open if suffix.endswith(".bz2")
              else lzma.open if suffix.endswith(".xz") else open)
    with opener(host.path("authlog" + suffix), "wb") as file:
        file.write(text)
    assert careful(host) == ["192.0.2.7"]


@pytest.mark.parametrize("name", ["authlog.bak", "authlog.0.tmp", "authlogx.0", "authlog0",
                                  "authlog.old", "xauthlog.0"])
def test_other_names_are_no_logs(host, name):
    host.write(name, b"Apr  8 12:00:00 mail sshd[1]: Invalid user x from 192.0.2.7 port 22\n")
    assert careful(host) == []


def test_log_that_cannot_hold_the_range_is_not_opened(host):
    host.write("authlog.5.gz", b"no gzip at all")
    os.utime(host.path("authlog.5.gz"), (1523100000, 1523100000))
    assert careful(host) == []


def test_log_being_compressed_is_read_once(host):
    line = b"Apr  8 12:00:00 mail sshd[1]: Failed password for bob from 192.0.2.7 port 22 ssh2\n"
    host.write("authlog.0", line * 4)
    with gzip.open(host.path("authlog.0.gz"), "wb") as file:
        file.write(line * 4)
    host.write("authlog.0.gz", host.read("authlog.0.gz")[:-9])
    assert careful(host) == []


@pytest.mark.parametrize("now, tz, stamp, seen", [
    ("2018-04-01 01:30", "UTC", "Mar 31 12:00:00", True),
    ("2018-03-01 01:30", "UTC", "Jan 15 12:00:00", False),
    ("2018-01-01 01:30", "UTC", "Dec 31 12:00:00", True),
    ("2020-03-01 01:30", "UTC", "Feb 29 12:00:00", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:29:59", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:30:00", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:30:01", False),
    ("2018-04-10 01:30", "UTC", "Apr  9 01:30:00", True),
    ("2018-04-10 01:30", "UTC", "Apr  9 01:29:59", False),
    ("2018-04-10 01:30", "UTC", "Apr 09 01:30:00", True),
    ("2018-10-29 01:30", "Europe/Prague", "Oct 28 02:00:00", True),  # 25 hours
    ("2018-04-10 01:30", "UTC", "2018-04-09T12:00:00Z", True),
    ("2018-04-10 01:30", "UTC", "2018-04-09T12:00:00.123456+02:00", True),
    ("2018-04-10 01:30", "UTC", "2018-04-10T03:29:59+02:00", True),
    ("2018-04-10 01:30", "UTC", "2018-04-10T03:30:01+02:00", False),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-09T23:29:59.000Z", True),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-09T23:30:01.000Z", False),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-10T01:29:59", True),
    ("2018-04-10 01:30", "UTC", "2017-04-09T12:00:00Z", False),
    ("2018-04-10 01:30", "UTC", "2018-13-45T99:00:00Z", False)])
def test_dates_are_dates(host, now, tz, stamp, seen):
    host.write("authlog", b"%s mail sshd[1]: Invalid user x from 192.0.2.7 port 22\n" % stamp.encode())
    code, out, err = host.run("-c", "-n", "--now", now, TZ=tz)
    assert (code, out, err) == (0, b"192.0.2.7\n" if seen else b"", "")


@pytest.mark.parametrize("days, seen", [("1", 1), ("3", 3), ("31", 31), ("366", 40), ("5000", 40)])
def test_days(host, days, seen):
    host.write("authlog", b"".join(
        b"%s mail sshd[1]: Invalid user x from 192.0.2.%d port 22\n" % (
            time.strftime("%b %e %H:%M:%S", time.gmtime(1523237400 - 43200 - 86400 * day)).encode(),
            day + 1) for day in range(40)))
    assert len(careful(host, "--days", days)) == seen


def test_lines_without_a_stamp_are_counted(host):
    host.write("authlog", b"no stamp at all\nApr 99 sshd\nApr  8 12:00:00 mail x[1]: y\n")
    code, _, err = host.run("-c", "-n", "-v")
    assert code == 0 and "could not be read: 1" in err


def test_a_log_given_twice_counts_once(host):
    line = b"Apr  8 12:00:00 mail sshd[1]: Failed password for bob from 192.0.2.7 port 22 ssh2\n"
    host.write("authlog", line * 3)
    host.write("authlog.0", b"")
    os.symlink("authlog", host.path("link"))
    for option in ("-m", "-a"):
        for name in ("authlog", "link"):
            assert careful(host, option, host.path(name), "-a", host.path("authlog")) == []
    host.write("authlog.0", line * 3)
    assert careful(host, "-a", host.path("authlog"), "-a", host.path("authlog.0"), "-k", "7") == []
    assert careful(host, "-k", "6") == ["192.0.2.7"]


@pytest.mark.parametrize("processes", (1, 2))
def test_more_logs_than_files_may_be_open(host, processes):
    script = tools.SCRIPT if processes == 1 else tools.in_two_processes(str(host.folder))
    command = [sys.executable, script, "-c", "-n", "--no-pf", "--now", "2018-04-09 01:30",
               "-e", host.path("bruteforce")]
    line = b"Apr  8 12:00:00 mail sshd[1]: Invalid user x from 198.51.%d.%d port 22\n"
    for number in range(120):
        host.write("log%d" % number, line % (100, number))
        host.write("log%d.0" % number, line % (101, number))
        command += ["-a" if number % 2 else "-m", host.path("log%d" % number)]
    done = subprocess.run(["sh", "-c", "ulimit -n 128 && exec \"$@\"", "sh"] + command,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=host.environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split() == [b"198.51.%d.%d" % (third, number) for third in (100, 101)
                                   for number in range(120)]


@pytest.mark.parametrize("short", range(-2, 3))
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_lines_at_the_borders_of_blocks(host, short, newline):
    line = b"Apr  8 12:00:00 mail sshd[1]: Invalid user x from 192.0.2.%d port 22"
    size = logcheck.BLOCK - short - len(line % 7) - 1
    filler = b"Apr  8 12:00:00 mail x[1]: %s\n"
    filler %= b"y" * (size - len(filler) + 2)
    host.write("authlog", filler + line % 7 + b"\n" + line % 8 + newline)
    assert careful(host) == ["192.0.2.7", "192.0.2.8"]


def test_a_line_that_comes_in_pieces(host):
    """Short reads, from a pipe, are no long line."""
    script = ("printf 'line\\n'; sleep .2; printf 'Apr  8 12:00:00 m sshd[1]: Invalid user a'; "
              "sleep .2; printf ' from 192.0.2.1 port 22\\n'")
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as writer:
        done = subprocess.run(
            [sys.executable, tools.SCRIPT, "-c", "-n", "--no-pf", "--now", "2018-04-09 01:30",
             "-m", "/dev/null", "-a", "-", "-e", host.path("bruteforce")],
            stdin=writer.stdout, stdout=subprocess.PIPE, env=host.environment)
    assert done.stdout == b"192.0.2.1\n"


# hostile sizes

def test_memory_stays_flat(host):
    """A line of 50 MB, and a million lines of typed text."""
    texts = [line for _, line in framing.lines(SEED, 1000)]
    with open(host.path("authlog"), "wb") as file:
        file.write(b"Apr  8 12:00:00 mail sshd[1]: Invalid user " + b"x" * 50000000
                   + b" from 203.0.113.9 port 22\n")
        for _ in range(1000):
            file.write(b"\n".join(texts) + b"\n")
    program = ("import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)")
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-IS", tools.SCRIPT, "-c", "--no-pf",
         "--now", "2018-04-09 01:30", "-m", "/dev/null", "-a", host.path("authlog"),
         "-e", host.path("bruteforce")], stdout=subprocess.PIPE, env=host.environment, check=True)
    assert host.read().decode().splitlines() == [framing.PEER]
    kilobytes = int(done.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 32 * 1024
