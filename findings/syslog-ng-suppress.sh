#!/bin/sh
# syslog-ng 3.38.1 (Debian 12's 3.38.1-5+deb12u1), a file() with suppress().
#
# Guess: it writes "last message repeated N times", as other syslog daemons do, under the stamp and
#     the pid of the line that came again.
# Behaviour: it writes 'Last message '...' repeated N times, suppressed by syslog-ng on HOST', with
#     a capital L, and of the message no more than its first 20 characters: an address is seldom
#     among them. The program's name is the repeated one's, but the pid in its brackets is
#     syslog-ng's own, which no session has, and the stamp is the time of writing, in the
#     midst of lines with the sender's stamps. Lines of two pids are never merged. So a reader who
#     counts must look at the line above, and must not search for that pid or trust that stamp.
#
# Seen (without hosts; SELF stands for syslog-ng's pid, NOW for the time of the run):
#     Apr  8 12:00:00 sshd[123]: Failed password for root from 192.0.2.7 port 4242 ssh2
#     Apr  8 12:00:00 sshd[124]: Failed password for root from 192.0.2.7 port 4242 ssh2
#     NOW sshd[SELF]: Last message 'Failed password for ' repeated 2 times, suppressed by syslog-ng
#     Apr  8 12:00:09 sshd[124]: Connection closed by 192.0.2.7 port 4242 [preauth]
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
PID=
trap 'kill $PID 2>/dev/null || :; rm -rf "$T"' EXIT
cd "$T"
for package in syslog-ng-core=3.38.1-5+deb12u1 libivykis0=0.42.4-1 libpcre3=2:8.39-15 \
        libnet1=1.1.6+dfsg-3.2; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
NG=$(echo "$T"/usr/lib/syslog-ng/3.*)
LIB=$(echo "$T"/usr/lib/*-linux-gnu*)
cat > conf <<END
@version: 3.38
source senders { unix-dgram("$T/log"); };
destination file { file("$T/out" suppress(5)); };
log { source(senders); destination(file); };
END
LD_LIBRARY_PATH=${NG%/*}:$LIB:$T/lib/${LIB##*/} usr/sbin/syslog-ng -F -f conf -R persist \
    -p "$T/pid" -c control --module-path="$NG" &
PID=$!
sleep 2
# the datagrams that syslog(3) sends
python3 - <<'END'
import socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect("log")
for pid in (123, 124, 124, 124):
    log.send(b"<38>Apr  8 12:00:00 sshd[%d]: Failed password for root from 192.0.2.7 port 4242 ssh2"
             % pid)
log.send(b"<38>Apr  8 12:00:09 sshd[124]: Connection closed by 192.0.2.7 port 4242 [preauth]")
END
sleep 1
# without the host; the stamp of the repeated line is not the sender's
sed -e 's/^\(.\{15\}\) [^ ]*/\1/' -e "s/\[$PID\]/[SELF]/" -e 's/ on [^ ]*$//' \
    -e '/SELF/{/^Apr  8 12:00:0/!s/^.\{15\}/NOW/;}' out | tee seen
sed -n -e 's/^#     \(Apr .*\)/\1/p' -e 's/^#     \(NOW .*\)/\1/p' "$ME" > expected
cmp -s expected seen || { echo "syslog-ng's suppress() is not what it was"; exit 1; }
