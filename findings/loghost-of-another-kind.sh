#!/bin/sh
# rsyslog 8.2302.0 and GNU inetutils' syslogd 2.4, a BSD one (Debian 12's 8.2302.0-1+deb12u2 and
# 2:2.4-2+deb12u3), each as the other's loghost. As root, in namespaces of its own.
#
# Guess: stamp, host, program stand in a loghost's file in this order, whoever has sent.
# Behaviour: each adds or takes a field as its own kind would need it.
#     - BSD to rsyslog: the BSD one sends no host name, so rsyslog puts the sender's there, but
#       takes the "last" of "last message repeated 4 times" for a name. In the file it is a line
#       without a host, of which nobody can say whose last message it repeats.
#     - rsyslog to BSD: the BSD one never looks for a host name, so the sender's address (or its
#       name) stands before the name that rsyslog has sent: two hosts, and a pattern that asks for
#       one sees no line of that host. "last message repeated" has one, the address.
#
# Seen (PEER is the sender as the loghost knows it):
#     rsyslog: Apr  8 12:00:00 PEER sshd[123]: Failed password for bob from 192.0.2.7 port 4242
#     rsyslog: Apr  8 12:00:00 last message repeated 4 times
#     rsyslog: Apr  8 12:00:09 PEER sshd[123]: Connection closed by 192.0.2.7 port 4242
#     BSD: Apr  8 12:00:00 PEER mx1 sshd[123]: Failed password for bob from 192.0.2.7 port 4242
#     BSD: Apr  8 12:00:00 PEER last message repeated 4 times
#     BSD: Apr  8 12:00:09 PEER mx1 sshd[123]: Connection closed by 192.0.2.7 port 4242
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
if [ "${1:-}" != inside ]; then
    T=$(mktemp -d)
    trap 'rm -rf "$T"' EXIT
    cd "$T"
    for package in rsyslog=8.2302.0-1+deb12u2 libestr0=0.1.11-1 libfastjson4=1.2304.0-1 \
            inetutils-syslogd=2:2.4-2+deb12u3; do
        apt-get -qq -o APT::Sandbox::User=root download "$package" ||
            { echo "$package cannot be had any more"; exit 2; }
    done
    for package in *.deb; do dpkg -x "$package" .; done
    sed -n -e 's/^#     \(rsyslog: A.*\)/\1/p' -e 's/^#     \(BSD: A.*\)/\1/p' "$ME" > expected
    unshare -nu sh "$ME" inside | tee seen
    cmp -s expected seen || { echo "the two loghosts write otherwise"; exit 1; }
    exit 0
fi

# from here on in the temporary folder and the namespaces
hostname mx1 && ip link set lo up
cat > rsyslog.conf <<END
global(workDirectory="$PWD")
module(load="imudp")
module(load="imuxsock" SysSock.Use="off")
input(type="imudp" address="127.0.0.2" port="514" ruleset="hub")
input(type="imuxsock" Socket="$PWD/to-BSD" UseSysTimeStamp="off" IgnoreTimestamp="off")
ruleset(name="hub") { action(type="omfile" file="$PWD/rsyslog"
    template="RSYSLOG_TraditionalFileFormat") }
*.* @127.0.0.1
END
printf 'auth.*\t@127.0.0.2\nauthpriv.*\t%s\n' "$PWD/BSD" > bsd.conf
LIB=$(echo "$PWD"/usr/lib/*/rsyslog)
LD_LIBRARY_PATH=${LIB%/*} usr/sbin/rsyslogd -n -M "$LIB" -f "$PWD/rsyslog.conf" -i "$PWD/1.pid" &
PIDS=$!
usr/sbin/syslogd -n --no-klog -D none -f bsd.conf -p to-rsyslog -P "$PWD/2.pid" -r \
    -b 127.0.0.1 > debug &
trap "kill $PIDS $!" EXIT
sleep 2
python3 - <<'END'
import socket
for path, priority in ("to-rsyslog", 38), ("to-BSD", 86):  # auth, authpriv
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.connect(path)
    for text in (b"00 sshd[123]: Failed password for bob from",) * 5 + (
            b"09 sshd[123]: Connection closed by",):
        log.send(b"<%d>Apr  8 12:00:%s 192.0.2.7 port 4242" % (priority, text))
END
sleep 2
sed -e 's/^/rsyslog: /' -e 's/ [^ ]* sshd/ PEER sshd/' rsyslog
sed -e 's/^/BSD: /' -e 's/ [^ ]* mx1/ PEER mx1/' -e 's/ [^ ]* last/ PEER last/' BSD
