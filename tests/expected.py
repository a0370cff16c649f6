"""make expected: give each fixture that has no `expected` yet what the shell pipeline makes of it,
and where careful mode differs `expected-careful`, to be looked at before it is kept.
"""
import os
import sys

import tools


def main():
    """Write the files and name them."""
    for folder in tools.FIXTURES:
        expected = os.path.join(folder, "expected")
        if os.path.exists(expected):
            continue
        case = tools.Case.load(folder)
        table = tools.without_unloadable(case.reference(tools.pairs()[0]))
        careful = case.logcheck(sys.executable, "-c")[0]
        for name, text in ((expected, table), (expected + "-careful", careful)):
            if name == expected or text != table:
                with open(name, "wb") as file:
                    file.write(text)
                print(name)


if __name__ == "__main__":
    main()
