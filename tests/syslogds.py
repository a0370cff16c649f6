#!/usr/bin/env python3
"""make syslogds: the same messages through each of Debian's syslogds and the journal; in what each
writes, careful mode finds the same attackers.

usage: syslogds.py [--capture DIR]     (as root on Debian 12 or later; DIR gets what they write)

Packages are unpacked into a temporary folder, not installed: they would drive each other out. Each
syslogd runs in namespaces and with a /dev of its own, and all end with this program. They are sent,
as syslog(3) does it, what real daemons have written (fixtures/real-hostile), and five wrong
passwords that make the same line.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import host
from host import contents

PATIENCE = 30  # seconds until a syslogd has to have written
PRIORITY = {"authlog": 38, "maillog": 22}  # auth.info, mail.info
QUIET = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
APT_GET = "apt-get install -qq -y --download-only --reinstall --no-install-recommends -o"
ENTER = "setpriv --pdeathsig KILL unshare --net --mount --uts --pid --fork --kill-child sh -c"
AS_MAIL = ("unshare", "--uts", "sh", "-c", 'hostname mail && exec "$@"', "sh")
# busybox and metalog know no other socket than /dev/log
OWN_DEV = ("hostname mail && cd {work} && mkdir dev && for name in null zero urandom; do "
           ": > dev/$name && mount --bind /dev/$name dev/$name || exit 1; done && "
           "mount --rbind dev /dev && ")
# {name: (package, command, lines of the configuration)}
SYSLOGDS = {heading.split(": ")[0]: (heading.split(": ")[1], command, conf)
            for heading, (command, *conf) in host.parts("syslogds.txt")}
ENTRY = b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=" + b"1" * 32 + (
    b"\n_HOSTNAME=mail\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n\n")
JOURNAL, FORMS = "systemd-journal-remote", ("short", "short-precise", "short-iso", "short-full")


def unpack(scratch):
    """Have apt download the packages and what this machine lacks of their libraries, and unpack
    them. Returns the packages there are (set of str); environment for their programs (dict).
    """
    os.makedirs(scratch + "/archives/partial")
    root, found = scratch + "/root", set()
    for package in sorted({JOURNAL}.union(row[0] for row in SYSLOGDS.values())):
        done = subprocess.run(APT_GET.split() + [
            "Dir::Cache::archives=%s/archives" % scratch, package], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0 or shutil.which(package):
            found.add(package)
        else:
            print("skip", done.stdout.decode().strip().split("\n")[-1])
    for path in glob.glob(scratch + "/archives/*.deb"):
        subprocess.run(["dpkg", "-x", path, root], check=True)
    libraries = {os.path.dirname(path) for path in glob.glob(root + "/**/*.so*", recursive=True)}
    programs = [os.path.dirname(path) for path in glob.glob(root + "/**/*bin/", recursive=True)
                + glob.glob(root + "/**/lib/systemd/", recursive=True)]
    return found, dict(os.environ, PATH=":".join(programs + [os.environ["PATH"]]),
                       LD_LIBRARY_PATH=":".join(sorted(libraries)))


def messages():
    """What is sent: [(priority (int), program and perhaps [number] (bytes), text (bytes))]."""
    sent = []
    for log, priority in PRIORITY.items():
        for line in contents("%s/fixtures/real-hostile/%s" % (host.TOP, log)).split(b"\n")[:-1]:
            if b" mail last message repeated " not in line:
                sent.append((priority, *line.split(b" mail ", 1)[1].split(b": ", 1)))
    failed = b"Failed password for bob from 203.0.113.57 port 4 ssh2"
    return [*dict.fromkeys(sent), *5 * [(38, b"sshd[4711]", failed)],
            (38, b"sshd[1]", b"Server listening.")]


def start(name, scratch, environment):
    """Start a syslogd. Returns its process."""
    _, command, conf = SYSLOGDS[name]
    work, root = "%s/%s" % (scratch, name), scratch + "/root"
    os.makedirs(work + "/sv")
    ng = (glob.glob(root + "/usr/lib/syslog-ng/[0-9]*") or [""])[0]
    values = {"work": work, "ng": ng, "version": os.path.basename(ng),
              "rsyslog": "".join(glob.glob(root + "/usr/lib/*/rsyslog"))}
    host.Host(work, *[None] * 4).write("conf", "".join(
        line.format(**values) + "\n" for line in conf).encode())
    return subprocess.Popen([*ENTER.split(), (OWN_DEV + command).format(**values)], **QUIET,
                            env=environment)


def wait_for(path, what):
    """Wait until a file has a text (bytes) in it, or is there. Raises OSError."""
    for _ in range(PATIENCE * 10):
        time.sleep(0.1)
        if os.path.exists(path) and not (what and what not in contents(path)):
            return
    raise OSError("not ready: " + path)


def written(name, scratch, sent):
    """Send a syslogd the messages. Returns what it has written (bytes)."""
    work = "%s/%s" % (scratch, name)
    wait_for(work + "/dev/log", b"")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect(work + "/dev/log")
        before = None
        for priority, tag, text in sent:
            if text == before:
                time.sleep(1.1)  # in the same second it would be one event, written twice
            before = text
            program, _, number = tag.decode().strip("]").partition("[")
            if name == "rsyslog-from-rfc5424":
                subprocess.run([*AS_MAIL, "logger", "--rfc5424", "-u", work + "/dev/log", "-p", {
                    38: "auth.info", 22: "mail.info"}[priority], "-t", program,
                                *["--id=" + number] * bool(number), "--", text], check=True)
            else:
                log.send(b"<%d>%s %s: %s" % (
                    priority, time.strftime("%b %e %H:%M:%S").encode(), tag, text))
    path = work + ("/log" if os.path.exists(work + "/log") else "/sv/current")
    wait_for(path, sent[-1][-1])
    return contents(path)


def journal(form, scratch, sent, environment):
    """What journalctl shows (bytes) of a journal with the messages."""
    path = scratch + "/x.journal"
    if not os.path.exists(path):
        entries = [ENTRY % ((time.time() - len(sent) + number) * 1e6, re.sub(
            rb"\[(\d+)\]", rb"\n_PID=\1", tag), text)
                   for number, (_, tag, text) in enumerate(sent)]
        subprocess.run([JOURNAL, "-o", path, "-"], check=True, stderr=subprocess.DEVNULL,
                       env=environment, input=b"".join(entries))
    return subprocess.run(["journalctl", "-q", "--no-pager", "--file", path, "-o", form],
                          check=True, stdout=subprocess.PIPE).stdout


def main():
    capture = sys.argv[2] if sys.argv[1:2] == ["--capture"] else None
    if os.getuid() or not shutil.which("apt-get") or subprocess.call([*ENTER.split(), "true"]):
        print("skipped: not root on Debian, or in no namespaces")
        return 0
    host.set_zone("UTC")
    scratch, running, sent, results = tempfile.mkdtemp(prefix="syslogds."), {}, messages(), []
    try:
        found, environment = unpack(scratch)
        running = {name: start(name, scratch, environment) for name, row in SYSLOGDS.items()
                   if row[0] in found}
        night = host.Host(scratch, now=int(time.time()) + 99)
        night.write("authlog", b"".join(b"%s mail %s: %s\n" % (
            time.strftime("%b %e %H:%M:%S", time.gmtime(time.time() - len(sent) + number)).encode(),
            tag, text) for number, (_, tag, text) in enumerate(sent)))
        expected = night.run("-cn", "--no-pf").stdout
        forms = FORMS if JOURNAL in found and shutil.which("journalctl") else ()
        pool = concurrent.futures.ThreadPoolExecutor(len(SYSLOGDS))
        texts = {name: pool.submit(written, name, scratch, sent) for name in running}
        for name in [*running, *forms]:
            try:
                text = (journal(name, scratch, sent, environment) if name in forms
                        else texts[name].result())
            except (OSError, subprocess.CalledProcessError) as error:
                text = b"%s\n" % str(error).encode()
            night.write("authlog", text)
            code, table, err = night.run("-cn", "--no-pf")
            results.append((code, table, err) == (0, expected, "") and b"203.0.113.57\n" in table)
            print("%s %-21s %d attackers in %d lines %s%s" % (
                "ok  " if results[-1] else "FAIL", name, table.count(b"\n"), text.count(b"\n"),
                err, host.first_difference(table, expected)), flush=True)
            if capture:
                host.Host(capture, *[None] * 4).write(name, text)
    finally:
        for child in running.values():
            child.kill()
            child.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
