"""What an admin types and what comes of it, in each mode: the cases of transcripts.txt, whose head
says how they are written. A new case there is tested without a change to any code.
"""
import re
import shlex

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


def write(host, rows):
    """Write the files of a host that rows (list of str) give."""
    files = {}
    for name, text in (row.split("| ", 1) for row in rows if re.match(r"[\w./-]+\| ", row)):
        times, word, text = re.match(r"(?:(\d+) \* )?(?:([A-Z]+) )?(.*)", text).groups()
        text = raw(SHORT[word].replace("PEER", text) if word else text)
        for number in range(int(times)) if times else [""]:
            files.setdefault(name, []).append(
                text.replace(b"@", str(number).encode()) if times or word else text)
    for name, lines in files.items():
        if name == "pf":
            host.pf_holds(*lines)
        else:
            host.write(name, b"".join(line + b"\n" for line in lines))


def like(expected, found):
    """The expected text if the found one is like it, where "..." stands for any; else that."""
    pattern = ".*".join(map(re.escape, expected.split("...")))
    return expected if re.fullmatch(pattern, found, re.DOTALL) else found


@pytest.mark.parametrize("mode, rows", cases())
def test_transcript(empty, mode, rows):
    empty.keep_tables()
    runs = [number for number, row in enumerate(rows) if row[:2].strip() == "$"]
    write(empty, rows[:runs[0]])
    for first, end in zip(runs, runs[1:] + [None]):
        words, rest, table, pf = shlex.split(rows[first][2:]), rows[first + 1:end], *now(empty)
        env = [word for word in words if re.match("[A-Z_]+=", word)]
        code, out, err = empty.run(*OPTIONS[mode], *words[len(env):],
                                   **dict(word.split("=", 1) for word in env))
        due = {mark: "".join(row[2:] + "\n" for row in rest if row[:2].strip() == mark)
               for mark in (">", "!", "=")}
        for row in rest:
            if row.startswith("= "):
                table = raw(due["="]) if row != "= nothing" else b""
            elif row.startswith("pf "):
                pf = set(row[3:].encode().split()) if row != "pf has it" else {
                    line.split(b"#")[0].strip() for line in table.split(b"\n")} - {b""}
        exits = [int(row[5:]) for row in rest if row.startswith("exit ")] or [0]
        place, err = empty.folder + "/", re.sub("(?m)^logcheck(?: on .*?:|: )", "", err)
        assert [code, like(due[">"], out.decode("latin-1").replace(place, "")),
                like(due["!"], err.replace(place, "")), *now(empty)] == exits + [
                    due[">"], due["!"], table, pf], rows[first]
        write(empty, rest)


def now(host):
    """The table (bytes) and what pf has (set)."""
    return host.read(), host.pf()
