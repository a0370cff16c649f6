#!/bin/sh
# rsyslog 8.2302.0 (Debian 12's 8.2302.0-1+deb12u2), one that sends and one that receives.
#
# Guess: what rsyslog forwards with its default format ("*.* @loghost") stands in the loghost's
#     file as it stands in the sender's own.
# Behaviour: the sender cuts the tag, "program[pid]:", at 32 characters. "postfix/submission/smtpd"
#     has 24, so with a pid of six digits the colon is gone, and with one of seven (Linux counts to
#     4194304 on most 64-bit systems) the bracket, too. "submissions" loses a digit of the pid: two
#     processes become one. The sender's own file is whole, and so are the loghost's lines of port
#     25, so nobody sees it until a pattern that asks for "]: " goes without all logins at
#     submission. It comes with uptime: while pids have five digits, all is well.
# Cure: at the sender, a template of your own with %syslogtag% in the place of %syslogtag:1:32%.
#     RSYSLOG_SyslogProtocol23Format is none: then the loghost writes "postfix[123456] warning:".
#
# Seen, on the loghost:
#     postfix/smtpd[1234567]: warning: unknown[192.0.2.7]: SASL PLAIN authentication failed
#     postfix/submission/smtpd[12345]: warning: unknown[192.0.2.7]: SASL PLAIN authentication failed
#     postfix/submission/smtpd[123456] warning: unknown[192.0.2.7]: SASL PLAIN authentication failed
#     postfix/submission/smtpd[1234567 warning: unknown[192.0.2.7]: SASL PLAIN authentication failed
#     postfix/submissions/smtpd[123456 warning: unknown[192.0.2.7]: SASL PLAIN authentication failed
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
trap 'kill $PIDS 2>/dev/null || :; rm -rf "$T"' EXIT
PIDS=
cd "$T"
for package in rsyslog=8.2302.0-1+deb12u2 libestr0=0.1.11-1 libfastjson4=1.2304.0-1; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LIB=$(echo "$T"/usr/lib/*/rsyslog)

# start NAME: an rsyslogd with NAME.conf in the background
start() {
    LD_LIBRARY_PATH=${LIB%/*} usr/sbin/rsyslogd -n -M "$LIB" -f "$T/$1.conf" -i "$T/$1.pid" &
    PIDS="$PIDS $!"
}
cat > hub.conf <<END
global(workDirectory="$T")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="5514")
*.* action(type="omfile" file="$T/hub.log" template="RSYSLOG_TraditionalFileFormat")
END
cat > sender.conf <<END
global(workDirectory="$T")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$T/log")
*.* @127.0.0.1:5514
END
start hub
sleep 1
start sender
sleep 1
for tag in 'postfix/smtpd[1234567]' 'postfix/submission/smtpd[12345]' \
        'postfix/submission/smtpd[123456]' 'postfix/submission/smtpd[1234567]' \
        'postfix/submissions/smtpd[1234567]'; do
    logger -u "$T/log" -p mail.warning -t "$tag" \
        'warning: unknown[192.0.2.7]: SASL PLAIN authentication failed'
done
sleep 1
# behind stamp and host
cut -c 17- hub.log | sed 's/^[^ ]* //' | tee seen
sed -n "s,^#     \(postfix/.*\),\1,p" "$ME" > expected
cmp -s expected seen || { echo "rsyslog's tags on the loghost are not what they were"; exit 1; }
