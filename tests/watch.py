"""Runs of logcheck.py whose calls on our own files a test sees before they are made: it can make
them fail, stop or kill the run there, or do what another process might do just then. That needs no
strace, and a run takes some milliseconds: it is forked.
"""
import errno
import fcntl
import io
import os
import signal

import host as harness
import logcheck

CALLS = [(os, name) for name in (
    "open", "close", "read", "write", "fsync", "rename", "replace", "unlink", "fchown", "fchmod",
    "fstat", "stat", "lstat", "listdir")] + [(fcntl, "flock")]


def watch(folder, see):
    """In a forked run: call see(name, path, fd or None) before each call on a folder and what is in
    it; half of what is to be written is written by then. What it raises is what the call raises.
    """
    files = {}  # {descriptor: path}

    def watched(name, call):
        def do(what, *args, **how):
            fd = what.fileno() if hasattr(what, "fileno") else what
            path = files.get(fd, what)
            if not isinstance(path, str) or not (path + "/").startswith(folder + "/"):
                return call(what, *args, **how)
            half = 0
            if name == "write":
                half = call(fd, args[0][:len(args[0]) // 2])
                args = args[0][half:],
            if name == "close":  # a descriptor whose close fails is closed
                files.pop(fd)
                call(fd)
            see(name, path, fd if isinstance(fd, int) else None)
            if name == "close":
                return None
            done = call(what, *args, **how)
            if name == "open":
                files[done] = path
            return half + done if half else done
        return do
    for module, name in CALLS:
        setattr(module, name, watched(name, getattr(module, name)))
    logcheck.open = File


class File(io.RawIOBase):
    """What open() gives, by way of the functions of os. file: path or descriptor."""

    def __init__(self, file, mode, buffering=-1, closefd=True):
        self.fd = file if isinstance(file, int) else os.open(file, os.O_RDONLY)
        self.closefd = closefd

    def fileno(self):
        return self.fd

    def readinto(self, buffer):
        data = os.read(self.fd, len(buffer))
        buffer[:len(data)] = data
        return len(data)

    def write(self, data):
        return os.write(self.fd, data)

    def close(self):
        if not self.closed:
            super().close()
            if self.closefd:
                os.close(self.fd)


class Begun:
    """A run of logcheck.py on a Host, with its options and further ones, forked and not waited for.
    see: what watch() calls; prepare: is called in it before the start; edit: constants of logcheck;
    env: variables.
    """

    def __init__(self, host, *options, see=None, prepare=None, edit=(), **env):
        def begin():
            if see:
                watch(host.folder, see)
            if prepare:
                prepare()
        self.reader, sink = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                null = os.open(os.devnull, os.O_RDWR)
                os._exit(harness.forked(
                    host.arguments(*host.options + options), host.environment(**env),
                    (null, null, sink), host.folder, begin, dict(edit)))
            finally:
                os._exit(98)
        os.close(sink)

    def stopped(self):
        """Wait until it stands still. Returns it."""
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1]), "ends and does not stop"
        return self

    def send(self, *numbers):
        for number in numbers:
            os.kill(self.pid, number)

    def runs(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def end(self):
        """Wait for its end. Returns exit code, or minus a signal's number, and stderr (str)."""
        with open(self.reader, "rb") as reader:
            stderr = harness.text_of(reader.read())
        status = os.waitpid(self.pid, 0)[1]
        return (-os.WTERMSIG(status) if os.WIFSIGNALED(status)
                else os.WEXITSTATUS(status)), stderr


def run(host, *options, **how):
    """What Begun.end() returns."""
    return Begun(host, *options, **how).end()


def when(deed, name, path, number=1):
    """A see() that does a deed at the number-th call of a name on a path."""
    seen = []

    def see(*call):
        if call[:2] == (name, path):
            seen.append(call)
            if len(seen) == number:
                deed()
    return see


def stop():
    """Stand still until SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def fail(name="", *_):
    """What a full or dying disk answers."""
    number = errno.ENOSPC if name == "write" else errno.EIO
    raise OSError(number, os.strerror(number))
