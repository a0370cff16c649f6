"""What the tests share: the programs found on this machine, and running logcheck.py and its
reference on the same input.
"""
import calendar
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path.insert(0, TOP)
import logcheck  # noqa: E402
SCRIPT = os.path.join(TOP, "logcheck.py")
REFERENCE = os.path.join(HERE, "reference.sh")
STANDINS = os.path.join(HERE, "standins")
FIXTURES = sorted(path for path in glob.glob(os.path.join(TOP, "fixtures", "*"))
                  if os.path.isdir(path))


def pythons():
    """Every Python 3.6 or later found, each minor version once: {version (str): path}."""
    found = {"%d.%d" % sys.version_info[:2]: sys.executable}
    places = os.environ.get("PATH", "").split(":") + ["/usr/bin", "/usr/local/bin"]
    for root in (os.path.expanduser("~/.pyenv"), os.environ.get("PYENV_ROOT", "")):
        places += sorted(glob.glob(os.path.join(root, "versions", "3.*", "bin")))
    for place in places:
        for path in glob.glob(os.path.join(place, "python3.*")):
            name = re.match(r"python(3\.[0-9]+)\Z", os.path.basename(path))
            if name and int(name.group(1)[2:]) >= 6 and name.group(1) not in found:
                # a shim of a Python that is not there answers with an error
                done = subprocess.run([path, "-IS", "-c", "import sys; print(sys.executable)"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                if done.returncode == 0:
                    found[name.group(1)] = os.fsdecode(done.stdout.strip())
    return dict(sorted(found.items(), key=lambda item: int(item[0][2:])))


def pairs():
    """Every pair of a shell and an awk found: [(name, shell's command (list), awk's path)]."""
    shells = [(name, command) for name, command in (
        ("dash", ["dash"]), ("bash", ["bash", "--posix"]), ("mksh", ["mksh"]), ("ksh93", ["ksh93"]),
        ("busybox", ["busybox", "sh"])) if shutil.which(command[0])]
    if not shells:
        shells = [("sh", ["sh"])]
    awks = [awk for awk in ("mawk", "gawk", "original-awk", "busybox") if shutil.which(awk)]
    return [("%s+%s" % (shell, awk), command, shutil.which(awk))
            for shell, command in shells for awk in awks or ["awk"]]


class Case:
    """One input of both programs: logs, table, pf's table (bytes), now (epoch seconds), TZ."""

    def __init__(self, maillog=b"", authlog=b"", bruteforce=b"", pf_table=b"", now=0, tz="UTC",
                 days=1):
        self.maillog, self.authlog = maillog, authlog
        self.bruteforce, self.pf_table = bruteforce, pf_table
        self.now, self.tz, self.days = now, tz, days

    @classmethod
    def load(cls, folder):
        """The case of a fixture folder."""
        def read(name):
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()
        now = calendar.timegm(time.strptime(read("now").decode().strip(), "%Y-%m-%d %H:%M:%S"))
        return cls(read("maillog"), read("authlog"), read("bruteforce"), read("pf-table"), now)

    def write(self, folder):
        """Write the input to a folder, under the names of a fixture."""
        for name in ("maillog", "authlog", "bruteforce", "pf_table"):
            with open(os.path.join(folder, name.replace("_", "-")), "wb") as file:
                file.write(getattr(self, name))

    def environment(self, folder, path=STANDINS):
        """The environment in which the stand-ins find the case."""
        return {"PATH": path + ":" + os.environ["PATH"], "TZ": self.tz, "NOW": str(self.now),
                "DAYS": str(self.days), "PF_TABLE": os.path.join(folder, "pf-table"),
                "PF_LOG": os.path.join(folder, "pf-log"), "TMPDIR": folder}

    def reference(self, pair):
        """The table (bytes) that the pipeline makes with one of pairs()."""
        _, shell, awk = pair
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            if self.bruteforce and not self.bruteforce.endswith(b"\n"):
                # README, DIFFERENCES: logcheck.py does not glue the next entry to an unfinished line
                with open(os.path.join(folder, "bruteforce"), "ab") as file:
                    file.write(b"\n")
            os.mkdir(os.path.join(folder, "bin"))
            os.symlink(awk, os.path.join(folder, "bin", "awk"))
            environment = self.environment(folder, STANDINS + ":" + os.path.join(folder, "bin"))
            for name in ("maillog", "authlog"):
                environment[name.upper()] = os.path.join(folder, name)
            environment["ETCFILE"] = os.path.join(folder, "bruteforce")
            subprocess.run(shell + [REFERENCE], env=environment, check=True,
                           stdin=subprocess.DEVNULL)
            with open(os.path.join(folder, "bruteforce"), "rb") as file:
                return file.read()

    def logcheck(self, python, *options, script=SCRIPT):
        """The table (bytes) that logcheck.py makes, and its exit code and stderr."""
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            done = self.run(folder, python, *options, script=script)
            with open(os.path.join(folder, "bruteforce"), "rb") as file:
                return file.read(), done.returncode, done.stderr

    def run(self, folder, python, *options, script=SCRIPT):
        """Run logcheck.py on what write() has put into folder. Returns a CompletedProcess."""
        command = [python, script, "--now", str(self.now), "--days", str(self.days)]
        for option, name in (("-m", "maillog"), ("-a", "authlog"), ("-e", "bruteforce")):
            command += [option, os.path.join(folder, name)]
        return subprocess.run(command + list(options), env=self.environment(folder),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)


def script_with(folder, name, number):
    """A copy in a folder of the script in which an admin has set a constant (str) to a number.
    Returns its path.
    """
    with open(SCRIPT) as file:
        text, count = re.subn(r"(?m)^%s = [^#\n]*" % name, "%s = %d  " % (name, number),
                              file.read())
    assert count == 1
    path = os.path.join(folder, "logcheck-%s.py" % name)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


def loadable(entry):
    """Whether pf can load an entry (bytes), as far as it is made of digits and dots alone."""
    if entry.strip(b"0123456789."):
        return True
    parts = entry.split(b".")
    return len(parts) <= 4 and all(part and len(part.lstrip(b"0")) <= 3 and int(part) <= 255
                                   for part in parts)


def without_unloadable(table):
    """What logcheck.py makes of the pipeline's table (bytes): it leaves out what pf refuses."""
    return b"".join(line + b"\n" for line in table.split(b"\n")[:-1] if loadable(line))


def first_difference(one, other):
    """The first line in which two tables (bytes) differ, or an empty str."""
    one, other = one.split(b"\n"), other.split(b"\n")
    for number in range(max(len(one), len(other))):
        lines = [lines[number] if number < len(lines) else None for lines in (one, other)]
        if lines[0] != lines[1]:
            return "line %d: %r, expected %r" % (number + 1, lines[0], lines[1])
    return ""


def rule_lines():
    """The lines of rules.txt: (number, what must come out (str), line of a log (bytes))."""
    with open(os.path.join(HERE, "rules.txt"), "rb") as file:
        for number, line in enumerate(file, 1):
            if line[:1] not in b"#\n":
                expected, program, message = line.rstrip(b"\n").split(b"\t", 2)
                yield number, expected.decode(), b"Apr  8 12:00:00 mail %s: %s" % (program, message)


class Court(logcheck.Court):
    """Careful mode's court on the night of 2018-04-09 (TZ=UTC), asked about single lines."""

    def __init__(self):
        os.environ["TZ"] = "UTC"
        time.tzset()
        options = logcheck.Options([])
        options.now, options.mask6 = 1523237400, 128
        super().__init__(options, logcheck.Range(options.now, 1))

    def heard(self, block, but=None):
        """What a block (bytes) of lines says: {address (str): {word: times}}, in the words of
        rules.txt; of the address but (str) nothing.
        """
        self.evidence = {}
        self.hear(block, logcheck.Tally("log"))
        said = {}
        for peer, rules in self.evidence.items():
            for rule, times in rules.items():
                if peer.decode() != but:
                    words = said.setdefault(peer.decode(), {})
                    words[rule.what.lower()] = words.get(rule.what.lower(), 0) + times
        return said

    def verdict(self, block, but=None):
        """heard() as rules.txt writes it."""
        return "; ".join("%s %s" % (address, "+".join(
            word if times == 1 and word not in ("fail", "reject") else "%s %d" % (word, times)
            for word, times in sorted(words.items(), key=lambda item: (item[0] in ("fail", "reject"), item))))
            for address, words in sorted(self.heard(block, but).items())) or "-"
