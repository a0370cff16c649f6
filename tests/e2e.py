#!/usr/bin/env python3
"""End to end: real sshd, Postfix, Dovecot and OpenSMTPD, real attackers and users, logcheck.py.

usage: e2e.py [--capture DIR]

As root on Debian 12. What is missing is installed by apt; no service of the machine is started or
touched. Everything runs in namespaces of its own (network, mounts, processes, host name), so that
the end of this program ends them too, whichever way it ends:

    mail server   192.0.2.25  2001:db8::25    sshd, Postfix, Dovecot (OpenSMTPD on ...27)
    attackers     203.0.113.0/24   2001:db8:bad::/48
    honest users  198.51.100.0/24  2001:db8:600d::/48

/etc, /home, /root, /usr/local and /var are overlays: the daemons, their accounts and logcheck.py
stand at their usual paths there, and on the machine nothing changes. e2e/etc is laid over /etc.

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
import functools
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

import tools

HERE = os.path.dirname(os.path.abspath(__file__))
LOGCHECK = os.path.join(os.path.dirname(HERE), "logcheck.py")
CONFIG = os.path.join(HERE, "e2e")

PACKAGES = ("openssh-server", "openssh-client", "postfix", "dovecot-core", "dovecot-imapd",
            "dovecot-pop3d", "dovecot-managesieved", "libevent-2.1-7", "openssl", "iproute2")
# These would drive out the machine's own syslogd or Postfix: unpacked beside them, not installed.
UNPACKED = ("inetutils-syslogd", "opensmtpd")

LIMIT = 300         # seconds for everything but the installation
PATIENCE = 20       # seconds that one answer of a daemon may take
WORKERS = 16        # actors at work at a time

SERVER = {4: "192.0.2.25", 6: "2001:db8::25"}
OPENSMTPD = {4: "192.0.2.27", 6: "2001:db8::27"}
CLIENT = {4: "192.0.2.1", 6: "2001:db8::1"}
CLIENT_NETS = {4: ("198.51.100.0/24", "203.0.113.0/24"),
               6: ("2001:db8:600d::/48", "2001:db8:bad::/48")}

MAILLOG, AUTHLOG, ETCFILE = "/var/log/maillog", "/var/log/authlog", "/etc/bruteforce"
PF_TABLES, PF_LOG = "/var/pf", "/var/pf.log"
EARLIER_FILE = b"192.0.2.200\n198.51.100.200\n2001:db8:bad::200\n"
EARLIER_PF = b"   192.0.2.201\n   203.0.113.251\n"

LISTENERS = {"192.0.2.25:22", "[2001:db8::25]:22", "192.0.2.25:25", "[2001:db8::25]:25",
             "192.0.2.25:143", "[2001:db8::25]:143", "192.0.2.27:25", "[2001:db8::27]:25",
             "110", "465", "587", "993", "2525", "2526", "4190"}

PASSWORDS = {"alice": "opensesame", "bob": "swordfish", "mallory": "friend"}
KEYS = "/root/keys"
ASKPASS = "/root/askpass"

failures = []
passes = []


def check(good, text):
    """Note and print one result."""
    (passes if good else failures).append(text)
    print("%s %s" % ("ok  " if good else "FAIL", text), flush=True)


def run(*command, **options):
    """Run a command that must succeed; its output as text."""
    options.setdefault("timeout", 60)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, **options)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stdout.strip()))
    return done.stdout


# ---- the clients' side: small speakers of the protocols --------------------------------------


def family(address):
    return 6 if ":" in address else 4


def dial(source, port, server=SERVER, tls=False):
    """A connection from `source` to a port of the server."""
    sock = socket.create_connection((server[family(source)], port), PATIENCE, (source, 0))
    return wrap(sock) if tls else sock


def wrap(sock):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def distrusts(source, port):
    """A TLS client that does not accept the server's certificate; whether it refused."""
    sock = dial(source, port)
    try:
        ssl.create_default_context().wrap_socket(sock, server_hostname="mail.example.org")
    except ssl.SSLError:
        return True
    finally:
        sock.close()
    return False


def hear(sock, last):
    """Read lines up to one for which `last` is true, or the end; that line, or b""."""
    line = b""
    while True:
        byte = sock.recv(1)     # by the byte: what follows a STARTTLS answer is not ours
        line += byte
        if not byte:
            return b""
        if byte == b"\n":
            if last(line):
                return line
            line = b""


def smtp_last(line):
    return line[3:4] != b"-"


def imap_last(line):
    return line[:2] in (b"a ", b"+ ") or line.startswith(b"* OK [CAPABILITY")


def pop3_last(line):
    return True


def sieve_last(line):
    return line[:2] in (b"OK", b"NO", b"BY")


def answers(command):
    """How many answers a command of the table brings: a message one, pipelined lines one each."""
    return 1 if command.endswith("\r\n.") or command.startswith("BDAT") \
        else len(command.split("\r\n"))


def talk(source, port, last, commands, server=SERVER, tls=False):
    """Hold a session: greeting, then each command and its answers; [answer, ...], greeting first.

    A session that does not end in QUIT or LOGOUT is one that hangs up. STARTTLS goes over to TLS.
    """
    heard = []
    sock = dial(source, port, server, tls)
    try:
        heard.append(hear(sock, last))
        for command in commands:
            sock.sendall(command.encode("latin-1") + b"\r\n")
            heard += [hear(sock, last) for _ in range(answers(command))]
            if command == "STARTTLS" and heard[-1].startswith(b"220"):
                sock = wrap(sock)
    except OSError:
        heard.append(b"")       # the server has hung up: for an attacker that is no surprise
    finally:
        sock.close()
    return heard


def smtp(source, *commands, port=25, server=SERVER, tls=False):
    return talk(source, port, smtp_last, commands, server, tls)


def imap(source, *commands, port=143, tls=False):
    return talk(source, port, imap_last, ["a " + command for command in commands], tls=tls)


def pop3(source, *commands):
    return talk(source, 110, pop3_last, commands)


def sieve(source, *commands):
    return talk(source, 4190, sieve_last, commands)


def send(source, port, data=b"", linger=PATIENCE, server=SERVER):
    """Send bytes without waiting for anything, then listen until the server hangs up."""
    with dial(source, port, server) as sock:
        sock.settimeout(linger)
        try:
            sock.sendall(data)
            while linger and sock.recv(4096):
                pass
        except OSError:
            pass


def crowd(source, port, count):
    """Open many connections at once."""
    socks = [dial(source, port) for _ in range(count)]
    time.sleep(1)
    for sock in socks:
        sock.close()


def reset(source, port, data=b""):
    """Hear the server's first line, send bytes and break off with a TCP reset."""
    with dial(source, port) as sock:
        hear(sock, lambda line: True)
        sock.sendall(data)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ssh_packet(payload):
    """An SSH packet as it goes before any key exchange (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def ssh_string(data):
    return struct.pack(">I", len(data)) + data


def ssh_disconnect(source, text, code=11):
    """A disconnect message (type 1) with a text of the client's own; whether it could be sent."""
    message = b"\x01" + struct.pack(">I", code) + ssh_string(text) + ssh_string(b"")
    send(source, 22, b"SSH-2.0-x\r\n" + ssh_packet(message))
    return True


def ssh_no_common(source, algorithms):
    """A KEXINIT (type 20) with key exchange methods that no server has."""
    rest = [b"ssh-ed25519"] + [b"aes128-ctr"] * 2 + [b"hmac-sha2-256"] * 2 + [b"none"] * 2
    lists = b"".join(ssh_string(names) for names in [algorithms] + rest + [b"", b""])
    send(source, 22, b"SSH-2.0-x\r\n" + ssh_packet(b"\x14" + bytes(16) + lists + bytes(5)))


def ssh_command(source, user, keys=(), method="password", strict="no", words=()):
    """The command line of the real client (list), without what it is to run there."""
    command = ["ssh", "-F", "none", "-b", source, "-l", user, "-o", "LogLevel=ERROR",
               "-o", "StrictHostKeyChecking=" + strict, "-o", "UserKnownHostsFile=/dev/null",
               "-o", "NumberOfPasswordPrompts=%d" % max(1, len(words)), "-o", "IdentitiesOnly=yes",
               "-o", "PreferredAuthentications=" + ("publickey," if keys else "") + method]
    for key in keys:
        command += ["-i", KEYS + "/" + key]
    return command + [SERVER[family(source)]]


def ssh(source, user, *words, **options):
    """Log in with the real client, which is given `words` as passwords; true if let in."""
    with tempfile.NamedTemporaryFile("w") as left:
        left.write("\n".join(words) + "\n")
        left.flush()
        return subprocess.run(
            ssh_command(source, user, words=words, **options) + ["true"], timeout=PATIENCE * 2,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, SSH_ASKPASS=ASKPASS, SSH_ASKPASS_REQUIRE="force",
                     WORDS=left.name)).returncode == 0


def ssh_cut(source):
    """A session of alice's that ends without a goodbye, in the middle of what the server says."""
    with subprocess.Popen(ssh_command(source, "alice", ["alice"]) + ["echo in; exec yes"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as client:
        worked = client.stdout.readline() == b"in\n"
        client.send_signal(signal.SIGSTOP)
        time.sleep(0.2)     # what arrives meanwhile is never read: the kernel answers with a reset
        client.kill()
    return worked


# ---- what honest users do; each says whether it worked ----------------------------------------


def often(source, times, speak, *args, **options):
    """Do the same several times; whether it worked the last time."""
    return [speak(source, *args, **options) for _ in range(times)][-1]


def in_turn(source, *deeds):
    """Do one thing after another, each (function, argument, ...); whether the last one worked."""
    return [speak(source, *args) for speak, *args in deeds][-1]


def fails(source, speak, *args, **options):
    """Do what must not work; whether it did not."""
    return not speak(source, *args, **options)


def plain(user, password):
    """The argument of AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()


def message(recipient, text):
    return ["MAIL FROM:<someone@example.net>", "RCPT TO:<%s>" % recipient, "DATA",
            "Subject: hello\r\n\r\n%s\r\n." % text]


def deliver(source, *commands, port=25, server=SERVER, tls=False):
    """Run an SMTP session; its last answer but QUIT's must be a yes."""
    heard = smtp(source, *(commands + ("QUIT",)), port=port, server=server, tls=tls)
    return any(answer.startswith((b"250", b"235")) for answer in heard[-2:-1])


def deliver_twice(source, *commands, port):
    """Behind postscreen's deep tests a new client is put off once."""
    return deliver(source, *commands, port=port) or deliver(source, *commands, port=port)


def read_imap(source, *commands, **options):
    return imap(source, *(commands + ("SELECT INBOX", "LOGOUT")), **options)[-1] != b""


def read_pop3(source, *commands):
    return pop3(source, *(commands + ("STAT", "QUIT")))[-1].startswith(b"+OK")


def visit(source, speak, farewell):
    """Come and go without doing anything, as monitoring does."""
    return speak(source, farewell)[0] != b""


def read_sieve(source, *commands):
    return sieve(source, *(commands + ("LISTSCRIPTS", "LOGOUT")))[-1].startswith(b"OK")


# ---- the actors -------------------------------------------------------------------------------

# What default mode must make of an actor: the shell script finds him, or it does not.
FOUND, MISSED = "found", "missed"
# What careful mode must make of him. Attackers are banned; honest users are let off, although what
# they did would be enough for a ban, or have done less than that, or nothing that is suspicious.
BANNED, LET_OFF, NEAR, QUIET = "banned", "let off", "near", "quiet"

Actor = collections.namedtuple("Actor", "group default careful address label act args options")


def actor(group, default, careful, address, label, act, *args, **options):
    return Actor(group, default, careful, address, label, act, args, options)


GUESS = "AUTH PLAIN " + plain("alice", "guess")
LOGIN_GUESS = ["AUTH LOGIN", base64.b64encode(b"bob").decode(), base64.b64encode(b"1").decode()]
ALICE = "AUTH PLAIN " + plain("alice", PASSWORDS["alice"])
BOB = "AUTH PLAIN " + plain("bob", PASSWORDS["bob"])
RELAY = ["MAIL FROM:<a@example.com>", "RCPT TO:<victim@example.net>"]
TO_ALICE = message("alice@example.org", "lunch?")
TO_BOB = message("bob@example.org", "dinner?")
EHLO = "EHLO client.example.net"
DEAD = [TO_ALICE[0], "RCPT TO:<gone@example.org>"]
OLD_PASSWORD = ["LOGIN alice summer"] * 6
BOB_READS = (read_imap, "LOGIN bob " + PASSWORDS["bob"])
AUTH_FAIL = b"com.jcraft.jsch.JSchException: Auth fail"
agent = functools.partial(ssh, keys=["stranger%d" % n for n in range(1, 9)])
wary = functools.partial(ssh, strict="yes")
submit = functools.partial(smtp, port=587)
greylisted = functools.partial(deliver, port=2526)

ACTORS = [
    # ---- a plain night: attackers
    actor("night", FOUND, BANNED, "203.0.113.11", "ssh as an unknown user",
          ssh, "oracle", "oracle", "123456"),
    actor("night", FOUND, BANNED, "203.0.113.12", "ssh as root by password",
          ssh, "root", "root", "toor", "password"),
    actor("night", MISSED, BANNED, "203.0.113.13", "ssh as a user with six wrong passwords",
          often, 2, ssh, "alice", "a", "b", "c"),
    actor("night", FOUND, BANNED, "203.0.113.14", "ssh, keyboard-interactive, unknown user",
          ssh, "admin", "admin", "1234", method="keyboard-interactive"),
    actor("night", FOUND, BANNED, "203.0.113.15", "ssh as a user who is not allowed",
          ssh, "mallory", PASSWORDS["mallory"]),
    actor("night", FOUND, BANNED, "203.0.113.16", "ssh as root with a key of his own, often",
          often, 5, ssh, "root", keys=["stranger1"]),
    actor("night", FOUND, BANNED, "203.0.113.17", "scans of ssh: connect and close",
          often, 5, send, 22, linger=0),
    actor("night", FOUND, BANNED, "203.0.113.18", "garbage instead of an ssh banner",
          send, 22, b"\x16\x03\x01\x02\x00\x01\x00\r\n"),
    actor("night", FOUND, BANNED, "203.0.113.19", "HTTP instead of an ssh banner",
          send, 22, b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"),
    actor("night", MISSED, BANNED, "203.0.113.20", "ssh with no common key exchange method",
          often, 5, ssh_no_common, b"diffie-hellman-group1-sha1"),
    # An ssh connection that says nothing is not here: Debian's sshd leaves no line about it.
    actor("night", FOUND, BANNED, "203.0.113.22", "an ssh banner, then closed",
          often, 5, send, 22, b"SSH-2.0-Go\r\n", linger=1),
    actor("night", MISSED, BANNED, "203.0.113.23", "an ssh disconnect message before login",
          often, 5, ssh_disconnect, b"Bye Bye"),
    actor("night", FOUND, BANNED, "203.0.113.24", "a dozen ssh connections at once",
          crowd, 22, 12),
    actor("night", FOUND, BANNED, "203.0.113.31", "SMTP AUTH with wrong passwords",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("night", FOUND, BANNED, "203.0.113.32", "SMTP AUTH LOGIN on submission, hangs up",
          smtp, EHLO, *LOGIN_GUESS * 5, port=587),
    actor("night", FOUND, BANNED, "203.0.113.33", "SMTP connect and close",
          send, 25, linger=0),
    actor("night", FOUND, BANNED, "203.0.113.34", "SMTP: hangs up after EHLO",
          smtp, EHLO),
    actor("night", FOUND, BANNED, "203.0.113.35", "SMTP pipelining abuse",
          smtp, "HELO x", "\r\n".join(DEAD)),
    actor("night", FOUND, BANNED, "203.0.113.36", "SMTP relay attempts",
          smtp, EHLO, *RELAY * 3 + ["QUIT"]),
    actor("night", FOUND, BANNED, "203.0.113.37", "HTTP to the SMTP port",
          send, 25, b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"),
    actor("night", FOUND, BANNED, "203.0.113.38", "SMTP: too many errors",
          smtp, EHLO, *["XYZZY"] * 25),
    actor("night", FOUND, BANNED, "203.0.113.39", "SMTP: silent until the server gives up",
          send, 25),
    actor("night", FOUND, BANNED, "203.0.113.40", "SMTP: guesses recipients",
          smtp, EHLO, "MAIL FROM:<a@example.com>",
          *["RCPT TO:<%s@example.org>" % name for name in "info sales test admin".split()]),
    actor("night", FOUND, BANNED, "203.0.113.42", "SMTP AUTH after STARTTLS, hangs up",
          smtp, EHLO, "STARTTLS", EHLO, *[GUESS] * 2),
    actor("night", MISSED, BANNED, "203.0.113.43", "postscreen: talks before the greeting",
          send, 2525, b"EHLO x\r\n", linger=3),
    actor("night", MISSED, BANNED, "203.0.113.44", "postscreen: connect and close",
          send, 2525, linger=0),
    actor("night", MISSED, BANNED, "203.0.113.45", "postscreen: pipelining",
          smtp, EHLO, "\r\n".join(TO_ALICE[:2]), port=2525),
    actor("night", MISSED, BANNED, "203.0.113.46", "postscreen: HTTP after the greeting",
          smtp, "GET / HTTP/1.1", port=2525),
    actor("night", MISSED, BANNED, "203.0.113.61", "SMTP AUTH guesses from a host with a PTR",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("night", MISSED, BANNED, "203.0.113.51", "IMAP logins with wrong passwords",
          imap, *["LOGIN alice guess"] * 6 + ["LOGOUT"]),
    actor("night", MISSED, BANNED, "203.0.113.52", "POP3 logins with wrong passwords",
          pop3, *["USER bob", "PASS guess"] * 6 + ["QUIT"]),
    actor("night", MISSED, BANNED, "203.0.113.53", "ManageSieve logins with wrong passwords",
          sieve, *['AUTHENTICATE "PLAIN" "%s"' % plain("alice", "x")] * 6),
    actor("night", MISSED, BANNED, "203.0.113.54", "IMAP over TLS, unknown user, hangs up",
          imap, *["LOGIN info@example.org x"] * 6, port=993, tls=True),
    # ---- a plain night: honest users
    actor("night", MISSED, QUIET, "198.51.100.21", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("night", MISSED, QUIET, "198.51.100.22", "ssh with a key", ssh, "alice", keys=["alice"]),
    actor("night", FOUND, QUIET, "198.51.100.23", "ssh as root with root's key",
          ssh, "root", keys=["root"]),
    actor("night", MISSED, NEAR, "198.51.100.24", "ssh: a typing error, then right",
          ssh, "bob", "swordfsih", PASSWORDS["bob"]),
    actor("night", MISSED, QUIET, "198.51.100.25", "ssh: an unknown key, then a password",
          ssh, "alice", PASSWORDS["alice"], keys=["stranger1"]),
    actor("night", MISSED, QUIET, "198.51.100.26", "ssh, keyboard-interactive",
          ssh, "bob", PASSWORDS["bob"], method="keyboard-interactive"),
    actor("night", FOUND, QUIET, "198.51.100.31", "mail from a host without a PTR record",
          deliver, EHLO, *TO_ALICE),
    actor("night", FOUND, QUIET, "198.51.100.32", "two mails in a session, no PTR",
          deliver, EHLO, *TO_ALICE + TO_BOB),
    actor("night", FOUND, QUIET, "198.51.100.33", "mail by BDAT, no PTR",
          deliver, EHLO, *TO_ALICE[:2] + ["BDAT 16 LAST\r\nSubject: hi\r\n\r\n"]),
    actor("night", FOUND, QUIET, "198.51.100.34", "mail over STARTTLS, no PTR",
          deliver, EHLO, "STARTTLS", EHLO, *TO_ALICE),
    actor("night", FOUND, NEAR, "198.51.100.35", "mail to one who exists and one who does not",
          deliver, EHLO, "MAIL FROM:<someone@example.net>", "RCPT TO:<alcie@example.org>",
          *TO_ALICE[1:]),
    actor("night", MISSED, QUIET, "198.51.100.36", "SMTP AUTH from an unknown host",
          deliver, EHLO, ALICE, *RELAY[:1] + TO_BOB[1:], port=587),
    actor("night", MISSED, NEAR, "198.51.100.37", "SMTP AUTH: a typing error, then right",
          deliver, EHLO, GUESS, ALICE, *TO_BOB, port=587),
    actor("night", MISSED, QUIET, "198.51.100.38", "SMTP AUTH over TLS, sends nothing",
          deliver, EHLO, BOB, port=465, tls=True),
    actor("night", FOUND, QUIET, "198.51.100.39", "mail past postscreen, no PTR",
          deliver_twice, EHLO, *TO_ALICE, port=2525),
    actor("night", MISSED, QUIET, "198.51.100.41", "mail from a host with a PTR record",
          deliver, EHLO, *TO_BOB),
    actor("night", FOUND, QUIET, "198.51.100.42", "mail from a host named unknown.example.net",
          deliver, EHLO, *TO_BOB),
    actor("night", MISSED, QUIET, "198.51.100.51", "an IMAP session",
          read_imap, "LOGIN alice " + PASSWORDS["alice"]),
    actor("night", MISSED, NEAR, "198.51.100.52", "IMAP over TLS: a typing error, then right",
          read_imap, "LOGIN bob sworfdish", "LOGIN bob " + PASSWORDS["bob"], port=993, tls=True),
    actor("night", MISSED, QUIET, "198.51.100.53", "a POP3 session",
          read_pop3, "USER bob", "PASS " + PASSWORDS["bob"]),
    actor("night", MISSED, QUIET, "198.51.100.54", "a ManageSieve session",
          read_sieve, 'AUTHENTICATE "PLAIN" "%s"' % plain("alice", PASSWORDS["alice"])),
    actor("night", MISSED, QUIET, "198.51.100.43", "monitoring of SMTP from a host with a PTR",
          visit, smtp, "QUIT"),
    actor("night", MISSED, QUIET, "198.51.100.55", "monitoring of IMAP",
          visit, imap, "LOGOUT"),
    actor("night", FOUND, NEAR, "198.51.100.45", "plain text to the SMTP-over-TLS port, once",
          fails, send, 465, b"EHLO x\r\n"),
    # ---- the same over IPv6, which default mode cannot see
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:11::1", "ssh as an unknown user",
          ssh, "oracle", "oracle", "123456"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:12::1", "ssh as root by password",
          ssh, "root", "root", "toor", "password"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:13::1", "ssh as a user with six wrong passwords",
          often, 2, ssh, "alice", "a", "b", "c"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:17::1", "scans of ssh: connect and close",
          often, 5, send, 22, linger=0),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:19::1", "HTTP instead of an ssh banner",
          send, 22, b"GET / HTTP/1.1\r\n\r\n"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:20::1", "ssh with no common key exchange method",
          often, 5, ssh_no_common, b"diffie-hellman-group1-sha1"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:24::1", "a dozen ssh connections at once",
          crowd, 22, 12),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:31::1", "SMTP AUTH with wrong passwords",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:33::1", "SMTP connect and close",
          send, 25, linger=0),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:35::1", "SMTP pipelining abuse",
          smtp, "HELO x", "\r\n".join(DEAD)),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:37::1", "HTTP to the SMTP port",
          send, 25, b"GET / HTTP/1.1\r\n\r\n"),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:43::1", "postscreen: talks before the greeting",
          send, 2525, b"EHLO x\r\n", linger=3),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:51::1", "IMAP logins with wrong passwords",
          imap, *["LOGIN alice guess"] * 6 + ["LOGOUT"]),
    actor("ipv6", MISSED, BANNED, "2001:db8:bad:52::1", "POP3 logins with wrong passwords",
          pop3, *["USER bob", "PASS guess"] * 6),
    actor("ipv6", MISSED, QUIET, "2001:db8:600d:21::1", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("ipv6", MISSED, QUIET, "2001:db8:600d:23::1", "ssh as root with root's key",
          ssh, "root", keys=["root"]),
    actor("ipv6", MISSED, NEAR, "2001:db8:600d:24::1", "ssh: a typing error, then right",
          ssh, "bob", "swordfsih", PASSWORDS["bob"]),
    actor("ipv6", MISSED, QUIET, "2001:db8:600d:31::1", "mail from a host without a PTR record",
          deliver, EHLO, *TO_ALICE),
    actor("ipv6", MISSED, NEAR, "2001:db8:600d:37::1", "SMTP AUTH: a typing error, then right",
          deliver, EHLO, GUESS, ALICE, *TO_BOB, port=587),
    actor("ipv6", MISSED, QUIET, "2001:db8:600d:41::1", "mail from a host with a PTR record",
          deliver, EHLO, *TO_BOB),
    actor("ipv6", MISSED, QUIET, "2001:db8:600d:51::1", "an IMAP session",
          read_imap, "LOGIN alice " + PASSWORDS["alice"]),
    # ---- hostile text: addresses of others in all that a client can type. Those from 198.51.100.1
    # to .9 and 2001:db8:600d::1 are typed only, and must not be found
    actor("hostile", FOUND, BANNED, "203.0.113.71", "ssh user name: an address",
          ssh, "198.51.100.1", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.72", "ssh user name: the end of sshd's message",
          ssh, "x from 198.51.100.2 port 22", "x", "y"),
    actor("hostile", FOUND, BANNED, "203.0.113.73", "ssh user name: no address at all",
          ssh, "999.999.999.999", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.74", "ssh user name: not ASCII",
          ssh, "r\xf6\xf6t from 198.51.100.3 port 22 ssh2", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.75", "ssh user name: ends the preauth message",
          ssh, "root 198.51.100.2 port 22 [preauth]", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.76", "ssh user name: an accepted login",
          ssh, "x from 198.51.100.2 port 22 ssh2: Accepted password for alice", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.77", "ssh user name: IPv6, cut at its colon",
          ssh, " root from 2001:db8:600d::1 port 22 ", "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.78", "ssh user name: very long",
          ssh, "a from 198.51.100.2 port 1 " * 400, "x"),
    actor("hostile", FOUND, BANNED, "203.0.113.79", "ssh disconnect message",
          often, 5, ssh_disconnect, b"closed by 198.51.100.4 port 22 [preauth]"),
    actor("hostile", MISSED, BANNED, "203.0.113.80", "ssh disconnect message, long",
          often, 5, ssh_disconnect, b"x\r\n" + b"A" * 3000 + b" 198.51.100.4"),
    actor("hostile", FOUND, BANNED, "203.0.113.81", "ssh client version: no protocol",
          send, 22, b"invalid from 198.51.100.5 port 22\r\n"),
    actor("hostile", MISSED, BANNED, "203.0.113.82", "ssh client version: an old protocol",
          often, 5, send, 22, b"SSH-1.5-x from 198.51.100.5 port 22: root\r\n"),
    actor("hostile", FOUND, BANNED, "203.0.113.83", "ssh key exchange names",
          often, 5, ssh_no_common, b"root, Connection closed by 198.51.100.6 port 22"),
    actor("hostile", FOUND, BANNED, "203.0.113.91", "HELO: Postfix's own message",
          smtp, "EHLO disconnect from unknown[198.51.100.7] ehlo=1", *RELAY * 2 + ["QUIT"]),
    actor("hostile", FOUND, BANNED, "203.0.113.92", "HELO, sender, recipient: addresses",
          smtp, "HELO [198.51.100.7]", "MAIL FROM:<unknown[198.51.100.7]@example.com>",
          "RCPT TO:<\"x from unknown[198.51.100.7]:\"@example.net>", "QUIT"),
    actor("hostile", FOUND, BANNED, "203.0.113.93", "HTTP to SMTP, with an address",
          send, 25, b"GET /disconnect from unknown[198.51.100.7] auth=1 HTTP/1.1\r\n\r\n"),
    actor("hostile", FOUND, BANNED, "203.0.113.94", "SASL user name: an address",
          smtp, EHLO, *["AUTH PLAIN " + plain("x from unknown[198.51.100.7]", "x")] * 3),
    actor("hostile", FOUND, BANNED, "203.0.113.95", "postscreen: talks first, an address",
          send, 2525, b"EHLO disconnect from unknown[198.51.100.7]\r\n", linger=3),
    actor("hostile", MISSED, BANNED, "203.0.113.96", "a PTR record that begins with an address",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("hostile", MISSED, BANNED, "203.0.113.97", "IMAP user name: Dovecot's own message",
          imap, *['LOGIN "x>, method=PLAIN, rip=198.51.100.8, lip=192.0.2.25, session=<" y'] * 6),
    actor("hostile", MISSED, BANNED, "203.0.113.98", "POP3 user name: Dovecot's own message",
          pop3, *["USER x>, rip=198.51.100.9, lip=192.0.2.25", "PASS y"] * 6),
    actor("hostile", FOUND, BANNED, "203.0.113.99", "pipelining abuse, the rest of it shown",
          smtp, "HELO x",
          "MAIL FROM:<a@example.com>\r\nx from unknown[198.51.100.7]: root"),
    actor("hostile", MISSED, BANNED, "2001:db8:bad:83::1", "ssh key exchange names, IPv6",
          often, 5, ssh_no_common, b"x, Connection closed by 2001:db8:600d::1 port 22"),
    actor("hostile", MISSED, BANNED, "2001:db8:bad:91::1", "HELO: Postfix's own message, IPv6",
          smtp, "EHLO disconnect from unknown[2001:db8:600d::1]", *RELAY * 2 + ["QUIT"]),
    actor("hostile", MISSED, BANNED, "2001:db8:bad:94::1", "SASL user name: an IPv6 address",
          smtp, EHLO, *["AUTH PLAIN " + plain("x from unknown[2001:db8:600d::1]", "x")] * 3),
    actor("hostile", MISSED, BANNED, "2001:db8:bad:97::1", "IMAP user name: Dovecot's, IPv6",
          imap, *['LOGIN "x>, method=PLAIN, rip=2001:db8:600d::1, lip=::1" y'] * 6),
    actor("hostile", MISSED, QUIET, "198.51.100.61", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("hostile", FOUND, QUIET, "198.51.100.62", "mail whose sender looks like a log line",
          deliver, EHLO, "MAIL FROM:<\"disconnect from unknown[198.51.100.7]\"@example.net>",
          *TO_ALICE[1:]),
    # ---- the same deeds with and without a good one: what a court must tell apart
    actor("stories", MISSED, NEAR, "198.51.100.81", "ssh: an agent with eight keys, then a login",
          in_turn, (fails, agent, "alice"), (ssh, "alice", PASSWORDS["alice"])),
    actor("stories", MISSED, LET_OFF, "198.51.100.82", "the same, five times before the login",
          in_turn, (often, 5, agent, "alice"),
          (ssh, "alice", PASSWORDS["alice"])),
    actor("stories", MISSED, BANNED, "203.0.113.111", "an agent with eight keys, no login",
          often, 5, agent, "alice"),
    actor("stories", MISSED, QUIET, "198.51.100.83", "ssh: six sessions cut without a goodbye",
          often, 6, ssh_cut),
    actor("stories", FOUND, BANNED, "203.0.113.112", "ssh: cut off without a login",
          often, 6, reset, 22, b"SSH-2.0-x\r\n"),
    actor("stories", FOUND, NEAR, "198.51.100.84", "ssh: refuses our host key",
          fails, wary, "alice"),
    actor("stories", FOUND, LET_OFF, "198.51.100.85", "ssh: refuses it five times, then logs in",
          in_turn, (often, 5, wary, "alice"),
          (ssh, "alice", PASSWORDS["alice"])),
    actor("stories", FOUND, BANNED, "203.0.113.113", "ssh: gone after the key exchange, often",
          often, 5, wary, "alice"),
    actor("stories", MISSED, NEAR, "198.51.100.86", "ssh: four typing errors, then right",
          in_turn, (fails, ssh, "bob", "a", "b"), (fails, ssh, "bob", "c", "d"),
          (ssh, "bob", PASSWORDS["bob"])),
    actor("stories", MISSED, NEAR, "198.51.100.87", "ssh: four typing errors, no login",
          in_turn, (fails, ssh, "bob", "a", "b"), (fails, ssh, "bob", "c", "d")),
    actor("stories", MISSED, LET_OFF, "198.51.100.88", "ssh: six typing errors, then right",
          in_turn, (often, 2, ssh, "bob", "a", "b", "c"), (ssh, "bob", PASSWORDS["bob"])),
    actor("stories", MISSED, BANNED, "203.0.113.114", "ssh: five wrong passwords",
          in_turn, (ssh, "bob", "a", "b", "c"), (ssh, "bob", "d", "e")),
    actor("stories", MISSED, NEAR, "198.51.100.89", "ssh: a wrong password, says Auth fail",
          in_turn, (fails, ssh, "bob", "a"), (ssh_disconnect, AUTH_FAIL, 3)),
    actor("stories", MISSED, BANNED, "203.0.113.115", "ssh: Auth fail, five times",
          often, 5, in_turn, (ssh, "bob", "a"), (ssh_disconnect, AUTH_FAIL, 3)),
    actor("stories", FOUND, NEAR, "198.51.100.90", "ssh: root with the wrong key, once",
          fails, ssh, "root", keys=["stranger1"]),
    actor("stories", FOUND, LET_OFF, "198.51.100.91", "ssh: a user name misspelt, then right",
          in_turn, (fails, ssh, "bbo", PASSWORDS["bob"]), (ssh, "bob", PASSWORDS["bob"])),
    actor("stories", FOUND, BANNED, "203.0.113.116", "ssh: two unknown users, one login",
          in_turn, (ssh, "bbo", "x"), (ssh, "admin", "x"), (ssh, "bob", PASSWORDS["bob"])),
    actor("stories", FOUND, LET_OFF, "198.51.100.92", "greylisted, no PTR, delivers later",
          in_turn, (fails, greylisted, EHLO, *TO_ALICE[:2]), (greylisted, EHLO, *TO_ALICE)),
    actor("stories", FOUND, LET_OFF, "198.51.100.93", "greylisted, no PTR, comes once",
          fails, greylisted, EHLO, *TO_ALICE[:2]),
    actor("stories", FOUND, BANNED, "203.0.113.117", "greylisted, no PTR, then leaves once more",
          in_turn, (greylisted, EHLO, *TO_ALICE[:2]), (greylisted, EHLO)),
    actor("stories", MISSED, BANNED, "203.0.113.63", "greylisted, with a PTR, then guesses",
          in_turn, (greylisted, EHLO, *TO_ALICE[:2]), (greylisted, EHLO, *[GUESS] * 5)),
    actor("stories", MISSED, LET_OFF, "198.51.100.94", "IMAP: an old password; a laptop logs in",
          in_turn, (imap, *OLD_PASSWORD), BOB_READS),
    actor("stories", FOUND, LET_OFF, "198.51.100.95", "an old password at SMTP, a laptop at IMAP",
          in_turn, (submit, EHLO, *[GUESS] * 6), BOB_READS),
    actor("stories", MISSED, LET_OFF, "2001:db8:600d:96::a", "IMAP: an old password, IPv6",
          imap, *OLD_PASSWORD),
    actor("stories", MISSED, LET_OFF, "2001:db8:600d:96::b", "the laptop in the same /64",
          *BOB_READS),
    actor("stories", FOUND, BANNED, "203.0.113.118", "IMAP and SMTP: guesses at both doors",
          in_turn, (imap, *OLD_PASSWORD[:3]), (submit, EHLO, GUESS, GUESS)),
    actor("stories", MISSED, BANNED, "2001:db8:bad:119::a", "IMAP: three guesses, IPv6",
          imap, *OLD_PASSWORD[:3]),
    actor("stories", MISSED, BANNED, "2001:db8:bad:119::b", "three more from the same /64",
          imap, *OLD_PASSWORD[:3]),
    actor("stories", MISSED, LET_OFF, "198.51.100.44", "a provider with five dead recipients",
          deliver, EHLO, *(DEAD + TO_ALICE[1:]) * 5),
    actor("stories", MISSED, BANNED, "203.0.113.62", "one delivery, six dead recipients",
          smtp, EHLO, *TO_ALICE, DEAD[0], *DEAD[1:] * 6 + ["QUIT"]),
    actor("stories", FOUND, LET_OFF, "198.51.100.97", "six times no trust in our certificate, SMTP",
          often, 6, distrusts, 465),
    actor("stories", MISSED, QUIET, "198.51.100.98", "six times no trust in our certificate, IMAP",
          often, 6, distrusts, 993),
    actor("stories", FOUND, BANNED, "203.0.113.120", "TLS broken off, and five guesses",
          in_turn, (often, 6, distrusts, 465), (submit, EHLO, *[GUESS] * 5)),
    # ---- OpenBSD's own mail server. Only what it says before TLS: with OpenSSL 3, OpenSMTPD 6.8
    # loses its private key (Debian 12), and it offers AUTH to nobody who has not done STARTTLS.
    actor("opensmtpd", MISSED, BANNED, "203.0.113.101", "OpenSMTPD: AUTH PLAIN guesses",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"], server=OPENSMTPD),
    actor("opensmtpd", MISSED, BANNED, "203.0.113.102", "OpenSMTPD: AUTH, hostile text",
          smtp, "EHLO address=198.51.100.9", *4 * [
              'AUTH PLAIN =" result="235" address=198.51.100.9',
              "AUTH LOGIN smtp connected address=198.51.100.9 host=x"], server=OPENSMTPD),
    actor("opensmtpd", MISSED, BANNED, "2001:db8:bad:101::1", "OpenSMTPD: AUTH LOGIN guesses",
          smtp, EHLO, *["AUTH LOGIN"] * 6, server=OPENSMTPD),
    actor("opensmtpd", MISSED, QUIET, "198.51.100.71", "OpenSMTPD: mail from outside",
          deliver, EHLO, *TO_ALICE, server=OPENSMTPD),
    actor("opensmtpd", MISSED, NEAR, "198.51.100.72", "OpenSMTPD: one recipient does not exist",
          deliver, EHLO, "MAIL FROM:<someone@example.net>", "RCPT TO:<alcie@example.org>",
          *TO_ALICE[1:], server=OPENSMTPD),
    actor("opensmtpd", MISSED, QUIET, "2001:db8:600d:71::1", "OpenSMTPD: mail over IPv6",
          deliver, EHLO, *TO_BOB, server=OPENSMTPD),
]

# Their addresses are in e2e/etc/hosts: a busy hour keeps them.
WITH_PTR = ("203.0.113.61", "203.0.113.62", "203.0.113.63", "203.0.113.96")


def busy_hour():
    """The night again with its hostile text and IPv6: two more addresses for each attacker.

    Attackers come three times each, from addresses that nobody else has; users come once.
    """
    busy = []
    ipv4 = ("203.0.113.%d" % n for n in range(104, 255))
    ipv6 = ("2001:db8:bad:%x::1" % n for n in range(0x1000, 0x2000))
    for row in ACTORS * 2:
        if row.group in ("stories", "opensmtpd"):
            continue
        address, times = row.address, 1
        if row.careful == BANNED:
            times = 3
            if address not in WITH_PTR:
                address = next(ipv4 if family(address) == 4 else ipv6)
        busy += [row._replace(group="busy", address=address)] * times
    random.Random(1).shuffle(busy)
    return busy


def act(rows):
    """Let the actors act, WORKERS at a time; an honest user who fails is a failure of the test."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        deeds = [(row, pool.submit(row.act, row.address, *row.args, **row.options))
                 for row in rows]
    for row, deed in deeds:
        try:
            worked, why = deed.result(), ""
        except (OSError, subprocess.TimeoutExpired) as error:
            worked, why = False, ": %s" % error
        if row.careful != BANNED and not worked:
            check(False, "%s %s: could not do it%s" % (row.address, row.label, why))


# ---- the mail server --------------------------------------------------------------------------


def time_zone(now):
    """A TZ in which the next quarter of an hour lies inside default mode's range.

    The shell script sees nothing of the first of most months, nor of today before 10:00 on the
    days 10 to 31. That is tested elsewhere; here the clock is put where the script can see.
    """
    def seen(moment):
        local = time.gmtime(moment)
        return local.tm_mday > 1 and (local.tm_mday < 10 or local.tm_hour >= 10)

    for east in sorted(range(-23, 24), key=abs):
        if seen(now + 3600 * east) and seen(now + 3600 * east + 900):
            return "UTC" if east == 0 else "XXX%d" % -east
    raise AssertionError("no such zone")


def overlay_machine(scratch):
    """Private copies of the directories that the daemons and logcheck.py write to."""
    os.mkdir(scratch + "/upper")
    run("mount", "-t", "tmpfs", "tmpfs", scratch + "/upper")
    for path in ("/etc", "/home", "/root", "/usr/local", "/var"):
        upper, work = scratch + "/upper" + path, scratch + "/upper/work" + path
        os.makedirs(upper)
        os.makedirs(work)
        shutil.copystat(path, upper)
        run("mount", "-t", "overlay", "-o",
            "lowerdir=%s,upperdir=%s,workdir=%s" % (path, upper, work), "overlay", path)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    # a /dev of its own, for the sake of /dev/log
    dev = scratch + "/upper/dev"
    os.mkdir(dev)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
        open(dev + "/" + name, "w").close()
        run("mount", "--bind", "/dev/" + name, dev + "/" + name)
    for name in ("pts", "shm"):
        os.mkdir(dev + "/" + name)
        run("mount", "--rbind", "/dev/" + name, dev + "/" + name)
    os.symlink("/proc/self/fd", dev + "/fd")
    run("mount", "--move", dev, "/dev")


def furnish():
    """Configuration, accounts, keys and logcheck.py, as they stand on a host."""
    for path, _, names in os.walk(CONFIG + "/etc"):
        target = path[len(CONFIG):]
        os.makedirs(target, exist_ok=True)
        for name in names:
            shutil.copyfile(path + "/" + name, target + "/" + name)
    for user, password in PASSWORDS.items():
        run("useradd", "--create-home", "--shell", "/bin/sh", user)
        subprocess.run(["chpasswd"], input=("%s:%s" % (user, password)).encode(), check=True)
    write("/etc/dovecot/users", "".join("%s:%s\n" % pair for pair in PASSWORDS.items()))
    hashed = run("openssl", "passwd", "-6", PASSWORDS["alice"]).strip()
    os.makedirs("/etc/mail", exist_ok=True)
    write("/etc/mail/creds", "alice\t%s\n" % hashed)
    for user, home in (("opensmtpd", "/var/lib/opensmtpd/empty"), ("opensmtpq", "/nonexistent")):
        run("useradd", "--system", "--user-group", "--home-dir", home, user)
    os.makedirs("/var/lib/opensmtpd/empty", mode=0o711)
    os.mkdir("/var/greylist")
    shutil.chown("/var/greylist", "nobody")
    for path in ("/run/sshd", "/etc/ssh/keys", KEYS):
        os.makedirs(path, mode=0o755, exist_ok=True)
    run("ssh-keygen", "-A")
    for name in ["alice", "root"] + ["stranger%d" % n for n in range(1, 9)]:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", KEYS + "/" + name)
    for name in ("alice", "root"):
        shutil.copy(KEYS + "/" + name + ".pub", "/etc/ssh/keys/" + name)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=mail.example.org", "-keyout", "/root/key.pem", "-out", "/root/cert.pem")
    write("/etc/ssl/mail.pem", read("/root/key.pem") + read("/root/cert.pem"), 0o600)
    write(ASKPASS, '#!/bin/sh\nhead -1 "$WORDS"\nsed -i 1d "$WORDS"\n', 0o755)
    run("install", "-m", "755", LOGCHECK, "/root/logcheck.py")
    # OpenBSD has python3 in /usr/local/bin, the last directory of daily's PATH
    if not os.path.lexists("/usr/local/bin/python3"):
        os.symlink(os.path.realpath(sys.executable), "/usr/local/bin/python3")
    write("/usr/local/bin/pfctl", "#!/bin/sh\nPF_STATE=%s PF_LOG=%s exec %s/standins/pfctl \"$@\"\n"
          % (PF_TABLES, PF_LOG, HERE), 0o755)
    os.mkdir(PF_TABLES)
    write("/etc/pf.conf", "table <bruteforce> persist file \"%s\"\n" % ETCFILE)
    for path in (MAILLOG, AUTHLOG):
        write(path, "", 0o640)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content, mode=None):
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        os.chmod(path, mode)


def connect_networks():
    """This process lives with the clients; the server has a network namespace of its own."""
    run("ip", "netns", "add", "server")
    # IPv4 binds to any address that a route calls local, IPv6 must be told to
    write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "name", "clients", "type", "veth",
        "peer", "name", "wire", "netns", "server")
    run("ip", "link", "set", "clients", "up")
    on_server("ip", "link", "set", "lo", "up")
    on_server("ip", "link", "set", "wire", "up")
    for version, bits in ((4, "/24"), (6, "/64")):
        dad = ["nodad"] if version == 6 else []     # or the address is not usable for a second
        for address in (SERVER, OPENSMTPD):
            on_server("ip", "addr", "add", address[version] + bits, "dev", "wire", *dad)
        run("ip", "addr", "add", CLIENT[version] + bits, "dev", "clients", *dad)
        on_server("ip", "-%d" % version, "route", "add", "default", "via", CLIENT[version])
        for net in CLIENT_NETS[version]:
            # every address of the net is local here, so that each actor can bind his own
            run("ip", "-%d" % version, "route", "add", "local", net, "dev", "lo")


def on_server(*command):
    return run("nsenter", "--net=/run/netns/server", *command)


def listening():
    """What the server listens on, as ADDRESS:PORT and as PORT."""
    local = [line.split()[3] for line in on_server("ss", "-Hltn").splitlines()]
    return set(local) | {address.rpartition(":")[2] for address in local}


def start(scratch):
    """Start the daemons, and wait until all of them listen."""
    aside = scratch + "/unpacked"
    # OpenSMTPD looks for its parts below /usr: it gets a /usr in which they are
    smtpd = "mount -t overlay -o lowerdir=%s/usr:/usr overlay /usr && exec smtpd -F" % aside
    with open(scratch + "/daemons", "w") as log:
        for command in ([aside + "/usr/sbin/syslogd", "--no-detach", "--no-klog"],
                        ["/usr/sbin/sshd", "-D"],
                        ["/usr/sbin/dovecot", "-F"],
                        ["/usr/sbin/postfix", "start-fg"],
                        ["unshare", "--mount", "sh", "-c", smtpd]):
            subprocess.Popen(["nsenter", "--net=/run/netns/server"] + command,
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            await_that(lambda: os.path.exists("/dev/log"), "syslogd did not come up")
    await_that(lambda: listening() >= LISTENERS, "not all the daemons came up")


def await_that(condition, complaint):
    deadline = time.time() + PATIENCE
    while not condition():
        if time.time() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.1)


def settle():
    """Wait until the daemons have nothing more to say: for two seconds, or not at all."""
    sizes, since, deadline = None, time.time(), time.time() + PATIENCE
    while time.time() < min(since + 2, deadline):
        time.sleep(0.2)
        if sizes != [os.path.getsize(path) for path in (MAILLOG, AUTHLOG)]:
            sizes, since = [os.path.getsize(path) for path in (MAILLOG, AUTHLOG)], time.time()


# ---- the run ----------------------------------------------------------------------------------


def on_folder(folder, *command, **environment):
    """Run a command with the stand-ins, pf's table being a fixture's. It must exit with 0."""
    return subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=True, env=dict(
                              os.environ, PATH=HERE + "/standins:" + os.environ["PATH"],
                              PF_TABLE=folder + "/pf-table", **environment)).stdout


def reference(now, folder, table):
    """The table that the reference pipeline makes of a folder's logs, but what pf cannot load."""
    shutil.copy(folder + "/bruteforce", table)
    on_folder(folder, "sh", HERE + "/reference.sh", NOW=str(now), ETCFILE=table,
              MAILLOG=folder + "/maillog", AUTHLOG=folder + "/authlog")
    return tools.without_unloadable(read(table))


def careful(now, folder, *options):
    """The table that careful mode makes of a folder's logs."""
    return on_folder(folder, "/root/logcheck.py", "-cn", "--now", str(now), "-e",
                     folder + "/bruteforce", "-m", folder + "/maillog", "-a", folder + "/authlog",
                     *options)


def save(folder, logs, now):
    """Lay out a fixture: the logs, the earlier table, the moment of the run, what must come out."""
    os.makedirs(folder)
    for name, content in logs.items():
        write(folder + "/" + name, content)
    write(folder + "/bruteforce", EARLIER_FILE)
    write(folder + "/pf-table", EARLIER_PF)
    write(folder + "/now", time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(now)))
    write(folder + "/expected", reference(now, folder, folder + "/table"))
    write(folder + "/expected-careful", careful(now, folder))
    os.remove(folder + "/table")


def nightly(options):
    """The whole chain as on the host, with the tables of the day before: cron, daily, daily.local,
    logcheck.py. Returns the nightly mail and the calls of pfctl.
    """
    write(ETCFILE, EARLIER_FILE)
    write(PF_TABLES + "/bruteforce", EARLIER_PF)
    write(PF_LOG, b"")
    write("/etc/daily.local", "/root/logcheck.py %s\n" % options)
    subprocess.run(["/bin/sh", CONFIG + "/daily"], timeout=60, stdin=subprocess.DEVNULL,
                   start_new_session=True, check=True, stdout=subprocess.DEVNULL,
                   env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/var/log",
                        "SHELL": "/bin/sh", "LOGNAME": "root", "USER": "root",
                        "TZ": os.environ["TZ"]})
    return read("/var/log/daily.out"), read(PF_LOG).decode().splitlines()


def section(report, title):
    """The addresses in a section of a report (bytes), as str, and how many more it says."""
    for part in report.split(b"\n\n"):
        if part.startswith(title):
            rows = [row.decode() for row in part.split(b"\n")[1:] if row[:1] not in (b"", b" ")]
            more = [int(row.split()[1]) for row in rows if row.startswith("and ")]
            return [row.split()[0] for row in rows if not row.startswith("and ")], sum(more)
    return [], 0


def judge_report(report, mode):
    """What a report (bytes) says of the table that has just been written, and of pf."""
    table = read(ETCFILE).decode().split()
    added = set(table) - set(EARLIER_FILE.decode().split())
    let_off, _ = section(report, b"let off")
    head = "logcheck on mail: %d added, 0 expired, %d let off, %d in the table; pf has it" % (
        len(added), len(let_off), len(table))
    check(head in report.decode().splitlines(), "%s the report begins: %s" % (mode, head))
    named, more = section(report, b"new")
    check(len(named) == 50 and added >= set(named) and more == len(added) - 50,
          "%s the report names 50 of the new ones, and says how many more" % mode)
    in_pf = read(PF_TABLES + "/bruteforce").decode().split()
    check(sorted(in_pf) == sorted(table), "%s pf has what the file has" % mode)


def judge_default(expected, report, calls):
    """Default mode's table and report, against the reference and the table of actors."""
    found = read(ETCFILE).split()
    check(read(ETCFILE) == expected, "the table is the reference pipeline's, byte for byte")
    check(calls == ["-t bruteforce -T show", "-f /etc/pf.conf"], "pfctl showed, then loaded")
    check(b"Running daily.local:" in report, "the nightly mail has logcheck.py's report")
    judge_report(report, "default ")
    for row in ACTORS:
        listed = row.address.encode() in found
        check(listed == (row.default == FOUND), "default  %-7s as %-7s %-21s %s" % (
            "found" if listed else "missed", row.default, row.address, row.label))


def peer(address, bits=64):
    """What careful mode enters for an address: for IPv6 its network."""
    return address if family(address) == 4 else str(
        ipaddress.ip_network("%s/%d" % (address, bits), strict=False))


def judge_careful(expected, report, calls):
    """Careful mode's table and report: every attacker, no honest user, no address that somebody
    typed; and of the honest, who was let off.
    """
    found = read(ETCFILE).decode().split()
    check(read(ETCFILE) == expected, "careful  the dry run's table, byte for byte")
    check(calls == ["-t bruteforce -T show", "-t bruteforce -T replace -f %s.logcheck" % ETCFILE],
          "careful  pfctl showed, then replaced")
    judge_report(report, "careful ")
    let_off, near = section(report, b"let off")[0], section(report, b"near misses")[0]
    for row in ACTORS:
        name = peer(row.address)
        verdict = (BANNED if name in found else LET_OFF if name in let_off else
                   NEAR if name in near else QUIET)
        if (verdict, row.careful) == (QUIET, NEAR) and len(near) == 10:
            verdict = NEAR      # the report shows ten of the near misses
        check(verdict == row.careful, "careful  %-7s as %-7s %-21s %s" % (
            verdict, row.careful, row.address, row.label))
    strangers = set(found + let_off + near) - {peer(row.address) for row in ACTORS} - set(
        (EARLIER_FILE + EARLIER_PF).decode().split())
    check(not strangers, "careful  nobody but the actors is named %s" % " ".join(strangers))


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
    added = read("/root/table").decode().split()
    subject = b"\nSubject: logcheck on mail: %d added to bruteforce\n" % len(added)
    await_that(lambda: subject in read("/var/mail/alice"), "the letter did not come")
    letter = read("/var/mail/alice").partition(subject)[2]
    named, more = section(letter, b"new")
    check(len(named) == 50 and set(added) >= set(named) and more == len(added) - 50,
          "the letter names 50 of the new ones, and says how many more")


def let_act(folder, rows, outside):
    """Let some actors act; their logs as a fixture. A word of the machine in them is a failure."""
    begin = {path: os.path.getsize(path) for path in (MAILLOG, AUTHLOG)}
    act(rows)
    settle()
    logs = {os.path.basename(path): read(path)[begin[path]:] for path in (MAILLOG, AUTHLOG)}
    save(folder, logs, int(time.time()))
    traces = [word for word in outside if re.search(
        rb"(?<!\w)%s(?!\w)" % re.escape(word.encode()), b"".join(logs.values()))]
    check(not traces, "%s has nothing of this machine %s" % (
        os.path.basename(folder), " ".join(traces)))
    print("%s: %s" % (os.path.basename(folder), ", ".join(
        "%d lines of %s" % (content.count(b"\n"), name) for name, content in logs.items())))


def versions(scratch):
    """The daemons' packages and versions, one a line."""
    shown = "${Package} ${Version}\n"
    return run("dpkg-query", "-W", "-f", shown, "openssh-server", "postfix", "dovecot-core") \
        + "".join(run("dpkg-deb", "-W", "--showformat", shown, scratch + "/" + name)
                  for name in sorted(os.listdir(scratch)) if name.endswith(".deb"))


def evening(scratch, capture, outside):
    """The test itself."""
    overlay_machine(scratch)
    connect_networks()
    furnish()
    start(scratch)
    for group in ("night", "ipv6", "hostile", "stories", "opensmtpd"):
        let_act("%s/fixtures/real-%s" % (scratch, group),
                [row for row in ACTORS if row.group == group], outside)
    # all the logs so far as one more folder
    folder, now = scratch + "/evening", int(time.time())
    save(folder, {"maillog": read(MAILLOG), "authlog": read(AUTHLOG)}, now)
    judge_default(read(folder + "/expected"), *nightly("-v"))
    judge_careful(read(folder + "/expected-careful"), *nightly("-cv"))
    judge_mask(careful(now, folder, "--mask6", "128"))
    judge_mail()
    if capture:
        let_act(scratch + "/fixtures/real-busy", busy_hour(), outside)
        for name in os.listdir(scratch + "/fixtures"):
            write("%s/fixtures/%s/daemons" % (scratch, name), versions(scratch))


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
    print("%d passed, %d failed" % (len(passes), len(failures)))
    return 1 if failures else 0


# ---- outside: installation, namespaces, cleaning up ------------------------------------------


class Skip(Exception):
    """This machine cannot run the test; the message says why."""


def attempt(reason, *command, **options):
    """Run a command without which there is no test."""
    try:
        return run(*command, **options)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        raise Skip("%s (%s)" % (reason, str(error).splitlines()[-1]))


def installed(package):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return status == b"installed"


def install(scratch):
    """Have apt install what is missing, without starting any service by it."""
    for command in ("apt-get", "dpkg", "unshare", "setpriv"):
        if not shutil.which(command):
            raise Skip("no " + command)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    if not all(installed(package) for package in PACKAGES):
        policy, kept = "/usr/sbin/policy-rc.d", scratch + "/policy-rc.d"
        if os.path.exists(policy):
            shutil.move(policy, kept)
        try:
            write(policy, "#!/bin/sh\nexit 101\n", 0o755)
            attempt("apt-get install failed", "apt-get", "install", "-y", "--no-remove",
                    "--no-install-recommends", *PACKAGES, env=environment, timeout=600)
        finally:
            os.remove(policy)
            if os.path.exists(kept):
                shutil.move(kept, policy)
    attempt("apt-get download failed", "apt-get", "download", *UNPACKED,
            cwd=scratch, env=environment, timeout=120)
    for name in os.listdir(scratch):
        if name.endswith(".deb"):
            run("dpkg", "-x", name, "unpacked", cwd=scratch)
    if not run("dovecot", "--version").startswith("2.3."):
        raise Skip("e2e/etc/dovecot is written for Dovecot 2.3")


# What the test needs of the kernel.
PROBE = """mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work &&
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc &&
ip link add type veth"""


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
    # whoever dies on the way takes all below him along, even by SIGKILL
    namespaces = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--ipc",
                  "--pid", "--fork", "--kill-child", "--mount-proc"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    try:
        install(scratch)
        attempt("no namespaces, overlays or veth", *(namespaces + ["sh", "-c", PROBE]))
        command = namespaces + [sys.executable, __file__, "--inside", scratch, socket.gethostname()]
        command += ["--capture", args.capture] if args.capture else []
        status = subprocess.call(command, stdin=subprocess.DEVNULL,
                                 timeout=LIMIT * (3 if args.capture else 1))
        if args.capture and status == 0:
            for name in os.listdir(scratch + "/fixtures"):
                target = os.path.join(args.capture, name)
                if os.path.isdir(target):
                    shutil.rmtree(target)
                shutil.move(scratch + "/fixtures/" + name, target)
        return status
    except Skip as reason:
        print("skipped: %s" % reason)
        return 0
    except subprocess.TimeoutExpired:
        print("FAIL not done in time\n0 passed, 1 failed")
        return 1
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    sys.exit(main())
