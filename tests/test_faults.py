"""Whatever happens to a run of logcheck.py, the host is not left worse than it was found.
`python3 test_faults.py` injects all faults into all calls; pytest only into those on our files.

System calls fail or are the last thing a run does, disks are full, rivals run, logs move, pf says
no, and somebody has prepared the ground: the table file is the old one or the new one, whole.
"""
import concurrent.futures
import contextlib
import fcntl
import gzip
import itertools
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import tools

PYTHONS = tools.pythons()
ROOT = os.getuid() == 0
NOBODY = 65534
STRANGER = 12345  # a user and a group that exist nowhere
PATIENCE = 60  # seconds until a run counts as hanging; none takes one
NOW = 1523237400  # 2018-04-09 01:30:00 UTC

# One night: what each source has to give, and what the table held before.
OLD = [b"# kept by hand", b"192.0.2.1", b"192.0.2.200"]
MAIL = [b"203.0.113.%d" % number for number in range(1, 9)]
AUTH = [b"198.51.100.%d" % number for number in range(1, 9)]
PF = [b"192.0.2.77", b"192.0.2.78"]


def maillog(addresses):
    """A maillog (bytes) that names addresses (list of bytes)."""
    return b"".join(b"Apr  8 12:00:00 mx postfix/smtpd[1]: disconnect from unknown[%s] ehlo=1 "
                    b"quit=1 commands=2\n"
                    % address for address in addresses)


def authlog(addresses):
    """An authlog (bytes) that names addresses (list of bytes)."""
    return b"".join(b"Apr  8 12:00:00 mx sshd[2]: Failed password for root from %s port 9 ssh2\n"
                    % address for address in addresses)


def table(*sources):
    """The table (bytes) that holds the entries of all the sources (lists of bytes)."""
    def key(entry):
        return [int(part) for part in entry.split(b".")] if b"#" not in entry else []
    return b"".join(entry + b"\n" for entry in sorted(set().union(*sources), key=key))


BEFORE, AFTER = table(OLD), table(OLD, MAIL, AUTH, PF)
# A source that cannot be read is missing from the new table, and the exit code says so.
WITHOUT = [table(OLD, *sources) for count in range(3)
           for sources in itertools.combinations((MAIL, AUTH, PF), count)]
NIGHT = tools.Case(maillog(MAIL), authlog(AUTH), BEFORE, table(PF), NOW)


def fastest_python():
    """The path of the Python that starts fastest: thousands of runs are made below."""
    def seconds(path):
        spent = []
        for _ in range(3):
            start = time.time()
            subprocess.run([path, "-IS", "-c", ""])
            spent.append(time.time() - start)
        return min(spent)
    return min(PYTHONS.values(), key=seconds)


PYTHON = fastest_python()


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def put(text, *path):
    with open(os.path.join(*path), "wb") as file:
        file.write(text)


def names(folder):
    """What is in a folder, but for the stand-in's notes."""
    return sorted(name for name in os.listdir(folder) if name != "pf-log")


@contextlib.contextmanager
def new_folder(case=NIGHT):
    """A folder with a case's files; others may look into it, so that other users can run there."""
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        case.write(folder)
        yield folder
    finally:
        # the pfctl of a killed run may still be writing its note there
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder():
    with new_folder() as path:
        yield path


def command(folder, *options, **how):
    """The command line of a run on a folder. how: script and python where not the usual ones;
    logs where not maillog and authlog.
    """
    words = [how.get("python", PYTHON), "-IS", how.get("script", tools.SCRIPT), "--now", str(NOW),
             "-e", os.path.join(folder, "bruteforce")]
    for option, name in how.get("logs", (("-m", "maillog"), ("-a", "authlog"))):
        words += [option, os.path.join(folder, name)]
    return words + list(options)


def start(words, folder, env=(), **how):
    """Start a command in a case's environment. Returns a Popen."""
    environment = NIGHT.environment(folder)
    environment.update(env)
    how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("stdout", subprocess.PIPE)
    how.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(words, env=environment, cwd=how.pop("cwd", folder), **how)


def finish(process):
    """Wait for a Popen. Returns exit code and stderr (bytes); fails the test if it hangs."""
    try:
        _, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("hangs: %s" % (process.args,))
    return process.returncode, stderr or b""


def run(folder, *options, **how):
    """Run logcheck.py on a folder. Returns exit code and stderr (bytes)."""
    special = {key: how.pop(key) for key in ("script", "python", "logs") if key in how}
    return finish(start(command(folder, *options, **special), folder, **how))


def complaints(stderr):
    """The lines of stderr (bytes); fails the test if one is not `logcheck: NAME: REASON`."""
    lines = stderr.splitlines()
    for line in lines:
        assert re.match(rb"logcheck: .+: .+\Z", line), stderr
    return lines


def one_complaint(stderr):
    lines = complaints(stderr)
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A copy of the script whose WAIT an admin has set to one second."""
    return tools.script_with(str(tmp_path_factory.mktemp("impatient")), "WAIT", 1)


# 1. Every system call of a run, failed and killed.

# The errors of ENOSPC, EIO, EINTR, EACCES and ENOMEM that a call can return (its manual page; a
# network file system returns what its server says). Calls not named here get UNKNOWN.
ERRORS = {
    "openat": "EACCES ENOSPC EIO EINTR ENOMEM",
    "read": "EIO EINTR",
    "write": "ENOSPC EIO EINTR",
    "close": "EIO EINTR",
    "fsync": "EIO ENOSPC EINTR",
    "flock": "EINTR ENOMEM",
    "lseek": "EIO",
    "ioctl": "EIO",
    "pipe2": "ENOMEM",
    "wait4": "EINTR",
    "newfstatat": "EACCES ENOMEM", "fstat": "EIO ENOMEM",
    "lstat": "EACCES ENOMEM", "stat": "EACCES ENOMEM",
    "poll": "EINTR ENOMEM", "select": "EINTR ENOMEM",
    "mmap": "ENOMEM", "mremap": "ENOMEM", "munmap": "ENOMEM", "mprotect": "ENOMEM",
    "vfork": "ENOMEM", "fork": "ENOMEM", "clone": "ENOMEM", "clone3": "ENOMEM",
    # these do not fail; brk does, but the kernel says so by the old break, which strace cannot
    "brk": "",
    "rt_sigaction": "", "rt_sigprocmask": "", "sigaltstack": "", "umask": "", "exit_group": "",
    "getpid": "", "gettid": "",
}
UNKNOWN = "ENOSPC EIO EACCES ENOMEM"
# between two of these a kill leaves the same behind, wherever it comes
CHANGING = ("openat", "write", "fsync", "flock", "fchown", "fchmod", "rename", "unlink")
# what a full or dying disk answers, it answers again
LASTING = {"write": "ENOSPC EIO", "fsync": "EIO", "openat": "ENOSPC", "rename": "EIO"}


def no_injection():
    """Why no faults can be injected here (str), or '' if they can."""
    if not shutil.which("strace"):
        return "needs strace"
    try:
        done = subprocess.run(["strace", "-o", "/dev/null", "-e", "trace=chdir", "-e",
                               "inject=chdir:error=EIO:when=1", PYTHON, "-IS", "-c",
                               "import os; os.chdir('/')"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except OSError as error:
        return "strace does not run: %s" % error
    return "" if b"OSError: [Errno 5]" in done.stderr else "strace may not trace or inject here"


NO_INJECTION = no_injection()
injection = pytest.mark.skipif(bool(NO_INJECTION), reason=NO_INJECTION)


class Scene:
    """A kind of run to inject faults into: its case, options, part (which of its calls are faulted:
    all, those that read the logs, or those from the table on), leftover (whether a killed run has
    left one), always (lasting faults), state (whether pf keeps a table), after (what must be in the
    table file, where that is not all there is, and what pf must have).
    """

    def __init__(self, case, options=(), part="all", leftover=False, always=(), state=False,
                 after=None):
        self.case, self.options, self.part, self.leftover = case, options, part, leftover
        self.always = ["-e"] * (2 * len(always))  # each `-e inject=...`
        self.always[1::2] = ["inject=" + fault for fault in always]
        self.state, self.forgives = state, "--forgive" in options
        self.before = undated(case.bruteforce) or None
        self.pf = "--no-pf" not in options
        old = OLD if self.before else []
        self.after, self.after_pf = after or (table(old, MAIL, AUTH, PF if self.pf else []), None)
        self.without = {self.after} if after else {
            table(old, *sources) for count in range(4)
            for sources in itertools.combinations((MAIL, AUTH, PF), count)}
        if self.after_pf is None:
            self.after_pf = set(self.after.splitlines()) - {OLD[0]}

    def write(self, folder):
        """Write the scene's files to a folder."""
        self.case.write(folder)
        if not self.case.bruteforce:
            os.unlink(os.path.join(folder, "bruteforce"))
        if self.leftover:
            put(b"192.0.2.66\n", folder, temporary_name())
        if self.state:
            os.mkdir(os.path.join(folder, "pf"))
            put(b"".join(b"   %s\n" % entry for entry in PF), folder, "pf", "bruteforce")

    def environment(self, folder):
        return {"PF_STATE": os.path.join(folder, "pf")} if self.state else {}

    def table(self, folder):
        """The table file (bytes) of a folder without its dates, or None."""
        path = os.path.join(folder, "bruteforce")
        return undated(read(path)) if os.path.exists(path) else None

    def pf_table(self, folder):
        """The entries (set of bytes) that pf has."""
        return set(read(folder, "pf", "bruteforce").split())


def undated(text):
    """A table (bytes) without what --expire adds."""
    return re.sub(rb"(?m) # 20[0-9]{2}-.*$", b"", text)


SCENES = {
    "a night": Scene(NIGHT),
    "a careful night": Scene(NIGHT, options=("-c", "--no-pf"), part="logs"),
    # these two add what differs from the night: creation, and clearing up after a killed run
    "the first night": Scene(tools.Case(NIGHT.maillog, NIGHT.authlog, b"", b"", NOW),
                             options=("--no-pf",), part="table"),
    "after a killed run": Scene(NIGHT, options=("--no-pf",), part="table", leftover=True),
    # the error path of a run that fails has calls of its own
    "a dying disk": Scene(NIGHT, options=("--no-pf",), part="table",
                          always=("fsync:error=EIO",)),
    # pf takes the new table before it gets its name
    "a careful night with pf": Scene(NIGHT, options=("-c",), part="table", state=True),
    "a night on which entries expire": Scene(
        tools.Case(NIGHT.maillog, NIGHT.authlog, BEFORE + b"192.0.2.9 # 2017-12-31 authlog\n",
                   b"", NOW),
        options=("-c", "-x", "30"), part="table", state=True),
    "somebody is forgiven": Scene(
        NIGHT, options=("--forgive", "192.0.2.200", "--forgive", "192.0.2.78"), part="table",
        state=True, after=(table(OLD[:2]), {PF[0]})),
}


def strace(folder, scene, expressions, follow=False):
    """Run a scene under strace. Returns exit code, stderr and trace (bytes)."""
    trace = os.path.join(os.path.dirname(folder), os.path.basename(folder) + ".trace")
    words = ["strace", "-o", trace] + ["-f"] * follow + expressions
    try:
        code, stderr = finish(start(words + command(folder, *scene.options), folder,
                                    env=scene.environment(folder)))
        return code, stderr, read(trace)
    finally:
        os.unlink(trace)


_traced = {}
FULL = __name__ == "__main__"  # all calls are faulted, and not only those on our own files


def calls(scene_name):
    """The calls a run of a scene makes of its own: ordered [(name, n-th of that name, whether
    main() has begun)]. Python's own start, before it opens the script, is not ours.
    """
    if scene_name in _traced:
        return _traced[scene_name]
    scene = SCENES[scene_name]
    with new_folder() as folder:
        scene.write(folder)
        _, _, trace = strace(folder, scene, ["-y"] + scene.always)
    lines = [line for line in trace.decode("latin-1").splitlines()
             if re.match(r"[a-z][a-z0-9_]*\(", line)]
    opened = [number for number, line in enumerate(lines)
              if line.startswith("open") and tools.SCRIPT in line]
    begun = [number for number, line in enumerate(lines)
             if "/dev/null" in line and line.startswith("open") and number > opened[-1]]
    first = opened[-1] + 1 if scene.part == "all" else begun[0]
    last, at_table = len(lines), [number for number, line in enumerate(lines)
                                  if "/bruteforce" in line and number > begun[0]]
    if scene.part == "table":
        first = at_table[0]
    elif scene.part == "logs":
        last = at_table[0]
    seen, found = {}, []
    for number, line in enumerate(lines):
        name = line[:line.index("(")]
        seen[name] = seen.get(name, 0) + 1
        if first <= number < last and (
                FULL or folder in line.replace("AT_FDCWD<%s>" % folder, "")):
            found.append((name, seen[name], number >= begun[0]))
    _traced[scene_name] = found
    return found


_temporary = []


def temporary_name():
    """The name under which a run writes the new table."""
    if not _temporary:
        with new_folder() as folder, stopped_holder(folder) as (_, name):
            _temporary.append(name)
    return _temporary[0]


def faults(scene_name, name):
    """The faults to inject into the calls of one name: [(strace's expression, main has begun)].

    Before main() has begun Python is importing its library: one fault a call is enough there.
    """
    found = []
    for call, number, begun in calls(scene_name):
        if call == name:
            errors = ERRORS.get(name, UNKNOWN).split()
            kinds = ["error=" + error for error in errors]
            if not begun or not FULL:
                kinds = kinds[:1]
            if begun and (FULL or name in CHANGING):
                kinds += ["signal=KILL"] + ["signal=TERM"] * FULL
            found += [("%s:%s:when=%d" % (name, kind, number), begun) for kind in kinds]
            # and from this call on
            if FULL and begun and scene_name == "a night":
                found += [("%s:error=%s:when=%d+" % (name, error, number), begun)
                          for error in LASTING.get(name, "").split()]
    return found


def not_made(stderr):
    """stderr (bytes) but for the line that says that the table file was made."""
    return re.sub(rb"logcheck: [^\n]*: was not there and has been made\n", b"", stderr)


INJECTED = {"faults": 0, "calls": set(), "error": 0, "KILL": 0, "TERM": 0}


def inject(scene_name, fault, begun, follow=False):
    """Make a run with a fault. Returns what is wrong after it (list of str)."""
    scene = SCENES[scene_name]
    killed, termed = "signal=KILL" in fault, "signal=TERM" in fault
    wrong = []
    with new_folder() as folder:
        scene.write(folder)
        listing = names(folder)
        leftover = os.stat(os.path.join(folder, temporary_name())).st_ino if scene.leftover else 0
        code, stderr, trace = strace(
            folder, scene, ["-e", "trace=" + fault.split(":")[0]] + scene.always
            + ["-e", "inject=" + fault], follow)
        made = scene.table(folder)
        left = set(names(folder)) - set(listing) - {"bruteforce"}

        # a call that this run did not make (Python's numbers vary a little) is no fault
        if b"INJECTED" not in trace and b"SIGKILL" not in trace and b"SIGTERM" not in trace:
            fault += " (not reached)"
        else:
            INJECTED["faults"] += 1
            INJECTED["calls"].add((scene_name, fault.split(":")[0],
                                   fault.split("=")[-1].rstrip("+")))
            INJECTED["KILL" if killed else "TERM" if termed else "error"] += 1

        if made != scene.before and made not in scene.without:
            wrong.append("table: %r" % made)
        if code == 0 and made != scene.after:
            wrong.append("exit 0 with the table %r" % made)
        if code == 0 and scene.pf and not scene.state and b"\n-f " not in read(folder, "pf-log"):
            wrong.append("exit 0 without a reload")
        if scene.state and not killed:
            has = scene.pf_table(folder)
            if has != scene.after_pf if code == 0 else has not in (set(PF), scene.after_pf, {
                    entry for entry in (made or b"").splitlines() if b"#" not in entry}):
                wrong.append("exit %d, and pf has %r" % (code, has))
        if begun and not killed:
            bad = [line for line in stderr.splitlines()
                   if not re.match(rb"logcheck: .+: .+\Z", line)]
            # a fault that lasts hits each log, pf and the table
            if bad or len(stderr.splitlines()) > (5 if fault.endswith("+") else 3):
                wrong.append("stderr: %s" % stderr.decode())
            if code != 0 and not termed and not stderr and not re.match(r"write:.*\+", fault):
                wrong.append("exit %d without a word" % code)
        if left and not killed:
            # where a call that clears up was itself made to fail, nothing can be asked
            if not (scene_name == "a dying disk" and "error" in fault):
                wrong.append("left: %s" % left)
        if scene.leftover and code == 0 and temporary_name() in names(folder):
            wrong.append("the leftover of the killed run is still there")
        if scene.leftover and not killed and temporary_name() in names(folder) \
                and os.stat(os.path.join(folder, temporary_name())).st_ino != leftover:
            wrong.append("left: a new temporary file")

        if killed:
            if scene.state:
                time.sleep(0.1)  # the pfctl of the killed run may still be at work
            code, stderr = run(folder, *scene.options, env=scene.environment(folder))
            # where nobody is left to forgive, the run has got that far
            if scene.forgives and code == 1 and b"nothing of it is there" in stderr:
                code, stderr = 0, b""
            if scene.state and scene.pf_table(folder) != scene.after_pf:
                wrong.append("next run: pf has %r" % scene.pf_table(folder))
            if (code, not_made(stderr), scene.table(folder)) != (0, b"", scene.after):
                wrong.append("next run: exit %d, %r, %r" % (code, stderr, scene.table(folder)))
            elif set(names(folder)) != set(listing) - {temporary_name()} | {"bruteforce"}:
                wrong.append("next run leaves %s" % names(folder))
    return ["%s: %s: %s" % (scene_name, fault, what) for what in wrong]


def traced_names():
    """[(scene, name of a call)] for all calls that the traced runs make."""
    found = []
    if not NO_INJECTION:
        # where no run gets far enough to be traced, the one test that is left fails
        with contextlib.suppress(AssertionError, LookupError, OSError):
            found = [(scene_name, name) for scene_name in SCENES
                     for name in sorted({call[0] for call in calls(scene_name)})
                     if faults(scene_name, name)]
    return found or [("no run", "no call")]


def is_locked(path):
    """Whether somebody holds a lock on a file."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def stopped_holder(folder):
    """A run on a folder that stands still while it holds the lock: (Popen, its temporary's name).

    It is stopped as soon as a new name appears in the folder; a long table gives it something to
    do there.
    """
    text = read(folder, "bruteforce")
    entries = b"".join(b"10.%d.%d.%d\n" % (number >> 16, number >> 8 & 255, number & 255)
                       for number in range(60000))
    put(text + entries, folder, "bruteforce")
    listing = set(names(folder))
    process, new = None, set()
    for _ in range(20):
        process = start(command(folder), folder)
        while process.poll() is None and not set(names(folder)) - listing:
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            new = {name for name in set(names(folder)) - listing
                   if is_locked(os.path.join(folder, name))}
            if os.WIFSTOPPED(status) and len(new) == 1:
                break
        with contextlib.suppress(OSError):
            process.kill()
        process.communicate()
        for name in set(names(folder)) - listing:
            os.unlink(os.path.join(folder, name))
        put(text + entries, folder, "bruteforce")
    assert len(new) == 1, "no run could be stopped while it held the lock"
    try:
        yield process, new.pop()
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.communicate()


@injection
@pytest.mark.parametrize("scene_name,name", traced_names())
def test_every_system_call_failed_and_killed(scene_name, name, record_property):
    assert scene_name in SCENES, "no run could be traced"
    expected = faults(scene_name, name)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = list(itertools.chain.from_iterable(pool.map(
            lambda fault: inject(scene_name, *fault), expected)))
    record_property("faults", len(expected))
    assert not wrong, "%d wrong:\n%s" % (len(wrong), "\n".join(wrong[:30]))


@injection
@pytest.mark.parametrize("kind", ("error=EACCES", "error=EIO", "error=ENOMEM", "signal=KILL"))
def test_exec_failed_and_killed(kind):
    # exec is a call of Python's child: strace counts anew in each process that it follows
    with new_folder() as folder:
        scene = SCENES["a night"]
        code, stderr, trace = strace(folder, scene, [
            "-e", "trace=execve", "-e", "inject=execve:%s:when=1" % kind], follow=True)
        assert trace.count(b"INJECTED") >= 2 or trace.count(b"killed by SIGKILL") >= 2
        INJECTED["faults"] += 2
        INJECTED["calls"].update([("a night", "execve", "1"), ("a night", "execve", "2")])
        INJECTED["KILL" if "KILL" in kind else "error"] += 2
        assert code == 1
        assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH)
        assert len(complaints(stderr)) <= 2
        assert names(folder) == names_of_night()


@injection
def test_new_table_is_on_disk_before_it_is_in_place(folder):
    # no kill shows what a power cut would: the order of the calls must
    real = os.path.join(folder, "bruteforce")
    code, _, trace = strace(folder, SCENES["a night"], [
        "-y", "-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2"])
    assert code == 0
    deeds = [(match.group(1), match.group(2)) for match in re.finditer(
        r'(?m)^(write|fsync|fdatasync|rename)\w*\(.*?[<"](/[^>"]*)', trace.decode())]
    temporary = os.path.join(folder, temporary_name())
    deeds = [(deed.replace("fdata", "f"), path) for deed, path in deeds
             if path in (temporary, real, folder)]
    assert list(dict.fromkeys(deeds)) == [
        ("write", temporary), ("fsync", temporary), ("rename", temporary), ("fsync", folder)]
    assert deeds.index(("fsync", temporary)) > deeds.count(("write", temporary)) - 1


def names_of_night():
    return ["authlog", "bruteforce", "maillog", "pf-table"]


# 2. Full disks and read-only ones.

# mounts of our own, which vanish with the shell; the kernel may allow them to root or to anyone
UNSHARE = ["unshare", "-m"] if ROOT else ["unshare", "-rm"]


def no_mounts():
    """Why no file system can be mounted here (str), or '' if one can."""
    if not shutil.which("unshare"):
        return "needs unshare"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(UNSHARE + ["mount", "-t", "tmpfs", "none", folder],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "" if done.returncode == 0 else "mounts are not permitted here"


NO_MOUNTS = no_mounts()
mounts = pytest.mark.skipif(bool(NO_MOUNTS), reason=NO_MOUNTS)


def in_mount(folder, prepare, case):
    """Copy a case into folder/disk, mount and prepare that (shell text), and run there. Returns
    exit code, stderr, and the names on the disk; what has become of its table is folder/made.
    """
    case.write(folder)
    os.mkdir(os.path.join(folder, "disk"))
    disk = os.path.join(folder, "disk")
    script = prepare + """
        ls disk > before
        "$@"
        code=$?
        cat disk/bruteforce > made
        ls disk > after
        # with room again, the next run succeeds
        if rm disk/filler 2>/dev/null; then "$@" || code="$code, then $?"; fi
        cat disk/bruteforce > next
        echo "$code" > code
    """
    _, stderr = finish(start(
        UNSHARE + ["sh", "-c", script, "sh"] + command(disk), folder))
    assert read(folder, "after") == read(folder, "before")
    return read(folder, "code").strip(), stderr


@mounts
@pytest.mark.parametrize("room", (0, 4096, 16384))
def test_full_disk(folder, room):
    # the new table is longer than the room there is, by a page or wholly
    long = tools.Case(maillog([b"10.1.%d.%d" % (number >> 8, number & 255)
                               for number in range(3000)]), b"", BEFORE, b"", NOW)
    code, stderr = in_mount(folder, """
        mount -t tmpfs -o size=1m none disk
        cp maillog authlog bruteforce pf-table disk
        head -c %d /dev/zero > disk/room
        cat /dev/zero > disk/filler 2>/dev/null
        rm disk/room""" % room, long)
    assert code == b"1"
    assert b"No space left" in one_complaint(stderr)
    assert read(folder, "made") == BEFORE
    assert len(read(folder, "next").splitlines()) == 3000 + len(OLD)


@mounts
def test_full_of_files(folder):
    code, stderr = in_mount(folder, """
        mount -t tmpfs -o nr_inodes=6 none disk
        cp maillog authlog bruteforce pf-table disk
        : > disk/filler""", NIGHT)
    assert code == b"1"
    assert b"No space left" in one_complaint(stderr)
    assert read(folder, "made") == BEFORE
    assert read(folder, "next") == AFTER


@mounts
def test_read_only_disk(folder):
    code, stderr = in_mount(folder, """
        mount -t tmpfs none disk
        cp maillog authlog bruteforce pf-table disk
        mount -o remount,ro disk""", NIGHT)
    assert code == b"1"
    assert b"Read-only" in one_complaint(stderr)
    assert read(folder, "made") == BEFORE


@pytest.mark.parametrize("limit", (0, 1, len(BEFORE), len(table(OLD, MAIL, AUTH)) - 1))
def test_limit_on_file_size(folder, limit):
    # SIGXFSZ, which kills by default, comes with it
    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    code, stderr = run(folder, "--no-pf", preexec_fn=lower)
    assert code == 1
    assert b"too large" in one_complaint(stderr)
    assert read(folder, "bruteforce") == BEFORE
    assert names(folder) == names_of_night()


def become_nobody():
    if ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def python_for_nobody():
    """A Python that an unprivileged user can start; skips the test where there is none."""
    for path in ["/usr/bin/python3", "/usr/local/bin/python3"] + list(PYTHONS.values()):
        with contextlib.suppress(OSError):
            if subprocess.run([path, "-IS", "-c", ""], preexec_fn=become_nobody, cwd="/",
                              stderr=subprocess.DEVNULL).returncode == 0:
                return path
    pytest.skip("no Python that an unprivileged user may start")


@pytest.mark.parametrize("what", ("directory", "table", "temporary"))
def test_no_permission(folder, what):
    python = python_for_nobody()
    shutil.copy(tools.SCRIPT, folder)
    if what == "temporary":
        # the directory is anybody's, but not what stands in the way there
        if not ROOT:
            pytest.skip("needs root, to be another user")
        put(b"", folder, temporary_name())
        os.chmod(os.path.join(folder, temporary_name()), 0o600)
        os.chmod(folder, 0o777)
    elif what == "table":
        os.chmod(os.path.join(folder, "bruteforce"), 0)
        os.chmod(folder, 0o777)
    else:
        os.chmod(folder, 0o555)
    listing = names(folder)
    code, stderr = run(folder, "--no-pf", python=python, preexec_fn=become_nobody,
                       script=os.path.join(folder, "logcheck.py"))
    os.chmod(folder, 0o755)
    os.chmod(os.path.join(folder, "bruteforce"), 0o644)
    assert code == 1
    assert b"Permission denied" in one_complaint(stderr)
    assert read(folder, "bruteforce") == BEFORE
    assert names(folder) == listing


# 3. Rivals.

RIVALS = 20


@pytest.mark.parametrize("exists", (True, False))
def test_rivals_lose_nothing(folder, exists):
    # a long table keeps each at it for a while; the Pythons take turns
    text = b"".join(b"10.0.%d.%d\n" % (number >> 8, number & 255) for number in range(20000))
    if exists:
        put(text, folder, "bruteforce")
    else:
        os.unlink(os.path.join(folder, "bruteforce"))
    pythons = list(PYTHONS.values())
    runs = []
    for number in range(RIVALS):
        log = "maillog.%d" % number
        put(maillog([b"203.0.113.%d" % (100 + number)]), folder, log)
        runs.append(start(command(folder, "--no-pf", python=pythons[number % len(pythons)],
                                  logs=(("-m", log), ("-a", "authlog"))), folder))
    ends = [finish(process) for process in runs]
    assert [code for code, _ in ends] == [0] * RIVALS
    said = [stderr for _, stderr in ends if stderr]
    assert [not_made(stderr) for stderr in said] == [] if exists else [b""]
    made = read(folder, "bruteforce").splitlines()
    assert set(made) == set((text if exists else b"").splitlines()) | set(AUTH) | {
        b"203.0.113.%d" % (100 + number) for number in range(RIVALS)}
    assert len(made) == len(set(made))
    assert set(names(folder)) == set(names_of_night()) | {
        "maillog.%d" % number for number in range(RIVALS)}


def test_killed_holder_stops_nobody(folder):
    with stopped_holder(folder) as (holder, _):
        waiting = start(command(folder, "--no-pf"), folder)
        time.sleep(0.5)
        assert waiting.poll() is None, "a run does not wait for the lock"
        holder.kill()
        assert finish(waiting) == (0, b"")
    assert set(MAIL + AUTH) < set(read(folder, "bruteforce").splitlines())
    assert names(folder) == names_of_night()


def test_waiting_run_gives_up(folder, impatient):
    with stopped_holder(folder) as (holder, name):
        before = read(folder, "bruteforce")
        held = os.stat(os.path.join(folder, name)).st_ino
        code, stderr = run(folder, script=impatient)
        assert code == 1
        one_complaint(stderr)
        assert read(folder, "bruteforce") == before
        assert os.stat(os.path.join(folder, name)).st_ino == held
        # the one it waited for ends well
        holder.send_signal(signal.SIGCONT)
        assert finish(holder) == (0, b"")
    assert set(MAIL + AUTH) < set(read(folder, "bruteforce").splitlines())
    assert names(folder) == names_of_night()


def test_dry_run_waits_for_nobody(folder):
    with stopped_holder(folder):
        assert run(folder, "-n") == (0, b"")


# 4. The file keeps its face.

@pytest.mark.parametrize("mode", (0o640, 0o600, 0o444, 0o664, 0o400, 0o4755))
def test_mode_stays(folder, mode):
    path = os.path.join(folder, "bruteforce")
    os.chmod(path, mode)
    assert run(folder) == (0, b"")
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    assert read(path) == AFTER


@pytest.mark.skipif(not ROOT, reason="needs root, to give files away")
def test_owner_and_group_stay(folder):
    path = os.path.join(folder, "bruteforce")
    os.chown(path, STRANGER, STRANGER + 1)
    os.chmod(path, 0o640)
    assert run(folder) == (0, b"")
    face = os.stat(path)
    assert (face.st_uid, face.st_gid) == (STRANGER, STRANGER + 1)
    assert stat.S_IMODE(face.st_mode) == 0o640
    assert read(path) == AFTER


@pytest.mark.parametrize("place", ("real", "other/real"))
@pytest.mark.parametrize("absolute", (True, False))
@pytest.mark.parametrize("steps", (1, 2))
@pytest.mark.parametrize("dangling", (True, False))
def test_link_stays(folder, place, absolute, steps, dangling):
    path, real = os.path.join(folder, "bruteforce"), os.path.join(folder, place)
    os.mkdir(os.path.join(folder, "other"))
    os.rename(path, real)
    os.chmod(real, 0o640)
    if dangling:
        os.unlink(real)
    aim = real if absolute else place
    if steps == 2:
        os.symlink(aim, os.path.join(folder, "step"))
        aim = "step"
    os.symlink(aim, path)
    code, stderr = run(folder, preexec_fn=lambda: os.umask(0o022))
    assert (code, not_made(stderr), bool(stderr)) == (0, b"", dangling)
    assert os.readlink(path) == aim
    assert not os.path.islink(real)
    assert read(real) == (table(MAIL, AUTH, PF) if dangling else AFTER)
    assert stat.S_IMODE(os.stat(real).st_mode) == (0o644 if dangling else 0o640)
    assert set(names(folder)) == set(names_of_night()) | {"other"} | (
        {"step"} if steps == 2 else set()) | ({"real"} if place == "real" else set())
    assert os.listdir(os.path.join(folder, "other")) == ([] if place == "real" else ["real"])


def test_link_to_itself_is_refused(folder):
    path = os.path.join(folder, "bruteforce")
    os.unlink(path)
    os.symlink("bruteforce", path)
    code, stderr = run(folder)
    assert code == 1
    assert b"symbolic links" in one_complaint(stderr)
    assert os.readlink(path) == "bruteforce"
    assert names(folder) == names_of_night()


@pytest.mark.parametrize("umask", (0, 0o022, 0o027, 0o077))
@pytest.mark.parametrize("relative", (True, False))
def test_new_file(folder, umask, relative):
    path = os.path.join(folder, "bruteforce")
    os.unlink(path)
    options = ["-e", "bruteforce"] if relative else []
    code, stderr = run(folder, *options, preexec_fn=lambda: os.umask(umask))
    assert (code, not_made(stderr), len(stderr.splitlines())) == (0, b"", 1)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644 & ~umask
    assert read(path) == table(MAIL, AUTH, PF)
    assert names(folder) == names_of_night()


def make(kind, path):
    """Make a file of a kind at path; skips the test where that is not permitted."""
    if kind == "directory":
        os.mkdir(path)
    elif kind == "directory with a file":
        os.mkdir(path)
        put(b"kept\n", path, "kept")
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as end:
            end.bind(path)
    elif kind == "null device":
        # a node of its own: the host's /dev is no place to try this
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.stat("/dev/null").st_rdev)
        except OSError:
            pytest.skip("device nodes are not permitted here")


@pytest.mark.parametrize("link", (False, True))
@pytest.mark.parametrize("kind", ("directory", "FIFO", "socket", "null device"))
def test_what_is_no_file_is_refused(folder, kind, link):
    path = os.path.join(folder, "bruteforce")
    os.unlink(path)
    thing = os.path.join(folder, "thing")
    make(kind, thing if link else path)
    if link:
        os.symlink("thing", path)
    listing, face = names(folder), os.lstat(path)
    code, stderr = run(folder)
    assert code == 1
    one_complaint(stderr)
    assert os.path.samestat(os.lstat(path), face)
    assert names(folder) == listing
    # nothing was written, so there is nothing to load
    assert b"-f " not in read(folder, "pf-log")


# 5. The logs move while we read.

@contextlib.contextmanager
def stopped_reader(folder):
    """A run that stands still in the middle of reading folder/maillog, a long one: Popen."""
    filler = b"Apr  8 11:00:00 mx postfix/smtpd[1]: connect from host.example[192.0.2.99]\n"
    path = os.path.join(folder, "maillog")
    put(maillog(MAIL[:4]) + filler * 400000 + maillog(MAIL[4:]), path)
    size = os.stat(path).st_size

    def position(process):
        """How far the process has read in path (int), or None."""
        with contextlib.suppress(OSError):
            for fd in os.listdir("/proc/%d/fd" % process.pid):
                if os.path.realpath("/proc/%d/fd/%s" % (process.pid, fd)) == path:
                    return int(read("/proc/%d/fdinfo/%s" % (process.pid, fd)).split()[1])
        return None

    for _ in range(20):
        process = start(command(folder), folder)
        while process.poll() is None and not position(process):
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        if process.poll() is None and 0 < (position(process) or 0) < size:
            break
        process.kill()
        process.communicate()
    else:
        pytest.fail("no run could be stopped while it read the log")
    try:
        yield process
        process.send_signal(signal.SIGCONT)
    finally:
        if process.poll() is None and sys.exc_info()[0]:
            process.kill()


proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fdinfo"), reason="needs /proc")


@proc
def test_log_grows(folder):
    with stopped_reader(folder) as process:
        with open(os.path.join(folder, "maillog"), "ab") as log:
            log.write(maillog([b"203.0.113.99"]))
    assert finish(process) == (0, b"")
    assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH, PF, [b"203.0.113.99"])


@proc
def test_log_is_rotated(folder):
    path = os.path.join(folder, "maillog")
    with stopped_reader(folder) as process:
        os.rename(path, path + ".0")
        put(maillog([b"203.0.113.99"]), path)
    assert finish(process) == (0, b"")
    # the old log to its end: what the new one holds is for the next night
    assert read(folder, "bruteforce") == AFTER


@proc
def test_log_is_truncated(folder):
    path = os.path.join(folder, "maillog")
    with stopped_reader(folder) as process:
        put(b"", path)
    code, stderr = finish(process)
    assert (code, stderr) == (0, b"")
    assert read(folder, "bruteforce") == table(OLD, MAIL[:4], AUTH, PF)


@pytest.mark.parametrize("kind", ("FIFO", "held FIFO", "directory", "socket", "missing"))
def test_log_that_gives_nothing(folder, impatient, kind):
    path = os.path.join(folder, "maillog")
    os.unlink(path)
    make(kind.replace("held ", ""), path)
    # held: somebody has it open for writing and never writes
    held = [os.open(path, os.O_RDWR)] if kind == "held FIFO" else []
    try:
        code, stderr = run(folder, script=impatient)
    finally:
        for fd in held:
            os.close(fd)
    assert code == 1
    assert one_complaint(stderr).startswith(b"logcheck: " + path.encode() + b": ")
    assert read(folder, "bruteforce") == table(OLD, AUTH, PF)
    assert b"\n-f " in read(folder, "pf-log")


def open_writer(fifo, process):
    """Open a FIFO for writing as soon as a run has opened its end. Returns a file."""
    while process.poll() is None:
        with contextlib.suppress(OSError):
            fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(fd, True)
            return open(fd, "wb", buffering=0)
        time.sleep(0.005)
    raise AssertionError("ends without reading its log: %s" % (finish(process),))


@pytest.mark.parametrize("pause", (0, 0.3))
def test_log_from_a_fifo(folder, impatient, pause):
    # the writer comes late, and pauses in the middle of a line
    path, text = os.path.join(folder, "maillog"), maillog(MAIL)
    os.unlink(path)
    os.mkfifo(path)
    process = start(command(folder, script=impatient), folder)
    time.sleep(pause)
    with open_writer(path, process) as log:
        for piece in (text[:100], text[100:]):
            log.write(piece)
            time.sleep(pause)
    assert finish(process) == (0, b"")
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("kind", ("gone", "directory", "FIFO", "socket"))
def test_rotated_log_that_gives_nothing(folder, impatient, kind):
    # careful mode reads it; gone: renamed once more after its folder was listed
    path = os.path.join(folder, "maillog.0")
    if kind == "gone":
        os.symlink("nothing", path)
    else:
        make(kind, path)
    code, stderr = run(folder, "-c", script=impatient)
    assert code in (0, 1)
    assert len(complaints(stderr)) == code
    assert read(folder, "bruteforce") == AFTER


# 6. pf says no.

WORDS = b"pfctl: Syntax error in config file: pf rules not loaded"


def test_pf_refuses_the_ruleset(folder):
    code, stderr = run(folder, env={"PF_FAIL": "load"})
    assert code == 1
    assert WORDS in one_complaint(stderr)
    assert read(folder, "bruteforce") == AFTER
    assert names(folder) == names_of_night()


def test_pf_does_not_show_its_table(folder):
    code, stderr = run(folder, env={"PF_FAIL": "show"})
    assert code == 1
    assert WORDS in one_complaint(stderr)
    # the rest of the work is done; what a failed pfctl has printed is not to be trusted
    assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH)
    assert b"\n-f " in read(folder, "pf-log")


@pytest.mark.parametrize("kind", ("missing", "not executable", "no program", "killed", "wordy"))
def test_pfctl_that_does_not_work(folder, kind):
    place = os.path.join(folder, "bin")
    os.mkdir(place)
    path = os.path.join(place, "pfctl")
    if kind != "missing":
        put({"no program": b"\0\0\0\0", "killed": b"#!/bin/sh\nkill -9 $$\n",
             "wordy": b"#!/bin/sh\nyes 'no\033[2J such' | head -20 >&2; exit 1\n"}.get(
                 kind, b"#!/bin/sh\n"), path)
        os.chmod(path, 0o644 if kind == "not executable" else 0o755)
    code, stderr = run(folder, env={"PATH": place + ":/usr/bin:/bin"})
    assert code == 1
    assert 1 <= len(complaints(stderr)) <= 2
    assert b"\033" not in stderr
    assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH)


# 7. It trusts nothing of its surroundings.

def evil_names():
    """The names of all modules that a Python here could import, and site's two hooks."""
    found = {"sitecustomize", "usercustomize"} | set(sys.builtin_module_names)
    for python in PYTHONS.values():
        paths = subprocess.run([python, "-IS", "-c", "import sys; print('\\n'.join(sys.path))"],
                               stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        for path in filter(os.path.isdir, paths):
            found.update(name.split(".")[0] for name in os.listdir(path)
                         if re.match(r"[A-Za-z_]\w*(\.\w+\.so|\.so|\.py)?\Z", name)
                         and not name.startswith("__"))
    return found


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A folder of modules that leave a mark when somebody imports them."""
    place = tmp_path_factory.mktemp("evil")
    for name in evil_names():
        (place / (name + ".py")).write_text(
            "open(%r, 'a').write(%r)\n" % (str(place / "mark"), name + "\n"))
    return str(place)


def own_imports(python):
    """The modules that a Python imports before it comes to any script, or tries to (set of str)."""
    loaded = subprocess.run([python, "-c", "import sys; print(*sys.modules)"], cwd="/",
                            env={}, stdout=subprocess.PIPE, check=True).stdout.decode()
    return set(loaded.split()) | {"sitecustomize", "usercustomize"}


@pytest.mark.parametrize("how", ("itself", "python3"))
@pytest.mark.parametrize("place", ("current directory", "PYTHONPATH", "its own directory"))
@pytest.mark.parametrize("version", PYTHONS)
def test_no_module_from_elsewhere(folder, evil, version, place, how):
    python = PYTHONS[version]
    os.mkdir(os.path.join(folder, "bin"))
    os.symlink(python, os.path.join(folder, "bin", "python3"))
    env = {"PATH": ":".join([os.path.join(folder, "bin"), tools.STANDINS, "/usr/bin", "/bin"])}
    script, cwd = os.path.join(folder, "logcheck.py"), folder
    if place == "current directory":
        cwd = evil
    elif place == "its own directory":
        script = os.path.join(evil, "logcheck.py")
    else:
        # what a Python that was not told -I takes from there before it opens any script is
        # beyond a script's reach
        env["PYTHONPATH"] = os.path.join(folder, "evil")
        os.mkdir(env["PYTHONPATH"])
        own = own_imports(python)
        for name in os.listdir(evil):
            if name.endswith(".py") and name[:-3] not in own:
                os.symlink(os.path.join(evil, name), os.path.join(folder, "evil", name))
    shutil.copy(tools.SCRIPT, script)
    words = {"itself": [], "python3": ["python3"]}[how] + [script]

    # a packed log, a FIFO and options make it import all it ever does
    with gzip.open(os.path.join(folder, "maillog.gz"), "wb") as log:
        log.write(NIGHT.maillog)
    os.mkfifo(os.path.join(folder, "fifo"))
    process = start(words + ["-v"] + command(folder, logs=(
        ("-m", "maillog.gz"), ("-a", "authlog"), ("-a", "fifo")))[3:], folder, env=env, cwd=cwd)
    threading.Thread(target=put, args=(b"", folder, "fifo"), daemon=True).start()
    code, stderr = finish(process)
    mark = os.path.join(evil, "mark")
    marked = read(mark).decode() if os.path.exists(mark) else ""
    if marked:
        os.unlink(mark)
    assert not marked, "imported from elsewhere: " + " ".join(marked.split())
    assert code == 0, stderr
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("kind", (
    "link", "dangling link", "link to a directory", "link to the table", "hard link",
    "hard link to the table", "open file", "locked file", "FIFO", "socket", "directory",
    "directory with a file"))
def test_temporary_file_made_by_another(folder, impatient, kind):
    path = os.path.join(folder, temporary_name())
    os.mkdir(os.path.join(folder, "home"))
    victim, real = os.path.join(folder, "home", "victim"), os.path.join(folder, "bruteforce")
    put(b"precious\n", victim)
    os.chmod(victim, 0o600)
    held = []
    if kind.startswith("link"):
        os.symlink({"link": victim, "link to a directory": os.path.dirname(victim),
                    "link to the table": real}[kind], path)
    elif kind == "dangling link":
        os.symlink(os.path.join(folder, "home", "nothing"), path)
    elif kind.startswith("hard link"):
        try:
            os.link(real if "table" in kind else victim, path)
        except OSError:
            pytest.skip("hard links are not permitted here")
    elif kind.endswith("file") and "directory" not in kind:
        put(b"192.0.2.66\n", path)
        os.chmod(path, 0o666)
        if ROOT:
            os.chown(path, STRANGER, STRANGER)
        held.append(os.open(path, os.O_WRONLY | os.O_APPEND))
        if kind == "locked file":
            fcntl.flock(held[0], fcntl.LOCK_EX)
    else:
        make(kind, path)
    face = os.stat(real)
    code, stderr = run(folder, script=impatient)
    for fd in held:
        # who still has the file open cannot write to the table
        os.write(fd, b"192.0.2.66\n")
        os.close(fd)

    assert read(victim) == b"precious\n"
    assert stat.S_IMODE(os.stat(victim).st_mode) == 0o600
    assert os.listdir(os.path.join(folder, "home")) == ["victim"]
    made = os.lstat(real)
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (
        stat.S_IMODE(face.st_mode), face.st_uid, face.st_gid)
    if kind.startswith("directory") or kind in ("socket", "locked file"):
        # nothing that a run may remove: whoever can write here can stop it, and no more
        assert code == 1
        one_complaint(stderr)
        assert read(real) == BEFORE
        assert os.path.lexists(path)
        if kind == "directory with a file":
            assert read(path, "kept") == b"kept\n"
    else:
        assert (code, stderr) == (0, b"")
        assert read(real) == AFTER
        assert set(names(folder)) == set(names_of_night()) | {"home"}


ODD = [
    {"LANG": "tr_TR.UTF-8"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "LANG": "de_DE.ISO8859-1"},
    {"LC_ALL": "no such locale"}, {"LC_TIME": "ja_JP.UTF-8"}, {"PYTHONIOENCODING": "utf-16"},
    {"PYTHONUTF8": "1"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANGUAGE": "de", "LC_MESSAGES": "de_DE.UTF-8"}, {"TMPDIR": "/nonexistent"},
    {"PYTHONOPTIMIZE": "2"}, {"PYTHONDONTWRITEBYTECODE": "1"}, {"IFS": "/x"},
    {"POSIXLY_CORRECT": ""},
]


@pytest.mark.parametrize("how", ("itself", "python3"))
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ",".join(odd))
def test_odd_environment(folder, odd, how):
    path = os.path.join(folder, "maillog-\udcff")
    os.rename(os.path.join(folder, "maillog"), path)
    words = (["python3"] if how == "python3" else []) + [tools.SCRIPT]
    words += command(folder, "-m", os.path.join(folder, "no-\udcfe"),
                     logs=(("-m", "maillog-\udcff"), ("-a", "authlog")))[3:]
    # the real Python: a version manager's shim has words of its own
    os.mkdir(os.path.join(folder, "bin"))
    os.symlink(PYTHON, os.path.join(folder, "bin", "python3"))
    path = ":".join([os.path.join(folder, "bin"), tools.STANDINS, os.environ["PATH"]])
    code, stderr = finish(start([os.fsencode(word) for word in words], folder,
                                env=dict(odd, PATH=path)))
    assert code == 1
    assert b"no-\\xfe" in one_complaint(stderr)
    assert read(folder, "bruteforce") == AFTER


def installed(folder):
    """A copy of the script whose first line names its Python, as `make install` makes it."""
    path = os.path.join(folder, "installed")
    with open(tools.SCRIPT) as script, open(path, "w") as copy:
        copy.write("#!%s -IS\n" % PYTHON + script.read().split("\n", 1)[1])
    os.chmod(path, 0o755)
    return path


# variables that -I keeps from Python
@pytest.mark.parametrize("odd", (
    {"PYTHONINSPECT": "1"}, {"PYTHONSTARTUP": "maillog"}, {"PYTHONWARNINGS": "error"},
    {"PYTHONDEVMODE": "1"}, {"PYTHONHOME": "/nonexistent"}, {"PYTHONVERBOSE": "1"},
    {"PYTHONDEBUG": "1"}, {"PYTHONHASHSEED": "nonsense"}), ids=lambda odd: ",".join(odd))
def test_odd_python(folder, odd):
    words = [installed(folder)] + command(folder)[3:]
    assert finish(start(words, folder, env=odd)) == (0, b"")
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("umask", (0, 0o077, 0o777))
def test_inherited_umask(folder, umask):
    path = os.path.join(folder, "bruteforce")
    assert run(folder, "--no-pf", preexec_fn=lambda: os.umask(umask)) == (0, b"")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert read(path) == table(OLD, MAIL, AUTH)


@pytest.mark.parametrize("zone", ("UTC", "Asia/Tokyo", "XYZ-3", "", ":nonsense", "/etc/passwd"))
def test_time_zone_changes_only_the_range(folder, zone):
    # noon of the day before is within the last day everywhere but near the date line
    assert run(folder, env={"TZ": zone}) == (0, b"")
    assert read(folder, "bruteforce") == AFTER


def test_time_zone_changes_the_range(folder):
    # at 01:30 UTC the last day began at 10:30 in Tokyo, where 12:00 was within it: 15:30 hours on
    # the other side of the date line it did not begin before the evening
    assert run(folder, env={"TZ": "XYZ-14"}) == (0, b"")
    assert read(folder, "bruteforce") == table(OLD, PF)


COMBINATIONS = [fds for count in range(4) for fds in itertools.combinations((0, 1, 2), count)]


@pytest.mark.parametrize("how", ("itself", "python3"))
@pytest.mark.parametrize("closed", COMBINATIONS, ids=str)
def test_closed_descriptors(folder, closed, how):
    # its messages must not land in the file that got the number of stderr
    def close():
        for fd in closed:
            os.close(fd)
    words = {"itself": [], "python3": ["python3"]}[how] + [tools.SCRIPT]
    words += command(folder, "-v", "-m", os.path.join(folder, "missing"))[3:]
    before = {name: read(folder, name) for name in names(folder)}
    before["bruteforce"] = AFTER
    process = start(words, folder, preexec_fn=close)
    code, stderr = finish(process)
    assert {name: read(folder, name) for name in names(folder)} == before
    assert code == 1
    assert (b"missing" in stderr) == (2 not in closed)
    assert b"missing" not in read(folder, "pf-log")


@injection
def test_no_file_takes_the_place_of_stderr(folder):
    trace = os.path.join(folder, "trace")
    words = ["strace", "-o", trace, "-e", "trace=openat,open", "sh", "-c",
             'exec "$@" <&- >&- 2>&-', "sh"] + command(folder)
    assert finish(start(words, folder)) == (0, b"")
    numbers = re.findall(r'(?m)/(?:maillog|authlog|bruteforce)[^/"]*".* = ([0-9]+)$',
                         read(trace).decode())
    assert len(numbers) >= 4 and min(map(int, numbers)) > 2


@pytest.mark.parametrize("options", ((), ("-v",)))
@pytest.mark.parametrize("kind", ("full", "gone"))
def test_stderr_that_takes_nothing(folder, kind, options):
    if kind == "full":
        if not os.path.exists("/dev/full"):
            pytest.skip("needs /dev/full")
        sink = os.open("/dev/full", os.O_WRONLY)
    else:
        # a pipe that nobody reads any more
        reader, sink = os.pipe()
        os.close(reader)
    try:
        code, _ = run(folder, "-m", os.path.join(folder, "missing"), *options, stderr=sink)
    finally:
        os.close(sink)
    assert code == 1
    assert read(folder, "bruteforce") == AFTER
    assert b"\n-f " in read(folder, "pf-log")


def test_dry_run_on_stdout_that_takes_nothing(folder):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        code, stderr = run(folder, "-n", stdout=full)
    assert code == 1
    assert b"stdout" in one_complaint(stderr)
    assert read(folder, "bruteforce") == BEFORE


# What a log or an admin may do to a run.

@pytest.mark.parametrize("count", (20, 21, 10000))
def test_many_unloadable_entries_are_few_lines(folder, count):
    bad = [b"999.%d.%d.1" % (number >> 8, number & 255) for number in range(count)]
    put(maillog(bad + MAIL), folder, "maillog")
    code, stderr = run(folder)
    assert code == 0
    assert len(complaints(stderr)) == min(count, 21)
    assert (b"%d more" % (count - 20) in stderr) == (count > 20)
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("what", ("pfctl", "sendmail"))
def test_command_that_hangs(folder, what):
    os.mkdir(os.path.join(folder, "bin"))
    path = os.path.join(folder, "bin", what)
    put(b"#!/bin/sh\nexec sleep 100\n", path)
    os.chmod(path, 0o755)
    script = tools.script_with(folder, "PATIENCE", 1)
    before = time.time()
    code, stderr = run(folder, *[] if what == "pfctl" else ["--mail", "root", "--no-pf"],
                       script=script, env={"PATH": os.path.dirname(path) + ":/usr/bin:/bin"})
    assert code == 1
    assert time.time() - before < 30
    assert all(b"no answer for 1 second" in line for line in complaints(stderr)) and stderr
    assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH)


@pytest.mark.parametrize("options", ((), ("-c",)))
@pytest.mark.parametrize("behind", (b"", b"\n"))
def test_hole_of_a_power_cut(folder, options, behind):
    with open(os.path.join(folder, "maillog"), "wb") as log:
        # at a line's beginning, or in the middle of one
        log.write(maillog(MAIL[:4]) + (b"Apr  8 11:" if behind else b""))
        log.seek(300 << 20, os.SEEK_CUR)
        log.write(behind + maillog(MAIL[4:]))

    def lower():
        resource.setrlimit(resource.RLIMIT_AS, (100 << 20, 100 << 20))
    assert run(folder, *options, preexec_fn=lower) == (0, b"")
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("options", ((), ("-c",)))
def test_line_over_a_megabyte(folder, options):
    # its first megabyte stands for it, and what comes after it is found
    line = maillog([b"203.0.113.99"])[:-1]
    put(maillog(MAIL[:4]) + line + b"x" * (2 << 20) + b" 203.0.113.98\n" + maillog(MAIL[4:]),
        folder, "maillog")
    assert run(folder, *options) == (0, b"")
    assert read(folder, "bruteforce") in (AFTER, table(OLD, MAIL, AUTH, PF, [b"203.0.113.99"]))
    assert options or b"203.0.113.99" in read(folder, "bruteforce")


def test_empty_file_name(folder):
    code, stderr = run(folder, "-e", "")
    assert code == 2
    assert b"file name" in one_complaint(stderr)
    assert b"directory" not in stderr


@injection
def test_folder_that_cannot_be_synced(folder):
    # the table is in place by then: that is said, and pf takes it
    code, stderr, _ = strace(folder, SCENES["a night"], [
        "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=2"])
    assert code == 1
    assert b": written, but" in one_complaint(stderr)
    assert read(folder, "bruteforce") == AFTER
    assert b"\n-f " in read(folder, "pf-log")


@injection
def test_leftover_that_another_run_replaces(folder):
    # between a run's open and its lock the leftover goes, and a living run's file stands there
    path = os.path.join(folder, temporary_name())
    put(b"192.0.2.66\n", path)
    trace = os.path.join(folder, "trace")
    process = start(["strace", "-o", trace, "-e", "trace=openat,flock", "-e",
                     "inject=flock:delay_enter=1000000:when=1"]
                    + command(folder, "--no-pf"), folder)
    deadline = time.time() + PATIENCE
    while not (os.path.exists(trace) and b"O_NOFOLLOW" in read(trace)):
        assert time.time() < deadline
        time.sleep(0.01)
    os.unlink(path)
    with open(path, "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        time.sleep(1.5)
        assert os.path.samestat(os.lstat(path), os.fstat(other.fileno()))
        assert process.poll() is None
        os.unlink(path)
    assert finish(process) == (0, b"")
    assert read(folder, "bruteforce") == table(OLD, MAIL, AUTH)
    os.unlink(trace)
    assert names(folder) == names_of_night()


# Signals that end a run.

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


def ended(process):
    """Check what a run that a signal has ended says."""
    code, stderr = finish(process)
    assert code != 0
    assert b"Traceback" not in stderr
    complaints(stderr)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_signal_while_reading(folder, number):
    path = os.path.join(folder, "authlog")
    os.unlink(path)
    os.mkfifo(path)
    process = start(command(folder), folder)
    with open_writer(path, process):
        process.send_signal(number)
        ended(process)
    assert read(folder, "bruteforce") == BEFORE
    assert names(folder) == names_of_night()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_signal_while_waiting(folder, number):
    with stopped_holder(folder) as (holder, name):
        before, listing = read(folder, "bruteforce"), names(folder)
        process = start(command(folder), folder)
        time.sleep(0.5)
        process.send_signal(number)
        ended(process)
        assert read(folder, "bruteforce") == before
        assert names(folder) == listing


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_signal_while_holding(folder, number):
    with stopped_holder(folder) as (holder, name):
        before = read(folder, "bruteforce")
        holder.send_signal(number)
        holder.send_signal(signal.SIGCONT)
        ended(holder)
        # it may have finished what it was about
        made = read(folder, "bruteforce")
        assert set(made.splitlines()) in (set(before.splitlines()),
                                          set(before.splitlines() + MAIL + AUTH + PF))
        assert names(folder) == names_of_night()


@pytest.mark.parametrize("number", (signal.SIGHUP, signal.SIGINT), ids=lambda number: number.name)
def test_ignored_signal_stays_ignored(folder, number):
    # nohup logcheck.py, or one that make started in the background
    path = os.path.join(folder, "authlog")
    os.unlink(path)
    os.mkfifo(path)
    process = start(command(folder), folder,
                    preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    with open_writer(path, process) as writer:
        process.send_signal(number)
        writer.write(NIGHT.authlog)
    assert finish(process) == (0, b"")
    assert read(folder, "bruteforce") == AFTER


@pytest.mark.parametrize("deed, options", (("load", ()), ("replace", ("-c",))))
def test_ignored_child_signal_hides_no_failure(folder, deed, options):
    code, stderr = run(folder, *options, env={"PF_FAIL": deed}, preexec_fn=lambda: signal.signal(
        signal.SIGCHLD, signal.SIG_IGN))
    assert code == 1
    assert WORDS in one_complaint(stderr)


@injection
def test_interrupted_start_is_one_line():
    # while the script's modules are loaded: Python's own start is beyond its reach
    with new_folder() as folder:
        _, _, trace = strace(folder, SCENES["a night"], ["-e", "trace=openat"])
    opened = trace.decode("latin-1").splitlines()
    begun = [tools.SCRIPT in line for line in opened].index(True) + 2
    last = begun + ["/dev/null" in line for line in opened[begun:]].index(True)
    assert last > begun
    for number in range(begun, last + 1, 3):
        with new_folder() as folder:
            code, stderr, _ = strace(folder, SCENES["a night"], [
                "-e", "trace=openat", "-e", "inject=openat:signal=INT:when=%d" % number])
            assert code != 0
            assert b"Traceback" not in stderr and len(stderr.splitlines()) <= 1, number
            assert read(folder, "bruteforce") == BEFORE


@injection
def test_faults_were_injected(capsys, record_property):
    # the last test of the file tells what the first ones did
    if not INJECTED["faults"]:
        pytest.skip("the tests that inject faults were not run")
    record_property("faults", INJECTED["faults"])
    record_property("calls", len(INJECTED["calls"]))
    with capsys.disabled():
        print("\n%d faults injected (%d errors, %d SIGKILL, %d SIGTERM) into %d system calls"
              % (INJECTED["faults"], INJECTED["error"], INJECTED["KILL"], INJECTED["TERM"],
                 len(INJECTED["calls"])))
    assert INJECTED["error"] and INJECTED["KILL"]


def main():
    """Inject every fault into all calls of all scenes. Returns how many went wrong."""
    wrong = []
    for scene_name, name in traced_names():
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong += itertools.chain.from_iterable(pool.map(
                lambda fault: inject(scene_name, *fault), faults(scene_name, name)))
    print("%d faults injected (%d errors, %d SIGKILL, %d SIGTERM), %d wrong"
          % (INJECTED["faults"], INJECTED["error"], INJECTED["KILL"], INJECTED["TERM"],
             len(wrong)))
    print("\n".join(wrong))
    return len(wrong)


if __name__ == "__main__":
    sys.exit(NO_INJECTION or bool(main()))
