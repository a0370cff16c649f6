"""make expected: give each fixture that has no `expected` yet what the shell pipeline makes of it,
and where careful mode differs `expected-careful`, to be looked at before it is kept.
"""
import os
import tempfile

from host import FIXTURES, Host, pairs, without_unloadable


def main():
    """Write the files and name them."""
    for folder in FIXTURES:
        expected = os.path.join(folder, "expected")
        if os.path.exists(expected):
            continue
        with tempfile.TemporaryDirectory() as work:
            host = Host.load(folder, work)
            table = without_unloadable(host.reference(pairs()[0]))
            careful = host.run("-c", "-n").stdout
        for name, text in ((expected, table), (expected + "-careful", careful)):
            if name == expected or text != table:
                with open(name, "wb") as file:
                    file.write(text)
                print(name)


if __name__ == "__main__":
    main()
