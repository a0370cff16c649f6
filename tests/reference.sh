#!/bin/sh
# The pipeline that logcheck.py stands in for: /root/logcheck.sh. The tests run it with every shell
# and awk they find and compare its table file, byte for byte, with the one logcheck.py writes.
#
# From the environment: MAILLOG, AUTHLOG, ETCFILE, DAYS; on PATH, before the system's own
# commands, the stand-ins for OpenBSD's date(1) (which reads NOW) and for pfctl(8).

LC_ALL=C
export LC_ALL
: "${MAILLOG:=/var/log/maillog}" "${AUTHLOG:=/var/log/authlog}" "${ETCFILE:=/etc/bruteforce}"
TMPFILE=$(mktemp "${TMPDIR:-/tmp}/reference.XXXXXXXXXX") || exit 1

# the range, as syslogd stamps it: the first " 0" is the day's zero, or else the hour's
YDAY=$(date -r "$(expr "$(date +%s)" - 86400 \* "${DAYS:-1}")" '+%b %d %H:%M:%S' | sed 's/ 0/  /')
TDAY=$(date -r "$(date +%s)" '+%b %d %H:%M:%S' | sed 's/ 0/  /')

# pf's table, then the file it is loaded from
pfctl -t bruteforce -T show | awk '{print $1}' > "$TMPFILE"
cat "$ETCFILE" >> "$TMPFILE"

# the addresses of either log
awk '$0>=from&&$0<=to' from="$YDAY" to="$TDAY" "$MAILLOG" \
    | grep "disconnect from unknown" \
    | grep -v auth=1 \
    | grep -oE "([0-9]{1,3}\.){3}[0-9]{1,3}" \
    | sort | uniq >> "$TMPFILE"
awk '$0>=from&&$0<=to' from="$YDAY" to="$TDAY" "$AUTHLOG" \
    | grep -E "root|invalid|by [0-9]|identification" \
    | grep -oE "([0-9]{1,3}\.){3}[0-9]{1,3}" \
    | sort | uniq >> "$TMPFILE"

# one sorted table of all, and pf takes it
grep -v "^$" "$TMPFILE" \
    | sort -n -t . -k 1,1 -k 2,2 -k 3,3 -k 4,4 \
    | uniq > "$ETCFILE"
rm -f "$TMPFILE"
pfctl -f /etc/pf.conf
