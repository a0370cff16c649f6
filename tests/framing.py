"""Typed text for the rules: whatever an attacker puts into a field of a log line, the rules find
his own address or nothing, and nothing speaks for him but what the daemon itself says.

typed.txt has the daemons' formats, layouts.txt what syslogds write around them. A Court hears such
lines and those of rules.txt: here alone the tests touch what careful mode has inside.
"""
import os
import random
import re
import time

from host import HERE, NOW, entries, logcheck

PEER, FRAMED = "192.0.2.1", "203.0.113.9"
LONGEST = "2001:db8:1111:2222:3333:4444:5555:6666"  # as an address can be, to reach a line's cut
SSHD_LINE = 500  # bytes: the most that sshd logs
FOR = {"login", "delivered", "putoff", "down"}  # what speaks for a peer
HEAD = b"Apr  8 12:00:00 mail %s: %s"


def rows(name, tabs=2):
    """The rows of a text file of cases: (number, the fields between so many tabs (list of str))."""
    with open(os.path.join(HERE, name), encoding="latin-1", newline="\n") as file:
        for number, row in enumerate(file, 1):
            if row[0] not in "#\n":
                yield number, row.rstrip("\n").split("\t", tabs)


def rule_lines():
    """The lines of rules.txt: (number, what must come out (str), line of a log (bytes))."""
    for number, (expected, program, message) in rows("rules.txt"):
        yield number, expected, HEAD % (program.encode(), message.encode("latin-1"))


def layouts():
    """The rows of layouts.txt: [(word (str), program and message (bytes) as a line)]."""
    for _, (word, text) in rows("layouts.txt"):
        text = text.encode().replace(b"BOM", b"\xef\xbb\xbf")
        yield word, lambda program, message, text=text: text.replace(
            b"PROGRAM", program).replace(b"MESSAGE", message)


class Court(logcheck.Court):
    """Careful mode's court on the night of NOW (TZ=UTC), asked about single lines."""

    def __init__(self):
        os.environ["TZ"] = "UTC"
        time.tzset()
        options = logcheck.Options([])
        options.now, options.mask6 = NOW, 128
        super().__init__(options, logcheck.Range(options.now, 1))

    def heard(self, block, but=None):
        """What a block (bytes) of lines says: {address (str): {word: times}}, in the words of
        rules.txt; of the address but (str) nothing.
        """
        self.cases, self.own, said = {}, set(), {}
        self.begin()
        self.hear(block, logcheck.Tally("log"))
        for peer, case in self.join_peers().items():
            for rule, times in logcheck.as_tuple(case):
                if peer.decode() != but:
                    word = rule.what.lower().replace("named", "reject")
                    words = said.setdefault(peer.decode(), {})
                    words[word] = words.get(word, 0) + times
        return said

    def verdict(self, block, but=None):
        """heard() as rules.txt writes it."""
        def last(item):
            return item[0] in ("fail", "reject"), item
        return "; ".join("%s %s" % (address, "+".join(
            word if times == 1 and word not in ("fail", "reject") else "%s %d" % (word, times)
            for word, times in sorted(words.items(), key=last)))
            for address, words in sorted(self.heard(block, but).items())) or "-"


# whole messages in another's name, and the pieces they are made of
MESSAGES = [line.decode("latin-1").split(": ", 1)[1] for _, _, line in rule_lines()]
FAKES = [fake.replace("2001:db8::7", PEER) for fake in MESSAGES if len(fake) < 400]
FAKES = [fake.replace(PEER, FRAMED) for fake in FAKES] + [fake for fake in FAKES if PEER in fake]
PIECES = sorted({piece for fake in FAKES
                 for piece in re.findall(r"[^ :;,=<(\[]*[ :;,=<(\[]|[^ :;,=<(\[]+", fake)})
PIECES += [piece.decode().replace("FRAMED", FRAMED) for piece in entries("typed")]


def typed(rng, field):
    """What an attacker types (str) into a field of typed.txt."""
    kind = rng.random()
    if kind < 0.25:
        text = rng.choice(FAKES)
    elif kind < 0.4:
        fake = rng.choice(FAKES)
        text = fake[rng.randrange(len(fake)):]
    else:
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))
    if rng.random() < 0.3:
        text += rng.choice(PIECES)
    if rng.random() < 0.2:
        text = "\0" * rng.randint(1, 120) + text  # four bytes each in sshd's log: aims at its cut
    if rng.random() < 0.1:
        text = text.replace(FRAMED, LONGEST)
    if field == "helo":
        return re.sub(r'[ <>()\\";@]', "?", text)[:200]  # smtpd.c: neuter()
    if field == "word":
        text = re.sub(r'["\\]', "", text)[:97]
        return '"%s"' % text if rng.random() < 0.5 else "".join(text.split())
    return text[:int(field)]


def escape(text):
    """What sshd logs of typed text (str): strnvis(3)."""
    return "".join("\\%03o" % ord(c) if ord(c) < 32 or ord(c) > 126 else "\\\\" if c == "\\" else c
                   for c in text)


def message(rng, program, text):
    """A message of typed.txt with everything typed (str)."""
    first, *others = re.split(r"\{(\w+)\}", text)
    fields = [typed(rng, field) for field in others[::2]]
    if program != "sshd":
        fields = [re.sub("[^ -~]", "?", field) for field in fields]
    elif fields and rng.random() < 0.4:
        # lengthen the first field so that the cut falls right behind what it ends in
        room = max(0, SSHD_LINE - len(first) - len(escape(fields[0])))
        fields[0] = ("\0" * (room // 4) + "y" * (room % 4) + fields[0])[-int(others[0]):]
    if program == "sshd":
        fields = map(escape, fields)
    text = first + "".join(map("".join, zip(fields, others[1::2])))
    return text[:SSHD_LINE] if program == "sshd" else text


def lines(seed, count):
    """Yield count lines of a log (bytes), and what each must or may say (set of str)."""
    rng, formats = random.Random(seed), [fields for _, fields in rows("typed.txt")]
    for number in range(count):
        words, program, text = rng.choice(formats)
        text = message(rng, program, text.replace("PEER", PEER))
        head = HEAD.replace(b"00:00", b"%02d:%02d" % divmod(number % 3600, 60))
        yield set(words.split()), head % (b"%s[%d]" % (program.encode(), number),
                                          text.encode("latin-1"))


def faults(seed, count):
    """Yield what is wrong (str) with what the rules find in count lines with typed text: another
    than the peer, something for the peer that the daemon did not say, nothing against him where he
    attacks, or, in a block of a thousand lines, another thing than in each line alone.
    """
    court, rng = Court(), random.Random(seed)
    others = [layout for word, layout in layouts() if word == "heard" and b"x" in layout(b"x", b"")]
    dovecots, = (layout for word, layout in layouts() if word == "dovecot")
    # each line is put right in all ways, whatever the log has
    known = dict(row for layout in others + [dovecots]
                 for row in logcheck.layouts([layout(b"x", b"auth(y)")] * 9))

    def put_right(line):
        for begins, to in known.items():
            line = begins.sub(to, line)
        return line

    for program, begun in ((b"smtpd", b"0123456789abcdef smtp connected address=%s host=x"),
                           (b"postfix/smtpd", b"4F1C2B0D: client=unknown[%s]")):
        for layout in others:
            court.heard(put_right(layout(program, begun % PEER.encode())))
        court.heard(HEAD % (program + b"[1]", begun % PEER.encode()))
    block, alone = [], {}
    for says, line in lines(seed, count):
        # by a syslogd; a line that was cut right behind a typed port looks like a whole one, but
        # one of sshd is never as long as this
        cut = line[:rng.randint(SSHD_LINE + 40, 1100)]
        for address, words in court.heard(cut).items() if cut != line else ():
            if address != PEER or FOR & set(words) - says:
                yield "seed %d: cut: %s %r: %r" % (seed, address, words, cut)
        block.append(line)
        found = court.heard(line)
        program, typed_message = re.split(rb"\[\d+\]: ", line[len(HEAD) - 6:], 1)
        layout = dovecots if typed_message.startswith(b"auth(") else rng.choice(others)
        other = put_right(layout(program, typed_message))
        court.marked.clear()
        if court.heard(other) != found:
            yield "seed %d: not the same in another layout: %r" % (seed, other)
        court.marked.clear()
        by_sshd = b" sshd[" in line and len(line.split(b": ", 1)[1]) == SSHD_LINE
        if "attack" in says and not found and not by_sshd:  # other lines tell of the same attempt
            yield "seed %d: hidden: %r" % (seed, line)
        for address, words in found.items():
            if address != PEER or FOR & set(words) - says:
                yield "seed %d: %s %r: %r" % (seed, address, words, line)
            for word, times in words.items():
                alone[word] = alone.get(word, 0) + times
        if len(block) == 1000:
            if court.heard(b"\n".join(block)) != {PEER: alone}:
                yield "seed %d: not the same in the block that ends in %r" % (seed, line)
            block, alone = [], {}
