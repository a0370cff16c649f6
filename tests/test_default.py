"""logcheck.py and the shell pipeline make the same table, byte for byte; and each fixture, in both
modes, is what its folder says.

A new case is a new folder in fixtures/; `make expected` writes what must come out of it. Pythons,
shells and awks take turns here; `make fuzz` has every case meet them all.
"""
import concurrent.futures
import os
import random
import tempfile

import pytest

import random_cases
from host import FIXTURES, Host, first_difference, pairs, pythons, without_unloadable

PYTHONS, PAIRS = pythons(), pairs()
VERSIONS = list(PYTHONS)
FIRST_SEED, CASES = 20180228, 80


def differences(host, table, versions, pairs, *mode):
    """What Pythons (list of versions), and pairs of shell and awk (list), make of a host that is
    not this table (bytes): list of str.
    """
    def of_python(version):
        done = host.run("-n", *mode, python=PYTHONS[version])
        return "Python " + version, done.returncode, done.stdout

    def of_pipeline(pair):
        return pair[0], 0, without_unloadable(host.reference(pair))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(of_python, versions)) + list(pool.map(of_pipeline, pairs))
    return ["%s: exit %d, %s" % (who, code, first_difference(text, table))
            for who, code, text in made if code or text != table]


def fixture(folder, versions, pairs):
    """What of a fixture (its folder) is not what it says, in either mode: list of str."""
    wrong = []
    for mode, name in (((), "expected"), (("-c",), "expected-careful")):
        path = os.path.join(folder, name)
        # in careful mode the same if it does not say
        with open(path if os.path.exists(path) else os.path.join(folder, "expected"), "rb") as file:
            table = file.read()
        with tempfile.TemporaryDirectory() as top:
            host = Host.load(folder, top)
            wrong += differences(host, table, versions, [] if mode else pairs, *mode)
            done = host.run(*mode)
            if done[:2] != (0, b"") or host.read() != table:
                wrong.append("forked: %s" % first_difference(host.read(), table))
    return ["%s, %s" % (folder, what) for what in wrong]


@pytest.mark.parametrize("number", range(len(FIXTURES)), ids=map(os.path.basename, FIXTURES))
def test_fixture(number):
    folder = FIXTURES[number]
    few = {VERSIONS[-(number % 2)], VERSIONS[number // 2 % len(VERSIONS)]}
    assert fixture(folder, few, [PAIRS[(2 * number + more) % len(PAIRS)] for more in (0, 1)]) == []


def random_case(seed, all_of_them=False):
    """What is made otherwise of a random case: list of str. A pair, and for every tenth another
    Python, take turns, or all of them try it.
    """
    versions, some = VERSIONS, PAIRS
    if not all_of_them:
        versions = [] if seed % 10 else [VERSIONS[seed // 10 % len(VERSIONS)]]
        some = [PAIRS[seed % len(PAIRS)]]
    with tempfile.TemporaryDirectory() as folder:
        host = random_cases.case(seed, os.path.join(folder, "host"))
        done = host.run("-n")
        assert done.returncode == 0 and "Traceback" not in done.stderr, (seed, done)
        return ["seed %d, %s" % (seed, what) for what in differences(
            host, done.stdout, versions, some)]


def test_random_cases():
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for wrong in pool.map(random_case, range(FIRST_SEED, FIRST_SEED + CASES)):
            assert wrong == []


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 6))
def test_random_cases_in_large_logs(tmp_path, seed):
    """Over many blocks, among lines without a word to find or as many as there were lines."""
    host = random_cases.case(seed, str(tmp_path / "host"))
    rng = random.Random(seed)
    for name in ("maillog", "authlog"):
        lines = host.read(name).split(b"\n")
        lines += [line[:16] + b"mail cron[1]: " + b"x" * rng.randrange(90)
                  for line in lines for _ in range(rng.choice((0, 30)))]
        text = []
        for _ in range(2000000 // (sum(map(len, lines)) + len(lines))):
            rng.shuffle(lines)
            text += lines
        host.write(name, b"\n".join(text))
    done = host.run("-n")
    assert done.returncode == 0
    assert differences(host, done.stdout, [], [PAIRS[seed % len(PAIRS)]]) == []
