# In a network namespace of its own: which of a peer's addresses get through before and after each
# command of README's LINUX. usage: nftables.sh ADDRESS... (of the peer), in the environment the
# commands BOOT, CRON, JOURNAL, UNBLOCK and UNBLOCK6, cron's BIN and TZ, and the TABLE's file.
# Prints the addresses that got through, "--" at each end, and what went wrong.
set -e
unshare -n sleep 60 & peer=$!; trap 'kill $peer' EXIT; sleep 0.3
at() { nsenter -n -t $peer "$@"; }
us() { case $1 in *:*) v=-6 us=2001:db8:f::1 nodad=nodad ;; *) v=-4 us=203.0.113.200 nodad=; esac; }
ping="busybox ping -c 1 -W 1 -q"
ip link set lo up; at ip link set lo up; ip link add ours type veth peer name its netns $peer
ip link set ours up; at ip link set its up; ip addr add 192.0.2.99 dev lo
for a in . :; do us $a; ip addr add $us dev ours $nodad
    ip $v route add default dev ours; at ip $v route add default dev its; done
for a; do us $a; at ip addr add $a dev its $nodad; done
addresses=$*
knock() {
    for a in $addresses; do us $a; at $ping -I $a $us > pinged && echo $a & all="$all $!"; done
    wait $all || :; all=; echo --
    $ping 192.0.2.7 > pinged; $ping -I 192.0.2.99 203.0.113.200 > pinged # answers, and our own
}
cron() { env -i TZ="$TZ" PATH="$BIN:/usr/bin:/bin" sh -c "$1" > out || echo failed; }
knock
cron "$BOOT"; knock
cron "$CRON"; cron "$CRON"; nft list table inet bruteforce | grep -c 'drop$\|nd-'; knock
cron "$JOURNAL"; nft list ruleset > before
mv "$TABLE" away; cron "$BOOT"; nft list ruleset | cmp - before; knock # without it all stays
mv away "$TABLE"; cron "$UNBLOCK"; cron "$UNBLOCK6"; knock
