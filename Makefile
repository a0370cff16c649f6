# For BSD and GNU make.
PYTHON = python3
N = 1000

# where `make install` puts it: $(DESTDIR)$(TARGET)
PREFIX = /root
TARGET = $(PREFIX)/logcheck.py
# stable names of a system's Python, which outlive its upgrades; PYTHON=... overrides them
SYSTEM = /usr/local/bin/python3 /usr/bin/python3

help:
	@echo "make demo      both modes on one night; needs nothing, leaves nothing"
	@echo "make test      the tests; fetches pytest into .venv where it is missing"
	@echo "make fuzz      N=$(N) more random cases, logcheck.py against the shell pipeline"
	@echo "make faults    every fault and kill at every system call"
	@echo "make mutate    N=$(N) planted faults, and which of them no test finds"
	@echo "make nights    README's figures of whole years of nights; takes twelve minutes"
	@echo "make bench     time and memory beside the shell pipeline"
	@echo "make e2e       real sshd, Postfix and Dovecot under attack (root on Debian)"
	@echo "make syslogds  one log through real syslogds (root on Debian)"
	@echo "make capture   the same, and its logs become the fixtures real-*"
	@echo "make expected  what the shell pipeline makes of fixtures that do not say yet"
	@echo "make install   to $(DESTDIR)$(TARGET)"
	@echo "make uninstall remove that"
	@echo "make clean     remove what the tests left"

demo:
	@sh tests/demo.sh $(PYTHON) real-stories

test:
	@sh tests/pytest.sh $(PYTHON) -m pytest -p no:cacheprovider -q tests

fuzz:
	@sh tests/pytest.sh $(PYTHON) tests/fuzz.py $(N)

faults:
	@$(PYTHON) tests/inject.py

mutate:
	@sh tests/pytest.sh $(PYTHON) tests/mutate.py $(N)

nights:
	@$(PYTHON) tests/nights.py

bench:
	@$(PYTHON) tests/bench.py

e2e:
	@$(PYTHON) tests/e2e.py

syslogds:
	@$(PYTHON) tests/syslogds.py

capture:
	@$(PYTHON) tests/e2e.py --capture fixtures

expected:
	@$(PYTHON) tests/expected.py

install:
	@sh tests/install.sh "$(DESTDIR)" "$(TARGET)" "$(PYTHON)" $(SYSTEM)

uninstall:
	rm -f "$(DESTDIR)$(TARGET)"

clean:
	rm -rf .venv .pytest_cache .benchmarks tests/__pycache__ tests/e2e/__pycache__

.PHONY: help demo test fuzz faults mutate nights bench e2e syslogds capture expected install uninstall clean
