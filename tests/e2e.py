#!/usr/bin/env python3
"""End to end: real sshd, Postfix, Dovecot and OpenSMTPD, real attackers and users, logcheck.py.

usage: e2e.py [--capture DIR] [GROUP...]

As root on Debian 12 or later. What is missing is installed by apt (e2e/install); no service of the
machine is started or touched. Everything runs in namespaces of its own (network, mounts, processes,
host name), so that the end of this program ends them too, whichever way it ends:

    mail server   192.0.2.25       2001:db8::25    sshd, Postfix, Dovecot, OpenSMTPD
    attackers     203.0.113.0/24   2001:db8:b000::/36
    honest users  198.51.100.0/24  2001:db8:600d::/48

e2e/machine makes them: the daemons, their accounts and logcheck.py stand at their usual paths in
private copies of /etc, /root, /var and so on, and on the machine nothing changes.

First every actor of e2e/actors.txt acts. Then logcheck.py runs as on the host, from a sourced
daily.local under cron's environment, and its table must be the reference pipeline's, byte for
byte. Then careful mode runs so on the same logs: every attacker, no honest user, no typed address,
and its report says who was let off.

With --capture the logs become the fixtures DIR/real-*, those of a busy hour too. With GROUPs only
their actors act, and no busy hour.
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
from host import contents

CONFIG = os.path.join(host.HERE, "e2e")

LIMIT = 300         # seconds for everything but the installation
PATIENCE = 20       # seconds that one answer of a daemon may take
WORKERS = 16        # actors at work at a time

SERVER = {4: "192.0.2.25", 6: "2001:db8::25"}
LOGS, ETCFILE = ("/var/log/maillog", "/var/log/authlog"), "/etc/bruteforce"
PF_TABLE, PF_LOG = "/var/pf/bruteforce", "/var/pf.log"
EARLIER_FILE = b"192.0.2.200\n198.51.100.200\n2001:db8:bad::200\n"
EARLIER_PF = b"   192.0.2.201\n   203.0.113.251\n"

# The last line of an answer in SMTP, IMAP, POP3 and ManageSieve, those that are a yes, goodbyes.
LAST = re.compile(rb"\d\d\d(?!-)|a |\+|-ERR|\* OK \[CAPABILITY|OK|NO|BY")
YES = (b"2", b"a OK", b"* OK", b"+OK", b"OK")
GOODBYES = (b"QUIT", b"LOGOUT", b"a LOGOUT")

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


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def family(address):
    return 6 if ":" in address else 4


# ---- the deeds of actors.txt: what one does from a source address -----------------------------


def dial(source, port):
    """A connection from `source` to a port of the server."""
    return socket.create_connection((SERVER[family(source)], port), PATIENCE, (source, 0))


def encrypt(sock, wary=False):
    """Go over to TLS, trusting any server or, as its certificate is our own, none."""
    context = ssl.create_default_context()
    if not wary:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, server_hostname="mail.example.org")


def hear(sock):
    """Read lines up to the last one of an answer, or the end; that line, or b""."""
    line = b""
    while not (line.endswith(b"\n") and LAST.match(line)):
        byte = sock.recv(1)     # by the byte: what follows a STARTTLS answer is not ours
        if not byte:
            return b""
        line = byte if line.endswith(b"\n") else line + byte
    return line


def talk(source, port, *commands, wary=False, tls=False, wait=0):
    """Hold a session: greeting, then each command and its answers, then hang up. STARTTLS goes
    over to TLS; with tls, all is TLS on any port. Then wait= seconds. Whether the last answer, but
    that to a goodbye, was a yes.
    """
    sock = dial(source, port)
    try:
        if tls or port in ("465", "993"):
            sock = encrypt(sock, wary)
        worked = hear(sock).startswith(YES)
        for command in commands:
            sock.sendall(command + b"\r\n")
            # a message brings one answer, pipelined lines bring one each
            whole = command.endswith(b"\r\n.") or command.startswith(b"BDAT")
            for _ in command.split(b"\r\n")[:1 if whole else None]:
                answer = hear(sock)
            if command not in GOODBYES:
                worked = answer.startswith(YES)
            if command == b"STARTTLS" and worked:
                sock = encrypt(sock)
        return worked
    except OSError:
        return False        # the server has hung up: for an attacker that is no surprise
    finally:
        sock.close()
        time.sleep(float(wait))


def send(source, port, data=b"", linger=str(PATIENCE)):
    """Send bytes without waiting for anything, then listen until the server hangs up."""
    with dial(source, port) as sock:
        sock.settimeout(float(linger))
        try:
            sock.sendall(data)
            while linger != "0" and sock.recv(4096):
                pass
        except OSError:
            pass
    return True


def crowd(source, port):
    """Open many connections at once."""
    socks = [dial(source, port) for _ in range(12)]
    time.sleep(1)
    for sock in socks:
        sock.close()


def reset(source, data):
    """Hear sshd's first words, send bytes and break off with a TCP reset."""
    with dial(source, 22) as sock:
        sock.recv(100)
        sock.sendall(data)
        time.sleep(0.2)     # first sshd has to ask for the peer's address
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send_packet(source, payload):
    """Send a banner and an SSH packet as it goes before any key exchange (RFC 4253, section 6)."""
    padding = 8 - (len(payload) + 5) % 8 + 8
    head = struct.pack(">IB", len(payload) + padding + 1, padding)
    return send(source, 22, b"SSH-2.0-x\r\n" + head + payload + bytes(padding))


def strings(*texts):
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


def goodbye(source, text, code="11"):
    """A disconnect message (type 1) with a text of the client's own."""
    return send_packet(source, b"\x01" + struct.pack(">I", int(code)) + strings(text, b""))


def kexinit(source, methods):
    """Offer key exchange methods (type 20) that no server has."""
    return send_packet(source, b"\x14" + bytes(16) + strings(
        methods, b"ssh-ed25519", b"aes128-ctr", b"aes128-ctr", b"hmac-sha2-256", b"hmac-sha2-256",
        b"none", b"none", b"", b"") + bytes(5))


def ssh_command(source, user, keys="", method="password", wary=False, prompts=1):
    """The command line of the real client (list), without what it is to run there."""
    options = ["-o", "NumberOfPasswordPrompts=%d" % prompts,
               "-o", "StrictHostKeyChecking=" + ("yes" if wary else "no"),
               "-o", "PreferredAuthentications=" + ("publickey," if keys else "") + method]
    for key in filter(None, keys.split(",")):
        options += ["-i", "/root/keys/" + key]
    return ["ssh", "-F", "/etc/ssh/ssh_config", "-b", source, "-l", user, *options,
            SERVER[family(source)]]


def ssh(source, user, *words, **options):
    """Log in with the real client, which is given `words` as passwords."""
    with tempfile.NamedTemporaryFile() as left:
        left.write(b"\n".join(words) + b"\n")
        left.flush()
        command = ssh_command(source, user, prompts=max(1, len(words)), **options)
        return subprocess.run(
            command + ["true"], timeout=PATIENCE * 2, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, SSH_ASKPASS="/root/askpass", SSH_ASKPASS_REQUIRE="force",
                     WORDS=left.name)).returncode == 0


def cut(source):
    """A session of alice's that ends without a goodbye, in the middle of what the server says."""
    with subprocess.Popen(ssh_command(source, "alice", "alice") + ["echo in; exec yes"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as client:
        worked = client.stdout.readline() == b"in\n"
        client.send_signal(signal.SIGSTOP)
        time.sleep(0.2)     # what arrives meanwhile is never read: the kernel answers with a reset
        client.kill()
    return worked


# ---- actors.txt -------------------------------------------------------------------------------

# deeds: [("N times " or None, "not " or None, the words before its texts (list), texts (list))]
Actor = collections.namedtuple("Actor", "group address default careful label deeds")
ATTACKERS = ("banned", "allotment")
VERDICTS = ATTACKERS + ("let off", "near", "quiet")
DEEDS = {deed.__name__: deed for deed in (talk, send, crowd, ssh, cut, goodbye, kexinit, reset)}


def filled(match):
    """What {N*TEXT} and {TEXT} stand for: N times TEXT, or TEXT in base64."""
    times, text = match.groups()
    return text * int(times) if times else base64.b64encode(text)


def written_out(fields, names):
    """The fields (list of str) of a line, with what names stand for and as often as they say."""
    texts = []
    for field in fields:
        times, field = re.match(r"(?:(\d+) \* )?(.*)", field).groups()
        for number in range(int(times or 1)):
            texts += [text.replace("#", str(number)) if times else text
                      for text in names.get(field, [field])]
    return texts


def text_of(field):
    """The text (bytes) that a field stands for."""
    text = field.encode().decode("unicode_escape").encode("latin-1")
    return re.sub(rb"\{(?:(\d+)\*)?(.*?)\}", filled, text)


def read_actors():
    """The Actors (list) of actors.txt, which says how it is written."""
    actors, names = [], {}
    for line in contents(CONFIG + "/actors.txt").decode().splitlines():
        first, *fields = line.strip().split(" | ")
        head = re.match(r"([^ ,]+),?(\S*) (found|missed) (%s): (.*)" % "|".join(VERDICTS), line)
        if line.startswith("---- "):
            group = line[5:]
        elif head:
            address, twin, default, careful, label = head.groups()
            deeds = []
            net, count = re.match(r"([^*]+)(?:\*(\d+))?", address).groups()
            actors += [Actor(group, net % number if count else net, default, careful, label, deeds)
                       for number in range(int(count or 1))]
            if twin:
                actors.append(Actor("ipv6", twin, "missed", careful, label, deeds))
        elif line.startswith("    "):
            times, no, words = re.match(r"(\d+ times )?(not )?(.*)", first).groups()
            deeds.append((times, no, words.split(),
                          [text_of(field) for field in written_out(fields, names)]))
        elif line and not line.startswith("#"):
            name, text = first.split(" = ")
            names[name] = written_out([text] + fields, names)
    return actors


ACTORS = read_actors()
GROUPS = list(dict.fromkeys(row.group for row in ACTORS))


def act(row):
    """Let an actor act; whether his last deed did what it was to do."""
    for times, no, (deed, *words), texts in row.deeds:
        args = [word for word in words if "=" not in word] + texts
        options = dict(word.split("=") for word in words if "=" in word)
        for _ in range(int(times.split()[0]) if times else 1):
            worked = bool(DEEDS[deed](row.address, *args, **options))
    return worked != bool(no)


def busy_hour():
    """The night again with its hostile text and IPv6: two more addresses for each attacker.

    Attackers come three times each, from addresses that nobody else has, but for those with a PTR
    record in e2e/etc/hosts; users come once.
    """
    busy, known = [], contents(CONFIG + "/etc/hosts").decode().split()
    fresh = {4: ("203.0.113.%d" % n for n in range(104, 255)),
             6: ("2001:db8:b%x::1" % n for n in range(0x200, 0xa00))}
    for row in ACTORS * 2:
        if row.group in ("night", "ipv6", "hostile"):
            if row.careful == "banned" and row.address not in known:
                row = row._replace(address=next(fresh[family(row.address)]))
            busy += [row] * (3 if row.careful == "banned" else 1)
    random.Random(1).shuffle(busy)
    return busy


def act_all(rows):
    """Let the actors act, WORKERS at a time; an honest user who fails is a failure of the test."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        deeds = [(row, pool.submit(act, row)) for row in rows]
    for row, done in deeds:
        try:
            worked, why = done.result(), ""
        except (OSError, subprocess.TimeoutExpired) as error:
            worked, why = False, ": %s" % error
        if row.careful not in ATTACKERS and not worked:
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


def sizes():
    return [os.path.getsize(path) for path in LOGS]


def settle():
    """Wait until the daemons have said nothing for two seconds, but not for ever."""
    for _ in range(PATIENCE // 2):
        before = sizes()
        time.sleep(2)
        if sizes() == before:
            return


def save(folder, logs):
    """Lay out a fixture: the logs (bytes), the earlier table, the moment of the run, what must come
    out. Returns it as a Host.
    """
    os.makedirs(folder)
    now = int(time.time())
    night = host.Host(folder, *logs, EARLIER_FILE, EARLIER_PF, now, os.environ["TZ"])
    night.write("now", time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(now)).encode())
    night.write("expected", host.without_unloadable(night.reference(host.pairs()[0])))
    night.write("expected-careful", night.run("-cn", PF_LOG="").stdout)
    return night


def let_act(scratch, group, rows, outside):
    """Let some actors act; their logs as a fixture. A word of the machine in them is a failure."""
    begin = sizes()
    act_all(rows)
    settle()
    logs = [contents(path)[size:] for path, size in zip(LOGS, begin)]
    folder = "%s/fixtures/real-%s" % (scratch, group)
    save(folder, logs)
    shutil.copy(scratch + "/versions", folder + "/daemons")
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
    write("/etc/daily.local", b"/root/logcheck.py %s\n" % options.encode())
    run("/bin/sh", CONFIG + "/daily", start_new_session=True,
        env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/var/log", "SHELL": "/bin/sh",
             "LOGNAME": "root", "USER": "root", "TZ": os.environ["TZ"]})
    return contents("/var/log/daily.out"), contents(PF_LOG).decode().splitlines()


def names_the_new(report, added):
    """Whether a report or letter names 50 of the new ones, and says how many more."""
    named, more = host.section(report, "new")
    return (len(named) == min(50, len(added)) and added >= set(named)
            and more == len(added) - len(named))


def peer(address, mask=64):
    """What careful mode enters for an address: for IPv6 its network."""
    return address if family(address) == 4 else str(
        ipaddress.ip_network("%s/%d" % (address, mask), strict=False))


def judge(mode, options, whose, expected, pfctl):
    """Run logcheck.py in a mode of its own, and judge its table and report: in default mode
    against the reference and actors.txt. In careful mode: every attacker, no honest user,
    no address that somebody typed; and of the honest, who was let off.
    """
    def note(good, text):
        check(good, "%-8s %s" % (mode, text))

    report, calls = nightly(options)
    table = contents(ETCFILE).decode().split()
    note(contents(ETCFILE) == expected, "the table is %s, byte for byte" % whose)
    note(calls == ["-t bruteforce -T show", pfctl, "-sr"], "pfctl showed, then: %s" % pfctl)
    note(b"Running daily.local:" in report, "the nightly mail has logcheck.py's report")
    added = set(table) - set(EARLIER_FILE.decode().split())
    let_off, near = host.section(report, "let off")[0], host.section(report, "near misses")[0]
    head = "logcheck on mail: %d added, 0 expired, %d let off, %d in the table; pf has it" % (
        len(added), len(let_off), len(table))
    note(head in report.decode().splitlines(), "the report begins: %s" % head)
    note(names_the_new(report, added), "the report names 50 of the new ones, and how many more")
    note(sorted(contents(PF_TABLE).decode().split()) == sorted(table), "pf has what the file has")
    for row in ACTORS:
        due, name = getattr(row, mode), peer(row.address)
        if mode == "default":
            verdict = "found" if row.address in table else "missed"
        else:       # the report shows ten of the near misses
            verdict = ("banned" if name in table else "allotment" if peer(row.address, 48) in table
                       else "let off" if name in let_off else "near"
                       if name in near or due == "near" and len(near) == 10 else "quiet")
        note(verdict == due, "%-7s as %-7s %-21s %s" % (verdict, due, row.address, row.label))
    if mode == "careful":
        strangers = set(table + let_off + near) - set(
            (EARLIER_FILE + EARLIER_PF).decode().split()) - {
                peer(row.address, 48 if row.careful == "allotment" else 64) for row in ACTORS}
        note(not strangers, "nobody but the actors is named %s" % " ".join(strangers))


def judge_mask(table):
    """Careful mode's table with --mask6 128: addresses instead of networks."""
    found = table.decode().split()
    peers = collections.Counter(peer(row.address) for row in ACTORS)
    alone = [row for row in ACTORS if family(row.address) == 6 and peers[peer(row.address)] == 1
             and row.careful != "allotment"]
    check(all((row.address in found) == (row.careful == "banned") for row in alone)
          and b"/64" not in table, "careful  --mask6 128: every attacker, no honest user, no /64")


def judge_mail():
    """--mail, through the real sendmail(8) and Postfix, into alice's mailbox."""
    write("/root/table", b"")
    run("/root/logcheck.py", "--no-pf", "-e", "/root/table", "--mail", "alice@example.org")
    added = set(contents("/root/table").decode().split())
    subject = b"\nSubject: bruteforce on mail: %d added\n" % len(added)
    deadline = time.time() + PATIENCE
    while subject not in contents("/var/mail/alice") and time.time() < deadline:
        time.sleep(0.1)
    check(names_the_new(contents("/var/mail/alice").partition(subject)[2], added),
          "the letter names 50 of the new ones, and says how many more")


def evening(scratch, capture, groups, outside):
    """The test itself."""
    ACTORS[:] = [row for row in ACTORS if row.group in groups]
    run("sh", CONFIG + "/machine", scratch, sys.executable)
    for group in groups:
        let_act(scratch, group, [row for row in ACTORS if row.group == group], outside)
    # all the logs so far as one more folder
    night = save(scratch + "/evening", [contents(path) for path in LOGS])
    judge("default", "-v", "the reference pipeline's", night.read("expected"), "-f /etc/pf.conf")
    judge("careful", "-cv", "the dry run's", night.read("expected-careful"),
          "-t bruteforce -T replace -f %s.logcheck" % ETCFILE)
    judge_mask(night.run("-cn", "--mask6", "128").stdout)
    judge_mail()
    if capture and groups == GROUPS:
        let_act(scratch, "busy", busy_hour(), outside)


def inside(scratch, capture, groups):
    """The first process of the namespaces: the test and its last line."""
    host.set_zone(time_zone(time.time()))
    outside = [socket.gethostname(), scratch, host.TOP]
    run("hostname", "mail")
    try:
        evening(scratch, capture, groups, outside)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        check(False, "stopped: %s" % error)
        if os.path.exists(scratch + "/daemons"):
            sys.stdout.write(contents(scratch + "/daemons").decode("utf-8", "replace"))
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


# ---- outside: installation, namespaces, cleaning up ------------------------------------------

# Whoever dies on the way takes all below him along, even by SIGKILL.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--ipc",
              "--pid", "--fork", "--kill-child", "--mount-proc"]


def main():
    parser = argparse.ArgumentParser(usage="e2e.py [--capture DIR] [GROUP...]")
    parser.add_argument("--capture", metavar="DIR")
    parser.add_argument("--inside", metavar="SCRATCH", help=argparse.SUPPRESS)
    parser.add_argument("groups", nargs="*")
    args = parser.parse_args()
    groups = [group for group in GROUPS if group in (args.groups or GROUPS)]
    if not groups:
        parser.error("groups are " + " ".join(GROUPS))
    if args.inside:
        return inside(args.inside, args.capture, groups)
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
        command = [sys.executable, __file__, "--inside", scratch, *groups]
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
