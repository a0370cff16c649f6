"""`make mutate N=100`: plant faults of the ordinary kinds into copies of logcheck.py, one each, and
run the tests on every copy: a fault that no test finds is a hole in the tests.

usage: mutate.py N [SEED]

The kinds: a comparison turned, a condition negated, a number off by one (from 1000 on doubled), a
statement dropped, `and` for `or`, True for False; texts stay as they are. Each copy stands in a
tree of its own, with the tests beside it, which run with this Python alone, those first that look
at its part of the program. What hangs counts as found. Prints the seed, each survivor with its
line, and how many were found. Needs Python 3.8, and pytest as the tests do. Exit: 0 if 95% were
found, else 1.
"""
import ast
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ORDER = (  # a part's heading; the tests that are most likely to find its faults; others that may
    ("# ---- The shell script", "default.py::test_fixture transcripts table",
     "options faults default"),
    ("# ---- Careful mode", "careful transcripts", "options default.py::test_fixture"),
    ("# ---- Extras", "transcripts options",
     "table faults careful.py::test_story default.py::test_fixture"),
    ("\n# Replacing the table file\n", "faults", "transcripts options table"),
    ("\n# The allow list\n", "transcripts options", "table faults"),
    ("\n# The table's life\n", "transcripts table", "options faults"),
    ("\n# The report and the letter\n", "transcripts options", "table faults"))
# they take long or start real processes, and what they alone find is no ordinary fault
SLOW = ("long or framed or README or memory or large_logs or closed_descr or odd_env or "
        "no_module or interrupted_start")
TURNED = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
          ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is"}


def faults(source):
    """All faults that can be planted: [(node of the syntax tree, what takes its place (str))]."""
    def text(node):
        return "(%s)" % ast.get_source_segment(source, node)

    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            found.append((node, "(%s %s %s)" % (
                text(node.left), TURNED[type(node.ops[0])], text(node.comparators[0]))))
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            found.append((node.test, "(not %s)" % text(node.test)))
        if isinstance(node, ast.BoolOp):
            other = " or " if isinstance(node.op, ast.And) else " and "
            found.append((node, "(%s)" % other.join(map(text, node.values))))
        if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int)):
            other = node.value + (1 if node.value < 1000 else node.value)
            found.append((node, "(%r)" % (not node.value if isinstance(node.value, bool)
                                          else other)))
        if isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise)) and not (
                isinstance(getattr(node, "value", None), ast.Constant)):
            found.append((node, "pass"))
    return found


def planted(source, fault):
    """The source (str) with a fault in it."""
    node, new = fault
    lines = source.splitlines(True)
    start = sum(map(len, lines[:node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[:node.end_lineno - 1])) + node.end_col_offset
    return source[:start] + new + source[end:]


def tests(tree, line, source):
    """The command lines' names of the tests for a line (int), those to run first and the others."""
    before = "\n".join(source.split("\n")[:line])
    order = [stages for banner, *stages in ORDER if banner in before] or [ORDER[0][1:]]
    for stage in order[-1]:
        names = ["tests/test_" + name + ("" if "::" in name else ".py") for name in stage.split()]
        yield [name for name in names if os.path.exists(os.path.join(tree, name.split("::")[0]))]


def passes(tree, names, limit):
    """Run tests in a tree. Returns whether all passed within so many seconds."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
             "-k", "not (%s)" % SLOW] + names, cwd=tree, timeout=limit,
            env=dict(os.environ, ONE_PYTHON="1", PATIENCE="20"), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main(count, seed):
    with open(os.path.join(TOP, "logcheck.py")) as file:
        source = file.read()
    every = faults(source)
    chosen = random.Random(seed).sample(every, min(count, len(every)))
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sound = os.path.join(folder, "sound")
        shutil.copytree(TOP, sound, symlinks=True, ignore=shutil.ignore_patterns(".*"))
        start = time.time()
        for names in tests(sound, source.count("\n"), source):
            if not passes(sound, names, None):
                sys.exit("the tests find a fault where none is planted: %s" % names)
        limit = 4 * (time.time() - start) + 60
        print("%d faults, seed %d" % (len(chosen), seed), flush=True)

        def survives(number):
            fault, tree = chosen[number], os.path.join(folder, str(number))
            shutil.copytree(sound, tree, symlinks=True)
            with open(os.path.join(tree, "logcheck.py"), "w") as file:
                file.write(planted(source, fault))
            left = all(passes(tree, names, limit)
                       for names in tests(tree, fault[0].lineno, source))
            shutil.rmtree(tree, ignore_errors=True)
            return left

        survivors = 0
        for fault, left in zip(chosen, pool.map(survives, range(len(chosen)))):
            if left:
                survivors += 1
                line = fault[0].lineno
                was, became = (text.split("\n")[line - 1].strip()
                               for text in (source, planted(source, fault)))
                print("line %d: %s\n   became %s" % (line, was, became), flush=True)
    print("%d found, %d survived" % (len(chosen) - survivors, survivors))
    return survivors * 20 > len(chosen)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])))
