#!/bin/sh
# Runs a Python that has pytest: PYTHON, or where that lacks it, one in .venv, made with it.
# usage: pytest.sh PYTHON [ARGUMENT ...]
top=$(cd "$(dirname "$0")/.." && pwd)
python=$1
shift
if ! "$python" -c 'import pytest' 2>/dev/null; then
    if ! "$top/.venv/bin/python" -c 'import pytest' 2>/dev/null; then
        rm -rf "$top/.venv"
        # some systems ship venv without the pip it wants to put there; their own pip serves then
        { "$python" -m venv "$top/.venv" && "$top/.venv/bin/python" -m pip -q install pytest; } ||
            { "$python" -m venv --clear --without-pip "$top/.venv" &&
                "$python" -m pip -q install --target \
                    "$("$top/.venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')" \
                    pytest; } || {
            echo "$python has no pytest, and could not fetch it" >&2
            exit 1
        }
    fi
    python=$top/.venv/bin/python
fi
unset MAKEFLAGS MFLAGS MAKELEVEL # the tests' own calls of make are no part of this one
exec "$python" "$@"
