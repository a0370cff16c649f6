"""logcheck.py and the shell pipeline make the same table, byte for byte."""
import concurrent.futures
import os

import pytest

import random_cases
import tools

PYTHONS = tools.pythons()
PAIRS = tools.pairs()
FIRST_SEED, BATCHES, BATCH = 20180228, 40, 10


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


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_fixture(folder, version):
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version])
    assert not tools.first_difference(table, read(folder, "expected"))
    assert code == 0


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("folder", tools.FIXTURES, ids=names(tools.FIXTURES))
def test_fixture_in_careful_mode(folder, version):
    name = "expected-careful"
    if not os.path.exists(os.path.join(folder, name)):
        name = "expected"
    table, code, _ = tools.Case.load(folder).logcheck(PYTHONS[version], "-c")
    assert not tools.first_difference(table, read(folder, name))
    assert code == 0


def difference(seed, pairs=tuple(PAIRS)):
    """Run a random case with one of the Pythons and with all pairs; what differs, or ''."""
    case = random_cases.case(seed)
    version = list(PYTHONS)[seed % len(PYTHONS)]
    table, code, stderr = case.logcheck(PYTHONS[version])
    if code != 0:
        return "seed %d, Python %s: exit %d, %r" % (seed, version, code, stderr)
    for pair in pairs:
        differs = tools.first_difference(table, tools.without_unloadable(case.reference(pair)))
        if differs:
            return "seed %d, Python %s, %s: %s" % (seed, version, pair[0], differs)
    return ""


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + BATCHES * BATCH, BATCH))
def test_random_cases(first):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for differs in pool.map(difference, range(first, first + BATCH)):
            assert not differs
