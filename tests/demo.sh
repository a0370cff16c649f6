#!/bin/sh
# `make demo`: the nightly job on a fixture, in a folder of its own that is gone at the end.
# usage: demo.sh PYTHON FIXTURE
set -e
top=$(cd "$(dirname "$0")/.." && pwd)
fixture=$top/fixtures/$2
work=$(mktemp -d "${TMPDIR:-/tmp}/logcheck-demo.XXXXXXXXXX")
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 15
cp "$fixture/maillog" "$fixture/authlog" "$fixture/bruteforce" "$work"
chmod u+w "$work"/*
cd "$work"

echo "The night of $(cat "$fixture/now"), the table as it was:"
sed 's/^/    /' bruteforce
echo
echo "logcheck.py -v -m maillog -a authlog -e bruteforce"
TZ=UTC PATH="$top/tests/standins:$PATH" PF_TABLE="$fixture/pf-table" \
    "$1" "$top/logcheck.py" -v --now "$(cat "$fixture/now")" \
    -m maillog -a authlog -e bruteforce 2>&1 | sed 's/^/    /'
echo
echo "The table now, as the shell script would have made it:"
sed 's/^/    /' bruteforce
cmp bruteforce "$fixture/expected"
