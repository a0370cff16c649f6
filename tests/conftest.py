"""The fixtures of all test files: hosts (see host.py) in folders of their own; both modes."""
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


@pytest.fixture(params=((), ("-c",)), ids=("default", "careful"))
def mode(request):
    """The options (tuple) of each mode: a test that takes it runs in both."""
    return request.param
