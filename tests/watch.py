"""Runs of logcheck.py whose calls on our own files a test sees before they are made: it can make
them fail, stop or kill the run there, or do what another process might do just then. That needs no
strace, and a run takes some milliseconds: watch() and when() are for Host.run()'s prepare=.
"""
import errno
import fcntl
import io
import os
import signal

import logcheck

CALLS = [(os, name) for name in (
    "open", "close", "read", "write", "fsync", "rename", "replace", "unlink", "fchown", "fchmod",
    "fstat", "stat", "lstat", "listdir")] + [(fcntl, "flock")]


def watch(folder, see):
    """In a forked run: call see(name, path) before each call on a folder and what is in it; half
    of what is to be written is written by then. What it raises is what the call raises.
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
                return see(name, path)
            see(name, path)
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


def when(host, name, path, deed, number=1):
    """In a forked run: do a deed at the number-th call of a name on a path."""
    seen = []

    def see(*call):
        if call == (name, path):
            seen.append(call)
            if len(seen) == number:
                deed()
    watch(host.folder, see)


def stop():
    """Stand still until SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def fail(name=""):
    """What a full or dying disk answers."""
    number = errno.ENOSPC if name == "write" else errno.EIO
    raise OSError(number, os.strerror(number))


def stopped(begun):
    """Wait until a run that has begun stands still. Returns it."""
    assert os.WIFSTOPPED(os.waitpid(begun.pid, os.WUNTRACED)[1]), "ends and does not stop"
    return begun
