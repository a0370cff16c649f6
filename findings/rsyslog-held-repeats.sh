#!/bin/sh
# rsyslog 8.2302.0 (Debian 12's 8.2302.0-1+deb12u2) with $RepeatedMsgReduction on.
#
# Guess: how often a message was repeated is written within a minute or so, as other syslog daemons
#     do it, and at the latest when the file is rotated (HUP).
# Behaviour: there is no such time. The count is kept until another message comes for the same file,
#     however long that takes. HUP does not write it either: it is the old file's message, and the
#     new file begins with its "message repeated", under the stamp of the last repetition, which
#     is earlier than the rotation. So on a host that logs little, six guesses are one line all
#     night; who counts lines as they come sees five of them hours late, with a stamp of then; and
#     a file's first line may be older than the last one of the file before it, and tell of a
#     message that is not in it.
# Cure: $RepeatedMsgReduction off, as it is where no distribution has turned it on.
#
# Output, stamps and host left out:
#     old: sshd[42]: Failed password for root from 192.0.2.7 port 4711
#     new: sshd[42]: message repeated 5 times: [ Failed password for root from 192.0.2.7 port 4711]
#     new: sshd[43]: Server listening
#     the repetition's stamp is earlier than the new file
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
PID=
trap 'kill $PID 2>/dev/null || :; rm -rf "$T"' EXIT
cd "$T"
for package in rsyslog=8.2302.0-1+deb12u2 libestr0=0.1.11-1 libfastjson4=1.2304.0-1; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LIB=$(echo "$T"/usr/lib/*/rsyslog)
cat > conf <<END
global(workDirectory="$T")
\$RepeatedMsgReduction on
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$T/log")
*.* action(type="omfile" file="$T/log.new" template="RSYSLOG_FileFormat")
END
LD_LIBRARY_PATH=${LIB%/*} usr/sbin/rsyslogd -n -M "$LIB" -f "$T/conf" -i "$T/pid" &
PID=$!
sleep 1
for guess in 1 2 3 4 5 6; do
    logger -u "$T/log" -p auth.info -t 'sshd[42]' \
        'Failed password for root from 192.0.2.7 port 4711'
done
sleep 65
mv log.new log.old
date +%Y-%m-%dT%H:%M:%S > rotated
kill -HUP "$PID"
sleep 2
logger -u "$T/log" -p auth.info -t 'sshd[43]' 'Server listening'
sleep 1
for file in old new; do sed "s/^[^ ]* [^ ]* /$file: /" "log.$file"; done > seen
read -r stamp rest < log.new
if [ "$(printf '%.19s\n' "$stamp" "$(cat rotated)" | sort | head -n 1)" != "$(cat rotated)" ]; then
    echo "the repetition's stamp is earlier than the new file" >> seen
fi
cat seen
sed -n "s/^#     \(old: .*\|new: .*\|the repetition's.*\)/\1/p" "$ME" > expected
cmp -s expected seen || { echo "rsyslog's repeated messages are not what they were"; exit 1; }
