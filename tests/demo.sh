#!/bin/sh
# `make demo`: both modes on the night of a fixture, in a folder of its own that is gone at the end.
# usage: demo.sh PYTHON FIXTURE
set -e
top=$(cd "$(dirname "$0")/.." && pwd)
fixture=$top/fixtures/$2
work=$(mktemp -d "${TMPDIR:-/tmp}/logcheck-demo.XXXXXXXXXX")
trap 'rm -rf "$work"' 0
trap 'exit 1' 1 2 15
cp "$fixture/maillog" "$fixture/authlog" "$work"
cp "$fixture/bruteforce" "$work/shell"
cp "$fixture/bruteforce" "$work/careful"
chmod u+w "$work"/*
cd "$work"
now=$(cat "$fixture/now")
TZ=UTC PATH=$top/tests/standins:$PATH PF_TABLE=$fixture/pf-table
export TZ PATH PF_TABLE

logcheck() {
    echo "logcheck.py --now '$now' -m maillog -a authlog $*"
    "$python" -IS "$top/logcheck.py" --now "$now" -m maillog -a authlog "$@" 2>&1 |
        cut -c 1-96 | sed 's/^/    /'
    echo
}

python=$1
echo "One night of real sshd, Postfix and Dovecot, $now. The table before it:"
sed 's/^/    /' shell
echo
logcheck -e shell
echo "Success is silent. The table now, as the shell script makes it:"
sed 's/^/    /' shell | pr -t -3 -w 78 -l 20 | expand
cmp shell "$fixture/expected"
echo
logcheck -e careful -cv
echo "The difference: < only the shell script bans them, honest users and typed addresses"
echo "among them; > only careful mode does."
diff shell careful | grep '^[<>]' | pr -t -3 -w 78 -l 20 | expand
cmp careful "$fixture/expected-careful"
