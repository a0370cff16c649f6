"""Careful mode: rules, stories, ranges, rotated logs, and nobody framed or washed clean.

A new log message is a new line in rules.txt, several lines of one peer a new story in stories.txt,
what is typed a line in typed.txt, a stamp one in stamps.txt; the files' heads say how.
"""
import bz2
import gzip
import itertools
import lzma
import os
import re
import resource
import time

import pytest

import framing
import nights
from framing import Court, rule_lines, rows
from host import NOW, STAMP, TOP, Host, contents, logcheck, parts, repeated, section, set_zone

SEED, FRAMING_LINES = 20180228, 10000
SIZE = 150000  # bytes of a long line
INVALID = STAMP + b" mail sshd[1]: Invalid user x from %s port 22\n"
FAILED = STAMP + b" mail sshd[1]: Failed password for bob from %s port 22 ssh2\n"
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@pytest.fixture
def host(empty):
    return empty


def careful(host, *options, **how):
    """The table (list of str) that logcheck.py -c makes without pf."""
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


def test_every_rule_has_a_line():
    """Without any row of RULES, something else is told by some line of rules.txt."""
    def told(line):
        court.heard(line)
        return sorted((rule.what, rule.door, rule.witness, times)
                      for case in court.cases.values() for rule, times in dict(case).items())

    court = Court()
    table, before = court.rules, [told(line) for _, _, line in rule_lines()]
    for template in sorted({rule.template for rule in logcheck.rules()}):
        court.rules = {begin: [(head, [rule for rule in fitting if rule.template != template])
                               for head, fitting in rows] for begin, rows in table.items()}
        court.sessions.clear()
        court.marked.clear()
        assert any(told(line) != what for (_, _, line), what in zip(rule_lines(), before)), template


@pytest.mark.parametrize("around", (b"", QUIET * 2, DENSE.replace(b"198.51.100.77", b"127.0.0.1")),
                         ids=("alone", "quiet", "dense"))
def test_a_rule_added_to_the_table_is_found(host, around):
    first = "\nSURE/ssh/user "  # behind the fields
    row = "\nSURE/ssh/new  new  Flux {up|down}, says <PEER>"
    host.write("authlog", around + STAMP + b" mail sshd[1]: Flux down, says 192.0.2.7 port 22\n"
               + around)
    for options in ((), ("-v",)):
        made = [host.run("-cn", *options, edit=edit)[:2]
                for edit in ({}, {"RULES": logcheck.RULES.replace(first, row + first)})]
        assert made == [(0, b""), (0, b"192.0.2.7\n")]


@pytest.mark.parametrize("row, wrong", [
    ("SUER/ssh/new  new  Flux <IP>", "no such verdict"),
    ("SURE/ssh/new new  Flux <IP>", "no such verdict"),
    ("SURE/ssh/new  new Flux <IP>", "two blanks belong between verdict, why and template"),
    ("SURE/ssh/new  new  Flux <WORD>", "no <IP>"),
    ("SURE/ssh/new  new  Flux <IP> <NOSUCH>", "no such field: <NOSUCH>"),
    ("SURE/ssh/new  new  Flux <IP>\n\nsshdd\nSURE/ssh/new  new  Flux <IP>",
     "no such daemon: sshdd")])
def test_a_row_that_cannot_be_used_stops_the_program_and_is_named(host, row, wrong):
    host.write("authlog", INVALID % b"192.0.2.7")
    before = host.read()
    rules = logcheck.RULES.replace("\nsshd\n", "\nsshd\n%s\n" % row)
    assert host.run("-c", edit={"RULES": rules}) == (
        1, b"", "logcheck: RULES: %s: %s\n" % (wrong, row.split("\n")[-1]))
    assert host.read() == before and host.pf_calls() == []


def hostile_lines():
    """SIZE bytes of its own words for each beginning of a message, and of what is in hard.txt."""
    begun = {}
    for _, _, line in rule_lines():
        head, _, message = line.partition(b": ")
        begun.setdefault(re.sub(rb"[0-9.]+", b"", head[16:] + message[:24]), (head, message))
    for head, message in begun.values():
        for text in (message * (SIZE // len(message)), message + b" " * SIZE,
                     message[:-1] + message[-20:] * (SIZE // 20)):
            yield head + b": " + text
    for _, (head, words) in rows("hard.txt"):
        yield head.encode() + words.encode() * (SIZE // len(words))


def test_long_lines_take_linear_time(host):
    """What is not linear in the length would take hours, and ends here as hanging."""
    lines = list(hostile_lines())
    for first in range(0, len(lines), 50):
        host.write("authlog", b"\n".join(lines[first:first + 50]))
        assert host.run("-cn", "--no-pf").returncode == 0


def test_nobody_can_be_framed_and_nobody_hides_by_typing():
    assert list(itertools.islice(framing.faults(SEED, FRAMING_LINES), 5)) == []


# stories

def stories():
    """The stories of stories.txt: (name, {address: verdict}, options, {log's name: lines})."""
    for name, rows in parts("stories.txt"):
        expected, options, logs, second = {}, [], {"maillog": b"", "authlog": b""}, 0
        for row in rows:
            if row.startswith("-"):
                options += row.split()
            elif "\t" in row:
                times, *words = row.split("\t", 2)
                log, line = "maillog", words[0]
                if len(words) == 2:
                    log = "authlog" if words[0].startswith("sshd") else "maillog"
                    line = "mail %s: %s" % tuple(words)
                for _ in range(int(times)):
                    second += 1
                    logs[log] += b"Apr  8 %02d:%02d:%02d %s\n" % (
                        12 + second // 3600, second // 60 % 60, second % 60, line.encode())
            else:
                address, expected[address] = row.split(" ", 1)
        yield name, expected, options, logs


@pytest.mark.parametrize("name, expected, options, logs", list(stories()),
                         ids=[story[0] for story in stories()])
def test_story(host, name, expected, options, logs):
    for log, text in logs.items():
        host.write(log, text)
    code, out, err = host.run("-cnv", "--no-pf", *options)
    found = {address: what for title, what in (
        ("new ", "banned"), ("let off ", "let off"), ("near misses ", "near"))
        for address in section(err.encode(), title)[0]}
    assert code == 0
    assert found == {address: what for address, what in expected.items() if what != "quiet"}
    assert out.decode().split() == sorted(a for a, what in expected.items() if what == "banned")


@pytest.mark.parametrize("typed", ["Disconnecting 203.0.113.9: bad service request ",
                                   "Accepted x for x from 192.0.2.1 ssh2: "])
def test_typed_text_is_no_line_that_syslogd_repeats(host, typed):
    """A repeats a line that lies too far back; what was typed at B is cut at every place."""
    text = "Apr  8 12:00:00 A sshd[1]: " + typed
    line = "Apr  8 12:00:00 B sshd[1]: %s user %s from 192.0.2.1 port 5\n"
    host.write("authlog", (line % ("Invalid", "x") + "".join(
        line % ("input_userauth_request: invalid", text * 5) * 60
        + "x" * pad + "\nApr  8 12:00:01 A last message repeated 9 times\n"
        for pad in range(len(text)))).encode())
    assert careful(host) == ["192.0.2.1"]


@pytest.mark.parametrize("before, between", [
    (before, between) for before in range(1016, 1032) for between in (0, 1)] + [(1023, 40000)])
def test_syslogd_repeats_count_from_block_to_block(host, before, between):
    """The border of a block comes before, in and behind the lines; a sparse log, so that few of its
    lines are looked at.
    """
    other = STAMP + b" mail cron[2]: " + b"x" * 33 + b"\n"
    assert len(other) * 1024 == logcheck.BLOCK
    host.write("authlog", other * before + FAILED % b"198.51.100.9"
               + other * between + STAMP + b" mail last message repeated 4 times\n" + other * 4000)
    code, out, _ = host.run("-cn", "--no-pf", *["-v"] * (before % 2))
    assert (code, out.split()) == (0, [] if between else [b"198.51.100.9"])


# the range

STAMPS = (  # time.strftime() of a stamp, in local time or UTC
    ("%b %e %H:%M:%S", time.localtime), ("%Y-%m-%dT%H:%M:%S", time.localtime),
    ("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime))


@pytest.mark.parametrize("zone", ("America/New_York", "Europe/London", "Europe/Prague",
                                  "Australia/Lord_Howe", "America/Sao_Paulo"))
def test_every_line_is_in_the_range_of_some_night(zone):
    """All nights of a year at 01:30, the runs some seconds late; a line every four hours, or each
    quarter of one where the clock was put on or back. The lines of a night that the next one has
    not seen, or that are a day too old, are wrong.
    """
    set_zone(zone)
    runs = [night + day * 7 % 50 for day, night in enumerate(nights.runs(2018))]
    ranges = [logcheck.Range(night, 1) for night in runs]
    for first, last, days in zip(runs, runs[1:], ranges[1:]):
        put = time.localtime(first).tm_gmtoff != time.localtime(last).tm_gmtoff
        for second in [*range(first + 1, last, 900 if put else 14400), last - 1]:
            for form, clock in STAMPS:
                line = time.strftime(form, clock(second)).encode() + b" mail x"
                assert days.holds(line), (zone, line, time.ctime(last))
        for second in (first - 4 * 3600, last + 2 * 3600):
            line = time.strftime(STAMPS[2][0], time.gmtime(second)).encode() + b" mail x"
            assert not days.holds(line), (zone, line, time.ctime(last))


def test_what_the_shell_misses_is_what_the_README_says():
    with open(os.path.join(TOP, "README")) as file:
        readme = file.read()
    blind, hours, shares = nights.shell_sees(2018)
    assert "%d nights a year" % len(blind) in readme and "%d hours" % hours in readme
    for hour in (0, 12, 18):
        assert "%.1f%%" % shares[hour] in readme


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


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("name", [
    "authlog" + suffix for suffix in (".0", ".1", ".0.gz", ".3.bz2", ".1.xz", "-20180408",
                                      "-20180408.gz", ".20180408T000000.gz")] + [
    "mail.1.log", "mail.1.log.gz", "mail.20261205.log", "mail-20261205.log.xz", "mail.log.1.gz",
    "mail.log-20261205_0600", "mail.log.2026-12-05T10:00:00", "mail.log-2026-12-05T10:00:00+01:00",
    "@400000006b0e70250c5a0a6c.s", "@400000006b0e70250c5a0a6c.u", "log-2026-12-05-10:00:00.gz"])
def test_names_of_rotated_logs(host, name, linked):
    """newsyslog's, logrotate's ("extension .log", other dates), svlogd's, metalog's; of a link."""
    log, end = {"a": ("authlog", ""), "m": ("mail", ".log")}.get(name[0], ("current", ""))
    os.mkdir(host.path("target"))
    with OPENERS.get(os.path.splitext(name)[1], open)(host.path("target/" + name), "wb") as file:
        file.write(INVALID % b"192.0.2.7")
    for other in (end + ".bak", ".1%s.bak" % end, "x.1" + end, ".1%sx" % end, ".x" + end, "0" + end,
                  end + ".0.tmp", end + ".old"):
        host.write("target/" + log + other, INVALID % b"192.0.2.9")
    host.write("target/x%s.0" % (log + end), INVALID % b"192.0.2.9")
    host.write("target/" + log + end, INVALID % b"192.0.2.8")
    os.symlink("target/" + log + end, host.path("link"))
    path = host.path("link" if linked else "target/" + log + end)
    assert careful(host, "-a", path) == ["192.0.2.7", "192.0.2.8"]
    if not linked:  # also while the log itself is away
        os.remove(path)
        assert host.run("-cn", "--no-pf", "-a", path) == (
            1, b"192.0.2.7\n", "logcheck: %s: No such file or directory\n" % path)


def test_folder_that_cannot_be_listed(host):
    def prepare():
        os.listdir = lambda path: os.scandir(host.path("authlog"))
    host.write("authlog", INVALID % b"192.0.2.7")
    assert host.run("-cn", "-m", "-", prepare=prepare) == (
        1, b"192.0.2.7\n", "logcheck: %s: Not a directory\n" % host.folder)


@pytest.mark.parametrize("minutes, last, said", [
    (540, STAMP, True), (-300, STAMP, True), (32, STAMP, True), (28, STAMP, True),
    (345, STAMP, True), (841, STAMP, True), (540, b"2018-04-08T12:00:00", True),
    (0, STAMP, False), (15, STAMP, False), (27, STAMP, False), (33, STAMP, False),
    (550, STAMP, False), (855, STAMP, False), (540, b"2018-04-08T12:00:00Z", False),
    (540, b"2018-04-08T12:00:00.1+00:00", False), (540, b"2018-04-08 12:00:00-00", False)])
def test_clock_of_another_zone_is_said(host, minutes, last, said):
    """A log's last stamp, and the time of its last change."""
    host.write("authlog", INVALID % b"192.0.2.7" + last + b" mail cron[1]: x\n")
    host.write("authlog.0", INVALID % b"192.0.2.8")
    changed = NOW - 48600 + minutes * 60  # 12:00 is 13 and a half hours before
    os.utime(host.path("authlog"), (changed,) * 2)
    assert host.run("-cn", "--no-pf") == (0, b"192.0.2.7\n192.0.2.8\n", (
        "logcheck: %s: its last stamp is %s, and it was changed at %s: are the stamps of "
        "another time zone?\n" % (host.path("authlog"), last.decode(),
                                  time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(changed)))) * said)


def test_log_being_compressed_is_read_once(host):
    host.write("authlog.0", repeated(FAILED % b"192.0.2.7", 4))
    host.write("authlog.0.gz", gzip.compress(repeated(FAILED % b"192.0.2.7", 4))[:-9])
    assert careful(host) == []
    assert careful(host, "-k", "4") == ["192.0.2.7"]


@pytest.mark.parametrize("seen, now, stamp", [row for _, row in rows("stamps.txt")])
def test_dates_are_dates(host, seen, now, stamp):
    host.now, _, host.tz = now.rpartition(" ")
    host.write("authlog", stamp.encode() + b" mail sshd[1]: Invalid user x from 192.0.2.7\n")
    assert careful(host) == ["192.0.2.7"] * (seen == "in")


DENIED = b"auth(ann,192.0.2.1,sasl:login)<AbC>: Info: sql: Password mismatch"


@pytest.mark.parametrize("word, layout", list(framing.layouts()))
def test_layouts(host, word, layout):
    line = layout(b"sshd", DENIED if word == "dovecot" else b"Invalid user x from 192.0.2.1 port 5")
    host.write("authlog", b"".join(line.replace(b"AbC", b"AbC%d" % n) + b"\n"
                                   for n in range(1 if word in ("alone", "unheard") else 5)))
    code, out, err = host.run("-cn", "--no-pf")
    assert (code, out) == (0, b"192.0.2.1\n" * (word in ("heard", "dovecot", "alone")))
    assert re.fullmatch("logcheck: .*/authlog: no rule can read what stands before this message: "
                        ".* Invalid user x from .*\n" if word in ("said", "unheard") else "", err)


SYSLOGDS = os.path.join(TOP, "fixtures", "real-syslogds")


@pytest.mark.parametrize("name", sorted(set(os.listdir(SYSLOGDS)) - {
    "bruteforce", "pf-table", "now", "expected", "expected-careful"}))
def test_syslogds(tmp_path, name):
    night = Host.load(SYSLOGDS, tmp_path)
    expected = contents(os.path.join(SYSLOGDS, "expected-careful")).decode().split()
    if name == "metalog":  # was sent five wrong passwords in one second: one event
        night.now = 1796097000
        expected.remove("203.0.113.57")
    night.write("log", contents(os.path.join(SYSLOGDS, name)))
    os.utime(night.path("log"), (night.now, night.now))  # when its last line was written
    assert careful(night, "-m", night.path("log"), "-a", "/dev/null") == expected


def test_a_log_given_twice_counts_once(host):
    host.write("authlog", repeated(FAILED % b"192.0.2.7", 3))
    host.write("authlog.0", b"")
    os.symlink("authlog", host.path("link"))
    for option in ("-m", "-a"):
        for name in ("authlog", "link"):
            assert careful(host, option, host.path(name), "-a", host.path("authlog")) == []
    host.write("authlog.0", repeated(FAILED % b"192.0.2.7", 3))
    assert careful(host, "-a", host.path("authlog"), "-a", host.path("authlog.0"), "-k", "7") == []
    assert careful(host, "-k", "6") == ["192.0.2.7"]


def test_more_logs_and_generations_than_files_may_be_open(host):
    options = ["-a", host.path("authlog")]
    for number in range(140):
        for third, name in ((100, "log%d"), (101, "log%d.0"), (102, "authlog.%d")):
            host.write(name % number, INVALID % (b"198.51.%d.%d" % (third, number)))
        os.utime(host.path("authlog.%d" % number), (NOW - number,) * 2)
        options += ["-a" if number % 2 else "-m", host.path("log%d" % number)]
    assert careful(host, *options, process=True, prepare=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (128, 128))) == ["198.51.%d.%d" % (third, number) for third in
                                                 (100, 101, 102) for number in range(140)]


@pytest.mark.parametrize("short", range(-2, 3))
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_lines_at_the_borders_of_blocks(host, short, newline):
    line = INVALID.rstrip(b"\n")
    size = logcheck.BLOCK - short - len(line % b"192.0.2.7") - 1
    filler = b"Apr  8 12:00:00 mail x[1]: %s\n"
    filler %= b"y" * (size - len(filler) + 2)
    host.write("authlog", filler + line % b"192.0.2.7" + b"\n" + line % b"192.0.2.8" + newline)
    assert careful(host) == ["192.0.2.7", "192.0.2.8"]
