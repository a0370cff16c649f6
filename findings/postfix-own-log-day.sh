#!/bin/sh
# Postfix 3.7.11 (Debian 12's 3.7.11-0+deb12u1) with maillog_file, its own log in syslogd's place.
#
# Guess: it begins its lines as syslog(3) does, so that the same scripts read it.
# Behaviour: up to the 9th the day is filled up with a nought ("Apr 08") where syslog(3) has a blank
#     ("Apr  8"); from the 10th on the two are alike. A script that keeps the lines from one stamp
#     to another by comparing text sees nothing of such a log on the 1st to the 8th, and nothing is
#     amiss on the day it is tried, if that is a later one; its report is just a quiet night. On
#     the 9th it sees all, as every "Apr 0" sorts before "Apr 1". In a file that both have written,
#     sort puts syslog's "Apr  9" before Postfix's "Apr 08", and grep "^Apr  8" finds one half.
# Cure: sed 's/^\(... \)0/\1 /' before it.
#
# Seen (day of the run: Postfix's stamp, its lines in the range from midnight to midnight):
#     8: [Apr 08 12:00] 0
#     9: [Apr 09 12:00] 1
#     12: [Apr 12 12:00] 1
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
for package in postfix=3.7.11-0+deb12u1 libfaketime=0.9.10-2.1 libdb5.3=5.3.28+dfsg2-1 \
        libicu72=72.1-3+deb12u1 libnsl2=1.3.0-2 libtirpc3=1.3.3+ds-1; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LIB=$(echo "$T"/usr/lib/*-linux-gnu*)
mkdir queue data
cat > main.cf <<END
compatibility_level = 3.6
maillog_file = $T/maillog
maillog_file_prefixes = $T
queue_directory = $T/queue
data_directory = $T/data
END
for day in 8 9 12; do
    : > maillog
    # the clock is set for this process alone
    TZ=UTC LD_LIBRARY_PATH=$T/usr/lib/postfix:$LIB LD_PRELOAD=$LIB/faketime/libfaketime.so.1 \
        FAKETIME="@2018-04-$(printf %02d $day) 12:00:00" \
        usr/sbin/postlog -c "$T" -t postfix/smtpd 'disconnect from unknown[192.0.2.7]'
    from=$(printf 'Apr %2d 00:00:00' $day)
    to=$(printf 'Apr %2d 00:00:00' $((day + 1)))
    printf '%s: [%s] %s\n' $day "$(cut -c 1-12 maillog)" \
        "$(awk -v from="$from" -v to="$to" '$0 >= from && $0 <= to' maillog | wc -l)"
done | tee seen
sed -n 's/^#     \([0-9]*: \[.*\)/\1/p' "$ME" > expected
cmp -s expected seen || { echo "Postfix's own log has another stamp"; exit 1; }
