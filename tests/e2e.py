#!/usr/bin/env python3
"""End to end: real sshd, Postfix, Dovecot and OpenSMTPD, real attackers and users, logcheck.py.

usage: e2e.py [--capture DIR]

As root on Debian 12. What is missing is installed by apt (e2e/install); no service of the machine
is started or touched. Everything runs in namespaces of its own (network, mounts, processes, host
name), so that the end of this program ends them too, whichever way it ends:

    mail server   192.0.2.25       2001:db8::25    sshd, Postfix, Dovecot, OpenSMTPD
    attackers     203.0.113.0/24   2001:db8:bad::/48
    honest users  198.51.100.0/24  2001:db8:600d::/48

e2e/machine makes them: the daemons, their accounts and logcheck.py stand at their usual paths in
private copies of /etc, /root, /var and so on, and on the machine nothing changes.

First every actor of the table ACTORS acts. Then logcheck.py runs as on the host, from a sourced
daily.local under cron's environment, and its table must be the reference pipeline's, byte for
byte. Then careful mode runs so on the same logs: every attacker, no honest user, no typed address,
and its report says who was let off.

With --capture the logs become the fixtures DIR/real-*, those of a busy hour too.
"""

import argparse
import base64
import collections
import concurrent.futures
import ipaddress
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import host

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(HERE, "e2e")

LIMIT = 300         # seconds for everything but the installation
PATIENCE = 20       # seconds that one answer of a daemon may take
WORKERS = 16        # actors at work at a time

SERVER = {4: "192.0.2.25", 6: "2001:db8::25"}
MAILLOG, AUTHLOG, ETCFILE = "/var/log/maillog", "/var/log/authlog", "/etc/bruteforce"
PF_TABLE, PF_LOG = "/var/pf/bruteforce", "/var/pf.log"
EARLIER_FILE = b"192.0.2.200\n198.51.100.200\n2001:db8:bad::200\n"
EARLIER_PF = b"   192.0.2.201\n   203.0.113.251\n"

# A protocol: how the last line of an answer begins, and the goodbye.
SMTP, IMAP = (b"(?!...-)", "QUIT"), (rb"a |\+ |\* OK \[CAPABILITY", "a LOGOUT")
POP3, SIEVE = (b"", "QUIT"), (b"OK|NO|BY", "LOGOUT")
POSTSCREEN, GREYLISTING, OPENSMTPD = 2525, 2526, 2527
DOORS = {22: None, 25: SMTP, 465: SMTP, 587: SMTP, POSTSCREEN: SMTP, GREYLISTING: SMTP,
         OPENSMTPD: SMTP, 110: POP3, 143: IMAP, 993: IMAP, 4190: SIEVE}

results = []


def check(good, text):
    """Note and print one result."""
    results.append(bool(good))
    print("%s %s" % ("ok  " if good else "FAIL", text), flush=True)


def run(*command, timeout=60, **options):
    """Run a command that must succeed; its output as text."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, **options) as child:
        try:
            said = child.communicate(timeout=timeout)[0].strip()
        except BaseException:
            child.terminate()       # and wait: nobody breaks off apt
            raise
    if child.returncode:
        raise RuntimeError("%s:\n%s" % (" ".join(command), said))
    return said


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def family(address):
    return 6 if ":" in address else 4


# ---- deeds: what an actor does from his address, and whether it worked -----------------------


def deed(act):
    """Make act(source, ...) a function that is told all but the source, and returns a deed: a
    function of the source.
    """
    return lambda *args, **options: lambda source: act(source, *args, **options)


def often(times, act):
    return then(*times * [act])


def then(*acts):
    """One deed after another; whether the last one worked."""
    return lambda source: [act(source) for act in acts][-1]


def fails(act):
    """What must not work."""
    return lambda source: not act(source)


def dial(source, port):
    """A connection from `source` to a port of the server."""
    return socket.create_connection((SERVER[family(source)], port), PATIENCE, (source, 0))


def encrypt(sock, trust):
    """Go over to TLS, trusting any server or, as its certificate is our own, none."""
    context = ssl.create_default_context()
    context.check_hostname = not trust
    context.verify_mode = ssl.CERT_NONE if trust else ssl.CERT_REQUIRED
    return context.wrap_socket(sock, server_hostname="mail.example.org")


def hear(sock, last):
    """Read lines up to one that the pattern `last` begins, or the end; that line, or b""."""
    line = b""
    while not (line.endswith(b"\n") and re.match(last, line)):
        byte = sock.recv(1)     # by the byte: what follows a STARTTLS answer is not ours
        if not byte:
            return b""
        line = byte if line.endswith(b"\n") else line + byte
    return line


@deed
def talk(source, port, *commands, polite=False, trust=True):
    """Hold a session: greeting, then each command and its answers, then hang up, with or without
    a goodbye. STARTTLS goes over to TLS. Whether the answer to the last command was a yes.
    """
    last, farewell = DOORS[port]
    sock = dial(source, port)
    try:
        if port in (465, 993):
            sock = encrypt(sock, trust)
        answer = hear(sock, last)
        for command in commands:
            sock.sendall(command.encode("latin-1") + b"\r\n")
            # a message brings one answer, pipelined lines bring one each
            whole = command.endswith("\r\n.") or command.startswith("BDAT")
            for _ in command.split("\r\n")[:1 if whole else None]:
                answer = hear(sock, last)
            if command == "STARTTLS" and answer.startswith(b"220"):
                sock = encrypt(sock, trust)
        if polite:
            sock.sendall(farewell.encode() + b"\r\n")
            hear(sock, last)
    except OSError:
        answer = b""        # the server has hung up: for an attacker that is no surprise
    finally:
        sock.close()
    return answer.startswith((b"2", b"a OK", b"* OK", b"+OK", b"OK"))


def visit(port, *commands):
    """Hold a session and say goodbye."""
    return talk(port, *commands, polite=True)


@deed
def send(source, port, data=b"", linger=PATIENCE):
    """Send bytes without waiting for anything, then listen until the server hangs up."""
    with dial(source, port) as sock:
        sock.settimeout(linger)
        try:
            sock.sendall(data)
            while linger and sock.recv(4096):
                pass
        except OSError:
            pass
    return True


@deed
def crowd(source, port, count):
    """Open many connections at once."""
    socks = [dial(source, port) for _ in range(count)]
    time.sleep(1)
    for sock in socks:
        sock.close()


@deed
def reset(source, port, data):
    """Hear the server's first words, send bytes and break off with a TCP reset."""
    with dial(source, port) as sock:
        sock.recv(100)
        sock.sendall(data)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ssh_packet(payload):
    """A banner and an SSH packet as it goes before any key exchange (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    head = struct.pack(">IB", len(payload) + padding + 1, padding)
    return b"SSH-2.0-x\r\n" + head + payload + bytes(padding)


def strings(*texts):
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


def goodbye(text, code=11):
    """A disconnect message (type 1) with a text of the client's own."""
    return ssh_packet(b"\x01" + struct.pack(">I", code) + strings(text, b""))


def no_common(methods):
    """A KEXINIT (type 20) with key exchange methods that no server has."""
    return ssh_packet(b"\x14" + bytes(16) + strings(
        methods, b"ssh-ed25519", b"aes128-ctr", b"aes128-ctr", b"hmac-sha2-256", b"hmac-sha2-256",
        b"none", b"none", b"", b"") + bytes(5))


def ssh_command(source, user, keys="", method="password", strict="no", prompts=1):
    """The command line of the real client (list), without what it is to run there."""
    options = ["-o", "NumberOfPasswordPrompts=%d" % prompts,
               "-o", "StrictHostKeyChecking=" + strict,
               "-o", "PreferredAuthentications=" + ("publickey," if keys else "") + method]
    for key in keys.split():
        options += ["-i", "/root/keys/" + key]
    return ["ssh", "-F", "/etc/ssh/ssh_config", "-b", source, "-l", user, *options,
            SERVER[family(source)]]


@deed
def ssh(source, user, *words, **options):
    """Log in with the real client, which is given `words` as passwords."""
    with tempfile.NamedTemporaryFile("w") as left:
        left.write("\n".join(words) + "\n")
        left.flush()
        command = ssh_command(source, user, prompts=max(1, len(words)), **options)
        return subprocess.run(
            command + ["true"], timeout=PATIENCE * 2, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, SSH_ASKPASS="/root/askpass", SSH_ASKPASS_REQUIRE="force",
                     WORDS=left.name)).returncode == 0


def ssh_cut(source):
    """A session of alice's that ends without a goodbye, in the middle of what the server says."""
    with subprocess.Popen(ssh_command(source, "alice", "alice") + ["echo in; exec yes"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as client:
        worked = client.stdout.readline() == b"in\n"
        client.send_signal(signal.SIGSTOP)
        time.sleep(0.2)     # what arrives meanwhile is never read: the kernel answers with a reset
        client.kill()
    return worked


# ---- the actors -------------------------------------------------------------------------------

# What default mode must make of an actor: the shell script finds him, or it does not.
F, M = FOUND, MISSED = "found", "missed"
# What careful mode must make of him. Attackers are banned; honest users are let off, although what
# they did would be enough for a ban, or have done less than that, or nothing that is suspicious.
B, L, N, Q = BANNED, LET_OFF, NEAR, QUIET = "banned", "let off", "near", "quiet"

Actor = collections.namedtuple("Actor", "group default careful address label act")


def actors(group, rows):
    """The Actors of a group's rows: (end of the address, default, careful, label, act)."""
    for end, default, careful, label, act in rows:
        net4, net6 = ("203.0.113", "bad") if careful == BANNED else ("198.51.100", "600d")
        address = "%s.%d" % (net4, end) if isinstance(end, int) else "2001:db8:%s:%s" % (net6, end)
        yield Actor(group, default, careful, address, label, act)


def plain(user, password):
    """The argument of AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


def message(recipient, text):
    return ["MAIL FROM:<someone@example.net>", "RCPT TO:<%s>" % recipient, "DATA",
            "Subject: hello\r\n\r\n%s\r\n." % text]


# as in e2e/etc/dovecot/users
ALICE, BOB, MALLORY = ("alice", "opensesame"), ("bob", "swordfish"), ("mallory", "friend")
AS_ALICE, AS_BOB = "AUTH PLAIN " + plain(*ALICE), "AUTH PLAIN " + plain(*BOB)
GUESS = "AUTH PLAIN " + plain("alice", "guess")
LOGIN_GUESS = ["AUTH LOGIN", base64.b64encode(b"bob").decode(), base64.b64encode(b"1").decode()]
EHLO = "EHLO client.example.net"
RELAY = ["MAIL FROM:<a@example.com>", "RCPT TO:<victim@example.net>"]
TO_ALICE = message("alice@example.org", "lunch?")
TO_BOB = message("bob@example.org", "dinner?")
NOBODIES = ["RCPT TO:<%s@example.org>" % name for name in ("info", "sales", "test", "admin")]
DEAD = [TO_ALICE[0], "RCPT TO:<gone@example.org>"]
MISSPELT = [TO_ALICE[0], "RCPT TO:<alcie@example.org>", *TO_ALICE[1:]]
READ_BOB = ["a LOGIN %s %s" % BOB, "a SELECT INBOX"]
SIEVE_PLAIN = 'AUTHENTICATE "PLAIN" "%s"'
HTTP = b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"
OLD_METHOD = no_common(b"diffie-hellman-group1-sha1")
AGENT = ssh("alice", keys=" ".join("stranger%d" % n for n in range(1, 9)))
WARY = ssh("alice", strict="yes")
BOB_ERRS = then(ssh("bob", "a", "b"), ssh("bob", "c", "d"))
AUTH_FAIL = then(ssh("bob", "a"),
                    send(22, goodbye(b"com.jcraft.jsch.JSchException: Auth fail", 3)))
OLD_PASSWORD = ["a LOGIN alice summer"] * 6

NIGHT = [
    # attackers
    (11, F, B, "ssh as an unknown user", ssh("oracle", "oracle", "123456")),
    (12, F, B, "ssh as root by password", ssh("root", "root", "toor", "password")),
    (13, M, B, "ssh as a user with six wrong passwords", often(2, ssh("alice", "a", "b", "c"))),
    (14, F, B, "ssh, keyboard-interactive, unknown user",
     ssh("admin", "admin", "1234", method="keyboard-interactive")),
    (15, F, B, "ssh as a user who is not allowed", ssh(*MALLORY)),
    (16, F, B, "ssh as root with a key of his own, often", often(5, ssh("root", keys="stranger1"))),
    (17, F, B, "scans of ssh: connect and close", often(5, send(22, linger=0))),
    (18, F, B, "garbage instead of an ssh banner", send(22, b"\x16\x03\x01\x02\x00\x01\x00\r\n")),
    (19, F, B, "HTTP instead of an ssh banner", send(22, HTTP)),
    (20, M, B, "ssh with no common key exchange method", often(5, send(22, OLD_METHOD))),
    # An ssh connection that says nothing is not here: Debian's sshd leaves no line about it.
    (22, F, B, "an ssh banner, then closed", often(5, send(22, b"SSH-2.0-Go\r\n", linger=1))),
    (23, M, B, "an ssh disconnect message before login", often(5, send(22, goodbye(b"Bye Bye")))),
    (24, F, B, "a dozen ssh connections at once", crowd(22, 12)),
    (31, F, B, "SMTP AUTH with wrong passwords", visit(25, EHLO, *6 * [GUESS])),
    (32, F, B, "SMTP AUTH LOGIN on submission, hangs up", talk(587, EHLO, *5 * LOGIN_GUESS)),
    (33, F, B, "SMTP connect and close", send(25, linger=0)),
    (34, F, B, "SMTP: hangs up after EHLO", talk(25, EHLO)),
    (35, F, B, "SMTP pipelining abuse", talk(25, "HELO x", "\r\n".join(DEAD))),
    (36, F, B, "SMTP relay attempts", visit(25, EHLO, *3 * RELAY)),
    (37, F, B, "HTTP to the SMTP port", send(25, HTTP)),
    (38, F, B, "SMTP: too many errors", talk(25, EHLO, *25 * ["XYZZY"])),
    (39, F, B, "SMTP: silent until the server gives up", send(25)),
    (40, F, B, "SMTP: guesses recipients", talk(25, EHLO, RELAY[0], *NOBODIES)),
    (42, F, B, "SMTP AUTH after STARTTLS, hangs up",
     talk(25, EHLO, "STARTTLS", EHLO, GUESS, GUESS)),
    (43, M, B, "postscreen: talks before the greeting", send(POSTSCREEN, b"EHLO x\r\n", linger=3)),
    (44, M, B, "postscreen: connect and close", send(POSTSCREEN, linger=0)),
    (45, M, B, "postscreen: pipelining", talk(POSTSCREEN, EHLO, "\r\n".join(TO_ALICE[:2]))),
    (46, M, B, "postscreen: HTTP after the greeting", talk(POSTSCREEN, "GET / HTTP/1.1")),
    (61, M, B, "SMTP AUTH guesses from a host with a PTR", visit(25, EHLO, *6 * [GUESS])),
    (51, M, B, "IMAP logins with wrong passwords", visit(143, *6 * ["a LOGIN alice guess"])),
    (52, M, B, "POP3 logins with wrong passwords", visit(110, *6 * ["USER bob", "PASS guess"])),
    (53, M, B, "ManageSieve logins with wrong passwords",
     talk(4190, *6 * [SIEVE_PLAIN % plain("alice", "x")])),
    (54, M, B, "IMAP over TLS, unknown user, hangs up",
     talk(993, *6 * ["a LOGIN info@example.org x"])),
    # honest users
    (21, M, Q, "ssh with a password", ssh(*ALICE)),
    (22, M, Q, "ssh with a key", ssh("alice", keys="alice")),
    (23, F, Q, "ssh as root with root's key", ssh("root", keys="root")),
    (24, M, N, "ssh: a typing error, then right", ssh("bob", "swordfsih", "swordfish")),
    (25, M, Q, "ssh: an unknown key, then a password", ssh(*ALICE, keys="stranger1")),
    (26, M, Q, "ssh, keyboard-interactive", ssh(*BOB, method="keyboard-interactive")),
    (31, F, Q, "mail from a host without a PTR record", visit(25, EHLO, *TO_ALICE)),
    (32, F, Q, "two mails in a session, no PTR", visit(25, EHLO, *TO_ALICE, *TO_BOB)),
    (33, F, Q, "mail by BDAT, no PTR",
     visit(25, EHLO, *TO_ALICE[:2], "BDAT 16 LAST\r\nSubject: hi\r\n\r\n")),
    (34, F, Q, "mail over STARTTLS, no PTR", visit(25, EHLO, "STARTTLS", EHLO, *TO_ALICE)),
    (35, F, N, "mail to one who exists and one who does not", visit(25, EHLO, *MISSPELT)),
    (36, M, Q, "SMTP AUTH from an unknown host", visit(587, EHLO, AS_ALICE, RELAY[0], *TO_BOB[1:])),
    (37, M, N, "SMTP AUTH: a typing error, then right", visit(587, EHLO, GUESS, AS_ALICE, *TO_BOB)),
    (38, M, Q, "SMTP AUTH over TLS, sends nothing", visit(465, EHLO, AS_BOB)),
    # postscreen's deep tests put off a new client once
    (39, F, Q, "mail past postscreen, no PTR", often(2, visit(POSTSCREEN, EHLO, *TO_ALICE))),
    (41, M, Q, "mail from a host with a PTR record", visit(25, EHLO, *TO_BOB)),
    (42, F, Q, "mail from a host named unknown.example.net", visit(25, EHLO, *TO_BOB)),
    (51, M, Q, "an IMAP session", visit(143, "a LOGIN %s %s" % ALICE, "a SELECT INBOX")),
    (52, M, N, "IMAP over TLS: a typing error, then right",
     visit(993, "a LOGIN bob sworfdish", *READ_BOB)),
    (53, M, Q, "a POP3 session", visit(110, "USER bob", "PASS swordfish", "STAT")),
    (54, M, Q, "a ManageSieve session", visit(4190, SIEVE_PLAIN % plain(*ALICE), "LISTSCRIPTS")),
    (43, M, Q, "monitoring of SMTP from a host with a PTR", visit(25)),
    (55, M, Q, "monitoring of IMAP", visit(143)),
    (45, F, N, "plain text to the SMTP-over-TLS port, once", send(465, b"EHLO x\r\n")),
]

# Who of these does the same over IPv6, which default mode cannot see: attackers and honest users.
BY_IPV6 = [11, 12, 13, 17, 19, 20, 24, 31, 33, 35, 37, 43, 51, 52], [21, 23, 24, 31, 37, 41, 51]

# Addresses of others in all that a client can type. Those from 198.51.100.1 to .9 and
# 2001:db8:600d::1 are typed only, and must not be found.
HOSTILE = [
    (71, F, B, "ssh user name: an address", ssh("198.51.100.1", "x")),
    (72, F, B, "ssh user name: the end of sshd's message",
     ssh("x from 198.51.100.2 port 22", "x", "y")),
    (73, F, B, "ssh user name: no address at all", ssh("999.999.999.999", "x")),
    (74, F, B, "ssh user name: not ASCII", ssh("r\xf6\xf6t from 198.51.100.3 port 22 ssh2", "x")),
    (75, F, B, "ssh user name: ends the preauth message",
     ssh("root 198.51.100.2 port 22 [preauth]", "x")),
    (76, F, B, "ssh user name: an accepted login",
     ssh("x from 198.51.100.2 port 22 ssh2: Accepted password for alice", "x")),
    (77, F, B, "ssh user name: IPv6, cut at its colon",
     ssh(" root from 2001:db8:600d::1 port 22 ", "x")),
    (78, F, B, "ssh user name: very long", ssh("a from 198.51.100.2 port 1 " * 400, "x")),
    (79, F, B, "ssh disconnect message",
     often(5, send(22, goodbye(b"closed by 198.51.100.4 port 22 [preauth]")))),
    (80, M, B, "ssh disconnect message, long",
     often(5, send(22, goodbye(b"x\r\n" + b"A" * 3000 + b" 198.51.100.4")))),
    (81, F, B, "ssh client version: no protocol",
     send(22, b"invalid from 198.51.100.5 port 22\r\n")),
    (82, M, B, "ssh client version: an old protocol",
     often(5, send(22, b"SSH-1.5-x from 198.51.100.5 port 22: root\r\n"))),
    (83, F, B, "ssh key exchange names",
     often(5, send(22, no_common(b"root, Connection closed by 198.51.100.6 port 22")))),
    (91, F, B, "HELO: Postfix's own message",
     visit(25, "EHLO disconnect from unknown[198.51.100.7] ehlo=1", *2 * RELAY)),
    (92, F, B, "HELO, sender, recipient: addresses",
     visit(25, "HELO [198.51.100.7]", "MAIL FROM:<unknown[198.51.100.7]@example.com>",
           "RCPT TO:<\"x from unknown[198.51.100.7]:\"@example.net>")),
    (93, F, B, "HTTP to SMTP, with an address",
     send(25, b"GET /disconnect from unknown[198.51.100.7] auth=1 HTTP/1.1\r\n\r\n")),
    (94, F, B, "SASL user name: an address",
     talk(25, EHLO, *3 * ["AUTH PLAIN " + plain("x from unknown[198.51.100.7]", "x")])),
    (95, F, B, "postscreen: talks first, an address",
     send(POSTSCREEN, b"EHLO disconnect from unknown[198.51.100.7]\r\n", linger=3)),
    (96, M, B, "a PTR record that begins with an address", visit(25, EHLO, *6 * [GUESS])),
    (97, M, B, "IMAP user name: Dovecot's own message",
     talk(143, *6 * ['a LOGIN "x>, method=PLAIN, rip=198.51.100.8, lip=192.0.2.25, session=<" y'])),
    (98, M, B, "POP3 user name: Dovecot's own message",
     talk(110, *6 * ["USER x>, rip=198.51.100.9, lip=192.0.2.25", "PASS y"])),
    (99, F, B, "pipelining abuse, the rest of it shown",
     talk(25, "HELO x", RELAY[0] + "\r\nx from unknown[198.51.100.7]: root")),
    ("83::1", M, B, "ssh key exchange names, IPv6",
     often(5, send(22, no_common(b"x, Connection closed by 2001:db8:600d::1 port 22")))),
    ("91::1", M, B, "HELO: Postfix's own message, IPv6",
     visit(25, "EHLO disconnect from unknown[2001:db8:600d::1]", *2 * RELAY)),
    ("94::1", M, B, "SASL user name: an IPv6 address",
     talk(25, EHLO, *3 * ["AUTH PLAIN " + plain("x from unknown[2001:db8:600d::1]", "x")])),
    ("97::1", M, B, "IMAP user name: Dovecot's, IPv6",
     talk(143, *6 * ['a LOGIN "x>, method=PLAIN, rip=2001:db8:600d::1, lip=::1" y'])),
    (61, M, Q, "ssh with a password", ssh(*ALICE)),
    (62, F, Q, "mail whose sender looks like a log line",
     visit(25, EHLO, "MAIL FROM:<\"disconnect from unknown[198.51.100.7]\"@example.net>",
           *TO_ALICE[1:])),
]

# The same deeds with and without a good one: what a court must tell apart.
STORIES = [
    (81, M, N, "ssh: an agent with eight keys, then a login", then(AGENT, ssh(*ALICE))),
    (82, M, L, "the same, five times before the login", then(often(5, AGENT), ssh(*ALICE))),
    (111, M, B, "an agent with eight keys, no login", often(5, AGENT)),
    (83, M, Q, "ssh: six sessions cut without a goodbye", often(6, ssh_cut)),
    (112, F, B, "ssh: cut off without a login", often(6, reset(22, b"SSH-2.0-x\r\n"))),
    (84, F, N, "ssh: refuses our host key", fails(WARY)),
    (85, F, L, "ssh: refuses it five times, then logs in", then(often(5, WARY), ssh(*ALICE))),
    (113, F, B, "ssh: gone after the key exchange, often", often(5, WARY)),
    (86, M, N, "ssh: four typing errors, then right", then(BOB_ERRS, ssh(*BOB))),
    (87, M, N, "ssh: four typing errors, no login", fails(BOB_ERRS)),
    (88, M, L, "ssh: six typing errors, then right",
     then(often(2, ssh("bob", "a", "b", "c")), ssh(*BOB))),
    (114, M, B, "ssh: five wrong passwords", then(ssh("bob", "a", "b", "c"), ssh("bob", "d", "e"))),
    (89, M, N, "ssh: a wrong password, says Auth fail", AUTH_FAIL),
    (115, M, B, "ssh: Auth fail, five times", often(5, AUTH_FAIL)),
    (90, F, N, "ssh: root with the wrong key, once", fails(ssh("root", keys="stranger1"))),
    (91, F, L, "ssh: a user name misspelt, then right", then(ssh("bbo", "swordfish"), ssh(*BOB))),
    (116, F, B, "ssh: two unknown users, one login",
     then(ssh("bbo", "x"), ssh("admin", "x"), ssh(*BOB))),
    (92, F, L, "greylisted, no PTR, delivers later",
     then(visit(GREYLISTING, EHLO, *TO_ALICE[:2]), visit(GREYLISTING, EHLO, *TO_ALICE))),
    (93, F, L, "greylisted, no PTR, comes once", fails(visit(GREYLISTING, EHLO, *TO_ALICE[:2]))),
    (117, F, B, "greylisted, no PTR, then leaves once more",
     then(visit(GREYLISTING, EHLO, *TO_ALICE[:2]), visit(GREYLISTING, EHLO))),
    (63, M, B, "greylisted, with a PTR, then guesses",
     then(visit(GREYLISTING, EHLO, *TO_ALICE[:2]), visit(GREYLISTING, EHLO, *5 * [GUESS]))),
    (94, M, L, "IMAP: an old password; a laptop logs in",
     then(talk(143, *OLD_PASSWORD), visit(143, *READ_BOB))),
    (95, F, L, "an old password at SMTP, a laptop at IMAP",
     then(talk(587, EHLO, *6 * [GUESS]), visit(143, *READ_BOB))),
    ("96::a", M, L, "IMAP: an old password, IPv6", fails(talk(143, *OLD_PASSWORD))),
    ("96::b", M, L, "the laptop in the same /64", visit(143, *READ_BOB)),
    (118, F, B, "IMAP and SMTP: guesses at both doors",
     then(talk(143, *OLD_PASSWORD[:3]), talk(587, EHLO, GUESS, GUESS))),
    ("119::a", M, B, "IMAP: three guesses, IPv6", talk(143, *OLD_PASSWORD[:3])),
    ("119::b", M, B, "three more from the same /64", talk(143, *OLD_PASSWORD[:3])),
    (44, M, L, "a provider with five dead recipients", visit(25, EHLO, *5 * (DEAD + TO_ALICE[1:]))),
    (62, M, B, "one delivery, six dead recipients",
     visit(25, EHLO, *TO_ALICE, DEAD[0], *6 * DEAD[1:])),
    (97, F, L, "six times no trust in our certificate, SMTP",
     often(6, fails(talk(465, trust=False)))),
    (98, M, Q, "six times no trust in our certificate, IMAP",
     often(6, fails(talk(993, trust=False)))),
    (120, F, B, "TLS broken off, and five guesses",
     then(often(6, fails(talk(465, trust=False))), talk(587, EHLO, *5 * [GUESS]))),
]

# OpenBSD's own mail server. Only what it says before TLS: with OpenSSL 3, OpenSMTPD 6.8 loses its
# private key (Debian 12), and it offers AUTH to nobody who has not done STARTTLS.
BY_OPENSMTPD = [
    (101, M, B, "OpenSMTPD: AUTH PLAIN guesses", visit(OPENSMTPD, EHLO, *6 * [GUESS])),
    (102, M, B, "OpenSMTPD: AUTH, hostile text",
     talk(OPENSMTPD, "EHLO address=198.51.100.9", *4 * [
         'AUTH PLAIN =" result="235" address=198.51.100.9',
         "AUTH LOGIN smtp connected address=198.51.100.9 host=x"])),
    ("101::1", M, B, "OpenSMTPD: AUTH LOGIN guesses", talk(OPENSMTPD, EHLO, *6 * ["AUTH LOGIN"])),
    (71, M, Q, "OpenSMTPD: mail from outside", visit(OPENSMTPD, EHLO, *TO_ALICE)),
    (72, M, N, "OpenSMTPD: one recipient does not exist", visit(OPENSMTPD, EHLO, *MISSPELT)),
    ("71::1", M, Q, "OpenSMTPD: mail over IPv6", visit(OPENSMTPD, EHLO, *TO_BOB)),
]

GROUPS = {
    "night": NIGHT,
    "ipv6": [("%d::1" % end, MISSED, careful, label, act) for end, _, careful, label, act in NIGHT
             if end in BY_IPV6[careful != BANNED]],
    "hostile": HOSTILE, "stories": STORIES, "opensmtpd": BY_OPENSMTPD}
ACTORS = [row for group in GROUPS for row in actors(group, GROUPS[group])]


def busy_hour():
    """The night again with its hostile text and IPv6: two more addresses for each attacker.

    Attackers come three times each, from addresses that nobody else has, but for those with a PTR
    record in e2e/etc/hosts; users come once.
    """
    busy, known = [], read(CONFIG + "/etc/hosts").decode().split()
    fresh = {4: ("203.0.113.%d" % n for n in range(104, 255)),
             6: ("2001:db8:bad:%x::1" % n for n in range(0x1000, 0x2000))}
    for row in ACTORS * 2:
        if row.group in ("night", "ipv6", "hostile"):
            if row.careful == BANNED and row.address not in known:
                row = row._replace(address=next(fresh[family(row.address)]))
            busy += [row] * (3 if row.careful == BANNED else 1)
    random.Random(1).shuffle(busy)
    return busy


def act_all(rows):
    """Let the actors act, WORKERS at a time; an honest user who fails is a failure of the test."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        deeds = [(row, pool.submit(row.act, row.address)) for row in rows]
    for row, done in deeds:
        try:
            worked, why = done.result(), ""
        except (OSError, subprocess.TimeoutExpired) as error:
            worked, why = False, ": %s" % error
        if row.careful != BANNED and not worked:
            check(False, "%s %s: could not do it%s" % (row.address, row.label, why))


# ---- the run ----------------------------------------------------------------------------------


def time_zone(now):
    """A TZ in which the next quarter of an hour lies inside default mode's range.

    The shell script sees nothing of the first of most months, nor of today before 10:00 on the
    days 10 to 31. That is tested elsewhere; here the clock is put where the script can see.
    """
    def seen(moment):
        local = time.gmtime(moment)
        return local.tm_mday > 1 and (local.tm_mday < 10 or local.tm_hour >= 10)

    east = next(east for east in sorted(range(-23, 24), key=abs)
                if seen(now + 3600 * east) and seen(now + 3600 * east + 900))
    return "UTC" if east == 0 else "XXX%d" % -east


def settle():
    """Wait until the daemons have nothing more to say: for two seconds, or not at all."""
    sizes, since, deadline = None, time.time(), time.time() + PATIENCE
    while time.time() < min(since + 2, deadline):
        time.sleep(0.2)
        if sizes != [os.path.getsize(path) for path in (MAILLOG, AUTHLOG)]:
            sizes, since = [os.path.getsize(path) for path in (MAILLOG, AUTHLOG)], time.time()


def save(folder, maillog, authlog):
    """Lay out a fixture: the logs, the earlier table, the moment of the run, what must come out.
    Returns it as a Host.
    """
    os.makedirs(folder)
    now = int(time.time())
    night = host.Host(folder, maillog, authlog, EARLIER_FILE, EARLIER_PF, now, os.environ["TZ"])
    write(folder + "/now", time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(now)))
    write(folder + "/expected", host.without_unloadable(night.reference(host.pairs()[0])))
    write(folder + "/expected-careful", night.run("-cn").stdout)
    os.remove(folder + "/pf-log")
    return night


def let_act(scratch, group, rows, outside):
    """Let some actors act; their logs as a fixture. A word of the machine in them is a failure."""
    begin = [os.path.getsize(path) for path in (MAILLOG, AUTHLOG)]
    act_all(rows)
    settle()
    logs = [read(path)[size:] for path, size in zip((MAILLOG, AUTHLOG), begin)]
    save("%s/fixtures/real-%s" % (scratch, group), *logs)
    shutil.copy(scratch + "/versions", "%s/fixtures/real-%s/daemons" % (scratch, group))
    traces = [word for word in outside if re.search(
        rb"(?<!\w)%s(?!\w)" % re.escape(word.encode()), b"".join(logs))]
    check(not traces, "real-%s has nothing of this machine %s" % (group, " ".join(traces)))
    print("real-%s: %d lines of maillog, %d lines of authlog" % (
        group, *[log.count(b"\n") for log in logs]))


def nightly(options):
    """The whole chain as on the host, with the tables of the day before: cron, daily, daily.local,
    logcheck.py. Returns the nightly mail and the calls of pfctl.
    """
    write(ETCFILE, EARLIER_FILE)
    write(PF_TABLE, EARLIER_PF)
    write(PF_LOG, b"")
    write("/etc/daily.local", "/root/logcheck.py %s\n" % options)
    run("/bin/sh", CONFIG + "/daily", start_new_session=True,
        env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/var/log", "SHELL": "/bin/sh",
             "LOGNAME": "root", "USER": "root", "TZ": os.environ["TZ"]})
    return read("/var/log/daily.out"), read(PF_LOG).decode().splitlines()


def section(report, title):
    """The addresses in a section of a report (bytes), and how many more it says."""
    for part in report.decode().split("\n\n"):
        if part.startswith(title):
            rows = [row.split() for row in part.split("\n")[1:] if row[:1] not in ("", " ")]
            more = sum(int(row[1]) for row in rows if row[0] == "and")
            return [row[0] for row in rows if row[0] != "and"], more
    return [], 0


def names_the_new(report, added):
    """Whether a report or letter names 50 of the new ones, and says how many more."""
    named, more = section(report, "new")
    return len(named) == 50 and added >= set(named) and more == len(added) - 50


def peer(address):
    """What careful mode enters for an address: for IPv6 its network."""
    return address if family(address) == 4 else str(
        ipaddress.ip_network(address + "/64", strict=False))


def judge(mode, options, whose, expected, pfctl):
    """Run logcheck.py in a mode of its own, and judge its table and report: in default mode
    against the reference and the table of actors. In careful mode: every attacker, no honest user,
    no address that somebody typed; and of the honest, who was let off.
    """
    def note(good, text):
        check(good, "%-8s %s" % (mode, text))

    report, calls = nightly(options)
    table = read(ETCFILE).decode().split()
    note(read(ETCFILE) == expected, "the table is %s, byte for byte" % whose)
    note(calls == ["-t bruteforce -T show", pfctl], "pfctl showed, then: %s" % pfctl)
    note(b"Running daily.local:" in report, "the nightly mail has logcheck.py's report")
    added = set(table) - set(EARLIER_FILE.decode().split())
    let_off, near = section(report, "let off")[0], section(report, "near misses")[0]
    head = "logcheck on mail: %d added, 0 expired, %d let off, %d in the table; pf has it" % (
        len(added), len(let_off), len(table))
    note(head in report.decode().splitlines(), "the report begins: %s" % head)
    note(names_the_new(report, added), "the report names 50 of the new ones, and how many more")
    note(sorted(read(PF_TABLE).decode().split()) == sorted(table), "pf has what the file has")
    for row in ACTORS:
        due, name = getattr(row, mode), peer(row.address)
        if mode == "default":
            verdict = FOUND if row.address in table else MISSED
        else:       # the report shows ten of the near misses
            verdict = (BANNED if name in table else LET_OFF if name in let_off else
                       NEAR if name in near or due == NEAR and len(near) == 10 else QUIET)
        note(verdict == due, "%-7s as %-7s %-21s %s" % (verdict, due, row.address, row.label))
    if mode == "careful":
        strangers = set(table + let_off + near) - {peer(row.address) for row in ACTORS} - set(
            (EARLIER_FILE + EARLIER_PF).decode().split())
        note(not strangers, "nobody but the actors is named %s" % " ".join(strangers))


def judge_mask(table):
    """Careful mode's table with --mask6 128: addresses instead of networks."""
    found = table.decode().split()
    peers = collections.Counter(peer(row.address) for row in ACTORS)
    alone = [row for row in ACTORS if family(row.address) == 6 and peers[peer(row.address)] == 1]
    check(alone and all((row.address in found) == (row.careful == BANNED) for row in alone)
          and b"/" not in table, "careful  --mask6 128: every attacker, no honest user, no network")


def judge_mail():
    """--mail, through the real sendmail(8) and Postfix, into alice's mailbox."""
    write("/root/table", b"")
    run("/root/logcheck.py", "--no-pf", "-e", "/root/table", "--mail", "alice@example.org")
    added = set(read("/root/table").decode().split())
    subject = b"\nSubject: logcheck on mail: %d added to bruteforce\n" % len(added)
    deadline = time.time() + PATIENCE
    while subject not in read("/var/mail/alice") and time.time() < deadline:
        time.sleep(0.1)
    check(names_the_new(read("/var/mail/alice").partition(subject)[2], added),
          "the letter names 50 of the new ones, and says how many more")


def evening(scratch, capture, outside):
    """The test itself."""
    run("sh", CONFIG + "/machine", scratch, sys.executable)
    for group in GROUPS:
        let_act(scratch, group, [row for row in ACTORS if row.group == group], outside)
    # all the logs so far as one more folder
    night = save(scratch + "/evening", read(MAILLOG), read(AUTHLOG))
    judge("default", "-v", "the reference pipeline's", night.read("expected"), "-f /etc/pf.conf")
    judge("careful", "-cv", "the dry run's", night.read("expected-careful"),
          "-t bruteforce -T replace -f %s.logcheck" % ETCFILE)
    judge_mask(night.run("-cn", "--mask6", "128").stdout)
    judge_mail()
    if capture:
        let_act(scratch, "busy", busy_hour(), outside)


def inside(scratch, capture, hostname):
    """The first process of the namespaces: the test and its last line."""
    os.environ["TZ"] = time_zone(time.time())
    time.tzset()
    run("hostname", "mail")
    try:
        evening(scratch, capture, [hostname, scratch, os.path.dirname(HERE)])
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        check(False, "stopped: %s" % error)
        if os.path.exists(scratch + "/daemons"):
            sys.stdout.write(read(scratch + "/daemons").decode("utf-8", "replace"))
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


# ---- outside: installation, namespaces, cleaning up ------------------------------------------

# Whoever dies on the way takes all below him along, even by SIGKILL.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--ipc",
              "--pid", "--fork", "--kill-child", "--mount-proc"]


def main():
    parser = argparse.ArgumentParser(usage="e2e.py [--capture DIR]")
    parser.add_argument("--capture", metavar="DIR")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return inside(args.inside[0], args.capture, args.inside[1])
    if os.getuid():
        print("skipped: not root")
        return 0
    scratch = tempfile.mkdtemp(prefix="e2e.", dir="/tmp")   # not below one of the overlays
    os.chmod(scratch, 0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    try:
        try:
            run("sh", CONFIG + "/install", scratch, *NAMESPACES, timeout=None)
        except RuntimeError as error:
            print("skipped: %s" % str(error).splitlines()[-1])
            return 0
        command = [sys.executable, __file__, "--inside", scratch, socket.gethostname()]
        command += ["--capture", args.capture] if args.capture else []
        status = subprocess.call(NAMESPACES + command, stdin=subprocess.DEVNULL,
                                 timeout=LIMIT * (3 if args.capture else 1))
        if args.capture and status == 0:
            run("cp", "-R", scratch + "/fixtures/.", args.capture)
        return status
    except subprocess.TimeoutExpired:
        print("FAIL not done in time\n0 passed, 1 failed")
        return 1
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main())
