#!/bin/sh
# gawk 5.2.1 (Debian 12's 1:5.2.1-2) beside mawk 1.3.4-20200120, original-awk 2022-09-12 and
# busybox 1.35.0.
#
# Guess: awk compares two queue IDs from a log as text, since they are hexadecimal.
# Behaviour: awk compares two fields as numbers if both look like numbers, and a Postfix queue ID
#     whose only letter is one E in its midst does: 3E9876543210 is 3 times ten to the power of
#     9876543210. To gawk that is infinite, and so is 5E1234567890: $1 == $2 is true of two mails.
#     An ID that is 0E... is nought, and equals every other such ID, in all four; so do 1E5 and
#     100000. Session IDs of 16 hexadecimal digits, as OpenSMTPD's, are compared so, too; with
#     digits alone they lose the last ones: ...0992 and ...0993 are one. Of random IDs of ten
#     digits, one in 137 has its E so.
# Cure: ($1 "") == ($2 ""). Subscripts, count[$1], are always text.
#
# Seen (same or differ, for gawk, mawk, original-awk, busybox awk):
#     3E9876543210 5E1234567890: same differ differ differ
#     3E987654 3E987655: same differ differ differ
#     0E12345678 0E87654321: same same same same
#     1E5 100000: same same same same
#     9007199254740992 9007199254740993: same same same same
#     3F9876543210 5F1234567890: differ differ differ differ
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
for package in gawk=1:5.2.1-2 mawk=1.3.4.20200120-3.1 original-awk=2022-09-12-1 \
        busybox=1:1.35.0-4+deb12u1+b1 libsigsegv2=2.14-1 libmpfr6=4.2.0-1 \
        libgmp10=2:6.2.1+dfsg1-1.1 libreadline8=8.2-1.3; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LD_LIBRARY_PATH=$(echo "$T"/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH

sed -n 's/^#     \([0-9A-F]* [0-9A-F]*: .*\)/\1/p' "$ME" > expected
sed 's/:.*//' expected > pairs
while read -r one two; do
    printf '%s %s:' "$one" "$two"
    for awk in usr/bin/gawk usr/bin/mawk usr/bin/original-awk 'bin/busybox awk'; do
        # shellcheck disable=SC2086  # two words
        printf ' %s' "$(echo "$one $two" | "$T"/$awk '{ print ($1 == $2) ? "same" : "differ" }')"
    done
    echo
done < pairs | tee seen
cmp -s expected seen || { echo "the awks compare queue IDs otherwise than they did"; exit 1; }
echo 3E9876543210 5E1234567890 | usr/bin/gawk '($1 "") == ($2 "") { exit 1 }' ||
    { echo "gawk compares text as numbers"; exit 1; }
