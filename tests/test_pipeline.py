"""logcheck.py and the shell pipeline make the same table, byte for byte."""
import atexit
import concurrent.futures
import os
import random
import shutil
import sys
import tempfile

import pytest

import random_cases
import tools

PYTHONS = tools.pythons()
PAIRS = tools.pairs()
FIRST_SEED, BATCHES, BATCH = 20180228, 40, 10
FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, FOLDER)
SCRIPTS = (tools.SCRIPT, tools.in_two_processes(FOLDER))


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def names(paths):
    return [os.path.basename(path) for path in paths]


@pytest.mark.parametrize("pair", PAIRS, ids=[pair[0] for pair in PAIRS])
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_fixture_is_what_the_pipeline_makes(folder, pair):
    made = tools.without_unloadable(tools.Case.load(folder).reference(pair))
    assert not tools.first_difference(made, read(folder, "expected"))


@pytest.mark.parametrize("script", SCRIPTS, ids=("", "in-two-processes"))
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_fixture(folder, version, script):
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version], script=script)
    assert not tools.first_difference(table, read(folder, "expected"))
    assert code == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=("", "in-two-processes"))
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_fixture_in_careful_mode(folder, version, script):
    name = "expected-careful"
    if not os.path.exists(os.path.join(folder, name)):
        name = "expected"
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version], "-c", script=script)
    assert not tools.first_difference(table, read(folder, name))
    assert code == 0


@pytest.mark.parametrize("options", (("-v",), ("-v", "-c")))
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_report_is_the_same_from_two_processes(folder, options):
    with tempfile.TemporaryDirectory() as place:
        case = tools.Case.load(folder)
        case.write(place)
        one, two = [case.run(place, sys.executable, "-n", *options, script=script)
                    for script in SCRIPTS]
    assert (two.returncode, two.stdout, two.stderr) == (one.returncode, one.stdout, one.stderr)


def difference(seed, pairs=tuple(PAIRS)):
    """Run a random case with one of the Pythons and with all pairs; what differs, or ''."""
    case = random_cases.case(seed)
    version = list(PYTHONS)[seed % len(PYTHONS)]
    table, code, stderr = case.logcheck(PYTHONS[version], script=SCRIPTS[seed // len(PYTHONS) % 2])
    if code != 0:
        return "seed %d, Python %s: exit %d, %r" % (seed, version, code, stderr)
    for pair in pairs:
        differs = tools.first_difference(table, tools.without_unloadable(case.reference(pair)))
        if differs:
            return "seed %d, Python %s, %s: %s" % (seed, version, pair[0], differs)
    return ""


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 8))
def test_random_cases_in_large_logs(seed):
    """Over many blocks, among lines without a word to find or as many as there were lines; both
    logs are read at the same time.
    """
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
    b"192.0.2.1\n192.0.2.1\n192.0.2.2\n", b"192.0.2.1\n192.0.2.2\n192.0.2.2",  # in order, with twins
    b"192.0.2.2\n192.0.2.1\n", b"192.0.2.1/32\n192.0.2.1\n",
    b"192.0.2.01\n192.0.2.1\n192.0.2.1 # why\n", b"-1\n0.0.0.0\n-0.0.0.1\n1\n255.255.255.255\n"
    b"1.2.3.4\n256.0.0.0/8\n1.256/9\n1.-1/9\n1.2.3.-1/9\n1.2.3.256/9\n1.2.3.4.5/9\n1.2.3\n"))
def test_tables_on_a_quiet_night(table):
    case = tools.Case(bruteforce=table, now=1523237400)
    made, code, stderr = case.logcheck(sys.executable)
    assert (code, stderr) == (0, b"")
    assert not tools.first_difference(made, case.reference(PAIRS[0]))


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + BATCHES * BATCH, BATCH))
def test_random_cases(first):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for differs in pool.map(difference, range(first, first + BATCH)):
            assert not differs
