"""The table's life: what pf has no room for; the rest is in transcripts.txt. pf keeps tables here.

The last test does random things and compares what comes of them with a plain model of the rules.
"""
import random
import re
import time

import pytest

from framing import rows
from host import NOW

DAY = 86400
NAME, ITS_ADDRESS = b"host.example", b"203.0.113.250"


def auth(address, now=NOW):
    """A line (bytes) of authlog, 12 hours before now, that names an address in both modes."""
    return b"%s mx sshd[2]: Failed password for root from %s port 9 ssh2\n" % (
        time.strftime("%b %e %H:%M:%S", time.gmtime(now - DAY // 2)).encode(), address)


@pytest.fixture
def host(empty):
    """A host with a pf whose tables stay, and which knows a name."""
    empty.keep_tables()
    empty.write("pf/hosts", b"%s %s\n" % (NAME, ITS_ADDRESS))
    return empty


@pytest.mark.parametrize("mode, limit, old, expire, in_pf, new, kept, said", [
    (option, *row[1:]) for _, row in rows("limits.txt", 7)
    for mode, option in (("default", ()), ("careful", ("-c",))) if row[0] in (mode, "both")])
def test_limit(host, mode, limit, old, expire, in_pf, new, kept, said):
    old = [b"10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255) for n in range(int(old))]
    gone = [b"10.9.%d.%d" % (n >> 8, n & 255) for n in range(int(expire))]
    new = [b"192.0.2.%d" % n for n in range(1, int(new) + 1)]
    fails, said = "limit" if limit == "unknown" else None, said.strip("-")
    host.write("bruteforce", b"".join(address + b"\n" for address in old).replace(
        b"\n", b" # 2018-04-08 x\n", bool(gone))
               + b"".join(address + b" # 2018-01-01 x\n" for address in gone))
    if in_pf == "in pf":
        host.pf_holds(*old + gone)
    before = host.pf()
    host.write("authlog", b"".join(map(auth, new)))
    if not fails:
        host.write("pf/limit", limit.encode() + b"\n")
    options, kept = mode + ("-x", "30") * bool(gone), int(kept)
    rehearsed = host.run("-n", *options, PF_FAIL=fails)
    assert host.pf() == before and said in rehearsed.stderr
    code, _, err = host.run(*options, PF_FAIL=fails)
    assert rehearsed.stdout == (b"" if "nothing written" in said else host.read())
    assert code == bool(said) and (said in err if said else err == "")
    assert [line.split(b" ")[0] for line in host.read().splitlines()] == old + new[:kept]
    refused = "reload" in said or "nothing written" in said
    assert host.pf() == (before if refused else set(old + new[:kept]))
    assert ("Cannot allocate memory" in err) == ("reload" in said)


# Random things against a model.

ADDRESSES = [b"192.0.2.%d" % number for number in range(1, 7)]
BY_HAND = [b"!192.0.2.99", b"192.0.2.3 # by hand", b"198.51.100.0/24", b"2001:db8:1::/48",
           b"# a comment", b"host.example", b"192.0.2.5 # since 2018"]


def lines_of(text):
    """A table's lines (set of bytes), dated ones as (address, day)."""
    dated = re.compile(rb"(\S+) # (\d\d\d\d-\d\d-\d\d)").match
    return {dated(line).groups() if dated(line) else line for line in text.splitlines()}


def address_of(line):
    return line[0] if isinstance(line, tuple) else line.split(b"#")[0].strip()


def loaded(lines):
    """What pf has when it has loaded these lines."""
    return {ITS_ADDRESS if address == NAME else address
            for address in map(address_of, lines)} - {b""}


def are_late(lines, oldest):
    """Whether all dated lines, if there are any, are older than that day."""
    return b"" < max([line[1] for line in lines if isinstance(line, tuple)], default=b"") < oldest


def merged(lines, found, now, expire):
    """What the rules make of lines, pf's among them, and the addresses (set) found now."""
    if not expire:
        return lines | found
    today, oldest = (time.strftime("%Y-%m-%d", time.gmtime(now - days * DAY)).encode()
                     for days in (0, expire))
    if are_late(lines, oldest):
        oldest = b""
    made = {line for line in lines
            if not isinstance(line, tuple) and not re.match(rb"[0-9.]+\Z", line)}
    for address in set(map(address_of, lines | found)) - set(map(address_of, made)):
        days = [line[1] for line in lines if isinstance(line, tuple) and line[0] == address]
        day = today if address in found or not days else max(days)
        if day >= oldest:
            made.add((address, day))
    return made


@pytest.mark.parametrize("seed", range(16))
def test_random_nights(host, seed):
    chance = random.Random(seed)
    for step in range(8):
        deed = chance.choice(["night"] * 4 + ["forgive", "edit"])
        if deed == "edit":
            lines = set(host.read().splitlines()[chance.randint(0, 1):])
            lines.update(chance.sample(BY_HAND + ADDRESSES, 2))
            host.write("bruteforce", b"".join(line + b"\n" for line in sorted(lines)))
            host.pf_holds(*host.pf() | {chance.choice(ADDRESSES)})
            continue
        before = file, pf = lines_of(host.read()), host.pf()
        dry, careful = chance.random() < 0.15, chance.random() < 0.5
        options = ["-n"] * dry + ["-c"] * careful
        if deed == "forgive":
            wanted = chance.choice(ADDRESSES)
            fails = chance.choice([None, None, None, "show", "delete"])
            options += ["--forgive", wanted.decode()]
            gone = {line for line in file if address_of(line) == wanted}
            seen = {wanted} & pf if fails != "show" else set()
            failed = (not gone and not seen or fails == "show"
                      or fails == "delete" and seen and not dry)
            file = file - gone
            if fails != "delete":
                pf = pf - seen
        else:
            host.now += chance.choice((0, 1, 3, 10)) * DAY
            found = set(chance.sample(ADDRESSES, chance.randint(0, 3)))
            host.write("authlog", b"".join(auth(address, host.now) for address in sorted(found)))
            expire = chance.choice((0, 5, 10))
            fails = chance.choice([None] * 6 + ["show", "replace" if careful else "load"])
            options += ["-x", str(expire)] if expire else []
            failed = fails == "show" or fails and not dry or expire and are_late(
                file, time.strftime("%Y-%m-%d", time.gmtime(host.now - expire * DAY)).encode())
            file = merged(file if fails == "show" else file | pf, found, host.now, expire)
            if fails in (None, "show"):
                pf = loaded(file)
            elif fails == "replace" and not dry:
                file = before[0]
        code, out, err = host.run(*options, PF_FAIL=fails)
        what = "step %d: %s, fails: %s, says: %s" % (step, " ".join(options), fails, err)
        assert code == bool(failed), what
        if dry and deed == "night":
            assert lines_of(out) == file, what
        assert (lines_of(host.read()), host.pf()) == (before if dry else (file, pf)), what
