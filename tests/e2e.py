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
byte. Then careful mode runs on the same logs: every attacker, no honest user, no typed address.

With --capture the logs become the fixtures DIR/real-*, those of a busy hour too.
"""

import argparse
import base64
import collections
import concurrent.futures
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

LIMIT = 200         # seconds for everything but the installation
PATIENCE = 15       # seconds that one answer of a daemon may take
WORKERS = 16        # actors at work at a time

SERVER = {4: "192.0.2.25", 6: "2001:db8::25"}
OPENSMTPD = {4: "192.0.2.27", 6: "2001:db8::27"}
CLIENT = {4: "192.0.2.1", 6: "2001:db8::1"}
CLIENT_NETS = {4: ("198.51.100.0/24", "203.0.113.0/24"),
               6: ("2001:db8:600d::/48", "2001:db8:bad::/48")}

MAILLOG, AUTHLOG, ETCFILE = "/var/log/maillog", "/var/log/authlog", "/etc/bruteforce"
PF_TABLE, PF_LOG = "/var/pf-table", "/var/pf.log"
EARLIER_FILE = b"192.0.2.200\n198.51.100.200\n2001:db8:bad::200\n"
EARLIER_PF = b"   192.0.2.201\n   203.0.113.251\n"

LISTENERS = {"192.0.2.25:22", "[2001:db8::25]:22", "192.0.2.25:25", "[2001:db8::25]:25",
             "192.0.2.25:143", "[2001:db8::25]:143", "192.0.2.27:25", "[2001:db8::27]:25",
             "110", "465", "587", "993", "2525", "4190"}

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


def ssh_packet(payload):
    """An SSH packet as it goes before any key exchange (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def ssh_string(data):
    return struct.pack(">I", len(data)) + data


def ssh_disconnect(source, text):
    """A disconnect message (type 1) with a text of the client's own."""
    message = b"\x01" + struct.pack(">I", 11) + ssh_string(text) + ssh_string(b"")
    send(source, 22, b"SSH-2.0-x\r\n" + ssh_packet(message))


def ssh_no_common(source, algorithms):
    """A KEXINIT (type 20) with key exchange methods that no server has."""
    rest = [b"ssh-ed25519"] + [b"aes128-ctr"] * 2 + [b"hmac-sha2-256"] * 2 + [b"none"] * 2
    lists = b"".join(ssh_string(names) for names in [algorithms] + rest + [b"", b""])
    send(source, 22, b"SSH-2.0-x\r\n" + ssh_packet(b"\x14" + bytes(16) + lists + bytes(5)))


def ssh(source, user, *words, key=None, method="password"):
    """Log in with the real client, which is given `words` as passwords; true if let in."""
    command = ["ssh", "-F", "none", "-b", source, "-l", user, "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
               "-o", "NumberOfPasswordPrompts=%d" % max(1, len(words)),
               "-o", "PreferredAuthentications=" + ("publickey," if key else "") + method]
    command += ["-i", KEYS + "/" + key, "-o", "IdentitiesOnly=yes"] if key else []
    with tempfile.NamedTemporaryFile("w") as left:
        left.write("\n".join(words) + "\n")
        left.flush()
        return subprocess.run(
            command + [SERVER[family(source)], "true"], timeout=PATIENCE * 2,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, SSH_ASKPASS=ASKPASS, SSH_ASKPASS_REQUIRE="force",
                     WORDS=left.name)).returncode == 0


# ---- what honest users do; each says whether it worked ----------------------------------------


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

# What default mode must make of an actor: the page's script finds him, or it does not.
FOUND, MISSED = "found", "missed"
# What he is, and so what careful mode must make of him.
ATTACKER, HONEST = "attacker", "honest"

Actor = collections.namedtuple("Actor", "group default careful address label act args options")


def actor(group, default, careful, address, label, act, *args, **options):
    return Actor(group, default, careful, address, label, act, args, options)


# Addresses that stand in what attackers type: careful mode must never take one.
TYPED = ["198.51.100.%d" % n for n in range(1, 10)] + ["2001:db8:600d::1", "999.999.999.999"]

GUESS = "AUTH PLAIN " + plain("alice", "guess")
LOGIN_GUESS = ["AUTH LOGIN", base64.b64encode(b"bob").decode(), base64.b64encode(b"1").decode()]
ALICE = "AUTH PLAIN " + plain("alice", PASSWORDS["alice"])
BOB = "AUTH PLAIN " + plain("bob", PASSWORDS["bob"])
RELAY = ["MAIL FROM:<a@example.com>", "RCPT TO:<victim@example.net>"]
TO_ALICE = message("alice@example.org", "lunch?")
TO_BOB = message("bob@example.org", "dinner?")
EHLO = "EHLO client.example.net"

ACTORS = [
    # ---- a plain night: attackers
    actor("night", FOUND, ATTACKER, "203.0.113.11", "ssh as an unknown user",
          ssh, "oracle", "oracle", "123456"),
    actor("night", FOUND, ATTACKER, "203.0.113.12", "ssh as root by password",
          ssh, "root", "root", "toor", "password"),
    actor("night", MISSED, ATTACKER, "203.0.113.13", "ssh as a user until sshd cuts him off",
          ssh, "alice", "a", "b", "c", "d", "e", "f"),
    actor("night", FOUND, ATTACKER, "203.0.113.14", "ssh, keyboard-interactive, unknown user",
          ssh, "admin", "admin", "1234", method="keyboard-interactive"),
    actor("night", FOUND, ATTACKER, "203.0.113.15", "ssh as a user who is not allowed",
          ssh, "mallory", PASSWORDS["mallory"]),
    actor("night", FOUND, ATTACKER, "203.0.113.16", "ssh as root with a key of his own",
          ssh, "root", key="stranger"),
    actor("night", FOUND, ATTACKER, "203.0.113.17", "a port scan of ssh: connect and close",
          send, 22, linger=0),
    actor("night", FOUND, ATTACKER, "203.0.113.18", "garbage instead of an ssh banner",
          send, 22, b"\x16\x03\x01\x02\x00\x01\x00\r\n"),
    actor("night", FOUND, ATTACKER, "203.0.113.19", "HTTP instead of an ssh banner",
          send, 22, b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"),
    actor("night", MISSED, ATTACKER, "203.0.113.20", "ssh with no common key exchange method",
          ssh_no_common, b"diffie-hellman-group1-sha1"),
    # An ssh connection that says nothing is not here: Debian's sshd leaves no line about it.
    actor("night", FOUND, ATTACKER, "203.0.113.22", "an ssh banner, then closed",
          send, 22, b"SSH-2.0-Go\r\n", linger=1),
    actor("night", MISSED, ATTACKER, "203.0.113.23", "an ssh disconnect message before login",
          ssh_disconnect, b"Bye Bye"),
    actor("night", FOUND, ATTACKER, "203.0.113.24", "a dozen ssh connections at once",
          crowd, 22, 12),
    actor("night", FOUND, ATTACKER, "203.0.113.31", "SMTP AUTH with wrong passwords",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("night", FOUND, ATTACKER, "203.0.113.32", "SMTP AUTH LOGIN on submission, hangs up",
          smtp, EHLO, *LOGIN_GUESS * 3, port=587),
    actor("night", FOUND, ATTACKER, "203.0.113.33", "SMTP connect and close",
          send, 25, linger=0),
    actor("night", FOUND, ATTACKER, "203.0.113.34", "SMTP: hangs up after EHLO",
          smtp, EHLO),
    actor("night", FOUND, ATTACKER, "203.0.113.35", "SMTP pipelining abuse",
          smtp, "HELO x", "\r\n".join(TO_ALICE[:3])),
    actor("night", FOUND, ATTACKER, "203.0.113.36", "SMTP relay attempts",
          smtp, EHLO, *RELAY * 3 + ["QUIT"]),
    actor("night", FOUND, ATTACKER, "203.0.113.37", "HTTP to the SMTP port",
          send, 25, b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n"),
    actor("night", FOUND, ATTACKER, "203.0.113.38", "SMTP: too many errors",
          smtp, EHLO, *["XYZZY"] * 25),
    actor("night", FOUND, ATTACKER, "203.0.113.39", "SMTP: silent until the server gives up",
          send, 25),
    actor("night", FOUND, ATTACKER, "203.0.113.40", "SMTP: guesses recipients",
          smtp, EHLO, "MAIL FROM:<a@example.com>",
          *["RCPT TO:<%s@example.org>" % name for name in "info sales test admin".split()]),
    actor("night", FOUND, ATTACKER, "203.0.113.41", "plain text to the SMTP-over-TLS port",
          send, 465, b"EHLO x\r\n"),
    actor("night", FOUND, ATTACKER, "203.0.113.42", "SMTP AUTH after STARTTLS, hangs up",
          smtp, EHLO, "STARTTLS", EHLO, *[GUESS] * 2),
    actor("night", MISSED, ATTACKER, "203.0.113.43", "postscreen: talks before the greeting",
          send, 2525, b"EHLO x\r\n", linger=3),
    actor("night", MISSED, ATTACKER, "203.0.113.44", "postscreen: connect and close",
          send, 2525, linger=0),
    actor("night", MISSED, ATTACKER, "203.0.113.45", "postscreen: pipelining",
          smtp, EHLO, "\r\n".join(TO_ALICE[:2]), port=2525),
    actor("night", MISSED, ATTACKER, "203.0.113.46", "postscreen: HTTP after the greeting",
          smtp, "GET / HTTP/1.1", port=2525),
    actor("night", MISSED, ATTACKER, "203.0.113.61", "SMTP AUTH guesses from a host with a PTR",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("night", MISSED, ATTACKER, "203.0.113.51", "IMAP logins with wrong passwords",
          imap, *["LOGIN alice guess"] * 6 + ["LOGOUT"]),
    actor("night", MISSED, ATTACKER, "203.0.113.52", "POP3 logins with wrong passwords",
          pop3, *["USER bob", "PASS guess"] * 6 + ["QUIT"]),
    actor("night", MISSED, ATTACKER, "203.0.113.53", "ManageSieve logins with wrong passwords",
          sieve, *['AUTHENTICATE "PLAIN" "%s"' % plain("alice", "x")] * 6),
    actor("night", MISSED, ATTACKER, "203.0.113.54", "IMAP over TLS, unknown user, hangs up",
          imap, *["LOGIN info@example.org x"] * 6, port=993, tls=True),
    # ---- a plain night: honest users
    actor("night", MISSED, HONEST, "198.51.100.21", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("night", MISSED, HONEST, "198.51.100.22", "ssh with a key", ssh, "alice", key="alice"),
    actor("night", FOUND, HONEST, "198.51.100.23", "ssh as root with root's key",
          ssh, "root", key="root"),
    actor("night", MISSED, HONEST, "198.51.100.24", "ssh: a typing error, then right",
          ssh, "bob", "swordfsih", PASSWORDS["bob"]),
    actor("night", MISSED, HONEST, "198.51.100.25", "ssh: an unknown key, then a password",
          ssh, "alice", PASSWORDS["alice"], key="stranger"),
    actor("night", MISSED, HONEST, "198.51.100.26", "ssh, keyboard-interactive",
          ssh, "bob", PASSWORDS["bob"], method="keyboard-interactive"),
    actor("night", FOUND, HONEST, "198.51.100.31", "mail from a host without a PTR record",
          deliver, EHLO, *TO_ALICE),
    actor("night", FOUND, HONEST, "198.51.100.32", "two mails in a session, no PTR",
          deliver, EHLO, *TO_ALICE + TO_BOB),
    actor("night", FOUND, HONEST, "198.51.100.33", "mail by BDAT, no PTR",
          deliver, EHLO, *TO_ALICE[:2] + ["BDAT 16 LAST\r\nSubject: hi\r\n\r\n"]),
    actor("night", FOUND, HONEST, "198.51.100.34", "mail over STARTTLS, no PTR",
          deliver, EHLO, "STARTTLS", EHLO, *TO_ALICE),
    actor("night", FOUND, HONEST, "198.51.100.35", "mail to one who exists and one who does not",
          deliver, EHLO, "MAIL FROM:<someone@example.net>", "RCPT TO:<alcie@example.org>",
          *TO_ALICE[1:]),
    actor("night", MISSED, HONEST, "198.51.100.36", "SMTP AUTH from an unknown host",
          deliver, EHLO, ALICE, *RELAY[:1] + TO_BOB[1:], port=587),
    actor("night", MISSED, HONEST, "198.51.100.37", "SMTP AUTH: a typing error, then right",
          deliver, EHLO, GUESS, ALICE, *TO_BOB, port=587),
    actor("night", MISSED, HONEST, "198.51.100.38", "SMTP AUTH over TLS, sends nothing",
          deliver, EHLO, BOB, port=465, tls=True),
    actor("night", FOUND, HONEST, "198.51.100.39", "mail past postscreen, no PTR",
          deliver_twice, EHLO, *TO_ALICE, port=2525),
    actor("night", MISSED, HONEST, "198.51.100.41", "mail from a host with a PTR record",
          deliver, EHLO, *TO_BOB),
    actor("night", FOUND, HONEST, "198.51.100.42", "mail from a host named unknown.example.net",
          deliver, EHLO, *TO_BOB),
    actor("night", MISSED, HONEST, "198.51.100.51", "an IMAP session",
          read_imap, "LOGIN alice " + PASSWORDS["alice"]),
    actor("night", MISSED, HONEST, "198.51.100.52", "IMAP over TLS: a typing error, then right",
          read_imap, "LOGIN bob sworfdish", "LOGIN bob " + PASSWORDS["bob"], port=993, tls=True),
    actor("night", MISSED, HONEST, "198.51.100.53", "a POP3 session",
          read_pop3, "USER bob", "PASS " + PASSWORDS["bob"]),
    actor("night", MISSED, HONEST, "198.51.100.54", "a ManageSieve session",
          read_sieve, 'AUTHENTICATE "PLAIN" "%s"' % plain("alice", PASSWORDS["alice"])),
    actor("night", MISSED, HONEST, "198.51.100.43", "monitoring of SMTP from a host with a PTR",
          visit, smtp, "QUIT"),
    actor("night", MISSED, HONEST, "198.51.100.55", "monitoring of IMAP",
          visit, imap, "LOGOUT"),
    # ---- the same over IPv6, which default mode cannot see
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::11", "ssh as an unknown user",
          ssh, "oracle", "oracle", "123456"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::12", "ssh as root by password",
          ssh, "root", "root", "toor", "password"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::13", "ssh as a user until sshd cuts him off",
          ssh, "alice", "a", "b", "c", "d", "e", "f"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::17", "a port scan of ssh: connect and close",
          send, 22, linger=0),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::19", "HTTP instead of an ssh banner",
          send, 22, b"GET / HTTP/1.1\r\n\r\n"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::20", "ssh with no common key exchange method",
          ssh_no_common, b"diffie-hellman-group1-sha1"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::24", "a dozen ssh connections at once",
          crowd, 22, 12),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::31", "SMTP AUTH with wrong passwords",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::33", "SMTP connect and close",
          send, 25, linger=0),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::35", "SMTP pipelining abuse",
          smtp, "HELO x", "\r\n".join(TO_ALICE[:3])),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::37", "HTTP to the SMTP port",
          send, 25, b"GET / HTTP/1.1\r\n\r\n"),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::43", "postscreen: talks before the greeting",
          send, 2525, b"EHLO x\r\n", linger=3),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::51", "IMAP logins with wrong passwords",
          imap, *["LOGIN alice guess"] * 6 + ["LOGOUT"]),
    actor("ipv6", MISSED, ATTACKER, "2001:db8:bad::52", "POP3 logins with wrong passwords",
          pop3, *["USER bob", "PASS guess"] * 6),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::21", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::23", "ssh as root with root's key",
          ssh, "root", key="root"),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::24", "ssh: a typing error, then right",
          ssh, "bob", "swordfsih", PASSWORDS["bob"]),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::31", "mail from a host without a PTR record",
          deliver, EHLO, *TO_ALICE),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::37", "SMTP AUTH: a typing error, then right",
          deliver, EHLO, GUESS, ALICE, *TO_BOB, port=587),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::41", "mail from a host with a PTR record",
          deliver, EHLO, *TO_BOB),
    actor("ipv6", MISSED, HONEST, "2001:db8:600d::51", "an IMAP session",
          read_imap, "LOGIN alice " + PASSWORDS["alice"]),
    # ---- hostile text: addresses of others in all that a client can type
    actor("hostile", FOUND, ATTACKER, "203.0.113.71", "ssh user name: an address",
          ssh, "198.51.100.1", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.72", "ssh user name: the end of sshd's message",
          ssh, "x from 198.51.100.2 port 22", "x", "y"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.73", "ssh user name: no address at all",
          ssh, "999.999.999.999", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.74", "ssh user name: not ASCII",
          ssh, "r\xf6\xf6t from 198.51.100.3 port 22 ssh2", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.75", "ssh user name: ends the preauth message",
          ssh, "root 198.51.100.2 port 22 [preauth]", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.76", "ssh user name: an accepted login",
          ssh, "x from 198.51.100.2 port 22 ssh2: Accepted password for alice", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.77", "ssh user name: IPv6, cut at its colon",
          ssh, " root from 2001:db8:600d::1 port 22 ", "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.78", "ssh user name: very long",
          ssh, "a from 198.51.100.2 port 1 " * 400, "x"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.79", "ssh disconnect message",
          ssh_disconnect, b"closed by 198.51.100.4 port 22 [preauth]"),
    actor("hostile", MISSED, ATTACKER, "203.0.113.80", "ssh disconnect message, long",
          ssh_disconnect, b"x\r\n" + b"A" * 3000 + b" 198.51.100.4"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.81", "ssh client version: no protocol",
          send, 22, b"invalid from 198.51.100.5 port 22\r\n"),
    actor("hostile", MISSED, ATTACKER, "203.0.113.82", "ssh client version: an old protocol",
          send, 22, b"SSH-1.5-x from 198.51.100.5 port 22: root\r\n"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.83", "ssh key exchange names",
          ssh_no_common, b"root, Connection closed by 198.51.100.6 port 22"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.91", "HELO: Postfix's own message",
          smtp, "EHLO disconnect from unknown[198.51.100.7] ehlo=1", *RELAY * 2 + ["QUIT"]),
    actor("hostile", FOUND, ATTACKER, "203.0.113.92", "HELO, sender, recipient: addresses",
          smtp, "HELO [198.51.100.7]", "MAIL FROM:<unknown[198.51.100.7]@example.com>",
          "RCPT TO:<\"x from unknown[198.51.100.7]:\"@example.net>", "QUIT"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.93", "HTTP to SMTP, with an address",
          send, 25, b"GET /disconnect from unknown[198.51.100.7] auth=1 HTTP/1.1\r\n\r\n"),
    actor("hostile", FOUND, ATTACKER, "203.0.113.94", "SASL user name: an address",
          smtp, EHLO, *["AUTH PLAIN " + plain("x from unknown[198.51.100.7]", "x")] * 3),
    actor("hostile", FOUND, ATTACKER, "203.0.113.95", "postscreen: talks first, an address",
          send, 2525, b"EHLO disconnect from unknown[198.51.100.7]\r\n", linger=3),
    actor("hostile", MISSED, ATTACKER, "203.0.113.96", "a PTR record that begins with an address",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"]),
    actor("hostile", MISSED, ATTACKER, "203.0.113.97", "IMAP user name: Dovecot's own message",
          imap, *['LOGIN "x>, method=PLAIN, rip=198.51.100.8, lip=192.0.2.25, session=<" y'] * 6),
    actor("hostile", MISSED, ATTACKER, "203.0.113.98", "POP3 user name: Dovecot's own message",
          pop3, *["USER x>, rip=198.51.100.9, lip=192.0.2.25", "PASS y"] * 6),
    actor("hostile", FOUND, ATTACKER, "203.0.113.99", "pipelining abuse, the rest of it shown",
          smtp, "EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<alice@example.org>",
          "DATA\r\nx from unknown[198.51.100.7]: root"),
    actor("hostile", MISSED, ATTACKER, "2001:db8:bad::83", "ssh key exchange names, IPv6",
          ssh_no_common, b"x, Connection closed by 2001:db8:600d::1 port 22"),
    actor("hostile", MISSED, ATTACKER, "2001:db8:bad::91", "HELO: Postfix's own message, IPv6",
          smtp, "EHLO disconnect from unknown[2001:db8:600d::1]", *RELAY * 2 + ["QUIT"]),
    actor("hostile", MISSED, ATTACKER, "2001:db8:bad::94", "SASL user name: an IPv6 address",
          smtp, EHLO, *["AUTH PLAIN " + plain("x from unknown[2001:db8:600d::1]", "x")] * 3),
    actor("hostile", MISSED, ATTACKER, "2001:db8:bad::97", "IMAP user name: Dovecot's, IPv6",
          imap, *['LOGIN "x>, method=PLAIN, rip=2001:db8:600d::1, lip=::1" y'] * 6),
    actor("hostile", MISSED, HONEST, "198.51.100.61", "ssh with a password",
          ssh, "alice", PASSWORDS["alice"]),
    actor("hostile", FOUND, HONEST, "198.51.100.62", "mail whose sender looks like a log line",
          deliver, EHLO, "MAIL FROM:<\"disconnect from unknown[198.51.100.7]\"@example.net>",
          *TO_ALICE[1:]),
    # ---- OpenBSD's own mail server. Only what it says before TLS: with OpenSSL 3, OpenSMTPD 6.8
    # loses its private key (Debian 12), and it offers AUTH to nobody who has not done STARTTLS.
    actor("opensmtpd", MISSED, ATTACKER, "203.0.113.101", "OpenSMTPD: AUTH PLAIN guesses",
          smtp, EHLO, *[GUESS] * 6 + ["QUIT"], server=OPENSMTPD),
    actor("opensmtpd", MISSED, ATTACKER, "203.0.113.102", "OpenSMTPD: AUTH, hostile text",
          smtp, "EHLO address=198.51.100.9", *4 * [
              'AUTH PLAIN =" result="235" address=198.51.100.9',
              "AUTH LOGIN smtp connected address=198.51.100.9 host=x"], server=OPENSMTPD),
    actor("opensmtpd", MISSED, ATTACKER, "2001:db8:bad::101", "OpenSMTPD: AUTH LOGIN guesses",
          smtp, EHLO, *["AUTH LOGIN"] * 6, server=OPENSMTPD),
    actor("opensmtpd", MISSED, HONEST, "198.51.100.71", "OpenSMTPD: mail from outside",
          deliver, EHLO, *TO_ALICE, server=OPENSMTPD),
    actor("opensmtpd", MISSED, HONEST, "198.51.100.72", "OpenSMTPD: one recipient does not exist",
          deliver, EHLO, "MAIL FROM:<someone@example.net>", "RCPT TO:<alcie@example.org>",
          *TO_ALICE[1:], server=OPENSMTPD),
    actor("opensmtpd", MISSED, HONEST, "2001:db8:600d::71", "OpenSMTPD: mail over IPv6",
          deliver, EHLO, *TO_BOB, server=OPENSMTPD),
]

# Their addresses are in e2e/etc/hosts: a busy hour keeps them.
WITH_PTR = ("203.0.113.61", "203.0.113.96")


def busy_hour():
    """The night again with its hostile text and IPv6: two more addresses for each attacker.

    Attackers come six times each, from addresses that nobody else has; users come once.
    """
    busy = []
    ipv4 = ("203.0.113.%d" % n for n in range(120, 255))
    ipv6 = ("2001:db8:bad::%x" % n for n in range(0x1000, 0x2000))
    for row in ACTORS * 2:
        if row.group == "opensmtpd":
            continue
        address, times = row.address, 1
        if row.careful == ATTACKER:
            times = 6
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
        if row.careful == HONEST and not worked:
            check(False, "%s %s: could not do it%s" % (row.address, row.label, why))


# ---- the mail server --------------------------------------------------------------------------


def time_zone(now):
    """A TZ in which the next quarter of an hour lies inside default mode's range.

    The page's script sees nothing of the first of most months, nor of today before 10:00 on the
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
    for path in ("/run/sshd", "/etc/ssh/keys", KEYS):
        os.makedirs(path, mode=0o755, exist_ok=True)
    run("ssh-keygen", "-A")
    for name in ("alice", "root", "stranger"):
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
    write("/usr/local/bin/pfctl", '#!/bin/sh\n: "${PF_TABLE:=%s}" "${PF_LOG:=%s}"\n'
          'export PF_TABLE PF_LOG\nexec %s/standins/pfctl "$@"\n' % (PF_TABLE, PF_LOG, HERE), 0o755)
    write(PF_TABLE, EARLIER_PF)
    write(ETCFILE, EARLIER_FILE)
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


def reference(now, folder, table):
    """The table that the reference pipeline makes of a folder's logs, but what pf cannot load."""
    write(table, read(folder + "/bruteforce"))
    run("sh", HERE + "/reference.sh", env=dict(
        os.environ, PATH=HERE + "/standins:" + os.environ["PATH"], NOW=str(now), ETCFILE=table,
        MAILLOG=folder + "/maillog", AUTHLOG=folder + "/authlog", PF_TABLE=folder + "/pf-table",
        PF_LOG="/dev/null"))
    return tools.without_unloadable(read(table))


def careful(now, folder, table):
    """The table that careful mode makes of a folder's logs; it must exit with 0."""
    write(table, read(folder + "/bruteforce"))
    return subprocess.run(
        ["/root/logcheck.py", "-c", "-n", "--now", str(now), "-e", table,
         "-m", folder + "/maillog", "-a", folder + "/authlog"],
        env=dict(os.environ, PF_TABLE=folder + "/pf-table", PF_LOG="/dev/null"), timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def offers(option):
    """Whether logcheck.py has an option."""
    return re.search(option + r"\b", run("/root/logcheck.py", "-h"))


def save(folder, logs, now):
    """Lay out a fixture: the logs, the earlier table, the moment of the run, what must come out."""
    os.makedirs(folder)
    for name, content in logs.items():
        write(folder + "/" + name, content)
    write(folder + "/bruteforce", EARLIER_FILE)
    write(folder + "/pf-table", EARLIER_PF)
    write(folder + "/now", time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(now)))
    write(folder + "/expected", reference(now, folder, folder + "/table"))
    if offers("--careful"):
        write(folder + "/expected-careful", careful(now, folder, folder + "/table"))
    os.remove(folder + "/table")


def nightly():
    """The whole chain as on the host: cron, daily, daily.local, logcheck.py; the nightly mail."""
    subprocess.run(["/bin/sh", CONFIG + "/daily"], timeout=60, stdin=subprocess.DEVNULL,
                   start_new_session=True, check=True, stdout=subprocess.DEVNULL,
                   env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/var/log",
                        "SHELL": "/bin/sh", "LOGNAME": "root", "USER": "root",
                        "TZ": os.environ["TZ"]})
    return read("/var/log/daily.out")


def names(text, address):
    """Whether an address stands in a text, and not as a part of a longer one."""
    return re.search(rb"(?<![\w.:])" + re.escape(address.encode()) + rb"(?![\d])", text)


def judge_default(expected, report):
    """Default mode's table and report, against the reference and the table of actors."""
    found = read(ETCFILE).split()
    check(read(ETCFILE) == expected, "the table is the reference pipeline's, byte for byte")
    calls = read(PF_LOG).decode().splitlines()
    check(calls == ["-t bruteforce -T show", "-f /etc/pf.conf"], "pfctl showed, then loaded")
    check(b"Running daily.local:" in report, "the nightly mail has logcheck.py's report")
    for row in ACTORS:
        listed = row.address.encode() in found
        check(listed == (row.default == FOUND), "default  %-7s %-8s %-19s %s" % (
            "found" if listed else "missed", row.careful, row.address, row.label))
        if listed:
            check(names(report, row.address), "the report names %s" % row.address)


def judge_careful(table):
    """Careful mode's table: every attacker, no honest user, no address that somebody typed."""
    found = table.split()
    for row in ACTORS:
        listed = row.address.encode() in found
        words = {(ATTACKER, True): "found", (ATTACKER, False): "MISSED",
                 (HONEST, True): "CAUGHT", (HONEST, False): "spared"}
        check(listed == (row.careful == ATTACKER), "careful  %-7s %-8s %-19s %s" % (
            words[row.careful, listed], row.careful, row.address, row.label))
    for address in TYPED:
        check(address.encode() not in found, "careful  not taken, as typed only: %s" % address)


def read_mailbox(user):
    """The mail that Postfix has delivered to a user."""
    return read("/var/mail/" + user)


def judge_mail():
    """--mail, through the real sendmail(8) and Postfix, into alice's mailbox."""
    write("/root/table", b"")
    run("/root/logcheck.py", "--no-pf", "-e", "/root/table", "--mail", "alice@example.org")
    added = [row.address for row in ACTORS if row.default == FOUND]
    missing, deadline = added, time.time() + PATIENCE
    while missing and time.time() < deadline:
        time.sleep(0.2)
        mailbox = read_mailbox("alice")
        missing = [address for address in added if not names(mailbox, address)]
    check(not missing, "the mail names every address added %s" % " ".join(missing))


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
    for group in ("night", "ipv6", "hostile", "opensmtpd"):
        let_act("%s/fixtures/real-%s" % (scratch, group),
                [row for row in ACTORS if row.group == group], outside)
    # all the logs so far as one more folder
    folder, now = scratch + "/evening", int(time.time())
    save(folder, {"maillog": read(MAILLOG), "authlog": read(AUTHLOG)}, now)
    judge_default(read(folder + "/expected"), nightly())
    if offers("--careful"):
        judge_careful(careful(now, folder, scratch + "/table"))
    if offers("--mail"):
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
