"""logcheck.py and the shell pipeline make the same table, byte for byte.

A new case is a new folder in fixtures/. `make fuzz` runs more random cases, each with every pair
of shell and awk and with every Python.
"""
import concurrent.futures
import os
import random
import sys

import pytest

import random_cases
import tools

PYTHONS = tools.pythons()
PAIRS = tools.pairs()
FIRST_SEED, BATCHES, BATCH = 20180228, 40, 10

# the oldest and the newest Python with every fixture, the others with three of them
ENDS = (list(PYTHONS)[0], list(PYTHONS)[-1])
FEW = [folder for folder in tools.FIXTURES
       if os.path.basename(folder) in ("real-busy", "odd-bytes", "the-10th")]
RUNS = [(folder, version) for version in PYTHONS
        for folder in (tools.FIXTURES if version in ENDS else FEW)]
IDS = ["%s-%s" % (os.path.basename(folder), version) for folder, version in RUNS]


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


@pytest.mark.parametrize("pair", PAIRS, ids=[pair[0] for pair in PAIRS])
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=map(os.path.basename, tools.FIXTURES))
def test_fixture_is_what_the_pipeline_makes(folder, pair):
    made = tools.without_unloadable(tools.Case.load(folder).reference(pair))
    assert not tools.first_difference(made, read(folder, "expected"))


@pytest.mark.parametrize("folder, version", RUNS, ids=IDS)
def test_fixture(folder, version):
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version])
    assert not tools.first_difference(table, read(folder, "expected"))
    assert code == 0


@pytest.mark.parametrize("folder, version", RUNS, ids=IDS)
def test_fixture_in_careful_mode(folder, version):
    name = "expected-careful"
    if not os.path.exists(os.path.join(folder, name)):
        name = "expected"
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version], "-c")
    assert not tools.first_difference(table, read(folder, name))
    assert code == 0


def difference(seed, versions, pairs):
    """Run a random case with some of the Pythons and of the pairs; what differs, or ''."""
    case = random_cases.case(seed)
    made = [(pair[0], tools.without_unloadable(case.reference(pair))) for pair in pairs]
    for version in versions:
        table, code, stderr = case.logcheck(PYTHONS[version])
        if code != 0:
            return "seed %d, Python %s: exit %d, %r" % (seed, version, code, stderr)
        for pair, expected in made:
            differs = tools.first_difference(table, expected)
            if differs:
                return "seed %d, Python %s, %s: %s" % (seed, version, pair, differs)
    return ""


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 8))
def test_random_cases_in_large_logs(seed):
    """Over many blocks, among lines without a word to find or as many as there were lines."""
    case = random_cases.case(seed)
    rng = random.Random(seed)
    for name in ("maillog", "authlog"):
        lines = getattr(case, name).split(b"\n")
        lines += [line[:16] + b"mail cron[1]: " + b"x" * rng.randrange(90)
                  for line in lines for _ in range(rng.choice((0, 30)))]
        size = sum(map(len, lines)) + len(lines)
        text = []
        for _ in range(3000000 // size):
            rng.shuffle(lines)
            text += lines
        setattr(case, name, b"\n".join(text))
    table, code, stderr = case.logcheck(PYTHONS[list(PYTHONS)[seed % len(PYTHONS)]])
    assert (code, stderr.count(b"Traceback")) == (0, 0)
    made = case.reference(PAIRS[seed % len(PAIRS)])
    assert not tools.first_difference(table, tools.without_unloadable(made)), "seed %d" % seed


@pytest.mark.parametrize("table", (
    b"", b"\n", b"192.0.2.1\n",
    b"192.0.2.1\n192.0.2.1\n192.0.2.2\n", b"192.0.2.1\n192.0.2.2\n192.0.2.2",  # sorted, twins
    b"192.0.2.2\n192.0.2.1\n", b"192.0.2.1/32\n192.0.2.1\n",
    b"192.0.2.01\n192.0.2.1\n192.0.2.1 # why\n", b"-1\n0.0.0.0\n-0.0.0.1\n1\n255.255.255.255\n"
    b"1.2.3.4\n256.0.0.0/8\n1.256/9\n1.-1/9\n1.2.3.-1/9\n1.2.3.256/9\n1.2.3.4.5/9\n1.2.3\n"))
def test_tables_on_a_quiet_night(table):
    case = tools.Case(bruteforce=table, now=1523237400)
    made, code, stderr = case.logcheck(sys.executable)
    assert (code, stderr) == (0, b"")
    assert not tools.first_difference(made, case.reference(PAIRS[0]))


def one_of_each(seed):
    """difference() with one Python and one pair; over the seeds all of them have their turn."""
    version, pair = list(PYTHONS)[seed % len(PYTHONS)], PAIRS[seed // len(PYTHONS) % len(PAIRS)]
    return difference(seed, (version,), (pair,))


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + BATCHES * BATCH, BATCH))
def test_random_cases(first):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for differs in pool.map(one_of_each, range(first, first + BATCH)):
            assert not differs
