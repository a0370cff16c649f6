"""The table's life: entries that expire and say why, forgiveness, pf's limit, careful mode's
replacement of pf's table, and the first line of the report. pf keeps tables here.

The last part compares random sequences of operations with a plain model of the rules.
usage: test_table.py N [FIRST-SEED] runs N of them. A new case is a test of its own, or, where it
is a rule of the table's life, also a line in Model.
"""
import concurrent.futures
import os
import random
import re
import sys
import tempfile
import time

import pytest

from host import NOW, SHOWN, Host

DAY = 86400
MODES = pytest.mark.parametrize("mode", ((), ("-c",)), ids=("default", "careful"))
REFUSAL = "Syntax error in config file"


def auth(address, now=NOW, user=b"root"):
    """A line (bytes) of authlog, 12 hours before now, that names an address in both modes."""
    return b"%s mx sshd[2]: Failed password for %s from %s port 9 ssh2\n" % (
        time.strftime("%b %e %H:%M:%S", time.gmtime(now - DAY // 2)).encode(), user, address)


def keeps(host, pf=(), limit=200000):
    """Give a host a pf whose tables stay, and which knows a name. Returns the host."""
    host.keep_tables(pf, limit)
    host.write("pf/hosts", b"host.example 203.0.113.250\n")
    host.env["PF_TABLE"] = None
    return host


@pytest.fixture
def host(empty):
    return keeps(empty)


# Entries that expire.

BY_HAND = [b"# our own list", b"!192.0.2.99", b"192.0.2.50 # kept by hand", b"198.51.100.0/24",
           b"host.example", b"2001:db8:1::/48"]


@MODES
def test_expire(host, mode):
    host.write("authlog", auth(b"192.0.2.1") + auth(b"192.0.2.2"))
    host.write("bruteforce", b"192.0.2.2 # 2018-01-01 old\n192.0.2.3 # 2018-03-10 a reason\n"
             b"192.0.2.4 # 2018-03-09 another\n192.0.2.5\n")
    host.pf_holds(b"192.0.2.4", b"192.0.2.6")
    why = b"sshd: root failed" if mode else b"authlog"
    assert host.run("-x", "30", *mode) == (0, b"", "")
    assert host.read() == (
        b"192.0.2.1 # 2018-04-09 %s\n192.0.2.2 # 2018-04-09 %s\n192.0.2.3 # 2018-03-10 a reason\n"
        b"192.0.2.5 # 2018-04-09 in the table before\n192.0.2.6 # 2018-04-09 pf's own table\n"
        % (why, why))
    assert host.pf() == {b"192.0.2.%d" % number for number in (1, 2, 3, 5, 6)}


def test_networks_of_ipv6_expire(host):
    for day, name in ((0, b"2001:db8::1"), (9, b"2001:db8::2"), (18, b"192.0.2.1"),
                      (20, b"192.0.2.1")):
        host.now = NOW + day * DAY
        host.write("authlog", auth(name, host.now))
        assert host.run("-c", "-x", "10") == (0, b"", "")
        assert (b"2001:db8::/64" in host.pf()) == (day < 20)
        assert (b"2001:db8::/64 # 2018-04-%s sshd: root failed\n" % (b"09" if day == 0 else b"18")
                in host.read()) == (day < 20)


@MODES
def test_by_hand_stays_for_ever(host, mode):
    host.write("bruteforce", b"".join(line + b"\n" for line in BY_HAND) + b"192.0.2.7\n")
    for host.now in range(NOW, NOW + 1201 * DAY, 400 * DAY):
        host.write("authlog", auth(b"192.0.2.50", host.now))
        assert host.run("-x", "30", *mode) == (0, b"", "")
    lines = host.read().splitlines()
    assert set(BY_HAND) <= set(lines)
    # the address by hand has no second line, and the bare one is gone
    assert [line for line in lines if line.startswith((b"192.0.2.50", b"192.0.2.7"))] == [
        b"192.0.2.50 # kept by hand"]


@MODES
def test_migration(host, mode):
    """The way back is in test_install.py."""
    host.write("bruteforce", b"192.0.2.1\n192.0.2.2\n2001:db8::1\n")
    host.pf_holds(b"192.0.2.1", b"2001:db8::1")
    for _ in range(2):  # the second time nothing changes
        assert host.run("-x", "30", *mode) == (0, b"", "")
        assert host.read() == b"".join(
            address + b" # 2018-04-09 in the table before\n"
            for address in (b"192.0.2.1", b"192.0.2.2", b"2001:db8::1"))


@MODES
def test_why_holds_no_typed_text(host, mode):
    typed = b"x from 192.0.2.66 port 1 ssh2 # 2099-01-01 TYPED"
    host.write("authlog", b"".join(auth(b"192.0.2.%d" % number, user=user) for number, user in
                                 enumerate((typed, b"invalid user " + typed, b"root"), 1))
             + b"Apr  8 13:00:00 mx sshd[3]: Invalid user %s from 192.0.2.9 port 1\n" % typed
             + b"Apr  8 13:00:00 mx sshd[3]: Bad protocol version identification 'TYPED' from "
             b"192.0.2.10 port 1\n")
    assert host.run("-x", "30", *mode)[0] == 0
    assert host.read() and b"TYPED" not in host.read() and b"2099" not in host.read()
    for line in host.read().splitlines():
        assert re.match(rb"\S+ # 2018-04-09 [\w: '-]+\Z", line), line


# Forgiveness.

@MODES
def test_forgive(host, mode):
    before = (b"# c\n192.0.2.1 # 2018-04-01 authlog\n192.0.2.2\n198.51.100.9\n"
              b"198.51.100.10 # by hand\n2001:db8::/64\n")
    host.write("bruteforce", before, 0o640)
    host.pf_holds(b"192.0.2.1", b"192.0.2.3", b"198.51.100.9", b"2001:db8::/64")
    host.write("authlog", auth(b"192.0.2.77"))  # which is not read
    options = list(mode)
    for wanted in ("192.0.2.1", "198.51.100.0/24", "192.0.2.3", "2001:db8::/32"):
        options += ["--forgive", wanted]
    for dry, told in ((["-n"], b"would be taken out of "), ([], b"taken out of ")):
        assert (host.read(), len(host.pf())) == (before, 4)
        code, out, err = host.run(*dry + options)
        assert (code, err) == (0, "") and b"allow" in out
        assert [line.split(b": ")[1] for line in out.splitlines() if line.startswith(told)] == (
            [before.splitlines()[line] for line in (1, 3, 4, 5)]
            + [b"192.0.2.1", b"192.0.2.3", b"198.51.100.9", b"2001:db8::/64"])
    assert host.read() == b"# c\n192.0.2.2\n"
    assert os.stat(host.path("bruteforce")).st_mode & 0o777 == 0o640
    assert host.pf() == set()


@MODES
@pytest.mark.parametrize("wanted", ("192.0.2.9", "10.9.9.9"))
def test_forgive_what_is_not_there(host, mode, wanted):
    before = b"192.0.2.1\n10.0.0.0/8\n"
    host.write("bruteforce", before)
    host.pf_holds(b"192.0.2.1")
    code, out, err = host.run("--forgive", wanted, *mode)
    assert (code, host.read(), host.pf()) == (1, before, {b"192.0.2.1"})
    # an address cannot be taken out of a network: it is named
    assert ("10.0.0.0/8" in err) == (wanted == "10.9.9.9")


@pytest.mark.parametrize("fails", ("show", "delete"))
def test_forgive_without_pf(host, fails):
    host.write("bruteforce", b"192.0.2.1\n192.0.2.2\n")
    host.pf_holds(b"192.0.2.1")
    code, out, err = host.run("--forgive", "192.0.2.1", PF_FAIL=fails)
    assert code == 1
    assert REFUSAL in err
    assert host.read() == b"192.0.2.2\n"
    assert b"pf's table" not in out


# pf's limit.

def many(count):
    return b"".join(b"10.%d.%d.%d\n" % (number >> 16, number >> 8 & 255, number & 255)
                    for number in range(count))


NEW = [b"192.0.2.%d" % number for number in range(1, 11)]


@MODES
def test_limit_leaves_the_newest_out(host, mode):
    host.write("bruteforce", many(25100))
    host.write("pf/limit", b"25104\n")
    host.write("authlog", b"".join(map(auth, NEW)))
    code, _, err = host.run(*mode)
    assert code == 1
    made = host.read().splitlines()
    assert len(made) == 25104 and set(many(25100).splitlines()) <= set(made)
    assert "25104" in err and "6 of the new" in err and "set limit table-entries 200000 " in err
    assert host.pf() == set(made)


@MODES
def test_limit_counts_what_pf_holds_while_it_replaces(host, mode):
    host.write("bruteforce", many(25000) + b"".join(
        b"10.9.0.%d # 2018-01-01 x\n" % number for number in range(100)))
    host.pf_holds(*many(25000).splitlines() + [b"10.9.0.%d" % number for number in range(100)])
    host.write("pf/limit", b"25105\n")
    host.write("authlog", b"".join(map(auth, NEW)))
    code, _, err = host.run("--expire", "30", *mode)
    assert code == 1 and len(host.read().splitlines()) == (25005 if mode else 25010)
    assert ("pf can hold 25105 entries: 5 of the new ones are left out" in err) == bool(mode)
    assert ("a reload needs room for 50110 entries and pf has 25105" in err) == (not mode)


@MODES
def test_limit_is_asked_of_large_tables_only(host, mode):
    host.write("bruteforce", many(24990))
    host.write("authlog", b"".join(map(auth, NEW)))
    assert host.run(*mode, PF_FAIL="limit") == (0, b"", "")
    assert "-sm" not in host.pf_calls()
    host.write("authlog", auth(b"192.0.2.20"))
    code, _, err = host.run(*mode, PF_FAIL="limit")
    assert code == 1
    assert REFUSAL in err
    # what the limit is does not matter to the rest of the work
    assert b"192.0.2.20" in host.read().splitlines()
    assert b"192.0.2.20" in host.pf()


@MODES
def test_old_entries_that_are_too_many(host, mode):
    host.write("bruteforce", many(25100))
    host.write("pf/limit", b"25050\n")
    host.write("authlog", auth(b"192.0.2.1"))
    code, _, err = host.run(*mode)
    assert code == 1
    assert host.read() == many(25100)
    assert "nothing written" in err and "set limit table-entries" in err


def test_room_that_a_reload_lacks_is_said(host):
    host.write("bruteforce", many(26000))
    host.pf_holds(*many(26000).splitlines())
    host.write("pf/limit", b"50000\n")
    host.write("authlog", auth(b"192.0.2.1"))
    code, _, err = host.run("-v")
    assert code == 1
    assert b"192.0.2.1" in host.read().splitlines()
    assert "set limit table-entries" in err and "Cannot allocate memory" in err
    assert "pf did NOT take it" in err


# Careful mode gives pf the table.

def first_line(report):
    return next(line for line in report.splitlines() if line.startswith("logcheck on "))


def test_careful_replaces_the_table(host):
    host.write("authlog", auth(b"192.0.2.1"))
    host.pf_holds(b"192.0.2.2")
    host.write("pf.conf", b"half-edited {\n")
    assert host.run("-c") == (0, b"", "")
    assert host.read() == b"192.0.2.1\n192.0.2.2\n"
    assert host.pf() == {b"192.0.2.1", b"192.0.2.2"}
    assert host.pf_calls() == [SHOWN, "-t bruteforce -T replace -f %s.logcheck"
                               % host.path("bruteforce")]


@pytest.mark.parametrize("how", ("fails", "limit", "line"))
def test_careful_keeps_the_old_file_if_pf_refuses(host, how):
    before = b"192.0.2.3\n" + (b"no-such-name.invalid\n" if how == "line" else b"")
    host.write("bruteforce", before)
    host.write("authlog", auth(b"192.0.2.1"))
    host.write("pf/limit", b"1\n" if how == "limit" else b"100\n")
    code, _, err = host.run("-cv", **({"PF_FAIL": "replace"} if how == "fails" else {}))
    assert code == 1
    assert {"fails": REFUSAL, "limit": "Cannot allocate memory",
            "line": "no-such-name.invalid"}[how] in err
    assert host.read() == before
    assert host.pf() == set()
    assert "bruteforce.logcheck" not in host.names()
    first = first_line(err)
    assert " 0 added" in first and "pf did NOT take it: " in first


# The report's first line.

@MODES
@pytest.mark.parametrize("case", ("good", "load", "show", "dry", "no-pf", "unwritable"))
def test_first_line(host, mode, case):
    host.write("bruteforce", b"192.0.2.3\n192.0.2.4 # 2017-01-01 old\n")
    host.write("authlog", auth(b"192.0.2.1"))
    if case == "unwritable":
        os.mkdir(host.path("bruteforce.logcheck"))
    env = {"load": {"PF_FAIL": "replace" if mode else "load"}, "show": {"PF_FAIL": "show"}}
    options = {"dry": ["-n"], "no-pf": ["--no-pf"]}.get(case, [])
    code, _, err = host.run("-v", "-x", "90", *mode, *options, **env.get(case, {}))
    assert code == (case in ("load", "show", "unwritable"))
    words = first_line(err).split(": ", 1)[1]
    written = case != "unwritable" and not (case == "load" and mode)
    assert words.startswith("1 added, 1 expired, 0 let off, 2 in the table; " if written
                            else "0 added, 0 expired, 0 let off, 2 in the table; "), words
    took = words.split("; ", 1)[1]
    assert (took == "pf has it") == (case == "good" or case == "show")
    assert took.startswith("pf did NOT take it: ") == (case == "load")


# Random sequences against a model.

ADDRESSES = [b"192.0.2.%d" % number for number in range(1, 7)]
HANDS = [b"!192.0.2.99", b"192.0.2.3 # by hand", b"198.51.100.0/24", b"# a comment",
         b"host.example", b"192.0.2.5 # since 2018"]


class Model:
    """What the rules say of a table file (set of lines) and of pf's entries (set)."""

    def __init__(self):
        self.file, self.pf = set(), set()

    @staticmethod
    def address(line):
        return line.split(b"#")[0].strip()

    @staticmethod
    def is_dated(line):
        return re.match(rb"\S+ # \d\d\d\d-\d\d-\d\d", line)

    def load(self):
        """What pf has after it has read the file."""
        names = {self.address(line) for line in self.file} - {b""}
        return {b"203.0.113.250" if name == b"host.example" else name for name in names}

    def night(self, found, now, expire, fails):
        """What is in the file after a night with these finds; pf's table changes likewise.

        Returns the new file and whether the run failed.
        """
        known = set() if fails == "show" else set(self.pf)
        lines = self.file | known | set(found)
        if expire:
            today = time.strftime("%Y-%m-%d", time.gmtime(now))
            oldest = time.strftime("%Y-%m-%d", time.gmtime(now - expire * DAY))
            by_hand = {line for line in lines if not re.match(rb"[0-9.]+\Z", line)
                       and not self.is_dated(line)}
            new = set(by_hand)
            for name in {self.address(line) for line in lines - by_hand}:
                if name in set(map(self.address, by_hand)):
                    continue
                days = [line.split(b" ")[2].decode() for line in self.file
                        if self.is_dated(line) and self.address(line) == name]
                day = today if name in found or not days else max(days)
                if day >= oldest:
                    new.add((name, day))
            lines = new
        else:
            lines = {(self.address(line), line.split(b" ")[2].decode())
                     if self.is_dated(line) else line for line in lines}
        return lines, fails is not None and fails != "delete"


def comparable(text):
    """A table's lines (set), dated ones as (address, day)."""
    return {(Model.address(line), line.split(b" ")[2].decode()) if Model.is_dated(line) else line
            for line in text.splitlines()}


def sequence(seed, length=8):
    """Do random operations, and compare each with the model. Returns '', or the first difference
    (str).
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        host, model = keeps(Host(folder)), Model()
        for step in range(length):
            deed = chance.choice(["night"] * 4 + ["forgive", "edit"])
            fails = None
            if deed == "edit":
                lines = host.read().splitlines()
                chance.shuffle(lines)
                lines = lines[chance.randint(0, 1):] + chance.sample(HANDS + ADDRESSES, 2)
                host.write("bruteforce", b"\n".join(sorted(set(lines))) + b"\n")
                host.pf_holds(*host.pf() | {chance.choice(ADDRESSES)})
                continue
            model.file, model.pf = set(host.read().splitlines()), host.pf()
            before, before_pf = host.read(), host.pf()
            dry = chance.random() < 0.15
            careful = chance.random() < 0.5
            options = ["-n"] * dry + ["-c"] * careful
            if deed == "forgive":
                wanted = chance.choice(ADDRESSES)
                fails = chance.choice([None, None, None, "show", "delete"])
                options += ["--forgive", wanted.decode()]
                gone = {line for line in model.file if model.address(line) == wanted}
                file = comparable(b"\n".join(model.file - gone))
                in_pf = wanted in model.pf and fails != "show"
                pf = model.pf - ({wanted} if in_pf and fails != "delete" else set())
                failed = not gone and not in_pf or fails == "show" or (
                    fails == "delete" and in_pf and not dry)
            else:
                host.now += chance.choice((0, 1, 3, 10)) * DAY
                found = chance.sample(ADDRESSES, chance.randint(0, 3))
                host.write("authlog", b"".join(auth(address, host.now) for address in found))
                expire = chance.choice((0, 5, 10))
                options += ["-x", str(expire)] if expire else []
                fails = chance.choice([None] * 6 + ["show", "replace" if careful else "load"])
                file, failed = model.night(found, host.now, expire, fails)
                pf = {b"203.0.113.250" if name == b"host.example" else name for name in (
                    line[0] if isinstance(line, tuple) else model.address(line) for line in file)
                      } - {b""}
                if dry:
                    failed = fails == "show"
                elif fails == "replace":
                    file, pf = comparable(before), before_pf
                elif fails == "load":
                    pf = before_pf
            code, out, err = host.run(*options, PF_FAIL=fails)
            what = "seed %d, step %d, %s %s" % (seed, step, " ".join(options), fails or "")
            if code != int(failed):
                return "%s: exit %d, expected %d: %s" % (what, code, failed, err)
            if dry:
                if host.read() != before or host.pf() != before_pf:
                    return what + ": a dry run changes something"
                if deed == "night" and comparable(out) != file:
                    return "%s: prints %s, expected %s" % (
                        what, *[sorted(map(str, made - other)) for made, other in (
                            (comparable(out), file), (file, comparable(out)))])
                continue
            if comparable(host.read()) != file:
                return "%s: in the file, not in the model: %s; the other way: %s" % (
                    what, sorted(map(str, comparable(host.read()) - file)),
                    sorted(map(str, file - comparable(host.read()))))
            if host.pf() != pf:
                return "%s: pf has %s, expected %s" % (what, sorted(host.pf()), sorted(pf))
        return ""


@pytest.mark.parametrize("seed", range(16))
def test_random_sequence(seed):
    assert sequence(seed) == ""


def main(count, first):
    print("%d sequences from seed %d" % (count, first))
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        differ = [differs for differs in pool.map(sequence, range(first, first + count))
                  if differs]
    print("\n".join(differ + ["%d differ" % len(differ)]))
    return len(differ)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int((sys.argv[2:] or [0])[0]))))
