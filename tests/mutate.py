"""`make mutate N=100`: plant faults of the ordinary kinds into copies of logcheck.py, one each, and
run the fast tests on every copy: a fault that no test finds is a hole in the tests.

usage: mutate.py N [SEED]

The kinds: a comparison turned, a condition negated, a number off by one, a statement dropped,
`and` for `or`, True for False. Each copy stands in a tree of its own, with the tests beside it.
Prints the seed, each survivor with its line, and how many were found. Needs nothing but Python,
and pytest as the tests do. Exit: 0 if 95% were found, else 1.
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

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
FAST = ["tests/test_default.py", "tests/test_careful.py", "tests/test_cli.py",
        "tests/test_table.py", "tests/test_host.py", "tests/test_faults.py"]
LIMIT = 600  # seconds that the tests of one copy may take: what hangs counts as found
TURNED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
          ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot,
          ast.IsNot: ast.Is}


def faults(tree):
    """All faults that can be planted: [(line, what, function that plants it)]."""
    found = []

    def put(node, name, value):
        return lambda: setattr(node, name, value)

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
            turned = TURNED[type(node.ops[0])]
            found.append((node.lineno, "%s for %s" % (
                turned.__name__, type(node.ops[0]).__name__),
                put(node, "ops", [turned()] + node.ops[1:])))
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            found.append((node.lineno, "condition negated", put(
                node, "test", ast.UnaryOp(op=ast.Not(), operand=node.test))))
        elif isinstance(node, ast.BoolOp):
            other = ast.Or if isinstance(node.op, ast.And) else ast.And
            found.append((node.lineno, other.__name__, put(node, "op", other())))
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int)):
            value = not node.value if isinstance(node.value, bool) else node.value + 1
            found.append((node.lineno, "%r for %r" % (value, node.value),
                          put(node, "value", value)))
        body = getattr(node, "body", None)
        if isinstance(body, list):
            for at, statement in enumerate(body):
                if isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise)) \
                        and not isinstance(getattr(statement, "value", None), ast.Constant):
                    empty = ast.copy_location(ast.Pass(), statement)
                    found.append((statement.lineno, "statement dropped", put(
                        node, "body", body[:at] + [empty] + body[at + 1:])))
    return found


def survives(number, source):
    """What is left of a fault (int: its number) after the tests: its text, or '' if it is found."""
    tree = ast.parse(source)
    line, what, plant = faults(tree)[number]
    plant()
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(TOP):
            if name not in (".git", ".venv"):
                path = os.path.join(TOP, name)
                (shutil.copytree if os.path.isdir(path) else shutil.copy)(
                    path, os.path.join(folder, name))
        with open(os.path.join(folder, "logcheck.py"), "w") as file:
            file.write("#!/usr/bin/env python3\n" + ast.unparse(ast.fix_missing_locations(tree)))
        tests = [name for name in FAST if os.path.exists(os.path.join(folder, name))]
        for name in tests:
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", name],
                    cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                return ""
            if done.returncode:
                return ""
    return "line %d: %s: %s" % (line, what, source.split("\n")[line - 1].strip())


def main(count, seed):
    with open(os.path.join(TOP, "logcheck.py")) as file:
        source = file.read()
    chosen = list(range(len(faults(ast.parse(source)))))
    random.Random(seed).shuffle(chosen)
    chosen = chosen[:count]
    print("%d faults, seed %d" % (len(chosen), seed), flush=True)
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(lambda number: survives(number, source), chosen):
            if text:
                survivors += 1
                print(text, flush=True)
    print("%d found, %d survived" % (len(chosen) - survivors, survivors))
    return survivors * 20 > len(chosen)


if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.exit("mutate.py needs Python 3.9, for ast.unparse")
    sys.exit(main(int(sys.argv[1]), int((sys.argv[2:] or [time.time()])[0])))
