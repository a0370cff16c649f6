"""The fixtures of all test files: hosts (see host.py) in folders of their own."""
import pytest

from host import NIGHT, Host


@pytest.fixture
def host(tmp_path):
    """A host on which each source, the two logs, the table and pf, names one address."""
    return Host(tmp_path, **NIGHT)


@pytest.fixture
def empty(tmp_path):
    """A host on which nothing has happened: all its files are there and empty."""
    return Host(tmp_path)
