"""The fixtures of all test files: hosts (see host.py) in folders of their own; both modes. And the
tests' distribution over the cores of the machine.
"""
import contextlib
import os
import pickle
import threading

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


class Sender:
    """A plugin that writes each report to a file."""

    def __init__(self, config, file):
        self.config, self.file = config, file

    def pytest_runtest_logreport(self, report):
        pickle.dump(self.config.hook.pytest_report_to_serializable(
            config=self.config, report=report), self.file)
        self.file.flush()


def pytest_runtestloop(session):
    """Share the tests out among as many processes as the machine has cores, each of which takes the
    next one when it has done its own, and report all here.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores == 1 or session.testsfailed or session.config.option.collectonly:
        return None  # pytest's own way
    hook = session.config.hook

    def run(file):
        session.config.get_terminal_writer()._file = open(os.devnull, "w")
        session.config.pluginmanager.register(Sender(session.config, file))
        share = (session.items[int(number)] for number in iter(lambda: os.read(todo, 8), b""))
        item = next(share, None)
        while item and not (session.shouldfail or session.shouldstop):
            following = next(share, None)
            hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following

    def report(file):
        with file, contextlib.suppress(EOFError):
            while True:
                data = pickle.load(file)
                with lock:
                    hook.pytest_runtest_logreport(report=hook.pytest_report_from_serializable(
                        config=session.config, data=data))

    lock, threads, children, (todo, sink) = threading.Lock(), [], [], os.pipe()
    os.write(sink, b"".join(b"%8d" % number for number in range(len(session.items))))
    os.close(sink)
    for _ in range(cores):
        read, write = os.pipe()
        children.append(os.fork())
        if not children[-1]:
            try:
                run(os.fdopen(write, "wb"))
                os._exit(0)
            finally:
                os._exit(1)
        os.close(write)
        threads.append(threading.Thread(target=report, args=(os.fdopen(read, "rb"),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if any([os.waitpid(child, 0)[1] for child in children]):
        pytest.exit("a process of the tests ended early", 1)
    return True
