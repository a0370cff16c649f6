#!/bin/sh
# nft 1.0.6 (Debian 12's 1.0.6-2+deb12u2) on Linux 6.18, a set with "flags interval" and
# "auto-merge". As root; in a network namespace of its own, so that no rule of the host is touched.
#
# Guess: addresses that lie side by side are merged for the listing only; each can be taken out, and
#     keeps its own time and comment.
# Behaviour: what is merged is one element from then on.
#     - "delete element" of one of them fails: "element does not exist", though "get element" finds
#       it. All of them named in one command are taken out; so is a neighbour-less address. So a
#       script that lets one address go works until the day its neighbour is listed, too.
#     - The merged element has one time, that of the address added last, and at most one comment:
#       adding a neighbour for five hours makes five hours of the hour that the first one had.
#     - The listing has fewer entries than were added: counted, it is no number of addresses.
# Cure: flush the set and add all again in one file, which the kernel takes at once; times and
#     comments in a set without "interval".
#
# Seen:
#     listed 192.0.2.7-192.0.2.9, 203.0.113.5
#     get 192.0.2.8: found
#     delete 192.0.2.8: Error: element does not exist
#     delete 203.0.113.5: done
#     delete 192.0.2.7, 192.0.2.8, 192.0.2.9: done
#     timed 192.0.2.7 timeout 1h comment "office"
#     timed 192.0.2.7-192.0.2.8 timeout 5h
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
if [ "${1:-}" != inside ]; then
    T=$(mktemp -d)
    trap 'rm -rf "$T"' EXIT
    cd "$T"
    for package in nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
            libmnl0=1.0.4-3 libjansson4=2.14-2 libxtables12=1.8.9-2 libedit2=3.1-20221030-2; do
        apt-get -qq -o APT::Sandbox::User=root download "$package" ||
            { echo "$package cannot be had any more"; exit 2; }
    done
    for package in *.deb; do dpkg -x "$package" .; done
    sed -n 's/^#     \([a-z]* [0-9].*\)/\1/p' "$ME" > expected
    unshare -n sh "$ME" inside | tee seen
    cmp -s expected seen || { echo "nft treats merged elements otherwise"; exit 1; }
    exit 0
fi

# from here on in the temporary folder and the namespace
nft() { LD_LIBRARY_PATH=$(echo "$PWD"/usr/lib/*-linux-gnu*) usr/sbin/nft "$@"; }
try() { printf '%s %s: ' "$1" "$2"; nft "$1" element inet t "$3" "{ $2 }" > out 2>&1 && echo "$4" ||
    sed -n 's/.*\(Error.*\)/\1/p' out; }
list() { nft list set inet t "$1" | sed -n -e 's/ expires [0-9a-z]*//' \
    -e 's/.*elements = { \(.*\) }/\1/p'; }
nft add table inet t
nft add set inet t s '{ type ipv4_addr; flags interval; auto-merge; }'
nft add element inet t s '{ 192.0.2.7, 192.0.2.8, 192.0.2.9, 203.0.113.5 }'
echo "listed $(list s)"
try get 192.0.2.8 s found
try delete 192.0.2.8 s done
try delete 203.0.113.5 s done
try delete '192.0.2.7, 192.0.2.8, 192.0.2.9' s done
nft add set inet t timed '{ type ipv4_addr; flags interval, timeout; auto-merge; }'
nft add element inet t timed '{ 192.0.2.7 timeout 1h comment "office" }'
echo "timed $(list timed)"
nft add element inet t timed '{ 192.0.2.8 timeout 5h }'
echo "timed $(list timed)"
