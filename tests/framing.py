"""Typed text for the rules: whatever an attacker puts into a field of a log line, the rules find
his own address or nothing, and nothing speaks for him but what the daemon itself says.

LINES are the daemons' formats: (program, format, lengths of the typed fields, what the line may
say for the peer). A length TOKEN is a word of SMTP: blanks only in quotes. sshd escapes what is
typed and cuts the message; Postfix and Dovecot only replace control characters.

A Court hears such lines and those of rules.txt.
"""
import os
import random
import re
import time

from host import HERE, NOW, logcheck

PEER, FRAMED = "192.0.2.1", "203.0.113.9"
SSHD_LINE = 500  # bytes: the most that sshd logs
TOKEN = 99  # characters
FOR = {"login", "delivered", "putoff", "down"}  # what speaks for a peer

LINES = [("sshd", text.replace("PEER", PEER), lengths,
          "login" if text.startswith("Accepted") else "") for text, lengths in (
    ("Invalid user %s from PEER port 40022", [100]),
    ("Invalid user %s from PEER", [100]),
    ("Failed password for invalid user %s from PEER port 40022 ssh2", [100]),
    ("Failed password for %s from PEER port 40022 ssh2", [100]),
    ("Failed keyboard-interactive/pam for invalid user %s from PEER port 40022 ssh2", [100]),
    ("Failed publickey for invalid user %s from PEER port 40022 ssh2: RSA-CERT SHA256:abcdef "
     "ID %s (serial 0) CA RSA SHA256:abcdef", [100, 999]),
    ("Accepted publickey for bob from PEER port 40022 ssh2: RSA-CERT SHA256:abcdef ID %s "
     "(serial 0) CA RSA SHA256:abcdef", [999]),
    ("Accepted password for bob from PEER port 40022 ssh2", []),
    ("Accepted gssapi-with-mic for bob from PEER port 40022 ssh2: %s", [200]),
    ("Failed hostbased for invalid user %s from PEER port 40022 ssh2: RSA SHA256:abcdef, client "
     "user \"%s\", client host \"%s\"", [100, 100, 100]),
    ("error: maximum authentication attempts exceeded for invalid user %s from PEER port 40022 "
     "ssh2 [preauth]", [100]),
    ("Disconnecting invalid user %s PEER port 40022: Too many authentication failures [preauth]",
     [187]),
    ("Disconnecting invalid user %s PEER port 40022: Change of username or service not allowed: "
     "(%s,ssh-connection) -> (%s,%s) [preauth]", [90, 90, 90, 90]),
    ("User %s from PEER not allowed because not listed in AllowUsers", [100]),
    ("Connection closed by invalid user %s PEER port 40022 [preauth]", [187]),
    ("Connection reset by authenticating user %s PEER port 40022 [preauth]", [181]),
    ("Disconnected from invalid user %s PEER port 40022 [preauth]", [187]),
    ("ssh_dispatch_run_fatal: Connection from invalid user %s PEER port 40022: Connection "
     "corrupted [preauth]", [187]),
    ("Bad protocol version identification '%s' from PEER port 40022", [200]),
    ("Bad remote protocol version identification: '%s'", [100]),
    ("error: kex_exchange_identification: client sent invalid protocol identifier \"%s\"", [256]),
    ("Protocol major versions differ for PEER port 40022: SSH-2.0-x vs. %s", [200]),
    ("Unable to negotiate with PEER port 40022: no matching cipher found. Their offer: %s "
     "[preauth]", [2000]),
    ("Received disconnect from PEER port 40022:11: %s [preauth]", [400]),
    ("Received disconnect from PEER port 40022:11: %s", [400]),
    ("Received disconnect from PEER: 11: %s", [400]),
    ("scanned from PEER port 40022 with %s.  Don't panic.", [255]),
    ("error: PAM: Authentication failure for illegal user %s from PEER", [100]),
    ("error: PAM: Authentication failure for illegal user %s from host.example.net", [100]),
    ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=PEER "
     " user=%s", [200]),
    ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
     "rhost=host.example.net  user=%s", [200]),
    ("pam_access(sshd:account): access denied for user `%s' from `PEER'", [200]),
    ("input_userauth_request: invalid user %s [preauth]", [300]))]
LINES += [(program, text.replace("PEER", PEER), lengths, says)
          for program, text, lengths, says in (
    ("postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[PEER]: 554 5.7.1 <%s>: Relay access "
     "denied; from=<%s> to=<%s> proto=ESMTP helo=<%s>", [200] * 4, ""),
    ("postfix/smtpd", "warning: unknown[PEER]: SASL LOGIN authentication failed: "
     "UGFzc3dvcmQ6, sasl_username=%s", [200], ""),
    ("postfix/smtpd", "warning: unknown[PEER]: SASL %s authentication failed: x", [TOKEN], ""),
    ("postfix/smtpd", "improper command pipelining after EHLO from unknown[PEER]: %s", [200], ""),
    ("postfix/smtpd", "warning: non-SMTP command from unknown[PEER]: %s", [200], ""),
    ("postfix/smtpd", "warning: Illegal address syntax from unknown[PEER] in MAIL command: %s",
     [200], ""),
    ("postfix/smtpd", "4F1C2B0D: client=unknown[PEER], sasl_method=%s, sasl_username=%s",
     [TOKEN, 100], "delivered login"),
    ("postfix/smtpd", "4F1C2B0D: client=unknown[PEER], sasl_sender=%s", [100], "delivered"),
    ("postfix/smtpd", "disconnect from unknown[PEER] ehlo=1 auth=1 quit=1 commands=3", [], "login"),
    ("postfix/smtpd", "disconnect from unknown[PEER] ehlo=1 auth=0/1 commands=1/2", [], ""),
    ("postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[PEER]: 450 4.2.0 <%s>: Recipient address "
     "rejected: Greylisted; from=<%s> to=<%s> proto=ESMTP helo=<%s>", [200] * 4, "putoff"),
    ("postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[PEER]: 454 4.7.1 <%s>: Relay access "
     "denied; from=<%s> to=<%s> proto=ESMTP helo=<%s>", [200] * 4, ""),
    ("postfix/smtpd", "NOQUEUE: reject: VRFY from unknown[PEER]: 550 5.1.1 <%s>: Recipient "
     "address rejected: User unknown; to=<%s> proto=SMTP helo=<%s>", [200] * 3, ""),
    ("postfix/smtpd", "warning: unknown[PEER]: SASL PLAIN authentication failed: Connection lost "
     "to authentication server, sasl_username=%s", [100], "down"),
    ("postfix/smtpd", "warning: unknown[PEER]: SASL PLAIN authentication failed: (reason "
     "unavailable), sasl_username=%s", [100], ""),
    ("postfix/smtpd", "warning: unknown[PEER]: SASL %s authentication failed: Invalid "
     "authentication mechanism: '%s', sasl_username=(unavailable)", [TOKEN, TOKEN], ""),
    ("postfix/cleanup", "4F1C2B0D: message-id=<%s>", [200], ""),
    ("postfix/cleanup", "4F1C2B0D: reject: body %s from unknown[PEER]; from=<%s> to=<b> proto=ESMTP "
     "helo=<x>: 5.7.1 no", [200] * 2, ""),
    ("postfix/cleanup", "4F1C2B0D: milter-reject: END-OF-MESSAGE from unknown[PEER]: 4.7.1 %s; "
     "from=<%s> to=<b> proto=ESMTP helo=<x>", [200] * 2, "putoff"),
    ("postfix/qmgr", "4F1C2B0D: from=<%s>, size=9, nrcpt=1 (queue active)", [200], ""),
    ("postfix/postscreen", "PREGREET 14 after 0.04 from [PEER]:40025: %s", [200], ""),
    ("postfix/postscreen", "COMMAND PIPELINING from [PEER]:40025 after %s: %s", [200] * 2, ""),
    ("postfix/postscreen", "NOQUEUE: reject: RCPT from [PEER]:40025: 550 5.7.1 Service "
     "unavailable; client [PEER] blocked using x; from=<%s>, to=<%s>, proto=ESMTP, helo=<%s>",
     [100] * 3, ""),
    ("dovecot", "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<%s>, "
     "method=PLAIN, rip=PEER, lip=198.51.100.1, session=<a>", [80], ""),
    ("dovecot", "imap-login: Disconnected: Too many invalid commands (no auth attempts in 1 secs): "
     "user=<%s>, rip=PEER, lip=198.51.100.1, session=<a>", [80], ""),
    ("dovecot", "imap-login: Login: user=<%s>, method=PLAIN, rip=PEER, lip=198.51.100.1, mpid=4",
     [80], "login"),
    ("dovecot", "imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) "
     "(auth_failed): user=<%s>, method=PLAIN, rip=PEER, lip=198.51.100.1, session=<a>", [80], ""),
    ("dovecot", "imap-login: Logged in: user=<bob>, method=PLAIN, rip=PEER, lip=198.51.100.1, "
     "mpid=4, TLS, session=<a>", [], "login"),
    ("dovecot", "imap-login: proxy(%s): disconnecting PEER (%s)", [80, 80], ""),
    ("dovecot", "auth: Error: sql(%s,PEER,<Jd8F2>): Password query failed: %s", [80] * 2, "down"),
    ("dovecot", "auth: pam(%s,PEER,<Jd8F2>): unknown user", [80], ""),
    ("dovecot", "auth: pam(%s,PEER): Password mismatch (given password: %s)", [80] * 2, ""),
    ("dovecot", "auth-worker(71): conn unix:auth-worker (pid=70,uid=97): auth-worker<1>: "
     "pam(%s,PEER,<Jd8F2>): pam_authenticate() failed: Authentication failure (Password "
     "mismatch?)", [80], ""),
    ("dovecot", "auth(%s,PEER,sasl:plain)<Jd8F2>: sql: Password mismatch", [80], ""),
    ("dovecot", "imap(%s)<4711><Jd8F2>: Disconnected: Logged out in=1 out=2", [80], ""),
    ("dovecot", "auth: Debug: pam(%s,PEER): lookup user=%s", [80] * 2, ""),
    ("smtpd", '0123456789abcdef smtp connected address=PEER host=%s', [200], ""),
    ("smtpd", '0123456789abcdef smtp failed-command command="%s" result="500 x"', [400], ""),
    ("smtpd", '0123456789abcdef smtp failed-command command="AUTH PLAIN (...)" result="535 '
     'Authentication failed"', [], ""),
    ("smtpd", '0123456789abcdef smtp authentication user=%s result=permfail', [200], ""),
    ("smtpd", '0123456789abcdef smtp failed-command command="RCPT TO:<%s>" result="550 Invalid '
     'recipient: <%s>"', [200] * 2, ""),
    ("smtpd", '0123456789abcdef smtp failed-command command="%s" result="500 5.5.1 Invalid '
     'command: Command unrecognized"', [400], ""),
    ("smtpd", '0123456789abcdef smtp bad-input result="500 5.5.1 Invalid command: Pipelining not '
     'supported"', [], ""))]


def rule_lines():
    """The lines of rules.txt: (number, what must come out (str), line of a log (bytes))."""
    with open(os.path.join(HERE, "rules.txt"), "rb") as file:
        for number, line in enumerate(file, 1):
            if line[:1] not in b"#\n":
                expected, program, message = line.rstrip(b"\n").split(b"\t", 2)
                yield number, expected.decode(), b"Apr  8 12:00:00 mail %s: %s" % (program, message)


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
        self.evidence, self.cases = {}, {}
        self.hear(block, logcheck.Tally("log"))
        said = {}
        for peer, rules in self.evidence.items():
            for rule, times in rules.items():
                if peer.decode() != but:
                    words = said.setdefault(peer.decode(), {})
                    words[rule.what.lower()] = words.get(rule.what.lower(), 0) + times
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
PIECES += ["%s%s%s" % ends for ends in (
    (" from ", FRAMED, " port 22 ssh2"), (" from ", FRAMED, ""), ("", FRAMED, ""),
    (" ", FRAMED, " port 22 [preauth]"), (" ", FRAMED, " port 22"), ("[", FRAMED, "]"),
    ("unknown[", FRAMED, "]"), ("rip=", FRAMED, ", lip=1"), (",", FRAMED, "): "),
    (">, method=PLAIN, rip=", FRAMED, ", lip=1"), (" rhost=", FRAMED, "  user=x"))]
PIECES += [" from %s port " % FRAMED + "2" * 88, "' from %s port " % FRAMED + "2" * 88]
PIECES += ["'", '"', ">", ">, ", "[", "]", "(", ")", "): ", "<", " ", ",", "x", "root", "bob", "\n",
           "\0" * 20, "\0" * 60, "\\"]


def typed(rng, most):
    """What an attacker types (str, most characters at most)."""
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
    return text[:most]


def token(rng):
    """A word (str) of an SMTP command, of TOKEN characters at most."""
    text = typed(rng, TOKEN - 2).replace('"', "").replace("\\", "")
    return '"%s"' % text if rng.random() < 0.5 else "".join(text.split())


def escape(text):
    """What sshd logs of typed text (str): strnvis(3)."""
    return "".join("\\%03o" % ord(c) if ord(c) < 32 or ord(c) > 126 else "\\\\" if c == "\\" else c
                   for c in text)


def sanitize(text):
    """What Postfix and Dovecot log of typed text (str)."""
    return re.sub("[^ -~]", "?", text)


def message(rng, program, text, lengths):
    """A format of LINES with everything typed (str)."""
    fields = [token(rng) if most == TOKEN else typed(rng, most) for most in lengths]
    if program == "postfix/smtpd" and "helo=<%s>" in text:
        fields[-1] = re.sub(r'[ <>()\\";@]', "?", fields[-1])  # smtpd.c: neuter()
    if program != "sshd":
        return text % tuple(map(sanitize, fields))
    if rng.random() < 0.4 and fields:
        # lengthen the first field so that the cut falls right behind what it ends in
        room = SSHD_LINE - text.index("%s") - len(escape(fields[0]))
        if room > 0:
            fields[0] = ("\0" * (room // 4) + "y" * (room % 4) + fields[0])[-lengths[0]:]
    return (text % tuple(map(escape, fields)))[:SSHD_LINE]


def lines(seed, count):
    """Yield count lines of a log (bytes), and what each may say for the peer (str)."""
    rng = random.Random(seed)
    for _ in range(count):
        program, text, lengths, says = rng.choice(LINES)
        yield says, ("Apr  8 12:00:00 mail %s[1]: %s" % (
            program, message(rng, program, text, lengths))).encode("latin-1")


def faults(seed, count):
    """Yield what is wrong (str) with what the rules find in count lines with typed text: another
    than the peer, something for the peer that the daemon did not say, or, in a block of a
    thousand lines, another thing than in each line alone.
    """
    court = Court()
    opening = b"Apr  8 12:00:00 mail smtpd[1]: 0123456789abcdef smtp connected address=%s host=x"
    court.heard(opening % PEER.encode())
    block, alone = [], {}
    for says, line in lines(seed, count):
        block.append(line)
        for address, words in court.heard(line).items():
            if address != PEER or FOR & set(words) - set(says.split()):
                yield "seed %d: %s %r: %r" % (seed, address, words, line)
            for word, times in words.items():
                alone[word] = alone.get(word, 0) + times
        if len(block) == 1000:
            if court.heard(b"\n".join(block)) != {PEER: alone}:
                yield "seed %d: not the same in the block that ends in %r" % (seed, line)
            block, alone = [], {}
