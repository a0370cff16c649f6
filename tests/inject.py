"""`make faults`: each system call of a run fails with each error that it can have, and is the last
thing that the run does (SIGKILL, SIGTERM), on Linux with strace. A scene more is a line in SCENES.
test_faults.py uses the scenes and judge() too, on calls on our own files and without strace.
"""
import concurrent.futures
import contextlib
import itertools
import os
import py_compile
import re
import subprocess
import sys
import tempfile
import time

from host import ATTACK, MAIL as LEFT, PATIENCE, SCRIPT, Host

TEMPORARY, LEFTOVER = "bruteforce.logcheck", b"192.0.2.66\n"
# one night: what the table held before, and what each source has to give
OLD = [b"# kept by hand", b"192.0.2.1", b"192.0.2.200"]
MAIL = [b"203.0.113.%d" % number for number in range(1, 9)]
AUTH = [b"198.51.100.%d" % number for number in range(1, 9)]
PF = [b"192.0.2.77", b"192.0.2.78"]


def log(addresses, line=LEFT):
    """A log (bytes) that names addresses (list of bytes)."""
    return b"".join(line % address for address in addresses)


def table(*sources):
    """The table (bytes) that holds the entries of all the sources (lists of bytes)."""
    return b"".join(entry + b"\n" for entry in sorted(set().union(*sources), key=lambda entry: [
        int(part) for part in entry.split(b".") if part.isdigit()]))


class Scene:
    """A kind of run to inject faults into. options: further ones; before: the table file (bytes),
    or None; pf: whether pf is asked; leftover: whether a killed run has left one; part: the calls
    to fault, "all", those up to the table ("logs"), or those from there on ("table"); always: a
    fault that comes in any case; after: the new table and what pf must have, if not all there is.
    """
    script = None  # main() has one that starts faster

    def __init__(self, *options, before=table(OLD), pf=False, leftover=False, part="table",
                 always=None, after=None):
        self.options, self.before, self.pf, self.leftover = options, before, pf, leftover
        self.part, self.always = part, ["-e", "inject=" + always] if always else []
        sources, old = [MAIL, AUTH] + [PF] * pf, OLD if before else []
        self.after, self.after_pf = after or (table(old, *sources), set(old[1:]).union(*sources))
        # what a source that cannot be read leaves out, the exit code says
        self.tables = {self.after, undated(before)}.union(() if after else [
            table(old, *some) for count in range(len(sources))
            for some in itertools.combinations(sources, count)])

    def host(self, folder):
        """The scene's Host, in a new folder (str)."""
        os.mkdir(folder)
        host = Host(folder, log(MAIL), log(AUTH, ATTACK), self.before)
        if self.leftover:
            host.write(TEMPORARY, LEFTOVER)
        if self.pf:
            host.keep_tables(PF)
        host.options = self.options + (() if self.pf else ("--no-pf",))
        host.listing = set(host.names())
        return host


def undated(text):
    """A table (bytes, or None) without what --expire adds."""
    return text and re.sub(rb"(?m) # 20[0-9]{2}-.*$", b"", text)


SCENES = {
    "a night": Scene(pf=True, part="all"),
    "a careful night": Scene("-c", part="logs"),
    # these two add what differs from the night: creation, and clearing up after a killed run
    "the first night": Scene(before=None),
    "after a killed run": Scene(leftover=True),
    # the error path of a run that fails has calls of its own
    "a dying disk": Scene(always="fsync:error=EIO"),
    # pf takes the new table before it gets its name
    "a careful night with pf": Scene("-c", "-x", "30", pf=True,
                                     before=table(OLD)[:-1] + b" # 2018-04-08 authlog\n"
                                     b"192.0.2.9 # 2017-12-31 authlog\n"),
    "somebody is forgiven": Scene("--forgive", "192.0.2.200", "--forgive", "192.0.2.78", pf=True,
                                  after=(table(OLD[:2]), {PF[0]})),
}


def judge(scene, host, code, stderr, killed, lines):
    """What is wrong after a run with a fault (list of str). killed: whether that was SIGKILL;
    lines: how many there may be on stderr if the run has failed, or empty: anything may.
    """
    def look():
        made = host.read() if os.path.exists(host.path("bruteforce")) else None
        return undated(made), set(host.names()), re.sub(
            "logcheck: .*: was not there and has been made\n", "", stderr)
    wrong, (made, names, said) = [], look()
    if made not in scene.tables or code == 0 and made != scene.after:
        wrong.append("exit %d with the table %r" % (code, made))
    if killed:
        code, _, stderr = host.run(script=scene.script)
        made, names, said = look()
        # it may have forgiven before it was killed
        if (code, said, made) != (0, "", scene.after) and (
                made != scene.after or "nothing of it is there" not in said):
            wrong.append("next run: exit %d, %r, %r" % (code, stderr, made))
        if names != host.listing - {TEMPORARY} | {"bruteforce"}:
            wrong.append("next run leaves %s" % names)
    else:
        if names - host.listing - {"bruteforce"} or scene.leftover and TEMPORARY in names and (
                code == 0 or host.read(TEMPORARY) != LEFTOVER):
            wrong.append("left: %s" % names)
        said = said.splitlines()
        if lines and (code and len(said) not in lines or not all(
                re.match("logcheck: .+: .+", line) for line in said)):
            wrong.append("exit %d, stderr: %r" % (code, stderr))
    if scene.pf and host.pf() != scene.after_pf and (code == 0 or killed or host.pf() not in (
            set(PF), {entry for entry in (made or b"").splitlines() if b"#" not in entry})):
        wrong.append("exit %d, and pf has %s" % (code, host.pf()))
    return wrong


# The errors of ENOSPC, EIO, EINTR, EACCES and ENOMEM that calls can return: their manual pages; a
# network file system returns what its server says. Calls not named here get UNKNOWN.
ERRORS = {name: errors.split() for names, errors in (line.split(": ") for line in """\
openat: EACCES ENOSPC EIO EINTR ENOMEM
write fsync: ENOSPC EIO EINTR
read close: EIO EINTR
lseek ioctl: EIO
wait4: EINTR
newfstatat lstat stat: EACCES ENOMEM
fstat: EIO ENOMEM
flock poll select: EINTR ENOMEM
pipe2 mmap mremap munmap mprotect vfork fork clone clone3: ENOMEM
brk rt_sigaction rt_sigprocmask sigaltstack umask exit_group getpid gettid: """.split("\n"))
          for name in names.split()}
UNKNOWN = ["ENOSPC", "EIO", "EACCES", "ENOMEM"]
# what a full or dying disk answers, it answers again
LASTING = {"write": ["ENOSPC", "EIO"], "fsync": ["EIO"], "openat": ["ENOSPC"], "rename": ["EIO"]}


def start(host, *strace):
    """A run on a Host under strace with these options. Returns exit code and stderr (str)."""
    child = host.start(python="strace", flags=list(strace) + [sys.executable, "-IS"],
                       script=Scene.script, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    stderr = child.communicate(timeout=PATIENCE)[1].decode("latin-1")
    with contextlib.suppress(ProcessLookupError):
        for _ in range(100):  # the pfctl of a run that has ended may still be at work
            os.killpg(child.pid, 0)
            time.sleep(0.005)
    return child.returncode, stderr


def faults(scene_name, folder):
    """The faults to inject into a scene's calls from where Python opens the script: [(scene's name,
    strace's expression, whether main() has begun)]. Before main() one fault a call is enough.
    """
    scene, trace = SCENES[scene_name], folder + ".trace"
    start(scene.host(folder), "-y", "-o", trace, *scene.always)
    with open(trace, encoding="latin-1") as file:
        lines = [line for line in file if re.match(r"[a-z][a-z0-9_]*\(", line)]

    def first(word, behind):
        return next(at for at, line in enumerate(lines) if at > behind and word in line)
    opened = first(Scene.script, 0)  # behind strace's own execve
    begun = first('"/dev/null"', opened)
    at_table = first("/bruteforce", begun)
    wanted = {"all": range(opened + 1, len(lines)), "logs": range(begun, at_table),
              "table": range(at_table, len(lines))}[scene.part]
    seen, found = {}, []
    for at, line in enumerate(lines):
        name = line[:line.index("(")]
        seen[name] = seen.get(name, 0) + 1
        kinds = ["error=%s:when=%d" % (error, seen[name]) for error in ERRORS.get(name, UNKNOWN)]
        if at >= begun:
            kinds += ["signal=%s:when=%d" % (kind, seen[name]) for kind in ("KILL", "TERM")]
            if scene_name == "a night":
                kinds += ["error=%s:when=%d+" % (error, seen[name])
                          for error in LASTING.get(name, ())]
        if at in wanted:
            found += [(scene_name, name + ":" + kind, at >= begun)
                      for kind in kinds[:None if at >= begun else 1]]
    return found


def inject(scene_name, fault, begun):
    """Make a run with a fault. Returns whether it got to it, and what is wrong (list of str)."""
    scene = SCENES[scene_name]
    with tempfile.TemporaryDirectory() as top:
        host, trace = scene.host(os.path.join(top, "host")), os.path.join(top, "trace")
        # exec is a call of Python's child: strace counts anew in each process that it follows
        code, stderr = start(host, "-o", trace, "-e", "trace=" + fault.split(":")[0], "-e",
                             "inject=" + fault, *scene.always + ["-f"] * ("execve" in fault))
        least = 0 if "TERM" in fault or re.match(r"write:.*\+", fault) else 1
        wrong = judge(scene, host, code, stderr, "KILL" in fault,
                      range(least, 6 if "+" in fault else 4) if begun else ())
        if scene.always and "error" in fault:  # then what clears up may itself have failed
            wrong = [what for what in wrong if not what.startswith("left")]
        with open(trace, encoding="latin-1") as file:
            reached = re.search("INJECTED|SIGKILL|SIGTERM", file.read())
    return reached, ["%s: %s: %s" % (scene_name, fault, what) for what in wrong]


def main():
    """Inject all faults. Returns the exit code, 1 if any is wrong."""
    if os.system("strace -o /dev/null -e inject=chdir:error=EIO true"):
        print("skipped: needs strace that may trace and inject")
        return 0
    with tempfile.TemporaryDirectory() as top:
        # as good as the script itself, and in half of its time
        Scene.script = py_compile.compile(SCRIPT, os.path.join(top, "logcheck.pyc"))
        todo = [("a night", "execve:%s:when=1" % kind, True)
                for kind in ("error=EACCES", "error=EIO", "error=ENOMEM", "signal=KILL")]
        for scene_name in SCENES:
            todo += faults(scene_name, os.path.join(top, scene_name))
        with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
            ends = list(pool.map(inject, *zip(*todo)))
    wrong = [what for _, some in ends for what in some]
    kinds = [kind for (_, fault, _), (reached, _) in zip(todo, ends) if reached
             for kind in ("error", "KILL", "TERM") if kind in fault]
    print("\n".join(wrong + ["%d faults injected (%d errors, %d SIGKILL, %d SIGTERM), %d wrong" % (
        len(kinds), kinds.count("error"), kinds.count("KILL"), kinds.count("TERM"), len(wrong))]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
