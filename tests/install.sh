#!/bin/sh
# make install: sh tests/install.sh DESTDIR TARGET PYTHON NAME...
#
# Puts logcheck.py at TARGET. Its first line names the interpreter: cron's PATH may not hold it, or
# hold a version manager's. That is PYTHON, or if that is just python3, the first NAME that will do.
set -e
stage=$1 target=$2 wanted=$3
shift 3
[ "$wanted" = python3 ] || set --
python=
for name in "$@" "$wanted"; do
    python=$("$name" -IS -c 'import sys; sys.version_info < (3, 6) or print(sys.executable)' \
        2>/dev/null) && [ -n "$python" ] && break
done
[ -n "$python" ] || { echo "$wanted: no Python 3.6 or later" >&2; exit 1; }
"$python" -IS - >&2 <<'END'
import os, sys
real = os.path.realpath(sys.executable)
if os.stat(real).st_uid:
    print("warning: %s is not root's own file" % real)
if real.startswith(("/root/", "/home/", "/usr/home/", "/Users/")):
    print("warning: %s lies in a home folder: an upgrade may remove it" % real)
END
mkdir -p "$(dirname "$stage$target")"
sed -e "1s|.*|#!$python -IS|" logcheck.py > "$stage$target.new"
chmod 0755 "$stage$target.new"
mv -f "$stage$target.new" "$stage$target"
echo "Python: $python"
[ "$(uname)" = Linux ] && cat <<END && exit
Installed. Recommended are these lines in root's crontab, with the file
/root/bruteforce.sh (README: LINUX; a systemd timer is there, too):

    @reboot sh /root/bruteforce.sh
    30 1 * * * $target -cv --no-pf -w /etc/bruteforce.allow --expire 90 -m /var/log/mail.log -a /var/log/auth.log; sh /root/bruteforce.sh
END
cat <<END
Installed. Recommended (README: INSTALL, MOVING OVER) is this line in
/etc/daily.local:

    $target -cv -w /etc/bruteforce.allow --expire 90

What the shell script did, byte for byte, is done by this one:

    $target
END
