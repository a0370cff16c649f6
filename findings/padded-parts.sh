#!/bin/sh
# Python 3.11.2 beside xz 5.4.1, gzip 1.12 and busybox 1.35.0 (all Debian 12's).
#
# Guess: of a rotated log that was packed in parts, one behind the other, every unpacker gives the
#     same text; noughts between the parts make no difference, or an error.
# Behaviour: with four NUL bytes between the parts, padding that the xz format allows by name,
#     Python's lzma ends behind the first part, without an error: the rest of the log is a quiet
#     night. xz and busybox go on. Of gzip's format it is the other way round: Python goes on
#     behind the NULs, gzip and busybox end there; gzip warns (exit code 2), busybox does not. So a
#     file that zcat or xzcat reads otherwise than Python need not be damaged, and none of them is
#     the one that always reads more.
# Cure: unpack .xz by xz -dc, .gz by Python; xz -l says how many parts ("streams") there are.
#
# Seen (the parts hold "one" and "two"):
#     xz: one two 0
#     busybox xz: one two 0
#     lzma: one 0
#     gzip: one 2
#     busybox gz: one 0
#     gzip.py: one two 0
set -eu
ME=$(cd "$(dirname "$0")" && pwd)/${0##*/}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
for package in xz-utils=5.4.1-1+deb12u2 gzip=1.12-1 busybox=1:1.35.0-4+deb12u1+b1 \
        python3.11-minimal=3.11.2-6+deb12u9 libpython3.11-minimal=3.11.2-6+deb12u9 \
        libpython3.11-stdlib=3.11.2-6+deb12u9 liblzma5=5.4.1-1+deb12u2; do
    apt-get -qq -o APT::Sandbox::User=root download "$package" ||
        { echo "$package cannot be had any more"; exit 2; }
done
for package in *.deb; do dpkg -x "$package" .; done
LD_LIBRARY_PATH=$(echo "$T"/lib/*-linux-gnu*)
export LD_LIBRARY_PATH

for part in one two; do
    [ $part = one ] || printf '\0\0\0\0' | tee -a log.xz >> log.gz
    echo $part | usr/bin/xz >> log.xz
    echo $part | bin/gzip >> log.gz
done
# unpack NAME COMMAND ...: the text on one line, and the exit code
unpack() {
    name=$1
    shift
    code=0
    "$@" > text 2>/dev/null || code=$?
    echo "$name:" $(cat text) $code
}
python() {
    PYTHONHOME=$T/usr usr/bin/python3.11 -c "
import sys, $1
sys.stdout.buffer.write($1.open('$2').read())"
}
{
    unpack xz usr/bin/xz -dc log.xz
    unpack 'busybox xz' bin/busybox xzcat log.xz
    unpack lzma python lzma log.xz
    unpack gzip bin/gzip -dc log.gz
    unpack 'busybox gz' bin/busybox zcat log.gz
    unpack gzip.py python gzip log.gz
} | tee seen
sed -n 's/^#     \([a-z. ]*: one.*\)/\1/p' "$ME" > expected
cmp -s expected seen || { echo "padded parts are unpacked otherwise"; exit 1; }
