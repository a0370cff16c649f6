"""What an admin types and what comes of it, in each mode: the cases of transcripts.txt, whose head
says how they are written. A new case there is tested without a change to any code.
"""
import email
import gzip
import os
import re
import shlex
import shutil
import sys
import types

import pytest

from host import parts, raw

OPTIONS = {"default": (), "careful": ("-c",)}
(_, SHORT), *CASES = parts("transcripts.txt")
SHORT = dict(row.split(" = ", 1) for row in SHORT)


def cases():
    """Each case in its modes: the mode and the rows (list of str) that it has there."""
    for heading, rows in CASES:
        only, _, name = heading.rpartition(": ")
        for number, mode in enumerate(OPTIONS, 1):
            if only in ("", mode):
                text = re.sub(r"\{([^{}|\n]*)\|([^{}|\n]*)\}", r"\%d" % number, "\n".join(rows))
                yield pytest.param(mode, [row for row in text.split("\n") if row],
                                   id="%s, %s" % (name, mode))


def files(rows):
    """The files (dict of bytes) that rows (list of str) give."""
    found = {}
    for name, text in (row.split("| ", 1) for row in rows if re.match(r"[\w./@-]+\| ", row)):
        times, word, text = re.match(r"(?:(\d+) \* )?(?:([A-Z]+) )?(.*)", text).groups()
        text = raw(SHORT[word].replace("PEER", text) if word else text)
        for number in range(int(times)) if times else [""]:
            found[name] = found.get(name, b"") + (
                text.replace(b"@", str(number).encode()) if times or word else text) + b"\n"
    return found


def steps(rows):
    """The runs in the rows (list of str) of a case: (the files to write before (dict of bytes),
    the run (str), the rows behind it (list), its exit code, what it says on stdout and stderr).
    """
    runs = [number for number, row in enumerate(rows) if row[:2].strip() == "$"]
    before = rows[:runs[0]]
    for first, end in zip(runs, runs[1:] + [None]):
        rest = rows[first + 1:end]
        out, err = ("".join(row[2:] + "\n" for row in rest if row[:2].strip() == mark)
                    for mark in ">!")
        code, = [int(row[5:]) for row in rest if row.startswith("exit ")] or [0]
        yield files(before), rows[first][2:], rest, code, out, err
        before = rest


def like(expected, found):
    """The expected text if the found one is like it, where "..." stands for any; else that."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return expected if re.fullmatch(pattern, found, re.DOTALL) else found


def keep_syslog(host):
    """In a forked run: write what is told to the system's log, as daemon.notice, to a file."""
    log = types.SimpleNamespace(LOG_DAEMON="daemon", LOG_NOTICE="notice")
    log.openlog = lambda *how: setattr(log, "how", how)

    def put(*what):
        assert log.how == ("logcheck.py", 0, "daemon") and what[0] == "notice"
        with open(host.path("syslog"), "a") as file:
            print(what[1], file=file)
    sys.modules["syslog"], log.syslog = log, put


@pytest.mark.parametrize("mode, rows", cases())
def test_transcript(empty, mode, rows):
    empty.keep_tables()
    for written, run, rest, *due in steps(rows):
        for name, text in dict(written, syslog=b"").items():
            name, _, hours = name.partition("@")
            if name == "pf":
                empty.pf_holds(*text.splitlines())
            else:
                os.makedirs(os.path.dirname(empty.path(name)), exist_ok=True)
                empty.write(name, gzip.compress(text) if name.endswith(".gz") else text)
            if hours:
                os.utime(empty.path(name), (empty.now - int(hours) * 3600,) * 2)
        words, table, pf, names = shlex.split(run), empty.read(), empty.pf(), empty.names()
        env = [word for word in words if re.match("[A-Z_]+=", word)]
        stdin = empty.read(words[-1]) if words[-2:-1] == ["<"] else b""
        code, out, err = empty.run(
            *OPTIONS[mode], *words[len(env):-2 if stdin else None], stdin=stdin,
            prepare=lambda: keep_syslog(empty), **dict(word.split("=", 1) for word in env))
        told = ["~ " + row for row in empty.read("syslog").decode().splitlines()] + [
            "letter " + email.message_from_bytes(letter)["Subject"].replace(
                os.uname().nodename, "HOST") for _, letter in empty.letters()]
        shutil.rmtree(empty.path("letters"), ignore_errors=True)
        assert empty.names() == names  # no file is left
        assert told == [row for row in rest if re.match("~|letter", row)]
        if any(row.startswith("= ") for row in rest):
            table = b"".join(raw(row[2:]) + b"\n" for row in rest if row.startswith("= ")
                             if row != "= nothing")
        for row in rest:
            if row.startswith("pf "):
                pf = set(row[3:].encode().split()) if row != "pf has it" else {
                    line.split(b"#")[0].strip() for line in table.split(b"\n")} - {b""}
        place, err = empty.folder + "/", re.sub("(?m)^logcheck(?: on .*?:|: )", "", err)
        assert [code, like(due[1], out.decode("latin-1").replace(place, "")),
                like(due[2], err.replace(place, "")), empty.read(), empty.pf()] == [
                    *due, table, pf], "$ " + run
