"""The table's life: entries that expire and say why, forgiveness, pf's limit, and the report.

The last part compares random sequences of operations with a plain model of the rules.
usage: test_table.py N [FIRST-SEED] runs N of them.
"""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

import tools

NOW = 1523237400  # 2018-04-09 01:30:00 UTC
DAY = 86400
MODES = pytest.mark.parametrize("mode", ((), ("-c",)), ids=("default", "careful"))
REFUSAL = b"Syntax error in config file"


def auth(address, now=NOW, user=b"root"):
    """A line (bytes) of authlog, 12 hours before now, that names an address in both modes."""
    return b"%s mx sshd[2]: Failed password for %s from %s port 9 ssh2\n" % (
        time.strftime("%b %e %H:%M:%S", time.gmtime(now - DAY // 2)).encode(), user, address)


class Host:
    """A folder with logs, a table file, and a pf that keeps a table."""

    def __init__(self, folder, entries=b"", pf=(), limit=200000):
        self.folder = folder
        os.mkdir(self.path("pf"))
        self.put("authlog", b"")
        self.put("bruteforce", entries)
        self.put("pf/bruteforce", b"".join(b"   %s\n" % entry for entry in pf))
        self.put("pf/limit", b"%d\n" % limit)
        self.put("pf/hosts", b"host.example 203.0.113.250\n")
        self.put("pf.conf", b'table <bruteforce> persist file "%s"\n'
                 % os.fsencode(self.path("bruteforce")))

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text):
        with open(self.path(name), "wb") as file:
            file.write(text)

    def read(self, name="bruteforce"):
        with open(self.path(name), "rb") as file:
            return file.read()

    def pf(self):
        """The entries (set of bytes) in pf's table."""
        return set(b"".join(line.split()) for line in self.read("pf/bruteforce").splitlines())

    def run(self, *options, now=NOW, **env):
        """Run logcheck.py. Returns exit code, stdout and stderr (bytes)."""
        environment = {"PATH": tools.STANDINS + ":" + os.environ["PATH"], "TZ": "UTC",
                       "PF_STATE": self.path("pf"), "PF_LOG": self.path("pf-log")}
        environment.update(env)
        done = subprocess.run(
            [sys.executable, "-IS", tools.SCRIPT, "-m", "/dev/null", "-a", self.path("authlog"), "-e",
             self.path("bruteforce"), "-f", self.path("pf.conf"), "--now", str(now)]
            + list(options), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def host(tmp_path):
    return Host(str(tmp_path))


# Entries that expire.

BY_HAND = [b"# our own list", b"!192.0.2.99", b"192.0.2.50 # kept by hand", b"198.51.100.0/24",
           b"host.example", b"2001:db8:1::/48"]


@MODES
def test_expire(host, mode):
    host.put("authlog", auth(b"192.0.2.1") + auth(b"192.0.2.2"))
    host.put("bruteforce", b"192.0.2.2 # 2018-01-01 old\n192.0.2.3 # 2018-03-10 a reason\n"
             b"192.0.2.4 # 2018-03-09 another\n192.0.2.5\n")
    host.put("pf/bruteforce", b"   192.0.2.4\n   192.0.2.6\n")
    why = b"sshd: " if mode else b"authlog"
    assert host.run("-x", "30", *mode) == (0, b"", b"")
    lines = host.read().splitlines()
    assert [line.split(b" #")[0] for line in lines] == [
        b"192.0.2.1", b"192.0.2.2", b"192.0.2.3", b"192.0.2.5", b"192.0.2.6"]
    assert all(b" # 2018-04-09 " + why in line for line in lines[:2])
    assert lines[2] == b"192.0.2.3 # 2018-03-10 a reason"
    assert all(b" # 2018-04-09 " in line for line in lines[3:])
    assert host.pf() == {line.split(b" ")[0] for line in lines}


@MODES
def test_by_hand_stays_for_ever(host, mode):
    host.put("bruteforce", b"".join(line + b"\n" for line in BY_HAND) + b"192.0.2.7\n")
    for night in range(4):
        host.put("authlog", auth(b"192.0.2.50", NOW + night * 400 * DAY))
        code, _, err = host.run("-x", "30", *mode, now=NOW + night * 400 * DAY)
        assert (code, err) == (0, b"")
    lines = host.read().splitlines()
    assert set(BY_HAND) <= set(lines)
    # the address by hand has no second line, and the bare one is gone
    assert [line for line in lines if line.startswith((b"192.0.2.50", b"192.0.2.7"))] == [
        b"192.0.2.50 # kept by hand"]


@MODES
def test_migration_both_ways(host, mode):
    bare = b"192.0.2.1\n192.0.2.2\n2001:db8::1\n"
    host.put("bruteforce", bare)
    host.put("pf/bruteforce", b"   192.0.2.1\n   2001:db8::1\n")
    assert host.run("-x", "30", *mode) == (0, b"", b"")
    dated = host.read()
    assert dated.count(b" # 2018-04-09 ") == 3
    # again: nothing changes
    assert host.run("-x", "30", *mode) == (0, b"", b"")
    assert host.read() == dated
    # back: the dates are comments, and sed(1) takes them away
    back = subprocess.run(["sed", "s/ # 20[0-9][0-9]-.*//", host.path("bruteforce")],
                          stdout=subprocess.PIPE, check=True).stdout
    assert set(back.splitlines()) == set(bare.splitlines())


@MODES
def test_why_holds_no_typed_text(host, mode):
    typed = b"x from 192.0.2.66 port 1 ssh2 # 2099-01-01 TYPED"
    host.put("authlog", b"".join(auth(b"192.0.2.%d" % number, user=user) for number, user in
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
    host.put("bruteforce", b"# c\n192.0.2.1 # 2018-04-01 authlog\n192.0.2.2\n198.51.100.9\n"
             b"198.51.100.10 # by hand\n2001:db8::/64\n")
    host.put("pf/bruteforce", b"   192.0.2.1\n   192.0.2.3\n   198.51.100.9\n   2001:db8::/64\n")
    host.put("authlog", auth(b"192.0.2.77"))  # which is not read
    code, out, err = host.run("--forgive", "192.0.2.1", "--forgive", "198.51.100.0/24",
                              "--forgive", "192.0.2.3", "--forgive", "2001:db8::/32", *mode)
    assert (code, err) == (0, b"")
    assert host.read() == b"# c\n192.0.2.2\n"
    assert host.pf() == set()
    for entry in (b"192.0.2.1", b"198.51.100.9", b"198.51.100.10", b"192.0.2.3", b"2001:db8::/64"):
        assert entry in out
    assert b"allow" in out


@MODES
@pytest.mark.parametrize("wanted", ("192.0.2.9", "10.9.9.9"))
def test_forgive_what_is_not_there(host, mode, wanted):
    before = b"192.0.2.1\n10.0.0.0/8\n"
    host.put("bruteforce", before)
    host.put("pf/bruteforce", b"   192.0.2.1\n")
    code, out, err = host.run("--forgive", wanted, *mode)
    assert (code, host.read(), host.pf()) == (1, before, {b"192.0.2.1"})
    # an address cannot be taken out of a network: it is named
    assert (b"10.0.0.0/8" in err) == (wanted == "10.9.9.9")


@pytest.mark.parametrize("fails", ("show", "delete"))
def test_forgive_without_pf(host, fails):
    host.put("bruteforce", b"192.0.2.1\n192.0.2.2\n")
    host.put("pf/bruteforce", b"   192.0.2.1\n")
    code, out, err = host.run("--forgive", "192.0.2.1", PF_FAIL=fails)
    assert code == 1
    assert REFUSAL in err
    assert host.read() == b"192.0.2.2\n"
    assert b"pf's table" not in out


@MODES
def test_forgive_dry(host, mode):
    host.put("bruteforce", b"192.0.2.1\n")
    host.put("pf/bruteforce", b"   192.0.2.1\n")
    code, out, err = host.run("-n", "--forgive", "192.0.2.1", *mode)
    assert (code, err, host.read(), host.pf()) == (0, b"", b"192.0.2.1\n", {b"192.0.2.1"})


# pf's limit.

def many(count):
    return b"".join(b"10.%d.%d.%d\n" % (number >> 16, number >> 8 & 255, number & 255)
                    for number in range(count))


NEW = [b"192.0.2.%d" % number for number in range(1, 11)]


@MODES
def test_limit_leaves_the_newest_out(host, mode):
    host.put("bruteforce", many(25100))
    host.put("pf/limit", b"25104\n")
    host.put("authlog", b"".join(map(auth, NEW)))
    code, _, err = host.run(*mode)
    assert code == 1
    made = host.read().splitlines()
    assert len(made) == 25104 and set(many(25100).splitlines()) <= set(made)
    assert b"25104" in err and b"6 of the new" in err and b"set limit table-entries" in err
    assert host.pf() == set(made)


@MODES
def test_limit_is_asked_of_large_tables_only(host, mode):
    host.put("bruteforce", many(24990))
    host.put("authlog", b"".join(map(auth, NEW)))
    assert host.run(*mode, PF_FAIL="limit") == (0, b"", b"")
    assert b"-sm" not in host.read("pf-log")
    host.put("authlog", auth(b"192.0.2.20"))
    code, _, err = host.run(*mode, PF_FAIL="limit")
    assert code == 1
    assert REFUSAL in err
    # what the limit is does not matter to the rest of the work
    assert b"192.0.2.20" in host.read().splitlines()
    assert b"192.0.2.20" in host.pf()


@MODES
def test_old_entries_that_are_too_many(host, mode):
    host.put("bruteforce", many(25100))
    host.put("pf/limit", b"25050\n")
    host.put("authlog", auth(b"192.0.2.1"))
    code, _, err = host.run(*mode)
    assert code == 1
    assert host.read() == many(25100)
    assert b"nothing written" in err and b"set limit table-entries" in err


def test_room_that_a_reload_lacks_is_said(host):
    host.put("bruteforce", many(26000))
    host.put("pf/bruteforce", b"".join(b"   %s\n" % entry for entry in many(26000).splitlines()))
    host.put("pf/limit", b"50000\n")
    host.put("authlog", auth(b"192.0.2.1"))
    code, _, err = host.run("-v")
    assert code == 1
    assert b"192.0.2.1" in host.read().splitlines()
    assert b"set limit table-entries" in err and b"Cannot allocate memory" in err
    assert b"pf did NOT take it" in err


# Careful mode gives pf the table.

def test_careful_replaces_the_table(host):
    host.put("authlog", auth(b"192.0.2.1"))
    host.put("pf/bruteforce", b"   192.0.2.2\n")
    host.put("pf.conf", b"half-edited {\n")
    assert host.run("-c") == (0, b"", b"")
    assert host.read() == b"192.0.2.1\n192.0.2.2\n"
    assert host.pf() == {b"192.0.2.1", b"192.0.2.2"}
    assert not [call for call in host.read("pf-log").splitlines() if call.startswith(b"-f")]


@pytest.mark.parametrize("how", ("fails", "limit", "line"))
def test_careful_keeps_the_old_file_if_pf_refuses(host, how):
    before = b"192.0.2.3\n" + (b"no-such-name.invalid\n" if how == "line" else b"")
    host.put("bruteforce", before)
    host.put("authlog", auth(b"192.0.2.1"))
    host.put("pf/limit", b"1\n" if how == "limit" else b"100\n")
    code, _, err = host.run("-cv", **({"PF_FAIL": "replace"} if how == "fails" else {}))
    assert code == 1
    assert {"fails": REFUSAL, "limit": b"Cannot allocate memory",
            "line": b"no-such-name.invalid"}[how] in err
    assert host.read() == before
    assert host.pf() == set()
    assert sorted(name for name in os.listdir(host.folder) if "bruteforce" in name) == [
        "bruteforce"]
    first = next(line for line in err.splitlines() if line.startswith(b"logcheck on "))
    assert b" 0 added" in first and b"pf did NOT take it: " in first


# The report's first line.

@MODES
@pytest.mark.parametrize("case", ("good", "load", "show", "dry", "no-pf", "unwritable"))
def test_first_line(host, mode, case):
    host.put("bruteforce", b"192.0.2.3\n192.0.2.4 # 2017-01-01 old\n")
    host.put("authlog", auth(b"192.0.2.1"))
    if case == "unwritable":
        os.mkdir(host.path("bruteforce.logcheck"))
    env = {"load": {"PF_FAIL": "replace" if mode else "load"}, "show": {"PF_FAIL": "show"}}
    options = {"dry": ["-n"], "no-pf": ["--no-pf"]}.get(case, [])
    code, _, err = host.run("-v", "-x", "90", *mode, *options, **env.get(case, {}))
    assert code == (case in ("load", "show", "unwritable"))
    first = next(line for line in err.splitlines() if line.startswith(b"logcheck on "))
    words = first.split(b": ", 1)[1]
    written = case != "unwritable" and not (case == "load" and mode)
    assert words.startswith(b"1 added, 1 expired, 0 let off, 2 in the table; " if written
                            else b"0 added, 0 expired, 0 let off, "), first
    assert b"; 0 in the table" not in first and b", 0 in the table" not in first
    took = words.split(b"; ", 1)[1]
    assert (took == b"pf has it") == (case == "good" or case == "show")
    assert took.startswith(b"pf did NOT take it: ") == (case == "load")


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

    def night(self, found, now, expire, careful, fails):
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
    folder = tempfile.mkdtemp()
    try:
        host, model, now = Host(folder), Model(), NOW
        for step in range(length):
            deed = chance.choice(["night"] * 4 + ["forgive", "edit"])
            fails = None
            if deed == "edit":
                lines = host.read().splitlines()
                chance.shuffle(lines)
                lines = lines[chance.randint(0, 1):] + chance.sample(HANDS + ADDRESSES, 2)
                host.put("bruteforce", b"\n".join(sorted(set(lines))) + b"\n")
                pf = sorted(host.pf() | {chance.choice(ADDRESSES)})
                host.put("pf/bruteforce", b"".join(
                    (b"  " if entry.startswith(b"!") else b"   ") + entry + b"\n"
                    for entry in pf))
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
                now += chance.choice((0, 1, 3, 10)) * DAY
                found = chance.sample(ADDRESSES, chance.randint(0, 3))
                host.put("authlog", b"".join(auth(address, now) for address in found))
                expire = chance.choice((0, 5, 10))
                options += ["-x", str(expire)] if expire else []
                fails = chance.choice([None] * 6 + ["show", "replace" if careful else "load"])
                file, failed = model.night(found, now, expire, careful, fails)
                pf = {b"203.0.113.250" if name == b"host.example" else name for name in (
                    line[0] if isinstance(line, tuple) else model.address(line) for line in file)
                      } - {b""}
                if dry:
                    failed = fails == "show"
                elif fails == "replace":
                    file, pf = comparable(before), before_pf
                elif fails == "load":
                    pf = before_pf
            code, out, err = host.run(*options, now=now, **({"PF_FAIL": fails} if fails else {}))
            what = "seed %d, step %d, %s %s" % (seed, step, " ".join(options), fails or "")
            if code != int(failed):
                return "%s: exit %d, expected %d: %s" % (what, code, failed, err.decode())
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
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("seed", range(24))
def test_random_sequence(seed):
    assert sequence(seed) == ""


def main(count, first):
    print("%d sequences from seed %d" % (count, first))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        differ = [differs for differs in pool.map(sequence, range(first, first + count))
                  if differs]
    print("\n".join(differ + ["%d differ" % len(differ)]))
    return len(differ)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), int((sys.argv[2:] or [0])[0]))))
