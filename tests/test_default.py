"""logcheck.py and the shell pipeline make the same table, byte for byte; and each fixture, in both
modes, is what its folder says, with this Python, the oldest and the newest found.

A new case is a new folder in fixtures/; `make expected` writes what must come out of it. Here each
random case and each fixture meets a shell and an awk, which take turns; `make fuzz` tries more
cases, each with every pair of them and every Python.
"""
import concurrent.futures
import os
import random
import tempfile

import pytest

import random_cases
from host import FIXTURES, Host, Run, first_difference, pairs, pythons, without_unloadable

PYTHONS, PAIRS = pythons(), pairs()
FIRST_SEED, CASES, BATCH = 20180228, 120, 10

VERSIONS = list(PYTHONS)
FEW = ("real-busy", "odd-bytes", "the-10th")  # with every Python


def expected(folder, name="expected"):
    """What must come out of a fixture; in careful mode the same if its folder does not say."""
    path = os.path.join(folder, name)
    with open(path if os.path.exists(path) else os.path.join(folder, "expected"), "rb") as file:
        return file.read()


@pytest.mark.parametrize("mode, name", [((), "expected"), (("-c",), "expected-careful")])
@pytest.mark.parametrize("folder", FIXTURES, ids=map(os.path.basename, FIXTURES))
def test_fixture(tmp_path, folder, mode, name):
    host = Host.load(folder, tmp_path)
    versions = VERSIONS if os.path.basename(folder) in FEW else {VERSIONS[0], VERSIONS[-1]}

    def dry(version):
        return version, host.run("-n", *mode, python=PYTHONS[version])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        dry_runs = list(pool.map(dry, versions))
    assert host.run(*mode)[:2] == (0, b"")
    for version, done in dry_runs + [("forked", Run(0, host.read(), ""))]:
        assert not first_difference(done.stdout, expected(folder, name)), version
        assert done.returncode == 0


@pytest.mark.parametrize("number", range(2 * max(len(FIXTURES), len(PAIRS))))
def test_fixture_is_what_the_pipeline_makes(tmp_path, number):
    """Every fixture twice, and every pair of shell and awk."""
    folder = FIXTURES[number % len(FIXTURES)]
    pair = PAIRS[(number + number // len(FIXTURES)) % len(PAIRS)]
    made = without_unloadable(Host.load(folder, tmp_path).reference(pair))
    assert not first_difference(made, expected(folder)), pair[0]


def compare(hosts, made):
    """Fail if the pipeline makes other tables of hosts ([(seed, Host)]) than logcheck.py has made
    ([bytes]).
    """
    def reference(case):
        return without_unloadable(case[1].reference(PAIRS[case[0] % len(PAIRS)]))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (seed, _), table, other in zip(hosts, made, pool.map(reference, hosts)):
            assert not first_difference(table, other), "seed %d, %s" % (
                seed, PAIRS[seed % len(PAIRS)][0])


def dry_run(host, seed):
    """The table that a host's run would make. Every tenth is another Python's."""
    version = None if seed % BATCH else VERSIONS[seed // BATCH % len(VERSIONS)]
    done = host.run("-n", python=version and PYTHONS[version])
    assert done.returncode == 0 and "Traceback" not in done.stderr, (seed, version, done)
    return done.stdout


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + CASES, BATCH))
def test_random_cases(first):
    with tempfile.TemporaryDirectory() as folder:
        hosts = [(seed, random_cases.case(seed, os.path.join(folder, str(seed))))
                 for seed in range(first, first + BATCH)]
        compare(hosts, [dry_run(host, seed) for seed, host in hosts])


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
    compare([(seed, host)], [dry_run(host, seed)])


@pytest.mark.parametrize("table", (
    b"", b"\n", b"192.0.2.1\n",
    b"192.0.2.1\n192.0.2.1\n192.0.2.2\n", b"192.0.2.1\n192.0.2.2\n192.0.2.2",  # sorted, twins
    b"192.0.2.2\n192.0.2.1\n", b"192.0.2.1/32\n192.0.2.1\n",
    b"192.0.2.01\n192.0.2.1\n192.0.2.1 # why\n", b"-1\n0.0.0.0\n-0.0.0.1\n1\n255.255.255.255\n"
    b"1.2.3.4\n256.0.0.0/8\n1.256/9\n1.-1/9\n1.2.3.-1/9\n1.2.3.256/9\n1.2.3.4.5/9\n1.2.3\n"))
def test_tables_on_a_quiet_night(empty, table):
    empty.write("bruteforce", table)
    made = empty.reference(PAIRS[0])
    assert empty.run() == (0, b"", "")
    assert not first_difference(empty.read(), made)
