#!/usr/bin/env python3
"""make syslogds: the same messages through every syslogd of Debian's, and careful mode finds the same
attackers in what each has written.

usage: syslogds.py [--capture DIR]

As root on Debian 12 or later. The packages are unpacked into a temporary folder, not installed: they
would drive each other out. Each syslogd runs in namespaces of its own with a /dev of its own, where
it makes its /dev/log; all end with this program, whichever way it ends. What they are sent is what
real daemons have written (fixtures/real-hostile), as syslog(3) sends it, and five wrong passwords
that are the same line. With --capture their logs go into the folder DIR.
"""
import argparse
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
ENTER = ("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--pid", "--fork",
         "--kill-child")
# null, and what else is needed there; busybox and metalog know no other place than /dev/log
OWN_DEV = ("hostname mail && cd {work} && mkdir dev && for name in null zero urandom; do : > dev/$name && "
           "mount --bind /dev/$name dev/$name || exit 1; done && mount --rbind dev /dev && ")
AS_MAIL = ("unshare", "--uts", "sh", "-c", 'hostname mail && exec "$@"', "sh")
RSYSLOG = """module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/dev/log" useSysTimeStamp="off" {input})
{more}
*.* {work}/log{template}
"""
IN_FOREGROUND = "exec rsyslogd -n -i {work}/pid -f {work}/conf -M {modules}"
SOCKLOG = "socklog unix /dev/log"
# {name: (package, command, configuration, where the log is)}
SYSLOGDS = {
    "rsyslog": ("rsyslog", IN_FOREGROUND, dict(input="", more="", template="")),
    "rsyslog-traditional": ("rsyslog", IN_FOREGROUND, dict(
        input="", more="$RepeatedMsgReduction on", template=";RSYSLOG_TraditionalFileFormat")),
    # the sender is logger(1) --rfc5424
    "rsyslog-from-rfc5424": ("rsyslog", IN_FOREGROUND, dict(
        input='useSpecialParser="off" parseHostname="on"', more="", template="")),
    "rsyslog-rfc5424": ("rsyslog", IN_FOREGROUND, dict(
        input="", more='global(parser.permitSlashInProgramName="on")',
        template=";RSYSLOG_SyslogProtocol23Format")),
    "syslog-ng": ("syslog-ng-core", "exec syslog-ng -F --no-caps -f {work}/conf -R {work}/persist "
                  "-p {work}/pid -c {work}/control --module-path {ng}", """@version: {version}
source s {{ unix-dgram("/dev/log"); }};
destination d {{ file("{work}/log" suppress(5)); }};
log {{ source(s); destination(d); }};
"""),
    "inetutils": ("inetutils-syslogd", "exec syslogd --no-detach --no-klog -P {work}/pid "
                  "-f {work}/conf", "*.*\t{work}/log\n"),
    "busybox": ("busybox", "exec busybox syslogd -n -O {work}/log", ""),
    "busybox-small": ("busybox", "exec busybox syslogd -n -S -O {work}/log", ""),
    "socklog": ("socklog", "exec " + SOCKLOG + " > {work}/log", ""),
    "socklog-tt": ("runit", SOCKLOG + " | svlogd -tt {work}/sv", ""),
    "socklog-ttt": ("runit", SOCKLOG + " | svlogd -ttt {work}/sv", ""),
    "metalog": ("metalog", "exec metalog -C {work}/conf", """showrepeats = 1
all :
  facility = "*"
  logdir = "{work}/sv"
"""),
}


def unpack(scratch):
    """Have apt download the packages and what this machine lacks of their libraries, and unpack
    them. Returns the names of the packages there are (set of str).
    """
    os.makedirs(scratch + "/archives/partial")
    found = set()
    for package in sorted({row[0] for row in SYSLOGDS.values()}):
        done = subprocess.run(
            ["apt-get", "install", "-qq", "-y", "--download-only", "--reinstall",
             "--no-install-recommends", "-o", "Dir::Cache::archives=%s/archives" % scratch, package],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        if done.returncode == 0 or shutil.which(package):
            found.add(package)
        else:
            print("skip %s: %s" % (package, done.stdout.decode().strip().split("\n")[-1]))
    for path in glob.glob(scratch + "/archives/*.deb"):
        subprocess.run(["dpkg", "-x", path, scratch + "/root"], check=True)
    return found


def messages():
    """What is sent: [(facility (str), program (str), its number (str), message (bytes))]."""
    sent = []
    for log, facility in (("authlog", "auth"), ("maillog", "mail")):
        for line in contents("%s/fixtures/real-hostile/%s" % (host.TOP, log)).split(b"\n")[:-1]:
            again = re.search(rb" mail last message repeated (\d+) times", line)
            if again:
                sent += int(again.group(1)) * sent[-1:]
                continue
            tag, text = line.split(b" mail ", 1)[1].split(b": ", 1)
            program, number = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", tag.decode()).groups()
            sent.append((facility, program, number, text))
        sent += 5 * [("auth", "sshd", "4711", b"Failed password for bob from 203.0.113.5%d port 4 ssh2"
                      % len(log))] * (log == "authlog")
    return sent + [("auth", "sshd", "4711", b"Server listening on 192.0.2.25 port 22.")]


def start(name, scratch):
    """Start a syslogd. Returns its process."""
    _, command, conf = SYSLOGDS[name]
    work, root = "%s/%s" % (scratch, name), scratch + "/root"
    os.makedirs(work + "/sv")
    modules = glob.glob(root + "/usr/lib/syslog-ng/[0-9]*") or [""]
    values = dict(work=work, modules=":".join(glob.glob(root + "/usr/lib/*/rsyslog")), ng=modules[0],
                  version=os.path.basename(modules[0]))
    if isinstance(conf, dict):
        values, conf = dict(values, **conf), RSYSLOG
    with open(work + "/conf", "w") as file:
        file.write(conf.format(**values))
    libraries = {os.path.dirname(path) for path in glob.glob(root + "/**/*.so*", recursive=True)}
    path = ":".join([root + "/usr/sbin", root + "/sbin", root + "/usr/bin", root + "/bin",
                     os.environ["PATH"]])
    with open(work + "/said", "wb") as said:
        return subprocess.Popen(
            ENTER + ("sh", "-c", (OWN_DEV + command).format(**values)), stdin=subprocess.DEVNULL,
            stdout=said, stderr=said, env=dict(os.environ, PATH=path, LD_LIBRARY_PATH=":".join(
                libraries)))


def wait_for(what, name):
    """Wait until a function returns something true. Raises RuntimeError."""
    deadline = time.time() + PATIENCE
    while not what():
        if time.time() > deadline:
            raise RuntimeError("%s is not ready" % name)
        time.sleep(0.1)


def send(name, scratch, sent):
    """Send a syslogd all messages. Returns what it has written (bytes)."""
    work = "%s/%s" % (scratch, name)
    wait_for(lambda: os.path.exists(work + "/dev/log"), name)
    time.sleep(0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect(work + "/dev/log")
        for facility, program, number, text in sent:
            if name == "rsyslog-from-rfc5424":
                subprocess.run([*AS_MAIL, "logger", "--rfc5424", "-u", work + "/dev/log", "-t", program,
                                *["--id=%s" % number] * bool(number), "-p", facility + ".info", "--",
                                text], check=True)
            else:
                head = "<%d>%s %s%s: " % ({"auth": 38, "mail": 22}[facility],
                                          time.strftime("%b %e %H:%M:%S"), program,
                                          "[%s]" % number if number else "")
                log.send(head.encode() + text)

    def written():
        paths = [path for path in (work + "/log", work + "/sv/current") if os.path.exists(path)]
        return contents(paths[0]) if paths else b""
    wait_for(lambda: sent[-1][-1] in written(), name)
    return written()


def main():
    parser = argparse.ArgumentParser(usage="syslogds.py [--capture DIR]")
    parser.add_argument("--capture", metavar="DIR")
    args = parser.parse_args()
    if os.getuid() or not shutil.which("apt-get"):
        print("skipped: not root on Debian")
        return 0
    host.set_zone("UTC")
    scratch, failed, running, sent = tempfile.mkdtemp(prefix="syslogds."), 0, {}, messages()
    try:
        found = unpack(scratch)
        names = [name for name in SYSLOGDS if SYSLOGDS[name][0] in found]
        running = {name: start(name, scratch) for name in names}
        plain = b"".join(b"%s mail %s: %s\n" % (
            time.strftime("%b %e %H:%M:%S").encode(), (program + "[%s]" % number * bool(
                number)).encode(), text) for _, program, number, text in sent)
        night = host.Host(scratch, maillog=b"", now=int(time.time()) + 99)
        expected = None
        for name in ["as sent"] + names:
            try:
                text = plain if expected is None else send(name, scratch, sent)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                text = b"%s\n" % str(error).encode()
            night.write("authlog", text)
            code, table, err = night.run("-cn", "--no-pf")
            expected = expected or table
            good = (code, table, err) == (0, expected, "")
            failed += not good
            print("%s %-22s %d lines, %d attackers %s%s" % (
                "ok  " if good else "FAIL", name, text.count(b"\n"), table.count(b"\n"), err,
                "" if good else host.first_difference(table, expected)), flush=True)
            if args.capture:
                with open("%s/%s" % (args.capture, name), "wb") as file:
                    file.write(text)
    finally:
        for child in running.values():
            child.kill()
            child.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    print("%d passed, %d failed" % (len(names) + 1 - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
