"""Whatever happens to a run of logcheck.py, the host is not left worse than it was found: the table
file is the old one or the new one, whole.

Calls on our own files fail or are the last thing that a run does (`make faults` does that to every
system call), disks are full, rivals run, logs move, programs hang, signals come, and somebody has
prepared the ground. watch.py has what most tests use.
"""
import contextlib
import errno
import fcntl
import glob
import gzip
import itertools
import os
import pkgutil
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from inject import AUTH, MAIL, OLD, SCENES, TEMPORARY, Scene, judge, log, table
from host import LOADED, SCRIPT, STANDINS, pythons
from watch import fail, stop, stopped, watch, when

ROOT = os.getuid() == 0
STRANGER = 12345  # a user and a group that exist nowhere
BEFORE, AFTER = table(OLD), table(OLD, MAIL, AUTH)
FILES = ["authlog", "bruteforce", "maillog", "pf-table"]


@pytest.fixture
def host():
    """A Host on a night without pf, in a folder that anybody may look into."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        yield Scene().host(os.path.join(os.path.realpath(top), "host"))


def complaint(stderr):
    """The only line of stderr (str), `logcheck: NAME: REASON`."""
    assert re.match("logcheck: .+: .+\n\\Z", stderr), stderr
    return stderr


def check(host, end, table=AFTER, more=(), words=None):
    """A run (Run) has ended well and silent, or failed in one line with these words; the table
    (bytes); what more files there are.
    """
    if words is None:
        assert end == (0, b"", "")
    else:
        assert end[:2] == (1, b"") and words in complaint(end.stderr)
    assert (host.read(), host.names()) == (table, sorted(FILES + list(more)))


# 1. Each call on our own files fails, and is the last one.

@pytest.mark.parametrize("kind", ("failed", "killed"))
@pytest.mark.parametrize("scene_name", ("a night", "the first night", "after a killed run",
                                        "a careful night with pf", "somebody is forgiven"))
def test_each_call_on_our_files(tmp_path, scene_name, kind):
    scene, wrong = SCENES[scene_name], []

    def see(name, path):
        # the logs are read the same way in all scenes; an open one's fstat does not fail
        if path.endswith("log") and (name == "fstat" or scene_name != "a night"):
            return
        # between two calls that change something a kill leaves the same, wherever it comes
        if kind == "killed" and name in ("stat", "lstat", "fstat", "read", "listdir", "close"):
            return
        if next(count) == number:
            host.write("../call", ("%s of %s" % (name, path)).encode())
            if kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            fail(name)
    for number in range(1, 100):
        host, count = scene.host(str(tmp_path / "host")), itertools.count(1)
        host.write("../call", b"")
        code, _, stderr = host.run(prepare=lambda: watch(host.folder, see))
        call = host.read("../call").decode()
        wrong += ["%s: %s" % (call, what) for what in judge(
            scene, host, code, stderr, call and kind == "killed", [1])]
        shutil.rmtree(host.folder)
        if not call:
            break
    assert 5 < number < 99  # so many calls were seen
    assert not wrong, "%d wrong:\n%s" % (len(wrong), "\n".join(wrong[:30]))


def test_new_table_is_on_disk_before_it_is_in_place(host):
    # no kill shows what a power cut would: the order of the calls must. Whoever can open the file
    # before the rename can hold its lock, so fchmod comes after it
    seen = []

    def see(name, path):
        if name in ("write", "fchown", "fchmod", "fsync", "rename", "replace"):
            seen.append("%s %s\n" % (name, os.path.basename(path)))
            host.write("../calls", "".join(seen).encode())
    check(host, host.run(prepare=lambda: watch(host.folder, see)))
    assert [call for call, _ in itertools.groupby(host.read("../calls").decode().split("\n"))] == [
        "write " + TEMPORARY, "fchown " + TEMPORARY, "fsync " + TEMPORARY, "rename " + TEMPORARY,
        "fchmod " + TEMPORARY, "fsync " + TEMPORARY, "fsync " + os.path.basename(host.folder), ""]


@pytest.mark.parametrize("moment", ("leftover", "new", "failed"))
def test_file_of_another_run_stays(host, moment):
    # it stands where ours did, between our open and our lock or before we clear up
    path = host.path(TEMPORARY)

    def replace():
        os.unlink(path)
        rival = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        fcntl.flock(rival, fcntl.LOCK_EX)
        os.write(rival, b"rival's")
        if moment == "failed":
            fail()
    if moment == "leftover":
        host.write(TEMPORARY, b"192.0.2.66\n")
    call, words = ("fsync", "output error") if moment == "failed" else ("flock", "another run")
    end = host.run(edit={"WAIT": 0.1}, prepare=lambda: when(host, call, path, replace))
    check(host, end, BEFORE, [TEMPORARY], words)
    assert host.read(TEMPORARY) == b"rival's"


def test_new_file_that_another_run_takes_for_a_leftover(host):
    path = host.path(TEMPORARY)
    check(host, host.run(prepare=lambda: when(host, "flock", path, lambda: os.unlink(path))))


@pytest.mark.parametrize("options", ((), ("-c",)))
def test_folder_that_cannot_be_synced(host, options):
    # the table is in place by then: that is said, and pf takes it
    host.keep_tables()
    host.options = options
    end = host.run(prepare=lambda: when(host, "fsync", host.folder, fail))
    check(host, end, AFTER, ["pf", "pf.conf"], ": written, but")
    assert host.pf() == set(OLD[1:] + MAIL + AUTH)


# 2. Full disks and read-only ones, and no permission.

@pytest.mark.parametrize("options, prepare, words", (
    ("size=1m", "cat /dev/zero > filler", "No space left"),
    ("nr_inodes=5", ": > filler", "No space left"),
    ("size=1m", "mount -o remount,bind,ro .", "Read-only")))
def test_disk_that_takes_nothing(host, options, prepare, words):
    # a shell with mounts of its own, which the kernel may allow to root or to anyone
    unshare = ["unshare", "-m" if ROOT else "-rm"]
    if not shutil.which("unshare") or subprocess.call(
            unshare + ["mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL):
        pytest.skip("mounts are not permitted here")
    os.mkdir(host.path("disk"))
    child = subprocess.run(unshare + ["sh", "-c", """
        mount -t tmpfs -o %s none disk && cd disk && cp ../*log ../bruteforce . || exit
        { %s; } 2> /dev/null
        ls > ../before
        "$@"
        code=$?
        ls | cmp - ../before && cmp bruteforce ../bruteforce || exit 2
        exit $code""" % (options, prepare),
        "sh", sys.executable, "-IS", SCRIPT] + host.arguments("-e", "bruteforce"),
        cwd=host.folder, env=host.environment(), stderr=subprocess.PIPE)
    assert child.returncode == 1 and words in complaint(child.stderr.decode())


@pytest.mark.parametrize("limit", (0, 1, len(BEFORE), len(AFTER) - 1))
def test_limit_on_file_size(host, limit):  # SIGXFSZ, which kills by default, comes with it
    check(host, host.run(prepare=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (limit, limit))), BEFORE, words="too large")


@pytest.mark.parametrize("name, mode", ((".", 0o555), ("bruteforce", 0)))
def test_no_permission(host, name, mode):
    def become_nobody():
        if ROOT:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
    os.chmod(host.folder, 0o777)
    os.chmod(host.path(name), mode)
    end = host.run(prepare=become_nobody)
    os.chmod(host.folder, 0o755)
    os.chmod(host.path("bruteforce"), 0o644)
    check(host, end, BEFORE, words="Permission denied")


# 3. Rivals.

@pytest.mark.skipif(not ROOT, reason="needs another user")
@pytest.mark.parametrize("call", ("fsync", "rename"))
def test_another_user_cannot_hold_the_lock(host, call):
    """Neither while a run works on a table that all may read, nor when it was killed there."""
    path = host.path(TEMPORARY)
    begun = stopped(host.begin(prepare=lambda: when(host, call, path, stop)))
    opened = subprocess.call(["cat", path], preexec_fn=lambda: os.setuid(STRANGER),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.kill(begun.pid, signal.SIGKILL)
    begun.end()
    assert opened == 1
    check(host, host.run())
    assert stat.S_IMODE(os.stat(host.path("bruteforce")).st_mode) == 0o644


@pytest.mark.parametrize("exists", (True, False))
def test_rivals_lose_nothing(host, exists):
    old = [b"10.0.%d.%d" % (number >> 8, number & 255) for number in range(2000)]
    host.write("bruteforce", table(old))
    if not exists:
        os.unlink(host.path("bruteforce"))
    new = [b"203.0.113.%d" % number for number in range(100, 116)]
    runs = []
    for number, address in enumerate(new):
        host.write("log%d" % number, log([address]))
        runs.append(host.begin("-m", host.path("log%d" % number), prepare=lambda: when(
            host, "fsync", host.path(TEMPORARY), lambda: time.sleep(0.005))))
    codes, _, said = zip(*(begun.end() for begun in runs))
    assert codes == (0,) * len(new)
    assert "".join(said) == "" if exists else "been made" in complaint("".join(said))
    assert host.read() == table(old if exists else [], AUTH, new)
    assert set(host.names()) == set(FILES).union("log%d" % number for number in range(len(new)))


@pytest.mark.parametrize("fate", (signal.SIGCONT, signal.SIGKILL))
def test_run_that_another_one_holds_up(host, fate):
    path = host.path(TEMPORARY)
    holder = stopped(host.begin(prepare=lambda: when(host, "fsync", path, stop)))
    held = os.stat(path)
    check(host, host.run(edit={"WAIT": 0.1}), BEFORE, [TEMPORARY], "another run")
    assert os.path.samestat(os.stat(path), held)
    assert host.run("-n") == (0, AFTER, "")  # that waits for nobody
    waiting = host.begin()
    time.sleep(0.1)
    assert os.waitpid(waiting.pid, os.WNOHANG) == (0, 0)
    os.kill(holder.pid, fate)
    assert holder.end() == (0 if fate == signal.SIGCONT else -fate, b"", "")
    check(host, waiting.end())


# 4. The file keeps its face.

@pytest.mark.parametrize("mode, umask, options", (
    (0o640, 0o22, ()), (0o600, 0, ()), (0o444, 0o77, ()), (0o664, 0o777, ()), (0o400, 0o22, ()),
    (0o4755, 0o22, ()), (0o640, 0o22, ("--forgive", "192.0.2.200"))))
def test_mode_and_owner_stay(host, mode, umask, options):
    path, owner = host.path("bruteforce"), (os.getuid(), os.getgid())
    if ROOT:
        owner = STRANGER, STRANGER + 1
        os.chown(path, *owner)
    os.chmod(path, mode)
    assert host.run(*options, prepare=lambda: os.umask(umask))[::2] == (0, "")
    assert host.read() == (table(OLD[:2]) if options else AFTER)
    face = os.stat(path)
    assert (stat.S_IMODE(face.st_mode), face.st_uid, face.st_gid) == (mode,) + owner


def test_owner_that_cannot_be_kept(host):
    def refuse():
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    end = host.run(prepare=lambda: when(host, "fchown", host.path(TEMPORARY), refuse))
    check(host, end, BEFORE, words="cannot keep its owner and group: ")


@pytest.mark.parametrize("umask", (0, 0o022, 0o027, 0o077))
def test_new_file(host, umask):
    os.unlink(host.path("bruteforce"))
    code, _, stderr = host.run("-e", "bruteforce", prepare=lambda: os.umask(umask))
    assert code == 0 and "has been made" in complaint(stderr)
    assert stat.S_IMODE(os.stat(host.path("bruteforce")).st_mode) == 0o644 & ~umask
    assert (host.read(), host.names()) == (table(MAIL, AUTH), FILES)


@pytest.mark.parametrize("place", ("real", "other/real"))
@pytest.mark.parametrize("absolute", (True, False))
@pytest.mark.parametrize("steps", (1, 2))
@pytest.mark.parametrize("dangling", (True, False))
def test_link_stays(host, place, absolute, steps, dangling):
    path, real = host.path("bruteforce"), host.path(place)
    os.mkdir(host.path("other"))
    os.rename(path, real)
    os.chmod(real, 0o640)
    if dangling:
        os.unlink(real)
    aim = real if absolute else place
    if steps == 2:
        os.symlink(aim, host.path("step"))
        aim = "step"
    os.symlink(aim, path)
    code, _, stderr = host.run()
    assert (code, stderr.count("\n")) == (0, int(dangling))
    assert os.readlink(path) == aim and not os.path.islink(real)
    assert host.read(place) == (table(MAIL, AUTH) if dangling else AFTER)
    assert dangling or stat.S_IMODE(os.stat(real).st_mode) == 0o640
    assert sorted(host.names() + os.listdir(host.path("other"))) == sorted(
        FILES + ["other", "real"] + ["step"] * (steps == 2))


def make(kind, path):
    """Make a file of a kind at path; skips the test where that is not permitted."""
    if kind.startswith("directory"):
        os.makedirs(os.path.join(path, "kept") if kind == "directory with a file" else path)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as end:
            end.bind(path)
    elif kind == "link to itself":
        os.symlink(os.path.basename(path), path)
    elif kind == "null device":
        # a node of its own: the host's /dev is no place to try this
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.stat("/dev/null").st_rdev)
        except OSError:
            pytest.skip("device nodes are not permitted here")


@pytest.mark.parametrize("kind", ("directory", "FIFO", "socket", "null device", "link to itself"))
def test_what_is_no_file_is_refused(host, kind):
    path = host.path("bruteforce")
    os.unlink(path)
    make(kind, path)
    listing, face, host.options = host.names(), os.lstat(path), ()
    code, _, stderr = host.run()
    assert code == 1 and complaint(stderr)
    assert os.path.samestat(os.lstat(path), face) and host.names() == listing
    assert LOADED not in host.pf_calls()  # nothing was written


# 5. The logs move while we read.

@pytest.mark.parametrize("what", ("grows", "rotated", "truncated"))
def test_log_that_moves(host, what):
    path, late = host.path("maillog"), [b"203.0.113.99"]
    filler = log([b"192.0.2.99"]).replace(b"disconnect", b"connect") * 10000  # several blocks
    host.write("maillog", log(MAIL[:4]) + filler + log(MAIL[4:]))
    begun = stopped(host.begin(prepare=lambda: when(host, "read", path, stop, 2)))
    if what == "grows":
        with open(path, "ab") as file:
            file.write(log(late))
    else:
        if what == "rotated":  # to its end; what the new log holds is for the next night
            os.rename(path, path + ".0")
        host.write("maillog", log(late) if what == "rotated" else b"")
    os.kill(begun.pid, signal.SIGCONT)
    check(host, begun.end(), table(OLD, MAIL[:4] if what == "truncated" else MAIL, AUTH,
                                   late if what == "grows" else []),
          ["maillog.0"] * (what == "rotated"))


@pytest.mark.parametrize("kind", ("FIFO", "held FIFO", "socket", "directory", "missing"))
@pytest.mark.parametrize("name", ("maillog", "maillog.0"))
def test_log_that_gives_nothing(host, name, kind):
    # of those that were rotated, which careful mode reads, some have no need to be said
    path = host.path(name)
    if name == "maillog":
        os.unlink(path)
    else:
        host.options += "-c",
        if kind == "missing":
            os.symlink("nothing", path)  # renamed once more after its folder was listed
    make(kind.replace("held ", ""), path)
    # held: somebody has it open for writing and never writes
    held = [os.open(path, os.O_RDWR)] if kind == "held FIFO" else []
    code, _, stderr = host.run(edit={"WAIT": 0.1})
    assert code == 1 and complaint(stderr).startswith("logcheck: " + path) or (
        name == "maillog.0" and (code, stderr) == (0, ""))
    assert host.read() == (table(OLD, AUTH) if name == "maillog" else AFTER)
    for fd in held:
        os.close(fd)


def test_log_from_a_fifo(host):
    # the writer comes late, and pauses in the middle of a line
    path, text = host.path("maillog"), log(MAIL)
    os.unlink(path)
    os.mkfifo(path)
    begun = host.begin()
    time.sleep(0.1)
    with open(path, "wb", buffering=0) as writer:
        writer.write(text[:100])
        time.sleep(0.1)
        writer.write(text[100:])
    check(host, begun.end())


# 6. It trusts nothing of its surroundings.

@pytest.mark.parametrize("kind", (
    "link", "dangling link", "link to a directory", "link to the table", "hard link",
    "hard link to the table", "open file", "locked file", "FIFO", "socket", "directory",
    "directory with a file"))
def test_temporary_file_made_by_another(host, kind):
    path, real, held = host.path(TEMPORARY), host.path("bruteforce"), None
    os.mkdir(host.path("home"))
    host.write("home/victim", b"precious\n", 0o600)
    aim = host.path({"link to a directory": "home", "dangling link": "home/nothing"}.get(
        kind, "bruteforce" if kind.endswith("table") else "home/victim"))
    if kind.startswith("hard link"):
        try:
            os.link(aim, path)
        except PermissionError:
            pytest.skip("hard links are not permitted here")
    elif "link" in kind:
        os.symlink(aim, path)
    elif kind in ("open file", "locked file"):
        host.write(TEMPORARY, b"192.0.2.66\n", 0o666)
        if ROOT:
            os.chown(path, STRANGER, STRANGER)
        held = os.open(path, os.O_WRONLY | os.O_APPEND)
        if kind == "locked file":
            fcntl.flock(held, fcntl.LOCK_EX)
    else:
        make(kind, path)
    face = os.stat(real)
    end = host.run(edit={"WAIT": 0.1})
    if held is not None:
        # who still has the file open cannot write to the table
        os.write(held, b"192.0.2.66\n")
        os.close(held)
    if kind.startswith("directory") or kind in ("socket", "locked file"):
        # nothing that a run may remove: whoever can write here can stop it, and no more
        check(host, end, BEFORE, [TEMPORARY, "home"], "")
        assert kind != "directory with a file" or os.listdir(path) == ["kept"]
    else:
        check(host, end, more=["home"])
    assert os.listdir(host.path("home")) == ["victim"]
    assert host.read("home/victim") == b"precious\n"
    assert stat.S_IMODE(os.stat(host.path("home/victim")).st_mode) == 0o600
    made = os.lstat(real)
    assert (made.st_mode, made.st_uid, made.st_gid) == (face.st_mode, face.st_uid, face.st_gid)


SOME = list(pythons().values())[::max(1, len(pythons()) - 1)]  # the oldest and the newest
HOW = pytest.mark.parametrize("how", ("env", "python3"))


def by_admin(host, *options, how="python3", python=sys.executable, script=SCRIPT, **more):
    """Run the script as an admin would, without -IS: with python3 of PATH, or by itself, which is
    what env does.
    """
    os.mkdir(host.path("bin"))
    os.symlink(python, host.path("bin/python3"))  # the real one, no version manager's shim
    return host.run(*options, python=how, script=script, flags=(), PATH="%s:%s:/usr/bin:/bin" % (
        host.path("bin"), STANDINS), **more)


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A folder of modules that leave a mark when they are imported: one of each name there is, but
    for those that a Python without -I takes from PYTHONPATH before it opens any script.
    """
    place, library = tmp_path_factory.mktemp("evil"), os.path.dirname(os.__file__)
    names = set(sys.builtin_module_names).union(name for _, name, _ in pkgutil.iter_modules(
        [library, os.path.join(library, "lib-dynload")]))
    for python in SOME:
        names -= set(subprocess.run([python, "-c", "import sys; print(*sys.modules)"], cwd="/",
                                    env={}, stdout=subprocess.PIPE).stdout.decode().split())
    for name in names:
        (place / (name + ".py")).write_text("open(%r, 'w')" % str(place / ("mark of " + name)))
    return str(place)


@HOW
@pytest.mark.parametrize("place", ("current directory", "PYTHONPATH", "its own directory"))
@pytest.mark.parametrize("python", SOME)
def test_no_module_from_elsewhere(host, evil, python, place, how):
    script, more = host.path("logcheck.py"), {}
    if place == "its own directory":
        script = os.path.join(evil, "logcheck.py")
    else:
        more = {"cwd" if place == "current directory" else place: evil}
    shutil.copy(SCRIPT, script)
    # a packed log, an allow list and a letter make it import all that it ever does
    with gzip.open(host.path("maillog.gz"), "wb") as file:
        file.write(log(MAIL))
    host.write("allow", b"10.0.0.0/8\n")
    end = by_admin(host, "-v", "--mail", "root", "-w", host.path("allow"), "-m",
                   host.path("maillog.gz"), how=how, python=python, script=script, **more)
    assert not glob.glob(os.path.join(evil, "mark of *"))
    assert (end.returncode, host.read()) == (0, AFTER), end


@HOW
@pytest.mark.parametrize("odd", (
    {"LANG": "tr_TR.UTF-8", "PYTHONOPTIMIZE": "2"}, {"LC_ALL": "C", "IFS": "/x"},
    {"LC_ALL": "POSIX", "LANG": "de_DE.ISO8859-1", "TMPDIR": "/nonexistent"},
    {"LC_ALL": "no such locale", "POSIXLY_CORRECT": ""}, {"PYTHONUTF8": "1"},
    {"LC_TIME": "ja_JP.UTF-8", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANGUAGE": "de", "LC_MESSAGES": "de_DE.UTF-8", "PYTHONIOENCODING": "utf-16"}), ids=str)
def test_odd_environment(host, odd, how):
    os.rename(host.path("maillog"), host.path("maillog-\udcff"))
    code, _, stderr = by_admin(host, "-m", host.path("maillog-\udcff"), "-m",
                               host.path("no-\udcfe"), how=how, **odd)
    assert code == 1 and "no-\\xfe" in complaint(stderr) and host.read() == AFTER


def test_odd_python(host):
    # installed: the script's first line names its Python, as `make install` makes it
    hashes = "nonsense" if sys.version_info >= (3, 7) else "0"  # which 3.6 reads despite -I
    text = b"#!%s -IS\n" % os.fsencode(sys.executable) + host.read(SCRIPT).split(b"\n", 1)[1]
    host.write("installed", text, 0o755)
    check(host, by_admin(
        host, how="env", script=host.path("installed"), PYTHONINSPECT="1", PYTHONVERBOSE="1",
        PYTHONSTARTUP="maillog", PYTHONWARNINGS="error", PYTHONDEVMODE="1", PYTHONDEBUG="1",
        PYTHONHOME="/nonexistent", PYTHONHASHSEED=hashes), more=["bin", "installed"])


@pytest.mark.parametrize("closed, how", [
    (fds, "python3") for count in range(4) for fds in itertools.combinations((0, 1, 2), count)]
    + [((0, 1, 2), "env")])
def test_closed_descriptors(host, closed, how):
    # its messages must not land in the file that got the number of stderr, the new table or a log
    host.options = ()
    code, _, stderr = by_admin(host, "-v", "-m", host.path("maillog"), "-m", host.path("missing"),
                               how=how, PF_FAIL="show",
                               prepare=lambda: [os.close(fd) for fd in closed])
    assert (code, host.read(), host.read("maillog")) == (1, AFTER, log(MAIL))
    assert ("missing" in stderr) == (2 not in closed) and host.names() == sorted(FILES + ["bin"])


@pytest.mark.parametrize("option", ("-v", "-n", "--forgive"))
@pytest.mark.parametrize("kind", ("full", "gone"))
def test_output_that_takes_nothing(host, kind, option):
    # stderr of a run with -v, stdout of a dry run; gone: a pipe that nobody reads any more
    if kind == "full" and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    reader, sink = os.pipe()
    os.close(reader)
    if kind == "full":
        sink = os.open("/dev/full", os.O_WRONLY)
    options = ["--forgive", "192.0.2.200"] if option == "--forgive" else [option]
    code, _, stderr = host.run(*options, "-m", host.path("maillog"), "-m", host.path("missing"),
                               prepare=lambda: os.dup2(sink, 2 if option == "-v" else 1))
    os.close(sink)
    assert (code, host.read()) == (1, {"-v": AFTER, "-n": BEFORE}.get(option, table(OLD[:2])))
    assert option == "-v" or "stdout: " in stderr and stderr.count("\n") == 1 + (option == "-n")


# 7. What logs, admins and other programs may do to a run.

@pytest.mark.parametrize("what, calls", (
    ("pfctl", ("-t bruteforce -T show", "-f /etc/pf.conf")), ("sendmail", ("-oi root",))))
def test_program_that_hangs(host, what, calls):
    os.mkdir(host.path("bin"))
    host.write("bin/" + what, b"#!/bin/sh\nexec sleep 100\n", 0o755)
    host.options = () if what == "pfctl" else ("--mail", "root", "--no-pf")
    code, _, stderr = host.run(edit={"PATIENCE": 0.1}, PATH=host.path("bin") + ":/usr/bin:/bin")
    assert (code, host.read()) == (1, AFTER)
    assert stderr == "".join("logcheck: %s: %s: no answer for 0 seconds, ended\n" % (what, call)
                             for call in calls)


@pytest.mark.parametrize("options", ((), ("-c",)))
@pytest.mark.parametrize("before, hole, behind, more", (
    (b"", 120 << 20, b"", []), (b"Apr  8 11:", 120 << 20, b"\n", []),
    (log([b"203.0.113.99"])[:-1] + b"x" * (50 << 20), 0, b" 203.0.113.98\n", [b"203.0.113.99"]),
    (log([b"203.0.113.99"]) * 300000, 0, b"", [b"203.0.113.99"])),
    ids=("hole", "hole in a line", "long line", "many lines"))
def test_memory_stays_flat(host, before, hole, behind, more, options):
    # the first megabyte of a line stands for it, and what comes after is found; power cuts leave
    # holes
    with open(host.path("maillog"), "wb") as file:
        file.write(log(MAIL[:4]) + before)
        file.seek(hole, os.SEEK_CUR)
        file.write(behind + log(MAIL[4:]))
    check(host, host.run(*options, process=True, prepare=lambda: resource.setrlimit(
        resource.RLIMIT_DATA, (24 << 20, 24 << 20))), table(OLD, MAIL, AUTH, more))


# 8. Signals.

@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
@pytest.mark.parametrize("moment", ("reading", "waiting", "holding", "ignored"))
def test_signal(host, moment, number):
    # ignored: by nohup, or by make for what it starts in the background
    path, call, more = host.path(TEMPORARY), ("read", host.path("authlog"), stop), []
    if moment == "waiting":
        host.write(TEMPORARY, b"")
        other, call, more = open(path), ("flock", path, stop, 2), [TEMPORARY]
        fcntl.flock(other, fcntl.LOCK_EX)
    elif moment == "holding":  # then the signal waits until the table is written
        call = "fsync", path, stop

    def prepare():
        if moment == "ignored":
            signal.signal(number, signal.SIG_IGN)
        when(host, *call)
    begun = stopped(host.begin(edit={"WAIT": 1000}, prepare=prepare))
    os.kill(begun.pid, number)
    os.kill(begun.pid, signal.SIGCONT)
    assert begun.end() == (0 if moment == "ignored" else -number, b"", "")
    assert host.read() == (AFTER if moment in ("holding", "ignored") else BEFORE)
    assert host.names() == sorted(FILES + more)


@pytest.mark.parametrize("deed, options", (("load", ()), ("replace", ("-c",))))
def test_ignored_child_signal_hides_no_failure(host, deed, options):
    host.options = options
    check(host, host.run(PF_FAIL=deed, prepare=lambda: signal.signal(
        signal.SIGCHLD, signal.SIG_IGN)), BEFORE if options else AFTER, words="pf rules not loaded")


def test_what_nobody_foresaw_is_one_line(host):
    with open(SCRIPT) as file:
        before, line, after = file.read().partition("    night = Night()")
    host.write("broken.py", (before + line + " / 0" + after).encode())
    code, out, stderr = host.run(script=host.path("broken.py"))
    assert (code, out, stderr.count("\n")) == (1, b"", 1)
    assert stderr.startswith("logcheck: line %d: TypeError: " % (before.count("\n") + 1))


@pytest.mark.parametrize("number", range(2, 9, 2))
def test_interrupted_start_is_one_line(host, number):
    # while the script imports its modules: Python's own start is beyond its reach
    host.write("interrupted.py", b"""if True:
        import builtins, os, runpy, signal, sys
        def interrupted(name, names=None, *more):
            if names and names.get("__name__") == "__main__":
                seen.append(name)
                if len(seen) == %d:
                    os.kill(os.getpid(), signal.SIGINT)
            return imported(name, names, *more)
        imported, builtins.__import__, seen = builtins.__import__, interrupted, []
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runpy.run_path(%a, run_name="__main__")""" % (number, SCRIPT))
    code, _, stderr = host.run(script=host.path("interrupted.py"))
    assert code != 0 and "Traceback" not in stderr
    assert stderr.count("\n") <= 1 and host.read() == BEFORE
