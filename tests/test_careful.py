"""Careful mode: rules, stories, ranges, rotated logs, and nobody framed or washed clean.

A new log message is a new line in rules.txt, several lines of one peer a new story in stories.txt;
both files' heads say how. What an attacker may type is in framing.py.
"""
import bz2
import gzip
import itertools
import lzma
import os
import random
import re
import resource
import subprocess
import sys
import time

import pytest

import framing
import nights
from framing import Court, rule_lines
from host import HERE, NOW, SCRIPT, STAMP, TOP, logcheck

SEED, FRAMING_LINES = 20180228, 40000
SIZE = 300000  # bytes of a long line
INVALID = STAMP + b" mail sshd[1]: Invalid user x from %s port 22\n"
FAILED = STAMP + b" mail sshd[1]: Failed password for bob from %s port 22 ssh2\n"
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@pytest.fixture
def host(empty):
    return empty


def careful(host, *options, mail=(), auth=(), **how):
    """The table (list of str) that logcheck.py -c makes without pf; messages (str) in the logs are
    of noon.
    """
    for name, messages in (("maillog", mail), ("authlog", auth)):
        if messages:
            host.write(name, b"".join(
                STAMP + b" mail " + message.encode() + b"\n" for message in messages))
    code, out, err = host.run("-cn", "--no-pf", *options, **how)
    assert (code, err) == (0, "")
    return out.decode().splitlines()


# the rules

OTHER = "198.51.100.77"
QUIET = b"Apr  8 12:00:00 mail cron[1]: (root) CMD (/usr/libexec/atrun)\n" * 500
DENSE = (b"Apr  8 12:00:00 mail sshd[9]: Invalid user x from 198.51.100.77 port 22\n"
         b"Apr  8 12:00:00 mail postfix/smtpd[9]: disconnect from unknown[198.51.100.77]\n") * 20


@pytest.mark.parametrize("around", (b"", QUIET, DENSE), ids=("alone", "quiet", "dense"))
def test_rules(around):
    court, wrong = Court(), []
    for number, expected, line in rule_lines():
        verdict = court.verdict(around + line + b"\n" * bool(around) + around[:-1], but=OTHER)
        if verdict != expected:
            wrong.append((number, expected, verdict, line[:200]))
    assert wrong == []


def test_every_rule_has_a_line(monkeypatch):
    """Each rule decides a line of rules.txt; those that say nothing of a peer themselves are
    taken out of the table, and some verdict changes.
    """
    def verdicts():
        return list(map(Court().verdict, [line for _, _, line in rule_lines()]))

    court, decided = Court(), set()
    for _, _, line in rule_lines():
        court.heard(line)
        decided.update(rule.template for rules in court.evidence.values() for rule in rules)
    before, table = verdicts(), logcheck.RULES
    rows = re.findall(r"\n(\S+  .*(?:\n    .*)*)", table)
    assert len(rows) > 90
    for row in rows:
        if re.split("  +", row.replace("\n    ", " "), 2)[2] not in decided:
            monkeypatch.setattr(logcheck, "RULES", table.replace(row + "\n", ""))
            assert verdicts() != before, row


@pytest.mark.parametrize("around", (b"", QUIET * 2, DENSE.replace(b"198.51.100.77", b"127.0.0.1")),
                         ids=("alone", "quiet", "dense"))
def test_a_rule_added_to_the_table_is_found(host, around):
    row = "\nsshd\nSURE/ssh/new  new  Flux {up|down}, says <PEER>\n"
    host.write("authlog", around + STAMP + b" mail sshd[1]: Flux down, says 192.0.2.7 port 22\n"
               + around)
    for options in ((), ("-v",)):
        made = [host.run("-cn", *options, edit=edit)[:2]
                for edit in ({}, {"RULES": logcheck.RULES.replace("\nsshd\n", row)})]
        assert made == [(0, b""), (0, b"192.0.2.7\n")]


def hostile_lines():
    """SIZE bytes of its own words for each beginning of a message, and lines that are hard to find
    the beginning in.
    """
    begun = {}
    for _, _, line in rule_lines():
        head, _, message = line.partition(b": ")
        begun.setdefault(re.sub(rb"[0-9.]+", b"", head[16:] + message[:24]), (head, message))
    for head, message in begun.values():
        for text in (message * (SIZE // len(message)), message + b" " * SIZE,
                     message[:-1] + message[-20:] * (SIZE // 20)):
            yield head + b": " + text
    typed = [(b" mail smtpd[1]: message repeated 2 times: [ 0123456789abcdef smtp failed-command "
              b'command="AUTH ', b'" result="5'),
             (b" mail dovecot[1]: message repeated 2 times: [ imap-login: Disconnected (auth "
              b"failed, 1 attempts): user=<", b">, rip=1.2.3.4, "),
             (b" mail sshd[1]: ", b"pam_x("), (b" mail sshd[1]: ", b"pam_x(sshd:auth): a"),
             (b" mail x: ", b": Failed ")]
    typed += [(begin, words) for begin in (b"", b" mail ") for words in (
        b"a/", b" a", b" ab", b"sshd[1]: ", b"last message repeated ",
        b"message repeated 2 times: [ ")]
    for begin, words in typed:
        yield STAMP + begin + words * (SIZE // len(words))
    yield b"2018-04-08T12:00:00." + b"1" * SIZE
    yield b"1:00:00" * (SIZE // 7)


def test_long_lines_take_linear_time(host):
    """What is not linear in the length would take hours, and ends here as hanging."""
    lines = hostile_lines()
    while True:
        some = list(itertools.islice(lines, 50))
        if not some:
            break
        host.write("authlog", b"\n".join(some))
        assert host.run("-cn", "--no-pf").returncode == 0


def test_nobody_can_be_framed_or_type_himself_innocent():
    assert list(itertools.islice(framing.faults(SEED, FRAMING_LINES), 5)) == []


def test_nobody_can_hide_by_typing():
    """For each thing that attackers do, one of the daemon's lines about it is judged, whatever
    they type into it.
    """
    court = Court()
    attacks = [line for line in framing.LINES if line[1].startswith((
        "Invalid user", "Bad protocol version", "Unable to negotiate",
        "Received disconnect from %s port 40022:11: %%s [preauth]" % framing.PEER,
        "NOQUEUE: reject: RCPT from unknown[%s]: 5" % framing.PEER, "NOQUEUE: reject: VRFY",
        "warning: unknown[%s]: SASL LOGIN" % framing.PEER, "improper", "PREGREET",
        "imap-login: Disconnected (auth failed", "imap-login: Login aborted"))]
    assert len(attacks) >= 12
    rng = random.Random(SEED)
    for _ in range(20000):
        program, text, lengths, _ = rng.choice(attacks)
        if program == "sshd":
            lengths = [min(length, 90) for length in lengths]
        message = framing.message(rng, program, text, lengths)
        if program == "sshd" and len(message) == framing.SSHD_LINE:
            continue  # cut; the other lines of the same attempt tell of it
        line = ("Apr  8 12:00:00 mail %s[1]: %s" % (program, message)).encode("latin-1")
        assert list(court.heard(line)) == [framing.PEER], "seed %d: %r" % (SEED, line)


# stories

def stories():
    """The stories of stories.txt: (name, {address: verdict}, options, lines of a log)."""
    with open(os.path.join(HERE, "stories.txt")) as file:
        parts = re.split("(?m)^---- ", file.read())[1:]
    for part in parts:
        name, *rows = [row for row in part.split("\n") if row and not row.startswith("#")]
        expected, options, lines = {}, [], []
        for row in rows:
            if row.startswith("-"):
                options += row.split()
            elif "\t" in row:
                times, program, message = row.split("\t", 2)
                lines += ["Apr  8 12:00:00 mail %s: %s\n" % (program, message)] * int(times)
            else:
                address, expected[address] = row.split(" ", 1)
        yield name, expected, options, lines


@pytest.mark.parametrize("name, expected, options, lines", list(stories()),
                         ids=[story[0] for story in stories()])
def test_story(host, name, expected, options, lines):
    host.write("authlog", "".join(lines).encode())
    code, out, err = host.run("-cnv", "--no-pf", *options)
    found, section = {}, ""
    for row in err.split("\n"):
        title = re.match("new |let off |near misses ", row)
        if title or not row:
            section = title.group().strip() if title else ""
        elif section and not row.startswith(" "):
            found[row.split()[0]] = {"new": "banned", "near misses": "near"}.get(section, section)
    assert code == 0
    assert found == {address: what for address, what in expected.items() if what != "quiet"}
    assert out.decode().split() == sorted(a for a, what in expected.items() if what == "banned")


BOB = "sshd[1]: Failed password for bob from 198.51.100.9 port 40022 ssh2"
RSYSLOG = BOB.replace(" Failed", " message repeated %d times: [ Failed") + "]"
IMAP = ("dovecot: imap-login: Disconnected (auth failed, 3 attempts in 9 secs): user=<bob>, "
        "method=PLAIN, rip=198.51.100.9, lip=192.0.2.25, session=<a>")
REPEATS = "last message repeated %d times"


@pytest.mark.parametrize("banned, options, mail, auth", [
    (False, [], [], [BOB] * 4), (True, [], [], [BOB] * 5),
    (True, ["-k", "4"], [], [BOB] * 4), (False, ["--count", "6"], [], [BOB] * 5),
    # both logs, and kinds
    (True, [], [IMAP], [BOB] * 2), (False, ["-k", "6"], [IMAP], [BOB] * 2),
    # how rsyslog and syslogd shorten them
    (False, [], [], [RSYSLOG % 4]), (True, [], [], [RSYSLOG % 5]),
    (False, [], [], [BOB, REPEATS % 3]), (True, [], [], [BOB, REPEATS % 4]),
    (False, [], [], [BOB, "cron[2]: x", REPEATS % 4]),
    # or a later rsyslogd
    (True, [], [], [BOB, "sshd[1]: " + REPEATS % 4]),
    (False, [], [], [BOB, "sshd[2]: " + REPEATS % 4]),
    (False, [], [], [BOB, "sshd[1]: x " + REPEATS % 4]),
    (False, [], [], [BOB, "cron[2]: " + REPEATS % 4])])
def test_failures_make_an_attacker_from_the_fifth_on(host, banned, options, mail, auth):
    assert careful(host, *options, mail=mail, auth=auth) == ["198.51.100.9"] * banned


FAILURE = "sshd[1]: Failed password for bob from 192.0.2.1 port 1 ssh2"
GUESS = "mail postfix/smtpd[7]: warning: h.example[192.0.2.1]: SASL LOGIN authentication failed: "


@pytest.mark.parametrize("lines, banned", [
    # syslogd says so again and again
    (["mail " + FAILURE] + ["mail " + REPEATS % 2] * 2, True),
    # all that a line says is repeated: our login service's failures buy no guesses back
    ([GUESS + "generic failure", "mail " + REPEATS % 30] + [GUESS + "UGFzc3dvcmQ6"] * 5, True),
    ([GUESS + "generic failure", "mail " + REPEATS % 30] + [GUESS + "UGFzc3dvcmQ6"] * 4, False),
    # on a loghost, of the same host's line; its name in another's text means nothing
    ([GUESS + "UGFzc3dvcmQ6", "web kernel: the mail queue", "mail " + REPEATS % 4], True),
    ([GUESS + "UGFzc3dvcmQ6", "web kernel: up", "web " + REPEATS % 4], False),
    ([GUESS + "UGFzc3dvcmQ6", "mail kernel: up", "mail " + REPEATS % 4], False),
    # in a log without hosts
    ([FAILURE, REPEATS % 4], True), ([FAILURE, REPEATS % 3], False)])
def test_what_syslogd_repeats(host, lines, banned):
    host.write("maillog", "".join("Apr  8 12:00:00 %s\n" % line for line in lines).encode())
    assert careful(host) == ["192.0.2.1"] * banned


@pytest.mark.parametrize("typed", ["Disconnecting 203.0.113.9: bad service request ",
                                   "Accepted x for x from 192.0.2.1 ssh2: "])
def test_typed_text_is_no_line_that_syslogd_repeats(host, typed):
    """A repeats a line that lies too far back; what was typed at B is cut at every place."""
    text = "Apr  8 12:00:00 A sshd[1]: " + typed
    line = "Apr  8 12:00:00 B sshd[1]: %s user %s from 192.0.2.1 port 5\n"
    for pad in range(len(text)):
        host.write("authlog", (
            line % ("Invalid", "x") + line % ("input_userauth_request: invalid", text * 5) * 60
            + "x" * pad + "\nApr  8 12:00:01 A last message repeated 9 times\n").encode())
        assert careful(host) == ["192.0.2.1"]


@pytest.mark.parametrize("between", (0, 1, 40000))
@pytest.mark.parametrize("before", range(4020, 4036))
def test_syslogd_repeats_count_from_block_to_block(host, before, between):
    """The border of a block comes before, in and behind the lines; a sparse log, so that few of its
    lines are looked at.
    """
    other = STAMP + b" mail cron[2]: " + b"x" * 34 + b"\n"
    assert len(other) * 4030 < logcheck.BLOCK < len(other) * 4100
    host.write("authlog", other * before + STAMP + b" mail " + BOB.encode() + b"\n"
               + other * between + STAMP + b" mail last message repeated 4 times\n" + other * 4000)
    code, out, _ = host.run("-cn", "--no-pf", *["-v"] * (before % 2))
    assert (code, out.split()) == (0, [] if between else [b"198.51.100.9"])


@pytest.mark.parametrize("logged, found", [
    ("2001:DB8:0:0::1", ["2001:db8::/64"]), ("2001:db8::0:1", ["2001:db8::/64"]),
    ("2001:db8::1%em0", ["2001:db8::/64"]), ("fe80::1%em0", []),
    ("::ffff:198.51.100.9", ["198.51.100.9"]), ("127.0.0.1", []), ("::1", []), ("0.0.0.0", []),
    ("::", []), ("224.0.0.1", []), ("ff02::1", []), ("169.254.1.1", []), ("fe80::1", []),
    ("999.1.1.1", []), ("1.2.3", []), ("10.1.1.1", ["10.1.1.1"])])
def test_one_spelling_and_only_addresses_that_attack(host, logged, found):
    assert careful(host, auth=["sshd[1]: Invalid user x from %s port 22" % logged]) == found


# the range

STAMPS = {  # time.strftime() of the stamp, in UTC or local time
    "syslog": ("%b %e %H:%M:%S", time.localtime), "ISO": ("%Y-%m-%dT%H:%M:%S", time.localtime),
    "offset": ("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime)}


@pytest.mark.parametrize("zone", ("America/New_York", "Europe/London", "Europe/Prague",
                                  "Australia/Lord_Howe", "America/Sao_Paulo"))
def test_every_line_is_in_the_range_of_some_night(zone):
    """All nights of a year at 01:30, the runs some seconds late; a line each quarter of an hour.
    The lines of a night that the next one has not seen, or that are a day too old, are wrong.
    """
    before = nights.in_zone(zone)
    try:
        runs = [night + day * 7 % 50 for day, night in enumerate(nights.runs(2018))]
        ranges = [logcheck.Range(night, 1) for night in runs]
        for first, last, days in zip(runs, runs[1:], ranges[1:]):
            for second in range(first + 1, last, 900):
                for kind, (form, clock) in STAMPS.items():
                    line = time.strftime(form, clock(second)).encode() + b" mail x"
                    assert days.holds(line), (zone, kind, line, time.ctime(last))
            for second in (first - 4 * 3600, last + 2 * 3600):
                line = time.strftime(STAMPS["offset"][0], time.gmtime(second)).encode()
                assert not days.holds(line + b" mail x"), (zone, line, time.ctime(last))
    finally:
        nights.in_zone(before)


def test_what_the_shell_misses_is_what_the_README_says():
    with open(os.path.join(TOP, "README")) as file:
        readme = file.read()
    blind, hours = nights.shell_blind_nights(2018)
    assert "%d nights a year" % len(blind) in readme and "%d hours" % hours in readme
    for hour in (0, 12, 18):
        assert "%.1f%%" % nights.shell_share(2018, hour) in readme


@pytest.mark.parametrize("hour", range(24))
def test_rotated_logs_are_read(host, hour):
    """newsyslog rotates at any hour of the day: the run at 01:30 finds every line of its day."""
    lines = []
    for number in range(3 * 144):  # Apr 6 01:30 to Apr 9 01:20, one address a line
        second = NOW - 3 * 86400 + number * 600
        lines.append((second, time.strftime("%b %e %H:%M:%S", time.gmtime(second)).encode()
                      + INVALID[len(STAMP):] % (b"10.0.%d.%d" % divmod(number, 250))))
    midnight = NOW - 5400
    ends = [second for second in range(midnight - 2 * 86400 + hour * 3600, NOW, 86400)] + [NOW]
    for number, end in enumerate(reversed(ends)):
        name = ("authlog.%d.gz" % (number - 1) if number > 1 else "authlog.0" if number
                else "authlog")
        text = b"".join(line for second, line in lines
                        if max([0] + [other for other in ends if other < end]) <= second < end)
        host.write(name, gzip.compress(text) if number > 1 else text)
        os.utime(host.path(name), (end, end))
    assert careful(host) == [line.split()[9].decode() for second, line in lines
                             if second >= NOW - 86400 - 7200]


@pytest.mark.parametrize("suffix", [".0", ".1", ".0.gz", ".3.bz2", ".1.xz", "-20180408",
                                    "-20180408.gz", ".20180408T000000.gz"])
def test_names_of_rotated_logs(host, suffix):
    opener = OPENERS.get(os.path.splitext(suffix)[1], open)
    with opener(host.path("authlog" + suffix), "wb") as file:
        file.write(INVALID % b"192.0.2.7")
    assert careful(host) == ["192.0.2.7"]
    # also while the log itself is away
    os.remove(host.path("authlog"))
    code, out, err = host.run("-cn", "--no-pf")
    assert (code, out) == (1, b"192.0.2.7\n")
    assert err == "logcheck: %s: No such file or directory\n" % host.path("authlog")


def test_other_names_are_no_logs(host):
    for name in ("authlog.bak", "authlog.0.tmp", "authlogx.0", "authlog0", "authlog.old",
                 "xauthlog.0"):
        host.write(name, INVALID % b"192.0.2.7")
    # nor is one opened that is too old to hold the range
    host.write("authlog.5.gz", b"no gzip at all")
    os.utime(host.path("authlog.5.gz"), (NOW - 40 * 3600,) * 2)
    assert careful(host) == []


def test_folder_that_cannot_be_listed(host):
    def prepare():
        os.listdir = lambda path: os.scandir(host.path("authlog"))
    host.write("authlog", INVALID % b"192.0.2.7")
    assert host.run("-cn", "-m", "-", prepare=prepare) == (
        1, b"192.0.2.7\n", "logcheck: %s: Not a directory\n" % host.folder)


def test_log_being_compressed_is_read_once(host):
    host.write("authlog.0", FAILED % b"192.0.2.7" * 4)
    host.write("authlog.0.gz", gzip.compress(FAILED % b"192.0.2.7" * 4)[:-9])
    assert careful(host) == []
    assert careful(host, "-k", "4") == ["192.0.2.7"]


@pytest.mark.parametrize("now, tz, stamp, seen", [
    ("2018-04-01 01:30", "UTC", "Mar 31 12:00:00", True),
    ("2018-03-01 01:30", "UTC", "Jan 15 12:00:00", False),
    ("2018-01-01 01:30", "UTC", "Dec 31 12:00:00", True),
    ("2020-03-01 01:30", "UTC", "Feb 29 12:00:00", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:29:59", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:30:00", True),
    ("2018-04-10 01:30", "UTC", "Apr 10 01:30:01", False),
    ("2018-04-10 01:30", "UTC", "Apr  9 01:30:00", True),
    ("2018-04-10 01:30", "UTC", "Apr  8 23:30:00", True),  # two hours more
    ("2018-04-10 01:30", "UTC", "Apr  8 23:29:59", False),
    ("2018-04-10 01:30", "UTC", "Apr 09 01:30:00", True),
    ("2018-10-29 01:30", "Europe/Prague", "Oct 28 02:00:00", True),  # 25 hours
    ("2018-04-10 01:30", "UTC", "2018-04-09T12:00:00Z", True),
    ("2018-04-10 01:30", "UTC", "2018-04-09T12:00:00.123456+02:00", True),
    ("2018-04-10 01:30", "UTC", "2018-04-10T03:29:59+02:00", True),
    ("2018-04-10 01:30", "UTC", "2018-04-10T03:30:01+02:00", False),
    ("2018-04-10 01:30", "UTC", "2018-04-10T07:00:00+05:30", True),
    ("2018-04-10 01:30", "UTC", "2018-04-10T07:00:01+05:30", False),
    ("2018-04-10 01:30", "UTC", "2018-04-09T20:00:00-0530", True),
    ("2018-04-10 01:30", "UTC", "2018-04-09T20:00:01-0530", False),
    ("2018-04-10 01:30", "UTC", "2018-04-08T23:30:00Z", True),
    ("2018-04-10 01:30", "UTC", "2018-04-08T23:29:59Z", False),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-09T23:29:59.000Z", True),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-09T23:30:01.000Z", False),
    ("2018-04-10 01:30", "Europe/Prague", "2018-04-10T01:29:59", True),
    ("2018-04-10 01:30", "UTC", "2017-04-09T12:00:00Z", False),
    ("2018-04-10 01:30", "UTC", "2018-13-45T99:00:00Z", False)])
def test_dates_are_dates(host, now, tz, stamp, seen):
    host.now, host.tz = now, tz
    host.write("authlog", stamp.encode() + b" mail sshd[1]: Invalid user x from 192.0.2.7\n")
    assert careful(host) == ["192.0.2.7"] * seen


@pytest.mark.parametrize("before, seen", [
    (" mail ", True), (" ", True), (" 2001:db8::9 ", True), (".123456 mail ", True),
    (" <38> mail ", True), (" <auth.info> mail ", True), (" mail <auth.info> ", True),
    (" mail auth.info ", True),  # as busybox does it
    (" mail x: ", False), (" mail x ", False), ("", False)])
def test_what_may_stand_before_the_program(host, before, seen):
    host.write("authlog", STAMP + before.encode() + b"sshd[1]: Invalid user x from 192.0.2.7\n")
    assert careful(host) == ["192.0.2.7"] * seen


@pytest.mark.parametrize("days, seen", [("1", 1), ("3", 3), ("31", 31), ("366", 40), ("5000", 40)])
def test_days(host, days, seen):
    host.write("authlog", b"".join(
        b"%s mail sshd[1]: Invalid user x from 192.0.2.%d port 22\n" % (
            time.strftime("%b %e %H:%M:%S", time.gmtime(NOW - 43200 - 86400 * day)).encode(),
            day + 1) for day in range(40)))
    assert len(careful(host, "--days", days)) == seen


def test_a_log_given_twice_counts_once(host):
    host.write("authlog", FAILED % b"192.0.2.7" * 3)
    host.write("authlog.0", b"")
    os.symlink("authlog", host.path("link"))
    for option in ("-m", "-a"):
        for name in ("authlog", "link"):
            assert careful(host, option, host.path(name), "-a", host.path("authlog")) == []
    host.write("authlog.0", FAILED % b"192.0.2.7" * 3)
    assert careful(host, "-a", host.path("authlog"), "-a", host.path("authlog.0"), "-k", "7") == []
    assert careful(host, "-k", "6") == ["192.0.2.7"]


def test_more_logs_than_files_may_be_open(host):
    options = []
    for number in range(120):
        host.write("log%d" % number, INVALID % (b"198.51.100.%d" % number))
        host.write("log%d.0" % number, INVALID % (b"198.51.101.%d" % number))
        options += ["-a" if number % 2 else "-m", host.path("log%d" % number)]
    assert careful(host, *options, process=True, prepare=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (128, 128))) == ["198.51.%d.%d" % (third, number) for third in
                                                 (100, 101) for number in range(120)]


@pytest.mark.parametrize("short", range(-2, 3))
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_lines_at_the_borders_of_blocks(host, short, newline):
    line = INVALID.rstrip(b"\n")
    size = logcheck.BLOCK - short - len(line % b"192.0.2.7") - 1
    filler = b"Apr  8 12:00:00 mail x[1]: %s\n"
    filler %= b"y" * (size - len(filler) + 2)
    host.write("authlog", filler + line % b"192.0.2.7" + b"\n" + line % b"192.0.2.8" + newline)
    assert careful(host) == ["192.0.2.7", "192.0.2.8"]


def test_a_line_that_comes_in_pieces(host):
    """Short reads, from a pipe, are no long line."""
    script = ("printf 'line\\n'; sleep .1; printf 'Apr  8 12:00:00 m sshd[1]: Invalid user a'; "
              "sleep .1; printf ' from 192.0.2.1 port 22\\n'")
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as writer:
        assert host.run("-cn", "-a", "-", stdin=writer.stdout).stdout == b"192.0.2.1\n"


# hostile sizes

def test_memory_stays_flat(host):
    """A line of 50 MB, and 40 MB of typed text."""
    texts = b"".join(line + b"\n" for _, line in framing.lines(SEED, 1000))
    with open(host.path("authlog"), "wb") as file:
        file.write(INVALID % (b"x" * 50000000 + b" from 203.0.113.9"))
        for _ in range(40000000 // len(texts)):
            file.write(texts)
    program = ("import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)")
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-IS", SCRIPT, "--no-pf", "-c"]
        + host.arguments(), stdout=subprocess.PIPE, env=host.environment(), check=True)
    assert host.read().decode().splitlines() == [framing.PEER]
    kilobytes = int(done.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 32 * 1024
